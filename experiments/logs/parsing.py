"""The JSON of contexts as columns, all rows at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
from numpy.typing import NDArray

from experiments.logs.alike import cut_features
from experiments.logs.supplied import without_supplied

CONTEXT = frozenset(
    {"features", "contacts", "events", "usage", "placement", "channels", "suppressed"}
)
"""What a context's JSON holds, beside supplied actions; see `agents.decisions.context_record`."""

_FEATURES, _BORDER = "features", ',"contacts":'
_SAMPLE = 64  # rows that are looked at to know which features are text
_ALIKE = 4  # rows, at the least, that share what follows the features, for it to be read by itself
_MANY = 1_024  # rows, below which a kernel is not worth being loaded
_ODD = (pa.ArrowInvalid, orjson.JSONDecodeError, TypeError, KeyError, AttributeError)

Parsed = tuple[NDArray[np.int64], pa.Table]


def parse(texts: pa.Array) -> Parsed | None:
    """Return numbers of contacts and features of N contexts.

    What follows the features is alike in many rows, and is read once then.

    Returns:
        (N,) and a table of N rows; None if only one by one can tell what is odd.
    """
    if not len(texts):
        return np.zeros(0, dtype=np.int64), pa.table({})
    try:
        own = without_supplied(texts)
    except _ODD:
        return None
    return _in_parts(own) or _whole(own)


def _whole(texts: pa.Array) -> Parsed | None:
    try:
        whole = _read(texts, _declared(texts.slice(0, _SAMPLE).to_pylist()))
    except _ODD:
        return None
    if whole is None or not _as_written(whole, len(texts), CONTEXT):
        return None
    features = _columns(whole)
    return None if features is None else (_counts(whole), features)


def _in_parts(texts: pa.Array) -> Parsed | None:
    """Parse features, and each different remainder once; None if it cannot be or is no gain."""
    try:
        cut = cut_features(texts, _BORDER) if len(texts) >= _MANY else None
        if cut is None:
            return _at_border(texts)
        features, rests = cut[0], cut[1].dictionary_encode()
        plain = all(_plain(column) for column in features.itercolumns())
        return _beside(features, rests) if plain and _alike(rests) else None
    except _ODD:
        return None


def _at_border(texts: pa.Array) -> Parsed | None:
    """Parse in two parts what no kernel could; JSON both, with the braces that were cut off."""
    halves = pc.split_pattern(texts, _BORDER, max_splits=1)
    if not pc.all(pc.equal(pc.list_value_length(halves), 2)).as_py():
        return None
    items = halves.flatten()
    rests = items.take(pa.array(np.arange(1, len(items), 2))).dictionary_encode()
    if not _alike(rests):
        return None
    owns = items.take(pa.array(np.arange(0, len(items), 2)))
    owns = pc.binary_join_element_wise(owns, "}", "")
    own = _read(owns, _declared(owns.slice(0, _SAMPLE).to_pylist()))
    if own is None or not _as_written(own, len(owns), {_FEATURES}):
        return None
    features = _columns(own)
    return None if features is None else _beside(features, rests)


def _alike(rests: pa.DictionaryArray) -> bool:
    return bool(_ALIKE * len(rests.dictionary) <= len(rests))


def _beside(features: pa.Table, rests: pa.DictionaryArray) -> Parsed | None:
    """Parse what follows the features, and say how many contacts each row has."""
    others = pc.binary_join_element_wise("{" + _BORDER[1:], rests.dictionary, "")
    other = _read(others, {})
    if other is None or not _as_written(other, len(others), CONTEXT - {_FEATURES}):
        return None
    return _counts(other)[np.asarray(rests.indices)], features


def _as_written(found: pa.Table, rows: int, names: Collection[str]) -> bool:
    """Whether all rows have all these parts of a context and nothing else."""
    if set(found.column_names) != set(names) or found.num_rows != rows:
        return False
    if any(found[name].null_count for name in names):
        return False
    kinds = {name: found.schema.field(name).type for name in names}
    objects = _FEATURES not in kinds or pa.types.is_struct(kinds[_FEATURES])
    return bool(objects and ("contacts" not in kinds or pa.types.is_list(kinds["contacts"])))


def _counts(found: pa.Table) -> NDArray[np.int64]:
    return np.asarray(pc.list_value_length(found["contacts"]), dtype=np.int64)


def _columns(found: pa.Table) -> pa.Table | None:
    features = found.combine_chunks()[_FEATURES].chunk(0)
    columns = dict(zip(features.type.names, features.flatten(), strict=True))
    return pa.table(columns) if all(_plain(column) for column in columns.values()) else None


def _read(texts: pa.Array, declared: dict[str, pa.DataType]) -> pa.Table | None:
    lists = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    lines = pc.binary_join(lists, "\n")[0].as_buffer()
    if np.count_nonzero(np.frombuffer(lines, dtype=np.uint8) == ord("\n")) != len(texts) - 1:
        return None  # text on several lines
    for _ in range(2):
        schema = pa.schema([("features", pa.struct(list(declared.items())))])
        whole = pj.read_json(
            pa.BufferReader(lines),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=pj.ParseOptions(explicit_schema=schema if declared else None),
        )
        dated = _dated(whole)
        if not dated:
            return whole
        declared |= dated
    return None


def _declared(sample: Sequence[str]) -> dict[str, pa.DataType]:
    """Say which features of some rows are text or instants, which pyarrow might read as times."""
    found: dict[str, pa.DataType] = {}
    for text in sample:
        for name, value in orjson.loads(text)["features"].items():
            if isinstance(value, str):
                found[name] = pa.string()
            elif isinstance(value, dict) and value.keys() == {"instant"}:
                found[name] = pa.struct([("instant", pa.string())])
    return found


def _dated(whole: pa.Table) -> dict[str, pa.DataType]:
    """Return the features that were read as times, with the types they should have been read as."""
    if "features" not in whole.column_names or not pa.types.is_struct(whole["features"].type):
        return {}
    own = {field.name: field.type for field in whole["features"].type}
    return {name: _as_text(kind) for name, kind in own.items() if _as_text(kind) != kind}


def _as_text(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_as_text(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _as_text(field.type)) for field in kind])
    return kind


def _plain(column: pa.Array) -> bool:
    """Whether numbers are such as JSON allows; pyarrow reads NaN and Infinity too."""
    return not pa.types.is_floating(column.type) or bool(
        np.isfinite(column.fill_null(0.0).to_numpy(zero_copy_only=False)).all()
    )
