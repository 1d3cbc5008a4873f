"""Explain a small LSTM that reads sentences: the explainers take its word vectors (N, T, D) like any other input.

python docs/examples/text_lstm.py
"""

import torch
from torch import Tensor, nn

from hw_xai.explain import integrated_gradients, lime, occlusion, shapley_values

GOOD, BAD, OTHER = ["tasty", "crisp", "fresh"], ["stale", "burnt", "soggy"], ["the", "soup", "was", "bread", "and"]
WORDS = [*GOOD, *BAD, *OTHER, "not"]
LENGTH = 6


class Reader(nn.Module):
    """Word vectors (N, T, D) -> scores (N, 2) for "bad" and "good"."""

    def __init__(self, dimensions: int = 12, hidden: int = 24):
        super().__init__()
        self.words = nn.Embedding(len(WORDS), dimensions)
        self.lstm = nn.LSTM(dimensions, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 2)

    def forward(self, vectors: Tensor) -> Tensor:
        states, _ = self.lstm(vectors)  # (N, T, hidden)
        return self.head(states[:, -1])


def sentences(n: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return random sentences (n, T) with one opinion, and whether it is good (n,): "not" right before it turns it."""
    tokens = torch.randint(len(GOOD + BAD), len(WORDS) - 1, (n, LENGTH), generator=source)
    opinion = torch.randint(len(GOOD + BAD), (n,), generator=source)
    place = torch.randint(1, LENGTH, (n,), generator=source)
    negated = torch.rand(n, generator=source) < 0.5
    rows = torch.arange(n)
    tokens[rows, place] = opinion
    tokens[rows[negated], place[negated] - 1] = WORDS.index("not")
    return tokens, ((opinion < len(GOOD)) ^ negated).long()


def train(n_steps: int = 400) -> Reader:
    torch.manual_seed(0)
    model, source = Reader(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(n_steps):
        tokens, good = sentences(128, source)
        loss = nn.functional.cross_entropy(model(model.words(tokens)), good)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def main() -> None:
    model = train()
    sentence = ["the", "soup", "was", "not", "tasty", "and"]
    vectors = model.words(torch.tensor([[WORDS.index(word) for word in sentence]])).detach()  # (1, T, D)
    average = model.words.weight.mean(dim=0).detach()  # (D,): what a hidden word shows
    one_per_word = torch.arange(len(sentence))[:, None]  # (T, 1)
    (shares,) = shapley_values(model, vectors, 1, segments=one_per_word, method="exact", fill=average)
    found = {
        "occlusion": occlusion(model, vectors, 1, window=1, stride=1, fill=average),
        "LIME": lime(model, vectors, 1, segments=one_per_word, n_samples=128, fill=average),
        "Shapley": shares.attribution,
        "IG": integrated_gradients(model, vectors, 1, baselines=average, n_steps=100).sum(dim=2, keepdim=True),
    }
    print(f'score for "good": {shares.score:.2f}, of a sentence of average words: {shares.hidden_score:.2f}')
    print(" " * 10 + "".join(f"{name:>10}" for name in found))
    for i, word in enumerate(sentence):
        print(f"{word:10}" + "".join(f"{values[0, i, 0]:10.2f}" for values in found.values()))


if __name__ == "__main__":
    main()
