/* The panels of a photo: what is open, what is painted on it, what the networks say and why. */
import { ask, events, floats, gone, unpacked, upload } from "./ask.js";
import { make } from "./controls.js";
import { Painting } from "./painting.js";
import { saver } from "./sheet.js";
import { Tile } from "./tiles.js";
import { t } from "./words.js";

const one = (id) => document.getElementById(id);
const FIRST = ["saliency", "integrated_gradients", "grad_cam", "lime"];
const RANDOMIZED = "\u0000";

export class PhotoPanel {
  constructor(about, trouble) {
    Object.assign(this, { about, trouble, picture: null, layers: [], classes: [], side: 128, known: new Map() });
    this.view = { percent: 99, absolute: false, side: "after" };
    this.said = [null, null]; // what the networks predict
    this.plain = [null, null]; // ... without the paint
    this.running = [null, null]; // AbortControllers of the explanations
    this.methods = Object.fromEntries(about.methods.map((method) => [method.name, method]));
    this.tiles = FIRST.filter((name) => this.methods[name]).map((name) => new Tile(this.methods[name], this));
    this.painting = new Painting(one("stage"), one("strokes"), (when) => this.painted(when));
    for (const name of about.models) one("model").append(make("option", { value: name, textContent: name }));
    this.sources();
    this.controls();
    one("tiles").append(...this.tiles.map((tile) => tile.element));
  }

  async start() {
    const [, kind, id] = location.hash.match(/^#(picture)=([\w-]+)/) || [];
    await this.openModel();
    if (kind) await this.open({ id, name: "photo", width: 1, height: 1 });
    else await this.openShipped("dish", 9);
  }

  /* ------------------------------------------------------------------------------------------------- what is open */

  sources() {
    for (const kind of ["photo", "dish"]) {
      this.about.shipped[kind].forEach((name, n) => {
        const button = make("button", { type: "button", className: "dish" }, make("img", { src: `/api/${kind}/${n}`, alt: "", loading: "lazy" }));
        Object.assign(button.dataset, { kind, name });
        button.addEventListener("click", () => this.openShipped(kind, n));
        one("shipped").append(button);
      });
    }
    one("file").addEventListener("change", () => this.openFile(one("file").files[0]));
    document.addEventListener("paste", (event) => this.openFile([...event.clipboardData.files][0]));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      this.openFile(event.dataTransfer.files[0]);
    });
    one("camera").addEventListener("click", () => this.takePicture());
  }

  async openShipped(kind, number) {
    await this.trying(async () => this.open(await ask(`open_${kind}`, { [kind]: number })));
  }

  async openFile(file) {
    if (file) await this.trying(async () => this.open(await upload(file, file.name)));
  }

  async takePicture() {
    const video = one("video");
    if (video.srcObject) {
      const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      for (const track of video.srcObject.getTracks()) track.stop();
      video.srcObject = null;
      video.hidden = true;
      one("camera").textContent = t("camera");
      canvas.toBlob((blob) => this.openFile(new File([blob], "camera.png")), "image/png");
      return;
    }
    await this.trying(async () => {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
      video.hidden = false;
      await video.play();
      one("camera").textContent = t("take");
    });
  }

  async open(picture) {
    this.picture = picture;
    this.plain = [null, null];
    this.known.clear();
    this.source = `/api/picture/${picture.id}`;
    one("seen").src = this.source;
    await one("seen").decode().catch(() => {});
    one("stage").style.aspectRatio = `${one("seen").naturalWidth || 1} / ${one("seen").naturalHeight || 1}`;
    document.documentElement.style.setProperty("--ratio", (one("seen").naturalWidth || 1) / (one("seen").naturalHeight || 1));
    one("lost").textContent = "";
    this.painting.reset(this.side);
    await this.changed();
    if (this.painting.tool === "region") this.findRegions();
  }

  async openModel() {
    const model = one("model").value;
    const { classes, side, layers, blocks } = await ask("model", { model });
    const chosen = one("target").value;
    Object.assign(this, { classes, side, layers, blocks: blocks.length });
    one("target").replaceChildren(make("option", { value: "", textContent: t("predicted") }),
      ...classes.map((name, i) => make("option", { value: i, textContent: name })));
    one("target").value = chosen in classes ? chosen : "";
    one("beside").replaceChildren(make("option", { value: "", textContent: t("nothing") }),
      ...(blocks.length ? [make("option", { value: RANDOMIZED, textContent: t("forgetful") })] : []),
      ...this.about.models.filter((name) => name !== model).map((name) => make("option", { value: name, textContent: name })));
    one("randomized").max = blocks.length;
    this.painting.reset(side);
  }

  /* what is looked at: on side 0 by the network, on side 1 by the one beside it */
  scene(side, paint = this.painting.layers) {
    const scene = { picture: this.picture.id, paint, model: one("model").value, target: this.target(side, paint.length > 0) };
    if (side === 1 && one("beside").value === RANDOMIZED) scene.randomized = Number(one("randomized").value);
    else if (side === 1) scene.model = one("beside").value;
    return scene;
  }

  /* The class whose score is explained, null for the predicted one. Paint does not change it, nor does the network
     beside it where it knows the same classes: what becomes of one score is the question. */
  target(side, painted) {
    if (one("target").value !== "") return Number(one("target").value);
    const asOther = side === 1 && this.sameClasses;
    const said = this.plain[asOther ? 0 : side];
    return said && (asOther || painted) ? said.predicted : null;
  }

  get sides() {
    return one("beside").value === "" ? [0] : [0, 1];
  }

  /* ----------------------------------------------------------------------------------------------- what is chosen */

  controls() {
    for (const fill of this.about.fills) one("fill").append(make("option", { value: fill, textContent: t(`fill_${fill}`) }));
    const on = (id, event, action) => one(id).addEventListener(event, () => this.trying(action));
    on("model", "change", async () => {
      one("beside").value = "";
      this.beside();
      this.known.clear();
      await this.openModel();
      await this.changed();
    });
    on("target", "change", () => this.changed());
    on("beside", "change", async () => {
      const name = one("beside").value;
      const other = name === "" || name === RANDOMIZED ? this.classes : (await ask("model", { model: name })).classes;
      this.sameClasses = JSON.stringify(other) === JSON.stringify(this.classes);
      this.plain[1] = this.said[1] = null;
      if (name === RANDOMIZED && one("randomized").value === "0") one("randomized").value = 1;
      this.beside();
      await this.changed();
    });
    on("randomized", "input", () => {
      this.plain[1] = null;
      this.beside();
      return this.changed([1]);
    });
    on("fill", "change", () => { this.painting.fill = one("fill").value; });
    on("size", "input", () => { this.painting.radius = one("size").value / 200; this.painting.draw(); });
    on("undo", "click", () => this.painting.undo());
    on("clear", "click", () => this.painting.clear());
    on("cancel", "click", () => this.stop());
    on("opacity", "input", () => document.documentElement.style.setProperty("--blend", one("opacity").value / 100));
    on("percentile", "input", () => this.look());
    on("absolute", "change", () => this.look());
    for (const radio of document.querySelectorAll("[name=side]")) radio.addEventListener("change", () => this.look());
    for (const radio of document.querySelectorAll("[name=tool]")) {
      radio.addEventListener("change", () => {
        this.painting.tool = document.querySelector("[name=tool]:checked").value;
        if (this.painting.tool === "region") this.findRegions();
      });
    }
    this.look();
  }

  beside() {
    const randomized = one("beside").value === RANDOMIZED;
    one("randomized-label").hidden = !randomized;
    one("randomized-said").textContent = `${one("randomized").value} ${t("blocks")} ${one("randomized").max}`;
    one("tiles").classList.toggle("two", one("beside").value !== "");
  }

  look() {
    this.view = {
      percent: Number(one("percentile").value),
      absolute: one("absolute").checked,
      side: document.querySelector("[name=side]:checked").value,
    };
    one("percentile-said").textContent = `${this.view.percent} %`;
    for (const tile of this.tiles) for (const side of this.sides) this.showMap(tile, side);
  }

  chooseMethods() {
    const groups = {};
    for (const method of this.about.methods) (groups[method.approach] ||= []).push(method);
    const open = new Set(this.tiles.map((tile) => tile.method.name));
    one("chosen").replaceChildren(...Object.entries(groups).map(([approach, methods]) =>
      make("fieldset", {}, make("legend", { textContent: approach }), ...methods.map((method) => {
        const box = make("input", { type: "checkbox", value: method.name, checked: open.has(method.name), name: "method" });
        box.addEventListener("change", () => this.toggle(method, box.checked));
        return make("label", { className: "tick", title: method.use }, box, ` ${method.title}`);
      }))));
    one("count").textContent = `(${this.tiles.length} / ${this.about.methods.length})`;
  }

  toggle(method, wanted) {
    if (wanted) {
      const tile = new Tile(method, this);
      this.tiles.push(tile);
      one("tiles").append(tile.element);
    } else {
      const tile = this.tiles.find((one) => one.method === method);
      this.tiles = this.tiles.filter((one) => one !== tile);
      tile.element.remove();
    }
    one("count").textContent = `(${this.tiles.length} / ${this.about.methods.length})`;
    this.explain();
  }

  words() {
    one("stage").setAttribute("aria-label", t("stage"));
    [...one("fill").options].forEach((option) => { option.textContent = t(`fill_${option.value}`); });
    for (const id of ["target", "beside"]) if (one(id).options[0]) one(id).options[0].textContent = t(id === "target" ? "predicted" : "nothing");
    for (const button of one("shipped").children) {
      button.title = `${t(`shipped_${button.dataset.kind}`)}: ${button.dataset.name}`;
      button.setAttribute("aria-label", button.title);
    }
    const forgetful = [...one("beside").options].find((option) => option.value === RANDOMIZED);
    if (forgetful) forgetful.textContent = t("forgetful");
    for (const tile of this.tiles) tile.words();
    const name = () => (this.picture ? this.picture.name : "photo");
    const methods = () => this.tiles.map((tile) => tile.asked);
    one("keep").replaceChildren(
      saver("save_page", "page", () => ({ scenes: this.sides.map((side) => this.scene(side)), methods: methods() }), () => `${name()}.html`),
      saver("save_arrays", "arrays", () => ({ scene: this.scene(0), methods: methods() }), () => `${name()}.npz`));
    this.beside();
    this.chooseMethods();
    this.showOdds();
  }

  /* -------------------------------------------------------------------------------------------- what answers to it */

  async trying(action) {
    try {
      await action();
    } catch (error) {
      if (!gone(error)) this.trouble(error);
    }
  }

  painted(when) {
    if (when === "end") {
      const last = this.painting.strokes[this.painting.strokes.length - 1];
      this.trying(async () => { await this.changed(); this.tellLost(last); });
      return;
    }
    this.stop();
    if (this.asking) { this.again = true; return; }
    this.asking = this.trying(() => this.predict(this.sides)).then(() => {
      this.asking = null;
      if (this.again) { this.again = false; if (this.painting.current) this.painted("stroke"); }
    });
  }

  async changed(sides = this.sides) {
    this.stop(sides);
    await this.predict(sides);
    this.explain(sides);
  }

  async predict(sides) {
    const asked = (this.predicting = {});
    const began = performance.now();
    const paint = this.painting.layers;
    for (const side of sides) {
      const said = await ask("predict", { scene: this.scene(side, paint) });
      if (asked !== this.predicting) return;
      this.said[side] = said;
      if (!paint.length) this.plain[side] = said;
      else if (!this.plain[side]) this.plain[side] = await ask("predict", { scene: this.scene(side, []) });
      if (side === 0) one("seen").src = said.seen || this.source;
    }
    this.lastPrediction = performance.now() - began;
    if (!this.sides.includes(1)) this.said[1] = null;
    this.trouble(null);
    if (this.sides.length < 2) this.plain[1] = null;
    this.showOdds();
  }

  stop(sides = [0, 1]) {
    for (const side of sides) {
      if (!this.running[side]) continue;
      this.running[side].abort();
      this.running[side] = null;
      for (const tile of this.tiles) tile.say(side, tile.maps[side] ? tile.notes[side] : t("stopped"));
    }
    this.showRunning();
  }

  showRunning() {
    const busy = this.running.some(Boolean);
    one("cancel").hidden = !busy;
    one("running").textContent = busy ? `${t("working")} …` : "";
    document.body.dataset.busy = busy;
  }

  explain(sides = this.sides) {
    if (!this.picture) return;
    this.stop(sides);
    for (const side of sides) this.trying(() => this.explainSide(side));
  }

  key(scene, asked) {
    return JSON.stringify([scene, asked]);
  }

  async explainSide(side) {
    const controller = (this.running[side] = new AbortController());
    const scene = this.scene(side);
    const waiting = this.tiles.filter((tile) => {
      const known = this.known.get(this.key(scene, tile.asked));
      if (known) this.arrived(tile, side, known);
      else tile.say(side, t("waiting"));
      return !known;
    });
    this.showRunning();
    const byName = Object.fromEntries(waiting.map((tile) => [tile.method.name, { tile, asked: tile.asked }]));
    try {
      if (!waiting.length) return;
      for await (const event of events("explain", { scene, methods: waiting.map((tile) => tile.asked) }, controller.signal)) {
        const { tile, asked } = byName[event.method] || {};
        if (event.event === "failed" && !tile) throw new Error(event.sentence);
        if (!tile) continue;
        if (event.event === "begin") tile.say(side, t("working"), 0);
        if (event.event === "progress") tile.say(side, t("working"), event.done / event.total);
        if (event.event === "failed") tile.failed(side, event.sentence);
        if (event.event === "map") {
          const map = { ...event, values: floats(event.values), source: this.shownOf(side) };
          if (event.final) this.keepMap(this.key(scene, asked), map);
          this.arrived(tile, side, map);
        }
      }
    } finally {
      if (this.running[side] === controller) this.running[side] = null;
      this.showRunning();
    }
  }

  keepMap(key, map) {
    this.known.set(key, map);
    if (this.known.size > 300) this.known.delete(this.known.keys().next().value);
  }

  shownOf(side) {
    return (this.said[side] && this.said[side].seen) || this.source;
  }

  arrived(tile, side, map) {
    tile.now = tile.now || [null, null];
    tile.now[side] = map;
    const quality = Object.entries(map.quality).map(([name, value]) => `${name} ${value}`);
    const time = map.final ? `${map.seconds.toFixed(2)} ${t("seconds")}` : t("estimate");
    tile.say(side, [time, ...quality].join(" · "));
    this.showMap(tile, side);
  }

  /* before, after, or what the paint has changed */
  showMap(tile, side) {
    const after = tile.now && tile.now[side];
    if (!after) return;
    const before = this.known.get(this.key(this.scene(side, []), tile.asked));
    const caption = side === 1 ? one("beside").selectedOptions[0].textContent : "";
    if (this.view.side === "after" || !before) return tile.show(side, after, after.source, caption);
    if (this.view.side === "before") return tile.show(side, before, before.source, caption);
    const values = after.values.map((value, i) => value - before.values[i]);
    tile.show(side, { values, shape: after.shape, signed: true }, after.source, caption);
  }

  /* ------------------------------------------------------------------------------------------------- what is said */

  showOdds() {
    one("odds").replaceChildren(...this.said.map((said, side) => said && this.odds(said, this.plain[side], side)).filter(Boolean));
  }

  odds(said, plain, side) {
    const before = Object.fromEntries((plain ? plain.classes : []).map(({ index, p }) => [index, p]));
    const painted = this.painting.layers.length > 0;
    const rows = said.classes.slice(0, 6);
    if (!rows.some(({ index }) => index === said.target)) rows.push(said.classes.find(({ index }) => index === said.target));
    const list = make("ol", { className: "odds" }, ...rows.map(({ index, name, p }) => {
      const change = painted && index in before ? p - before[index] : 0;
      const row = make("li", { className: index === said.target ? "explained" : "" },
        make("span", { textContent: name }),
        make("span", { className: "number", textContent: `${(100 * p).toFixed(1)} %` + (painted ? ` (${change >= 0 ? "+" : "−"}${Math.abs(100 * change).toFixed(1)})` : "") }),
        make("i"));
      row.querySelector("i").style.setProperty("--p", p);
      row.querySelector("i").style.setProperty("--was", painted && index in before ? before[index] : p);
      return row;
    }));
    const caption = this.sides.length > 1 ? [make("h3", { textContent: side ? one("beside").selectedOptions[0].textContent : one("model").value })] : [];
    return make("div", {}, ...caption, list);
  }

  async findRegions() {
    const asked = this.picture;
    await this.trying(async () => {
      const found = await ask("regions", { scene: { picture: this.picture.id, model: one("model").value } });
      if (asked !== this.picture) return;
      this.painting.found(await unpacked(found.regions));
    });
  }

  /* after a click on a region: what the score loses, and what LIME and Shapley values say of it */
  tellLost(stroke) {
    const [said, plain] = [this.said[0], this.plain[0]];
    if (!stroke || !said || !plain || stroke.region === undefined) { one("lost").textContent = ""; return; }
    const name = this.classes[said.target];
    const was = plain.classes.find(({ index }) => index === said.target);
    const opinions = this.tiles.filter((tile) => ["lime", "shapley"].includes(tile.method.name)).map((tile) => {
      const map = this.known.get(this.key(this.scene(0, []), tile.asked));
      const place = stroke.mask.indexOf(1);
      return map ? `${tile.method.title}: ${map.values[place].toFixed(2)}` : "";
    }).filter(Boolean);
    const lost = was ? was.score - said.score : 0;
    one("lost").textContent = `${t("score_lost")} ${name}: ${was ? was.score.toFixed(2) : "?"} → ${said.score.toFixed(2)} (${lost >= 0 ? "−" : "+"}${Math.abs(lost).toFixed(2)})` +
      (opinions.length ? ` · ${opinions.join(" · ")} ${t("opinion")}` : "");
  }
}
