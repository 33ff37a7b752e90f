(* Limited updates of n entries, measured by their Euclidean norm, and what follows for a run.

   Notation: a vector is a function from indices to R of which the first n entries count, vnorm n
   its norm; u is the proposed update, c the speed limit, S u = limit_vector l c n u the applied
   one; theta_t are the parameters after t steps and s_t the updates applied to them. *)

From Coq Require Import Reals Psatz.
From Subluminal Require Import Laws Claims Published.
Open Scope R_scope.

(** * Definitions *)

(* a_0 + ... + a_(n-1). *)
Fixpoint sum_below n (a : nat -> R) :=
  match n with O => 0 | S k => sum_below k a + a k end.

(* The inner product of the first n entries. *)
Definition dot n (u v : nat -> R) := sum_below n (fun i => u i * v i).

(* The Euclidean norm of the first n entries. *)
Definition vnorm n u := sqrt (dot n u u).

(* The difference of two vectors. *)
Definition minus_vector (u v : nat -> R) := fun i => u i - v i.

(* The applied update: the proposed one times the gain at r = |u|/c. *)
Definition limit_vector l c n (u : nat -> R) := fun i => gain l (vnorm n u / c) * u i.

(* Gradient descent on L x^2/2 with learning rate lr, k = lr L, limited by the smooth law. *)
Fixpoint quadratic_run c k x0 t :=
  match t with
  | O => x0
  | S p => quadratic_run c k x0 p - limit_entry smooth_sqrt c (k * quadratic_run c k x0 p)
  end.

(** * Sums, inner products, norms *)

Lemma sum_below_ext n a b : (forall i, a i = b i) -> sum_below n a = sum_below n b.
Proof. intros H. induction n; simpl; [easy |]. now rewrite IHn, H. Qed.

Lemma sum_below_plus n a b : sum_below n (fun i => a i + b i) = sum_below n a + sum_below n b.
Proof. induction n; simpl; [ring |]. rewrite IHn. ring. Qed.

Lemma sum_below_scale n k a : sum_below n (fun i => k * a i) = k * sum_below n a.
Proof. induction n; simpl; [ring |]. rewrite IHn. ring. Qed.

Lemma sum_below_nonneg n a : (forall i, 0 <= a i) -> 0 <= sum_below n a.
Proof. intros H. induction n; simpl; [lra |]. specialize (H n). lra. Qed.

Lemma dot_sym n u v : dot n u v = dot n v u.
Proof. apply sum_below_ext. intros i. ring. Qed.

Lemma dot_scale n k u v : dot n (fun i => k * u i) v = k * dot n u v.
Proof.
unfold dot. rewrite <- sum_below_scale. apply sum_below_ext. intros i. ring.
Qed.

Lemma dot_plus n u v w : dot n (fun i => u i + v i) w = dot n u w + dot n v w.
Proof.
unfold dot. rewrite <- sum_below_plus. apply sum_below_ext. intros i. ring.
Qed.

Lemma dot_ext n u u' v v' : (forall i, u i = u' i) -> (forall i, v i = v' i) ->
  dot n u v = dot n u' v'.
Proof. intros Hu Hv. apply sum_below_ext. intros i. now rewrite Hu, Hv. Qed.

Lemma dot_minus n u v w : dot n (minus_vector u v) w = dot n u w - dot n v w.
Proof.
replace (dot n u w - dot n v w) with (dot n u w + -1 * dot n v w) by ring.
rewrite <- dot_scale, <- dot_plus. apply dot_ext; [| easy].
intros i. unfold minus_vector. ring.
Qed.

Lemma dot_minus_minus n u v a b : dot n (minus_vector u v) (minus_vector a b)
  = dot n u a - dot n u b - dot n v a + dot n v b.
Proof.
rewrite dot_minus, (dot_sym n u), (dot_sym n v), !dot_minus.
rewrite (dot_sym n a u), (dot_sym n b u), (dot_sym n a v), (dot_sym n b v). ring.
Qed.

Lemma dot_self_nonneg n u : 0 <= dot n u u.
Proof. apply sum_below_nonneg. intros i. apply Rle_0_sqr. Qed.

Lemma norm_nonneg n u : 0 <= vnorm n u.
Proof. apply sqrt_pos. Qed.

Lemma norm_square n u : vnorm n u ^ 2 = dot n u u.
Proof. apply pow2_sqrt, dot_self_nonneg. Qed.

Lemma norm_ext n u v : (forall i, u i = v i) -> vnorm n u = vnorm n v.
Proof. intros H. unfold vnorm. f_equal. now apply dot_ext. Qed.

Lemma norm_scale n k u : vnorm n (fun i => k * u i) = Rabs k * vnorm n u.
Proof.
unfold vnorm. rewrite dot_scale, dot_sym, dot_scale.
replace (k * (k * dot n u u)) with (Rsqr k * dot n u u) by (unfold Rsqr; ring).
rewrite sqrt_mult_alt by apply Rle_0_sqr. now rewrite sqrt_Rsqr_abs.
Qed.

Lemma norm_1 u : vnorm 1 u = Rabs (u O).
Proof.
unfold vnorm, dot. simpl. rewrite Rplus_0_l. apply sqrt_Rsqr_abs.
Qed.

(* Cauchy and Schwarz. *)
Lemma dot_square n u v : dot n u v ^ 2 <= dot n u u * dot n v v.
Proof.
assert (H : forall s t, 0 <= s ^ 2 * dot n u u - 2 * s * t * dot n u v + t ^ 2 * dot n v v).
{ intros s t.
  assert (P := dot_self_nonneg n (minus_vector (fun i => s * u i) (fun i => t * v i))).
  rewrite dot_minus_minus, !dot_scale in P.
  rewrite (dot_sym n u (fun i => s * u i)), (dot_sym n u (fun i => t * v i)),
    (dot_sym n v (fun i => s * u i)), (dot_sym n v (fun i => t * v i)), !dot_scale,
    (dot_sym n v u) in P. lra. }
assert (A := dot_self_nonneg n u). assert (B := dot_self_nonneg n v).
set (a := dot n u u) in *. set (b := dot n v v) in *. set (d := dot n u v) in *.
destruct B as [B | B].
- assert (K := H b d). nra.
- assert (K := H d (a + 1)). rewrite <- B in *. nra.
Qed.

Lemma cauchy_schwarz n u v : dot n u v <= vnorm n u * vnorm n v.
Proof.
assert (C := dot_square n u v). rewrite <- !norm_square in C.
assert (P := norm_nonneg n u). assert (Q := norm_nonneg n v).
assert (0 <= vnorm n u * vnorm n v) by (now apply Rmult_le_pos). nra.
Qed.

Lemma triangle n u v : vnorm n (fun i => u i + v i) <= vnorm n u + vnorm n v.
Proof.
assert (P := norm_nonneg n u). assert (Q := norm_nonneg n v).
assert (N := norm_nonneg n (fun i => u i + v i)).
assert (E := norm_square n (fun i => u i + v i)).
rewrite dot_plus, (dot_sym n u), (dot_sym n v), !dot_plus, (dot_sym n v u),
  <- !norm_square in E.
assert (C := cauchy_schwarz n u v). nra.
Qed.

Lemma triangle_minus n u v : vnorm n (minus_vector u v) <= vnorm n u + vnorm n v.
Proof.
replace (vnorm n v) with (vnorm n (fun i => -1 * v i)).
- rewrite (norm_ext n (minus_vector u v) (fun i => u i + -1 * v i)).
  + apply triangle.
  + intros i. unfold minus_vector. ring.
- rewrite norm_scale, Rabs_left by lra. ring.
Qed.

(** * A single limited update *)

Lemma ratio_nonneg n c u : 0 < c -> 0 <= vnorm n u / c.
Proof. intros Hc. apply Rmult_le_pos; [apply norm_nonneg |]. left. now apply Rinv_0_lt_compat. Qed.

Lemma norm_limit_vector l c n u : total l -> direction_preserving l -> 0 < c ->
  vnorm n (limit_vector l c n u) = c * speed l (vnorm n u / c).
Proof.
intros Ht Hd Hc. assert (Hr := ratio_nonneg n c u Hc). unfold limit_vector.
rewrite norm_scale, Rabs_pos_eq by (apply Hd; [easy | now apply Ht]).
unfold speed. field. lra.
Qed.

Theorem bounded_law_vector : forall l, total l -> direction_preserving l -> bounded l ->
  forall n c u, 0 < c -> vnorm n (limit_vector l c n u) <= c.
Proof.
intros l Ht Hd Hb n c u Hc. rewrite norm_limit_vector by easy.
assert (Hr := ratio_nonneg n c u Hc). specialize (Hb _ Hr (Ht _ Hr)). nra.
Qed.

(* Clipping reaches the limit. *)
Lemma bounded_law_vector_mutant :
  ~ (forall l, total l -> direction_preserving l -> bounded l ->
     forall n c u, 0 < c -> vnorm n (limit_vector l c n u) <= 99 / 100 * c).
Proof.
intros H. specialize (H hard_clip hard_clip_total hard_clip_direction_preserving
  hard_clip_bounded 1%nat 1 (fun _ => 1) ltac:(lra)).
rewrite norm_limit_vector, norm_1, Rabs_R1 in H
  by (apply hard_clip_total || apply hard_clip_direction_preserving || lra).
rewrite speed_hard_clip, Rmin_left in H; lra.
Qed.

Lemma norm_smooth_sqrt_vector c n u : 0 < c ->
  vnorm n (limit_vector smooth_sqrt c n u) = c * speed smooth_sqrt (vnorm n u / c).
Proof.
apply norm_limit_vector; [apply smooth_sqrt_total | apply smooth_sqrt_direction_preserving].
Qed.

Theorem smooth_sqrt_vector_below : forall n c u, 0 < c ->
  vnorm n (limit_vector smooth_sqrt c n u) < c.
Proof.
intros n c u Hc. rewrite norm_smooth_sqrt_vector by easy.
assert (S := smooth_sqrt_speed_below_1 _ (ratio_nonneg n c u Hc)). nra.
Qed.

Lemma smooth_sqrt_vector_below_mutant :
  ~ (forall n c u, 0 < c -> vnorm n (limit_vector smooth_sqrt c n u) < 99 / 100 * c).
Proof.
intros H. specialize (H 1%nat 1 (fun _ => 10) ltac:(lra)).
rewrite norm_smooth_sqrt_vector, norm_1, Rabs_pos_eq in H by lra.
assert (S := smooth_sqrt_at_10). rewrite entry_speed in S by lra.
replace (10 / 1) with 10 in H by field. lra.
Qed.

Theorem smooth_sqrt_vector_never_longer : forall n c u, 0 < c ->
  vnorm n (limit_vector smooth_sqrt c n u) <= vnorm n u.
Proof.
intros n c u Hc. unfold limit_vector. assert (P := smooth_sqrt_gain_range (vnorm n u / c)).
rewrite norm_scale, Rabs_pos_eq by lra. assert (N := norm_nonneg n u). nra.
Qed.

(* phi(1/10) = 0.995... *)
Lemma smooth_sqrt_gain_tenth : 0.995 <= gain smooth_sqrt (1 / 10) <= 1.
Proof.
assert (P := smooth_sqrt_gain_range (1 / 10)). assert (E := smooth_sqrt_gain_square (1 / 10)).
nra.
Qed.

(* A single entry 1 under the limit 10. *)
Lemma limit_one : limit_vector smooth_sqrt 10 1 (fun _ => 1) O = gain smooth_sqrt (1 / 10).
Proof. unfold limit_vector. rewrite norm_1, Rabs_R1. ring. Qed.

Lemma smooth_sqrt_vector_never_longer_mutant :
  ~ (forall n c u, 0 < c -> vnorm n (limit_vector smooth_sqrt c n u) <= 99 / 100 * vnorm n u).
Proof.
intros H. specialize (H 1%nat 10 (fun _ => 1) ltac:(lra)).
rewrite !norm_1, limit_one, Rabs_R1 in H. assert (G := smooth_sqrt_gain_tenth).
rewrite Rabs_pos_eq in H; lra.
Qed.

(* The angle between the proposed and the applied update is 0. *)
Theorem smooth_sqrt_vector_direction : forall n c u, 0 < c ->
  dot n (limit_vector smooth_sqrt c n u) u = vnorm n (limit_vector smooth_sqrt c n u) * vnorm n u.
Proof.
intros n c u _. unfold limit_vector. assert (P := smooth_sqrt_gain_range (vnorm n u / c)).
rewrite norm_scale, Rabs_pos_eq, dot_scale, <- norm_square by lra. ring.
Qed.

(* Limiting every entry by itself turns (3/4, 4/3) into (3/5, 4/5). *)
Lemma smooth_sqrt_vector_direction_mutant : ~ (forall n c u, 0 < c ->
  dot n (fun i => limit_entry smooth_sqrt c (u i)) u
  = vnorm n (fun i => limit_entry smooth_sqrt c (u i)) * vnorm n u).
Proof.
intros H. specialize (H 2%nat 1 (fun i => match i with O => 3 / 4 | _ => 4 / 3 end) ltac:(lra)).
assert (A := smooth_sqrt_at_3_4).
assert (B : entry smooth_sqrt (4 / 3) = 4 / 5).
{ rewrite entry_smooth_sqrt. replace (1 + (4 / 3) ^ 2) with ((5 / 3) ^ 2) by field.
  rewrite sqrt_pow2 by lra. field. }
unfold vnorm, dot in H. simpl in H. rewrite !limit_entry_1, A, B in H.
replace (0 + 3 / 5 * (3 / 5) + 4 / 5 * (4 / 5)) with 1 in H by field. rewrite sqrt_1 in H.
set (q := 0 + 3 / 4 * (3 / 4) + 4 / 3 * (4 / 3)) in H.
assert (Q : sqrt q * sqrt q = 337 / 144).
{ rewrite sqrt_sqrt; unfold q; lra. }
nra.
Qed.

(** * Two limited updates *)

(* The inequality behind firm non-expansiveness, p and q being gains, x and y norms. *)
Lemma firm_inequality p q x y d : 0 <= p <= 1 -> 0 <= q <= 1 -> d <= x * y ->
  0 <= (p * x - q * y) * ((1 - p) * x - (1 - q) * y) ->
  p ^ 2 * x ^ 2 - 2 * (p * q * d) + q ^ 2 * y ^ 2 <= p * x ^ 2 - (p + q) * d + q * y ^ 2.
Proof.
intros Hp Hq Hd H.
assert (W : 0 <= p + q - 2 * (p * q)) by nra.
assert (V : 0 <= (p + q - 2 * (p * q)) * (x * y - d)) by (apply Rmult_le_pos; lra). nra.
Qed.

(* rho and r - rho(r) grow together. *)
Lemma speeds_ordered l a b : total l -> monotone l -> nonexpansive l -> 0 <= a -> 0 <= b ->
  0 <= (speed l a - speed l b) * ((a - speed l a) - (b - speed l b)).
Proof.
intros Ht Hm Hn Ha Hb.
assert (N := Hn a b Ha Hb (Ht a Ha) (Ht b Hb)).
destruct (Rle_dec a b) as [Hab | Hab].
- assert (M := Hm a b (conj Ha Hab) (Ht a Ha) (Ht b Hb)).
  rewrite !Rabs_left1 in N by lra. nra.
- assert (M := Hm b a ltac:(lra) (Ht b Hb) (Ht a Ha)).
  rewrite !Rabs_pos_eq in N by lra. nra.
Qed.

Theorem law_firmly_nonexpansive : forall l, total l -> never_amplifies l ->
  direction_preserving l -> monotone l -> nonexpansive l -> forall n c u v, 0 < c ->
  vnorm n (minus_vector (limit_vector l c n u) (limit_vector l c n v)) ^ 2
  <= dot n (minus_vector (limit_vector l c n u) (limit_vector l c n v)) (minus_vector u v).
Proof.
intros l Ht Ha Hd Hm Hn n c u v Hc. rewrite norm_square, !dot_minus_minus.
assert (A := ratio_nonneg n c u Hc). assert (B := ratio_nonneg n c v Hc).
assert (C := cauchy_schwarz n u v).
assert (O := speeds_ordered l _ _ Ht Hm Hn A B). unfold speed in O.
unfold limit_vector.
assert (P : 0 <= gain l (vnorm n u / c) <= 1) by (split; [apply Hd | apply Ha]; auto).
assert (Q : 0 <= gain l (vnorm n v / c) <= 1) by (split; [apply Hd | apply Ha]; auto).
set (p := gain l (vnorm n u / c)) in *. set (q := gain l (vnorm n v / c)) in *.
rewrite !(dot_scale n p), !(dot_scale n q).
rewrite (dot_sym n u (fun i => p * u i)), (dot_sym n u (fun i => q * v i)),
  (dot_sym n v (fun i => p * u i)), (dot_sym n v (fun i => q * v i)).
rewrite !(dot_scale n p), !(dot_scale n q), (dot_sym n v u), <- !norm_square.
set (x := vnorm n u) in *. set (y := vnorm n v) in *. set (d := dot n u v) in *.
assert (F := firm_inequality p q x y d P Q C). lapply F; [intros; nra |].
replace ((p * x - q * y) * ((1 - p) * x - (1 - q) * y))
  with (c ^ 2 * ((x / c * p - y / c * q) * (x / c - x / c * p - (y / c - y / c * q))))
  by (field; lra).
apply Rmult_le_pos; [apply pow2_ge_0 | exact O].
Qed.

Theorem law_monotone : forall l, total l -> never_amplifies l ->
  direction_preserving l -> monotone l -> nonexpansive l -> forall n c u v, 0 < c ->
  0 <= dot n (minus_vector (limit_vector l c n u) (limit_vector l c n v)) (minus_vector u v).
Proof.
intros l Ht Ha Hd Hm Hn n c u v Hc. eapply Rle_trans; [apply pow2_ge_0 |].
now apply law_firmly_nonexpansive.
Qed.

(* Without the last two conditions: the published law makes 12/25 of 3/5, 60/169 of 12/13. *)
Lemma law_monotone_mutant : ~ (forall l, total l -> never_amplifies l ->
  direction_preserving l -> forall n c u v, 0 < c ->
  0 <= dot n (minus_vector (limit_vector l c n u) (limit_vector l c n v)) (minus_vector u v)).
Proof.
intros H. specialize (H published published_total published_never_amplifies
  published_direction_preserving 1%nat 1 (fun _ => 12 / 13) (fun _ => 3 / 5) ltac:(lra)).
unfold dot, minus_vector in H. simpl sum_below in H.
assert (E : forall x, limit_vector published 1 1 (fun _ => x) O = entry published x).
{ intros x. unfold limit_vector, entry. rewrite norm_1. unfold Rdiv. rewrite Rinv_1, Rmult_1_r.
  ring. }
rewrite !E, published_at_3_5, entry_published_below in H by lra.
replace (1 - (12 / 13) ^ 2) with ((5 / 13) ^ 2) in H by field.
rewrite sqrt_pow2 in H by lra. lra.
Qed.

Theorem law_nonexpansive : forall l, total l -> never_amplifies l ->
  direction_preserving l -> monotone l -> nonexpansive l -> forall n c u v, 0 < c ->
  vnorm n (minus_vector (limit_vector l c n u) (limit_vector l c n v))
  <= vnorm n (minus_vector u v).
Proof.
intros l Ht Ha Hd Hm Hn n c u v Hc.
assert (F := law_firmly_nonexpansive l Ht Ha Hd Hm Hn n c u v Hc).
set (s := minus_vector (limit_vector l c n u) (limit_vector l c n v)) in *.
assert (C := cauchy_schwarz n s (minus_vector u v)).
assert (N := norm_nonneg n s). assert (M := norm_nonneg n (minus_vector u v)). nra.
Qed.

Theorem smooth_sqrt_vector_firmly_nonexpansive : forall n c u v, 0 < c ->
  vnorm n (minus_vector (limit_vector smooth_sqrt c n u) (limit_vector smooth_sqrt c n v)) ^ 2
  <= dot n (minus_vector (limit_vector smooth_sqrt c n u) (limit_vector smooth_sqrt c n v))
       (minus_vector u v).
Proof.
apply law_firmly_nonexpansive.
- apply smooth_sqrt_total.
- apply smooth_sqrt_never_amplifies.
- apply smooth_sqrt_direction_preserving.
- apply smooth_sqrt_monotone.
- apply smooth_sqrt_nonexpansive.
Qed.

Theorem smooth_sqrt_vector_nonexpansive : forall n c u v, 0 < c ->
  vnorm n (minus_vector (limit_vector smooth_sqrt c n u) (limit_vector smooth_sqrt c n v))
  <= vnorm n (minus_vector u v).
Proof.
apply law_nonexpansive.
- apply smooth_sqrt_total.
- apply smooth_sqrt_never_amplifies.
- apply smooth_sqrt_direction_preserving.
- apply smooth_sqrt_monotone.
- apply smooth_sqrt_nonexpansive.
Qed.

(* The mutants below compare the single entries 1 and 0 under the limit 10. *)
Lemma limit_zero n c : limit_vector smooth_sqrt c n (fun _ => 0) O = 0.
Proof. unfold limit_vector. ring. Qed.

Lemma smooth_sqrt_vector_firmly_nonexpansive_mutant : ~ (forall n c u v, 0 < c ->
  101 / 100 *
  vnorm n (minus_vector (limit_vector smooth_sqrt c n u) (limit_vector smooth_sqrt c n v)) ^ 2
  <= dot n (minus_vector (limit_vector smooth_sqrt c n u) (limit_vector smooth_sqrt c n v))
       (minus_vector u v)).
Proof.
intros H. specialize (H 1%nat 10 (fun _ => 1) (fun _ => 0) ltac:(lra)).
rewrite norm_1, pow2_abs in H. unfold dot, minus_vector in H. simpl sum_below in H.
rewrite limit_one, limit_zero in H. assert (G := smooth_sqrt_gain_tenth). nra.
Qed.

Lemma smooth_sqrt_vector_nonexpansive_mutant : ~ (forall n c u v, 0 < c ->
  vnorm n (minus_vector (limit_vector smooth_sqrt c n u) (limit_vector smooth_sqrt c n v))
  <= 99 / 100 * vnorm n (minus_vector u v)).
Proof.
intros H. specialize (H 1%nat 10 (fun _ => 1) (fun _ => 0) ltac:(lra)).
rewrite !norm_1 in H. unfold minus_vector in H. rewrite limit_one, limit_zero in H.
assert (G := smooth_sqrt_gain_tenth). rewrite !Rabs_pos_eq in H; lra.
Qed.

Lemma law_firmly_nonexpansive_mutant : ~ (forall l, total l -> never_amplifies l ->
  direction_preserving l -> monotone l -> nonexpansive l -> forall n c u v, 0 < c ->
  101 / 100 * vnorm n (minus_vector (limit_vector l c n u) (limit_vector l c n v)) ^ 2
  <= dot n (minus_vector (limit_vector l c n u) (limit_vector l c n v)) (minus_vector u v)).
Proof.
intros H. apply smooth_sqrt_vector_firmly_nonexpansive_mutant. apply H.
- apply smooth_sqrt_total.
- apply smooth_sqrt_never_amplifies.
- apply smooth_sqrt_direction_preserving.
- apply smooth_sqrt_monotone.
- apply smooth_sqrt_nonexpansive.
Qed.

Lemma law_nonexpansive_mutant : ~ (forall l, total l -> never_amplifies l ->
  direction_preserving l -> monotone l -> nonexpansive l -> forall n c u v, 0 < c ->
  vnorm n (minus_vector (limit_vector l c n u) (limit_vector l c n v))
  <= 99 / 100 * vnorm n (minus_vector u v)).
Proof.
intros H. apply smooth_sqrt_vector_nonexpansive_mutant. apply H.
- apply smooth_sqrt_total.
- apply smooth_sqrt_never_amplifies.
- apply smooth_sqrt_direction_preserving.
- apply smooth_sqrt_monotone.
- apply smooth_sqrt_nonexpansive.
Qed.

Lemma norm_difference n u v : vnorm n u - vnorm n v <= vnorm n (minus_vector u v).
Proof.
assert (T := triangle n (minus_vector u v) v).
rewrite (norm_ext n (fun i => minus_vector u v i + v i) u) in T; [lra |].
intros i. unfold minus_vector. ring.
Qed.

(* Applied updates of equal norm come from proposals of equal norm. *)
Lemma smooth_sqrt_norm_injective c n u v : 0 < c ->
  vnorm n (limit_vector smooth_sqrt c n u) = vnorm n (limit_vector smooth_sqrt c n v) ->
  vnorm n u = vnorm n v.
Proof.
intros Hc. rewrite !norm_smooth_sqrt_vector by easy. intros E.
assert (A := ratio_nonneg n c u Hc). assert (B := ratio_nonneg n c v Hc).
assert (S := smooth_sqrt_strictly_increasing (vnorm n u / c) (vnorm n v / c)).
assert (T := smooth_sqrt_strictly_increasing (vnorm n v / c) (vnorm n u / c)).
rewrite (in_units c (vnorm n u) Hc), (in_units c (vnorm n v) Hc). f_equal.
destruct (Rtotal_order (vnorm n u / c) (vnorm n v / c)) as [L | [L | L]]; [nra | easy | nra].
Qed.

Theorem smooth_sqrt_vector_strictly_monotone : forall n c u v, 0 < c ->
  0 < vnorm n (minus_vector u v) ->
  0 < dot n (minus_vector (limit_vector smooth_sqrt c n u) (limit_vector smooth_sqrt c n v))
        (minus_vector u v).
Proof.
intros n c u v Hc Huv. assert (F := smooth_sqrt_vector_firmly_nonexpansive n c u v Hc).
assert (N := norm_difference n (limit_vector smooth_sqrt c n u) (limit_vector smooth_sqrt c n v)).
assert (M := norm_difference n (limit_vector smooth_sqrt c n v) (limit_vector smooth_sqrt c n u)).
assert (Sym : vnorm n (minus_vector (limit_vector smooth_sqrt c n v)
    (limit_vector smooth_sqrt c n u))
  = vnorm n (minus_vector (limit_vector smooth_sqrt c n u) (limit_vector smooth_sqrt c n v))).
{ rewrite (norm_ext n _ (fun i => -1 * minus_vector (limit_vector smooth_sqrt c n u)
    (limit_vector smooth_sqrt c n v) i)) by (intros i; unfold minus_vector; ring).
  rewrite norm_scale, Rabs_left; lra. }
rewrite Sym in M.
set (d := vnorm n (minus_vector (limit_vector _ _ _ u) _)) in *.
destruct (Rle_lt_or_eq_dec 0 d (norm_nonneg n _)) as [D | D]; [nra |].
assert (E : vnorm n u = vnorm n v) by (apply (smooth_sqrt_norm_injective c); [easy | lra]).
rewrite (dot_ext n _ (fun i => gain smooth_sqrt (vnorm n u / c) * minus_vector u v i) _
  (minus_vector u v)).
- rewrite dot_scale, <- norm_square. assert (P := smooth_sqrt_gain_range (vnorm n u / c)).
  apply Rmult_lt_0_compat; [easy | now apply pow_lt].
- intros i. unfold minus_vector, limit_vector. rewrite E. ring.
- easy.
Qed.

(* Clipping under the limit 1 makes the same of 1 and of 2. *)
Lemma smooth_sqrt_vector_strictly_monotone_mutant : ~ (forall n c u v, 0 < c ->
  0 < vnorm n (minus_vector u v) ->
  0 < dot n (minus_vector (limit_vector hard_clip c n u) (limit_vector hard_clip c n v))
        (minus_vector u v)).
Proof.
intros H. specialize (H 1%nat 1 (fun _ => 2) (fun _ => 1) ltac:(lra)).
rewrite norm_1 in H. unfold dot, minus_vector in H. simpl sum_below in H.
assert (E : forall x, 1 <= x -> limit_vector hard_clip 1 1 (fun _ => x) O = 1).
{ intros x Hx. unfold limit_vector. rewrite norm_1, Rabs_pos_eq by lra.
  transitivity (speed hard_clip (x / 1)); [unfold speed; field |].
  rewrite speed_hard_clip, Rmin_right; lra. }
rewrite !E, Rabs_pos_eq in H by lra. lra.
Qed.

(** * Runs *)

Theorem growth : forall n c (s theta : nat -> nat -> R),
  (forall t, vnorm n (s t) <= c t) -> (forall t i, theta (S t) i = theta t i - s t i) ->
  forall T, vnorm n (minus_vector (theta T) (theta O)) <= sum_below T c.
Proof.
intros n c s theta Hs Hstep T. induction T as [| T IH].
- right. rewrite (norm_ext n _ (fun i => 0 * theta O i)).
  + rewrite norm_scale, Rabs_R0. simpl. ring.
  + intros i. unfold minus_vector. ring.
- simpl sum_below. specialize (Hs T).
  rewrite (norm_ext n _ (minus_vector (minus_vector (theta T) (theta O)) (s T))).
  + assert (Tri := triangle_minus n (minus_vector (theta T) (theta O)) (s T)). lra.
  + intros i. unfold minus_vector. rewrite Hstep. ring.
Qed.

(* One entry that moves at the speed limit 1. *)
Lemma growth_mutant : ~ (forall n c (s theta : nat -> nat -> R),
  (forall t, vnorm n (s t) <= c t) -> (forall t i, theta (S t) i = theta t i - s t i) ->
  forall T, vnorm n (minus_vector (theta T) (theta O)) <= 99 / 100 * sum_below T c).
Proof.
intros H. specialize (H 1%nat (fun _ => 1) (fun _ _ => 1) (fun t _ => - INR t)).
assert (B : vnorm 1 (minus_vector (fun _ => - INR 1) (fun _ => - INR 0))
  <= 99 / 100 * sum_below 1 (fun _ => 1)).
{ apply H.
  - intros t. rewrite norm_1, Rabs_R1. lra.
  - intros t _. rewrite S_INR. ring. }
rewrite norm_1 in B. unfold minus_vector in B. simpl in B. rewrite Rabs_left in B; lra.
Qed.

Theorem decay_step : forall n c d (s theta : nat -> nat -> R), 0 <= d ->
  (forall t, vnorm n (s t) <= c t) ->
  (forall t i, theta (S t) i = (1 - d) * theta t i - s t i) ->
  forall t, vnorm n (minus_vector (theta (S t)) (theta t)) <= c t + d * vnorm n (theta t).
Proof.
intros n c d s theta Hd Hs Hstep t. specialize (Hs t).
rewrite (norm_ext n _ (minus_vector (fun i => - d * theta t i) (s t))).
- assert (Tri := triangle_minus n (fun i => - d * theta t i) (s t)).
  rewrite norm_scale, Rabs_Ropp, Rabs_pos_eq in Tri by easy. lra.
- intros i. unfold minus_vector. rewrite Hstep. ring.
Qed.

(* Full decay d = 1 of one entry 1, without any update. *)
Lemma decay_step_mutant : ~ (forall n c d (s theta : nat -> nat -> R), 0 <= d ->
  (forall t, vnorm n (s t) <= c t) ->
  (forall t i, theta (S t) i = (1 - d) * theta t i - s t i) ->
  forall t, vnorm n (minus_vector (theta (S t)) (theta t))
            <= c t + 99 / 100 * (d * vnorm n (theta t))).
Proof.
intros H. set (theta := fun (t i : nat) => match t with O => 1 | _ => 0 end).
specialize (H 1%nat (fun _ => 0) 1 (fun _ _ => 0) theta).
assert (B : vnorm 1 (minus_vector (theta 1%nat) (theta O))
  <= 0 + 99 / 100 * (1 * vnorm 1 (theta O))).
{ apply H.
  - lra.
  - intros _. rewrite norm_1, Rabs_R0. lra.
  - intros t i. unfold theta. destruct t; lra. }
rewrite !norm_1 in B. unfold minus_vector, theta in B.
rewrite Rabs_left, Rabs_R1 in B; lra.
Qed.

(* A step towards 0 of at most c lands between x and -c. *)
Lemma step_in_ball c k x : 0 < c -> 0 <= k ->
  Rabs (x - limit_entry smooth_sqrt c (k * x)) <= Rmax (Rabs x) c.
Proof.
intros Hc Hk. assert (L := Rmax_l (Rabs x) c). assert (M := Rmax_r (Rabs x) c).
assert (B := smooth_sqrt_entry_below_1 (k * x / c)). apply Rabs_def2 in B.
assert (A := Rle_abs x). assert (A' := Rle_abs (- x)). rewrite Rabs_Ropp in A'.
assert (P := smooth_sqrt_gain_range (Rabs (k * x / c))).
assert (Sign : 0 <= x * limit_entry smooth_sqrt c (k * x)).
{ unfold limit_entry, entry. set (p := gain smooth_sqrt (Rabs (k * x / c))) in *.
  replace (x * (c * (k * x / c * p))) with (k * p * x ^ 2) by (field; lra).
  apply Rmult_le_pos; [nra | apply pow2_ge_0]. }
set (s := limit_entry smooth_sqrt c (k * x)) in *.
assert (Size : - c < s < c) by (unfold s, limit_entry; nra).
apply Rabs_le. destruct (Rtotal_order x 0) as [Hx | [-> | Hx]]; nra.
Qed.

Theorem quadratic_run_in_ball : forall c k x0, 0 < c -> 0 <= k ->
  forall t, Rabs (quadratic_run c k x0 t) <= Rmax (Rabs x0) c.
Proof.
intros c k x0 Hc Hk t. induction t as [| t IH]; simpl; [apply Rmax_l |].
apply Rle_trans with (1 := step_in_ball c k _ Hc Hk).
apply Rmax_lub; [easy | apply Rmax_r].
Qed.

(* From 1/100 with k = 1000 the first step lands at 1/100 - 0.995... *)
Lemma quadratic_run_in_ball_mutant : ~ (forall c k x0, 0 < c -> 0 <= k ->
  forall t, Rabs (quadratic_run c k x0 t) <= Rmax (Rabs x0) (9 / 10 * c)).
Proof.
intros H. specialize (H 1 1000 (1 / 100) ltac:(lra) ltac:(lra) 1%nat). simpl in H.
replace (1000 * (1 / 100)) with 10 in H by field. rewrite limit_entry_1 in H.
assert (S := smooth_sqrt_at_10). rewrite Rabs_left in H by lra.
rewrite Rmax_right in H by (rewrite Rabs_pos_eq; lra). lra.
Qed.
