"""Digits: the data is as said, and a model of them learns in seconds."""

import pytest
import torch

from hw_xai.errors import UserError
from hw_xai.training.run import accuracy, fit
from hw_xai.vision.digits import build_digits, digits, permuted_digits, train_digits


def test_digits_are_pictures_of_the_size_of_mnist():
    training, others = digits()
    assert training.inputs.shape == (1297, 1, 28, 28)
    assert others.inputs.shape == (500, 1, 28, 28)
    assert training.inputs.min() == 0
    assert 0.9 < training.inputs.max() <= 1
    assert others.target.bincount(minlength=10).min() > 30


def test_the_mlp_reads_digits_it_never_saw():
    assert accuracy(train_digits("mlp"), *digits()[1]) > 0.95


def test_permuted_digits_have_the_same_labels_in_another_order():
    inputs, target = permuted_digits()
    true = digits()[0].target[:400]
    assert len(inputs) == 400
    assert torch.equal(target.bincount(), true.bincount())
    assert 0.05 < (target == true).float().mean() < 0.2
    assert torch.equal(target, permuted_digits().target)
    assert not torch.equal(target, permuted_digits(1).target)


def test_fitting_is_repeatable_and_leaves_the_random_state():
    training, _ = digits()
    start = build_digits("mlp").state_dict()
    found = []
    for _ in range(2):
        model = build_digits("mlp")
        model.load_state_dict(start)
        torch.manual_seed(5)
        state = torch.get_rng_state()
        share = fit(model, training.inputs[:100], training.target[:100], epochs=3)
        assert torch.equal(torch.get_rng_state(), state)
        assert not model.training
        found.append((share, model[1].weight))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])


def test_an_unknown_architecture_gets_a_sentence():
    with pytest.raises(UserError, match='mlp and cnn, got "cn".* Did you mean "cnn"'):
        build_digits("cn")
