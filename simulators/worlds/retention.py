"""Retention: a telecom's customers live through a price change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from agents.actions import Action
from agents.context import FeatureValue
from agents.revision import Revision
from simulators.customers import CHANNELS, PLANS, RESPONSES, TRAITS, draw_population
from simulators.delays import Delay, Lognormal
from simulators.fatigue import Fatigue
from simulators.reports import reports_of
from simulators.world import Happening, World, WorldOptions

Floats = NDArray[np.float64]
Weights = Mapping[str, Mapping[str, float]]

_MONTH = timedelta(days=30)
_COMPLAINT_OPEN = timedelta(days=14)
_NEW_TERM = 24  # months after a renewal
_TIMES = ("morning", "evening", "any")
_TIRED = 0.8  # share of a message's effect that full fatigue takes away

# Log-odds per unit of a trait, by outcome. Upgrades of unlimited plans are ruled out elsewhere.
_BASE: Weights = {
    "renewed": {"one": -7.0, "ending": 2.6, "shock": -0.3, "hidden": 0.4},
    "upgraded": {"one": -5.6, "heavy": 1.0, "hidden": 0.2},
    "complained": {"one": -5.6, "shock": 2.1, "roaming": 1.0, "hidden": 0.3},
    "unsubscribed": {"one": -5.4},
}
_BY_RESPONSE: Mapping[str, Mapping[str, float]] = {
    "sure_thing": {"renewed": 1.3, "complained": -0.5},
    "lost_cause": {"renewed": -1.5, "complained": 0.5},
    "sleeping_dog": {"renewed": 0.5, "upgraded": -0.5},
}
# How much of an offer's effect a customer shows; a sleeping dog shows the opposite.
_GAIN = {"persuadable": 1.0, "sure_thing": 0.1, "lost_cause": 0.1, "sleeping_dog": -0.6}

# What a well placed message of an (offer, variant) adds to the log-odds, per unit of a trait.
_EFFECTS: Mapping[tuple[str, str], Weights] = {
    ("bill_explained", "plain"): {
        "renewed": {"ending": 2.6, "ease": 3.0},
        "complained": {"shock": -4.8},
    },
    ("bill_explained", "tips"): {
        "renewed": {"ending": 2.6, "price": 3.0},
        "complained": {"shock": -4.8},
    },
    ("roaming_pass", "price"): {
        "upgraded": {"roaming": 4.5, "price": 5.0},
        "complained": {"roaming": -3.0},
    },
    ("roaming_pass", "calm"): {
        "upgraded": {"roaming": 4.5, "ease": 5.0},
        "complained": {"roaming": -3.0},
    },
    ("loyalty_credit", "thank_you"): {"renewed": {"ending": 3.0, "ease": 6.0}},
    ("loyalty_credit", "price_lock"): {"renewed": {"ending": 3.0, "price": 6.0}},
    ("bigger_plan", "save"): {"upgraded": {"heavy": 4.2, "price": 5.8}},
    ("bigger_plan", "free"): {"upgraded": {"heavy": 4.2, "ease": 5.8}},
}
# What an offer that the market has never seen does, by its kind.
_KIND_EFFECTS: Mapping[str, Weights] = {
    "service": {"complained": {"shock": -3.0}},
    "education": {"upgraded": {"roaming": 3.0}},
    "retention": {"renewed": {"ending": 3.0}},
    "promotion": {"upgraded": {"heavy": 3.0}},
}
# What any message adds: per unit of fatigue, for a sleeping dog, for a channel that does not fit.
_ANNOYANCE: Weights = {
    "complained": {"fatigue": 1.0, "sleeping_dog": 0.6, "misfit": 0.5},
    "unsubscribed": {"fatigue": 2.5, "sleeping_dog": 1.2, "misfit": 2.5},
}


@dataclass(slots=True)
class _Standing:
    """What contacts and outcomes have changed for one customer."""

    contacts: list[datetime] = field(default_factory=list)
    complaints: list[datetime] = field(default_factory=list)
    once: dict[str, datetime] = field(default_factory=dict)  # renewed, upgraded
    withdrawn: dict[str, datetime] = field(default_factory=dict)  # by consent field


class Retention(World):
    """Explaining helps the shocked, credit the undecided, upgrades the heavy; some want silence.

    log-odds(outcome) = base(traits, response type)
        + gain(type) x fit(channel, time of day) x (1 - 0.8 fatigue) x effect(offer, traits)
        + annoyance(fatigue, type, misfit)                          for any message

    **Actions.** Those of the revision. The market reads offer, variant, channel and window; an
    offer or variant it has never seen has the default effect of its kind, an unknown channel
    fits everybody alike, and a window other than `morning` and `evening` suits all hours.

    **Observation.** `features`: the customer fields of the telecom example, as far as the
    workspace declares them. 3% have no `time_zone`, 5% no `data_used_share`, 4% no `age`. Bills,
    data use and roaming change every 30 days; a renewal sets `contract_months_left` to 24, an
    upgrade moves the plan up, a complaint stays open for 14 days, an unsubscription withdraws
    the consent of the channel that was used, each from the instant it arrives.

    **Reward.** Outcome values of the agent's document less the action's cost, in its currency.
    `renewed` and `upgraded` happen once per customer; while one is on its way it cannot happen
    again.

    **Episode end.** After `rounds` decisions; outcomes then still arrive inside their windows.

    **Ground truth.** `expected_rewards` is exact for the customer's true state, hidden traits
    and fatigue included. Four response types (persuadable, sure thing, lost cause, sleeping dog)
    show partly in tenure, plan, app use and the last bill; one factor shows in no feature. The
    types are Radcliffe's (Direct Marketing Analytics Journal, 2007); all numbers are made up.

    **Version history.**
        0: first.
    """

    name = "retention"
    outcomes = ("renewed", "upgraded", "complained", "unsubscribed")
    once = frozenset({"renewed", "upgraded"})
    delays = (
        Delay((Lognormal(0.4, 0.5, 1.2), Lognormal(0.6, 5.0, 0.8))),
        Delay((Lognormal(0.6, 0.2, 1.3), Lognormal(0.4, 3.0, 0.8))),
        Delay((Lognormal(1.0, 1.0, 1.0),)),
        Delay((Lognormal(0.8, 0.05, 1.5), Lognormal(0.2, 2.0, 1.0))),
    )
    fatigue = Fatigue(step=0.35, half_life_days=6.0)

    def __init__(self, revision: Revision, **options: Unpack[WorldOptions]) -> None:
        super().__init__(revision, **options)
        periods = (self.rounds + 2) * self.every // _MONTH + 1
        self.population = people = draw_population(self.seed, self.customers, periods)
        self._fields = frozenset(revision.workspace.customer)
        self._shares = np.array(
            [d.share_within(w) for d, w in zip(self.delays, self.windows, strict=True)]
        )  # share of each outcome that arrives inside its window, (O,)
        self._base = self._bases()  # (N, P, O)
        self._gain = np.array([_GAIN[name] for name in RESPONSES])[people.response]  # (N,)
        self._dog = people.response == RESPONSES.index("sleeping_dog")  # (N,)
        self._effects = np.stack([_effects(a) for a in revision.actions])  # (A, O, K)
        self._annoyance = {
            cause: np.array([_ANNOYANCE.get(o, {}).get(cause, 0.0) for o in self.outcomes])
            for cause in ("fatigue", "sleeping_dog", "misfit")
        }  # (O,) each
        slots = [(_channel(a.channel), _time(a.window)) for a in revision.actions]
        self._channels, self._times = np.array(slots).T  # (A,) each
        self.reset()

    @classmethod
    def suits(cls, revision: Revision) -> bool:
        """Say whether an agent has an offer and an outcome of this market."""
        offers = {(action.offer, action.variant) for action in revision.actions}
        return bool(
            offers & _EFFECTS.keys() and reports_of(revision.agent).keys() & {*cls.outcomes}
        )

    def _bases(self) -> Floats:
        people = self.population
        traits = np.stack([_weights(_BASE.get(o, {})) for o in self.outcomes])  # (O, K)
        constant = np.array([_BASE[o]["one"] for o in self.outcomes])  # (O,)
        types = np.array(
            [[_BY_RESPONSE.get(r, {}).get(o, 0.0) for o in self.outcomes] for r in RESPONSES]
        )  # (4, O)
        by_type = types[people.response][:, None, :]  # (N, 1, O)
        return np.asarray(people.traits @ traits.T + constant + by_type, dtype=np.float64)

    def _period(self, at: datetime) -> int:
        last: int = self._base.shape[1] - 1
        return min(max((at - self.start) // _MONTH, 0), last)

    def features(self, customer: int, at: datetime) -> dict[str, FeatureValue]:
        """Return what the company knows of a customer at an instant (UTC)."""
        row = self.population.observed(customer, self._period(at))
        standing = self._standing[customer]
        happened = {name for name, when in standing.once.items() if when <= at}
        if "renewed" in happened:
            row["contract_months_left"] = _NEW_TERM
        if "upgraded" in happened:
            row["plan"] = PLANS[min(PLANS.index(str(row["plan"])) + 1, len(PLANS) - 1)]
        if any(when <= at < when + _COMPLAINT_OPEN for when in standing.complaints):
            row["open_complaint"] = True
        row |= {name: False for name, when in standing.withdrawn.items() if when <= at}
        return {name: value for name, value in row.items() if name in self._fields}

    def outcome_probabilities(self, customer: int, at: datetime) -> Floats:
        """Return P(outcome inside its window) after each action, in the customer's true state.

        Returns:
            (A, O) in [0, 1], outcomes in the order of `outcomes`.
        """
        people, standing, period = self.population, self._standing[customer], self._period(at)
        fatigue = self.fatigue.level(standing.contacts, at)
        channel = people.channel_fit[customer, self._channels]  # (A,)
        fit = channel * people.time_fit[customer, self._times]  # (A,)
        strength = self._gain[customer] * (1.0 - _TIRED * fatigue) * fit  # (A,)
        effect = self._effects @ people.traits[customer, period]  # (A, O)
        annoyance = self._annoyance
        dog = self._dog[customer] * annoyance["sleeping_dog"]  # (O,)
        burden = fatigue * annoyance["fatigue"] + dog  # (O,)
        logits = strength[:, None] * effect + (1.0 - channel)[:, None] * annoyance["misfit"]
        logits = self._base[customer, period] + logits + burden  # (A, O)
        logits[0] = self._base[customer, period]
        rates = self._shares / (1.0 + np.exp(-logits))  # (A, O)
        rates[0, self.outcomes.index("unsubscribed")] = 0.0
        rates[:, self._ruled_out(customer)] = 0.0
        return np.asarray(rates, dtype=np.float64)

    def _ruled_out(self, customer: int) -> list[int]:
        done = set(self._standing[customer].once)
        if self.population.features["plan"][customer] == PLANS[-1]:
            done.add("upgraded")
        return [self.outcomes.index(name) for name in sorted(done)]

    def record(
        self,
        customer: int,
        action: int,
        sent: datetime | None,
        happenings: Sequence[Happening],
    ) -> None:
        """Add the contact, what has happened once, and the consent that is withdrawn."""
        standing = self._standing[customer]
        if sent is not None:
            standing.contacts.append(sent)
        for outcome, at, _ in happenings:
            if outcome in self.once:
                standing.once[outcome] = at
            elif outcome == "complained":
                standing.complaints.append(at)
            elif outcome == "unsubscribed":
                channel = self.revision.workspace.channels[self.revision.actions[action].channel]
                if channel.consent is not None:
                    standing.withdrawn.setdefault(channel.consent, at)

    def reset(self) -> None:
        """Forget all contacts and outcomes."""
        self._standing: dict[int, _Standing] = defaultdict(_Standing)


def _weights(weights: Mapping[str, float]) -> Floats:
    return np.array([weights.get(trait, 0.0) for trait in TRAITS])  # (K,)


def _effects(action: Action) -> Floats:
    """Return an action's weights (O, K): its own, or those of its kind."""
    own = _EFFECTS.get((action.offer, action.variant), _KIND_EFFECTS.get(action.kind, {}))
    return np.stack([_weights(own.get(outcome, {})) for outcome in Retention.outcomes])


def _channel(name: str) -> int:
    return CHANNELS.index(name) if name in CHANNELS else len(CHANNELS)


def _time(name: str) -> int:
    return _TIMES.index(name) if name in _TIMES else len(_TIMES) - 1
