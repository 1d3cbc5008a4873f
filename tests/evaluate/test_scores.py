"""All scores of one explanation at once: the same numbers as one by one, and what is not defined is None."""

from functools import partial

import pytest
import torch
from torch import Tensor

from hw_xai.evaluate.faithfulness import area_under, average_drop, deletion, insertion, sensitivity_n
from hw_xai.evaluate.localization import auroc
from hw_xai.evaluate.randomize import randomized_models
from hw_xai.evaluate.scores import SCORES, Case, as_number, columns_of, measured, shown_blocks
from hw_xai.evaluate.similarity import edges
from hw_xai.explain import gradient, integrated_gradients


@pytest.fixture
def case(small_net, pictures):
    """Return a function that makes a case of a method and the first picture."""
    model, inputs, target = small_net.eval(), pictures[:1], torch.tensor([2])

    def make(explain, **more) -> Case:
        return Case(model, inputs, target, explain, explain(model, inputs, target), **more)

    return make


def near(value: Tensor):
    return pytest.approx(value.item(), rel=1e-5)


def test_they_are_the_scores_one_by_one(case):
    mask = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    mask[..., 4:9, 4:9] = True
    one = case(gradient, mask=mask)
    given = one.model, one.inputs, one.attribution, one.target
    found = measured(one, ["faithfulness", "localization"])
    steps, subsets = ({key: value} for key, value in SCORES["faithfulness"].options.items())
    assert found.numbers["average_drop_15"] == near(average_drop(*given)[0, 2])
    assert found.numbers["deletion"] == near(area_under(deletion(*given, **steps))[0])
    assert found.curves["insertion"] == pytest.approx(insertion(*given, **steps)[0].tolist(), rel=1e-5)
    assert found.numbers["sensitivity_n"] == near(sensitivity_n(*given, **subsets)[0, 0])
    assert found.numbers["auroc"] == near(auroc(one.attribution, mask)[0])


def test_size_is_what_counts_where_the_sign_only_says_which_way(case):
    mask = torch.rand(1, 1, 16, 16) > 0.5
    by_size, signed = (measured(case(gradient, mask=mask, by_size=b), ["localization"]).numbers for b in (True, False))
    absolute = case(lambda *given: gradient(*given).abs(), mask=mask)
    assert by_size == measured(absolute, ["localization"]).numbers
    assert by_size != signed


def test_completeness_is_asked_of_those_who_promise_it(case):
    explain = partial(integrated_gradients, n_steps=64)
    assert measured(case(explain, adds_up=True), ["completeness"]).numbers["completeness"] < 0.05
    assert measured(case(explain), ["completeness"]).numbers == {}


def test_the_edges_do_not_change_when_the_model_forgets_and_the_gradient_does(case):
    model = case(gradient).model
    forgotten = list(randomized_models(model, torch.rand(8, 3, 16, 16).double(), mode="independent"))
    for explain, same in ((edges, True), (gradient, False)):
        found = measured(case(explain, forgotten=forgotten), ["sanity"])
        assert (found.numbers["sanity"] == 1) is same
        assert len(found.curves["sanity_ssim"]) == len(forgotten)
        assert found.maps.shape == (1 + len(forgotten), 16, 16)
    assert measured(case(gradient), ["sanity"]).numbers == {}, "nothing to compare with"


def test_a_constant_map_is_defined_or_none(case):
    mask = torch.rand(1, 1, 16, 16) > 0.5
    found = measured(case(lambda model, x, target: torch.zeros_like(x[:, :1]), mask=mask), list(SCORES)).numbers
    assert found["auroc"] == 0.5
    assert found["stability"] is None
    assert found["sensitivity_n"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda maps: maps / 0 - maps / 0, "`attributions` must be finite"),
        (lambda maps: maps[..., :9], "`attributions` must be one map for each of the inputs"),
    ],
)
def test_maps_that_cannot_be_judged_are_refused(case, change, message):
    with pytest.raises(ValueError, match=message):
        measured(case(lambda *given: change(gradient(*given))), [])


def test_columns_and_costs_and_numbers():
    assert list(columns_of(["completeness"])) == ["completeness", "passes", "seconds"]
    assert as_number(float("nan")) is None
    assert as_number(torch.tensor(1 / 3)) == 0.333333
    every = [key for score in SCORES.values() for key in score.columns]
    assert len(every) == len(set(every))


def test_blocks_are_shown_evenly_and_to_the_end():
    blocks = [str(i) for i in range(16)]
    assert shown_blocks(blocks) == ["2", "5", "9", "12", "15"]
    assert shown_blocks(blocks[:3]) == ["0", "1", "2"]
