"use strict";
// Sorting: the best first; pressed again, the worst. What has no value stays at the end.
const scores = document.querySelector("#scores");
const headings = [...scores.tHead.rows[0].cells];
headings.forEach((heading, column) => {
  heading.querySelector("button").addEventListener("click", (event) => {
    const bestIsLow = event.currentTarget.dataset.best === "low";
    const now = heading.getAttribute("aria-sort");
    const ascending = now ? now !== "ascending" : bestIsLow;
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const sign = ascending ? 1 : -1;
    const value = (row) => (column ? parseFloat(row.cells[column].dataset.value) : row.cells[0].textContent.trim());
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (typeof x === "string") return sign * x.localeCompare(y);
      return Number.isNaN(x) - Number.isNaN(y) || sign * (x - y);
    };
    scores.tBodies[0].append(...[...scores.tBodies[0].rows].sort(order));
  });
});

// Following: one method through the table and all plots.
const methodOf = (element) => element.closest("[data-method]").dataset.method;
function follow(method) {
  for (const button of document.querySelectorAll(".pick"))
    button.setAttribute("aria-pressed", methodOf(button) === method);
  for (const line of document.querySelectorAll("polyline")) {
    const picked = line.dataset.method === method;
    line.classList.toggle("picked", picked);
    if (picked) line.parentNode.append(line);
  }
}
for (const button of document.querySelectorAll(".pick"))
  button.addEventListener("click", () => follow(button.getAttribute("aria-pressed") === "true" ? null : methodOf(button)));
for (const line of document.querySelectorAll("polyline")) line.addEventListener("click", () => follow(line.dataset.method));
document.body.dataset.ready = "yes";
