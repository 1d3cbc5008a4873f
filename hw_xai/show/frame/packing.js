"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (id) => document.getElementById(id);
const on = (element, event, action) => element && element.addEventListener(event, action);
const data = JSON.parse(one("data").textContent);

/* deflated base64 -> {shape, values}; what `packed` of pages.py wrote */
async function unpack(box) {
  if (!box) return null;
  const bytes = Uint8Array.from(atob(box.data), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const kind = { 8: Uint8Array, 16: Uint16Array, 32: Uint32Array }[box.bits];
  return { shape: box.shape, values: new kind(buffer) };
}

/* the row of an array at the leading indices */
function rowOf(array, ...indices) {
  let width = array.values.length, start = 0;
  indices.forEach((index, axis) => { width /= array.shape[axis]; start += index * width; });
  return array.values.subarray(start, start + width);
}

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  const { style, dataset, ...rest } = properties;
  for (const [name, value] of Object.entries(style || {})) element.style.setProperty(name, value);
  Object.assign(element.dataset, dataset || {});
  for (const [name, value] of Object.entries(rest)) name in element ? (element[name] = value) : element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/* one tab stop for a whole group of buttons; the arrow keys walk in it. columns: how far up and down jump */
function walk(group, selector, columns = () => 1) {
  const items = () => all(selector, group).filter((item) => !item.disabled);
  const enter = (item) => { for (const other of items()) other.tabIndex = other === item ? 0 : -1; };
  on(group, "focusin", (event) => event.target.matches(selector) && enter(event.target));
  on(group, "keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns() }[event.key];
    const found = items(), here = found.indexOf(document.activeElement);
    if (!by || here < 0) return;
    event.preventDefault();
    const next = found[here + by];
    if (next) { enter(next); next.focus(); }
  });
  const first = items().find((item) => item.getAttribute("aria-pressed") === "true") || items()[0];
  if (first) enter(first);
}

const percent = (p) => (p >= 0.1 ? (100 * p).toFixed(0) : p >= 0.001 ? (100 * p).toFixed(1) : p > 0 ? "< 0.1" : "0") + " %";
