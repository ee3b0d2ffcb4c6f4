"""What a ledger promises, whatever database is behind it.

One log gives every decision, outcome and activation its position; everything else is an index of
it. Writes happen inside a transaction and are durable when it ends. Each topic is a module; the
two classes here are all of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from serving.ledger.audits import AuditReader, Audits
from serving.ledger.bulk import Bulk, BulkReader
from serving.ledger.corrections import CorrectionReader, Corrections
from serving.ledger.database import Database, Moment
from serving.ledger.deliveries import Deliveries, DeliveryReader
from serving.ledger.elsewhere import Elsewhere
from serving.ledger.keys import ApiKeys, KeyReader
from serving.ledger.one_agent import OneAgent, OneAgentReader
from serving.ledger.pending import Pending, PendingReader
from serving.ledger.persons import PersonReader, Persons
from serving.ledger.pruning import Pruning
from serving.ledger.revisions import RevisionReader
from serving.ledger.suppressions import SuppressionReader, Suppressions

if TYPE_CHECKING:
    from serving.ledger.optimistic import Ahead


class Written(NamedTuple):
    """How much was written.

    Args:
        transaction: number of the open one; -1 if there is none.
        position: the last that was given in the log.
        changes: of rows.
    """

    transaction: int
    position: int
    changes: int


class LedgerReader(
    RevisionReader, PersonReader, OneAgentReader, CorrectionReader, DeliveryReader, PendingReader,
    BulkReader, SuppressionReader, AuditReader, KeyReader,
):  # fmt: skip
    """Reading the ledger; safe beside a writer in another process.

    Every method raises StateError if the database cannot answer now.

    Args:
        database: a connection of its own.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._action_ids = {}
        self._put = set()

    def still(self) -> AbstractContextManager[None]:
        """Read everything inside as it stands at the first reading; outside of a transaction."""
        return self._db.still()

    def close(self) -> None:
        """Release the database."""
        self._db.close()


class Ledger(
    Bulk, Audits, ApiKeys, Persons, OneAgent, Corrections, Deliveries, Pending, Suppressions,
    Elsewhere, Pruning, LedgerReader,
):  # fmt: skip
    """Reading and writing; used by one thread at a time."""

    ahead: Ahead | None = None
    """By which jobs are done before they have the lock, where several replicas write."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._open = False  # whether a transaction is
        self._transaction = 0  # its number
        self._stood = {}
        self._position = self.last_position()

    @property
    def remote(self) -> bool:
        """Whether each question is a journey, so that it pays to `foresee`."""
        return self._db.remote

    @property
    def moment(self) -> Moment | None:
        """What the database's own clock showed at `begin`; None if it has none of its own."""
        return self._db.moment

    @property
    def written(self) -> Written:
        """How much was written; another once anything was, or the transaction was undone."""
        changes = self._db.changes
        return Written(-1 if changes < 0 else self._transaction, self._position, changes)

    def foresee(self, looks: Iterable[Callable[[LedgerReader], object]]) -> None:
        """Get ready for what jobs are about to ask; nothing, if an answer is no journey away."""

    def begin(self) -> None:
        """Open a transaction; the remains of one that could not be undone are undone first."""
        self.rollback()
        self._db.begin()
        self._open = True
        self._transaction += 1
        self._position = self.last_position()

    def commit(self) -> None:
        """Make the transaction durable; returns when it is on disk. May run in another thread."""
        self._db.commit()
        self._committed()

    def _committed(self) -> None:
        self._open = False
        self._stood.clear()
        self._put.clear()

    def rollback(self) -> None:
        """Undo the transaction, if one is open."""
        self._stood.clear()
        self._open = False
        self._db.rollback()

    def scrub(self, *, whole: bool = False) -> bool:
        """Overwrite on disk what was removed; outside of a transaction, may run in another thread.

        Args:
            whole: however long it takes, and whoever has to wait.

        Returns:
            Whether nothing of it is left; false if there is too much to go through now.
        """
        return self._db.scrub(whole=whole)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Inside a transaction: undo what is inside if it raises, and nothing else.

        Raises:
            StateError: there is no transaction any more, as after a full disk.
        """
        start = self._position
        try:
            with self._db.savepoint():
                yield
        except BaseException:
            self._position = start
            self._stood.clear()
            raise
