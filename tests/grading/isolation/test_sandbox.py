"""Hostile code, in every tier that works here: it costs its own exercise and nothing else, and is told in words."""

import os
import signal
import socket
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from grading.homework.exercises import EXERCISES
from grading.isolation import tiers
from grading.isolation.inside.calls import Call, to_npy
from grading.isolation.replies import array_from
from grading.isolation.sandbox import Limits, Reply, Sandbox
from grading.verdict.judging import judge
from hw_xai.errors import UserError

MB = 2**20
LIMITS = Limits(
    wall_seconds=4, cpu_seconds=20, memory_bytes=300 * MB, file_bytes=2 * MB, tmp_bytes=4 * MB, reply_bytes=8 * MB
)
CALLS = [Call({"x": np.arange(6, dtype=np.float32).reshape(2, 3)}, times=2)]
HONEST = "def f(x):\n    return x * 2\n"


@contextmanager
def without(layers: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if layers == "no seccomp":
            patch.setattr(tiers, "_filter", lambda shared: b"")
        if layers == "no landlock":
            patch.setattr(tiers, "landlock_version", lambda: 0)
            patch.setattr(tiers, "_open_to_all", lambda paths: False)  # as if the kit lay in a folder for root alone
        yield


@pytest.fixture(
    scope="module",
    params=[
        ("bubblewrap", "all"),
        ("process", "all"),
        pytest.param(("bubblewrap", "no seccomp"), marks=pytest.mark.slow),
        pytest.param(("process", "no seccomp"), marks=pytest.mark.slow),
        pytest.param(("process", "no landlock"), marks=pytest.mark.slow),
    ],
    ids=lambda param: "-".join(param).replace(" ", "_"),
)
def sandbox(request, open_sandbox) -> Iterator[Sandbox]:
    tier, layers = request.param
    with without(layers):
        box = open_sandbox(tier, LIMITS)
    with box:
        box.layers = layers
        yield box


@pytest.fixture(autouse=True)
def _the_next_student_is_unharmed(request) -> Iterator[None]:
    """After whatever a test did, an honest function has its right answer, in the same template."""
    yield
    if box := request.node.funcargs.get("sandbox"):
        assert honest(box)


def run(box: Sandbox, source: str, calls: list[Call] = CALLS) -> Reply:
    reply = box.run(textwrap.dedent(source), "f", calls)
    assert reply.status == "ok" or (reply.reason.en and reply.reason.zh), reply
    return reply


def honest(box: Sandbox) -> bool:
    reply = run(box, HONEST)
    return reply.status == "ok" and all(np.array_equal(a, CALLS[0].arguments["x"] * 2) for a in reply.answers[0])


# -------------------------------------------------------------------------------------------------------- honest code


def test_right_solutions_are_judged_right(sandbox):
    for name in ("smooth_grad", "integrated_gradients"):
        exercise = EXERCISES[name]
        calls = exercise.plan(3)
        reply = sandbox.run(PLAIN[name], name, calls)
        assert reply.status == "ok", reply
        assert judge(exercise, (), calls, reply.answers).passed
        assert reply.seconds > 0
        assert reply.cpu_seconds > 0


def test_code_runs_as_in_a_notebook(sandbox):
    source = """
        from __future__ import annotations
        import dataclasses
        if __name__ == "__main__":
            def twice(x): return 2 * x
        @dataclasses.dataclass
        class Kept:
            values: list[float]
        def f(x): return Kept(twice(x)).values
    """
    assert np.array_equal(run(sandbox, source).answers[0][0], 2 * CALLS[0].arguments["x"])


PLAIN = {
    "smooth_grad": """
import torch

def smooth_grad(model, inputs, target, n_samples, noise_level, seed):
    generator = torch.Generator().manual_seed(seed)
    sigma = noise_level * (inputs.amax(dim=(1, 2, 3), keepdim=True) - inputs.amin(dim=(1, 2, 3), keepdim=True))
    total = torch.zeros_like(inputs)
    for _ in range(n_samples):
        noisy = (inputs + sigma * torch.randn(inputs.shape, generator=generator)).requires_grad_()
        scores = model(noisy).gather(1, target[:, None]).sum()
        total += torch.autograd.grad(scores, noisy)[0]
    return total / n_samples
""",
    "integrated_gradients": """
import torch

def integrated_gradients(model, inputs, target, baselines, n_steps):
    total = torch.zeros_like(inputs)
    for k in range(n_steps):
        point = (baselines + (k + 0.5) / n_steps * (inputs - baselines)).requires_grad_()
        total += torch.autograd.grad(model(point).gather(1, target[:, None]).sum(), point)[0]
    return (inputs - baselines) * total / n_steps
""",
}


def test_arrays_of_every_plain_kind_come_back(sandbox):
    for kind in ("bool", "int8", "uint8", "int64", "float16", "float32", "float64", "complex64"):
        reply = run(sandbox, f"import numpy as np\ndef f(x): return np.asfortranarray(x.numpy()).astype('{kind}').T")
        assert reply.status == "ok", reply
        assert reply.answers[0][1].dtype == kind
        assert np.array_equal(reply.answers[0][0], CALLS[0].arguments["x"].astype(kind).T)


def test_what_is_printed_comes_back_cut(sandbox):
    reply = run(sandbox, "print('hello 世界 \\x1b[31m')\ndef f(x): return x")
    assert reply.output == "hello 世界  [31m"


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("def g(x): return x", "not_attempted", "there is no function `f`"),
        ("def f(x): raise NotImplementedError('Exercise 3')", "not_attempted", "not written yet"),
        ("def f(x): return x[9]", "failed", "IndexError"),
        ("def f(x) return x", "failed", "Python cannot read your code: expected ':' (line 1: `def f(x) return x`)"),
        ("def f(x):\n\ty = 1\n        return x", "failed", "Python cannot read your code"),
        ("import torch\n\n1 / 0", "failed", "raised ZeroDivisionError (line 3: `1 / 0`)"),
        ("import hw_xai", "failed", "the library of explanations hw_xai is not there when graded"),
        ("from captum.attr import Saliency", "failed", "captum is not there when graded: write it with torch alone"),
        ("import grading.homework.evidence.key", "failed", "grading is not there"),
        ("import grading.verdict.judging", "failed", "grading is not there"),
        ("import pandas", "failed", "the module pandas is not there when graded"),
        ("def f(x): return [1.0]", "failed", "a tensor or an array must be returned, not list"),
        ("f = 3", "failed", "TypeError"),
        ("def f(y): return y", "failed", "its parameters must be those of the exercise"),
        ("def f(x): raise ValueError(str(x))", "failed", "your code raised ValueError (line 1: `def f(x): raise"),
        ("def f(x): raise type(f'E{x.sum()}', (Exception,), {})", "failed", "your code raised another one (line 1"),
        ("def f(x): raise ModuleNotFoundError(name=str(x))", "failed", "the module another one is not there"),
        ("def f(x): return type(f'E{x.sum()}', (), {})()", "failed", "must be returned, not another one"),
        ("def f(x): raise SyntaxError(str(x), ('your code', 1, 1, str(x)))", "failed", "cannot read your code (line 1"),
        ("raise SystemExit(0)", "crashed", "your code ended the process with SystemExit"),
        ("def f(x): raise KeyboardInterrupt", "crashed", "KeyboardInterrupt"),
        ("def f(x): raise GeneratorExit", "crashed", "GeneratorExit"),
        ("class E(BaseException): pass\ndef f(x): raise E", "crashed", "your code ended the process with E"),
        ("import os\nos._exit(0)", "crashed", "ended the process (exit code 0)"),
        ("import os\nos.closerange(0, 100)\ndef f(x): return x", "crashed", "ended the process"),
        ("import sys\nsys.modules.clear()\ndef f(x): return x", "failed", ""),
        ("def f(x): return f(x)", "failed", "RecursionError"),
        ("import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return sorted([x], key=f)[0]", "crashed", "SIGSEGV"),
        ("x = " + "(" * 5000, "failed", "Python cannot read your code"),
        ("x = '\0'", "failed", "source code string cannot contain null bytes"),
        ("x = '\ud800'", "failed", "UnicodeEncodeError"),
        ("import os\nopen(os.devnull, 'w').write('x')\ndef f(x): return x[9]", "failed", "IndexError (line 3"),
        ("import ctypes\nctypes.string_at(0)", "crashed", "SIGSEGV"),
        ("import os\nos.abort()", "crashed", "crashed the process"),
        ("def f(x): return x.new_zeros(10**11)", "out_of_memory", "more memory"),
        ("def f(x):\n  kept = []\n  while True: kept.append(bytearray(2**24))", "out_of_memory", "more memory"),
        ("def f(x): return x.new_zeros(3 * 2**20)", "failed", "larger than 8 MB"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_every_end_is_told_in_words(sandbox, source, status, words):
    reply = sandbox.run(source, "f", CALLS)
    if status == "failed" and not words:
        assert reply.status in ("ok", "failed", "crashed")
    else:
        assert (reply.status, words in reply.reason.en) == (status, True), reply
    assert reply.status == "ok" or (reply.answers is None and reply.reason.zh)


def test_an_error_that_misbehaves_is_still_told(sandbox):
    reply = run(
        sandbox,
        """
        class E(Exception):
            __name__ = 5
            def __str__(self): raise SystemExit
        E.__name__ = "x" * 10_000 + "\\n=1+1"
        def f(x): raise E
        """,
    )
    assert reply.status == "failed"
    assert len(reply.reason.en) < 500
    assert "\n" not in reply.reason.en


# ------------------------------------------------------------------------------------------------------------ greedy


def test_an_endless_loop_ends_whatever_it_ignores(sandbox):
    reply = run(
        sandbox,
        """
        import signal
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        def f(x):
            while True:
                try:
                    while True: pass
                except BaseException: pass
        """,
    )
    assert (reply.status, reply.seconds >= LIMITS.wall_seconds) == ("timeout", True)
    assert "4 seconds" in reply.reason.en


def test_a_fork_bomb_ends_with_its_exercise(sandbox):
    reply = run(
        sandbox,
        """
        import os, time
        def f(x):
            print("begun")
            while True:
                try: os.fork()
                except OSError: time.sleep(0.01)
        """,
    )
    assert reply.status == "timeout"
    assert "begun" in reply.output


def test_threads_end_with_their_exercise(sandbox):
    reply = run(
        sandbox,
        """
        import threading, time
        def spin():
            while True: time.sleep(0.01)
        threads = 0
        try:
            for _ in range(10_000): threading.Thread(target=spin).start(); threads += 1
        except (RuntimeError, MemoryError): print(threads)
        def f(x): return x
        """,
    )
    assert reply.status in ("ok", "out_of_memory")
    assert living(sandbox) <= 3


def test_a_daemon_does_not_outlive(sandbox, tmp_path):
    reply = run(
        sandbox,
        f"""
        import os, time
        def f(x):
            try:
                if os.fork() == 0:
                    os.setsid()
                    if os.fork() == 0:
                        time.sleep(1)
                        for path in ("/tmp/late-{os.getpid()}", "{tmp_path}/late"):
                            try: open(path, "w").write("late")
                            except OSError: pass
                        time.sleep(1000)
                    os._exit(0)
            except PermissionError: print("no processes")
            return x
        """,
    )
    assert reply.status == "ok"
    assert living(sandbox) <= 3
    seen = run(sandbox, "import os, time\ntime.sleep(1.5)\nprint(os.path.exists('/tmp/late'))\ndef f(x): return x")
    assert seen.output == "False"
    assert not os.path.exists(f"/tmp/late-{os.getpid()}")
    assert not list(tmp_path.iterdir())


def test_a_flood_of_output_is_cut(sandbox):
    reply = run(sandbox, "import os\ndef f(x):\n    os.write(2, b'x' * 30 * 2**20)\n    return x")
    assert reply.status == "ok"
    assert len(reply.output) == LIMITS.output_bytes


def test_the_disk_cannot_be_filled(sandbox, tmp_path):
    tmp_path.chmod(0o777)
    reply = run(
        sandbox,
        f"""
        def f(x):
            total = 0
            for folder in ("/tmp", "{tmp_path}", "/dev/shm", "/var/tmp", "/kit", "/site", ".", "/"):
                try:
                    for i in range(100):
                        with open(f"{{folder}}/fill-{os.getpid()}-{{i}}", "wb", buffering=0) as file:
                            for _ in range(100): total += file.write(bytes(2**16))
                except OSError: pass
                print("written", total)
            return x
        """,
    )
    assert reply.status == "ok"
    assert int(reply.output.split()[-1]) <= LIMITS.tmp_bytes
    assert not list(tmp_path.iterdir())
    assert not list(Path("/tmp").glob(f"fill-{os.getpid()}-*"))


# ------------------------------------------------------------------------------------------------------- out of reach


def test_no_file_environment_or_process_outside_is_in_reach(sandbox, tmp_path):
    if sandbox.layers == "no landlock":
        pytest.skip("as `why` says, files that everyone may read can be read")
    canary = tmp_path / "key"
    canary.write_text("canary")
    for folder in (canary, *canary.parents):
        if folder.stat().st_uid == os.getuid() and "pytest" in str(folder):
            folder.chmod(0o755)
    root = Path(tiers.__file__).parents[2]
    paths = [str(canary), f"{root}/grading/key.py", f"{root}/grading/judge.py", f"{root}/hw_xai/explain/gradients.py"]
    paths += ["/etc/passwd", "/etc/shadow", "/proc/self/environ", "/proc/1/environ", f"/proc/{os.getpid()}/mem"]
    paths += [f"/proc/{os.getppid()}/cmdline", f"/proc/{os.getpid()}/environ", "/dev/mem", "/dev/sda", "/dev/vda"]
    reply = run(
        sandbox,
        f"""
        import os, sys
        for path in {paths!r}:
            try: print("OPENED", path, open(path, "rb").read(100))
            except OSError: pass
            try: os.symlink(path, "/tmp/link"); print("OPENED", open("/tmp/link").read(100))
            except OSError: pass
        print(dict(os.environ))
        def f(x): return x
        """,
    )
    assert reply.status == "ok", reply
    assert "OPENED" not in reply.output
    assert "PYTEST" not in reply.output  # pytest's own variable stands in for a secret


def test_no_server_of_this_machine_is_in_reach(sandbox):
    if sandbox.layers == "no seccomp" and sandbox.tier == "process" and tiers.landlock_version() < 4:
        pytest.skip("an old Landlock knows no network")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        reply = run(
            sandbox,
            f"""
            import socket
            def f(x):
                try: socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), timeout=1); print("REACHED")
                except OSError as error: print(type(error).__name__)
                return x
            """,
        )
        assert "REACHED" not in reply.output
        with pytest.raises(TimeoutError):
            server.accept()


def test_nobody_else_can_be_signalled(sandbox):
    victim = os.getpid()
    reply = run(
        sandbox,
        f"""
        import os
        def f(x):
            for pid in [{victim}, os.getppid(), 1, 2, 3, -1, {sandbox._template.process.pid}]:
                for number in (0, 19, 9):
                    try:
                        if pid != os.getpid(): os.kill(pid, number)
                    except OSError: pass
            return x
        """,
    )
    assert reply.status in ("ok", "crashed", "out_of_memory")
    assert sandbox._template.process.poll() is None


@pytest.mark.parametrize(
    "source",
    [
        "libc.unshare(0x10000000)",
        "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "libc.ptrace(16, os.getppid(), 0, 0)",
        "libc.chroot(b'/tmp')",
        "libc.setuid(0)",
        "libc.syscall(425, 1, ctypes.create_string_buffer(200))",  # io_uring_setup
        "libc.syscall(321, 0, 0, 0)",  # bpf
        "libc.syscall(304, 0, 0, 0)",  # open_by_handle_at
        "-1 if libc.prctl(23, 21) < 1 else 1",  # CAP_SYS_ADMIN in the bounding set: not there, or may not be asked
    ],
)
def test_no_right_is_left(sandbox, source):
    if sandbox.layers == "no seccomp" and "unshare" in source:
        pytest.skip("a user namespace of one's own is harmless in ours, and forbidden where seccomp is")
    if "setuid" in source and os.geteuid() != 0:
        pytest.skip("not root")
    if "prctl" in source and os.geteuid() != 0:
        pytest.skip("an ordinary user's bounding set gives nothing")
    reply = run(
        sandbox,
        f"""
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        print("result", {source})
        def f(x): return x
        """,
    )
    assert "result -1" in reply.output


# ------------------------------------------------------------------------------------------------------ next exercise


def test_nothing_is_left_for_the_next_exercise(sandbox):
    run(
        sandbox,
        """
        import builtins, json, numpy, os, sys, torch
        import inside.calls, inside.worker
        open("/tmp/left", "w").write("x") if os.access("/tmp", os.W_OK) else None
        torch.Tensor.__mul__ = lambda a, b: a
        torch.manual_seed = torch.nn.Module.__call__ = numpy.save = json.dumps = lambda *a, **k: None
        builtins.len = builtins.print = lambda *a: 0
        inside.worker.Monitor.watch = inside.calls.answers_to = None
        sys.path.insert(0, "/tmp")
        sys.modules["cached"] = sys
        os.environ["LEFT"] = "x"
        """,
    )
    reply = run(
        sandbox,
        """
        import os, sys
        print("cached" in sys.modules, "LEFT" in os.environ, os.path.exists("/tmp/left"), len("ab"))
        def f(x): return x * 2
        """,
    )
    assert reply.output == "False False False 2"


def test_no_source_of_another_student_is_in_memory(sandbox):
    run(sandbox, "secret = 'the marker ' + 'PLUMERIA'\n#" + "PLUMERIA" * 1000 + HONEST.replace("def", "\ndef"))
    reply = run(
        sandbox,
        """
        import gc
        needle = "PLUM" + "ERIA"
        found = [o for o in gc.get_objects() if isinstance(o, (bytes, str, bytearray)) and needle in str(o)]
        print(found, [k for o in gc.get_objects() if type(o) is dict for k in o.values() if type(k) in (str, bytes)
            and k is not needle and needle in str(k)])
        def f(x): return x
        """,
    )
    assert "PLUMERIA'" not in reply.output.replace("PLUM' + 'ERIA'", "")
    assert reply.output.startswith("[] ")


# --------------------------------------------------------------------------------------------------- lies and forgery


@pytest.mark.parametrize(
    "body",
    [
        "os.write(3, b'garbage')",
        "os.write(3, b'\\xff' * 8)",
        "os.write(3, (2**62).to_bytes(8) + b'{}')",
        "os.write(3, to_frame({'status': 'ok', 'counts': [2]}, [npy, npy]) * 2)",
        "os.write(3, to_frame({'status': 'ok', 'counts': [2]}, [npy]))",
        "os.write(3, to_frame({'status': 'ok', 'counts': [1e9]}, []))",
        "os.write(3, to_frame({'status': 'ok', 'counts': 2}, [npy, npy]))",
        "os.write(3, to_frame({'status': 'passed'}))",
        "os.write(3, to_frame([]))",
        "os.write(3, to_frame({'status': 'failed', 'kind': 'raised', 'error': 5, 'message': [], 'line': {}}))",
        "os.write(3, to_frame({'status': 'ok', 'counts': [2]}, [pickled, pickled]))",
        "os.write(3, to_frame({'status': 'ok', 'counts': [2]}, [npy + b'1', npy]))",
        "os.write(3, to_frame({'status': 'ok', 'counts': [2]}, [npy.replace(b'(3,)', b'(9,)'), npy]))",
        "os.write(3, b'\\0\\0\\0\\0\\0\\1\\0\\0' + b'[' * 65536)",
    ],
)
def test_a_forged_message_fails(sandbox, body):
    reply = run(
        sandbox,
        f"""
        import io, os, numpy as np
        from inside.calls import to_frame, to_npy
        npy = to_npy(np.zeros(3))
        file = io.BytesIO()
        np.save(file, np.array([print, open], dtype=object))
        pickled = file.getvalue()
        {body}
        os._exit(0)
        """,
    )
    assert (reply.status, reply.answers) == ("failed", None), reply


def test_a_message_beside_the_true_one_fails(sandbox):
    reply = run(sandbox, "import os\ndef f(x):\n    os.write(3, b'x')\n    return x")
    assert reply.status == "failed"


def test_objects_that_lie_are_no_arrays(sandbox):
    for lie in (
        "class L(np.ndarray): __eq__ = lambda s, o: True; shape = (9,)\ndef f(x): return np.ones(2).view(L)",
        "class L:\n  __class__ = np.ndarray\n  __array__ = lambda s, *a: np.ones(2)\ndef f(x): return L()",
        "class L(torch.Tensor): shape = (1, 2)\ndef f(x): return x.as_subclass(L)",
        "def f(x): return np.array([print], dtype=object)",
        "def f(x): return np.zeros(2, dtype=[('a', 'f4')])",
        "def f(x): return np.array(['=1+1'])",
        "def f(x): return np.zeros(2, dtype='M8[s]')",
    ):
        reply = run(sandbox, "import numpy as np, torch\n" + lie)
        assert reply.status in ("ok", "failed", "crashed"), lie
        for answer in reply.answers[0] if reply.answers else ():
            assert type(answer) is np.ndarray
            assert answer.dtype.kind in "biufc"


# --------------------------------------------------------------------------------------------------------- supervisor


def test_a_killed_template_begins_anew(sandbox):
    first = sandbox._template.process
    os.kill(first.pid, signal.SIGKILL)
    assert honest(sandbox)
    assert sandbox._template.process.pid != first.pid


def test_a_sandbox_killed_while_it_begins_begins_anew(open_sandbox, monkeypatch):
    killed = []

    def begun(self: Sandbox, way: type, begin=Sandbox._begin):
        template = begin(self, way)
        if not killed:
            killed.append(template.process.pid)
            os.kill(killed[0], signal.SIGKILL)
        return template

    monkeypatch.setattr(Sandbox, "_begin", begun)
    with open_sandbox("bubblewrap", LIMITS) as box:
        assert killed
        assert honest(box)


@pytest.mark.slow
def test_a_template_killed_amid_an_exercise_costs_one_retry(sandbox):
    threading.Timer(1, os.kill, (sandbox._template.process.pid, signal.SIGKILL)).start()
    reply = run(sandbox, "import time\ndef f(x):\n    time.sleep(1.5 / 2)\n    return x * 2")
    assert reply.status == "ok"


def test_closing_leaves_no_process_and_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tiers.tempfile, "tempdir", str(tmp_path))
    before = living_below(os.getpid())
    with Sandbox("none", LIMITS) as box:
        assert box.why
        assert box._template.process.pid in living_below(os.getpid())
        assert honest(box)
        assert run(box, "def f(x):\n    while True: pass").status == "timeout"
    assert living_below(os.getpid()) <= before  # what other tests started may have ended
    assert not list(tmp_path.iterdir())


def test_a_tier_that_is_none_is_refused():
    with pytest.raises(UserError, match="must be auto, bubblewrap, process, none"):
        Sandbox("docker")


def test_a_machine_that_cannot_contain_is_refused(monkeypatch):
    def refuse(self):
        raise tiers.Unavailable("not here")

    for way in ("Bubblewrap", "BubblewrapAsUser", "Process"):
        monkeypatch.setattr(getattr(tiers, way), "__init__", refuse)
    with pytest.raises(UserError, match="`i_trust_these_submissions`"):
        Sandbox()


@pytest.mark.parametrize("kind", ["b1", "i4", "u8", "f2", "f8", "c16", ">f4"])
def test_an_array_is_read_as_numpy_wrote_it(kind):
    for array in (np.ones((2, 3), kind), np.ones(0, kind), np.ones((), kind), np.ones((2, 3, 4), kind).T):
        assert np.array_equal(array_from(to_npy(array)), array)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"<f8", b"|O8"), (b"<f8", b"<U8"), (b"(3,)", b"(4,)"), (b"(3,)", b"(-3,)"), (b"NUMPY\1", b"NUMPY\2")]
    + [(b"(3,)", b"(" + b"9" * 30 + b",)"), (b"False", b"print"), (b"}", b" ")],
)
def test_an_array_that_is_none_is_refused(old, new):
    with pytest.raises(ValueError, match="array"):
        array_from(to_npy(np.zeros(3)).replace(old, new))


def living(box: Sandbox) -> int:
    return len(living_below(box._template.process.pid))


def living_below(pid: int) -> set[int]:
    """Return the processes below this one that run, by /proc."""
    parents = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                state, parent = entry.joinpath("stat").read_text().rpartition(")")[2].split()[:2]
                parents[int(entry.name)] = (state, int(parent))
        except OSError:
            continue
    below, found = {pid}, set()
    while below:
        below = {child for child, (_, parent) in parents.items() if parent in below}
        found |= {child for child in below if parents[child][0] != "Z"}
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="Linux")
def test_a_way_that_does_not_begin_leaves_nothing_open(monkeypatch):
    monkeypatch.setattr(tiers.Process, "command", lambda self, descriptor: ["/bin/false"])
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UserError, match="cannot contain"):
        Sandbox("process", Limits())
    assert len(os.listdir("/proc/self/fd")) == before
