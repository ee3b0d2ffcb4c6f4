"""Sequence: actions in an order, in which each step opens the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from agents.context import Contact
from agents.counters import Counter
from agents.guardrails.base import (
    Bar,
    Indices,
    Moment,
    Past,
    Rulebook,
    selects,
)
from agents.guardrails.history import (
    UNKNOWN,
    Sent,
    by_slot,
    heard,
    recent,
    recognises,
    remembers,
)
from agents.spec import SequenceSpec
from agents.spec.rules import Step

Steps = tuple[int, ...]


class Run(NamedTuple):
    """How far the latest run of a sequence has come.

    Args:
        began: when its first step was sent.
        last: when its latest step was sent.
        done: how many steps were sent.
    """

    began: datetime
    last: datetime
    done: int


@dataclass(frozen=True, slots=True)
class Course:
    """The rules of a sequence, and the replay of what was sent.

    Args:
        waits: for each step, the least time after the step before; 0 for the first.
        within: how long after one step the next may come, exclusive.
        restart: how long after its first step it may begin again, inclusive.
    """

    waits: tuple[timedelta, ...]
    within: timedelta
    restart: timedelta

    def open_steps(self, run: Run | None, at: datetime, ends: list[datetime]) -> Steps:
        """Return the steps, counted from 0, that may be sent at an instant.

        Args:
            run: the latest run, None if there was none.
            at: the instant.
            ends: when events happened that end a run, oldest first.
        """
        if run is None:
            return (0,)
        steps = (0,) if at >= run.began + self.restart else ()
        runs = run.done < len(self.waits) and not any(run.began <= end <= at for end in ends)
        if runs and run.last + self.waits[run.done] <= at < run.last + self.within:
            return (run.done, *steps)
        return steps

    def replay(self, sent: list[tuple[datetime, Steps]], ends: list[datetime]) -> Run | None:
        """Return the latest run.

        A contact takes the next step if that is open, else begins a new run if it may begin; a
        contact that takes no open step changes nothing.

        Args:
            sent: when contacts were sent, oldest first, and the steps that each may take.
            ends: when events happened that end a run, oldest first.
        """
        run: Run | None = None
        for at, steps in sent:
            taken = next((s for s in self.open_steps(run, at, ends) if s in steps), None)
            if taken == 0:
                run = Run(at, at, 1)
            elif taken is not None and run is not None:
                run = Run(run.began, at, taken + 1)
        return run


@dataclass(frozen=True, slots=True)
class Sequence:
    """Bars an action that takes a step of the sequence unless one of its steps is open.

    Args:
        groups: by the steps that they may take, the actions, by sending instant.
        later: positions of the actions that may take later steps only.
        course: the rules of the order.
        agent: whose contacts take steps.
        takes: for each step, whether something earlier may have taken it.
        hears: the words that end a run.
    """

    name: str
    actions: Indices
    groups: dict[Steps, tuple[Sent, ...]]
    later: Indices
    course: Course
    agent: str
    takes: tuple[Callable[[Past], bool], ...]
    hears: frozenset[str]
    reads_contacts: bool = True
    counters: tuple[Counter, ...] = ()

    @classmethod
    def compile(cls, name: str, spec: SequenceSpec, book: Rulebook) -> Sequence:
        """Compile a declared sequence over those of the agent's actions that take a step."""
        by_steps: dict[Steps, list[int]] = defaultdict(list)
        for index in book.chosen(spec):
            steps = tuple(
                number
                for number, step in enumerate(spec.steps)
                if selects(step, book.actions[index])
            )
            if steps:
                by_steps[steps].append(index)
        waits = tuple(step.after or timedelta(0) for step in spec.steps)
        return cls(
            name, tuple(sorted(i for group in by_steps.values() for i in group)),
            {steps: by_slot(book, group) for steps, group in by_steps.items()},
            tuple(i for steps, group in by_steps.items() if 0 not in steps for i in group),
            Course(waits, spec.within, spec.restart), book.agent.agent, _takes(spec, book),
            frozenset(spec.until),
        )  # fmt: skip

    @property
    def lookback(self) -> timedelta:
        """The latest run and whatever could still be running when that began."""
        return self.course.restart + len(self.takes) * self.course.within

    def bars(self, moment: Moment) -> Iterator[Bar]:
        """Bar what takes no open step, by sending instant."""
        sent = self._sent(recent(moment.context.contacts, moment, self.lookback))
        if not sent:
            yield Bar(self.later, "the sequence has not begun")
            return
        ends = [event.at for event in heard(moment, self.hears, self.lookback)]
        run = self.course.replay(sent, ends)
        for steps, slots in self.groups.items():
            for slot, indices in slots:
                send_at = moment.sends.get(slot)
                if send_at is None:
                    yield Bar(indices, UNKNOWN)
                elif run is not None and run.last > send_at:
                    yield Bar(indices, f"step {run.done} is planned for later")
                elif not set(self.course.open_steps(run, send_at, ends)) & set(steps):
                    shown = " or ".join(str(step + 1) for step in steps)
                    yield Bar(indices, f"step {shown} of {len(self.takes)} is not open")

    def _sent(self, contacts: list[Contact]) -> list[tuple[datetime, Steps]]:
        """List the agent's own contacts that may have taken a step, and which."""
        sent = []
        for contact in contacts:
            if contact.agent == self.agent:
                steps = tuple(k for k, takes in enumerate(self.takes) if takes(contact))
                if steps:
                    sent.append((contact.at, steps))
        return sent


def _takes(spec: SequenceSpec, book: Rulebook) -> tuple[Callable[[Past], bool], ...]:
    """Return, for each step, a test of which earlier contacts the rule lets take it."""
    agent = book.agent.agent
    spoken_of = remembers(spec, book.actions, agent)
    recognise = recognises(book.actions, agent)

    def both(step: Step) -> Callable[[Past], bool]:
        return lambda past: spoken_of(past) and selects(step, recognise(past))

    return tuple(both(step) for step in spec.steps)
