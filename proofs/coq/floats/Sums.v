(* Sums of squares and norms in rounding to nearest, for any order of summation: a tree with the
   terms at its leaves.  fl is [nearest] of Kernels.v: any precision, any smallest number eta, any
   rule for ties; u is half an ulp of 1, n the number of terms, h the height of the tree. *)
From Coq Require Import ZArith Reals List Psatz.
From Flocq Require Import Core Mult_error.
From Subluminal Require Import Kernels Averages.
Import ListNotations.
Open Scope R_scope.

(* ---- Exact sums of squares ---- *)
Lemma squares_app a b : squares (a ++ b) = squares a + squares b.
Proof. induction a as [|x a IH]; simpl; [lra | rewrite IH; lra]. Qed.

Lemma count_app a b : count (a ++ b) = count a + count b.
Proof. unfold count. now rewrite app_length, plus_INR. Qed.

Lemma count_nonnegative l : 0 <= count l.
Proof. apply pos_INR. Qed.

Lemma squares_nonnegative l : 0 <= squares l.
Proof. induction l as [|x l IH]; simpl; nra. Qed.

Lemma squares_of_member x l : In x l -> x * x <= squares l.
Proof.
  induction l as [|y l IH]; simpl; [easy|]. assert (P := squares_nonnegative l).
  intros [-> | H]; [lra|]. specialize (IH H). nra.
Qed.

Lemma power_at_least_one u k : 0 <= u -> 1 <= (1 + u) ^ k.
Proof. intros H. apply pow_R1_Rle. lra. Qed.

Lemma power_monotone u j k : 0 <= u -> (j <= k)%nat -> (1 + u) ^ j <= (1 + u) ^ k.
Proof. intros H. apply Rle_pow. lra. Qed.

Section Nearest.
Variables emin prec : Z.
Hypothesis Hp : (0 < prec)%Z.
Variable choice : Z -> bool.
Local Notation fl := (nearest emin prec choice).
Local Notation u := (half_ulp prec).
Local Notation format := (generic_format radix2 (FLT_exp emin prec)).

Lemma computed_squares_format t : format (computed_squares fl t).
Proof. destruct t; now apply nearest_format. Qed.

Lemma computed_squares_nonnegative t : 0 <= computed_squares fl t.
Proof.
  induction t as [x | l IHl r IHr]; simpl; apply nearest_nonnegative; trivial; nra.
Qed.

(* One square: underflow costs half of eta at most. *)
Lemma rounded_square s : 0 <= s ->
  fl s <= (1 + u) * (s + eta emin / 2) /\ s <= (1 + u) * fl s + eta emin / 2.
Proof.
  intros S0. assert (U := half_ulp_positive prec). assert (N := eta_positive emin).
  assert (F0 := nearest_nonnegative emin prec Hp choice s S0).
  destruct (nearest_error emin prec Hp choice s) as (e & h & He & Hh & Z & E).
  destruct (relative_error_bounds prec e He) as (B1 & B2 & _). apply Rabs_le_inv in Hh.
  split.
  - rewrite E. nra.
  - destruct (Rmult_integral _ _ Z) as [-> | ->]; [nra|].
    rewrite E. nra.
Qed.

(* One addition. *)
Lemma rounded_sum a b : format a -> format b -> 0 <= a -> 0 <= b ->
  fl (a + b) <= (1 + u) * (a + b) /\ a + b <= (1 + u) * fl (a + b).
Proof.
  intros Fa Fb A B. destruct (nearest_sum emin prec Hp choice a b Fa Fb) as (e & He & E).
  destruct (relative_error_bounds prec e He) as (B1 & B2 & _). rewrite E. split; nra.
Qed.

(* What is proved of a branch of height j holds with the larger power of a height k. *)
Lemma with_larger_power j k a b x y : (j <= k)%nat -> 0 <= a -> 0 <= b ->
  a <= (1 + u) ^ j * b /\ x <= (1 + u) ^ j * a + y ->
  a <= (1 + u) ^ k * b /\ x <= (1 + u) ^ k * a + y.
Proof.
  intros H A B (L1 & L2). assert (U := half_ulp_positive prec).
  assert (M := power_monotone u j k (Rlt_le _ _ U) H). split; nra.
Qed.

Lemma computed_squares_error t :
  computed_squares fl t <=
    (1 + u) ^ S (height t) * (squares (leaves t) + count (leaves t) * (eta emin / 2)) /\
  squares (leaves t) <=
    (1 + u) ^ S (height t) * computed_squares fl t + count (leaves t) * (eta emin / 2).
Proof.
  assert (U := half_ulp_positive prec). assert (N := eta_positive emin).
  induction t as [x | l IHl r IHr].
  - simpl. destruct (rounded_square (x * x)) as (L1 & L2); [nra|].
    unfold count. simpl INR. split; nra.
  - simpl leaves. simpl computed_squares. rewrite squares_app, count_app.
    assert (Ca := computed_squares_nonnegative l). assert (Cb := computed_squares_nonnegative r).
    assert (Sa := squares_nonnegative (leaves l)). assert (Sb := squares_nonnegative (leaves r)).
    assert (Na := count_nonnegative (leaves l)). assert (Nb := count_nonnegative (leaves r)).
    destruct (rounded_sum _ _ (computed_squares_format l) (computed_squares_format r) Ca Cb)
      as (L1 & L2).
    set (k := S (height (node l r))). set (j := S (Nat.max (height l) (height r))).
    assert (E : (1 + u) ^ k = (1 + u) * (1 + u) ^ j) by reflexivity. rewrite E. clear E.
    assert (P := power_at_least_one u j (Rlt_le _ _ U)).
    apply (with_larger_power _ j) in IHl as (A1 & A2); [| unfold j; lia | trivial | nra].
    apply (with_larger_power _ j) in IHr as (B1 & B2); [| unfold j; lia | trivial | nra].
    set (p := (1 + u) ^ j) in *. set (a := computed_squares fl l) in *.
    set (b := computed_squares fl r) in *. split; nra.
Qed.

(* A sum is at least each of its terms. *)
Lemma computed_squares_of_leaf x t : In x (leaves t) -> fl (x * x) <= computed_squares fl t.
Proof.
  assert (L : forall a b, format a -> 0 <= b -> a <= fl (a + b)).
  { intros a b Fa B. rewrite <- (nearest_of_format emin prec choice a Fa) at 1.
    apply nearest_monotone; trivial. lra. }
  induction t as [y | l IHl r IHr]; simpl.
  - intros [-> | []]. lra.
  - intros I. apply in_app_or in I as [I | I].
    + apply Rle_trans with (1 := IHl I). apply L; [apply computed_squares_format|].
      apply computed_squares_nonnegative.
    + apply Rle_trans with (1 := IHr I). rewrite Rplus_comm.
      apply L; [apply computed_squares_format | apply computed_squares_nonnegative].
Qed.

(* Beside a leaf of at least 1/2 the underflow of all squares is lost in one rounding. *)
Lemma computed_squares_relative t :
  (emin + prec < 0)%Z -> (exists x, In x (leaves t) /\ 1 / 2 <= Rabs x) ->
  count (leaves t) * eta emin <= u / 2 ->
  1 / 4 <= computed_squares fl t /\
  computed_squares fl t <= (1 + u) ^ (height t + 2) * squares (leaves t) /\
  squares (leaves t) <= (1 + u) ^ (height t + 2) * computed_squares fl t.
Proof.
  intros He (x & I & X) Hn. assert (U := half_ulp_positive prec).
  assert (Q : 1 / 4 <= x * x).
  { rewrite <- (Rabs_pos_eq (x * x)) by nra. rewrite Rabs_mult. nra. }
  assert (S4 : 1 / 4 <= squares (leaves t)).
  { apply Rle_trans with (1 := Q). now apply squares_of_member. }
  assert (C4 : 1 / 4 <= computed_squares fl t).
  { apply Rle_trans with (2 := computed_squares_of_leaf x t I).
    replace (1 / 4) with (bpow radix2 (-2)) in * by (simpl; lra).
    rewrite <- (nearest_of_format emin prec choice (bpow radix2 (-2))).
    - now apply nearest_monotone.
    - apply format_of_bpow; trivial. lia. }
  destruct (computed_squares_error t) as (L1 & L2).
  assert (P := power_at_least_one u (S (height t)) (Rlt_le _ _ U)).
  replace (height t + 2)%nat with (S (S (height t))) by lia.
  change ((1 + u) ^ S (S (height t))) with ((1 + u) * (1 + u) ^ S (height t)).
  set (p := (1 + u) ^ S (height t)) in *. set (c := computed_squares fl t) in *.
  set (s := squares (leaves t)) in *. set (n := count (leaves t)) in *.
  repeat split; trivial.
  - apply Rle_trans with (1 := L1). apply Rle_trans with (p * ((1 + u) * s)); [|lra].
    apply Rmult_le_compat_l; nra.
  - apply Rle_trans with (1 := L2).
    assert (N : n * (eta emin / 2) <= u * c) by nra.
    assert (M : u * c <= u * (p * c)) by (apply Rmult_le_compat_l; nra). lra.
Qed.
End Nearest.

(* ---- Theorems ---- *)

(* The computed sum of squares is within a factor (1+u)^(h+1) of the exact one, but for the
   underflow of the n squares. *)
Theorem sum_of_squares_error :
  forall (emin prec : Z) (choice : Z -> bool) (t : tree), (0 < prec)%Z ->
  computed_squares (nearest emin prec choice) t <= (1 + half_ulp prec) ^ (height t + 1) *
    (squares (leaves t) + count (leaves t) * (eta emin / 2)) /\
  squares (leaves t) <= (1 + half_ulp prec) ^ (height t + 1) *
    computed_squares (nearest emin prec choice) t + count (leaves t) * (eta emin / 2).
Proof.
  intros emin prec choice t Hp. replace (height t + 1)%nat with (S (height t)) by lia.
  now apply computed_squares_error.
Qed.

(* A power less is too little: with two digits, 63/50 = 1.26 is rounded to 1.5. *)
Lemma sum_of_squares_error_mutant :
  ~ (forall (emin prec : Z) (choice : Z -> bool) (t : tree), (0 < prec)%Z ->
  computed_squares (nearest emin prec choice) t <= (1 + half_ulp prec) ^ (height t) *
    (squares (leaves t) + count (leaves t) * (eta emin / 2)) /\
  squares (leaves t) <= (1 + half_ulp prec) ^ (height t) *
    computed_squares (nearest emin prec choice) t + count (leaves t) * (eta emin / 2)).
Proof.
  intros H.
  destruct (H (-10)%Z 2%Z (fun _ => true) (leaf (sqrt (63 / 50))) eq_refl) as (L & _).
  revert L. unfold count, eta. simpl. rewrite sqrt_sqrt by lra.
  rewrite (nearest_value _ _ _ (63 / 50) 1 3) by (simpl; try apply Rabs_def1; lra).
  simpl. lra.
Qed.

(* Where one term is at least 1/2 and n*eta is at most u/2, the computed norm is within a factor
   (1+u)^((h+4)/2) of the exact one. *)
Theorem norm_error :
  forall (emin prec : Z) (choice : Z -> bool) (t : tree), (0 < prec)%Z -> (emin + prec < 0)%Z ->
  (exists x, In x (leaves t) /\ 1 / 2 <= Rabs x) ->
  count (leaves t) * eta emin <= half_ulp prec / 2 ->
  let factor := sqrt ((1 + half_ulp prec) ^ (height t + 4)) in
  computed_norm (nearest emin prec choice) t <= factor * euclidean (leaves t) /\
  euclidean (leaves t) <= factor * computed_norm (nearest emin prec choice) t.
Proof.
  intros emin prec choice t Hp He Hx Hn. cbv zeta. unfold computed_norm, euclidean.
  destruct (computed_squares_relative emin prec Hp choice t He Hx Hn) as (C & L1 & L2).
  assert (U := half_ulp_positive prec).
  assert (P := power_at_least_one (half_ulp prec) (height t + 2) (Rlt_le _ _ U)).
  replace (height t + 4)%nat with (height t + 2 + 2)%nat by lia. rewrite pow_add.
  set (p := (1 + half_ulp prec) ^ (height t + 2)) in *. set (u := half_ulp prec) in *.
  set (c := computed_squares (nearest emin prec choice) t) in *.
  set (s := squares (leaves t)) in *.
  assert (R : 1 / 2 <= sqrt c).
  { rewrite <- (sqrt_square (1 / 2)) by lra. apply sqrt_le_1_alt. lra. }
  destruct (nearest_normal emin prec Hp choice (sqrt c)) as (e & E1 & E2).
  { rewrite Rabs_pos_eq by lra. apply Rle_trans with (2 := R).
    replace (1 / 2) with (bpow radix2 (-1)) by (simpl; lra). apply bpow_le. lia. }
  destruct (relative_error_bounds prec e E1) as (B1 & B2 & _). fold u in B1, B2.
  rewrite E2. rewrite sqrt_mult_alt by lra. rewrite (sqrt_pow2 (1 + u)) by lra.
  assert (Q : sqrt c <= sqrt p * sqrt s /\ sqrt s <= sqrt p * sqrt c).
  { rewrite <- !sqrt_mult_alt by lra. split; now apply sqrt_le_1_alt. }
  assert (P0 := sqrt_pos p). assert (S0 := sqrt_pos s). split.
  - nra.
  - apply Rle_trans with (1 := proj2 Q).
    apply Rle_trans with (sqrt p * sqrt c * ((1 + u) * (1 + e))); [|lra].
    rewrite <- (Rmult_1_r (sqrt p * sqrt c)) at 1. apply Rmult_le_compat_l; [nra | exact B2].
Qed.

(* Four powers less are too little: with two digits, the norm of one term sqrt(63/50) is 1. *)
Lemma norm_error_mutant :
  ~ (forall (emin prec : Z) (choice : Z -> bool) (t : tree), (0 < prec)%Z -> (emin + prec < 0)%Z ->
  (exists x, In x (leaves t) /\ 1 / 2 <= Rabs x) ->
  count (leaves t) * eta emin <= half_ulp prec / 2 ->
  let factor := sqrt ((1 + half_ulp prec) ^ height t) in
  computed_norm (nearest emin prec choice) t <= factor * euclidean (leaves t) /\
  euclidean (leaves t) <= factor * computed_norm (nearest emin prec choice) t).
Proof.
  intros H. set (x := sqrt (63 / 50)).
  assert (X : 1 < x) by (rewrite <- sqrt_1; apply sqrt_lt_1; lra).
  destruct (H (-10)%Z 2%Z (fun _ => true) (leaf x) eq_refl eq_refl) as (_ & L).
  - exists x. split; [now left|]. rewrite Rabs_pos_eq; lra.
  - unfold count, eta, half_ulp. simpl. lra.
  - revert L. unfold computed_norm, euclidean. simpl. rewrite sqrt_1, Rmult_1_l, Rplus_0_r.
    replace (x * x) with (63 / 50) by (symmetry; apply sqrt_sqrt; lra). fold x.
    rewrite (nearest_value _ _ _ (63 / 50) 1 3) by (simpl; try apply Rabs_def1; lra).
    assert (B : 1 < sqrt (3 / 2) < 5 / 4).
    { split.
      - rewrite <- sqrt_1. apply sqrt_lt_1; lra.
      - rewrite <- (sqrt_square (5 / 4)) by lra. apply sqrt_lt_1; lra. }
    replace (IZR 3 * bpow radix2 (FLT_exp (-10) 2 1)) with (3 / 2) by (simpl; lra).
    rewrite (nearest_value _ _ _ (sqrt (3 / 2)) 1 2) by (simpl; try apply Rabs_def1; lra).
    simpl. lra.
Qed.

(* Terms of at most 1 do not overflow: the sum is at most n (1+u)^h. *)
Theorem sum_of_squares_at_most :
  forall (emin prec : Z) (choice : Z -> bool) (t : tree), (0 < prec)%Z -> (emin <= 0)%Z ->
  (forall x, In x (leaves t) -> Rabs x <= 1) ->
  computed_squares (nearest emin prec choice) t <=
    count (leaves t) * (1 + half_ulp prec) ^ height t.
Proof.
  intros emin prec choice t Hp He. assert (U := half_ulp_positive prec).
  set (fl := nearest emin prec choice).
  induction t as [x | l IHl r IHr]; simpl leaves; intros H.
  - assert (X := H x (or_introl eq_refl)). apply Rabs_le_inv in X.
    unfold count. simpl. rewrite Rmult_1_l.
    rewrite <- (nearest_of_format emin prec choice 1).
    + apply nearest_monotone; trivial. nra.
    + change 1 with (bpow radix2 0). now apply format_of_bpow.
  - rewrite count_app. simpl computed_squares. simpl height.
    set (k := Nat.max (height l) (height r)). set (u := half_ulp prec) in *.
    destruct (rounded_sum emin prec Hp choice (computed_squares fl l) (computed_squares fl r))
      as (L & _); try now apply computed_squares_format.
    1, 2: now apply computed_squares_nonnegative.
    assert (A : computed_squares fl l <= count (leaves l) * (1 + u) ^ k).
    { apply Rle_trans with (count (leaves l) * (1 + u) ^ height l).
      - apply IHl. intros x I. apply H, in_or_app. now left.
      - apply Rmult_le_compat_l; [apply count_nonnegative|].
        apply power_monotone; unfold k; [lra | lia]. }
    assert (B : computed_squares fl r <= count (leaves r) * (1 + u) ^ k).
    { apply Rle_trans with (count (leaves r) * (1 + u) ^ height r).
      - apply IHr. intros x I. apply H, in_or_app. now right.
      - apply Rmult_le_compat_l; [apply count_nonnegative|].
        apply power_monotone; unfold k; [lra | lia]. }
    change ((1 + u) ^ S k) with ((1 + u) * (1 + u) ^ k).
    apply Rle_trans with (1 := L). fold u. nra.
Qed.

(* Broken: a term of 2. *)
Lemma sum_of_squares_at_most_mutant :
  ~ (forall (emin prec : Z) (choice : Z -> bool) (t : tree), (0 < prec)%Z -> (emin <= 0)%Z ->
  (forall x, In x (leaves t) -> Rabs x <= 2) ->
  computed_squares (nearest emin prec choice) t <=
    count (leaves t) * (1 + half_ulp prec) ^ height t).
Proof.
  intros H.
  assert (L : forall x, In x (leaves (leaf 2)) -> Rabs x <= 2).
  { intros x [<- | []]. rewrite Rabs_pos_eq; lra. }
  assert (E : (-10 <= 0)%Z) by lia.
  specialize (H (-10)%Z 2%Z (fun _ => true) (leaf 2) eq_refl E L).
  revert H. unfold count. simpl computed_squares.
  rewrite (nearest_value _ _ _ (2 * 2) 3 2) by (simpl; try apply Rabs_def1; lra).
  simpl. lra.
Qed.

(* Scaling by a power of two is exact unless the result is subnormal. *)
Theorem scaling_is_exact :
  forall (emin prec : Z) (choice : Z -> bool) (x : R) (k : Z), (0 < prec)%Z ->
  generic_format radix2 (FLT_exp emin prec) x ->
  bpow radix2 (emin + prec - 1) <= Rabs (x * bpow radix2 k) ->
  nearest emin prec choice (x * bpow radix2 k) = x * bpow radix2 k.
Proof.
  intros emin prec choice x k Hp F H. apply nearest_of_format.
  apply generic_format_FLT_FLX; trivial.
  apply mult_bpow_exact_FLX. now apply generic_format_FLX_FLT with emin.
Qed.

Lemma scaling_is_exact_mutant :
  ~ (forall (emin prec : Z) (choice : Z -> bool) (x : R) (k : Z), (0 < prec)%Z ->
  generic_format radix2 (FLT_exp emin prec) x ->
  nearest emin prec choice (x * bpow radix2 k) = x * bpow radix2 k).
Proof.
  intros H.
  assert (F : generic_format radix2 (FLT_exp (-10) 2) (bpow radix2 (-10)))
    by now apply format_of_bpow.
  specialize (H (-10)%Z 2%Z (fun _ => true) _ (-2)%Z eq_refl F).
  rewrite <- bpow_plus, (nearest_value _ _ _ (bpow radix2 (-10 + -2)) (-11) 0) in H.
  - simpl in H. lra.
  - simpl. lra.
  - simpl. apply Rabs_def1; lra.
Qed.
