"""A policy lives through a market as arrays: the very decisions of `rollout`, at full speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from agents.groups import Group
from agents.rewards import closes_at
from agents.tabular.batch import Batch
from agents.tabular.columns import Column, instant_of, microseconds
from agents.tabular.groups import GROUPS, group_table
from policies.base import Policy
from policies.table import Drawn, draw_batch
from simulators.market.market import Market
from simulators.offline.budgets import Budgets, sending_times
from simulators.offline.expected import expected_table
from simulators.offline.hearing import Hearing
from simulators.offline.learning import Learning
from simulators.offline.memory import TableMemory
from simulators.offline.record import Decided, Followed, Ints, Played, joined

Progress = Callable[[int], None]

_SECRET = b"simulation"
_DAY = timedelta(days=1)
_TEACHES = np.array([group.teaches for group in GROUPS])


def play(
    market: Market,
    policy: Policy,
    *,
    secret: bytes = _SECRET,
    group: Group | None = None,
    learn: bool = True,
    every: timedelta = _DAY,
    customers: Iterable[int] | None = None,
    truth: bool = True,
    progress: Progress | None = None,
) -> Played:
    """Let a policy decide for every customer in every round, in the order of time.

    The market begins anew. All customers of one instant are decided on together. What decisions
    and outcomes teach is learned at the end of every span, by the same teacher as the server's;
    `rollout` with the same span makes the same decisions, bit for bit.

    Args:
        market: bound to the revision that decides.
        policy: built for the market's revision; it is taught in place if `learn`.
        secret: fixes the draws.
        group: puts every customer in this group, for a counterfactual; None assigns by hash.
        learn: whether to teach the policy.
        every: from one time of learning to the next, counted from the market's start.
        customers: whom to meet; None meets all.
        truth: whether to work out the expected rewards of all actions, which takes some time.
        progress: called with the number of decisions made so far.

    Raises:
        ValueError: customers that `World.positions` refuses, or a span that is not above 0.

    Example:
        >>> from policies.uniform import Uniform
        >>> from simulators.examples import example_revision
        >>> from simulators.worlds.telecom import Telecom
        >>> market = Telecom(example_revision(), customers=5, rounds=2)
        >>> play(market, Uniform()).decided.action.shape
        (10,)
    """
    if every <= timedelta(0):
        raise ValueError(f"every: expected a span above 0, got {every}")
    chosen = None if customers is None else np.array(market.positions(customers))
    run = _Run(market, policy, secret, group, learn, truth)
    run.play(chosen, every, progress or _ignore)
    return run.result()


def _ignore(done: int) -> None:
    del done


class _Run:
    """The moving parts of one play."""

    def __init__(
        self,
        market: Market,
        policy: Policy,
        secret: bytes,
        group: Group | None,
        learn: bool,
        truth: bool,
    ) -> None:
        self.market, self.policy, self.secret = market, policy, secret
        self.truth = truth
        self.names = [market.customer_id(row) for row in range(market.customers)]
        self.memory = TableMemory(market, market.words)
        self.budgets = Budgets(market.revision)
        late = 2 * market.spec.noise.delay
        self.learning = Learning(market.revision, policy, market.words, late) if learn else None
        self.hearing = Hearing(market, self.memory, self.budgets, self.learning)
        self.groups = self._assigned(group)
        self.parts: list[Decided] = []
        self.done = 0

    def play(self, chosen: Ints | None, every: timedelta, progress: Progress) -> None:
        """Let everything happen in the order of time."""
        market = self.market
        market.reset()
        night, last = market.start + every, market.start
        for round_index in range(market.rounds):
            for at, rows in market.meetings(round_index):
                met = rows if chosen is None else rows[np.isin(rows, chosen)]
                if met.size:
                    night, last = self._nights(night, at, every), at
                    self.hearing.until(microseconds(at), self.done)
                    self._meet(met, round_index, at)
                    progress(self.done)
        self._end(night, closes_at(market.revision.agent, last), every)

    def _nights(self, night: datetime, at: datetime, every: timedelta) -> datetime:
        """Learn at every night until an instant; return the next one."""
        while night <= at:
            self.hearing.until(microseconds(night), self.done)
            if self.learning is not None:
                self.learning.learn(night)
            night += every
        return night

    def _end(self, night: datetime, closed: datetime, every: timedelta) -> None:
        """Let time go on until nothing can be heard any more."""
        heard_last = self.hearing.last
        last = closed if heard_last is None else max(closed, instant_of(heard_last))
        self._nights(night, last, every)
        self.hearing.until(microseconds(last) + 1, self.done)
        if self.learning is not None:
            self.learning.learn(last)

    def _assigned(self, group: Group | None) -> NDArray[np.intp] | None:
        """Return everybody's group, (customers,); None if a changing field may say which."""
        market = self.market
        if group is not None:
            return np.full(market.customers, GROUPS.index(group), dtype=np.intp)
        if market.revision.agent.holdout.managed is not None:
            return None
        return group_table(self._batch(np.arange(market.customers), market.start))

    def _meet(self, rows: Ints, round_index: int, at: datetime) -> None:
        """Decide for customers of one instant; by halves where a budget may run dry among them."""
        batch = self._batch(rows, at, self.market.slots(rows, round_index))
        readings = self.budgets.show(batch)
        ids = [self.market.decision_key(row, round_index) for row in rows.tolist()]
        groups = None if self.groups is None else self.groups[rows]
        drawn = draw_batch(batch, self.policy, ids, self.secret, groups)
        if not self.budgets.steady(batch, readings, drawn.allowed):
            half = rows.size // 2
            self._meet(rows[:half], round_index, at)
            self._meet(rows[half:], round_index, at)
            return
        self._live(rows, round_index, batch, drawn)

    def _batch(self, rows: Ints, at: datetime, slots: Column | None = None) -> Batch:
        market, memory = self.market, self.memory
        return Batch(
            market.revision, at, [self.names[row] for row in rows.tolist()],
            market.columns(rows, at), memory.contacts(rows, at), memory.events(rows, at), {},
            placement=slots or "",
        )  # fmt: skip

    def _live(self, rows: Ints, round_index: int, batch: Batch, drawn: Drawn) -> None:
        """Let customers live through what was drawn for them."""
        market, actions = self.market, drawn.actions.astype(np.int64)
        rounds = np.full(rows.size, round_index)
        sent = sending_times(batch)[batch.zone.codes, actions]  # (n,)
        self._record(rows, rounds, batch, drawn)
        contacted = np.flatnonzero(actions != 0)
        self.memory.keep(rows[contacted], rounds[contacted], actions[contacted], sent[contacted])
        self.budgets.charge(batch, drawn.actions)
        taught = np.full(rows.size, -1, dtype=np.int64)
        if self.learning is not None:
            treated = np.flatnonzero(_TEACHES[drawn.groups])
            if treated.size:
                first = self.learning.decided(batch, drawn, treated)
                taught[treated] = np.arange(first, first + treated.size)
        happened = market.live(rows, rounds, actions, batch.at, sent)
        self.hearing.follow(rows, rounds, actions, sent, happened, taught, batch.now, self.done)
        self.done += rows.size

    def _record(self, rows: Ints, rounds: Ints, batch: Batch, drawn: Drawn) -> None:
        truth = self._truth(rows, batch.at, drawn)
        self.parts.append(Decided(
            rows.astype(np.int32), rounds.astype(np.int32), np.full(rows.size, batch.now),
            drawn.groups.astype(np.int8), drawn.actions.astype(np.int16),
            np.count_nonzero(drawn.allowed, axis=1).astype(np.int16), drawn.propensity,
            drawn.explored, *truth,
        ))  # fmt: skip

    def _truth(self, rows: Ints, at: datetime, drawn: Drawn) -> NDArray[np.float64]:
        """Return the expected rewards as `Decided` has them, from `taken` on; (5, n)."""
        if not self.truth:
            return np.full((5, rows.size), np.nan)
        expected = expected_table(self.market, rows, at)  # (n, A)
        best = np.where(drawn.allowed, expected, -np.inf).max(axis=1)
        taken = expected[np.arange(rows.size), drawn.actions]
        mean = (expected * drawn.distribution).sum(axis=1)
        uniform = expected.mean(axis=1, where=drawn.allowed)
        return np.stack([taken, mean, expected[:, 0], best, uniform])

    def result(self) -> Played:
        """Freeze what has happened."""
        market = self.market
        return Played(
            revision=market.revision,
            customers=market.customers,
            decided=joined(self.parts),
            followed=self.hearing.followed(),
            words=market.words,
        )  # fmt: skip


__all__ = ["Followed", "Played", "play"]
