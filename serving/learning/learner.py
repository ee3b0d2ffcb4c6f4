"""The learner: reads the ledger in order, teaches each agent's policy, publishes snapshots.

Its state is a deterministic function of the log: a snapshot carries the position up to which was
learned, so a learner that dies and starts again ends with the same bytes as one that never died.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from agents.errors import StateError
from agents.revision import Revision
from policies.registry import create_policy, load_policy
from policies.snapshot import Manifest
from policies.teaching.warm import begin_from
from serving.learning.listener import HEARD, Listener
from serving.learning.pupils import AnyPupil, follow, pupil_of
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import Entry, LedgerReader

logger = logging.getLogger("nextbest.learner")

BATCH = 500

ANEW = "anew"
"""What the log's entry of a revision says if its learner is to forget what it knows."""

_READ_EVERY_S = 0.25


@contextmanager
def _passing_over(what: str, *values: object) -> Iterator[None]:
    """Report what cannot be learned; raise what is the machine's trouble."""
    try:
        yield
    except (StateError, OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - only its kind: entries hold customers' data
        kind = type(error).__name__
        logger.error("%s cannot be learned and is passed over: %s", what % values, kind)


_ENTRY = "entry %d (%s)"


@dataclass(slots=True)
class Learner:
    """Learns all agents of one ledger.

    Args:
        every_s: least seconds between two snapshots of one agent that does not say so itself.
        also: is given the position after which entries were read, and the entries.
    """

    ledger: LedgerReader
    snapshots: SnapshotFolder
    every_s: float
    also: Callable[[int, Sequence[Entry]], None] = lambda _after, _entries: None
    position: int = 0
    pupils: dict[str, AnyPupil] = field(default_factory=dict)
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
        page = self._listener.read(self.position, BATCH)
        self.also(self.position, page.entries)
        for entry in page.entries:
            with _passing_over(_ENTRY, entry.position, entry.kind):
                self._take(entry, page.places)
            self.position = entry.position
        for name, pupil in self.pupils.items():
            with _passing_over("what %s was told last", name):
                pupil.settle()
        return len(page.entries)

    def _take(self, entry: Entry, places: Mapping[str, int]) -> None:
        if entry.kind == "revision":
            self._activate(entry.position, entry.body)
        if entry.kind == "erasure":
            for pupil in self.pupils.values():
                pupil.teacher.forget()  # whom it remembers
        if entry.kind not in HEARD:
            return
        heard = self._listener.heard(entry, places)
        if heard.told is not None and heard.told.known is None:
            heard.told.agent = self._agent_of(heard.told.position)
        for pupil in self.pupils.values():
            with _passing_over(_ENTRY, entry.position, entry.kind):
                pupil.hear(heard)

    def _agent_of(self, position: int) -> str:
        """Return the agent of a decision, empty if its record must be read to know."""
        pupils = self.pupils.items()
        return next((name for name, each in pupils if each.teacher.known(position)), "")

    def publish(self, *, force: bool = False) -> list[str]:
        """Publish what has been learned since the last snapshots, if it is time; return ids.

        A disk that does not take one is reported; it is tried again when the next is due.
        """
        now = time.monotonic()
        ids = []
        for name, pupil in self.pupils.items():
            due = now - self._published_at.get(name, float("-inf")) >= self._span_of(pupil)
            if pupil.position > pupil.published and (due or force):
                self._published_at[name] = now
                try:
                    ids.append(self._publish(pupil))
                except OSError as error:
                    logger.error("no snapshot of %s could be written: %s", name, error)
        self._mark(now, force=force)
        self._mark_read(now, force=force)
        return ids

    def _span_of(self, pupil: AnyPupil) -> float:
        """Return the least seconds between two snapshots of a pupil."""
        said = pupil.revision.agent.policy.publish_every
        return self.every_s if said is None else said.total_seconds()

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

    def _publish(self, pupil: AnyPupil) -> str:
        state = pupil.state()
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
        if position <= pupil.position:
            return  # already part of what it was taken up from
        if body.get(ANEW):
            self.pupils[name] = self._anew(pupil, revision, position)
        elif revision.id != pupil.revision.id:  # else only a canary or a shadow
            self.pupils[name] = self._go_on(pupil, revision, position)

    def _anew(self, before: AnyPupil, revision: Revision, position: int) -> AnyPupil:
        """Return a pupil that knows nothing in another's place, published as soon as can be.

        What waits still is learned when it is due; how long outcomes take is known as before.
        """
        pupil = pupil_of(self._listener, revision, create_policy(revision), position)
        follow(pupil, before)
        pupil.published = before.published
        self._published_at.pop(revision.agent.agent, None)
        return pupil

    def _go_on(self, before: AnyPupil, revision: Revision, position: int) -> AnyPupil:
        """Return the pupil that goes on in another's place under another revision."""
        pupil = pupil_of(self._listener, revision, before.under(revision), position)
        follow(pupil, before)
        pupil.published = before.published
        if pupil.policy.name == before.policy.name:
            pupil.lessons = before.lessons
        return pupil

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
            source.settle()
            policy = begin_from(source.policy, revision)
        self.pupils[name] = pupil_of(self._listener, revision, policy, position)
        if source is not None:
            self._publish(self.pupils[name])

    def _remembered(self, name: str, first: Revision | None = None) -> AnyPupil | None:
        """Take up an agent from its newest usable snapshot, if it has one.

        Args:
            name: of the agent.
            first: the revision that the log now speaks of, to take up a warm start by; such a
                snapshot is older than the log, so it is left alone where the log is not read.
        """

        def rebuild(manifest: Manifest, state: bytes) -> AnyPupil | None:
            revision = self._listener.revision(manifest.revision) if manifest.position else first
            if revision is None:
                return None
            policy = load_policy(manifest.policy, state, revision)
            pupil = pupil_of(self._listener, revision, policy, manifest.position)
            pupil.lessons = manifest.lessons
            since = pupil.teacher.restore(manifest.teacher)
            if since is not None:
                self._recollect(pupil, since)
            return pupil

        found = self.snapshots.newest(name, rebuild)
        return None if found is None else found[1]

    def _recollect(self, pupil: AnyPupil, first: int) -> None:
        """Read a stretch of the log again, from a position to what the pupil has learned."""
        position = first - 1
        while position < pupil.position:
            page = self._listener.read(position, BATCH)
            if not page.entries:
                return
            for entry in page.entries:
                if entry.position <= pupil.position and entry.kind in HEARD:
                    with _passing_over(_ENTRY, entry.position, entry.kind):
                        pupil.recollect(self._listener.heard(entry, page.places))
            position = page.entries[-1].position
