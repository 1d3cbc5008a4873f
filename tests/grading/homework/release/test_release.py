"""The release: no solution gets out, equal masters give equal bytes, each language and variant is whole."""

import io
import json
import re

import pytest
from PIL import Image

from grading.homework.exercises import EXERCISES
from grading.homework.questions import Question, chosen
from grading.homework.release import cells
from grading.homework.release import notebooks as release
from grading.homework.release.cells import Options, Package, stubbed
from grading.platforms.roster import Person, read_roster, variant_of
from grading.words import Text
from hw_xai.errors import UserError

MASTER = '''# %% [markdown] lang="en"
# Slopes

# %% [markdown] lang="zh-TW"
# 斜率

# %% exercise="saliency"
def saliency(model, inputs, target):
    """What to do."""
    # BEGIN SOLUTION
    the_secret = model(inputs)
    return the_secret
    # END SOLUTION

# %% check="saliency"
check("saliency", saliency)

# %% picture="saliency"
inputs

# %% [markdown] questions="1-2"
'''


@pytest.fixture(autouse=True)
def master(tmp_path, monkeypatch):
    """One small master, its picture and two questions."""
    path = tmp_path / "2_gradients.py"
    path.write_text(MASTER, encoding="utf-8")
    Image.new("RGB", (4, 4)).save(tmp_path / "saliency.jpg")
    options = {key: Text(f"the {key}", f"{key}項") for key in ("first", "second", "third", "fourth")}
    table = {
        f"Q{n}": Question(f"Q{n}", "2_gradients", Text(f"Why {n}?", f"為何 {n}？"), options, n == 2) for n in (1, 2)
    }
    monkeypatch.setattr(release, "MASTERS", tmp_path)
    monkeypatch.setattr(cells, "PICTURES", tmp_path)
    monkeypatch.setattr(release, "PICTURES", tmp_path)
    monkeypatch.setattr(cells, "load_questions", lambda: table)
    return path


def text_of(notebook) -> str:
    return "\n".join(cell.source for cell in notebook.cells)


def test_the_solution_becomes_a_stub_with_the_exercises_number(master):
    text = text_of(release.release(master, Options()))
    number = list(EXERCISES).index("saliency") + 1
    assert f'    raise NotImplementedError("Exercise {number}: write saliency here")' in text
    assert "secret" not in text
    assert "SOLUTION" not in text
    assert '"""What to do."""' in text


def test_solved_keeps_the_solution_without_its_marks(master):
    text = text_of(release.release(master, Options(solved=True)))
    assert "    the_secret = model(inputs)\n    return the_secret" in text
    assert "SOLUTION" not in text
    assert "expected picture" not in text


@pytest.mark.parametrize("source", ["x = 1", "# BEGIN SOLUTION\nx\n# END SOLUTION\n# BEGIN SOLUTION\ny", "# SOLUTION"])
def test_marks_that_do_not_pair_are_refused(source):
    with pytest.raises(ValueError, match="must have one # BEGIN SOLUTION"):
        stubbed(source, "saliency", 1)


def test_a_master_must_name_exercises_of_the_table(master):
    master.write_text(MASTER.replace('exercise="saliency"', 'exercise="saliencyy"'), encoding="utf-8")
    with pytest.raises(ValueError, match="got 'saliencyy'"):
        release.release(master, Options())


def test_two_releases_are_the_same_bytes(master):
    assert release.as_bytes(release.release(master, Options())) == release.as_bytes(release.release(master, Options()))


def test_a_language_leaves_nothing_of_the_other(master):
    english = text_of(release.release(master, Options(language="en")))
    assert not re.search(r"[\u4e00-\u9fff]", english)
    chinese = text_of(release.release(master, Options(language="zh-TW")))
    assert "斜率" in chinese
    assert "為何 1？" in chinese
    assert "Slopes" not in chinese
    assert "Why" not in chinese
    both = text_of(release.release(master, Options()))
    assert "Slopes" in both
    assert "斜率" in both


def test_chinese_lines_are_joined_but_headings_english_and_code_are_not():
    assert release.unbroken("# 標題\n一，\n二\n三 a\nb 四\n\n五") == "# 標題\n一，二三 a\nb 四\n\n五"
    assert release.unbroken("one\ntwo") == "one\ntwo"


def test_points_and_due_are_written(master):
    options = Options(points={"saliency": 7.5}, due="2027-01-31")
    notebook = release.release(master, options)
    (check,) = (cell for cell in notebook.cells if cell.id == "check-saliency")
    assert check.metadata.nbgrader.points == 7.5
    assert "Due: 2027-01-31" in notebook.cells[0].source


@pytest.mark.parametrize(
    "package", [None, Package("kit-1.whl", "0" * 64), Package("kit-1.zip", "0" * 64, "https://example.org/kit-1.zip")]
)
@pytest.mark.parametrize("language", ["en", "zh-TW", "both"])
def test_the_first_cell_installs_a_file_of_known_hash_and_never_a_name(master, package, language):
    source = release.release(master, Options(package=package, language=language)).cells[0].source
    compile(source, "first cell", "exec")
    assert not re.search(r"install.*hw[-_]xai", source)
    assert ("https://example.org" in source) == bool(package and package.url)
    assert ('hexdigest() != "' + "0" * 64 in source) == bool(package)


def test_nothing_is_executed_and_every_id_is_its_own(master):
    notebook = release.release(master, Options())
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)


def test_the_expected_picture_is_folded_below_its_cell(master):
    notebook = release.release(master, Options())
    (place,) = (i for i, cell in enumerate(notebook.cells) if "picture" in cell.metadata)
    assert notebook.cells[place + 1].source.startswith("<details><summary>The expected picture")
    assert "(data:image/jpeg;base64," in notebook.cells[place + 1].source


def test_pictures_are_kept_from_what_a_solved_notebook_drew(master, tmp_path):
    import base64

    notebook = release.release(master, Options(solved=True))
    (cell,) = (cell for cell in notebook.cells if "picture" in cell.metadata)
    drawn = io.BytesIO()
    Image.new("RGB", (1440, 100), "red").save(drawn, "PNG")
    png = {"image/png": base64.b64encode(drawn.getvalue()).decode()}
    cell.outputs = [{"output_type": "display_data", "data": png, "metadata": {}}]
    assert release.keep_pictures(notebook) == [tmp_path / "saliency.jpg"]
    with Image.open(tmp_path / "saliency.jpg") as picture:
        assert picture.size == (720, 50)


def test_the_answers_are_a_plain_dict_of_what_was_asked(master):
    answers = {}
    exec(release.release(master, Options()).cells[-2].source, answers)
    assert answers["answers"] == {"Q1": "", "Q2": ""}


def test_a_variant_shuffles_the_options_and_the_key_follows(master):
    question = cells.load_questions()["Q2"]
    orders = set()
    for variant in range(20):
        text = cells.question_cell(question, Options(language="en", variant=variant)).source
        shown = re.findall(r"- \*\*([A-D])\*\* the (\w+)", text)
        orders.add(tuple(shown))
        assert all(chosen(question, letter, variant) == {name} for letter, name in shown)
    assert len(orders) > 5
    assert text != cells.question_cell(question, Options(language="en")).source


def test_drift_names_what_is_missing_changed_or_old(master, tmp_path):
    folder = tmp_path / "student"
    assert release.drift([master], Options(), folder) == ["2_gradients.ipynb"]
    made = release.write(release.as_bytes(release.release(master, Options())), folder / "2_gradients.ipynb")
    assert release.drift([master], Options(), folder) == []
    made.write_bytes(made.read_bytes() + b"\n")
    assert release.drift([master], Options(), folder) == ["2_gradients.ipynb"]


def test_the_metadata_is_nbgraders(master):
    notebook = json.loads(release.as_bytes(release.release(master, Options())))
    kinds = {
        cell["metadata"]["nbgrader"]["grade_id"]: cell["metadata"]["nbgrader"]
        for cell in notebook["cells"]
        if "nbgrader" in cell["metadata"]
    }
    assert set(kinds) == {"start", "saliency", "check-saliency", "answers", "submit"}
    assert kinds["saliency"]["solution"]
    assert not kinds["saliency"]["locked"]
    assert kinds["check-saliency"]["grade"]
    assert kinds["check-saliency"]["locked"]


# ------------------------------------------------------------------------------------------------------------- roster


def test_a_roster_is_read_whatever_the_spreadsheet_did(tmp_path):
    path = tmp_path / "roster.csv"
    path.write_bytes("\ufeffname,student\r\n王小明, b01 \r\nAnn,b02@x.tw\r\n".encode())
    assert read_roster(path).people == (Person("b01", "王小明"), Person("b02@x.tw", "Ann"))


CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Homework 1 (55)
,,,,,Manual Posting
    Points Possible,,,,,10.00
"王, 小明",1701,S41047025,41047025s,XAI,9
"Lee, Ann",1702,,ann@x.tw,XAI,
"Chen, Bo",1703,,,XAI,
"Student, Test",1799,,0c1d2e,XAI,
"""


def test_the_gradebook_of_canvas_is_a_roster(tmp_path):
    (tmp_path / "export.csv").write_text("\ufeff" + CANVAS, encoding="utf-8")
    roster = read_roster(tmp_path / "export.csv")
    assert roster.people == (
        Person("41047025s", "王, 小明", "", "1701", "S41047025"),
        Person("ann@x.tw", "Lee, Ann", "ann@x.tw", "1702"),
        Person("1703", "Chen, Bo", "", "1703"),
    )
    assert [roster.ids[alias] for alias in ("s41047025", "1701", "1702")] == ["41047025s", "41047025s", "ann@x.tw"]


def test_an_alias_is_of_one_student_only_and_an_id_comes_first(tmp_path):
    (tmp_path / "roster.csv").write_text("student,canvas_id,email\n1,2,A@x.tw\n2,3,3\n4,5,x\n6,7,5\n")
    roster = read_roster(tmp_path / "roster.csv")
    assert (roster.ids["2"], roster.of_canvas["2"]) == ("2", "1")
    assert (roster.ids["a@x.tw"], roster.ids["3"], roster.ids.get("5")) == ("1", "2", None)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", 'must have a column named "student"'),
        (b"name\nb01\n", 'must have a column named "student"'),
        (b"student\n../b01\n", 'row 2: an id must be letters.*got "../b01"'),
        (b"name,student\nAnn\n", 'row 2: .* got ""'),
        (b"student\nb01\nB01\n", "each student once"),
        (b"student\n\xff\xfe\n", "CSV file in UTF-8"),
        (b"student,canvas_id\nb01,7\nb02,7\n", "each canvas_id once, but 7"),
        (b"Student,ID\n    Points Possible,\n", "gradebook that Canvas exports"),
    ],
)
def test_a_bad_roster_is_told_in_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "roster.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read_roster(path)


def test_a_variant_is_the_students_own_and_the_salts():
    variants = {variant_of(student, salt) for student in ("b01", "b02") for salt in ("", "x")}
    assert len(variants) == 4
    assert variant_of("b01", "x") == variant_of("b01", "x")
    assert min(variants) > 0  # 0 is the order as written
