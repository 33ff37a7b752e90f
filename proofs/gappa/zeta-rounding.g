# Relative error of g / (1 + (g*G)*(g*G)) in binary32, where nothing overflows or underflows.
@rnd = float<ieee_32, ne>;
g = rnd(g_);
G = rnd(G_);
# As computed.
p rnd= g * G;
q rnd= p * p;
d rnd= 1 + q;
z rnd= g / d;
# As meant.
P = g * G;
Q = P * P;
D = 1 + Q;
Z = g / D;
# The sum before its rounding.
d0 = 1 + q;
{ g in [1b-30, 1b30] /\ G in [1b-30, 1b30] /\ P in [1b-50, 1b40]
  -> z -/ Z in [-2.980234e-7, 2.980234e-7] }
# An error of q weighs Q/D = 1 - 1/D in the sum.
(d0 - D) / D -> ((q - Q) / Q) * (Q / D) { D <> 0, Q <> 0 };
Q / D -> 1 - 1 / D { D <> 0 };
