"""Bring an archive of food-11 photos into a folder.

Covers: archives from strangers. Names that lead out of the folder, links, devices, encryption, archives that grow past
a limit while they unpack, damaged ones, and a stop at any moment: the folder appears whole or not at all.
Does not cover: what the photos themselves do to a decoder (that is food11.read_photo's part).
"""

import bz2
import errno
import gzip
import lzma
import re
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

from tqdm import tqdm

from ...errors import UserError
from .layout import PHOTO_SUFFIXES, SPLITS, labelled_photos, split_folders

MAX_BYTES = 8 * 2**30
MAX_FILES = 200_000
MAX_HEADER = 2**24  # a tar header that needs more memory than this is an attack
CHUNK = 2**18


@dataclass(frozen=True)
class ImportReport:
    """What an import brought: the folder, its photos, how many in each split, where an earlier folder went."""

    root: Path
    photos: int
    splits: dict[str, int]
    set_aside: Path | None = None

    def __str__(self) -> str:
        each = ", ".join(f"{split} {count}" for split, count in self.splits.items()) or "no training/ or validation/"
        aside = f"; the earlier folder is now {self.set_aside}" if self.set_aside else ""
        return f"{self.photos} photos ({each}) are in {self.root}{aside}"


def import_archive(
    archive: str | Path, root: str | Path, max_bytes: int = MAX_BYTES, force: bool = False, progress: bool = True
) -> ImportReport:
    """Unpack a .zip or .tar (.gz, .bz2, .xz) to the new folder `root`, which Food11 can then read.

    One folder that holds everything else in the archive is left out. `force` moves an earlier `root` aside, it never
    deletes it. UserError for an archive that is damaged, dangerous, unpacks to over `max_bytes`, or holds no photo.
    """
    archive, root = Path(archive).expanduser(), Path(root).expanduser().resolve()
    if not archive.is_file():
        raise UserError(f'"{archive}" must be a zip or tar archive, but there is no such file: check the path')
    with _as_user_errors(archive, root):
        if root.exists() and not force and (not root.is_dir() or any(root.iterdir())):
            raise UserError(
                f'"{root}" must be new or empty, but something is there: name another `root`, or use `force`'
            )
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{root.name}.", dir=root.parent) as temporary:
            unpacked = Path(temporary, "unpacked")
            photos = _unpack(archive, unpacked, max_bytes, progress)
            if not photos:
                raise UserError(f'"{archive}" must hold photos, but it holds none: is it the food-11 archive?')
            set_aside = _put_in_place(_without_wrapping(unpacked), root)
    return ImportReport(root, photos, _count_splits(root), set_aside)


def _count_splits(root: Path) -> dict[str, int]:
    try:
        found = split_folders(root)
    except UserError:  # two copies side by side: Food11 asks which one is meant
        return {}
    return {split: len(labelled_photos(split, folder)) for split, folder in found.items()}


@contextmanager
def _as_user_errors(archive: Path, root: Path) -> Iterator[None]:
    """Tell what goes wrong with a file in one sentence."""
    try:
        yield
    except UserError:
        raise
    except NotImplementedError as error:
        raise UserError(f'"{archive}" must use a common compression, but: {error}; pack it again as zip') from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f'the disk of "{root.parent}" is full: free some space or name another folder') from None
        if error.errno is not None:  # gzip and bz2 tell of damage by an OSError without a number
            raise UserError(f'"{archive}" could not be unpacked to "{root}": {error}') from None
        raise _damaged(archive, error) from None
    except (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, ValueError) as error:
        raise _damaged(archive, error) from None


def _damaged(archive: Path, why: object) -> UserError:
    return UserError(f'"{archive}" must be a whole archive, but it is damaged or cut off ({why}): get it again')


def _unpack(archive: Path, folder: Path, max_bytes: int, progress: bool) -> int:
    """Write every file of the archive into the new `folder`; return how many are photos."""
    folder.mkdir()
    made, written, photos = {folder}, 0, 0
    with archive.open("rb") as file, tqdm(desc=archive.name, unit="file", disable=not progress) as bar:
        members = _zip_members if _kind(file) == "zip" else _tar_members
        for count, (name, content) in enumerate(members(file, archive, max_bytes), 1):
            if count > MAX_FILES:
                raise UserError(f'"{archive}" must hold at most {MAX_FILES} files, but it holds more')
            path = folder / _safe(name, archive)
            if path.parent not in made:
                path.parent.mkdir(parents=True, exist_ok=True)
                made.add(path.parent)
            if path.exists():  # the second would silently win
                raise UserError(f'"{archive}" must hold each file once, but holds "{name}" twice: pack it again')
            with closing(content), path.open("xb") as out:
                while chunk := content.read(CHUNK):
                    written += len(chunk)  # what really comes out: a bomb lies about its sizes
                    if written > max_bytes:
                        raise _too_big(archive, max_bytes)
                    out.write(chunk)
            photos += path.suffix.lower() in PHOTO_SUFFIXES
            bar.update()
    return photos


def _too_big(archive: Path, max_bytes: int) -> UserError:
    return UserError(f'"{archive}" must unpack to at most {max_bytes / 2**30:.3g} GiB, but it unpacks to more')


def _safe(name: str, archive: Path) -> PurePosixPath:
    """Return a member's name as a path that stays below the folder on every system, Windows included."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or any(re.match("[A-Za-z]:", p) for p in path.parts):
        raise UserError(f'"{archive}" must only hold files inside its own folder, but holds "{name}": do not trust it')
    return path


def _kind(file: BinaryIO) -> str:
    """Tell zip and tar apart by what is inside, not by how the file is called."""
    start = file.read(262)
    file.seek(0)
    packed = start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"))
    if packed or start[257:] == b"ustar":
        return "tar"
    if start.startswith(b"PK") or zipfile.is_zipfile(file):
        return "zip"
    raise UserError(f'"{file.name}" must be a .zip or .tar (.gz, .bz2, .xz), but is neither: pack it again as zip')


def _is_litter(name: str) -> bool:
    """What a Mac adds to archives: __MACOSX/, .DS_Store, ._0_1.jpg."""
    parts = name.replace("\\", "/").split("/")
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1] == ".DS_Store"


def _zip_members(file: BinaryIO, archive: Path, max_bytes: int) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(file) as opened:
        members = [member for member in opened.infolist() if not _is_litter(member.filename)]
        if sum(member.file_size for member in members) > max_bytes:
            raise _too_big(archive, max_bytes)
        for member in members:
            if member.flag_bits & 1:
                raise UserError(f'"{archive}" must be without a password, but "{member.filename}" is encrypted')
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _no_link(archive, member.filename)
            if not member.filename.endswith(("/", "\\")):
                yield member.filename, opened.open(member)


def _tar_members(file: BinaryIO, archive: Path, max_bytes: int) -> Iterator[tuple[str, IO[bytes]]]:
    start = file.read(6)
    file.seek(0)
    unpack = next((module.open for magic, module in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ\0", lzma))
                   if start.startswith(magic)), lambda file: file)  # fmt: skip
    guarded: Any = _Guarded(unpack(file), archive, max_bytes)
    with tarfile.open(fileobj=guarded, mode="r:") as opened:
        while member := opened.next():
            opened.members = []  # type: ignore[attr-defined]  # not in typeshed; it would keep every member in memory
            if _is_litter(member.name) or member.isdir():
                continue
            if not member.isreg():
                raise _no_link(archive, member.name)
            if content := opened.extractfile(member):
                yield member.name, content
        if guarded.last != bytes(tarfile.BLOCKSIZE):  # tarfile takes a broken header for the end
            raise _damaged(archive, "it does not end as a tar does")
    while guarded.read(CHUNK):  # the checksum of gzip, bz2 and xz comes last
        pass


def _no_link(archive: Path, name: str) -> UserError:
    return UserError(f'"{archive}" must hold files and folders only, but "{name}" is a link or device: do not trust it')


class _Guarded:
    """A tar's unpacked bytes; stops headers that would fill the memory and padding that would never end."""

    def __init__(self, file: BinaryIO, archive: Path, max_bytes: int) -> None:
        self.file, self.archive, self.max_bytes = file, archive, max_bytes
        self.end = max_bytes + 4096 * MAX_FILES  # files, and a header and padding for each
        self.last = b""  # what was read last

    def tell(self) -> int:
        return self.file.tell()

    def seek(self, position: int) -> int:
        if position > self.end:
            raise _too_big(self.archive, self.max_bytes)
        return self.file.seek(position)

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER or self.file.tell() > self.end:
            raise _too_big(self.archive, self.max_bytes)
        self.last = self.file.read(size)
        return self.last


def _without_wrapping(folder: Path) -> Path:
    """Return the folder inside `folder` when it holds nothing else and is no split itself: food11/ of food11.zip."""
    first, *others = folder.iterdir()
    split = any(first.name.lower() in aliases for aliases in SPLITS.values())
    return folder if others or split or not first.is_dir() else first


def _put_in_place(folder: Path, root: Path) -> Path | None:
    """Rename `folder` to `root`; return where an earlier root went."""
    set_aside = None
    if root.is_dir() and not any(root.iterdir()):
        root.rmdir()
    elif root.exists():
        taken = (root.with_name(f"{root.name}.old{n or ''}") for n in range(10**6))
        set_aside = root.rename(next(path for path in taken if not path.exists()))
    try:
        folder.rename(root)
    except BaseException:
        if set_aside:
            set_aside.rename(root)
        raise
    return set_aside
