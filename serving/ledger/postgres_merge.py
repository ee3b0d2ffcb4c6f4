"""Many rows in one statement: what a batch adds to a table is sent together.

A statement costs the server about as much as a row of it, so eight decisions take three
statements and not twenty-four.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

from serving.ledger.database import Row, Statement

_PLAIN = re.compile(r"(INSERT INTO \w+(?: \([\w, ]+\))? VALUES )(\(\?(?:, \?)*\))")
_MOST = 64  # rows of one statement


def merged(statements: Iterable[Statement]) -> list[Statement]:
    """Send rows of the same table together, at the place of the first.

    Only plain additions change places with each other, and only between two statements of other
    kinds. A row is never moved behind another one that came later, so what refers to an entry of
    the log finds it: in each job the entry comes first.

    Example:
        >>> add = "INSERT INTO note VALUES (?, ?)"
        >>> merged([(add, ("a", 1)), (add, ("b", 2)), ("COMMIT", ())])
        [('INSERT INTO note VALUES (?, ?), (?, ?)', ('a', 1, 'b', 2)), ('COMMIT', ())]
    """
    sent: list[Statement] = []
    waiting: dict[str, list[Row]] = {}
    for sql, values in statements:
        if _parts(sql) is not None:
            waiting.setdefault(sql, []).append(values)
            continue
        sent += _together(waiting)
        waiting = {}
        sent.append((sql, values))
    return [*sent, *_together(waiting)]


@lru_cache(maxsize=1_000)
def _parts(sql: str) -> tuple[str, str] | None:
    """Split an addition of one row into its head and its places; None if it is something else."""
    found = _PLAIN.fullmatch(sql)
    return None if found is None else (found[1], found[2])


@lru_cache(maxsize=1_000)
def _for_rows(sql: str, count: int) -> str:
    parts = _parts(sql)
    assert parts is not None, "only plain additions wait"
    head, places = parts
    return head + ", ".join([places] * count)


def _together(waiting: dict[str, list[Row]]) -> Iterator[Statement]:
    """Write each table's rows in statements of 64, 32 and so on down to 1: few to prepare."""
    for sql, rows in waiting.items():
        start = 0
        while start < len(rows):
            count = min(_MOST, 1 << ((len(rows) - start).bit_length() - 1))
            values = tuple(chain.from_iterable(rows[start : start + count]))
            yield _for_rows(sql, count), values
            start += count
