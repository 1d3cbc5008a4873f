"""What the attention of a transformer tells about a picture: which patches reach what the score is read from.

Attention is seen while the model runs, whoever wrote it: `nn.MultiheadAttention`, `scaled_dot_product_attention`, or a
softmax of one's own. All take (model, inputs, target=None): pictures (N, C, H, W) -> (N, 1, H, W), one value for each
patch, enlarged bilinearly; embedded words (N, T, D) -> (N, T, 1).
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..core.arguments import described
from ..core.batches import explaining
from ..core.maps import token_grid
from ..core.model import of_target, scores_of
from ..core.protocols import Model, Target
from .attention import accumulated_relevance, attention_gradients, attention_rollout
from .cam import enlarged


def rollout(
    model: Model,
    inputs: Tensor,
    target: Target = None,
    *,
    residual: float = 0.5,
    heads: str = "mean",
    batch_size: int | None = None,
) -> Tensor:
    """`attention_rollout` of a transformer: how much of each patch reaches the tokens that the score is read from.

    The same for all classes: where the model looks, not what for. residual, heads: as for `attention_rollout`. One
    forward pass, and a backward pass that finds those tokens. Abnar and Zuidema 2020, arXiv 2005.00928.

    >>> import torch, torchvision
    >>> from hw_xai.explain import rollout
    >>> rollout(torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32), torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 1, 32, 32])
    """

    def rolled(attentions: Tensor, gradients: Tensor) -> Tensor:
        return attention_rollout(attentions, residual=residual, heads=heads)

    return _reaching(rolled, model, inputs, target, batch_size)


def attention_relevance(
    model: Model, inputs: Tensor, target: Target = None, *, batch_size: int | None = None
) -> Tensor:
    """`accumulated_relevance` of a transformer: the attention that speaks for the class, carried through its layers.

    In each layer R ← R + mean((A · ∂ score / ∂ A)⁺) R, from R = I. Not signed: what speaks against is left out. One
    forward and one backward pass. Chefer et al. 2021, arXiv 2103.15679.

    >>> import torch, torchvision
    >>> from hw_xai.explain import attention_relevance
    >>> attention_relevance(torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32), torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 1, 32, 32])
    """

    def carried(attentions: Tensor, gradients: Tensor) -> Tensor:
        return accumulated_relevance((attentions * gradients).clamp(min=0))

    return _reaching(carried, model, inputs, target, batch_size)


# -------------------------------------------------------------------------------------------------------------- parts


def _reaching(through_layers: Any, model: Model, inputs: Tensor, target: Target, batch_size: int | None) -> Tensor:
    """Return what reaches the tokens that the score is read from, by (n, L, H, T, T), (n, L, H, T, T) -> (n, T, T)."""

    def reached(x: Tensor, target: Tensor | None) -> Tensor:  # (n, ...) -> (n, 1, H, W) or (n, T, 1)
        watch = Attended(len(x))
        with torch.enable_grad():
            with watch:
                scores = scores_of(model, x)  # (n, C)
            score = of_target(scores, target)
        layers = watch.layers()
        if not (score.requires_grad and all(layer.requires_grad for layer in layers)):
            expected = "be differentiable down to its first attention"
            raise ValueError(f"`model` must {expected}, got scores without a gradient (is there a no_grad() inside?)")
        n_tokens = layers[0].shape[-1]
        layout = token_grid(n_tokens, *x.shape[2:]) if x.ndim == 4 else None
        if layout is None and (x.ndim != 3 or x.shape[1] != n_tokens):
            expected = f"attend to the patches of a picture, or to each of the tokens in inputs {tuple(x.shape)}"
            raise ValueError(f"`model` must {expected}, got attention among {n_tokens} tokens")
        gradients = attention_gradients(score, layers)  # (n, L, H, T, T)
        attentions = torch.stack([layer.detach() for layer in layers], dim=1)
        prefix = 0 if layout is None or layout.prefix is None else layout.prefix
        rows = read_rows(gradients[:, -1], prefix)  # (n, T)
        found = (through_layers(attentions, gradients) * rows[:, :, None]).sum(dim=1)  # (n, T)
        if layout is None:
            return found[:, :, None].to(x)
        return enlarged(layout.maps(found[:, :, None]), x)

    with explaining(model, inputs, target, batch_size) as chunks:
        return torch.cat([reached(x, t) for x, t in chunks])


def read_rows(slopes: Tensor, prefix: int) -> Tensor:
    """Return the share of each token in what the score is read from: (n, H, T, T) of the last layer -> (n, T).

    No token hears of others after the last attention, so its slope is zero in the rows of all that are not read. Where
    it is zero everywhere, as with a head that has not been trained: the class token, or all where there is none.
    """
    read = slopes.abs().amax(dim=(1, 3)) > 0  # (n, T)
    usual = torch.zeros_like(read)
    usual[:, : 1 if prefix else None] = True
    read = torch.where(read.any(dim=1, keepdim=True), read, usual).to(slopes)
    return read / read.sum(dim=1, keepdim=True)


class Attended(TorchFunctionMode):
    """Keeps the attention (n, H, T, T) of every layer that runs inside, with its graph. Of this thread only."""

    def __init__(self, n: int):
        super().__init__()
        self.n = n
        self.found: list[Tensor] = []

    def layers(self) -> list[Tensor]:
        """Return L × (n, H, T, T); ValueError where the model is no transformer, or one of another kind."""
        expected = "attend from all its tokens to all of them, in every layer, as a ViT or a BERT does"
        if not self.found:
            raise ValueError(f"`model` must {expected}, got no attention that can be seen")
        n_heads, n_tokens = self.found[0].shape[1:3]
        for one in self.found:
            if one.shape != (self.n, n_heads, n_tokens, n_tokens):
                hint = "windows of a Swin, pooled tokens and queries of their own are others"
                raise ValueError(f"`model` must {expected}, got {described(one)} from a batch of {self.n}: {hint}")
        return self.found

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, name = kwargs or {}, getattr(function, "__name__", "")
        if name == "scaled_dot_product_attention":
            return self.attend(*args, **kwargs)
        if name == "multi_head_attention_forward":
            return self.attend_with_heads(*args, **kwargs)
        result = function(*args, **kwargs)
        return self.keep(result) if name == "softmax" and _among_tokens(result, *args, **kwargs) else result

    def keep(self, attention: Tensor) -> Tensor:
        if torch.is_grad_enabled() and not attention.requires_grad:
            attention.requires_grad_()  # gradients start here: what comes before needs no graph
        self.found.append(attention)
        return attention

    def attend(
        self, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
    ) -> Tensor:
        """Do in the open what scaled_dot_product_attention does in one step: (n, H, T, d) -> (n, H, T, d)."""
        if enable_gqa:
            key, value = (t.repeat_interleave(query.shape[-3] // t.shape[-3], dim=-3) for t in (key, value))
        logits = (query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)) @ key.mT
        if is_causal:
            logits = logits.masked_fill(torch.ones_like(logits, dtype=torch.bool).triu(1), -torch.inf)
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            logits = logits.masked_fill(~attn_mask, -torch.inf)
        elif attn_mask is not None:
            logits = logits + attn_mask
        return nn.functional.dropout(self.keep(logits.softmax(dim=-1)), dropout_p) @ value

    def attend_with_heads(
        self, query, key, value, embed_dim, num_heads, in_weight, in_bias, bias_k, bias_v, zero, dropout_p, out, bias,
        training=True, key_padding_mask=None, need_weights=True, attn_mask=None, use_separate_proj_weight=False,
        q_proj_weight=None, k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None,
        average_attn_weights=True, is_causal=False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Do in the open what multi_head_attention_forward does, which shows no mode what is inside: (T, n, D)."""
        if any(extra is not None for extra in (bias_k, bias_v, static_k, static_v)) or zero or query.ndim != 3:
            raise ValueError("`model` must use nn.MultiheadAttention of batches, without keys or values of its own")
        separate = (q_proj_weight, k_proj_weight, v_proj_weight)
        weights = separate if use_separate_proj_weight else in_weight.chunk(3)
        biases = (None, None, None) if in_bias is None else in_bias.chunk(3)
        q, k, v = (
            nn.functional.linear(t, w, b).unflatten(2, (num_heads, -1)).permute(1, 2, 0, 3)  # (n, H, T, d)
            for t, w, b in zip((query, key, value), weights, biases, strict=True)
        )
        mask = _additive(attn_mask, q)
        if mask is not None and mask.ndim == 3:  # (n·H, T, T)
            mask = mask.unflatten(0, (-1, num_heads))
        if key_padding_mask is not None:
            padding = _additive(key_padding_mask, q)[:, None, None]
            mask = padding if mask is None else mask + padding
        before = len(self.found)
        mixed = self.attend(q, k, v, mask, dropout_p if training else 0.0)  # (n, H, T, d)
        output = nn.functional.linear(mixed.permute(2, 0, 1, 3).flatten(2), out, bias)  # (T, n, D)
        attention = self.found[before]
        return output, (attention.mean(dim=1) if average_attn_weights else attention) if need_weights else None


def _among_tokens(result: Tensor, given: Tensor, dim: int | None = None, *_: object, **others: object) -> bool:
    """Whether a softmax gives attention (n, H, T, T)."""
    return result.ndim == 4 and dim in (-1, 3) and result.shape[-1] == result.shape[-2]


def _additive(mask: Tensor | None, like: Tensor) -> Any:
    """Return a mask of nn.MultiheadAttention, true for what is not attended to, as numbers to be added to logits."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, -torch.inf)
