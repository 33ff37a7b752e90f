/* Controls and panels: a panel is drawn anew where what it depends on has changed. */

const formulas = makeFormulas(DATA);

const STEPS = 200;
const MODES = DATA.modes;
const [BLUE, ORANGE] = DATA.palette;
const GREY = "#c3cad2";
const INK = "#1d2530";
const CONFIG = { displayModeBar: false, responsive: true };

const element = (id) => document.getElementById(id);
const range = (count, from, to) =>
  Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));
const raised = (k) =>
  [...String(k)].map((digit) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(digit)]).join("");
const power = (k) => (k === 0 ? "1" : `10${raised(k)}`);
const number = (x) => {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "undefined" : "∞";
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-3 || size >= 1e4)) {
    const [digits, exponent] = x.toExponential(1).split("e");
    return `${digits.replace(/\.0$/, "")}·${power(Number(exponent))}`;
  }
  return String(Number(x.toPrecision(2)));
};

const layout = (x, y, more = {}) => ({
  margin: { l: 52, r: 12, t: 8, b: 48 },
  paper_bgcolor: "#fff",
  plot_bgcolor: "#fff",
  font: { family: 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif', size: 12, color: INK },
  showlegend: false,
  dragmode: false,
  xaxis: { fixedrange: true, gridcolor: "#edf0f3", zeroline: false, ...x },
  yaxis: { fixedrange: true, gridcolor: "#edf0f3", zeroline: false, ...y },
  ...more,
});
const line = (along, at, style) => ({
  type: "line",
  ...(along === "x"
    ? { x0: 0, x1: 1, xref: "paper", y0: at, y1: at }
    : { x0: at, x1: at, y0: 0, y1: 1, yref: "paper" }),
  line: { width: 1, color: "#8b95a1", ...style },
});

const read = () => ({
  law: DATA.laws[Number(element("law").value)].key,
  speedLimit: 10 ** Number(element("limit").value),
  lr: 10 ** Number(element("lr").value),
  mode: MODES[Number(element("mode").value)],
  unit: element("unit").value,
  direction: element("direction").value,
  landscape: element("landscape").value,
});
const record = (key) => DATA.laws.find((law) => law.key === key);
const limitWords = ({ speedLimit, unit }) =>
  unit === "norm" ? number(speedLimit) : `${number(speedLimit)} ${unit}`;

/* Gain or speed of every law, the chosen one on top; the mark is a typical update of the path's. */
const RATIOS = range(601, 0, 3);
const drawLaw = (id, formula, title) => (s) => {
  const typical = formulas.regime({ ...s, numel: 2 }).typical;
  const curve = (law, style) => {
    const y = RATIOS.map((r) => formula(law.key, r));
    const x = [...RATIOS];
    if (!law.continuous) y[RATIOS.findIndex((r) => r >= 1)] = null; // no line across a jump
    return { x, y, mode: "lines", name: law.key, hoverinfo: "name+x+y", ...style };
  };
  const others = DATA.laws
    .filter((law) => law.key !== s.law)
    .map((law) => curve(law, { line: { width: 1.2, color: GREY }, hoverinfo: "name" }));
  const at = Math.min(typical, 3);
  const mark = {
    x: [at],
    y: [formula(s.law, at)],
    mode: "markers",
    marker: { size: 10, color: ORANGE, symbol: typical > 3 ? "triangle-right" : "circle" },
    cliponaxis: false,
    hoverinfo: "skip",
  };
  const chosen = curve(record(s.law), { line: { width: 3, color: BLUE } });
  const shapes = id === "speed" ? [line("x", 1, { dash: "dash" })] : [];
  const x = { title: { text: "speed ratio r = ‖u‖/c" }, range: [0, 3] };
  const y = { title: { text: title }, range: [0, 2.5] };
  Plotly.react(id, [...others, chosen, mark], layout(x, y, { shapes }), CONFIG);
  const value = formula(s.law, typical);
  const words = id === "gain" ? `${number(100 * value)} % of it is applied` : `it moves at ${number(value)}·c`;
  element(`${id}-says`).textContent =
    `An update of two entries of size lr has r = ${number(typical)}: ` +
    (Number.isNaN(value) ? "there the law is undefined." : `${words}.`) +
    " Grey: the other laws; point at one for its name.";
};

const SURFACES = Object.fromEntries(
  formulas.landscapes().map((name) => {
    const [left, right, bottom, top] = DATA.landscapes[name].extent;
    const x = range(141, left, right);
    const y = range(141, bottom, top);
    return [name, { x, y, z: y.map((b) => x.map((a) => Math.log1p(formulas.height(name, [a, b])))) }];
  }),
);
const drawPath = (s) => {
  const points = formulas.trajectory({ ...s, steps: STEPS });
  const shown = DATA.landscapes[s.landscape];
  const [left, right, bottom, top] = shown.extent;
  const marker = (point, name, style) => ({
    x: [point[0]],
    y: [point[1]],
    name,
    mode: "markers",
    marker: { size: 11, color: INK, line: { color: "#fff", width: 1.5 }, ...style },
  });
  const traces = [
    {
      type: "contour",
      ...SURFACES[s.landscape],
      showlegend: false,
      ncontours: 9,
      contours: { coloring: "lines" },
      colorscale: [[0, GREY], [1, GREY]],
      line: { width: 1 },
      showscale: false,
      hoverinfo: "skip",
    },
    {
      x: points.map((point) => point[0]),
      y: points.map((point) => point[1]),
      name: "steps",
      mode: "lines+markers",
      line: { color: BLUE, width: 1.5 },
      marker: { size: 4, color: BLUE },
    },
    marker(shown.minimum, "minimum", { symbol: "cross-thin", line: { color: INK, width: 2 } }),
    marker(points[0], "start", { symbol: "square" }),
    marker(points[points.length - 1], "end", { symbol: "x", color: ORANGE }),
  ];
  const more = {
    showlegend: true,
    legend: { orientation: "h", x: 0.5, xanchor: "center", y: -0.16, yanchor: "top" },
    margin: { l: 40, r: 12, t: 8, b: 62 },
  };
  Plotly.react(
    "path",
    traces,
    layout({ range: [left, right], dtick: 1 }, { range: [bottom, top], dtick: 1 }, more),
    CONFIG,
  );
  const lengths = points.slice(1).map((p, i) => Math.hypot(p[0] - points[i][0], p[1] - points[i][1]));
  const end = formulas.height(s.landscape, points[points.length - 1]);
  const longest = lengths.length ? number(Math.max(...lengths)) : "none";
  element("path-says").textContent =
    (points.length > STEPS ? `After ${STEPS} steps` : `No finite step after ${points.length - 1}`) +
    `: height ${number(end)}, longest step ${longest}. Both coordinates are one tensor, the whole model.`;
};

const NAMES = Object.keys(DATA.regimes);
const EXPONENTS = range(181, 0, 9);
const RATES = range(141, -6, 1);
const drawRegime = (s) => {
  const codes = RATES.map((rate) =>
    EXPONENTS.map((n) =>
      NAMES.indexOf(formulas.regime({ ...s, lr: 10 ** rate, numel: 10 ** n }).name),
    ),
  );
  const bands = Object.values(DATA.regimes).flatMap((colour, i) => [
    [i / 3, colour],
    [(i + 1) / 3, colour],
  ]);
  const annotations = NAMES.flatMap((text, code) => {
    const cells = codes.flatMap((row, i) =>
      row.flatMap((found, j) => (found === code ? [[EXPONENTS[j], RATES[i]]] : [])),
    );
    if (cells.length < 250) return [];
    const middle = (k) => cells.reduce((sum, cell) => sum + cell[k], 0) / cells.length;
    return [{ x: middle(0), y: middle(1), text, showarrow: false, font: { size: 13 } }];
  });
  const now = Math.log10(s.lr);
  const ticks = (values) => ({ tickvals: values, ticktext: values.map(power), showgrid: false });
  Plotly.react(
    "regime",
    [{
      type: "heatmap", x: EXPONENTS, y: RATES, z: codes, zmin: -0.5, zmax: 2.5,
      colorscale: bands, showscale: false, hoverinfo: "skip",
    }],
    layout(
      { title: { text: "entries n of the tensor" }, range: [0, 9], ...ticks([0, 2, 4, 6, 8]) },
      { title: { text: "learning rate" }, range: [-6, 1], ...ticks([-6, -4, -2, 0]) },
      { annotations, shapes: [line("x", now, { width: 2.5, color: BLUE })] },
    ),
    CONFIG,
  );
  const words = [2, 4, 6].map((k) => {
    const found = formulas.regime({ ...s, numel: 10 ** k });
    return `${(10 ** k).toLocaleString("en")} entries: ${found.name}, r = ${number(found.typical)}`;
  });
  element("regime-says").textContent = `At lr = ${number(s.lr)}: ${words.join("; ")}.`;
};

const MAP_RATES = range(300, Math.log10(0.5), Math.log10(50));
const MAP_ROWS = range(139, -1.15, 1.15);
const STARTS = [0.02, 0.3, 0.7, -0.45];
const drawBifurcation = (s) => {
  const z = MAP_ROWS.map(() => new Array(MAP_RATES.length).fill(0));
  MAP_RATES.forEach((rate, column) => {
    STARTS.forEach((start) => {
      formulas.orbit(s.law, 10 ** rate, start, 640, 40).forEach((y) => {
        const row = Math.round(((y + 1.15) / 2.3) * (MAP_ROWS.length - 1));
        if (row >= 0 && row < MAP_ROWS.length) z[row][column] = 1;
      });
    });
  });
  const half = { color: ORANGE, dash: "dash" };
  const ticks = [0.5, 1, 2, 5, 10, 20, 50];
  Plotly.react(
    "bifurcation",
    [{
      type: "heatmap", x: MAP_RATES, y: MAP_ROWS, z, zmin: 0, zmax: 1,
      colorscale: [[0, "#fff"], [1, BLUE]], showscale: false, hoverinfo: "skip",
    }],
    layout(
      {
        title: { text: "learning rate × curvature, ηL" }, showgrid: false,
        range: [MAP_RATES[0], MAP_RATES[MAP_RATES.length - 1]],
        tickvals: ticks.map(Math.log10), ticktext: ticks.map(String),
      },
      { title: { text: "x/c after many steps" }, range: [-1.15, 1.15], showgrid: false },
      { shapes: [line("x", 0.5, half), line("x", -0.5, half), line("y", Math.log10(2), {})] },
    ),
    CONFIG,
  );
};
const sayBifurcation = (s) => {
  const from = `With this rate ηL = 2 is a curvature of ${number(2 / s.lr)}`;
  const ball = record(s.law).bounded
    ? `; beyond it the steps stay restless, and c/2 (dashed) is ${limitWords({ ...s, speedLimit: s.speedLimit / 2 })}.`
    : "; beyond it nothing keeps the steps small.";
  element("bifurcation-says").textContent = from + ball;
};

/* What is drawn, and the settings that it depends on. */
const PANELS = [
  [drawLaw("gain", formulas.gain, "gain φ(r)"), ["law", "speedLimit", "lr", "mode", "unit"]],
  [drawLaw("speed", formulas.speed, "speed ρ(r) = ‖s‖/c"), ["law", "speedLimit", "lr", "mode", "unit"]],
  [drawPath, ["law", "speedLimit", "lr", "mode", "unit", "direction", "landscape"]],
  [drawRegime, ["speedLimit", "lr", "mode", "unit"]],
  [drawBifurcation, ["law"]],
  [sayBifurcation, ["law", "speedLimit", "lr", "unit"]],
];

let drawn = {};
const show = () => {
  const s = read();
  const law = record(s.law);
  const says = { law: s.law, limit: limitWords(s), lr: number(s.lr), mode: s.mode };
  Object.entries(says).forEach(([id, text]) => {
    element(`${id}-value`).textContent = text;
    element(id).setAttribute("aria-valuetext", text);
  });
  element("about").textContent =
    `${law.equation}. ` +
    (law.fails.length ? `Fails: ${law.fails.join(", ")}.` : "Every claimed property holds.");
  PANELS.forEach(([draw, needs]) => {
    if (needs.some((key) => drawn[key] !== s[key])) draw(s);
  });
  drawn = s;
};

let waiting = false;
const later = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    show();
  });
};

const fill = (id, values) =>
  values.forEach((value) => element(id).add(new Option(value.replace("_", " "), value)));
const notches = (id, values, first) =>
  Object.assign(element(id), { min: 0, max: values.length - 1, step: 1, value: values.indexOf(first) });

notches("law", DATA.laws.map((law) => law.key), DATA.law);
notches("mode", MODES, DATA.mode);
fill("unit", formulas.units());
fill("direction", formulas.directions());
fill("landscape", formulas.landscapes());
element("controls").addEventListener("input", later);
element("controls").addEventListener("submit", (event) => event.preventDefault());
show();
