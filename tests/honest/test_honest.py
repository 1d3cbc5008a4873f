"""Intake finds every function in every disguise, and what it takes along is enough and little."""

import ast
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from grading.homework.exercises import EXERCISES
from grading.intake.contents import read_submission
from grading.intake.submissions import find_submissions
from grading.isolation.inside.libraries import EXPLAINERS
from grading.isolation.sandbox import Limits
from grading.running.grade import grade_exercises
from grading.running.rules import Course, private_seeds

HERE = Path(__file__).parent
CORPUS = runpy.run_path(str(HERE / "corpus.py"))
EXPLAINED = re.compile(rf"^(?:from|import) (?:{'|'.join(EXPLAINERS)})\b", re.MULTILINE)
ANSWERS = {f"Q{n}" for n in range(1, 31)}


def read(folder: Path, **which) -> dict:
    """Return student -> submission."""
    for student, files in CORPUS["honest_submissions"](**which):
        (folder / student).mkdir()
        for name, content in files.items():
            (folder / student / name).write_bytes(content)
    intake = find_submissions(folder)
    assert intake.remarks == ()
    return {found.student: read_submission(found) for found in intake.submissions}


def wrong(jobs: set[tuple[str, str]]) -> list[str]:
    """Return what is wrong with the outputs of these sources, run in a process of their own."""
    jobs = sorted(jobs)
    lines = "".join(json.dumps({"exercise": exercise, "source": source}) + "\n" for exercise, source in jobs)
    command = [sys.executable, "-W", "ignore", str(HERE / "running.py")]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=HERE.parent.parent)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(said) == len(jobs), done.stderr
    return [f"{exercise}: {what}\n{source}" for (exercise, source), what in zip(jobs, said, strict=True) if what]


@pytest.mark.parametrize("disguise", CORPUS["DISGUISES"])
def test_every_function_is_found_with_little_else(tmp_path, disguise):
    for submission in read(tmp_path, disguises=[disguise], variants=[sum(map(ord, disguise)) % 4]).values():
        assert set(submission.sources) == set(EXERCISES)
        assert set(submission.answers) == ANSWERS
        for name, source in submission.sources.items():
            assert "NotImplementedError" not in source
            assert not any(word in source for word in ("check(", "get_ipython", "plt.", "load_bert", "foodnet"))
            functions = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
            assert functions.count(name) == 1
            assert len(functions) <= 3


def test_slices_alone_give_the_right_outputs(tmp_path):
    submissions = read(tmp_path, disguises=["shuffled", "magics"], variants=[1])
    fast = ("saliency", "cosine_similarity", "randomize_layers")
    assert wrong({(n, s.sources[n]) for s in submissions.values() for n in fast}) == []


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["bubblewrap", "process"])
def test_all_disguises_have_full_marks_in_a_sandbox(tmp_path, open_sandbox, tier):
    submissions = read(tmp_path, variants=range(5))
    assert len(submissions) == 5 * len(CORPUS["DISGUISES"])
    assert all(set(submission.sources) == set(EXERCISES) for submission in submissions.values())
    jobs = sorted({job for submission in submissions.values() for job in submission.sources.items()})
    wrong = []
    with open_sandbox(tier, Limits()) as sandbox:
        for exercise, source in jobs:
            course = Course({exercise: 1.0}, seeds=private_seeds("fixed 1", 1), isolation=tier)
            (part,) = grade_exercises({exercise: source}, course, sandbox)
            if EXPLAINED.search(source):
                assert part.reason.en.startswith("the library of explanations"), part  # the homework is to write it
            elif part.points < 1 or part.isolation != sandbox.isolation:
                wrong.append((part, source))
    assert wrong == []
