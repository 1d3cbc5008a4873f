"""Spearman's rank correlation of many rows, compiled: the one place where a sort in C is not fast enough.

A radix sort takes three passes over 32-bit numbers, whatever they are; comparing takes fourteen for a map of 128².
"""

import numpy as np
from numba import njit

# bits per pass: 2,048 counters, which stay in the nearest cache. Unsigned, as all that becomes an index: numba asks of
# every other number whether it is negative
DIGIT, MASK = np.uint64(11), np.uint64(2**11 - 1)


@njit(nogil=True, cache=True)
def correlate_rows(a: np.ndarray, b: np.ndarray, found: np.ndarray) -> None:
    """Write the rank correlation of rows a[r] and b[r] to found[r] (n_rows,).

    a, b: the bits of finite floats as integers, uint32 or uint64 (n_rows, n). Ties get the mean of their ranks; NaN
    where a row is constant.
    """
    n_rows, n = a.shape
    here, there = (np.empty(n, a.dtype), np.empty(n, np.uint32)), (np.empty(n, a.dtype), np.empty(n, np.uint32))
    counts = np.empty((-(-8 * a.itemsize // 11), 2**11), np.uint32)
    centred = np.empty(n)  # twice the distance of each rank of a to the mean rank
    for row in range(n_rows):
        keys, order = _sorted(a[row], here, there, counts)
        spread_a, start = 0.0, 0
        while start < n:
            end = _end_of_tie(keys, start)
            middle = float(start + end - n)
            for i in range(start, end):
                centred[order[i]] = middle
            spread_a += (end - start) * middle * middle
            start = end

        keys, order = _sorted(b[row], here, there, counts)
        spread_b, together, start = 0.0, 0.0, 0
        while start < n:
            end = _end_of_tie(keys, start)
            middle, others = float(start + end - n), 0.0
            for i in range(start, end):
                others += centred[order[i]]
            together += middle * others
            spread_b += (end - start) * middle * middle
            start = end
        spread = np.sqrt(spread_a * spread_b)
        found[row] = together / spread if spread > 0 else np.nan


@njit(nogil=True, cache=True)
def _end_of_tie(keys: np.ndarray, start: int) -> int:
    end = start + 1
    while end < len(keys) and keys[end] == keys[start]:
        end += 1
    return end


@njit(nogil=True, cache=True)
def _sorted(
    bits: np.ndarray,
    here: tuple[np.ndarray, np.ndarray],
    there: tuple[np.ndarray, np.ndarray],
    counts: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return bits (n,) in the order of their floats, and where each came from; the other arguments are room to work."""
    keys, order = here
    negative_zero = np.uint64(1) << np.uint64(8 * bits.itemsize - 1)
    counts[:] = 0
    for i in range(len(bits)):
        key = np.uint64(bits[i])
        # as bits, positive floats are in order, and negative ones in reverse; the negative zero is a zero
        key = ~key if key > negative_zero else key | negative_zero
        keys[i], order[i] = key, i
        for d in range(len(counts)):
            counts[d, (np.uint64(keys[i]) >> np.uint64(d) * DIGIT) & MASK] += np.uint32(1)
    for d in range(len(counts)):
        place, below = counts[d], np.uint32(0)
        for digit in range(len(place)):
            place[digit], below = below, below + place[digit]
        (keys, order), (moved, moved_order) = (here, there) if d % 2 == 0 else (there, here)
        shift = np.uint64(d) * DIGIT
        for i in range(len(bits)):
            digit = (np.uint64(keys[i]) >> shift) & MASK
            to = place[digit]
            place[digit] = to + np.uint32(1)
            moved[to], moved_order[to] = keys[i], order[i]
    return moved, moved_order
