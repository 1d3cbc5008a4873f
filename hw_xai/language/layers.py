"""What each layer of a BERT makes of each token, and where each head looks.

transformers 5 returns no attentions, and says nothing, unless attention is "eager". Here that cannot happen: a model is
lent in eager and eval mode and given back as it was.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from tqdm import tqdm

from ..core.arguments import check_count
from ..core.batches import BATCH_SIZE
from ..core.lending import preserved
from ..core.memory import even_chunks
from .bert import Bert
from .tokens import Encoded, encode

Result = TypeVar("Result")
Sentences = str | Encoded | Sequence[str] | Sequence[Encoded]  # one or several, as text or as `encode` gives them


def hidden_states(bert: Bert, sentences: Sentences, *, batch_size: int = BATCH_SIZE) -> list[Tensor]:
    """Return for each sentence what every layer says of its T tokens: (L + 1, T, D), on the CPU.

    Layer 0 is the embedding layer's output (word + position + segment, normalized). No padding is left in it.
    """

    def read(output: Any, row: int, length: int) -> Tensor:
        return torch.stack([layer[row, :length] for layer in output.hidden_states])

    return run(bert, sentences, read, batch_size=batch_size, output_hidden_states=True)


def attentions(bert: Bert, sentences: Sentences, *, batch_size: int = BATCH_SIZE) -> list[Tensor]:
    """Return for each sentence how much token i of each head looks at token j: (L, H, T, T), on the CPU.

    Each row sums to one, which is checked.
    """

    def read(output: Any, row: int, length: int) -> Tensor:
        found = torch.stack([layer[row, :, :length, :length] for layer in output.attentions])
        worst = (found.sum(-1) - 1).abs().max().item()
        if worst > 1e-3:
            raise ValueError(f"`bert` must give attention rows that sum to one, got sums that are off by {worst:.2g}")
        return found

    return run(bert, sentences, read, batch_size=batch_size, output_attentions=True)


def run(
    bert: Bert,
    sentences: Sentences,
    read: Callable[[Any, int, int], Tensor],
    *,
    batch_size: int = BATCH_SIZE,
    **outputs: bool,
) -> list[Tensor]:
    """Return read(output, row, T) for each sentence, in their order and on the CPU."""
    encoded = as_encoded(bert, sentences)

    def read_batch(rows: list[int], inputs: dict[str, Tensor]) -> list[Tensor]:
        output = bert(inputs["attention_mask"], inputs["segments"], input_ids=inputs["input_ids"], **outputs)
        # copies: views would keep the whole padded batch alive
        return [read(output, row, len(encoded[i])).to("cpu", copy=True) for row, i in enumerate(rows)]

    return in_batches(bert, encoded, read_batch, batch_size=batch_size)


def in_batches(
    bert: Bert,
    encoded: Sequence[Encoded],
    read: Callable[[list[int], dict[str, Tensor]], Sequence[Result]],
    *,
    batch_size: int = BATCH_SIZE,
    progress: str | None = None,
) -> list[Result]:
    """Return read(rows, inputs) of every batch, one result per sentence, in the order of the sentences.

    rows: which sentences the batch holds; inputs: what `padded` makes of them. Sentences of like length share a batch,
    so that little is spent on padding. No gradients are kept unless `read` turns them on. progress: what a bar says.
    """
    check_count("batch_size", batch_size)
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
    found: dict[int, Result] = {}
    chunks = list(even_chunks(len(order), batch_size))
    with lent(bert), torch.no_grad():
        for chunk in tqdm(chunks, desc=progress, disable=progress is None, leave=False):
            rows = [order[i] for i in chunk]
            found.update(zip(rows, read(rows, padded(bert, [encoded[i] for i in rows])), strict=True))
    return [found[i] for i in range(len(encoded))]


def as_encoded(bert: Bert, sentences: Sentences) -> list[Encoded]:
    """Return sentences as `encode` gives them; what is encoded stays as it is."""
    if isinstance(sentences, Encoded):
        return [sentences]
    if not isinstance(sentences, str) and sentences and isinstance(sentences[0], Encoded):
        return list(cast(Sequence[Encoded], sentences))
    return encode(bert, cast(str | Sequence[str], sentences))


def padded(bert: Bert, encoded: Sequence[Encoded]) -> dict[str, Tensor]:
    """Return input_ids, attention_mask and segments, each (N, T) with T the longest, on the model's device."""
    longest = max(map(len, encoded))
    ids = torch.full((len(encoded), longest), bert.blank[0])
    mask, segments = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, e in enumerate(encoded):
        ids[row, : len(e)] = torch.tensor(e.ids)
        mask[row, : len(e)] = 1
        segments[row, : len(e)] = torch.tensor(e.type_ids)
    device = bert.word_embeddings.weight.device
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device), "segments": segments.to(device)}


@contextmanager
def lent(bert: Bert) -> Iterator[None]:
    """Lend the model in eval mode with eager attention; on leaving, everything is as it was."""
    # the setting lives in the configuration, which other models may share
    before = bert.config._attn_implementation
    with ExitStack() as stack:
        stack.enter_context(preserved(bert.model))
        if before != "eager":
            stack.callback(bert.model.set_attn_implementation, before)
            bert.model.set_attn_implementation("eager")
        yield
