/* The picture that is painted on: strokes of a brush, regions by a click, undo. Masks are of the network's own size. */

export class Painting {
  constructor(stage, canvas, changed) {
    Object.assign(this, { stage, canvas, changed, strokes: [], side: 128, regions: null, tool: "brush", fill: "grey", radius: 0.07 });
    this.at = null; // where the pointer or the keyboard's cursor is, in shares of the picture
    stage.addEventListener("pointerdown", (event) => this.down(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, () => this.up());
    stage.addEventListener("pointerleave", () => !this.current && this.hover(null));
    stage.addEventListener("keydown", (event) => this.key(event));
  }

  /* the paint as the studio takes it: neighbouring strokes of one fill are one layer */
  get layers() {
    const merged = [];
    for (const { fill, mask } of this.current ? [...this.strokes, this.current] : this.strokes) {
      const last = merged[merged.length - 1];
      if (last && last.fill === fill) mask.forEach((on, i) => { if (on) last.mask[i] = 1; });
      else merged.push({ fill, mask: mask.slice() });
    }
    return merged.map(({ fill, mask }) => ({ fill, side: this.side, bits: bitsOf(mask) }));
  }

  reset(side, strokes = []) {
    Object.assign(this, { side, strokes, current: null, regions: null, early: null });
    this.draw();
  }

  undo() {
    this.strokes.pop();
    this.changed("end");
  }

  clear() {
    this.strokes = [];
    this.changed("end");
  }

  place(event) {
    const box = this.stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  down(event) {
    if (event.button !== 0) return;
    this.stage.setPointerCapture(event.pointerId);
    event.preventDefault();
    this.stage.focus({ preventScroll: true });
    this.begin(this.place(event));
  }

  move(event) {
    const at = this.place(event);
    if (this.current && this.tool === "brush") {
      this.dab(this.at, at);
      this.at = at;
      this.draw();
      this.changed("stroke");
    } else this.hover(at);
  }

  up() {
    if (!this.current) return;
    this.strokes.push(this.current);
    this.current = null;
    this.draw();
    this.changed("end");
  }

  /* the regions of the picture; a click that came before them counts now */
  found(regions) {
    this.regions = regions;
    if (this.early) this.begin(this.early);
    this.early = null;
    this.draw();
  }

  begin(at) {
    if (this.tool === "region" && !this.regions) {
      this.early = at;
      return;
    }
    this.current = { fill: this.fill, mask: new Uint8Array(this.side * this.side) };
    this.at = at;
    if (this.tool === "region") {
      const region = this.regionAt(at);
      if (region === null) { this.current = null; return; }
      this.current.region = region;
      this.regions.forEach((r, i) => { if (r === region) this.current.mask[i] = 1; });
      this.up();
      return;
    }
    this.dab(at, at);
    this.draw();
    this.changed("stroke");
  }

  regionAt([x, y]) {
    if (!this.regions || x < 0 || y < 0 || x >= 1 || y >= 1) return null;
    return this.regions[Math.floor(y * this.side) * this.side + Math.floor(x * this.side)];
  }

  /* a line of the brush: round on the screen, whatever the picture's proportions */
  dab([x0, y0], [x1, y1]) {
    const box = this.stage.getBoundingClientRect();
    const [rx, ry] = [this.radius, this.radius * (box.width / box.height)];
    const steps = Math.max(1, Math.ceil((2 * Math.hypot(x1 - x0, y1 - y0)) / Math.min(rx, ry)));
    for (let s = 0; s <= steps; s++) {
      const [cx, cy] = [x0 + ((x1 - x0) * s) / steps, y0 + ((y1 - y0) * s) / steps];
      const from = (c, r) => Math.max(0, Math.floor((c - r) * this.side));
      const to = (c, r) => Math.min(this.side - 1, Math.ceil((c + r) * this.side));
      for (let i = from(cy, ry); i <= to(cy, ry); i++) {
        for (let j = from(cx, rx); j <= to(cx, rx); j++) {
          const [dx, dy] = [((j + 0.5) / this.side - cx) / rx, ((i + 0.5) / this.side - cy) / ry];
          if (dx * dx + dy * dy <= 1) this.current.mask[i * this.side + j] = 1;
        }
      }
    }
  }

  hover(at) {
    this.at = at;
    this.draw();
  }

  /* arrows move the cursor, Enter paints or hides there, Ctrl+Z undoes */
  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      const [x, y] = this.at || [0.5, 0.5];
      this.hover([Math.min(0.999, Math.max(0, x + 0.03 * step[0])), Math.min(0.999, Math.max(0, y + 0.03 * step[1]))]);
    } else if (event.key === "Enter" || event.key === " ") {
      this.begin(this.at || [0.5, 0.5]);
      this.up();
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) this.undo();
    else return;
    event.preventDefault();
  }

  /* what is being painted, and what would be: the picture below is what the network sees */
  draw() {
    const { canvas, side } = this;
    canvas.width = side;
    canvas.height = side;
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(side, side);
    const region = this.tool === "region" && this.at ? this.regionAt(this.at) : null;
    for (let i = 0; i < side * side; i++) {
      if (this.current && this.current.mask[i]) pixels.data.set([128, 128, 128, 190], 4 * i);
      else if (region !== null && this.regions[i] === region) pixels.data.set([255, 170, 60, 110], 4 * i);
    }
    context.putImageData(pixels, 0, 0);
    if (this.tool === "brush" && this.at && !this.current) {
      const box = this.stage.getBoundingClientRect();
      context.beginPath();
      context.ellipse(this.at[0] * side, this.at[1] * side, this.radius * side, this.radius * side * (box.width / box.height), 0, 0, 2 * Math.PI);
      context.strokeStyle = "rgba(255,170,60,0.9)";
      context.stroke();
    }
  }
}

function bitsOf(mask) {
  const bytes = new Uint8Array(Math.ceil(mask.length / 8));
  mask.forEach((on, i) => { if (on) bytes[i >> 3] |= 128 >> (i & 7); });
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
