"""The shared ledger's reader and writer: every topic, over PostgreSQL.

The organisation's counters are read and charged by nearly every decision. What a batch charges
is added up here and written once, with the commit; a reading takes it in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Self, cast

from agents.counters import Charge, Reading
from serving.ledger.base import Ledger, LedgerReader
from serving.ledger.database import Database, Statement
from serving.ledger.foreseen import Recording
from serving.ledger.log import LAST
from serving.ledger.optimistic import Ahead
from serving.ledger.postgres import PostgresDatabase
from serving.ledger.postgres_ahead import SharedDatabase
from serving.ledger.postgres_schema import check_version


class PostgresReader(LedgerReader):
    """A view of a shared ledger."""

    @classmethod
    def open(cls, url: str) -> Self:
        """Open an existing ledger for reading.

        Raises:
            StateError: there is no such ledger, it is of another version, or it cannot be reached.
        """
        check_version(url, change=False)
        return cls(PostgresDatabase(url, writing=False))


class PostgresLedger(Ledger):
    """One of a shared ledger's writers; there may be one in each replica.

    Args:
        database: a connection of its own.
    """

    def __init__(self, database: SharedDatabase) -> None:
        self.charged: list[Charge] = []
        self._shared = database
        super().__init__(database)
        self.ahead = Ahead(self, database)

    @classmethod
    def open(cls, url: str) -> Self:
        """Open or make a ledger for writing.

        Args:
            url: `postgresql://user@host/database`; a password comes from PGPASSFILE, PGPASSWORD or
                the URL.

        Raises:
            StateError: the database cannot be reached or prepared, or is of a newer version.
        """
        check_version(url, change=True)
        ledger = cls(SharedDatabase(url))
        ledger.begin()  # it can, and its clock is known
        ledger.rollback()
        return ledger

    def foresee(self, looks: Iterable[Callable[[LedgerReader], object]]) -> None:
        """Ask at once what jobs are about to ask, inside a transaction.

        Args:
            looks: each calls the reader's methods as its job will; every answer looks empty, and
                what it raises is raised again by its job.
        """
        self._db.foresee(self.recorded(looks))

    def recorded(self, looks: Iterable[Callable[[LedgerReader], object]]) -> Iterable[Statement]:
        """Return what jobs are about to ask, each question once."""
        recording = Recording()
        reader = LedgerReader(cast("Database", recording))
        reader.customer_key = self.customer_key
        reader._action_ids = self._action_ids  # what is known is not asked
        for look in looks:
            with suppress(Exception):
                look(reader)
        return recording.asked

    @property
    def position(self) -> int:
        """The position that was given last."""
        return self._position

    def stand_at(self, position: int) -> None:
        """Go on behind a position, whatever was believed until now.

        Args:
            position: the last that was given.
        """
        self._position, self._open = position, True
        self._stood.clear()

    def begin(self) -> None:
        """Open a transaction that no other replica writes beside."""
        self.charged.clear()
        super().begin()

    def commit(self) -> None:
        """Write what was charged, and make the transaction durable."""
        self._write_charges()
        super().commit()

    async def committing(self) -> None:
        """Do as `commit` does, waiting on the event loop."""
        self._write_charges()
        await self._shared.committing()
        self._committed()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Inside a transaction: undo what is inside if it raises, and nothing else."""
        before = list(self.charged)  # of other jobs, too: they may be written inside, and undone
        try:
            with super().savepoint():
                yield
        except BaseException:
            self.charged = before
            raise

    def used(self, reading: Reading) -> float:
        """Return the sum of a counter's buckets, with what this transaction charges."""
        counter, first, last = reading
        here = (
            charge.amount
            for charge in self.charged
            if charge.counter == counter and first <= charge.bucket <= last
        )
        return super().used(reading) + sum(here)

    def charge(self, charges: Iterable[Charge]) -> None:
        """Add to the organisation's counters; written with the commit."""
        self.charged += charges

    def prune_usage(self, first: Mapping[str, int], limit: int = LAST) -> int:
        """Remove what lies before the first bucket of each counter; return how much it was."""
        self._write_charges()
        return super().prune_usage(first, limit)

    def _write_charges(self) -> None:
        """Write each bucket once, in an order that is the same for all writers."""
        amounts: dict[tuple[str, int], float] = {}
        for counter, bucket, amount in self.charged:
            amounts[counter, bucket] = amounts.get((counter, bucket), 0.0) + amount
        self.charged.clear()
        super().charge(Charge(*key, amount) for key, amount in sorted(amounts.items()))
