"""Customers who are met together: what is seen of them, what is barred, and what comes of it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import numpy as np

from agents.tabular.batch import NEVER, Batch
from agents.tabular.columns import Column, microseconds, span_of
from agents.tabular.masks import Codes, Reasons, reason_codes
from simulators.market.chance import Floats, Ints
from simulators.market.market import Happened, Market
from simulators.observations import SPANS, Seen, learnable, observed
from simulators.trail import Trail, contacts_of, events_of
from simulators.usage import Usage, settle

_FROM_MIDNIGHT = 1.0 / 3.6e9  # hours in a microsecond
_DAY_US = 86_400_000_000


class Done(NamedTuple):
    """What became of one action for each of n customers.

    Args:
        rewards: (n,) currency.
        barred: (n,) numbers of the reasons why the action was not done, 0 where it was.
    """

    rewards: Floats
    barred: Codes


class Cohort:
    """n customers of a market who are always met at one instant, and what is known of their past.

    The rules are asked by `agents.tabular`: word for word as of each customer alone.

    Args:
        market: whose customers they are.
        rows: (n,) their positions, ascending.
        names: n identifiers.
        reasons: numbers of the reasons why something is barred; None leaves all guardrails out.
        usage: of the organisation's budgets, by all customers of the market.

    Attributes:
        codes: (n, A) numbers of the reasons for which actions are barred now, 0 if they are not.
    """

    def __init__(
        self, market: Market, rows: Ints, names: list[str], reasons: Reasons | None, usage: Usage
    ) -> None:
        self.rows, self._names = rows, names
        self._market, self._revision = market, market.revision
        self._reasons, self._usage = reasons, usage
        self._fields = learnable(market.revision)
        self._contacts, self._events = Trail(), Trail()
        self._contact_kinds = contacts_of(market.revision)
        self._event_kinds = events_of(market.revision, market.words)
        heard = market.revision.hears if reasons is not None else frozenset[str]()
        told = market.reports.keys() | set(market.reply_words)
        self._hears = np.array([word in heard and word in told for word in market.words])
        self._round = 0
        self.codes: Codes = np.zeros((rows.size, len(market.revision.actions)), dtype=np.int32)
        self._batch: Batch

    def meet(self, at: datetime, round_index: int) -> Seen:
        """Let an instant come; return what is seen of the customers at it.

        Args:
            at: now (UTC), after any earlier one.
            round_index: which of their decisions is to come.
        """
        self._round, now = round_index, microseconds(at)
        columns = self._market.columns(self.rows, at)
        self._batch = Batch(
            self._revision, at, self._names, columns,
            self._contacts.past(self._contact_kinds, now - span_of(self._revision.lookback), now),
            self._events.past(self._event_kinds, now - span_of(self._revision.event_lookback), now),
            {},
            placement=self._market.slots(self.rows, round_index),
        )  # fmt: skip
        if self._reasons is not None:
            self._usage.hear(now)
            self._batch.usage = self._usage.of(self._batch)
            self.codes = reason_codes(self._batch, self._reasons)
        return self._seen(columns, at, now)

    def _seen(self, columns: dict[str, Column], at: datetime, now: int) -> Seen:
        counts = [
            self._contacts.counts(now - span_of(s), now, self.rows.size) for s in SPANS.values()
        ]
        return Seen(
            {name: observed(field, columns[name], at) for name, field in self._fields.items()},
            {name: columns[name].known for name in self._fields},
            np.stack(counts, axis=1),
            now % _DAY_US * _FROM_MIDNIGHT,
            self._round,
        )

    def act(self, actions: Ints) -> Done:
        """Do one action for each customer, or `none` where it is barred.

        Args:
            actions: (n,) positions.
        """
        barred = self.codes[np.arange(actions.size), actions]
        if self._reasons is not None and self._revision.counters:
            barred = settle(self._batch, actions, self._usage, self._reasons)
        done = np.where(barred == 0, actions, 0)
        market, now = self._market, self._batch.now
        sent = self._sends(done)
        rounds = np.full(done.size, self._round)
        known = np.where(sent == NEVER, now, sent)
        happened = market.live(self.rows, rounds, done, self._batch.at, known)
        self._remember(done, sent)
        if self._hears.any():
            self._hear(done, known, happened)
        values = market.values[happened.outcome]
        earned = np.bincount(happened.row, weights=values, minlength=done.size)
        return Done(earned - market.costs[done], barred)

    def _sends(self, actions: Ints) -> Ints:
        """Return when messages are sent in microseconds; `NEVER` if that is unknown; (n,)."""
        batch, table = self._batch, []
        for sends in batch.sends_by_zone:
            of_slots = [
                batch.at if action.is_none else sends[action.channel, action.window]
                for action in self._revision.actions
            ]
            table.append([NEVER if at is None else microseconds(at) for at in of_slots])
        return np.array(table, dtype=np.int64)[batch.zone.codes, actions]

    def _decisions(self, rows: Ints) -> Ints:
        return self._round * self._market.customers + self.rows[rows]

    def _remember(self, actions: Ints, sent: Ints) -> None:
        """Keep the contacts, (n,) actions and instants."""
        now, lookback = self._batch.now, span_of(self._revision.lookback)
        rows = np.flatnonzero((actions != 0) & (sent != NEVER))
        self._contacts.forget(now - lookback)
        self._contacts.add(
            rows, sent[rows], actions[rows], self._decisions(rows), np.full(rows.size, now)
        )

    def _hear(self, actions: Ints, sent: Ints, happened: Happened) -> None:
        """Keep what rules hear of: outcomes, and what else follows a message."""
        market = self._market
        messages = np.flatnonzero(actions != 0)
        replied = market.replied(
            self.rows[messages], np.full(messages.size, self._round), sent[messages]
        )
        row = np.concatenate([happened.row, messages[replied.row]])
        word = np.concatenate([happened.outcome, len(market.outcomes) + replied.word])
        at = np.concatenate([happened.at, replied.at])
        heard = np.flatnonzero(self._hears[word])
        row, word, at = row[heard], word[heard], at[heard]
        reached = market.reached(self.rows[row], np.full(row.size, self._round), word, at)
        known = reached.at[: row.size]  # each first report; what comes twice says nothing new
        what = word * len(self._revision.actions) + actions[row]
        self._events.forget(self._batch.now - span_of(self._revision.event_lookback))
        self._events.add(row, at, what, self._decisions(row), known)
        self._usage.tell(word, actions[row], at, sent[row], self._decisions(row), known)
