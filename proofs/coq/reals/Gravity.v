(* Gravity's step and its velocity.

   Notation: g is an entry of the gradient, G the largest |g| of its tensor,
   zeta = damped g G = g/(1 + (g G)^2), V the velocity, averaged with
   beta_hat(t) = (beta t + 1)/(t + 2). *)

From Coq Require Import Reals Psatz.
From Subluminal Require Import Rn.
Open Scope R_scope.

(** * Definitions *)

(* The damped gradient. *)
Definition damped g G := g / (1 + (g * G) ^ 2).

(* The weight of the old velocity at step t. *)
Definition beta_hat beta t := (beta * t + 1) / (t + 2).

(* The velocity after n steps with the damped gradients z, the first step being number t0. *)
Fixpoint velocity beta t0 (z : nat -> R) v0 n :=
  match n with
  | O => v0
  | S k => beta_hat beta (INR (t0 + k)) * velocity beta t0 z v0 k
           + (1 - beta_hat beta (INR (t0 + k))) * z k
  end.

(** * One step *)

Lemma zeta_denominator g G : 1 <= 1 + (g * G) ^ 2.
Proof. assert (P := pow2_ge_0 (g * G)). lra. Qed.

(* |zeta| in terms of |g|. *)
Lemma Rabs_zeta g G : Rabs (damped g G) = damped (Rabs g) G.
Proof.
unfold damped, Rdiv. assert (D := zeta_denominator g G).
rewrite Rabs_mult, Rabs_inv, (Rabs_pos_eq (1 + (g * G) ^ 2)) by lra.
now rewrite !Rpow_mult_distr, pow2_abs.
Qed.

(* 1/(2G) - zeta is a square. *)
Lemma zeta_gap g G : 0 < G ->
  1 / (2 * G) - damped g G = (g * G - 1) ^ 2 / (2 * G * (1 + (g * G) ^ 2)).
Proof. intros HG. assert (D := zeta_denominator g G). unfold damped. field. lra. Qed.

Theorem zeta_bound : forall g G, 0 < G -> Rabs (damped g G) <= 1 / (2 * G).
Proof.
intros g G HG. rewrite Rabs_zeta. assert (Gap := zeta_gap (Rabs g) G HG).
assert (D := zeta_denominator (Rabs g) G).
assert (0 <= (Rabs g * G - 1) ^ 2 / (2 * G * (1 + (Rabs g * G) ^ 2))); [| lra].
apply Rmult_le_pos; [apply pow2_ge_0 |]. left. apply Rinv_0_lt_compat. nra.
Qed.

Lemma zeta_bound_mutant : ~ (forall g G, 0 < G -> Rabs (damped g G) <= 99 / 100 * (1 / (2 * G))).
Proof.
intros H. specialize (H 1 1 ltac:(lra)). unfold damped in H. rewrite Rabs_pos_eq in H; lra.
Qed.

Theorem zeta_bound_attained : forall g G, 0 < G ->
  (Rabs (damped g G) = 1 / (2 * G) <-> Rabs g * G = 1).
Proof.
intros g G HG. rewrite Rabs_zeta. assert (Gap := zeta_gap (Rabs g) G HG).
assert (D := zeta_denominator (Rabs g) G). set (y := Rabs g * G) in *. split.
- intros E. rewrite E, Rminus_eq_0 in Gap.
  assert (W : 0 < 2 * G * (1 + y ^ 2)) by nra.
  assert (Z : (y - 1) ^ 2 = 0).
  { replace ((y - 1) ^ 2) with ((y - 1) ^ 2 / (2 * G * (1 + y ^ 2)) * (2 * G * (1 + y ^ 2)))
      by (field; lra). rewrite <- Gap. ring. }
  nra.
- intros E. rewrite E in Gap. replace ((1 - 1) ^ 2) with 0 in Gap by ring.
  unfold Rdiv in Gap at 2. rewrite Rmult_0_l in Gap. lra.
Qed.

(* With g G in the place of |g| G: false at g = -1, G = 1. *)
Lemma zeta_bound_attained_mutant : ~ (forall g G, 0 < G ->
  (Rabs (damped g G) = 1 / (2 * G) <-> g * G = 1)).
Proof.
intros H. destruct (H (-1) 1 ltac:(lra)) as [A _]. unfold damped in A.
rewrite Rabs_left in A by lra. lra.
Qed.

(* The published bound read with the code's m = 1/G, at one entry of g = (0.1, 0.05). *)
Theorem zeta_bound_code_reading :
  ~ (forall g G, 0 < G -> Rabs g <= G -> Rabs (damped g G) <= 1 / (2 * (1 / G))).
Proof.
intros H. specialize (H 0.1 0.1 ltac:(lra) ltac:(rewrite Rabs_pos_eq; lra)).
unfold damped in H. rewrite Rabs_pos_eq in H; lra.
Qed.

(* The published bound read with m = G also inside zeta, at one entry of g = (2, 1). *)
Theorem zeta_bound_other_reading :
  ~ (forall g G, 0 < G -> Rabs g <= G -> Rabs (g / (1 + (g / G) ^ 2)) <= 1 / (2 * G)).
Proof.
intros H. specialize (H 2 2 ltac:(lra) ltac:(rewrite Rabs_pos_eq; lra)).
rewrite Rabs_pos_eq in H; lra.
Qed.

Theorem zeta_universal : forall g G, Rabs g <= G -> 256 * damped g G ^ 4 <= 27.
Proof.
intros g G Hg. unfold damped. assert (D := zeta_denominator g G).
set (x := (g * G) ^ 2) in *. assert (Hx : 0 <= x) by lra.
assert (H4 : g ^ 4 <= x).
{ assert (P := Rabs_pos g). assert (Q := pow2_ge_0 g).
  assert (g ^ 2 <= G ^ 2) by (rewrite <- (pow2_abs g); apply pow_incr; lra).
  unfold x. rewrite Rpow_mult_distr. nra. }
unfold Rdiv. rewrite Rpow_mult_distr, pow_inv.
assert (W : 0 < (1 + x) ^ 4) by (apply pow_lt; lra).
apply Rmult_le_reg_r with ((1 + x) ^ 4); [easy |].
replace (256 * (g ^ 4 * / (1 + x) ^ 4) * (1 + x) ^ 4) with (256 * g ^ 4) by (field; lra).
assert (S : 0 <= (3 * x - 1) ^ 2 * (3 * x ^ 2 + 14 * x + 27)).
{ apply Rmult_le_pos; [apply pow2_ge_0 | nra]. }
replace ((3 * x - 1) ^ 2 * (3 * x ^ 2 + 14 * x + 27)) with (27 * (1 + x) ^ 4 - 256 * x) in S
  by ring.
lra.
Qed.

(* The largest value is near g = G = 0.76. *)
Lemma zeta_at_peak : 0.5698 < damped 0.76 0.76 < 0.57.
Proof. unfold damped. lra. Qed.

Lemma zeta_universal_mutant : ~ (forall g G, Rabs g <= G -> 256 * damped g G ^ 4 <= 26.9).
Proof.
intros H. specialize (H 0.76 0.76 ltac:(rewrite Rabs_pos_eq; lra)).
assert (P := zeta_at_peak). assert (0.5698 ^ 4 <= damped 0.76 0.76 ^ 4) by (apply pow_incr; lra).
lra.
Qed.

(* Where gradients are large, the steepest entry is damped most: zeta is a descent direction. *)
Theorem zeta_descends : forall g G, Rabs g <= G -> g ^ 2 / (1 + G ^ 4) <= damped g G * g.
Proof.
intros g G Hg. unfold damped. assert (D := zeta_denominator g G). assert (P := Rabs_pos g).
assert (Q := pow2_ge_0 g).
assert (B : (g * G) ^ 2 <= G ^ 4).
{ assert (g ^ 2 <= G ^ 2) by (rewrite <- (pow2_abs g); apply pow_incr; lra).
  assert (0 <= G ^ 2) by apply pow2_ge_0. rewrite Rpow_mult_distr. nra. }
replace (g / (1 + (g * G) ^ 2) * g) with (g ^ 2 * / (1 + (g * G) ^ 2)) by (field; lra).
apply Rmult_le_compat_l; [easy |]. apply Rinv_le_contravar; lra.
Qed.

Lemma zeta_descends_mutant :
  ~ (forall g G, Rabs g <= G -> 101 / 100 * (g ^ 2 / (1 + G ^ 4)) <= damped g G * g).
Proof.
intros H. specialize (H 1 1 ltac:(rewrite Rabs_pos_eq; lra)). unfold damped in H. lra.
Qed.

(* The same for a tensor of n entries, by way of its inner product with the gradient. *)
Theorem zeta_descends_in_n : forall n (g : nat -> R) G,
  (forall i, (i < n)%nat -> Rabs (g i) <= G) ->
  dot n g g / (1 + G ^ 4) <= dot n (fun i => damped (g i) G) g.
Proof.
intros n g G. unfold dot. induction n as [| n IH]; intros Hg; simpl sum_below; [lra |].
assert (Z := zeta_descends (g n) G (Hg n (Nat.lt_succ_diag_r n))).
specialize (IH (fun i Hi => Hg i (Nat.lt_lt_succ_r _ _ Hi))).
unfold Rdiv in *. rewrite Rmult_plus_distr_r. replace (g n ^ 2) with (g n * g n) in Z by ring. lra.
Qed.

Lemma zeta_descends_in_n_mutant : ~ (forall n (g : nat -> R) G,
  (forall i, (i < n)%nat -> Rabs (g i) <= G) ->
  101 / 100 * (dot n g g / (1 + G ^ 4)) <= dot n (fun i => damped (g i) G) g).
Proof.
intros H. apply zeta_descends_mutant. intros g G Hg.
specialize (H 1%nat (fun _ => g) G (fun _ _ => Hg)). unfold dot in H. simpl sum_below in H.
rewrite !Rplus_0_l in H. now replace (g ^ 2) with (g * g) by ring.
Qed.

(** * The velocity *)

Theorem beta_hat_range : forall beta t, 0 <= beta < 1 -> 0 <= t -> 0 < beta_hat beta t < 1.
Proof.
intros beta t Hb Ht. unfold beta_hat. assert (0 <= beta * t <= t) by nra. split.
- apply Rdiv_lt_0_compat; lra.
- apply Rmult_lt_reg_r with (t + 2); [lra |]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra.
Qed.

Lemma beta_hat_range_mutant :
  ~ (forall beta t, 0 <= beta < 1 -> 0 <= t -> 0 < beta_hat beta t < 99 / 100).
Proof.
intros H. destruct (H 0.999 10000 ltac:(lra) ltac:(lra)) as [_ B]. unfold beta_hat in B. lra.
Qed.

(* A weighted mean of two numbers in [-B, B] stays there. *)
Lemma mean_bound h v z B : 0 < h < 1 -> Rabs v <= B -> Rabs z <= B ->
  Rabs (h * v + (1 - h) * z) <= B.
Proof.
intros Hh Hv Hz. apply Rle_trans with (1 := Rabs_triang _ _).
rewrite !Rabs_mult, (Rabs_pos_eq h), (Rabs_pos_eq (1 - h)) by lra. nra.
Qed.

Theorem velocity_bound : forall beta t0 z v0 B, 0 <= beta < 1 -> (forall k, Rabs (z k) <= B) ->
  forall n, Rabs (velocity beta t0 z v0 n) <= Rmax (Rabs v0) B.
Proof.
intros beta t0 z v0 B Hb Hz n. induction n as [| n IH]; simpl velocity; [apply Rmax_l |].
apply mean_bound; [| easy |].
- apply beta_hat_range; [easy | apply pos_INR].
- apply Rle_trans with (1 := Hz n). apply Rmax_r.
Qed.

(* From 0, with beta = 0 and z = 1: V_4 = 359/360. *)
Lemma velocity_from_rest z :
  velocity 0 1 (fun _ => z) 0 4 = 359 / 360 * z.
Proof. unfold velocity, beta_hat. simpl INR. field. Qed.

Lemma velocity_bound_mutant :
  ~ (forall beta t0 z v0 B, 0 <= beta < 1 -> (forall k, Rabs (z k) <= B) ->
     forall n, Rabs (velocity beta t0 z v0 n) <= Rmax (Rabs v0) (99 / 100 * B)).
Proof.
intros H. assert (A := H 0 1%nat (fun _ => 1) 0 1 ltac:(lra)
  ltac:(intros k; cbv beta; rewrite Rabs_R1; lra) 4%nat).
rewrite velocity_from_rest, Rabs_R0, Rmax_right, Rabs_pos_eq in A; lra.
Qed.

(* A fourth power decides between numbers >= 0. *)
Lemma fourth_power_le a B : 0 <= a -> 0 <= B -> a ^ 4 <= B ^ 4 -> a <= B.
Proof.
intros Ha HB H. destruct (Rle_lt_dec a B) as [| Hlt]; [easy |].
assert (B ^ 2 < a ^ 2) by nra. assert (0 <= B ^ 2) by apply pow2_ge_0. nra.
Qed.

(* 3^(3/4)/4 = 0.56988 is the smallest such B. *)
Theorem velocity_universal_bound : forall beta t0 g G v0 B, 0 <= beta < 1 ->
  (forall k : nat, Rabs (g k) <= G k) -> 0 <= B -> 27 <= 256 * B ^ 4 ->
  forall n, Rabs (velocity beta t0 (fun k => damped (g k) (G k)) v0 n) <= Rmax (Rabs v0) B.
Proof.
intros beta t0 g G v0 B Hb Hg HB H4. apply velocity_bound; [easy |].
intros k. apply fourth_power_le; [apply Rabs_pos | easy |].
assert (U := zeta_universal (g k) (G k) (Hg k)).
replace (Rabs (damped (g k) (G k)) ^ 4) with (damped (g k) (G k) ^ 4); [lra |].
rewrite <- (Rabs_pos_eq (damped _ _ ^ 4)); [now rewrite RPow_abs |].
replace (damped (g k) (G k) ^ 4) with ((damped (g k) (G k) ^ 2) ^ 2) by ring. apply pow2_ge_0.
Qed.

(* With B = 0.5646, whose 256 B^4 is 26.01...: the velocity reaches 0.568. *)
Lemma velocity_universal_bound_mutant : ~ (forall beta t0 g G v0 B, 0 <= beta < 1 ->
  (forall k : nat, Rabs (g k) <= G k) -> 0 <= B -> 26 <= 256 * B ^ 4 ->
  forall n, Rabs (velocity beta t0 (fun k => damped (g k) (G k)) v0 n) <= Rmax (Rabs v0) B).
Proof.
intros H. assert (P := zeta_at_peak).
assert (A := H 0 1%nat (fun _ => 0.76) (fun _ => 0.76) 0 0.5646 ltac:(lra)
  ltac:(intros k; cbv beta; rewrite Rabs_pos_eq; lra) ltac:(lra) ltac:(lra) 4%nat).
cbv beta in A. rewrite velocity_from_rest, Rabs_R0, Rmax_right, Rabs_pos_eq in A; lra.
Qed.
