"""The tokens of the search corpus as vectors of every layer and head, and which of them are nearest to a sentence's."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from . import index_cache
from .bert import Bert
from .corpus import TaggedSentence, search_corpus
from .layers import in_batches
from .tokens import Encoded, encode

N_NEAREST = 50  # as exBERT showed
N_NEAREST_LONG = 10  # in sentences of more than LONG tokens
N_NEAREST_OF_HEAD = 10
LONG = 32  # tokens; longer sentences are searched for as they are only: not hidden, not by head
BATCH_SIZE = 32


@dataclass(frozen=True)
class Corpus:
    """The sentences that are searched, and which of their words the N indexed tokens belong to."""

    sentences: Sequence[tuple[Sequence[str], Sequence[str], str]]  # words, their parts of speech, what joins them
    tokens: np.ndarray  # (N, 2) sentence and word of each token
    megabytes: float  # size of the index


@dataclass(frozen=True)
class CorpusIndex:
    """Unit vectors of the N tokens of the corpus."""

    corpus: Corpus
    states: Tensor  # (L + 1, N, D) float16
    heads: Tensor | None  # (L, H, N, D / H) float16: what each head writes; None where a model does not show it


@dataclass(frozen=True)
class NearestTokens:
    """The n nearest tokens of a corpus to each of T tokens, as indices of `Corpus.tokens`, the nearest first."""

    plain: np.ndarray  # (T, L + 1, n)
    plain_similarity: np.ndarray  # (T, L + 1, n) cosine
    masked: np.ndarray | None  # (T, L + 1, n) the same for each token when it is hidden
    masked_similarity: np.ndarray | None
    by_head: np.ndarray | None  # (T, L, H, m) by what one head writes
    by_head_similarity: np.ndarray | None


def index_corpus(bert: Bert, progress: bool = True) -> CorpusIndex:
    """Read the whole corpus once for each model: what was read is kept in the user's cache, see `index_cache`."""
    sentences = search_corpus()
    encoded = encode(bert, [sentence.text for sentence in sentences])
    words = [words_of_tokens(s, e) for s, e in zip(sentences, encoded, strict=True)]
    places = [(s, w) for s, row in enumerate(words) for w in row if w is not None]
    kept = [[t for t, w in enumerate(row) if w is not None] for row in words]
    file = index_cache.place(bert, encoded)
    vectors = index_cache.read(file)
    if vectors is None:
        vectors = _read_corpus(bert, encoded, kept, progress)
        index_cache.keep(file, vectors)
    states, heads = vectors["states"], vectors.get("heads")
    megabytes = sum(vector.nbytes for vector in vectors.values()) / 1e6
    shown = [(s.words, s.tags, " " if s.language == "en" else "") for s in sentences]
    return CorpusIndex(Corpus(shown, np.array(places), megabytes), states, heads)


def _read_corpus(
    bert: Bert, encoded: Sequence[Encoded], kept: Sequence[Sequence[int]], progress: bool
) -> dict[str, Tensor]:
    """Return the unit vectors "states" and, where the model shows them, "heads", as `CorpusIndex` holds them."""

    def short(states: Tensor, heads: Tensor | None, i: int) -> tuple[Tensor, Tensor | None]:
        of_heads = None if heads is None else _unit(heads[:, :, kept[i]]).half()
        return _unit(states[:, kept[i]]).half(), of_heads

    label = "reading the corpus" if progress else None
    states, heads = zip(*states_and_heads(bert, encoded, short, progress=label), strict=True)
    vectors = {"states": torch.cat(states, dim=1)}
    return vectors if heads[0] is None else vectors | {"heads": torch.cat(heads, dim=2)}


def nearest_view(bert: Bert, index: CorpusIndex, encoded: Encoded) -> NearestTokens:
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
    return NearestTokens(plain, plain_similarity, masked, masked_similarity, by_head, by_head_similarity)


def _nearest(index: Tensor, queries: Tensor, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the n nearest by cosine and their cosines: unit (S, N, D), (S, T, D) -> (T, S, n) twice."""
    found = [(q @ x.float().T).topk(min(n, x.shape[0])) for x, q in zip(index, queries, strict=True)]
    indices = torch.stack([f.indices for f in found], dim=1)
    return indices.numpy(), torch.stack([f.values for f in found], dim=1).clamp(0, 1).numpy()


def states_and_heads(
    bert: Bert,
    encoded: Sequence[Encoded],
    keep: Callable[[Tensor, Tensor | None, int], tuple[Tensor, Tensor | None]] | None = None,
    progress: str | None = None,
) -> list[tuple[Tensor, Tensor | None]]:
    """Return for each sentence its hidden states (L + 1, T, D) and what each head writes (L, H, T, D / H), or None.

    keep: makes of both, and of the sentence's number, what is returned instead.
    """
    n_heads = bert.config.num_attention_heads

    def read(rows: list[int], inputs: dict[str, Tensor]) -> list[tuple[Tensor, Tensor | None]]:
        written.clear()
        output = bert(**inputs, output_hidden_states=True)
        found = []
        for row, i in enumerate(rows):
            length = len(encoded[i])
            states = torch.stack([layer[row, :length].cpu() for layer in output.hidden_states])
            heads = None
            if len(written) == len(output.hidden_states) - 1:
                heads = torch.stack([layer[row, :length].unflatten(-1, (n_heads, -1)) for layer in written])
                heads = heads.transpose(1, 2)
            found.append(keep(states, heads, i) if keep else (states, heads))
        return found

    with _recorded(bert) as written:
        return in_batches(bert, encoded, read, batch_size=BATCH_SIZE, progress=progress)


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


def words_of_tokens(sentence: TaggedSentence, encoded: Encoded) -> list[int | None]:
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
