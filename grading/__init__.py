"""The homework and its autograder: what is asked, how it is judged, and how untrusted notebooks are graded.

The rooms, each of which imports only from those before it (tests/grading/test_rooms.py):
words -> isolation (whose room `inside` imports nothing) -> verdict -> homework -> platforms -> intake -> running ->
reports -> gradescope -> commands. A verdict needs what isolation brings back; intake asks the homework what to look for
and the platforms whose it is; running puts them all to work, and reports say what came out.
"""


def __getattr__(name: str):
    if name == "check":  # loaded late: `import grading` must cost a worker in the sandbox nothing
        from .homework.check import check  # late: as above

        return check
    if name == "submit":
        from .intake.submit import submit  # late: as above

        return submit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
