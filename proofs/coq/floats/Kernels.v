(* What the code computes, operation by operation: definitions only.

   First part: kernels on binary floating-point numbers with prec digits and exponents below emax,
   in rounding mode m.  An entry x of the proposed update, a speed limit c, gradients g, the
   largest gradient G.  [after] is what the machine does to every result: [keep] leaves it,
   [flush] makes a zero of a subnormal.

   Second part: sums, norms and averages on real numbers, where fl rounds to nearest; emin is the
   exponent of the smallest positive number eta = 2^emin, and u = 2^-prec is half an ulp of 1. *)
From Coq Require Import ZArith Reals List Bool.
From Flocq Require Import Core BinarySingleNaN.
Open Scope R_scope.

Section Kernels.
Context {prec emax : Z} {Hp : Prec_gt_0 prec} {He : Prec_lt_emax prec emax}.
Local Notation bf := (binary_float prec emax).

(* The results that a machine with gradual underflow delivers. *)
Definition keep (y : bf) : bf := y.

(* Flush to zero: a subnormal, which has fewer than prec digits, becomes a zero of its sign. *)
Definition flush (y : bf) : bf :=
  match y with
  | B754_finite s digits _ _ =>
      if (Z.pos (SpecFloat.digits2_pos digits) <? prec)%Z then B754_zero s else y
  | _ => y
  end.

(* The smaller of two numbers; a NaN in the first place remains. *)
Definition minimum (a b : bf) : bf := if Bltb b a then b else a.

(* The larger of two numbers; a NaN in the first place remains. *)
Definition maximum (a b : bf) : bf := if Bltb a b then b else a.

(* The number y, with the sign of x. *)
Definition copysign (y x : bf) : bf := if Bool.eqb (Bsign y) (Bsign x) then y else Bopp y.

(* The number y, or 0 in place of NaN. *)
Definition nan_to_zero (y : bf) : bf := if is_nan y then B754_zero false else y.

(* Whether y is one of the two infinities. *)
Definition is_infinite (y : bf) : bool := match y with B754_infinity _ => true | _ => false end.

(* Whether y is one of the two zeros. *)
Definition is_zero (y : bf) : bool := match y with B754_zero _ => true | _ => false end.

Section AfterEveryResult.
Variable after : bf -> bf.
Variable m : mode.

(* sqrt(1 + q*q); addition commutes, so this is torch's sqrt(q*q + 1) too. *)
Definition lorentz_root (q : bf) : bf :=
  after (Bsqrt m (after (Bplus m Bone (after (Bmult m q q))))).

(* torch_impl.laws: Law.limit_entries with the law smooth_sqrt. *)
Definition smooth_torch_with (x c : bf) : bf :=
  let slow := minimum (Babs x) c in
  let fast := maximum (Babs x) c in
  let quotient := nan_to_zero (after (Bdiv m slow fast)) in
  copysign (after (Bdiv m slow (lorentz_root quotient))) x.

(* reference.laws: Law.limit_entries with the law smooth_sqrt. *)
Definition smooth_numpy_with (x c : bf) : bf :=
  if is_zero c then B754_zero false
  else if is_nan x || is_infinite c then x
  else if Bltb (Babs x) c then
    let ratio := minimum (after (Bdiv m (Babs x) c)) Bone in
    after (Bdiv m x (lorentz_root ratio))
  else
    let inverse := minimum (after (Bdiv m c (Babs x))) Bone in
    copysign (after (Bdiv m c (lorentz_root inverse))) x.

(* The obvious code: x / sqrt(1 + (x/c)*(x/c)). *)
Definition smooth_naive_with (x c : bf) : bf :=
  after (Bdiv m x (lorentz_root (after (Bdiv m x c)))).

(* Gravity's gradient term g / (1 + (g*G)*(g*G)). *)
Definition zeta_with (g G : bf) : bf :=
  let q := after (Bmult m g G) in
  after (Bdiv m g (after (Bplus m Bone (after (Bmult m q q))))).

(* The same from m' = 1/G: g / (1 + (g/m')*(g/m')). *)
Definition zeta_inverse_with (g G : bf) : bf :=
  let q := after (Bdiv m g (after (Bdiv m Bone G))) in
  after (Bdiv m g (after (Bplus m Bone (after (Bmult m q q))))).

End AfterEveryResult.

(* The kernels with gradual underflow. *)
Definition smooth_torch : mode -> bf -> bf -> bf := smooth_torch_with keep.
Definition smooth_numpy : mode -> bf -> bf -> bf := smooth_numpy_with keep.
Definition smooth_naive : mode -> bf -> bf -> bf := smooth_naive_with keep.
Definition zeta : mode -> bf -> bf -> bf := zeta_with keep.
Definition zeta_inverse : mode -> bf -> bf -> bf := zeta_inverse_with keep.

(* [smooth_torch] with any function root in the place of the rounded square root. *)
Definition smooth_torch_by (root : bf -> bf) (m : mode) (x c : bf) : bf :=
  let slow := minimum (Babs x) c in
  let fast := maximum (Babs x) c in
  let quotient := nan_to_zero (Bdiv m slow fast) in
  copysign (Bdiv m slow (root (Bplus m Bone (Bmult m quotient quotient)))) x.

(* 1 + (g*G)*(g*G), what Gravity divides the gradient by. *)
Definition damping (m : mode) (g G : bf) : bf :=
  let q := Bmult m g G in Bplus m Bone (Bmult m q q).

(* torch_impl: Gravity's term with the weight w of the average, a number: (w*g) / damping. *)
Definition weighted_zeta (m : mode) (w g G : bf) : bf := Bdiv m (Bmult m g w) (damping m g G).

(* The same where w is a tensor: g / (damping/w). *)
Definition zeta_over_weight (m : mode) (w g G : bf) : bf := Bdiv m g (Bdiv m (damping m g G) w).

(* x / hypot(1, x/c), for any function hypot. *)
Definition smooth_hypot (hypot : bf -> bf -> bf) (m : mode) (x c : bf) : bf :=
  Bdiv m x (hypot Bone (Bdiv m x c)).

(* A block of one entry, scaled to the norm c by its norm sqrt(x*x): x * (c / sqrt(x*x)). *)
Definition norm_step (m : mode) (x c : bf) : bf :=
  Bmult m x (Bdiv m c (Bsqrt m (Bmult m x x))).

(* torch_impl.laws: Law.limit_entries with the law tanh, for any function tanh; least, 1/32 in
   torch and 0 in reference.laws, is the least quotient c/|x| that is looked at. *)
Definition tanh_kernel (tanh : bf -> bf) (least : bf) (m : mode) (x c : bf) : bf :=
  let slow := minimum (Babs x) c in
  let fast := maximum (Babs x) c in
  let quotient := nan_to_zero (Bdiv m slow fast) in
  let below :=
    Bmult m slow
      (if Bltb (B754_zero false) quotient then Bdiv m (tanh quotient) quotient else Bone) in
  let above := Bmult m slow (tanh (Bdiv m Bone (maximum quotient least))) in
  copysign (if Bltb (Babs x) c then below else above) x.

(* y is a finite number, at most c and at most |x| in magnitude, with the sign bit of x. *)
Definition limited (x c y : bf) : Prop :=
  is_finite y = true /\ Rabs (B2R y) <= B2R c /\ Rabs (B2R y) <= Rabs (B2R x) /\
  Bsign y = Bsign x.

(* What [keep] and [flush] share: all that ever happens to a result is that a small one becomes a
   zero of its sign. *)
Definition harmless (after : bf -> bf) : Prop :=
  forall y, after y = y \/
    (is_finite y = true /\ Rabs (B2R y) < 1 /\ after y = B754_zero (Bsign y)).

(* y is a finite number, at most |x| in magnitude. *)
Definition not_amplified (x y : bf) : Prop :=
  is_finite y = true /\ Rabs (B2R y) <= Rabs (B2R x).

(* What the theorem on any root asks of a function root: from 1 to 2 it is at least least. *)
Definition plausible_root (least : R) (root : bf -> bf) : Prop :=
  forall y, is_finite y = true -> 1 <= B2R y <= 2 ->
    is_finite (root y) = true /\ least <= B2R (root y).

(* y is +infinity, or finite and at least a. *)
Definition at_least (a : R) (y : bf) : Prop :=
  y = B754_infinity false \/ (is_finite y = true /\ a <= B2R y).

(* What the theorem on the tanh kernel asks of a function tanh: it lies between 0 and r up to
   r = 1, and between 0 and top from there on, at infinity too. *)
Definition plausible_tanh (top : R) (tanh : bf -> bf) : Prop :=
  (forall r, is_finite r = true -> 0 <= B2R r <= 1 ->
     is_finite (tanh r) = true /\ 0 <= B2R (tanh r) <= B2R r) /\
  (forall r, at_least 1 r -> is_finite (tanh r) = true /\ 0 <= B2R (tanh r) <= top).

End Kernels.

(* The rounding modes that treat a number and its negative alike. *)
Definition symmetric (m : mode) : Prop := m = mode_NE \/ m = mode_NA \/ m = mode_ZR.

Arguments smooth_torch_with {prec emax Hp He} after m x c.
Arguments smooth_numpy_with {prec emax Hp He} after m x c.
Arguments smooth_naive_with {prec emax Hp He} after m x c.
Arguments zeta_with {prec emax Hp He} after m g G.
Arguments zeta_inverse_with {prec emax Hp He} after m g G.

(* binary16, bfloat16 and binary32. *)
Definition binary16 : Set := binary_float 11 16.
Definition bfloat16 : Set := binary_float 8 128.
Definition binary32 : Set := binary_float 24 128.

(* Their precisions are positive, and less than the exponents of overflow. *)
#[export] Instance digits_of_binary16 : Prec_gt_0 11 := eq_refl.
#[export] Instance digits_of_bfloat16 : Prec_gt_0 8 := eq_refl.
#[export] Instance digits_of_binary32 : Prec_gt_0 24 := eq_refl.
#[export] Instance exponents_of_binary16 : Prec_lt_emax 11 16 := eq_refl.
#[export] Instance exponents_of_bfloat16 : Prec_lt_emax 8 128 := eq_refl.
#[export] Instance exponents_of_binary32 : Prec_lt_emax 24 128 := eq_refl.

(* The floating-point number nearest to digits * 2^exponent. *)
Definition number {prec emax : Z} {Hp : Prec_gt_0 prec} {He : Prec_lt_emax prec emax}
    (digits exponent : Z) : binary_float prec emax :=
  binary_normalize prec emax Hp He mode_NE digits exponent false.

(* A function that is no tanh, since it jumps from 1 to 2 behind r = 1; for the mutants. *)
Definition steep (r : binary32) : binary32 :=
  if Bleb r Bone then r else Bplus mode_NE Bone Bone.

(* Half an ulp of 1. *)
Definition half_ulp (prec : Z) : R := bpow radix2 (- prec).

(* The smallest positive number of the format. *)
Definition eta (emin : Z) : R := bpow radix2 emin.

(* x rounded to the nearest number with prec digits and exponents from emin up, unbounded above;
   choice decides ties. *)
Definition nearest (emin prec : Z) (choice : Z -> bool) (x : R) : R :=
  round radix2 (FLT_exp emin prec) (Znearest choice) x.

(* The same with exponents unbounded below, too. *)
Definition nearest_unbounded (prec : Z) (choice : Z -> bool) (x : R) : R :=
  round radix2 (FLX_exp prec) (Znearest choice) x.

(* One step of a moving average: fl(fl(b*v) + fl(w*g)). *)
Definition average (fl : R -> R) (b v w g : R) : R := fl (fl (b * v) + fl (w * g)).

(* An order of summation: the terms at the leaves, an addition at every node. *)
Inductive tree := leaf (x : R) | node (left right : tree).

(* The terms, from left to right. *)
Fixpoint leaves (t : tree) : list R :=
  match t with leaf x => x :: nil | node l r => leaves l ++ leaves r end.

(* The number of additions on the longest way from the root to a leaf. *)
Fixpoint height (t : tree) : nat :=
  match t with leaf _ => O | node l r => S (Nat.max (height l) (height r)) end.

(* The sum of the squares of the terms as computed: every square and every sum is rounded. *)
Fixpoint computed_squares (fl : R -> R) (t : tree) : R :=
  match t with
  | leaf x => fl (x * x)
  | node l r => fl (computed_squares fl l + computed_squares fl r)
  end.

(* The norm as computed. *)
Definition computed_norm (fl : R -> R) (t : tree) : R := fl (sqrt (computed_squares fl t)).

(* The exact sum of squares. *)
Fixpoint squares (l : list R) : R :=
  match l with nil => 0 | x :: rest => x * x + squares rest end.

(* The exact Euclidean norm. *)
Definition euclidean (l : list R) : R := sqrt (squares l).

(* The number of terms, as a real number. *)
Definition count (l : list R) : R := INR (length l).

(* A block's update as applied: every entry times the gain K, rounded. *)
Definition scaled (fl : R -> R) (K : R) (w : list R) : list R := map (fun x => fl (K * x)) w.

(* sqrt(1 + q*q), every operation rounded. *)
Definition rounded_root (fl : R -> R) (q : R) : R := fl (sqrt (fl (fl (q * q) + 1))).

(* torch_impl.laws: Law.factors with the law smooth_sqrt: the gain of a block of norm N. *)
Definition gain (fl : R -> R) (N c : R) : R :=
  let ratio := fl (N / c) in
  if Rlt_bool ratio 1 then fl (1 / rounded_root fl ratio)
  else fl (fl (1 / rounded_root fl (fl (1 / ratio))) / ratio).
