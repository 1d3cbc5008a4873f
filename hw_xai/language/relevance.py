"""What a guess at a hidden word rests on, followed through the attention of the layers."""

import torch
from torch import Tensor

from ..core.batches import BATCH_SIZE
from ..explain.attention import accumulated_relevance, gradient_x_attention
from .bert import Bert
from .layers import in_batches
from .tokens import Encoded


def guess_relevance(bert: Bert, encoded: Encoded, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Return how much token j speaks for what stands at token i, read from elsewhere up to each layer: (L, T, T).

    Row i: token i is hidden, the score is log P of it, and gradient × attention is carried through the layers. Rows sum
    to one without token i itself; those of special tokens, and of what no attention speaks for, are zero. One forward
    and one backward pass for each token. Chefer et al. 2021, arXiv 2103.15679.
    """
    n, mask = len(encoded), bert.tokenizer.mask_token
    asked = [t for t in range(n) if not encoded.special[t]]

    @torch.enable_grad()
    def read(rows: list[int], inputs: dict[str, Tensor]) -> list[Tensor]:
        tokens = [asked[i] for i in rows]
        embeddings = bert.word_embeddings(inputs["input_ids"]).requires_grad_()  # for a graph to go back along
        rest = {name: values for name, values in inputs.items() if name != "input_ids"}
        output = bert(inputs_embeds=embeddings, **rest, output_attentions=True)
        at = torch.arange(len(tokens))
        scores = output.logits[at, tokens].log_softmax(-1)[at, [encoded.ids[t] for t in tokens]]  # (N,)
        weighted = gradient_x_attention(scores, output.attentions)  # (N, L, H, T, T)
        layers = range(1, weighted.shape[1] + 1)
        return list(torch.stack([accumulated_relevance(weighted[:, :k])[at, tokens] for k in layers], 1).cpu())

    rows = in_batches(bert, [encoded.put((t,), bert.mask_id, mask) for t in asked], read, batch_size=batch_size)
    found = torch.zeros(rows[0].shape[0], n, n)  # (L, T, T)
    found[:, asked] = torch.stack(rows, dim=1)
    found.diagonal(dim1=1, dim2=2).zero_()
    return found / found.sum(-1, keepdim=True).clamp(min=torch.finfo(found.dtype).tiny)
