"""A batch that is worked on before it has the lock: the shared ledger's way to more replicas.

Jobs read what is committed, without a lock, and what they write waits. Then the lock is taken, and
if nothing that they asked about has changed, it is as if they had worked just now. From the first
job on of which that is not so, all are done again, under the lock.

Whether a job stands is seen from what others have committed and from what the jobs before it in
the batch do: never from its own draw. So an action that was drawn is neither more nor less likely
to be kept than its propensity says, and nothing in the log knows how often a job was done.
A job that is done again draws anew.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from agents.counters import Charge
from serving.ledger.database import Moment, RefusedError, Row, Statement
from serving.ledger.log import LAST
from serving.ledger.postgres_ahead import SharedDatabase

if TYPE_CHECKING:
    from serving.ledger.base import LedgerReader
    from serving.ledger.postgres_ledger import PostgresLedger

Changes = Sequence[tuple[bytes, bytes]]
"""What is to be written otherwise: pieces of records as they were, and as they are."""

Check = Callable[["LedgerReader"], "Changes | None"]
"""Asks again what a job asked of the counters; None if it would be done otherwise now."""

PROVISIONAL = 2**62
"""Positions above this are counted from it; where they come to be is seen at the commit."""

_LATEST = timedelta(seconds=1)  # that a job's clock may be behind when it is committed
_ALONE = 8  # batches beside which nobody wrote, after which nobody is expected to

_MOST = 500  # rows of `SINCE`; with as many, as beside a large batch, nothing stands
SINCE = (  # up to `LAST`, or a database that has not counted a new ledger yet reads all of it
    "SELECT kind, customer, id, key, decision_id FROM log WHERE position > ? AND position <= ?"
    " ORDER BY position LIMIT 500"
)
_KNOWN = ("decision", "outcome")  # kinds whose effect is told by their texts and by counters
_USAGE = " FROM usage "


@dataclass(frozen=True, slots=True)
class _Part:
    """What one job did: where its writes, charges and questions end, and its last position."""

    writes: int
    charges: int
    asked: int
    position: int


class Ahead:
    """One batch after another, before and after the lock; journeys are waited for on the loop.

    Args:
        ledger: whose jobs they are.
        database: its own.
    """

    def __init__(self, ledger: PostgresLedger, database: SharedDatabase) -> None:
        self._ledger = ledger
        self._db = database
        self._parts: list[_Part] = []
        self._seen = 0  # position up to which all that was read is known to be
        self._quiet = 0  # batches in a row beside which nobody wrote

    async def begin(self, looks: Iterable[Callable[[LedgerReader], object]]) -> None:
        """Ask what jobs are about to ask; what they do after this waits for `conclude`."""
        self._ledger.rollback()
        await self._db.tick()  # whoever looks asks what time it is
        self._seen = await self._db.look(self._ledger.recorded(looks))
        self._ledger.charged = []
        self._ledger.stand_at(PROVISIONAL)
        self._parts = [_Part(0, 0, 0, PROVISIONAL)]

    @property
    def unlocked(self) -> bool:
        """Whether jobs are done without the lock just now."""
        return self._db.unlocked

    def done(self) -> None:
        """Note that a job is done."""
        ledger, (writes, asked) = self._ledger, self._db.waiting
        part = _Part(len(writes), len(ledger.charged), len(asked), ledger.position)
        self._parts.append(part)

    async def conclude(self, checks: Sequence[Check], *, whole: bool) -> int:
        """Take the lock; keep the jobs that stand, and commit if those are all there are.

        Args:
            checks: one for each job that is done, in order.
            whole: whether these are all jobs of the batch.

        Returns:
            How many stand. If not all of the batch do, the transaction is open, and the rest can
            be done in it.
        """
        batch = _Batch(*self._db.waiting, self._ledger.charged)
        if whole and self._quiet >= _ALONE and await self._commit_alone(batch):
            return len(checks)
        before = self._db.moment
        last, since = await self._db.claim((SINCE, (self._seen, LAST)), batch.questions())
        self._quiet = 0 if since else self._quiet + 1
        kept = len(checks)
        if _late(before, self._db.moment):
            kept = 0
        elif since:
            kept = self._standing(checks, since, batch)
        self._keep(batch, self._parts[kept], last)
        if whole and kept == len(checks):
            await self._ledger.committing()
        return kept

    def _standing(self, checks: Sequence[Check], since: Sequence[Row], batch: _Batch) -> int:
        """Return how many jobs stand beside what others wrote; what they log is brought to date."""
        if len(since) == _MOST or any(kind not in _KNOWN for kind, *_ in since):
            return 0
        texts = {text for _, *texts in since for text in texts if text}
        for number, check in enumerate(checks):
            start, end = self._parts[number : number + 2]
            self._ledger.charged = batch.charged[: start.charges]
            if _touched(batch.asked[start.asked : end.asked], texts):
                return number
            changes = check(self._ledger)
            if changes is None or not batch.rewrite(start.writes, end.writes, changes):
                return number
        return len(checks)

    def _keep(self, batch: _Batch, end: _Part, last: int) -> None:
        """Let what stands be written, behind the last position; forget the rest."""
        self._ledger.charged = batch.charged[: end.charges]
        self._ledger.stand_at(last + end.position - PROVISIONAL)
        for sql, values in batch.writes[: end.writes]:
            self._db.run(sql, _placed(values, last))

    async def _commit_alone(self, batch: _Batch) -> bool:
        """Commit in one journey if nobody has written; say whether it was so."""
        moment = self._db.moment
        assert moment is not None, "it was set at `begin`"
        self._db.claim_if_last(self._seen, moment.now + _LATEST)
        self._keep(batch, self._parts[-1], self._seen)
        try:
            await self._ledger.committing()
        except RefusedError:  # that, or a write: then it is refused once more
            self._quiet = 0
            self._ledger.rollback()
            return False
        return True


@dataclass(frozen=True, slots=True)
class _Batch:
    """What all jobs of a batch did."""

    writes: list[Statement]
    asked: list[Statement]
    charged: list[Charge]

    def questions(self) -> list[Statement]:
        """Return what was asked of counters, each once."""
        return list(dict.fromkeys(each for each in self.asked if _USAGE in each[0]))

    def rewrite(self, start: int, end: int, changes: Changes) -> bool:
        """Change pieces of what one job writes; say whether each stands there exactly once."""
        for old, new in changes:
            found = [
                (row, column)
                for row in range(start, end)
                for column, value in enumerate(self.writes[row][1])
                if isinstance(value, bytes) and old in value
            ]
            if len(found) != 1:
                return False
            row, column = found[0]
            sql, values = self.writes[row]
            if values[column].count(old) != 1:
                return False
            changed = values[column].replace(old, new)
            self.writes[row] = sql, (*values[:column], changed, *values[column + 1 :])
        return True


def _touched(asked: Iterable[Statement], texts: Container[str]) -> bool:
    """Say whether questions share a text with what was written, or could be about all of it."""
    for sql, values in asked:
        if _USAGE in sql:
            continue
        named = [value for value in values if isinstance(value, str)]
        if not named or any(text in texts for text in named):
            return True
    return False


def _placed(values: Row, last: int) -> Row:
    """Put provisional positions behind the last one.

    Example:
        >>> _placed(("a", 17, PROVISIONAL + 2), 40)
        ('a', 17, 42)
    """
    return tuple(
        value - PROVISIONAL + last if type(value) is int and value > PROVISIONAL else value
        for value in values
    )


def _late(before: Moment | None, now: Moment | None) -> bool:
    """Say whether jobs were done at another time: send windows begin and end meanwhile."""
    return before is None or now is None or abs(now.now - before.now) > _LATEST
