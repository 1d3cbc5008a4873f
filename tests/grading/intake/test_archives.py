"""Every layout of a download, and every trap in one: whose is what, what is left out, and that nothing is fatal."""

import io
import json
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from grading.intake import archives
from grading.intake.contents import read_submission
from grading.intake.submissions import NOTHING, find_submissions
from grading.platforms.names import RESERVED, safe, unique
from grading.platforms.roster import Person, Roster
from hw_xai.errors import UserError


def ipynb(value: int = 1, **ours) -> bytes:
    source = f"def saliency(model, inputs, target):\n    return {value}"
    cells = [{"cell_type": "code", "source": source}, {"cell_type": "code", "source": f'answers = {{"Q1": "{value}"}}'}]
    return json.dumps({"cells": cells, "metadata": {"hw_xai": ours}}).encode()


def zipped(files: dict[str, bytes | str], **info) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6))
            entry.compress_type = zipfile.ZIP_DEFLATED
            for key, value in info.items():
                setattr(entry, key, value)
            archive.writestr(entry, content)
    return buffer.getvalue()


@pytest.fixture(params=["folder", "zip", "wrapped"])
def download(request, tmp_path):
    """Write files as a folder, a zip, or a zip with all in one folder, which asks what it is; return its path."""

    def write(files: dict[str, bytes]) -> Path:
        if request.param == "folder":
            for name, content in files.items():
                place = tmp_path / "hw9" / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            return tmp_path / "hw9"
        if request.param == "wrapped":
            files = {f"export/{name}": content for name, content in files.items()}
        (tmp_path / "hw9.zip").write_bytes(zipped(files))
        if request.param == "wrapped":
            with pytest.raises(UserError, match="say `layout=.*`whose=ID"):
                find_submissions(tmp_path / "hw9.zip")
        return tmp_path / "hw9.zip"

    return write


def of(*students: str) -> Roster:
    return Roster(tuple(map(Person, students)))


def sources(path: Path, roster=(), layout: str = "") -> dict[str, str]:
    """Return student -> what saliency returns, "" for nobody's."""
    found = find_submissions(path, roster if isinstance(roster, Roster) else of(*roster), layout).submissions
    read = {one.student: read_submission(one, ["saliency"]).sources.get("saliency", "") for one in found}
    return {student: source.rpartition("return ")[2].strip() for student, source in read.items()}


PACKED = zipped({"2_gradients.ipynb": ipynb(3), "manifest.json": b"{}"})


# ------------------------------------------------------------------------------------------------------------- layouts


def test_canvas(download):
    path = download({
        "chenamy_12345_67890_2_gradients.ipynb": ipynb(1),
        "chenamy_12345_67891_5_embeddings-1.ipynb": ipynb(1),
        "wang_LATE_222_333_submission.zip": PACKED,
        "王小明_444_555_homework.ipynb": ipynb(4),
        "lee_666_text.html": b"<p>hello",
    })  # fmt: skip
    found = {one.student: one for one in find_submissions(path, layout="canvas").submissions}
    assert {id: (one.name, one.late, len(one.files)) for id, one in found.items()} == {
        "12345": ("chenamy", False, 2),
        "222": ("wang", True, 1),
        "444": ("王小明", False, 1),
        "666": ("lee", False, 1),
    }
    assert sources(path, layout="canvas") == {"12345": "1", "222": "3", "444": "4", "666": ""}


def test_canvas_without_names(download):
    path = download({"anon_aB3x9_678_a.ipynb": ipynb(1), "LATE_anon_Q_679_a.ipynb": ipynb(2)})
    assert sources(path, layout="canvas") == {"Q": "2", "aB3x9": "1"}
    assert [one.late for one in find_submissions(path, layout="canvas").submissions] == [True, False]


def test_ntu_cool(download):
    path = download({
        "b05902105#_王小明_12345_67890_2_gradients.ipynb": ipynb(1),
        "r11922001#_Ann Lee_222_333_submission.zip": PACKED,
        "第一組#_444_555_a.ipynb": ipynb(5),
        "b01#_李_77_text.html": b"hello",
    })  # fmt: skip
    assert sources(path, layout="cool") == {"b01": "", "b05902105": "1", "r11922001": "3", "第一組": "5"}
    names = {one.student: one.name for one in find_submissions(path, layout="cool").submissions}
    assert names["b05902105"] == "王小明"
    assert names["r11922001"] == "Ann Lee"


@pytest.mark.parametrize("slash", ["/", ""])
def test_moodle(download, slash):
    path = download({
        f"Amy Chen_1234_assignsubmission_file_{slash}2_gradients.ipynb": ipynb(1),
        f"Amy Chen_1234_assignsubmission_onlinetext_{slash}onlinetext.html": b"hello",
        f"王小明_b05902105_777_assignsubmission_file_{slash}submission.zip": PACKED,
    })  # fmt: skip
    assert sources(path, layout="moodle") == {"1234": "1", "777": "3"}
    assert [one.name for one in find_submissions(path, layout="moodle").submissions] == ["Amy Chen", "王小明_b05902105"]
    assert sources(path, ["b05902105"], "moodle") == {"1234": "1", "b05902105": "3"}


METADATA = """---
submission_1:
  :submitters:
  - :name: Amy
    :sid: '100'
    :email: amy@x.tw
  :created_at: 2026-11-01 10:00:00.123456789 Z
  :score: 0.0
submission_2:
  :submitters:
  - :name: Bo
    :email: bo@x.tw
  - :name: Cy
    :sid: 102
  :created_at: !ruby/object:ActiveSupport::TimeWithZone
    utc: 2026-11-02 10:00:00 Z
    zone: !ruby/object:ActiveSupport::TimeZone
      name: Asia/Taipei
submission_3:
  :submitters:
  - :name: Amy
    :sid: '100'
    :email: amy@x.tw
  :created_at: 2026-11-03 10:00:00 +08:00
"""


def test_gradescope(download):
    path = download({
        "submission_metadata.yml": METADATA.encode(),
        "submission_1/2_gradients.ipynb": ipynb(1),
        "submission_2/2_gradients.ipynb": ipynb(2),
        "submission_3/deep/down/2_gradients.ipynb": ipynb(3),
        "submission_4/2_gradients.ipynb": ipynb(4),
    })  # fmt: skip
    assert sources(path, layout="gradescope") == {"100": "3", "102": "2", "bo@x.tw": "2", "submission_4": "4"}
    found = {one.student: one for one in find_submissions(path, layout="gradescope").submissions}
    assert found["100"].submitted.isoformat() == "2026-11-03T10:00:00+08:00"
    assert found["102"].submitted.isoformat() == "2026-11-02T10:00:00+00:00"
    assert "2 submissions came from you; the newest is graded: submission_3" in found["100"].remarks[0].en
    assert sources(path, ["bo", "amy@x.tw"], "gradescope") == {
        "102": "2",
        "amy@x.tw": "3",
        "bo": "2",
        "submission_4": "4",
    }


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"[]",
        b"a: [",
        b"\xff\xfe",
        b"submission_1: 5",
        b"? [a]\n: b",
        b"a: &a [*a]",
        b"submission_1:\n  :submitters: [3, {}]",
        b"!!python/object/apply:os.system [ls]",
    ],
)
def test_strange_metadata_is_not_fatal(tmp_path, metadata):
    (tmp_path / "submission_1").mkdir()
    (tmp_path / "submission_1" / "a.ipynb").write_bytes(ipynb(1))
    (tmp_path / "submission_metadata.yml").write_bytes(metadata)
    assert sources(tmp_path) == {"submission_1": "1"}


def test_plain(download):
    path = download({
        "b01.ipynb": ipynb(1),
        "b02.zip": PACKED,
        "b03/2_gradients.ipynb": ipynb(3),
        "b03/more/5_embeddings.ipynb": ipynb(3),
        "b04/submission.zip": zipped({"inner.zip": PACKED}),
        "b05.py": b"def saliency(): return 5",
        "b06.pdf": b"%PDF",
    })  # fmt: skip
    intake = find_submissions(path, layout="folders")
    assert sources(path, layout="folders") == {"b01": "1", "b02": "3", "b03": "3", "b04": "3", "b05": "5"}
    assert [remark.en for remark in intake.remarks] == ["b06.pdf belongs to no submission"]
    assert find_submissions(path, of("b06"), "folders").submissions[-1].files


def test_the_notebooks_of_one_student(tmp_path):
    (tmp_path / "b07").mkdir()
    for name in ("2_gradients.ipynb", "5_embeddings.ipynb", "notes.txt"):
        (tmp_path / "b07" / name).write_bytes(ipynb(7))
    assert sources(tmp_path / "b07") == {"b07": "7"}
    assert sources(tmp_path) == {"b07": "7"}
    (tmp_path / "b08.zip").write_bytes(PACKED)
    assert sources(tmp_path / "b08.zip") == {"b08": "3"}


def test_the_newest_of_several_counts(tmp_path):
    (tmp_path / "b01.ipynb").write_bytes(ipynb(1))
    (tmp_path / "B01.zip").write_bytes(zipped({"a.ipynb": ipynb(2)}))
    os.utime(tmp_path / "b01.ipynb", (2e9, 2e9))
    os.utime(tmp_path / "B01.zip", (1e9, 1e9))
    assert sources(tmp_path) == {"b01": "1"}
    os.utime(tmp_path / "b01.ipynb", (1e8, 1e8))
    assert sources(tmp_path) == {"B01": "2"}
    assert "newest is graded" in find_submissions(tmp_path).submissions[0].remarks[0].en


# -------------------------------------------------------------------------------------------------------------- roster


def test_a_roster_adds_who_is_missing_and_reports_who_is_unknown(tmp_path):
    for name in ("B01", "x9"):
        (tmp_path / f"{name}.ipynb").write_bytes(ipynb(1))
    intake = find_submissions(tmp_path, of("b01", "b02"))
    assert [one.student for one in intake.submissions] == ["b01", "b02", "x9"]
    assert intake.submissions[1].remarks == (NOTHING,)
    assert "x9 is nobody on the roster" in intake.remarks[0].en
    missing = read_submission(intake.submissions[1], ["saliency"])
    assert (missing.sources, missing.answers, missing.remarks) == ({}, {}, (NOTHING,))


def test_nobody_hands_in_for_somebody_else(tmp_path):
    """A student's own file name, metadata or name of Moodle gives no claim to another one's id."""
    (tmp_path / "eve_66_67_b02.ipynb").write_bytes(ipynb(6, student="b02"))
    assert sources(tmp_path, ["b02"]) == {"66": "6", "b02": ""}
    eve = tmp_path / "Eve b02x_66_assignsubmission_file_"
    bob = tmp_path / "Bob b02x_67_assignsubmission_file_"
    for n, folder in enumerate((eve, bob)):
        folder.mkdir()
        (folder / "a.ipynb").write_bytes(ipynb(n))
    (tmp_path / "eve_66_67_b02.ipynb").unlink()
    assert sources(tmp_path, ["b02x"]) == {"66": "0", "67": "1", "b02x": ""}
    (tmp_path / "b02x.ipynb").write_bytes(ipynb(5))
    assert sources(tmp_path, ["b02x"]) == {"66": "0", "67": "1", "b02x": "5"}


WANG = Person("41047025s", "王小明", "wang@x.tw", "1701", "S41047025")
ROSTER = Roster((WANG, Person("1702", "李大華", canvas_id="1703"), Person("b03", "陳一")))


def test_canvas_names_students_by_its_own_numbers(download):
    """李大華's student number is Canvas's number of a stranger, who does not get it."""
    path = download({
        "王小明_1701_90_2_gradients.ipynb": ipynb(1, student="41047025s", variant=5),
        "林外人_1702_91_2_gradients.ipynb": ipynb(2),
        "李大華_LATE_1703_92_2_gradients.ipynb": ipynb(3),
    })  # fmt: skip
    assert sources(path, ROSTER, "canvas") == {"1702": "3", "1702-2": "2", "41047025s": "1", "b03": ""}
    intake = find_submissions(path, ROSTER, "canvas")
    assert [remark.en for remark in intake.remarks] == ["1702 林外人 is nobody on the roster: graded all the same"]
    assert [(one.student, one.platform_id) for one in intake.submissions] == [
        ("1702", "1703"), ("1702-2", "1702"), ("41047025s", "1701"), ("b03", ""),
    ]  # fmt: skip
    wang = read_submission(intake.submissions[2], ["saliency"], variant=5)
    assert (wang.student, wang.platform_id, wang.remarks) == ("41047025s", "1701", ())


def test_a_student_may_come_under_several_names(tmp_path):
    for n, name in enumerate(("Wang@x.tw", "s41047025", "1701", "41047025S")):
        (tmp_path / f"{name}.ipynb").write_bytes(ipynb(n))
        os.utime(tmp_path / f"{name}.ipynb", (1e9 + n, 1e9 + n))
    intake = find_submissions(tmp_path, Roster((WANG,)))
    assert intake.remarks == ()
    assert sources(tmp_path, Roster((WANG,))) == {"41047025s": "3"}
    assert "4 submissions came from you" in intake.submissions[0].remarks[0].en


def test_what_was_made_for_another_student_is_told(tmp_path):
    (tmp_path / "b01.ipynb").write_bytes(ipynb(1, student="b02", variant=5))
    (found,) = find_submissions(tmp_path).submissions
    read = read_submission(found, ["saliency"])
    assert "made for b02" in read.remarks[0].en
    assert read.variant == 5
    read = read_submission(found, ["saliency"], variant=6)
    assert read.variant == 6
    assert "another order" in read.remarks[1].en


# --------------------------------------------------------------------------------------------------------------- traps


@pytest.mark.parametrize(
    "name",
    [
        "/etc/b01.ipynb",
        "../b01.ipynb",
        "b01/../../x.ipynb",
        "C:\\b01.ipynb",
        "b01/a\x01.ipynb",
        "b01/" + "x" * 400 + ".ipynb",
        "b01\\..\\..\\x.ipynb",
    ],
)
def test_names_that_escape_are_told_and_not_read(tmp_path, name):
    (tmp_path / "d.zip").write_bytes(zipped({name: ipynb(1), "b02.ipynb": ipynb(2)}))
    read = [read_submission(one, ["saliency"]) for one in find_submissions(tmp_path / "d.zip").submissions]
    assert [one.student for one in read if one.sources] == ["b02"]
    (other,) = (one for one in read if not one.sources)
    assert "was left out" in other.remarks[0].en


def test_junk_is_passed_over(download):
    junk = [
        "__MACOSX/._b01.ipynb",
        "b01/.ipynb_checkpoints/a.ipynb",
        "b01/.DS_Store",
        "Thumbs.db",
        "b01/__pycache__/a.py",
    ]
    path = download({"b01/2_gradients.ipynb": ipynb(1), "b02.ipynb": ipynb(2)} | {name: ipynb(9) for name in junk})
    intake = find_submissions(path, layout="folders")
    assert [len(one.files) for one in intake.submissions] == [1, 1]
    assert intake.remarks == ()


def test_links_are_told_and_not_followed(tmp_path):
    (tmp_path / "b01").mkdir()
    (tmp_path / "secret.ipynb").write_bytes(ipynb(1))
    (tmp_path / "b01" / "a.ipynb").symlink_to(tmp_path / "secret.ipynb")
    (tmp_path / "b02").symlink_to(tmp_path / "b01")
    os.mkfifo(tmp_path / "b01" / "b.ipynb")
    assert sources(tmp_path)["b01"] == ""
    (tmp_path / "d.zip").write_bytes(zipped({"b03/a.ipynb": "/etc/passwd"}, external_attr=(stat.S_IFLNK | 0o777) << 16))
    (found,) = find_submissions(tmp_path / "d.zip").submissions
    assert "a link" in read_submission(found, ["saliency"]).remarks[0].en


def bomb() -> bytes:
    return zipped({"2_gradients.ipynb": b" " * 40_000_000})


def encrypted() -> bytes:
    content = bytearray(PACKED)
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    return bytes(content)


def promises_less() -> bytes:
    """The directory says ten bytes, the data has more."""
    content = bytearray(PACKED)
    struct.pack_into("<I", content, content.index(b"PK\1\2") + 24, 10)
    return bytes(content)


def damaged() -> bytes:
    content = bytearray(PACKED)
    content[60] ^= 0xFF
    return bytes(content)


def bzipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("2_gradients.ipynb", ipynb(1))
    return buffer.getvalue()


def nested() -> bytes:
    content = PACKED
    for _ in range(6):
        content = zipped({"a.zip": content})
    return content


def crowded() -> bytes:
    return zipped({f"{n}.txt": b"" for n in range(archives.MOST_INSIDE + 1)})


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (bomb, "expands more than"),
        (encrypted, "encrypted"),
        (promises_less, "damaged inside its zip"),
        (damaged, "damaged inside its zip"),
        (bzipped, "unusual way"),
        (nested, "zip in a zip"),
        (crowded, "more than 2000 files"),
        (lambda: b"PK\3\4 no zip", "a damaged zip"),
        (lambda: b"", "a damaged zip"),
        (lambda: PACKED[:-10], "a damaged zip"),
    ],
)
def test_a_bad_zip_costs_its_student_only(tmp_path, make, why):
    (tmp_path / "b01.zip").write_bytes(make())
    (tmp_path / "b02.zip").write_bytes(PACKED)
    bad, good = (read_submission(one, ["saliency"]) for one in find_submissions(tmp_path).submissions)
    assert not bad.sources
    assert why in bad.remarks[0].en
    assert good.sources
    assert good.remarks == ()


def test_many_large_files_are_read_up_to_the_limit(tmp_path, monkeypatch):
    content = zipped({f"{n}.ipynb": ipynb(n) for n in range(40)})
    monkeypatch.setattr(archives, "MOST_BYTES", len(content) + 3000)
    (tmp_path / "b01.zip").write_bytes(content)
    (found,) = find_submissions(tmp_path).submissions
    read = read_submission(found, ["saliency"])
    assert read.sources
    assert any("MB in all" in remark.en for remark in read.remarks)
    assert len(read.remarks) <= 30


@pytest.mark.parametrize("encoding", ["utf-8", "cp950"])
def test_names_of_old_programs_are_read(tmp_path, encoding):
    content = zipped({"XXXXXX_444_555_a.ipynb": ipynb(4)})
    name = "王小明".encode(encoding)[:6].ljust(6, b"x")
    (tmp_path / "d.zip").write_bytes(content.replace(b"XXXXXX", name))
    (found,) = find_submissions(tmp_path / "d.zip").submissions
    assert found.name.startswith("王小" if encoding == "utf-8" else "王小明")


@pytest.mark.parametrize(
    "id", ["../../x", "con", "NUL.txt", "a b/c", "", "...", "-rf", "é" * 200, "王小明", "a\0b", "\ud800", "=1+1"]
)
def test_every_id_becomes_a_safe_name(id):
    from grading.platforms.roster import STUDENT

    assert STUDENT.fullmatch(safe(id))
    assert len(safe(id)) <= 65
    assert safe(id).casefold().partition(".")[0] not in RESERVED
    assert unique("B01", ["b01", "b01-2"]) == "B01-3"


@pytest.mark.parametrize("twin", ["B10.", "b10 ", "\u202eb10"])
def test_nobody_takes_the_id_of_another_by_an_odd_one(tmp_path, twin):
    for name, value in ((twin, 1), ("b10", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "2_gradients.ipynb").write_bytes(ipynb(value))
    alone = read_submission(find_submissions(tmp_path / "b10").submissions[0], []).digest
    both = {found.student: read_submission(found, []).digest for found in find_submissions(tmp_path).submissions}
    assert len(both) == 2
    assert both["b10"] == alone


def test_the_digest_is_of_what_was_handed_in(tmp_path):
    for name, value in (("b01", 1), ("b02", 1), ("b03", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.ipynb").write_bytes(ipynb(value))
    one, same, other = (read_submission(found, []).digest for found in find_submissions(tmp_path).submissions)
    assert one == same != other


def test_the_assistants_mistakes_are_one_sentence(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    (tmp_path / "b.zip").write_bytes(PACKED[:-10])
    with pytest.raises(UserError, match="there is no"):
        find_submissions(tmp_path / "nothing")
    for name in ("a.pdf", "b.zip"):
        with pytest.raises(UserError, match="must be a folder or a zip"):
            find_submissions(tmp_path / name)
