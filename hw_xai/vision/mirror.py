"""Fetch the food-11 archive from the mirrors that a manifest lists, and import it.

Covers: mirrors that are gone, break off, know no ranges, send a web page or other bytes: only what has the size and the
sha256 of the manifest is used. Does not cover a manifest that lies: whoever writes it is trusted.
"""

import errno
import hashlib
import http.client
import re
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ..errors import UserError, nearest
from ..files import shipped
from .archive import ImportReport, import_archive

CHUNK = 2**18
TIMEOUT = 30.0  # seconds without one byte before a mirror counts as gone
TRIES = 3  # broken connections in a row that bring nothing new, before the next mirror


@dataclass(frozen=True)
class Listed:
    """One file of a manifest: what it must be, byte for byte, and where it is to be had."""

    name: str
    size: int
    sha256: str
    urls: tuple[str, ...]


class _MirrorFailed(Exception):
    """This mirror gives nothing usable; the next one may."""


def fetch(name: str, root: str | Path, manifest: str | Path | None = None, progress: bool = True) -> list[ImportReport]:
    """Fetch a file of the manifest, or "all" of them, from the first mirror that works, and import it to root/STEM.

    A broken download stays as root/NAME.part and is taken up again next time; only a verified one is imported.
    What has been imported is not fetched again, and not reported.
    """
    manifest = Path(manifest).expanduser() if manifest else shipped("MANIFEST.toml")
    files = read_manifest(manifest)
    if not files:
        raise UserError(f'"{manifest}" lists no mirror of food-11: add one to a copy of it and pass --manifest COPY, '
                        "or bring the photos in with: hw-xai data import ARCHIVE")  # fmt: skip
    names = [file.name for file in files]
    if name != "all" and name not in names:
        raise UserError(f'name must be all or one of {", ".join(names)}, got "{name}".' + nearest(name, names))
    root = Path(root).expanduser()
    reports = []
    for file in files:
        folder = root / file.name.split(".")[0]
        if name in ("all", file.name) and not (folder.is_dir() and any(folder.iterdir())):
            archive = _download(file, root, progress)
            reports.append(import_archive(archive, folder, progress=progress))
            archive.unlink()
    return reports


def read_manifest(path: Path) -> list[Listed]:
    """Return the files a manifest lists; UserError names the entry that is not as data/MANIFEST.toml explains."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("file", [])
    except (OSError, ValueError) as error:
        raise UserError(f'"{path}" must be a manifest in TOML, but cannot be read: {error}') from None
    if not isinstance(entries, list):
        raise UserError(f'"{path}" must hold entries that begin with [[file]], but file is one value')
    return [_listed(entry, f'entry {number} of "{path}"') for number, entry in enumerate(entries, 1)]


def _listed(entry: object, where: str) -> Listed:
    def must(holds: bool, key: str, what: str) -> None:
        if not holds:
            raise UserError(f"{key} in {where} must be {what}, got {entry.get(key)!r}")

    if not isinstance(entry, dict):
        raise UserError(f"{where} must begin with [[file]], got {entry!r}")
    name, size, sha256, urls = (entry.get(key) for key in ("name", "size", "sha256", "urls"))
    # the name becomes a file's: it must not lead elsewhere
    must(isinstance(name, str) and bool(re.fullmatch(r"\w[\w.-]*", name)), "name", "a plain file name like food11.zip")
    must(type(size) is int and size > 0, "size", "the number of bytes")
    must(isinstance(sha256, str) and bool(re.fullmatch("[0-9a-fA-F]{64}", sha256)), "sha256", "64 hexadecimal digits")
    must(isinstance(urls, list) and bool(urls) and all(re.fullmatch("https?://[!-~]+", str(url)) for url in urls),
         "urls", "a list of http:// or https:// addresses")  # fmt: skip
    return Listed(name, size, sha256.lower(), tuple(urls))


def _download(file: Listed, folder: Path, progress: bool) -> Path:
    """Return the verified file, still called NAME.part, asking one mirror after the other."""
    part = folder / f"{file.name}.part"
    failures = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tqdm(desc=file.name, total=file.size, unit="B", unit_scale=True, disable=not progress) as bar:
            for url in file.urls:
                try:
                    _from_mirror(url, file, part, bar)
                    return part
                except _MirrorFailed as failure:
                    failures.append(f"{url}: {failure}")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f'the disk of "{folder}" is full: free some space and run it again') from None
        raise UserError(f'"{part}" could not be written: {error}') from None
    raise UserError(f"no mirror gave {file.name} ({'; '.join(failures)}): run it again to go on where it broke off, "
                    "or bring the photos in with: hw-xai data import ARCHIVE")  # fmt: skip


def _is_the_file(path: Path, file: Listed) -> bool:
    if _size(path) != file.size:
        return False
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _from_mirror(url: str, file: Listed, part: Path, bar: tqdm) -> None:
    """Complete and verify `part` from one mirror, taking it up again as long as each few tries bring some bytes."""
    most = fruitless = 0
    pure = False  # True: every byte came from this mirror, so a wrong checksum is its fault
    while fruitless < TRIES:
        if _size(part) >= file.size:
            if _is_the_file(part, file):
                return
            part.unlink()
            if pure:
                raise _MirrorFailed("its file has another sha256")
        if _size(part) == 0:
            pure, most = True, 0
        why = _append(url, file, part, bar)
        fruitless = 0 if _size(part) > most else fruitless + 1
        most = max(most, _size(part))
    raise _MirrorFailed(why)


def _append(url: str, file: Listed, part: Path, bar: tqdm) -> str:
    """Ask once for what `part` lacks and write what comes; return why it ended.

    A server may know no ranges (200: from the start). Whether pieces of two mirrors fit together is for the checksum
    to say: If-Range could only compare a server with itself.
    """
    have = _size(part)
    headers = {"User-Agent": "hw-xai"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        raise _MirrorFailed(f"HTTP {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _reason(error)
    with response:
        have = _where_it_starts(response, have, file)  # before the file is touched: a bad answer must not cost it
        with part.open("ab") as out:
            out.truncate(have)
            bar.n = have
            while have <= file.size:
                try:
                    chunk = response.read1(CHUNK)  # read() would drop what came before a break
                except (OSError, http.client.HTTPException) as error:
                    return _reason(error)
                if not chunk:
                    return "it breaks off"
                have += len(chunk)
                out.write(chunk)
                bar.update(len(chunk))
    part.unlink()
    raise _MirrorFailed(f"its file has more than {file.size} bytes")


def _where_it_starts(response: http.client.HTTPResponse, have: int, file: Listed) -> int:
    """Return the position in the file at which the answer begins, or raise when it is not an answer about this file."""
    if response.status == 206 and not (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
        raise _MirrorFailed("it sent another range than asked for")
    if response.headers.get_content_type() == "text/html":  # a dead link often leads to a page that says so, politely
        raise _MirrorFailed("it sent a web page")
    start = have if response.status == 206 else 0
    if response.length is not None and start + response.length != file.size:
        raise _MirrorFailed(f"its file has {start + response.length} bytes, not {file.size}")
    return start


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error or type(error).__name__)
