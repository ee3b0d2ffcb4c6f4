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

from agents.decisions import Decision
from agents.errors import LogError, StateError
from agents.revision import Revision
from agents.units import parse_instant
from policies.registry import create_policy
from policies.snapshot import Manifest
from policies.teaching.logged import Logged, windows_of
from policies.teaching.teacher import Teacher
from policies.teaching.warm import begin_from
from serving.ledger import Entry, LedgerReader
from serving.pupil import Heard, Pupil
from serving.snapshots import SnapshotFolder

logger = logging.getLogger("nextbest.learner")

BATCH = 500
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
    _revisions: dict[str, Revision] = field(default_factory=dict)

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
            return
        heard = self._heard(entry)
        for pupil in self.pupils.values():
            with _passing_over(entry):
                pupil.hear(heard)

    def _heard(self, entry: Entry) -> Heard:
        """Read a decision, or an outcome with its decision if it counts for anything.

        Raises:
            LogError: an outcome of no decision.
        """
        if entry.kind == "decision":
            decision = Decision.from_record(entry.body)
            return Heard(entry.position, decision.at, self._logged(entry.position, decision))
        event = entry.body["event"]
        at, counted = parse_instant(event["at"]), tuple(entry.body["counted"])
        if not counted:
            return Heard(entry.position, at, None)
        stored = self.ledger.find_decision(event["decision_id"])
        if stored is None:
            raise LogError(f"the outcome at {entry.position} is of no decision")
        logged = self._logged(stored.position, stored.decision)
        return Heard(entry.position, at, logged, counted)

    def _logged(self, position: int, decision: Decision) -> Logged:
        return Logged(position, decision, windows_of(self._revision(decision.revision)))

    def _recall(self, position: int) -> Logged | None:
        """Return a decision by its position, None if the ledger keeps it no longer."""
        found = self.ledger.entries(position - 1, 1)
        if not found or (found[0].position, found[0].kind) != (position, "decision"):
            return None
        return self._logged(position, Decision.from_record(found[0].body))

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

    def _publish(self, pupil: Pupil) -> str:
        state = pupil.policy.to_bytes()
        snapshot = self.snapshots.publish(pupil.manifest(state), state)
        pupil.published = pupil.position
        return snapshot

    def _activate(self, position: int, body: Mapping[str, Any]) -> None:
        name, revision = body["agent"], self._revision(body["revision"])
        pupil = self.pupils.get(name) or self._remembered(name, revision)
        if pupil is None:
            self._begin(position, revision)
            return
        self.pupils[name] = pupil
        if position <= pupil.position:
            return  # already part of what it was taken up from
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
        return Teacher(revision, lru_cache(_RECALLED)(self._recall))

    def _remembered(self, name: str, first: Revision | None = None) -> Pupil | None:
        """Take up an agent from its newest usable snapshot, if it has one.

        Args:
            name: of the agent.
            first: the revision that the log now speaks of, to take up a warm start by; such a
                snapshot is older than the log, so it is left alone where the log is not read.
        """

        def rebuild(manifest: Manifest, state: bytes) -> Pupil | None:
            revision = self._revision(manifest.revision) if manifest.position else first
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
                if entry.position <= last and entry.kind != "revision":
                    with _passing_over(entry):
                        yield self._heard(entry)
            position = entries[-1].position

    def _revision(self, revision_id: str) -> Revision:
        revision = self._revisions.get(revision_id)
        if revision is None:
            source = self.ledger.find_revision(revision_id)
            if source is None:
                raise LogError(f"the ledger has lost revision {revision_id}")
            revision = self._revisions[revision_id] = Revision.from_source(source)
        return revision
