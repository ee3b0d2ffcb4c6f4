"""The learner: reads the ledger in order, teaches each agent's policy, publishes snapshots.

Its state is a deterministic function of the log: a snapshot carries the position up to which was
learned, so a learner that dies and starts again ends with the same bytes as one that never died.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from agents.errors import StateError
from agents.revision import Revision
from policies.registry import create_policy
from policies.snapshot import Manifest
from policies.teaching.logged import Recall
from policies.teaching.teacher import Teacher
from policies.teaching.warm import begin_from
from serving.learning.listener import HEARD, Listener
from serving.learning.pupil import Heard, Pupil
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import Entry, LedgerReader

logger = logging.getLogger("nextbest.learner")

BATCH = 500

_READ_EVERY_S = 1.0
_RECALLED = 1_024  # decisions kept in memory whose windows are open


@contextmanager
def _passing_over(entry: Entry) -> Iterator[None]:
    """Report what cannot be learned of an entry; raise what is the machine's trouble."""
    try:
        yield
    except (StateError, OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - only its kind: entries hold customers' data
        logger.error(
            "entry %d (%s) cannot be learned and is passed over: %s",
            entry.position, entry.kind, type(error).__name__,
        )  # fmt: skip


@dataclass(slots=True)
class Learner:
    """Learns all agents of one ledger.

    Args:
        every_s: least seconds between two snapshots of one agent.
    """

    ledger: LedgerReader
    snapshots: SnapshotFolder
    every_s: float
    position: int = 0
    pupils: dict[str, Pupil] = field(default_factory=dict)
    _published_at: dict[str, float] = field(default_factory=dict)
    _marked: int = 0
    _marked_at: float = float("-inf")
    _read: int = 0
    _read_at: float = float("-inf")
    _listener: Listener = field(init=False)

    def __post_init__(self) -> None:
        self._listener = Listener(self.ledger)

    def resume(self) -> None:
        """Start behind what the snapshots know already, if every agent has a usable one.

        Otherwise start at the beginning of the log; an agent with a snapshot is still taken up
        from it when the log first speaks of the agent.
        """
        found = {name: self._remembered(name) for name in self.ledger.active()}
        pupils = {name: pupil for name, pupil in found.items() if pupil is not None}
        if pupils and len(pupils) == len(found):
            self.pupils = pupils
            self.position = min(pupil.position for pupil in pupils.values())

    def step(self) -> int:
        """Read and learn the next batch of the log; return how many rows it read.

        An entry that cannot be learned, now or ever, is reported and passed over: it must not
        keep all that follow from being learned.

        Raises:
            StateError: the ledger cannot be read now; nothing was passed over.
        """
        entries = self.ledger.entries(self.position, BATCH)
        for entry in entries:
            with _passing_over(entry):
                self._take(entry)
            self.position = entry.position
        return len(entries)

    def _take(self, entry: Entry) -> None:
        if entry.kind == "revision":
            self._activate(entry.position, entry.body)
        if entry.kind == "erasure":
            for pupil in self.pupils.values():
                pupil.teacher.recall = self._recall()  # forgets whom it remembers
        if entry.kind not in HEARD:
            return
        heard = self._listener.heard(entry)
        for pupil in self.pupils.values():
            with _passing_over(entry):
                pupil.hear(heard)

    def publish(self, *, force: bool = False) -> list[str]:
        """Publish what has been learned since the last snapshots, if it is time; return ids.

        A disk that does not take one is reported; it is tried again when the next is due.
        """
        now = time.monotonic()
        ids = []
        for name, pupil in self.pupils.items():
            due = now - self._published_at.get(name, -self.every_s) >= self.every_s
            if pupil.position > pupil.published and (due or force):
                self._published_at[name] = now
                try:
                    ids.append(self._publish(pupil))
                except OSError as error:
                    logger.error("no snapshot of %s could be written: %s", name, error)
        self._mark(now, force=force)
        self._mark_read(now, force=force)
        return ids

    def _mark(self, now: float, *, force: bool) -> None:
        """Note how far nothing of the log is needed any more, for the ledger to be pruned."""
        kept = all(pupil.position <= pupil.published for pupil in self.pupils.values())
        waiting = (pupil.teacher.since for pupil in self.pupils.values())
        until = min([self.position, *(since - 1 for since in waiting if since is not None)])
        due = now - self._marked_at >= self.every_s
        if kept and until > self._marked and (due or force):
            self._marked_at = now
            try:
                self.snapshots.mark_learned(until)
                self._marked = until
            except OSError as error:
                logger.error("how far was learned could not be noted: %s", error)

    def _mark_read(self, now: float, *, force: bool) -> None:
        """Note how far the log was read, for those who watch whether the learner keeps up."""
        if self.position > self._read and (force or now - self._read_at >= _READ_EVERY_S):
            self._read_at = now
            try:
                self.snapshots.mark_read(self.position)
                self._read = self.position
            except OSError as error:
                logger.error("how far was read could not be noted: %s", error)

    def _publish(self, pupil: Pupil) -> str:
        state = pupil.policy.to_bytes()
        snapshot = self.snapshots.publish(pupil.manifest(state), state)
        pupil.published = pupil.position
        return snapshot

    def _activate(self, position: int, body: Mapping[str, Any]) -> None:
        name, revision = body["agent"], self._listener.revision(body["revision"])
        pupil = self.pupils.get(name) or self._remembered(name, revision)
        if pupil is None:
            self._begin(position, revision)
            return
        self.pupils[name] = pupil
        if position <= pupil.position or revision.id == pupil.revision.id:
            return  # already part of what it was taken up from, or only a canary or a shadow
        if pupil.policy.name == revision.agent.policy.learner:
            pupil.revise(revision, position)
        else:
            pupil.succeed(revision, position)

    def _begin(self, position: int, revision: Revision) -> None:
        """Begin with what another agent has learned, if the agent says so, or with nothing.

        Whoever begins with something is published at once: what the other agent knew just then
        cannot be told again once its own snapshots have gone on.
        """
        name, warm = revision.agent.agent, revision.agent.policy.warm_start
        source = None if warm is None else self.pupils.get(warm.agent)
        policy = create_policy(revision)
        if warm is not None and (source is None or source.policy.name != policy.name):
            logger.warning(
                "%s begins untaught: there is no %s by %s", name, policy.name, warm.agent
            )
            source = None
        if source is not None:
            policy = begin_from(source.policy, revision)
        self.pupils[name] = Pupil(revision, policy, self._teacher(revision), position, position)
        if source is not None:
            self._publish(self.pupils[name])

    def _teacher(self, revision: Revision) -> Teacher:
        return Teacher(revision, self._recall())

    def _recall(self) -> Recall:
        return lru_cache(_RECALLED)(self._listener.recall)

    def _remembered(self, name: str, first: Revision | None = None) -> Pupil | None:
        """Take up an agent from its newest usable snapshot, if it has one.

        Args:
            name: of the agent.
            first: the revision that the log now speaks of, to take up a warm start by; such a
                snapshot is older than the log, so it is left alone where the log is not read.
        """

        def rebuild(manifest: Manifest, state: bytes) -> Pupil | None:
            revision = self._listener.revision(manifest.revision) if manifest.position else first
            if revision is None:
                return None
            teacher = self._teacher(revision)
            since = teacher.restore(manifest.teacher)
            pupil = Pupil.resumed(manifest, state, revision, teacher)
            if since is not None:
                pupil.recollect(self._read_again(since, pupil.position))
            return pupil

        found = self.snapshots.newest(name, rebuild)
        return None if found is None else found[1]

    def _read_again(self, first: int, last: int) -> Iterator[Heard]:
        """Read the decisions and outcomes of a stretch of the log, both ends inclusive."""
        position = first - 1
        while position < last and (entries := self.ledger.entries(position, BATCH)):
            for entry in entries:
                if entry.position <= last and entry.kind in HEARD:
                    with _passing_over(entry):
                        yield self._listener.heard(entry)
            position = entries[-1].position
