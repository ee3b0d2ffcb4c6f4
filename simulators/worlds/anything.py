"""Generic: a market for any workspace and agent, made up from their names."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from agents.actions import Action
from agents.context import FeatureValue
from agents.revision import Revision
from simulators.delays import Delay, Lognormal
from simulators.fatigue import Fatigue
from simulators.replies import Replies
from simulators.reports import Report, reports_of
from simulators.schema import SchemaPopulation, name_uniform, trait_names, traits
from simulators.streams import Purpose, stream
from simulators.world import Happening, World, WorldOptions

Floats = NDArray[np.float64]

_NORMAL = NormalDist()
_DAY = timedelta(days=1)
_GOOD_BASE, _BAD_BASE = (0.01, 0.05), (0.002, 0.01)  # rates without contact
_TASTE = 0.3  # sd of the log-odds per trait, without contact
_HIDDEN = 0.3  # sd of the log-odds that no feature shows
_TIRED = 0.8  # share of a message's effect that full fatigue takes away
_ANNOYED = 2.0  # log-odds of harm that full fatigue adds
_LIFT, _HARM = 0.4, 0.1  # log-odds that any message adds to what is good, and to harm
_SD = {"kind": 0.3, "offer": 0.5, "variant": 0.2, "channel": 0.3, "window": 0.15}
_INCLUDED = 0.5  # share of an offer's effect that it has inside a bundle
_MATCHES, _MATCH_SD = 3, 0.8  # traits that decide how an offer is taken, and their weights
_VISITS = 1.0 / 3.0  # share of rounds that are visits, where there are slots to fill
_MEDIAN = 0.1  # of a delay, as a share of the window


class Generic(World):
    """Some offers suit some customers; everybody tires; nothing is known of the trade.

    log-odds(outcome) = base(outcome) + taste(outcome) . traits + hidden(customer)
        + (1 - 0.8 fatigue) x [message + kind + offer + variant + channel + window
                               + match(outcome, offer) . traits]   for any message
        + 2 x fatigue                                              for harm after any message

    Every coefficient is a normal number made by SHA-256 from the names of what it belongs to, so
    that an outcome, offer or field that is added changes nothing else, and the same names have the
    same truth in every run. The seed fixes the customers and their luck.

    **Actions.** Those of the revision. A bundle has half the effect of each offer it includes.

    **Observation.** `features`: all declared customer fields, drawn by `SchemaPopulation`; they do
    not change. One factor of each customer shows in no field. Where channels have placements, a
    third of the rounds are visits that ask for one of them.

    **Reward.** Values of all outcomes that the agent declares, amounts as their typical ones, less
    the action's cost. Outcomes of one word happen together. Each word happens to 1 to 5% of
    untouched customers, to 0.2 to 1% if it is harm; it arrives inside its window, half of the time
    in the first tenth. Any of them may happen again in a later round.

    Contacts are also followed by the workspace's own events, see `Replies`: guardrails hear of
    them, nothing is learned from them and no reward depends on them.

    **Episode end.** After `rounds` decisions; outcomes then still arrive inside their windows.

    **Ground truth.** `expected_rewards` is exact, hidden factor and fatigue included.

    **Version history.**
        0: first.
        1: the workspace's events follow contacts; outcomes are as before.
    """

    name = "generic"
    fatigue = Fatigue(step=0.35, half_life_days=6.0)

    def __init__(self, revision: Revision, **options: Unpack[WorldOptions]) -> None:
        reports = reports_of(revision.agent)
        self.outcomes = tuple(reports)
        self.delays = tuple(_delay(report.window) for report in reports.values())
        super().__init__(revision, **options)
        workspace = revision.workspace
        self.population = SchemaPopulation(
            workspace, seed=self.seed, customers=self.customers, start=self.start
        )
        slots = [slot for c in workspace.channels.values() for slot in c.placements]
        self._slots = tuple(dict.fromkeys(slots))
        self._replies = Replies(workspace, outcomes=self.outcomes, seed=self.seed)
        names = trait_names(workspace)  # F of them
        harm = [report.value < 0.0 for report in reports.values()]
        self._harm = np.array(harm, dtype=np.float64)  # (O,)
        self._base = np.array([_base(word, report) for word, report in reports.items()])  # (O,)
        taste = [[_TASTE * _normal("taste", word, f) for f in names] for word in reports]
        self._taste = np.array(taste).reshape(len(reports), len(names))  # (O, F)
        effects = [[_effect(word, action) for word in reports] for action in revision.actions]
        self._effects = np.array(effects) + np.where(self._harm > 0.0, _HARM, _LIFT)  # (A, O)
        offers = {action.offer for action in revision.actions}
        by_offer = {offer: _matches(tuple(reports), offer, names) for offer in sorted(offers)}
        self._match = np.stack([by_offer[a.offer] for a in revision.actions])  # (A, O, F)
        self.reset()

    def features(self, customer: int, at: datetime) -> dict[str, FeatureValue]:
        """Return what the company knows of a customer, the same at every instant."""
        del at
        return dict(self.population.rows[customer])

    def placement(self, customer: int, round_index: int) -> str:
        """Return the slot of a visit, in a third of the rounds where channels have placements."""
        if not self._slots:
            return ""
        draws = stream(self.seed, Purpose.PLACEMENTS, customer, round_index)
        visit, which = draws.random(2).tolist()
        return self._slots[int(which * len(self._slots))] if visit < _VISITS else ""

    def replies(self, customer: int, round_index: int, sent: datetime) -> list[Happening]:
        """Return the workspace's events that follow a contact."""
        return [Happening(*reply) for reply in self._replies.after(customer, round_index, sent)]

    def outcome_probabilities(self, customer: int, at: datetime) -> Floats:
        """Return P(outcome inside its window) after each action, in the customer's true state.

        Returns:
            (A, O) in [0, 1], outcomes in the order of `outcomes`.
        """
        x = traits(self.revision.workspace, self.population.rows[customer], at)  # (F,)
        quiet = self._base + self._taste @ x + _HIDDEN * self.population.hidden[customer]  # (O,)
        fatigue = self.fatigue.level(self._contacts[customer], at)
        message = (1.0 - _TIRED * fatigue) * (self._effects + self._match @ x)  # (A, O)
        logits = quiet + message + _ANNOYED * fatigue * self._harm  # (A, O)
        logits[0] = quiet
        return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float64)

    def record(
        self,
        customer: int,
        action: int,
        sent: datetime | None,
        happenings: Sequence[Happening],
    ) -> None:
        """Add the contact; outcomes change nothing."""
        del action, happenings
        if sent is not None:
            self._contacts[customer].append(sent)

    def reset(self) -> None:
        """Forget all contacts."""
        self._contacts: dict[int, list[datetime]] = defaultdict(list)


def _normal(*names: str) -> float:
    return _NORMAL.inv_cdf(name_uniform(*names))


def _delay(window: timedelta) -> Delay:
    return Delay((Lognormal(1.0, _MEDIAN * (window / _DAY), 1.0),))


def _base(word: str, report: Report) -> float:
    low, high = _BAD_BASE if report.value < 0.0 else _GOOD_BASE
    rate = low + (high - low) * name_uniform("base", word)
    return math.log(rate / (1.0 - rate))


def _effect(word: str, action: Action) -> float:
    """Return what an action's own parts add to the log-odds of an outcome."""
    parts = {
        "kind": (action.kind,),
        "offer": (action.offer,),
        "variant": (action.offer, action.variant),
        "channel": (action.channel,),
        "window": (action.channel, action.window),
    }
    own = sum(sd * _normal(part, word, *parts[part]) for part, sd in _SD.items())
    included = sum(_SD["offer"] * _normal("offer", word, offer) for offer in action.includes)
    return own + _INCLUDED * included


def _matches(words: Sequence[str], offer: str, names: Sequence[str]) -> Floats:
    """Return the weights (O, F) of the few traits that decide how an offer is taken."""
    weights = np.zeros((len(words), len(names)))  # (O, F)
    for row, word in enumerate(words):
        ranked = sorted(
            range(len(names)), key=lambda f: name_uniform("rank", word, offer, names[f])
        )
        for column in ranked[:_MATCHES]:
            weights[row, column] = _MATCH_SD * _normal("match", word, offer, names[column])
    return weights
