"""What can be asked of a sentence: the scores whose evidence is looked for, and which of them suits a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from .bert import Bert
from .layers import hidden_states, in_batches
from .masks import Place, masks_in, places
from .reading import best_span
from .spelling import readable
from .tokens import Encoded


@dataclass(frozen=True)
class Score:
    """What is explained: of(output, attention_mask (N, T), where (N, P)) -> (N, C), with C = 1 for a single number.

    `tokens` are the P tokens that it reads, whose places in each row are `where`; they are never hidden.
    """

    name: str
    of: Callable[[Any, Tensor, Tensor], Tensor]
    tokens: tuple[int, ...] = ()


def class_scores() -> Score:
    """The logits of a classification head."""
    return Score("class", lambda output, mask, where: output.logits)


def token_scores(token: int) -> Score:
    """log P of every token of the vocabulary at the place of `token`: (N, V)."""

    def of(output: Any, mask: Tensor, where: Tensor) -> Tensor:
        return at_places(output.logits, where)[:, 0].log_softmax(-1)

    return Score("token", of, (token,))


def word_score(tokens: Sequence[int], ids: Sequence[int], name: str) -> Score:
    """Σ log P of the pieces `ids` of a word at the places of `tokens`: (N, 1)."""

    def of(output: Any, mask: Tensor, where: Tensor) -> Tensor:
        chosen = torch.tensor(ids, device=where.device).expand(len(where), -1)[..., None]  # (N, P, 1)
        return at_places(output.logits, where).log_softmax(-1).gather(-1, chosen).sum((1, 2))[:, None]

    return Score(f"log P({name})", of, tuple(tokens))


def similarity_to(reference: Tensor, tokens: Sequence[int] = (), name: str = "similarity") -> Score:
    """Length of the last layer's vector along the reference (D,): cosine similarity times the vector's own length.

    The vector is the mean over `tokens`, or over the whole sentence. The cosine itself would be flat, and its gradient
    zero, where sentence and reference coincide.
    """

    def of(output: Any, mask: Tensor, where: Tensor) -> Tensor:
        layer = output.hidden_states[-1]  # (N, T, D)
        vector = at_places(layer, where).mean(1) if tokens else mean_vector(layer, mask)
        return vector @ (reference / reference.norm()).to(vector)[:, None]

    return Score(name, of, tuple(tokens))


def mean_vector(layer: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the tokens that are no padding: (N, T, D), (N, T) -> (N, D)."""
    weights = mask / mask.sum(1, keepdim=True)
    return torch.einsum("ntd,nt->nd", layer, weights.to(layer))


def at_places(values: Tensor, where: Tensor) -> Tensor:  # (N, T, C), (N, P) -> (N, P, C)
    return values.gather(1, where[..., None].expand(-1, -1, values.shape[-1]))


def label_scores(token: int, word: str) -> Score:
    """The logits of every label at a token: (N, L)."""
    return Score(f"label of “{word}”", lambda output, mask, where: at_places(output.logits, where)[:, 0], (token,))


def span_score(start: int, end: int, answer: str) -> Score:
    """log P of the answer's first token as the start plus that of its last as the end: (N, 1)."""

    def of(output: Any, mask: Tensor, where: Tensor) -> Tensor:
        ends = torch.stack((output.start_logits, output.end_logits), dim=-1)  # (N, T, 2)
        chosen = at_places(ends.masked_fill(mask[..., None] == 0, -torch.inf).log_softmax(1), where)  # (N, 2, 2)
        return (chosen[:, 0, 0] + chosen[:, 1, 1])[:, None]

    return Score(f"log P(start) + log P(end) of “{answer}”", of, (start, end))


def next_scores() -> Score:
    """log P of every token behind the last one, by a model that reads from left to right: (N, V)."""

    def of(output: Any, mask: Tensor, where: Tensor) -> Tensor:
        last = mask.sum(1, keepdim=True) - 1  # padding stands on the right
        return at_places(output.logits, last)[:, 0].log_softmax(-1)

    return Score("next token", of)


def continued_score(tokens: Sequence[int], ids: Sequence[int], name: str) -> Score:
    """Σ log P of the pieces `ids` of a word at `tokens`, each read from the token before it: (N, 1)."""

    def of(output: Any, mask: Tensor, where: Tensor) -> Tensor:
        chosen = torch.tensor(ids, device=where.device).expand(len(where), -1)[..., None]  # (N, P, 1)
        before = at_places(output.logits, (where - 1).clamp(min=0))
        return before.log_softmax(-1).gather(-1, chosen).sum((1, 2))[:, None]

    return Score(f"log P({name})", of, tuple(tokens))


# ---------------------------------------------------------------------------------------------------------- questions


def question(
    bert: Bert,
    encoded: Encoded,
    word: Place | None = None,
    occurrence: int | None = None,
    reference: str | None = None,
) -> tuple[Encoded, Score]:
    """Return the sentence, with `word` masked where that is the question, and the score that suits it.

    With `word`: log P of it when it is hidden (a model that reads from left to right: when it is still to come), or
    its label. With `reference`: the similarity to it. Else what the head says: the class; the label of the word that
    stands out; where the answer starts and ends; the next token; the guess at a mask in the sentence; and where there
    is none, log P of the word that the others speak for most. A model without a head needs `reference`.
    """
    if reference is not None:
        return encoded, similarity_to(sentence_vector(bert, reference), name="similarity to the reference")
    if word is not None:
        return _about_word(bert, encoded, places(encoded, word, occurrence))
    if bert.head == "classification":
        return encoded, class_scores()
    if bert.head == "token-classification":
        return encoded, _label_that_stands_out(bert, encoded)
    if bert.head == "question-answering":
        return encoded, _answer(bert, encoded)
    if bert.head == "causal-lm":
        return encoded, next_scores()
    if bert.head != "masked-lm":
        raise UserError(f"{bert.name} has vectors only and gives no answer to explain: give `reference`")
    if bert.mask_id not in encoded.ids:
        return _about_word(bert, encoded, most_expected(bert, encoded))
    first, *more = masks_in(bert, encoded)
    if more:
        raise UserError(f"there must be one mask to explain, got {1 + len(more)}: fill in the others")
    return encoded, token_scores(first)


def _about_word(bert: Bert, encoded: Encoded, tokens: tuple[int, ...]) -> tuple[Encoded, Score]:
    name = _spelled(encoded, tokens)
    ids = [encoded.ids[t] for t in tokens]
    if bert.head == "token-classification":
        return encoded, label_scores(tokens[0], name)
    if bert.head == "causal-lm":
        if tokens[0] == 0:
            raise UserError(f'"{name}" must have something before it, which {bert.name} reads it from')
        return encoded, continued_score(tokens, ids, name)
    if bert.head != "masked-lm":
        raise UserError(f"{bert.name} cannot say how likely a word is: give `reference`, or choose built-in")
    return encoded.put(tokens, bert.mask_id, bert.tokenizer.mask_token), word_score(tokens, ids, name)


def _spelled(encoded: Encoded, tokens: Sequence[int]) -> str:
    """Return the text of neighbouring tokens."""
    text = encoded.texts[encoded.segments[tokens[0]]]
    return text[encoded.offsets[tokens[0]][0] : encoded.offsets[tokens[-1]][1]].strip()


def most_expected(bert: Bert, encoded: Encoded) -> tuple[int, ...]:
    """Return the tokens of the word whose log P gains most from the words around it: it has evidence to be looked for.

    What it gains: its log P when it alone is hidden, less that when everything is. Frequent words gain little.
    """
    words = [word.tokens for word in encoded.words if not word.special]
    if len(words) < 2:
        raise UserError("there must be a word besides the one that is explained, got none")
    mask = bert.tokenizer.mask_token
    everything = encoded.put([t for tokens in words for t in tokens], bert.mask_id, mask)
    variants = [*(encoded.put(tokens, bert.mask_id, mask) for tokens in words), everything]

    def read(rows: list[int], inputs: dict[str, Tensor]) -> list[Tensor]:
        # of every word of the sentence: (W,)
        found = bert(**inputs).logits.log_softmax(-1)
        return [torch.stack([found[row, list(w), [encoded.ids[t] for t in w]].sum() for w in words]).cpu()
                for row in range(len(rows))]  # fmt: skip

    *known, unknown = in_batches(bert, variants, read)
    gains = torch.stack(known).diagonal() - unknown
    return words[int(gains.argmax())]


def _label_that_stands_out(bert: Bert, encoded: Encoded) -> Score:
    """Return the label of the word that is most surely something else than what most words are."""

    def read(rows: list[int], inputs: dict[str, Tensor]) -> list[Tensor]:
        return list(bert(**inputs).logits[:, : len(encoded)].softmax(-1).cpu())

    [found] = in_batches(bert, [encoded], read)  # (T, L)
    words = [word.tokens[0] for word in encoded.words if not word.special]
    of_words = found[words]
    labels = {str(label).upper(): i for i, label in bert.config.id2label.items()}
    most = int(of_words.argmax(-1).mode().values)
    background = labels.get("O", most)
    rest = of_words.clone()
    rest[:, background] = 0
    token = words[int(rest.amax(-1).argmax())]
    [word] = [word for word in encoded.words if word.tokens[0] == token]
    return label_scores(token, word.text)


def _answer(bert: Bert, encoded: Encoded) -> Score:
    if len(encoded.texts) < 2:
        raise UserError(f"{bert.name} answers a question from a passage: give the passage as `pair`, or `reference`")

    def read(rows: list[int], inputs: dict[str, Tensor]) -> list[Tensor]:
        output = bert(**inputs)
        return [torch.stack((output.start_logits[0], output.end_logits[0])).cpu()]

    [logits] = in_batches(bert, [encoded], read)
    found = best_span(encoded, logits)
    return span_score(found.tokens[0], found.tokens[-1], found.text)


def explained(bert: Bert, score: Score, target: int) -> str:
    """Return what is explained, in a few words."""
    if score.name == "class":
        return f"class {bert.config.id2label[target]}"
    if score.name.startswith("label of "):
        return f"{score.name}: {bert.config.id2label[target]}"
    if score.name in ("token", "next token"):
        which = "" if score.name == "token" else ", the next token"
        return f"log P({readable(bert.tokenizer, target, bert.n_tokens)}){which}"
    return score.name


def sentence_vector(bert: Bert, sentence: str | Encoded) -> Tensor:
    """Return the mean of the last layer over all tokens, (D,): what sentence embeddings such as MiniLM's are."""
    [states] = hidden_states(bert, sentence)
    return states[-1].mean(0)


def variant_scores(
    bert: Bert, variants: Sequence[tuple[Encoded, tuple[int, ...]]], score: Score, batch_size: int
) -> Tensor:
    """Return the scores (N, C) of changed copies of a sentence, each with the places of the score's tokens in it.

    Copies of like length share a batch: deleting words then saves time instead of making padding.
    """

    def read(rows: list[int], inputs: dict[str, Tensor]) -> list[Tensor]:
        where = torch.tensor([variants[i][1] for i in rows], dtype=torch.long, device=inputs["input_ids"].device)
        return list(score.of(bert(**inputs, output_hidden_states=True), inputs["attention_mask"], where))

    return torch.stack(in_batches(bert, [encoded for encoded, _ in variants], read, batch_size=batch_size))
