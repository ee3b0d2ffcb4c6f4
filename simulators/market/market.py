"""A market from its YAML: for one customer as every world, and for whole populations as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from agents.context import FeatureValue
from agents.revision import Revision
from agents.tabular.columns import instant_of, microseconds
from simulators.market.chance import Floats, Ints, Luck, uniforms
from simulators.market.lazily import of_spec
from simulators.market.names import require_names
from simulators.market.population import Happened, Population, Reached
from simulators.market.spec import WorldSpec
from simulators.replies import Replied
from simulators.world import Happening, Reported

__all__ = ["Happened", "Market", "Reached", "Replied"]

_DAY = timedelta(days=1)


class Market(Population):
    """A market made of parts; its YAML is its documentation, and all of its truth.

    log-odds(outcome | action) = base . z + kind + climate + fatigue x level
        + gain x (1 - response x level) x (1 - wear) x channel x window x effect(action) . z
        + misfit x (1 - channel) + disliked (gain below 0) + disappointed (sold out, harm only)

    with z the customer's traits and signals (`simulators.market.signals`), level and wear as of
    `Pressure`; the two last lines for messages only. When an offer is sold out, its messages have
    no effect.

    A market also runs for a workspace that it was not made for: of an offer, variant or kind that
    it does not know, only the effects count that name none; a channel it does not know reaches
    everybody by half, and a send window it does not know suits everybody. Fields of the same name
    must have the same type, see `People`.

    What customers have in common is arrays, so one thread at a time may play.

    A world is a subclass with its `spec`, which may be read `later`.

    Raises:
        ValueError: an argument outside its range, or a customer field with another type.
    """

    name: ClassVar[str] = of_spec(lambda spec: spec.world)
    made_for: ClassVar[tuple[str, str]] = of_spec(lambda spec: (spec.example, spec.agent))
    once: ClassVar[frozenset[str]] = of_spec(
        lambda spec: frozenset(word for word, each in spec.outcomes.items() if each.once)
    )
    leaves: ClassVar[frozenset[str]] = of_spec(
        lambda spec: frozenset(word for word, each in spec.outcomes.items() if each.leaves)
    )

    def __init_subclass__(cls) -> None:
        """Check the names of a document that is there already."""
        super().__init_subclass__()
        spec = vars(cls).get("spec")
        if isinstance(spec, WorldSpec):
            require_names(spec)

    @classmethod
    def suits(cls, revision: Revision) -> bool:
        """Say whether it is the agent that the market was made for."""
        return cls.made_for == (revision.workspace.workspace, revision.agent.agent)

    def _timetable(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Give every customer a day of the span and an hour of the day, for good."""
        who = np.arange(self.customers, dtype=np.int64)
        day, hour = uniforms(self.seed, Luck.TIMETABLE, 0, who, 0, 2).T  # (N,) each
        hours = np.array(self.spec.hours, dtype=np.float64)
        return (
            np.floor(day * (self.every // _DAY)).astype(np.int64),
            hours[np.floor(hour * len(hours)).astype(np.int64)],
        )

    def opportunity(self, customer: int, round_index: int) -> datetime:
        """Return when a customer is met in a round: always on the same day and hour of a span."""
        ahead = timedelta(days=int(self._days[customer]), hours=float(self._hours[customer]))
        return self.start + round_index * self.every + ahead

    def meetings(self, round_index: int) -> list[tuple[datetime, Ints]]:
        """Return the instants of a round, in order, and who is met at each."""
        hours = self._first()  # (N,)
        begins = self.start + round_index * self.every
        return [
            (begins + timedelta(hours=int(each)), np.flatnonzero(hours == each))
            for each in np.unique(hours)
        ]

    def placement(self, customer: int, round_index: int) -> str:
        """Return the slot that a round is about: empty, unless the customer comes by."""
        slots = self.slots(np.array([customer]), round_index)
        return str(slots.words[int(slots.data[0])])

    def features(self, customer: int, at: datetime) -> dict[str, FeatureValue]:
        """Return what the company knows of a customer at an instant (UTC)."""
        columns = self.columns(np.array([customer]), at)
        row = {name: column.value(0) for name, column in columns.items()}
        return {name: value for name, value in row.items() if value is not None}

    def outcome_probabilities(self, customer: int, at: datetime) -> Floats:
        """Return P(outcome inside its window) after each action, in the true state; (A, O)."""
        (found,) = self.probabilities(np.array([customer]), at)
        return np.asarray(found)

    def respond(
        self,
        customer: int,
        round_index: int,
        action: int,
        at: datetime,
        send_at: datetime | None = None,
    ) -> list[Happening]:
        """Let a customer live through one decision; as `World.respond`."""
        sent = None if self.revision.actions[action].is_none else send_at or at
        instants = None if sent is None else np.array([microseconds(sent)])
        happened = self.live(
            np.array([customer]), np.array([round_index]), np.array([action]), at, instants
        )
        heard = [
            self._happening(outcome, instant_of(when))
            for outcome, when in zip(happened.outcome.tolist(), happened.at.tolist(), strict=True)
            if self.outcomes[outcome] in self.reports
        ]
        if sent is not None:
            heard += self.replies(customer, round_index, sent)
        return sorted(heard, key=lambda h: h.at)

    def replies(self, customer: int, round_index: int, sent: datetime) -> list[Happening]:
        """Return the workspace's events that follow a contact."""
        found = self.replied(
            np.array([customer]), np.array([round_index]), np.array([microseconds(sent)])
        )
        return [
            Happening(self.reply_words[word], instant_of(at))
            for word, at in zip(found.word.tolist(), found.at.tolist(), strict=True)
        ]

    def reported(
        self, customer: int, round_index: int, happenings: Sequence[Happening]
    ) -> list[Reported]:
        """Return what reaches the company, earliest first: some of it late, some of it twice."""
        count = len(happenings)
        words = np.array([self.words.index(h.outcome) for h in happenings], dtype=np.int64)
        at = np.array([microseconds(h.at) for h in happenings], dtype=np.int64)
        found = self.reached(np.full(count, customer), np.full(count, round_index), words, at)
        pairs = zip(found.at.tolist(), found.which.tolist(), strict=True)
        return [Reported(instant_of(when), happenings[which]) for when, which in sorted(pairs)]

    def record(
        self,
        customer: int,
        action: int,
        sent: datetime | None,
        happenings: Sequence[Happening],
    ) -> None:
        """Change a customer's state by a contact and its outcomes; `respond` does it itself."""
        row, actions = np.array([customer]), np.array([action])
        if sent is not None:
            at = microseconds(sent)
            self._contacted(row, actions, np.array([at]), at)
        count = len(happenings)
        self._after.follow(
            np.full(count, customer),
            np.full(count, action),
            np.array([self.outcomes.index(h.outcome) for h in happenings], dtype=np.int64),
            np.array([microseconds(h.at) for h in happenings], dtype=np.int64),
        )
