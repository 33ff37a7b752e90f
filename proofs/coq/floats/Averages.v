(* The moving average fl(fl(b*v) + fl(w*g)) in rounding to nearest: how far it is from b*v + w*g.
   fl is [nearest] of Kernels.v: any precision, any smallest number eta, any rule for ties, and no
   overflow; u is half an ulp of 1.  The first section holds facts on [nearest], which the files
   on sums and blocks use too. *)
From Coq Require Import ZArith Reals Psatz.
From Flocq Require Import Core Relative Plus_error.
From Subluminal Require Import Kernels.
Open Scope R_scope.

(* ---- Facts on rounding to nearest ---- *)
Section Nearest.
Variables emin prec : Z.
Hypothesis Hp : (0 < prec)%Z.
Variable choice : Z -> bool.
Local Notation fl := (nearest emin prec choice).
Local Notation u := (half_ulp prec).
Local Notation format := (generic_format radix2 (FLT_exp emin prec)).

Local Instance precision_is_positive : Prec_gt_0 prec := Hp.

Lemma half_ulp_is_u_ro : half_ulp prec = u_ro radix2 prec.
Proof. unfold half_ulp, u_ro. rewrite bpow_plus. simpl (bpow radix2 1). lra. Qed.

Lemma half_ulp_positive : 0 < u.
Proof. apply bpow_gt_0. Qed.

Lemma half_ulp_at_most_half : u <= 1 / 2.
Proof.
  replace (1 / 2) with (bpow radix2 (-1)) by (simpl; lra). apply bpow_le. lia.
Qed.

Lemma eta_positive : 0 < eta emin.
Proof. apply bpow_gt_0. Qed.

(* d = u/(1+u) is the largest relative error: 1 - d = 1/(1+u). *)
Lemma relative_error_bounds e : Rabs e <= u / (1 + u) ->
  1 + e <= 1 + u /\ 1 <= (1 + u) * (1 + e) /\ Rabs e <= u.
Proof.
  intros H. assert (U := half_ulp_positive).
  assert (D : u / (1 + u) * (1 + u) = u) by (field; lra).
  assert (D0 : 0 < u / (1 + u)) by (apply Rdiv_lt_0_compat; lra).
  assert (D1 : u / (1 + u) <= u) by nra.
  apply Rabs_le_inv in H as H1. repeat split; nra.
Qed.

Lemma nearest_format x : format (fl x).
Proof. apply generic_format_round; auto with typeclass_instances. Qed.

Lemma nearest_monotone x y : x <= y -> fl x <= fl y.
Proof. apply round_le; auto with typeclass_instances. Qed.

Lemma nearest_of_format x : format x -> fl x = x.
Proof. apply round_generic; auto with typeclass_instances. Qed.

Lemma format_of_bpow k : (emin <= k)%Z -> format (bpow radix2 k).
Proof. intros H. apply generic_format_bpow. unfold FLT_exp. lia. Qed.

Lemma nearest_nonnegative x : 0 <= x -> 0 <= fl x.
Proof. intros H. rewrite <- (nearest_of_format 0); [now apply nearest_monotone|].
  apply generic_format_0. Qed.

Lemma nearest_error x : exists e h,
  Rabs e <= u / (1 + u) /\ Rabs h <= eta emin / 2 /\ e * h = 0 /\ fl x = x * (1 + e) + h.
Proof.
  destruct (relative_error_N_FLT'_ex radix2 emin prec Hp choice x) as (e & h & He & Hh & Z & E).
  rewrite <- half_ulp_is_u_ro in He. exists e, h. repeat split; trivial.
  unfold eta. lra.
Qed.

(* A sum of two numbers of the format has no error from underflow. *)
Lemma nearest_sum x y : format x -> format y -> exists e,
  Rabs e <= u / (1 + u) /\ fl (x + y) = (x + y) * (1 + e).
Proof.
  intros Fx Fy. rewrite half_ulp_is_u_ro. now apply FLT_plus_error_N_ex.
Qed.

(* Nor is there one from 2^(emin+prec-1), the smallest normal number, on. *)
Lemma nearest_normal x : bpow radix2 (emin + prec - 1) <= Rabs x -> exists e,
  Rabs e <= u / (1 + u) /\ fl x = x * (1 + e).
Proof.
  intros H. rewrite half_ulp_is_u_ro. unfold nearest. rewrite round_FLT_FLX by exact H.
  now apply relative_error_N_FLX'_ex.
Qed.

(* Rounding by computation: x lies between 2^(k-1) and 2^k, and is nearest to digits * 2^e. *)
Lemma nearest_value x k digits : bpow radix2 (k - 1) <= x < bpow radix2 k ->
  Rabs (x * bpow radix2 (- FLT_exp emin prec k) - IZR digits) < / 2 ->
  fl x = IZR digits * bpow radix2 (FLT_exp emin prec k).
Proof.
  intros Hx H. unfold nearest, round, scaled_mantissa, cexp, F2R. simpl Fnum. simpl Fexp.
  rewrite (mag_unique_pos radix2 x k Hx).
  now rewrite (Znearest_imp choice _ digits H).
Qed.
End Nearest.

(* ---- Theorem ---- *)

(* The average is off by at most 2u of |b v| + |w g|, and a little more than eta from underflow. *)
Theorem average_error :
  forall (emin prec : Z) (choice : Z -> bool) (b v w g : R), (0 < prec)%Z ->
  Rabs (average (nearest emin prec choice) b v w g - (b * v + w * g)) <=
  2 * half_ulp prec * (Rabs (b * v) + Rabs (w * g)) + (1 + half_ulp prec) * eta emin.
Proof.
  intros emin prec choice b v w g Hp. unfold average.
  set (u := half_ulp prec). assert (U : 0 < u) by apply half_ulp_positive.
  destruct (nearest_error emin prec Hp choice (b * v)) as (e1 & h1 & He1 & Hh1 & _ & E1).
  destruct (nearest_error emin prec Hp choice (w * g)) as (e2 & h2 & He2 & Hh2 & _ & E2).
  destruct (nearest_sum emin prec Hp choice _ _ (nearest_format emin prec Hp choice (b * v))
    (nearest_format emin prec Hp choice (w * g))) as (e3 & He3 & E3).
  rewrite E3, E1, E2. fold u in He1, He2, He3. set (d := u / (1 + u)) in *.
  assert (D : d * (1 + u) = u) by (unfold d; field; lra).
  assert (D0 : 0 <= d) by (apply Rle_trans with (2 := He1), Rabs_pos).
  assert (D2 : 2 * d + d * d <= 2 * u) by nra.
  assert (P : forall a e, Rabs e <= d -> Rabs (a * (e + e3 + e * e3)) <= Rabs a * (2 * u)).
  { intros a e He. rewrite Rabs_mult. apply Rmult_le_compat_l; [apply Rabs_pos|].
    apply Rle_trans with (2 := D2).
    apply Rle_trans with (1 := Rabs_triang _ _).
    apply Rle_trans with (1 := Rplus_le_compat_r _ _ _ (Rabs_triang _ _)).
    rewrite Rabs_mult. assert (A := Rabs_pos e). assert (A3 := Rabs_pos e3). nra. }
  replace (_ - _) with (b * v * (e1 + e3 + e1 * e3) + w * g * (e2 + e3 + e2 * e3) +
    (h1 + h2) * (1 + e3)) by ring.
  apply Rle_trans with (1 := Rabs_triang _ _).
  apply Rle_trans with (1 := Rplus_le_compat_r _ _ _ (Rabs_triang _ _)).
  assert (H : Rabs ((h1 + h2) * (1 + e3)) <= (1 + u) * eta emin).
  { rewrite Rabs_mult, Rmult_comm.
    apply Rmult_le_compat; try apply Rabs_pos.
    - apply Rle_trans with (1 := Rabs_triang _ _). rewrite Rabs_R1.
      apply Rplus_le_compat_l. apply Rle_trans with (1 := He3). nra.
    - apply Rle_trans with (1 := Rabs_triang _ _). lra. }
  assert (P1 := P (b * v) e1 He1). assert (P2 := P (w * g) e2 He2). lra.
Qed.

(* Half the constant is too little: with two digits, 31/25 + 27/125 gives 1. *)
Lemma average_error_mutant :
  ~ (forall (emin prec : Z) (choice : Z -> bool) (b v w g : R), (0 < prec)%Z ->
  Rabs (average (nearest emin prec choice) b v w g - (b * v + w * g)) <=
  half_ulp prec * (Rabs (b * v) + Rabs (w * g)) + (1 + half_ulp prec) * eta emin).
Proof.
  intros H. specialize (H (-10)%Z 2%Z (fun _ => true) 1 (31 / 25) 1 (27 / 125) eq_refl).
  revert H. unfold average. rewrite !Rmult_1_l.
  rewrite (nearest_value _ _ _ (31 / 25) 1 2), (nearest_value _ _ _ (27 / 125) (-2) 3)
    by (simpl; try apply Rabs_def1; lra).
  rewrite (nearest_value _ _ _ (_ + _) 1 2) by (simpl; try apply Rabs_def1; lra).
  unfold half_ulp, eta. simpl. rewrite (Rabs_pos_eq (31 / 25)), (Rabs_pos_eq (27 / 125)) by lra.
  rewrite Rabs_left; lra.
Qed.
