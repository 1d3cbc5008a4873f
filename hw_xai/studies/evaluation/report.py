"""What a finished evaluation is turned into: results.csv, results.json, index.html and leaderboard.png."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...evaluate.sanity import KEPT, SAME, Comparison, SanityVerdict, curves, verdict
from ...evaluate.scores import columns_of
from ...evaluate.similarity import MEASURES
from ...evaluate.statistics import Interval, mean_interval, with_nan
from ...files import atomic
from ...show import save_png
from ...show.figures.leaderboard import leaderboard
from ...show.pages.evaluation.page import Curves, Row, Strip, write_evaluation_page
from .evaluator import N_SHOWN, Evaluator
from .methods import BASELINES, is_signed, title_of
from .store import Record

N_GRIDS = 2  # pictures whose maps under randomization are shown


class EvaluationReport:
    """The numbers of all images, averaged."""

    def __init__(self, evaluator: Evaluator, n_images: int):
        self.evaluator, self.plan, self.store = evaluator, evaluator.plan, evaluator.store
        self.images = list(evaluator.pictures.order[:n_images])
        self.records = self.store.records(self.plan.methods, self.images)
        self.columns = {
            key: column
            for key, column in columns_of(self.plan.scores).items()
            if any(number(record, key) is not None for records in self.records.values() for record in records)
        }
        self.results = {name: self._intervals(records) for name, records in self.records.items()}
        self.errors = {name: error for name, records in self.records.items() if (error := _only_error(records))}
        self.verdicts = self._verdicts()
        of_any = next(iter(self.records.values()), [])
        self.unread = {record["name"]: record["error"] for record in of_any if record.get("unread")}

    def _intervals(self, records: Sequence[Record]) -> dict[str, Interval]:
        found = {}
        for key in self.columns:
            found[key] = mean_interval(with_nan([number(record, key) for record in records]), n_resamples=1000)
        return found

    def _verdicts(self) -> dict[str, SanityVerdict]:
        comparisons = [
            Comparison(
                name, "cascading", 0, record["blocks"],
                {measure: [record["curves"][f"sanity_{measure}"]] for measure in MEASURES},
            )
            for name, records in self.records.items()
            for record in records
            if "sanity_rank" in record.get("curves", {})
        ]  # fmt: skip
        return {curve.method: verdict(curve) for curve in curves(comparisons)}

    # ----------------------------------------------------------------------------------------------------------- words

    def notices(self) -> list[str]:
        """Return what a reader must know before trusting the numbers."""
        said = []
        done = min((len(records) for records in self.records.values()), default=0)
        if done < len(self.images):
            said.append(f"Unfinished: {done} of {len(self.images)} pictures are done by all methods.")
        if self.unread:
            names, first = ", ".join(self.unread), next(iter(self.unread.values())).rstrip(".")
            said.append(f"{len(self.unread)} of {len(self.images)} pictures could not be read and count nowhere: "
                        f"{names}. The first: {first}.")  # fmt: skip
        if not self.evaluator.pictures.known_masks and "localization" in self.plan.scores:
            said.append("No localization: only the drawn dishes, data synthetic, have true masks.")
        predicted = Counter(r["predicted"] for records in self.records.values() for r in records if "predicted" in r)
        if len(predicted) == 1 and len(self.images) > 1:
            said.append(f"The model predicts {next(iter(predicted))} for every picture: it may not look at them, "
                        "and then no explanation of it can be good.")  # fmt: skip
        said += [f"{title_of(name)} is left out: {error.rstrip('.')}." for name, error in self.errors.items()]
        return said

    # ----------------------------------------------------------------------------------------------------------- files

    def write(self) -> Path:
        """Write all files and return the path of the page."""
        out = self.plan.out
        with atomic(out / "results.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["method", "image", "name", "class", "predicted", "score", "value"])
            for name, records in self.records.items():
                for r in records:
                    about = [name, r["image"], r["name"], r.get("class"), r.get("predicted")]
                    writer.writerows([*about, key, value] for key, value in r.get("scores", {}).items())
        with atomic(out / "results.json") as temporary:
            temporary.write_text(json.dumps(self._as_json(), indent=1) + "\n", encoding="utf-8")
        rows = self._rows()
        if any(row.cells for row in rows):
            save_png(leaderboard(self.columns, rows, self._title()), out / "leaderboard.png")
        return write_evaluation_page(
            out / "index.html",
            title=self._title(),
            intro="Pretty maps mislead: here each method is put to the test on this model. "
            f"Means over {len(self.images) - len(self.unread)} pictures, with the interval that holds the true mean in "
            "95 of 100 cases; what is explained is the class that the model predicts.",
            columns=self.columns,
            rows=rows,
            curves=self._curves(),
            strips=self._strips("maps", N_SHOWN),
            grids=self._strips("sanity", N_GRIDS),
            notices=self.notices(),
            thresholds=(SAME, KEPT),
        )

    def _title(self) -> str:
        return f"Explanations of {self.plan.model} on {Path(self.plan.data).name}"

    def _as_json(self) -> dict[str, object]:
        def plain(interval: Interval) -> dict[str, float | int | None]:
            return {k: None if v != v else v for k, v in interval._asdict().items()}

        return {
            "run": self.evaluator.recipe(),
            "images": self.images,
            "best": {key: column.best for key, column in self.columns.items()},
            "results": {name: {k: plain(i) for k, i in cells.items()} for name, cells in self.results.items()},
            "verdicts": {name: vars(one) for name, one in self.verdicts.items()},
            "errors": self.errors,
        }

    def _rows(self) -> list[Row]:
        return [
            Row(
                name, title_of(name), name in BASELINES, {k: i for k, i in cells.items() if i.n},
                self.verdicts[name].kind if name in self.verdicts else "",
                self.verdicts[name].sentence if name in self.verdicts else "",
            )
            for name, cells in self.results.items() if name not in self.errors
        ]  # fmt: skip

    def _curves(self) -> list[Curves]:
        share = "share of the places, the most important first"
        forgotten = "blocks randomized, from the output down"
        sanity = {f"sanity_{m}": (f"Sanity: {text}", forgotten) for m, text in MEASURES.items()}
        panels = {"deletion": ("Deletion: lower is better", share), "insertion": ("Insertion: higher is better", share)}
        found = []
        for key, (title, along) in (panels | sanity).items():
            lines = {name: _mean_curve(records, key) for name, records in self.records.items()}
            lines = {name: line for name, line in lines.items() if line}
            if not lines:
                continue
            ticks = ["0", "all"]
            if key in sanity:
                lines = {name: [1.0, *line] for name, line in lines.items()}  # the trained model is like itself
                ticks = ["trained", *next(r["blocks"] for rs in self.records.values() for r in rs if r.get("blocks"))]
            found.append(Curves(title, along, ticks, lines))
        return found

    def _strips(self, kind: str, n: int) -> list[Strip]:
        """Return for each of the first n pictures its maps by every method."""
        found = []
        for image in self.images[:n]:
            known = {name: r for name, records in self.records.items() for r in records if r["image"] == image}
            kept = {name: self.store.read_maps(kind, name, image) for name in known}
            maps = {name: np.atleast_3d(m.T).T for name, m in kept.items() if m is not None}  # (S, H, W)
            if not maps:
                continue
            record = known[next(iter(maps))]
            caption = f"{record['name']}: predicted {record['predicted']}"
            caption += f", is {record['class']}" if record["class"] is not None else ""
            signed = [name for name in maps if is_signed(name)]
            blocks = ["trained", *record["blocks"]] if kind == "sanity" else []
            found.append(Strip(np.asarray(self.evaluator.shown(image)), caption, maps, signed, blocks))
        return found


def number(record: Record, key: str) -> float | None:
    return record.get("scores", {}).get(key)


def _only_error(records: Sequence[Record]) -> str | None:
    """Return why a method explained nothing, or None if it explained something."""
    read = [record for record in records if not record.get("unread")] or records
    errors = [record["error"] for record in read if "error" in record]
    return errors[0] if errors and len(errors) == len(read) else None


def _mean_curve(records: Sequence[Mapping], key: str) -> list[float]:
    rows = [record["curves"][key] for record in records if key in record.get("curves", {})]
    if not rows:
        return []
    return with_nan(rows).nanmean(dim=0).tolist()
