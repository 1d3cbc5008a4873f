"""What does each layer make of a word? One page: projection, similarities, and whether its senses separate.

--sentences: "ten" (the homework's ten of 蘋果), "built-in:WORD" (our sense-labelled set of a word), "passage:N" (a
question, its passage and answer), or a file with a sentence a line and, after a tab, its sense.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..options import seed

METHODS = ("pca", "tsne", "umap")
METRICS = ("cosine", "euclidean")
N_OTHERS = 200  # arbitrary tokens: how alike any two are


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sentences", default="ten", help="ten, built-in:WORD, passage:N or a file (default: ten)")
    parser.add_argument("--word", help="the word whose vectors are compared (default for ten: 果)")
    parser.add_argument("--occurrence", type=int, help="which one, in sentences where the word stands more than once")
    parser.add_argument("--model", help="built-in, minilm, a folder or hub id (default: built-in, or its reader)")
    parser.add_argument("--method", choices=METHODS, default="pca", help="of the projection (default: %(default)s)")
    parser.add_argument("--metric", choices=METRICS, default="cosine", help="shown first (default: %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, help="of t-SNE and UMAP (default: %(default)s)")
    parser.add_argument("--out", default="embedding", help="folder for the page and pictures (default: %(default)s)")


@dataclass(frozen=True)
class Sample:
    """Sentences with the place of one word in each, and its sense where that is known."""

    word: str
    texts: Sequence[str]
    spans: Sequence[tuple[int, int]]
    senses: Sequence[str] | None
    train: Sequence[bool] | None = None


def run(options: argparse.Namespace) -> None:
    from ...language.bert import load_bert

    if options.sentences.startswith("passage:"):
        number = _number(options.sentences)
        bert = load_bert(options.model or "built-in-reader")
        page = write_passage_page(bert, number, options.out, options.method, options.seed)
    else:
        bert = load_bert(options.model or "built-in")
        sample = read_sample(bert, options.sentences, options.word, options.occurrence)
        page = write_embedding_page(
            bert, sample, options.out, options.method, options.metric, options.seed, print_report=True
        )
    print(f"done: open {page} ({page.stat().st_size / 1e6:.1f} MB)")


# ----------------------------------------------------------------------------------------------------- which sentences


def read_sample(bert, source: str, word: str | None = None, occurrence: int | None = None) -> Sample:
    """Return the sentences that --sentences names."""
    from ...errors import UserError

    if source == "ten":
        return _ten(word or "果")
    if source.startswith("built-in:"):
        if word is not None:
            raise UserError(f"--word must be left out with {source}, which names the word, got {word}")
        return _shipped_set(source.removeprefix("built-in:"))
    return _from_file(bert, Path(source), word, occurrence)


def _ten(word: str) -> Sample:
    from ...errors import UserError
    from ...language.corpus import APPLE_FIRST, APPLE_SECOND, APPLE_SENSES, APPLE_SENTENCES

    places = {"蘋": APPLE_FIRST, "果": APPLE_SECOND, "蘋果": APPLE_FIRST}
    if word not in places:
        raise UserError(f'the ten sentences are compared at 蘋, 果 or 蘋果, got "{word}": give others with --sentences')
    spans = [(start, start + len(word)) for start in places[word]]
    return Sample(word, APPLE_SENTENCES, spans, APPLE_SENSES)


def _shipped_set(word: str) -> Sample:
    from ...errors import UserError, nearest
    from ...language.corpus import sense_sets

    sets = sense_sets()
    if word not in sets:
        raise UserError(f'no set of sentences for "{word}".{nearest(word, sets)} There are: {", ".join(sets)}')
    found = sets[word]
    return Sample(
        word,
        [s.text for s in found],
        [(s.start, s.start + len(s.word)) for s in found],
        [s.sense for s in found],
        [s.split == "train" for s in found],
    )


def _from_file(bert, path: Path, word: str | None, occurrence: int | None) -> Sample:
    from ...errors import UserError
    from ...language.tokens import encode

    if not path.is_file():
        raise UserError(f"--sentences must be ten, built-in:WORD, passage:N or a file, but there is no file {path}")
    try:
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be a text in UTF-8, but byte {error.start} is not: save it as UTF-8") from error
    if len(rows) < 3:
        raise UserError(f"{path} must hold at least 3 sentences, one a line, got {len(rows)}")
    if not word:
        raise UserError("--word must say which word of the sentences is compared")
    texts = [row[0].strip() for row in rows]
    spans = [_span(e, word, occurrence) for e in encode(bert, texts)]
    senses = [row[1].strip() if len(row) > 1 else "" for row in rows]
    return Sample(word, texts, spans, senses if all(senses) else None)


def _span(encoded, word: str, occurrence: int | None) -> tuple[int, int]:
    """Return the characters of the word; `occurrence` counts only in sentences where it stands more than once."""
    from ...errors import UserError
    from ...language.tokens import token_at
    from ...studies.sentences import in_flags

    try:
        tokens = token_at(encoded, word)
    except UserError as error:
        if occurrence is None:
            raise in_flags(error) from error
        tokens = token_at(encoded, word, occurrence)
    return encoded.offsets[tokens[0]][0], encoded.offsets[tokens[-1]][1]


def _number(source: str) -> int:
    from ...errors import UserError
    from ...language.corpus import reading_passages

    text, n = source.removeprefix("passage:"), len(reading_passages())
    if not text.isdecimal() or not 1 <= int(text) <= n:
        raise UserError(f'passage:N must name a question from 1 to {n}, got "{text}"')
    return int(text)


# ------------------------------------------------------------------------------------------------------------ the pages


def write_embedding_page(
    bert,
    sample: Sample,
    folder: str | Path,
    method: str = "pca",
    metric: str = "cosine",
    seed: int = 0,
    print_report: bool = False,
) -> Path:
    """Write folder/index.html, and a PNG and SVG of each view, on one word in many sentences."""
    from ...explain.embeddings import cosine_similarity, euclidean_distance
    from ...language.senses import untrained
    from ...language.tokens import tokens_between
    from ...show.figures.sentences import projection_figure, save_figure, similarity_figure
    from ...show.pages.embedding.page import Point, write_embedding_page
    from ...studies.sentences import encoded_with_notices, shown_name

    encoded = encoded_with_notices(bert, sample.texts)
    places = [tokens_between(e, *span) for e, span in zip(encoded, sample.spans, strict=True)]
    vectors, others = _vectors(bert, encoded, places)  # (S, n, D), (S, m, D)
    senses = sample.senses or ["any sense"] * len(encoded)
    no_report = _unjudged(sample)
    report = None
    if not no_report:
        control, control_others = _vectors(untrained(bert), encoded, places)
        report = _report(sample, vectors, others, control, control_others, [p[0] for p in places])
    points = [
        Point(text[:start], text[start:end], text[end:], sense, text[start:end] if len(encoded) > 24 else str(i))
        for i, (text, (start, end), sense) in enumerate(zip(sample.texts, sample.spans, senses, strict=True), start=1)
    ]
    planes = _planes(vectors, method, seed)
    matrices = {"cosine": cosine_similarity, "euclidean": euclidean_distance}
    matrices = {name: np.stack([measure(layer) for layer in vectors]) for name, measure in matrices.items()}
    page = write_embedding_page(
        Path(folder) / "index.html",
        f"What is “{sample.word}”, layer by layer?",
        f"{shown_name(bert)} reads {len(points)} sentences. Each dot is the vector of “{sample.word}” in one of them: "
        "the same word, moved by its context. Drag the layer slider to see where its senses part.",
        points,
        planes,
        matrices["cosine"],
        matrices["euclidean"],
        report,
        metric=metric,
        method=method,
        no_report=no_report,
        notices=list(dict.fromkeys(notice for e in encoded for notice in e.notices)),
    )
    drawn = "".join(sample.texts)
    scatter = projection_figure(np.stack([p.points for p in planes]), senses, [_short_worth(p) for p in planes])
    save_figure(scatter, Path(folder) / "projection", "".join(senses))
    for name, values in matrices.items():
        save_figure(similarity_figure(values, sample.texts, name), Path(folder) / f"similarity-{name}", drawn)
    if report and print_report:
        print(report.table("raw"))
    return page


def write_passage_page(bert, number: int, folder: str | Path, method: str = "pca", seed: int = 0) -> Path:
    """Write the page on one question, passage and answer, as a reading model sees them; number counts from 1."""
    from ...explain.embeddings import cosine_similarity
    from ...language.corpus import reading_passages
    from ...language.layers import hidden_states
    from ...language.reading import answer
    from ...language.tokens import encode, tokens_between
    from ...show.figures.sentences import projection_figure, save_figure
    from ...show.pages.embedding.page import write_embedding_page
    from ...studies.sentences import display_tokens, shown_name

    example = reading_passages()[number - 1]
    [encoded] = encode(bert, [example.question], [example.passage])
    right = tokens_between(encoded, example.start, example.start + len(example.answer), 1)
    [states] = hidden_states(bert, [encoded])
    kept = [t for t in range(len(encoded)) if not encoded.special[t]]
    vectors = states[:, kept].numpy()
    tokens = display_tokens(bert, encoded)
    groups = ["answer" if t in right else ("question", "passage")[encoded.segments[t]] for t in kept]
    points = [_token_point(encoded, t, group, tokens[t]) for t, group in zip(kept, groups, strict=True)]
    found = answer(bert, example.question, example.passage)
    planes = _planes(vectors, method, seed)
    page = write_embedding_page(
        Path(folder) / "index.html",
        example.question,
        f"{shown_name(bert)} answers “{found.text}” ({found.probability:.0%}); the answer is “{example.answer}”. "
        "Each dot is a token of the question, the passage or the answer. Early layers put like words together; see in "
        "which layer the question finds its context, and where the answer leaves the rest.",
        points,
        planes,
        np.stack([cosine_similarity(layer) for layer in vectors]),
        None,
        method=method,
    )
    scatter = projection_figure(np.stack([p.points for p in planes]), groups, [_short_worth(p) for p in planes])
    save_figure(scatter, Path(folder) / "projection")
    return page


def _token_point(encoded, t: int, group: str, token: str):
    from ...show.pages.embedding.page import Point

    start, end = encoded.offsets[t]
    text = encoded.texts[encoded.segments[t]]
    before = text[max(0, start - 40) : start]
    return Point(
        ("…" if start > 40 else "") + before, text[start:end], text[end : end + 40], group, token.removeprefix("##")
    )


# --------------------------------------------------------------------------------------------------------------- parts


def _vectors(bert, encoded: Sequence, places: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the word's vectors (S, n, D), means over its tokens, and those of arbitrary tokens (S, m, D)."""
    import torch

    from ...language.layers import hidden_states

    states = hidden_states(bert, encoded)
    word = torch.stack([layers[:, list(at)].mean(1) for layers, at in zip(states, places, strict=True)], dim=1)
    rest = torch.cat([layers[:, 1:-1] for layers in states], dim=1)
    chosen = torch.linspace(0, rest.shape[1] - 1, min(N_OTHERS, rest.shape[1])).long()
    return word.numpy(), rest[:, chosen].numpy()


def _planes(vectors: np.ndarray, method: str, seed: int) -> list:
    from ...explain.projection import project
    from ...show.pages.embedding.page import Plane

    found = (project(layer, method, seed=seed) for layer in vectors)
    return [Plane(p.points, p.explained_variance, p.trustworthiness) for p in found]


def _short_worth(plane) -> str:
    trust = f"trustworthiness {plane.trustworthiness:.2f}"
    return trust if plane.explained_variance is None else f"{sum(plane.explained_variance):.0%} of variance, {trust}"


def _unjudged(sample: Sample) -> str:
    """Return why the senses cannot be judged, or ""."""
    if sample.senses is None:
        return "Nothing to judge: write the sense of each sentence behind a tab to see whether the senses separate."
    counts = {sense: list(sample.senses).count(sense) for sense in sample.senses}
    if len(counts) < 2 or min(counts.values()) < 2:
        return "Nothing to judge: there must be at least two senses, each in at least two sentences."
    return ""


def _report(sample: Sample, vectors, others, control, control_others, position: Sequence[int]):
    from ...explain.separation import sense_report

    return sense_report(
        vectors,
        sample.senses,
        control=control,
        position=position,
        others=others,
        control_others=control_others,
        train=sample.train,
        k=min(5, len(sample.texts) - 1),
    )
