"""Rosters as they come: from Excel in any encoding, from Canvas, from Moodle, several about the same people."""

import codecs

import pytest

from grading.platforms.roster import Person, read_roster, read_rosters
from hw_xai.errors import UserError

ROSTER = "student,name,email\nB01,王小明,b01@ntu.edu.tw\nB02,陳怡君,b02@ntu.edu.tw\nB03,陳怡君,b03@ntu.edu.tw\n"
WORKSHEET = (
    "Identifier,Full name,Email address,Status,Grade,Last modified (submission)\n"
    "Participant 880000,王 小明,b01@ntu.edu.tw,Submitted,-,\n"
    "Participant 880001,陳怡君,b03@ntu.edu.tw,Submitted,-,\n"
)


@pytest.mark.parametrize(
    "content",
    [
        ROSTER.encode("utf-8-sig"),
        ROSTER.encode("cp950"),
        codecs.BOM_UTF16_LE + ROSTER.replace(",", "\t").encode("utf-16-le"),
        ROSTER.replace(",", ";").replace("\n", "\r\n").encode(),
        ROSTER.replace("\nB02", "\n,\n,,\n\nB02").encode(),
        ("\n" + ROSTER).encode(),
    ],
    ids=["UTF-8 with a mark", "Big5", "Unicode text", "semicolons", "blank rows", "a blank first row"],
)
def test_what_excel_saves_is_read(tmp_path, content):
    path = tmp_path / "class.csv"
    path.write_bytes(content)
    assert read_roster(path).people[:2] == (
        Person("B01", "王小明", "b01@ntu.edu.tw"),
        Person("B02", "陳怡君", "b02@ntu.edu.tw"),
    )
    assert read_roster(path).students == ["B01", "B02", "B03"]


def test_moodles_worksheet_is_a_roster(tmp_path):
    (tmp_path / "w.csv").write_text(WORKSHEET, encoding="utf-8-sig")
    roster = read_roster(tmp_path / "w.csv")
    assert roster.of_moodle == {"880000": "b01@ntu.edu.tw", "880001": "b03@ntu.edu.tw"}
    text = WORKSHEET.replace("Email address", "學號").replace("Participant ", "參與者").replace("b01@ntu.edu.tw", "B01")
    (tmp_path / "zh.csv").write_text(text.replace("b03@ntu.edu.tw", "B03"), encoding="utf-8-sig")
    assert read_roster(tmp_path / "zh.csv").of_moodle == {"880000": "B01", "880001": "B03"}


@pytest.mark.parametrize(
    "text",
    [
        "學號,姓名,電子郵件\nB01,王小明,b01@ntu.edu.tw\n",
        "姓名,學號,電子郵件\n王小明,B01,b01@ntu.edu.tw\n",
        "First name,全名,ID number,Email address\n小明,王小明,B01,b01@ntu.edu.tw\n",
        "First Name,姓名,SID,Email,Role\n小明,王小明,B01,b01@ntu.edu.tw,Student\n",
        "sep=;\nstudent;name;email\nB01;王小明;b01@ntu.edu.tw\n",
    ],
    ids=["numbers first", "names first", "Moodle's participants", "Gradescope's roster", "a line for Excel"],
)
def test_a_list_that_names_its_columns_otherwise_is_a_roster(tmp_path, text):
    (tmp_path / "class.csv").write_text(text, encoding="utf-8")
    assert read_roster(tmp_path / "class.csv").people == (Person("B01", "王小明", "b01@ntu.edu.tw"),)


def test_several_files_about_the_same_people_are_one_roster(tmp_path):
    (tmp_path / "class.csv").write_text(ROSTER, encoding="utf-8")
    (tmp_path / "w.csv").write_text(WORKSHEET, encoding="utf-8")
    groups = "name,canvas_user_id,user_id,login_id,group_name\n王小明,41,,B01,red\n陳怡君,42,,B02,red\nNobody,9,,x,\n"
    (tmp_path / "groups.csv").write_text(groups, encoding="utf-8")
    roster = read_rosters([tmp_path / name for name in ("class.csv", "w.csv", "groups.csv")])
    assert roster.of_moodle == {"880000": "B01", "880001": "B03"}  # by e-mail: the name of two would not do
    assert roster.groups == {"red": ["B01", "B02"]}
    assert roster.of_canvas == {"41": "B01", "42": "B02"}
    (tmp_path / "other.csv").write_text("student\nZ1\n")
    with pytest.raises(UserError, match="must be about the students of .*class.csv"):
        read_rosters([tmp_path / "class.csv", tmp_path / "other.csv"])


def test_a_name_finds_who_is_alone_with_it(tmp_path):
    (tmp_path / "class.csv").write_text("student,name\nB01,王小明\nB02,陳怡君\nB03,陳怡君\n", encoding="utf-8")
    (tmp_path / "w.csv").write_text(WORKSHEET.replace("b0", "x0"), encoding="utf-8")
    roster = read_rosters([tmp_path / "class.csv", tmp_path / "w.csv"])
    assert roster.of_moodle == {"880000": "B01"}
    assert roster.person("B01").email == "x01@ntu.edu.tw"
