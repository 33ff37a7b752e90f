(* What goes wrong in floating point: refutations by a witness, rounding to nearest, ties to even.
   x is the proposed entry, c the speed limit, g and G a gradient entry and the largest; the kernels
   are defined in Kernels.v.  Numbers are written digits * 2^exponent. *)
From Coq Require Import ZArith Reals Psatz Bool.
From Flocq Require Import Core BinarySingleNaN.
From Subluminal Require Import Kernels SmoothSqrtKernel.
Open Scope R_scope.

Lemma zero_by_computation {prec emax} (y : binary_float prec emax) :
  is_zero y = true -> B2R y = 0.
Proof. now destruct y. Qed.

(* A witness x >= c > 0 with the result 0 refutes that an update beyond the limit is applied. *)
Lemma vanishing {prec emax} (kernel : binary_float prec emax -> binary_float prec emax ->
    binary_float prec emax) (x c : binary_float prec emax) :
  is_finite x = true -> is_finite c = true -> Bltb (B754_zero false) c = true ->
  Bltb c x = true -> is_zero (kernel x c) = true ->
  ~ (forall x c, is_finite x = true -> 0 < B2R c < B2R x -> 0 < B2R (kernel x c)).
Proof.
  intros Fx Fc C0 L Z H. apply less_by_computation in L; trivial.
  apply positive_by_computation in C0; trivial.
  specialize (H x c Fx (conj C0 L)). rewrite zero_by_computation in H by exact Z. lra.
Qed.

(* A witness with a result above c > 0 refutes that the limit holds. *)
Lemma exceeding {prec emax} (kernel : binary_float prec emax -> binary_float prec emax ->
    binary_float prec emax) (x c : binary_float prec emax) :
  is_finite x = true -> is_finite c = true -> Bltb (B754_zero false) c = true ->
  is_finite (kernel x c) = true -> Bltb c (kernel x c) = true ->
  ~ (forall x c, is_finite x = true -> 0 < B2R c -> B2R (kernel x c) <= B2R c).
Proof.
  intros Fx Fc C0 F L H. apply less_by_computation in L; trivial.
  apply positive_by_computation in C0; trivial.
  specialize (H x c Fx C0). lra.
Qed.

(* The obvious code makes 0 of the update 2^64 with the limit 1. *)
Theorem naive_vanishes_binary32 :
  ~ (forall x c : binary32, is_finite x = true -> 0 < B2R c < B2R x ->
     0 < B2R (smooth_naive mode_NE x c)).
Proof.
  set (x := number 1 64 : binary32). set (c := number 1 0 : binary32).
  now apply (vanishing (smooth_naive mode_NE) x c); vm_compute.
Qed.

(* It exceeds the limit 0.1 (the nearest binary32) at x = 409.600128. *)
Theorem naive_exceeds_binary32 :
  ~ (forall x c : binary32, is_finite x = true -> 0 < B2R c ->
     B2R (smooth_naive mode_NE x c) <= B2R c).
Proof.
  set (x := number 13421777 (-15) : binary32). set (c := number 13421773 (-27) : binary32).
  now apply (exceeding (smooth_naive mode_NE) x c); vm_compute.
Qed.

(* In binary16 it makes 0 of 25.59375 with the limit 0.1. *)
Theorem naive_vanishes_binary16 :
  ~ (forall x c : binary16, is_finite x = true -> 0 < B2R c < B2R x ->
     0 < B2R (smooth_naive mode_NE x c)).
Proof.
  set (x := number 819 (-5) : binary16). set (c := number 819 (-13) : binary16).
  now apply (vanishing (smooth_naive mode_NE) x c); vm_compute.
Qed.

(* That is the first: the number before it does not vanish. *)
Lemma naive_before_vanishing_binary16 :
  is_zero (smooth_naive mode_NE (number 1637 (-6)) (number 819 (-13)) : binary16) = false.
Proof. now vm_compute. Qed.

(* In binary16 it exceeds the limit 0.1 at x = 3.212890625. *)
Theorem naive_exceeds_binary16 :
  ~ (forall x c : binary16, is_finite x = true -> 0 < B2R c ->
     B2R (smooth_naive mode_NE x c) <= B2R c).
Proof.
  set (x := number 1645 (-9) : binary16). set (c := number 819 (-13) : binary16).
  now apply (exceeding (smooth_naive mode_NE) x c); vm_compute.
Qed.

(* In bfloat16 it makes 0 of 1.8465e18 with the limit 0.1. *)
Theorem naive_vanishes_bfloat16 :
  ~ (forall x c : bfloat16, is_finite x = true -> 0 < B2R c < B2R x ->
     0 < B2R (smooth_naive mode_NE x c)).
Proof.
  set (x := number 205 53 : bfloat16). set (c := number 205 (-11) : bfloat16).
  now apply (vanishing (smooth_naive mode_NE) x c); vm_compute.
Qed.

(* In bfloat16 it exceeds the limit 0.1 at x = 1.6328125. *)
Theorem naive_exceeds_bfloat16 :
  ~ (forall x c : bfloat16, is_finite x = true -> 0 < B2R c ->
     B2R (smooth_naive mode_NE x c) <= B2R c).
Proof.
  set (x := number 209 (-7) : bfloat16). set (c := number 205 (-11) : bfloat16).
  now apply (exceeding (smooth_naive mode_NE) x c); vm_compute.
Qed.

(* A norm taken by a square in binary32 overflows at 2^64, and the whole step is lost. *)
Theorem norm_step_vanishes_binary32 :
  ~ (forall x c : binary32, is_finite x = true -> 0 < B2R c < B2R x ->
     0 < B2R (norm_step mode_NE x c)).
Proof.
  set (x := number 1 64 : binary32). set (c := number 1 0 : binary32).
  now apply (vanishing (norm_step mode_NE) x c); vm_compute.
Qed.

(* In binary16 it does so at 256. *)
Theorem norm_step_vanishes_binary16 :
  ~ (forall x c : binary16, is_finite x = true -> 0 < B2R c < B2R x ->
     0 < B2R (norm_step mode_NE x c)).
Proof.
  set (x := number 1 8 : binary16). set (c := number 1 0 : binary16).
  now apply (vanishing (norm_step mode_NE) x c); vm_compute.
Qed.

(* With the correctly rounded hypot of a library, or any that is infinite at infinity, the quotient
   still overflows: x = 13421773*2^101 with the limit 0.1 gives 0. *)
Theorem hypot_vanishes_binary32 :
  forall hypot : binary32 -> binary32 -> binary32,
  hypot Bone (B754_infinity false) = B754_infinity false ->
  ~ (forall x c : binary32, is_finite x = true -> 0 < B2R c < B2R x ->
     0 < B2R (smooth_hypot hypot mode_NE x c)).
Proof.
  intros hypot E.
  set (x := number 13421773 101 : binary32). set (c := number 13421773 (-27) : binary32).
  assert (Q : Bdiv mode_NE x c = B754_infinity false) by (vm_compute; reflexivity).
  apply (vanishing (smooth_hypot hypot mode_NE) x c); [now vm_compute .. |].
  unfold smooth_hypot. rewrite Q, E. now vm_compute.
Qed.

(* The number before it has a finite quotient. *)
Lemma quotient_before_overflow_binary32 :
  is_finite (Bdiv mode_NE (number 13421772 101) (number 13421773 (-27)) : binary32) = true.
Proof. now vm_compute. Qed.

(* The right code does not stay strictly below the limit: it gives 1 for 2^64 with the limit 1. *)
Theorem smooth_torch_reaches_limit :
  ~ (forall x c : binary32, is_finite x = true -> 0 < B2R c ->
     Rabs (B2R (smooth_torch mode_NE x c)) < B2R c).
Proof.
  intros H.
  assert (F : is_finite (number 1 64 : binary32) = true) by now vm_compute.
  assert (C0 : 0 < B2R (number 1 0 : binary32)) by now apply positive_by_computation; vm_compute.
  specialize (H _ _ F C0).
  apply Rlt_not_le with (1 := H). apply Rle_trans with (2 := Rle_abs _).
  apply Req_le. now apply equal_by_computation; vm_compute.
Qed.

(* Nor is it monotone: with the limit 1 it applies a smaller update for 10741509*2^-30 than for
   10741508*2^-30, the number before. *)
Theorem smooth_torch_is_not_monotone :
  ~ (forall x1 x2 c : binary32, is_finite x1 = true -> is_finite x2 = true -> 0 < B2R c ->
     B2R x1 < B2R x2 -> B2R (smooth_torch mode_NE x1 c) <= B2R (smooth_torch mode_NE x2 c)).
Proof.
  intros H.
  assert (F1 : is_finite (number 10741508 (-30) : binary32) = true) by now vm_compute.
  assert (F2 : is_finite (number 10741509 (-30) : binary32) = true) by now vm_compute.
  assert (C0 : 0 < B2R (number 1 0 : binary32)) by now apply positive_by_computation; vm_compute.
  assert (L : B2R (number 10741508 (-30) : binary32) < B2R (number 10741509 (-30) : binary32))
    by now apply less_by_computation; vm_compute.
  specialize (H _ _ _ F1 F2 C0 L). apply Rlt_not_le with (2 := H).
  now apply less_by_computation; vm_compute.
Qed.

(* Gravity's term by way of 1/G: where subnormals are flushed to zero, g = 0 and G = 2^127 give
   0/0. *)
Theorem zeta_inverse_flushed_is_nan :
  ~ (forall g G : binary32, is_finite g = true -> is_finite G = true ->
     is_nan (zeta_inverse_with flush mode_NE g G) = false).
Proof.
  intros H. specialize (H (number 0 0) (number 1 127)).
  assert (F1 : is_finite (number 0 0 : binary32) = true) by now vm_compute.
  assert (F2 : is_finite (number 1 127 : binary32) = true) by now vm_compute.
  specialize (H F1 F2). vm_compute in H. discriminate.
Qed.
