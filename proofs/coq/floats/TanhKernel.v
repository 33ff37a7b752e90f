(* The entrywise kernel of the tanh law on floating-point numbers, for any function tanh with
   0 <= tanh r <= r up to 1 and 0 <= tanh r <= 1 from there on: finite, at most c and at most |x|.
   x is the proposed entry, c the speed limit; the kernel is defined in Kernels.v. *)
From Coq Require Import ZArith Reals Psatz Bool.
From Flocq Require Import Core BinarySingleNaN.
From Subluminal Require Import Kernels SmoothSqrtKernel ZetaKernel.
Open Scope R_scope.

Section Tanh.
Context {prec emax : Z} {Hp : Prec_gt_0 prec} {He : Prec_lt_emax prec emax}.
Local Notation bf := (binary_float prec emax).
Local Existing Instance fexp_is_valid.

(* The inverse of a number in [0, 1] is at least 1, or +infinity. *)
Lemma inverse_at_least_one m (q : bf) :
  is_finite q = true -> 0 <= B2R q <= 1 -> Bsign q = false -> at_least 1 (Bdiv m Bone q).
Proof.
  intros F H S. assert (F1 := is_finite_strict_Bone prec emax Hp He).
  assert (S1 := Bsign_Bone prec emax Hp He).
  destruct (Req_dec (B2R q) 0) as [Q|Q].
  - left. destruct q as [s|s| |s digits e B]; try discriminate; simpl in S; subst s.
    + revert F1 S1. destruct (Bone : bf); try discriminate. simpl. now intros _ ->.
    + exfalso. revert Q. apply Rgt_not_eq. now apply F2R_gt_0.
  - assert (E1 := Bone_correct prec emax Hp He).
    generalize (Bdiv_correct prec emax Hp He m Bone q Q). rewrite E1, S, S1.
    destruct Rlt_bool; [|apply overflow_is_at_least_one].
    intros (E & F2 & _). right. rewrite F2. split; [now apply is_finite_Bone|].
    rewrite E. apply round_ge_generic; auto with typeclass_instances; [apply format_of_one|].
    apply Rmult_le_reg_r with (B2R q); [lra|]. field_simplify; lra.
Qed.

Section AnyTanh.
Variable tanh : bf -> bf.
Hypothesis tanh_is_plausible : plausible_tanh 1 tanh.

(* What both branches multiply min(|x|, c) with. *)
Lemma factor_below m (q : bf) : is_finite q = true -> 0 <= B2R q <= 1 ->
  let f := if Bltb (B754_zero false) q then Bdiv m (tanh q) q else Bone in
  is_finite f = true /\ Rabs (B2R f) <= 1.
Proof.
  intros F H. cbv zeta. rewrite Bltb_correct by easy. simpl (B2R (B754_zero false)).
  destruct (Rlt_bool_spec 0 (B2R q)) as [L|L].
  - destruct tanh_is_plausible as (T & _). destruct (T q F H) as (Ft & Ht).
    destruct (quotient_at_most_one m (tanh q) q Ft) as (Ff & Hf & _); auto; [lra|].
    rewrite !Rabs_pos_eq; lra.
  - rewrite is_finite_Bone, Bone_correct, Rabs_R1. split; trivial. lra.
Qed.

Lemma factor_above m (q least : bf) :
  is_finite q = true -> 0 <= B2R q <= 1 -> Bsign q = false ->
  is_finite least = true -> B2R least <= 1 ->
  let f := tanh (Bdiv m Bone (maximum q least)) in
  is_finite f = true /\ Rabs (B2R f) <= 1.
Proof.
  intros F H S Fl Hl. cbv zeta. destruct tanh_is_plausible as (_ & T).
  destruct (T (Bdiv m Bone (maximum q least))) as (Ft & Ht).
  - apply inverse_at_least_one; unfold maximum; rewrite Bltb_correct by assumption;
      destruct (Rlt_bool_spec (B2R q) (B2R least)); trivial.
    + lra.
    + apply sign_of_positive. lra.
  - split; trivial. rewrite Rabs_pos_eq; lra.
Qed.

Lemma tanh_branches m (least x c : bf) :
  is_finite least = true -> B2R least <= 1 ->
  let slow := minimum (Babs x) c in
  let fast := maximum (Babs x) c in
  is_finite slow = true ->
  is_finite (Bdiv m slow fast) = true -> 0 <= B2R (Bdiv m slow fast) <= 1 ->
  Bsign (Bdiv m slow fast) = false ->
  is_finite (tanh_kernel tanh least m x c) = true /\
  Rabs (B2R (tanh_kernel tanh least m x c)) <= Rabs (B2R slow) /\
  Bsign (tanh_kernel tanh least m x c) = Bsign x.
Proof.
  intros Fl Hl slow fast Fs Fq Hq Sq. unfold tanh_kernel. cbv zeta. fold slow fast.
  unfold nan_to_zero. rewrite (not_nan_of_finite _ Fq).
  set (y := if Bltb (Babs x) c then _ else _).
  assert (Y : is_finite y = true /\ Rabs (B2R y) <= Rabs (B2R slow)).
  { unfold y. destruct (Bltb (Babs x) c).
    - destruct (factor_below m _ Fq Hq) as (Ff & Hf). now apply product_shrinks.
    - destruct (factor_above m _ least Fq Hq Sq Fl Hl) as (Ff & Hf). now apply product_shrinks. }
  destruct Y as (Fy & Hy). destruct (copysign_spec y x (not_nan_of_finite _ Fy)) as (Fz & Hz & Sz).
  rewrite Fz, Hz, Sz. auto.
Qed.
End AnyTanh.
End Tanh.

(* ---- A tanh that may reach 2, for the mutants ---- *)
Lemma steep_is_plausible : plausible_tanh 2 steep.
Proof.
  assert (F1 : is_finite (Bone : binary32) = true) by now vm_compute.
  assert (E1 : B2R (Bone : binary32) = 1) by apply Bone_correct.
  destruct (one_plus_of_fraction mode_NE (Bone : binary32) F1) as (F2 & H2); [lra|].
  split; intros r; unfold steep.
  - intros F R. rewrite Bleb_correct by assumption. rewrite E1, Rle_bool_true by apply R.
    split; trivial. lra.
  - intros [-> | (F & R)].
    + replace (Bleb _ Bone) with false by now vm_compute. split; trivial. lra.
    + rewrite Bleb_correct, E1 by assumption.
      destruct (Rle_bool_spec (B2R r) 1); split; trivial; lra.
Qed.

(* ---- Theorems ---- *)

(* With any plausible tanh the kernel keeps every finite entry at or below the limit. *)
Theorem tanh_kernel_limited :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (tanh : binary_float prec emax -> binary_float prec emax)
    (least x c : binary_float prec emax),
  plausible_tanh 1 tanh -> is_finite least = true -> B2R least <= 1 ->
  is_finite x = true -> is_finite c = true -> 0 < B2R c ->
  limited x c (tanh_kernel tanh least m x c).
Proof.
  intros prec emax Hp He m tanh least x c T Fl Hl Fx Fc C0.
  destruct (slow_and_fast x c Fx Fc C0) as (Fs & S0 & Sc & Sx & S & F0 & Sf).
  destruct (quotient_at_most_one m _ (maximum (Babs x) c) Fs) as (Fq & Hq & Sq).
  - lra.
  - rewrite !Rabs_pos_eq; lra.
  - rewrite S, (sign_of_positive _ F0) in Sq. simpl in Sq.
    assert (Q0 := nonnegative_of_sign _ Sq). apply Rabs_le_inv in Hq.
    destruct (tanh_branches tanh T m least x c Fl Hl Fs Fq) as (Fy & Hy & Sy); trivial; [lra|].
    rewrite (Rabs_pos_eq (B2R (minimum _ _))) in Hy by exact S0.
    repeat split; trivial; lra.
Qed.

(* Broken: a tanh that may reach 2. *)
Lemma tanh_kernel_limited_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (tanh : binary_float prec emax -> binary_float prec emax)
    (least x c : binary_float prec emax),
  plausible_tanh 2 tanh -> is_finite least = true -> B2R least <= 1 ->
  is_finite x = true -> is_finite c = true -> 0 < B2R c ->
  limited x c (tanh_kernel tanh least m x c)).
Proof.
  intros H.
  assert (Fx : is_finite (number 1 1 : binary32) = true) by now vm_compute.
  assert (C0 : 0 < B2R (Bone : binary32)) by (rewrite Bone_correct; lra).
  assert (Z1 : B2R (B754_zero false : binary32) <= 1) by (simpl; lra).
  destruct (H 24%Z 128%Z _ _ mode_NE steep (B754_zero false) (number 1 1) Bone
    steep_is_plausible eq_refl Z1 Fx eq_refl C0) as (_ & L & _).
  apply Rle_not_lt with (1 := L). apply Rlt_le_trans with (2 := Rle_abs _).
  now apply less_by_computation; vm_compute.
Qed.

(* An infinite entry becomes finite and at most the limit. *)
Theorem tanh_kernel_infinity :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (tanh : binary_float prec emax -> binary_float prec emax) (s : bool)
    (least c : binary_float prec emax),
  plausible_tanh 1 tanh -> is_finite least = true -> B2R least <= 1 -> 0 < B2R c ->
  is_finite (tanh_kernel tanh least m (B754_infinity s) c) = true /\
  Rabs (B2R (tanh_kernel tanh least m (B754_infinity s) c)) <= B2R c.
Proof.
  intros prec emax Hp He m tanh s least c T Fl Hl C0. assert (S := sign_of_positive c C0).
  destruct c as [t|t| |t digits e B]; simpl in C0; try lra. simpl in S. subst t.
  set (c := B754_finite false digits e B).
  destruct (tanh_branches tanh T m least (B754_infinity s) c Fl Hl) as (F & H & _);
    try easy; [simpl; lra|].
  split; trivial. change (minimum (Babs (B754_infinity s)) c) with c in H.
  rewrite (Rabs_pos_eq (B2R c)) in H; trivial. now apply F2R_ge_0.
Qed.

Lemma tanh_kernel_infinity_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (tanh : binary_float prec emax -> binary_float prec emax) (s : bool)
    (least c : binary_float prec emax),
  plausible_tanh 2 tanh -> is_finite least = true -> B2R least <= 1 -> 0 < B2R c ->
  is_finite (tanh_kernel tanh least m (B754_infinity s) c) = true /\
  Rabs (B2R (tanh_kernel tanh least m (B754_infinity s) c)) <= B2R c).
Proof.
  intros H.
  assert (C0 : 0 < B2R (Bone : binary32)) by (rewrite Bone_correct; lra).
  assert (Z1 : B2R (B754_zero false : binary32) <= 1) by (simpl; lra).
  destruct (H 24%Z 128%Z _ _ mode_NE steep false (B754_zero false) Bone
    steep_is_plausible eq_refl Z1 C0) as (_ & L).
  apply Rle_not_lt with (1 := L). apply Rlt_le_trans with (2 := Rle_abs _).
  now apply less_by_computation; vm_compute.
Qed.
