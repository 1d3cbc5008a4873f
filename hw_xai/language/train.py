"""Train the built-in models: every step is a function of (weights, step), so a killed run resumes to the same weights.

First a masked language model on generated sentences (Devlin et al. 2018, arXiv 1810.04805), then, from its weights, a
reader that finds the answers to questions in passages.
"""

import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from ..errors import UserError
from ..explain.contract import random_states_preserved
from ..files import atomic
from .bert import load_bert
from .corpus import ReadingExample, pieces, reading_examples, training_sentences

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
POSITIONS = 192  # the longest passage with its question has about 130 tokens
IGNORED = -100  # cross_entropy's word for "nothing to learn here"


@dataclass(frozen=True)
class ReaderRecipe:
    """Everything that decides the weights of the reader, besides those it starts from."""

    examples: int = 12_000
    steps: int = 1500
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.06
    seed: int = 0


@dataclass(frozen=True)
class BertRecipe:
    """Everything that decides the weights of the masked language model."""

    sentences: int = 24_000
    layers: int = 4
    width: int = 128
    heads: int = 4
    steps: int = 3000
    batch_size: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.06
    dropout: float = 0.1
    masked: float = 0.15  # share of the common tokens that are to be predicted ...
    masked_rare: float = 0.5  # ... and of the rarest
    seed: int = 0


# ---------------------------------------------------------------------------------------------------------- the model


def build_tokenizer(sentences: Sequence[str], least: int = 3) -> Any:
    """Return a lower-casing WordPiece tokenizer: Chinese characters, words seen `least` times, letters for the rest."""
    from transformers import BertTokenizer

    counts = Counter(piece for sentence in sentences for piece in pieces(sentence))
    marks = {c for sentence in sentences for c in sentence if not c.isalnum() and not c.isspace()}
    letters = string.ascii_lowercase + string.digits
    words = sorted(piece for piece, n in counts.items() if n >= least or not piece.isascii())
    vocabulary = (*SPECIAL, *sorted(marks | set(string.punctuation)), *letters, *(f"##{c}" for c in letters), *words)
    ids = {piece: i for i, piece in enumerate(dict.fromkeys(vocabulary))}
    return BertTokenizer(vocab=ids, do_lower_case=True, model_max_length=POSITIONS)


def build_model(recipe: BertRecipe, tokenizer: Any) -> nn.Module:
    """Return an untrained BertForMaskedLM of the recipe's size; its random weights follow the recipe's seed."""
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=4 * recipe.width,
        max_position_embeddings=POSITIONS,
        hidden_dropout_prob=recipe.dropout,
        attention_probs_dropout_prob=recipe.dropout,
        pad_token_id=tokenizer.pad_token_id,
    )
    with random_states_preserved():
        torch.manual_seed(recipe.seed)
        return BertForMaskedLM(config)


# -------------------------------------------------------------------------------------------- masked language modelling


class MaskedBatches:
    """The batch of a step: sentences of like length, rare tokens masked more often, positions shifted."""

    def __init__(self, sentences: Sequence[str], tokenizer: Any, recipe: BertRecipe):
        self.tokenizer, self.recipe = tokenizer, recipe
        found = tokenizer(list(sentences), add_special_tokens=False)["input_ids"]
        self.sentences = sorted((torch.tensor(ids) for ids in found), key=len)
        counts = torch.cat(self.sentences).bincount(minlength=len(tokenizer)).clamp(min=1)
        # Zipf: by its own share of the corpus a character such as 粥 would hardly ever be asked for
        share = recipe.masked * (counts.float().quantile(0.9) / counts).sqrt()
        self.share = share.clamp(recipe.masked, recipe.masked_rare)
        self.share[: len(SPECIAL)] = 0

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Return input_ids, labels, attention_mask, token_type_ids and position_ids, each (N, T)."""
        g = torch.Generator().manual_seed(mixed(self.recipe.seed, step))
        n = self.recipe.batch_size
        first = drawn(self.sentences, n, g)
        # pairs, now and then, teach the second segment
        second = drawn(self.sentences, n, g) if torch.rand((), generator=g) < 0.1 else None
        cls, sep = torch.tensor([self.tokenizer.cls_token_id]), torch.tensor([self.tokenizer.sep_token_id])
        heads = [torch.cat((cls, ids, sep)) for ids in first]
        tails = [torch.cat((ids, sep)) for ids in second] if second else [sep[:0]] * n
        rows = [torch.cat(row)[:POSITIONS] for row in zip(heads, tails, strict=True)]
        ids = stacked(rows, self.tokenizer.pad_token_id)
        length = ids.shape[1]
        types = torch.stack([torch.arange(length) >= len(head) for head in heads]).long() * (second is not None)
        attention = ids != self.tokenizer.pad_token_id
        # half of the rows start anywhere, so that every position is learned and none gives a sense away
        shift = torch.randint(0, POSITIONS - length + 1, (n, 1), generator=g) * torch.randint(0, 2, (n, 1), generator=g)

        asked = torch.rand(ids.shape, generator=g) < self.share[ids]
        labels = torch.where(asked, ids, IGNORED)
        fate = torch.rand(ids.shape, generator=g)
        anything = torch.randint(len(SPECIAL), len(self.tokenizer), ids.shape, generator=g)
        ids = torch.where(asked & (fate < 0.8), self.tokenizer.mask_token_id, ids)
        ids = torch.where(asked & (fate > 0.9), anything, ids)
        return {
            "input_ids": ids,
            "labels": labels,
            "attention_mask": attention.long(),
            "token_type_ids": types,
            "position_ids": torch.arange(length) + shift,
        }


def masked_loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Mean cross entropy of the masked tokens; scores of the other tokens are not even computed."""
    batch = dict(batch)
    labels = batch.pop("labels")
    asked = labels != IGNORED
    hidden = model.bert(**batch).last_hidden_state[asked]  # (tokens, D)
    return cross_entropy(model.cls(hidden), labels[asked])


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
        g = torch.Generator().manual_seed(mixed(self.recipe.seed, step))
        ids, types, first, last = zip(*drawn(self.rows, self.recipe.batch_size, g), strict=True)
        ids = stacked(ids, self.tokenizer.pad_token_id)
        return {
            "input_ids": ids,
            "attention_mask": (ids != self.tokenizer.pad_token_id).long(),
            "token_type_ids": stacked(types, 0),
            "start_positions": torch.tensor(first),
            "end_positions": torch.tensor(last),
        }


def reading_loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Mean cross entropy of where the answer begins and where it ends."""
    return model(**batch).loss


def drawn(rows: Sequence[Any], n: int, g: torch.Generator) -> list[Any]:
    """Return n of the rows, which are sorted by length, near a random one: of like length, so little padding."""
    window = min(16 * n, len(rows))
    start = int(torch.randint(0, len(rows) - window + 1, (), generator=g))
    return [rows[start + i] for i in torch.randperm(window, generator=g)[:n].tolist()]


def stacked(rows: Sequence[Tensor], padding: int) -> Tensor:
    """Return rows of unlike length as one tensor (N, T)."""
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=padding)


# ----------------------------------------------------------------------------------------------------------- the loop


def fit(
    model: nn.Module,
    loss_of: Callable[[nn.Module, Any], Tensor],
    batch_of: Callable[[int], Any],
    recipe: Any,
    checkpoint: Path,
    *,
    checkpoint_every: int = 200,
    progress: bool = True,
) -> None:
    """Train in place for recipe.steps steps; go on from `checkpoint` when a run of the same recipe was cut off."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98))
    first = _resume(checkpoint, recipe, model, optimizer)
    warm = max(1, round(recipe.warmup * recipe.steps))
    model.train()
    with random_states_preserved(), tqdm(total=recipe.steps, initial=first, disable=not progress) as bar:
        for step in range(first, recipe.steps):
            # dropout draws from here, so that a step's randomness depends on nothing before it
            torch.manual_seed(mixed(recipe.seed, step, 1))
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * min((step + 1) / warm, (recipe.steps - step) / (recipe.steps - warm + 1))
            loss = loss_of(model, batch_of(step))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            bar.update()
            if step % 50 == 0:
                bar.set_postfix(loss=f"{loss.item():.3f}")
            if (step + 1) % checkpoint_every == 0 or step + 1 == recipe.steps:
                state = {"recipe": asdict(recipe), "step": step + 1, "model": model.state_dict()}
                with atomic(checkpoint) as temporary:
                    torch.save(state | {"optimizer": optimizer.state_dict()}, temporary)
    model.eval()


def _resume(checkpoint: Path, recipe: Any, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Restore an earlier run of the same recipe, if there is one; return the step at which to go on."""
    if not checkpoint.exists():
        return 0
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    now = asdict(recipe)
    changed = [f"{key} was {saved['recipe'].get(key)}, is {value}" for key, value in now.items()
               if saved["recipe"].get(key) != value]  # fmt: skip
    if changed:
        raise UserError(
            f"{checkpoint} holds a run of another recipe ({'; '.join(changed)}): choose another --out, or delete it"
        )
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return saved["step"]


def mixed(*numbers: int) -> int:
    """Mix whole numbers into one seed: neighbouring steps must not share their randomness."""
    seed = 0
    for number in numbers:
        seed = ((seed ^ (number + 1)) * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) % 2**63
        seed ^= seed >> 29
    return seed


def train_bert(recipe: BertRecipe, out: str | Path, *, progress: bool = True) -> Path:
    """Train the masked language model by `recipe`; return the folder in which `load_bert` finds it."""
    out = Path(out)
    sentences = list(training_sentences(recipe.sentences, recipe.seed))
    tokenizer = build_tokenizer(sentences)
    model = build_model(recipe, tokenizer)
    fit(model, masked_loss, MaskedBatches(sentences, tokenizer, recipe), recipe, out / "last.pt", progress=progress)
    return save(model, tokenizer, out / "model")


def train_reader(recipe: ReaderRecipe, pretrained: str | Path, out: str | Path, *, progress: bool = True) -> Path:
    """Train a reader that starts from the weights of `pretrained`; return the folder in which `load_bert` finds it."""
    from transformers import BertForQuestionAnswering

    start, out = load_bert(pretrained), Path(out)
    with random_states_preserved():
        torch.manual_seed(recipe.seed)
        model = BertForQuestionAnswering(start.model.config)
    model.bert.load_state_dict(start.model.bert.state_dict())
    batches = ReadingBatches(list(reading_examples(recipe.examples, recipe.seed)), start.tokenizer, recipe)
    fit(model, reading_loss, batches, recipe, out / "last.pt", progress=progress)
    return save(model, start.tokenizer, out / "model")


def save(model: nn.Module, tokenizer: Any, folder: Path) -> Path:
    """Write a folder for from_pretrained: weights in half precision, which are computed with in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    model.half().save_pretrained(folder)
    model.float()
    model.config.dtype = "float32"
    model.config.save_pretrained(folder)
    return folder
