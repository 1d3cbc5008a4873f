"""Calls as data: they survive the journey to the sandbox and reach the function as the objects it expects."""

import numpy as np
import pytest
import torch

from grading.homework.exercises import EXERCISES
from grading.isolation.inside.calls import (
    Call,
    NoArray,
    answers_to,
    as_array,
    from_frame,
    pack_calls,
    to_frame,
    unpack_calls,
)
from grading.isolation.inside.networks import Layer, Subject, build


@pytest.mark.parametrize("name", EXERCISES)
def test_calls_survive_the_journey(name):
    calls = EXERCISES[name].plan(0)
    rows, blobs = pack_calls(calls)
    header, blobs = from_frame(to_frame({"calls": rows}, blobs))
    for sent, arrived in zip(calls, unpack_calls(header["calls"], blobs), strict=True):
        assert arrived.times == sent.times
        assert list(arrived.arguments) == list(sent.arguments)
        for key, value in sent.arguments.items():
            if isinstance(value, np.ndarray):
                assert np.array_equal(arrived.arguments[key], value)
                assert arrived.arguments[key].dtype == value.dtype
            else:
                assert arrived.arguments[key] == value


def test_the_function_gets_tensors_a_network_and_its_layer():
    def function(model, inputs, layer, n):
        assert layer is model.second
        assert not model.training
        assert inputs.dtype == torch.float32
        return inputs.sum() + n

    arguments = {"model": Subject("small_cnn"), "inputs": np.ones((1, 2), np.float32), "layer": Layer("second"), "n": 3}
    assert answers_to(function, Call(arguments)) == [5]


def test_a_change_of_the_inputs_shows_in_the_second_answer():
    first, second = answers_to(lambda inputs: inputs.add_(1), Call({"inputs": np.zeros(2, np.float32)}, times=2))
    assert first.tolist() == [1, 1]
    assert second.tolist() == [2, 2]


def test_a_call_leaves_the_callers_array_and_random_state_alone():
    inputs, state = np.zeros(2, np.float32), torch.random.get_rng_state()
    answers_to(lambda inputs: inputs.add_(torch.rand(2)), Call({"inputs": inputs}))
    assert not inputs.any()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_network_depends_on_its_seed_alone():
    torch.manual_seed(1)
    one = build(Subject("small_cnn", 4)).state_dict()
    torch.manual_seed(2)
    for name, value in build(Subject("small_cnn", 4)).state_dict().items():
        assert torch.equal(value, one[name])
    assert not torch.equal(build(Subject("small_cnn", 5)).first.weight, one["first.weight"])


@pytest.mark.parametrize("output", [None, "map", [1.0], (1.0,), (n for n in range(3)), {}])
def test_what_is_no_array_is_refused(output):
    with pytest.raises(NoArray, match=f"^{type(output).__name__}$"):  # the judge makes the sentence
        as_array(output)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 7,
        b"\xff" * 8,
        (2**40).to_bytes(8) + b"{}",
        (2).to_bytes(8) + b"{}",
        (2).to_bytes(8) + b"[]",
        (100_000).to_bytes(8) + b"[" * 100_000,
        to_frame({}, [b"ab"])[:-1],
        to_frame({}, [b"ab"]) + b"c",
        to_frame({}) * 2,
        to_frame({}, [b"ab"]).replace(b"[2]", b"[-1]").replace(b"\x1c", b"\x1d"),
        to_frame({}, [b"ab"]).replace(b"[2]", b"2.5"),
        to_frame([], [b"ab"]),
    ],
)
def test_a_message_that_is_not_whole_is_refused(data):
    with pytest.raises(ValueError, match="message"):
        from_frame(data)
