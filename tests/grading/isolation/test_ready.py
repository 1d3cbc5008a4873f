"""What the sandbox has ready: an optimizer and torch.func cost a student no time, and libraries are compiled once."""

import subprocess
import sys
from pathlib import Path

from grading.isolation.bytecode import SIGNS, _compiled, _source_of
from grading.isolation.inside.calls import Call
from grading.isolation.sandbox import Limits

OPTIMIZER = """
import torch
def f():
    x = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.{}([x], 0.1)
    x.sum().backward()
    optimizer.step()
    slope = torch.func.grad(lambda y: y.sum())(torch.zeros(3))
    return x.detach() + slope * torch.func.vmap(torch.sum)(torch.ones(3, 2))
"""


def test_optimizers_and_function_transforms_are_there_at_once(open_sandbox):
    with open_sandbox("auto", Limits()) as box:
        for optimizer in ("SGD", "Adam"):
            reply = box.run(OPTIMIZER.format(optimizer), "f", [Call({})])
            assert reply.status == "ok", reply.reason
            assert reply.answers[0][0].tolist() == [1.899999976158142] * 3
            assert reply.cpu_seconds < 1  # it was five seconds
        slept = box.run("import time\ndef f():\n    time.sleep(0.2)\n    return 1.0", "f", [Call({})])
        assert slept.preempted < 20  # by this, sleep is told from a machine with too much to do


def test_the_libraries_have_bytecode_where_it_may_be_written(open_sandbox):
    with open_sandbox("auto", Limits()):
        for name in SIGNS:
            source = _source_of(name)
            assert source, f"{name} is no more: choose another sign"
            assert _compiled(source).is_file()


def test_sources_are_found_without_loading_their_library():
    code = "import sys; from grading.isolation.bytecode import SIGNS, _source_of; print(*map(_source_of, SIGNS))"
    code += "; assert not {'torch', 'scipy', 'sklearn'} & set(sys.modules)"
    root = Path(__file__).parents[3]
    said = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert len(said.split()) == len(SIGNS)
    assert "None" not in said
