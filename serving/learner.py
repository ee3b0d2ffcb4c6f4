"""The learner: reads the ledger in order, teaches each agent's policy, publishes snapshots.

Its state is a deterministic function of the log: a snapshot carries the position up to which was
learned, so a learner that dies and starts again ends with the same bytes as one that never died.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agents.context import Context
from agents.decisions import Decision
from agents.errors import LogError, StateError
from agents.mask import Mask
from agents.revision import Revision
from policies.base import Lesson, Policy
from policies.registry import create_policy, load_policy
from policies.snapshot import Manifest
from serving.ledger import Entry, LedgerReader
from serving.snapshots import SnapshotFolder

logger = logging.getLogger("nextbest.learner")

BATCH = 500


@dataclass(slots=True)
class Pupil:
    """One agent's policy as the learner has it.

    Args:
        position: the ledger position up to which it has learned.
        published: the position of its newest snapshot.
    """

    revision: Revision
    policy: Policy
    position: int
    published: int
    lessons: int


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
            try:
                self._take(entry)
            except (StateError, OSError, MemoryError):
                raise  # the machine's trouble, not the entry's
            except Exception as error:  # noqa: BLE001 - only its kind: entries hold customers' data
                logger.error(
                    "entry %d (%s) cannot be learned and is passed over: %s",
                    entry.position, entry.kind, type(error).__name__,
                )  # fmt: skip
            self.position = entry.position
        return len(entries)

    def _take(self, entry: Entry) -> None:
        match entry.kind:
            case "revision":
                self._activate(entry.position, entry.body)
            case "decision":
                self._learn(entry.position, Decision.from_record(entry.body), [None])
            case "outcome":
                self._outcome(entry.position, entry.body)

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
                    ids.append(self._publish(name, pupil))
                except OSError as error:
                    logger.error("no snapshot of %s could be written: %s", name, error)
        self._mark(now, force=force)
        return ids

    def _mark(self, now: float, *, force: bool) -> None:
        """Note how far nothing of the log is needed any more, for the ledger to be pruned."""
        kept = all(pupil.position <= pupil.published for pupil in self.pupils.values())
        due = now - self._marked_at >= self.every_s
        if kept and self.position > self._marked and (due or force):
            self._marked_at = now
            try:
                self.snapshots.mark_learned(self.position)
                self._marked = self.position
            except OSError as error:
                logger.error("how far was learned could not be noted: %s", error)

    def _publish(self, name: str, pupil: Pupil) -> str:
        state = pupil.policy.to_bytes()
        manifest = Manifest.of(
            state,
            policy=pupil.policy.name,
            agent=name,
            revision=pupil.revision.id,
            position=pupil.position,
            lessons=pupil.lessons,
        )
        snapshot = self.snapshots.publish(manifest, state)
        pupil.published = pupil.position
        return snapshot

    def _activate(self, position: int, body: Mapping[str, Any]) -> None:
        name = body["agent"]
        pupil = self.pupils.get(name) or self._remembered(name)
        if pupil is None:
            self.pupils[name] = self._beginner(position, self._revision(body["revision"]))
            return
        self.pupils[name] = pupil
        if position <= pupil.position:
            return  # already part of what it was taken up from
        revision = self._revision(body["revision"])
        if pupil.policy.name == revision.agent.policy.learner:
            pupil.policy = load_policy(pupil.policy.name, pupil.policy.to_bytes(), revision)
            pupil.revision, pupil.position = revision, position
        else:
            self.pupils[name] = self._beginner(position, revision)

    def _beginner(self, position: int, revision: Revision) -> Pupil:
        return Pupil(revision, create_policy(revision), position, position, 0)

    def _remembered(self, name: str) -> Pupil | None:
        """Take up an agent from its newest usable snapshot, if it has one."""

        def rebuild(manifest: Manifest, state: bytes) -> Pupil:
            revision = self._revision(manifest.revision)
            policy = load_policy(manifest.policy, state, revision)
            return Pupil(revision, policy, manifest.position, manifest.position, manifest.lessons)

        found = self.snapshots.newest(name, rebuild)
        return None if found is None else found[1]

    def _outcome(self, position: int, body: Mapping[str, Any]) -> None:
        """Teach each outcome that newly counted; an event that counts for none teaches nothing."""
        if body["counted"]:
            stored = self.ledger.find_decision(body["event"]["decision_id"])
            if stored is None:
                raise LogError(f"the outcome at {position} is of no decision")
            self._learn(position, stored.decision, body["counted"])

    def _learn(self, position: int, decision: Decision, outcomes: Sequence[str | None]) -> None:
        pupil = self.pupils[decision.agent]
        if position <= pupil.position:
            return  # learned before the snapshot from which it was taken up
        pupil.position = position
        for outcome in outcomes:
            lesson = self._lesson(pupil.revision, decision, outcome)
            if lesson is not None:
                pupil.policy.update((lesson,))
                pupil.lessons += 1

    def _lesson(self, revision: Revision, decision: Decision, outcome: str | None) -> Lesson | None:
        """Make the lesson of a decision, in terms of the pupil's revision, if it has one."""
        if not decision.group.teaches:
            return None
        if outcome is not None and outcome not in revision.agent.outcomes:
            return None
        lesson = Lesson(
            decision.context, decision.mask, decision.action, decision.propensity, outcome
        )
        return (
            lesson if decision.revision == revision.id else _translate(lesson, decision, revision)
        )

    def _revision(self, revision_id: str) -> Revision:
        source = self.ledger.find_revision(revision_id)
        if source is None:
            raise LogError(f"the ledger has lost revision {revision_id}")
        return Revision.from_source(source)


def _translate(lesson: Lesson, decision: Decision, revision: Revision) -> Lesson | None:
    """Rewrite a lesson of an older revision in the positions of the present one.

    Actions that are gone are left out; if the drawn action is gone there is nothing to learn.
    """
    reasons = dict(zip(decision.actions, decision.mask.reasons, strict=True))
    ids = [action.id for action in revision.actions]
    if decision.action_id not in ids:
        return None
    mask = Mask(tuple(reasons.get(name, "not offered then") for name in ids))
    schema = revision.workspace.customer
    features = {k: v for k, v in lesson.context.features.items() if k in schema}
    context: Context = replace(lesson.context, features=features)
    return replace(lesson, context=context, mask=mask, action=ids.index(decision.action_id))
