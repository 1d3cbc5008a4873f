"""The templates of the pages: each page's own folder, and the frame that all of them extend."""

from functools import cache
from pathlib import Path

FRAME = Path(__file__).parent
PAGES = FRAME.parent / "pages"


@cache
def load_template(name: str, folder: Path | None = None):
    """Return one of our templates, or one of another folder that builds on ours."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # late: `import hw_xai.show` does without jinja2

    ours = [FRAME, *sorted(page for page in PAGES.iterdir() if page.is_dir())]
    return Environment(
        loader=FileSystemLoader([folder, *ours] if folder else ours, encoding="utf-8"),
        autoescape=True,  # always: file names and captions come from strangers
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)
