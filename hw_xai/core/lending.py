"""A model lent for an explanation: a copy of its tree of modules, so that nobody else notices.

    with lent(model):
        ... scores_of(model, rows)     # asks the copy: in eval mode, with frozen parameters
        ... borrowed(layer)            # the copy's module for one of the user's

The copy shares the parameters' memory and nothing else that is written: flags, hooks, buffers and forwards are its own.
So two threads can explain one model at once, and a third can go on training it. What cannot be copied, such as
TorchScript or a model with hooks, is lent itself, to one thread at a time.
"""

import threading
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import torch
from torch import Tensor, nn

from .protocols import Model
from .randomness import random_states_preserved

Copies = Mapping[int, nn.Module]  # id of the user's module -> the module that stands in for it

_lent: ContextVar[Copies] = ContextVar("lent", default=types.MappingProxyType({}))
_in_place = threading.RLock()  # one for all models: with one for each, two threads could wait for each other

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
FRESH = {name for name, value in nn.Module().__dict__.items() if "hooks" in name and isinstance(value, OrderedDict)}
PLAIN = {int, float, bool, str, bytes, type(None), torch.dtype, torch.device, torch.Size}
CONTAINERS = (list, tuple, dict, OrderedDict, set)
OWN = {"_parameters", "_buffers", "_modules", "training"}  # of a module's attributes, those that a copy has for itself


@contextmanager
def lent(model: Model) -> Iterator[None]:
    """Lend a model in eval mode with frozen parameters; afterwards it is as it was, and so are the random states.

    Inside, `borrowed` finds what to ask. A model that is no nn.Module is called as it is: what lies inside a closure
    cannot be seen from here. What a model keeps from a call in plain attributes, such as a counter, it keeps.
    """
    if not isinstance(model, nn.Module) or id(model) in _lent.get():
        with random_states_preserved():
            yield
        return
    copies = copied(model)
    if copies is None:
        with _in_place, preserved(model):
            yield
        return
    # torch's own modules keep nothing
    own = {key: copy for key, copy in copies.items() if not type(copy).__module__.startswith("torch.nn.modules.")}
    before = {key: dict(copy.__dict__) for key, copy in own.items()}
    mine = {id(copy): copy for copy in copies.values()}
    token = _lent.set({**_lent.get(), **copies, **mine, id(model): copies[id(unwrapped(model))]})
    try:
        with random_states_preserved():
            yield
    finally:
        _lent.reset(token)
        for module in unwrapped(model).modules():
            if id(module) in before:
                _keep(module, copies[id(module)].__dict__, before[id(module)])


def borrowed(module):
    """Return what stands in for a module, or any other model, while it is lent; itself where nothing does."""
    return _lent.get().get(id(module), module)


def is_private(module: Model) -> bool:
    """Whether this is a copy that only this explanation has."""
    return borrowed(module) is module and id(module) in _lent.get()


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module that a wrapper only distributes or compiles; a wrapper's own batches would be ours, cut up."""
    parallel = nn.DataParallel | nn.parallel.DistributedDataParallel
    while isinstance(model, parallel) or type(model).__name__ == "OptimizedModule":
        model = model.module if isinstance(model, parallel) else model.get_submodule("_orig_mod")
    return model


@contextmanager
def preserved(model: Model) -> Iterator[None]:
    """Put the model itself into eval mode and freeze its parameters; give it and the random states back as they were.

    Kept, also after an exception: train/eval flags, requires_grad, buffers, and the random states of torch, numpy
    and random. For one thread at a time: `lent` is for explanations.
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    flags = [module.training for module in modules]
    trainable = [p for module in modules for p in module.parameters(recurse=False) if p.requires_grad]
    buffers = [(module, dict(module._buffers)) for module in modules if module._buffers]
    copies = [(b, b._version, b.clone()) for _, held in buffers for b in held.values() if b is not None]
    with random_states_preserved():
        try:
            for module in modules:
                module.training = False
            for parameter in trainable:
                parameter.requires_grad_(False)  # saves the memory and time of gradients that nobody asked for
            yield
        finally:
            for module, flag in zip(modules, flags, strict=True):
                module.training = flag
            for parameter in trainable:
                parameter.requires_grad_(True)
            for module, held in buffers:
                if not isinstance(module, torch.jit.ScriptModule):  # those are kept in C++, and never replaced
                    module._buffers.update(held)
            for buffer, version, copy in copies:
                if buffer._version != version:  # writing only what changed keeps the user's own open graphs valid
                    buffer.detach().copy_(copy)


# ----------------------------------------------------------------------------------------------------------------- copy


def copied(model: nn.Module, for_a_look: bool = False) -> dict[int, nn.Module] | None:
    """Copy the tree of modules below a model, in eval mode with frozen parameters that share the memory.

    for_a_look: give the copy lists and dicts of its own too and no hooks, so that nobody sees its calls. None for what
    refers to its modules in a way that no copy can follow: hooks, TorchScript, a function that encloses a module.
    """
    listened_to = not for_a_look and any(map(has_hooks, model.modules()))
    if listened_to or any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        return None
    modules = list(unwrapped(model).modules())
    copies: dict[int, nn.Module] = {id(module): object.__new__(type(module)) for module in modules}
    frozen: dict[int, Tensor] = {}
    try:
        for module in modules:
            _fill(copies[id(module)], module, _Twin(copies, frozen, for_a_look))
    except _CannotFollow:
        return None
    return copies


class _CannotFollow(Exception):
    """A reference to a module that a copy would share with the user's model."""


class _Twin:
    """What stands in for any value of a module's attributes."""

    def __init__(self, copies: dict[int, nn.Module], frozen: dict[int, Tensor], containers: bool):
        self.copies, self.frozen, self.containers = copies, frozen, containers

    def of(self, value, depth: int = 0):
        kind = type(value)
        if isinstance(value, nn.Module):
            return self.copies.get(id(value), value)
        if isinstance(value, nn.Parameter):
            return self.parameter(value)
        if kind in CONTAINERS and depth < 4:
            plain = kind is tuple and PLAIN.issuperset(map(type, value))
            return value if plain else self.container(value, depth)
        if kind is types.MethodType:
            return types.MethodType(value.__func__, self.of(value.__self__))
        if kind is partial:
            arguments = {key: self.of(part, depth + 1) for key, part in value.keywords.items()}
            return partial(self.of(value.func), *(self.of(part, depth + 1) for part in value.args), **arguments)
        if kind is types.FunctionType and self.encloses(value):
            raise _CannotFollow
        return value

    def container(self, value, depth: int):
        if isinstance(value, dict):
            parts = {key: self.of(part, depth + 1) for key, part in value.items()}
            same = all(parts[key] is part for key, part in value.items())
            return value if same and not self.containers else type(value)(parts)
        row = [self.of(part, depth + 1) for part in value]
        same = all(map(lambda a, b: a is b, row, value))
        return value if same and not self.containers else type(value)(row)

    def parameter(self, parameter: nn.Parameter) -> Tensor:
        if not parameter.requires_grad or type(parameter) is not nn.Parameter:
            return parameter
        if id(parameter) not in self.frozen:
            self.frozen[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=False)
        return self.frozen[id(parameter)]

    def encloses(self, function: types.FunctionType) -> bool:
        """Whether a function holds a module of the model in its closure or its defaults."""
        cells = [cell.cell_contents for cell in function.__closure__ or () if cell is not None and _is_filled(cell)]
        return any(self.reaches(value) for value in [*cells, *(function.__defaults__ or ())])

    def reaches(self, value) -> bool:
        if isinstance(value, types.MethodType):
            value = value.__self__
        if isinstance(value, partial):
            return any(map(self.reaches, [value.func, *value.args, *value.keywords.values()]))
        if type(value) in CONTAINERS:
            return any(map(self.reaches, value.values() if isinstance(value, dict) else value))
        if isinstance(value, types.FunctionType):
            return self.encloses(value)
        return id(value) in self.copies


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018  the only way to ask
    except ValueError:
        return False
    return True


def _fill(copy: nn.Module, module: nn.Module, twin: _Twin) -> None:
    attributes = copy.__dict__
    attributes.update(module.__dict__)
    for name, value in module.__dict__.items():
        if name in FRESH:
            # none of the user's hooks, and in dicts of its own: what is hooked to the copy must not listen to the model
            attributes[name] = OrderedDict()
        elif type(value) not in PLAIN and name not in OWN:
            attributes[name] = twin.of(value)
    attributes["_modules"] = {name: c if c is None else twin.copies[id(c)] for name, c in module._modules.items()}
    attributes["_parameters"] = {name: p if p is None else twin.parameter(p) for name, p in module._parameters.items()}
    # a clone: what a call writes into a buffer is no business of the user's model
    attributes["_buffers"] = {name: b if b is None else b.detach().clone() for name, b in module._buffers.items()}
    attributes["training"] = False


def _keep(module: nn.Module, now: dict, before: dict) -> None:
    """Hand on the plain attributes that calls of the copy have set."""
    for name, value in now.items():
        fixed = name in OWN or name == "forward" or isinstance(value, nn.Module | types.MethodType)
        if not fixed and before.get(name, _fill) is not value:
            module.__dict__[name] = value


def has_hooks(module: nn.Module) -> bool:
    """Whether somebody listens to the module."""
    return any(getattr(module, name, None) for name in HOOKS)
