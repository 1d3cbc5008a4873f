"""What the studio answers is what the library says, for each browser its own; work ends when nobody waits for it."""

import base64
import io
import json
import socket
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image

from hw_xai.explain import METHODS, grad_cam, integrated_gradients, lime, saliency
from hw_xai.models import load_model
from hw_xai.studies.painting import painted
from hw_xai.studio.controls import controls_of, read_options
from hw_xai.studio.kept import Kept
from hw_xai.vision.food11.layout import CLASSES, SHIPPED_PHOTOS, find_photos, target_of
from hw_xai.vision.reading import read_photo

MODEL = "foodnet-synthetic"


@pytest.fixture(scope="module")
def loaded():
    return load_model(MODEL, device="cpu")


def floats(event) -> np.ndarray:
    return np.frombuffer(base64.b64decode(event["values"]), "<f4").reshape(event["shape"])


def test_the_methods_and_their_controls_are_the_catalogs(client):
    methods = {method["name"]: method for method in client.ask("about")["methods"]}
    assert set(methods) == {name for name, method in METHODS.items() if method.locality == "local"}
    controls = {name: {c["name"]: c for c in method["controls"]} for name, method in methods.items()}
    assert controls["smooth_grad"]["n_samples"]["default"] == 50
    assert controls["integrated_gradients"]["method"]["choices"] == ["midpoint", "gauss_legendre", "trapezoid"]
    assert controls["occlusion"]["fill"]["choices"] == ["zero", "channel_mean", "blur", "inpaint"]
    assert controls["occlusion"]["fill"]["number"] == "real"
    assert controls["grad_cam"]["layer"]["layer"]
    assert controls["lime"]["n_features"]["optional"]
    assert not any("batch_size" in c or "progress" in c for c in controls.values())


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.locality == "local"])
def test_a_control_gives_back_its_own_default(name):
    for control in controls_of(METHODS[name]):
        assert control.read(control.default, ["features"]) == control.default
        with pytest.raises(ValueError, match=f"`{control.name}` must be "):
            control.read("nonsense", ["features"])
        with pytest.raises(ValueError, match=f"`{control.name}` must be "):
            control.read(True, ["features"])


def test_what_would_take_too_long_is_refused():
    with pytest.raises(ValueError, match="would take 100,000 passes"):
        read_options("rise", {"n_samples": 100_000}, [], 128)
    with pytest.raises(ValueError, match="has no option 'progress'"):
        read_options("rise", {"progress": True}, [], 128)


def test_an_uploaded_photo_is_what_explain_sees(client, photo, loaded):
    opened = client.upload(photo)
    said = client.ask("predict", scene={"picture": opened["id"]})
    with torch.no_grad():
        expected = loaded(loaded.inputs(photo)).softmax(1)[0]
    assert said["predicted"] == said["target"] == int(expected.argmax())
    assert {c["index"]: c["p"] for c in said["classes"]} == pytest.approx(
        {i: float(p) for i, p in enumerate(expected)}, abs=1e-5
    )
    assert opened["width"] == 160
    assert client.request(f"/api/picture/{opened['id']}")[0] == 200


def test_the_shipped_photos_are_opened_by_number_and_their_thumbnails_keep_nothing(client):
    shipped = client.ask("about")["shipped"]
    paths = find_photos(SHIPPED_PHOTOS)
    assert shipped["photo"] == [CLASSES[target_of(path)] for path in paths]
    assert shipped["dish"][9] == "Soup"
    for number, path in enumerate(paths):
        opened = client.ask("open_photo", photo=number)
        assert opened["true_class"] == shipped["photo"][number]
        kept = client.studio.pictures.open(opened["id"])
        assert np.array_equal(np.asarray(kept.image), np.asarray(read_photo(path)))
    kept = len(client.studio.pictures)
    for kind in ("photo", "dish"):
        status, _, content = client.request(f"/api/{kind}/10")
        assert status == 200
        with Image.open(io.BytesIO(content)) as image:
            assert max(image.size) == 96
    assert len(client.studio.pictures) == kept
    assert client.ask("open_photo", photo=11)["error"] == "the photo must be a number from 0 to 10"
    assert "the photo must be" in client.ask("open_photo", photo="../0_0.jpg")["error"]


def test_maps_are_the_librarys(client, photo, loaded):
    picture = client.upload(photo)["id"]
    asked = [
        {"name": "saliency"},
        {"name": "integrated_gradients", "options": {"n_steps": 8}},
        {"name": "grad_cam", "options": {"layer": "features.8"}},
    ]
    events = client.stream("explain", scene={"picture": picture, "target": 3}, methods=asked)
    found = {event["method"]: floats(event) for event in events if event["event"] == "map"}
    inputs = loaded.inputs(photo)
    expected = {
        "saliency": saliency(loaded.model, inputs, 3)[0].amax(0),
        "integrated_gradients": integrated_gradients(loaded.model, inputs, 3, n_steps=8)[0].sum(0),
        "grad_cam": grad_cam(loaded.model, inputs, 3, layer="features.8")[0, 0],
    }
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-4 * float(values.abs().max()), err_msg=name)
    assert events[-1] == {"event": "end", "target": 3}


def test_what_takes_long_is_estimated_first_and_known_the_second_time(client, loaded):
    picture = client.dish(2)
    asked = [{"name": "lime", "options": {"n_samples": 420}}]
    events = client.stream("explain", scene={"picture": picture}, methods=asked)
    maps = [event for event in events if event["event"] == "map"]
    assert [event["final"] for event in maps] == [False, True]
    assert any(event["event"] == "progress" and 0 < event["done"] <= event["total"] for event in events)
    again = client.stream("explain", scene={"picture": picture}, methods=asked)
    assert [event["event"] for event in again] == ["begin", "map", "end"]
    image = client.studio.pictures.open(picture).image
    with torch.no_grad():
        expected = lime(loaded.model, loaded.inputs(image), n_samples=420)[0, 0]
    np.testing.assert_allclose(floats(maps[1]), expected, atol=1e-4)


def test_a_method_that_cannot_explain_says_so_and_the_others_go_on(client):
    asked = [{"name": "occlusion", "options": {"window": 500}}, {"name": "saliency"}]
    events = client.stream("explain", scene={"picture": client.dish()}, methods=asked)
    (failed,) = [event for event in events if event["event"] == "failed"]
    assert failed["sentence"].startswith("`window` must be at most 128")
    assert [event["method"] for event in events if event["event"] == "map"] == ["saliency"]


def test_paint_is_what_the_network_sees(client, photo, loaded, as_bits):
    picture = client.upload(photo)["id"]
    mask = np.zeros((64, 64), bool)
    mask[10:40, 20:50] = True
    paint = [{"fill": "blur", "side": 64, "bits": as_bits(mask)}, {"fill": "grey", "side": 64, "bits": as_bits(mask.T)}]
    said = client.ask("predict", scene={"picture": picture, "paint": paint})
    masks = torch.from_numpy(np.stack([mask, mask.T]))
    with torch.no_grad():
        expected = loaded(painted(loaded.inputs(photo), masks, ["blur", 0.5])).softmax(1)[0]
    assert {c["index"]: c["p"] for c in said["classes"]} == pytest.approx(
        {i: float(p) for i, p in enumerate(expected)}, abs=1e-5
    )
    assert said["seen"].startswith("data:image/png;base64,")


def test_painted_covers_what_the_mask_covers():
    inputs = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, 1, 2] = True
    seen = painted(inputs, mask, [0.5])
    changed = (seen != inputs).any(1)[0]
    assert changed.nonzero().tolist() == [[2, 4], [2, 5], [3, 4], [3, 5]]
    assert (seen[:, :, changed] == 0.5).all()
    assert torch.equal(painted(inputs, mask[:0], []), inputs)


def test_a_randomized_network_is_another_one(client):
    picture = client.dish()
    trained = client.ask("predict", scene={"picture": picture})
    random = client.ask("predict", scene={"picture": picture, "randomized": 3})
    assert trained["classes"] != random["classes"]
    assert client.ask("predict", scene={"picture": picture}) == trained
    n_blocks = len(client.ask("model", model=MODEL)["blocks"])
    assert f"has {n_blocks} blocks" in client.ask("predict", scene={"picture": picture, "randomized": 99})["error"]


def test_two_browsers_do_not_mix(client):
    pictures = [client.dish(n) for n in range(4)]
    methods = [{"name": "saliency"}, {"name": "smooth_grad", "options": {"n_samples": 4}}]
    found = {}

    def browse(picture: str) -> None:
        events = client.stream("explain", scene={"picture": picture, "target": 1}, methods=methods)
        found[picture] = {event["method"]: floats(event) for event in events if event["event"] == "map"}

    threads = [threading.Thread(target=browse, args=(picture,)) for picture in pictures]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.studio.maps = type(client.studio.maps)(10)  # forget, and ask one after the other
    together = dict(found)
    for picture in pictures:
        browse(picture)
        for name, values in found[picture].items():
            np.testing.assert_allclose(together[picture][name], values, atol=1e-4 * np.abs(values).max(), err_msg=name)
    assert len({picture[:8] for picture in pictures}) == len(pictures)


def test_work_ends_when_the_browser_goes_away(client):
    body = json.dumps({"scene": {"picture": client.dish()}, "methods": [{"name": "rise"}]}).encode()
    with socket.create_connection(("127.0.0.1", client.server.port)) as connection:
        head = f"POST /api/explain HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        connection.settimeout(120)
        seen = b""
        while b"begin" not in seen:
            seen += connection.recv(4096)
        assert client.studio.running
    deadline = time.monotonic() + 60  # of 4,000 passes that take longer
    while client.studio.running:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_is_kept_is_bounded():
    kept: Kept[bytes] = Kept(3, 10, len)
    for i in range(5):
        kept.put(i, b"xx")
    assert [kept.get(i) for i in range(5)] == [None, None, b"xx", b"xx", b"xx"]
    kept.get(2)
    kept.put("heavy", b"x" * 7)
    assert kept.get(2) == b"xx"
    assert kept.get(3) is None
    kept.put("heavier", b"x" * 70)
    assert len(kept) == 1
