"""Runs in a process of its own: makes the calls of one seed with sources from stdin, and writes which ones are right.

A line in: {"exercise": …, "source": …}; a line out: "" or what is wrong.
"""

import json
import sys
import types

import torch

from grading.homework.exercises import EXERCISES
from grading.isolation.inside.calls import answers_to
from grading.verdict.judging import judge

torch.set_num_threads(1)
for line in sys.stdin:
    job = json.loads(line)
    exercise, module = EXERCISES[job["exercise"]], types.ModuleType("__main__")  # as the worker runs it
    sys.modules["__main__"], space = module, vars(module)
    try:
        exec(job["source"], space)
        calls = exercise.plan(7)
        answers = [answers_to(space[job["exercise"]], call) for call in calls]
        verdict = judge(exercise, (), calls, answers)
        print(json.dumps("" if verdict.passed else verdict.reason.en), flush=True)
    except Exception as error:
        print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
