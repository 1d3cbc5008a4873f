"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (id) => document.getElementById(id);
const on = (element, event, action) => element && element.addEventListener(event, action);

/* the slider: 0 the photo, 50 the heatmap over the grey photo, 100 the heatmap alone */
const sliders = all(".blend input");
function blend(percent) {
  document.documentElement.style.setProperty("--blend", percent / 100);
  for (const slider of sliders) slider.value = percent;
}
for (const slider of sliders) on(slider, "input", () => blend(slider.value));
on(one("outline"), "change", (event) => document.body.classList.toggle("no-outline", !event.target.checked));
on(one("words"), "change", (event) => document.body.classList.toggle("no-words", !event.target.checked));

/* which methods, which classes */
const methods = all("[name=method]");
function filter() {
  const chosen = new Set(methods.filter((box) => box.checked).map((box) => box.value));
  for (const tile of all(".tile", document.querySelector("main"))) {
    tile.hidden = methods.length > 0 && !chosen.has(tile.dataset.method);
  }
  const count = document.querySelector(".count");
  if (count) count.textContent = `${chosen.size} of ${methods.length}`;

  const wanted = one("class") ? one("class").value : "";
  let shown = 0;
  for (const element of all("[data-classes]")) {
    element.hidden = wanted !== "" && !JSON.parse(element.dataset.classes).includes(wanted);
    if (element.matches(".item") && !element.hidden) shown += 1;
  }
  one("nothing").hidden = shown > 0 || all(".item").length === 0;
}
for (const box of methods) on(box, "change", filter);
on(one("class"), "change", filter);
for (const button of all("[data-all]")) {
  on(button, "click", () => {
    for (const box of methods) box.checked = button.dataset.all === "true";
    filter();
  });
}
on(document, "click", (event) => {
  const menu = one("methods");
  if (menu && !menu.contains(event.target)) menu.open = false;
});
on(one("methods"), "keydown", (event) => {
  if (event.key !== "Escape") return;
  one("methods").open = false;
  one("methods").querySelector("summary").focus();
});

/* one map, large: Enter or a click opens it, the arrows walk through the visible maps, Escape closes */
const large = one("large");
const sheet = large.querySelector(".sheet");
let current = null;
function enlarge(button) {
  current = button;
  const tile = button.closest(".tile");
  const stack = button.querySelector(".stack").cloneNode(true);
  stack.style.setProperty("--ratio", stack.style.aspectRatio);
  const caption = tile.querySelector("figcaption").cloneNode(true);
  const of = document.createElement("p");
  of.className = "of";
  of.textContent = tile.closest(".item").querySelector(".file").textContent;
  caption.querySelector("h3").after(of);
  sheet.replaceChildren(stack, caption);
  if (!large.open) large.showModal();
}
function step(by) {
  const visible = all(".open").filter((button) => button.offsetParent !== null);
  enlarge(visible[(visible.indexOf(current) + by + visible.length) % visible.length]);
}
for (const button of all(".open")) on(button, "click", () => enlarge(button));
for (const button of all("[data-step]", large)) on(button, "click", () => step(Number(button.dataset.step)));
on(large.querySelector("[data-close]"), "click", () => large.close());
on(large, "click", (event) => event.target === large && large.close());
on(large, "keydown", (event) => {
  if (event.target.type === "range") return; // there the arrows move the slider
  if (event.key === "ArrowRight") step(1);
  if (event.key === "ArrowLeft") step(-1);
});
on(large, "close", () => current && current.focus());

/* a browser may remember the controls when the page is loaded again */
if (one("words")) {
  blend(sliders[0].value);
  document.body.classList.toggle("no-words", !one("words").checked);
  document.body.classList.toggle("no-outline", one("outline") !== null && !one("outline").checked);
  filter();
}
