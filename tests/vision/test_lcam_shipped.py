"""The L-CAMs that ship belong to the models that ship, and see what their cards say."""

import pytest
import torch

from hw_xai.explain import lcam
from hw_xai.files import shipped
from hw_xai.vision.dishes.synthetic import SyntheticFood11
from hw_xai.vision.lcam import SHIPPED, load
from hw_xai.vision.networks import load as load_model
from hw_xai.vision.preprocess import preprocessing


@pytest.mark.parametrize("name", SHIPPED)
def test_weights_are_small_fit_their_model_and_have_a_card(name):
    model = load_model(name.removeprefix("lcam-").rsplit("-", 1)[0])
    learned = load(name, model)
    assert learned.variant == name.rsplit("-", 1)[1]
    assert learned.weight.shape == (11, 320)
    assert learned.weight.std() > 0
    assert shipped(SHIPPED[name]).stat().st_size < 20_000
    card = shipped(f"lcam-{name.removeprefix('lcam-').rsplit('-', 1)[0]}.md").read_text()
    assert f"--variant {learned.variant}" in card


@pytest.mark.parametrize("variant", ["fm", "img"])
def test_on_drawn_dishes_the_attention_lies_on_the_food(variant):
    model = load_model("foodnet-synthetic")
    dishes = SyntheticFood11(22, seed=77, transform=preprocessing())
    inputs = torch.stack([dishes[i][0] for i in range(len(dishes))])
    food = torch.stack([torch.from_numpy(dishes.mask(i)) for i in range(len(dishes))])  # (N, 128, 128)
    found = lcam(model, inputs, learned=load(f"lcam-foodnet-synthetic-{variant}", model))[:, 0]
    inside = (found * food).sum((1, 2)) / found.sum((1, 2))
    assert (inside / food.float().mean((1, 2))).mean() > 1.3  # 1 would be chance
