"""Features as a log has them: numbers, or members of sets, a block of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from agents.units import parse_instant
from experiments.logs.contexts import (
    Column,
    Contexts,
    contact_counts,
    feature_columns,
    listed_features,
)

_DAY_S = 86_400.0
_MOST_DAYS = 3_650.0  # ten years, either way

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ContextBlock:
    """Some rows' contexts.

    Args:
        contexts: (n,).
        at: (n,) datetime64, the instants of the decisions.
    """

    contexts: Contexts | NDArray[np.object_]
    at: NDArray[np.datetime64]

    @property
    def seconds(self) -> Floats:
        """The instants as seconds since 1970; (n,)."""
        return np.asarray(self.at.astype("datetime64[us]").astype(np.int64) / 1e6)


@dataclass(frozen=True)
class Numbers:
    """A number, a boolean or an instant in n rows; NaN where it is unknown."""

    values: Floats


@dataclass(frozen=True)
class Members:
    """A text or a set in n rows.

    Args:
        known: (n,) whether it is.
        rows, codes: (m,) each: a row has a member, by its number in `names`; never twice.
        names: of the members.
    """

    known: NDArray[np.bool_]
    rows: NDArray[np.intp]
    codes: NDArray[np.intp]
    names: tuple[str, ...]


Raw = Numbers | Members


def contacts_of(block: ContextBlock) -> Floats:
    """Return the number of recent contacts; (n,)."""
    return contact_counts(block.contexts).astype(np.float64)


def raw_features(block: ContextBlock, text: Collection[str] = ()) -> dict[str, Raw]:
    """Return every feature that some row has; those in `text` as members, even if all are numbers.

    A feature of which any value is text or a list is text in all rows.
    """
    columns = feature_columns(block.contexts)
    if any(_as_numbers(columns[name]) for name in {*text} & columns.keys()):
        columns = listed_features(block.contexts)  # 3 and 3.0 are different texts
    seconds = block.seconds
    return {name: _raw(column, seconds, text=name in text) for name, column in columns.items()}


def _as_numbers(column: Column) -> bool:
    return isinstance(column, pa.Array) and not pa.types.is_string(column.type)


def _raw(column: Column, at: Floats, *, text: bool) -> Raw:
    if isinstance(column, pa.Array):
        found = _from_arrow(column, at)
        if found is not None:
            return found
        column = column.to_pylist()
    return _from_list(column, at, text=text)


def _from_arrow(column: pa.Array, at: Floats) -> Raw | None:
    """Read a column without its values becoming objects; None if it is of no such type."""
    kind = column.type
    if pa.types.is_null(kind):
        return Numbers(np.full(len(column), np.nan))
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = column.cast(pa.uint8()) if pa.types.is_boolean(kind) else column
        return Numbers(np.array(values.cast(pa.float64(), safe=False), dtype=np.float64))
    if pa.types.is_string(kind):
        known = _known(column)
        return _members(known, np.flatnonzero(known), column.drop_null())
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return _of_lists(column)
    if pa.types.is_struct(kind) and kind.names == ["instant"]:
        return _of_instants(column.field("instant"), at)
    return None


def _known(column: pa.Array) -> NDArray[np.bool_]:
    return np.array(column.is_valid(), dtype=np.bool_)


def _members(known: NDArray[np.bool_], rows: NDArray[np.intp], names: pa.Array) -> Members:
    encoded = names.dictionary_encode()
    codes = np.asarray(encoded.indices, dtype=np.intp)
    return Members(known, rows, codes, tuple(encoded.dictionary.to_pylist()))


def _of_lists(column: pa.Array) -> Raw | None:
    items = column.flatten()
    if items.null_count:
        return None
    lengths = np.asarray(pc.list_value_length(column).fill_null(0))
    found = _members(_known(column), np.repeat(np.arange(len(column)), lengths), items)
    cells = np.unique(found.rows * max(len(found.names), 1) + found.codes)
    rows, codes = np.divmod(cells, max(len(found.names), 1))
    return Members(found.known, rows, codes, found.names)


def _of_instants(texts: pa.Array, at: Floats) -> Raw | None:
    try:
        then = texts.cast(pa.timestamp("us", tz="UTC"))
    except pa.ArrowInvalid:
        return None
    microseconds = np.array(then.cast(pa.int64()), dtype=np.float64)  # null is NaN
    return Numbers(_logarithm(at - microseconds / 1e6))


def _logarithm(seconds: Floats) -> Floats:
    """Return sign(d) log(1 + |d|) of the days in (n,) seconds."""
    days = np.clip(seconds / _DAY_S, -_MOST_DAYS, _MOST_DAYS)
    return np.asarray(np.copysign(np.log1p(np.abs(days)), days))


def _from_list(values: Sequence[Any], at: Floats, *, text: bool) -> Raw:
    """Read n plain values of JSON, None where unknown; text decides for members."""
    if not text and not any(isinstance(value, (str, list)) for value in values):
        return Numbers(
            np.array(
                [_number(value, now) for value, now in zip(values, at.tolist(), strict=True)],
                dtype=np.float64,
            )
        )
    sets = [_set(value) for value in values]
    pairs = [(row, name) for row, found in enumerate(sets) for name in sorted(found or ())]
    names = {name: code for code, name in enumerate(dict.fromkeys(name for _, name in pairs))}
    return Members(
        np.array([found is not None for found in sets], dtype=np.bool_),
        np.array([row for row, _ in pairs], dtype=np.intp),
        np.array([names[name] for _, name in pairs], dtype=np.intp),
        tuple(names),
    )


def _set(value: object) -> frozenset[str] | None:
    if value is None:
        return None
    return frozenset(map(str, value)) if isinstance(value, list) else frozenset((str(value),))


def _number(value: float | Mapping[str, str] | None, now: float) -> float:
    """Return a number, or sign(d) log(1 + |d|) of the days d since an instant."""
    if not isinstance(value, Mapping):
        return math.nan if value is None else float(value)
    days = (now - parse_instant(value["instant"]).timestamp()) / _DAY_S
    days = min(max(days, -_MOST_DAYS), _MOST_DAYS)
    return math.copysign(math.log1p(abs(days)), days)
