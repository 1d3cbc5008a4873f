"""Reading notebooks: any format, encoding and damage; which definition is meant; the answers as data."""

import json
from pathlib import Path

import pytest

from grading.intake import notebook
from grading.intake.notebook import read_notebook


def cell(source, grade_id=None, **more):
    metadata = {"nbgrader": {"grade_id": grade_id}} if grade_id else {}
    return {"cell_type": "code", "source": source, "metadata": metadata, "outputs": []} | more


def ipynb(*cells, **more) -> bytes:
    cells = [cell(one) if isinstance(one, str) else one for one in cells]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4} | more, ensure_ascii=False).encode()


def source_of(*cells, name="saliency") -> str:
    return read_notebook(ipynb(*cells), "2_gradients.ipynb").definition(name).source


F = "def saliency(model, inputs, target):\n    return {}  # 對\n"
STUB = 'def saliency(model):\n    """Doc."""\n    raise NotImplementedError("Exercise 3")'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp950"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_every_encoding_and_line_end_is_read(encoding, ends):
    content = json.dumps(json.loads(ipynb(F.format(1))), indent=1, ensure_ascii=False).replace("\n", ends)
    read = read_notebook(content.encode(encoding), "a.ipynb")
    assert read.definition("saliency").source == F.format(1).strip().removesuffix("  # 對") + "\n"
    assert bool(read.remarks) == (encoding == "cp950")


def test_latin_1_is_read_too():
    assert read_notebook(b'{"cells": [{"source": "x = \'\xe9\xff\'\\ndef f(): pass"}]}', "a.ipynb").definition("f")


@pytest.mark.parametrize(
    "row",
    [
        cell(F.format(1)),
        cell(F.format(1).splitlines(keepends=True)),
        cell(F.format(1), metadata=None),
        cell(F.format(1), metadata=[1], id=5, outputs="none", extra={}),
        {"source": F.format(1)},
        {"cell_type": "code", "input": F.format(1)},
        {"cell_type": "code", "source": [F.format(1), None, 3]},
        cell(F.format(1).replace("\n", "\r\n")),
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_damaged_cells_are_read_as_far_as_they_go(row, old):
    content = {"worksheets": [{"cells": [row, 7]}, None], "nbformat": 3} if old else {"cells": [None, row, []]}
    read = read_notebook(json.dumps(content).encode(), "a.ipynb")
    assert "return 1" in read.definition("saliency").source
    assert "damaged" in read.remarks[0].en


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"cells": 3}', b'{"cells": [[[[', b"\x89PNG", b"[" * 100_000, b'{"a":' * 50_000,
     b"{} trailing", b'{"cells": [,]}', b"\xff\xfe\x00", b'{"cells": [{"source": "\\ud800"}]}', b"1" * 5000],
)  # fmt: skip
def test_what_is_no_notebook_is_told_not_raised(content):
    read = read_notebook(content, "2_gradients.ipynb")
    assert read.definition("saliency") is None
    assert read.answers() == ({}, [])
    assert read.faults() == []
    assert read.cells or read.remarks or b"cells" in content


def test_too_much_is_told(monkeypatch):
    monkeypatch.setattr(notebook, "LARGEST", 1000)
    assert "MB" in read_notebook(b" " * 1001, "a.ipynb").remarks[0].en
    monkeypatch.setattr(notebook, "MOST_ENTRIES", 50)
    assert "too many things" in read_notebook(b"[" * 60, "a.ipynb").remarks[0].en
    monkeypatch.undo()
    monkeypatch.setattr(notebook, "MOST_CELLS", 3)
    assert "2 damaged" in read_notebook(ipynb(*["x"] * 5), "a.ipynb").remarks[0].en


def test_a_name_of_a_file_is_harmless_in_a_sentence():
    remark = read_notebook(b"{", "a\n\x1b[31m" + "b" * 500).remarks[0]
    assert "\n" not in remark.en
    assert "\x1b" not in remark.en
    assert len(remark.en) < 250


# --------------------------------------------------------------------------------------------------- which definition


def test_the_cell_with_the_id_counts_then_the_last():
    assert "return 1" in source_of(cell(F.format(1), "saliency"), F.format(2))
    assert "return 3" in source_of(F.format(1), F.format(2), F.format(3))
    assert "return 2" in source_of(cell(STUB, "saliency"), F.format(2))
    assert "return 2" in source_of(cell("pass", "saliency"), F.format(2))
    assert "return 2" in source_of(cell(F.format(1), "saliency"), cell(F.format(2), "saliency"), STUB)
    assert "NotImplementedError" in source_of(cell(STUB, "saliency"))
    assert read_notebook(ipynb(F.format(1), F.format(2)), "a.ipynb").definition("saliency").several
    assert not read_notebook(ipynb(F.format(1)), "a.ipynb").definition("saliency").several


@pytest.mark.parametrize("way", ["saliency = lambda m, i, t: 1", "from mine import saliency", "saliency = make(1)",
                                 "async def saliency(m): pass", "class saliency: pass",
                                 "if True:\n    def saliency(m): return 1", "saliency, other = 1, 2"])  # fmt: skip
def test_any_way_to_define_it_will_do(way):
    assert way.splitlines()[-1] in source_of("x = 1", way, "saliency(1)")


@pytest.mark.parametrize("later", ["saliency = saliency(model, inputs, target)", "for saliency in maps: pass",
                                   "saliency += 1", "import saliency", "del saliency", "saliency = 3"])  # fmt: skip
def test_a_later_use_of_the_name_for_something_else_does_not_count(later):
    assert source_of(F.format(1), later) == source_of(F.format(1))


def test_the_library_shown_in_our_own_notebooks_is_no_answer():
    assert read_notebook(ipynb("from hw_xai.explain import saliency"), "0_start.ipynb").definition("saliency") is None
    assert "hw_xai" in source_of(cell("from hw_xai.explain import saliency", "saliency"))


def test_a_syntax_error_costs_its_cell_only_and_is_told():
    broken = "def saliency(x:\n    return x"
    read = read_notebook(ipynb("def f(): pass", cell(broken, "saliency"), "def g(): pass"), "a.ipynb")
    assert read.definition("f")
    assert read.definition("g")
    assert read.definition("saliency").source == broken
    (fault,) = read.faults()
    assert "a.ipynb, cell 2, line 1: '(' was never closed" in fault.en
    assert "return 2" in source_of(F.format(2), broken)
    assert source_of(cell(STUB, "saliency"), broken, "saliency = saliency(model)") == broken


@pytest.mark.parametrize(
    "text",
    [
        F.format(1),
        "# %% [markdown]\n# def saliency(): pass\n# %%\n" + F.format(1) + "# %%\n(\n",
        "#!/usr/bin/env python\n# In[1]:\n\n\nget_ipython().run_line_magic('time', '')\n# In[ ]:\n" + F.format(1),
        '# %% nbgrader={"grade_id": "saliency"}\n# %pip install a\n' + F.format(1) + "# %%\n" + F.format(2),
        "# %%\n# %%time\n" + F.format(1),
    ],
)
def test_scripts_are_read_cell_by_cell(text):
    assert "return 1" in read_notebook(text.replace("\n", "\r\n").encode(), "a.py").definition("saliency").source


# ------------------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("source", "answers"),
    [
        ('answers = {"Q1": "A", "Q2": ""}', {"Q1": "A", "Q2": ""}),
        ('%%time\nanswers: dict = {"Q1": "A"}', {"Q1": "A"}),
        ('answers = {}\nanswers["Q1"] = "A"', {"Q1": "A"}),
        ('answers.update({"Q1": "A"}, Q2="B")', {"Q1": "A", "Q2": "B"}),
        ('answers = dict(Q1="A")\nanswers |= {"Q2": "B"}', {"Q1": "A", "Q2": "B"}),
        ('answers = {"Q1": ["A", "C"], "Q2": 5, "Q3": None, "Q4": {1: (2,)}, "Q5": -1j}',
         {"Q1": ["A", "C"], "Q2": 5, "Q3": None, "Q4": {1: (2,)}, "Q5": -1j}),
        ('answers = {"q1": "A", "Q 2": "B", "Ｑ03": "C", "Question 4": "D", "name": "x"}',
         {"Q1": "A", "Q2": "B", "Q3": "C", "Q4": "D", "name": "x"}),
        ('if True:\n    answers = {"Q1": "A"}\nelse:\n    pass\nanswers = mine = {"Q2": "B"}', {"Q1": "A", "Q2": "B"}),
    ],
)  # fmt: skip
def test_answers_are_literals(source, answers):
    assert read_notebook(ipynb(source), "a.ipynb").answers() == (answers, [])


@pytest.mark.parametrize(
    ("source", "answers"),
    [
        ('answers = {"Q1": A, "Q2": "B"}', {"Q2": "B"}),
        ('answers = {"Q1": open("x").read(), "Q2": "B"}', {"Q2": "B"}),
        ('answers = {**other, "Q2": "B"}', {"Q2": "B"}),
        ("answers = compute()", {}),
        ('answers = {"Q1": "A"\n    "Q2": "B"}', {"Q1": "A", "Q2": "B"}),
        ('answers = {"Q1": "' + "A" * 2000 + '"}', {}),
        ('answers = {"Q1": "\\ud800"}', {}),
        ('answers = {"Q1": ' + "[" * 300 + "]" * 300 + "}", {}),
        ('answers = {1: "A", ("Q",): "B", "Q3": {[]: 1}}', {}),
    ],
)
def test_what_is_no_literal_is_left_out_and_told(source, answers):
    found, remarks = read_notebook(ipynb(source), "a.ipynb").answers()
    assert found == answers
    assert remarks


def test_an_empty_copy_of_the_cell_takes_nothing_away():
    cells = 'answers = {"Q1": "A", "Q2": "B"}', 'answers = {"Q1": "", "Q2": "C"}'
    assert read_notebook(ipynb(*cells), "a.ipynb").answers()[0] == {"Q1": "A", "Q2": "C"}


def test_metadata_is_believed_only_where_it_can_be_true():
    def read(**ours):
        return read_notebook(ipynb(metadata={"hw_xai": ours}), "a.ipynb")

    assert (read(student="b01", variant=7).student, read(variant=7).variant) == ("b01", 7)
    for wrong in (True, -1, 2**40, "7", 7.0, None, [7]):
        assert read(variant=wrong, student=wrong).variant is None
    assert read(student=["b01"]).student == read(student="b" * 200).student == ""


def test_the_words_of_the_last_notebook_are_read_as_an_answer():
    """It is released with an empty cell for them, which people grade."""
    path = Path(__file__).parents[3] / "notebooks/student/6_can_you_trust_it.ipynb"
    data = json.loads(path.read_text(encoding="utf-8"))
    (cell,) = (cell for cell in data["cells"] if cell["id"] == "in_your_own_words")
    assert (cell["cell_type"], "".join(cell["source"])) == ("markdown", "")
    cell["source"] = ["It looks at\n", "the logo."]
    read = read_notebook(json.dumps(data).encode(), path.name)
    assert read.texts == {"in_your_own_words": "It looks at\nthe logo."}
