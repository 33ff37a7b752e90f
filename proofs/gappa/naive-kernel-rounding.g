# Relative error of x / sqrt(1 + (x/c)*(x/c)) in binary32, where nothing overflows or underflows.
@rnd = float<ieee_32, ne>;
x = rnd(x_);
c = rnd(c_);
# As computed.
r rnd= x / c;
q rnd= r * r;
d rnd= 1 + q;
w rnd= sqrt(d);
s rnd= x / w;
# As meant.
R = x / c;
Q = R * R;
D = 1 + Q;
W = sqrt(D);
S = x / W;
# The sum before its rounding.
d0 = 1 + q;
{ x in [1b-30, 1b40] /\ c in [1b-20, 1b10] /\ R in [1b-40, 1b60]
  -> s -/ S in [-2.3841864e-7, 2.3841864e-7] }
# An error of q weighs Q/D = 1 - 1/D in the sum.
(d0 - D) / D -> ((q - Q) / Q) * (Q / D) { D <> 0, Q <> 0 };
Q / D -> 1 - 1 / D { D <> 0 };
