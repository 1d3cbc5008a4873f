"""Attention: checked maps, their flow against direct matrix products, and heads whose job is known."""

import itertools
import math

import pytest
import torch
from torch import nn

from hw_xai.explain.attention import (
    KINDS,
    TokenInfo,
    accumulated_relevance,
    antecedent_accuracy,
    attention_entropy,
    attention_maps,
    attention_rollout,
    gradient_x_attention,
    head_statistics,
    name_heads,
    nouns_of_determiners,
    subjects_of_verbs,
)


def random_attentions(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).mul(4).softmax(-1)


class TwoLayers(nn.Module):
    """A transformer with nothing but attention and residuals: (N, T, D) -> scores (N, 3) and its attentions."""

    def __init__(self, width: int = 6, n_heads: int = 2):
        super().__init__()
        torch.manual_seed(0)
        self.projections = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(2))
        self.head, self.n_heads = nn.Linear(width, 3), n_heads
        self.double()

    def forward(self, x, replaced=()):
        attentions = []
        for i, projection in enumerate(self.projections):
            parts = projection(x).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)  # (3, N, H, T, D / H)
            query, key, value = parts
            attention = replaced[i] if i in replaced else (query @ key.mT).softmax(-1)
            attentions.append(attention)
            x = x + (attention @ value).permute(0, 2, 1, 3).flatten(2)
        return self.head(x[:, 0]), tuple(attentions)


# ---------------------------------------------------------------------------------------------------------------- maps


def test_maps_are_the_stacked_layers():
    layers = tuple(random_attentions(2, 3, 5, 5, seed=i) for i in range(4))
    maps = attention_maps(layers)
    assert maps.shape == (2, 4, 3, 5, 5)
    assert torch.equal(maps[1, 2], layers[2][1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_maps_allow_for_rounding(dtype):
    attention_maps([random_attentions(1, 1, 200, 200).to(dtype)])


@pytest.mark.parametrize("nothing", [(), [], None])
def test_empty_attentions_say_how_to_get_them(nothing):
    with pytest.raises(ValueError, match='attn_implementation="eager"'):
        attention_maps(nothing)


def test_rows_off_one_name_the_layer_and_the_cause():
    layers = [random_attentions(1, 2, 4, 4) for _ in range(3)]
    layers[1] = nn.functional.dropout(layers[1], 0.5)
    with pytest.raises(ValueError, match=r"sum to one, got rows .* in layer 1: call model.eval\(\)"):
        attention_maps(layers)
    with pytest.raises(ValueError, match="sum to one"):
        attention_maps([torch.full((1, 1, 2, 2), math.nan)])


@pytest.mark.parametrize("bad", [[None, None], [torch.ones(1, 2, 2)], [torch.ones(1, 1, 1, 1), torch.ones(2, 1, 1, 1)]])
def test_maps_of_other_shapes_are_refused(bad):
    with pytest.raises(ValueError, match=r"^`attentions` must be one floating tensor \(N, H, T, T\) per layer, got"):
        attention_maps(bad)


def test_transformers_models_as_they_come():
    from transformers import BertConfig, BertModel

    sizes = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(**sizes, intermediate_size=8, max_position_embeddings=8)
    ids, mask = torch.arange(10).reshape(2, 5), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    with pytest.raises(ValueError, match="eager"):
        attention_maps(BertModel(config).eval()(ids, output_attentions=True).attentions)
    config._attn_implementation = "eager"
    model = BertModel(config)
    with pytest.raises(ValueError, match="eval"):
        attention_maps(model(ids, output_attentions=True).attentions)
    output = model.eval()(ids, attention_mask=mask, output_attentions=True)
    maps = attention_maps(output.attentions)
    assert maps.shape == (2, 2, 2, 5, 5)
    assert (maps[1, ..., 3:] == 0).all()
    weighted = gradient_x_attention(output.last_hidden_state[:, 0, 0], output.attentions)
    assert weighted.shape == maps.shape
    assert weighted.max() > 0


# ---------------------------------------------------------------------------------------------------------------- flow


@pytest.mark.parametrize("heads", ["mean", "max", "min"])
@pytest.mark.parametrize("residual", [0, 0.5, 1])
def test_rollout_is_the_product_of_the_layers(heads, residual):
    attentions = random_attentions(2, 3, 4, 5, 5)
    rollout = attention_rollout(attentions, residual=residual, heads=heads, start_layer=1)
    for n in range(2):
        expected = torch.eye(5, dtype=torch.float64)
        for layer in attentions[n, 1:]:
            fused = {"mean": layer.mean(0), "max": layer.amax(0), "min": layer.amin(0)}[heads]
            fused = fused / fused.sum(-1, keepdim=True)
            expected = (residual * torch.eye(5, dtype=torch.float64) + (1 - residual) * fused) @ expected
        torch.testing.assert_close(rollout[n], expected)
        torch.testing.assert_close(
            attention_rollout(attentions[n], residual=residual, heads=heads, start_layer=1), expected
        )


def test_rollout_limits():
    attentions = random_attentions(1, 3, 2, 4, 4)
    rows = attention_rollout(attentions).sum(-1)
    torch.testing.assert_close(rows, torch.ones_like(rows))
    one_layer = attention_rollout(attentions, residual=0, start_layer=2)
    torch.testing.assert_close(one_layer, attentions[:, 2].mean(1))
    disjoint = torch.stack([torch.eye(4), torch.eye(4).roll(1, 0)])[None]  # two heads that no token has in common
    assert attention_rollout(disjoint, heads="min").isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"residual": 1.5}, "`residual` must be between 0 and 1, got 1.5"),
        ({"heads": "median"}, '`heads` must be "mean", "max" or "min", got \'median\''),
        ({"start_layer": 3}, "`start_layer` must be between 0 and 2, got 3"),
    ],
)
def test_rollout_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        attention_rollout(random_attentions(3, 2, 4, 4), **options)


@pytest.mark.parametrize(
    "bad", [torch.ones(3, 4, 4), torch.ones(1, 1, 2, 3), torch.full((1, 1, 2, 2), math.nan), [[1]]]
)
def test_stacks_of_other_shapes_are_refused(bad):
    for function in (attention_rollout, attention_entropy, accumulated_relevance):
        with pytest.raises(ValueError, match=r"^`attentions` must be"):
            function(bad)


def test_gradient_x_attention_is_the_positive_part_of_the_product():
    model, x = TwoLayers(), torch.randn(3, 5, 6, dtype=torch.float64)
    scores, attentions = model(x)
    weighted = gradient_x_attention(scores[:, 1], attentions)
    assert all(parameter.grad is None for parameter in model.parameters())
    last = attentions[1].detach().requires_grad_()
    model(x, {1: last})[0][:, 1].sum().backward()
    assert weighted.shape == (3, 2, 2, 5, 5)
    torch.testing.assert_close(weighted[:, 1], (last * last.grad).clamp(min=0).detach())
    again = gradient_x_attention(scores[:, 2], attentions)  # the graph is still there
    assert not torch.equal(again, weighted)


@pytest.mark.parametrize("layer", [0, 1])
def test_gradient_x_attention_agrees_with_finite_differences(layer):
    """Of the first layer too, which reaches the score directly and through the attention of the second."""
    model, x = TwoLayers(), torch.randn(1, 4, 6, dtype=torch.float64)
    scores, attentions = model(x)
    weighted = gradient_x_attention(scores[:, 0], attentions)[0, layer]
    assert 0 < (weighted > 0).sum() < weighted.numel()
    for h, i, j in itertools.product(range(2), range(4), range(4)):
        step = torch.zeros_like(attentions[layer])
        step[0, h, i, j] = 1e-6
        slope = (model(x, {layer: attentions[layer] + step})[0] - scores)[0, 0] / 1e-6
        expected = (slope * attentions[layer][0, h, i, j]).clamp(min=0).item()
        assert weighted[h, i, j].item() == pytest.approx(expected, abs=1e-6)


def test_gradient_x_attention_needs_one_graph():
    model, x = TwoLayers(), torch.randn(2, 4, 6, dtype=torch.float64)
    scores, attentions = model(x)
    for unconnected in (scores[:, 0].detach(), torch.ones(2, requires_grad=True) * 2):
        with pytest.raises(ValueError, match="not connected"):
            gradient_x_attention(unconnected, attentions)
    with pytest.raises(ValueError, match=r"`scores` must be a tensor of shape \(2,\)"):
        gradient_x_attention(scores, attentions)


def test_accumulated_relevance_is_the_recursion():
    weighted = torch.rand(2, 3, 4, 5, 5, dtype=torch.float64)
    relevance = accumulated_relevance(weighted)
    expected = torch.eye(5, dtype=torch.float64)
    for layer in weighted[1]:
        expected = expected + layer.mean(0) @ expected
    torch.testing.assert_close(relevance[1], expected)
    assert torch.equal(accumulated_relevance(torch.zeros(1, 1, 3, 3)), torch.eye(3))


def test_entropy_limits():
    assert (attention_entropy(torch.eye(4).expand(2, 3, 4, 4)) == 0).all()
    even = torch.full((2, 3, 4, 4), 0.25)
    torch.testing.assert_close(attention_entropy(even), torch.full((2, 3, 4), math.log(4)))
    torch.testing.assert_close(attention_entropy(even, normalized=True), torch.ones(2, 3, 4))


def test_entropy_knows_padding():
    attentions = torch.zeros(2, 1, 1, 3, 3)
    attentions[0], attentions[1, ..., 0] = 1 / 3, 1
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])  # as tokenizers give it; the second sentence is a single token
    entropy = attention_entropy(attentions, mask=mask, normalized=True)[:, 0, 0]
    torch.testing.assert_close(entropy, torch.tensor([[1, 1, 1], [0, math.nan, math.nan]]), equal_nan=True)
    with pytest.raises(ValueError, match=r"`mask` must be a tensor of shape \(2, 3\)"):
        attention_entropy(attentions, mask=mask[0])


# ------------------------------------------------------------------------------------------------------ what heads do

PAIR = TokenInfo(
    ["[CLS]", "蘋", "果", ",", "果", "[SEP]", "果", "。", "[SEP]"],
    [1, 0, 0, 0, 0, 1, 0, 0, 1],
    ["", "DET", "ADJ", "PUNCT", "NOUN", "", "VERB", "PUNCT", ""],
)


def slow_share(attention: torch.Tensor, info: TokenInfo, kind: str) -> float:
    """The definition, one query at a time, for one head (T, T)."""
    n, shares = len(info.words), []
    special = [i for i in range(n) if info.special[i]]
    marks = [i for i in range(n) if info.words[i] in ",。" and i not in special]
    for i in range(n):
        if i in special or i in marks:
            continue
        keys = {
            "previous token": [i - 1] if i > 0 else [],
            "next token": [i + 1] if i < n - 1 else [],
            "same token": [i],
            "first special": special[:1],
            "later special": special[1:],
            "punctuation": marks,
            "same word": [j for j in range(n) if j != i and info.words[j] == info.words[i]],
            "content word": [j for j in (2, 4, 6) if j != i],
            "noun of determiner": [],
            "subject of verb": [],
        }[kind]
        if keys:
            shares.append(sum(attention[i, j].item() for j in keys))
    return sum(shares) / len(shares) if shares else float("nan")


def test_head_statistics_are_the_definition():
    attention = random_attentions(2, 3, 11, 11)  # two positions of padding at the end
    found = head_statistics([attention], [PAIR])
    for k, kind in enumerate(KINDS):
        for layer in range(2):
            for head in range(3):
                expected = slow_share(attention[layer, head], PAIR, kind)
                assert found.shares[layer, head, k].item() == pytest.approx(expected, abs=1e-12, nan_ok=True), kind
        assert found.even[k].item() == pytest.approx(slow_share(torch.full((9, 9), 1 / 9), PAIR, kind), nan_ok=True)
    assert found.n_queries.tolist() == [4, 4, 4, 4, 4, 4, 3, 4, 0, 0]


def test_head_statistics_average_over_queries_of_all_sentences():
    short = TokenInfo(["a", "b"], [False, False])
    first, second = random_attentions(1, 1, 9, 9), random_attentions(1, 1, 2, 2, seed=1)
    found = head_statistics([first, second], [PAIR, short])
    expected = (4 * slow_share(first[0, 0], PAIR, "previous token") + second[0, 0, 1, 0].item()) / 5
    assert found.shares[0, 0, 0].item() == pytest.approx(expected)
    batch = random_attentions(2, 1, 1, 9, 9)
    torch.testing.assert_close(
        head_statistics(batch, [PAIR, PAIR]).shares, head_statistics(list(batch), [PAIR, PAIR]).shares, equal_nan=True
    )


def test_heads_are_named_by_what_they_do():
    n = len(PAIR.words)
    previous = torch.eye(n).roll(-1, dims=1)  # row i looks at i - 1
    separator = torch.nn.functional.one_hot(torch.full((n,), n - 1), n).float()
    even = torch.full((n, n), 1 / n)
    found = head_statistics([torch.stack([previous, separator, even])[None]], [PAIR])
    assert name_heads(found) == [["previous token (1.00)", "later special (1.00)", ""]]
    table = found.table().splitlines()
    assert len(table) == 1 + 3 + 1
    assert table[1].endswith("previous token (1.00)")
    assert table[-1].split()[0] == "even"


def test_grammar_by_rule_of_thumb():
    # the old man in the hat has just seen it and they know
    tags = ["DET", "ADJ", "NOUN", "ADP", "DET", "NOUN", "AUX", "ADV", "VERB", "PRON", "CCONJ", "PRON", "VERB"]
    assert nouns_of_determiners(tags) == {0: 2, 4: 5}
    assert subjects_of_verbs(tags) == {8: 2, 12: 11}
    info = TokenInfo([f"w{i}" for i in range(13)], [False] * 13, tags)
    looks = torch.zeros(13, 13)
    looks[torch.arange(13), [2, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 11]] = 1.0
    found = head_statistics([looks[None, None]], [info])
    assert found.shares[0, 0, KINDS.index("noun of determiner")] == 1.0  # the second stands beside its noun
    assert found.shares[0, 0, KINDS.index("subject of verb")] == 1.0
    assert found.n_queries[-2:].tolist() == [1, 1]
    with pytest.raises(ValueError, match="as many `tags` as `words`, 13, or none, got 1"):
        head_statistics([looks[None, None]], [TokenInfo(info.words, info.special, ["DET"])])


def test_a_kind_that_never_occurs_is_nan_and_names_nothing():
    found = head_statistics([random_attentions(1, 2, 2, 2)], [TokenInfo(["a", "b"], [False, False])])
    assert found.shares[..., KINDS.index("punctuation")].isnan().all()
    assert "nan" not in str(name_heads(found, least=0))


def test_antecedents():
    attention = torch.full((2, 2, 6, 6), 1 / 6)
    attention[0, 1, 5, 2] = 0.9  # layer 0, head 1 sees the antecedent
    attention[1, 0, 5, 3] = 0.9  # layer 1, head 0 the other candidate
    attention[1, 1, 5, 0] = 0.9  # layer 1, head 1 something that is no candidate
    found = antecedent_accuracy([attention], [5], [2], [[2, 3]])
    assert found.accuracy.tolist() == [[0.5, 1.0], [0.0, 0.5]]
    assert (found.chance, found.n) == (0.5, 1)
    of_several_tokens = antecedent_accuracy([attention, attention], [5, 5], [[1, 2], 3], [[1, 2, 3], [2, 3, 4]])
    assert of_several_tokens.chance == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert of_several_tokens.accuracy[0, 0].item() == pytest.approx(of_several_tokens.chance)
    assert of_several_tokens.accuracy[0, 1].item() == 0.5


@pytest.mark.parametrize("choices", [[2], [3, 4], [2, 6], [2, -1]])
def test_antecedents_need_a_choice(choices):
    with pytest.raises(ValueError, match=r"`candidates` must be positions below 6"):
        antecedent_accuracy([random_attentions(1, 1, 6, 6)], [5], [2], [choices])


def test_sentences_and_tokens_must_match():
    attention = random_attentions(1, 1, 3, 3)
    with pytest.raises(ValueError, match="`tokens` must have one entry for each of 1 sentences, got 0"):
        head_statistics([attention], [])
    with pytest.raises(ValueError, match="`tokens` must give as many `special` as `words`, 1 to 3"):
        head_statistics([attention], [TokenInfo(["a"] * 4, [False] * 4)])
    with pytest.raises(ValueError, match=r"`attentions` must be \(L, H, T, T\) for each sentence"):
        head_statistics([attention[None]], [PAIR])
