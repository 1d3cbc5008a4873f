"""The networks that a studio offers, loaded when they are first asked for; no other name is ever opened."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..core.lending import lent
from ..errors import UserError
from ..evaluate.randomize import blocks_of, randomized_models
from ..explain import layer_shapes
from ..language.bert import Bert, load_bert
from ..models import Loaded, load_model
from ..vision.dishes.synthetic import SyntheticFood11
from ..vision.networks import SHIPPED
from .kept import Kept

MOST_RANDOMIZED = 6  # copies of a network that are kept


class Models:
    """The networks for photos by name, and the one that reads sentences."""

    def __init__(
        self, names: Sequence[str], language: str, device: str, asked: Mapping[str, Any] | None = None
    ):  # asked: keywords of `load_model` for the first one
        self.names = list(dict.fromkeys([*names, *SHIPPED]))
        self.language, self.device = language, device
        self._asked = dict(asked or {})
        self._loaded: dict[str, Loaded] = {}
        self._layers: dict[str, list[str]] = {}
        self._randomized: Kept[Loaded] = Kept(MOST_RANDOMIZED)
        self._bert: Bert | None = None
        self._one_at_a_time = threading.RLock()

    def load(self, name: Any, n_randomized: int = 0) -> Loaded:
        """Return one of the networks, with its last blocks randomized; UserError for a name that is not offered."""
        if not isinstance(name, str) or name not in self.names:
            raise UserError(
                f"the network must be one of {', '.join(self.names)}: name others when the studio is started"
            )
        with self._one_at_a_time:
            if name not in self._loaded:
                asked = self._asked if name == self.names[0] else {}
                self._loaded[name] = load_model(name, device=self.device, **asked)
            found = self._loaded[name]
            return found if not n_randomized else self._forgetful(found, n_randomized)

    def asked(self, name: str) -> dict[str, Any]:
        """Return the keywords, besides its name, with which a network is loaded."""
        given = {"device": self.device, **(self._asked if name == self.names[0] else {})}
        usual = {"device": "auto", "weights": None, "classes": None, "normalize": "own"}
        return {key: value for key, value in given.items() if value != usual.get(key)}

    def layers(self, name: str) -> list[str]:
        """Return the layers of a network that give maps, in the order they run; none of a mere function."""
        loaded = self.load(name)
        with self._one_at_a_time:
            if name not in self._layers:
                inputs = torch.zeros(1, 3, loaded.size, loaded.size, device=loaded.device)
                there = isinstance(loaded.model, nn.Module)
                shapes = layer_shapes(loaded.module, inputs) if there else {}
                self._layers[name] = [
                    layer for layer, shape in shapes.items() if len(shape) >= 2 and max(shape[1:]) > 1
                ]
            return self._layers[name]

    def blocks(self, name: str) -> list[str]:
        """Return the blocks that can be randomized, from the output to the input."""
        loaded = self.load(name)
        return blocks_of(loaded.module) if isinstance(loaded.model, nn.Module) else []

    def _forgetful(self, loaded: Loaded, n_blocks: int) -> Loaded:
        blocks = blocks_of(loaded.module)
        if not 1 <= n_blocks <= len(blocks):
            raise UserError(f"{loaded.name} has {len(blocks)} blocks that can be randomized, got {n_blocks}")
        key = (loaded.name, n_blocks)
        kept = self._randomized.get(key)
        if kept is None:
            models = randomized_models(loaded.module, self._typical(loaded), blocks[:n_blocks])
            _, model = list(models)[-1]  # one copy throughout: the last is the one with all of them randomized
            kept = self._randomized.put(key, Loaded(model, loaded.name, loaded.classes, loaded.size, loaded.device))
        return kept

    def _typical(self, loaded: Loaded) -> Tensor:
        """Return pictures (11, 3, H, W) from which a randomized network takes the statistics of its normalization."""
        dishes = SyntheticFood11(11, size=loaded.size)
        return torch.cat([loaded.inputs(dishes[i][0]) for i in range(len(dishes))])

    def bert(self) -> Bert:
        """Return the network that reads sentences."""
        with self._one_at_a_time:
            if self._bert is None:
                self._bert = load_bert(self.language)
            return self._bert


def scores(loaded: Loaded, inputs: Tensor) -> Tensor:
    """Return the scores (N, C) of pictures, on the CPU."""
    with lent(loaded.model), torch.no_grad():
        return loaded(inputs).float().cpu()
