"""What a ledger needs of a database; its SQL is the same for every one of them.

Statements have `?` where values go. Instants are stored as whole microseconds since 1970 (UTC).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from agents.errors import StateError

Row = tuple[Any, ...]
Statement = tuple[str, Row]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Return an instant as a ledger stores it: whole microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the instant (UTC) of `to_micros`."""
    return _EPOCH + micros * _MICROSECOND


class RefusedError(StateError):
    """The database refused a statement, and with it all of its transaction.

    Args:
        own_fault: whether that statement would be refused again, and others might not be.
    """

    def __init__(self, message: str, *, own_fault: bool) -> None:
        super().__init__(message)
        self.own_fault = own_fault


class LostError(StateError):
    """The connection was lost: what was sent last may or may not have been done."""


class Moment(NamedTuple):
    """What a database's clock shows.

    Args:
        now: the instant (UTC).
        latest: the latest at which anything was committed, which may be later if the clock was
            set back.
    """

    now: datetime
    latest: datetime


class Database(Protocol):
    """One connection to a database that holds a ledger; used by one thread at a time.

    Every method raises StateError if the database cannot do it now.
    """

    @property
    def remote(self) -> bool:
        """Whether each question is a journey, so that it pays to ask many at once."""

    @property
    def moment(self) -> Moment | None:
        """What the database's own clock showed at `begin`; None if it has none of its own."""

    @property
    def changes(self) -> int:
        """A number that is another once a row was written; -1 outside of a transaction."""

    def foresee(self, statements: Iterable[Statement]) -> None:
        """Ask at once what is going to be asked; texts in it are compared for equality only."""

    def rows(self, sql: str, values: Row = ()) -> list[Row]:
        """Run a statement and return its rows."""

    def run(self, sql: str, values: Row = ()) -> None:
        """Run a statement that returns nothing; it may fail as late as at the commit."""

    def run_many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run a statement that returns nothing once for each row of values."""

    def begin(self) -> None:
        """Open a transaction that nobody else writes beside."""

    def commit(self) -> None:
        """Make the transaction durable; returns when it is on disk. May run in another thread."""

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Inside a transaction: undo what is inside if it raises, and nothing else.

        Raises:
            StateError: there is no transaction.
        """

    def still(self) -> AbstractContextManager[None]:
        """Read everything inside as it stands at the first reading; outside of a transaction."""

    def scrub(self, *, whole: bool) -> bool:
        """Overwrite on disk what was removed; return whether nothing of it is left.

        Outside of a transaction.

        Args:
            whole: however long it takes.
        """

    def close(self) -> None:
        """Release the database, and the right to write to it."""
