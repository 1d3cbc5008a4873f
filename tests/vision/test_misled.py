"""The twin with permuted labels, small: it learns by heart, and its first layers stay as they were."""

import pytest
import torch

from hw_xai.vision.misled import permuted_dishes, train_permuted_foodnet
from hw_xai.vision.networks import FoodNet


def test_permuted_dishes_keep_the_number_of_each_label():
    inputs, target = permuted_dishes(22)
    assert inputs.shape == (22, 3, 128, 128)
    assert target.bincount().tolist() == [2] * 11
    assert target.tolist() != [i % 11 for i in range(22)]


@pytest.mark.slow
def test_a_foodnet_learns_permuted_labels_by_heart():
    model, share = train_permuted_foodnet(66, epochs=20)
    assert share >= 0.95
    pretrained = FoodNet()
    pretrained.load_imagenet()
    theirs = pretrained.features[:3].state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in model.features[:3].state_dict().items())
    assert not model.training
