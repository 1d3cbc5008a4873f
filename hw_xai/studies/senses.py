"""What each layer makes of a word in many sentences, or of the tokens of a passage: planes, likeness, senses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..explain.embeddings import TRANSFORMS, cosine_similarity, euclidean_distance
from ..explain.projection import LEAST, project
from ..explain.separation import SenseReport, sense_report
from ..language.bert import Bert
from ..language.corpus import ReadingExample
from ..language.layers import hidden_states
from ..language.reading import answer
from ..language.senses import untrained
from ..language.tokens import Encoded, encode, tokens_between
from ..show.figures.sentences import projection_figure, save_figure, similarity_figure
from ..show.frame.planes import Plane
from ..show.pages.embedding import page
from ..show.pages.embedding.page import Point, ReportView
from .samples import Sample
from .sentences import display_tokens, notices_of, read_sentences, shown_name
from .tables import write_csv, write_npz

N_OTHERS = 200  # arbitrary tokens: how alike any two are
MEASURES = {
    "nearest": "1-NN accuracy",
    "knn": "k-NN accuracy",
    "silhouette": "silhouette",
    "cosine_within": "cosine, same sense",
    "cosine_across": "cosine, other sense",
    "random_similarity": "cosine, random pairs",
    "euclidean_within": "distance, same sense",
    "euclidean_across": "distance, other sense",
}


@dataclass(frozen=True)
class SenseStudy:
    """One word in n sentences, in S = L + 1 layers."""

    model: str
    sample: Sample
    encoded: list[Encoded]
    vectors: np.ndarray  # (S, n, d) the word's, means over its tokens
    planes: list[Plane]
    matrices: Mapping[str, np.ndarray]  # "cosine" and "euclidean": (S, n, n)
    report: SenseReport | None
    no_report: str  # why there is none
    method: str  # of the projection
    notices: list[str]


def study_senses(bert: Bert, sample: Sample, method: str = "pca", seed: int = 0) -> SenseStudy:
    """Compare one word in many sentences, and judge its senses beside an untrained model of the same shape."""
    encoded = read_sentences(bert, sample.texts)
    places = [tokens_between(e, *span) for e, span in zip(encoded, sample.spans, strict=True)]
    vectors, others = word_vectors(bert, encoded, places)  # (S, n, D), (S, m, D)
    no_report, report = _unjudged(sample), None
    if not no_report:
        control, control_others = word_vectors(untrained(bert), encoded, places)
        report = sense_report(
            vectors,
            sample.senses or (),
            control=control,
            position=[p[0] for p in places],
            others=others,
            control_others=control_others,
            train=sample.train,
        )
    planes, drawn = planes_of(vectors, method, seed)
    notices = notices_of(encoded)
    if drawn != method:
        notices.append(f"{method.upper()} needs more than {len(sample.texts)} sentences: drawn by {drawn.upper()}")
    measures = {"cosine": cosine_similarity, "euclidean": euclidean_distance}
    return SenseStudy(
        model=shown_name(bert),
        sample=sample,
        encoded=encoded,
        vectors=vectors,
        planes=planes,
        matrices={name: np.stack([measure(layer) for layer in vectors]) for name, measure in measures.items()},
        report=report,
        no_report=no_report,
        method=drawn,
        notices=notices,
    )


def write_sense_study(study: SenseStudy, folder: str | Path, metric: str = "cosine") -> Path:
    """Write folder/index.html, and a PNG and SVG of each view. metric: which likeness the page shows first."""
    sample, folder = study.sample, Path(folder)
    senses = sample.senses or ["any sense"] * len(sample.texts)
    points = [
        Point(text[:start], text[start:end], text[end:], sense, text[start:end] if len(senses) > 24 else str(i))
        for i, (text, (start, end), sense) in enumerate(zip(sample.texts, sample.spans, senses, strict=True), start=1)
    ]
    written = page.write_embedding_page(
        folder / "index.html",
        f"What is “{sample.word}”, layer by layer?",
        f"{study.model} reads {len(points)} sentences. Each dot is the vector of “{sample.word}” in one of them: "
        "the same word, moved by its context. Drag the layer slider to see where its senses part.",
        points,
        study.planes,
        study.matrices["cosine"],
        study.matrices["euclidean"],
        None if study.report is None else report_view(study.report),
        layer=None if study.report is None else study.report.best_layer,
        metric=metric,
        method=study.method,
        no_report=study.no_report,
        notices=study.notices,
    )
    save_figure(plane_figure(study.planes, senses), folder / "projection", "".join(senses))
    for name, values in study.matrices.items():
        figure = similarity_figure(values, sample.texts, name)
        save_figure(figure, folder / f"similarity-{name}", "".join(sample.texts))
    write_tables(study, folder)
    return written


def write_tables(study: SenseStudy, folder: Path) -> None:
    """Write vectors.npz, points.csv and, where the senses are judged, senses.csv."""
    sample, points = study.sample, np.stack([plane.points for plane in study.planes])  # (S, n, 2)
    senses = sample.senses or [""] * len(sample.texts)
    named = {"sentences": sample.texts, "senses": senses, "points": points, "vectors": study.vectors}
    write_npz(folder / "vectors.npz", named | dict(study.matrices))
    write_csv(
        folder / "points.csv",
        ["layer", "number", "sentence", "sense", "x", "y"],
        [
            [layer, i + 1, sample.texts[i], senses[i], *points[layer, i]]
            for layer, i in np.ndindex(len(points), len(senses))
        ],
    )
    if study.report:
        view = report_view(study.report)
        write_csv(
            folder / "senses.csv",
            ["layer", "vectors", "measure", "model", "untrained control"],
            [
                [layer, transform, title, view.model[name][v, layer], view.control[name][v, layer]]
                for layer in range(len(points))
                for v, transform in enumerate(view.transforms)
                for name, title in view.names.items()
            ],
        )


def write_embedding_page(
    bert: Bert, sample: Sample, folder: str | Path, method: str = "pca", metric: str = "cosine", seed: int = 0
) -> Path:
    """Write the page of `study_senses` and return its path."""
    return write_sense_study(study_senses(bert, sample, method, seed), folder, metric)


def write_passage_page(
    bert: Bert, example: ReadingExample, folder: str | Path, method: str = "pca", seed: int = 0
) -> Path:
    """Write the page on one question, passage and answer, as a reading model sees them."""
    [encoded] = encode(bert, [example.question], [example.passage])
    found = answer(bert, example.question, example.passage)
    start, end = example.start, example.start + len(example.answer)
    right = tokens_between(encoded, start, end, 1) if example.answer else found.tokens
    [states] = hidden_states(bert, [encoded])
    kept = [t for t in range(len(encoded)) if not encoded.special[t]]
    vectors = states[:, kept].numpy()
    tokens = display_tokens(bert, encoded)
    groups = ["answer" if t in right else ("question", "passage")[encoded.segments[t]] for t in kept]
    points = [_token_point(encoded, t, group, tokens[t]) for t, group in zip(kept, groups, strict=True)]
    planes, drawn = planes_of(vectors, method, seed)
    told = f"the answer is “{example.answer}”. " if example.answer else "no other answer was told. "
    written = page.write_embedding_page(
        Path(folder) / "index.html",
        example.question,
        f"{shown_name(bert)} answers “{found.text}” ({found.probability:.0%}); {told}"
        "Each dot is a token of the question, the passage or the answer. Early layers put like words together; see in "
        "which layer the question finds its context, and where the answer leaves the rest.",
        points,
        planes,
        np.stack([cosine_similarity(layer) for layer in vectors]),
        None,
        method=drawn,
    )
    save_figure(plane_figure(planes, groups), Path(folder) / "projection")
    rows = [
        [layer, i + 1, tokens[t], group, *plane.points[i]]
        for layer, plane in enumerate(planes)
        for i, (t, group) in enumerate(zip(kept, groups, strict=True))
    ]
    write_csv(Path(folder) / "points.csv", ["layer", "number", "token", "part", "x", "y"], rows)
    return written


def _token_point(encoded: Encoded, t: int, group: str, token: str) -> Point:
    start, end = encoded.offsets[t]
    text = encoded.texts[encoded.segments[t]]
    before = text[max(0, start - 40) : start]
    return Point(
        ("…" if start > 40 else "") + before, text[start:end], text[end : end + 40], group, token.removeprefix("##")
    )


# --------------------------------------------------------------------------------------------------------------- parts


def word_vectors(
    bert: Bert, encoded: Sequence[Encoded], places: Sequence[Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the word's vectors (S, n, D), means over its tokens, and those of arbitrary tokens (S, m, D)."""
    states = hidden_states(bert, encoded)
    word = torch.stack([layers[:, list(at)].mean(1) for layers, at in zip(states, places, strict=True)], dim=1)
    rest = torch.cat([layers[:, ~torch.tensor(e.special)] for layers, e in zip(states, encoded, strict=True)], dim=1)
    chosen = torch.linspace(0, rest.shape[1] - 1, min(N_OTHERS, rest.shape[1])).long()
    return word.numpy(), rest[:, chosen].numpy()


def planes_of(vectors: np.ndarray, method: str, seed: int) -> tuple[list[Plane], str]:
    """Project every layer of vectors (S, n, d), with what each plane is worth, and tell by which method.

    Where there are too few vectors for a method, that is PCA.
    """
    drawn = method if vectors.shape[1] >= LEAST[method] else "pca"
    found = (project(layer, drawn, seed=seed) for layer in vectors)
    return [Plane(p.points, p.explained_variance, p.trustworthiness) for p in found], drawn


def plane_figure(planes: Sequence[Plane], groups: Sequence[str]):
    """Draw every layer's plane, coloured by group."""
    return projection_figure(np.stack([p.points for p in planes]), groups, [_short_worth(p) for p in planes])


def _short_worth(plane: Plane) -> str:
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


def report_view(report: SenseReport) -> ReportView:
    """Return a report as the page takes it: measures that were not computed are left out."""
    names = MEASURES | {"knn": f"{report.k}-NN accuracy"}
    if report.k == 1:  # said already
        del names["knn"]
    if np.isnan(report.model.random_similarity).all():
        del names["random_similarity"]
    return ReportView(
        names=names,
        transforms=TRANSFORMS,
        model={name: getattr(report.model, name) for name in names},
        control={name: getattr(report.control, name) for name in names},
        alone={"knn": report.position_knn, "nearest": report.position_nearest},
        most_frequent=report.most_frequent,
        n=report.n,
        n_train=report.n_train,
    )
