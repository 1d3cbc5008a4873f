"""A model and its tokenizer as a folder that transformers reads."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bert import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def save(model: "PreTrainedModel", tokenizer: Any, folder: Path) -> Path:
    """Write a folder for from_pretrained: weights in half precision, which are computed with in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        tokenizer.save_pretrained(folder)
        model.half().save_pretrained(folder)
        model.float()
        model.config.dtype = "float32"
        model.config.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # written for the owner alone, but everybody is to load it
    return folder
