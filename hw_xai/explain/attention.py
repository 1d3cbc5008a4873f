"""What attention shows: checked maps, their flow through the layers, and what each head does.

Attentions are stacked as (..., L, H, T, T): layers, heads, queries, keys; in front of them the N sentences of a batch,
or nothing for one sentence. Attention tells what a head reads, not why the model answered: compare with a gradient.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.arguments import check_amount, check_choice, check_count, described

# ---------------------------------------------------------------------------------------------------------------- maps


def attention_maps(attentions: Sequence[Tensor]) -> Tensor:
    """Stack the attentions that a transformer returns, L × (N, H, T, T), as (N, L, H, T, T), detached and checked.

    Raises ValueError for the empty tuple of a model without eager attention and for rows that do not sum to one.
    """
    layers = as_layers(attentions)
    maps = torch.stack([layer.detach() for layer in layers], dim=1)  # (N, L, H, T, T)
    check_rows(maps)
    return maps


def as_layers(attentions: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return attentions as a tuple of L ≥ 1 tensors of one shape (N, H, T, T), or say what is missing."""
    expected = "`attentions` must be one floating tensor (N, H, T, T) per layer"
    if attentions is None or (not isinstance(attentions, Tensor) and len(attentions) == 0):
        raise ValueError(
            f"{expected}, got {'None' if attentions is None else 'none at all'}: load the model with "
            'attn_implementation="eager" and call it with output_attentions=True'
        )
    layers = tuple(attentions)
    for layer in layers:
        if not isinstance(layer, Tensor) or not layer.is_floating_point() or layer.ndim != 4:
            raise ValueError(f"{expected}, got {described(layer)}")
        if layer.shape != layers[0].shape or layer.shape[-1] != layer.shape[-2] or layer.numel() == 0:
            raise ValueError(f"{expected}, got {described(layer)} after {described(layers[0])}")
    return layers


def check_rows(maps: Tensor) -> None:
    """Raise ValueError unless every row of (N, L, H, T, T) is a distribution: not negative, of sum one."""
    off = torch.maximum((maps.float().sum(-1) - 1).abs(), -maps.float().amin(-1))  # (N, L, H, T)
    tolerance = max(1e-4, 2 * torch.finfo(maps.dtype).eps)  # rounding each weight moves the sum by at most eps / 2
    if not (off <= tolerance).all():  # written so that NaN fails too
        worst = off.nan_to_num(nan=torch.inf).amax(dim=(0, 2, 3))  # (L,)
        layer = int(worst.argmax())
        raise ValueError(
            f"`attentions` must have rows that sum to one, got rows that are off by up to {worst[layer]:.2g} in layer "
            f"{layer}: call model.eval() first, because dropout changes them in train mode"
        )


def check_stack(attentions: Tensor) -> None:
    """Raise ValueError unless attentions are floating, finite and of shape (..., L, H, T, T)."""
    if not isinstance(attentions, Tensor) or not attentions.is_floating_point() or attentions.ndim < 4:
        raise ValueError(f"`attentions` must be a floating tensor (..., L, H, T, T), got {described(attentions)}")
    if attentions.shape[-1] != attentions.shape[-2] or attentions.numel() == 0:
        raise ValueError(f"`attentions` must be (..., L, H, T, T) and not empty, got {tuple(attentions.shape)}")
    if not attentions.isfinite().all():
        raise ValueError("`attentions` must be finite, got NaN or infinite values")


# ---------------------------------------------------------------------------------------------------------------- flow


def attention_rollout(
    attentions: Tensor, *, residual: float = 0.5, heads: str = "mean", start_layer: int = 0
) -> Tensor:
    """Product of all layers' attention: how much of each input token reaches each output token, (..., T, T).

    (..., L, H, T, T) -> Â_L · … · Â_start with Â = residual · I + (1 − residual) · A. heads: "mean", "max" or "min",
    how A (T, T) is made of the heads; its rows are then divided by their sums. residual: the share that bypasses a
    layer's attention, 0 to 1. Abnar & Zuidema 2020, arXiv 2005.00928.
    """
    check_stack(attentions)
    check_amount("residual", residual)
    if residual > 1:
        raise ValueError(f"`residual` must be between 0 and 1, got {residual!r}")
    check_choice("heads", heads, ("mean", "max", "min"))
    check_count("start_layer", start_layer, least=0)
    n_layers, n_tokens = attentions.shape[-4], attentions.shape[-1]
    if start_layer >= n_layers:
        raise ValueError(f"`start_layer` must be between 0 and {n_layers - 1}, got {start_layer}")
    fusions: dict[str, Callable[..., Tensor]] = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}
    fused = fusions[heads](attentions, dim=-3)  # (..., L, T, T)
    # "max" and "min" leave distributions; a row in which no token is seen by all heads has only its zeros
    fused = fused / fused.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(fused.dtype).tiny)
    eye = torch.eye(n_tokens).to(fused)
    rollout = eye.expand(*attentions.shape[:-4], n_tokens, n_tokens)
    for layer in range(start_layer, n_layers):
        rollout = (residual * eye + (1 - residual) * fused[..., layer, :, :]) @ rollout
    return rollout


def gradient_x_attention(scores: Tensor, attentions: Sequence[Tensor]) -> Tensor:
    """(A · ∂ score / ∂ A)⁺: the attention that speaks for the score, L × (N, H, T, T) -> (N, L, H, T, T).

    scores: (N,), one per sentence, from the forward pass that returned the attentions, with its graph; the graph is
    kept, so that other scores of the same pass can follow. One backward pass. Chefer et al. 2021, arXiv 2103.15679.
    """
    layers = as_layers(attentions)
    gradients = attention_gradients(scores, layers)
    return (torch.stack([layer.detach() for layer in layers], dim=1) * gradients).clamp(min=0)


def attention_gradients(scores: Tensor, attentions: Sequence[Tensor]) -> Tensor:
    """∂ score / ∂ A: (N,), L × (N, H, T, T) -> (N, L, H, T, T), as for `gradient_x_attention`."""
    layers = as_layers(attentions)
    n = len(layers[0])
    if not isinstance(scores, Tensor) or scores.shape != (n,):
        raise ValueError(f"`scores` must be a tensor of shape ({n},), one score per sentence, got {described(scores)}")
    connected = scores.requires_grad and all(layer.requires_grad for layer in layers)
    gradients: Sequence[Tensor | None] = [None]
    if connected:
        ones = torch.ones_like(scores)  # not their sum: where no gradients are recorded, it would have none
        gradients = torch.autograd.grad(scores, layers, ones, retain_graph=True, allow_unused=True)
    if any(gradient is None for gradient in gradients):
        raise ValueError(
            "`scores` must depend on `attentions` through their graph, got tensors that are not connected: take both "
            "from one forward pass with gradients enabled"
        )
    return torch.stack([gradient for gradient in gradients if gradient is not None], dim=1)


def accumulated_relevance(weighted: Tensor) -> Tensor:
    """Carry gradient × attention through the layers: R ← R + Ā R from R = I, Ā the mean over heads, (..., T, T).

    weighted: (..., L, H, T, T), as `gradient_x_attention` returns it. Row i tells which input tokens matter for the
    score through output token i: take the row that the score is read from. Chefer et al. 2021, arXiv 2103.15679.
    """
    check_stack(weighted)
    n_tokens = weighted.shape[-1]
    relevance = torch.eye(n_tokens).to(weighted).expand(*weighted.shape[:-4], n_tokens, n_tokens)
    for layer in weighted.mean(dim=-3).unbind(dim=-3):  # (..., T, T)
        relevance = relevance + layer @ relevance
    return relevance


def attention_entropy(attentions: Tensor, *, mask: Tensor | None = None, normalized: bool = False) -> Tensor:
    """−Σ A log A of each query in nats: 0 for one token, log T for all alike; (..., L, H, T, T) -> (..., L, H, T).

    mask: (..., T), true for tokens and false for padding, whose own entropy is NaN. normalized: divide by the log of
    the number of tokens that are no padding, so that 1 means "looks everywhere"; a sentence of one token has 0.
    """
    check_stack(attentions)
    expected = (*attentions.shape[:-4], attentions.shape[-1])
    mask = torch.ones(expected, dtype=torch.bool) if mask is None else mask
    if not isinstance(mask, Tensor) or mask.shape != expected:
        raise ValueError(
            f"`mask` must be a tensor of shape {expected}, true where there is a token, got {described(mask)}"
        )
    mask = mask.to(attentions.device).bool()
    entropy = torch.special.entr(attentions).sum(dim=-1)  # (..., L, H, T)
    if normalized:
        most = mask.sum(dim=-1).clamp(min=2).log()  # (...); log 1 = 0 would divide the 0 of a single token
        entropy = entropy / most[..., None, None, None]
    return entropy.where(mask[..., None, None, :], torch.nan)


# ----------------------------------------------------------------------------------------------------- what heads do

KINDS = (
    "previous token", "next token", "same token", "first special", "later special", "punctuation", "same word",
    "content word", "noun of determiner", "subject of verb",
)  # fmt: skip
CONTENT = {"NOUN", "PROPN", "VERB", "ADJ", "ADV"}
_NOMINAL = {"NOUN", "PROPN", "PRON"}


@dataclass(frozen=True)
class TokenInfo:
    """What stands at each position of one sentence; attention beyond these tokens is padding."""

    words: Sequence[str]  # (n,) equal strings are the same word
    special: Sequence[bool]  # (n,) true for tokens that the tokenizer added: [CLS], [SEP]
    tags: Sequence[str] = ()  # (n,) universal parts of speech, "" for special tokens; () where nobody knows them


@dataclass(frozen=True)
class HeadStatistics:
    """The mean share of its attention that each head gives to each kind of token."""

    kinds: tuple[str, ...]  # K names
    shares: Tensor  # (L, H, K)
    even: Tensor  # (K,) the share when every token is attended alike: what to compare with
    n_queries: Tensor  # (K,) tokens that the mean is over; where it is 0, shares and even are NaN

    def table(self) -> str:
        """Return one line for each head, with what it would be without any preference in the last line."""
        widths = [max(len(kind), 5) for kind in self.kinds]
        lines = ["layer  head  " + "  ".join(self.kinds)]
        for layer, names in enumerate(name_heads(self)):
            for head, name in enumerate(names):
                lines.append(f"{layer:5}  {head:4}  {_cells(self.shares[layer, head], widths)}  {name}".rstrip())
        return "\n".join([*lines, f"{'even':>11}  {_cells(self.even, widths)}"])


def _cells(row: Tensor, widths: list[int]) -> str:
    return "  ".join(f"{value:{width}.2f}" for value, width in zip(row.tolist(), widths, strict=True))


def head_statistics(attentions: Sequence[Tensor], tokens: Sequence[TokenInfo]) -> HeadStatistics:
    """Mean share of attention to each of KINDS: neighbours, specials, punctuation, the same word, and by grammar.

    attentions: one (L, H, T, T) per sentence, or a batch (N, L, H, T, T). Queries are words only: no special token, no
    punctuation, no padding; for each kind only those that have such a token to look at, so that a rare kind is not
    diluted. "later special" are all special tokens after the first: both [SEP] of a pair. Kinds overlap (the token
    before the first word is the first special), so the shares need not sum to one. The last three need `tags`: other
    content words; from a determiner, its noun; from a verb, its subject, both only where they are no neighbours, so
    that a head that looks at the next token is not taken for a grammarian. Clark et al. 2019, arXiv 1906.04341.
    """
    sentences = as_sentences(attentions, tokens=tokens)
    n_layers, n_heads = sentences[0].shape[:2]
    totals = torch.zeros(n_layers, n_heads, len(KINDS), dtype=torch.float64)
    even, n_queries = torch.zeros(len(KINDS), dtype=torch.float64), torch.zeros(len(KINDS), dtype=torch.long)
    for attention, info in zip(sentences, tokens, strict=True):
        kinds = kinds_of_tokens(info, attention.shape[-1])  # (K, n, n)
        n = kinds.shape[-1]
        weights = attention[..., :n, :n].detach().cpu().double()  # (L, H, n, n)
        totals += torch.einsum("lhij,kij->lhk", weights, kinds.double())
        even += kinds.sum(dim=(1, 2)) / n
        n_queries += kinds.any(dim=2).sum(dim=1)
    return HeadStatistics(KINDS, totals / n_queries, even / n_queries, n_queries)


def kinds_of_tokens(info: TokenInfo, n_max: int) -> Tensor:
    """Return for each kind which key is one for which query: (K, n, n); nothing for queries that are no words."""
    n = len(info.words)
    if len(info.special) != n or not 0 < n <= n_max:
        raise ValueError(
            f"`tokens` must give as many `special` as `words`, 1 to {n_max} as the attention has, "
            f"got {len(info.special)} and {n}"
        )
    tags = list(info.tags) or [""] * n
    if len(tags) != n:
        raise ValueError(f"`tokens` must give as many `tags` as `words`, {n}, or none, got {len(tags)}")
    special = torch.tensor([bool(flag) for flag in info.special])
    punctuation = torch.tensor([is_punctuation(word) for word in info.words]) & ~special
    word = torch.tensor([info.words.index(word) for word in info.words])  # where it stands for the first time
    position = torch.arange(n)
    offset = position - position[:, None]  # (query, key)
    rank = special.cumsum(0) * special  # 1 for the first special token, 2 for the second, 0 for words
    ordinary = ~special & ~punctuation
    kinds = torch.stack(
        [
            offset == -1,
            offset == 1,
            offset == 0,
            (rank == 1).expand(n, n),
            (rank > 1).expand(n, n),
            punctuation.expand(n, n),
            (word == word[:, None]) & (offset != 0) & ordinary,
            torch.tensor([tag in CONTENT for tag in tags]) & (offset != 0) & ordinary,
            _pairs(nouns_of_determiners(tags), n) & (offset.abs() > 1),
            _pairs(subjects_of_verbs(tags), n) & (offset.abs() > 1),
        ]
    )
    return kinds & ordinary[:, None]


def _pairs(pairs: dict[int, int], n: int) -> Tensor:
    """Return which key belongs to which query, (n, n)."""
    found = torch.zeros(n, n, dtype=torch.bool)
    for query, key in pairs.items():
        found[query, key] = True
    return found


def nouns_of_determiners(tags: Sequence[str]) -> dict[int, int]:
    """Return determiner -> the noun that its phrase ends with, where only adjectives, numbers and nouns lie between.

    A rule of thumb over parts of speech, which is right for plain sentences in English and Chinese.
    """
    found = {}
    for start, tag in enumerate(tags):
        if tag != "DET":
            continue
        end = start + 1
        while end < len(tags) and tags[end] in {"ADJ", "ADV", "NUM", "NOUN", "PROPN", "PART"}:
            end += 1
        nouns = [i for i in range(start + 1, end) if tags[i] in {"NOUN", "PROPN"}]
        if nouns:
            found[start] = nouns[-1]
    return found


def subjects_of_verbs(tags: Sequence[str]) -> dict[int, int]:
    """Return verb -> the last noun or pronoun before it in its clause that no preposition governs.

    A rule of thumb over parts of speech, as `nouns_of_determiners`.
    """
    found, nominal, governed = {}, None, False
    for i, tag in enumerate(tags):
        if tag in {"PUNCT", "SCONJ", "CCONJ", ""}:
            nominal, governed = None, False
        elif tag == "ADP":
            governed = True
        elif tag in _NOMINAL:
            following = tags[i + 1] if i + 1 < len(tags) else ""
            if following in {"NOUN", "PROPN"}:
                continue  # the first part of a compound
            nominal, governed = (nominal, False) if governed else (i, False)
        elif tag == "VERB":
            if nominal is not None:
                found[i] = nominal
            nominal, governed = None, False
    return found


def is_punctuation(word: str) -> bool:
    """Tell whether a token consists of punctuation only, in any script."""
    return word != "" and all(unicodedata.category(character).startswith("P") for character in word)


def dominant_kinds(statistics: HeadStatistics, least: float = 0.5) -> Tensor:
    """Return for each head the index of the kind that dominates it, -1 where none does: (L, H).

    Dominates: at least `least` of the attention, and twice what even attention would give in such short sentences.
    """
    check_amount("least", least)
    clear = (statistics.shares >= least) & (statistics.shares >= 2 * statistics.even)  # False for NaN
    best = statistics.shares.where(clear, -torch.inf).argmax(dim=-1)
    return best.where(clear.any(dim=-1), -1)


def name_heads(statistics: HeadStatistics, least: float = 0.5) -> list[list[str]]:
    """Return for layer l and head h what dominates it, as "previous token (0.83)", or "" when nothing does.

    least: as for `dominant_kinds`.
    """

    def name(kind: int, row: Tensor) -> str:  # (K,)
        return "" if kind < 0 else f"{statistics.kinds[kind]} ({row[kind]:.2f})"

    best = dominant_kinds(statistics, least).tolist()
    return [[name(*head) for head in zip(*layer, strict=True)] for layer in zip(best, statistics.shares, strict=True)]


@dataclass(frozen=True)
class AntecedentAccuracy:
    """How often each head's largest attention from a word goes to its antecedent."""

    accuracy: Tensor  # (L, H)
    chance: float  # the accuracy of guessing among the candidates
    n: int  # sentences


def antecedent_accuracy(
    attentions: Sequence[Tensor],
    queries: Sequence[int],
    antecedents: Sequence[int | Sequence[int]],
    candidates: Sequence[Sequence[int]],
) -> AntecedentAccuracy:
    """Share of sentences in which a word's largest attention among the candidates goes to its antecedent.

    attentions: as for `head_statistics`. queries: a position in each sentence; antecedents: a position, or several
    for one of several tokens; candidates: all positions to choose from, those of the antecedent included. A tie counts
    as its share, so that even attention is exactly at chance. The best of many heads beats chance by luck: choose it on
    some sentences and report it on others. Clark et al. 2019, arXiv 1906.04341.
    """
    sentences = as_sentences(attentions, queries=queries, antecedents=antecedents, candidates=candidates)
    total, chance = torch.zeros(sentences[0].shape[:2], dtype=torch.float64), 0.0
    for attention, query, antecedent, choices in zip(sentences, queries, antecedents, candidates, strict=True):
        right, n = {antecedent} if isinstance(antecedent, int) else set(antecedent), attention.shape[-1]
        choices = sorted(set(choices))
        if not right or not right < set(choices) or not all(0 <= position < n for position in [query, *choices]):
            raise ValueError(
                f"`candidates` must be positions below {n} with the antecedent and another word among them, got "
                f"{choices} for the antecedent {sorted(right)} of query {query}"
            )
        weights = attention[:, :, query, choices].detach().cpu().double()  # (L, H, candidates)
        largest = weights == weights.amax(dim=-1, keepdim=True)
        hits = largest & torch.tensor([position in right for position in choices])
        total += hits.sum(dim=-1) / largest.sum(dim=-1)
        chance += len(right) / len(choices)
    return AntecedentAccuracy(total / len(sentences), chance / len(sentences), len(sentences))


def as_sentences(attentions: Sequence[Tensor], **per_sentence: Sequence) -> list[Tensor]:
    """Return attentions as a list of checked (L, H, T, T), one for each entry of the other arguments."""
    sentences = list(attentions)
    for sentence in sentences:
        check_stack(sentence)
        if sentence.ndim != 4 or sentence.shape[:2] != sentences[0].shape[:2]:
            raise ValueError(f"`attentions` must be (L, H, T, T) for each sentence, got {tuple(sentence.shape)}")
    for name, values in per_sentence.items():
        if len(values) != len(sentences) or not sentences:
            raise ValueError(f"`{name}` must have one entry for each of {len(sentences)} sentences, got {len(values)}")
    return sentences
