"""Nobody but the studio's own pages gets an answer, and nothing that is sent reaches files or other networks."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from hw_xai.errors import UserError
from hw_xai.studio import uploads
from hw_xai.studio.guard import is_loopback
from hw_xai.studio.models import Models
from hw_xai.studio.server import Server, Studio

QUESTION = b"{}"


@pytest.mark.parametrize("path", ["/", "/studio.js", "/api/dish/0", "/nowhere", "/api/about"])
def test_every_answer_has_the_strict_policy(client, path):
    _, headers, _ = client.request(path)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # a name that somebody made point to this machine
        {"Host": "localhost.evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},  # another server on this machine
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors"},
    ],
)
def test_other_sites_are_turned_away(client, headers):
    for path in ("/api/about", "/api/open_dish", "/api/upload"):
        status, _, body = client.request(path, QUESTION, **headers)
        assert status == 403
        assert "the studio answers only" in json.loads(body)["error"]


def test_the_page_itself_and_a_link_to_it_are_let_in(client):
    own = {"Host": f"localhost:{client.server.port}", "Origin": f"http://localhost:{client.server.port}"}
    assert client.request("/api/about", QUESTION, **own, Sec_Fetch_Site="same-origin")[0] == 200
    assert client.request("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py",
        "/..%2fserver.py",
        "/%2e%2e/%2e%2e/pyproject.toml",
        "//etc/passwd",
        "/api/picture/..%2f..%2fetc%2fpasswd",
        "/api/picture/%2fetc%2fpasswd",
        "/api/dish/-1",
        "/api/dish/99",
        "/api/photo/-1",
        "/api/photo/11",
        "/index.html/../../server.py",
    ],
)
def test_no_path_reaches_the_file_system(client, path):
    status, _, body = client.request(path)
    assert status in (400, 404)
    assert set(json.loads(body)) == {"error"}


@pytest.mark.parametrize(
    "name", ["resnet50", "/etc/passwd", "os:getcwd", "data/foodnet-photos.safetensors", "google/vit", None, 3, ["x"]]
)
def test_only_networks_that_were_named_are_opened(client, name):
    said = client.ask("predict", scene={"picture": client.dish(), "model": name})
    assert said["error"].startswith("the network must be one of foodnet-synthetic, ")


def test_what_is_no_photo_or_too_large_is_one_sentence(client, monkeypatch):
    assert "no known image format fits" in client.upload(b"GIF? no")["error"]
    whole = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(whole, "PNG")
    assert "damaged or cut off" in client.upload(whole.getvalue()[:-40])["error"]
    bomb = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(bomb, "PNG")  # 10 KB that would unpack to 243 MB
    assert "must have at most 64 million pixels" in client.upload(bomb.getvalue())["error"]
    import hw_xai.studio.server as server

    monkeypatch.setattr(server, "MOST_BYTES", 1000)
    assert "can be sent at once" in client.upload(bytes(2000))["error"]


def test_a_request_that_is_too_large_is_not_read(client):
    status, _, body = client.request("/api/predict", b" " * (uploads.MOST_REQUEST + 1))
    assert status == 400
    assert "at most 1 MB" in json.loads(body)["error"]


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 10**5, b'{"scene": 3}', b'{"scene": {}}'])
def test_any_body_is_answered_by_a_sentence(client, body):
    for name in ("predict", "regions", "explain"):
        status, _, answer = client.request(f"/api/{name}", body)
        assert status == 400
        assert json.loads(answer)["error"]


@pytest.mark.parametrize(
    "paint",
    [
        "all",
        [{}],
        [{"fill": "x", "side": 8, "bits": ""}],
        [{"fill": "grey", "side": 8, "bits": "AA=="}],
        [{"fill": "grey", "side": 8, "bits": "not base64!"}],
        [{"fill": "grey", "side": 10**9, "bits": ""}],
        [{"fill": "grey", "side": True, "bits": ""}],
        [{"fill": "grey", "side": 1, "bits": "AA=="}] * 25,
        [{"fill": "grey", "side": 1, "bits": "AA=="}, {"fill": "grey", "side": 2, "bits": "AA=="}],
    ],
)
def test_paint_that_is_none_is_one_sentence(client, paint):
    said = client.ask("predict", scene={"picture": client.dish(), "paint": paint})
    assert "the paint" in said["error"]


@pytest.mark.parametrize("target", [-1, 11, "Soup", 2.5, True])
def test_a_class_that_is_none_is_one_sentence(client, target):
    assert "class" in client.ask("predict", scene={"picture": client.dish(), "target": target})["error"]


def test_a_picture_that_is_not_kept_is_one_sentence(client):
    for name in ("", "x" * 1000, None, 7):
        assert "open it again" in client.ask("predict", scene={"picture": name})["error"]


def test_it_listens_to_this_machine_alone_unless_told():
    server = Server(Studio(Models([], "built-in", "cpu")))
    assert server.socket.getsockname()[0] == "127.0.0.1"
    with pytest.raises(UserError, match="`port` must be free on 127.0.0.1, but"):
        Server(server.studio, port=server.port)
    server.socket.close()
    with pytest.raises(UserError, match="`host` must be an address of this machine"):
        Server(server.studio, "nowhere.invalid")
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("192.168.1.7")


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (["--model", "no-such"], 'no model is called "no-such"'),
        (["--port", "99999"], "--port: must be a whole number from 0 to 65535"),
        (["--model", "foodnet-photos", "--model", "foodnet-synthetic", "--classes", "a,b"], "belong to one --model"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(fails, mistake, told):
    assert told in fails("studio", *mistake)
