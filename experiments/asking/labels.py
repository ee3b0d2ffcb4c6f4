"""The names of segments: what customers have in common by a field of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from experiments.logs.contexts import Column, Contexts, feature_columns

UNKNOWN = "unknown"

PIECES = 4
"""Parts that a number is cut into which has more values than that."""

Floats = NDArray[np.float64]


class Words(NamedTuple):
    """What n values are called.

    Args:
        names: of the different ones.
        codes: (n,) the number of each value's name.
    """

    names: tuple[str, ...]
    codes: NDArray[np.intp]


def column_of(contexts: Contexts | NDArray[np.object_], name: str) -> Column:
    """Return the values of one field in n contexts, None where a context lacks it."""
    return feature_columns(contexts).get(name, [None] * len(contexts))


def words_of(column: Column) -> Words:
    """Name each of n values.

    Example:
        >>> words_of([3, 3.0, None, ["b", "a"], True]).names
        ('3', 'unknown', 'a, b', 'true')
    """
    if isinstance(column, pa.Array) and not pa.types.is_nested(column.type):
        coded = column.dictionary_encode(null_encoding="encode")
        names = [told(value) for value in coded.dictionary.to_pylist()]
        codes = np.asarray(coded.indices, dtype=np.intp)
    else:
        values = column.to_pylist() if isinstance(column, pa.Array) else column
        names, codes = [told(value) for value in values], np.arange(len(values))
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    own = np.array([numbers[name] for name in names], dtype=np.intp)
    return Words(tuple(numbers), own[codes])


def numbers_of(column: Column) -> Floats:
    """Return n values as numbers, NaN where one is none; (n,)."""
    if isinstance(column, pa.Array):
        kind = column.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return np.array(column.cast(pa.float64(), safe=False), dtype=np.float64)
        if not pa.types.is_nested(kind):
            return np.full(len(column), np.nan)
        column = column.to_pylist()
    return np.array([v if is_number(v) else np.nan for v in column], dtype=np.float64)


def is_number(value: object) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def cut_names(cuts: Sequence[float]) -> tuple[str, ...]:
    """Name the parts between cuts, and the one without a number.

    Example:
        >>> cut_names([1.0, 2.5])
        ('1: up to 1', '2: up to 2.5', '3: above 2.5', 'unknown')
    """
    below = [f"{k + 1}: up to {cut:g}" for k, cut in enumerate(cuts)]
    return (*below, f"{len(cuts) + 1}: above {cuts[-1]:g}", UNKNOWN)


def cut_codes(amounts: Floats, cuts: Floats) -> NDArray[np.intp]:
    """Return the number among `cut_names` of the part that each of (n,) amounts is in; NaN last."""
    inside = np.searchsorted(cuts, amounts, side="left")  # (n,)
    return np.asarray(np.where(np.isnan(amounts), len(cuts) + 1, inside), dtype=np.intp)


def in_order(names: Sequence[str]) -> list[str]:
    """Return names of segments as reports have them."""
    return sorted(set(names), key=lambda name: (name == UNKNOWN, name))


def told(value: object) -> str:
    """Name a value; a number is called the same whether or not it was written with a point."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.15g}"
    return ", ".join(sorted(map(str, value))) if isinstance(value, list) else str(value)
