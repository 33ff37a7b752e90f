"use strict";

/* The formulas of the reference, for the page. A law is one entry of LAWS: below(x, r) is φ(r)·x for
   r < 1 and above(c, t) is c·ρ(1/t) for t = 1/r ≤ 1, as in reference/laws.py. What is a number there
   (thresholds, defaults) comes in `data`, from there. */

const makeFormulas = (data) => {
  const overLorentzSum = (x, q) => x / Math.sqrt(1 + q * q);
  const tanhBelow = (x, r) => x * (r > 0 ? Math.tanh(r) / r : 1);
  const tanhAbove = (c, t) => c * Math.tanh(1 / t);
  const oneMinusSquare = (r) => (1 - r) * (1 + r);

  const LAWS = {
    newtonian: { below: (x) => x, above: (c, t) => c / t, limits: false },
    smooth_sqrt: { below: overLorentzSum, above: overLorentzSum },
    tanh: { below: tanhBelow, above: tanhAbove },
    hard_clip: { below: (x) => x, above: (c) => c },
    published: { below: (x, r) => x * Math.sqrt(oneMinusSquare(r)), above: tanhAbove },
    piecewise: { below: (x, r) => x / oneMinusSquare(r), above: tanhAbove },
    gamma: { below: (x, r) => x / Math.sqrt(oneMinusSquare(r)), above: () => NaN },
  };

  const UNITS = {
    norm: (c) => c,
    rms: (c, n) => c * Math.sqrt(n),
    relative: (c, n, theta) => c * Math.max(theta, data.relativeFloor * Math.sqrt(n)),
  };

  const unlimited = (law) => LAWS[law].limits === false;

  const gain = (law, r) => {
    if (unlimited(law)) return 1;
    return r < 1 ? LAWS[law].below(1, r) : (1 / r) * LAWS[law].above(1, 1 / r);
  };

  const speed = (law, r) => {
    if (unlimited(law)) return r;
    return r < 1 ? LAWS[law].below(r, r) : LAWS[law].above(1, 1 / r);
  };

  const limitBlock = (u, c, law) => {
    const norm = Math.hypot(...u);
    if (norm < c) return u.map((x) => LAWS[law].below(x, norm / c));
    return u.map((x) => (x / norm) * LAWS[law].above(c, c / norm));
  };

  /* s = φ(‖u‖/c)·u for one tensor, which is also the whole model. */
  const limit = (u, c, { law, mode, unit, params }) => {
    if (unlimited(law)) return [...u];
    if (mode === "per_component") {
      return u.map((x, i) => limitBlock([x], UNITS[unit](c, 1, Math.abs(params[i])), law)[0]);
    }
    return limitBlock(u, UNITS[unit](c, u.length, Math.hypot(...params)), law);
  };

  const largestAdamEntry = ([beta1, beta2]) => {
    if (beta1 === 0) return 1 / Math.sqrt(1 - beta2);
    if (beta1 ** 2 >= beta2) return Infinity;
    return Math.sqrt((beta2 * (1 - beta1) ** 2) / ((1 - beta2) * (beta2 - beta1 ** 2)));
  };

  const regime = ({ lr, speedLimit, numel, mode, unit, betas = data.betas, paramRms = 1 }) => {
    const n = mode === "per_component" ? 1 : numel;
    const inUnits = UNITS[unit](speedLimit, n, paramRms * Math.sqrt(n));
    const typical = (lr * Math.sqrt(n)) / inUnits;
    const largest = typical === 0 ? 0 : typical * largestAdamEntry(betas);
    let name = "linear";
    if (!(largest < data.linearBelow)) {
      name = typical > data.saturatedAbove ? "saturated" : "transition";
    }
    return { name, typical, largest };
  };

  /* The last points of y ← y − ρ(a|y|)·sign(y), the step on a quadratic in units of c. */
  const orbit = (law, rate, start, steps, keep) => {
    const kept = [];
    let y = start;
    for (let step = 0; step < steps; step += 1) {
      y -= speed(law, rate * Math.abs(y)) * Math.sign(y);
      if (step >= steps - keep) kept.push(y);
    }
    return kept;
  };

  const LANDSCAPES = {
    Rosenbrock: {
      height: ([x, y]) => (1 - x) ** 2 + 100 * (y - x ** 2) ** 2,
      slope: ([x, y]) => [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)],
    },
    Rastrigin: {
      height: (point) =>
        point.reduce((sum, x) => sum + x * x - 10 * Math.cos(2 * Math.PI * x), 20),
      slope: (point) => point.map((x) => 2 * x + 20 * Math.PI * Math.sin(2 * Math.PI * x)),
    },
  };

  const height = (landscape, point) => LANDSCAPES[landscape].height(point);

  /* How an update is proposed, from the gradient: a function with a memory of its own. */
  const DIRECTIONS = {
    Adam: (lr) => {
      const [beta1, beta2] = data.betas;
      const m = [0, 0];
      const v = [0, 0];
      let t = 0;
      return (gradient) => {
        t += 1;
        return gradient.map((g, i) => {
          m[i] = beta1 * m[i] + (1 - beta1) * g;
          v[i] = beta2 * v[i] + (1 - beta2) * g * g;
          const corrected = m[i] / (1 - beta1 ** t);
          return (lr * corrected) / (Math.sqrt(v[i] / (1 - beta2 ** t)) + data.eps);
        });
      };
    },
    gradient: (lr) => (gradient) => gradient.map((g) => lr * g),
  };

  /* The points passed from the start on; the path ends before height or slope is not finite. */
  const trajectory = ({ landscape, direction, lr, speedLimit, law, mode, unit, steps }) => {
    const { height: heightOf, slope } = LANDSCAPES[landscape];
    const propose = DIRECTIONS[direction](lr);
    let point = data.landscapes[landscape].start;
    const passed = [point];
    for (let step = 0; step < steps; step += 1) {
      const options = { law, mode, unit, params: point };
      const applied = limit(propose(slope(point)), speedLimit, options);
      point = point.map((x, i) => x - applied[i]);
      if (![heightOf(point), ...slope(point)].every(Number.isFinite)) break;
      passed.push(point);
    }
    return passed;
  };

  return {
    laws: () => Object.keys(LAWS),
    units: () => Object.keys(UNITS),
    directions: () => Object.keys(DIRECTIONS),
    landscapes: () => Object.keys(LANDSCAPES),
    gain,
    speed,
    limit,
    regime,
    orbit,
    height,
    trajectory,
  };
};

if (typeof module !== "undefined") module.exports = makeFormulas;
