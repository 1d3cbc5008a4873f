/* The panels of a sentence: hide words by a click, see what is guessed, which words that rests on, where heads look. */
import { ask, events, gone, unpacked } from "./ask.js";
import { make } from "./controls.js";
import { drawMap } from "./colours.js";
import { t } from "./words.js";

const one = (id) => document.getElementById(id);
const EXAMPLE = "The nurse is kind because she helps.";
const FIRST = ["occlusion", "input_x_gradient"];

export class SentencePanel {
  constructor(about, trouble) {
    Object.assign(this, { about, trouble, hidden: [], head: [0, 0], chosen: new Set(FIRST), found: null });
    this.text = make("input", { type: "text", id: "text", maxLength: 2000, value: decodeURIComponent((location.hash.match(/^#sentence=(.*)/) || [])[1] || EXAMPLE) });
    this.text.addEventListener("input", () => {
      clearTimeout(this.soon);
      this.soon = setTimeout(() => { this.hidden = []; this.look(); }, 250);
    });
    this.words_ = make("p", { className: "chips", id: "chips" });
    this.guesses = make("div", { id: "guesses", className: "guesses" });
    this.notices = make("p", { className: "quiet" });
    this.methods = make("p", { className: "keep" });
    this.rows = make("div", { id: "rows", className: "rows" });
    this.heads = make("div", { className: "heads", id: "heads" });
    this.large = make("div", { className: "large-head" });
    one("sentence").replaceChildren(
      make("label", { className: "typed" }, make("span", { className: "quiet" }), this.text), this.words_, this.notices, this.guesses,
      make("h2"), this.methods, this.rows, make("h2"), make("div", { className: "attention" }, this.heads, this.large));
  }

  async start() {
    if (!one("sentence").hidden) await this.look();
    one("tab-sentence").addEventListener("click", () => this.found || this.look());
  }

  words() {
    const [first, second] = one("sentence").querySelectorAll("h2");
    one("sentence").querySelector(".typed span").textContent = t("type_here");
    first.textContent = t("rests_on");
    second.textContent = t("attention");
    this.methods.replaceChildren(...this.about.token_methods.map(({ name, title, use }) => {
      const box = make("input", { type: "checkbox", checked: this.chosen.has(name), value: name });
      box.addEventListener("change", () => { this.chosen[box.checked ? "add" : "delete"](name); this.attribute(); });
      return make("label", { className: "tick", title: use }, box, ` ${title}`);
    }));
    if (this.found) this.show();
  }

  async trying(action) {
    try {
      await action();
      this.trouble(null);
    } catch (error) {
      if (!gone(error)) this.trouble(error);
    }
  }

  look() {
    const asked = (this.asked = {});
    return this.trying(async () => {
      const found = await ask("look", { text: this.text.value, hidden: this.hidden });
      if (asked !== this.asked) return;
      this.found = found;
      this.attention = found.attention ? { values: await unpacked(found.attention), shape: found.attention.shape } : null;
      this.show();
      this.attribute();
    });
  }

  show() {
    const { words, hidden, guesses, notices } = this.found;
    this.words_.replaceChildren(...words.map((word, w) => {
      const chip = make("button", { type: "button", className: "chip", textContent: hidden.includes(w) ? "[MASK]" : word.text, disabled: word.special || !this.found.can_guess });
      chip.title = word.special ? "" : t("hide");
      chip.setAttribute("aria-pressed", hidden.includes(w));
      chip.addEventListener("click", () => {
        this.hidden = hidden.includes(w) ? hidden.filter((h) => h !== w) : [...hidden, w];
        this.look();
      });
      return chip;
    }));
    this.notices.textContent = notices.join(" · ");
    this.guesses.replaceChildren(...guesses.map(({ word, own, top }) => make("div", {},
      make("h3", { textContent: own === null ? words[word].text : `${words[word].text} (${(100 * own).toFixed(1)} %)` }),
      make("ol", { className: "odds" }, ...top.map(([token, p]) => {
        const row = make("li", {}, make("span", { textContent: token }), make("span", { className: "number", textContent: `${(100 * p).toFixed(1)} %` }), make("i"));
        row.querySelector("i").style.setProperty("--p", p);
        row.querySelector("i").style.setProperty("--was", p);
        return row;
      })))));
    this.showHeads();
  }

  map(layer, head) {
    const [, heads, size] = this.attention.shape;
    const start = (layer * heads + head) * size * size;
    return { values: Float32Array.from(this.attention.values.subarray(start, start + size * size)), shape: [size, size], signed: false };
  }

  showHeads() {
    this.heads.replaceChildren();
    this.large.replaceChildren();
    if (!this.attention) return;
    const [layers, heads] = this.attention.shape;
    this.heads.style.gridTemplateColumns = `repeat(${heads}, minmax(0, 1fr))`;
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < heads; head++) {
        const canvas = make("canvas");
        drawMap(canvas, this.map(layer, head), { percent: 100, absolute: false });
        const button = make("button", { type: "button", className: "head" }, canvas);
        button.setAttribute("aria-label", `${t("layer")} ${layer + 1}, ${t("head")} ${head + 1}`);
        button.setAttribute("aria-pressed", this.head[0] === layer && this.head[1] === head);
        button.addEventListener("click", () => {
          this.head = [layer, head];
          for (const other of this.heads.children) other.setAttribute("aria-pressed", other === button);
          this.showLarge();
        });
        this.heads.append(button);
      }
    }
    this.head = [Math.min(this.head[0], layers - 1), Math.min(this.head[1], heads - 1)];
    this.showLarge();
  }

  /* one head as a table: each row says where its word looks */
  showLarge() {
    const map = this.map(...this.head);
    const { tokens } = this.found;
    const size = tokens.length;
    const table = make("table", {},
      make("caption", { textContent: `${t("layer")} ${this.head[0] + 1}, ${t("head")} ${this.head[1] + 1}` }),
      make("tr", {}, make("td"), ...tokens.map((token) => make("th", { scope: "col" }, make("span", { textContent: token })))),
      ...tokens.map((token, i) => make("tr", {}, make("th", { scope: "row", textContent: token }), ...tokens.map((_, j) => {
        const share = map.values[i * size + j] / 255;
        const cell = make("td", { className: "share", title: `${token} → ${tokens[j]}: ${(100 * share).toFixed(0)} %` });
        cell.style.setProperty("--p", share);
        return cell;
      }))));
    this.large.replaceChildren(table);
  }

  attribute() {
    if (this.running) this.running.abort();
    this.rows.replaceChildren();
    if (!this.chosen.size) return;
    const controller = (this.running = new AbortController());
    this.trying(async () => {
      const asked = { text: this.text.value, hidden: this.hidden, word: null, methods: [...this.chosen] };
      for await (const event of events("attribute", asked, controller.signal)) {
        if (event.event === "failed" && !event.method) throw new Error(event.sentence);
        if (event.event === "failed") this.rows.append(make("p", { className: "note-line bad", textContent: `${event.title}: ${event.sentence}` }));
        if (event.event !== "words") continue;
        const most = Math.max(...event.values.map((value) => Math.abs(value))) || 1;
        this.rows.append(make("div", { className: "row" },
          make("h3", { textContent: event.title }), make("p", { className: "quiet", textContent: `${event.explained} = ${event.value}` }),
          make("p", {}, ...event.words.map((word, i) => {
            const shown = make("span", { className: `given ${event.values[i] < 0 ? "against" : event.signed ? "for" : "much"}`, textContent: word, title: event.values[i].toFixed(3) });
            shown.style.setProperty("--p", Math.abs(event.values[i]) / most);
            return shown;
          }))));
      }
    });
  }
}
