(* Which of the eleven properties each of the seven laws has: one lemma for each of the 77 pairs,
   named <law>_<property>; where a law lacks the property, the lemma is the refutation.

   Notation: r the speed ratio, phi the gain, rho(r) = r phi(r) the speed. *)

From Coq Require Import Reals Psatz FunctionalExtensionality.
From Coquelicot Require Import Coquelicot.
From Subluminal Require Import Laws.
Open Scope R_scope.

(** * Functions with a derivative of constant sign *)

Lemma is_derive_nondecreasing f f' a b : a <= b ->
  (forall x, a <= x <= b -> is_derive f x (f' x)) -> (forall x, a <= x <= b -> 0 <= f' x) ->
  f a <= f b.
Proof.
intros Hab Hd Hpos. destruct Hab as [Hab | ->]; [| lra].
destruct (MVT_cor2 f f' a b Hab) as (x & Heq & Hx).
- intros x Hx. apply is_derive_Reals. now apply Hd.
- assert (0 <= f' x) by (apply Hpos; lra). nra.
Qed.

(* A function that starts at 0 with a derivative >= 0 stays >= 0. *)
Lemma is_derive_nonnegative f f' x : 0 <= x -> f 0 = 0 ->
  (forall y, 0 <= y <= x -> is_derive f y (f' y)) -> (forall y, 0 <= y <= x -> 0 <= f' y) ->
  0 <= f x.
Proof.
intros Hx Hzero Hd Hpos. rewrite <- Hzero. now apply is_derive_nondecreasing with f'.
Qed.

(** * The hyperbolic tangent *)

Lemma cosh_pos x : 0 < cosh x.
Proof. unfold cosh. assert (P := exp_pos x). assert (Q := exp_pos (- x)). lra. Qed.

Lemma cosh_square x : cosh x ^ 2 = 1 + sinh x ^ 2.
Proof.
unfold cosh, sinh. assert (P : exp x * exp (- x) = 1).
{ rewrite <- exp_plus, Rplus_opp_r. apply exp_0. }
nra.
Qed.

Lemma cosh_ge_1 x : 1 <= cosh x.
Proof. assert (C := cosh_square x). assert (P := cosh_pos x). nra. Qed.

Lemma is_derive_sinh x : is_derive sinh x (cosh x).
Proof. apply is_derive_Reals, derivable_pt_lim_sinh. Qed.

Lemma is_derive_cosh x : is_derive cosh x (sinh x).
Proof. apply is_derive_Reals, derivable_pt_lim_cosh. Qed.

Lemma is_derive_tanh x : is_derive tanh x (1 - tanh x ^ 2).
Proof.
assert (C := cosh_pos x).
replace (1 - tanh x ^ 2) with ((cosh x * cosh x - sinh x * sinh x) / cosh x ^ 2)
  by (unfold tanh; field; lra).
apply is_derive_div.
- apply is_derive_sinh.
- apply is_derive_cosh.
- lra.
Qed.

Lemma tanh_0 : tanh 0 = 0.
Proof. unfold tanh. rewrite sinh_0. unfold Rdiv. ring. Qed.

Lemma tanh_opp x : tanh (- x) = - tanh x.
Proof.
unfold tanh, sinh, cosh. rewrite Ropp_involutive.
assert (P := exp_pos x). assert (Q := exp_pos (- x)). field. lra.
Qed.

Lemma tanh_square_lt_1 x : tanh x ^ 2 < 1.
Proof.
assert (C := cosh_pos x). assert (S := cosh_square x).
unfold tanh. unfold Rdiv. rewrite Rpow_mult_distr, pow_inv.
assert (0 < cosh x ^ 2) by nra. apply Rmult_lt_reg_r with (cosh x ^ 2); [easy |].
rewrite Rmult_assoc, Rinv_l; lra.
Qed.

Lemma tanh_lt_1 x : -1 < tanh x < 1.
Proof. assert (S := tanh_square_lt_1 x). nra. Qed.

Lemma tanh_increasing a b : a <= b -> tanh a <= tanh b.
Proof.
intros Hab. apply is_derive_nondecreasing with (fun x => 1 - tanh x ^ 2); [easy | |].
- intros x _. apply is_derive_tanh.
- intros x _. assert (S := tanh_square_lt_1 x). lra.
Qed.

Lemma tanh_nonneg x : 0 <= x -> 0 <= tanh x.
Proof. intros Hx. rewrite <- tanh_0. now apply tanh_increasing. Qed.

(* x - tanh x is nondecreasing. *)
Lemma tanh_slope a b : a <= b -> tanh b - tanh a <= b - a.
Proof.
intros Hab. assert (H : a - tanh a <= b - tanh b); [| lra].
apply (is_derive_nondecreasing (fun x => x - tanh x) (fun x => tanh x ^ 2)); [easy | |].
- intros x _. replace (tanh x ^ 2) with (1 - (1 - tanh x ^ 2)) by ring.
  apply @is_derive_minus; [apply @is_derive_id | apply is_derive_tanh].
- intros x _. apply pow2_ge_0.
Qed.

Lemma tanh_le_id x : 0 <= x -> tanh x <= x.
Proof. intros Hx. assert (H := tanh_slope 0 x Hx). rewrite tanh_0 in H. lra. Qed.

(* tanh x >= x - x^3/3. *)
Lemma tanh_cubic_below x : 0 <= x -> x - x ^ 3 / 3 <= tanh x.
Proof.
intros Hx. assert (H : 0 <= tanh x - (x - x ^ 3 / 3)); [| lra].
apply (is_derive_nonnegative (fun y => tanh y - (y - y ^ 3 / 3))
  (fun y => (1 - tanh y ^ 2) - (1 - y ^ 2))); [easy | rewrite tanh_0; field | |].
- intros y _. apply @is_derive_minus; [apply is_derive_tanh |].
  auto_derive; [easy | field].
- intros y Hy. assert (A := tanh_nonneg y (proj1 Hy)). assert (B := tanh_le_id y (proj1 Hy)). nra.
Qed.

(* tanh x <= x - x^3/3 + 2 x^5/15 up to x = 1. *)
Lemma tanh_quintic_above x : 0 <= x <= 1 -> tanh x <= x - x ^ 3 / 3 + 2 * x ^ 5 / 15.
Proof.
intros Hx. assert (H : 0 <= (x - x ^ 3 / 3 + 2 * x ^ 5 / 15) - tanh x); [| lra].
apply (is_derive_nonnegative (fun y => (y - y ^ 3 / 3 + 2 * y ^ 5 / 15) - tanh y)
  (fun y => (1 - y ^ 2 + 2 * y ^ 4 / 3) - (1 - tanh y ^ 2))); [easy | rewrite tanh_0; field | |].
- intros y _. apply @is_derive_minus; [| apply is_derive_tanh].
  auto_derive; [easy | field].
- intros y Hy. assert (A := tanh_cubic_below y (proj1 Hy)).
  assert (B : (y - y ^ 3 / 3) ^ 2 <= tanh y ^ 2).
  { apply pow_incr. split; [| exact A].
    replace (y - y ^ 3 / 3) with (y * (1 - y ^ 2 / 3)) by field.
    apply Rmult_le_pos; nra. }
  replace ((y - y ^ 3 / 3) ^ 2) with (y ^ 2 - 2 * y ^ 4 / 3 + y ^ 6 / 9) in B by field.
  assert (0 <= y ^ 6) by (apply pow_le; lra). lra.
Qed.

Lemma sinh_ge_id x : 0 <= x -> x <= sinh x.
Proof.
intros Hx. assert (H : 0 <= sinh x - x); [| lra].
apply (is_derive_nonnegative (fun y => sinh y - y) (fun y => cosh y - 1)); try easy.
- rewrite sinh_0. ring.
- intros y _. apply @is_derive_minus; [apply is_derive_sinh | apply @is_derive_id].
- intros y _. assert (C := cosh_ge_1 y). lra.
Qed.

(* 2/3 <= tanh 1, all that the jump of two laws at the limit needs. *)
Lemma tanh_1_above : 2 / 3 <= tanh 1.
Proof. assert (H := tanh_cubic_below 1). lra. Qed.

(** * What becomes of an entry *)

Lemma entry_newtonian : entry newtonian = fun x => x.
Proof. apply functional_extensionality. intros x. unfold entry. simpl. ring. Qed.

Lemma entry_smooth_sqrt : entry smooth_sqrt = fun x => x * / sqrt (1 + x ^ 2).
Proof.
apply functional_extensionality. intros x. unfold entry. cbn [gain smooth_sqrt].
now rewrite pow2_abs.
Qed.

Lemma entry_gamma : entry gamma = fun x => x * / sqrt (1 - x ^ 2).
Proof.
apply functional_extensionality. intros x. unfold entry. cbn [gain gamma].
now rewrite pow2_abs.
Qed.

Lemma tanh_abs_ratio x : x <> 0 -> x * (tanh (Rabs x) / Rabs x) = tanh x.
Proof.
intros Hx. unfold Rabs. destruct (Rcase_abs x).
- rewrite tanh_opp. field. lra.
- field. lra.
Qed.

Lemma entry_tanh_law : entry tanh_law = tanh.
Proof.
apply functional_extensionality. intros x. unfold entry. cbn [gain tanh_law].
destruct (Rlt_dec 0 (Rabs x)) as [Hx | Hx].
- apply tanh_abs_ratio. intros ->. rewrite Rabs_R0 in Hx. lra.
- destruct (Req_dec x 0) as [-> | Nz].
  + rewrite tanh_0. ring.
  + apply Rabs_pos_lt in Nz. lra.
Qed.

Lemma entry_hard_clip : entry hard_clip = fun x => (Rabs (x + 1) - Rabs (x - 1)) / 2.
Proof.
apply functional_extensionality. intros x. unfold entry. cbn [gain hard_clip].
destruct (Rlt_dec (Rabs x) 1) as [Hx | Hx].
- apply Rabs_def2 in Hx. rewrite (Rabs_pos_eq (x + 1)), (Rabs_left1 (x - 1)); lra.
- destruct (Rle_dec 0 x).
  + rewrite Rabs_pos_eq in Hx |- * by lra.
    rewrite (Rabs_pos_eq (x + 1)), (Rabs_pos_eq (x - 1)) by lra. field. lra.
  + rewrite Rabs_left1 in Hx |- * by lra.
    rewrite (Rabs_left1 (x + 1)), (Rabs_left1 (x - 1)) by lra. field. lra.
Qed.

(* On ratios, an entry is a speed. *)
Lemma entry_speed l r : 0 <= r -> entry l r = speed l r.
Proof. intros Hr. unfold entry, speed. now rewrite Rabs_pos_eq. Qed.

(* Above the limit, two of the published formulas are tanh. *)
Lemma entry_published_above x : 1 <= x -> entry published x = tanh x.
Proof.
intros Hx. unfold entry. cbn [gain published]. rewrite Rabs_pos_eq by lra.
destruct (Rlt_dec x 1); [lra |]. field. lra.
Qed.

Lemma entry_piecewise_above x : 1 <= x -> entry piecewise x = tanh x.
Proof.
intros Hx. unfold entry. cbn [gain piecewise]. rewrite Rabs_pos_eq by lra.
destruct (Rlt_dec x 1); [lra |]. field. lra.
Qed.

Lemma entry_published_below x : 0 <= x < 1 -> entry published x = x * sqrt (1 - x ^ 2).
Proof.
intros Hx. unfold entry. cbn [gain published]. rewrite Rabs_pos_eq by lra.
destruct (Rlt_dec x 1); [easy | lra].
Qed.

Lemma entry_piecewise_below x : 0 <= x < 1 -> entry piecewise x = x * / (1 - x ^ 2).
Proof.
intros Hx. unfold entry. cbn [gain piecewise]. rewrite Rabs_pos_eq by lra.
destruct (Rlt_dec x 1); [easy | lra].
Qed.

(** * Implications between the properties *)

Lemma differentiable_continuous l : differentiable l -> continuous_law l.
Proof.
intros H x Hx Hd. apply derivable_continuous_pt, ex_derive_Reals_0. now apply H.
Qed.

Lemma small_weak l : small_update_identity l -> weak_small_update_identity l.
Proof.
intros H r Hr Hd. assert (B := H r Hr Hd). assert (P := pow2_ge_0 r). lra.
Qed.

Lemma weak_near_zero l : weak_small_update_identity l -> identity_near_zero l.
Proof.
intros H r Hr Hd. assert (B := H r (proj1 Hr) Hd). assert (P := pow2_ge_0 r). lra.
Qed.

Lemma never_amplifies_small l : never_amplifies l ->
  (forall r, 0 <= r -> defined l r -> 1 - r ^ 2 / 2 <= gain l r) -> small_update_identity l.
Proof.
intros A B r Hr Hd. specialize (A r Hr Hd). specialize (B r Hr Hd). apply Rabs_le. lra.
Qed.

(* It is enough to look at two ratios in ascending order. *)
Lemma nonexpansive_ordered l :
  (forall a b, 0 <= a <= b -> defined l a -> defined l b ->
    - (b - a) <= speed l b - speed l a <= b - a) -> nonexpansive l.
Proof.
intros H a b Ha Hb Da Db. destruct (Rle_dec a b) as [Hab | Hab].
- assert (B := H a b ltac:(lra) Da Db). rewrite (Rabs_left1 (a - b)) by lra. apply Rabs_le. lra.
- assert (B := H b a ltac:(lra) Db Da). rewrite (Rabs_pos_eq (a - b)) by lra. apply Rabs_le. lra.
Qed.

Lemma inverse_range w : 1 <= w -> 0 < / w <= 1.
Proof.
intros Hw. split; [apply Rinv_0_lt_compat; lra |].
rewrite <- Rinv_1. apply Rinv_le_contravar; lra.
Qed.

(** * newtonian *)

Lemma newtonian_total : total newtonian.
Proof. now intros r Hr. Qed.

Lemma newtonian_bounded : ~ bounded newtonian.
Proof. intros H. specialize (H 2). unfold speed in H. simpl in H. lra. Qed.

Lemma newtonian_never_amplifies : never_amplifies newtonian.
Proof. intros r _ _. simpl. lra. Qed.

Lemma newtonian_direction_preserving : direction_preserving newtonian.
Proof. intros r _ _. simpl. lra. Qed.

Lemma newtonian_monotone : monotone newtonian.
Proof. intros a b Hab _ _. unfold speed. simpl. lra. Qed.

Lemma newtonian_differentiable : differentiable newtonian.
Proof. intros x _ _. rewrite entry_newtonian. apply @ex_derive_id. Qed.

Lemma newtonian_continuous : continuous_law newtonian.
Proof. apply differentiable_continuous, newtonian_differentiable. Qed.

Lemma newtonian_nonexpansive : nonexpansive newtonian.
Proof. intros a b _ _ _ _. unfold speed. simpl. rewrite !Rmult_1_r. lra. Qed.

Lemma newtonian_small_update_identity : small_update_identity newtonian.
Proof.
apply never_amplifies_small; [apply newtonian_never_amplifies |].
intros r _ _. simpl gain. assert (P := pow2_ge_0 r). lra.
Qed.

Lemma newtonian_weak_small_update_identity : weak_small_update_identity newtonian.
Proof. apply small_weak, newtonian_small_update_identity. Qed.

Lemma newtonian_identity_near_zero : identity_near_zero newtonian.
Proof. apply weak_near_zero, newtonian_weak_small_update_identity. Qed.

(** * smooth_sqrt *)

(* w = sqrt(1 + x^2), its square and its lower bound. *)
Lemma lorentz_sum x : 1 <= sqrt (1 + x ^ 2) /\ sqrt (1 + x ^ 2) ^ 2 = 1 + x ^ 2.
Proof.
assert (P := pow2_ge_0 x). split; [| apply pow2_sqrt; lra].
rewrite <- sqrt_1 at 1. apply sqrt_le_1_alt. lra.
Qed.

Lemma smooth_sqrt_gain_range r : 0 < gain smooth_sqrt r <= 1.
Proof.
cbn [gain smooth_sqrt]. destruct (lorentz_sum r) as [W _]. now apply inverse_range.
Qed.

(* phi(r)^2 (1 + r^2) = 1. *)
Lemma smooth_sqrt_gain_square r : gain smooth_sqrt r ^ 2 * (1 + r ^ 2) = 1.
Proof.
cbn [gain smooth_sqrt]. destruct (lorentz_sum r) as [W E].
set (w := sqrt (1 + r ^ 2)) in *. rewrite <- E. field. lra.
Qed.

Lemma smooth_sqrt_total : total smooth_sqrt.
Proof.
intros r _. cbn [defined smooth_sqrt]. destruct (lorentz_sum r) as [W _].
assert (P := pow2_ge_0 r). split; [lra | apply Rgt_not_eq; lra].
Qed.

Lemma smooth_sqrt_speed_below_1 r : 0 <= r -> speed smooth_sqrt r < 1.
Proof.
intros Hr. unfold speed. assert (P := smooth_sqrt_gain_range r).
assert (E := smooth_sqrt_gain_square r). set (p := gain smooth_sqrt r) in *.
assert (0 < p * p) by nra. assert (0 <= r * p) by nra. nra.
Qed.

Lemma smooth_sqrt_bounded : bounded smooth_sqrt.
Proof. intros r Hr _. left. now apply smooth_sqrt_speed_below_1. Qed.

Lemma smooth_sqrt_never_amplifies : never_amplifies smooth_sqrt.
Proof. intros r _ _. apply smooth_sqrt_gain_range. Qed.

Lemma smooth_sqrt_direction_preserving : direction_preserving smooth_sqrt.
Proof. intros r _ _. left. apply smooth_sqrt_gain_range. Qed.

(* The slope of the smooth law is phi^3. *)
Lemma is_derive_smooth_sqrt x :
  is_derive (fun x => x * / sqrt (1 + x ^ 2)) x (gain smooth_sqrt x ^ 3).
Proof.
destruct (lorentz_sum x) as [W E]. cbn [gain smooth_sqrt]. auto_derive.
- assert (P := pow2_ge_0 x). simpl in *. repeat split; lra.
- replace (1 + x * (x * 1)) with (1 + x ^ 2) by (simpl; ring).
  set (w := sqrt (1 + x ^ 2)) in *. assert (Z : x ^ 2 = w ^ 2 - 1) by lra.
  field_simplify; [| lra | lra]. f_equal. lra.
Qed.

Lemma smooth_sqrt_differentiable : differentiable smooth_sqrt.
Proof.
intros x _ _. rewrite entry_smooth_sqrt. eexists. apply is_derive_smooth_sqrt.
Qed.

Lemma smooth_sqrt_continuous : continuous_law smooth_sqrt.
Proof. apply differentiable_continuous, smooth_sqrt_differentiable. Qed.

Lemma smooth_sqrt_slope_range x : 0 <= gain smooth_sqrt x ^ 3 <= 1.
Proof.
assert (P := smooth_sqrt_gain_range x). split; [apply pow_le; lra |].
rewrite <- (pow1 3). apply pow_incr. lra.
Qed.

Lemma smooth_sqrt_monotone : monotone smooth_sqrt.
Proof.
intros a b Hab _ _.
apply is_derive_nondecreasing with (fun x => gain smooth_sqrt x ^ 3); [easy | |].
- intros x _. apply is_derive_smooth_sqrt.
- intros x _. apply smooth_sqrt_slope_range.
Qed.

Lemma smooth_sqrt_nonexpansive : nonexpansive smooth_sqrt.
Proof.
apply nonexpansive_ordered. intros a b Hab Da Db.
assert (M := smooth_sqrt_monotone a b Hab Da Db).
assert (N : a - speed smooth_sqrt a <= b - speed smooth_sqrt b); [| lra].
apply (is_derive_nondecreasing (fun x => x - speed smooth_sqrt x)
  (fun x => 1 - gain smooth_sqrt x ^ 3)); [easy | |].
- intros x _. apply @is_derive_minus; [apply @is_derive_id | apply is_derive_smooth_sqrt].
- intros x _. assert (S := smooth_sqrt_slope_range x). lra.
Qed.

Lemma smooth_sqrt_small_update_identity : small_update_identity smooth_sqrt.
Proof.
apply never_amplifies_small; [apply smooth_sqrt_never_amplifies |].
intros r Hr _. cbn [gain smooth_sqrt]. destruct (lorentz_sum r) as [W E].
set (w := sqrt (1 + r ^ 2)) in *. replace (1 - r ^ 2 / 2) with ((3 - w ^ 2) / 2) by lra.
apply Rmult_le_reg_l with w; [lra |]. rewrite Rinv_r by lra.
assert (0 <= (w - 1) ^ 2 * (w + 2)) by (apply Rmult_le_pos; [apply pow2_ge_0 | lra]). nra.
Qed.

Lemma smooth_sqrt_weak_small_update_identity : weak_small_update_identity smooth_sqrt.
Proof. apply small_weak, smooth_sqrt_small_update_identity. Qed.

Lemma smooth_sqrt_identity_near_zero : identity_near_zero smooth_sqrt.
Proof. apply weak_near_zero, smooth_sqrt_weak_small_update_identity. Qed.

(** * tanh_law *)

Lemma speed_tanh_law r : 0 <= r -> speed tanh_law r = tanh r.
Proof. intros Hr. rewrite <- entry_speed by easy. now rewrite entry_tanh_law. Qed.

Lemma tanh_law_total : total tanh_law.
Proof. intros r _. simpl. destruct (Rlt_dec 0 r); [lra | easy]. Qed.

Lemma tanh_law_bounded : bounded tanh_law.
Proof. intros r Hr _. rewrite speed_tanh_law by easy. left. apply tanh_lt_1. Qed.

Lemma tanh_ratio_range r : 0 < r -> 0 <= tanh r / r <= 1.
Proof.
intros Hr. assert (A := tanh_nonneg r). assert (B := tanh_le_id r). split.
- apply Rmult_le_pos; [lra |]. left. now apply Rinv_0_lt_compat.
- apply Rmult_le_reg_r with r; [easy |]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra.
Qed.

Lemma tanh_law_never_amplifies : never_amplifies tanh_law.
Proof.
intros r _ _. simpl. destruct (Rlt_dec 0 r); [now apply tanh_ratio_range | lra].
Qed.

Lemma tanh_law_direction_preserving : direction_preserving tanh_law.
Proof.
intros r _ _. simpl. destruct (Rlt_dec 0 r); [now apply tanh_ratio_range | lra].
Qed.

Lemma tanh_law_monotone : monotone tanh_law.
Proof.
intros a b Hab _ _. rewrite !speed_tanh_law by lra. now apply tanh_increasing.
Qed.

Lemma tanh_law_differentiable : differentiable tanh_law.
Proof. intros x _ _. rewrite entry_tanh_law. eexists. apply is_derive_tanh. Qed.

Lemma tanh_law_continuous : continuous_law tanh_law.
Proof. apply differentiable_continuous, tanh_law_differentiable. Qed.

Lemma tanh_law_nonexpansive : nonexpansive tanh_law.
Proof.
apply nonexpansive_ordered. intros a b Hab _ _. rewrite !speed_tanh_law by lra.
assert (I := tanh_increasing a b). assert (S := tanh_slope a b). lra.
Qed.

Lemma tanh_law_small_update_identity : small_update_identity tanh_law.
Proof.
apply never_amplifies_small; [apply tanh_law_never_amplifies |].
intros r Hr _. simpl gain. assert (P := pow2_ge_0 r). destruct (Rlt_dec 0 r) as [H |]; [| lra].
apply Rmult_le_reg_r with r; [easy |]. unfold Rdiv at 2. rewrite Rmult_assoc, Rinv_l by lra.
assert (T := tanh_cubic_below r Hr). assert (0 <= r ^ 3) by (apply pow_le; lra).
replace ((1 - r ^ 2 / 2) * r) with (r - r ^ 3 / 2) by field. lra.
Qed.

Lemma tanh_law_weak_small_update_identity : weak_small_update_identity tanh_law.
Proof. apply small_weak, tanh_law_small_update_identity. Qed.

Lemma tanh_law_identity_near_zero : identity_near_zero tanh_law.
Proof. apply weak_near_zero, tanh_law_weak_small_update_identity. Qed.

(** * hard_clip *)

Lemma speed_hard_clip r : 0 <= r -> speed hard_clip r = Rmin r 1.
Proof.
intros Hr. unfold speed. simpl. destruct (Rlt_dec r 1).
- rewrite Rmin_left; lra.
- rewrite Rmin_right by lra. field. lra.
Qed.

Lemma hard_clip_total : total hard_clip.
Proof. intros r _. simpl. destruct (Rlt_dec r 1); [easy | lra]. Qed.

Lemma hard_clip_bounded : bounded hard_clip.
Proof. intros r Hr _. rewrite speed_hard_clip by easy. apply Rmin_r. Qed.

Lemma hard_clip_gain_range r : 0 < gain hard_clip r <= 1.
Proof.
simpl. destruct (Rlt_dec r 1); [lra |]. apply inverse_range. lra.
Qed.

Lemma hard_clip_never_amplifies : never_amplifies hard_clip.
Proof. intros r _ _. apply hard_clip_gain_range. Qed.

Lemma hard_clip_direction_preserving : direction_preserving hard_clip.
Proof. intros r _ _. left. apply hard_clip_gain_range. Qed.

Lemma hard_clip_monotone : monotone hard_clip.
Proof.
intros a b Hab _ _. rewrite !speed_hard_clip by lra.
unfold Rmin. destruct (Rle_dec a 1), (Rle_dec b 1); lra.
Qed.

Lemma hard_clip_continuous : continuous_law hard_clip.
Proof.
intros x _ _. rewrite entry_hard_clip. reg.
Qed.

(* At the limit the slope is 1 from the left and 0 from the right. *)
Lemma hard_clip_differentiable : ~ differentiable hard_clip.
Proof.
intros H. destruct (H 1) as [slope Hs]; [lra | apply hard_clip_total; lra |].
rewrite entry_hard_clip in Hs. apply is_derive_Reals in Hs.
destruct (Hs (1 / 2)) as [[d Hd] K]; [lra |]. simpl in K.
set (h := Rmin (d / 2) (1 / 2)).
assert (Hh : 0 < h /\ h <= d / 2 /\ h <= 1 / 2).
{ repeat split; [apply Rmin_pos; lra | apply Rmin_l | apply Rmin_r]. }
assert (Right := K h ltac:(lra) ltac:(rewrite Rabs_pos_eq; lra)).
assert (Left := K (- h) ltac:(lra) ltac:(rewrite Rabs_Ropp, Rabs_pos_eq; lra)).
rewrite (Rabs_pos_eq (1 + h + 1)), (Rabs_pos_eq (1 + h - 1)), (Rabs_pos_eq (1 + 1)),
  (Rabs_pos_eq (1 - 1)) in Right by lra.
rewrite (Rabs_pos_eq (1 + - h + 1)), (Rabs_left1 (1 + - h - 1)), (Rabs_pos_eq (1 + 1)),
  (Rabs_pos_eq (1 - 1)) in Left by lra.
replace (_ - slope) with (0 - slope) in Right by (field; lra).
replace (_ - slope) with (1 - slope) in Left by (field; lra).
apply Rabs_def2 in Right. apply Rabs_def2 in Left. lra.
Qed.

Lemma hard_clip_nonexpansive : nonexpansive hard_clip.
Proof.
apply nonexpansive_ordered. intros a b Hab _ _. rewrite !speed_hard_clip by lra.
unfold Rmin. destruct (Rle_dec a 1), (Rle_dec b 1); lra.
Qed.

Lemma hard_clip_small_update_identity : small_update_identity hard_clip.
Proof.
apply never_amplifies_small; [apply hard_clip_never_amplifies |].
intros r Hr _. assert (P := pow2_ge_0 r). simpl gain. destruct (Rlt_dec r 1); [lra |].
apply Rmult_le_reg_r with r; [lra |]. rewrite Rinv_l by lra.
assert (0 <= (r - 1) ^ 2 * (r + 2)) by (apply Rmult_le_pos; [apply pow2_ge_0 | lra]). nra.
Qed.

Lemma hard_clip_weak_small_update_identity : weak_small_update_identity hard_clip.
Proof. apply small_weak, hard_clip_small_update_identity. Qed.

Lemma hard_clip_identity_near_zero : identity_near_zero hard_clip.
Proof. apply weak_near_zero, hard_clip_weak_small_update_identity. Qed.

(** * published *)

(* w = sqrt(1 - x^2) for a ratio up to 1. *)
Lemma lorentz_difference x : 0 <= x <= 1 ->
  0 <= sqrt (1 - x ^ 2) <= 1 /\ sqrt (1 - x ^ 2) ^ 2 = 1 - x ^ 2.
Proof.
intros Hx. assert (P : 0 <= x ^ 2 <= 1) by nra.
assert (E : sqrt (1 - x ^ 2) ^ 2 = 1 - x ^ 2) by (apply pow2_sqrt; lra).
assert (N := sqrt_pos (1 - x ^ 2)). split; [nra | easy].
Qed.

Lemma published_total : total published.
Proof. intros r Hr. simpl. destruct (Rlt_dec r 1); nra. Qed.

Lemma published_gain_range r : 0 <= r -> 0 <= gain published r <= 1.
Proof.
intros Hr. cbn [gain published]. destruct (Rlt_dec r 1).
- apply lorentz_difference. lra.
- apply tanh_ratio_range. lra.
Qed.

Lemma published_bounded : bounded published.
Proof.
intros r Hr _. destruct (Rlt_dec r 1).
- unfold speed. assert (G := published_gain_range r Hr). nra.
- rewrite <- entry_speed, entry_published_above by lra. left. apply tanh_lt_1.
Qed.

Lemma published_never_amplifies : never_amplifies published.
Proof. intros r Hr _. now apply published_gain_range. Qed.

Lemma published_direction_preserving : direction_preserving published.
Proof. intros r Hr _. now apply published_gain_range. Qed.

Lemma speed_published_below r : 0 <= r < 1 -> speed published r = r * sqrt (1 - r ^ 2).
Proof. intros Hr. rewrite <- entry_speed by lra. now apply entry_published_below. Qed.

(* rho(0.75) = 0.496..., rho(0.95) = 0.296... *)
Lemma published_monotone : ~ monotone published.
Proof.
intros H. assert (M := H 0.75 0.95 ltac:(lra)). rewrite !speed_published_below in M by lra.
destruct (lorentz_difference 0.75) as [P E]; [lra |].
destruct (lorentz_difference 0.95) as [Q F]; [lra |].
specialize (M (published_total 0.75 ltac:(lra)) (published_total 0.95 ltac:(lra))). nra.
Qed.

(* Just below the limit the speed is small: at r = 1 - e^2/2 it is at most e. *)
Lemma published_near_limit x e : 0 <= e -> 1 - e ^ 2 / 2 <= x < 1 -> 0 <= x ->
  0 <= entry published x <= e.
Proof.
intros He Hx Hx0. rewrite entry_published_below by lra.
destruct (lorentz_difference x) as [P E]; [lra |].
set (w := sqrt (1 - x ^ 2)) in *. assert (w ^ 2 <= e ^ 2) by nra. nra.
Qed.

(* At the limit itself it is tanh 1. *)
Lemma published_jump_at_limit : ~ continuity_pt (entry published) 1.
Proof.
intros H. destruct (H (1 / 3)) as (d & Hd & K); [lra |].
set (e := Rmin (1 / 4) d).
assert (He : 0 < e /\ e <= 1 / 4 /\ e <= d).
{ repeat split; [apply Rmin_pos; lra | apply Rmin_l | apply Rmin_r]. }
set (x := 1 - e ^ 2 / 2). assert (Hx : 1 - d < x < 1 /\ 0 <= x) by (unfold x; nra).
assert (B := published_near_limit x e ltac:(lra) ltac:(unfold x in *; lra) ltac:(lra)).
assert (C : Rabs (entry published x - entry published 1) < 1 / 3).
{ apply K. split; [split; [exact I | lra] |]. simpl. unfold R_dist. rewrite Rabs_left1; lra. }
rewrite (entry_published_above 1) in C by lra. assert (T := tanh_1_above).
apply Rabs_def2 in C. lra.
Qed.

Lemma published_continuous : ~ continuous_law published.
Proof. intros H. apply published_jump_at_limit. apply H; [lra | apply published_total; lra]. Qed.

Lemma published_differentiable : ~ differentiable published.
Proof. intros H. apply published_continuous. now apply differentiable_continuous. Qed.

(* rho(0.999) < 0.05 and rho(1.001) > 0.6. *)
Lemma published_nonexpansive : ~ nonexpansive published.
Proof.
intros H. assert (N := H 0.999 1.001 ltac:(lra) ltac:(lra)
  (published_total 0.999 ltac:(lra)) (published_total 1.001 ltac:(lra))).
rewrite speed_published_below in N by lra.
rewrite <- entry_speed, entry_published_above in N by lra.
destruct (lorentz_difference 0.999) as [P E]; [lra |].
assert (T := tanh_cubic_below 1.001 ltac:(lra)).
set (w := sqrt (1 - 0.999 ^ 2)) in *. assert (w < 0.05) by nra.
rewrite !Rabs_left1 in N by lra. lra.
Qed.

(* 1 - phi(0.5) = 0.133... > 0.125. *)
Lemma published_small_update_identity : ~ small_update_identity published.
Proof.
intros H. assert (S := H 0.5 ltac:(lra) (published_total 0.5 ltac:(lra))).
cbn [gain published] in S. destruct (Rlt_dec 0.5 1); [| lra].
destruct (lorentz_difference 0.5) as [P E]; [lra |].
apply Rabs_le_between in S. nra.
Qed.

Lemma published_weak_small_update_identity : weak_small_update_identity published.
Proof.
intros r Hr _. assert (G := published_gain_range r Hr). apply Rabs_le.
destruct (Rlt_dec r 1) as [Hlt |]; [| nra].
cbn [gain published] in *. destruct (Rlt_dec r 1); [| easy].
destruct (lorentz_difference r) as [P E]; [lra |]. nra.
Qed.

Lemma published_identity_near_zero : identity_near_zero published.
Proof. apply weak_near_zero, published_weak_small_update_identity. Qed.

(** * piecewise *)

Lemma piecewise_total : total piecewise.
Proof. intros r Hr. simpl. destruct (Rlt_dec r 1); nra. Qed.

Lemma gain_piecewise_below r : r < 1 -> gain piecewise r = / (1 - r ^ 2).
Proof. intros Hr. cbn [gain piecewise]. now destruct (Rlt_dec r 1). Qed.

Lemma speed_piecewise_below r : 0 <= r < 1 -> speed piecewise r = r * / (1 - r ^ 2).
Proof. intros Hr. rewrite <- entry_speed by lra. now apply entry_piecewise_below. Qed.

(* rho(0.9) = 4.73... *)
Lemma piecewise_bounded : ~ bounded piecewise.
Proof.
intros H. assert (B := H 0.9 ltac:(lra) (piecewise_total 0.9 ltac:(lra))).
rewrite speed_piecewise_below in B by lra. lra.
Qed.

(* phi(0.5) = 4/3. *)
Lemma piecewise_never_amplifies : ~ never_amplifies piecewise.
Proof.
intros H. assert (A := H 0.5 ltac:(lra) (piecewise_total 0.5 ltac:(lra))).
rewrite gain_piecewise_below in A by lra. lra.
Qed.

Lemma piecewise_direction_preserving : direction_preserving piecewise.
Proof.
intros r Hr _. cbn [gain piecewise]. destruct (Rlt_dec r 1).
- left. apply Rinv_0_lt_compat. nra.
- apply tanh_ratio_range. lra.
Qed.

(* rho(0.9) = 4.73..., rho(1.1) < 1. *)
Lemma piecewise_monotone : ~ monotone piecewise.
Proof.
intros H. assert (M := H 0.9 1.1 ltac:(lra)
  (piecewise_total 0.9 ltac:(lra)) (piecewise_total 1.1 ltac:(lra))).
rewrite speed_piecewise_below in M by lra.
rewrite <- entry_speed, entry_piecewise_above in M by lra.
assert (T := tanh_lt_1 1.1). lra.
Qed.

(* Just below the limit the speed is above 3/2, at the limit it is tanh 1 < 1. *)
Lemma piecewise_continuous : ~ continuous_law piecewise.
Proof.
intros H.
destruct (H 1 ltac:(lra) (piecewise_total 1 ltac:(lra)) (1 / 2)) as (d & Hd & K); [lra |].
set (h := Rmin (1 / 4) (d / 2)).
assert (Hh : 0 < h /\ h <= 1 / 4 /\ h <= d / 2).
{ repeat split; [apply Rmin_pos; lra | apply Rmin_l | apply Rmin_r]. }
assert (C : Rabs (entry piecewise (1 - h) - entry piecewise 1) < 1 / 2).
{ apply K. split; [split; [exact I | lra] |]. simpl. unfold R_dist. rewrite Rabs_left1; lra. }
rewrite entry_piecewise_below, (entry_piecewise_above 1) in C by lra.
assert (T := tanh_lt_1 1).
assert (B : 2 <= / (1 - (1 - h) ^ 2)).
{ rewrite <- (Rinv_inv 2). apply Rinv_le_contravar; nra. }
apply Rabs_def2 in C. nra.
Qed.

Lemma piecewise_differentiable : ~ differentiable piecewise.
Proof. intros H. apply piecewise_continuous. now apply differentiable_continuous. Qed.

(* rho(0.9) - rho(0.8) = 2.5... *)
Lemma piecewise_nonexpansive : ~ nonexpansive piecewise.
Proof.
intros H. assert (N := H 0.8 0.9 ltac:(lra) ltac:(lra)
  (piecewise_total 0.8 ltac:(lra)) (piecewise_total 0.9 ltac:(lra))).
rewrite !speed_piecewise_below, !Rabs_left1 in N by lra. lra.
Qed.

(* phi(0.5) - 1 = 1/3 > 1/4. *)
Lemma piecewise_weak_small_update_identity : ~ weak_small_update_identity piecewise.
Proof.
intros H. assert (W := H 0.5 ltac:(lra) (piecewise_total 0.5 ltac:(lra))).
rewrite gain_piecewise_below, Rabs_pos_eq in W by lra. lra.
Qed.

Lemma piecewise_small_update_identity : ~ small_update_identity piecewise.
Proof. intros H. apply piecewise_weak_small_update_identity. now apply small_weak. Qed.

Lemma piecewise_identity_near_zero : identity_near_zero piecewise.
Proof.
intros r Hr _. rewrite gain_piecewise_below by lra.
assert (P : 3 / 4 <= 1 - r ^ 2 <= 1) by nra.
replace (/ (1 - r ^ 2) - 1) with (r ^ 2 * / (1 - r ^ 2)) by (field; lra).
assert (I : 0 < / (1 - r ^ 2) <= 4 / 3).
{ split; [apply Rinv_0_lt_compat; lra |].
  replace (4 / 3) with (/ (3 / 4)) by field. apply Rinv_le_contravar; lra. }
rewrite Rabs_pos_eq; nra.
Qed.

(** * gamma *)

Lemma gamma_defined_below r : 0 <= r -> (defined gamma r <-> r < 1).
Proof.
intros Hr. cbn [defined gamma]. split.
- intros [P Nz]. destruct (Rlt_dec r 1) as [| Hge]; [easy |].
  assert (Z : r = 1) by nra. subst r. replace (1 - 1 ^ 2) with 0 in Nz by ring.
  now rewrite sqrt_0 in Nz.
- intros Hlt. assert (0 < 1 - r ^ 2) by nra. split; [lra |].
  apply Rgt_not_eq. now apply sqrt_lt_R0.
Qed.

(* w = sqrt(1 - x^2) is positive below the limit. *)
Lemma lorentz_difference_pos x : 0 <= x < 1 ->
  0 < sqrt (1 - x ^ 2) <= 1 /\ sqrt (1 - x ^ 2) ^ 2 = 1 - x ^ 2.
Proof.
intros Hx. destruct (lorentz_difference x) as [P E]; [lra |].
assert (0 < sqrt (1 - x ^ 2)) by (apply sqrt_lt_R0; nra). lra.
Qed.

Lemma gamma_total : ~ total gamma.
Proof. intros H. specialize (H 1 ltac:(lra)). apply gamma_defined_below in H; lra. Qed.

(* rho(0.9) = 2.06... *)
Lemma gamma_bounded : ~ bounded gamma.
Proof.
intros H. assert (B := H 0.9 ltac:(lra)). unfold speed in B. cbn [gain gamma] in B.
specialize (B ltac:(apply gamma_defined_below; lra)).
destruct (lorentz_difference_pos 0.9) as [P E]; [lra |].
set (w := sqrt (1 - 0.9 ^ 2)) in *. assert (w < 0.5) by nra.
assert (I : 2 <= / w) by (rewrite <- (Rinv_inv 2); apply Rinv_le_contravar; lra). lra.
Qed.

(* phi(0.5) = 1.154... *)
Lemma gamma_gain_half : 1.149 <= gain gamma 0.5.
Proof.
cbn [gain gamma]. destruct (lorentz_difference_pos 0.5) as [P E]; [lra |].
set (w := sqrt (1 - 0.5 ^ 2)) in *. assert (w <= / 1.149) by nra.
rewrite <- (Rinv_inv 1.149). apply Rinv_le_contravar; lra.
Qed.

Lemma gamma_never_amplifies : ~ never_amplifies gamma.
Proof.
intros H. assert (A := H 0.5 ltac:(lra) ltac:(apply gamma_defined_below; lra)).
assert (G := gamma_gain_half). lra.
Qed.

Lemma gamma_direction_preserving : direction_preserving gamma.
Proof.
intros r Hr Hd. apply gamma_defined_below in Hd; [| easy]. cbn [gain gamma].
left. apply Rinv_0_lt_compat. now apply lorentz_difference_pos.
Qed.

Lemma gamma_gain_monotone a b : 0 <= a <= b -> b < 1 -> gain gamma a <= gain gamma b.
Proof.
intros Hab Hb. cbn [gain gamma]. apply Rinv_le_contravar.
- apply lorentz_difference_pos. lra.
- apply sqrt_le_1_alt. nra.
Qed.

Lemma gamma_monotone : monotone gamma.
Proof.
intros a b Hab Da Db. apply gamma_defined_below in Db; [| lra].
assert (G := gamma_gain_monotone a b Hab Db).
assert (N := gamma_direction_preserving a (proj1 Hab) Da). unfold speed. nra.
Qed.

Lemma gamma_differentiable : differentiable gamma.
Proof.
intros x Hx Hd. apply gamma_defined_below in Hd; [| easy]. rewrite entry_gamma.
assert (W := lorentz_difference_pos x ltac:(lra)). auto_derive.
split; [nra |]. split; [| easy]. apply Rgt_not_eq, sqrt_lt_R0. nra.
Qed.

Lemma gamma_continuous : continuous_law gamma.
Proof. apply differentiable_continuous, gamma_differentiable. Qed.

(* rho(0.9) - rho(0.8) = 0.73... *)
Lemma gamma_nonexpansive : ~ nonexpansive gamma.
Proof.
intros H. assert (N := H 0.8 0.9 ltac:(lra) ltac:(lra)
  ltac:(apply gamma_defined_below; lra) ltac:(apply gamma_defined_below; lra)).
unfold speed in N. cbn [gain gamma] in N.
destruct (lorentz_difference_pos 0.8) as [P E]; [lra |].
destruct (lorentz_difference_pos 0.9) as [Q F]; [lra |].
set (v := sqrt (1 - 0.8 ^ 2)) in *. set (w := sqrt (1 - 0.9 ^ 2)) in *.
assert (V : / v <= 2).
{ rewrite <- (Rinv_inv 2). apply Rinv_le_contravar; nra. }
assert (W : 2.2 <= / w).
{ rewrite <- (Rinv_inv 2.2). apply Rinv_le_contravar; nra. }
apply Rabs_le_between in N. rewrite Rabs_left1 in N; lra.
Qed.

(* phi(0.5) - 1 = 0.154... > 0.125. *)
Lemma gamma_small_update_identity : ~ small_update_identity gamma.
Proof.
intros H. assert (S := H 0.5 ltac:(lra) ltac:(apply gamma_defined_below; lra)).
assert (G := gamma_gain_half). rewrite Rabs_pos_eq in S; lra.
Qed.

(* phi(0.9) - 1 = 1.29... > 0.81. *)
Lemma gamma_weak_small_update_identity : ~ weak_small_update_identity gamma.
Proof.
intros H. assert (S := H 0.9 ltac:(lra) ltac:(apply gamma_defined_below; lra)).
cbn [gain gamma] in S. destruct (lorentz_difference_pos 0.9) as [P E]; [lra |].
set (w := sqrt (1 - 0.9 ^ 2)) in *.
assert (I : 2 <= / w) by (rewrite <- (Rinv_inv 2); apply Rinv_le_contravar; nra).
rewrite Rabs_pos_eq in S; lra.
Qed.

(* 1/w <= 1/w^2 for w <= 1, so the law is within the bound of piecewise. *)
Lemma gamma_identity_near_zero : identity_near_zero gamma.
Proof.
intros r Hr _. assert (B := piecewise_identity_near_zero r Hr (piecewise_total r (proj1 Hr))).
rewrite gain_piecewise_below in B by lra. cbn [gain gamma].
destruct (lorentz_difference_pos r) as [P E]; [lra |]. rewrite <- E in B.
set (w := sqrt (1 - r ^ 2)) in *.
assert (I : 1 <= / w) by (rewrite <- Rinv_1; apply Rinv_le_contravar; lra).
rewrite <- pow_inv in B. apply Rabs_le_between in B.
rewrite Rabs_pos_eq by lra. nra.
Qed.

(** * The two broken laws *)

Lemma reversed_direction_preserving : ~ direction_preserving reversed.
Proof. intros H. specialize (H 1 ltac:(lra) I). simpl in H. lra. Qed.

Lemma halved_identity_near_zero : ~ identity_near_zero halved.
Proof.
intros H. specialize (H (1 / 4) ltac:(lra) I). simpl in H.
rewrite Rabs_left1 in H; lra.
Qed.
