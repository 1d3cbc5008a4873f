"""A call of a student's function as plain data, how to make it, and how it travels: numbers and names, never objects.

Known to the sandbox: nothing here may import the reference solutions or the keys.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .networks import Layer, Subject, build

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
    return outputs_of(function, objects_of(call), call.times)


def objects_of(call: Call) -> dict[str, object]:
    """Return the arguments of a call as a function gets them: tensors, networks, modules, numbers."""
    objects: dict[str, object] = {}
    for name, value in call.arguments.items():
        objects[name] = _object(value, objects)
    return objects


def outputs_of(function: Callable, objects: Mapping[str, object], times: int) -> list[np.ndarray]:
    """Call the function on these very objects, so many times."""
    with torch.random.fork_rng(devices=[]):
        # a dropout that was left on gives the same wrong answer to everybody
        torch.default_generator.manual_seed(0)  # torch.manual_seed also formats a traceback for CUDA: slow
        return [as_array(function(**objects)) for _ in range(times)]


def _object(value: Value, before: Mapping[str, object]) -> object:
    if isinstance(value, Subject):
        return build(value)
    if isinstance(value, Layer):
        (model,) = (v for v in before.values() if isinstance(v, nn.Module))
        return model.get_submodule(value.path)
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value


class NoArray(TypeError):
    """A student's function returned something else; args[0] says which type."""


def as_array(output: object) -> np.ndarray:
    """Return what a student's function returned as an array; NoArray for what is none.

    It runs in the student's process, which may have changed it: nothing rests on it, the sandbox looks at the bytes.
    """
    if isinstance(output, Tensor):
        return output.detach().cpu().numpy().copy()
    if isinstance(output, np.ndarray | np.generic | int | float):
        return np.array(output)
    raise NoArray(type(output).__name__)


# ------------------------------------------------------------------------------------------------------------- travel


def to_frame(header: dict, blobs: Sequence[bytes] = ()) -> bytes:
    """Return a message: the length of its head (8 bytes), the head as JSON with the sizes of the blobs, the blobs."""
    head = json.dumps({"header": header, "sizes": [len(blob) for blob in blobs]}).encode()
    return b"".join([len(head).to_bytes(8), head, *blobs])


def from_frame(data: bytes, head_bytes: int = 2**20) -> tuple[dict, list[bytes]]:
    """Return header and blobs of a message that anybody may have written; ValueError for anything but a whole one."""
    length = int.from_bytes(data[:8])
    if len(data) < 8 or length > min(head_bytes, len(data) - 8):
        raise ValueError("the message is cut or its head too long")
    try:
        head = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError):
        raise ValueError("the head of the message is no JSON") from None
    if not isinstance(head, dict) or set(head) != {"header", "sizes"} or not isinstance(head["sizes"], list):
        raise ValueError("the head of the message has other fields than header and sizes")
    if not isinstance(head["header"], dict):
        raise ValueError("the header of the message has no fields")
    blobs, start = [], 8 + length
    for size in head["sizes"]:
        if type(size) is not int or not 0 <= size <= len(data) - start:
            raise ValueError("a part of the message is not there")
        blobs.append(data[start : start + size])
        start += size
    if start != len(data):
        raise ValueError("the message goes on after its end")
    return head["header"], blobs


def to_npy(array: np.ndarray) -> bytes:
    """Return an array as the bytes of an .npy file; ValueError for objects."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def pack_calls(calls: Sequence[Call]) -> tuple[list[dict], list[bytes]]:
    """Return calls as what JSON can hold, and their arrays as blobs."""
    rows: list[dict] = []
    blobs: list[bytes] = []
    for call in calls:
        row: dict[str, dict[str, object]] = {}
        for name, value in call.arguments.items():
            if isinstance(value, np.ndarray):
                row[name] = {"array": len(blobs)}
                blobs.append(to_npy(value))
            elif isinstance(value, Subject):
                row[name] = {"subject": value.kind, "seed": value.seed}
            elif isinstance(value, Layer):
                row[name] = {"layer": value.path}
            else:
                row[name] = {"value": value}
        rows.append({"arguments": row, "times": call.times})
    return rows, blobs


def unpack_calls(rows: Sequence[dict], blobs: Sequence[bytes]) -> list[Call]:
    """Return the calls that `pack_calls` was given."""

    def value_of(entry: dict) -> Value:
        if "array" in entry:
            return np.load(io.BytesIO(blobs[entry["array"]]), allow_pickle=False)
        if "subject" in entry:
            return Subject(entry["subject"], entry["seed"])
        return Layer(entry["layer"]) if "layer" in entry else entry["value"]

    return [Call({n: value_of(v) for n, v in row["arguments"].items()}, row["times"]) for row in rows]
