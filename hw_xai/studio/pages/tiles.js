/* One tile for each method: its maps beside each other, what it costs, its options. */
import { make, optionsForm } from "./controls.js";
import { drawMap } from "./colours.js";
import { showCurves, showFrames, showPython } from "./sheet.js";
import { t } from "./words.js";

export class Tile {
  constructor(method, panel) {
    Object.assign(this, { method, panel, options: {}, maps: [null, null], notes: ["", ""] });
    this.stacks = [this.stack(), this.stack()];
    this.note = make("p", { className: "note-line" });
    this.bar = make("progress", { max: 1, value: 0, hidden: true });
    this.buttons = make("div", { className: "buttons" });
    this.form = make("div", { hidden: true });
    this.element = make("figure", { className: "tile" },
      make("div", { className: "pair" }, ...this.stacks.map((stack) => stack.box)),
      this.bar,
      make("figcaption", {}, make("h3", { textContent: method.title }), this.note, this.buttons, this.form,
        make("p", { className: "use", textContent: method.use }), make("p", { className: "paper", textContent: method.paper })));
    this.element.dataset.method = method.name;
    this.words();
  }

  get asked() {
    return { name: this.method.name, options: this.options };
  }

  stack() {
    const photo = make("img", { alt: "", className: "photo" });
    const canvas = make("canvas", { className: "heat" });
    const caption = make("span", { className: "of" });
    const box = make("div", { className: "stack" }, photo, canvas, caption);
    return { box, photo, canvas, caption };
  }

  words() {
    this.buttons.replaceChildren();
    if (this.method.controls.length) this.button(t("options"), () => {
      this.form.hidden = !this.form.hidden;
      this.form.replaceChildren(optionsForm(this.method, this.panel.layers, this.options, (options) => {
        this.options = options;
        this.panel.explain();
      }));
    }, "options");
    const about = (open) => () => this.maps[0] && open(this.method, this.panel.scene(0), this.asked, this.panel.shownOf(0), this.panel.picture.name);
    if (this.method.frames) this.button(t("frames"), about(showFrames), "frames");
    this.button(t("curves"), about(showCurves), "curves");
    this.button("Python", about((method, scene, asked, _, name) => showPython(method, scene, asked, name)), "python");
  }

  button(text, action, name) {
    const button = make("button", { type: "button", textContent: text });
    button.dataset.action = name;
    button.addEventListener("click", action);
    this.buttons.append(button);
  }

  /* what is known of a map on one side: 0 the network, 1 the one beside it */
  say(side, note, share = null) {
    this.notes[side] = note;
    this.note.textContent = this.notes.filter(Boolean).join(" · ");
    this.bar.hidden = share === null;
    if (share !== null) this.bar.value = share;
  }

  failed(side, sentence) {
    this.show(side, null);
    this.say(side, sentence);
    this.note.classList.add("bad");
  }

  /* show a map over a picture; null for none yet */
  show(side, map, source = null, caption = "") {
    this.maps[side] = map;
    const { box, photo, canvas } = this.stacks[side];
    this.stacks[side].caption.textContent = caption;
    box.classList.toggle("empty", map === null);
    if (source) photo.src = source;
    if (map === null) return;
    this.note.classList.remove("bad");
    const signed = drawMap(canvas, map, this.panel.view);
    box.classList.toggle("signed", signed);
    box.classList.toggle("unsigned", !signed);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${this.method.title} ${caption}`);
  }

  redraw() {
    this.maps.forEach((map, side) => map && this.show(side, map, null, this.stacks[side].caption.textContent));
  }
}
