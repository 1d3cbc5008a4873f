"use strict";
const cards = [...document.querySelectorAll(".answer")];
const root = document.querySelector("main");
const kept = `hw-grade hand ${root.dataset.question} ${cards.map((card) => card.id).join("")}`;
const outOf = Number(root.dataset.outOf);
let marks = {};
try { marks = JSON.parse(localStorage.getItem(kept)) || {}; } catch { /* no storage: the page works without */ }

function ticked(card) { return [...card.querySelectorAll("input[type=checkbox]:checked")]; }

function read(card) {
  const points = card.querySelector(".given").value;
  return { ticks: ticked(card).map((box) => box.value), points, comment: card.querySelector("textarea").value };
}

function done(card) { return card.querySelector(".given").value !== ""; }

function count() {
  const n = cards.filter(done).length;
  document.querySelector("#done").textContent = `${n} / ${cards.length}`;
  document.querySelector("#export").disabled = n === 0;
  for (const card of cards) card.classList.toggle("graded", done(card));
}

function keep(card) {
  marks[card.id] = read(card);
  try { localStorage.setItem(kept, JSON.stringify(marks)); } catch { /* as above */ }
  count();
}

for (const card of cards) {
  const before = marks[card.id];
  if (before) {
    for (const box of card.querySelectorAll("input[type=checkbox]")) box.checked = before.ticks.includes(box.value);
    card.querySelector(".given").value = before.points;
    card.querySelector("textarea").value = before.comment;
  }
  card.addEventListener("input", (event) => {
    if (event.target.type === "checkbox") {
      const boxes = ticked(card);
      const sum = boxes.reduce((all, box) => all + Number(box.dataset.points), 0);
      // no tick is no mark: a slip that was taken back must not become a 0
      card.querySelector(".given").value = boxes.length ? Math.max(0, Math.min(outOf, sum)) : "";
    }
    keep(card);
  });
  card.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    const next = cards[cards.indexOf(card) + 1];
    (next ? next.querySelector("input") : document.querySelector("#export")).focus();
    if (next) next.scrollIntoView({ block: "start" });
  });
}

function cell(value) { return `"${String(value).replaceAll('"', '""').replaceAll(/\s+/g, " ")}"`; }

document.querySelector("#export").addEventListener("click", () => {
  const rows = [["answer", "exercise", "points", "reason"]];
  for (const card of cards.filter(done)) {
    const its = read(card);
    const said = ticked(card).map((box) => box.parentElement.innerText.trim());
    const reason = [...said, its.comment].filter(Boolean).join("; ") || "graded by hand";
    rows.push([card.id, root.dataset.question, its.points, reason]);
  }
  const text = "\ufeff" + rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = `marks-${root.dataset.question}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
});
count();
