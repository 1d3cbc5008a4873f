"""One attack of each kind by an ordinary user's grader, whose students' code runs under the grader's own user id.

Covers what a root would not notice: there the sandbox drops to a user who owns nothing. The whole corpus goes as an
ordinary user, too: `.ci/stranger tests/attacks -m '"slow or not slow"'`.
"""

import os

import pytest
import test_attacks
from test_attacks import ATTACKS, canaries, sandbox  # noqa: F401, they are fixtures

KINDS = (
    "kernel-setxattr", "kernel-setxattrat", "kernel-removexattr", "kernel-file attributes", "kernel-vmsplice",
    "kernel-signals to others", "kernel-locks as letters", "snooping-results", "snooping-write results",
    "snooping-environment of others", "escaping-TCP", "escaping-unix", "escaping-namespaces", "escaping-ptrace",
    "escaping-filter off", "ending-kill the parent", "ending-daemon", "hogging-disk", "hogging-many small pieces",
    "hogging-pipes", "lying-forged: a pass", "patching-allclose", "importing-the reference", "between-files",
)  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="for an ordinary user: root has its own")
@pytest.mark.parametrize("name", KINDS)
def test_as_an_ordinary_user(name, sandbox, canaries):  # noqa: F811
    test_attacks.test_attack(ATTACKS[name], sandbox, canaries)
