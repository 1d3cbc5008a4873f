"""Averages of weights: the ends of the line, the middle, and what cannot be averaged."""

import pytest
import torch

from hw_xai.errors import UserError
from hw_xai.vision.networks import FoodNet, load, save
from hw_xai.vision.soup import averaged, between, greedy, soup


def state(value: float) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((2, 3), float(value)), "count": torch.tensor(int(value))}


def test_the_ends_of_the_line_are_the_weights_themselves():
    assert torch.equal(between(state(1), state(3), 0.0)["weight"], state(1)["weight"])
    assert torch.equal(between(state(1), state(3), 1.0)["weight"], state(3)["weight"])
    assert torch.equal(between(state(1), state(3), 0.25)["weight"], torch.full((2, 3), 1.5))


def test_whole_numbers_come_from_the_first():
    assert averaged([state(1), state(4)])["count"] == 1


@pytest.mark.parametrize(
    ("states", "shares", "sentence"),
    [
        ([], None, "at least one"),
        ([state(1), state(2)], [0.5, 0.6], "sum to 1"),
        ([state(1), state(2)], [1.0], "2 numbers"),
        ([state(1), {"weight": torch.zeros(2, 3)}], None, "one architecture"),
        ([state(1), state(1) | {"weight": torch.zeros(3, 2)}], None, "one architecture"),
    ],
)
def test_what_cannot_be_averaged(states, shares, sentence):
    with pytest.raises(UserError, match=sentence):
        averaged(states, shares)


def test_a_share_out_of_bounds():
    with pytest.raises(UserError, match="between 0 and 1, got 1.5"):
        between(state(1), state(2), 1.5)


def test_the_greedy_soup_takes_only_what_helps():
    made, chosen = greedy([state(1), state(4), state(90)], lambda s: -abs(float(s["weight"].mean()) - 3))
    assert chosen == [1, 0]  # together 0.5 off, 4 alone 1 off
    assert float(made["weight"].mean()) == 2.5


def test_files_of_one_architecture_make_a_network(tmp_path):
    torch.manual_seed(0)
    nets = [FoodNet().eval() for _ in range(2)]
    for i, net in enumerate(nets):
        save(net, tmp_path / f"{i}.safetensors", "foodnet")
    made = soup([tmp_path / "0.safetensors", tmp_path / "1.safetensors"])
    expected = (load(tmp_path / "0.safetensors").fc.weight + load(tmp_path / "1.safetensors").fc.weight) / 2
    torch.testing.assert_close(made.fc.weight, expected)
    assert not made.training
