const state = { sentence: 0, layer: 0, head: 0, token: null, asked: null, also: null, near: 1, nearLayer: 0 };
const nLayers = data.heads.names.length, nHeads = data.heads.names[0].length;
const colour = (value) => palette[Math.round(254 * Math.min(1, Math.max(0, value)))];
const css = (value) => `rgb(${colour(value).join(" ")})`;
const shown = (token) => token.replace(/^##/, "");
const sentence = () => data.sentences[state.sentence];
let arrays = []; // one for each sentence: attention, rollout, masks, nearest

async function decode(sentence) {
  const { masks, nearest, relevance } = sentence;
  const both = async (box) => box && { tokens: await unpack(box.tokens), similarity: await unpack(box.similarity) };
  return {
    attention: await unpack(sentence.attention),
    rollout: await unpack(sentence.rollout),
    relevance: relevance && await unpack(relevance),
    masks: masks && {
      candidates: await unpack(masks.candidates),
      probabilities: await unpack(masks.probabilities),
      pairs: masks.pairs && {
        candidates: await unpack(masks.pairs.candidates), before: await unpack(masks.pairs.before), after: await unpack(masks.pairs.after),
      },
    },
    nearest: nearest && { plain: await both(nearest.plain), masked: await both(nearest.masked), byHead: await both(nearest.byHead) },
  };
}

/* T × T attention of what is chosen, 0 to 1 */
function chosen(layer = state.layer, head = state.head) {
  const { attention, ...flows } = arrays[state.sentence];
  if (head in flowTitles) return flows[head] ? Float64Array.from(rowOf(flows[head], layer), (v) => v / 255) : new Float64Array(sentence().tokens.length ** 2);
  if (head !== "mean") return Float64Array.from(rowOf(attention, layer, head), (v) => v / 255);
  const mean = new Float64Array(attention.shape[2] ** 2);
  for (let h = 0; h < nHeads; h++) rowOf(attention, layer, h).forEach((v, i) => { mean[i] += v / 255 / nHeads; });
  return mean;
}

/* ------------------------------------------------------------------ one head */
function visible() {
  const { tokens, special } = sentence();
  return tokens.map((_, t) => t).filter((t) => !(one("hide-special").checked && special[t]));
}

function tokenClass(t) {
  return sentence().special[t] ? "special" : "";
}

function drawTokens() {
  const [from, to] = [document.querySelector(".from"), document.querySelector(".to")];
  const { tokens } = sentence();
  from.replaceChildren(...visible().map((t) => {
    const button = make("button", { type: "button", className: tokenClass(t), textContent: tokens[t], dataset: { token: t } });
    on(button, "mouseenter", () => { state.token = t; drawLines(); });
    on(button, "focus", () => { state.token = t; drawLines(); });
    return button;
  }));
  to.replaceChildren(...visible().map((t) =>
    make("div", { className: tokenClass(t), dataset: { token: t } }, make("i"), make("b", { textContent: tokens[t] }), make("span", { className: "number" }))));
  walk(from, "button");
}

function drawLines() {
  const weights = chosen(), { tokens } = sentence(), n = tokens.length, rows = visible();
  const canvas = document.querySelector(".lines canvas"), box = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = box.width * ratio;
  canvas.height = box.height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
  const centre = (element) => { const r = element.getBoundingClientRect(); return r.top + r.height / 2 - box.top; };
  const left = all(".from button"), right = all(".to > div");
  const start = document.querySelector(".from").getBoundingClientRect().right - box.left + 4;
  const end = document.querySelector(".to").getBoundingClientRect().left - box.left - 4;
  rows.forEach((i, a) => rows.forEach((j, b) => {
    const weight = weights[i * n + j];
    if (weight < 0.01 || (state.token !== null && state.token !== i)) return;
    pen.globalAlpha = Math.min(1, weight);
    pen.lineWidth = 0.8 + 3.2 * weight;
    pen.beginPath();
    pen.moveTo(start, centre(left[a]));
    pen.bezierCurveTo(start + (end - start) / 2, centre(left[a]), start + (end - start) / 2, centre(right[b]), end, centre(right[b]));
    pen.stroke();
  }));
  for (const button of left) button.classList.toggle("on", Number(button.dataset.token) === state.token);
  for (const target of right) {
    const weight = state.token === null ? 0 : weights[state.token * n + Number(target.dataset.token)];
    target.style.setProperty("--p", weight);
    target.querySelector(".number").textContent = weight >= 0.005 ? weight.toFixed(2) : "";
  }
  if (state.token !== null) {
    const order = tokens.map((_, t) => t).sort((a, b) => weights[state.token * n + b] - weights[state.token * n + a]).slice(0, 3);
    const verb = { rollout: "has gathered", relevance: "is guessed from" }[state.head] || "looks at";
    one("reading").textContent = `${tokens[state.token]} ${verb} ` + order.map((t) => `${tokens[t]} (${weights[state.token * n + t].toFixed(2)})`).join(", ");
  }
}

function drawHeatmap() {
  const weights = chosen(), { tokens } = sentence(), n = tokens.length, rows = visible();
  const most = Math.max(...rows.map((i) => Math.max(...rows.map((j) => weights[i * n + j]))));
  one("heat-max").textContent = most.toFixed(2);
  const head = make("thead", {}, make("tr", {}, make("th"), ...rows.map((t) => make("th", { textContent: tokens[t] }))));
  const body = make("tbody", {}, ...rows.map((i) => make("tr", {}, make("th", { textContent: tokens[i] }), ...rows.map((j) => {
    const weight = weights[i * n + j];
    if (data.causal && j > i) return make("td", { className: "unseen", title: `${tokens[i]} is read before ${tokens[j]}` });
    return make("td", { title: `${tokens[i]} → ${tokens[j]}: ${weight.toFixed(3)}`, style: { background: css(weight / (most || 1)) } });
  }))));
  document.querySelector(".heat").replaceChildren(head, body);
}

/* what is followed through all layers, instead of one layer's attention */
const flowTitles = { rollout: "Rollout", relevance: "Gradient × attention" };
const flowNotes = {
  rollout: "The layers multiplied together, half of each kept as it is: how much of each input token (right) has reached each token (left).",
  relevance: "Each token (left) is hidden in turn: which tokens (right) speak for it being there, by their attention times the gradient of its log probability, carried through the layers.",
};

function describeHead() {
  const { layer, head } = state, name = data.heads.names[layer][head];
  one("head-title").textContent = head in flowTitles ? `${flowTitles[head]} up to layer ${layer + 1}` : head === "mean" ? `Layer ${layer + 1}, mean of its heads` : `Layer ${layer + 1}, head ${head + 1}`;
  one("head-note").textContent = head in flowNotes ? (arrays[state.sentence][head] ? flowNotes[head] : "Not computed: this sentence is too long.") : head === "mean" ? "The mean hides what single heads do: compare them beside it."
    : name ? `In our corpus it attends mostly to: ${name}.` : `In our corpus it has no clear preference; most beyond its even share: ${strongest(layer, head)}.`;
  one("layer-shown").textContent = `${layer + 1} of ${nLayers}`;
  one("layer").setAttribute("aria-valuetext", `layer ${layer + 1} of ${nLayers}`);
}

function drawHead() {
  describeHead();
  const lines = document.querySelector("[name=drawing]:checked").value === "lines";
  one("lines").hidden = one("reading").hidden = !lines;
  one("heatmap").hidden = lines;
  if (lines) drawLines(); else drawHeatmap();
  for (const button of all("#thumbnails button, #heads button")) {
    button.setAttribute("aria-pressed", Number(button.dataset.layer) === state.layer && Number(button.dataset.head) === state.head);
  }
}

function choose(layer, head) {
  state.layer = layer;
  state.head = head;
  one("layer").value = layer + 1;
  one("head").value = head;
  drawHead();
}

/* ------------------------------------------------------------------ all heads */
function drawThumbnails() {
  const n = sentence().tokens.length, grid = one("thumbnails");
  grid.replaceChildren(make("span"), ...data.heads.names[0].map((_, h) => make("span", { textContent: h + 1 })));
  for (let layer = 0; layer < nLayers; layer++) {
    grid.append(make("span", { textContent: layer + 1 }));
    for (let head = 0; head < nHeads; head++) {
      const canvas = make("canvas", { width: n, height: n }), pixels = new ImageData(n, n);
      chosen(layer, head).forEach((weight, i) => {
        const unseen = data.causal && i % n > Math.floor(i / n);
        pixels.data.set(unseen ? [128, 128, 128, 90] : [...colour(Math.sqrt(weight)), 255], 4 * i);
      });
      canvas.getContext("2d").putImageData(pixels, 0, 0);
      const name = data.heads.names[layer][head], label = `Layer ${layer + 1}, head ${head + 1}${name ? ": " + name : ""}`;
      const button = make("button", { type: "button", title: label, "aria-label": label, dataset: { layer, head } }, canvas);
      on(button, "click", () => choose(layer, head));
      grid.append(button);
    }
  }
  walk(grid, "button", () => nHeads);
}

/* ------------------------------------------------------------------ what each head does */
const measures = { names: "what dominates" };
data.heads.kinds.forEach((kind, k) => { if (data.heads.even[k] !== null) measures[`kind ${k}`] = `share to: ${kind}`; });
measures.entropy = "entropy";
if (data.heads.pronouns) measures.pronouns = "pronoun finds its noun";

/* what gets most beyond its even share, for a head that nothing dominates */
function strongest(layer, head) {
  const { kinds, shares, even } = data.heads, row = shares[layer][head];
  const best = row.reduce((best, share, k) => (share !== null && share - even[k] > row[best] - even[best] ? k : best), 0);
  return `${kinds[best]} (${row[best].toFixed(2)})`;
}

function drawHeads() {
  const measure = one("measure").value, k = Number(measure.split(" ")[1]), { heads } = data;
  const value = (layer, head) => measure === "entropy" ? heads.entropy[layer][head] : measure === "pronouns" ? heads.pronouns[layer][head]
    : measure === "names" ? heads.strength[layer][head] : heads.shares[layer][head][k];
  one("measure-note").textContent = measure === "entropy" ? "0: looks at one token; 1: looks everywhere alike"
    : measure === "pronouns" ? `the best of ${nLayers * nHeads} heads beats chance (${heads.chance.toFixed(2)}) by luck alone: check it on sentences of your own`
    : measure === "names" ? "in grey: no clear preference, only what gets most beyond its even share" : `looking everywhere alike would give ${heads.even[k].toFixed(2)}`;
  const rows = heads.names.map((names, layer) => make("tr", {}, make("th", { scope: "row", textContent: layer + 1 }), ...names.map((name, head) => {
    const weak = measure === "names" && name === "";
    const text = measure === "names" ? (name || strongest(layer, head)).replace(" (", "\n(") : value(layer, head).toFixed(2);
    const button = make("button", { type: "button", className: weak ? "weak" : "", textContent: text, style: { "--p": value(layer, head), "white-space": "pre-line" },
      dataset: { layer, head }, "aria-label": `Layer ${layer + 1}, head ${head + 1}: ${weak ? "no clear preference, most: " : ""}${text}` });
    on(button, "click", () => choose(layer, head));
    return make("td", {}, button);
  })));
  const head = make("tr", {}, make("th", { textContent: "layer \\ head" }), ...heads.names[0].map((_, h) => make("th", { scope: "col", textContent: h + 1 })));
  one("heads").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
  walk(one("heads"), "button", () => nHeads);
  drawHead();
}

/* ------------------------------------------------------------------ sentences of buttons */
function tokenButtons(group, disabled, click) {
  const { tokens, special } = sentence();
  group.replaceChildren(...tokens.map((token, t) => {
    const piece = token.startsWith("##");
    const button = make("button", { type: "button", className: `token ${special[t] ? "special" : ""} ${piece ? "piece" : ""}`, textContent: shown(token),
      disabled: disabled(t), dataset: { token: t } });
    on(button, "click", () => click(t));
    return button;
  }));
  walk(group, "button");
}

/* ------------------------------------------------------------------ hidden words */
function mask(t) {
  if (t === state.asked) [state.asked, state.also] = [state.also, null];
  else if (t === state.also) state.also = null;
  else if (state.asked === null) state.asked = t;
  else if (arrays[state.sentence].masks.pairs) state.also = t;
  else state.asked = t;
  drawMasks();
}

function drawMasks() {
  const { masks } = arrays[state.sentence], { tokens } = sentence(), { asked, also } = state;
  if (!masks) return;
  for (const button of all("#mask-tokens button")) {
    const t = Number(button.dataset.token);
    button.setAttribute("aria-pressed", t === asked);
    button.classList.toggle("also", t === also);
    button.textContent = t === asked ? "[MASK]" : t === also ? "[hidden]" : shown(tokens[t]);
    button.title = t === asked || t === also ? tokens[t] : "";
  }
  const bars = one("mask-bars");
  if (asked === null) {
    one("mask-note").textContent = "Nothing is hidden yet.";
    return bars.replaceChildren();
  }
  const scale = 65535, both = also !== null;
  const ids = both ? rowOf(masks.pairs.candidates, asked, also) : rowOf(masks.candidates, asked);
  const before = both ? rowOf(masks.pairs.before, asked, also) : rowOf(masks.probabilities, asked);
  const after = both ? rowOf(masks.pairs.after, asked, also) : before;
  const most = Math.max(...before, ...after);
  one("mask-note").textContent = both
    ? `In place of “${tokens[asked]}”: before (grey) and after (coloured) “${tokens[also]}” is hidden as well. The last bar is the token that stood there.`
    : `In place of “${tokens[asked]}” (last bar) the model expects:` + (masks.pairs ? "" : " (two at once are precomputed for up to 24 tokens only)");
  const order = [...ids.keys()].slice(0, -1).concat(ids.length - 1);
  bars.replaceChildren(...order.map((k) => {
    const own = k === ids.length - 1, [p, q] = [before[k] / scale, after[k] / scale];
    const tracks = make("span", { className: `tracks ${both ? "pair" : ""}` }, make("i", { style: { "--p": before[k] / most } }), ...(both ? [make("i", { className: "after", style: { "--p": after[k] / most } })] : []));
    return make("li", { className: own ? "own" : "" }, make("span", { className: "word", textContent: data.vocabulary[ids[k]], title: own ? "the token that stood there" : "" }), tracks,
      make("span", { className: "number", textContent: both ? `${percent(p)} → ${percent(q)}` : percent(p) }));
  }));
}

/* ------------------------------------------------------------------ nearest tokens */
const tagColours = { NOUN: "#4c8fd6", PROPN: "#8fc1ee", PRON: "#6a5acd", VERB: "#d9523c", AUX: "#f0a08e", ADJ: "#3f9d62", ADV: "#96cf9f", ADP: "#c9a227",
  DET: "#e3cf7a", NUM: "#a35fb0", CCONJ: "#b98a5e", SCONJ: "#8a6a4a", PART: "#c77d98", PUNCT: "#9a958c" };

function neighbours(t, layer) {
  const by = one("near-by").value, { nearest } = arrays[state.sentence];
  const hidden = one("near-masked").checked && nearest.masked !== null;
  const source = by === "state" ? (hidden ? nearest.masked : nearest.plain) : nearest.byHead;
  if (!source || (by !== "state" && layer === 0)) return null;
  const at = by === "state" ? [t, layer] : [t, layer - 1, Number(by)];
  const similarity = rowOf(source.similarity, ...at);
  return [...rowOf(source.tokens, ...at)].map((token, i) => {
    const [s, word] = data.corpus.tokens[token], [words, tags, glue] = data.corpus.sentences[s];
    const spaced = words.map((w, k) => (k > 0 && tags[k] !== "PUNCT" ? glue : "") + w);
    return { words: spaced, word, tag: tags[word], similarity: similarity[i] / 255 };
  });
}

function counts(found) {
  const tally = {};
  for (const { tag } of found) tally[tag] = (tally[tag] || 0) + 1;
  return Object.entries(tally).sort((a, b) => b[1] - a[1]);
}

function drawNearest() {
  const { nearest } = arrays[state.sentence];
  if (!nearest) return;
  const { tokens } = sentence(), layer = Number(one("near-layer").value), t = state.near;
  one("near-masked").disabled = !nearest.masked || one("near-by").value !== "state";
  one("near-by").disabled = !nearest.byHead;
  one("near-shown").textContent = layer === 0 ? "0, embedding" : `${layer} of ${nLayers}`;
  for (const button of all("#near-tokens button")) button.setAttribute("aria-pressed", Number(button.dataset.token) === t);

  const found = neighbours(t, layer), wanted = one("near-search").value.trim().toLowerCase();
  const matching = (found || []).filter(({ words, tag }) => words.join("").toLowerCase().includes(wanted) || tag.toLowerCase() === wanted);
  one("near-note").textContent = found === null ? "The embedding layer has no heads: choose a later layer."
    : `${matching.length === found.length ? "" : matching.length + " of "}${found.length} nearest to “${tokens[t]}” by cosine`;
  one("near-found").replaceChildren(...matching.map(({ words, word, tag, similarity }) => make("li", {},
    make("span", { className: "number", textContent: similarity.toFixed(2) }),
    make("span", { className: "tag", textContent: tag, style: { "--tag": tagColours[tag] || "#888" } }),
    make("span", {}, words.slice(0, word).join("") + words[word].match(/^ ?/)[0], make("mark", { textContent: words[word].trim() }), words.slice(word + 1).join("")))));

  const everywhere = Array.from({ length: nLayers + 1 }, (_, l) => rowsOf(nearest.plain, t, l)).flat();
  const own = counts(everywhere)[0][0], seen = new Set();
  one("tags-note").textContent = `The number is the share of ${own}, the most common tag around “${tokens[t]}” itself over all layers.`;
  const rows = [];
  for (let l = 0; l <= nLayers; l++) {
    const near = neighbours(t, l);
    if (near === null) continue;
    const tally = counts(near);
    for (const [tag] of tally) seen.add(tag);
    const same = (tally.find(([tag]) => tag === own) || [own, 0])[1] / near.length;
    const button = make("button", { type: "button", "aria-pressed": l === layer, "aria-label": `Layer ${l}: ${tally.map(([tag, n]) => `${tag} ${n}`).join(", ")}` },
      make("span", { textContent: l }), make("span", { className: "stack" }, ...tally.map(([tag, n]) => make("i", { title: `${tag} ${n}`, style: { "--p": n / near.length, "--tag": tagColours[tag] || "#888" } }))),
      make("span", { textContent: `${Math.round(100 * same)} %` }));
    on(button, "click", () => { one("near-layer").value = l; drawNearest(); one("tags").querySelectorAll("button")[l]?.focus(); });
    rows.push(button);
  }
  one("tags").replaceChildren(...rows, make("div", { className: "keys" }, ...[...seen].map((tag) => make("span", { className: "key", textContent: tag, style: { "--tag": tagColours[tag] || "#888" } }))));
  walk(one("tags"), "button");
}

function rowsOf(source, t, layer) {
  return [...rowOf(source.tokens, t, layer)].map((token) => {
    const [s, word] = data.corpus.tokens[token];
    return { tag: data.corpus.sentences[s][1][word] };
  });
}

/* ------------------------------------------------------------------ everything */
function drawSentence() {
  const { special, asked, tokens } = sentence();
  state.token = null;
  one("reading").textContent = "Point at a token on the left, or reach it with Tab and the arrow keys, to see where it looks.";
  [state.asked, state.also] = [asked[0] ?? null, arrays[state.sentence].masks?.pairs ? asked[1] ?? null : null];
  const longest = tokens.reduce((best, token, t) => (!special[t] && (special[best] || token.length > tokens[best].length) ? t : best), 0);
  state.near = asked[0] ?? longest;
  drawTokens();
  drawThumbnails();
  drawHead();
  if (one("mask-tokens")) {
    tokenButtons(one("mask-tokens"), (t) => special[t], mask);
    drawMasks();
  }
  if (one("nearest")) {
    tokenButtons(one("near-tokens"), () => false, (t) => { state.near = t; drawNearest(); });
    drawNearest();
  }
  document.body.dataset.tokens = tokens.length;
}

async function start() {
  arrays = await Promise.all(data.sentences.map(decode));
  one("measure").append(...Object.entries(measures).map(([value, text]) => make("option", { value, textContent: text })));
  const head = () => (/^\d+$/.test(one("head").value) ? Number(one("head").value) : one("head").value);
  for (const id of ["layer", "head"]) on(one(id), "input", () => choose(Number(one("layer").value) - 1, head()));
  on(one("sentence"), "input", () => { state.sentence = Number(one("sentence").value); drawSentence(); });
  on(one("measure"), "input", drawHeads);
  on(one("hide-special"), "input", () => { state.token = null; drawTokens(); drawHead(); });
  for (const radio of all("[name=drawing]")) on(radio, "input", drawHead);
  on(document.querySelector(".from"), "mouseleave", () => { state.token = null; drawLines(); });
  for (const id of ["near-layer", "near-by", "near-masked", "near-search"]) on(one(id), "input", drawNearest);
  on(document.querySelector(".bar"), "submit", (event) => event.preventDefault());
  /* begin with the head that points most clearly */
  const entropies = data.heads.entropy.flat(), clearest = entropies.indexOf(Math.min(...entropies));
  [state.layer, state.head] = [Math.floor(clearest / nHeads), clearest % nHeads];
  one("layer").value = state.layer + 1;
  one("head").value = state.head;
  state.sentence = one("sentence") ? Number(one("sentence").value) : 0;
  drawSentence();
  drawHeads();
  new ResizeObserver(() => !one("lines").hidden && drawLines()).observe(one("lines"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawHead);
  document.body.dataset.ready = "yes";
}
start();
