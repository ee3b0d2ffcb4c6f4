"""Contexts of a log: kept as JSON and as columns of features, parsed row by row when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from experiments.logs.parsing import parse
from experiments.logs.supplied import read_record

_BLOCK = 16_384  # rows parsed at once

Row = Mapping[str, Any]
Column: TypeAlias = pa.Array | list[Any]


@dataclass(frozen=True)
class Late:
    """Texts that are read when one is asked for; most valuations look at features alone.

    Args:
        read: returns all texts of which these are some.
        rows: (N,) which.
    """

    read: Callable[[], pa.Array]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> pa.StringScalar:
        return self.found[row]

    @cached_property
    def found(self) -> pa.Array:
        """The texts themselves."""
        return self.read().take(pa.array(self.rows))

    def take(self, chosen: pa.Array) -> Late:
        """Return some of them, as late."""
        return Late(self.read, self.rows[np.asarray(chosen)])

    def to_pylist(self) -> list[str]:
        """Return all of them."""
        texts: list[str] = self.found.to_pylist()
        return texts


@dataclass(frozen=True)
class Contexts:
    """N contexts; `contexts[3]` is the mapping of row 3, `contexts[chosen]` a selection.

    Args:
        texts: (N,) their JSON, or `Late`.
        contacts: (N,) number of recent contacts.
        table: N rows, a column for each feature; None where a feature has values of several kinds.

    Example:
        >>> Contexts.of(pa.array(['{"features":{"a":1},"contacts":[],"events":[],"usage":{},'
        ...     '"placement":"","channels":[],"suppressed":[]}']))[0]["features"]
        {'a': 1}
    """

    texts: pa.Array | Late
    contacts: NDArray[np.int64]
    table: pa.Table | None

    @classmethod
    def of(cls, texts: pa.Array) -> Contexts | None:
        """Parse JSON column by column; None if some row is not as it should be, or too odd."""
        starts = range(0, max(len(texts), 1), _BLOCK)
        parts = [parse(texts.slice(start, _BLOCK)) for start in starts]
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            return None
        contacts = np.concatenate([counts for counts, _ in found])
        try:
            tables = [table for _, table in found]
            return cls(texts, contacts, pa.concat_tables(tables, promote_options="permissive"))
        except pa.ArrowTypeError:  # a feature that is a number here and text there
            return cls(texts, contacts, None)

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[Row]:
        return (read_record(text) for text in self.texts.to_pylist())

    @overload
    def __getitem__(self, rows: int | np.integer) -> Row: ...

    @overload
    def __getitem__(self, rows: NDArray[Any]) -> Contexts: ...

    def __getitem__(self, rows: int | np.integer | NDArray[Any]) -> Row | Contexts:
        if not isinstance(rows, np.ndarray):
            found: Row = read_record(self.texts[int(rows)].as_py())
            return found
        chosen = pa.array(np.flatnonzero(rows) if rows.dtype == np.bool_ else rows)
        table = self.table
        if table is not None and table.num_columns:
            table = table.take(chosen)
        return Contexts(self.texts.take(chosen), self.contacts[rows], table)

    def tolist(self) -> list[Row]:
        """Return all of them as mappings."""
        return list(self)


def feature_columns(contexts: Contexts | NDArray[np.object_]) -> dict[str, Column]:
    """Return the features of N contexts by name, as Arrow arrays or lists of plain values."""
    if isinstance(contexts, Contexts) and contexts.table is not None:
        table = contexts.table
        return {name: joined(table[name]) for name in table.column_names}
    return listed_features(contexts)


def listed_features(contexts: Contexts | NDArray[np.object_]) -> dict[str, Column]:
    """Return the features of N contexts by name, as lists of plain values, None where unknown."""
    rows = [context["features"] for context in contexts]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def contact_counts(contexts: Contexts | NDArray[np.object_]) -> NDArray[np.int64]:
    """Return how many recent contacts each of N contexts has; (N,)."""
    if isinstance(contexts, Contexts):
        return contexts.contacts
    return np.array([len(context["contacts"]) for context in contexts], dtype=np.int64)


def joined(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece."""
    found = column.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)
