"""What the teaching assistant downloaded: a folder or a zip of untrusted files, listed and read, never extracted.

covers: sizes, ratios and numbers (bombs), nesting, encryption, names that escape, links and devices, names in old
    encodings or of control characters. What is left out is told; a broken file costs itself only.
does not cover: what stands in the files.
"""

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from hw_xai.errors import UserError

from ..platforms.layouts import LONGEST_NAME
from ..words import Text
from .notebook import LARGEST, shown

MOST_MEMBERS = 200_000  # of the whole download
MOST_INSIDE = 2_000  # of one zip that a student made
MOST_BYTES = 256 * 2**20  # of all that a student handed in, unpacked
RATIO = 300  # bytes from one: notebooks full of spaces reach 50, zeros 1000
DEEPEST = 3  # zips in zips
JUNK = re.compile(
    r"(^|/)(\.(?!\.?/|ipynb_checkpoints/)|__MACOSX(/|$)|__pycache__(/|$)|Thumbs\.db$|desktop\.ini$)", re.IGNORECASE
)
LONGEST_ENTRY = 46 + 3 * LONGEST_NAME + 200  # bytes of a zip's directory for one member
HEADER = struct.Struct("<4s22xHH")  # of a zip's member: magic …, lengths of name and extra field


class Unreadable(ValueError):
    """A file that cannot be used; args[0] says why, as a Text."""


@dataclass(frozen=True)
class Entry:
    """Where a member's bytes stand in its zip."""

    offset: int
    packed: int
    size: int
    method: int
    crc: int


@dataclass(frozen=True)
class File:
    """A file that was handed in; it is read when it is asked for."""

    name: str  # with slashes, below the student's own folder
    path: Path  # of the file, or of the zip that it is in
    entry: Entry | None = None
    size: int = 0
    changed: datetime | None = field(default=None, compare=False)  # local time, as zips and disks keep it
    fault: Text | None = None  # why it cannot be used

    def read(self) -> bytes:
        """Return its bytes; Unreadable where there are none to be had."""
        if self.fault:
            raise Unreadable(self.fault)
        try:
            with self.path.open("rb") as file:
                if self.entry:
                    return member(file, self.entry, self.name)
                content = file.read(LARGEST + 1)
        except OSError as error:
            raise Unreadable(_cannot(self.name, str(error.strerror), "無法讀取")) from None
        if len(content) > LARGEST:
            raise Unreadable(_too_large(self.name))
        return content


def file_data(file: File) -> dict:
    """Return a file, not its content, as what JSON can hold."""
    return asdict(file) | {"path": str(file.path), "changed": file.changed and file.changed.isoformat()}


def file_from(data: Mapping) -> File:
    """Return the file that `file_data` was given."""
    return File(
        data["name"],
        Path(data["path"]),
        data["entry"] and Entry(**data["entry"]),
        data["size"],
        data["changed"] and datetime.fromisoformat(data["changed"]),
        data["fault"] and Text(*data["fault"]),
    )


def files_at(path: Path) -> list[File]:
    """Return the files of a folder or a zip in the order of their names; UserError if it is neither."""
    if not path.exists():
        raise UserError(f"there is no {path}")
    if path.is_dir():
        files = list(_in_folder(path))
    elif zipfile.is_zipfile(path):
        try:
            with path.open("rb") as file:
                files = [replace(one, path=path) for one in members(file, path, MOST_MEMBERS)]
        except (Unreadable, OSError) as error:
            raise UserError(f"{path} must be a zip that can be read: download it again") from error
    else:
        raise UserError(f"{path} must be a folder or a zip of submissions")
    return sorted(files, key=lambda file: file.name)


def _in_folder(path: Path) -> Iterator[File]:
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in [*names, *(one for one in folders if Path(folder, one).is_symlink())]:
            place = Path(folder, name)
            below = place.relative_to(path).as_posix()
            if JUNK.search(below):
                continue
            below = below.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            try:
                its = place.lstat()
            except OSError:
                continue
            fault = (
                None if stat.S_ISREG(its.st_mode) else _cannot(below, "a link or a device, not a file", "不是一般檔案")
            )
            changed = datetime.fromtimestamp(its.st_mtime)
            yield File(_cut(below), place, None, its.st_size, changed, fault or _bad_name(below))


def members(file: BinaryIO, path: Path, most: int = MOST_INSIDE) -> Iterator[File]:
    """Yield the members of a zip; Unreadable if it is none."""
    try:
        _bounded(file, path, most)
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error, IndexError, EOFError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(_cannot(path.name, "a damaged zip", "壓縮檔損壞")) from None
    for info in infos:
        name = _decoded(info).replace("\\", "/")
        if info.is_dir() or name.endswith("/") or JUNK.search(name):
            continue
        entry = Entry(info.header_offset, info.compress_size, info.file_size, info.compress_type, info.CRC)
        yield File(_cut(name), path, entry, info.file_size, _time(info), _fault(info, name))


def _bounded(file: BinaryIO, path: Path, most: int) -> None:
    """Unreadable if a zip's directory is too long, by the record at the zip's end: before the directory is read.

    Read as zipfile reads it, or the look would be worth nothing; by its size, whatever it says of the number of files.
    """
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # private: typeshed has neither it nor its fields
    total, size = zipfile._ECD_ENTRIES_TOTAL, zipfile._ECD_SIZE  # type: ignore[attr-defined]
    if end and (end[total] > most or end[size] > most * LONGEST_ENTRY):
        raise Unreadable(_cannot(path.name, f"a zip of more than {most} files", f"壓縮檔內超過 {most} 個檔案"))


def member(file: BinaryIO, entry: Entry, name: str) -> bytes:
    """Return the bytes of a zip's member, never more than it promised; Unreadable if they are not what it promised."""
    damaged = _cannot(name, "damaged inside its zip", "在壓縮檔內已損壞")
    try:
        file.seek(entry.offset)
        magic, name_length, extra_length = HEADER.unpack(file.read(HEADER.size))
        file.seek(name_length + extra_length, os.SEEK_CUR)
        packed = file.read(entry.packed)
        if magic != b"PK\3\4":
            raise Unreadable(damaged)
        if entry.method == zipfile.ZIP_STORED:
            content = packed
        else:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.size + 1)
    except (zlib.error, struct.error, OSError, ValueError, OverflowError) as error:
        raise (error if isinstance(error, Unreadable) else Unreadable(damaged)) from None
    if len(content) != entry.size or zlib.crc32(content) != entry.crc:
        raise Unreadable(damaged)
    return content


def unpacked(file: File, depth: int = 1) -> Iterator[tuple[str, bytes | Text, datetime | None]]:
    """Yield name, bytes and time of a file, or of all that a zip holds; instead of the bytes, why there are none.

    Names of files that no grader reads come with empty bytes.
    """
    yield from _unpacked(file.name, file.read, file.changed, depth, [MOST_BYTES])


def _unpacked(
    name: str, read: Callable, changed: datetime | None, depth: int, left: list[int]
) -> Iterator[tuple[str, bytes | Text, datetime | None]]:
    try:
        if not name.lower().endswith((".ipynb", ".py", ".zip", ".json")):
            yield name, b"", changed
            return
        content = read()
        left[0] -= len(content)
        if left[0] < 0:
            raise Unreadable(
                _cannot(name, f"more than {MOST_BYTES >> 20} MB in all", f"總共超過 {MOST_BYTES >> 20} MB")
            )
        if not name.lower().endswith(".zip"):
            yield name, content, changed
            return
        if depth > DEEPEST:
            raise Unreadable(_cannot(name, "a zip in a zip in a zip", "壓縮檔層數過多"))
        stream = BytesIO(content)
        for inner in sorted(members(stream, Path(name)), key=lambda one: one.name):
            if inner.fault:
                yield inner.name, inner.fault, None
                continue
            yield from _unpacked(
                inner.name, lambda inner=inner: member(stream, inner.entry, inner.name), inner.changed, depth + 1, left
            )
    except Unreadable as error:
        yield name, error.args[0], None


# --------------------------------------------------------------------------------------------------------------- names


def _decoded(info: zipfile.ZipInfo) -> str:
    """Return a member's name; old programs write it in their own encoding and do not say so."""
    if not info.flag_bits & 0x800:
        for encoding in ("utf-8", "cp950"):
            try:
                return info.filename.encode("cp437").decode(encoding)
            except UnicodeError:
                continue
    return info.filename.encode("utf-8", "replace").decode()


def _time(info: zipfile.ZipInfo) -> datetime | None:
    try:
        return datetime(*info.date_time)
    except ValueError:
        return None


def _fault(info: zipfile.ZipInfo, name: str) -> Text | None:
    mode = info.external_attr >> 16
    if bad := _bad_name(name):
        return bad
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return _cannot(name, "a link or a device, not a file", "不是一般檔案")
    if info.flag_bits & 0x1:
        return _cannot(name, "encrypted; pack it again without a password", "已加密；請不要設定密碼重新壓縮")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return _cannot(
            name, "compressed in an unusual way; pack it again as a plain zip", "壓縮方式特殊；請用一般 zip 重新壓縮"
        )
    if max(info.file_size, info.compress_size) > LARGEST:
        return _too_large(name)
    if info.file_size > RATIO * info.compress_size + 2**16:
        return _cannot(name, f"expands more than {RATIO} times", f"解壓縮後超過 {RATIO} 倍")
    return None


def _bad_name(name: str) -> Text | None:
    if len(name) > LONGEST_NAME or not name.isprintable():
        return _cannot(name, "its name is too long or has signs that cannot be printed", "檔名過長或含有無法顯示的字元")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        return _cannot(name, "its name leads out of the folder", "檔名指向資料夾之外")
    return None


def _cut(name: str) -> str:
    """Return a name without its middle where it is too long, so that nobody looks for an owner in 64 KB."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 20]}…{name[-19:]}"


def _too_large(name: str) -> Text:
    return _cannot(name, f"more than {LARGEST >> 20} MB; clear the outputs", f"超過 {LARGEST >> 20} MB；請清除輸出")


def _cannot(name: str, en: str, zh: str) -> Text:
    return Text(f"{shown(name)} was left out: {en}", f"{shown(name)} 未使用：{zh}")
