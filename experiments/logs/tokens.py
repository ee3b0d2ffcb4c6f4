"""Kernels that find where values stand in JSON objects of known names, and copy them together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.jit import compiled

NULL, TEXT, TRUTH, WHOLE, FRACTION = 1, 2, 4, 8, 16
"""Kinds of a value, as bits: null, text, true or false, and numbers without and with a fraction."""

_QUOTE, _BACKSLASH, _SPACE, _MINUS, _PLUS, _POINT, _ZERO, _NINE = b'"\\ -+.09'
_SMALL_E, _LARGE_E = b"eE"
_WORDS = np.frombuffer(b"nulltruefalse", dtype=np.uint8).copy()
_STARTS = np.array([0, 4, 8, 13], dtype=np.uint64)  # of each in `_WORDS`, and the end
_ONE = np.uint64(1)  # places are unsigned: no kernel then asks whether they count from the end

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int32]
Place = np.uint64


@compiled
def find_values(
    data: Bytes, bounds: Ints, keys: Bytes, ends: NDArray[np.uint64], places: Ints, kinds: Bytes
) -> bool:
    """Find the values of N objects, all of which have F values behind the same keys.

    Args:
        data: the objects' bytes.
        bounds: (N + 1,) where each object begins, and the last ends.
        keys: what stands before each value and after the last one, joined.
        ends: (F + 2,) where each of these F + 1 begins in `keys`, and the last ends.
        places: (2, F + 1, N) is filled: where each value begins and ends, texts without their
            quotes, -1 for null; and where what follows the last key begins and ends.
        kinds: (F,) bits are set: the kinds that occur.

    Returns:
        Whether all objects are so; False too if a text has an escape, or a value is no scalar.
    """
    last = kinds.size
    for row in range(bounds.size - 1):
        at, stop = np.uint64(bounds[row]), np.uint64(bounds[row + 1])
        for number in range(last):
            at = _word(data, at, stop, keys, ends[number], ends[number + 1])
            if at == 0 or at >= stop:
                return False
            end, kind = _value(data, at, stop)
            if kind == 0:
                return False
            kinds[number] |= kind
            quotes = _ONE if kind == TEXT else np.uint64(0)
            places[0, number, row] = -1 if kind == NULL else np.int32(at + quotes)
            places[1, number, row] = -1 if kind == NULL else np.int32(end - quotes)
            at = end
        at = _word(data, at, stop, keys, ends[last], ends[last + 1])
        if at == 0:
            return False
        places[0, last, row], places[1, last, row] = at, stop
    return True


@compiled
def gather(data: Bytes, begins: Ints, ends: Ints, out: Bytes, bounds: Ints) -> None:
    """Copy N spans of bytes together; fills `bounds` (N + 1,) with where each begins in `out`."""
    filled = np.uint64(0)
    for row in range(begins.size):
        bounds[row] = filled
        first = np.uint64(begins[row])
        length = np.uint64(np.uint64(ends[row]) - first)
        for offset in range(length):
            out[filled + offset] = data[first + offset]
        filled = np.uint64(filled + length)
    bounds[begins.size] = filled


@compiled
def _word(data: Bytes, at: Place, stop: Place, words: Bytes, first: Place, last: Place) -> Place:
    """Return where a word ends that begins at a place; 0 if another is there."""
    length = np.uint64(last - first)
    if at + length > stop:
        return np.uint64(0)
    for offset in range(length):
        if data[at + offset] != words[first + offset]:
            return np.uint64(0)
    return np.uint64(at + length)


@compiled
def _value(data: Bytes, at: Place, stop: Place) -> tuple[Place, int]:
    """Return where a scalar ends, and its kind; 0 if there is none."""
    first = data[at]
    if first == _QUOTE:
        return _text(data, np.uint64(at + _ONE), stop)
    for number in range(3):
        begin = _STARTS[number]
        if first == _WORDS[begin]:
            end = _word(data, at, stop, _WORDS, begin, _STARTS[number + 1])
            return end, (NULL if number == 0 else TRUTH) if end > 0 else 0
    return _number(data, at, stop)


@compiled
def _text(data: Bytes, at: Place, stop: Place) -> tuple[Place, int]:
    while at < stop and data[at] != _QUOTE:
        if data[at] == _BACKSLASH or data[at] < _SPACE:
            return at, 0
        at = np.uint64(at + _ONE)
    return np.uint64(at + _ONE), TEXT if at < stop else 0


@compiled
def _number(data: Bytes, at: Place, stop: Place) -> tuple[Place, int]:
    """Read a number as JSON has it: no plus sign, no leading zero, digits around a point."""
    if data[at] == _MINUS:
        at = np.uint64(at + _ONE)
    end = _digits(data, at, stop)
    if end == at or (data[at] == _ZERO and end > at + _ONE):
        return end, 0
    kind = WHOLE
    if end < stop and data[end] == _POINT:
        at, kind = np.uint64(end + _ONE), FRACTION
        end = _digits(data, at, stop)
    if end > at and end < stop and (data[end] == _SMALL_E or data[end] == _LARGE_E):
        at, kind = np.uint64(end + _ONE), FRACTION
        if at < stop and (data[at] == _MINUS or data[at] == _PLUS):
            at = np.uint64(at + _ONE)
        end = _digits(data, at, stop)
    return end, kind if end > at else 0


@compiled
def _digits(data: Bytes, at: Place, stop: Place) -> Place:
    while at < stop and _ZERO <= data[at] <= _NINE:
        at = np.uint64(at + _ONE)
    return at
