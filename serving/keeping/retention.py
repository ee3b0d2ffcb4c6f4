"""Retention: what is older than the workspace keeps is removed from the ledger, bit by bit.

With it goes what was used of budgets in times that no decision can ask about any more.

Nothing goes that a decision could still look at, whose outcome windows are open, or that the
learner has not published in a snapshot yet. Between two bits the writer does what else waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from agents.errors import NextbestError
from agents.revision import Revision
from serving.clock import Clock
from serving.deciding.active import ActiveAgents
from serving.keeping.shipped import read_manifest
from serving.ledger import Ledger
from serving.writer import Writer

logger = logging.getLogger("nextbest")

BATCH = 100
_BUCKETS = 1_000  # of counters, which are small
_PAUSE_S = 0.02  # between two batches: decisions first


def keep_since(retention: timedelta, revisions: Iterable[Revision], now: datetime) -> datetime:
    """Return the instant from which on everything is kept.

    Args:
        retention: how long the workspace keeps things.
        revisions: all that are active; each keeps what its decisions look back at.
        now: the instant that the ledger has reached.

    Example:
        >>> from datetime import UTC
        >>> keep_since(timedelta(days=90), [], datetime(2026, 4, 1, tzinfo=UTC)).isoformat()
        '2026-01-01T00:00:00+00:00'
    """
    back = [max(revision.lookback, revision.event_lookback) for revision in revisions]
    age = max([retention, *back])
    return now - age


def first_buckets(revisions: Iterable[Revision], since: datetime) -> dict[str, int]:
    """Return, by counter, the first bucket that a decision from an instant on can ask about.

    Counters of a whole life have but one bucket and are left out. Those of a loop's actions are
    named after ids that are ever others; `*` stands for any.
    """
    first: dict[str, int] = {}
    for counter in (each for revision in revisions for each in revision.counters):
        if counter.per is not None:
            bucket = counter.reading(since).first
            first[counter.name] = min(bucket, first.get(counter.name, bucket))
    return first


@dataclass(frozen=True, slots=True)
class Retention:
    """Keeps a ledger no larger than the workspace says.

    Args:
        agents: what stands; what it looks back at stays.
        clock: by which age counts.
        shipped_to: folder of shipped logs, if they are shipped on a schedule: nothing is removed
            before it is there, all windows closed.
    """

    agents: ActiveAgents
    clock: Clock
    shipped_to: Path | None = None

    def prune(self, ledger: Ledger) -> int:
        """Remove one batch, as a job of the writer; return how much was removed.

        Raises:
            StateError: the machine's clock is behind the ledger: nothing is removed.
        """
        now = self.clock.reached(ledger.last_instant())
        since = self._since(ledger, now)
        if now is None or since is None:
            return 0
        until = self.agents.snapshots.learned()
        if self.shipped_to is not None:
            until = min(until, read_manifest(self.shipped_to).settled)
        return ledger.prune(since, now, until=until, limit=BATCH)

    def prune_usage(self, ledger: Ledger) -> int:
        """Remove one batch of what was used of budgets too long ago, as a job of the writer.

        Returns:
            How many buckets were removed.

        Raises:
            StateError: the machine's clock is behind the ledger: nothing is removed.
        """
        since = self._since(ledger, self.clock.reached(ledger.last_instant()))
        if since is None:
            return 0
        return ledger.prune_usage(first_buckets(self._active(ledger), since), _BUCKETS)

    def _since(self, ledger: Ledger, now: datetime | None) -> datetime | None:
        """Return the instant from which on everything is kept, None if all is."""
        retention = self.agents.workspace.retention
        if retention is None or now is None:
            return None
        return keep_since(retention, self._active(ledger), now)

    def _active(self, ledger: Ledger) -> list[Revision]:
        return list(self.agents.standing(ledger))

    async def keep_up(self, writer: Writer, every_s: float) -> None:
        """Prune now and ever again; nothing that goes wrong ends it.

        Args:
            writer: of the ledger.
            every_s: seconds from the end of one pruning to the next.
        """
        while True:
            try:
                removed = await self._prune_all(writer)
                if removed:
                    logger.info("%d entries were older than the workspace keeps; removed", removed)
            except NextbestError as error:
                logger.error("what is too old could not be removed: %s", error)
            except Exception:
                logger.exception("what is too old could not be removed")
            await asyncio.sleep(every_s)

    async def _prune_all(self, writer: Writer) -> int:
        removed = 0
        while batch := await writer.submit(self.prune):
            removed += batch
            await asyncio.sleep(_PAUSE_S)
        while await writer.submit(self.prune_usage) >= _BUCKETS:
            await asyncio.sleep(_PAUSE_S)
        return removed
