/* What opens over the page for one method: its frames, its curves, its Python; and files to keep. */
import { ask, events, floats, gone } from "./ask.js";
import { make } from "./controls.js";
import { drawMap } from "./colours.js";
import { t } from "./words.js";

const one = (id) => document.getElementById(id);
let running = null; // ends when the sheet is closed

one("sheet-close").addEventListener("click", () => one("sheet").close());
one("sheet").addEventListener("close", () => running && running.abort());

function opened(title, ...content) {
  if (running) running.abort();
  running = new AbortController();
  one("sheet-title").textContent = title;
  one("sheet-body").replaceChildren(...content);
  if (!one("sheet").open) one("sheet").showModal();
  return running.signal;
}

async function told(work) {
  try {
    await work();
  } catch (error) {
    if (!gone(error)) one("sheet-body").append(make("p", { className: "trouble", textContent: error.message }));
  }
}

/* a file that the studio makes, saved under a name */
export async function save(name, body, file) {
  const response = await fetch(`/api/${name}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error((await response.json()).error);
  const link = make("a", { href: URL.createObjectURL(await response.blob()), download: file });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function saver(word, name, body, file) {
  const button = make("button", { type: "button", textContent: t(word) });
  button.dataset.keep = name;
  button.addEventListener("click", () => told(() => save(name, body(), file())));
  return button;
}

/* the Python that makes the same figure */
export function showPython(method, scene, asked, name) {
  const code = make("pre", { className: "code", tabIndex: 0 });
  const copy = make("button", { type: "button", textContent: t("copy") });
  copy.addEventListener("click", () => navigator.clipboard.writeText(code.textContent));
  opened(`${method.title}: Python`, code, make("p", { className: "keep" }, copy,
    saver("save_picture", "picture", () => ({ scene, method: asked }), () => `${name}-${method.name}.png`),
    saver("save_arrays", "arrays", () => ({ scene, methods: [asked] }), () => `${name}.npz`)));
  return told(async () => { code.textContent = (await ask("python", { scene, method: asked })).python; });
}

/* how the map comes about, with a slider over its frames */
export function showFrames(method, scene, asked, source, name) {
  const frames = [];
  const [seen, photo] = [make("img", { alt: "", src: source }), make("img", { alt: "", src: source, className: "photo" })];
  const canvas = make("canvas", { className: "heat" });
  const stack = make("div", { className: "stack" }, photo, canvas);
  const slider = make("input", { type: "range", min: 0, max: 0, value: 0 });
  slider.setAttribute("aria-label", t("frames"));
  const label = make("output");
  const curve = make("div", { className: "curve" });
  const show = (n) => {
    const frame = frames[n];
    if (!frame) return;
    if (frame.seen) seen.src = frame.seen;
    label.textContent = frame.label;
    const signed = drawMap(canvas, frame, { percent: 99, absolute: false });
    stack.classList.toggle("signed", signed);
    stack.classList.toggle("unsigned", !signed);
    const points = frames.map(({ point }) => point).filter(Boolean);
    if (points.length > 1) curve.replaceChildren(plot([{ name: t("score"), points, at: frame.point }], t("alpha")));
  };
  slider.addEventListener("input", () => show(Number(slider.value)));
  const signal = opened(`${method.title}: ${t("frames")}`,
    make("div", { className: "comes" }, make("div", { className: "stack" }, seen), stack),
    make("p", { className: "keep" }, slider, label, saver("save_gif", "gif", () => ({ scene, method: asked }), () => `${name}-${method.name}.gif`)), curve);
  return told(async () => {
    for await (const event of events("frames", { scene, method: asked }, signal)) {
      if (event.event === "failed") throw new Error(event.sentence);
      if (event.event !== "frame") continue;
      frames.push({ ...event, values: floats(event.values) });
      slider.max = frames.length - 1;
      slider.value = frames.length - 1;
      show(frames.length - 1);
    }
  });
}

/* deletion and insertion of the map, drawn as they are computed */
export function showCurves(method, scene, asked) {
  const drawn = make("div", { className: "curve" });
  const said = make("p", { className: "use", textContent: t("curves_use") });
  const signal = opened(`${method.title}: ${t("curves")}`, drawn, said);
  const found = {};
  return told(async () => {
    for await (const event of events("curves", { scene, method: asked }, signal)) {
      if (event.event === "failed") throw new Error(event.sentence);
      if (event.event !== "curve") continue;
      const points = event.values.map((value, i) => [i / (event.values.length - 1), value]);
      found[event.name] = { name: `${t(event.name)} ${event.area.toFixed(3)}${event.final ? "" : " …"}`, points };
      drawn.replaceChildren(plot(Object.values(found), t("share_of_places"), [0, 1]));
    }
  });
}

/* a plot of lines [{name, points: [[x, y]], at: [x, y]}] over x in 0 to 1 */
function plot(lines, along, ends = null) {
  const svg = (tag, properties, text = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };
  const values = lines.flatMap(({ points }) => points.map(([, y]) => y));
  const [low, high] = ends || [Math.min(...values), Math.max(...values)];
  const [x, y] = [(v) => 46 + 380 * v, (v) => 178 - (160 * (v - low)) / (high - low || 1)];
  const drawing = svg("svg", { viewBox: "0 0 600 210", role: "img" });
  drawing.append(svg("path", { d: "M46 18V178H426", class: "axis" }), svg("text", { x: 40, y: 24, class: "end" }, high.toFixed(2)),
    svg("text", { x: 40, y: 182, class: "end" }, low.toFixed(2)), svg("text", { x: 236, y: 202, class: "middle" }, along));
  lines.forEach(({ name, points, at }, i) => {
    drawing.append(svg("polyline", { points: points.map(([a, b]) => `${x(a)},${y(b)}`).join(" "), class: `line line-${i}` }));
    drawing.append(svg("text", { x: 440, y: 40 + 24 * i, class: `name-${i}` }, name));
    if (at) drawing.append(svg("circle", { cx: x(at[0]), cy: y(at[1]), r: 5, class: `dot-${i}` }));
  });
  return drawing;
}
