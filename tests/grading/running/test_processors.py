"""As many jobs as processors that may be used: a container's share counts, in both versions of control groups."""

import math
import os

import pytest

from grading.running import processors as module
from grading.running.processors import processors, quota


def test_the_least_share_on_the_way_up_counts(tmp_path):
    own = tmp_path / "cgroup"
    own.write_text("0::/pod/job\n")
    (tmp_path / "fs/pod/job").mkdir(parents=True)
    (tmp_path / "fs/pod/cpu.max").write_text("150000 100000\n")
    (tmp_path / "fs/pod/job/cpu.max").write_text("max 100000\n")
    assert quota(tmp_path / "fs", own) == 1.5


def test_the_first_version_of_control_groups(tmp_path):
    own = tmp_path / "cgroup"
    own.write_text("4:memory:/x\n3:cpu,cpuacct:/job\n")
    (tmp_path / "fs/cpu/job").mkdir(parents=True)
    for name, value in (("cpu.cfs_quota_us", "300000"), ("cpu.cfs_period_us", "100000")):
        (tmp_path / "fs/cpu/job" / name).write_text(value)
    assert quota(tmp_path / "fs", own) == 3
    (tmp_path / "fs/cpu/job/cpu.cfs_quota_us").write_text("-1")
    assert quota(tmp_path / "fs", own) == math.inf


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux")
def test_a_process_bound_to_one_processor_has_one(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "OWN", tmp_path / "nowhere")
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert processors() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert processors() == len(before)
