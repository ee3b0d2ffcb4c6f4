"""PostgreSQL, asked before the lock is held: a connection by which jobs are done ahead of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from time import monotonic

from serving.ledger.database import Moment, Row, Statement, to_micros
from serving.ledger.foreseen import UnforeseenError
from serving.ledger.log import LAST_POSITION
from serving.ledger.postgres import BEGIN, STATE, PostgresDatabase

_NOBODY_WROTE = (  # nothing else undoes a transaction that is sent whole; the log says what it is
    "SELECT CASE WHEN last = ? AND at <= ? THEN 0"
    " ELSE ('others have written, or it is late: this batch is made again behind ' || last)::int"
    " END FROM (SELECT (SELECT coalesce(max(position), 0) FROM log) AS last,"
    " extract(epoch FROM clock_timestamp()) * 1000000 AS at) AS found"
)
_READ_AGAIN_S = 5.0  # the clocks of two machines run apart by less than a millisecond in it


class SharedDatabase(PostgresDatabase):
    """A connection for writing that can also look before it takes the lock.

    Args:
        url: as of `Link`.

    Raises:
        StateError: the database cannot be used.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, writing=True)
        self._ahead: list[Statement] | None = None  # what was asked since `look`
        self._read: Moment | None = None
        self._read_at = 0.0  # by the machine's steady clock

    def rows(self, sql: str, values: Row = ()) -> list[Row]:
        """Run a statement and return its rows, which may have come in advance.

        Raises:
            UnforeseenError: they have not, and the lock is not held.
        """
        if self._ahead is None:
            return super().rows(sql, values)
        waiting = self._foreseen.get(sql, values)
        if waiting is None:
            raise UnforeseenError
        self._ahead.append((sql, values))
        return waiting

    async def tick(self) -> None:
        """Let the moment be the present one, by the time since the database's clock was read."""
        passed = monotonic() - self._read_at
        if self._read is None or passed > _READ_AGAIN_S:
            await self._reach()
            _, time, clock = await self._link.journey(STATE)
            self._set_moment(time, clock)
        else:
            self.moment = self._read._replace(now=self._read.now + timedelta(seconds=passed))

    async def look(self, statements: Iterable[Statement]) -> int:
        """Ask without a lock what is going to be asked; nothing else can be asked after it.

        What is written waits for `claim`.

        Returns:
            The log's last position, from before all answers.
        """
        self._forget_all()
        await self._reach()
        asked = list(statements)
        last, *answers = await self._link.journey([(LAST_POSITION, ()), *asked])
        for question, rows in zip(asked, answers, strict=True):
            self._foreseen.add(*question, rows)
        self._ahead = []
        return int(last[0][0])

    @property
    def unlocked(self) -> bool:
        """Whether nothing but what was asked by `look` can be asked now."""
        return self._ahead is not None

    @property
    def waiting(self) -> tuple[list[Statement], list[Statement]]:
        """What was written and what was asked since `look`."""
        return self._writes, self._ahead or []

    async def claim(
        self, since: Statement, questions: Sequence[Statement]
    ) -> tuple[int, list[Row]]:
        """Open a transaction that nobody else writes beside, and forget what waits.

        Args:
            since: asks for what was written since `look`.
            questions: to be asked again.

        Returns:
            The log's last position, and what was written.
        """
        self._forget_all()
        await self._reach()
        both = [*BEGIN, since, *questions]
        last, time, clock, rows, *answers = (await self._link.journey(both))[2:]
        self._foreseen.add(LAST_POSITION, (), last)
        self._set_moment(time, clock)
        for question, answer in zip(questions, answers, strict=True):
            self._foreseen.add(*question, answer)
        return int(last[0][0]), rows

    def claim_if_last(self, last: int, latest: datetime) -> None:
        """Let the commit open the transaction, and be refused if anybody has written.

        Args:
            last: the log's last position, as it was at `look`.
            latest: the end of the time in which the commit may come (UTC).
        """
        self._forget_all()
        nobody_wrote = (_NOBODY_WROTE, (last, to_micros(latest)))
        self._opening = (*BEGIN[:2], nobody_wrote)

    async def _reach(self) -> None:
        """Connect anew if need be, which may take seconds."""
        if not self._link.open:
            await asyncio.to_thread(self._connect)

    def _set_moment(self, time: list[Row], clock: list[Row]) -> None:
        super()._set_moment(time, clock)
        self._read, self._read_at = self.moment, monotonic()

    def _require_transaction(self) -> None:
        if not (self.unlocked or self._opening):
            super()._require_transaction()

    def _forget_all(self) -> None:
        super()._forget_all()
        self._ahead = None
