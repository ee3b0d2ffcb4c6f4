"""A market as arrays: many customers at one instant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple, Unpack

import numpy as np

from agents.revision import Revision
from agents.tabular.columns import Column, microseconds, span_of
from simulators.delays import Delay, Lognormal
from simulators.market.aftermath import Aftermath
from simulators.market.chance import Floats, Ints, Luck, luck_key, uniforms
from simulators.market.climate import Climates
from simulators.market.kernels import Now, draw, rates_after
from simulators.market.people import People
from simulators.market.pressure import Pressure
from simulators.market.response import is_memoryless, offers_of, truth_of
from simulators.market.signals import Signals
from simulators.market.spec import DelaySpec, WorldSpec
from simulators.market.standing import Standing
from simulators.market.visits import Visits
from simulators.replies import Replied, Replies
from simulators.world import World, WorldOptions

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_HOUR_US = 3_600_000_000


class Happened(NamedTuple):
    """What became of many decisions; H things that happened, whether the agent hears or not.

    Args:
        row: (H,) which decision.
        outcome: (H,) positions among the world's outcomes.
        at: (H,) microseconds since 1970.
    """

    row: Ints
    outcome: Ints
    at: Ints


class Reached(NamedTuple):
    """What reaches the company of many things that happened, and when.

    Args:
        which: (R,) of the things; first each of them once, then the duplicates.
        at: (R,) microseconds since 1970.
    """

    which: Ints
    at: Ints


class Population(World):
    """The customers of a `Market`, and all that happens to them, as arrays.

    Attributes:
        people: the customers as they were drawn.
        reply_words: events of the workspace that may follow a contact.
        words: of all that can happen: outcomes, then reply words.
    """

    spec: ClassVar[WorldSpec]

    def __init__(self, revision: Revision, **options: Unpack[WorldOptions]) -> None:
        spec = self.spec
        self.outcomes = tuple(spec.outcomes)
        self.delays = tuple(_delay(each.delay) for each in spec.outcomes.values())
        self.memoryless = is_memoryless(spec)
        usual: WorldOptions = {
            "customers": spec.customers, "rounds": spec.rounds, "every": spec.every, **options,
        }  # fmt: skip
        super().__init__(revision, **usual)
        workspace = revision.workspace
        self.people = People(
            spec, workspace, seed=self.seed, customers=self.customers, start=self.start,
            met=microseconds(self.start) + _HOUR_US * self._first(),
        )  # fmt: skip
        self._visits = Visits(spec.visits, workspace, self.people.draws, self.seed)
        self._signals = Signals(spec, self.people)
        self._climates = Climates(spec, revision, self.start)
        self._truth = truth_of(spec, revision)
        self._offers = offers_of(revision)
        self._offer = self._truth.parts[:, 0].copy()  # (A,)
        self._replies = Replies(workspace, outcomes=self.outcomes, seed=self.seed)
        self.reply_words = self._replies.words
        self.words = (*self.outcomes, *self.reply_words)
        self._after = Aftermath(spec, revision, self.people, self.start)
        self._fatigue = Pressure(
            self.customers, spec.fatigue.step, spec.fatigue.half_life / _SECOND
        )
        self._wear: Pressure | None = None
        if spec.wear is not None:
            places = self.customers * max(1, len(self._offers))
            self._wear = Pressure(places, spec.wear.step, spec.wear.half_life / _SECOND)

    def _first(self) -> Ints:
        """Return the hours from the start to everybody's first meeting, (N,)."""
        return np.asarray(self._days * 24 + self._hours.astype(np.int64))

    @property
    def standing(self) -> Standing:
        """What has become of each customer."""
        return self._after.standing

    def reset(self) -> None:
        """Forget all contacts and outcomes."""
        self._after.reset()
        self._fatigue.reset()
        if self._wear is not None:
            self._wear.reset()

    def day(self, at: datetime) -> int:
        """Return the day of the world that an instant is on, from 0."""
        return max(0, (at - self.start) // _DAY)

    def columns(self, rows: Ints, at: datetime) -> dict[str, Column]:
        """Return the declared fields of some customers as they stand, (n,) each.

        `data` are the true values, `known` says of whom the company knows them.
        """
        found = self.people.columns(self.day(at), rows)
        self._after.show(found, rows, microseconds(at))
        return found

    def slots(self, rows: Ints, rounds: Ints | int) -> Column:
        """Return the slot that each customer's round is about, empty if none; words, (n,)."""
        return self._visits.slots(rows, rounds)

    def signals(self, rows: Ints, at: datetime) -> Floats:
        """Return the numbers that outcomes depend on, of some customers as they stand; (n, K)."""
        day = self.day(at)
        z = self._signals.rows(rows, day)
        touched, changed = self._after.changed(rows, microseconds(at))
        if changed:
            z[touched] = self._signals.rows(rows[touched], day, changed)
        return z

    def probabilities(self, rows: Ints, at: datetime) -> Floats:
        """Return P(outcome inside its window) after every action, in the true state.

        Args:
            rows: (n,) customers.
            at: now (UTC).

        Returns:
            (n, A, O) in [0, 1].
        """
        every, offers = np.arange(len(self.revision.actions)), np.arange(len(self._offers))
        worn = self._worn(rows[:, None] * offers.size + offers, at)
        return rates_after(self._truth, self._now(rows, at), worn, np.tile(every, (rows.size, 1)))

    def probabilities_of(self, rows: Ints, actions: Ints, at: datetime) -> Floats:
        """Return the same of one action each, (n,) positions; (n, O)."""
        offer = np.maximum(self._offer[actions], 0)
        worn = self._worn((rows * len(self._offers) + offer)[:, None], at)
        rates = rates_after(self._truth, self._now(rows, at), worn, actions[:, None])
        return np.asarray(rates[:, 0])

    def _worn(self, places: Ints, at: datetime) -> Floats:
        if self._wear is None:
            return np.zeros(places.shape)
        return self._wear.level(places.ravel(), microseconds(at)).reshape(places.shape)

    def _now(self, rows: Ints, at: datetime) -> Now:
        climate = self._climates.on(self.day(at))
        standing = self.standing
        return Now(
            day=climate.odds,
            strength=climate.response,
            effects=climate.effects,
            terms=climate.terms,
            short=self._after.stocks.disappointment(self.day(at), self._offers),
            z=self.signals(rows, at),
            kind=self.people.kind[rows],
            tired=self._fatigue.level(rows, microseconds(at)),
            done=standing.done[rows],
            gone=standing.gone[rows],
        )

    def live(
        self, rows: Ints, rounds: Ints, actions: Ints, at: datetime, sent: Ints | None
    ) -> Happened:
        """Let customers live through one decision each, all at one instant.

        Args:
            rows: (n,) different customers.
            rounds: (n,) which of their decisions.
            actions: (n,) positions; what was done.
            at: now (UTC).
            sent: (n,) when messages are sent, microseconds since 1970; of no meaning for `none`;
                None: at once.
        """
        rates = self.probabilities_of(rows, actions, at)  # (n, O)
        row, outcome = draw(luck_key(self.seed, Luck.OUTCOME), rows, rounds, rates)
        now = np.full(rows.size, microseconds(at))
        silent = self._offer[actions] < 0
        instants = now if sent is None else np.where(silent, now, sent)
        arrive = self._arrivals(rows[row], rounds[row], outcome, microseconds(at), instants[row])
        messages = np.flatnonzero(~silent)
        self._contacted(rows[messages], actions[messages], instants[messages], microseconds(at))
        self._after.follow(rows[row], actions[row], outcome, arrive)
        return Happened(row, outcome, arrive)

    def _arrivals(self, customers: Ints, rounds: Ints, outcomes: Ints, at: int, sent: Ints) -> Ints:
        """Return when outcomes arrive, (H,): after sending, and before their windows close."""
        draws = uniforms(self.seed, Luck.DELAY, 0, customers, rounds, 2 * len(self.outcomes))
        arrive = np.empty(len(customers), dtype=np.int64)
        for place, (delay, window) in enumerate(zip(self.delays, self.windows, strict=True)):
            (here,) = np.nonzero(outcomes == place)
            if not here.size:
                continue
            closes = at + span_of(window)
            origin = np.where(sent[here] < closes, sent[here], at)
            which, when = draws[here, 2 * place], draws[here, 2 * place + 1]
            arrive[here] = origin + delay.within_many(closes - origin, which, when)
        return arrive

    def _contacted(self, rows: Ints, actions: Ints, sent: Ints, now: int) -> None:
        self._fatigue.press(rows, sent, now)
        if self._wear is not None:
            self._wear.press(rows * len(self._offers) + self._offer[actions], sent, now)

    def replied(self, customers: Ints, rounds: Ints, sent: Ints) -> Replied:
        """Return the workspace's events that follow contacts, after `live`; see `Replies`.

        Args:
            customers: (n,) positions.
            rounds: (n,) which of their decisions.
            sent: (n,) when messages are sent, microseconds since 1970.
        """
        found = self._replies.after_many(customers, rounds, sent)
        there = found.at < self.standing.left[customers[found.row]]
        return Replied(*(part[there] for part in found))

    def reached(self, customers: Ints, rounds: Ints, words: Ints, at: Ints) -> Reached:
        """Return when the company hears of what happened: some of it late, some of it twice.

        Args:
            customers: (H,) positions.
            rounds: (H,) which of their decisions.
            words: (H,) positions among `words`.
            at: (H,) when it happened, microseconds since 1970.
        """
        noise = self.spec.noise
        draws = uniforms(self.seed, Luck.NOISE, 0, customers, rounds, 3 * len(self.words))
        late, twice, again = (draws[np.arange(words.size), 3 * words + place] for place in range(3))
        span = span_of(noise.delay)
        first = at + np.where(late < noise.late, span, 0)
        double = np.flatnonzero(twice < noise.duplicates)
        second = first[double] + np.rint(again[double] * span).astype(np.int64)
        which = np.concatenate([np.arange(words.size), double])
        return Reached(which, np.concatenate([first, second]))


def _delay(components: Sequence[DelaySpec]) -> Delay:
    total = sum(each.weight for each in components)
    return Delay(
        tuple(Lognormal(each.weight / total, each.median / _DAY, each.sigma) for each in components)
    )
