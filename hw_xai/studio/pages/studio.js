/* The studio: what all panels share. */
import { ask } from "./ask.js";
import { setTables } from "./colours.js";
import { PhotoPanel } from "./photo.js";
import { SentencePanel } from "./sentence.js";
import { inChinese, otherLanguage, say } from "./words.js";

const one = (id) => document.getElementById(id);

/* an error is a sentence at the top of the page, until something works again */
export function trouble(error) {
  one("trouble").hidden = !error;
  one("trouble").textContent = error ? error.message || String(error) : "";
}

function show(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    one(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
}

for (const tab of document.querySelectorAll("[role=tab]")) {
  tab.addEventListener("click", () => show(tab.id.slice(4)));
  tab.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
    const other = tab.nextElementSibling || tab.previousElementSibling;
    other.click();
    other.focus();
  });
}
one("language").addEventListener("click", () => {
  otherLanguage();
  words();
});

let panels = [];
function words() {
  say();
  one("language").textContent = inChinese() ? "English" : "中文";
  one("language").lang = inChinese() ? "en" : "zh-Hant";
  for (const panel of panels) panel.words();
}

words();
show(location.hash.startsWith("#sentence") ? "sentence" : "photo");
try {
  const about = await ask("about");
  setTables(about.tables);
  panels = [new PhotoPanel(about, trouble), new SentencePanel(about, trouble)];
  words();
  for (const panel of panels) await panel.start();
  document.body.dataset.ready = "true";
} catch (error) {
  trouble(error);
}
