"""What a transaction has asked in advance, and when an answer is out of date.

A journey to the database costs more than an answer. So what a batch of jobs is about to ask is
recorded, asked at once, and waits here until the jobs ask for it. Whatever is written meanwhile
takes away every answer that it may have changed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from serving.ledger.database import Row, Statement

_READ = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")
_WRITTEN = re.compile(r"\b(?:INTO|UPDATE|FROM)\s+(\w+)")


class UnforeseenError(BaseException):
    """A job asked what cannot be answered before a lock is held; no refusal, so none catches it.

    It was not foreseen, or a job before it has changed the answer.
    """


@lru_cache(maxsize=1_000)
def tables_read(sql: str) -> frozenset[str]:
    """Return the tables that a question looks at.

    Example:
        >>> sorted(tables_read("SELECT 1 FROM decision JOIN log USING (position)"))
        ['decision', 'log']
    """
    return frozenset(_READ.findall(sql))


@lru_cache(maxsize=1_000)
def table_written(sql: str) -> tuple[str, bool] | None:
    """Return the table that a statement writes to, and whether it only adds a row; None if none.

    Example:
        >>> table_written("INSERT INTO log VALUES (?)"), table_written("SELECT 1 FROM log")
        (('log', True), None)
        >>> table_written("UPDATE note SET value = ?")
        ('note', False)
    """
    if sql.startswith(("SELECT", "WITH")):
        return None
    found = _WRITTEN.search(sql)
    return None if found is None else (found[1], sql.startswith("INSERT") and "DO UP" not in sql)


class Foreseen:
    """Answers that wait, found by their question.

    A row that is added takes away the answers about its table whose texts it shares, since texts
    are compared for equality, and those without any text. Any other change takes away all that
    is about its table; a removal all there is, since it may cascade.
    """

    def __init__(self) -> None:
        self._answers: dict[Statement, list[Row]] = {}
        self._about: defaultdict[tuple[str, str | None], set[Statement]] = defaultdict(set)
        self._tables: defaultdict[str, set[Statement]] = defaultdict(set)

    def get(self, sql: str, values: Row) -> list[Row] | None:
        """Return the waiting answer, None if there is none."""
        return self._answers.get((sql, values))

    def add(self, sql: str, values: Row, rows: list[Row]) -> None:
        """Let an answer wait."""
        question = sql, values
        self._answers[question] = rows
        texts: set[str | None] = {value for value in values if isinstance(value, str)}
        for table in tables_read(sql):
            self._tables[table].add(question)
            for text in texts or {None}:
                self._about[table, text].add(question)

    def forget(self, sql: str, values: Row) -> None:
        """Take away what a write may have changed."""
        effect = table_written(sql)
        if effect is None or not self._answers:
            return
        table, adds = effect
        if sql.startswith("DELETE"):
            self.clear()
        elif adds:
            shared = [self._about.pop((table, None), None)]
            shared += [self._about.pop((table, v), None) for v in values if isinstance(v, str)]
            self._drop(question for questions in shared if questions for question in questions)
        else:
            self._drop(self._tables.pop(table, ()))

    def clear(self) -> None:
        """Take away everything."""
        self._answers.clear()
        self._about.clear()
        self._tables.clear()

    def _drop(self, questions: Iterable[Statement]) -> None:
        for question in questions:
            self._answers.pop(question, None)


class Recording:
    """A database that only notes what it is asked; every answer is empty."""

    remote = True  # else it would not be asked in advance

    def __init__(self) -> None:
        self.asked: dict[Statement, None] = {}  # in order, each once

    def rows(self, sql: str, values: Row = ()) -> list[Row]:
        """Note a question."""
        self.asked[sql, values] = None
        return []
