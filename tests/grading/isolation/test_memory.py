"""The limit on memory in both versions of the kernel's groups: on a tree of plain files, for a machine has one version.

What the kernel does with these files is shown by the sandbox's own tests where the machine has such a group.
"""

import pytest

from grading.isolation import memory


def tree(folder, *names):
    for name in names:
        (folder / name).write_text("max")
    return folder


def test_version_2_limits_memory_and_swap_and_ends_all_of_a_group(tmp_path):
    memory._limit(tree(tmp_path, "memory.max", "memory.swap.max", "memory.oom.group"), 300)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "memory.max": "300", "memory.swap.max": "0", "memory.oom.group": "1",
    }  # fmt: skip


def test_version_1_limits_memory_and_swap(tmp_path):
    memory._limit(tree(tmp_path, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), 300)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"300"}


@pytest.mark.parametrize(
    ("lines", "places"),
    [
        ("0::/user.slice/a.scope", ["user.slice/a.scope"]),  # version 2 alone
        ("5:memory:/jobs/7\n1:name=systemd:/x\n0::/", ["memory/jobs/7", "unified"]),  # both, as systemd mounts them
        ("3:cpu,cpuacct:/x\n", []),
        ("nonsense", []),
    ],
)
def test_the_group_of_this_process_is_found_in_every_hierarchy(lines, places, tmp_path, monkeypatch):
    for place in ("user.slice/a.scope", "memory/jobs/7", "unified", "x"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "own").write_text(lines)
    monkeypatch.setattr(memory, "ROOT", tmp_path)
    monkeypatch.setattr(memory, "OWN", tmp_path / "own")
    found = [own.relative_to(tmp_path).as_posix() for _, own in memory._places()]
    assert [place for place in found if place != "."] == places


def test_groups_of_runs_that_are_gone_are_swept_and_others_stay(tmp_path):
    names = f"{memory.PREFIX}{2**30}-0", f"{memory.PREFIX}1-0", "somebody-else"
    for name in names:
        (tmp_path / name).mkdir()
    memory._sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])
