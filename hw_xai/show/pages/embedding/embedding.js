const { points, layers, groups, report } = data;
const state = { layer: data.shown, point: null };
const groupColour = (group) => data.colours[groups.indexOf(group) % data.colours.length];
const MANY = 24; // more dots than this have no letters beside them, and a matrix of pixels
/* circle, square, triangle, diamond, cross, as the figures have them */
const outlines = ["M7 0A7 7 0 1 1 -7 0A7 7 0 1 1 7 0Z", "M-6 -6H6V6H-6Z", "M0 -8L7.5 6H-7.5Z", "M0 -8L8 0L0 8L-8 0Z",
  "M-7 -3.5L-3.5 -7L0 -3.5L3.5 -7L7 -3.5L3.5 0L7 3.5L3.5 7L0 3.5L-3.5 7L-7 3.5L-3.5 0Z"];
const shape = (group) => groups.indexOf(group) % outlines.length;
const sample = (group) => make("i", { title: group, dataset: { shape: shape(group) }, style: { "--group": groupColour(group) } });
const metric = () => document.querySelector("[name=metric]:checked")?.value || data.metric;
let matrices = {}, dots = [];

function written({ before, word, after, image }) {
  if (image) return [make("img", { className: "thumb", src: image, alt: "" }), word]; // a dot may be a photo
  return [before, make("mark", { textContent: word }), after];
}

/* ------------------------------------------------------------------ projection */
function drawPlot() {
  const layer = layers[state.layer], xs = layer.points.map(([x]) => x), ys = layer.points.map(([, y]) => y);
  const spread = Math.max(Math.max(...xs) - Math.min(...xs), (Math.max(...ys) - Math.min(...ys)) * 1.25) || 1;
  const [cx, cy] = [(Math.max(...xs) + Math.min(...xs)) / 2, (Math.max(...ys) + Math.min(...ys)) / 2];
  dots.forEach((dot, i) => {
    const x = 300 + (xs[i] - cx) / spread * 500, y = 240 - (ys[i] - cy) / spread * 500;
    dot.style.transform = `translate(${x}px, ${y}px)`;
  });
  one("worth").textContent = layer.worth;
}

function setUpPlot() {
  const plot = one("plot");
  const few = points.length <= MANY;
  plot.innerHTML = points.map(({ group }) => few
    ? `<g class="dot few" tabindex="-1" role="button"><circle class="reach" r="18"/><path class="seen" d="${outlines[shape(group)]}"/><text y="-12"></text></g>`
    : `<path class="dot seen" tabindex="-1" role="button" d="${outlines[shape(group)]}"/>`).join("");
  plot.classList.toggle("few", few);
  plot.classList.toggle("many", !few);
  all(".dot", plot).forEach((dot, i) => {
    const point = points[i];
    dot.style.setProperty("--group", groupColour(point.group));
    dot.dataset.group = point.group;
    dot.setAttribute("aria-label", `${point.group}: ${point.before}${point.word}${point.after}`);
    if (few) dot.querySelector("text").textContent = point.label;
    for (const event of ["mouseenter", "focus", "click"]) on(dot, event, () => { state.point = i; drawPoint(); });
  });
  walk(plot, ".dot");
  dots = all(".dot", plot);
}

function drawPoint() {
  const i = state.point;
  if (i === null) return;
  dots.forEach((dot, k) => dot.classList.toggle("on", k === i));
  one("about").replaceChildren(sample(points[i].group), ` ${points[i].group}: `, ...written(points[i]));
  const distances = layers[state.layer].nearest[i];
  one("near").replaceChildren(...distances.map(([k, similarity]) => make("li", {}, sample(points[k].group),
    make("span", { className: "number", textContent: similarity.toFixed(2) }), make("span", {}, ...written(points[k])))));
}

function setUpGroups() {
  one("groups").replaceChildren(...groups.map((group) => {
    const box = make("input", { type: "checkbox", checked: true, value: group });
    on(box, "change", () => dots.forEach((dot) => {
      if (dot.dataset.group === group) dot.style.display = box.checked ? "" : "none";
    }));
    return make("label", {}, box, sample(group), group);
  }));
}

/* ------------------------------------------------------------------ sentence × sentence */
function drawMatrix() {
  if (!one("matrix")) return;
  const { low, high, numbers } = matrices[metric()], n = points.length;
  const levels = rowOf(numbers, state.layer), value = (k) => low + (high - low) * levels[k] / 65535;
  let ends = [low, high];
  if (one("alone").checked) {
    let [least, most] = [65535, 0]; // of pairs: everything is most like itself
    for (let k = 0; k < levels.length; k++) if (k % (n + 1) !== 0) { least = Math.min(least, levels[k]); most = Math.max(most, levels[k]); }
    ends = [least, most].map((level) => low + (high - low) * level / 65535);
  }
  one("scale-low").textContent = ends[0].toFixed(2);
  one("scale-high").textContent = ends[1].toFixed(2);
  const shareOf = (level) => Math.min(1, Math.max(0, (low + (high - low) * level / 65535 - ends[0]) / (ends[1] - ends[0] || 1)));
  const share = (k) => shareOf(levels[k]);
  const tell = (i, j) => one("pair").replaceChildren(...written(points[i]), " · ", ...written(points[j]), `: ${value(i * n + j).toFixed(3)}`);
  one("matrix").hidden = n > MANY;
  one("pixels").hidden = n <= MANY;
  if (n > MANY) return drawPixels(n, levels, shareOf, tell);
  const body = points.map((point, i) => make("tr", {}, make("th", { title: point.before + point.word + point.after },
    sample(point.group), `${point.label}  `, ...written(point)),
    ...points.map((other, j) => {
      const number = value(i * n + j), colour = palette[Math.round(254 * share(i * n + j))];
      return make("td", { textContent: n <= 16 ? number.toFixed(Math.abs(number) < 10 ? 2 : 1) : "", dataset: { i, j },
        style: { background: `rgb(${colour.join(" ")})`, color: share(i * n + j) > 0.68 ? "#1a1208" : "#f4efe9" } });
    })));
  one("matrix").classList.toggle("many", n > 16);
  const head = make("tr", {}, make("th"), ...points.map(({ label }) => make("th", { scope: "col", textContent: label })));
  one("matrix").replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
  one("matrix").onmouseover = (event) => {
    const { i, j } = event.target.dataset;
    if (j !== undefined) tell(Number(i), Number(j));
  };
}

/* a pixel for each pair: 500 sentences would be 250,000 cells of a table */
function drawPixels(n, levels, shareOf, tell) {
  const canvas = one("pixels"), picture = new ImageData(n, n), pixels = new Uint32Array(picture.data.buffer);
  const packed = palette.map(([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r);
  const inks = Uint32Array.from({ length: 256 }, (_, i) => packed[Math.round(254 * shareOf(257 * i))]); // finer is not seen
  for (let k = 0; k < n * n; k++) pixels[k] = inks[levels[k] >> 8];
  canvas.width = canvas.height = n;
  canvas.getContext("2d").putImageData(picture, 0, 0);
  canvas.onmousemove = (event) => {
    const box = canvas.getBoundingClientRect(), at = (offset, size) => Math.min(n - 1, Math.max(0, Math.floor(offset / size * n)));
    tell(at(event.clientY - box.top, box.height), at(event.clientX - box.left, box.width));
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
