(* What the published formulas do, and what the repaired laws do instead, for one entry u under a
   speed limit c; every statement is for all u and all c > 0.

   Notation: limit_entry l c u = c * entry l (u/c) is what the law l makes of u. *)

From Coq Require Import Reals Psatz FunctionalExtensionality.
From Coquelicot Require Import Coquelicot.
From Subluminal Require Import Laws Claims.
Open Scope R_scope.

(** * Scaling by the limit *)

Lemma limit_entry_at l c x : 0 < c -> limit_entry l c (c * x) = c * entry l x.
Proof. intros Hc. unfold limit_entry. do 2 f_equal. field. lra. Qed.

(* Every u is c x with x = u/c. *)
Lemma in_units c u : 0 < c -> u = c * (u / c).
Proof. intros Hc. field. lra. Qed.

Lemma limit_entry_1 l u : limit_entry l 1 u = entry l u.
Proof. unfold limit_entry. unfold Rdiv. now rewrite Rinv_1, Rmult_1_l, Rmult_1_r. Qed.

Lemma limit_entry_tanh_law c u : limit_entry tanh_law c u = c * tanh (u / c).
Proof. unfold limit_entry. now rewrite entry_tanh_law. Qed.

Lemma Rabs_scaled c x : 0 < c -> Rabs (c * x) = c * Rabs x.
Proof. intros Hc. rewrite Rabs_mult, (Rabs_pos_eq c); lra. Qed.

(* An entry keeps its size in units of the speed: |entry l x| = |speed l |x||. *)
Lemma Rabs_entry l x : Rabs (entry l x) = Rabs (speed l (Rabs x)).
Proof. unfold entry, speed. now rewrite !Rabs_mult, Rabs_Rabsolu. Qed.

Lemma Rabs_entry_pos l x : total l -> direction_preserving l ->
  Rabs (entry l x) = speed l (Rabs x).
Proof.
intros Ht Hd. rewrite Rabs_entry. apply Rabs_pos_eq. unfold speed.
assert (P := Rabs_pos x). apply Rmult_le_pos; [easy |]. apply Hd; [easy | now apply Ht].
Qed.

Lemma Rabs_smooth_sqrt_entry x : Rabs (entry smooth_sqrt x) = speed smooth_sqrt (Rabs x).
Proof.
apply Rabs_entry_pos; [apply smooth_sqrt_total | apply smooth_sqrt_direction_preserving].
Qed.

Lemma smooth_sqrt_entry_below_1 x : Rabs (entry smooth_sqrt x) < 1.
Proof.
rewrite Rabs_smooth_sqrt_entry. apply smooth_sqrt_speed_below_1, Rabs_pos.
Qed.

(* rho(10) = 0.995... *)
Lemma smooth_sqrt_at_10 : 0.995 < entry smooth_sqrt 10 < 1.
Proof.
rewrite entry_speed by lra. split; [| apply smooth_sqrt_speed_below_1; lra]. unfold speed.
assert (P := smooth_sqrt_gain_range 10). assert (E := smooth_sqrt_gain_square 10). nra.
Qed.


(* sqrt(1 + (3/4)^2) = 5/4. *)
Lemma smooth_sqrt_at_3_4 : entry smooth_sqrt (3 / 4) = 3 / 5.
Proof.
rewrite entry_smooth_sqrt. replace (1 + (3 / 4) ^ 2) with ((5 / 4) ^ 2) by field.
rewrite sqrt_pow2 by lra. field.
Qed.

(* sqrt(1 - (3/5)^2) = 4/5. *)
Lemma published_at_3_5 : entry published (3 / 5) = 12 / 25.
Proof.
rewrite entry_published_below by lra. replace (1 - (3 / 5) ^ 2) with ((4 / 5) ^ 2) by field.
rewrite sqrt_pow2 by lra. field.
Qed.

Lemma published_entry_range x : Rabs (entry published x) <= 1.
Proof.
rewrite Rabs_entry_pos by (apply published_total || apply published_direction_preserving).
apply published_bounded; [| apply published_total]; apply Rabs_pos.
Qed.

(** * The published law jumps at the limit *)

Theorem published_jump : forall c, 0 < c -> ~ continuity_pt (limit_entry published c) c.
Proof.
intros c Hc H. apply published_jump_at_limit.
replace (entry published) with (fun x => / c * limit_entry published c (c * x)).
- apply (continuity_pt_scal (fun x => limit_entry published c (c * x))).
  apply (continuity_pt_comp (Rmult c) (limit_entry published c)); [reg |].
  now rewrite Rmult_1_r.
- apply functional_extensionality. intros x. rewrite limit_entry_at by easy. field. lra.
Qed.

Lemma published_jump_mutant :
  ~ (forall c, 0 < c -> ~ continuity_pt (limit_entry hard_clip c) c).
Proof.
intros H. apply (H 1); [lra |].
replace (limit_entry hard_clip 1) with (entry hard_clip).
- apply hard_clip_continuous; [lra | apply hard_clip_total; lra].
- apply functional_extensionality. intros x. now rewrite limit_entry_1.
Qed.

Theorem published_left_limit : forall c, 0 < c ->
  filterlim (limit_entry published c) (at_left c) (locally 0).
Proof.
intros c Hc P [[eps Heps] HP].
set (e := Rmin (1 / 2) (eps / (2 * c))).
assert (He : 0 < e /\ e <= 1 / 2 /\ c * e <= eps / 2).
{ assert (Q : 0 < eps / (2 * c)) by (apply Rdiv_lt_0_compat; lra).
  repeat split; [apply Rmin_pos; lra | apply Rmin_l |].
  replace (eps / 2) with (c * (eps / (2 * c))) by (field; lra).
  apply Rmult_le_compat_l; [lra | apply Rmin_r]. }
assert (Hd : 0 < c * (e ^ 2 / 2)).
{ apply Rmult_lt_0_compat; [easy |]. assert (0 < e ^ 2) by (apply pow_lt; lra). lra. }
exists (mkposreal _ Hd). intros u Hu Huc. apply HP.
change (Rabs (limit_entry published c u - 0) < eps).
change (Rabs (u - c) < c * (e ^ 2 / 2)) in Hu. rewrite Rabs_left in Hu by lra.
rewrite (in_units c u Hc) in Hu, Huc |- *. rewrite limit_entry_at by easy.
set (x := u / c) in *. assert (Hx : 1 - e ^ 2 / 2 <= x < 1) by nra.
assert (B := published_near_limit x e ltac:(lra) Hx ltac:(nra)).
rewrite Rabs_pos_eq; nra.
Qed.

(* Clipping passes what is just below the limit. *)
Lemma published_left_limit_mutant : ~ (forall c, 0 < c ->
  filterlim (limit_entry hard_clip c) (at_left c) (locally 0)).
Proof.
intros H.
assert (Hnear : locally 0 (fun y => Rabs (y - 0) < 1 / 2)).
{ exists (mkposreal (1 / 2) ltac:(lra)). now intros y Hy. }
destruct (H 1 ltac:(lra) _ Hnear) as [[d Hd] K].
set (h := Rmin (1 / 4) (d / 2)).
assert (Hh : 0 < h /\ h <= 1 / 4 /\ h <= d / 2).
{ repeat split; [apply Rmin_pos; lra | apply Rmin_l | apply Rmin_r]. }
assert (B : Rabs (limit_entry hard_clip 1 (1 - h) - 0) < 1 / 2).
{ apply K; [| lra]. change (Rabs (1 - h - 1) < d). rewrite Rabs_left; lra. }
rewrite limit_entry_1, entry_speed, speed_hard_clip, Rmin_left in B by lra.
apply Rabs_def2 in B. lra.
Qed.

(** * The README's display equation *)

Lemma entry_gamma_of_smooth_sqrt x : entry gamma (entry smooth_sqrt x) = x.
Proof.
rewrite entry_gamma. assert (P := smooth_sqrt_gain_range x).
assert (E := smooth_sqrt_gain_square x).
replace (entry smooth_sqrt x) with (x * gain smooth_sqrt x) by now rewrite entry_smooth_sqrt.
set (p := gain smooth_sqrt x) in *.
replace (1 - (x * p) ^ 2) with (p ^ 2) by lra. rewrite sqrt_pow2 by lra. field. lra.
Qed.

Theorem gamma_inverts_smooth_sqrt : forall c u, 0 < c ->
  limit_entry gamma c (limit_entry smooth_sqrt c u) = u.
Proof.
intros c u Hc. unfold limit_entry at 2. rewrite limit_entry_at by easy.
rewrite entry_gamma_of_smooth_sqrt. field. lra.
Qed.

Lemma gamma_inverts_smooth_sqrt_mutant : ~ (forall c u, 0 < c ->
  limit_entry published c (limit_entry smooth_sqrt c u) = u).
Proof.
intros H. specialize (H 1 (3 / 4) ltac:(lra)).
rewrite !limit_entry_1, smooth_sqrt_at_3_4, published_at_3_5 in H. lra.
Qed.

Theorem smooth_sqrt_inverts_gamma : forall c u, 0 < c -> Rabs u < c ->
  limit_entry smooth_sqrt c (limit_entry gamma c u) = u.
Proof.
intros c u Hc Hu. unfold limit_entry at 2. rewrite limit_entry_at by easy.
rewrite (in_units c u Hc) in Hu. rewrite Rabs_scaled in Hu by easy.
rewrite (in_units c u Hc) at 2. f_equal. set (x := u / c) in *.
assert (Hx : Rabs x < 1) by nra.
destruct (lorentz_difference_pos (Rabs x)) as [P E]; [split; [apply Rabs_pos | easy] |].
rewrite pow2_abs in P, E. rewrite entry_gamma, entry_smooth_sqrt.
set (w := sqrt (1 - x ^ 2)) in *.
replace (1 + (x * / w) ^ 2) with ((/ w) ^ 2).
- rewrite sqrt_pow2; [field; lra |]. left. apply Rinv_0_lt_compat. lra.
- replace (x ^ 2) with (1 - w ^ 2) by lra. rewrite Rpow_mult_distr.
  replace (x ^ 2) with (1 - w ^ 2) by lra. field. lra.
Qed.

(* published(3/5) = 12/25, and the smooth law makes it smaller still. *)
Lemma smooth_sqrt_inverts_gamma_mutant : ~ (forall c u, 0 < c -> Rabs u < c ->
  limit_entry smooth_sqrt c (limit_entry published c u) = u).
Proof.
intros H. specialize (H 1 (3 / 5) ltac:(lra) ltac:(rewrite Rabs_pos_eq; lra)).
rewrite !limit_entry_1, published_at_3_5, entry_speed in H by lra.
assert (P := smooth_sqrt_gain_range (12 / 25)). unfold speed in H. lra.
Qed.

(* gamma, and with it the smooth law, keeps different entries apart. *)
Theorem smooth_sqrt_strictly_increasing :
  forall a b, 0 <= a < b -> speed smooth_sqrt a < speed smooth_sqrt b.
Proof.
intros a b Hab.
assert (M : speed smooth_sqrt a <= speed smooth_sqrt b).
{ apply smooth_sqrt_monotone; [lra | |]; apply smooth_sqrt_total; lra. }
destruct M as [M | E]; [easy |].
rewrite <- !entry_speed in E by lra. apply (f_equal (entry gamma)) in E.
rewrite !entry_gamma_of_smooth_sqrt in E. lra.
Qed.

Lemma smooth_sqrt_strictly_increasing_mutant :
  ~ (forall a b, 0 <= a < b -> speed hard_clip a < speed hard_clip b).
Proof. intros H. specialize (H 1 2). rewrite !speed_hard_clip, !Rmin_right in H; lra. Qed.

Theorem gamma_amplifies_strictly : forall c u, 0 < c -> 0 < Rabs u < c ->
  Rabs u < Rabs (limit_entry gamma c u).
Proof.
intros c u Hc Hu. unfold limit_entry. rewrite (in_units c u Hc) in Hu |- * at 1.
rewrite !Rabs_scaled in * by easy. set (x := u / c) in *.
assert (Hx : 0 < Rabs x < 1) by nra. apply Rmult_lt_compat_l; [easy |].
destruct (lorentz_difference_pos (Rabs x)) as [P E]; [lra |]. rewrite pow2_abs in P, E.
rewrite entry_gamma, Rabs_mult, Rabs_inv, (Rabs_pos_eq (sqrt _)) by apply sqrt_pos.
set (w := sqrt (1 - x ^ 2)) in *.
assert (Hw : w < 1) by (rewrite <- (pow2_abs x) in E; nra).
rewrite <- (Rmult_1_r (Rabs x)) at 1. apply Rmult_lt_compat_l; [easy |].
rewrite <- Rinv_1. apply Rinv_lt_contravar; lra.
Qed.

(* gamma(1/20) = 1.0012... *)
Lemma gamma_amplifies_strictly_mutant : ~ (forall c u, 0 < c -> 0 < Rabs u < c ->
  101 / 100 * Rabs u < Rabs (limit_entry gamma c u)).
Proof.
intros H. specialize (H 1 (1 / 20) ltac:(lra) ltac:(rewrite Rabs_pos_eq; lra)).
rewrite limit_entry_1, entry_gamma, Rabs_mult, Rabs_inv, (Rabs_pos_eq (1 / 20)) in H by lra.
assert (E : 199 / 200 < sqrt (1 - (1 / 20) ^ 2)).
{ rewrite <- (sqrt_pow2 (199 / 200)) by lra. apply sqrt_lt_1_alt. lra. }
rewrite Rabs_pos_eq in H by lra. apply Rinv_lt_contravar in E; [| lra].
replace (/ (199 / 200)) with (200 / 199) in E by field. lra.
Qed.

Theorem gamma_unbounded : forall c M, 0 < c ->
  exists u, Rabs u < c /\ M < limit_entry gamma c u.
Proof.
intros c M Hc. exists (limit_entry smooth_sqrt c (M + 1)). split.
- unfold limit_entry. rewrite Rabs_scaled by easy.
  assert (B := smooth_sqrt_entry_below_1 ((M + 1) / c)). nra.
- rewrite gamma_inverts_smooth_sqrt by easy. lra.
Qed.

Lemma gamma_unbounded_mutant : ~ (forall c M, 0 < c ->
  exists u, Rabs u < c /\ M < limit_entry smooth_sqrt c u).
Proof.
intros H. destruct (H 1 1 ltac:(lra)) as (u & _ & B). rewrite limit_entry_1 in B.
assert (S := smooth_sqrt_entry_below_1 u). apply Rabs_def2 in S. lra.
Qed.

(** * The README's algorithm *)

Theorem piecewise_unbounded : forall c M, 0 < c ->
  exists u, Rabs u < c /\ M < limit_entry piecewise c u.
Proof.
intros c M Hc. set (K := Rabs M / c + 1).
assert (HK : 1 <= K /\ M < c * K).
{ assert (P := Rabs_pos M). assert (Q := Rle_abs M). unfold K. split.
  - assert (0 <= Rabs M / c) by (apply Rdiv_le_0_compat; lra). lra.
  - replace (c * (Rabs M / c + 1)) with (Rabs M + c) by (field; lra). lra. }
set (h := / (2 * K + 2)).
assert (Hh : 0 < h <= 1 / 4 /\ h * (2 * K + 2) = 1).
{ unfold h. rewrite Rinv_l by lra. repeat split; [apply Rinv_0_lt_compat; lra |].
  replace (1 / 4) with (/ 4) by field. apply Rinv_le_contravar; lra. }
exists (c * (1 - h)). rewrite Rabs_scaled, limit_entry_at, Rabs_pos_eq by lra. split; [nra |].
rewrite entry_piecewise_below by lra.
assert (B : K <= (1 - h) * / (1 - (1 - h) ^ 2)); [| nra].
apply Rmult_le_reg_r with (1 - (1 - h) ^ 2); [nra |].
rewrite Rmult_assoc, Rinv_l by nra. nra.
Qed.

Lemma piecewise_unbounded_mutant : ~ (forall c M, 0 < c ->
  exists u, Rabs u < c /\ M < limit_entry published c u).
Proof.
intros H. destruct (H 1 1 ltac:(lra)) as (u & _ & B). rewrite limit_entry_1 in B.
assert (S := published_entry_range u). assert (A := Rle_abs (entry published u)). lra.
Qed.

Theorem piecewise_amplifies_strictly : forall c u, 0 < c -> 0 < Rabs u < c ->
  Rabs u < Rabs (limit_entry piecewise c u).
Proof.
intros c u Hc Hu. unfold limit_entry. rewrite (in_units c u Hc) in Hu |- * at 1.
rewrite !Rabs_scaled in * by easy. set (x := u / c) in *.
assert (Hx : 0 < Rabs x < 1) by nra. apply Rmult_lt_compat_l; [easy |].
rewrite Rabs_entry, speed_piecewise_below by lra. apply Rlt_le_trans with (2 := Rle_abs _).
rewrite <- (Rmult_1_r (Rabs x)) at 1. apply Rmult_lt_compat_l; [easy |].
rewrite <- Rinv_1. apply Rinv_lt_contravar; nra.
Qed.

(* At u = c/20 the factor is 400/399. *)
Lemma piecewise_amplifies_strictly_mutant : ~ (forall c u, 0 < c -> 0 < Rabs u < c ->
  101 / 100 * Rabs u < Rabs (limit_entry piecewise c u)).
Proof.
intros H. specialize (H 1 (1 / 20) ltac:(lra) ltac:(rewrite Rabs_pos_eq; lra)).
rewrite limit_entry_1, entry_piecewise_below, !Rabs_pos_eq in H; lra.
Qed.

(* At c = 1 and u = -2 the scalar reading returns tanh 2 > 0. *)
Theorem readme_literal_loses_sign : ~ (forall c u, 0 < c -> 0 <= u * readme_literal c u).
Proof.
intros H. specialize (H 1 (-2) ltac:(lra)). unfold readme_literal in H.
rewrite Rabs_left in H by lra. destruct (Rlt_dec (- -2) 1); [lra |].
replace (- -2 / 1) with 2 in H by field.
assert (T := tanh_increasing 1 2). assert (S := tanh_1_above). lra.
Qed.

(** * The tanh law *)

Theorem tanh_law_strictly_below : forall c u, 0 < c -> Rabs (limit_entry tanh_law c u) < c.
Proof.
intros c u Hc. rewrite limit_entry_tanh_law, Rabs_scaled by easy.
assert (T := tanh_lt_1 (u / c)). assert (A : Rabs (tanh (u / c)) < 1) by (apply Rabs_def1; lra).
nra.
Qed.

(* tanh r = rho(sinh r) with rho the speed of the smooth law, and sinh r >= r. *)
Lemma smooth_sqrt_speed_below_tanh r : 0 <= r -> speed smooth_sqrt r <= tanh r.
Proof.
intros Hr. assert (S := sinh_ge_id r Hr). replace (tanh r) with (speed smooth_sqrt (sinh r)).
- apply smooth_sqrt_monotone; [lra | |]; apply smooth_sqrt_total; lra.
- unfold speed. cbn [gain smooth_sqrt]. rewrite <- cosh_square, sqrt_pow2; [easy |].
  left. apply cosh_pos.
Qed.

Lemma tanh_at_10 : 0.995 < tanh 10.
Proof.
assert (T := smooth_sqrt_speed_below_tanh 10 ltac:(lra)). assert (S := smooth_sqrt_at_10).
rewrite entry_speed in S; lra.
Qed.

Lemma tanh_law_strictly_below_mutant :
  ~ (forall c u, 0 < c -> Rabs (limit_entry tanh_law c u) < 99 / 100 * c).
Proof.
intros H. specialize (H 1 10 ltac:(lra)). rewrite limit_entry_1, entry_tanh_law in H.
assert (T := tanh_at_10). rewrite Rabs_pos_eq in H; lra.
Qed.

(* |tanh x| = tanh |x|. *)
Lemma Rabs_tanh x : Rabs (tanh x) = tanh (Rabs x).
Proof.
unfold Rabs at 2. destruct (Rcase_abs x) as [Hx | Hx].
- assert (N := tanh_nonneg (- x)). rewrite tanh_opp in *. rewrite Rabs_left1; lra.
- apply Rabs_pos_eq, tanh_nonneg. lra.
Qed.

Lemma tanh_error x : Rabs (tanh x - x) <= Rabs x ^ 3 / 3.
Proof.
assert (Half : forall y, 0 <= y -> Rabs (tanh y - y) <= y ^ 3 / 3).
{ intros y Hy. assert (L := tanh_le_id y Hy). assert (C := tanh_cubic_below y Hy).
  rewrite Rabs_left1; lra. }
destruct (Rle_dec 0 x) as [Hx | Hx].
- rewrite (Rabs_pos_eq x) by lra. now apply Half.
- rewrite (Rabs_left x) by lra. rewrite <- Rabs_Ropp.
  replace (- (tanh x - x)) with (tanh (- x) - - x) by (rewrite tanh_opp; ring).
  apply Half. lra.
Qed.

Theorem tanh_law_cubic_error : forall c u, 0 < c ->
  Rabs (limit_entry tanh_law c u - u) <= Rabs u ^ 3 / (3 * c ^ 2).
Proof.
intros c u Hc. rewrite limit_entry_tanh_law. rewrite (in_units c u Hc) at 2 3.
rewrite <- Rmult_minus_distr_l, !Rabs_scaled by easy. set (x := u / c).
replace ((c * Rabs x) ^ 3 / (3 * c ^ 2)) with (c * (Rabs x ^ 3 / 3)) by (field; lra).
apply Rmult_le_compat_l; [lra | apply tanh_error].
Qed.

(* At c = 1 and u = 1/2 the error is above (1/2)^3/4. *)
Lemma tanh_law_cubic_error_mutant : ~ (forall c u, 0 < c ->
  Rabs (limit_entry tanh_law c u - u) <= Rabs u ^ 3 / (4 * c ^ 2)).
Proof.
intros H. specialize (H 1 (1 / 2) ltac:(lra)). rewrite limit_entry_1, entry_tanh_law in H.
assert (T := tanh_quintic_above (1 / 2)). rewrite Rabs_left1, Rabs_pos_eq in H; lra.
Qed.

(** * The order of the bounded laws *)

Lemma limit_entry_order l k c u : 0 < c -> total l -> direction_preserving l -> total k ->
  direction_preserving k -> (forall r, 0 <= r -> speed l r <= speed k r) ->
  Rabs (limit_entry l c u) <= Rabs (limit_entry k c u).
Proof.
intros Hc Tl Dl Tk Dk H. unfold limit_entry. rewrite !Rabs_scaled, !Rabs_entry_pos by easy.
apply Rmult_le_compat_l; [lra |]. apply H, Rabs_pos.
Qed.

Theorem smooth_sqrt_below_tanh_law : forall c u, 0 < c ->
  Rabs (limit_entry smooth_sqrt c u) <= Rabs (limit_entry tanh_law c u).
Proof.
intros c u Hc. apply limit_entry_order; try easy.
- apply smooth_sqrt_total.
- apply smooth_sqrt_direction_preserving.
- apply tanh_law_total.
- apply tanh_law_direction_preserving.
- intros r Hr. rewrite speed_tanh_law by easy. now apply smooth_sqrt_speed_below_tanh.
Qed.

Lemma smooth_sqrt_below_tanh_law_mutant : ~ (forall c u, 0 < c ->
  Rabs (limit_entry smooth_sqrt c u) <= 99 / 100 * Rabs (limit_entry tanh_law c u)).
Proof.
intros H. specialize (H 1 10 ltac:(lra)). rewrite !limit_entry_1, entry_tanh_law in H.
assert (S := smooth_sqrt_at_10). assert (T := tanh_lt_1 10). assert (N := tanh_at_10).
rewrite !Rabs_pos_eq in H; lra.
Qed.

Theorem tanh_law_below_hard_clip : forall c u, 0 < c ->
  Rabs (limit_entry tanh_law c u) <= Rabs (limit_entry hard_clip c u).
Proof.
intros c u Hc. apply limit_entry_order; try easy.
- apply tanh_law_total.
- apply tanh_law_direction_preserving.
- apply hard_clip_total.
- apply hard_clip_direction_preserving.
- intros r Hr. rewrite speed_tanh_law, speed_hard_clip by easy.
  apply Rmin_glb; [now apply tanh_le_id |]. left. apply tanh_lt_1.
Qed.

Lemma tanh_law_below_hard_clip_mutant : ~ (forall c u, 0 < c ->
  Rabs (limit_entry tanh_law c u) <= 99 / 100 * Rabs (limit_entry hard_clip c u)).
Proof.
intros H. specialize (H 1 10 ltac:(lra)). rewrite !limit_entry_1, entry_tanh_law in H.
assert (N := tanh_at_10). rewrite (entry_speed hard_clip), speed_hard_clip in H by lra.
rewrite Rmin_right, !Rabs_pos_eq in H; lra.
Qed.
