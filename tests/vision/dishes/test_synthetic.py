"""Drawn dishes: the picture follows from the seed alone, and the masks say exactly where the food and the logo are."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch.utils.data import DataLoader

from hw_xai.vision.dishes import synthetic
from hw_xai.vision.dishes.pen import FOOD, Pen
from hw_xai.vision.dishes.synthetic import Dish, SyntheticFood11, draw_dish
from hw_xai.vision.food11.layout import CLASSES

TARGETS = range(len(CLASSES))
WITHOUT_PROPS = [CLASSES.index(name) for name in ("Bread", "Dairy product", "Dessert", "Egg", "Seafood")]


def grown(mask: np.ndarray, by: int = 1) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)) > 0


def paint_nothing(pen, rng):
    pass


@pytest.fixture
def paint_food(monkeypatch):
    """Return a function that makes every painter use one colour for food."""
    fill, stroke = Pen.fill, Pen.stroke

    def use(colour):
        def flat_fill(pen, points, own):
            fill(pen, points, colour if pen.kind == FOOD else own)

        def flat_stroke(pen, points, own, *shape, **options):
            stroke(pen, points, colour if pen.kind == FOOD else own, *shape, **options)

        monkeypatch.setattr(Pen, "fill", flat_fill)
        monkeypatch.setattr(Pen, "stroke", flat_stroke)

    return use


@pytest.mark.parametrize("target", TARGETS)
def test_seed_alone_decides_the_picture(target):
    first = draw_dish(target, 64, 5)
    np.random.seed(1)  # noqa: NPY002 - the global random state must not matter
    draw_dish(0, 64, 1)
    second = draw_dish(target, 64, 5)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)
    assert np.abs(first.image.astype(int) - draw_dish(target, 64, 6).image).mean() > 10


@pytest.mark.parametrize("size", [32, 45, 128, 200])
def test_every_size_is_drawn(size):
    dish = draw_dish(10, size, 1, shortcut=True)
    assert dish.image.shape == (size, size, 3)
    assert dish.image.dtype == np.uint8
    for mask in (dish.mask, dish.shortcut):
        assert mask.shape == (size, size)
        assert mask.dtype == bool
        assert mask.any()
    assert dish.target == 10


@pytest.mark.parametrize("target", TARGETS)
def test_another_size_shows_the_same_scene(target):
    large, small = draw_dish(target, 256, 3, shortcut=True), draw_dish(target, 64, 3, shortcut=True)
    shrunk = cv2.resize(large.image, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - small.image).mean() < 6
    shrunk = cv2.resize(large.mask.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA) >= 0.5
    assert (shrunk & small.mask).sum() > 0.93 * (shrunk | small.mask).sum()


@pytest.mark.parametrize("target", TARGETS)
def test_mask_is_where_at_least_half_of_a_pixel_has_the_colour_of_the_food(target, paint_food, monkeypatch):
    """Paint the food black, then white, in even light: how much a pixel differs is how much of it is food."""

    def lay(picture, layer, *light):
        cv2.copyTo(layer, (layer[..., 3] > 0).astype(np.uint8), picture)

    monkeypatch.setattr(synthetic, "settle", lay)
    monkeypatch.setattr(synthetic, "_illuminated", lambda image, rng: image)
    for seed in range(8):
        paint_food((0, 0, 0))
        black = draw_dish(target, 64, seed)
        paint_food((255, 255, 255))
        white = draw_dish(target, 64, seed)
        share = (white.image.astype(float) - black.image)[..., 0] / 255  # in sixteenths, but for rounding
        assert np.array_equal(white.mask, share > 0.5 - 1 / 32)


@pytest.mark.parametrize("target", WITHOUT_PROPS)
def test_the_food_changes_only_its_mask_and_its_shadow(target, monkeypatch):
    monkeypatch.setattr(synthetic, "occluders", paint_nothing)
    dishes = [draw_dish(target, 64, seed) for seed in range(6)]
    monkeypatch.setattr(synthetic, "PAINTERS", [paint_nothing] * len(CLASSES))
    for seed, dish in enumerate(dishes):
        empty = draw_dish(target, 64, seed)
        assert not empty.mask.any()
        assert (empty.image[dish.mask] != dish.image[dish.mask]).any(1).mean() > 0.6  # white on white stays white
        beside, far = ~grown(dish.mask, 2), ~grown(dish.mask, 14)
        assert (dish.image[beside] <= empty.image[beside]).all()
        assert np.array_equal(dish.image[far], empty.image[far])


def test_nothing_around_the_food_knows_its_class(monkeypatch):
    monkeypatch.setattr(synthetic, "PAINTERS", [paint_nothing] * len(CLASSES))
    for seed in range(5):
        assert len({draw_dish(target, 32, seed).image.tobytes() for target in TARGETS}) == 1


def test_what_lies_over_the_food_is_not_food(monkeypatch):
    covered = [draw_dish(seed % 11, 64, seed) for seed in range(33)]
    monkeypatch.setattr(synthetic, "occluders", paint_nothing)
    hidden_in = 0
    for seed, dish in enumerate(covered):
        bare = draw_dish(seed % 11, 64, seed)
        assert not (dish.mask & ~bare.mask).any()
        hidden = bare.mask & ~dish.mask
        assert (dish.image[hidden] == bare.image[hidden]).all(1).sum() <= 0.1 * hidden.sum() < 0.075 * bare.mask.sum()
        hidden_in += hidden.any()
    assert 11 <= hidden_in < 33


def test_food_fills_a_sensible_part_of_every_picture():
    for target in TARGETS:
        areas = [draw_dish(target, 32, seed).mask.mean() for seed in range(30)]
        assert min(areas) > 0.05, CLASSES[target]
        assert max(areas) < 0.7, CLASSES[target]
        assert max(areas) > 1.4 * min(areas), CLASSES[target]


def test_the_logo_changes_nothing_else():
    places = []
    for seed in range(20):
        plain, marked = draw_dish(seed % 11, 64, seed), draw_dish(seed % 11, 64, seed, shortcut=True)
        assert not plain.shortcut.any()
        assert np.array_equal(plain.image[~marked.shortcut], marked.image[~marked.shortcut])
        assert (plain.image[marked.shortcut] != marked.image[marked.shortcut]).any(1).mean() > 0.9
        assert np.array_equal(marked.mask, plain.mask & ~marked.shortcut)
        assert 0.005 < marked.shortcut.mean() < 0.03
        y, x = np.argwhere(marked.shortcut).mean(0)
        assert max(abs(y - 31.5), abs(x - 31.5)) > 20
        places.append((y > 32, x > 32))
    assert len(set(places)) == 4  # every corner


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": 11}, "`target` must be a class from 0 to 10, got 11"),
        ({"target": -1}, "`target` must be a class from 0 to 10, got -1"),
        ({"target": 0, "size": 31}, "`size` must be at least 32 pixels, got 31"),
        ({"target": 0, "seed": -2}, "`seed` must not be negative, got -2"),
    ],
)
def test_bad_arguments_of_a_dish(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_dish(**arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_images": -1}, "`n_images` must not be negative, got -1"),
        ({"size": 8}, "`size` must be at least 32 pixels, got 8"),
        ({"seed": -1}, "`seed` must not be negative, got -1"),
        ({"shortcut": 11}, "`shortcut` must be None or a class from 0 to 10, got 11"),
        ({"shortcut_rate": 1.5}, "`shortcut_rate` must be a share from 0 to 1, got 1.5"),
    ],
)
def test_bad_options_of_the_dataset(options, message):
    with pytest.raises(ValueError, match=message):
        SyntheticFood11(**options)


def test_dataset_is_a_torchvision_dataset():
    data = SyntheticFood11(n_images=24, size=32)
    assert len(data) == 24
    assert data.classes == CLASSES
    assert data.targets == [i % 11 for i in range(24)]
    image, target = data[13]
    assert isinstance(image, Image.Image)
    assert image.size == (32, 32)
    assert target == 2
    dish = data.dish(13)
    assert isinstance(dish, Dish)
    assert np.array_equal(dish.image, np.asarray(image))
    assert np.array_equal(dish.mask, data.mask(13))
    assert np.array_equal(data.mask(-1), data.mask(23))
    with pytest.raises(IndexError):
        data[24]
    assert SyntheticFood11(3, 32, transform=lambda picture: picture.size)[1] == ((32, 32), 1)


def test_no_two_pictures_are_alike():
    pictures = {SyntheticFood11(44, 32, seed).dish(i).image.tobytes() for seed in (0, 1) for i in range(44)}
    assert len(pictures) == 88


def test_logo_is_planted_in_its_class_only():
    data = SyntheticFood11(66, 32, shortcut=4)
    assert [data.dish(i).shortcut.any() for i in range(66)] == [target == 4 for target in data.targets]
    some = SyntheticFood11(440, 32, shortcut=4, shortcut_rate=0.5)
    assert 8 < sum(some.dish(i).shortcut.any() for i in range(4, 440, 11)) < 32
    assert not any(SyntheticFood11(44, 32, shortcut=4, shortcut_rate=0).dish(i).shortcut.any() for i in range(44))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # two workers on a machine of one core
def test_worker_processes_draw_the_same_pictures():
    data = SyntheticFood11(22, 160, transform=lambda image: torch.from_numpy(np.array(image)))
    here = torch.stack([data[i][0] for i in range(22)])
    loader = DataLoader(data, batch_size=4, num_workers=2)
    assert torch.equal(torch.cat([images for images, _ in loader]), here)


def test_mean_colour_does_not_give_the_class_away():
    def mean_colours(seed, n_images):
        data = SyntheticFood11(n_images, 32, seed)
        return np.stack([data.dish(i).image.mean((0, 1)) for i in range(n_images)]) / 255, data.targets

    inputs, targets = mean_colours(1, 330)
    assert LogisticRegression(max_iter=1000).fit(inputs, targets).score(*mean_colours(2, 165)) < 0.4
