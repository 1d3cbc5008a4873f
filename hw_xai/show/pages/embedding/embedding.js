const { points, layers, groups, report } = data;
const state = { layer: layers.length - 1, point: null };
const groupColour = (group) => data.colours[groups.indexOf(group) % data.colours.length];
const metric = () => document.querySelector("[name=metric]:checked")?.value || data.metric;
let matrices = {};

function written({ before, word, after, image }) {
  if (image) return [make("img", { className: "thumb", src: image, alt: "" }), word]; // a dot may be a photo
  return [before, make("mark", { textContent: word }), after];
}

/* ------------------------------------------------------------------ projection */
function drawPlot() {
  const layer = layers[state.layer], xs = layer.points.map(([x]) => x), ys = layer.points.map(([, y]) => y);
  const spread = Math.max(Math.max(...xs) - Math.min(...xs), (Math.max(...ys) - Math.min(...ys)) * 1.25) || 1;
  const [cx, cy] = [(Math.max(...xs) + Math.min(...xs)) / 2, (Math.max(...ys) + Math.min(...ys)) / 2];
  all("#plot .dot").forEach((dot, i) => {
    const x = 300 + (xs[i] - cx) / spread * 500, y = 240 - (ys[i] - cy) / spread * 500;
    dot.style.transform = `translate(${x}px, ${y}px)`;
  });
  one("worth").textContent = layer.worth;
}

function setUpPlot() {
  const plot = one("plot");
  plot.innerHTML = points.map(() => '<g class="dot" tabindex="-1" role="button"><circle class="reach" r="18"/><circle class="seen" r="7"/><text y="-12"></text></g>').join("");
  if (points.length <= 24) plot.classList.add("few");
  all(".dot", plot).forEach((dot, i) => {
    const point = points[i];
    dot.classList.toggle("few", points.length <= 24);
    dot.style.setProperty("--group", groupColour(point.group));
    dot.dataset.group = point.group;
    dot.setAttribute("aria-label", `${point.group}: ${point.before}${point.word}${point.after}`);
    dot.querySelector("text").textContent = point.label;
    for (const event of ["mouseenter", "focus", "click"]) on(dot, event, () => { state.point = i; drawPoint(); });
  });
  walk(plot, ".dot");
}

function drawPoint() {
  const i = state.point;
  all("#plot .dot").forEach((dot, k) => dot.classList.toggle("on", k === i));
  if (i === null) return;
  one("about").replaceChildren(make("i", { style: { "--group": groupColour(points[i].group) } }), ` ${points[i].group}: `, ...written(points[i]));
  const distances = layers[state.layer].nearest[i];
  one("near").replaceChildren(...distances.map(([k, similarity]) => make("li", {}, make("i", { title: points[k].group, style: { "--group": groupColour(points[k].group) } }),
    make("span", { className: "number", textContent: similarity.toFixed(2) }), make("span", {}, ...written(points[k])))));
}

function setUpGroups() {
  one("groups").replaceChildren(...groups.map((group) => {
    const box = make("input", { type: "checkbox", checked: true, value: group });
    on(box, "change", () => all("#plot .dot").forEach((dot) => {
      if (dot.dataset.group === group) dot.style.display = box.checked ? "" : "none";
    }));
    return make("label", {}, box, make("i", { style: { "--group": groupColour(group) } }), group);
  }));
}

/* ------------------------------------------------------------------ sentence × sentence */
function drawMatrix() {
  if (!one("matrix")) return;
  const { low, high, numbers } = matrices[metric()], n = points.length;
  const rows = Float64Array.from(rowOf(numbers, state.layer), (v) => low + (high - low) * v / 65535);
  const off = rows.filter((_, i) => Math.floor(i / n) !== i % n);
  const ends = one("alone").checked ? [Math.min(...off), Math.max(...off)] : [low, high];
  one("scale-low").textContent = ends[0].toFixed(2);
  one("scale-high").textContent = ends[1].toFixed(2);
  const body = points.map((point, i) => make("tr", {}, make("th", { title: point.before + point.word + point.after },
    make("i", { style: { "--group": groupColour(point.group) } }), n <= 24 ? `${point.label}  ` : "", ...written(point)),
    ...points.map((other, j) => {
      const value = rows[i * n + j], share = Math.min(1, Math.max(0, (value - ends[0]) / (ends[1] - ends[0] || 1)));
      const colour = palette[Math.round(254 * share)];
      return make("td", { textContent: n <= 16 ? value.toFixed(Math.abs(value) < 10 ? 2 : 1) : "", dataset: { i, j },
        style: { background: `rgb(${colour.join(" ")})`, color: share > 0.68 ? "#1a1208" : "#f4efe9" } });
    })));
  one("matrix").classList.toggle("many", n > 16);
  const head = make("tr", {}, make("th"), ...points.map(({ label }) => make("th", { scope: "col", textContent: n <= 24 ? label : "" })));
  one("matrix").replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
  one("matrix").onmouseover = (event) => {
    const { i, j } = event.target.dataset;
    if (j !== undefined) one("pair").replaceChildren(...written(points[i]), " · ", ...written(points[j]), `: ${rows[i * n + Number(j)].toFixed(3)}`);
  };
}

/* ------------------------------------------------------------------ the report */
function drawReport() {
  if (!report) return;
  const measure = one("measure").value, v = one("transform").value, { controls } = report;
  const model = report.model[measure][v], control = report.control[measure][v], flat = controls[measure];
  const values = [...model, ...control, ...(flat === undefined ? [] : [flat])].filter((value) => value !== null);
  const low = Math.min(0, ...values), high = Math.max(measure.startsWith("euclidean") ? 0.1 : 1, ...values);
  const x = (layer) => 46 + layer * 560 / Math.max(1, model.length - 1), y = (value) => 220 - (value - low) / (high - low) * 190;
  const line = (series, name) => `<polyline class="${name}" points="${series.map((value, layer) => value === null ? "" : `${x(layer)},${y(value)}`).join(" ")}"/>`;
  const ticks = [low, (low + high) / 2, high].map((value) => `<line class="axis" x1="36" x2="616" y1="${y(value)}" y2="${y(value)}"/><text x="30" y="${y(value) + 4}" text-anchor="end">${value.toFixed(2)}</text>`);
  one("curve").innerHTML = `<line class="here" x1="${x(state.layer)}" x2="${x(state.layer)}" y1="24" y2="226"/>${ticks.join("")}` +
    model.map((_, layer) => `<text x="${x(layer)}" y="244" text-anchor="middle">${layer}</text>`).join("") +
    line(control, "control") + (flat === undefined ? "" : line(model.map(() => flat), "position")) + line(model, "model") +
    model.map((value, layer) => value === null ? "" : `<circle cx="${x(layer)}" cy="${y(value)}" r="4"/>`).join("");
  one("position-note").textContent = flat === undefined ? "no such baseline for this measure"
    : `the position in the sentence alone: ${flat.toFixed(2)}; always the most frequent sense: ${controls.most_frequent.toFixed(2)}`;
  const short = (value) => value === null ? "–" : value.toFixed(Math.abs(value) < 10 ? 2 : 1);
  const { names } = report;
  const head = make("tr", {}, make("th", { textContent: "layer" }), ...names.map(([, title]) => make("th", { textContent: title })));
  const rows = model.map((_, layer) => make("tr", { className: layer === state.layer ? "on" : "" }, make("th", { textContent: layer }),
    ...names.map(([name]) => make("td", {}, short(report.model[name][v][layer]), make("span", { textContent: `(${short(report.control[name][v][layer])})` })))));
  one("report").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows), make("caption", { className: "small", textContent: "In parentheses: the untrained control." }));
}

function drawLayer() {
  const named = layers[state.layer].name ?? (state.layer === 0 ? "0, embedding" : `${state.layer} of ${layers.length - 1}`);
  one("layer-shown").textContent = named;
  one("layer").setAttribute("aria-valuetext", `layer ${named}`);
  drawPlot();
  drawPoint();
  drawMatrix();
  drawReport();
}

async function start() {
  for (const [name, box] of Object.entries(data.matrices)) matrices[name] = { ...box, numbers: await unpack(box.numbers) };
  setUpPlot();
  setUpGroups();
  if (report) {
    one("measure").append(...report.names.map(([value, textContent]) => make("option", { value, textContent })));
    one("measure").value = "nearest";
    one("transform").append(...report.transforms.map((name, v) => make("option", { value: v, textContent: name })));
    for (const id of ["measure", "transform"]) on(one(id), "input", drawReport);
  }
  on(one("layer"), "input", () => { state.layer = Number(one("layer").value); drawLayer(); });
  for (const control of all("[name=metric], #alone")) on(control, "input", drawMatrix);
  on(document.querySelector(".bar"), "submit", (event) => event.preventDefault());
  state.layer = Number(one("layer").value);
  drawLayer();
  document.body.dataset.ready = "yes";
}
start();
