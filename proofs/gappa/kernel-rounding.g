# Relative error of a / sqrt(1 + t*t) in binary32 for a quotient t <= 1: both branches of the kernel.
@rnd = float<ieee_32, ne>;
t = rnd(t_);
a = rnd(a_);
# As computed.
q rnd= t * t;
d rnd= 1 + q;
w rnd= sqrt(d);
s rnd= a / w;
# As meant.
Q = t * t;
D = 1 + Q;
W = sqrt(D);
S = a / W;
# The sum before its rounding.
d0 = 1 + q;
{ t in [1b-60, 1] /\ a in [1b-100, 1b100] -> s -/ S in [-1.639128e-7, 1.639128e-7] }
# An error of q weighs Q/D = 1 - 1/D in the sum.
(d0 - D) / D -> ((q - Q) / Q) * (Q / D) { D <> 0, Q <> 0 };
Q / D -> 1 - 1 / D { D <> 0 };
