"""What is taken away is what was on the screen: the Python makes the same map, the last frame is the method's own."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from hw_xai.explain import METHODS

QUICK = {
    "rise": {"n_samples": 40},
    "shapley": {"n_samples": 100},
    "lime": {"n_samples": 420},
    "smooth_grad": {"n_samples": 6},
    "integrated_gradients": {"n_steps": 6, "method": "trapezoid"},
    "occlusion": {"window": 48, "stride": 40, "fill": "blur"},
}
LOCAL = [name for name, method in METHODS.items() if method.locality == "local"]


def floats(event) -> np.ndarray:
    return np.frombuffer(base64.b64decode(event["values"]), "<f4").reshape(event["shape"])


def the_map(client, scene, method) -> np.ndarray:
    events = client.stream("explain", scene=scene, methods=[method])
    return floats([event for event in events if event["event"] == "map"][-1])


def run(client, scene, method, monkeypatch, folder):
    """Run the Python that makes the same figure and return what it drew."""
    monkeypatch.chdir(folder)
    program = client.ask("python", scene=scene, method=method)["python"]
    found: dict = {}
    exec(compile(program, "kept.py", "exec"), found)
    assert (folder / f"{method['name']}.png").stat().st_size > 2000
    values = found["attribution"][0].detach().float()
    return (values.sum(0) if METHODS[method["name"]].signed else values.amax(0)).numpy(), program


@pytest.mark.slow
@pytest.mark.parametrize("name", LOCAL)
def test_the_python_makes_the_same_map(client, name, monkeypatch, tmp_path):
    method = {"name": name, "options": QUICK.get(name, {})}
    scene = {"picture": client.dish(3)}
    failed = [e for e in client.stream("explain", scene=scene, methods=[method]) if e["event"] == "failed"]
    assert not failed, failed
    expected = the_map(client, scene, method)
    drawn, program = run(client, scene, method, monkeypatch, tmp_path)
    np.testing.assert_allclose(drawn, expected, atol=1e-3 * max(1e-6, np.abs(expected).max()))
    assert len(program.strip().splitlines()) <= 14


@pytest.mark.slow
def test_the_python_of_a_painted_photo_before_a_randomized_network(client, photo, as_bits, monkeypatch, tmp_path):
    opened = client.upload(photo, "my lunch.png")
    photo.save(tmp_path / f"{opened['name']}.jpg", "PNG")  # Pillow looks at the content
    mask = np.zeros((32, 32), bool)
    mask[4:20, 8:24] = True
    paint = [{"fill": "blur", "side": 32, "bits": as_bits(mask)}]
    scene = {"picture": opened["id"], "paint": paint, "randomized": 2, "target": 3}
    method = {"name": "saliency"}
    arrays = client.request("/api/arrays", client.body(scene=scene, methods=[method]))[2]
    (tmp_path / f"{opened['name']}.npz").write_bytes(arrays)
    expected = the_map(client, scene, method)
    drawn, _ = run(client, scene, method, monkeypatch, tmp_path)
    np.testing.assert_allclose(drawn, expected, atol=1e-3 * np.abs(expected).max())
    kept = np.load(io.BytesIO(arrays))
    assert kept["inputs"].shape == (3, 128, 128)
    np.testing.assert_allclose(kept["saliency"].max(0), expected)


def test_the_python_of_a_shipped_photo_reads_that_photo(client, monkeypatch, tmp_path):
    scene, method = {"picture": client.photo(6)}, {"name": "saliency"}
    expected = the_map(client, scene, method)
    drawn, program = run(client, scene, method, monkeypatch, tmp_path)
    assert 'find_photos("shipped-photos")[6]' in program
    np.testing.assert_allclose(drawn, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["smooth_grad", "integrated_gradients", "occlusion"])
def test_the_last_frame_is_the_methods_map(client, name):
    method = {"name": name, "options": QUICK[name]}
    scene = {"picture": client.dish(1)}
    events = client.stream("frames", scene=scene, method=method)
    frames = [event for event in events if event["event"] == "frame"]
    assert len(frames) >= 3
    assert events[-1] == {"event": "end"}, events[-1]
    expected = the_map(client, scene, method)
    np.testing.assert_allclose(floats(frames[-1]), expected, atol=1e-3 * np.abs(expected).max())
    assert np.abs(floats(frames[0]) - expected).max() > 1e-2 * np.abs(expected).max()
    assert all(frame["seen"].startswith("data:image/png") for frame in frames)


def test_what_comes_about_in_one_step_says_so(client):
    (event,) = client.stream("frames", scene={"picture": client.dish()}, method={"name": "saliency"})
    assert "in one step" in event["sentence"]


def test_the_curves_are_those_of_evaluate(client):
    from hw_xai.evaluate import area_under, deletion
    from hw_xai.models import load_model

    scene, method = {"picture": client.dish(4)}, {"name": "saliency"}
    events = client.stream("curves", scene=scene, method=method)
    last = {event["name"]: event for event in events if event["event"] == "curve" and event["final"]}
    assert set(last) == {"deletion", "insertion"}
    loaded = load_model("foodnet-synthetic", device="cpu")
    inputs = loaded.inputs(client.studio.pictures.open(scene["picture"]).image)
    expected = deletion(loaded.model, inputs, METHODS["saliency"].function(loaded.model, inputs))
    assert last["deletion"]["values"] == pytest.approx(expected[0].tolist(), abs=1e-3)
    assert last["deletion"]["area"] == pytest.approx(float(area_under(expected)), abs=1e-3)


def test_picture_animation_and_page_are_files_that_ask_for_nothing(client):
    scene, method = {"picture": client.dish(5)}, {"name": "smooth_grad", "options": {"n_samples": 5}}
    body = client.body(scene=scene, method=method)
    with Image.open(io.BytesIO(client.request("/api/picture", body)[2])) as image:
        assert image.size == (256, 256)
    with Image.open(io.BytesIO(client.request("/api/gif", body)[2])) as image:
        assert (image.format, image.n_frames) == ("GIF", 3)
    page = client.request("/api/page", client.body(scenes=[scene, scene | {"randomized": 1}], methods=[method]))[2]
    assert b"SmoothGrad" in page
    assert b"1 blocks randomized" in page
    assert b'src="http' not in page
    assert b"connect-src" not in page
    assert b"default-src 'none'" in page
