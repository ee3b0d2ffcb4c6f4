"""Rules over the order of one customer's contacts: escalation and sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.checking.actions import ActionLaw, Group, Past, Selection, fits, known
from agents.checking.laws import Bar, View


@dataclass(frozen=True, slots=True)
class Escalation:
    """A channel opens only after another one went unanswered."""

    name: str
    groups: tuple[Group, ...]
    first: str
    unless: frozenset[str]
    wait: timedelta
    within: timedelta
    scope: str

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar what has no unanswered contact behind it."""
        answered = {e.decision_id for e in view.events if e.word in self.unless}
        tried = [
            c for c in view.contacts
            if c.channel == self.first and c.agent == view.law.agent
            and not (c.decision_id and c.decision_id in answered)
        ]  # fmt: skip
        for group in self.groups:
            at = view.sends.get(group.slot)
            behind = (
                at is not None and c.at + self.wait <= at < c.at + self.within
                for c in tried
                if self.scope == "agent" or c.offer == group.key
            )
            if at is not None and not any(behind):
                yield group.ids, f"no unanswered contact by {self.first} allows one at {at}"


@dataclass(slots=True)
class _Run:
    """How far a customer is in a sequence."""

    done: int = 0
    began: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """Actions in an order: each step opens the next.

    Args:
        steps: a selector each; waits: the least time since the step before.
        takes: by action, the steps that it takes.
    """

    name: str
    selection: Selection
    steps: tuple[Mapping[str, Sequence[str]], ...]
    waits: tuple[timedelta, ...]
    within: timedelta
    restart: timedelta
    until: frozenset[str]
    takes: Mapping[str, tuple[int, ...]]

    def bars(self, view: View) -> Iterator[Bar]:
        """Bar what takes only steps that are not open when it would be sent."""
        since = view.at - self.restart - len(self.steps) * self.within
        own = [c for c in view.recalled if c.agent == view.law.agent and c.at > since]
        run = self._replay(self.selection.counted(own, view.law), view)
        for action, steps in self.takes.items():
            at = view.sends.get(view.law.actions[action].slot)
            later = at is not None and run.last is not None and run.last > at
            if at is None or (not later and any(self._open(run, s, at, view) for s in steps)):
                continue
            numbers = " or ".join(str(step + 1) for step in steps)
            yield (action,), f"step {numbers} is not open at {at}; {run.done} are done"

    def _replay(self, contacts: Sequence[Past], view: View) -> _Run:
        run = _Run()
        for contact in contacts:
            steps = steps_taken(self.steps, known(contact, view.law))
            if run.done in steps and run.done and self._open(run, run.done, contact.at, view):
                run.done, run.last = run.done + 1, contact.at
            elif 0 in steps and self._open(run, 0, contact.at, view):
                run = _Run(1, contact.at, contact.at)
        return run

    def _goes_on(self, run: _Run, at: datetime, view: View) -> bool:
        """Say whether a sequence has begun and its next step may be taken at an instant."""
        if run.began is None or run.last is None or run.done >= len(self.steps):
            return False
        began = run.began
        ended = any(e.word in self.until and began <= e.at <= at for e in view.events)
        return not ended and run.last <= at < run.last + self.within

    def _open(self, run: _Run, step: int, at: datetime, view: View) -> bool:
        if step == 0:
            return run.began is None or at >= run.began + self.restart
        if step != run.done or run.last is None or not self._goes_on(run, at, view):
            return False
        return at >= run.last + self.waits[step]


def steps_taken(steps: Sequence[Mapping[str, Sequence[str]]], action: ActionLaw) -> tuple[int, ...]:
    """Number the steps that an action takes, from 0."""
    return tuple(number for number, step in enumerate(steps) if fits(step, action))
