(* The speed laws and their properties: definitions only, no proofs.

   Notation: u is the proposed update, c the speed limit, r = |u|/c the speed ratio, phi(r) the gain
   of a law (the applied update is s = phi(r) u) and rho(r) = r phi(r) = |s|/c the speed. *)

From Coq Require Import Reals.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

(* A law: its gain, and the ratios at which every division and root in the gain has a meaning. *)
Record law := { gain : R -> R; defined : R -> Prop }.

(* rho(r) = r phi(r), the size of the applied update in units of the limit. *)
Definition speed l r := r * gain l r.

(* What becomes of a single entry x, in units of the limit. *)
Definition entry l x := x * gain l (Rabs x).

(* What becomes of a single entry u under the speed limit c. *)
Definition limit_entry l c u := c * entry l (u / c).

(** * The seven laws *)

(* phi(r) = 1: the update is not limited. *)
Definition newtonian := {| gain := fun _ => 1; defined := fun _ => True |}.

(* phi(r) = 1/sqrt(1 + r^2): from momentum to velocity. *)
Definition smooth_sqrt := {|
  gain := fun r => / sqrt (1 + r ^ 2);
  defined := fun r => 0 <= 1 + r ^ 2 /\ sqrt (1 + r ^ 2) <> 0 |}.

(* phi(r) = tanh(r)/r, and 1 at r = 0. *)
Definition tanh_law := {|
  gain := fun r => if Rlt_dec 0 r then tanh r / r else 1;
  defined := fun r => if Rlt_dec 0 r then r <> 0 else True |}.

(* phi(r) = min(1, 1/r). *)
Definition hard_clip := {|
  gain := fun r => if Rlt_dec r 1 then 1 else / r;
  defined := fun r => if Rlt_dec r 1 then True else r <> 0 |}.

(* phi(r) = sqrt(1 - r^2) below the limit, tanh(r)/r from it on: the code of version 1.0.0. *)
Definition published := {|
  gain := fun r => if Rlt_dec r 1 then sqrt (1 - r ^ 2) else tanh r / r;
  defined := fun r => if Rlt_dec r 1 then 0 <= 1 - r ^ 2 else r <> 0 |}.

(* phi(r) = 1/(1 - r^2) below the limit, tanh(r)/r from it on: the README's algorithm. *)
Definition piecewise := {|
  gain := fun r => if Rlt_dec r 1 then / (1 - r ^ 2) else tanh r / r;
  defined := fun r => if Rlt_dec r 1 then 1 - r ^ 2 <> 0 else r <> 0 |}.

(* phi(r) = 1/sqrt(1 - r^2): the README's display equation, from velocity to momentum. *)
Definition gamma := {|
  gain := fun r => / sqrt (1 - r ^ 2);
  defined := fun r => 0 <= 1 - r ^ 2 /\ sqrt (1 - r ^ 2) <> 0 |}.

(** * Two broken laws, for the properties that all seven have *)

(* phi(r) = -1: the update is applied backwards. *)
Definition reversed := {| gain := fun _ => -1; defined := fun _ => True |}.

(* phi(r) = 1/2: every update is halved, however small. *)
Definition halved := {| gain := fun _ => 1 / 2; defined := fun _ => True |}.

(** * A formula that is no law *)

(* The README's algorithm read literally: from the limit on, the sign of the entry is lost. *)
Definition readme_literal c u :=
  if Rlt_dec (Rabs u) c then u / (1 - (u / c) ^ 2) else c * tanh (Rabs u / c).

(** * The eleven properties of a law *)

(* The gain has a value at every ratio. *)
Definition total l := forall r, 0 <= r -> defined l r.

(* The applied update never exceeds the speed limit. *)
Definition bounded l := forall r, 0 <= r -> defined l r -> speed l r <= 1.

(* The applied update is never longer than the proposed one. *)
Definition never_amplifies l := forall r, 0 <= r -> defined l r -> gain l r <= 1.

(* The applied update points where the proposed one does. *)
Definition direction_preserving l := forall r, 0 <= r -> defined l r -> 0 <= gain l r.

(* A larger proposed update is never applied as a smaller one. *)
Definition monotone l :=
  forall a b, 0 <= a <= b -> defined l a -> defined l b -> speed l a <= speed l b.

(* The applied update has no jump. *)
Definition continuous_law l := forall x, 0 <= x -> defined l x -> continuity_pt (entry l) x.

(* The applied update has no kink. *)
Definition differentiable l := forall x, 0 <= x -> defined l x -> ex_derive (entry l) x.

(* Two proposals are never driven further apart. *)
Definition nonexpansive l := forall a b, 0 <= a -> 0 <= b -> defined l a -> defined l b ->
  Rabs (speed l a - speed l b) <= Rabs (a - b).

(* Small updates pass almost unchanged, to second order with the constant 1/2. *)
Definition small_update_identity l :=
  forall r, 0 <= r -> defined l r -> Rabs (gain l r - 1) <= r ^ 2 / 2.

(* Small updates pass almost unchanged, to second order with the constant 1. *)
Definition weak_small_update_identity l :=
  forall r, 0 <= r -> defined l r -> Rabs (gain l r - 1) <= r ^ 2.

(* Up to half the limit, updates pass almost unchanged, with the constant 4/3. *)
Definition identity_near_zero l :=
  forall r, 0 <= r <= 1 / 2 -> defined l r -> Rabs (gain l r - 1) <= 4 / 3 * r ^ 2.
