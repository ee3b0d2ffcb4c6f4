"""Snapshots that nobody needs any more are removed: the learner makes one every few seconds.

Kept is every snapshot that a decision still in the ledger names, so that it can be replayed; the
newest usable one of each learner of an agent, and what is newer; and whatever is younger than a
day, which a replica may be about to load.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.errors import SnapshotError, StateError
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import Entry, LedgerReader

logger = logging.getLogger("nextbest.learner")

YOUNG_S = 86_400.0
_BATCH = 500


@dataclass(slots=True)
class Tidier:
    """Removes snapshots, from the process of the learner that writes them.

    It reads the log once from its beginning, a little at a time; from there on the learner shows
    it what is new.

    Args:
        ledger: for reading.
        snapshots: of the same server.
    """

    ledger: LedgerReader
    snapshots: SnapshotFolder
    position: int = 0
    _tidied: float = float("-inf")
    _named: dict[tuple[str, str], int] = field(default_factory=dict)

    def work(self, every_s: float) -> None:
        """Do a little, when there is nothing else to do; nothing that goes wrong ends it.

        Args:
            every_s: seconds between two removals.
        """
        try:
            due = time.monotonic() - self._tidied >= every_s
            if not self.read() and due:
                self._tidied = time.monotonic()
                self.tidy(time.time())
        except (StateError, OSError) as error:
            logger.error("snapshots that are not needed were not removed: %s", error)

    def read(self) -> bool:
        """Read a little of the log; return whether there is more.

        Raises:
            StateError: the ledger cannot be read now.
        """
        entries = self.ledger.entries(self.position, _BATCH, stored=True)
        self.show(self.position, entries)
        return len(entries) == _BATCH

    def show(self, after: int, entries: Sequence[Entry]) -> None:
        """Take note of what was read after a position, if that is how far it has come."""
        if after != self.position or not entries:
            return
        for entry in entries:
            if entry.kind == "decision" and entry.body.get("snapshot"):
                self._named[entry.body["agent"], entry.body["snapshot"]] = entry.position
        self.position = entries[-1].position

    def tidy(self, now: float) -> int:
        """Read the rest of the log, then remove what is not needed; return how many.

        Args:
            now: seconds since 1970 by the clock of the files.

        Raises:
            StateError: the ledger cannot be read now.
            OSError: a file cannot be removed.
        """
        while self.read():
            pass
        first = self.ledger.first_decision()
        self._named = {key: last for key, last in self._named.items() if last >= first}
        removed = 0
        for agent in self.snapshots.agents():
            for name in self._idle(agent):
                removed += self.snapshots.remove(agent, name, before=now - YOUNG_S)
        if removed:
            logger.info("%d snapshots were not needed any more; removed", removed)
        return removed

    def _idle(self, agent: str) -> list[str]:
        """Return the snapshots of an agent that no decision names and no learner needs."""
        idle, learners = [], set[str]()
        for name in self.snapshots.names(agent):  # the newest first
            if not learners:
                learners |= self._learner(agent, name)
            elif (agent, name) not in self._named:
                fresh = self._learner(agent, name) - learners
                learners |= fresh
                idle += [] if fresh else [name]
        return idle

    def _learner(self, agent: str, name: str) -> set[str]:
        """Return the learner of a usable snapshot, nothing if it is not usable."""
        try:
            return {self.snapshots.read(agent, name)[0].policy}
        except SnapshotError:
            return set()
