"""Features of contexts that are written alike, found by their places in the text.

Where all rows name the same features in the same order, what stands between their values is known,
so a value's place and kind say all, and nothing has to be taken apart as JSON. Whatever is not
written so is left to a reader of JSON.
"""

from __future__ import annotations

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from experiments.logs.tokens import FRACTION, NULL, TEXT, TRUTH, WHOLE, find_values, gather

_TRUE = ord("t")

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int32]


def cut_features(texts: pa.Array, border: str) -> tuple[pa.Table, pa.Array] | None:
    """Read the features of N contexts, and return what follows them as it is.

    Args:
        texts: (N,) JSON of objects that begin with their features; none is null.
        border: what follows the features' closing brace.

    Returns:
        A table of N rows, and (N,) text from the end of the border on. None if a row does not name
        the features of the first row in that order; if one has values of several kinds, a list or
        an object; or if a text has an escape.

    Raises:
        orjson.JSONDecodeError: the first text is no JSON.
        KeyError, AttributeError: it is no context.

    Example:
        >>> rows = ['{"features":{"a":1,"b":"x"},"c":2}', '{"features":{"a":2,"b":null},"c":{}}']
        >>> table, rests = cut_features(pa.array(rows), ',"c":')
        >>> table.to_pydict(), rests.to_pylist()
        ({'a': [1, 2], 'b': ['x', None]}, ['2}', '{}}'])
    """
    names = list(orjson.loads(texts[0].as_py())["features"].keys())
    keys = [b'{"features":{', *[b","] * (len(names) - 1)]
    keys = [key + orjson.dumps(name) + b":" for key, name in zip(keys, names, strict=False)]
    keys.append(b"}" + border.encode())
    data, bounds = buffers(texts)
    places = np.empty((2, len(keys), len(texts)), dtype=np.int32)  # begins and ends
    kinds = np.zeros(len(names), dtype=np.uint8)
    ends = np.cumsum([0, *map(len, keys)], dtype=np.uint64)
    joined = np.frombuffer(b"".join(keys), dtype=np.uint8)
    if not names or not find_values(data, bounds, joined, ends, places, kinds):
        return None
    columns = {}
    for number, (name, kind) in enumerate(zip(names, kinds.tolist(), strict=True)):
        column = _column(data, places[0, number], places[1, number], kind)
        if column is None:
            return None
        columns[name] = column
    return pa.table(columns), _spans(data, places[0, -1], places[1, -1])


def buffers(texts: pa.Array) -> tuple[Bytes, Ints]:
    """Return the bytes of N texts, and (N + 1,) where in them each begins and the last ends."""
    _, ends, data = texts.buffers()
    bounds = np.frombuffer(ends, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data if data is not None else b"", dtype=np.uint8), bounds


def _column(data: Bytes, begins: Ints, ends: Ints, kind: int) -> pa.Array | None:
    """Return the values of a feature; None if they are of several kinds, or are no text."""
    known, kind = begins >= 0, kind & ~NULL  # (N,)
    if kind == 0:
        return pa.nulls(len(begins))
    if kind == TRUTH:
        return pa.array(data[begins] == _TRUE, mask=~known)
    found = _spans(data, begins, ends, known)
    try:
        if kind == TEXT:
            found.validate(full=True)
            return found
        if kind == WHOLE:
            return _whole(found)
        return found.cast(pa.float64()) if kind in (FRACTION, WHOLE | FRACTION) else None
    except pa.ArrowInvalid:
        return None


def _whole(numbers: pa.Array) -> pa.Array:
    """Return integers; floating-point numbers if one is too large."""
    try:
        return numbers.cast(pa.int64())
    except pa.ArrowInvalid:
        return numbers.cast(pa.float64())


def _spans(
    data: Bytes, begins: Ints, ends: Ints, known: NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return (N,) text from spans of bytes; null where it is not known."""
    out = np.empty(int((ends - begins).sum(dtype=np.int64)), dtype=np.uint8)
    bounds = np.empty(len(begins) + 1, dtype=np.int32)
    gather(data, begins, ends, out, bounds)
    valid = None
    if known is not None and not known.all():
        valid = pa.py_buffer(np.packbits(known, bitorder="little"))
    parts = pa.py_buffer(bounds), pa.py_buffer(out), valid
    return pa.StringArray.from_buffers(len(begins), *parts)
