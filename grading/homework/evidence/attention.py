"""Questions 21 to 24: heads, masked words, rollout."""

import math

import torch
from torch import Tensor

from hw_xai.explain import attention_rollout
from hw_xai.language.masks import fill_mask

from . import Evidence, above, alike, below, nearest
from .shipped import Shipped

BANK = "He put his money in the bank."
APPLE = "今天買了蘋果來吃"


def q21(shipped: Shipped) -> Evidence:
    """What do the heads look at?"""
    even = sum(1 / found.shape[-1] for found in shipped.attentions) / len(shipped.attentions)

    def share(layer: int, of) -> float:
        """The mean share of its attention that the keenest head gives."""
        rows = torch.stack([of(found[layer]) for found in shipped.attentions])  # (60, H)
        return float(rows.mean(0).max())

    def following(heads: Tensor) -> Tensor:
        return heads.diagonal(1, 1, 2)[:, 1:-1].mean(1)

    sums = torch.cat([found.sum(-1).flatten() for found in shipped.attentions])
    return {
        "itself": above(math.log2(share(0, lambda heads: heads.diagonal(0, 1, 2)[:, 1:-1].mean(1)) / even), 1, 0.5),
        "next_only": above(max(share(layer, following) for layer in range(len(shipped.attentions[0]))), 0.8, 0.1),
        "sums": alike(sums, torch.ones_like(sums)),
        "near_last": above(math.log2(share(-1, following) / share(0, following)), 0, 0.5),
    }


def q22(shipped: Shipped) -> Evidence:
    """What happens to P(bank) when money is masked too?"""
    plain, more = _chance(shipped, BANK, "bank"), _chance(shipped, BANK, "bank", "money")
    return nearest(math.log2(more / plain), {"same": 0, "doubles": 1, "third": -1.5, "gone": -6})


def q23(shipped: Shipped) -> Evidence:
    """What does rollout do with the layers' attention?"""
    maps = shipped.attentions[0]  # (L, H, T, T)
    eye = torch.eye(maps.shape[-1]).to(maps)
    rolled = attention_rollout(maps)
    return {
        "only_residual": alike(attention_rollout(maps, residual=1.0), eye),
        "sums": alike(rolled.sum(-1), torch.ones_like(rolled[0])),
        "last_layer": alike(rolled, 0.5 * eye + 0.5 * maps[-1].mean(0)),
        "order": alike(rolled, attention_rollout(maps.flip(0))),
    }


def q24(shipped: Shipped) -> Evidence:
    """On which characters does the guess 蘋 lean?"""
    plain = _chance(shipped, APPLE, "蘋")
    without = {word: _chance(shipped, APPLE, "蘋", word) / plain for word in "買果吃"}
    return {
        "guesses_it": above(plain, 0.6, 0.15),
        "eat": below(without["吃"], 0.5, 0.2),
        "second_half": below(without["果"], 0.5, 0.2),
        "bought": below(without["買"], 0.5, 0.2),
    }


def _chance(shipped: Shipped, sentence: str, word: str, *also_masked: str) -> float:
    """The probability of a word at its own place, masked, with other words masked too."""
    [found] = fill_mask(shipped.bert, sentence, word, also_masked=also_masked)
    return found.of(word)
