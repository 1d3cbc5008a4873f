"use strict";
/* Every table of the page can be sorted by a click on its head, and filtered by a text. */
const words = document.querySelector("main").dataset;
const number = (text) => parseFloat(text.replaceAll("−", "-").replaceAll(",", ""));

function sorted(rows, column, down) {
  const value = (row) => row.cells[column].dataset.sort || row.cells[column].innerText.trim();
  const numeric = rows.every((row) => value(row) === "" || value(row) === "–" || !Number.isNaN(number(value(row))));
  const compare = (a, b) => numeric
    ? (number(value(a)) || 0) - (number(value(b)) || 0)
    : value(a).localeCompare(value(b), undefined, { numeric: true });
  return rows.sort((a, b) => (down ? compare(b, a) : compare(a, b)));
}

for (const table of document.querySelectorAll("main table")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;  // not innerText: closed details have none
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...sorted([...body.rows], column, down));
    });
  });
  if (body.rows.length < 6) continue;
  const box = document.createElement("input");
  box.type = "search";
  box.className = "filter";
  box.placeholder = words.filter;
  box.setAttribute("aria-label", words.filter);
  table.parentElement.before(box);
  box.addEventListener("input", () => {
    const wanted = box.value.toLocaleLowerCase();
    for (const row of body.rows) row.hidden = !row.textContent.toLocaleLowerCase().includes(wanted);
  });
}
