"""Make the notebooks that students get, and with --solved the solved and executed ones for teaching."""

import argparse
from pathlib import Path

from hw_xai.errors import UserError

from ..exercises import EXERCISES
from ..release import Options, execute, html_of, masters, release, write


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", default="notebooks/student", help="folder (default: %(default)s)")
    parser.add_argument("--notebooks", default="", metavar="N,M", help="numbers or names (default: all)")
    parser.add_argument("--lang", default="both", choices=["en", "zh-TW", "both"], help="default: %(default)s")
    parser.add_argument("--points", default="", metavar="EXERCISE=N,…", help="other points than the exercises' own")
    parser.add_argument("--due", default="", metavar="DATE", help="is written into the first cell")
    parser.add_argument("--install", default="hw-xai", metavar="SPEC", help="what pip installs (default: %(default)s)")
    parser.add_argument("--solved", action="store_true", help="solutions kept, executed, and as .html: for teaching")


def run(options: argparse.Namespace) -> None:
    from tqdm import tqdm

    chosen = Options(
        language=options.lang,
        points=points_of(options.points),
        due=options.due,
        install=options.install,
        solved=options.solved,
    )
    out = Path(options.out)
    paths = masters([name for name in options.notebooks.split(",") if name])
    for path in tqdm(paths, desc="releasing", unit="notebook"):
        notebook = release(path, chosen)
        if options.solved:
            execute(notebook, out if out.is_dir() else Path.cwd())
            (out / f"{path.stem}.html").parent.mkdir(parents=True, exist_ok=True)
            (out / f"{path.stem}.html").write_text(html_of(notebook), encoding="utf-8")
        write(notebook, out / f"{path.stem}.ipynb")
    print(f"done: {len(paths)} notebooks in {out}")


def points_of(text: str) -> dict[str, float]:
    """Read "saliency=3,grad_cam=5"."""
    points = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        try:
            points[name.strip()] = float(value)
        except ValueError:
            raise UserError(f'--points must read EXERCISE=NUMBER,…, got "{part}"') from None
    if unknown := sorted(set(points) - set(EXERCISES)):
        raise UserError(f'--points names no exercise: "{unknown[0]}"; there are {", ".join(EXERCISES)}')
    return points
