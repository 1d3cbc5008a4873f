"""Train a masked language model on real text, from a cut of a pretrained one: Devlin et al. 2018, arXiv 1810.04805.

The learning rate rises, stays, and falls only at the very end (Hägele et al. 2024, arXiv 2405.18392): whoever has more
time raises `steps` and goes on from where the rate still stood, and nothing of the earlier run is lost. Every batch is
a function of (recipe, step), so a killed run resumes to the same weights.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import BertConfig, BertForMaskedLM, BertTokenizer
from transformers.models.bert.modeling_bert import BertLayer

from ..core.randomness import random_states_preserved
from ..errors import UserError
from ..training.checkpoint import check_same_recipe, read_checkpoint, write_checkpoint
from ..training.recipe import POSITIONS, MaskedWordsRecipe
from ..training.run import Run, decay_groups, descend, seed_of
from .bert import Bert, load_bert
from .corpus import (
    APPLE_SENTENCES,
    pieces,
    pronoun_sentences,
    protected_runs,
    reading_passages,
    search_corpus,
    sense_sets,
    simplified,
    training_sentences,
)
from .saving import save
from .text import GENERATED, KINDS, Sentence, build_wordpiece, language_of, read_corpora, without_runs
from .warm_start import cut_model, e5_file, read_e5, vectors_for

CHECKPOINT_EVERY = 250  # steps
REPORT_EVERY = 500  # steps
GENERATED_SENTENCES = 20_000
_BLOCK = 64  # batches whose sentences are drawn together and sorted by length, so that little is padding


# ------------------------------------------------------------------------------------------------------------- batches


@dataclass(frozen=True)
class TokenizedText:
    """Sentences as one row of token ids, special ones included."""

    ids: Tensor  # of all sentences, one after the other; int16 or int32
    starts: Tensor  # (N + 1,) where each begins, and the end
    chinese: Tensor  # (N,) bool
    kinds: Tensor  # (N,) index of KINDS

    def __len__(self) -> int:
        return len(self.chinese)

    def __add__(self, other: "TokenizedText") -> "TokenizedText":
        starts = torch.cat((self.starts, self.starts[-1] + other.starts[1:]))
        rest = (torch.cat((getattr(self, name), getattr(other, name))) for name in ("chinese", "kinds"))
        return TokenizedText(torch.cat((self.ids, other.ids)), starts, *rest)

    def row(self, i: int) -> Tensor:
        """Return the ids of a sentence, (T,) LongTensor."""
        return self.ids[self.starts[i] : self.starts[i + 1]].long()


def tokenized(sentences: Sequence[Sentence], tokenizer: Any, max_length: int) -> TokenizedText:
    """Cut sentences into tokens, special ones included, at most `max_length` of them."""
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    plain = tokenizer.backend_tokenizer  # of a million sentences, transformers' own wrapper takes minutes
    plain.no_truncation()
    kind = "int16" if len(tokenizer) < 2**15 else "int32"
    parts: list[np.ndarray] = []
    lengths: list[int] = []
    for first in range(0, len(sentences), 20_000):
        found = plain.encode_batch_fast([s.text for s in sentences[first : first + 20_000]], add_special_tokens=False)
        rows = [[cls, *e.ids[: max_length - 2], sep] for e in found]
        lengths += map(len, rows)
        parts.append(np.fromiter(chain.from_iterable(rows), kind))
    return TokenizedText(
        torch.from_numpy(np.concatenate(parts)),
        torch.tensor([0, *lengths]).cumsum(0),
        torch.tensor([s.language == "zh" for s in sentences]),
        torch.tensor([KINDS.index(s.kind) for s in sentences]),
    )


class MaskedBatches:
    """The batch of a step: sentences of like length, some tokens of which are masked."""

    def __init__(self, text: TokenizedText, tokenizer: Any, recipe: MaskedWordsRecipe):
        self.text, self.tokenizer, self.recipe = text, tokenizer, recipe
        weights = torch.tensor([getattr(recipe, kind) for kind in KINDS], dtype=torch.double)[text.kinds]
        made = text.kinds == KINDS.index("generated")
        chinese, natural = recipe.chinese, 1 - recipe.generated
        for own, share in (
            (made, recipe.generated),
            (~made & text.chinese, natural * chinese),
            (~made & ~text.chinese, natural * (1 - chinese)),
        ):
            if weights[own].sum() > 0:
                weights[own] *= share / weights[own].sum()
        if not weights.sum() > 0:
            raise UserError("no sentence is left to train on: give more text, or weights above 0")
        self.heap = weights.cumsum(0)
        self.lengths = text.starts.diff()
        self._block = lru_cache(maxsize=2)(self._drawn)

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Return input_ids, attention_mask (N, T), which tokens are masked (N, T), and what they were (M,)."""
        rows = self._block(step // _BLOCK)[step % _BLOCK]
        g = _generator(self.recipe.seed, step, 2)
        ids = padded(self.text, rows, self.tokenizer)
        asked = (torch.rand(ids.shape, generator=g) < self.recipe.masked) & ordinary(ids, self.tokenizer)
        return masked_batch(ids, asked, self.tokenizer)

    def _drawn(self, block: int) -> list[list[int]]:
        """Return the rows of each batch of a block: drawn by weight, sorted by length, about as many tokens in each."""
        g = _generator(self.recipe.seed, block, 1)
        n = _BLOCK * self.recipe.batch_size
        at = torch.rand(n, generator=g, dtype=torch.double) * self.heap[-1]
        drawn = torch.searchsorted(self.heap, at, right=True).clamp(max=len(self.text) - 1)
        drawn = drawn[self.lengths[drawn].argsort(stable=True)]
        sizes = self.lengths[drawn].double().cumsum(0)
        ends = torch.searchsorted(sizes, sizes[-1] * torch.arange(1, _BLOCK) / _BLOCK).tolist()
        rows = drawn.tolist()
        batches = [rows[a:b] or rows[:1] for a, b in zip([0, *ends], [*ends, n], strict=True)]
        return [batches[i] for i in torch.randperm(_BLOCK, generator=g).tolist()]


def padded(text: TokenizedText, rows: Sequence[int], tokenizer: Any) -> Tensor:
    """Return sentences of the text as one tensor of ids (N, T)."""
    found = [text.row(i) for i in rows]
    return nn.utils.rnn.pad_sequence(found, batch_first=True, padding_value=tokenizer.pad_token_id)


def ordinary(ids: Tensor, tokenizer: Any) -> Tensor:
    """Return which tokens are words, characters or marks, neither special nor unknown: bool like `ids`."""
    return ~torch.isin(ids, torch.tensor(tokenizer.all_special_ids))


def masked_batch(ids: Tensor, asked: Tensor, tokenizer: Any) -> dict[str, Tensor]:
    """Hide the tokens `asked` of ids (N, T): always behind the mask, so that what is in sight need not doubt itself."""
    return {
        "input_ids": ids.masked_fill(asked, tokenizer.mask_token_id),
        "attention_mask": (ids != tokenizer.pad_token_id).long(),
        "asked": asked,
        "answers": ids[asked],
    }


def masked_language_model(keyword: str, bert: Bert) -> BertForMaskedLM:
    """Return the model of a BERT that guesses masked words; UserError for another."""
    if not isinstance(bert.model, BertForMaskedLM):
        raise UserError(f"`{keyword}` must be a BERT that guesses masked words, but {bert.name} is none")
    return bert.model


def scores_of(model: BertForMaskedLM, batch: dict[str, Tensor]) -> Tensor:
    """Return the scores of the masked tokens of a BertForMaskedLM, (M, V).

    What is computed for the others alone is left out: their scores, which would take a third of the time, and what the
    last layer makes of them.
    """
    *layers, last = cast(list[BertLayer], list(model.bert.encoder.layer))
    hidden = model.bert.embeddings(input_ids=batch["input_ids"])  # (N, T, D)
    hiding = (1.0 - batch["attention_mask"][:, None, None].to(hidden)) * torch.finfo(hidden.dtype).min
    for layer in layers:
        hidden = layer(hidden, hiding)
    attended, _ = last.attention(hidden, hiding)
    return model.cls(last.feed_forward_chunk(attended[batch["asked"]]))


def _generator(*numbers: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(*numbers))


# ---------------------------------------------------------------------------------------------------------- evaluation


def asked_tokens(text: TokenizedText, tokenizer: Any, seed: int = 0) -> Tensor:
    """Draw one token of each sentence, any but special and unknown ones: its place, (N,)."""
    found = torch.empty(len(text), dtype=torch.long)
    for i in range(len(text)):
        # each sentence its own draw, so that none depends on which others are asked
        draw = torch.rand(int(text.starts[i + 1] - text.starts[i]), generator=_generator(seed, i))
        found[i] = draw.masked_fill(~ordinary(text.row(i), tokenizer), -1).argmax()
    return found


@torch.no_grad()
def one_masked(
    model: BertForMaskedLM, tokenizer: Any, sentences: Sequence[Sentence], seed: int = 0, max_length: int = POSITIONS
) -> Tensor:
    """Hide one token of each sentence, which `asked_tokens` draws; return which the model guesses, bool (N,)."""
    text = tokenized(sentences, tokenizer, max_length)
    places = asked_tokens(text, tokenizer, seed)
    right = torch.zeros(len(text), dtype=torch.bool)
    model.eval()
    for some in text.starts.diff().argsort(stable=True).split(64):
        ids = padded(text, some.tolist(), tokenizer)
        asked = torch.zeros_like(ids, dtype=torch.bool).scatter_(1, places[some, None], True)
        batch = masked_batch(ids, asked, tokenizer)
        right[some] = scores_of(model, batch).argmax(1) == batch["answers"]
    return right


def held_out_report(model: BertForMaskedLM, tokenizer: Any, sentences: Sequence[Sentence]) -> dict[str, float]:
    """Return for "en" and "zh" the share of sentences of which one masked token is guessed right."""
    found = {}
    for language in ("en", "zh"):
        own = [s for s in sentences if s.language == language]
        if own:
            found[language] = one_masked(model, tokenizer, own).float().mean().item()
    return found


# ---------------------------------------------------------------------------------------------------------- the run


def train_masked_words(
    recipe: MaskedWordsRecipe, corpora: Iterable[str | Path], out: str | Path, *, progress: bool = True
) -> Path:
    """Train on the sentences of `corpora`; return the folder in which `load_bert` finds the model.

    out: `level.pt` is the run before the rate falls, and where a run of more steps goes on; `last.pt` the run after it.
    """
    out, paths = Path(out), [Path(path) for path in corpora]
    with random_states_preserved():
        torch.manual_seed(recipe.seed)
        model, tokenizer, text, aside = prepared(recipe, paths, out)
    fit(model, tokenizer, MaskedBatches(text, tokenizer, recipe), recipe, out, aside, progress)
    return save(model, tokenizer, out / "model")


def prepared(
    recipe: MaskedWordsRecipe, corpora: Sequence[Path], out: Path
) -> tuple[BertForMaskedLM, Any, TokenizedText, list[Sentence]]:
    """Return the model before its first step, its tokenizer, the text to train on, and the sentences set aside.

    Reading a million sentences takes minutes: what comes of it is kept in `out` for the next time.
    """
    place = out / "text.pt"
    of = {
        "corpora": [[str(path), path.stat().st_size] for path in corpora if path.is_file()],
        **{key: value for key, value in asdict(recipe).items() if key in ("start", "vocabulary", "max_length")},
    }
    saved = read_checkpoint(place)
    if saved is not None and saved["of"] == of:
        model, tokenizer = start_of(recipe, out, sentences=())
        text, aside = TokenizedText(**saved["text"]), [Sentence(*s) for s in saved["aside"]]
    else:
        kept = without_runs(read_corpora(corpora), measuring_runs())
        sentences, aside = [s for s in kept if not s.held_out], [s for s in kept if s.held_out]
        model, tokenizer = start_of(recipe, out, sentences)
        text = tokenized(sentences, tokenizer, recipe.max_length)
        columns = {name: getattr(text, name) for name in ("ids", "starts", "chinese", "kinds")}
        write_checkpoint(place, {"of": of, "text": columns, "aside": [tuple(s) for s in aside]})
    if recipe.generated:
        text += tokenized(generated_sentences(recipe.seed), tokenizer, recipe.max_length)
    if recipe.start in ("e5", "nothing"):
        counts = text.ids.int().bincount(minlength=len(tokenizer)) + 1.0
        with torch.no_grad():  # so that the first steps need not find out which words are frequent
            model.cls.predictions.bias.copy_((counts / counts.sum()).log())
    return model, tokenizer, text, aside


def generated_sentences(seed: int) -> list[Sentence]:
    """Return sentences of our own clauses: people's text holds too few of an ambiguous word's rarer senses."""
    return [Sentence(language_of(text), GENERATED, text) for text in training_sentences(GENERATED_SENTENCES, seed)]


def measuring_runs() -> set[tuple[str, ...]]:
    """Return runs of words and characters that no sentence of training may hold: our own sentences that measure."""
    runs = protected_runs()
    return runs | {tuple(map(simplified, run)) for run in runs}


def own_words() -> set[str]:
    """Return the English words and Chinese characters of the kit's own sentences: each is a piece of the vocabulary."""
    texts = [*APPLE_SENTENCES, *(s.text for own in sense_sets().values() for s in own)]
    texts += [s.text for s in pronoun_sentences()] + [s.text for s in search_corpus()]
    texts += [text for e in reading_passages() for text in (e.passage, e.question)]
    return {piece for text in texts for piece in pieces(text) if not piece.isdecimal()}


def start_of(recipe: MaskedWordsRecipe, out: Path, sentences: Sequence[Sentence]) -> tuple[BertForMaskedLM, Any]:
    """Return the model before its first step, and its tokenizer, which is built once and kept in `out`."""
    if recipe.start not in ("e5", "nothing"):
        start = load_bert(recipe.start)
        model = masked_language_model("start", start)
        model.set_attn_implementation("sdpa")
        return model, start.tokenizer
    kept = out / "tokenizer"
    if kept.is_dir():
        tokenizer = BertTokenizer.from_pretrained(kept)
    else:
        tokenizer = build_wordpiece(sentences, recipe.vocabulary, POSITIONS, keep=own_words())
        tokenizer.save_pretrained(kept)
    if recipe.start == "e5":
        whole, old = read_e5(e5_file())
        words = vectors_for(tokenizer, whole, old)
        return cut_model(whole, words, recipe.layers, POSITIONS, tokenizer.pad_token_id), tokenizer
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=384,
        num_hidden_layers=len(recipe.layers),
        num_attention_heads=12,
        intermediate_size=1536,
        max_position_embeddings=POSITIONS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
    )
    return BertForMaskedLM(config), tokenizer


def fit(
    model: BertForMaskedLM,
    tokenizer: Any,
    batches: MaskedBatches,
    recipe: MaskedWordsRecipe,
    out: Path,
    aside: Sequence[Sentence],
    progress: bool,
) -> None:
    """Train in place; go on from what an earlier run of the same recipe left in `out`, be it of fewer steps."""
    optimizer = _optimizer(model, recipe)
    peaks = [group["lr"] for group in optimizer.param_groups]
    parts = {"model": model, "optimizer": optimizer}
    level, last = (Run(out / f"{name}.pt", asdict(recipe), parts) for name in ("level", "last"))
    first = _resume(level, last, recipe)
    losses: list[float] = []

    def one_step(step: int) -> None:
        model.train()
        torch.manual_seed(seed_of(recipe.seed, step, 3))
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * recipe.rate(step)
        batch = batches(step)
        if len(batch["answers"]):
            loss = cross_entropy(scores_of(model, batch), batch["answers"])
            descend(optimizer, loss, model.parameters(), clip=1.0)
            losses.append(loss.item())
        done = step + 1
        if progress and losses and (done % REPORT_EVERY == 0 or done == recipe.steps):
            right = held_out_report(model, tokenizer, aside)
            shares = ", ".join(f"{language} {share:.3f}" for language, share in right.items())
            tqdm.write(f"step {done}: loss {sum(losses) / len(losses):.3f}; one masked token right: {shares}")
            losses.clear()

    for run, until in ((level, recipe.level_until), (last, recipe.steps)):
        run.go(one_step, first, until, every=[CHECKPOINT_EVERY], progress=progress and first < until)
        first = max(first, until)
    model.eval()


def _optimizer(model: BertForMaskedLM, recipe: MaskedWordsRecipe) -> torch.optim.Optimizer:
    """AdamW with a rate of its own for the head that guesses words, but for the vectors, which it shares."""
    groups = []
    for part, lr in ((model.bert, recipe.lr), (model.cls.predictions.transform, recipe.head_lr)):
        groups += [group | {"lr": lr} for group in decay_groups(part, recipe.weight_decay)]
    groups.append({"params": [model.cls.predictions.bias], "weight_decay": 0.0, "lr": recipe.head_lr})
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)


def _resume(level: Run, last: Run, recipe: MaskedWordsRecipe) -> int:
    """Restore the farthest that an earlier run came which is on the way of this recipe; return the step to go on at."""
    for run in (last, level):
        saved = read_checkpoint(run.checkpoint)
        if saved is None:
            continue
        was = dict(saved["recipe"])
        if run is last and (was["steps"], was["decay"]) != (recipe.steps, recipe.decay):
            continue  # its rate fell elsewhere
        if run is level:
            was |= {"steps": recipe.steps, "decay": recipe.decay}
            if saved["step"] > recipe.level_until:
                raise UserError(
                    f"{run.checkpoint} is at step {saved['step']}: "
                    f"give `steps` of at least {saved['step'] + recipe.decay}"
                )
        check_same_recipe(run.checkpoint, was, run.recipe)
        run.restore(saved)
        return saved["step"]
    return 0
