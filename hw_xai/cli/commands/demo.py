"""The first run: ten drawn dishes, five ways to ask why beside the truth, and how a BERT reads. Offline."""

import argparse
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn
from tqdm import tqdm

from ...explain import maximize_activation
from ...language.bert import load_bert
from ...models import load_model
from ...show import Item, Panel, write_gallery
from ...studies.attention import write_attention_page
from ...studies.pictures import Picture, chosen_methods, class_pictures, explain_picture, write_explained
from ...studies.samples import read_passage, read_sample
from ...studies.senses import write_embedding_page, write_passage_page
from ...studies.tokens import write_token_page
from ...vision.dishes.synthetic import SyntheticFood11
from ..options import add

METHODS = "lime,saliency,smooth_grad,integrated_gradients,filter_activation"
OPTIONS = {
    "seed": 0,
    "smooth_grad": {"n_samples": 25},
    "lime": {"n_samples": 400},
}  # ten for each of about 40 superpixels
N_IMAGES = 10
LAYER_SHOWN = "features.8"  # half-way: textures and parts, not yet dishes
N_FILTERS = 6
N_STEPS = 32
SIZE = (3, 96, 96)  # of the pictures from noise: smaller ones are drawn in half the time

SENTENCES = ["The nurse is popular with the children because she is kind.", "今天買了蘋果來吃"]
PASSAGE = 1
CLOZE = ["The [MASK] flew out of the cave.", "今天買了[MASK]果來吃"]
N_SAMPLES = 300  # of LIME, for some ten words
BERT_PAGES = {  # folder: its picture, what the page shows
    "attention": ("1-all-heads.png", "Where each head looks, what a hidden word does, which words are near"),
    "senses": ("projection.png", "Ten sentences of 蘋果, layer by layer: do the fruit and the company part?"),
    "reader": ("projection.png", "A question and its passage: in which layer does the answer leave the rest?"),
    "words": ("1-words.png", "Which words a guess comes from, by three methods"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add(parser, "--out", default="demo")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    add(parser, "--seed", default=7)
    add(parser, "--device")


def run(options: argparse.Namespace) -> None:
    loaded = load_model("foodnet-synthetic", device=options.device)
    dishes = SyntheticFood11(N_IMAGES, size=256, seed=options.seed)
    methods = chosen_methods(METHODS)
    out = Path(options.out)
    items: list[Item] = []
    panels: list[Panel] = []
    written: list[str] = []
    try:
        for i in tqdm(range(N_IMAGES), desc="explaining", unit="dish"):
            image, target = dishes[i]
            dish = loaded.classes[target]
            picture = Picture(f"{i} {dish}".replace("/", "-"), image, dish, dishes.mask(i))
            explained = explain_picture(loaded, picture, methods, None, OPTIONS)
            items.append(explained.item)
            write_explained(out, explained)
            if not explained.complete:
                raise KeyboardInterrupt
        panels.append(_filters(loaded.module))
        panels.append(class_pictures(loaded, list(range(len(loaded.classes))), size=SIZE, n_steps=N_STEPS))
        for folder in tqdm(_write_bert_pages(out), desc="reading", unit="page", total=len(BERT_PAGES)):
            written.append(folder)
    finally:
        if written:
            panels.append(_bert_panel(out, written))
        if items:
            page = write_gallery(out / "index.html", "Why does the network see a soup?", _INTRO, items, panels)
    print(f"done: open {page.resolve()}")
    if options.open:
        webbrowser.open(page.resolve().as_uri())


_INTRO = (
    "A small network has learned eleven dishes. Each row asks why it saw what it saw, in five ways. The dishes are "
    "drawn, so for once the truth is known: the outline shows where the food is, and each answer says how much of it "
    "lies inside."
)


def _filters(model: nn.Module) -> Panel:
    """Return what single filters of a middle layer look for."""
    channels = range(N_FILTERS)
    pictures = [maximize_activation(model, LAYER_SHOWN, channel, size=SIZE, n_steps=N_STEPS)[0] for channel in channels]
    return Panel(
        "What single filters look for",
        f"Activation maximization of {N_FILTERS} filters of the layer {LAYER_SHOWN}: gradient ascent from noise.",
        [(p.permute(1, 2, 0).cpu().numpy(), f"filter {c}") for p, c in zip(pictures, channels, strict=True)],
    )


def _write_bert_pages(out: Path) -> Iterator[str]:
    """Write the pages of BERT_PAGES into out, and yield the folder of each when it is done."""
    bert = load_bert("built-in")
    write_attention_page(bert, SENTENCES, out / "attention", progress=False)
    yield "attention"
    write_embedding_page(bert, read_sample(bert, "ten"), out / "senses")
    yield "senses"
    write_passage_page(load_bert("built-in-reader"), read_passage(f"passage:{PASSAGE}"), out / "reader")
    yield "reader"
    write_token_page(bert, CLOZE, out / "words", settings={"n_samples": N_SAMPLES})
    yield "words"


def _bert_panel(out: Path, written: Sequence[str]) -> Panel:
    """Return a picture of each page that is written, which opens it."""
    pictures = [(BERT_PAGES[folder][1], out / folder / BERT_PAGES[folder][0]) for folder in written]
    return Panel(
        "How does a BERT read?",
        "A small model of Chinese and English, trained by this project. Each picture opens a page of its own.",
        [(np.asarray(Image.open(path).convert("RGB")), caption) for caption, path in pictures],
        links=[f"{folder}/index.html" for folder in written],
    )
