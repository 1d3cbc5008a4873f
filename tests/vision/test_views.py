"""Random views: their shape and range, that the generator alone decides, and that sharpness varies."""

import numpy as np
import pytest
import torch

from hw_xai.vision.views import random_views


def noise(side: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def views(photos: list[np.ndarray], seed: int, size: int = 48) -> torch.Tensor:
    return random_views(photos, size, torch.Generator().manual_seed(seed))


def test_shape_and_range_of_photos_of_several_sizes():
    made = views([noise(64, 0), noise(128, 1), noise(32, 2)], 0)
    assert made.shape == (3, 3, 48, 48)
    assert made.isfinite().all()
    assert made.min() >= 0
    assert made.max() <= 1


def test_the_generator_alone_decides():
    photos = [noise(64, i) for i in range(9)]
    state = torch.get_rng_state()
    one, two, other = views(photos, 0), views(photos, 0), views(photos, 1)
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(state, torch.get_rng_state())


def test_photos_are_left_as_they_were():
    photo = noise(64, 0)
    before = photo.copy()
    views([photo] * 4, 0)
    assert (photo == before).all()


def test_sharpness_tells_nothing():
    # the same noise seen sixteen times: some views keep what others lose
    made = views([noise(64, 0)] * 16, 0)
    detail = (made[..., 1:] - made[..., :-1]).abs().mean((1, 2, 3))
    assert detail.max() > 2 * detail.min()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_photo_of_one_colour_stays_plain(value):
    made = views([np.full((64, 64, 3), value, np.uint8)] * 8, 0)
    assert made.std((2, 3)).max() < 0.02
