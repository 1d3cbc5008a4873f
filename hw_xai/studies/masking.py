"""What a masked language model expects at every token, and how hiding a second one moves it: all of it at once."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..language.bert import Bert
from ..language.layers import in_batches
from ..language.spelling import readable_vocabulary
from ..language.tokens import Encoded
from ..show.pages.attention.page import MaskView

LONGEST_PAIRS = 24  # tokens: hiding every two of T takes T² / 2 passes
N_CANDIDATES = 10


class MaskPredictions:
    """The views of several sentences, which share one vocabulary of all tokens that they name."""

    def __init__(self):
        self._numbers: dict[str, int] = {}

    @property
    def vocabulary(self) -> list[str]:
        return list(self._numbers)

    def view(self, bert: Bert, encoded: Encoded) -> MaskView:
        """Return what is expected at each token alone and, in a short sentence, beside each other hidden token."""
        n = len(encoded)
        singles = [(t,) for t in range(n)]
        pairs = [(t, u) for t in range(n) for u in range(t)] if n <= LONGEST_PAIRS else []
        expected = _expected(bert, encoded, [*singles, *pairs])
        alone = torch.cat(expected[:n])  # (T, V)
        ids = torch.tensor(encoded.ids)
        candidates = _with_own(alone, alone, ids)  # (T, K)
        found = MaskView(self._renumber(bert, candidates), alone.gather(1, candidates).numpy(), None, None, None)
        if not pairs:
            return found
        after = alone[:, None].repeat(1, n, 1)  # (T, T, V); on the diagonal nothing moves
        for (t, u), (at_t, at_u) in zip(pairs, expected[n:], strict=True):
            after[t, u], after[u, t] = at_t, at_u
        before = alone[:, None].expand_as(after)
        chosen = _with_own(before.flatten(0, 1), after.flatten(0, 1), ids.repeat_interleave(n)).view(n, n, -1)
        return MaskView(
            found.candidates,
            found.probabilities,
            self._renumber(bert, chosen),
            before.gather(2, chosen).numpy(),
            after.gather(2, chosen).numpy(),
        )

    def _renumber(self, bert: Bert, ids: Tensor) -> np.ndarray:
        unique, inverse = ids.unique(return_inverse=True)
        vocabulary = readable_vocabulary(bert.tokenizer, bert.n_tokens)
        numbers = torch.tensor([self._numbers.setdefault(vocabulary[i], len(self._numbers)) for i in unique.tolist()])
        return numbers[inverse].numpy()


def _expected(bert: Bert, encoded: Encoded, hidden: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Return the probabilities (P, V) at the P tokens that each variant hides; the other logits are dropped."""

    def read(rows: list[int], inputs: dict[str, Tensor]) -> list[Tensor]:
        logits = bert(**inputs).logits
        return [logits[row, list(hidden[i])].softmax(-1).cpu() for row, i in enumerate(rows)]

    return in_batches(bert, [encoded.put(p, bert.mask_id, bert.tokenizer.mask_token) for p in hidden], read)


def _with_own(before: Tensor, after: Tensor, ids: Tensor) -> Tensor:
    """Return the tokens that are likeliest on either side, then the one that stands there: (R, V), (R,) -> (R, K)."""
    largest = torch.maximum(before, after)
    largest = largest.scatter(1, ids[:, None], -1)  # the own one has the last place anyway
    return torch.cat([largest.topk(min(N_CANDIDATES, largest.shape[1] - 1)).indices, ids[:, None]], dim=1)
