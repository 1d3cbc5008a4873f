"""Downloads as platforms and people really make them: sections, groups, two versions, autosaved copies, text cells."""

import json
import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from grading.intake.contents import read_submission
from grading.intake.submissions import find_submissions
from grading.platforms.roster import NO_ROSTER, Person, Roster
from hw_xai.errors import UserError

ROSTER = Roster(
    (Person("B01", "王小明", canvas_id="41", moodle_id="880000"), Person("B02", canvas_id="42"), Person("B03"))
)


def ipynb(value: object = 1, cell_type: str = "code") -> bytes:
    source = f"def saliency(model, inputs, target):\n    return {value}"
    about = {"nbgrader": {"grade_id": "saliency", "solution": True}}
    return json.dumps({"cells": [{"cell_type": cell_type, "source": source, "metadata": about}]}).encode()


def packed(path: Path, files: dict[str, bytes], days: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2027, 1, (days or {}).get(name, 5), 12, 0, 0)), content)
    return path


def graded(path: Path, roster: Roster = NO_ROSTER, layout: str = "") -> dict[str, str]:
    found = find_submissions(path, roster, layout).submissions
    read = {one.student: read_submission(one, ["saliency"]).sources.get("saliency", "") for one in found if one.files}
    return {student: source.rpartition("return ")[2].strip() for student, source in read.items()}


@pytest.mark.parametrize("roster", [Roster(), ROSTER], ids=["without a roster", "with one"])
def test_one_folder_too_deep_is_a_class_where_that_is_said(tmp_path, roster):
    names = {"王小明_41_700001_2_gradients.ipynb": ipynb(1), "陳_42_700002_2_gradients.ipynb": ipynb(2)}
    path = packed(tmp_path / "a.zip", {f"submissions/submissions/{name}": its for name, its in names.items()})
    with pytest.raises(UserError, match="in the folder submissions, which may be a class's or one student's"):
        find_submissions(path, roster)
    assert graded(path, roster, "canvas") == ({"B01": "1", "B02": "2"} if roster else {"41": "1", "42": "2"})


def test_sections_are_no_students(tmp_path):
    files = {"A/王小明_41_7_2_gradients.ipynb": ipynb(1), "B/陳_42_8_2_gradients.ipynb": ipynb(2)}
    path = packed(tmp_path / "a.zip", files)
    with pytest.raises(UserError, match="in the folder A"):
        find_submissions(path, ROSTER)
    assert graded(path, ROSTER, "canvas") == {"B01": "1", "B02": "2"}
    ilias = {f"Exercise/Submissions/Last_First_{id}_9/2_gradients.ipynb": ipynb(id[-1]) for id in ("B01", "B02")}
    roster = Roster((Person("B01-x"), Person("B02-x")))
    assert len(graded(packed(tmp_path / "b.zip", ilias), roster, "folders")) == 2


def test_a_student_cannot_hand_in_for_another_from_a_folder_of_their_own(tmp_path):
    files = {"B03/王小明_41_7_2_gradients.ipynb": ipynb(9), "B02/2_gradients.ipynb": ipynb(2)}
    assert graded(packed(tmp_path / "a.zip", files), ROSTER) == {"B02": "2", "B03": "9"}


def test_moodles_numbers_are_known_by_its_worksheet(tmp_path):
    path = packed(tmp_path / "m.zip", {"王小明_880000_assignsubmission_file/2_gradients.ipynb": ipynb(1),
                                       "陳_880009_assignsubmission_file/2_gradients.ipynb": ipynb(2)})  # fmt: skip
    intake = find_submissions(path, ROSTER)
    assert graded(path, ROSTER) == {"B01": "1", "880009": "2"}
    assert intake.strangers == ("880009 陳",)
    assert [one.handle for one in intake.submissions if one.student == "B01"] == [
        "王小明_880000_assignsubmission_file_"
    ]


def test_what_a_partner_handed_in_counts_for_the_group(tmp_path):
    roster = Roster(
        (Person("B01", canvas_id="41", group="red"), Person("B02", canvas_id="42", group="red"), Person("B03"))
    )
    intake = find_submissions(packed(tmp_path / "a.zip", {"red_41_7_2_gradients.ipynb": ipynb(5)}), roster)
    assert graded(tmp_path / "a.zip", roster) == {"B01": "5", "B02": "5"}
    partner = next(one for one in intake.submissions if one.student == "B02")
    assert "handed in by B01" in partner.remarks[-1].en
    assert not partner.platform_id


@pytest.mark.parametrize("newer", ["2_gradients.ipynb", "2_gradients_final.ipynb", "a/2_gradients.ipynb"])
def test_of_two_versions_the_newer_counts(tmp_path, newer):
    files = {
        f"B01/{name}": ipynb(1) for name in ("2_gradients.ipynb", "2_gradients_final.ipynb", "a/2_gradients.ipynb")
    }
    files[f"B01/{newer}"] = ipynb("new")
    files["B02/2_gradients.ipynb"] = ipynb(2)
    path = packed(tmp_path / "a.zip", files, {f"B01/{newer}": 9})
    assert graded(path, ROSTER)["B01"] == "new"
    remarks = read_submission(find_submissions(path, ROSTER).submissions[0], ["saliency"]).remarks
    assert any("the newest is graded" in remark.en and Path(newer).name in remark.en for remark in remarks)


def test_of_two_versions_of_one_time_the_greater_number_counts(tmp_path):
    files = {f"B01/2_gradients ({n}).ipynb": ipynb(n) for n in (2, 10, 9)} | {"B01/2_gradients.ipynb": ipynb(0)}
    files["B02/2_gradients.ipynb"] = ipynb(2)
    assert graded(packed(tmp_path / "a.zip", files), ROSTER)["B01"] == "10"
    canvas = {f"w_41_{n}_2_gradients{s}.ipynb": ipynb(n) for n, s in ((99, ""), (100, "-1"))}
    path = packed(tmp_path / "c.zip", canvas, {"w_41_99_2_gradients.ipynb": 9})  # when it was zipped says nothing
    assert graded(path, ROSTER)["B01"] == "100"
    assert find_submissions(path, ROSTER).submissions[0].tries == 2


def test_autosaved_copies_alone_are_graded_and_told(tmp_path):
    files = {"B01/.ipynb_checkpoints/2_gradients-checkpoint.ipynb": ipynb(3), "B02/2_gradients.ipynb": ipynb(2)}
    files["B02/.ipynb_checkpoints/2_gradients-checkpoint.ipynb"] = ipynb(1)
    path = packed(tmp_path / "a.zip", files)
    assert graded(path, ROSTER) == {"B01": "3", "B02": "2"}
    remarks = read_submission(find_submissions(path, ROSTER).submissions[0], ["saliency"]).remarks
    assert "saves by itself" in remarks[0].en


def test_an_exercise_s_cell_that_became_text_asks_for_a_person(tmp_path):
    path = packed(tmp_path / "a.zip", {"B01/2_gradients.ipynb": ipynb(1, "markdown"), "B02/x.ipynb": ipynb(1)})
    lost, fine = (read_submission(one, ["saliency"]) for one in find_submissions(path, ROSTER).submissions[:2])
    assert "is text (Markdown) now" in lost.asks["saliency"].en
    assert lost.texts["saliency"].startswith("def saliency")
    assert not fine.asks
    assert list(fine.cells["saliency"]) == ["x.ipynb", 1]


def test_the_time_of_a_file_is_that_of_its_place(tmp_path):
    path = packed(tmp_path / "a.zip", {"B01/a.ipynb": ipynb(1), "B02/a.ipynb": ipynb(1)}, {"B01/a.ipynb": 9})
    assert find_submissions(path).submissions[0].files[0].changed == datetime(2027, 1, 9, 12)
