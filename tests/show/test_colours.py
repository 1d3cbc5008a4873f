"""What a scaled number looks like."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from hw_xai.show import overlay, save_picture
from hw_xai.show.frame.colours import LEVELS, NIGHT, PAPER, colour, css_gradient, mute, over, table
from hw_xai.show.frame.images import heatmap_uri, outline, photo_uri, to_rgb

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def luminance(rgb: np.ndarray) -> np.ndarray:
    return rgb[..., :3] @ [0.2126, 0.7152, 0.0722]


def decode(uri: str) -> Image.Image:
    head, data = uri.split(",")
    assert head in ("data:image/png;base64", "data:image/webp;base64")
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("signed", [True, False])
def test_zero_is_transparent_so_that_the_photo_shows(signed):
    assert (colour(np.zeros((2, 2)), signed)[..., 3] == 0).all()
    np.testing.assert_array_equal(overlay(PHOTO, np.zeros((20, 30)), signed), mute(PHOTO, signed))


def test_the_sign_gives_the_side():
    blue, _, red = colour(np.array([[-1.0, 0.0, 1.0]]), signed=True)[0].astype(int)
    assert red[0] > red[2] + 100
    assert blue[2] > blue[0] + 100
    assert red[3] == blue[3] == 255


def test_both_sides_grow_equally_opaque():
    alpha = table(True)[:, 3].astype(int)
    np.testing.assert_array_equal(alpha, alpha[::-1])
    assert (np.diff(alpha[LEVELS // 2 :]) >= 0).all()


def test_the_unsigned_colours_grow_brighter_all_the_way():
    assert (np.diff(luminance(over(table(False), NIGHT))) > -0.5).all()
    assert luminance(over(table(False), NIGHT))[-1] > 220


def test_the_signed_colours_are_lightest_at_zero():
    light = luminance(over(table(True), PAPER))
    assert light.argmax() == LEVELS // 2


def test_the_overlay_must_fit():
    with pytest.raises(ValueError, match=r"`heatmap` must be \(20, 30\) like the image, got the shape \(4, 4\)"):
        overlay(PHOTO, np.zeros((4, 4)), signed=True)


def test_a_heatmap_png_holds_exactly_the_colours():
    scaled = np.linspace(-1, 1, 600).reshape(20, 30)
    np.testing.assert_array_equal(np.asarray(decode(heatmap_uri(scaled, True)).convert("RGBA")), colour(scaled, True))
    unsigned = (scaled + 1) / 2
    decoded = decode(heatmap_uri(unsigned, False)).convert("RGBA")
    np.testing.assert_array_equal(np.asarray(decoded), colour(unsigned, False))


def test_a_noisy_heatmap_stays_small():
    noise = np.random.default_rng(0).uniform(-1, 1, (128, 128))
    assert len(heatmap_uri(noise, True)) < 25_000


def test_a_photo_survives_its_encoding():
    smooth = np.broadcast_to(np.linspace(0, 255, 64)[:, None, None], (64, 64, 3)).astype(np.uint8)
    decoded = np.asarray(decode(photo_uri(smooth)).convert("RGB")).astype(int)
    assert np.abs(decoded - smooth).mean() < 3


def test_css_gradients_end_where_the_table_ends():
    assert css_gradient(True).endswith("#b30d24)")
    assert PAPER in css_gradient(True)
    assert css_gradient(False).startswith(f"linear-gradient(to right,{NIGHT},")


def test_an_image_may_come_in_any_layout():
    np.testing.assert_array_equal(to_rgb(PHOTO), PHOTO)
    np.testing.assert_array_equal(to_rgb(np.moveaxis(PHOTO, -1, 0)), PHOTO)
    np.testing.assert_array_equal(to_rgb(PHOTO / np.float32(255)), PHOTO)
    assert to_rgb(np.eye(4)).shape == (4, 4, 3)
    with pytest.raises(ValueError, match=r"`image` must be .* got the shape \(4, 20, 30\)"):
        to_rgb(np.zeros((4, 20, 30)))


def test_an_outline_goes_around_the_pixels():
    mask = np.zeros((10, 12), dtype=bool)
    mask[2:5, 3:9] = True
    (polygon,) = outline(mask)
    np.testing.assert_allclose(polygon.min(0), [3, 2], atol=0.6)  # it may cut a corner, by less than a pixel
    np.testing.assert_allclose(polygon.max(0), [9, 5], atol=0.6)
    assert outline(np.zeros((4, 4))) == []
    (whole,) = outline(np.ones((4, 5)))
    np.testing.assert_allclose([whole.min(0), whole.max(0)], [[0, 0], [5, 4]], atol=0.6)


def test_a_saved_picture_reads_back(tmp_path):
    path = save_picture(PHOTO, tmp_path / "new" / "photo.png")
    with Image.open(path) as saved:
        np.testing.assert_array_equal(np.asarray(saved), PHOTO)
