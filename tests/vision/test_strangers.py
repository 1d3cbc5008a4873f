"""Pictures of no food: enough of them, the same every time, and of the kinds said."""

import numpy as np

from hw_xai.vision.strangers import stranger_pictures


def test_enough_pictures_of_several_kinds():
    pictures = stranger_pictures()
    kinds = {picture.dish.split("/")[0] for picture in pictures}
    assert {"skimage", "sklearn", "drawn"} <= kinds
    assert len(pictures) >= 60
    assert all(p.target == -1 and p.pixels.dtype == np.uint8 for p in pictures)
    assert all(p.pixels.shape[0] == p.pixels.shape[1] <= 128 and p.pixels.shape[2] == 3 for p in pictures)


def test_the_seed_alone_decides_what_is_drawn():
    one, two, other = (stranger_pictures(side=32, n_drawn=10, seed=seed)[-10:] for seed in (0, 0, 1))
    assert all((a.pixels == b.pixels).all() for a, b in zip(one, two, strict=True))
    assert any((a.pixels != b.pixels).any() for a, b in zip(one, other, strict=True))
