"""The corpus as a model reads it, kept between runs: reading it again takes BERT-base minutes.

Files lie in $HW_XAI_CACHE, or ~/.cache/hw_xai, one for each model and corpus; those used least recently go when
all together take more than MOST bytes. They hold numbers only, and whatever cannot be read is made anew.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..files import atomic
from .bert import Bert
from .tokens import Encoded

MOST = 2_000_000_000  # bytes: three models of the size of BERT-base
_FORMAT = b"1"  # to be raised when what is kept of a sentence changes


def folder() -> Path:
    """Return where the files lie."""
    named = os.environ.get("HW_XAI_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hw_xai"


def place(bert: Bert, encoded: Sequence[Encoded]) -> Path:
    """Return the file for a model and the corpus as its tokenizer cuts it."""
    digest = hashlib.blake2b(_FORMAT, digest_size=16)
    told = {key: value for key, value in bert.config.to_dict().items() if not key.startswith("_")}
    told.pop("transformers_version", None)
    digest.update(repr((type(bert.model).__name__, sorted(told.items()))).encode())
    for name, values in bert.model.state_dict().items():
        digest.update(name.encode())
        digest.update(values.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    for sentence in encoded:
        digest.update(repr((sentence.texts, sentence.ids)).encode())
    return folder() / f"corpus-{digest.hexdigest()}.safetensors"


def read(file: Path) -> dict[str, Tensor] | None:
    """Return what was kept, or None."""
    try:
        vectors = load_file(file)
        os.utime(file)
    except (OSError, SafetensorError):
        return None
    return vectors


def keep(file: Path, vectors: Mapping[str, Tensor]) -> None:
    """Write the file, and remove the least recently used beyond MOST bytes; a full or forbidden disk is no mistake."""
    try:
        with atomic(file) as temporary:
            save_file({name: values.contiguous() for name, values in vectors.items()}, temporary)
        kept = sorted(file.parent.glob("corpus-*.safetensors"), key=lambda old: old.stat().st_mtime, reverse=True)
        total = 0
        for old in kept:
            total += old.stat().st_size
            if total > MOST and old != file:
                old.unlink()
    except (OSError, SafetensorError):
        return
