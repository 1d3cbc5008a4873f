"""Explaining sentences: time beside what it cannot do without, and the size of the attention page beside bertviz's.

    python tests/benchmarks/bench_language.py [--small] [--repeat 3] [--samples 200]

Random weights of the shape of BERT-base, or of the built-in model with --small. One thread, process time; the two sides
take turns and the ratio is that of their medians. Sizes: attention without any pattern, which packs worst. bertviz is
only measured where it is installed: pip install --no-deps --target FOLDER bertviz, and PYTHONPATH=FOLDER.
"""

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from hw_xai.core.batches import BATCH_SIZE
from hw_xai.core.memory import even_chunks
from hw_xai.explain.attention import KINDS
from hw_xai.language.attribution import attribute_tokens, class_scores, embedding_model, word_embeddings
from hw_xai.language.bert import Bert, load_bert
from hw_xai.language.tokens import encode
from hw_xai.show.pages.attention.page import HeadsView, SentenceView, write_attention_page

N_STEPS = 50
SENTENCE = (
    "she he they we you boat house river garden school doctor nurse teacher city money book letter window door table "
    "apple bread water night morning winter summer children mother father"
)


def seconds(job: Callable[[], object]) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start


def compare(title: str, ours: Callable[[], object], theirs: Callable[[], object], repeat: int) -> None:
    """Print the medians of both jobs, run in turns, and their ratio."""
    times = [(seconds(ours), seconds(theirs)) for _ in range(repeat + 1)][1:]  # the first run warms up
    mine, other = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{title:44}{mine:>9.2f} s{other:>9.2f} s   ours / other {mine / other:.2f}", flush=True)


def random_bert(small: bool) -> Bert:
    """Return a classifier of two classes with random weights and the built-in model's tokenizer."""
    from transformers import BertConfig, BertForSequenceClassification

    built_in = load_bert("built-in")
    shape = built_in.model.config.to_dict() if small else {"vocab_size": 21128, "pad_token_id": 0}
    shape = {name: value for name, value in shape.items() if name not in ("architectures", "dtype")}
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(**shape, attn_implementation="eager"))
    return Bert("random", model.eval().requires_grad_(False), built_in.tokenizer)


def raw_passes(bert: Bert, encoded, n: int) -> Callable[[], None]:
    """Return a job of n rows forward and backward to the embeddings, in the batches that the explainers use."""
    model, embeddings = embedding_model(bert, encoded, class_scores()), word_embeddings(bert, encoded)

    def job() -> None:
        for chunk in even_chunks(n, BATCH_SIZE):
            rows = embeddings.repeat(len(chunk), 1, 1).requires_grad_()
            torch.autograd.grad(model(rows)[:, 0].sum(), rows)

    return job


def lime_text(bert: Bert, sentence: str, n_samples: int) -> None:
    """Explain as the lime package does by itself: variants as texts, tokenized and padded batch by batch."""
    from lime.lime_text import LimeTextExplainer

    def probabilities(texts: Sequence[str]) -> np.ndarray:
        found = []
        with torch.no_grad():
            for chunk in even_chunks(len(texts), BATCH_SIZE):
                batch = bert.tokenizer([texts[i] for i in chunk], padding=True, return_tensors="pt")
                found.append(bert.model(**batch).logits.softmax(-1))
        return torch.cat(found).numpy()

    LimeTextExplainer(random_state=0).explain_instance(
        sentence, probabilities, labels=(0,), num_features=30, num_samples=n_samples
    )


def page_sizes(n_layers: int = 12, n_heads: int = 12) -> None:
    """Print megabytes of our page and of bertviz's head view and model view."""
    bertviz = importlib.util.find_spec("bertviz") is not None
    for n in (32, 64, 128):
        scores = np.exp(2 * np.random.default_rng(0).normal(size=(n_layers, n_heads, n, n)))
        attention, tokens = scores / scores.sum(-1, keepdims=True), [f"t{i}" for i in range(n)]
        line = f"{n:>4} tokens   ours {_our_page(attention, tokens) / 1e6:6.2f} MB"
        if bertviz:
            from bertviz import head_view, model_view

            layers = tuple(torch.from_numpy(layer)[None].float() for layer in attention)
            for name, view in (("head view", head_view), ("model view", model_view)):
                html = view(layers, tokens, html_action="return").data
                line += f"   bertviz {name} {len(html.encode()) / 1e6:6.1f} MB"
        print(line)
    if not bertviz:
        print("bertviz is not installed: see the top of this file for how to measure it too")


def _our_page(attention: np.ndarray, tokens: Sequence[str]) -> int:
    n_layers, n_heads, n, _ = attention.shape
    heads = HeadsView(
        KINDS,
        np.full((n_layers, n_heads, len(KINDS)), 0.1),
        np.full(len(KINDS), 0.1),
        [[""] * n_heads] * n_layers,
        np.ones((n_layers, n_heads)),
        1,
    )
    view = SentenceView(" ".join(tokens), tokens, [False] * n, [[t] for t in range(n)], attention, attention.mean(1))
    with tempfile.TemporaryDirectory() as folder:
        return write_attention_page(Path(folder) / "index.html", "random", [view], heads).stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="the built-in model's shape, in seconds")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--samples", type=int, default=200, help="of LIME")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    bert = random_bert(arguments.small)
    [encoded] = encode(bert, SENTENCE)
    print(f"{'the built-in shape' if arguments.small else 'BERT-base'}, {len(encoded)} tokens, one thread")
    compare(
        f"IG of {N_STEPS} steps, raw passes",
        lambda: attribute_tokens(bert, encoded, "ig", n_steps=N_STEPS),
        raw_passes(bert, encoded, N_STEPS),
        arguments.repeat,
    )
    compare(
        f"LIME of {arguments.samples} samples, lime_text",
        lambda: attribute_tokens(bert, encoded, "lime", n_samples=arguments.samples),
        lambda: lime_text(bert, SENTENCE, arguments.samples),
        arguments.repeat,
    )
    page_sizes()


if __name__ == "__main__":
    main()
