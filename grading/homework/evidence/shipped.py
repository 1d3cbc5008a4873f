"""The shipped models and the dishes and sentences that the questions are asked about."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from hw_xai.language.bert import Bert, load_bert
from hw_xai.language.corpus import search_corpus
from hw_xai.language.layers import attentions
from hw_xai.vision.dishes.synthetic import SyntheticFood11
from hw_xai.vision.networks import load
from hw_xai.vision.preprocess import preprocessing


@dataclass(frozen=True)
class Shipped:
    """Everything that is asked about. Another seed or precision must not change one answer."""

    seed: int = 0
    dtype: torch.dtype = torch.float32

    @cached_property
    def model(self) -> nn.Module:
        return load("foodnet-synthetic").to(self.dtype)

    @cached_property
    def dishes(self) -> Tensor:
        """The dishes of notebook 0, one of each class: (11, 3, 128, 128)."""
        drawn = SyntheticFood11(11, size=128, seed=7, transform=preprocessing())
        return torch.stack([drawn[i][0] for i in range(11)]).to(self.dtype)

    @cached_property
    def masks(self) -> Tensor:
        """Where the food is: bool (11, 1, 128, 128)."""
        drawn = SyntheticFood11(11, size=128, seed=7)
        return torch.stack([torch.from_numpy(drawn.mask(i)) for i in range(11)])[:, None]

    @cached_property
    def targets(self) -> Tensor:
        """The predicted classes: (11,)."""
        with torch.no_grad():
            return self.model(self.dishes).argmax(1)

    def score(self, inputs: Tensor, dish: int) -> Tensor:
        """The score that inputs (N, ...) get for the class of a dish: (N,)."""
        with torch.no_grad():
            return self.model(inputs)[:, self.targets[dish]]

    @cached_property
    def bert(self) -> Bert:
        return self._bert("built-in")

    @cached_property
    def reader(self) -> Bert:
        return self._bert("built-in-reader")

    @cached_property
    def attentions(self) -> list[Tensor]:
        """What built-in looks at in sixty English sentences: (L, H, T, T) each."""
        texts = [sentence.text for sentence in search_corpus(self.seed) if sentence.language == "en"]
        return attentions(self.bert, texts[:60])

    def _bert(self, name: str) -> Bert:
        loaded = load_bert(name)
        model = loaded.model.to(self.dtype)  # type: ignore[arg-type]  # transformers wraps it in a type that binds no self
        return Bert(name, model, loaded.tokenizer)
