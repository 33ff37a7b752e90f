# Absolute error of a step of Adam's first moment at its default, 0.9 m + 0.1 g, in binary32, for
# |m| and |g| up to 1: with the second product rounded, and fused into the addition.
@rnd = float<ieee_32, ne>;
# 0.9 and 0.1, as they are in binary32.
b = 15099494b-24;
w = 13421773b-27;
m = rnd(m_);
g = rnd(g_);
# As computed.
a rnd= b * m;
n = rnd(a + rnd(w * g));
fused = rnd(a + w * g);
# As meant.
N = b * m + w * g;
{ m in [-1, 1] /\ g in [-1, 1]
  -> n - N in [-6.4e-8, 6.4e-8] /\ fused - N in [-6.4e-8, 6.4e-8] }
