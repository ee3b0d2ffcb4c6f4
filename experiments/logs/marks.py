"""What a log's file says of itself: whether its distributions are whole, or only the drawn part."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_KEY = b"nextbest.distribution"
_WHOLE, _DRAWN = b"whole", b"drawn"


def marked(schema: pa.Schema, *, whole: bool) -> pa.Schema:
    """Say in a schema whether the distributions are known, or only the drawn action's probability.

    Example:
        >>> full_distribution(marked(pa.schema([]), whole=False))
        False
    """
    known = schema.metadata or {}
    return schema.with_metadata({**known, _KEY: _WHOLE if whole else _DRAWN})


def full_distribution(source: pa.Table | pa.Schema) -> bool:
    """Whether every probability was logged, not only that of the action that was drawn.

    Some logs, the Open Bandit Dataset among them, hold one probability a row. Their importer
    spreads the rest evenly over the other allowed actions, and marks the file. IPS, SNIPS and
    everything else that reads the drawn action's probability alone stays exact; what reads the
    others (the propensity audit's chi-square, the support of a target, a logged policy's value by
    a model) does not mean anything there.

    Args:
        source: a table as it was read from its file, or its schema; a log that says nothing is
            one of ours, and whole.

    Example:
        >>> full_distribution(pa.schema([]))
        True
    """
    schema = source.schema if isinstance(source, pa.Table) else source
    return bool((schema.metadata or {}).get(_KEY, _WHOLE) != _DRAWN)


def whole_file(file: Path) -> bool:
    """Return `full_distribution` of a Parquet file, without reading its rows."""
    return full_distribution(pq.read_schema(file))
