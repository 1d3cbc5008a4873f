"""Localization scores against Quantus, scikit-learn, slow loops and what chance would get."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from hw_xai.evaluate.localization import auroc, best_iou, mass_inside, pointing_game
from hw_xai.explain import METHODS
from hw_xai.vision import lcam
from hw_xai.vision.dishes.synthetic import SyntheticFood11
from hw_xai.vision.networks import load
from hw_xai.vision.preprocess import preprocessing

SCORES = [pointing_game, mass_inside, best_iou, auroc]


def drawn(n: int, seed: int = 0, side: int = 12) -> tuple[Tensor, Tensor]:
    """Return random maps (n, 1, side, side) that know a little of their masks, and the masks."""
    source = torch.Generator().manual_seed(seed)
    masks = torch.zeros(n, 1, side, side, dtype=torch.bool)
    for mask, corner in zip(masks, torch.randint(0, side - 5, (n, 2), generator=source).tolist(), strict=True):
        mask[0, corner[0] : corner[0] + 5, corner[1] : corner[1] + 4] = True
    return torch.randn((n, 1, side, side), generator=source).double() + masks, masks


def with_ties() -> tuple[Tensor, Tensor]:
    maps, masks = drawn(6, seed=3)
    return (2 * maps).round() / 2, masks


@pytest.fixture(scope="module")
def quantus():
    with warnings.catch_warnings():
        # Python says so once, when it compiles three of their docstrings: as DeprecationWarning before 3.12
        for kind in (DeprecationWarning, SyntaxWarning):
            warnings.filterwarnings("ignore", r".*invalid escape sequence", kind)
        return pytest.importorskip("quantus")


def by_quantus(metric, maps: Tensor, masks: Tensor) -> list[float]:
    return metric(model=None, x_batch=np.zeros(maps.shape), y_batch=None, a_batch=maps.numpy(), s_batch=masks.numpy())


@pytest.mark.parametrize(
    ("ours", "theirs"), [(pointing_game, "PointingGame"), (mass_inside, "RelevanceMassAccuracy"), (auroc, "AUC")]
)
def test_quantus_gives_the_same(ours, theirs, quantus):
    maps, masks = drawn(8)
    maps = maps.clamp(min=0) if theirs == "RelevanceMassAccuracy" else maps
    metric = getattr(quantus, theirs)(normalise=False, abs=False, disable_warnings=True)
    expected = torch.tensor(np.array(by_quantus(metric, maps, masks), dtype=float))
    torch.testing.assert_close(ours(maps, masks), expected)


@pytest.mark.parametrize("cases", [drawn(6), with_ties()], ids=["all different", "ties"])
def test_auroc_is_scikit_learns(cases):
    expected = [roc_auc_score(mask.flatten(), values.flatten()) for values, mask in zip(*cases, strict=True)]
    torch.testing.assert_close(auroc(*cases), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("cases", [drawn(6), with_ties()], ids=["all different", "ties"])
def test_best_iou_is_the_best_of_all_thresholds(cases):
    for found, values, mask in zip(best_iou(*cases), *cases, strict=True):
        ious = [((values >= t) & mask).sum() / ((values >= t) | mask).sum() for t in values.unique()]
        assert found.item() == pytest.approx(max(ious).item())


def test_mass_counts_what_speaks_for_the_class_only():
    maps = torch.tensor([[3.0, -5.0], [1.0, 0.0]])[None, None]
    masks = torch.tensor([[True, True], [False, False]])[None, None]
    assert mass_inside(maps, masks).tolist() == [0.75]


def test_the_channels_of_a_place_add_up_with_their_signs():
    maps, masks = drawn(3)
    source = torch.Generator().manual_seed(0)
    parts = torch.randn((3, 2, 12, 12), generator=source).double()
    several = torch.cat([parts, maps - parts.sum(dim=1, keepdim=True)], dim=1)
    for score in SCORES:
        torch.testing.assert_close(score(several, masks), score(maps, masks))


def test_several_largest_are_a_hit_in_part():
    maps = torch.zeros(1, 1, 4, 4)
    maps[0, 0, 0, :] = 2
    masks = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    masks[0, 0, :, 0] = True
    assert pointing_game(maps, masks).tolist() == [0.25]


def test_tolerance_is_a_distance_in_pixels():
    maps, masks = torch.zeros(2, 1, 20, 20), torch.zeros(2, 1, 20, 20, dtype=torch.bool)
    masks[:, :, 5, 5] = True
    maps[0, 0, 5, 9] = 1  # 4 away
    maps[1, 0, 8, 8] = 1  # 4.24 away
    assert pointing_game(maps, masks, tolerance=3).tolist() == [0, 0]
    assert pointing_game(maps, masks, tolerance=4).tolist() == [1, 0]
    assert pointing_game(maps, masks, tolerance=5).tolist() == [1, 1]


@pytest.mark.parametrize("score", SCORES)
def test_the_mask_itself_is_perfect(score):
    _, masks = drawn(4)
    assert score(masks.float(), masks).tolist() == [1] * 4
    assert score(masks * 7.0 - 3.0, masks).tolist() == [1] * 4


@pytest.mark.filterwarnings("ignore:`n_samples` should be")  # few are enough here
def test_the_true_mask_beats_every_method_and_random_maps_are_last():
    few = {"rise": 48, "lime": 48, "shapley": 60, "smooth_grad": 5}
    model, dishes = load("foodnet-synthetic"), SyntheticFood11(4, size=64, seed=1, transform=preprocessing(64))
    inputs = torch.stack([dishes[i][0] for i in range(4)])
    masks = torch.stack([torch.from_numpy(dishes.mask(i))[None] for i in range(4)])
    options = {name: {"n_samples": n} for name, n in few.items()}
    options |= {"integrated_gradients": {"n_steps": 5}, "occlusion": {"window": 16, "stride": 16}}
    options |= {"lcam": {"learned": lcam.load("lcam-foodnet-synthetic-img", model)}}
    maps = {
        name: method.function(model, inputs, torch.tensor(dishes.targets), **options.get(name, {})).abs()
        for name, method in METHODS.items()
        if method.explainer and method.locality == "local" and name not in ("rollout", "attention_relevance")
    }
    maps["random"] = torch.rand((4, 1, 64, 64), generator=torch.Generator().manual_seed(0))
    found = {name: torch.stack([score(m, masks).mean() for score in SCORES]).mean() for name, m in maps.items()}
    assert max(found.values()) < 0.9, "the mask itself has 1 by every score, see the test above"
    assert min(found, key=found.get) == "random"


@pytest.mark.parametrize("value", [0.0, 2.5, -1.0])
def test_a_constant_map_gets_what_chance_gets(value):
    _, masks = drawn(4)
    maps = torch.full((4, 1, 12, 12), value)
    covered = masks.double().mean((1, 2, 3))
    for score in (pointing_game, mass_inside, best_iou):
        torch.testing.assert_close(score(maps, masks), covered)
    assert auroc(maps, masks).tolist() == [0.5] * 4


@pytest.mark.parametrize("score", SCORES)
def test_an_empty_mask_has_no_score(score):
    maps, masks = drawn(3)
    masks[1] = False
    assert score(maps, masks).isnan().tolist() == [False, True, False]
    full = torch.ones_like(masks)
    assert score(maps, full).isnan().all() if score is auroc else (score(maps, full) == 1).all()


@pytest.mark.parametrize("score", SCORES)
def test_one_is_scored_as_in_a_batch_and_nothing_is_changed(score):
    maps, masks = drawn(5)
    before = maps.clone(), masks.clone()
    together = score(maps, masks)
    assert torch.equal(torch.cat([score(maps[i : i + 1], masks[i : i + 1]) for i in range(5)]), together)
    assert torch.equal(maps, before[0])
    assert torch.equal(masks, before[1])


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, m: (a / 0 - a / 0, m), "`attributions` must be finite, got NaN or infinite values"),
        (lambda a, m: (a[:, 0], m), r"`attributions` must be maps \(N, C, H, W\), got a float64 tensor of shape"),
        (lambda a, m: (a.numpy(), m), r"`attributions` must be maps \(N, C, H, W\), got a ndarray"),
        (lambda a, m: (a.long(), m), "`attributions` must be a floating tensor, got a int64 tensor"),
        (lambda a, m: (a, m[..., :9]), r"`masks` must be one mask for each of the .*, got shape \(2, 1, 12, 9\)"),
        (lambda a, m: (a, m[:1]), r"`masks` must be one mask for each .* \(2, 1, 12, 12\), of their size, got"),
        (lambda a, m: (a, m.float()), r"`masks` must be a bool tensor \(N, 1, H, W\), got a float32 tensor"),
        (lambda a, m: (a, m[:, 0]), r"`masks` must be a bool tensor \(N, 1, H, W\), got a bool tensor of shape"),
    ],
)
def test_mistakes_are_told(score, change, message):
    with pytest.raises(ValueError, match=message):
        score(*change(*drawn(2)))


def test_a_wrong_tolerance_is_told():
    with pytest.raises(ValueError, match="`tolerance` must be an integer of at least 0, got -1"):
        pointing_game(*drawn(2), tolerance=-1)
