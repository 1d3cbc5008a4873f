"""A call of a student's function as plain data, how to make it, and how it travels: numbers and names, never objects.

Known to the sandbox: nothing here may import the reference solutions or the keys.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .subjects import Layer, Subject, build

Value = np.ndarray | Subject | Layer | int | float | None


@dataclass(frozen=True, eq=False)
class Call:
    """One call: arguments by name, in the order of the signature; arrays arrive as torch tensors.

    times: the function is called so often on the very same objects, each with an output of its own: who changed the
    inputs or the model the first time is wrong the second time.
    """

    arguments: Mapping[str, Value]
    times: int = 1


def answers_to(function: Callable, call: Call) -> list[np.ndarray]:
    """Make the call and return call.times outputs as arrays; whatever the function raises comes through."""
    objects: dict[str, object] = {}
    for name, value in call.arguments.items():
        objects[name] = _object(value, objects)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # a dropout that was left on gives the same wrong answer to everybody
        return [as_array(function(**objects)) for _ in range(call.times)]


def _object(value: Value, before: Mapping[str, object]) -> object:
    if isinstance(value, Subject):
        return build(value)
    if isinstance(value, Layer):
        (model,) = (v for v in before.values() if isinstance(v, nn.Module))
        return model.get_submodule(value.path)
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value


def as_array(output: object) -> np.ndarray:
    """Return what a student's function returned as an array; TypeError for what is none."""
    if isinstance(output, Tensor):
        return output.detach().cpu().numpy().copy()
    if isinstance(output, np.ndarray | np.generic | int | float):
        return np.array(output)
    raise TypeError(f"a tensor or an array must be returned, not {type(output).__name__}")


# ------------------------------------------------------------------------------------------------------------- travel


def write_calls(calls: Sequence[Call], folder: Path) -> None:
    """Write calls as calls.json and one .npy for each array."""
    rows = []
    for i, call in enumerate(calls):
        row = {}
        for name, value in call.arguments.items():
            if isinstance(value, np.ndarray):
                np.save(folder / f"{i}-{name}.npy", value, allow_pickle=False)
                row[name] = {"array": f"{i}-{name}.npy"}
            elif isinstance(value, Subject):
                row[name] = {"subject": value.kind, "seed": value.seed}
            elif isinstance(value, Layer):
                row[name] = {"layer": value.path}
            else:
                row[name] = {"value": value}
        rows.append({"arguments": row, "times": call.times})
    (folder / "calls.json").write_text(json.dumps(rows))


def read_calls(folder: Path) -> list[Call]:
    """Read what `write_calls` wrote."""

    def value_of(entry: dict) -> Value:
        if "array" in entry:
            return np.load(folder / entry["array"], allow_pickle=False)
        if "subject" in entry:
            return Subject(entry["subject"], entry["seed"])
        return Layer(entry["layer"]) if "layer" in entry else entry["value"]

    rows = json.loads((folder / "calls.json").read_text())
    return [Call({n: value_of(v) for n, v in row["arguments"].items()}, row["times"]) for row in rows]
