"""Importing an archive: every good kind arrives whole, every bad one leaves nothing behind."""

import bz2
import errno
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from hw_xai.errors import UserError
from hw_xai.vision.food11 import archive as module
from hw_xai.vision.food11.archive import import_archive
from hw_xai.vision.food11.layout import Food11

MIB = 2**20


def jpeg(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(buffer, "jpeg")
    return buffer.getvalue()


FILES = {
    "food11/manifest.csv": b"name,class\n",
    "food11/training/0_0.jpg": jpeg(),
    "food11/training/10_2.jpg": jpeg("blue"),
    "food11/validation/3_1.jpg": jpeg("green"),
}


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as out:
        for name, content in files.items():
            out.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w", special: tarfile.TarInfo | None = None) -> Path:
    with tarfile.open(path, mode) as out:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
        if special:
            out.addfile(special)
    return path


def refused(path: Path, tmp_path: Path, match: str, **options) -> None:
    """The import raises one sentence and leaves the folder of the target as it was."""
    target = tmp_path / "there" / "food11"
    target.parent.mkdir(exist_ok=True)
    with pytest.raises(UserError, match=match) as caught:
        import_archive(path, target, progress=False, **options)
    assert "\n" not in str(caught.value)
    assert list(target.parent.iterdir()) == []
    assert not (tmp_path / "escaped.jpg").exists()


# ---- good archives


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_every_kind_arrives_whole(tmp_path, kind):
    name = tmp_path / "download.bin"  # the content tells the kind, not the name
    path = zipped(name, FILES) if kind == "zip" else tarred(name, FILES, "w:" + kind[4:])
    report = import_archive(path, tmp_path / "data/food11", progress=False)
    assert (report.photos, report.splits, report.set_aside) == (3, {"training": 2, "validation": 1}, None)
    assert str(report).startswith("3 photos (training 2, validation 1) are in ")
    got = {f"food11/{p.relative_to(report.root).as_posix()}": p.read_bytes() for p in report.root.rglob("*.*")}
    assert got == FILES
    assert Food11(tmp_path / "data/food11").targets == [0, 10]
    assert Food11(tmp_path, "valid").targets == [3]
    assert os.listdir(tmp_path / "data") == ["food11"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_zip_compression_is_read(tmp_path, compression):
    assert import_archive(zipped(tmp_path / "a.zip", FILES, compression), tmp_path / "to", progress=False).photos == 3


def test_a_split_alone_is_not_unwrapped(tmp_path):
    report = import_archive(zipped(tmp_path / "a.zip", {"training/0_0.jpg": jpeg()}), tmp_path / "to", progress=False)
    assert report.splits == {"training": 1}
    assert (tmp_path / "to/training/0_0.jpg").is_file()


def test_loose_photos_arrive_too(tmp_path):
    report = import_archive(zipped(tmp_path / "a.zip", {"0_0.jpg": jpeg(), "cat.png": b"x"}), tmp_path / "to")
    assert (report.photos, report.splits) == (2, {})
    assert Food11(tmp_path / "to", "photos").targets == [0, -1]


def test_two_copies_side_by_side_arrive(tmp_path):
    files = {f"{name}/training/0_0.jpg": jpeg() for name in ("food11", "food11-small")}
    assert import_archive(zipped(tmp_path / "a.zip", files), tmp_path / "to", progress=False).photos == 2


def test_litter_of_a_mac_stays_behind(tmp_path):
    litter = ("__MACOSX/food11/training/._0_0.jpg", "food11/.DS_Store", "food11/training/._0_0.jpg")
    files = FILES | dict.fromkeys(litter, b"x")
    assert import_archive(zipped(tmp_path / "a.zip", files), tmp_path / "zip", progress=False).photos == 3
    assert import_archive(tarred(tmp_path / "a.tar", files), tmp_path / "tar", progress=False).photos == 3
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith("._") or path.name == "__MACOSX"]


def test_backslashes_of_a_windows_zip_are_folders(tmp_path):
    files = {name.replace("/", "\\"): content for name, content in FILES.items()} | {"food11\\empty\\": b""}
    report = import_archive(zipped(tmp_path / "a.zip", files), tmp_path / "to", progress=False)
    assert report.splits == {"training": 2, "validation": 1}


def test_an_empty_folder_is_filled_and_a_full_one_is_not(tmp_path):
    path, target = zipped(tmp_path / "a.zip", FILES), tmp_path / "to"
    target.mkdir()
    import_archive(path, target, progress=False)
    with pytest.raises(UserError, match="must be new or empty"):
        import_archive(path, target, progress=False)


def test_force_moves_the_earlier_folder_aside(tmp_path):
    path, target = zipped(tmp_path / "a.zip", FILES), tmp_path / "to"
    target.mkdir()
    (target / "thesis.txt").write_text("only copy")
    report = import_archive(path, target, force=True, progress=False)
    assert (tmp_path / "to.old/thesis.txt").read_text() == "only copy"
    assert report.set_aside == tmp_path / "to.old"
    assert "the earlier folder is now" in str(report)
    assert import_archive(path, target, force=True, progress=False).set_aside == tmp_path / "to.old1"


def test_a_failing_force_puts_the_earlier_folder_back(tmp_path, monkeypatch):
    path, target = zipped(tmp_path / "a.zip", FILES), tmp_path / "to"
    target.mkdir()
    (target / "thesis.txt").write_text("only copy")
    rename = Path.rename

    def failing(self, other):
        if self.name == "food11":
            raise OSError(errno.EIO, "broken disk")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(UserError, match="could not be unpacked.*broken disk"):
        import_archive(path, target, force=True, progress=False)
    assert sorted(os.listdir(tmp_path)) == ["a.zip", "to"]
    assert (target / "thesis.txt").read_text() == "only copy"


def test_the_folder_is_open_to_others_like_any_new_folder(tmp_path):
    (tmp_path / "plain").mkdir()
    for files in (FILES, {"0_0.jpg": jpeg()}):
        report = import_archive(zipped(tmp_path / "a.zip", files), tmp_path / str(len(files)), progress=False)
        assert report.root.stat().st_mode == (tmp_path / "plain").stat().st_mode


# ---- attacks


@pytest.mark.parametrize(
    "name",
    ["../escaped.jpg", "a/../../escaped.jpg", "/tmp/escaped.jpg", "//escaped.jpg", "..\\escaped.jpg",
     "a\\..\\..\\escaped.jpg", "C:\\escaped.jpg", "C:escaped.jpg", "a/C:/escaped.jpg", "\\\\host\\share\\escaped.jpg"],
)  # fmt: skip
def test_names_that_lead_out_are_refused(tmp_path, name):
    files = {"training/0_0.jpg": jpeg(), name: jpeg()}
    for path in (zipped(tmp_path / "a.zip", files), tarred(tmp_path / "a.tgz", files, "w:gz")):
        refused(path, tmp_path, "only hold files inside its own folder.*do not trust it")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    member = tarfile.TarInfo("training/evil.jpg")
    member.type, member.linkname = kind, "../../secret"
    refused(tarred(tmp_path / "a.tar", FILES, special=member), tmp_path, "is a link or device: do not trust it")


def test_links_in_a_zip_are_refused(tmp_path):
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
            member = zipfile.ZipInfo("training/evil.jpg")
            member.external_attr = (kind | 0o777) << 16
            out.writestr(member, "/etc/passwd")
        refused(tmp_path / "a.zip", tmp_path, "is a link or device")


@pytest.mark.parametrize("pack", [zipped, lambda path, files: tarred(path, files, "w:gz")])
def test_bombs_are_refused(tmp_path, pack):
    path = pack(tmp_path / "bomb", {"0_0.jpg": bytes(20 * MIB)})
    assert path.stat().st_size < MIB
    refused(path, tmp_path, "unpack to at most 0.00977 GiB, but it unpacks to more", max_bytes=10 * MIB)


def test_a_zip_that_lies_about_its_sizes_writes_no_more_than_it_says(tmp_path):
    path = zipped(tmp_path / "bomb.zip", {"0_0.jpg": bytes(20 * MIB)})
    true, false = (20 * MIB).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(true, false))
    refused(path, tmp_path, "damaged or cut off", max_bytes=10 * MIB)


def test_what_is_counted_is_what_comes_out(tmp_path, monkeypatch):
    """Even were all declared sizes small, the written bytes are held to the limit."""
    path = zipped(tmp_path / "bomb.zip", {"0_0.jpg": bytes(20 * MIB)})
    monkeypatch.setattr(module, "_zip_members", lambda *_: iter([("0_0.jpg", io.BytesIO(bytes(20 * MIB)))]))
    refused(path, tmp_path, "unpacks to more", max_bytes=10 * MIB)


def test_a_sparse_tar_is_counted_by_what_it_unpacks_to(tmp_path):
    member = tarfile.TarInfo("0_0.jpg")
    member.type, member.size = tarfile.GNUTYPE_SPARSE, 0
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386:398] = b"%011o\0" % 0  # one empty piece ...
    header[483:495] = b"%011o\0" % (4 * 2**30)  # ... of a file of 4 GiB
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(header + bytes(10240))
    refused(tmp_path / "a.tar", tmp_path, "unpacks to more", max_bytes=MIB)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_tar_header_that_would_fill_the_memory_is_refused(tmp_path, kind):
    member = tarfile.TarInfo("header")
    member.type, member.size = kind, 64 * MIB
    with gzip.open(tmp_path / "a.tar.gz", "wb", 1) as out:
        out.write(member.tobuf())
        out.write(bytes(64 * MIB))
    refused(tmp_path / "a.tar.gz", tmp_path, "unpacks to more")


def test_padding_that_never_ends_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILES", 10)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(tarred(tmp_path / "a.tar", FILES).read_bytes() + bytes(20 * MIB)))
    refused(tmp_path / "a.tar.gz", tmp_path, "unpacks to more", max_bytes=MIB)


def test_folders_without_end_in_a_tar_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILES", 10)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as out:
        for number in range(5000):
            member = tarfile.TarInfo(f"{number}")
            member.type = tarfile.DIRTYPE
            out.addfile(member)
    refused(tmp_path / "a.tar.gz", tmp_path, "unpacks to more", max_bytes=MIB)


def test_files_without_end_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILES", 2)
    refused(zipped(tmp_path / "a.zip", FILES), tmp_path, "at most 2 files")


def test_a_password_is_told(tmp_path):
    path = zipped(tmp_path / "a.zip", FILES)
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the first file's own header and in the directory's
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    refused(path, tmp_path, "must be without a password")


def test_an_unknown_compression_is_told(tmp_path):
    path = zipped(tmp_path / "a.zip", FILES)
    content = bytearray(path.read_bytes())
    content[8] = content[content.index(b"PK\x01\x02") + 10] = 9  # Deflate64, which only Windows writes
    path.write_bytes(content)
    refused(path, tmp_path, "must use a common compression")


def test_a_name_given_twice_is_told(tmp_path):
    path = zipped(tmp_path / "a.zip", {"0_0.jpg": b"first", "0_1.jpg": b"second"})
    path.write_bytes(path.read_bytes().replace(b"0_1.jpg", b"0_0.jpg"))
    refused(path, tmp_path, 'holds "0_0.jpg" twice')
    refused(zipped(tmp_path / "b.zip", {"a": b"x", "a/0_0.jpg": b"x"}), tmp_path, "could not be unpacked")


# ---- damage


@pytest.mark.parametrize("mode", ["zip", "w:", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("kept", [0.98, 0.5, 0.05])
def test_an_archive_cut_off_is_told(tmp_path, mode, kept):
    noise = {f"training/0_{number}.jpg": os.urandom(3000) for number in range(10)}
    path = zipped(tmp_path / "a", noise) if mode == "zip" else tarred(tmp_path / "a", noise, mode)
    content = path.read_bytes()
    if mode == "w:":
        content = content.rstrip(b"\0")  # a tar's last kilobytes are padding
    path.write_bytes(content[: int(len(content) * kept)])
    refused(path, tmp_path, "damaged or cut off")


@pytest.mark.parametrize("mode", ["zip", "w:gz", "w:bz2", "w:xz"])
def test_a_flipped_bit_is_told(tmp_path, mode):
    noise = {f"training/0_{number}.jpg": os.urandom(3000) for number in range(10)}
    path = zipped(tmp_path / "a", noise) if mode == "zip" else tarred(tmp_path / "a", noise, mode)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    refused(path, tmp_path, "damaged or cut off")


def test_a_broken_header_in_a_tar_is_not_its_end(tmp_path):
    path = tarred(tmp_path / "a.tar", FILES)
    content = bytearray(path.read_bytes())
    content[content.index(b"food11/validation")] ^= 4
    path.write_bytes(content)
    refused(path, tmp_path, "does not end as a tar does")


@pytest.mark.parametrize("content", [b"", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"<html>not found</html>", b"PK"])
def test_what_is_no_archive_is_told(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", tmp_path, "but is neither|damaged")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_file_that_is_no_tar_is_told(tmp_path, pack):
    (tmp_path / "a.tar.gz").write_bytes(pack(b"only text " * 100))
    refused(tmp_path / "a.tar.gz", tmp_path, "damaged")


def test_an_archive_without_photos_is_told(tmp_path):
    refused(zipped(tmp_path / "a.zip", {"notes.txt": b"x"}), tmp_path, "must hold photos, but it holds none")
    refused(zipped(tmp_path / "b.zip", {}), tmp_path, "must hold photos, but it holds none")


def test_a_missing_archive_is_told(tmp_path):
    refused(tmp_path / "none.zip", tmp_path, "but there is no such file")
    refused(tmp_path, tmp_path, "but there is no such file")


def test_a_target_that_cannot_be_is_told(tmp_path):
    path = zipped(tmp_path / "a.zip", FILES)
    with pytest.raises(UserError, match="must be new or empty"):
        import_archive(path, path, progress=False)
    with pytest.raises(UserError, match="could not be unpacked"):
        import_archive(path, path / "below" / "a" / "file", progress=False)


# ---- stops


class StoppingFile(io.BytesIO):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def read(self, size: int = -1) -> bytes:
        raise self.error


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    full = StoppingFile(OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr(module, "_zip_members", lambda *_: iter([("0_0.jpg", io.BytesIO(b"x")), ("0_1.jpg", full)]))
    refused(zipped(tmp_path / "a.zip", FILES), tmp_path, "disk of .* is full: free some space")


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    stopped = StoppingFile(KeyboardInterrupt())
    monkeypatch.setattr(module, "_zip_members", lambda *_: iter([("0_0.jpg", io.BytesIO(b"x")), ("0_1.jpg", stopped)]))
    (tmp_path / "there").mkdir()
    with pytest.raises(KeyboardInterrupt):
        import_archive(zipped(tmp_path / "a.zip", FILES), tmp_path / "there/food11", progress=False)
    assert list((tmp_path / "there").iterdir()) == []


def test_the_real_archive(tmp_path):
    folder = os.environ.get("HW_XAI_PHOTOS")
    if not folder:
        pytest.skip("HW_XAI_PHOTOS names no folder of real photos")
    report = import_archive(Path(folder, "food11_photos.zip"), tmp_path / "food11", progress=False)
    assert (report.photos, report.splits) == (27658, {"training": 26338, "validation": 1320})
    data = Food11(tmp_path, "valid")
    assert data.targets == sorted(data.targets)
    assert data[0][0].size == (64, 64)
