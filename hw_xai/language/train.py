"""Train the built-in models: every step is a function of (weights, step), so a killed run resumes to the same weights.

First a masked language model on generated sentences (Devlin et al. 2018, arXiv 1810.04805), then, from its weights, a
reader that finds the answers to questions in passages. Two things make minutes on a laptop enough: word embeddings
start from co-occurrence counts, and every word, not only the masked ones, has to know what its sentence is about: from
it a second head guesses the masked words and, of some sentences, a clause that was not shown.
"""

import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForMaskedLM, BertForQuestionAnswering, BertModel, BertTokenizer

from ..core.randomness import random_states_preserved
from ..errors import UserError
from ..training.recipe import BertRecipe, ReaderRecipe
from ..training.run import Run, decay_groups, descend, seed_of, set_rate
from .bert import load_bert
from .corpus import ReadingExample, pieces, reading_examples, training_sentences
from .saving import save

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
POSITIONS = 192  # the longest passage with its question has about 130 tokens
CHECKPOINT_EVERY = 200  # steps
INITIAL = 0.08  # deviation of the first weights: BERT's 0.02 is for a width of 768
IGNORED = -100  # cross_entropy's word for "nothing to learn here"


# ---------------------------------------------------------------------------------------------------------- the model


def build_tokenizer(sentences: Sequence[str], least: int = 3) -> Any:
    """Return a lower-casing WordPiece tokenizer: Chinese characters, words seen `least` times, letters for the rest."""
    counts = Counter(piece for sentence in sentences for piece in pieces(sentence))
    marks = {c for sentence in sentences for c in sentence if not c.isalnum() and not c.isspace()}
    letters = string.ascii_lowercase + string.digits
    words = sorted(piece for piece, n in counts.items() if n >= least or not piece.isascii())
    vocabulary = (*SPECIAL, *sorted(marks | set(string.punctuation)), *letters, *(f"##{c}" for c in letters), *words)
    ids = {piece: i for i, piece in enumerate(dict.fromkeys(vocabulary))}
    return BertTokenizer(vocab=ids, do_lower_case=True, model_max_length=POSITIONS)


def build_model(recipe: BertRecipe, tokenizer: Any, rows: Sequence[Tensor]) -> BertForMaskedLM:
    """Return an untrained BertForMaskedLM: random by the recipe's seed, but for its word and position embeddings."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=4 * recipe.width,
        max_position_embeddings=POSITIONS,
        hidden_dropout_prob=recipe.dropout,
        attention_probs_dropout_prob=recipe.dropout,
        initializer_range=INITIAL,
        pad_token_id=tokenizer.pad_token_id,
    )
    with random_states_preserved():
        torch.manual_seed(recipe.seed)
        model = BertForMaskedLM(config)
    embeddings = model.bert.embeddings
    words, positions = embeddings.word_embeddings.weight, embeddings.position_embeddings.weight
    known = cooccurrence_embeddings(rows, *words.shape)
    with torch.no_grad():
        words[:] = torch.where(known.any(1, keepdim=True), INITIAL * known / known.std(), words)
        positions[:] = INITIAL * sinusoids(*positions.shape)
    return model


def cooccurrence_embeddings(rows: Sequence[Tensor], n_tokens: int, width: int) -> Tensor:
    """Factorize how much oftener than by chance two tokens share a sentence: (n_tokens, width), 0 where never.

    Words of one topic start as neighbours, which spares the first thousands of steps; the senses of one word do not
    differ in it. Positive pointwise mutual information, smoothed by ¾: Levy, Goldberg & Dagan 2015, TACL 3.
    """
    counts = torch.zeros(n_tokens, n_tokens)
    for row in rows:
        present = row.unique()
        counts[present[:, None], present] += 1
    share = counts.fill_diagonal_(0) / counts.sum()
    alone = share.sum(1).clamp(min=1e-9)
    smooth = alone**0.75 / (alone**0.75).sum()
    surplus = (share / (alone[:, None] * smooth)).clamp(min=1e-9).log().clamp(min=0)
    values, vectors = torch.linalg.eigh((surplus + surplus.T) / 2)  # ascending
    return vectors[:, -width:] * values[-width:].clamp(min=0).sqrt()


def sinusoids(n: int, width: int) -> Tensor:
    """Waves of falling frequency, of deviation 1: (n, width). The token before is then one rotation away, everywhere.

    The longest wave is 2π n: with the customary 10,000 most of them would stand still over a short sentence.
    Vaswani et al. 2017, arXiv 1706.03762.
    """
    frequencies = n ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(n)[:, None] * frequencies
    return 2**0.5 * torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :width]


# -------------------------------------------------------------------------------------------- masked language modelling


class MaskedBatches:
    """The batch of a step: sentences of like length, rare tokens masked more often, some clauses taken away."""

    def __init__(self, sentences: Sequence[str], tokenizer: Any, recipe: BertRecipe):
        self.tokenizer, self.recipe = tokenizer, recipe
        found = tokenizer(list(sentences), add_special_tokens=False)["input_ids"]
        self.sentences = sorted((torch.tensor(ids) for ids in found), key=len)
        counts = torch.cat(self.sentences).bincount(minlength=len(tokenizer)).clamp(min=1)
        # Zipf: by its own share of the corpus a character such as 粥 would hardly ever be asked for
        share = recipe.masked * (counts.float().quantile(0.9) / counts).sqrt()
        self.share = share.clamp(recipe.masked, recipe.masked_rare)
        self.share[: len(SPECIAL)] = 0
        self.breaks = torch.tensor(tokenizer.convert_tokens_to_ids(["，", ",", "."]))

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Return input_ids, labels, attention_mask and token_type_ids, each (N, T), and what was cut off, (N, U)."""
        g = torch.Generator().manual_seed(seed_of(self.recipe.seed, step))
        n = self.recipe.batch_size
        first, unseen = zip(*(self._parted(ids, g) for ids in drawn(self.sentences, n, g)), strict=True)
        # pairs, now and then, teach the second segment
        second = drawn(self.sentences, n, g) if torch.rand((), generator=g) < 0.1 else None
        cls, sep = torch.tensor([self.tokenizer.cls_token_id]), torch.tensor([self.tokenizer.sep_token_id])
        heads = [torch.cat((cls, ids, sep)) for ids in first]
        tails = [torch.cat((ids, sep)) for ids in second] if second else [sep[:0]] * n
        rows = [torch.cat(row)[:POSITIONS] for row in zip(heads, tails, strict=True)]
        ids = stacked(rows, self.tokenizer.pad_token_id)
        place = torch.arange(ids.shape[1])
        types = torch.stack([place >= len(head) for head in heads]).long() * (second is not None)
        attention = ids != self.tokenizer.pad_token_id

        asked = torch.rand(ids.shape, generator=g) < self.share[ids]
        labels = torch.where(asked, ids, IGNORED)
        return {
            # always the mask, never another word: what is in sight need not doubt itself and is free for its context
            "input_ids": torch.where(asked, self.tokenizer.mask_token_id, ids),
            "labels": labels,
            "attention_mask": attention.long(),
            "token_type_ids": types,
            "unseen": stacked(unseen, self.tokenizer.pad_token_id),
        }

    def _parted(self, ids: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return what is shown of a sentence and what is not: all and nothing, or the two sides of a comma."""
        places = torch.isin(ids, self.breaks).nonzero().flatten()
        places = places[(places > 1) & (places < len(ids) - 2)]  # a clause has two tokens or more
        if not len(places) or torch.rand((), generator=g) >= self.recipe.cut:
            return ids, ids[:0]
        place = int(places[torch.randint(len(places), (), generator=g)])
        before, after = ids[:place], ids[place + 1 :]
        return (before, after) if torch.rand((), generator=g) < 0.5 else (after, before)


class Pretraining(nn.Module):
    """A masked language model with a second head, needed only in training, and the loss of both."""

    def __init__(self, model: BertForMaskedLM, share: Tensor, recipe: BertRecipe):
        super().__init__()
        self.model, self.share, self.weight = model, share, recipe.context
        width, n_tokens = recipe.width, len(share)
        with random_states_preserved():
            torch.manual_seed(recipe.seed)
            self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(n_tokens))

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean cross entropy of each masked token from its place, plus that of all not shown from a word there."""
        batch = dict(batch)
        labels, unseen = batch.pop("labels"), batch.pop("unseen")
        asked = labels != IGNORED  # (N, T)
        hidden = self.model.bert(**batch).last_hidden_state  # (N, T, D)
        own = cross_entropy(self.model.cls(hidden[asked]), labels[asked])  # no scores for the others: half of the time
        there = (batch["input_ids"] >= len(SPECIAL)) & ~asked
        missing = torch.cat((labels.clamp(min=SPECIAL.index("[PAD]")), unseen), dim=1)  # (N, T + U)
        return own + self.weight * self._context_loss(hidden, there, missing)

    def _context_loss(self, hidden: Tensor, there: Tensor, missing: Tensor) -> Tensor:
        weights = self.share[missing]  # of padding none; and which comma it was need not be known
        rows = there.any(1) & weights.any(1)
        places = torch.multinomial(there[rows].float(), 3, replacement=True)  # (R, 3)
        words = hidden[rows].gather(1, places[..., None].expand(-1, -1, hidden.shape[-1]))  # (R, 3, D)
        scores = self.head(words) @ self.model.bert.embeddings.word_embeddings.weight.T + self.bias  # (R, 3, V)
        log_p = scores.log_softmax(-1).mean(1)  # (R, V)
        return -(log_p.gather(1, missing[rows]) * weights[rows]).sum() / weights[rows].sum()


# ------------------------------------------------------------------------------------------------------------- reading


class ReadingBatches:
    """The batch of a step: questions with passages of like length, and the tokens where the answers begin and end."""

    def __init__(self, examples: Sequence[ReadingExample], tokenizer: Any, recipe: ReaderRecipe):
        self.tokenizer, self.recipe = tokenizer, recipe
        pairs = ([e.question for e in examples], [e.passage for e in examples])
        rows = []
        for example, found in zip(examples, tokenizer(*pairs, truncation=True).encodings, strict=True):
            first = found.char_to_token(example.start, 1)
            last = found.char_to_token(example.start + len(example.answer) - 1, 1)
            if last is not None:
                rows.append((torch.tensor(found.ids), torch.tensor(found.type_ids), first, last))
        self.rows = sorted(rows, key=lambda row: len(row[0]))

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Return input_ids, attention_mask, token_type_ids (N, T), start_positions and end_positions (N,)."""
        g = torch.Generator().manual_seed(seed_of(self.recipe.seed, step))
        rows, types, first, last = zip(*drawn(self.rows, self.recipe.batch_size, g), strict=True)
        ids = stacked(rows, self.tokenizer.pad_token_id)
        return {
            "input_ids": ids,
            "attention_mask": (ids != self.tokenizer.pad_token_id).long(),
            "token_type_ids": stacked(types, 0),
            "start_positions": torch.tensor(first),
            "end_positions": torch.tensor(last),
        }


def drawn(rows: Sequence[Any], n: int, g: torch.Generator) -> list[Any]:
    """Return n of the rows, which are sorted by length, near a random one: of like length, so little padding."""
    window = min(16 * n, len(rows))
    start = int(torch.randint(0, len(rows) - window + 1, (), generator=g))
    return [rows[start + i] for i in torch.randperm(window, generator=g)[:n].tolist()]


def stacked(rows: Sequence[Tensor], padding: int) -> Tensor:
    """Return rows of unlike length as one tensor (N, T)."""
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=padding)


# ----------------------------------------------------------------------------------------------------------- the loop


def fit(
    model: nn.Module,
    loss_of: Callable[[Any], Tensor],
    batch_of: Callable[[int], Any],
    recipe: Any,
    checkpoint: Path,
    progress: bool,
) -> None:
    """Train in place for recipe.steps steps; go on from `checkpoint` when a run of the same recipe was cut off."""
    optimizer = torch.optim.AdamW(decay_groups(model, recipe.weight_decay), lr=recipe.lr, betas=(0.9, 0.98))
    run = Run(checkpoint, asdict(recipe), {"model": model, "optimizer": optimizer})
    first = run.resume().get("step", 0)
    warm = max(1, round(recipe.warmup * recipe.steps))
    model.train()

    def one_step(step: int) -> dict[str, str] | None:
        # dropout draws from here, so that a step's randomness depends on nothing before it
        torch.manual_seed(seed_of(recipe.seed, step, 1))
        set_rate(optimizer, recipe.lr * min((step + 1) / warm, (recipe.steps - step) / (recipe.steps - warm + 1)))
        loss = loss_of(batch_of(step))
        descend(optimizer, loss, model.parameters(), clip=1.0)
        return {"loss": f"{loss.item():.3f}"} if step % 50 == 0 else None  # to ask a GPU for a number is to wait for it

    run.go(one_step, first, recipe.steps, every=[CHECKPOINT_EVERY], progress=progress)
    model.eval()


def train_bert(recipe: BertRecipe, out: str | Path, *, progress: bool = True) -> Path:
    """Train the masked language model by `recipe`; return the folder in which `load_bert` finds it."""
    out = Path(out)
    sentences = list(training_sentences(recipe.sentences, recipe.seed))
    tokenizer = build_tokenizer(sentences)
    batches = MaskedBatches(sentences, tokenizer, recipe)
    model = build_model(recipe, tokenizer, batches.sentences)
    pretraining = Pretraining(model, batches.share, recipe)
    fit(pretraining, pretraining, batches, recipe, out / "last.pt", progress)
    return save(model, tokenizer, out / "model")


def train_reader(
    recipe: ReaderRecipe,
    pretrained: str | Path,
    out: str | Path,
    *,
    examples: Sequence[ReadingExample] | None = None,
    progress: bool = True,
) -> Path:
    """Train a reader that starts from the weights of `pretrained`; return the folder in which `load_bert` finds it.

    examples: None for generated ones.
    """
    start, out = load_bert(pretrained), Path(out)
    body = start.model.base_model
    if not isinstance(body, BertModel):
        raise UserError(f"`pretrained` must be a BERT, but {pretrained} is a {type(body).__name__}")
    with random_states_preserved():
        torch.manual_seed(recipe.seed)
        model = BertForQuestionAnswering(body.config)
    model.bert.load_state_dict(body.state_dict())
    if examples is None:
        examples = list(reading_examples(recipe.examples, recipe.seed))
    batches = ReadingBatches(examples, start.tokenizer, recipe)
    fit(model, lambda batch: model(**batch).loss, batches, recipe, out / "last.pt", progress)
    return save(model, start.tokenizer, out / "model")
