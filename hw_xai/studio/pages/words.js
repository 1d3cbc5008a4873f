/* What the page says, in both languages. */
const WORDS = {
  studio: ["Studio", "工作室"],
  photo: ["Photo", "照片"],
  sentence: ["Sentence", "句子"],
  heatmap: ["Heatmap", "熱圖"],
  open_photo: ["Open a photo", "開啟照片"],
  camera: ["Camera", "相機"],
  take: ["Take the picture", "拍下"],
  drop_or_paste: ["or drop or paste one, or take a photo or a drawn dish from here:", "也可以拖曳或貼上，或從這裡選一張照片或畫出來的菜："],
  shipped_dish: ["drawn dish", "畫出來的菜"],
  shipped_photo: ["photo", "照片"],
  stage: [
    "The picture that the network sees. Paint over it: arrow keys move the brush, Enter paints, Ctrl+Z undoes.",
    "網路看到的圖。可以在上面塗抹：方向鍵移動筆刷，Enter 塗抹，Ctrl+Z 復原。",
  ],
  brush: ["Brush", "筆刷"],
  region: ["Region", "區塊"],
  fill: ["Cover with", "以此覆蓋"],
  size: ["Size", "大小"],
  undo: ["Undo", "復原"],
  clear: ["Clear", "清除"],
  prediction: ["Prediction", "預測"],
  network: ["Network", "網路"],
  class: ["Class", "類別"],
  predicted: ["the predicted one", "預測的類別"],
  beside: ["Beside it", "並列比較"],
  nothing: ["nothing", "不比較"],
  forgetful: ["the same, randomized from the top", "同一網路，從輸出端隨機化"],
  randomized: ["Randomized", "隨機化"],
  blocks: ["of", "／"],
  percentile: ["Percentile", "百分位"],
  absolute: ["Absolute", "絕對值"],
  before: ["Before", "塗抹前"],
  after: ["After", "塗抹後"],
  difference: ["Difference", "差異"],
  methods: ["Methods", "方法"],
  options: ["Options", "選項"],
  cancel: ["Stop", "停止"],
  working: ["working", "計算中"],
  estimate: ["first estimate", "初步估計"],
  seconds: ["s", "秒"],
  waiting: ["waiting", "等待中"],
  stopped: ["stopped", "已停止"],
  none: ["none", "無"],
  default: ["default", "預設"],
  a_number: ["a number", "數字"],
  score_lost: ["Hidden: the score of", "覆蓋後，分數："],
  opinion: ["of this region", "對此區塊"],
  frames: ["How it comes about", "如何形成"],
  curves: ["Is it any good?", "可信嗎？"],
  curves_use: [
    "Places are hidden (deletion) or shown (insertion), those first that the map calls important. A good map falls early when hidden and rises early when shown.",
    "依熱圖認為的重要性，依序遮住（刪除）或顯示（插入）。好的熱圖，遮住時機率很快下降，顯示時很快上升。",
  ],
  deletion: ["deletion", "刪除"],
  insertion: ["insertion", "插入"],
  share_of_places: ["share of the places", "像素比例"],
  score: ["score", "分數"],
  alpha: ["α, from the baseline to the picture", "α，從基準到圖片"],
  copy: ["Copy", "複製"],
  save_picture: ["Save as PNG", "存成 PNG"],
  save_arrays: ["Save the arrays (.npz)", "儲存陣列（.npz）"],
  save_gif: ["Save as GIF", "存成 GIF"],
  save_page: ["Keep as one page (.html)", "存成網頁（.html）"],
  type_here: ["Type a sentence, and click on words to hide them", "輸入句子，點選單字即可遮住"],
  hide: ["hide or show this word", "遮住或顯示這個詞"],
  rests_on: ["Which words does the answer rest on?", "答案依據哪些詞？"],
  attention: ["Where does each head look?", "每個注意力頭看哪裡？"],
  layer: ["layer", "層"],
  head: ["head", "頭"],
  fill_grey: ["grey", "灰色"],
  fill_channel_mean: ["mean colour", "平均色"],
  fill_blur: ["blur", "模糊"],
  fill_inpaint: ["inpaint", "填補"],
  fill_zero: ["black", "黑色"],
};

/* inside a notebook a page may not be allowed to keep anything */
function remembered() {
  try {
    return localStorage.getItem("language");
  } catch {
    return null;
  }
}

let language = (remembered() || navigator.language || "en").startsWith("zh") ? 1 : 0;
export const t = (key) => (WORDS[key] ? WORDS[key][language] : key);
export const inChinese = () => language === 1;

export function say(within = document) {
  document.documentElement.lang = language ? "zh-Hant" : "en";
  for (const element of within.querySelectorAll("[data-word]")) element.textContent = t(element.dataset.word);
}

export function otherLanguage() {
  language = 1 - language;
  try {
    localStorage.setItem("language", language ? "zh" : "en");
  } catch {
    // it is chosen anew next time
  }
}
