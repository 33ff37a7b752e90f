(* A block of n entries as applied: every entry times the gain K of its block, rounded to nearest.
   fl is [nearest] of Kernels.v: any precision, any smallest number eta, any rule for ties; u is
   half an ulp of 1, w the proposed update, c the speed limit, N the norm that the gain is computed
   from.  The gain is computed in a format of its own, wide enough not to underflow. *)
From Coq Require Import ZArith Reals List Psatz.
From Flocq Require Import Core Relative.
From Subluminal Require Import Kernels Averages Sums.
Open Scope R_scope.

(* ---- Norms of lists ---- *)
Lemma norm_nonnegative l : 0 <= euclidean l.
Proof. apply sqrt_pos. Qed.

Lemma square_of_norm l : euclidean l * euclidean l = squares l.
Proof. apply sqrt_sqrt, squares_nonnegative. Qed.

Lemma norm_cons x l : euclidean (x :: l) = sqrt (x * x + euclidean l * euclidean l).
Proof. now rewrite square_of_norm. Qed.

Lemma sqrt_of_square_le a b : 0 <= b -> a <= b * b -> sqrt a <= b.
Proof. intros B H. rewrite <- (sqrt_square b) by exact B. now apply sqrt_le_1_alt. Qed.

(* The triangle inequality in the plane. *)
Lemma triangle_in_the_plane a p b q :
  sqrt ((a + b) * (a + b) + (p + q) * (p + q)) <= sqrt (a * a + p * p) + sqrt (b * b + q * q).
Proof.
  set (s := sqrt (a * a + p * p)). set (t := sqrt (b * b + q * q)).
  assert (S0 : 0 <= s) by apply sqrt_pos. assert (T0 : 0 <= t) by apply sqrt_pos.
  assert (S2 : s * s = a * a + p * p) by (apply sqrt_sqrt; nra).
  assert (T2 : t * t = b * b + q * q) by (apply sqrt_sqrt; nra).
  assert (C : a * b + p * q <= s * t).
  { unfold s, t. rewrite <- sqrt_mult_alt by nra.
    apply Rle_trans with (1 := Rle_abs _). rewrite <- sqrt_Rsqr_abs.
    apply sqrt_le_1_alt. unfold Rsqr.
    assert (D : 0 <= (a * q - b * p) * (a * q - b * p)) by apply Rle_0_sqr. lra. }
  apply sqrt_of_square_le; lra.
Qed.

(* ---- One block ---- *)
Section Block.
Variables emin prec : Z.
Hypothesis Hp : (0 < prec)%Z.
Variable choice : Z -> bool.
Local Notation fl := (nearest emin prec choice).
Local Notation u := (half_ulp prec).

Lemma rounded_entry x : Rabs (fl x) <= (1 + u) * Rabs x + eta emin / 2.
Proof.
  destruct (nearest_error emin prec Hp choice x) as (e & h & He & Hh & _ & ->).
  destruct (relative_error_bounds prec e He) as (B1 & _ & B3).
  apply Rle_trans with (1 := Rabs_triang _ _). rewrite Rabs_mult.
  apply Rplus_le_compat; trivial. rewrite Rmult_comm.
  apply Rmult_le_compat_r; [apply Rabs_pos|].
  apply Rle_trans with (1 := Rabs_triang _ _). rewrite Rabs_R1. lra.
Qed.

Lemma scaled_norm K w : 0 <= K ->
  euclidean (scaled fl K w) <= (1 + u) * (K * euclidean w) + sqrt (count w) * (eta emin / 2).
Proof.
  intros K0. assert (U := half_ulp_positive prec). assert (N := eta_positive emin).
  induction w as [|x w IH].
  - unfold euclidean, count. simpl. rewrite sqrt_0. lra.
  - unfold scaled. simpl map. fold (scaled fl K w). rewrite !norm_cons.
    set (k := (1 + u) * K). set (h := eta emin / 2).
    assert (E : Rabs (fl (K * x)) <= k * Rabs x + h).
    { apply Rle_trans with (1 := rounded_entry _).
      rewrite Rabs_mult, (Rabs_pos_eq K) by exact K0. unfold k, h. lra. }
    assert (W := norm_nonnegative w). assert (S := norm_nonnegative (scaled fl K w)).
    assert (C := sqrt_pos (count w)). assert (A := Rabs_pos (fl (K * x))).
    assert (X := Rabs_pos x). assert (K1 : 0 <= k) by (unfold k; nra).
    apply Rle_trans with (sqrt ((k * Rabs x + h) * (k * Rabs x + h) +
      (k * euclidean w + sqrt (count w) * h) * (k * euclidean w + sqrt (count w) * h))).
    { apply sqrt_le_1_alt. apply Rplus_le_compat.
      - rewrite <- (Rabs_pos_eq (fl (K * x) * fl (K * x))) by apply Rle_0_sqr.
        rewrite Rabs_mult. apply Rmult_le_compat; trivial.
      - apply Rmult_le_compat; trivial; unfold k, h; lra. }
    apply Rle_trans with (1 := triangle_in_the_plane _ _ _ _). apply Rplus_le_compat; apply Req_le.
    + replace (k * Rabs x * (k * Rabs x) + k * euclidean w * (k * euclidean w))
        with (k * k * (x * x + euclidean w * euclidean w))
        by (rewrite <- (Rabs_pos_eq (x * x)), Rabs_mult by apply Rle_0_sqr; ring).
      rewrite sqrt_mult_alt, sqrt_square by nra. unfold k. ring.
    + replace (h * h + sqrt (count w) * h * (sqrt (count w) * h))
        with ((sqrt (count w) * sqrt (count w) + 1) * (h * h)) by ring.
      rewrite sqrt_sqrt by apply count_nonnegative.
      replace (count w + 1) with (count (x :: w)) by (unfold count; simpl length; apply S_INR).
      rewrite sqrt_mult_alt, sqrt_square by (try apply count_nonnegative; unfold h; lra). ring.
Qed.
End Block.

(* ---- The gain ---- *)
Section Gain.
Variable prec : Z.
Hypothesis Hp : (0 < prec)%Z.
Variable choice : Z -> bool.
Local Notation fl := (nearest_unbounded prec choice).
Local Notation u := (half_ulp prec).

Local Instance gain_precision_is_positive : Prec_gt_0 prec := Hp.

Lemma unbounded_monotone x y : x <= y -> fl x <= fl y.
Proof. apply round_le; auto with typeclass_instances. Qed.

Lemma unbounded_one : fl 1 = 1.
Proof.
  apply round_generic; auto with typeclass_instances.
  change 1 with (bpow radix2 0). apply generic_format_bpow. unfold FLX_exp. lia.
Qed.

Lemma unbounded_nonnegative x : 0 <= x -> 0 <= fl x.
Proof.
  intros H. apply unbounded_monotone in H.
  unfold nearest_unbounded in H at 1. now rewrite round_0 in H by auto with typeclass_instances.
Qed.

Lemma unbounded_at_least_one x : 1 <= x -> 1 <= fl x.
Proof. intros H. apply unbounded_monotone in H. now rewrite unbounded_one in H. Qed.

Lemma unbounded_at_most_one x : x <= 1 -> fl x <= 1.
Proof. intros H. apply unbounded_monotone in H. now rewrite unbounded_one in H. Qed.

Lemma unbounded_error x : 0 <= x -> fl x <= (1 + u) * x /\ x <= (1 + u) * fl x.
Proof.
  intros X. destruct (relative_error_N_FLX'_ex radix2 prec Hp choice x) as (e & He & E).
  rewrite <- half_ulp_is_u_ro in He.
  destruct (relative_error_bounds prec e He) as (B1 & B2 & _).
  unfold nearest_unbounded. rewrite E. split; nra.
Qed.

Lemma rounded_root_at_least_one q : 1 <= rounded_root fl q.
Proof.
  assert (Q : 0 <= fl (q * q)) by apply unbounded_nonnegative, Rle_0_sqr.
  apply unbounded_at_least_one. rewrite <- sqrt_1 at 1. apply sqrt_le_1_alt.
  apply unbounded_at_least_one. lra.
Qed.

Lemma inverse_at_most_one d : 1 <= d -> 0 <= fl (1 / d) <= 1.
Proof.
  intros D. split.
  - apply unbounded_nonnegative, Rlt_le, Rdiv_lt_0_compat; lra.
  - apply unbounded_at_most_one, Rmult_le_reg_r with d; [lra|]. field_simplify; lra.
Qed.

Lemma gain_bounds N c : 0 < N -> 0 < c ->
  0 <= gain fl N c /\ gain fl N c * N <= (1 + u) ^ 2 * c.
Proof.
  intros N0 C0. assert (U := half_ulp_positive prec). unfold gain.
  set (r := fl (N / c)).
  assert (Q : 0 < N / c) by now apply Rdiv_lt_0_compat.
  destruct (unbounded_error (N / c) (Rlt_le _ _ Q)) as (_ & R). fold r in R.
  assert (E : N = N / c * c) by (field; lra).
  assert (R1 : N <= (1 + u) * r * c) by (rewrite E; apply Rmult_le_compat_r; lra).
  assert (R0 : 0 < r) by nra.
  destruct (Rlt_bool_spec r 1) as [L|L].
  - destruct (inverse_at_most_one _ (rounded_root_at_least_one r)) as (K0 & K1).
    split; trivial. set (K := fl (1 / rounded_root fl r)) in *.
    assert (N1 : N <= (1 + u) * c).
    { apply Rle_trans with (1 := R1). apply Rmult_le_compat_r; nra. }
    assert (M : K * N <= 1 * ((1 + u) * c)) by (apply Rmult_le_compat; lra).
    assert (W : (1 + u) * c <= (1 + u) * ((1 + u) * c)) by nra. simpl pow. lra.
  - destruct (inverse_at_most_one _ (rounded_root_at_least_one (fl (1 / r)))) as (K0 & K1).
    set (speed := fl (1 / rounded_root fl (fl (1 / r)))) in *.
    assert (P : 0 <= speed / r) by (apply Rmult_le_pos; [lra | apply Rlt_le, Rinv_0_lt_compat, R0]).
    destruct (unbounded_error (speed / r) P) as (B & _). split.
    + now apply unbounded_nonnegative.
    + assert (V : speed / r * r <= 1) by (replace (speed / r * r) with speed by (field; lra); lra).
      apply Rle_trans with ((1 + u) * (speed / r) * ((1 + u) * r * c)).
      * apply Rmult_le_compat; trivial; try lra. now apply unbounded_nonnegative.
      * replace (_ * _) with ((1 + u) ^ 2 * c * (speed / r * r)) by ring.
        rewrite <- (Rmult_1_r ((1 + u) ^ 2 * c)) at 2.
        apply Rmult_le_compat_l; trivial. apply Rmult_le_pos; [apply pow_le|]; lra.
Qed.
End Gain.

(* ---- Theorems ---- *)

(* The norm of the applied block, in terms of the gain and of the proposed block's norm. *)
Theorem block_norm :
  forall (emin prec : Z) (choice : Z -> bool) (K : R) (w : list R), (0 < prec)%Z -> 0 <= K ->
  euclidean (scaled (nearest emin prec choice) K w) <=
    (1 + half_ulp prec) * (K * euclidean w) + sqrt (count w) * (eta emin / 2).
Proof. intros. now apply scaled_norm. Qed.

(* Below the normal numbers the relative error alone is too little: 3/4 of eta becomes eta. *)
Lemma block_norm_mutant :
  ~ (forall (emin prec : Z) (choice : Z -> bool) (K : R) (w : list R), (0 < prec)%Z -> 0 <= K ->
  euclidean (scaled (nearest emin prec choice) K w) <= (1 + half_ulp prec) * (K * euclidean w)).
Proof.
  intros H. specialize (H (-10)%Z 2%Z (fun _ => true) 1 (3 / 4096 :: nil) eq_refl Rle_0_1).
  revert H. unfold euclidean, half_ulp. simpl.
  rewrite (nearest_value _ _ _ (1 * (3 / 4096)) (-10) 1) by (simpl; try apply Rabs_def1; lra).
  rewrite !Rplus_0_r, !sqrt_square by (simpl; lra). simpl. lra.
Qed.

(* A block whose gain keeps its exact multiple within c(1+d) stays within that but for rounding. *)
Theorem block_limit :
  forall (emin prec : Z) (choice : Z -> bool) (K c d : R) (w : list R), (0 < prec)%Z -> 0 <= K ->
  K * euclidean w <= c * (1 + d) ->
  euclidean (scaled (nearest emin prec choice) K w) <=
    c * (1 + d) * (1 + half_ulp prec) + sqrt (count w) * (eta emin / 2).
Proof.
  intros emin prec choice K c d w Hp K0 H. assert (U := half_ulp_positive prec).
  apply Rle_trans with (1 := scaled_norm emin prec Hp choice K w K0). nra.
Qed.

(* The same numbers with c = 3/4096, where the limit is exceeded by more than the relative error. *)
Lemma block_limit_mutant :
  ~ (forall (emin prec : Z) (choice : Z -> bool) (K c d : R) (w : list R), (0 < prec)%Z ->
  0 <= K -> K * euclidean w <= c * (1 + d) ->
  euclidean (scaled (nearest emin prec choice) K w) <= c * (1 + d) * (1 + half_ulp prec)).
Proof.
  intros H. apply block_norm_mutant. intros emin prec choice K w Hp K0.
  apply Rle_trans with (K * euclidean w * (1 + 0) * (1 + half_ulp prec)); [|lra].
  apply H; trivial. lra.
Qed.

(* The gain of a norm N that is known up to a factor 1+k, for any bounded law rho, computed with
   the relative error e. *)
Theorem gain_limits_any_law :
  forall (rho : R -> R) (true_norm N c k e e0 : R), 0 < c -> 0 <= k -> 0 <= e0 ->
  (forall r, 0 <= r -> 0 <= rho r <= 1) ->
  0 < true_norm <= N * (1 + k) -> Rabs e <= e0 ->
  rho (N / c) * c / N * (1 + e) * true_norm <= c * (1 + k) * (1 + e0).
Proof.
  intros rho t N c k e e0 C0 K0 E0 Hrho (T0 & T1) He. apply Rabs_le_inv in He.
  assert (N0 : 0 < N) by nra.
  destruct (Hrho (N / c)) as (R0 & R1); [apply Rlt_le; now apply Rdiv_lt_0_compat|].
  assert (X : 0 <= rho (N / c) * c / N).
  { apply Rmult_le_pos; [nra | now apply Rlt_le, Rinv_0_lt_compat]. }
  apply Rle_trans with (rho (N / c) * c / N * (1 + e0) * (N * (1 + k))).
  - apply Rle_trans with (rho (N / c) * c / N * (1 + e0) * t).
    + apply Rmult_le_compat_r; [lra|]. apply Rmult_le_compat_l; lra.
    + apply Rmult_le_compat_l; [|lra]. apply Rmult_le_pos; lra.
  - replace (_ * (N * (1 + k))) with (rho (N / c) * (c * (1 + k) * (1 + e0))) by (field; lra).
    rewrite <- (Rmult_1_l (c * (1 + k) * (1 + e0))) at 2. apply Rmult_le_compat_r; trivial.
    apply Rmult_le_pos; [apply Rmult_le_pos|]; lra.
Qed.

(* Broken: a law that reaches twice the limit. *)
Lemma gain_limits_any_law_mutant :
  ~ (forall (rho : R -> R) (true_norm N c k e e0 : R), 0 < c -> 0 <= k -> 0 <= e0 ->
  (forall r, 0 <= r -> 0 <= rho r <= 2) ->
  0 < true_norm <= N * (1 + k) -> Rabs e <= e0 ->
  rho (N / c) * c / N * (1 + e) * true_norm <= c * (1 + k) * (1 + e0)).
Proof.
  intros H. assert (L : 2 * 1 / 1 * (1 + 0) * 1 <= 1 * (1 + 0) * (1 + 0)); [|lra].
  apply (H (fun _ => 2) 1 1 1 0 0 0); try lra; [intros; lra | rewrite Rabs_R0; lra].
Qed.

(* The gain of smooth_sqrt as computed exceeds the limit by two roundings at most. *)
Theorem computed_gain_limits :
  forall (prec : Z) (choice : Z -> bool) (N c : R), (0 < prec)%Z -> 0 < N -> 0 < c ->
  gain (nearest_unbounded prec choice) N c * N <= (1 + half_ulp prec) ^ 2 * c.
Proof. intros. now apply gain_bounds. Qed.

(* A number with few digits is in the format. *)
Lemma unbounded_of_few_digits prec choice digits e : (0 < prec)%Z -> (Z.abs digits < 2 ^ prec)%Z ->
  nearest_unbounded prec choice (IZR digits * bpow radix2 e) = IZR digits * bpow radix2 e.
Proof.
  intros Hp H. apply round_generic; auto with typeclass_instances.
  apply generic_format_FLX. now exists (Float radix2 digits e).
Qed.

(* Broken: twice the gain, at N = c = 1. *)
Lemma computed_gain_limits_mutant :
  ~ (forall (prec : Z) (choice : Z -> bool) (N c : R), (0 < prec)%Z -> 0 < N -> 0 < c ->
  2 * gain (nearest_unbounded prec choice) N c * N <= (1 + half_ulp prec) ^ 2 * c).
Proof.
  intros H. specialize (H 8%Z (fun _ => true) 1 1 eq_refl Rlt_0_1 Rlt_0_1).
  revert H. set (fl := nearest_unbounded 8 (fun _ => true)).
  assert (M : forall x y, x <= y -> fl x <= fl y) by now apply unbounded_monotone.
  assert (E1 : fl 1 = 1) by now apply unbounded_one.
  assert (E2 : fl 2 = 2).
  { replace 2 with (IZR 2 * bpow radix2 0) by (simpl; lra). now apply unbounded_of_few_digits. }
  assert (E3 : fl (3 / 2) = 3 / 2).
  { replace (3 / 2) with (IZR 3 * bpow radix2 (-1)) by (simpl; lra).
    now apply unbounded_of_few_digits. }
  assert (E5 : fl (5 / 8) = 5 / 8).
  { replace (5 / 8) with (IZR 5 * bpow radix2 (-3)) by (simpl; lra).
    now apply unbounded_of_few_digits. }
  assert (V : gain fl 1 1 = fl (fl (1 / fl (sqrt 2)) / 1)).
  { unfold gain, rounded_root. cbv zeta. replace (1 / 1) with 1 by lra. rewrite E1.
    rewrite Rlt_bool_false by lra. replace (1 / 1) with 1 by lra.
    rewrite E1. replace (1 * 1) with 1 by lra. rewrite E1. replace (1 + 1) with 2 by lra.
    now rewrite E2. }
  rewrite V.
  assert (R : 1 <= fl (sqrt 2) <= 3 / 2).
  { split.
    - rewrite <- E1. apply M. rewrite <- sqrt_1. apply sqrt_le_1_alt. lra.
    - rewrite <- E3. apply M. apply sqrt_of_square_le; lra. }
  assert (S : 5 / 8 <= fl (1 / fl (sqrt 2))).
  { rewrite <- E5. apply M. apply Rmult_le_reg_r with (fl (sqrt 2)); [lra|].
    replace (1 / fl (sqrt 2) * fl (sqrt 2)) with 1 by (field; lra). lra. }
  set (speed := fl (1 / fl (sqrt 2))) in *. replace (speed / 1) with speed by lra.
  assert (T : 5 / 8 <= fl speed) by (rewrite <- E5; now apply M).
  unfold half_ulp. simpl. lra.
Qed.

(* A block under smooth_sqrt from end to end: the gain of a norm N that is right up to a factor
   kappa, computed with half an ulp, is rounded to the update's format and multiplied in. *)
Theorem block_within_limit :
  forall (emin prec gain_prec : Z) (choice gain_choice : Z -> bool) (kappa N c : R) (w : list R),
  (0 < prec)%Z -> (0 < gain_prec)%Z -> 0 < N -> 0 < c -> euclidean w <= kappa * N ->
  let fl := nearest emin prec choice in
  let K := fl (gain (nearest_unbounded gain_prec gain_choice) N c) in
  euclidean (scaled fl K w) <=
    kappa * (1 + half_ulp gain_prec) ^ 2 * (1 + half_ulp prec) ^ 2 * c +
    ((1 + half_ulp prec) * euclidean w + sqrt (count w)) * (eta emin / 2).
Proof.
  intros emin prec gain_prec choice gain_choice kappa N c w Hp Hp' N0 C0 H. cbv zeta.
  set (fl := nearest emin prec choice). set (G := gain _ N c).
  destruct (gain_bounds gain_prec Hp' gain_choice N c N0 C0) as (G0 & G1). fold G in G0, G1.
  assert (U := half_ulp_positive prec). assert (W := norm_nonnegative w).
  assert (K0 : 0 <= fl G) by now apply nearest_nonnegative.
  apply Rle_trans with (1 := scaled_norm emin prec Hp choice (fl G) w K0).
  assert (K1 := rounded_entry emin prec Hp choice G). fold fl in K1.
  rewrite !Rabs_pos_eq in K1 by assumption.
  set (u := half_ulp prec) in *. set (h := eta emin / 2) in *.
  assert (A : G * euclidean w <= kappa * ((1 + half_ulp gain_prec) ^ 2 * c)).
  { apply Rle_trans with (G * (kappa * N)); [now apply Rmult_le_compat_l|].
    replace (G * (kappa * N)) with (kappa * (G * N)) by ring.
    apply Rmult_le_compat_l; trivial. nra. }
  assert (B : fl G * euclidean w <= ((1 + u) * G + h) * euclidean w) by now apply Rmult_le_compat_r.
  assert (C : (1 + u) * (fl G * euclidean w) <=
    (1 + u) * ((1 + u) * (kappa * ((1 + half_ulp gain_prec) ^ 2 * c)) + h * euclidean w)).
  { apply Rmult_le_compat_l; [lra|]. apply Rle_trans with (1 := B). nra. }
  set (S := sqrt (count w) * h) in *. set (V := (1 + half_ulp gain_prec) ^ 2) in *.
  replace (_ + _ * h) with
    ((1 + u) * ((1 + u) * (kappa * (V * c)) + h * euclidean w) + S) by (unfold S; ring).
  lra.
Qed.

(* Broken: no limit at all, a gain of 1. *)
Lemma block_within_limit_mutant :
  ~ (forall (emin prec gain_prec : Z) (choice : Z -> bool) (kappa N c : R) (w : list R),
  (0 < prec)%Z -> (0 < gain_prec)%Z -> 0 < N -> 0 < c -> euclidean w <= kappa * N ->
  let fl := nearest emin prec choice in
  let K := fl 1 in
  euclidean (scaled fl K w) <=
    kappa * (1 + half_ulp gain_prec) ^ 2 * (1 + half_ulp prec) ^ 2 * c +
    ((1 + half_ulp prec) * euclidean w + sqrt (count w)) * (eta emin / 2)).
Proof.
  intros H.
  assert (E : euclidean (16 :: nil) = 16).
  { unfold euclidean. simpl. rewrite Rplus_0_r. apply sqrt_square. lra. }
  assert (W : euclidean (16 :: nil) <= 1 * 16) by lra.
  assert (N0 : 0 < 16) by lra.
  specialize (H (-10)%Z 2%Z 2%Z (fun _ => true) 1 16 1 _ eq_refl eq_refl N0 Rlt_0_1 W).
  revert H. cbv zeta. unfold scaled. simpl map.
  rewrite (nearest_value _ _ _ 1 1 2) by (simpl; try apply Rabs_def1; lra).
  replace (IZR 2 * bpow radix2 (FLT_exp (-10) 2 1)) with 1 by (simpl; lra).
  rewrite (nearest_value _ _ _ (1 * 16) 5 2) by (simpl; try apply Rabs_def1; lra).
  replace (IZR 2 * bpow radix2 (FLT_exp (-10) 2 5)) with 16 by (simpl; lra).
  rewrite E. unfold count, half_ulp, eta. simpl. rewrite sqrt_1. lra.
Qed.

(* The whole chain of a block under smooth_sqrt: the norm N is computed in the wider format, in any
   order of summation t, the gain from N in its precision, and every entry is multiplied by it. *)
Theorem block_of_measured_norm_within_limit :
  forall (emin prec emin2 prec2 : Z) (choice choice2 : Z -> bool) (t : tree) (c : R),
  (0 < prec)%Z -> (0 < prec2)%Z -> (emin2 + prec2 < 0)%Z -> 0 < c ->
  (exists x, In x (leaves t) /\ 1 / 2 <= Rabs x) ->
  count (leaves t) * eta emin2 <= half_ulp prec2 / 2 ->
  let fl := nearest emin prec choice in
  let N := computed_norm (nearest emin2 prec2 choice2) t in
  let K := fl (gain (nearest_unbounded prec2 choice2) N c) in
  euclidean (scaled fl K (leaves t)) <=
    sqrt ((1 + half_ulp prec2) ^ (height t + 4)) *
      (1 + half_ulp prec2) ^ 2 * (1 + half_ulp prec) ^ 2 * c +
    ((1 + half_ulp prec) * euclidean (leaves t) + sqrt (count (leaves t))) * (eta emin / 2).
Proof.
  intros emin prec emin2 prec2 choice choice2 t c Hp Hp2 Hr C0 Hx Hn. cbv zeta.
  destruct (norm_error emin2 prec2 choice2 t Hp2 Hr Hx Hn) as (_ & E).
  apply block_within_limit; trivial. destruct Hx as (x & Hx & X).
  assert (W : 0 < euclidean (leaves t)).
  { apply sqrt_lt_R0. apply Rlt_le_trans with (2 := squares_of_member x _ Hx).
    rewrite <- (Rabs_pos_eq (x * x)), Rabs_mult by apply Rle_0_sqr. nra. }
  assert (P := sqrt_pos ((1 + half_ulp prec2) ^ (height t + 4))).
  destruct (Rlt_or_le 0 (computed_norm (nearest emin2 prec2 choice2) t)); [easy | nra].
Qed.

(* Broken: with no entry above 1/64 its square may underflow; the norm is 0 and the gain 1. *)
Lemma block_of_measured_norm_within_limit_mutant :
  ~ (forall (emin prec emin2 prec2 : Z) (choice choice2 : Z -> bool) (t : tree) (c : R),
  (0 < prec)%Z -> (0 < prec2)%Z -> (emin2 + prec2 < 0)%Z -> 0 < c ->
  (exists x, In x (leaves t) /\ 1 / 64 <= Rabs x) ->
  count (leaves t) * eta emin2 <= half_ulp prec2 / 2 ->
  let fl := nearest emin prec choice in
  let N := computed_norm (nearest emin2 prec2 choice2) t in
  let K := fl (gain (nearest_unbounded prec2 choice2) N c) in
  euclidean (scaled fl K (leaves t)) <=
    sqrt ((1 + half_ulp prec2) ^ (height t + 4)) *
      (1 + half_ulp prec2) ^ 2 * (1 + half_ulp prec) ^ 2 * c +
    ((1 + half_ulp prec) * euclidean (leaves t) + sqrt (count (leaves t))) * (eta emin / 2)).
Proof.
  intros H. set (ch := fun _ : Z => true).
  specialize (H (-10)%Z 2%Z (-10)%Z 2%Z ch ch (leaf (1 / 64)) (1 / 1024) eq_refl eq_refl eq_refl).
  assert (C0 : 0 < 1 / 1024) by lra.
  assert (Hx : exists x, In x (leaves (leaf (1 / 64))) /\ 1 / 64 <= Rabs x).
  { exists (1 / 64). split; [now left|]. rewrite Rabs_pos_eq; lra. }
  specialize (H C0 Hx). revert H. cbv zeta. simpl leaves. simpl height.
  assert (Z1 : nearest (-10) 2 ch 0 = 0) by (apply round_0; auto with typeclass_instances).
  assert (Z2 : nearest_unbounded 2 ch 0 = 0) by (apply round_0; auto with typeclass_instances).
  assert (E1 : nearest_unbounded 2 ch 1 = 1) by now apply unbounded_one.
  assert (N : computed_norm (nearest (-10) 2 ch) (leaf (1 / 64)) = 0).
  { unfold computed_norm. simpl computed_squares.
    rewrite (nearest_value _ _ _ (1 / 64 * (1 / 64)) (-11) 0)
      by (simpl; try apply Rabs_def1; lra).
    now rewrite Rmult_0_l, sqrt_0. }
  assert (G : gain (nearest_unbounded 2 ch) 0 (1 / 1024) = 1).
  { unfold gain, rounded_root. cbv zeta. replace (0 / (1 / 1024)) with 0 by lra. rewrite Z2.
    rewrite Rlt_bool_true by lra. rewrite Rmult_0_l, Z2, Rplus_0_l, E1, sqrt_1, E1.
    now replace (1 / 1) with 1 by lra. }
  rewrite N, G. unfold scaled. simpl map.
  rewrite (nearest_value _ _ _ 1 1 2) by (simpl; try apply Rabs_def1; lra).
  replace (IZR 2 * bpow radix2 (FLT_exp (-10) 2 1)) with 1 by (simpl; lra).
  rewrite (nearest_value _ _ _ (1 * (1 / 64)) (-5) 2) by (simpl; try apply Rabs_def1; lra).
  replace (IZR 2 * bpow radix2 (FLT_exp (-10) 2 (-5))) with (1 / 64) by (simpl; lra).
  assert (E : euclidean (1 / 64 :: nil) = 1 / 64).
  { unfold euclidean. simpl. rewrite Rplus_0_r. apply sqrt_square. lra. }
  assert (U : half_ulp 2 = 1 / 4) by (unfold half_ulp; simpl; lra).
  assert (Q : sqrt ((1 + half_ulp 2) ^ (0 + 4)) = 25 / 16).
  { rewrite U. replace ((1 + 1 / 4) ^ (0 + 4)) with ((25 / 16) * (25 / 16)) by (simpl; lra).
    apply sqrt_square. lra. }
  rewrite E, Q, U. unfold count, eta. simpl. rewrite sqrt_1. lra.
Qed.
