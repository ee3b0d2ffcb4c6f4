"""What every simulated market has: a timetable, exact expected rewards, and responses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from agents.context import Context, FeatureValue
from agents.declared import require_declared
from agents.memory import Memory
from agents.revision import Revision
from agents.units import require_utc
from simulators.delays import Delay
from simulators.examples import example_revision
from simulators.happenings import Happening, Reported
from simulators.reports import reports_of
from simulators.streams import Purpose, stream

__all__ = ["START", "WEEK", "Happening", "Reported", "World", "WorldOptions"]

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday; clocks change on day 27
WEEK = timedelta(days=7)

_DAY = timedelta(days=1)
_MOST = 10_000_000  # decisions; what is kept of so many fills the memory of a large machine
_LAST = datetime(2900, 1, 1, tzinfo=UTC)
_OPENS, _CLOSES = 6.0, 20.5  # hours of the day (UTC) between which customers are met


class WorldOptions(TypedDict, total=False):
    """How large a world is, and when it plays.

    Args:
        customers: N, above 0; 3,000 if not said.
        rounds: decisions per customer, above 0; 6 if not said.
        seed: 0 or more; 1 if not said.
        every: time between two decisions about one customer, whole days; 7 if not said.
        start: beginning of the first round (UTC); a Monday in March if not said.
    """

    customers: int
    rounds: int
    seed: int
    every: timedelta
    start: datetime


class World(ABC):
    """A market with known truth, bound to one revision of an agent.

    Each customer is met once in every span of `every`, on a weekday of their own and at a random
    time of that day. All randomness is a function of (seed, customer, round): the same choice
    gives the same outcomes whichever way and in whichever order the world is driven, so two
    policies can be compared on the very same customers (common random numbers). State is held
    customer by customer, so different customers may be served at the same time.

    A market is a subclass: it says what a customer looks like (`features`), how likely each
    outcome is after each action (`outcome_probabilities`), and what a response changes
    (`record`). If it is `memoryless`, then under `none` alone its probabilities depend on the past
    through `once` and `leaves` only: with p_t of such an outcome in round t, nothing of it has
    happened before round t with probability prod_(s<t) (1 - p_s), and what else happens is
    independent of that, so the value of doing nothing has a closed form; `simulators.truth` relies
    on it. In a market that is not, it has to be sampled.

    Args:
        revision: the agent whose actions, outcome values and windows the market meets.
        options: see `WorldOptions`.

    Attributes:
        outcomes: the words of what the market can report; O of them.
        delays: one per outcome.
        once: outcomes that happen to a customer once and never again.
        leaves: outcomes after which a customer has gone: from the next decision on, all
            probabilities are 0, whatever is sent.
        made_for: the packaged workspace and the agent in it that the market knows best.
        memoryless: whether nothing else of the past counts while nobody is contacted.

    Raises:
        ValueError: an argument outside its range.
    """

    name: ClassVar[str]
    outcomes: tuple[str, ...]
    delays: tuple[Delay, ...]
    once: ClassVar[frozenset[str]] = frozenset()
    leaves: ClassVar[frozenset[str]] = frozenset()
    made_for: ClassVar[tuple[str, str]] = ("telecom", "retention")
    memoryless: bool = True

    def __init__(self, revision: Revision, **options: Unpack[WorldOptions]) -> None:
        require_declared(revision, "a simulated market")
        customers, rounds = options.get("customers", 3_000), options.get("rounds", 6)
        seed, every = options.get("seed", 1), options.get("every", WEEK)
        if customers < 1 or rounds < 1 or seed < 0:
            raise ValueError(
                "expected customers and rounds above 0 and a seed of 0 or more,"
                f" got {customers}, {rounds} and {seed}"
            )
        if every < _DAY or every % _DAY:
            raise ValueError(f"every: expected whole days, at least one, got {every}")
        start = require_utc(options.get("start", START))
        if customers * rounds > _MOST or rounds > (_LAST - start) / every:
            raise ValueError(
                f"expected at most {_MOST:,} decisions that end before {_LAST.year}, got"
                f" {customers:,} customers x {rounds:,} rounds of {every.days} days from {start:%Y}"
            )
        self.revision = revision
        self.customers, self.rounds, self.seed = customers, rounds, seed
        self.every, self.start = every, start
        self.reports = known = reports_of(revision.agent)
        self.windows = tuple(
            known[word].window if word in known else 2 * WEEK for word in self.outcomes
        )
        self.values = np.array(
            [known[word].value if word in known else 0.0 for word in self.outcomes]
        )  # currency, (O,)
        self.costs = np.array([action.cost for action in revision.actions])  # currency, (A,)
        self._days, self._hours = self._timetable()  # (N,), (N, rounds + 1)

    def _timetable(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        days = stream(self.seed, Purpose.TIMETABLE, 0).random(self.customers)  # (N,)
        rounds = range(1, self.rounds + 2)
        draws = [stream(self.seed, Purpose.TIMETABLE, r).random(self.customers) for r in rounds]
        hours = _OPENS + (_CLOSES - _OPENS) * np.stack(draws, axis=1)  # (N, rounds + 1)
        return (days * (self.every // _DAY)).astype(np.int64), hours

    def positions(self, customers: Iterable[int] | None = None) -> list[int]:
        """Return whom an experiment speaks of, checked: positions from 0, all if None.

        Raises:
            ValueError: nobody, somebody twice, or a position that is not in the world.
        """
        chosen = list(range(self.customers) if customers is None else customers)
        inside = all(0 <= customer < self.customers for customer in chosen)
        if not chosen or not inside or len(set(chosen)) < len(chosen):
            raise ValueError(
                f"customers: expected different positions from 0 to {self.customers - 1:,}, at"
                f" least one, got {len(chosen):,} of them from {min(chosen, default=0)} to"
                f" {max(chosen, default=0)}"
            )
        return chosen

    @property
    def end(self) -> datetime:
        """When the last round is over (UTC); outcomes may still be on their way."""
        return self.start + self.rounds * self.every

    def customer_id(self, customer: int) -> str:
        """Return the identifier by which servers and logs know a customer."""
        return f"c{customer}"

    def decision_key(self, customer: int, round_index: int) -> str:
        """Return the name of one decision of this world, unique and the same in every run."""
        return f"{self.name}-{self.seed}-{customer}-{round_index}"

    def opportunity(self, customer: int, round_index: int) -> datetime:
        """Return when a customer is met in a round (UTC, whole seconds), rounds from 0."""
        seconds = int(self._hours[customer, round_index] * 3_600.0)
        ahead = timedelta(days=int(self._days[customer]), seconds=seconds)
        return self.start + round_index * self.every + ahead

    def placement(self, customer: int, round_index: int) -> str:
        """Return the slot that a round is about: empty, unless the market has visits to a site."""
        del customer, round_index
        return ""

    def context(
        self, customer: int, at: datetime, memory: Memory, *, placement: str = ""
    ) -> Context:
        """Make the context of a decision, as a server would from its ledger."""
        name, features = self.customer_id(customer), self.features(customer, at)
        return memory.recall(self.revision, name, at, features, placement=placement)

    def expected_rewards(self, customer: int, at: datetime) -> NDArray[np.float64]:
        """Return the exact expected reward of every action now, costs included.

        Returns:
            (A,) in currency: sum over outcomes of probability x value, less the action's cost.
        """
        probabilities = self.outcome_probabilities(customer, at)  # (A, O)
        return np.asarray(probabilities @ self.values - self.costs, dtype=np.float64)  # (A,)

    def respond(
        self,
        customer: int,
        round_index: int,
        action: int,
        at: datetime,
        send_at: datetime | None = None,
    ) -> list[Happening]:
        """Let a customer live through one decision, once per (customer, round).

        Delays run from the instant of sending and end inside the outcome's window. Every action
        meets the same random numbers, so a likelier outcome includes every case of a less likely.

        Args:
            customer: position in the world.
            round_index: of the customer's own decisions, from 0.
            action: position in the revision's actions.
            at: instant of the decision (UTC).
            send_at: when the message is sent (UTC); None for `none` or at once.

        Returns:
            What the agent will hear of, earliest first: its outcomes, and what `replies` adds.
            What it has no outcome for happens too, but is not reported.
        """
        rates = self.outcome_probabilities(customer, at)[action]  # (O,)
        draws = stream(self.seed, Purpose.RESPONSES, customer, round_index)
        luck, which, when = draws.random((3, len(self.outcomes)))  # (O,) each
        happenings = [
            self._happening(o, self._arrival(o, at, send_at or at, which[o], when[o]))
            for o in np.flatnonzero(luck < rates).tolist()
        ]
        sent = None if self.revision.actions[action].is_none else send_at or at
        self.record(customer, action, sent, happenings)
        heard = [h for h in happenings if h.outcome in self.reports]
        if sent is not None:
            heard += self.replies(customer, round_index, sent)
        return sorted(heard, key=lambda h: h.at)

    def replies(self, customer: int, round_index: int, sent: datetime) -> list[Happening]:
        """Return the workspace's events that follow a contact; none, unless a market has them.

        They carry no value and change nothing for the customer.

        Args:
            customer: position in the world.
            round_index: of the customer's own decisions, from 0.
            sent: when the message is sent (UTC).
        """
        del customer, round_index, sent
        return []

    def reported(
        self, customer: int, round_index: int, happenings: Sequence[Happening]
    ) -> list[Reported]:
        """Return what reaches the company of a decision, earliest first; at once and once each.

        A market may have some of it late, so that it comes out of order, or twice.

        Args:
            customer: position in the world.
            round_index: of the customer's own decisions, from 0.
            happenings: as returned by `respond`.
        """
        del customer, round_index
        return [Reported(happening.at, happening) for happening in happenings]

    def _happening(self, outcome: int, at: datetime) -> Happening:
        word = self.outcomes[outcome]
        known = self.reports.get(word)
        return Happening(word, at, known.properties) if known else Happening(word, at)

    def _arrival(
        self, outcome: int, at: datetime, sent: datetime, which: float, when: float
    ) -> datetime:
        closes = at + self.windows[outcome]
        origin = sent if sent < closes else at
        return origin + self.delays[outcome].within(closes - origin, which, when)

    @classmethod
    def usual_revision(cls) -> Revision:
        """Return the agent that the market was made for."""
        return example_revision(*cls.made_for)

    @classmethod
    def suits(cls, revision: Revision) -> bool:
        """Say whether the market knows an agent's trade, so that it is the one to take first."""
        del revision
        return True

    @abstractmethod
    def features(self, customer: int, at: datetime) -> dict[str, FeatureValue]:
        """Return what the company knows of a customer; fields of the workspace's schema only."""

    @abstractmethod
    def outcome_probabilities(self, customer: int, at: datetime) -> NDArray[np.float64]:
        """Return the probability that each outcome arrives inside its window; (A, O) in [0, 1]."""

    @abstractmethod
    def record(
        self,
        customer: int,
        action: int,
        sent: datetime | None,
        happenings: Sequence[Happening],
    ) -> None:
        """Change the customer's state by a contact (sent at, None for `none`) and its outcomes."""

    @abstractmethod
    def reset(self) -> None:
        """Forget all contacts and outcomes: every customer as at the start."""
