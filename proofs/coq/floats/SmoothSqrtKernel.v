(* The entrywise kernels of smooth_sqrt on floating-point numbers, in every format and rounding
   mode: finite, at most c and at most |x|, whatever overflows or underflows on the way.
   x is the proposed entry, c the speed limit; the kernels are defined in Kernels.v.
   The first section holds facts on single operations, which the other kernels use too. *)
From Coq Require Import ZArith Reals Psatz Bool.
From Flocq Require Import Core BinarySingleNaN.
From Subluminal Require Import Kernels.
Open Scope R_scope.

(* ---- Facts on single operations ---- *)
Section Operations.
Context {prec emax : Z} {Hp : Prec_gt_0 prec} {He : Prec_lt_emax prec emax}.
Local Notation bf := (binary_float prec emax).
Local Notation fexp := (SpecFloat.fexp prec emax).
Local Notation rounded m := (round radix2 fexp (round_mode m)).

Lemma fexp_is_valid : Valid_exp fexp.
Proof. apply (fexp_correct prec emax Hp). Qed.
Local Existing Instance fexp_is_valid.

Lemma format_of_power k : (0 <= k <= 1)%Z -> generic_format radix2 fexp (bpow radix2 k).
Proof.
  intros Hk. apply generic_format_bpow. unfold SpecFloat.fexp, SpecFloat.emin.
  unfold Prec_gt_0, Prec_lt_emax in *. lia.
Qed.

Lemma format_of_one : generic_format radix2 fexp 1.
Proof. change 1 with (bpow radix2 0). apply format_of_power. lia. Qed.

Lemma format_of_two : generic_format radix2 fexp 2.
Proof. change 2 with (bpow radix2 1). apply format_of_power. lia. Qed.

Lemma two_below_overflow : 2 < bpow radix2 emax.
Proof.
  change 2 with (bpow radix2 1). apply bpow_lt. unfold Prec_gt_0, Prec_lt_emax in *. lia.
Qed.

Lemma finite_of_nonzero (y : bf) : B2R y <> 0 -> is_finite y = true.
Proof. intros H. apply is_finite_strict_B2R in H. now destruct y. Qed.

Lemma sign_of_positive (y : bf) : 0 < B2R y -> Bsign y = false.
Proof.
  destruct y as [s|s| |s digits e H]; simpl; try lra.
  destruct s; trivial. intros Hy. exfalso. apply Rlt_not_le with (1 := Hy).
  now apply F2R_le_0.
Qed.

Lemma nonnegative_of_sign (y : bf) : Bsign y = false -> 0 <= B2R y.
Proof.
  destruct y as [s|s| |s digits e H]; simpl; try lra. intros ->. now apply F2R_ge_0.
Qed.

Lemma nonpositive_of_sign (y : bf) : Bsign y = true -> B2R y <= 0.
Proof.
  destruct y as [s|s| |s digits e H]; simpl; try lra. intros ->. now apply F2R_le_0.
Qed.

Lemma not_nan_of_finite (y : bf) : is_finite y = true -> is_nan y = false.
Proof. now destruct y. Qed.

Lemma copysign_spec (y x : bf) : is_nan y = false ->
  is_finite (copysign y x) = is_finite y /\
  Rabs (B2R (copysign y x)) = Rabs (B2R y) /\ Bsign (copysign y x) = Bsign x.
Proof.
  intros Hy. unfold copysign. destruct (Bool.eqb (Bsign y) (Bsign x)) eqn:E.
  - apply eqb_prop in E. auto.
  - rewrite is_finite_Bopp, B2R_Bopp, Rabs_Ropp, Bsign_Bopp by exact Hy.
    repeat split. revert E. now case (Bsign y), (Bsign x).
Qed.

Lemma abs_of_quotient a d : Rabs (a / d) = Rabs a / Rabs d.
Proof. unfold Rdiv. now rewrite Rabs_mult, Rabs_inv. Qed.

(* A quotient by a number of at least the same magnitude is at most 1 in magnitude. *)
Lemma quotient_at_most_one m (a d : bf) :
  is_finite a = true -> B2R d <> 0 -> Rabs (B2R a) <= Rabs (B2R d) ->
  is_finite (Bdiv m a d) = true /\ Rabs (B2R (Bdiv m a d)) <= 1 /\
  Bsign (Bdiv m a d) = xorb (Bsign a) (Bsign d).
Proof.
  intros Fa D0 H. assert (T := two_below_overflow).
  assert (K : Rabs (rounded m (B2R a / B2R d)) <= 1).
  { apply abs_round_le_generic; auto with typeclass_instances. apply format_of_one.
    apply Rabs_pos_lt in D0 as D1. rewrite abs_of_quotient.
    apply Rmult_le_reg_r with (Rabs (B2R d)); trivial. field_simplify; lra. }
  generalize (Bdiv_correct prec emax Hp He m a d D0).
  rewrite Rlt_bool_true by lra. intros (E & F & S). rewrite Fa in F.
  rewrite E, F, S by now apply not_nan_of_finite. auto.
Qed.

(* A quotient by a number of at least 1 is no larger than the dividend. *)
Lemma quotient_shrinks m (a w : bf) : is_finite a = true -> 1 <= B2R w ->
  is_finite (Bdiv m a w) = true /\ Rabs (B2R (Bdiv m a w)) <= Rabs (B2R a) /\
  Bsign (Bdiv m a w) = Bsign a.
Proof.
  intros Fa Hw. assert (W0 : B2R w <> 0) by lra.
  assert (H : Rabs (rounded m (B2R a / B2R w)) <= Rabs (B2R a)).
  { apply abs_round_le_generic; auto with typeclass_instances.
    - apply generic_format_abs, generic_format_B2R.
    - rewrite abs_of_quotient, (Rabs_pos_eq (B2R w)) by lra.
      apply Rmult_le_reg_r with (B2R w); [lra|].
      unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra.
      apply Rmult_le_compat_l; [apply Rabs_pos | lra]. }
  generalize (Bdiv_correct prec emax Hp He m a w W0).
  rewrite Rlt_bool_true by (apply Rle_lt_trans with (1 := H); apply abs_B2R_lt_emax).
  intros (E & F & S). rewrite Fa in F.
  rewrite E, F, S, (sign_of_positive w), xorb_false_r by first [lra | now apply not_nan_of_finite].
  auto.
Qed.

(* A product with a factor of at most 1 is no larger than the other factor. *)
Lemma product_shrinks m (a f : bf) :
  is_finite a = true -> is_finite f = true -> Rabs (B2R f) <= 1 ->
  is_finite (Bmult m a f) = true /\ Rabs (B2R (Bmult m a f)) <= Rabs (B2R a).
Proof.
  intros Fa Ff Hf. assert (A := Rabs_pos (B2R a)).
  assert (H : Rabs (rounded m (B2R a * B2R f)) <= Rabs (B2R a)).
  { apply abs_round_le_generic; auto with typeclass_instances.
    - apply generic_format_abs, generic_format_B2R.
    - rewrite Rabs_mult. nra. }
  generalize (Bmult_correct prec emax Hp He m a f).
  rewrite Rlt_bool_true by (apply Rle_lt_trans with (1 := H); apply abs_B2R_lt_emax).
  intros (E & F & _). now rewrite E, F, Fa, Ff.
Qed.

Lemma divided_by_one m (a : bf) : Bdiv m a Bone = a.
Proof.
  destruct (is_finite a) eqn:Fa.
  - destruct (quotient_shrinks m a Bone Fa) as (F & _ & S); [rewrite Bone_correct; lra|].
    apply B2R_Bsign_inj; trivial.
    assert (Z : B2R (Bone : bf) <> 0) by (rewrite Bone_correct; lra).
    generalize (Bdiv_correct prec emax Hp He m a Bone Z).
    rewrite Bone_correct. unfold Rdiv. rewrite Rinv_1, Rmult_1_r, round_generic
      by auto using generic_format_B2R with typeclass_instances.
    rewrite Rlt_bool_true by apply abs_B2R_lt_emax. now intros (E & _).
  - generalize (is_finite_strict_Bone prec emax Hp He) (Bsign_Bone prec emax Hp He).
    destruct (Bone : bf) as [s|s| |s digits e H]; try easy. simpl. intros _ ->.
    now destruct a as [t|[|]| |t n k B].
Qed.

(* 1 + q*q, with q*q in [0, 1], and its square root. *)
Lemma one_plus_of_fraction m (q : bf) : is_finite q = true -> 0 <= B2R q <= 1 ->
  is_finite (Bplus m Bone q) = true /\ 1 <= B2R (Bplus m Bone q) <= 2.
Proof.
  intros Fq Hq. assert (T := two_below_overflow).
  assert (F1 := is_finite_Bone prec emax Hp He).
  generalize (Bplus_correct prec emax Hp He m Bone q F1 Fq). rewrite Bone_correct.
  assert (H : 1 <= rounded m (1 + B2R q) <= 2).
  { split.
    - apply round_ge_generic; auto with typeclass_instances. apply format_of_one. lra.
    - apply round_le_generic; auto with typeclass_instances. apply format_of_two. lra. }
  rewrite Rlt_bool_true by (rewrite Rabs_pos_eq; lra). intros (E & F & _).
  now rewrite E, F.
Qed.

Lemma root_at_least_one m (y : bf) : is_finite y = true -> 1 <= B2R y ->
  is_finite (Bsqrt m y) = true /\ 1 <= B2R (Bsqrt m y).
Proof.
  intros Fy Hy. destruct (Bsqrt_correct prec emax Hp He m y) as (E & F & _). split.
  - rewrite F. assert (S : Bsign y = false) by (apply sign_of_positive; lra).
    destruct y as [s|s| |s digits e B]; simpl in *; try easy. now rewrite S.
  - rewrite E. apply round_ge_generic; auto with typeclass_instances. apply format_of_one.
    rewrite <- sqrt_1. now apply sqrt_le_1_alt.
Qed.

Lemma square_of_fraction m (q : bf) : is_finite q = true -> Rabs (B2R q) <= 1 ->
  is_finite (Bmult m q q) = true /\ 0 <= B2R (Bmult m q q) <= 1.
Proof.
  intros Fq Hq. assert (T := two_below_overflow).
  assert (Q : 0 <= B2R q * B2R q <= 1) by (apply Rabs_le_inv in Hq; nra).
  assert (H : 0 <= rounded m (B2R q * B2R q) <= 1).
  { split.
    - apply round_ge_generic; auto with typeclass_instances. apply generic_format_0. lra.
    - apply round_le_generic; auto with typeclass_instances. apply format_of_one. lra. }
  generalize (Bmult_correct prec emax Hp He m q q).
  rewrite Rlt_bool_true by (rewrite Rabs_pos_eq; lra). intros (E & F & _).
  rewrite E, F, Fq. auto.
Qed.

(* ---- What happens to a result ---- *)
Lemma harmless_keep : harmless (keep : bf -> bf).
Proof. intros y. now left. Qed.

Lemma harmless_flush : harmless (flush : bf -> bf).
Proof.
  intros y. destruct y as [s|s| |s digits e B]; try now left. simpl.
  destruct (Z.ltb_spec (Z.pos (SpecFloat.digits2_pos digits)) prec) as [H|H]; [right | now left].
  repeat split. rewrite <- F2R_Zabs. rewrite abs_cond_Zopp. simpl Z.abs.
  assert (E : e = SpecFloat.emin prec emax).
  { apply andb_prop in B as (B & _). apply Zeq_bool_eq in B.
    unfold SpecFloat.fexp in B. lia. }
  apply Rlt_le_trans with (bpow radix2 (prec - 1 + e)).
  - rewrite bpow_plus. unfold F2R. simpl Fexp; simpl Fnum.
    apply Rmult_lt_compat_r; [apply bpow_gt_0|].
    rewrite <- IZR_Zpower by (unfold Prec_gt_0 in Hp; lia). apply IZR_lt.
    rewrite Digits.Zpos_digits2_pos in H.
    apply (Digits.Zpower_gt_Zdigits radix2 (prec - 1) (Z.pos digits)). lia.
  - change 1 with (bpow radix2 0). apply bpow_le. rewrite E. unfold SpecFloat.emin.
    unfold Prec_gt_0, Prec_lt_emax in *. lia.
Qed.

Section AfterEveryResult.
Variable after : bf -> bf.
Hypothesis after_harmless : harmless after.

Lemma after_finite (y : bf) : is_finite y = true ->
  is_finite (after y) = true /\ Rabs (B2R (after y)) <= Rabs (B2R y) /\ Bsign (after y) = Bsign y.
Proof.
  intros F. destruct (after_harmless y) as [->|(_ & _ & ->)]; simpl.
  - repeat split; trivial. lra.
  - rewrite Rabs_R0. repeat split. apply Rabs_pos.
Qed.

Lemma after_large (y : bf) : 1 <= Rabs (B2R y) -> after y = y.
Proof. intros H. destruct (after_harmless y) as [E|(_ & L & _)]; trivial. lra. Qed.

Lemma after_fraction (y : bf) : is_finite y = true -> 0 <= B2R y <= 1 ->
  is_finite (after y) = true /\ 0 <= B2R (after y) <= 1.
Proof.
  intros F H. destruct (after_harmless y) as [->|(_ & _ & ->)]; simpl; auto. split; trivial. lra.
Qed.

Lemma lorentz_root_at_least_one m (q : bf) : is_finite q = true -> Rabs (B2R q) <= 1 ->
  is_finite (lorentz_root after m q) = true /\ 1 <= B2R (lorentz_root after m q).
Proof.
  intros Fq Hq. unfold lorentz_root.
  destruct (square_of_fraction m q Fq Hq) as (F1 & H1).
  destruct (after_fraction _ F1 H1) as (F2 & H2).
  destruct (one_plus_of_fraction m _ F2 H2) as (F3 & H3).
  rewrite (after_large (Bplus _ _ _)) by (rewrite Rabs_pos_eq; lra).
  destruct (root_at_least_one m _ F3 (proj1 H3)) as (F4 & H4).
  rewrite after_large by (rewrite Rabs_pos_eq; lra). auto.
Qed.

(* The core of both kernels: a/sqrt(1 + q*q) for |q| <= 1. *)
Lemma core_shrinks m (a q : bf) :
  is_finite a = true -> is_finite q = true -> Rabs (B2R q) <= 1 ->
  is_finite (after (Bdiv m a (lorentz_root after m q))) = true /\
  Rabs (B2R (after (Bdiv m a (lorentz_root after m q)))) <= Rabs (B2R a) /\
  Bsign (after (Bdiv m a (lorentz_root after m q))) = Bsign a.
Proof.
  intros Fa Fq Hq. destruct (lorentz_root_at_least_one m q Fq Hq) as (_ & H).
  destruct (quotient_shrinks m a _ Fa H) as (F1 & H1 & S1).
  destruct (after_finite _ F1) as (F2 & H2 & S2).
  repeat split; trivial. lra. congruence.
Qed.

Lemma after_quotient m (a d : bf) :
  is_finite a = true -> B2R d <> 0 -> Rabs (B2R a) <= Rabs (B2R d) ->
  is_finite (after (Bdiv m a d)) = true /\ Rabs (B2R (after (Bdiv m a d))) <= 1.
Proof.
  intros Fa D0 H. destruct (quotient_at_most_one m a d Fa D0 H) as (F1 & H1 & _).
  destruct (after_finite _ F1) as (F2 & H2 & _). split; trivial. lra.
Qed.

(* slow and fast are min(|x|, c) and max(|x|, c). *)
Lemma slow_and_fast (x c : bf) : is_finite x = true -> is_finite c = true -> 0 < B2R c ->
  let slow := minimum (Babs x) c in
  let fast := maximum (Babs x) c in
  is_finite slow = true /\ 0 <= B2R slow /\ B2R slow <= B2R c /\ B2R slow <= Rabs (B2R x) /\
  Bsign slow = false /\ 0 < B2R fast /\ B2R slow <= B2R fast.
Proof.
  intros Fx Fc C0. cbv zeta. unfold minimum, maximum.
  assert (N : is_nan x = false) by now apply not_nan_of_finite.
  rewrite !Bltb_correct by (rewrite ?is_finite_Babs; assumption). rewrite B2R_Babs.
  assert (X0 := Rabs_pos (B2R x)).
  destruct (Rlt_bool_spec (B2R c) (Rabs (B2R x))), (Rlt_bool_spec (Rabs (B2R x)) (B2R c));
    rewrite ?is_finite_Babs, ?Bsign_Babs, ?B2R_Babs by exact N;
    repeat split; trivial; try lra; now apply sign_of_positive.
Qed.

Lemma smooth_torch_with_limited m (x c : bf) :
  is_finite x = true -> is_finite c = true -> 0 < B2R c ->
  limited x c (smooth_torch_with after m x c).
Proof.
  intros Fx Fc C0.
  destruct (slow_and_fast x c Fx Fc C0) as (Fs & S0 & Sc & Sx & _ & F0 & Sf).
  unfold smooth_torch_with. cbv zeta in *.
  set (slow := minimum _ _) in *. set (fast := maximum _ _) in *.
  assert (F1 : B2R fast <> 0) by lra.
  destruct (after_quotient m slow fast Fs F1) as (Fq & Hq).
  { rewrite !Rabs_pos_eq by lra. exact Sf. }
  unfold nan_to_zero. rewrite (not_nan_of_finite _ Fq).
  destruct (core_shrinks m slow _ Fs Fq Hq) as (Fy & Hy & _).
  destruct (copysign_spec _ x (not_nan_of_finite _ Fy)) as (Fz & Hz & Sz).
  rewrite (Rabs_pos_eq (B2R slow)) in Hy by exact S0.
  unfold limited. rewrite Fz, Hz, Sz. repeat split; trivial; lra.
Qed.

Lemma at_most_one_is_minimum (q : bf) : is_finite q = true -> Rabs (B2R q) <= 1 ->
  minimum q Bone = q.
Proof.
  intros Fq Hq. unfold minimum.
  rewrite Bltb_correct, Bone_correct, Rlt_bool_false by
    (try apply is_finite_Bone; trivial; apply Rabs_le_inv in Hq; lra).
  trivial.
Qed.

Lemma smooth_numpy_with_limited m (x c : bf) :
  is_finite x = true -> is_finite c = true -> 0 < B2R c ->
  limited x c (smooth_numpy_with after m x c).
Proof.
  intros Fx Fc C0. unfold smooth_numpy_with.
  assert (Zc : is_zero c = false) by (destruct c; simpl in *; trivial; lra).
  assert (Ic : is_infinite c = false) by now destruct c.
  rewrite Zc, Ic, (not_nan_of_finite _ Fx). simpl orb.
  assert (Fa : is_finite (Babs x) = true) by now rewrite is_finite_Babs.
  rewrite Bltb_correct, B2R_Babs by assumption. unfold limited.
  destruct (Rlt_bool_spec (Rabs (B2R x)) (B2R c)) as [L|L].
  - destruct (after_quotient m (Babs x) c Fa) as (Fq & Hq);
      [lra | rewrite B2R_Babs, Rabs_Rabsolu, (Rabs_pos_eq (B2R c)); lra |].
    rewrite at_most_one_is_minimum by assumption.
    destruct (core_shrinks m x _ Fx Fq Hq) as (Fy & Hy & Sy).
    repeat split; trivial. lra.
  - assert (X0 : B2R (Babs x) <> 0) by (rewrite B2R_Babs; lra).
    destruct (after_quotient m c (Babs x) Fc X0) as (Fq & Hq).
    { rewrite B2R_Babs, Rabs_Rabsolu, (Rabs_pos_eq (B2R c)); lra. }
    rewrite at_most_one_is_minimum by assumption.
    destruct (core_shrinks m c _ Fc Fq Hq) as (Fy & Hy & _).
    rewrite (Rabs_pos_eq (B2R c)) in Hy by lra.
    destruct (copysign_spec _ x (not_nan_of_finite _ Fy)) as (Fz & Hz & Sz).
    rewrite Fz, Hz, Sz. repeat split; trivial; lra.
Qed.
End AfterEveryResult.

(* ---- Any root ---- *)

(* With the rounded square root it is torch's code. *)
Lemma smooth_by_rounded_root m (x c : bf) : smooth_torch_by (Bsqrt m) m x c = smooth_torch m x c.
Proof. reflexivity. Qed.

Lemma rounded_root_is_plausible m : plausible_root 1 (Bsqrt m : bf -> bf).
Proof. intros y F H. now apply root_at_least_one. Qed.

Lemma smooth_torch_by_limited root m (x c : bf) : plausible_root 1 root ->
  is_finite x = true -> is_finite c = true -> 0 < B2R c ->
  limited x c (smooth_torch_by root m x c).
Proof.
  intros R Fx Fc C0.
  destruct (slow_and_fast x c Fx Fc C0) as (Fs & S0 & Sc & Sx & _ & F0 & Sf).
  unfold smooth_torch_by. cbv zeta in *.
  set (slow := minimum _ _) in *. set (fast := maximum _ _) in *.
  destruct (quotient_at_most_one m slow fast Fs) as (Fq & Hq & _); [lra | |].
  { rewrite !Rabs_pos_eq by lra. exact Sf. }
  unfold nan_to_zero. rewrite (not_nan_of_finite _ Fq).
  destruct (square_of_fraction m _ Fq Hq) as (F1 & H1).
  destruct (one_plus_of_fraction m _ F1 H1) as (F2 & H2).
  destruct (R _ F2 H2) as (_ & H3).
  destruct (quotient_shrinks m slow _ Fs H3) as (Fy & Hy & _).
  destruct (copysign_spec _ x (not_nan_of_finite _ Fy)) as (Fz & Hz & Sz).
  rewrite (Rabs_pos_eq (B2R slow)) in Hy by exact S0.
  unfold limited. rewrite Fz, Hz, Sz. repeat split; trivial; lra.
Qed.

(* ---- Special values ---- *)
Lemma root_of_one m : Bsqrt m (Bone : bf) = Bone.
Proof.
  assert (F1 := is_finite_Bone prec emax Hp He). assert (E1 := Bone_correct prec emax Hp He).
  destruct (root_at_least_one m Bone F1) as (F & H); [rewrite E1; lra|].
  apply B2R_Bsign_inj; trivial.
  - destruct (Bsqrt_correct prec emax Hp He m Bone) as (E & _ & _).
    rewrite E, E1, sqrt_1. apply round_generic; auto using format_of_one with typeclass_instances.
  - rewrite !sign_of_positive; trivial; rewrite ?E1; lra.
Qed.

Lemma lorentz_root_of_zero m s : lorentz_root keep m (B754_zero s : bf) = Bone.
Proof.
  unfold lorentz_root, keep. simpl Bmult.
  replace (Bplus m Bone (B754_zero (xorb s s))) with (Bone : bf); [apply root_of_one|].
  generalize (is_finite_strict_Bone prec emax Hp He). now destruct (Bone : bf).
Qed.

Lemma over_root_of_zero m (a : bf) s : keep (Bdiv m a (lorentz_root keep m (B754_zero s))) = a.
Proof. rewrite lorentz_root_of_zero. apply divided_by_one. Qed.

(* Where the quotient is 0, as at infinity, the kernels only take a minimum. *)
Lemma smooth_torch_of_zero_quotient m (x c slow fast : bf) s :
  minimum (Babs x) c = slow -> maximum (Babs x) c = fast ->
  nan_to_zero (Bdiv m slow fast) = B754_zero s -> smooth_torch m x c = copysign slow x.
Proof.
  intros Es Ef Q. unfold smooth_torch, smooth_torch_with. cbv zeta. rewrite Es, Ef.
  change (keep (Bdiv m slow fast)) with (Bdiv m slow fast).
  now rewrite Q, over_root_of_zero.
Qed.

Lemma smooth_numpy_below m (x c : bf) :
  is_zero c = false -> is_nan x = false -> is_infinite c = false -> Bltb (Babs x) c = true ->
  smooth_numpy m x c = Bdiv m x (lorentz_root keep m (minimum (Bdiv m (Babs x) c) Bone)).
Proof. intros Z N I L. unfold smooth_numpy, smooth_numpy_with. now rewrite Z, N, I, L. Qed.

Lemma smooth_numpy_above m (x c : bf) :
  is_zero c = false -> is_nan x = false -> is_infinite c = false -> Bltb (Babs x) c = false ->
  smooth_numpy m x c =
  copysign (Bdiv m c (lorentz_root keep m (minimum (Bdiv m c (Babs x)) Bone))) x.
Proof. intros Z N I L. unfold smooth_numpy, smooth_numpy_with. now rewrite Z, N, I, L. Qed.

Lemma copysign_abs (x : bf) : copysign (Babs x) x = x.
Proof. now destruct x as [[|]|[|]| |[|] digits e H]. Qed.

Lemma copysign_infinity (c : bf) s : Bsign c = false ->
  copysign c (B754_infinity s) = if s then Bopp c else c.
Proof. intros S. unfold copysign. rewrite S. now destruct s. Qed.
End Operations.

(* ---- Comparisons by computation ---- *)
Lemma less_by_computation {prec emax} (a b : binary_float prec emax) :
  is_finite a = true -> is_finite b = true -> Bltb a b = true -> B2R a < B2R b.
Proof.
  intros Fa Fb H. rewrite Bltb_correct in H by assumption.
  now destruct (Rlt_bool_spec (B2R a) (B2R b)).
Qed.

Lemma equal_by_computation {prec emax} (a b : binary_float prec emax) :
  is_finite a = true -> is_finite b = true -> Beqb a b = true -> B2R a = B2R b.
Proof.
  intros Fa Fb H. rewrite Beqb_correct in H by assumption.
  now destruct (Req_bool_spec (B2R a) (B2R b)).
Qed.

Lemma positive_by_computation {prec emax} (a : binary_float prec emax) :
  is_finite a = true -> Bltb (B754_zero false) a = true -> 0 < B2R a.
Proof. intros Fa H. now apply (less_by_computation (B754_zero false)). Qed.

(* In binary32 the obvious code exceeds the limit 13421773*2^-27 at 13421777*2^-15. *)
Lemma naive_is_not_limited after : after = keep \/ after = flush ->
  exists x c : binary32, is_finite x = true /\ is_finite c = true /\ 0 < B2R c /\
  ~ limited x c (smooth_naive_with after mode_NE x c).
Proof.
  intros A. set (x := number 13421777 (-15) : binary32). set (c := number 13421773 (-27)).
  assert (Fx : is_finite x = true) by now vm_compute.
  assert (Fc : is_finite c = true) by now vm_compute.
  assert (C0 : Bltb (B754_zero false) c = true) by now vm_compute.
  exists x, c. refine (conj Fx (conj Fc (conj _ _))); [now apply positive_by_computation |].
  intros (F & H & _). apply Rle_not_lt with (1 := H).
  apply Rlt_le_trans with (2 := Rle_abs _).
  apply less_by_computation; trivial. now destruct A as [-> | ->]; vm_compute.
Qed.

(* ---- Theorems ---- *)

(* torch's code keeps every finite entry at or below the limit. *)
Theorem smooth_torch_limited :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (x c : binary_float prec emax),
  is_finite x = true -> is_finite c = true -> 0 < B2R c -> limited x c (smooth_torch m x c).
Proof. intros. now apply smooth_torch_with_limited; [apply harmless_keep | ..]. Qed.

Lemma smooth_torch_limited_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (x c : binary_float prec emax),
  is_finite x = true -> is_finite c = true -> 0 < B2R c -> limited x c (smooth_naive m x c)).
Proof.
  intros H. destruct (naive_is_not_limited keep) as (x & c & Fx & Fc & C0 & L); [now left|].
  now apply L, H.
Qed.

(* So does numpy's. *)
Theorem smooth_numpy_limited :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (x c : binary_float prec emax),
  is_finite x = true -> is_finite c = true -> 0 < B2R c -> limited x c (smooth_numpy m x c).
Proof. intros. now apply smooth_numpy_with_limited; [apply harmless_keep | ..]. Qed.

Lemma smooth_numpy_limited_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (x c : binary_float prec emax),
  is_finite x = true -> is_finite c = true -> 0 < B2R c -> limited x c (smooth_naive m x c)).
Proof. exact smooth_torch_limited_mutant. Qed.

(* Both keep their promise where every subnormal result is flushed to zero. *)
Theorem smooth_flushed_limited :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (x c : binary_float prec emax),
  is_finite x = true -> is_finite c = true -> 0 < B2R c ->
  limited x c (smooth_torch_with flush m x c) /\ limited x c (smooth_numpy_with flush m x c).
Proof.
  intros. split.
  - now apply smooth_torch_with_limited; [apply harmless_flush | ..].
  - now apply smooth_numpy_with_limited; [apply harmless_flush | ..].
Qed.

Lemma smooth_flushed_limited_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (x c : binary_float prec emax),
  is_finite x = true -> is_finite c = true -> 0 < B2R c ->
  limited x c (smooth_naive_with flush m x c)).
Proof.
  intros H. destruct (naive_is_not_limited flush) as (x & c & Fx & Fc & C0 & L); [now right|].
  now apply L, H.
Qed.

(* The square root need not be rounded correctly: any that is at least 1 from 1 on will do. *)
Theorem smooth_by_any_root_limited :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (root : binary_float prec emax -> binary_float prec emax) (x c : binary_float prec emax),
  plausible_root 1 root -> is_finite x = true -> is_finite c = true -> 0 < B2R c ->
  limited x c (smooth_torch_by root m x c).
Proof. intros. now apply smooth_torch_by_limited. Qed.

(* Broken: a root that may be as small as 1/2. *)
Lemma smooth_by_any_root_limited_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (root : binary_float prec emax -> binary_float prec emax) (x c : binary_float prec emax),
  plausible_root (1 / 2) root -> is_finite x = true -> is_finite c = true -> 0 < B2R c ->
  limited x c (smooth_torch_by root m x c)).
Proof.
  intros H.
  assert (F1 : is_finite (number 1 0 : binary32) = true) by now vm_compute.
  assert (C0 : 0 < B2R (number 1 0 : binary32)) by now apply positive_by_computation; vm_compute.
  assert (P : plausible_root (1 / 2) (fun _ : binary32 => number 1 (-1))).
  { intros y _ _. split; [now vm_compute|]. vm_compute. lra. }
  destruct (H 24%Z 128%Z _ _ mode_NE _ (number 1 0) (number 1 0) P F1 F1 C0) as (_ & L & _).
  apply Rle_not_lt with (1 := L). apply Rlt_le_trans with (2 := Rle_abs _).
  now apply less_by_computation; vm_compute.
Qed.

(* An infinite entry becomes the limit itself. *)
Theorem smooth_infinity :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode) (s : bool)
    (c : binary_float prec emax), 0 < B2R c ->
  smooth_torch m (B754_infinity s) c = (if s then Bopp c else c) /\
  smooth_numpy m (B754_infinity s) c = (if s then Bopp c else c).
Proof.
  intros prec emax Hp He m s c C0. assert (S := sign_of_positive c C0).
  rewrite <- copysign_infinity by exact S.
  destruct c as [t|t| |t digits e B]; simpl in C0; try lra. simpl in S. subst t. split.
  - now apply smooth_torch_of_zero_quotient with (fast := B754_infinity false) (s := false).
  - rewrite smooth_numpy_above by easy.
    change (Bdiv m (B754_finite false digits e B) (Babs (B754_infinity s)))
      with (B754_zero false : binary_float prec emax).
    rewrite at_most_one_is_minimum; [|trivial|simpl; rewrite Rabs_R0; lra].
    now rewrite lorentz_root_of_zero, divided_by_one.
Qed.

Lemma smooth_infinity_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode) (s : bool)
    (c : binary_float prec emax), 0 < B2R c ->
  smooth_naive m (B754_infinity s) c = if s then Bopp c else c).
Proof.
  intros H. specialize (H 24%Z 128%Z _ _ mode_NE false (number 1 0)).
  apply (f_equal is_nan) in H; [|now apply positive_by_computation; vm_compute].
  vm_compute in H. discriminate.
Qed.

(* NaN stays NaN, whatever the limit; numpy's code stops it with a limit of 0. *)
Theorem smooth_nan :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (c : binary_float prec emax),
  smooth_torch m B754_nan c = B754_nan /\
  (is_zero c = false -> smooth_numpy m B754_nan c = B754_nan).
Proof.
  intros prec emax Hp He m c. split.
  - transitivity (copysign B754_nan (B754_nan : binary_float prec emax)); trivial.
    now apply smooth_torch_of_zero_quotient with (fast := B754_nan) (s := false); destruct c.
  - unfold smooth_numpy, smooth_numpy_with. now intros ->.
Qed.

(* Broken: a minimum that takes its arguments in the other order loses the NaN. *)
Lemma smooth_nan_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (c : binary_float prec emax),
  copysign (minimum c (Babs B754_nan)) B754_nan = B754_nan).
Proof.
  intros H. specialize (H 24%Z 128%Z _ _ mode_NE (B754_zero false)). discriminate.
Qed.

(* A limit of 0 stops every entry that is not NaN, infinite ones too. *)
Theorem smooth_zero_limit :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode) (s : bool)
    (x : binary_float prec emax), is_nan x = false ->
  is_zero (smooth_torch m x (B754_zero s)) = true /\
  is_zero (smooth_numpy m x (B754_zero s)) = true.
Proof.
  intros prec emax Hp He m s x N. split; [|easy].
  destruct x as [t|t| |t digits e B]; try discriminate.
  - rewrite smooth_torch_of_zero_quotient
      with (slow := B754_zero false) (fast := B754_zero false) (s := false) by easy.
    unfold copysign. now case Bool.eqb.
  - rewrite smooth_torch_of_zero_quotient
      with (slow := B754_zero s) (fast := B754_infinity false) (s := xorb s false) by easy.
    unfold copysign. now case Bool.eqb.
  - rewrite smooth_torch_of_zero_quotient
      with (slow := B754_zero s) (fast := B754_finite false digits e B) (s := xorb s false) by easy.
    unfold copysign. now case Bool.eqb.
Qed.

Lemma smooth_zero_limit_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode) (s : bool)
    (x : binary_float prec emax), is_nan x = false ->
  is_zero (smooth_naive m x (B754_zero s)) = true).
Proof.
  intros H. specialize (H 24%Z 128%Z _ _ mode_NE false (B754_zero false) eq_refl).
  vm_compute in H. discriminate.
Qed.

(* An infinite limit is none. *)
Theorem smooth_no_limit :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (x : binary_float prec emax),
  smooth_torch m x (B754_infinity false) = x /\ smooth_numpy m x (B754_infinity false) = x.
Proof.
  intros prec emax Hp He m x. split.
  - rewrite <- (copysign_abs x) at 2. destruct x as [t|t| |t digits e B].
    + now apply smooth_torch_of_zero_quotient with (fast := B754_infinity false) (s := false).
    + now apply smooth_torch_of_zero_quotient with (fast := B754_infinity false) (s := false).
    + now apply smooth_torch_of_zero_quotient with (fast := B754_nan) (s := false).
    + now apply smooth_torch_of_zero_quotient with (fast := B754_infinity false) (s := false).
  - unfold smooth_numpy, smooth_numpy_with. simpl. now rewrite orb_true_r.
Qed.

Lemma smooth_no_limit_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (x : binary_float prec emax), smooth_naive m x (B754_infinity false) = x).
Proof.
  intros H. specialize (H 24%Z 128%Z _ _ mode_NE (B754_infinity false)).
  discriminate.
Qed.

(* ---- The two codes agree ---- *)
Section Agreement.
Context {prec emax : Z} {Hp : Prec_gt_0 prec} {He : Prec_lt_emax prec emax}.
Local Notation bf := (binary_float prec emax).
Local Notation fexp := (SpecFloat.fexp prec emax).
Local Notation rounded m := (round radix2 fexp (round_mode m)).

Lemma symmetric_rounding m y : symmetric m -> rounded m (- y) = - rounded m y.
Proof.
  intros [-> | [-> | ->]].
  - apply round_NE_opp.
  - apply round_NA_opp.
  - apply round_ZR_opp.
Qed.

(* In a symmetric mode the sign may be put on before the division or after it. *)
Lemma symmetric_quotient m (x w : bf) : symmetric m -> is_finite x = true -> 1 <= B2R w ->
  copysign (Bdiv m (Babs x) w) x = Bdiv m x w.
Proof.
  intros M Fx Hw. assert (Fa : is_finite (Babs x) = true) by now rewrite is_finite_Babs.
  destruct (quotient_shrinks m (Babs x) w Fa Hw) as (F1 & _ & S1).
  destruct (quotient_shrinks m x w Fx Hw) as (F2 & _ & S2).
  destruct (Bsign x) eqn:S.
  2: { replace (Babs x) with x; [|now destruct x as [[|]|[|]| |[|]]].
       unfold copysign. now rewrite S2, S. }
  replace (Babs x) with (Bopp x) in *; [|now destruct x as [[|]|[|]| |[|]]].
  rewrite Bsign_Bopp, S in S1 by now apply not_nan_of_finite. simpl in S1.
  unfold copysign. rewrite S1, S. simpl Bool.eqb. cbv iota.
  apply B2R_Bsign_inj; rewrite ?is_finite_Bopp, ?B2R_Bopp; trivial.
  - assert (W0 : B2R w <> 0) by lra.
    generalize (Bdiv_correct prec emax Hp He m (Bopp x) w W0)
      (Bdiv_correct prec emax Hp He m x w W0).
    rewrite B2R_Bopp.
    replace (- B2R x / B2R w) with (- (B2R x / B2R w)) by (field; lra).
    rewrite symmetric_rounding, Rabs_Ropp by exact M.
    destruct (Rlt_bool_spec (Rabs (rounded m (B2R x / B2R w))) (bpow radix2 emax)) as [L|L].
    + intros (E1 & _) (E2 & _). rewrite E1, E2. ring.
    + exfalso. apply Rle_not_lt with (1 := L).
      apply Rle_lt_trans with (2 := abs_B2R_lt_emax _ _ x).
      apply abs_round_le_generic; auto using fexp_is_valid with typeclass_instances.
      * apply generic_format_abs, generic_format_B2R.
      * rewrite abs_of_quotient, (Rabs_pos_eq (B2R w)) by lra.
        apply Rmult_le_reg_r with (B2R w); [lra|].
        unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra.
        apply Rmult_le_compat_l; [apply Rabs_pos | lra].
  - rewrite Bsign_Bopp, S1, S2 by now apply not_nan_of_finite. easy.
Qed.

Lemma finite_agreement m (x c : bf) :
  symmetric m -> is_finite x = true -> is_finite c = true -> 0 < B2R c ->
  smooth_torch m x c = smooth_numpy m x c.
Proof.
  intros M Fx Fc C0.
  assert (Zc : is_zero c = false) by (destruct c; simpl in *; trivial; lra).
  assert (Ic : is_infinite c = false) by now destruct c.
  assert (Nx := not_nan_of_finite _ Fx).
  assert (Fa : is_finite (Babs x) = true) by now rewrite is_finite_Babs.
  assert (X0 := Rabs_pos (B2R x)).
  assert (L := Bltb_correct prec emax (Babs x) c Fa Fc).
  assert (G := Bltb_correct prec emax c (Babs x) Fc Fa). rewrite B2R_Babs in L, G.
  change (smooth_torch m x c) with
    (copysign (Bdiv m (minimum (Babs x) c)
      (lorentz_root keep m (nan_to_zero (Bdiv m (minimum (Babs x) c) (maximum (Babs x) c))))) x).
  unfold minimum at 1 2, maximum.
  destruct (Rlt_bool_spec (Rabs (B2R x)) (B2R c)) as [H|H].
  - rewrite Rlt_bool_false in G by lra. rewrite smooth_numpy_below, L, G by assumption.
    destruct (quotient_at_most_one m (Babs x) c Fa) as (Fq & Hq & _); [lra | |].
    { rewrite B2R_Babs, Rabs_Rabsolu, (Rabs_pos_eq (B2R c)); lra. }
    rewrite at_most_one_is_minimum by assumption.
    unfold nan_to_zero. rewrite (not_nan_of_finite _ Fq).
    apply symmetric_quotient; trivial.
    now apply (lorentz_root_at_least_one keep harmless_keep).
  - rewrite smooth_numpy_above, L by assumption.
    assert (E : (if Bltb c (Babs x) then c else Babs x) = c).
    { destruct (Rlt_bool_spec (B2R c) (Rabs (B2R x))) as [K|K]; rewrite G; trivial.
      apply B2R_Bsign_inj; rewrite ?B2R_Babs; trivial; [lra|].
      now rewrite Bsign_Babs, sign_of_positive by assumption. }
    rewrite E.
    destruct (quotient_at_most_one m c (Babs x) Fc) as (Fq & Hq & _); rewrite ?B2R_Babs.
    + lra.
    + rewrite Rabs_Rabsolu, (Rabs_pos_eq (B2R c)); lra.
    + rewrite at_most_one_is_minimum by assumption.
      unfold nan_to_zero. now rewrite (not_nan_of_finite _ Fq).
Qed.
End Agreement.

(* For every entry and every limit above 0, infinite ones included, the two codes give the same
   number, NaN for NaN, in a rounding mode that does not look at the sign. *)
Theorem smooth_codes_agree :
  forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (x c : binary_float prec emax),
  symmetric m -> Bltb (B754_zero false) c = true -> smooth_torch m x c = smooth_numpy m x c.
Proof.
  intros prec emax Hp He m x c M C0.
  destruct (is_finite c) eqn:Fc.
  2: { destruct c as [t|[|]| |t digits e B]; try discriminate.
       destruct (smooth_no_limit prec emax Hp He m x) as (-> & ->). trivial. }
  assert (C1 : 0 < B2R c) by now apply positive_by_computation.
  destruct x as [t|t| |t digits e B].
  - now apply finite_agreement.
  - destruct (smooth_infinity prec emax Hp He m t c C1) as (-> & ->). trivial.
  - destruct (smooth_nan prec emax Hp He m c) as (-> & E). symmetry. apply E.
    now destruct c.
  - now apply finite_agreement.
Qed.

Lemma smooth_codes_agree_mutant :
  ~ (forall prec emax (Hp : Prec_gt_0 prec) (He : Prec_lt_emax prec emax) (m : mode)
    (x c : binary_float prec emax),
  Bltb (B754_zero false) c = true -> smooth_torch m x c = smooth_numpy m x c).
Proof.
  intros H. specialize (H 24%Z 128%Z _ _ mode_UP (number (-1) (-1)) (number 1 0)).
  apply (f_equal B2SF) in H; [|now vm_compute]. vm_compute in H. discriminate.
Qed.
