(* How far a step of Adam can reach, whatever the gradients are.

   Notation: g_0, g_1, ... the gradients of one entry, m_t and v_t the moments after t steps with
   weights b1 and b2, m_0 = v_0 = 0; mhat_t and vhat_t the bias-corrected moments; K the constant
   with m_t^2 <= K v_t. *)

From Coq Require Import Reals Psatz.
Open Scope R_scope.

(** * Definitions *)

(* The moving average with weight b of the first t numbers, started at 0. *)
Fixpoint moment b (g : nat -> R) t :=
  match t with O => 0 | S k => b * moment b g k + (1 - b) * g k end.

(* The second moment: the moving average of the squares. *)
Definition second_moment b g t := moment b (fun k => g k ^ 2) t.

(* The bias-corrected average. *)
Definition corrected b g t := moment b g t / (1 - b ^ t).

(* The bias-corrected second moment. *)
Definition corrected_square b g t := second_moment b g t / (1 - b ^ t).

(* K = b2 (1 - b1)^2/((1 - b2)(b2 - b1^2)). *)
Definition moment_ratio b1 b2 := b2 * (1 - b1) ^ 2 / ((1 - b2) * (b2 - b1 ^ 2)).

(* Adam's step in units of the learning rate. *)
Definition adam_step b1 b2 eps g t :=
  corrected b1 g t / (sqrt (corrected_square b2 g t) + eps).

(** * Without bias correction *)

(* The right side minus the left side of the induction is a square. *)
Lemma moment_ratio_step b1 b2 m v g : b2 < 1 -> b1 ^ 2 < b2 -> m ^ 2 <= moment_ratio b1 b2 * v ->
  (b1 * m + (1 - b1) * g) ^ 2 <= moment_ratio b1 b2 * (b2 * v + (1 - b2) * g ^ 2).
Proof.
intros H2 H3 Hm. set (K := moment_ratio b1 b2) in *.
assert (Hb : 0 < b2) by (assert (P := pow2_ge_0 b1); lra).
assert (D : K * (1 - b2) = b2 * (1 - b1) ^ 2 / (b2 - b1 ^ 2)).
{ unfold K, moment_ratio. field. lra. }
assert (Gap : b2 * m ^ 2 + K * (1 - b2) * g ^ 2 - (b1 * m + (1 - b1) * g) ^ 2
  = (m * (b2 - b1 ^ 2) - b1 * (1 - b1) * g) ^ 2 / (b2 - b1 ^ 2)).
{ rewrite D. field. lra. }
assert (0 <= (m * (b2 - b1 ^ 2) - b1 * (1 - b1) * g) ^ 2 / (b2 - b1 ^ 2)).
{ apply Rmult_le_pos; [apply pow2_ge_0 |]. left. apply Rinv_0_lt_compat. lra. }
assert (b2 * m ^ 2 <= b2 * (K * v)) by (apply Rmult_le_compat_l; lra). lra.
Qed.

Theorem adam_moments : forall b1 b2 g, b2 < 1 -> b1 ^ 2 < b2 ->
  forall t, moment b1 g t ^ 2 <= moment_ratio b1 b2 * second_moment b2 g t.
Proof.
intros b1 b2 g H2 H3 t. induction t as [| t IH].
- unfold second_moment. simpl. lra.
- now apply moment_ratio_step.
Qed.

(* At b1 = 0, b2 = 1/2 and t = 1 the bound is attained. *)
Lemma adam_moments_mutant : ~ (forall b1 b2 g, b2 < 1 -> b1 ^ 2 < b2 ->
  forall t, moment b1 g t ^ 2 <= 99 / 100 * (moment_ratio b1 b2 * second_moment b2 g t)).
Proof.
intros H. specialize (H 0 (1 / 2) (fun _ => 1) ltac:(lra) ltac:(lra) 1%nat).
unfold second_moment, moment_ratio in H. simpl in H. lra.
Qed.

(** * With bias correction *)

Lemma pow_range b t : 0 <= b < 1 -> 0 <= b ^ t <= 1.
Proof.
intros Hb. split; [apply pow_le; lra |]. rewrite <- (pow1 t). apply pow_incr. lra.
Qed.

(* The bias correction 1 - b^t does not vanish. *)
Lemma pow_below_1 b t : 0 <= b < 1 -> (1 <= t)%nat -> 0 <= b ^ t < 1.
Proof.
intros Hb Ht. destruct t as [| t]; [easy |]. simpl. assert (P := pow_range b t Hb). nra.
Qed.

(* (2 - b)^t >= 2 - b^t. *)
Lemma pow_two_minus b t : 0 <= b < 1 -> 2 - b ^ t <= (2 - b) ^ t.
Proof.
intros Hb. induction t as [| t IH]; simpl; [lra |]. assert (P := pow_range b t Hb).
assert (S : (2 - b) * (2 - b ^ t) <= (2 - b) * (2 - b) ^ t) by (apply Rmult_le_compat_l; lra).
nra.
Qed.

(* 1 - b2^t <= (1 - b1^t)^2, because b2 >= b1 (2 - b1). *)
Lemma bias_corrections b1 b2 t : 0 <= b1 < 1 -> 1 - b2 <= (1 - b1) ^ 2 ->
  1 - b2 ^ t <= (1 - b1 ^ t) ^ 2.
Proof.
intros H1 H. assert (B : (b1 * (2 - b1)) ^ t <= b2 ^ t) by (apply pow_incr; nra).
rewrite Rpow_mult_distr in B. assert (T := pow_two_minus b1 t H1).
assert (P := pow_range b1 t H1). nra.
Qed.

Lemma moment_ratio_nonneg b1 b2 : b2 < 1 -> b1 ^ 2 < b2 -> 0 <= moment_ratio b1 b2.
Proof.
intros H2 H3. assert (P := pow2_ge_0 b1). assert (Q := pow2_ge_0 (1 - b1)).
unfold moment_ratio. apply Rmult_le_pos; [nra |]. left. apply Rinv_0_lt_compat. nra.
Qed.

Lemma second_moment_nonneg b g t : 0 <= b < 1 -> 0 <= second_moment b g t.
Proof.
intros Hb. unfold second_moment. induction t as [| t IH]; cbn [moment]; [lra |].
assert (Q := pow2_ge_0 (g t)). apply Rplus_le_le_0_compat; apply Rmult_le_pos; lra.
Qed.

Theorem adam_corrected : forall b1 b2 g, 0 <= b1 < 1 -> b2 < 1 -> b1 ^ 2 < b2 ->
  1 - b2 <= (1 - b1) ^ 2 -> forall t, (1 <= t)%nat ->
  Rabs (corrected b1 g t) <= sqrt (moment_ratio b1 b2) * sqrt (corrected_square b2 g t).
Proof.
intros b1 b2 g H1 H2 H3 H t Ht.
assert (Hb2 : 0 <= b2 < 1) by (assert (P := pow2_ge_0 b1); lra).
assert (M := adam_moments b1 b2 g H2 H3 t). assert (C := bias_corrections b1 b2 t H1 H).
assert (P1 := pow_below_1 b1 t H1 Ht). assert (P2 := pow_below_1 b2 t Hb2 Ht).
assert (V := second_moment_nonneg b2 g t Hb2). assert (K := moment_ratio_nonneg b1 b2 H2 H3).
unfold corrected, corrected_square.
set (m := moment b1 g t) in *. set (v := second_moment b2 g t) in *.
set (k := moment_ratio b1 b2) in *. set (d1 := 1 - b1 ^ t) in *. set (d2 := 1 - b2 ^ t) in *.
assert (D1 : 0 < d1) by (unfold d1; lra). assert (D2 : 0 < d2) by (unfold d2; lra).
rewrite <- sqrt_mult_alt by easy. rewrite <- sqrt_Rsqr_abs. apply sqrt_le_1_alt.
replace (Rsqr (m / d1)) with (m ^ 2 / d1 ^ 2) by (unfold Rsqr; field; lra).
apply Rle_trans with (k * v / d1 ^ 2).
- apply Rmult_le_compat_r; [| easy]. left. apply Rinv_0_lt_compat. nra.
- replace (k * (v / d2)) with (k * v / d2) by (field; lra).
  apply Rmult_le_compat_l; [now apply Rmult_le_pos |]. now apply Rinv_le_contravar.
Qed.

(* At b1 = 0, b2 = 1/100 and t = 1 the bound is sqrt(100/99). *)
Lemma adam_corrected_mutant : ~ (forall b1 b2 g, 0 <= b1 < 1 -> b2 < 1 -> b1 ^ 2 < b2 ->
  1 - b2 <= (1 - b1) ^ 2 -> forall t, (1 <= t)%nat ->
  Rabs (corrected b1 g t)
  <= 99 / 100 * (sqrt (moment_ratio b1 b2) * sqrt (corrected_square b2 g t))).
Proof.
intros H. specialize (H 0 (1 / 100) (fun _ => 1) ltac:(lra) ltac:(lra) ltac:(lra) ltac:(lra)
  1%nat (le_n 1)).
replace (moment_ratio 0 (1 / 100)) with (100 / 99) in H by (unfold moment_ratio; field).
replace (corrected 0 (fun _ => 1) 1) with 1 in H by (unfold corrected; simpl; field).
replace (corrected_square (1 / 100) (fun _ => 1) 1) with 1 in H
  by (unfold corrected_square, second_moment; simpl; field).
rewrite sqrt_1, Rabs_R1 in H.
assert (S := sqrt_pos (100 / 99)). assert (E : sqrt (100 / 99) ^ 2 = 100 / 99).
{ apply pow2_sqrt. lra. }
nra.
Qed.

(** * The default weights *)

(* K = 52.857..., whose root is 7.27029... *)
Lemma moment_ratio_default : moment_ratio 0.9 0.999 = 370 / 7.
Proof. unfold moment_ratio. lra. Qed.

Theorem adam_default_step : forall g t eps, (1 <= t)%nat -> 0 < eps ->
  Rabs (adam_step 0.9 0.999 eps g t) <= 7.2703.
Proof.
intros g t eps Ht Heps.
assert (B := adam_corrected 0.9 0.999 g ltac:(lra) ltac:(lra) ltac:(lra) ltac:(lra) t Ht).
rewrite moment_ratio_default in B. unfold adam_step.
assert (S : sqrt (370 / 7) <= 7.2703).
{ rewrite <- (sqrt_pow2 7.2703) by lra. apply sqrt_le_1_alt. lra. }
assert (N := sqrt_pos (corrected_square 0.999 g t)).
set (w := sqrt (corrected_square 0.999 g t)) in *.
unfold Rdiv. rewrite Rabs_mult, Rabs_inv, (Rabs_pos_eq (w + eps)) by lra.
apply Rmult_le_reg_r with (w + eps); [lra |]. rewrite Rmult_assoc, Rinv_l by lra. nra.
Qed.

(* The moving average of a geometric sequence. *)
Lemma moment_geometric b a t : moment b (fun k => a ^ k) t * (a - b) = (1 - b) * (a ^ t - b ^ t).
Proof.
induction t as [| t IH]; cbn [moment pow]; [ring |].
rewrite Rmult_plus_distr_r, Rmult_assoc, IH. ring.
Qed.

Lemma second_moment_geometric b a t :
  second_moment b (fun k => a ^ k) t * (a ^ 2 - b) = (1 - b) * ((a ^ t) ^ 2 - b ^ t).
Proof.
rewrite <- pow_mult, Nat.mul_comm, pow_mult, <- moment_geometric. f_equal.
unfold second_moment. induction t as [| t IH]; cbn [moment]; [easy |].
now rewrite IH, <- pow_mult, Nat.mul_comm, pow_mult.
Qed.

(* Gradients that grow by 11 % a step, for long enough, come as near to the bound as one likes. *)
Lemma adam_default_step_mutant : ~ (forall g t eps, (1 <= t)%nat -> 0 < eps ->
  Rabs (adam_step 0.9 0.999 eps g t) <= 7.27).
Proof.
intros H.
destruct (pow_lt_1_zero 0.999 ltac:(rewrite Rabs_pos_eq; lra) 0.00001 ltac:(lra)) as [N HN].
set (t := S N). assert (Small := HN t ltac:(unfold t; auto with arith)).
set (x := 1.11 ^ t). assert (X : 1 <= x) by (apply pow_R1_Rle; lra).
assert (M := moment_geometric 0.9 1.11 t). assert (V := second_moment_geometric 0.999 1.11 t).
specialize (H (fun k => 1.11 ^ k) t (x / 10000000) ltac:(unfold t; auto with arith) ltac:(lra)).
assert (P1 := pow_below_1 0.9 t ltac:(lra) ltac:(unfold t; auto with arith)).
assert (P2 : 0.9 ^ t <= 0.999 ^ t) by (apply pow_incr; lra).
rewrite Rabs_pos_eq in Small by lra.
unfold adam_step, corrected, corrected_square in H. fold x in M, V.
set (m := moment 0.9 _ t) in *. set (v := second_moment 0.999 _ t) in *.
set (p := 0.9 ^ t) in *. set (q := 0.999 ^ t) in *.
assert (Mhat : 0.47618 * x <= m / (1 - p)).
{ apply Rle_trans with m; [lra |]. apply Rmult_le_reg_r with (1 - p); [lra |].
  unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra. }
assert (Vhat : sqrt (v / (1 - q)) <= 0.0654985 * x).
{ rewrite <- (sqrt_pow2 (0.0654985 * x)) by lra. apply sqrt_le_1_alt.
  apply Rmult_le_reg_r with (1 - q); [lra |].
  unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra. }
assert (W := sqrt_pos (v / (1 - q))). set (w := sqrt (v / (1 - q))) in *.
rewrite Rabs_pos_eq in H.
- apply (Rmult_le_compat_r (w + x / 10000000)) in H; [| lra].
  unfold Rdiv at 1 in H. rewrite Rmult_assoc, Rinv_l in H by lra. lra.
- apply Rmult_le_pos; [lra |]. left. apply Rinv_0_lt_compat. lra.
Qed.
