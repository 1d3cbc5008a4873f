"""The tokens of the search corpus as vectors of every layer and head, and which of them are nearest to a sentence's."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..show.pages.attention.page import Corpus, NearestView
from .bert import Bert
from .corpus import TaggedSentence, search_corpus
from .layers import lent, padded
from .tokens import Encoded, encode

N_NEAREST = 50  # as exBERT showed
N_NEAREST_LONG = 10  # in sentences of more than LONG tokens
N_NEAREST_OF_HEAD = 10
LONG = 32  # tokens; longer sentences are searched for as they are only: not hidden, not by head
BATCH_SIZE = 32


@dataclass(frozen=True)
class CorpusIndex:
    """Unit vectors of the N tokens of the corpus."""

    corpus: Corpus
    states: Tensor  # (L + 1, N, D) float16
    heads: Tensor | None  # (L, H, N, D / H) float16: what each head writes; None where a model does not show it


def index_corpus(bert: Bert, progress: bool = True) -> CorpusIndex:
    """Read the whole corpus once."""
    from tqdm import tqdm

    sentences = search_corpus()
    encoded = encode(bert, [sentence.text for sentence in sentences])
    words = [_words_of_tokens(s, e) for s, e in zip(sentences, encoded, strict=True)]
    places = [(s, w) for s, row in enumerate(words) for w in row if w is not None]
    kept = [[t for t, w in enumerate(row) if w is not None] for row in words]
    chunks = [range(i, min(i + BATCH_SIZE, len(encoded))) for i in range(0, len(encoded), BATCH_SIZE)]
    states, heads = [], []
    for chunk in tqdm(chunks, desc="reading the corpus", disable=not progress, leave=False):
        for i, (hidden, written) in zip(chunk, states_and_heads(bert, [encoded[i] for i in chunk]), strict=True):
            states.append(_unit(hidden[:, kept[i]]).half())
            heads.append(None if written is None else _unit(written[:, :, kept[i]]).half())
    stacked = torch.cat(states, dim=1)
    of_heads = None if heads[0] is None else torch.cat(heads, dim=2)
    megabytes = (stacked.nbytes + (0 if of_heads is None else of_heads.nbytes)) / 1e6
    shown = [(s.words, s.tags, " " if s.language == "en" else "") for s in sentences]
    return CorpusIndex(Corpus(shown, np.array(places), megabytes), stacked, of_heads)


def nearest_view(bert: Bert, index: CorpusIndex, encoded: Encoded) -> NearestView:
    """Return the nearest tokens of the corpus to each token by hidden state, and in short sentences also when it is
    hidden, and by what each head writes."""
    short = len(encoded) <= LONG
    n = N_NEAREST if short else N_NEAREST_LONG
    [(states, heads)] = states_and_heads(bert, [encoded])  # (L + 1, T, D)
    plain, plain_similarity = _nearest(index.states, _unit(states), n)
    masked = masked_similarity = by_head = by_head_similarity = None
    if short and bert.tokenizer.mask_token_id is not None and bert.head == "masked-lm":
        hidden = [encoded.put((t,), bert.mask_id, bert.tokenizer.mask_token) for t in range(len(encoded))]
        found = [h[:, t] for t, (h, _) in enumerate(states_and_heads(bert, hidden))]  # T × (L + 1, D)
        masked, masked_similarity = _nearest(index.states, _unit(torch.stack(found, dim=1)), n)
    if short and heads is not None and index.heads is not None:
        layers = [_nearest(*pair, N_NEAREST_OF_HEAD) for pair in zip(index.heads, _unit(heads), strict=True)]
        # each (T, H, m) -> (T, L, H, m)
        by_head, by_head_similarity = (np.stack(column, axis=1) for column in zip(*layers, strict=True))
    return NearestView(plain, plain_similarity, masked, masked_similarity, by_head, by_head_similarity)


def _nearest(index: Tensor, queries: Tensor, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the n nearest by cosine and their cosines: unit (S, N, D), (S, T, D) -> (T, S, n) twice."""
    found = [(q @ x.float().T).topk(min(n, x.shape[0])) for x, q in zip(index, queries, strict=True)]
    indices = torch.stack([f.indices for f in found], dim=1)
    return indices.numpy(), torch.stack([f.values for f in found], dim=1).clamp(0, 1).numpy()


def states_and_heads(bert: Bert, encoded: Sequence[Encoded]) -> list[tuple[Tensor, Tensor | None]]:
    """Return for each sentence its hidden states (L + 1, T, D) and what each head writes (L, H, T, D / H)."""
    with lent(bert), torch.no_grad(), _recorded(bert) as written:
        output = bert(**padded(bert, encoded), output_hidden_states=True)
    n_heads = bert.model.config.num_attention_heads
    found = []
    for row, e in enumerate(encoded):
        states = torch.stack([layer[row, : len(e)] for layer in output.hidden_states])
        heads = None
        if len(written) == len(output.hidden_states) - 1:
            heads = torch.stack([layer[row, : len(e)].unflatten(-1, (n_heads, -1)) for layer in written])
            heads = heads.transpose(1, 2)
        found.append((states, heads))
    return found


@contextmanager
def _recorded(bert: Bert) -> Iterator[list[Tensor]]:
    """Collect, layer by layer, the heads' outputs side by side (N, T, D), before they are mixed."""
    written: list[Tensor] = []

    def record(module: nn.Module, inputs: tuple, output: tuple) -> None:
        written.append(output[0].detach().cpu())

    # ALBERT mixes within the same module, so nothing is found there
    modules = [m for name, m in bert.model.named_modules() if re.search(r"attention\.self$", name)]
    hooks = [module.register_forward_hook(record) for module in modules]
    try:
        yield written
    finally:
        for hook in hooks:
            hook.remove()


def _words_of_tokens(sentence: TaggedSentence, encoded: Encoded) -> list[int | None]:
    """Return which word of the tagged sentence each token belongs to."""
    owner, position = {}, 0
    for w, word in enumerate(sentence.words):
        position = sentence.text.index(word, position)
        owner.update(dict.fromkeys(range(position, position + len(word)), w))
        position += len(word)
    starts = (start + len(encoded.texts[0][start:end]) - len(encoded.texts[0][start:end].lstrip())
              for start, end in encoded.offsets)  # fmt: skip
    return [None if special else owner.get(start) for start, special in zip(starts, encoded.special, strict=True)]


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-12)
