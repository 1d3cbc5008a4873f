"""The explainers on sequences of vectors and on tables: nothing in them may assume a picture."""

import importlib.util
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hw_xai.explain import (
    completeness_gap,
    gradient,
    input_x_gradient,
    integrated_gradients,
    lime,
    occlusion,
    saliency,
    shapley,
    shapley_values,
    smooth_grad,
)

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-10)
TOKENS = torch.arange(5)[:, None]  # (T, 1): one region for each token
COLUMNS = torch.arange(5)


class SequenceNet(nn.Module):
    """(N, T, D) -> (N, 3) through an LSTM."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 6, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.head(self.lstm(vectors)[0].mean(dim=1))


@pytest.fixture(params=["lstm", "mlp"])
def case(request) -> tuple[nn.Module, Tensor, Tensor]:
    """A model in float64, two inputs, and the regions of their elements."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        if request.param == "lstm":
            return SequenceNet().double().eval(), torch.randn(2, 5, 4).double(), TOKENS
        net = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
        return net.double().eval(), torch.randn(2, 5).double(), COLUMNS


EXPLAINERS = {
    "gradient": gradient,
    "saliency": saliency,
    "input_x_gradient": input_x_gradient,
    "smooth_grad": partial(smooth_grad, n_samples=20),
    "integrated_gradients": partial(integrated_gradients, n_steps=20),
    "occlusion": partial(occlusion, window=1, stride=1),
    "lime": partial(lime, n_samples=64, fill=0.0),
    "lime tree": partial(lime, n_samples=64, fill=0.0, surrogate="tree"),
    "shapley": partial(shapley, n_samples=40, fill=0.0),
    "shapley kernel": partial(shapley, n_samples=40, method="kernel", fill=0.0),
}


def explain(name: str, model, inputs: Tensor, regions: Tensor, **options) -> Tensor:
    needs_regions = name.startswith(("lime", "shapley"))
    return EXPLAINERS[name](model, inputs, 2, **({"segments": regions} if needs_regions else {}), **options)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_shapes_rows_and_batches_are_as_for_pictures(name, case):
    model, inputs, regions = case
    found = explain(name, model, inputs, regions)
    assert torch.broadcast_shapes(found.shape, inputs.shape) == inputs.shape
    assert found.dtype == inputs.dtype
    assert found.isfinite().all()
    assert found.abs().max() > 0
    for i in range(2):
        close(explain(name, model, inputs[i : i + 1], regions), found[i : i + 1])
    close(explain(name, model, inputs, regions, batch_size=3), found)
    close(explain(name, lambda x: model(x), inputs, regions), found)


def test_occlusion_is_the_score_without_one_token_or_column(case):
    model, inputs, _ = case
    found = occlusion(model, inputs, 2, window=1, stride=1)
    for k in range(5):
        hidden = inputs.clone()
        hidden[:, k] = 0
        close(found[:, k].flatten(), (model(inputs) - model(hidden))[:, 2].detach())


def test_contributions_add_up_to_the_score_difference(case):
    model, inputs, regions = case
    attribution = integrated_gradients(model, inputs, 2, n_steps=2000)
    difference = (model(inputs) - model(torch.zeros_like(inputs)))[:, 2].detach()
    assert (completeness_gap(attribution, model, inputs, 2).abs() < 0.01 * difference.abs() + 1e-3).all()
    for method in ("permutation", "kernel", "exact"):
        for one, whole in zip(
            shapley_values(model, inputs, 2, segments=regions, fill=0.0, method=method, n_samples=60),
            difference,
            strict=True,
        ):
            close(one.values.sum(), whole)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_a_planted_token_and_a_planted_column(name, case):
    """A model that reads only the fourth one: nothing else may count."""
    model, inputs, regions = case
    planted = torch.zeros_like(inputs[:1])
    planted[:, 3] = 1
    found = explain(name, lambda x: model(x * planted), inputs, regions).abs()
    others = torch.cat([found[:, :3], found[:, 4:]], dim=1)
    assert others.max() < 0.05 * found[:, 3].max()  # LIME and Kernel SHAP are fitted to samples


@pytest.mark.parametrize("name", [name for name in EXPLAINERS if name not in ("gradient", "saliency", "smooth_grad")])
def test_a_linear_model_has_one_right_answer(name, case):
    _, inputs, regions = case
    weight = torch.linspace(-2, 3, inputs[0].numel()).reshape(inputs.shape[1:]).double()
    linear = lambda x: torch.stack([(x * weight).flatten(1).sum(dim=1)] * 3, dim=1) + 7  # noqa: E731
    options = {"n_samples": 3000} if name.startswith("lime") else {}
    found = explain(name, linear, inputs, regions, **options)
    expected = inputs * weight
    if found.shape != inputs.shape:
        expected = expected.sum(dim=2, keepdim=True)  # of a token's dimensions, which are hidden together
    if name == "lime tree":  # 16 leaves are steps, not a line
        assert torch.corrcoef(torch.stack([found.flatten(), expected.flatten()]))[0, 1] > 0.9
    else:
        torch.testing.assert_close(found, expected, rtol=0, atol=0.1 if name == "lime" else 1e-9)


def test_a_sum_of_functions_of_one_variable_each():
    """f = 5x + y² + sin z, for a table and for a sequence of such triples."""
    parts = lambda x: torch.stack([5 * x[..., 0], x[..., 1] ** 2, x[..., 2].sin()], dim=-1)  # noqa: E731
    model = lambda x: parts(x).flatten(1).sum(dim=1, keepdim=True)  # noqa: E731
    table = torch.tensor([[1.0, 3.0, 2.0], [-2.0, 0.5, 0.1]]).double()
    close(integrated_gradients(model, table, 0, n_steps=4000), parts(table), rtol=0, atol=1e-6)
    close(occlusion(model, table, 0, window=1, stride=1), parts(table))
    slopes = torch.stack([torch.full((2,), 5.0).double(), 2 * table[:, 1], table[:, 2].cos()], dim=1)
    close(gradient(model, table, 0), slopes)
    sequence = table[None]  # (1, 2, 3)
    per_token = parts(sequence).sum(dim=2, keepdim=True)
    close(occlusion(model, sequence, 0, window=1, stride=1), per_token)
    close(shapley(model, sequence, 0, segments=torch.arange(2)[:, None], fill=0.0, method="exact"), per_token)


class Signals(nn.Module):
    """(N, 2, T) -> (N, 3): only what channel 1 does at step 5 counts."""

    def __init__(self, turn: bool = False):
        super().__init__()
        self.conv, self.turn = nn.Conv1d(2, 3, 1, bias=False), turn
        self.conv.weight = nn.Parameter(torch.tensor([[0.0, 1], [0, 2], [0, 3]])[..., None].double())

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.mT if self.turn else x)[:, :, 5 if x.shape[1 if self.turn else 2] > 5 else 1]


@pytest.mark.parametrize("n_steps", [8, 2])
@pytest.mark.parametrize("turn", [False, True])
def test_occlusion_of_a_signal_slides_over_time(n_steps, turn):
    """(N, C, T) as a Conv1d takes it, (N, T, D) where the model turns it: also with as many channels as steps."""
    model, x = Signals(turn).double().eval(), torch.rand(2, 2, n_steps).double() + 1
    x = x.mT.contiguous() if turn else x
    found = occlusion(model, x, 2, window=1, stride=1, fill="channel_mean" if n_steps == 8 else "zero")
    assert found.shape == ((2, n_steps, 1) if turn else (2, 1, n_steps))
    where = found.flatten(1).abs() > 1e-12
    assert where.sum() == 2
    assert where[:, 5 if n_steps == 8 else 1].all()
    if n_steps == 8:
        signal = x.mT if turn else x
        close(found.flatten(1)[:, 5], 3 * (signal[:, 1, 5] - signal[:, 1].mean(dim=1)))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("text_lstm", "tasty"),
        ("tabular", "stability over seeds"),
        ("boxes", "occlusion is strongest at row 33, column 33"),
        pytest.param("segmentation", "LayerCAM   of the map 100% lies on the disc", marks=pytest.mark.slow),
        pytest.param("similarity", "what makes it like the egg", marks=pytest.mark.slow),
    ],
)
def test_the_examples_run(name, found, capsys):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    with torch.random.fork_rng():
        example.main()
    assert found in capsys.readouterr().out


@pytest.mark.parametrize("explain", [shapley, lime])
def test_a_region_of_one_element_is_hidden_behind_zero(explain):
    table = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2)).double()
    inputs = torch.rand((2, 5), generator=torch.Generator().manual_seed(0)).double() + 1
    found = explain(table, inputs, 1, segments=COLUMNS, n_samples=100)
    assert (found.abs().sum(dim=1) > 0).all()
    close(found, explain(table, inputs, 1, segments=COLUMNS, n_samples=100, fill=0.0))


def test_data_of_each_input_in_a_closure_is_noticed():
    """Rows come in chunks: every one would be read with the data of the first."""
    data = torch.randn((3, 4), generator=torch.Generator().manual_seed(0)).double()
    inputs = torch.rand((3, 4), generator=torch.Generator().manual_seed(1)).double()
    model = lambda x: ((x * data[: len(x)]) ** 2).cumsum(dim=1)  # noqa: E731
    for explain in (gradient, partial(occlusion, window=1, stride=1), partial(smooth_grad, n_samples=3)):
        with pytest.raises(ValueError, match="`model` must give an input the same scores alone and among others"):
            explain(model, inputs, 1)
    expected = torch.zeros(3, 4).double()
    expected[:, :2] = 2 * inputs[:, :2] * data[:, :2] ** 2
    close(gradient(model, inputs, 1, batch_size=3), expected)
    weights = torch.ones(3, 4).double()  # as many rows as inputs, by chance
    close(gradient(lambda x: x @ weights.T, inputs, 1), torch.ones(3, 4).double())
