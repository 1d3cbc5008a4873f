"""Forgetting: which weights change, which stay, that seeds decide, and that the user's model is left alone."""

import pytest
import torch
from torch import nn

from hw_xai.evaluate.randomize import blocks_of, randomize, randomized_models, refit_statistics


def changed(model: nn.Module, other: nn.Module) -> set[str]:
    theirs = other.state_dict()
    return {name for name, value in model.state_dict().items() if not torch.equal(value, theirs[name])}


def stack() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 3))


X = torch.rand((6, 1, 8, 8), generator=torch.Generator().manual_seed(0))


def test_cascading_is_cumulative_and_independent_is_not():
    model = stack()
    cascade = [(block, changed(model, other)) for block, other in randomized_models(model, X)]
    alone = [(block, changed(model, other)) for block, other in randomized_models(model, X, mode="independent")]
    parts = [{f"{block}.weight", f"{block}.bias"} for block in ("4", "2", "0")]
    assert cascade == [("4", parts[0]), ("2", parts[0] | parts[1]), ("0", parts[0] | parts[1] | parts[2])]
    assert alone == list(zip(("4", "2", "0"), parts, strict=True))


def test_a_block_forgets_to_the_same_weights_in_both_modes_and_by_seed_alone():
    model = stack()

    def first_layer(**options) -> torch.Tensor:
        *_, (_, last) = randomized_models(model, X, **options)
        return last[0].weight

    assert torch.equal(first_layer(), first_layer(mode="independent"))
    assert torch.equal(first_layer(), first_layer(blocks=["0"]))
    assert not torch.equal(first_layer(), first_layer(seed=1))


def test_the_model_and_the_random_state_are_left_alone():
    model, untouched, state = stack().train(), stack(), torch.get_rng_state()
    for _, other in randomized_models(model, X):
        assert not other.training
    assert changed(model, untouched) == set()
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)


def test_blocks_open_stacks_and_wrappers(small_net):
    assert blocks_of(small_net) == ["head", "block", "stem"]
    assert blocks_of(nn.Sequential(small_net)) == ["0.head", "0.block", "0.stem"]
    assert blocks_of(stack()) == ["4", "2", "0"]
    flat = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    assert blocks_of(flat) == ["2", "1", "0"]
    assert blocks_of(flat, "keep") == ["2", "0"]
    assert blocks_of(nn.Linear(2, 2)) == [""]


def test_batch_norm_is_kept_reset_or_refitted(small_net, pictures):
    batch_norm = {"stem.1.weight", "stem.1.bias", "stem.1.running_mean", "stem.1.running_var"}

    def after(normalization: str) -> nn.Module:
        ((_, other),) = randomized_models(small_net, pictures, ["stem"], normalization=normalization)
        return other

    assert changed(small_net, after("keep")).isdisjoint(batch_norm)
    assert torch.equal(after("reset").stem[1].running_var, torch.ones(6).double())
    refitted = after("refit")
    maps = refitted.stem[0](pictures)
    torch.testing.assert_close(refitted.stem[1].running_mean, maps.mean(dim=(0, 2, 3)))
    assert "block.1.running_mean" in changed(small_net, refitted)  # behind the block: it sees other maps now
    assert "block.1.running_mean" not in changed(small_net, after("reset"))


def test_refitted_statistics_are_the_mean_over_batches_and_momentum_comes_back(small_net, pictures):
    model = small_net.eval()
    refit_statistics(model, pictures, batch_size=2)
    maps = model.stem[0](pictures)
    torch.testing.assert_close(model.stem[1].running_mean, maps.mean(dim=(2, 3)).tensor_split(2)[0].mean(0) / 2
                               + maps.mean(dim=(2, 3)).tensor_split(2)[1].mean(0) / 2)  # fmt: skip
    assert model.stem[1].momentum == 0.1
    assert not model.stem[1].training


def test_parameters_without_a_reset_keep_their_size():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.full((4000,), 3.0))
            self.nothing = nn.Parameter(torch.zeros(5))

    module = Scaled()
    randomize(module)
    assert module.scale.abs().max() <= 6
    assert 2.2 < module.scale.std() < 3
    assert module.nothing.abs().max() == 0


def test_frozen_and_weight_normalized_layers_forget_too():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.Linear(4, 2).requires_grad_(False))
    *_, (_, other) = randomized_models(model, torch.rand(3, 4))
    assert (model[0].weight - other[0].weight).abs().min() > 0
    assert (model[1].weight - other[1].weight).abs().max() > 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"blocks": ["hed"]}, '`blocks` must name modules of SmallNet, got "hed". Did you mean "head"?'),
        ({"blocks": ["pool"]}, '`blocks` must name modules with parameters, got "pool", which has none'),
        ({"blocks": []}, "`blocks` must be a list of at least one path of a module, got a list"),
        ({"blocks": "head"}, "`blocks` must be a list of at least one path of a module, got 'head'"),
        ({"mode": "both"}, '`mode` must be "cascading" or "independent", got \'both\''),
        ({"normalization": "no"}, '`normalization` must be "refit", "keep" or "reset"'),
        ({"seed": -1}, "`seed` must be an integer of at least 0, got -1"),
    ],
)
def test_bad_options_get_a_sentence(small_net, pictures, options, sentence):
    with pytest.raises(ValueError) as error:  # noqa: PT011  the sentence is compared below
        next(randomized_models(small_net, pictures, **options))
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("model", [nn.Sequential(nn.Flatten(), nn.ReLU()), lambda x: x])
def test_a_model_without_parameters_is_refused(model):
    with pytest.raises(ValueError, match="`model` must be an nn.Module with parameters"):
        next(randomized_models(model, X))
