"""Where a BERT looks: every head, what each does, what a hidden word does, nearest tokens of a corpus."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..explain.attention import attention_rollout
from ..language.bert import Bert
from ..language.heads import what_heads_do
from ..language.layers import as_encoded, attentions
from ..language.masks import WhatIf, fill_mask
from ..language.relevance import guess_relevance
from ..language.search import index_corpus, nearest_view
from ..language.tokens import Encoded
from ..show.figures.sentences import write_attention_figures
from ..show.pages.attention import page
from .masking import MaskPredictions
from .sentences import display_tokens, places_of, shown_name, words_in
from .tables import write_csv, write_npz

LONGEST_RELEVANCE = 64  # tokens: gradient × attention takes a backward pass for each


@dataclass(frozen=True)
class AttentionStudy:
    """All that the page on attention shows."""

    model: str
    sentences: list[page.SentenceView]
    heads: page.HeadsView
    vocabulary: Sequence[str]
    corpus: page.Corpus | None
    unavailable: list[str]
    causal: bool


def study_attention(
    bert: Bert,
    sentences: Sequence[str] | Sequence[Encoded],
    *,
    masked: Sequence[str] = (),
    search: bool = True,
    progress: bool = False,
) -> AttentionStudy:
    """Look at sentences (texts, or as `encode` gives them) in every way that the model allows.

    masked: words to hide when the page opens. search: also find the nearest tokens of the search corpus.
    """
    encoded = as_encoded(bert, sentences)
    asked = [places_of(e, words) for e, words in zip(encoded, words_in(encoded, masked), strict=True)]
    predictions = MaskPredictions() if bert.head == "masked-lm" else None
    unavailable = []
    if bert.causal:
        unavailable.append(f"{shown_name(bert)} reads from left to right: it guesses the next token, no hidden one.")
    elif predictions is None:
        unavailable.append(f"{shown_name(bert)} cannot fill in words: choose a masked language model such as built-in.")
    index = index_corpus(bert, progress) if search else None
    views = []
    for e, attention, hidden in zip(encoded, attentions(bert, encoded), asked, strict=True):  # (L, H, T, T)
        rollout = [attention_rollout(attention[: layer + 1]).numpy() for layer in range(len(attention))]
        views.append(
            page.SentenceView(
                text=" / ".join(e.texts),
                tokens=display_tokens(bert, e),
                special=e.special,
                words=[word.tokens for word in e.words],
                attention=attention.numpy(),
                rollout=np.stack(rollout),
                notices=e.notices,
                masks=None if predictions is None else predictions.view(bert, e),
                nearest=None if index is None else page.NearestView(**vars(nearest_view(bert, index, e))),
                asked=hidden,
                relevance=guess_relevance(bert, e).numpy() if predictions and len(e) <= LONGEST_RELEVANCE else None,
            )
        )
    return AttentionStudy(
        model=shown_name(bert),
        sentences=views,
        heads=page.HeadsView(**vars(what_heads_do(bert))),
        vocabulary=() if predictions is None else predictions.vocabulary,
        corpus=None if index is None else page.Corpus(**vars(index.corpus)),
        unavailable=unavailable,
        causal=bert.causal,
    )


def write_attention_page(
    bert: Bert,
    sentences: Sequence[str] | Sequence[Encoded],
    folder: str | Path,
    masked: Sequence[str] = (),
    search: bool = True,
    progress: bool = True,
) -> Path:
    """Write folder/index.html, a PNG and SVG of each view, and tables; arguments as for `study_attention`."""
    study = study_attention(bert, sentences, masked=masked, search=search, progress=progress)
    written = page.write_attention_page(Path(folder) / "index.html", **vars(study))
    write_attention_figures(folder, study.sentences, study.heads, study.causal)
    write_tables(study, Path(folder))
    return written


def write_tables(study: AttentionStudy, folder: Path) -> None:
    """Write attention.npz, the arrays of each sentence under its number, and heads.csv."""
    arrays: dict[str, ArrayLike] = {}
    for number, view in enumerate(study.sentences, start=1):
        parts: dict[str, ArrayLike] = {"tokens": view.tokens, "attention": view.attention, "rollout": view.rollout}
        parts |= {} if view.relevance is None else {"relevance": view.relevance}
        arrays |= {f"{name}_{number}": values for name, values in parts.items()}
    write_npz(folder / "attention.npz", arrays)
    heads = study.heads
    header = ["layer", "head", "dominant", "entropy", *(f"share to {kind}" for kind in heads.kinds)]
    header += [] if heads.pronouns is None else ["pronoun finds its noun"]
    rows = []
    for layer, head in np.ndindex(*heads.entropy.shape):
        kind = int(heads.dominant[layer, head])
        row = [layer + 1, head + 1, "" if kind < 0 else heads.kinds[kind], heads.entropy[layer, head]]
        row += [*heads.shares[layer, head], *([] if heads.pronouns is None else [heads.pronouns[layer, head]])]
        rows.append(row)
    write_csv(folder / "heads.csv", header, rows)


def expectations(bert: Bert, encoded: Encoded, words: Sequence[str]) -> list[WhatIf]:
    """Return what is expected at each token of the first word, alone and with the other words hidden as well."""
    asked, also = places_of(encoded, words[:1]), places_of(encoded, words[1:])
    found = []
    for t in asked:  # the pieces of a word are hidden together
        [before] = fill_mask(bert, encoded, t, also_masked=asked)
        [after] = fill_mask(bert, encoded, t, also_masked=[*asked, *also]) if also else [before]
        found.append(WhatIf(before, after))
    return found
