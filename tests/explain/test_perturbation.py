"""Occlusion and RISE against slow loops, Captum, and models whose parts count for known amounts."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from torch import Tensor, nn

from hw_xai.core.memory import even_chunks
from hw_xai.explain import METHODS, occlusion, rise
from hw_xai.explain.fills import blurred, inpainted
from hw_xai.explain.perturbation import soft_masks, window_count

close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-12)
almost = partial(torch.testing.assert_close, rtol=0, atol=1e-6, check_dtype=False)  # Captum sums up in float32


@pytest.fixture
def net(small_net) -> nn.Module:
    return small_net.eval().requires_grad_(False)


# ---------------------------------------------------------------------------------------------------------- occlusion


def slow_occlusion(model, x: Tensor, target: int, window: int, stride: int, hide) -> Tensor:
    """One picture (C, H, W), window by window and pixel by pixel: (H, W)."""
    starts = [sorted({*range(0, side - window, stride), side - window}) for side in x.shape[1:]]
    score = model(x[None])[0, target]
    drops = [[[] for _ in range(x.shape[2])] for _ in range(x.shape[1])]
    for top, left in itertools.product(*starts):
        masked = x.clone()
        place = (slice(None), slice(top, top + window), slice(left, left + window))
        masked[place] = hide(x, place)
        drop = score - model(masked[None])[0, target]
        for i, j in itertools.product(range(top, top + window), range(left, left + window)):
            drops[i][j].append(drop)
    return torch.stack([torch.stack([torch.stack(found).mean() for found in row]) for row in drops])


@pytest.mark.parametrize(("window", "stride"), [(5, 3), (4, 4), (16, 1), (7, 5), (1, 1)])
def test_occlusion_is_the_slow_loop(window, stride, net, pictures):
    found = occlusion(net, pictures, 2, window=window, stride=stride)
    assert found.shape == (3, 1, 16, 16)
    for row, x in zip(found[:, 0], pictures, strict=True):
        close(row, slow_occlusion(net, x, 2, window, stride, lambda x, place: 0.0))


FILLS = [
    (0.25, lambda x, place: 0.25),
    (torch.tensor([0.1, 0.5, 0.9])[:, None, None], lambda x, place: torch.tensor([0.1, 0.5, 0.9])[:, None, None]),
    ("channel_mean", lambda x, place: x.mean((1, 2), keepdim=True)),
    ("blur", lambda x, place: blurred(x[None])[0][place]),
    (lambda x, hidden: 1 - x, lambda x, place: 1 - x[place]),
    (lambda x, hidden: hidden.double().mean((1, 2, 3), keepdim=True), lambda x, place: 36 / 256),
]


@pytest.mark.parametrize(("fill", "hide"), FILLS)
def test_every_fill_is_what_the_slow_loop_shows(fill, hide, net, pictures):
    found = occlusion(net, pictures[:2], 2, window=6, stride=5, fill=fill)
    for row, x in zip(found[:, 0], pictures, strict=False):
        close(row, slow_occlusion(net, x, 2, 6, 5, hide))


def test_one_fill_for_each_picture(net, pictures):
    fill = pictures.flip(0)
    found = occlusion(net, pictures, 2, window=8, stride=4, fill=fill)
    for i in range(3):
        close(found[i : i + 1], occlusion(net, pictures[i : i + 1], 2, window=8, stride=4, fill=fill[i]))


@pytest.mark.parametrize(("window", "stride", "same"), [(4, 4, 16), (6, 5, 16), (7, 4, 9), (5, 3, 11)])
def test_occlusion_is_captums_where_no_window_is_cut(window, stride, same, net, pictures):
    """Same on all pixels but those of the last window: Captum cuts it off at the edge, ours is moved back."""
    options = {"sliding_window_shapes": (3, window, window), "strides": (3, stride, stride)}
    expected = Occlusion(net).attribute(pictures, target=2, **options, perturbations_per_eval=16)[:, :1]
    found = occlusion(net, pictures, 2, window=window, stride=stride)
    almost(found[..., :same, :same], expected[..., :same, :same])


def test_a_window_as_a_share_of_each_side(net, pictures):
    wide = torch.cat([pictures, pictures], dim=3)  # 16 × 32
    model = lambda x: net(x[..., :16]) + net(x[..., 16:])  # noqa: E731
    shown = []

    def note(x: Tensor, hidden: Tensor) -> Tensor:
        shown.append(hidden)
        return torch.zeros_like(x)

    assert occlusion(model, wide, 2, window=0.25, stride=0.125, fill=note).shape == (3, 1, 16, 32)
    hidden = torch.cat(shown)
    assert (hidden.any(dim=3).sum(dim=2) == 4).all()
    assert (hidden.any(dim=2).sum(dim=2) == 8).all()
    assert len(hidden) == 3 * window_count((3, 16, 32), 0.25, 0.125) == 3 * 7 * 7


def test_sequences_and_tables_have_windows_too():
    weight = torch.tensor([2.0, -1.0, 0.5]).double()
    sequence = torch.rand(2, 6, 3, generator=torch.Generator().manual_seed(0)).double()
    found = occlusion(lambda x: (x @ weight).sum(1, keepdim=True), sequence, 0, window=1, stride=1)
    close(found, (sequence @ weight)[..., None])
    table = sequence[:, 0]
    close(occlusion(lambda x: (x @ weight)[:, None], table, 0, window=1, stride=1, fill=1.0), (table - 1) * weight)
    means = occlusion(lambda x: x[:, 2, :1], sequence, 0, window=1, stride=1, fill="channel_mean")
    close(means[:, 2, 0], sequence[:, 2, 0] - sequence[..., 0].mean(1))


def test_a_black_box_without_gradient_on_a_planted_pixel():
    picture = torch.full((1, 3, 12, 12), 0.2).double()
    picture[0, 1, 7, 4] = 0.9

    def black_box(x: Tensor) -> Tensor:
        bright = (x.numpy()[:, 1] > 0.8).any(axis=(1, 2))
        return torch.from_numpy(np.stack([~bright, bright], axis=1).astype(float))

    found = occlusion(black_box, picture, None, window=3, stride=1)
    assert found.argmax() == 7 * 12 + 4
    assert found[0, 0, 7, 4] == 1
    assert (found > 0).sum() == 25
    assert rise(black_box, picture, 1, n_samples=500, cells=4).argmax() == 7 * 12 + 4


# -------------------------------------------------------------------------------------------------------------- fills


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (4.5, -2.1), (255, 0), (1e-3, 5)])
def test_inpainting_works_in_the_range_of_the_picture(scale, offset):
    ramp = torch.linspace(0, 1, 32).double().expand(1, 2, 32, 32)
    hidden = torch.zeros(2, 1, 32, 32, dtype=torch.bool)
    hidden[0, :, 10:18, 10:18] = True
    painted = inpainted(scale * ramp + offset, hidden)
    assert painted.shape == (2, 2, 32, 32)
    assert (((painted - offset) / scale - ramp)[0].abs() < 0.15).all()  # OpenCV given 0 to 1 is wrong by 1.4


def test_inpainting_does_not_look_at_what_is_hidden(pictures):
    half = (torch.arange(16) < 8).expand(1, 1, 16, 16)
    other = torch.where(half, pictures.flip(2), pictures)[:1]  # of the same range, other on the left
    almost(inpainted(other, half)[..., :8], inpainted(pictures[:1], half)[..., :8], atol=1e-4)
    everything = torch.ones_like(half)
    almost(inpainted(pictures[:1], everything), pictures[:1].mean((2, 3), keepdim=True).expand(1, 3, 16, 16), atol=1e-4)
    constant = torch.full((1, 3, 16, 16), 0.37).double()
    close(inpainted(constant, half), constant)


def test_blur_leaves_nothing_of_the_size_of_a_window():
    stripes = (torch.arange(64) // 8 % 2).double().expand(1, 3, 64, 64)
    assert (blurred(stripes) - 0.5)[..., 8:-8].abs().max() < 0.1
    constant = torch.full((1, 3, 16, 20), 0.37).double()
    close(blurred(constant), constant)
    picture = torch.rand(1, 1, 9, 12, generator=torch.Generator().manual_seed(0)).double()
    weights = [torch.tensor([[math.exp(-(((i - j) / side * 10) ** 2) / 2) for j in range(side)] for i in range(side)])
               for side in (9, 12)]  # fmt: skip
    down, across = (w.double() / w.double().sum(1, keepdim=True) for w in weights)
    almost(blurred(picture), down @ picture @ across.T)


def test_inpainted_occlusion_of_a_smooth_picture_hides_little(net):
    smooth = torch.full((1, 3, 16, 16), 0.4).double()
    close(occlusion(net, smooth, 2, window=4, stride=4, fill="inpaint"), torch.zeros(1, 1, 16, 16).double())


# --------------------------------------------------------------------------------------------------------------- RISE


def test_rise_is_the_sum_of_the_paper_over_its_masks(net, pictures):
    n_samples, p = 25, 0.3
    masks = torch.cat(list(soft_masks(pictures[:1], n_samples, 7, p, 5, even_chunks(n_samples, 4))))
    found = rise(net, pictures, 2, n_samples=n_samples, p=p, seed=5)
    for row, x in zip(found, pictures, strict=True):
        total = sum(net((x * mask)[None])[0, 2] * mask for mask in masks)
        close(row, total / (n_samples * p))


def test_masks_are_enlarged_grids_cut_out_at_random():
    cells, (height, width) = 4, (18, 25)
    x = torch.zeros(1, 3, height, width).double()
    masks = torch.cat(list(soft_masks(x, 60, cells, 0.5, 0, even_chunks(60, 7))))
    assert masks.shape == (60, 1, height, width)
    source = torch.Generator().manual_seed(0)
    uniform = torch.rand((30, 1, cells, cells), generator=source)
    down, across = (torch.randint(side, (30,), generator=source) for side in (5, 7))  # cells of ⌈18/4⌉ × ⌈25/4⌉
    for i, grid in enumerate(uniform):
        for mask, opened in zip(masks[2 * i : 2 * i + 2], (grid < 0.5, 1 - grid < 0.5), strict=True):
            large = nn.functional.interpolate(opened[None].double(), size=(25, 35), mode="bilinear")
            top, left = int(down[i]), int(across[i])
            close(mask, large[0, :, top : top + height, left : left + width])


@pytest.mark.parametrize("p", [0.2, 0.5, 1.0])
def test_masks_are_open_by_p_on_average_and_balanced(p):
    x = torch.zeros(1, 3, 20, 20).double()
    masks = torch.cat(list(soft_masks(x, 2000, 5, p, 0, even_chunks(2000, 100))))
    assert masks.min() >= 0
    assert masks.max() <= 1
    close(masks.mean(dim=0), torch.full((1, 20, 20), p).double(), rtol=0, atol=0.05)
    if p == 0.5:
        close(masks[::2] + masks[1::2], torch.ones(1000, 1, 20, 20).double())
        assert masks[::2].var(dim=0).min() > 0.05


def test_a_constant_score_is_a_constant_map(pictures):
    found = rise(lambda x: torch.full((len(x), 1), 7.0).double(), pictures, 0, n_samples=100)
    close(found, torch.full((3, 1, 16, 16), 7.0).double())


def test_masks_are_streamed_and_batching_changes_none(pictures):
    sizes = [len(masks) for masks in soft_masks(pictures[:1], 8001, 7, 0.5, 0, even_chunks(8001, 16))]
    assert max(sizes) == 16
    assert sum(sizes) == 8001
    alone, together = (torch.cat(list(soft_masks(pictures[:1], 9, 7, 0.5, 0, even_chunks(9, size)))) for size in (1, 9))
    close(alone, together)


def test_rise_and_occlusion_find_the_square(trained_net, squares):
    inputs, places = squares(4, seed=2)
    on_square = (inputs > 0.55).any(dim=1, keepdim=True)
    maps = {
        "rise": rise(trained_net, inputs, places, n_samples=1000),
        "occlusion": occlusion(trained_net, inputs, places, window=4, stride=2),
    }
    for name, found in maps.items():
        for row, mask in zip(found, on_square, strict=True):
            assert row[mask].mean() > row[~mask].mean() + row.std(), name


def test_a_planted_pixel_and_a_planted_channel_of_a_sum():
    """f = 5x + y² + sin z: hiding one of them loses its part."""
    model = lambda rows: 5 * rows[:, :1] + rows[:, 1:2] ** 2 + rows[:, 2:].sin()  # noqa: E731
    inputs = torch.tensor([[1.0, 3.0, 2.0]]).double()
    expected = torch.stack([5 * inputs[:, 0], inputs[:, 1] ** 2, inputs[:, 2].sin()], dim=1)
    close(occlusion(model, inputs, 0, window=1, stride=1), expected)
    green = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0)).double()
    reads_green = lambda x: x[:, 1, 5, 7][:, None]  # noqa: E731
    keep_green = lambda x, hidden: torch.cat([0 * x[:, :1], x[:, 1:2], 0 * x[:, 2:]], dim=1)  # noqa: E731
    assert occlusion(reads_green, green, 0, window=3, stride=1, fill=keep_green).abs().max() == 0
    found = occlusion(reads_green, green, 0, window=1, stride=1)
    assert found.nonzero().tolist() == [[0, 0, 5, 7]]
    close(found[0, 0, 5, 7], green[0, 1, 5, 7])


# ------------------------------------------------------------------------------------------------- passes and mistakes


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("occlusion", {"window": 5, "stride": 3}),
        ("occlusion", {"window": 0.5, "stride": 0.25, "fill": "blur"}),
        ("rise", {"n_samples": 33}),
    ],
)
def test_passes_are_those_of_the_catalog(name, options, net, pictures):
    rows = []
    model = lambda x: (rows.append(len(x)), net(x))[1]  # noqa: E731
    passes = METHODS[name].passes(shape=(3, 16, 16), **options)
    METHODS[name].function(model, pictures, 2, **options)
    assert sum(rows) == 3 * passes.forward
    rows.clear()
    METHODS[name].function(model, pictures, **options)
    assert sum(rows) == 3 * (passes.forward + 1), "one more to predict the class"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 17}, "`window` must be at most 16, the side of the inputs, got 17"),
        ({"window": 4}, "`stride` must be at most the window's 4, so that all is covered, got 8"),
        ({"window": 0}, r"`window` must be an integer of at least 1 or a float in \(0, 1\], .*, got 0"),
        ({"stride": 2.0}, r"`stride` must be an integer of at least 1 or a float in \(0, 1\], .*, got 2.0"),
        ({"window": "big"}, "`window` must be an integer .*, got 'big'"),
        ({"window": True}, "`window` must be an integer .*, got True"),
        ({"fill": "blurr"}, '`fill` must be "zero", .* or a function, got "blurr". Did you mean "blur"?'),
        ({"fill": None}, "`fill` must be a number or a tensor that broadcasts .*, got None"),
        ({"fill": torch.zeros(7)}, "`fill` must be a number or a tensor that broadcasts"),
        ({"fill": float("nan")}, "`fill` must be finite"),
        ({"fill": lambda x, hidden: x[0, 0, 0, :5]}, r"`fill` must be .* tensor of shape \(5,\)"),
    ],
)
def test_mistakes_in_occlusion_are_told(options, message, small_net, pictures):
    with pytest.raises(ValueError, match=message):
        occlusion(small_net, pictures, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "`n_samples` must be an integer of at least 1, got 0"),
        ({"cells": 2.5}, "`cells` must be an integer of at least 1, got 2.5"),
        ({"p": 0}, r"`p` must be a number in \(0, 1\], got 0"),
        ({"p": 1.5}, r"`p` must be a number in \(0, 1\], got 1.5"),
        ({"seed": -1}, "`seed` must be an integer of at least 0, got -1"),
    ],
)
def test_mistakes_in_rise_are_told(options, message, small_net, pictures):
    with pytest.raises(ValueError, match=message):
        rise(small_net, pictures, **options)


def test_fills_and_masks_for_pictures_are_refused_elsewhere():
    table, sequence = torch.zeros(2, 5).double(), torch.zeros(2, 6, 3).double()
    model = lambda x: x.flatten(1)  # noqa: E731
    with pytest.raises(ValueError, match=r'`inputs` must be pictures .* for the fill "inpaint", got 3 dimensions'):
        occlusion(model, sequence, 0, window=1, stride=1, fill="inpaint")
    with pytest.raises(ValueError, match='`inputs` must be inputs with .* for the fill "blur", got 2 dimensions'):
        occlusion(model, table, 0, window=1, stride=1, fill="blur")
    with pytest.raises(ValueError, match=r"`inputs` must be pictures \(N, C, H, W\), got shape \(2, 6, 3\)"):
        rise(model, sequence, 0)
