"""Fetching from mirrors that fail in every way a mirror fails."""

import errno
import hashlib
import io
import os
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from hw_xai.errors import UserError
from hw_xai.files import shipped
from hw_xai.vision import mirror
from hw_xai.vision.food11 import Food11
from hw_xai.vision.mirror import fetch, read_manifest


def archive() -> bytes:
    """Return a zip of three photos and enough noise for it to break off in the middle."""
    photo, out = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 8)).save(photo, "jpeg")
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("food11/padding.txt", os.urandom(1000))
        for name in ("training/0_0", "training/10_2", "validation/3_1"):
            packed.writestr(f"food11/{name}.jpg", photo.getvalue())
    return out.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Serves the archive under paths that are named after what goes wrong."""

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append((self.path, asked))
        content, start = server.content, int(asked[6:-1]) if asked else 0
        match self.path:
            case "/gone":
                return self.send_error(404)
            case "/silent":
                return time.sleep(1)
            case "/page":
                return self.answer(200, b"<html>The file moved</html>", kind="text/html")
            case "/short":
                return self.answer(200, b"something else")
            case "/wrong":
                return self.answer(200, content[::-1])
            case "/endless":
                return self.answer(200, content + b"and more", length=False)
            case "/other-range":
                return self.answer(206, content, range_=f"bytes 0-{len(content) - 1}/{len(content)}")
            case "/breaks-without-ranges":
                return self.answer(200, content, sent=len(content) // 2)
            case "/no-ranges":
                return self.answer(200, content)
            case "/stuck":
                sent = 0 if start else 100
            case "/breaks":  # a third of the file each time
                sent = len(content) // 3
            case "/redirect":
                self.send_response(302)
                self.send_header("Location", "/good")
                self.end_headers()
                return None
            case _:
                sent = len(content)
        range_ = f"bytes {start}-{len(content) - 1}/{len(content)}" if asked else None
        return self.answer(206 if asked else 200, content[start:], sent, range_=range_)

    def answer(
        self, status: int, body: bytes, sent: int | None = None, kind: str = "application/zip",
        range_: str | None = None, length: bool = True,
    ) -> None:  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length:
            self.send_header("Content-Length", str(len(body)))
        if range_:
            self.send_header("Content-Range", range_)
        self.end_headers()
        self.wfile.write(body[:sent])


@pytest.fixture
def server(monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "*")
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.content, served.asked = archive(), []
    served.url = f"http://127.0.0.1:{served.server_port}"
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def manifest(server: ThreadingHTTPServer, tmp_path: Path, *paths: str, **changed: object) -> Path:
    entry = {"name": "food11.zip", "size": len(server.content), "sha256": hashlib.sha256(server.content).hexdigest(),
             "urls": [server.url + path for path in paths]} | changed  # fmt: skip
    rows = "\n".join(f"{key} = {value!r}" for key, value in entry.items() if value is not None)
    path = tmp_path / "mirrors.toml"
    path.write_text(f"[[file]]\n{rows}\nwhat = 'photos'\nlicence = 'mine'\n")
    return path


@pytest.mark.parametrize(
    "paths",
    [["/good"], ["/redirect"], ["/breaks"], ["/no-ranges"], ["/gone", "/good"], ["/page", "/good"], ["/short", "/good"],
     ["/wrong", "/good"], ["/endless", "/good"], ["/stuck", "/good"], ["/breaks-without-ranges", "/good"],
     ["/breaks-without-ranges", "/no-ranges"], ["/stuck", "/other-range", "/good"], ["/stuck", "/wrong", "/breaks"]],
)  # fmt: skip
def test_the_first_good_mirror_wins(tmp_path, server, paths):
    (report,) = fetch("all", tmp_path / "data", manifest(server, tmp_path, *paths), progress=False)
    assert report.photos == 3
    assert report.root == tmp_path / "data/food11"
    assert os.listdir(tmp_path / "data") == ["food11"]
    assert Food11(tmp_path / "data").targets == [0, 10]


def test_a_broken_connection_is_taken_up_where_it_broke(tmp_path, server):
    fetch("food11.zip", tmp_path / "data", manifest(server, tmp_path, "/breaks"), progress=False)
    third = len(server.content) // 3
    assert server.asked[:3] == [("/breaks", None), ("/breaks", f"bytes={third}-"), ("/breaks", f"bytes={2 * third}-")]


def test_a_later_run_takes_up_the_part(tmp_path, server):
    with pytest.raises(UserError, match="no mirror gave food11.zip .*/stuck: it breaks off.*run it again"):
        fetch("all", tmp_path / "data", manifest(server, tmp_path, "/stuck"), progress=False)
    assert os.listdir(tmp_path / "data") == ["food11.zip.part"]
    server.asked.clear()
    fetch("all", tmp_path / "data", manifest(server, tmp_path, "/good"), progress=False)
    assert server.asked == [("/good", "bytes=100-")]


@pytest.mark.parametrize("part", [b"garbage", b"garbage" * 10_000, "whole", "as long"])
@pytest.mark.parametrize("path", ["/good", "/no-ranges"])
def test_any_part_left_behind_ends_well(tmp_path, server, part, path):
    (tmp_path / "data").mkdir()
    left = {"whole": server.content, "as long": server.content[::-1]}.get(part, part)
    (tmp_path / "data/food11.zip.part").write_bytes(left)
    (report,) = fetch("all", tmp_path / "data", manifest(server, tmp_path, path), progress=False)
    assert report.photos == 3
    assert (server.asked == []) == (part == "whole")


def test_a_web_page_does_not_cost_the_part(tmp_path, server):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/food11.zip.part").write_bytes(server.content[:200])
    with pytest.raises(UserError, match="it sent a web page.*has 14 bytes, not .*HTTP 404"):
        fetch("all", tmp_path / "data", manifest(server, tmp_path, "/page", "/short", "/gone"), progress=False)
    assert (tmp_path / "data/food11.zip.part").read_bytes() == server.content[:200]


def test_wrong_bytes_never_get_a_name(tmp_path, server):
    with pytest.raises(UserError, match="/wrong: its file has another sha256"):
        fetch("all", tmp_path / "data", manifest(server, tmp_path, "/wrong"), progress=False)
    assert os.listdir(tmp_path / "data") == []


def test_silence_is_not_waited_for(tmp_path, server, monkeypatch):
    monkeypatch.setattr(mirror, "TIMEOUT", 0.05)
    (report,) = fetch("all", tmp_path / "data", manifest(server, tmp_path, "/silent", "/good"), progress=False)
    assert report.photos == 3
    with pytest.raises(UserError, match="/silent: .*timed out"):
        fetch("all", tmp_path / "more", manifest(server, tmp_path, "/silent"), progress=False)


def test_a_full_disk_is_told_and_no_other_mirror_is_asked(tmp_path, server, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(mirror, "_append", full)
    with pytest.raises(UserError, match="disk of .* is full: free some space and run it again"):
        fetch("all", tmp_path / "data", manifest(server, tmp_path, "/good", "/good"), progress=False)


def test_no_server_at_all_is_told(tmp_path, server):
    listed = manifest(server, tmp_path, urls=["http://127.0.0.1:9/food11.zip", "http://[bad/food11.zip"])
    with pytest.raises(UserError, match="refused.*hw-xai data import ARCHIVE"):
        fetch("all", tmp_path / "data", listed, progress=False)


def test_what_has_been_imported_is_not_fetched_again(tmp_path, server):
    listed = manifest(server, tmp_path, "/good")
    fetch("all", tmp_path / "data", listed, progress=False)
    server.asked.clear()
    assert fetch("all", tmp_path / "data", listed, progress=False) == []
    assert server.asked == []


def test_a_download_can_be_shown(tmp_path, server, capsys):
    fetch("all", tmp_path / "data", manifest(server, tmp_path, "/breaks"), progress=True)
    assert "food11.zip: 100%" in capsys.readouterr().err


# ---- the manifest


def test_the_shipped_manifest_promises_nothing(tmp_path):
    assert read_manifest(shipped("MANIFEST.toml")) == []
    with pytest.raises(UserError, match="lists no mirror.*--manifest COPY.*hw-xai data import ARCHIVE"):
        fetch("all", tmp_path)


def test_the_example_in_the_shipped_manifest_is_one(tmp_path):
    text = shipped("MANIFEST.toml").read_text(encoding="utf-8")
    example = "\n".join(line[4:] for line in text.splitlines() if line.startswith("#   "))
    path = tmp_path / "mirrors.toml"
    path.write_text(example.replace("…64 digits…", "0" * 64), encoding="utf-8")
    (listed,) = read_manifest(path)
    assert listed.name == "food11.zip"
    assert len(listed.urls) == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", "../food11.zip"), ("name", "/food11.zip"), ("name", "a\\b.zip"), ("name", ".zip"), ("name", ""),
     ("name", None), ("size", -1), ("size", "1"), ("size", None), ("sha256", "abc"), ("sha256", None), ("urls", []),
     ("urls", None),
     ("urls", ["file:///etc/passwd"]), ("urls", ["ftp://host/food11.zip"]), ("urls", "http://host/food11.zip"),
     ("urls", ["http://host/food 11.zip"])],
)  # fmt: skip
def test_an_entry_that_cannot_be_is_told(tmp_path, server, key, value):
    listed = manifest(server, tmp_path, "/good", **{key: value})
    with pytest.raises(UserError, match=f'{key} in entry 1 of ".*mirrors.toml" must be '):
        fetch("all", tmp_path / "data", listed, progress=False)


@pytest.mark.parametrize("content", ["no toml", "file = 1", "file = [1]"])
def test_a_manifest_that_is_none_is_told(tmp_path, content):
    (tmp_path / "mirrors.toml").write_text(content)
    with pytest.raises(UserError, match="mirrors.toml"):
        read_manifest(tmp_path / "mirrors.toml")
    with pytest.raises(UserError, match="cannot be read"):
        read_manifest(tmp_path / "none.toml")


def test_an_unknown_name_is_told(tmp_path, server):
    with pytest.raises(UserError, match='name must be all or one of food11.zip, got "food12.zip".*Did you mean'):
        fetch("food12.zip", tmp_path, manifest(server, tmp_path, "/good"))
