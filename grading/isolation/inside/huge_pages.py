"""The template's memory in huge pages: a fork copies the table of its pages, which is most of what a fork costs.

Linux from 6.1; elsewhere nothing happens. Known to the sandbox.
"""

import ctypes
import errno
import sys
from collections.abc import Iterator
from contextlib import suppress

from .confine import libc

SIZE, COLLAPSE = 2**21, 25


def use_huge_pages() -> None:
    """Collapse the heap and what the libraries keep in variables: there is no /proc to look up the rest."""
    if sys.platform != "linux":
        return
    for start, end in _variables():
        for place in range(-(-start // SIZE) * SIZE, end - SIZE + 1, SIZE):
            _collapse(place)
    place = libc.sbrk(0) // SIZE * SIZE - SIZE
    while _collapse(place) != errno.ENOMEM:  # below the heap there is nothing
        place -= SIZE


def _collapse(place: int) -> int | None:
    """Return 0, or why the kernel would not."""
    try:
        libc.madvise(ctypes.c_void_p(place), SIZE, COLLAPSE)
    except OSError as error:
        return error.errno
    return 0


class _Segment(ctypes.Structure):
    _sizes = ("offset", "address", "physical", "in_file", "in_memory", "align")
    _fields_ = [("type", ctypes.c_uint32), ("flags", ctypes.c_uint32), *((name, ctypes.c_uint64) for name in _sizes)]


class _Library(ctypes.Structure):
    _fields_ = [("base", ctypes.c_uint64), ("name", ctypes.c_char_p),
                ("segments", ctypes.POINTER(_Segment)), ("n", ctypes.c_uint16)]  # fmt: skip


def _variables() -> Iterator[tuple[int, int]]:
    """Yield from where to where variables that begin as zero lie, for each library that is loaded (ELF, 64 bits)."""
    found = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Library), ctypes.c_size_t, ctypes.c_void_p)
    def visit(library, *_):
        its = library.contents
        for one in its.segments[: its.n]:
            if one.type == 1 and one.flags & 2:  # loaded, writable
                start = its.base + one.address
                found.append((start + one.in_file, start + one.in_memory))
        return 0

    with suppress(AttributeError):
        ctypes.CDLL(None).dl_iterate_phdr(visit, None)
    return iter(found)
