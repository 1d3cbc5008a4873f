"""Attention rollout and relevance against loops over the attention that transformers and a forward by hand give."""

import math
from functools import partial

import pytest
import timm
import torch
import torchvision
import transformers
from torch import Tensor, nn

from hw_xai.explain import attention_relevance, rollout
from hw_xai.explain.attention import accumulated_relevance, attention_rollout

close = partial(torch.testing.assert_close, rtol=1e-6, atol=1e-9)
BOTH = pytest.mark.parametrize("explain", [rollout, attention_relevance])


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def photos(n: int = 2) -> Tensor:
    coarse = torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")


def by_loops(explain, attentions: list[Tensor], score: Tensor) -> Tensor:
    """What reaches the tokens that are read: attentions L × (1, H, T, T) with their graph -> (T,)."""
    slopes = torch.autograd.grad(score, attentions)
    n_heads, n = attentions[0].shape[1:3]
    rows = [t for t in range(n) if slopes[-1][0, :, t].any()]
    carried = torch.eye(n, dtype=torch.float64)
    for attention, slope in zip(attentions, slopes, strict=True):
        mixed = torch.zeros(n, n, dtype=torch.float64)
        for a, g in zip(attention.detach()[0], slope[0], strict=True):
            mixed += (a if explain is rollout else (a * g).clamp(min=0)) / n_heads
        carried = (carried + mixed @ carried) / 2 if explain is rollout else carried + mixed @ carried
    return torch.stack([carried[row] for row in rows]).mean(dim=0)


def on_a_grid(found: Tensor, side: int, prefix: int = 1) -> Tensor:
    """(T,) -> (1, 1, 32, 32)."""
    grid = found[prefix:].reshape(1, 1, side, side)
    return nn.functional.interpolate(grid, size=(32, 32), mode="bilinear", align_corners=False)


def torchvision_vit() -> nn.Module:
    model = torchvision.models.VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=5).double()
    nn.init.normal_(model.heads.head.weight)
    return model


def by_hand(model: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The forward of torchvision's ViT in matrices: scores (C,) and L × (1, H, T, T) of one picture."""
    tokens = model.conv_proj(x[None]).flatten(2)[0].T
    t = torch.cat([model.class_token[0], tokens]) + model.encoder.pos_embedding[0]  # (T, D)
    seen = []
    for block in model.encoder.layers:
        inside, one = block.self_attention, block.ln_1(t)
        heads = []
        for h in range(2):
            rows = [slice(part * 16 + h * 8, part * 16 + h * 8 + 8) for part in range(3)]
            q, k, v = (one @ inside.in_proj_weight[r].T + inside.in_proj_bias[r] for r in rows)
            heads.append((torch.softmax(q @ k.T / math.sqrt(8), dim=1), v))
        attention = torch.stack([a for a, _ in heads])[None]
        seen.append(attention)
        t = t + inside.out_proj(torch.cat([a @ v for a, (_, v) in zip(attention[0], heads, strict=True)], dim=1))
        t = t + block.mlp(block.ln_2(t))
    return model.heads(model.encoder.ln(t)[0]), seen


@BOTH
def test_torchvision_against_a_forward_by_hand(explain):
    model = torchvision_vit().eval()
    found = explain(model, photos(), 2)
    for x, one in zip(photos(), found, strict=True):
        scores, seen = by_hand(model, x)
        close(scores, model(x[None])[0])
        close(one[None], on_a_grid(by_loops(explain, seen, scores[2]), 4))


def hugging_face(kind: str, attention: str) -> nn.Module:
    config = getattr(transformers, f"{kind}Config")(
        image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        num_labels=5, initializer_range=0.5, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1,
    )  # fmt: skip
    config._attn_implementation = attention
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(transformers, f"{kind}ForImageClassification")(config).double()


@BOTH
@pytest.mark.parametrize(("kind", "prefix"), [("ViT", 1), ("DeiT", 2), ("Dinov2", 1), ("Beit", 1)])
def test_hugging_face_against_what_transformers_gives(kind, prefix, explain):
    peer = hugging_face(kind, "eager").eval()
    found = explain(peer, photos(), 2)
    close(explain(hugging_face(kind, "sdpa"), photos(), 2), found)
    for x, one in zip(photos(), found, strict=True):
        output = peer(x[None], output_attentions=True)
        expected = by_loops(explain, list(output.attentions), output.logits[0, 2])
        close(one[None], on_a_grid(expected, 4, prefix))


@BOTH
def test_timm_fused_or_not_and_without_a_class_token(explain):
    make = partial(timm.models.VisionTransformer, 32, 8, embed_dim=16, depth=2, num_heads=2, num_classes=5)
    for options in ({}, {"global_pool": "avg", "class_token": False}, {"reg_tokens": 3}):
        model = make(**options).double()
        fused = explain(model, photos(), 1)
        for block in model.blocks:
            block.attn.fused_attn = not block.attn.fused_attn
        close(explain(model, photos(), 1), fused)
        assert fused.std() > 0


class Reader(nn.Module):
    """Scores (N, 3) of embedded words (N, 7, 8), of which the last two are padding; the fifth is read."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.layers, self.head = nn.ModuleList([layer, nn.TransformerEncoderLayer(8, 2, 16)]), nn.Linear(8, 3)

    def forward(self, words: Tensor) -> Tensor:
        padding = (torch.arange(7) >= 5).expand(len(words), 7)
        read = self.layers[0](words, src_key_padding_mask=padding)
        ahead = torch.ones(7, 7, dtype=torch.bool).triu(1)  # each word looks at itself and what came before
        read = self.layers[1](read.transpose(0, 1), src_mask=ahead, src_key_padding_mask=padding)
        return self.head(read[4])


@BOTH
def test_words_have_a_value_each_and_padding_none(explain):
    model, words = Reader().double(), torch.rand(2, 7, 8).double()
    found = explain(model, words, 1)
    assert found.shape == (2, 7, 1)
    assert (found[:, 5:] == 0).all()
    assert (found[:, :5] > 0).double().mean() >= 0.9, "what speaks against is left out"
    close(explain(lambda x: model.eval()(x), words, 1), found)


def test_options_are_those_of_the_functions_on_attention():
    model, x = torchvision_vit().eval(), photos(1)
    scores, seen = by_hand(model, x[0])
    stack = torch.cat(seen)
    for options in ({"residual": 0.2}, {"heads": "max"}):
        close(rollout(model, x, **options), on_a_grid(attention_rollout(stack, **options)[0].detach(), 4))
    gradients = torch.cat(torch.autograd.grad(scores[1], seen))
    weighted = (stack.detach() * gradients).clamp(min=0)
    close(attention_relevance(model, x, 1), on_a_grid(accumulated_relevance(weighted)[0], 4))


def test_a_head_that_is_not_trained_reads_the_class_token():
    model = torchvision.models.VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=5).double().eval()
    assert not model.heads.head.weight.any()
    found = rollout(model, photos(1))
    nn.init.normal_(model.heads.head.weight)
    close(found, rollout(model, photos(1)))


def swin() -> nn.Module:
    return torchvision.models.SwinTransformer([4, 4], 8, [1, 1], [1, 2], [2, 2], num_classes=3)


def in_the_dark(model: nn.Module):
    def scores(x: Tensor) -> Tensor:
        with torch.no_grad():
            return model(x)

    return scores


@BOTH
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(3600, 2)), "got no attention that can be"),
        (swin, r"got a float\d\d tensor of shape .* from a batch of 1: windows of a Swin, .* are others"),
        (lambda: in_the_dark(torchvision_vit()), "be differentiable down to its first attention"),
    ],
)
def test_other_networks_are_refused_in_a_sentence(explain, make, message):
    model = make()
    x = photos() if not isinstance(model, nn.Module) else photos().float()
    with pytest.raises(ValueError, match="^`model` must .*" + message):
        explain(model, x, 1)
