(* Gravity's gradient term zeta = g/(1 + (g*G)*(g*G)) on floating-point numbers, in every format
   and rounding mode: finite and at most |g|, also where g*G or its square overflows.
   g is a gradient entry, G the largest of its tensor; the kernel is defined in Kernels.v. *)
From Coq Require Import ZArith Reals Psatz Bool.
From Flocq Require Import Core BinarySingleNaN.
From Subluminal Require Import Kernels SmoothSqrtKernel.
Open Scope R_scope.

Section Zeta.
Context {prec emax : Z} {Hp : Prec_gt_0 prec} {He : Prec_lt_emax prec emax}.
Local Notation bf := (binary_float prec emax).
Local Notation fexp := (SpecFloat.fexp prec emax).
Local Notation rounded m := (round radix2 fexp (round_mode m)).
Local Existing Instance fexp_is_valid.

(* [at_least] is what may come of an overflow: +infinity, or the largest finite number. *)
Lemma overflow_is_at_least_one m (y : bf) : B2SF y = binary_overflow prec emax m false ->
  at_least 1 y.
Proof.
  unfold binary_overflow. destruct (overflow_to_inf m false); intros E.
  - left. destruct y; try discriminate. simpl in E. now injection E as ->.
  - right. destruct y as [s|s| |s digits e B]; try discriminate. split; trivial.
    rewrite <- SF2R_B2SF, E. simpl SF2R. unfold Prec_gt_0, Prec_lt_emax in Hp, He.
    assert (P : (2 <= 2 ^ prec)%Z) by (change 2%Z with (2 ^ 1)%Z at 1; apply Z.pow_le_mono_r; lia).
    rewrite Z2Pos.id by (change (Zpower 2 prec) with (2 ^ prec)%Z; lia).
    rewrite <- (Rmult_1_l 1). unfold F2R. simpl Fnum. simpl Fexp.
    apply Rmult_le_compat; try lra.
    + apply IZR_le. change (Zpower 2 prec) with (2 ^ prec)%Z. lia.
    + change 1 with (bpow radix2 0). apply bpow_le. lia.
Qed.

Lemma square_at_least_zero m (q : bf) : is_nan q = false -> at_least 0 (Bmult m q q).
Proof.
  intros N. destruct (is_finite q) eqn:F.
  - generalize (Bmult_correct prec emax Hp He m q q).
    destruct Rlt_bool; rewrite ?xorb_nilpotent.
    + intros (E & F1 & _). right. rewrite F1, F, E. split; trivial.
      apply round_ge_generic; auto with typeclass_instances.
      * apply generic_format_0.
      * apply Rle_0_sqr.
    + intros E. destruct (overflow_is_at_least_one m _ E) as [I|(F1 & H)]; [now left|].
      right. split; trivial. lra.
  - left. now destruct q as [s|[|]| |s digits e B].
Qed.

Lemma one_plus_at_least_one m (y : bf) : at_least 0 y -> at_least 1 (Bplus m Bone y).
Proof.
  assert (F1 := is_finite_Bone prec emax Hp He).
  intros [-> | (F & H)].
  - left. revert F1. now destruct (Bone : bf).
  - generalize (Bplus_correct prec emax Hp He m Bone y F1 F). rewrite Bone_correct.
    destruct Rlt_bool.
    + intros (E & F2 & _). right. split; trivial. rewrite E.
      apply round_ge_generic; auto with typeclass_instances. apply format_of_one. lra.
    + intros (E & _). rewrite Bsign_Bone in E. now apply overflow_is_at_least_one in E.
Qed.

Lemma quotient_not_amplified m (g w : bf) : is_finite g = true -> at_least 1 w ->
  not_amplified g (Bdiv m g w).
Proof.
  intros F [-> | (_ & H)].
  - unfold not_amplified. assert (P := Rabs_pos (B2R g)).
    destruct g; try discriminate; simpl in *; rewrite Rabs_R0 in *; split; trivial; lra.
  - destruct (quotient_shrinks m g w F H) as (F1 & H1 & _). now split.
Qed.

Lemma product_of_finite m (g G : bf) : is_finite g = true -> is_finite G = true ->
  is_nan (Bmult m g G) = false.
Proof.
  intros F F'. generalize (Bmult_correct prec emax Hp He m g G). destruct Rlt_bool.
  - intros (_ & F1 & _). rewrite F, F' in F1. now apply not_nan_of_finite.
  - intros E. rewrite <- is_nan_SF_B2SF, E. apply is_nan_binary_overflow.
Qed.

Lemma after_at_least_zero after (y : bf) : harmless after -> at_least 0 y -> at_least 0 (after y).
Proof.
  intros A H. destruct (A y) as [-> | (_ & _ & ->)]; trivial. right. simpl. split; trivial. lra.
Qed.

Lemma after_at_least_one after (y : bf) : harmless after -> at_least 1 y -> at_least 1 (after y).
Proof.
  intros A H. destruct (A y) as [-> | (F & L & _)]; trivial. exfalso.
  destruct H as [-> | (_ & H)]; [discriminate|]. apply Rabs_lt_inv in L. lra.
Qed.

Lemma after_not_nan after (y : bf) : harmless after -> is_nan y = false -> is_nan (after y) = false.
Proof. intros A N. now destruct (A y) as [-> | (_ & _ & ->)]. Qed.

Lemma zeta_with_not_amplified after m (g G : bf) :
  harmless after -> is_finite g = true -> is_finite G = true ->
  not_amplified g (zeta_with after m g G).
Proof.
  intros A F F'. unfold zeta_with. cbv zeta.
  assert (W : at_least 1 (after (Bplus m Bone (after (Bmult m (after (Bmult m g G))
    (after (Bmult m g G))))))).
  { apply after_at_least_one, one_plus_at_least_one, after_at_least_zero, square_at_least_zero,
      after_not_nan, product_of_finite; assumption. }
  destruct (quotient_not_amplified m g _ F W) as (F1 & H1).
  destruct (after_finite after A _ F1) as (F2 & H2 & _). split; trivial. lra.
Qed.

Lemma damping_at_least_one m (g G : bf) : is_finite g = true -> is_finite G = true ->
  at_least 1 (damping m g G).
Proof.
  intros F F'. apply one_plus_at_least_one, square_at_least_zero. now apply product_of_finite.
Qed.

(* A divisor of at least 1 stays one when divided by a weight of at most 1. *)
Lemma over_weight_at_least_one m (d w : bf) : at_least 1 d ->
  is_finite w = true -> 0 < B2R w <= 1 -> at_least 1 (Bdiv m d w).
Proof.
  intros H Fw W. assert (Sw : Bsign w = false) by (apply sign_of_positive; lra).
  destruct H as [-> | (Fd & Hd)].
  - left. destruct w as [s|s| |s digits e B]; simpl in *; try discriminate; try lra.
    now rewrite Sw.
  - assert (W0 : B2R w <> 0) by lra.
    generalize (Bdiv_correct prec emax Hp He m d w W0).
    rewrite Sw, (sign_of_positive d) by lra.
    destruct Rlt_bool; [|apply overflow_is_at_least_one].
    intros (E & F & _). right. rewrite F, E. split; trivial.
    apply round_ge_generic; auto with typeclass_instances; [apply format_of_one|].
    apply Rmult_le_reg_r with (B2R w); [lra|]. field_simplify; lra.
Qed.
End Zeta.

(* ---- Theorems ---- *)

(* Gravity's term is finite and no larger than the gradient. *)
Theorem zeta_not_amplified :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (g G : binary_float prec emax),
  is_finite g = true -> is_finite G = true -> not_amplified g (zeta m g G).
Proof. intros. now apply zeta_with_not_amplified; [apply harmless_keep | ..]. Qed.

(* Broken: with the squares of g and G taken apart, g = 2^64 and G = 0 give infinity times 0. *)
Lemma zeta_not_amplified_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (g G : binary_float prec emax),
  is_finite g = true -> is_finite G = true ->
  not_amplified g (Bdiv m g (Bplus m Bone (Bmult m (Bmult m g g) (Bmult m G G))))).
Proof.
  intros H. specialize (H 24%Z 128%Z _ _ mode_NE (number 1 64) (number 0 0)).
  destruct H as (F & _); [now vm_compute | now vm_compute |].
  vm_compute in F. discriminate.
Qed.

(* The same where every subnormal result is flushed to zero. *)
Theorem zeta_flushed_not_amplified :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (g G : binary_float prec emax),
  is_finite g = true -> is_finite G = true -> not_amplified g (zeta_with flush m g G).
Proof. intros. now apply zeta_with_not_amplified; [apply harmless_flush | ..]. Qed.

Lemma zeta_flushed_not_amplified_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (g G : binary_float prec emax),
  is_finite g = true -> is_finite G = true -> not_amplified g (zeta_inverse_with flush m g G)).
Proof.
  intros H. specialize (H 24%Z 128%Z _ _ mode_NE (number 0 0) (number 1 127)).
  destruct H as (F & _); [now vm_compute | now vm_compute |].
  vm_compute in F. discriminate.
Qed.

(* With the weight of an average, a number, multiplied in first. *)
Theorem weighted_zeta_not_amplified :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (w g G : binary_float prec emax),
  is_finite g = true -> is_finite G = true -> is_finite w = true -> 0 <= B2R w <= 1 ->
  not_amplified g (weighted_zeta m w g G).
Proof.
  intros prec emax Hp He m w g G F F' Fw W.
  destruct (product_shrinks m g w F Fw) as (F1 & H1); [rewrite Rabs_pos_eq; lra|].
  destruct (quotient_not_amplified m _ _ F1 (damping_at_least_one m g G F F')) as (F2 & H2).
  split; trivial. now apply Rle_trans with (1 := H2).
Qed.

(* Broken: a weight of up to 2. *)
Lemma weighted_zeta_not_amplified_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (w g G : binary_float prec emax),
  is_finite g = true -> is_finite G = true -> is_finite w = true -> 0 <= B2R w <= 2 ->
  not_amplified g (weighted_zeta m w g G)).
Proof.
  intros H. specialize (H 24%Z 128%Z _ _ mode_NE (number 1 1) (number 1 0) (number 0 0)).
  destruct H as (_ & L); [now vm_compute.. | vm_compute; lra |].
  rewrite <- !B2R_Babs in L. apply Rle_not_lt with (1 := L).
  now apply less_by_computation; vm_compute.
Qed.

(* With the weight as a tensor, which divides the divisor. *)
Theorem zeta_over_weight_not_amplified :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (w g G : binary_float prec emax),
  is_finite g = true -> is_finite G = true -> is_finite w = true -> 0 < B2R w <= 1 ->
  not_amplified g (zeta_over_weight m w g G).
Proof.
  intros prec emax Hp He m w g G F F' Fw W. apply quotient_not_amplified; trivial.
  apply over_weight_at_least_one; trivial. now apply damping_at_least_one.
Qed.

(* Broken: a weight of up to 2. *)
Lemma zeta_over_weight_not_amplified_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (w g G : binary_float prec emax),
  is_finite g = true -> is_finite G = true -> is_finite w = true -> 0 < B2R w <= 2 ->
  not_amplified g (zeta_over_weight m w g G)).
Proof.
  intros H. specialize (H 24%Z 128%Z _ _ mode_NE (number 1 1) (number 1 0) (number 0 0)).
  destruct H as (_ & L); [now vm_compute.. | vm_compute; lra |].
  rewrite <- !B2R_Babs in L. apply Rle_not_lt with (1 := L).
  now apply less_by_computation; vm_compute.
Qed.
