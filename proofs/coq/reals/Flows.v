(* The flows that the optimizers follow when their steps become small, and their energies.

   Notation: F the loss along the path and G_i (or g_i) the entries of its gradient there. The path
   enters only through the chain rule F' = sum_i G_i x_i'. Relativistic flow: momenta p_i, masses
   M_i, largest speed C, x_i' = v_i. Gravity: velocities V_i, time s, memory tau, x_i' = -V_i. *)

From Coq Require Import Reals Psatz.
From Coquelicot Require Import Coquelicot.
From Subluminal Require Import Laws Claims Published Rn Gravity.
Open Scope R_scope.

(** * Definitions *)

(* v = p/(M sqrt(1 + (p/(M C))^2)). *)
Definition relativistic_velocity M C p := p / (M * sqrt (1 + (p / (M * C)) ^ 2)).

(* M C^2 (sqrt(1 + (p/(M C))^2) - 1). *)
Definition kinetic_energy M C p := M * C ^ 2 * (sqrt (1 + (p / (M * C)) ^ 2) - 1).

(* p_i' = -G_i - friction p_i, and the chain rule for F with x_i' = v_i. *)
Definition relativistic_flow n M C friction (p G : nat -> R -> R) (F : R -> R) := forall t,
  (forall i, is_derive (p i) t (- G i t - friction * p i t)) /\
  is_derive F t (sum_below n (fun i => G i t * relativistic_velocity (M i) C (p i t))).

(* E = F + sum_i M_i C^2 (sqrt(1 + (p_i/(M_i C))^2) - 1). *)
Definition relativistic_energy n M C (p : nat -> R -> R) F t :=
  F t + sum_below n (fun i => kinetic_energy (M i) C (p i t)).

(* The power sum_i p_i v_i that friction takes, per unit of friction. *)
Definition relativistic_power n M C (p : nat -> R -> R) t :=
  sum_below n (fun i => p i t * relativistic_velocity (M i) C (p i t)).

(* a(s) = 1/s + 1/tau. *)
Definition gravity_rate tau s := 1 / s + 1 / tau.

(* V_i' = a (z_i - V_i) with z the damped gradients, and the chain rule for F with x_i' = -V_i. *)
Definition gravity_flow n tau (V z g : nat -> R -> R) (F : R -> R) := forall s, 0 < s ->
  (forall i, is_derive (V i) s (gravity_rate tau s * (z i s - V i s))) /\
  is_derive F s (- sum_below n (fun i => g i s * V i s)).

(* The squared length of the velocity. *)
Definition square_speed n (V : nat -> R -> R) s := sum_below n (fun i => V i s ^ 2).

(* E = F + |V|^2/(2a). *)
Definition gravity_energy n tau (V : nat -> R -> R) F s :=
  F s + square_speed n V s * / (2 * gravity_rate tau s).

(** * Derivatives of sums *)

Lemma is_derive_sum_below n (f : nat -> R -> R) (df : nat -> R) t :
  (forall i, is_derive (f i) t (df i)) ->
  is_derive (fun y => sum_below n (fun i => f i y)) t (sum_below n df).
Proof.
intros H. induction n as [| n IH]; simpl.
- apply @is_derive_const.
- now apply @is_derive_plus.
Qed.

Lemma is_derive_nonincreasing (f f' : R -> R) a b : a <= b ->
  (forall x, a <= x <= b -> is_derive f x (f' x)) -> (forall x, a <= x <= b -> f' x <= 0) ->
  f b <= f a.
Proof.
intros Hab Hd Hneg. assert (H : - f a <= - f b); [| lra].
apply (is_derive_nondecreasing (fun x => - f x) (fun x => - f' x)); [easy | |].
- intros x Hx. apply @is_derive_opp. now apply Hd.
- intros x Hx. specialize (Hneg x Hx). lra.
Qed.

Lemma derivative_unique (f : R -> R) t a b : is_derive f t a -> is_derive f t b -> a = b.
Proof. intros A B. apply is_derive_unique in A, B. now rewrite <- A, <- B. Qed.

(** * The relativistic flow *)

Lemma relativistic_root_pos M C p : 1 <= sqrt (1 + (p / (M * C)) ^ 2).
Proof. apply lorentz_sum. Qed.

(* The velocity is what the smooth law makes of p/M under the limit C. *)
Lemma relativistic_velocity_limit M C p : 0 < M -> 0 < C ->
  relativistic_velocity M C p = limit_entry smooth_sqrt C (p / M).
Proof.
intros HM HC. unfold relativistic_velocity, limit_entry. rewrite entry_smooth_sqrt.
replace (p / M / C) with (p / (M * C)) by (field; lra).
assert (W := relativistic_root_pos M C p). field. lra.
Qed.

Theorem relativistic_velocity_below : forall M C p, 0 < M -> 0 < C ->
  Rabs (relativistic_velocity M C p) < C.
Proof.
intros M C p HM HC. rewrite relativistic_velocity_limit by easy.
unfold limit_entry. rewrite Rabs_scaled by easy.
assert (B := smooth_sqrt_entry_below_1 (p / M / C)). nra.
Qed.

Lemma relativistic_velocity_below_mutant : ~ (forall M C p, 0 < M -> 0 < C ->
  Rabs (relativistic_velocity M C p) < 99 / 100 * C).
Proof.
intros H. specialize (H 1 1 10 ltac:(lra) ltac:(lra)).
rewrite relativistic_velocity_limit, limit_entry_1 in H by lra.
replace (10 / 1) with 10 in H by field. assert (S := smooth_sqrt_at_10).
rewrite Rabs_pos_eq in H; lra.
Qed.

(* The velocity is the slope of the kinetic energy. *)
Lemma is_derive_kinetic_energy M C p : 0 < M -> 0 < C ->
  is_derive (kinetic_energy M C) p (relativistic_velocity M C p).
Proof.
intros HM HC. assert (W := relativistic_root_pos M C p).
assert (Q := pow2_ge_0 (p / (M * C))). assert (MC : 0 < M * C) by now apply Rmult_lt_0_compat.
unfold kinetic_energy, relativistic_velocity.
auto_derive; replace (p * / (M * C) * (p * / (M * C) * 1)) with ((p / (M * C)) ^ 2)
  by (simpl; unfold Rdiv; ring).
- lra.
- field. lra.
Qed.

Theorem relativistic_energy_derivative : forall n M C friction p G F,
  (forall i, 0 < M i) -> 0 < C -> relativistic_flow n M C friction p G F ->
  forall t,
  is_derive (relativistic_energy n M C p F) t (- friction * relativistic_power n M C p t).
Proof.
intros n M C friction p G F HM HC H t. destruct (H t) as [Hp HF].
set (v := fun i => relativistic_velocity (M i) C (p i t)).
replace (- friction * relativistic_power n M C p t) with
  (sum_below n (fun i => G i t * v i)
   + sum_below n (fun i => (- G i t - friction * p i t) * v i)).
- apply @is_derive_plus; [exact HF |]. apply is_derive_sum_below. intros i.
  apply (is_derive_comp (kinetic_energy (M i) C) (p i)); [| apply Hp].
  now apply is_derive_kinetic_energy.
- unfold relativistic_power. rewrite <- sum_below_plus, <- sum_below_scale.
  apply sum_below_ext. intros i. unfold v. ring.
Qed.

Lemma relativistic_velocity_1_pos : 0 < relativistic_velocity 1 1 1.
Proof.
unfold relativistic_velocity. assert (W := relativistic_root_pos 1 1 1).
apply Rdiv_lt_0_compat; lra.
Qed.

(* One particle pushed so that its momentum stays 1: the loss falls at the constant rate v. *)
Lemma relativistic_energy_derivative_mutant : ~ (forall n M C friction p G F,
  (forall i, 0 < M i) -> 0 < C -> relativistic_flow n M C friction p G F ->
  forall t, is_derive (relativistic_energy n M C p F) t
              (- (101 / 100 * friction) * relativistic_power n M C p t)).
Proof.
intros H. assert (V := relativistic_velocity_1_pos).
set (M := fun _ : nat => 1). set (p := fun (_ : nat) (_ : R) => 1).
set (G := fun (_ : nat) (_ : R) => -1). set (F := fun t => - relativistic_velocity 1 1 1 * t).
assert (HM : forall i, 0 < M i) by (intros i; unfold M; lra).
assert (Flow : relativistic_flow 1 M 1 1 p G F).
{ intros t. split.
  - intros i. unfold p, G. replace (- -1 - 1 * 1) with 0 by ring. apply @is_derive_const.
  - unfold F, p, G, M. simpl. auto_derive; [easy | ring]. }
assert (A := H _ _ _ _ _ _ _ HM Rlt_0_1 Flow 0).
assert (B := relativistic_energy_derivative _ _ _ _ _ _ _ HM Rlt_0_1 Flow 0).
assert (E := derivative_unique _ _ _ _ A B).
unfold relativistic_power, M, p in E. simpl in E. lra.
Qed.

(* Momentum and velocity have the same sign. *)
Lemma relativistic_power_nonneg n M C p t : (forall i, 0 < M i) ->
  0 <= relativistic_power n M C p t.
Proof.
intros HM. apply sum_below_nonneg. intros i. specialize (HM i).
assert (W := relativistic_root_pos (M i) C (p i t)). unfold relativistic_velocity.
replace (p i t * (p i t / (M i * sqrt (1 + (p i t / (M i * C)) ^ 2))))
  with (p i t ^ 2 * / (M i * sqrt (1 + (p i t / (M i * C)) ^ 2))) by (unfold Rdiv; ring).
apply Rmult_le_pos; [apply pow2_ge_0 |]. left. apply Rinv_0_lt_compat. nra.
Qed.

Theorem relativistic_energy_nonincreasing : forall n M C friction p G F,
  (forall i, 0 < M i) -> 0 < C -> 0 <= friction -> relativistic_flow n M C friction p G F ->
  forall a b, a <= b -> relativistic_energy n M C p F b <= relativistic_energy n M C p F a.
Proof.
intros n M C friction p G F HM HC Hf H a b Hab.
apply is_derive_nonincreasing with (fun t => - friction * relativistic_power n M C p t).
- easy.
- intros t _. now apply relativistic_energy_derivative with G.
- intros t _. assert (P := relativistic_power_nonneg n M C p t HM). nra.
Qed.

Lemma relativistic_velocity_1 p : relativistic_velocity 1 1 p = p / sqrt (1 + p ^ 2).
Proof.
unfold relativistic_velocity. replace (p / (1 * 1)) with p by field. now rewrite Rmult_1_l.
Qed.

(* With the kinetic energy of plain momentum instead: one particle without friction under the
   constant gradient -1, so that p = t and F = - sqrt(1 + t^2). *)
Lemma relativistic_energy_nonincreasing_mutant : ~ (forall n M C friction p G F,
  (forall i, 0 < M i) -> 0 < C -> 0 <= friction -> relativistic_flow n M C friction p G F ->
  forall a b, a <= b ->
    F b + sum_below n (fun i => p i b ^ 2 / (2 * M i))
    <= F a + sum_below n (fun i => p i a ^ 2 / (2 * M i))).
Proof.
intros H. set (M := fun _ : nat => 1). set (p := fun (_ : nat) (t : R) => t).
set (G := fun (_ : nat) (_ : R) => -1). set (F := fun t => - sqrt (1 + t ^ 2)).
assert (HM : forall i, 0 < M i) by (intros i; unfold M; lra).
assert (HF : forall t : R, is_derive F t (- (t / sqrt (1 + t ^ 2)))).
{ intros t. assert (P := pow2_ge_0 t). destruct (lorentz_sum t) as [W _]. unfold F.
  auto_derive; replace (1 + t * (t * 1)) with (1 + t ^ 2) by ring; [lra |]. field. lra. }
assert (Flow : relativistic_flow 1 M 1 0 p G F).
{ intros t. split.
  - intros i. unfold p, G. replace (- -1 - 0 * t) with 1 by ring. apply @is_derive_id.
  - unfold p, G, M. simpl sum_below. rewrite relativistic_velocity_1.
    replace (0 + _) with (- (t / sqrt (1 + t ^ 2))) by ring. apply HF. }
assert (B := H _ _ _ _ _ _ _ HM Rlt_0_1 (Rle_refl 0) Flow 0 2 ltac:(lra)).
unfold F, p, M in B. simpl sum_below in B.
assert (S : sqrt (1 + 2 ^ 2) <= 2.5).
{ rewrite <- (sqrt_pow2 2.5) by lra. apply sqrt_le_1_alt. lra. }
replace (1 + 0 ^ 2) with 1 in B by ring. rewrite sqrt_1 in B. lra.
Qed.

(** * Gravity's flow *)

Lemma gravity_rate_pos tau s : 0 < tau -> 0 < s -> 0 < gravity_rate tau s.
Proof.
intros Ht Hs. unfold gravity_rate. apply Rplus_lt_0_compat; apply Rdiv_lt_0_compat; lra.
Qed.

(* (1/(2a))' = tau^2/(2 (tau + s)^2). *)
Lemma is_derive_weight tau s : 0 < tau -> 0 < s ->
  is_derive (fun y => / (2 * gravity_rate tau y)) s (tau ^ 2 / (2 * (tau + s) ^ 2)).
Proof.
intros Ht Hs. assert (Ha := gravity_rate_pos tau s Ht Hs). unfold gravity_rate in *.
auto_derive.
- repeat split; lra.
- field. repeat split; lra.
Qed.

(* The energy changes by the power of the gradient, of the damping, and of the weight. *)
Lemma is_derive_gravity_energy n tau V z g F s : 0 < tau -> 0 < s ->
  gravity_flow n tau V z g F ->
  is_derive (gravity_energy n tau V F) s
    (sum_below n (fun i => - g i s * V i s + V i s * (z i s - V i s)
                           + V i s ^ 2 * (tau ^ 2 / (2 * (tau + s) ^ 2)))).
Proof.
intros Ht Hs H. destruct (H s Hs) as [HV HF]. assert (Ha := gravity_rate_pos tau s Ht Hs).
set (w := tau ^ 2 / (2 * (tau + s) ^ 2)). set (a := gravity_rate tau s) in *.
assert (HQ : is_derive (square_speed n V) s
  (sum_below n (fun i => 2 * (a * (z i s - V i s)) * V i s))).
{ apply is_derive_sum_below. intros i. specialize (HV i).
  replace (2 * (a * (z i s - V i s)) * V i s)
    with (INR 2 * (a * (z i s - V i s)) * V i s ^ Init.Nat.pred 2) by (simpl; ring).
  now apply (is_derive_pow (V i)). }
replace (sum_below n _) with (- sum_below n (fun i => g i s * V i s)
  + (sum_below n (fun i => 2 * (a * (z i s - V i s)) * V i s) * / (2 * a)
     + square_speed n V s * w)).
- apply @is_derive_plus; [exact HF |].
  apply (is_derive_mult (square_speed n V) (fun y => / (2 * gravity_rate tau y))).
  + exact HQ.
  + now apply is_derive_weight.
  + apply Rmult_comm.
- unfold square_speed. rewrite !(Rmult_comm (sum_below _ _)).
  replace (- sum_below n (fun i => g i s * V i s))
    with (-1 * sum_below n (fun i => g i s * V i s)) by ring.
  rewrite <- !sum_below_scale, <- !sum_below_plus. apply sum_below_ext. intros i. field. lra.
Qed.

Theorem gravity_energy_derivative : forall n tau V g F, 0 < tau ->
  gravity_flow n tau V g g F -> forall s, 0 < s ->
  is_derive (gravity_energy n tau V F) s
    (- square_speed n V s * (1 - tau ^ 2 / (2 * (tau + s) ^ 2))).
Proof.
intros n tau V g F Ht H s Hs. assert (D := is_derive_gravity_energy _ _ _ _ _ _ s Ht Hs H).
replace (- square_speed n V s * (1 - tau ^ 2 / (2 * (tau + s) ^ 2)))
  with (- (1 - tau ^ 2 / (2 * (tau + s) ^ 2)) * square_speed n V s) by ring.
unfold square_speed. rewrite <- sum_below_scale.
replace (sum_below n (fun i => - (1 - tau ^ 2 / (2 * (tau + s) ^ 2)) * V i s ^ 2))
  with (sum_below n (fun i => - g i s * V i s + V i s * (g i s - V i s)
                              + V i s ^ 2 * (tau ^ 2 / (2 * (tau + s) ^ 2)))); [exact D |].
apply sum_below_ext. intros i. ring.
Qed.

(* One weight under a constant gradient 1 at its final velocity 1. *)
Lemma steady_gravity_flow :
  gravity_flow 1 1 (fun _ _ => 1) (fun _ _ => 1) (fun _ _ => 1) (fun s => - s).
Proof.
intros s _. split.
- intros _. replace (gravity_rate 1 s * (1 - 1)) with 0 by ring. apply @is_derive_const.
- simpl. auto_derive; [easy | ring].
Qed.

(* Without the term that comes from the change of a. *)
Lemma gravity_energy_derivative_mutant : ~ (forall n tau V g F, 0 < tau ->
  gravity_flow n tau V g g F -> forall s, 0 < s ->
  is_derive (gravity_energy n tau V F) s (- square_speed n V s)).
Proof.
intros H. assert (A := H _ _ _ _ _ Rlt_0_1 steady_gravity_flow 1 Rlt_0_1).
assert (B := gravity_energy_derivative _ _ _ _ _ Rlt_0_1 steady_gravity_flow 1 Rlt_0_1).
assert (E := derivative_unique _ _ _ _ A B). unfold square_speed in E. simpl in E. lra.
Qed.

Theorem gravity_energy_nonincreasing : forall n tau V g F, 0 < tau ->
  gravity_flow n tau V g g F -> forall a b, 0 < a <= b ->
  gravity_energy n tau V F b <= gravity_energy n tau V F a.
Proof.
intros n tau V g F Ht H a b Hab.
apply is_derive_nonincreasing
  with (fun s => - square_speed n V s * (1 - tau ^ 2 / (2 * (tau + s) ^ 2))); [easy | |].
- intros s Hs. apply gravity_energy_derivative with g; [easy | easy | lra].
- intros s Hs.
  assert (P : 0 <= square_speed n V s)
    by (apply sum_below_nonneg; intros i; apply pow2_ge_0).
  assert (W : tau ^ 2 / (2 * (tau + s) ^ 2) <= 1); [| nra].
  assert (D : 0 < (tau + s) ^ 2) by (apply pow_lt; lra).
  apply Rmult_le_reg_r with (2 * (tau + s) ^ 2); [lra |].
  unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra.
Qed.

(* The part of the loss below that has no closed form. *)
Definition decaying_part x := exp (- x) / x.

Lemma is_derive_decaying_integral s : 0 < s ->
  is_derive (fun y => RInt decaying_part 1 y) s (decaying_part s).
Proof.
intros Hs.
assert (Cont : forall x, 0 < x -> continuous decaying_part x).
{ intros x Hx. apply (ex_derive_continuous decaying_part). unfold decaying_part.
  auto_derive. lra. }
apply (is_derive_RInt _ _ 1); [| now apply Cont].
assert (Half : 0 < s / 2) by lra. exists (mkposreal _ Half). intros y Hy.
change (Rabs (y - s) < s / 2) in Hy. apply Rabs_def2 in Hy.
apply (RInt_correct decaying_part), (ex_RInt_continuous decaying_part).
intros x Hx. apply Cont. apply Rlt_le_trans with (2 := proj1 Hx). apply Rmin_glb_lt; lra.
Qed.

(* Between exp(-2)/2 and 1. *)
Lemma decaying_part_range s : 1 <= s < 2 -> 1 / 18 <= decaying_part s <= 1.
Proof.
intros Hs. unfold decaying_part. rewrite exp_Ropp.
assert (P := exp_ineq1_le s). assert (Q : exp s < exp (1 + 1)) by (apply exp_increasing; lra).
rewrite exp_plus in Q. assert (E := exp_le_3). assert (N := exp_pos 1).
assert (L : 1 <= exp s * s <= 18) by nra.
replace (/ exp s / s) with (/ (exp s * s)) by (field; lra). split.
- replace (1 / 18) with (/ 18) by field. apply Rinv_le_contravar; lra.
- now apply inverse_range.
Qed.

(* One weight, tau = 1, g = G = 10, so that zeta = 10/10001 while the velocity is still negative:
   V = zeta - exp(-s)/s. Between s = 1 and s = 2 the energy rises. *)
Theorem gravity_damped_energy : ~ (forall n tau V g G F, 0 < tau ->
  (forall i s, Rabs (g i s) <= G s) ->
  gravity_flow n tau V (fun i s => damped (g i s) (G s)) g F ->
  forall a b, 0 < a <= b -> gravity_energy n tau V F b <= gravity_energy n tau V F a).
Proof.
intros H. set (z := damped 10 10). assert (Hz : 0.0009 < z < 0.001) by (unfold z, damped; lra).
set (V := fun (_ : nat) s => z - decaying_part s). set (g := fun (_ : nat) (_ : R) => 10).
set (F := fun s => -10 * (z * s - RInt decaying_part 1 s)).
assert (Flow : gravity_flow 1 1 V (fun i s => damped (g i s) 10) g F).
{ intros s Hs. split.
  - intros i. unfold V, g, decaying_part, gravity_rate. fold z.
    auto_derive; [lra |]. field. lra.
  - unfold F. replace (- _) with (-10 * (z * 1 - decaying_part s)) by (unfold V, g; simpl; ring).
    apply (is_derive_scal (fun s => z * s - RInt decaying_part 1 s)).
    apply @is_derive_minus; [| now apply is_derive_decaying_integral].
    apply (is_derive_scal (fun s => s)). apply @is_derive_id. }
assert (B := H 1%nat 1 V g (fun _ => 10) F Rlt_0_1
  ltac:(intros i s; unfold g; rewrite Rabs_pos_eq; lra) Flow 1 2 ltac:(lra)).
destruct (MVT_cor2 (gravity_energy 1 1 V F) _ 1 2 ltac:(lra) (fun s Hs =>
  proj1 (is_derive_Reals _ _ _)
    (is_derive_gravity_energy 1 1 V _ g F s Rlt_0_1 (Rlt_le_trans _ _ _ Rlt_0_1 (proj1 Hs)) Flow)))
  as (s & E & Hs).
cbn [sum_below] in E.
assert (Y := decaying_part_range s ltac:(lra)).
change (V O s) with (z - decaying_part s) in E. change (g O s) with 10 in E. fold z in E.
set (y := decaying_part s) in *.
set (w := 1 ^ 2 / (2 * (1 + s) ^ 2)) in *. assert (W : 0 <= w).
{ left. apply Rdiv_lt_0_compat; [lra |]. assert (0 < (1 + s) ^ 2) by (apply pow_lt; lra). lra. }
assert (P : 0 <= (z - y) ^ 2 * w) by (apply Rmult_le_pos; [apply pow2_ge_0 | easy]).
assert (Q : 0 < (y - z) * (10 - y)) by (apply Rmult_lt_0_compat; lra). lra.
Qed.

Lemma gravity_energy_nonincreasing_mutant : ~ (forall n tau V g G F, 0 < tau ->
  (forall i s, Rabs (g i s) <= G s) ->
  gravity_flow n tau V (fun i s => damped (g i s) (G s)) g F ->
  forall a b, 0 < a <= b -> gravity_energy n tau V F b <= gravity_energy n tau V F a).
Proof. exact gravity_damped_energy. Qed.
