"""Each check of the contract refuses a world that breaks it, and says so exactly.

That the registered worlds keep it is shown in `tests/test_contracts.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.context import FeatureValue
from agents.revision import Revision
from simulators import checks
from simulators.checks import ALL_CHECKS, Check
from simulators.world import Happening, Reported
from simulators.worlds.retention import Retention


class Broken(Retention):
    """A world that a subclass breaks; `told` is what it reports of what happens."""

    name: ClassVar[str] = "broken"

    def respond(
        self,
        customer: int,
        round_index: int,
        action: int,
        at: datetime,
        send_at: datetime | None = None,
    ) -> list[Happening]:
        return self.told(super().respond(customer, round_index, action, at, send_at), at)

    def told(self, lived: list[Happening], at: datetime) -> list[Happening]:
        del at
        return lived


class MeetsTooEarly(Broken):
    def opportunity(self, customer: int, round_index: int) -> datetime:
        return super().opportunity(customer, round_index) - timedelta(days=7)


class StandsStill(Broken):
    def opportunity(self, customer: int, round_index: int) -> datetime:
        return self.start + self.every * (round_index + round_index % 2)


class TellsTooMuch(Broken):
    def features(self, customer: int, at: datetime) -> dict[str, FeatureValue]:
        return super().features(customer, at) | {"loyality": 1.0}


class TellsTheImpossible(Broken):
    def features(self, customer: int, at: datetime) -> dict[str, FeatureValue]:
        row = super().features(customer, at)
        return row | ({"tenure_months": 4_000} if self._standing[customer].contacts else {})


class LeavesOneOut(Broken):
    def outcome_probabilities(self, customer: int, at: datetime) -> NDArray[np.float64]:
        return super().outcome_probabilities(customer, at)[:, :-1]


class TooSure(Broken):
    def outcome_probabilities(self, customer: int, at: datetime) -> NDArray[np.float64]:
        return super().outcome_probabilities(customer, at) + 1.0


class ForgetsTheCosts(Broken):
    def expected_rewards(self, customer: int, at: datetime) -> NDArray[np.float64]:
        rewards = super().expected_rewards(customer, at)
        rewards += self.costs
        return rewards


class ChargesForNone(Broken):
    def expected_rewards(self, customer: int, at: datetime) -> NDArray[np.float64]:
        rewards = super().expected_rewards(customer, at)
        rewards[0] -= 1.0
        return rewards


class KnowsNothing(Broken):
    def expected_rewards(self, customer: int, at: datetime) -> NDArray[np.float64]:
        return np.full(2, np.nan)


class SharesItsLuck(Broken):
    """One generator for everybody: outcomes depend on the order of customers."""

    def respond(
        self,
        customer: int,
        round_index: int,
        action: int,
        at: datetime,
        send_at: datetime | None = None,
    ) -> list[Happening]:
        self._asked = getattr(self, "_asked", 0) + 1
        return super().respond(customer, self._asked, action, at, send_at)


class IgnoresTheSeed(Broken):
    def __init__(self, revision: Revision, *, customers: int, rounds: int, seed: int) -> None:
        super().__init__(revision, customers=customers, rounds=rounds, seed=seed - seed)


class NeverForgets(Broken):
    def reset(self) -> None:
        if not hasattr(self, "_standing"):
            super().reset()


class Remembers(Broken):
    def outcome_probabilities(self, customer: int, at: datetime) -> NDArray[np.float64]:
        shy = 0.5 if customer in self.__dict__.setdefault("_met", set()) else 1.0
        return shy * super().outcome_probabilities(customer, at)

    def record(
        self,
        customer: int,
        action: int,
        sent: datetime | None,
        happenings: Sequence[Happening],
    ) -> None:
        super().record(customer, action, sent, happenings)
        self.__dict__["_met"].add(customer)


class LosesReports(Broken):
    def reported(
        self, customer: int, round_index: int, happenings: Sequence[Happening]
    ) -> list[Reported]:
        return super().reported(customer, round_index, happenings[1:])


class ReportsTooEarly(Broken):
    def reported(
        self, customer: int, round_index: int, happenings: Sequence[Happening]
    ) -> list[Reported]:
        found = super().reported(customer, round_index, happenings)
        return [Reported(report.at - timedelta(hours=1), report.happening) for report in found]


class ReportsOutOfOrder(Broken):
    def reported(
        self, customer: int, round_index: int, happenings: Sequence[Happening]
    ) -> list[Reported]:
        found = super().reported(customer, round_index, happenings)
        return [Reported(report.at + timedelta(hours=1), report.happening) for report in found] + (
            found
        )


class Gossips(Broken):
    def record(
        self,
        customer: int,
        action: int,
        sent: datetime | None,
        happenings: Sequence[Happening],
    ) -> None:
        for other in range(self.customers):
            super().record(other, action, sent, happenings if other == customer else [])


class ComesLate(Broken):
    def told(self, lived: list[Happening], at: datetime) -> list[Happening]:
        return [Happening(outcome, at + timedelta(days=15)) for outcome, *_ in lived]


class Invents(Broken):
    def told(self, lived: list[Happening], at: datetime) -> list[Happening]:
        return [Happening("clicked", happening.at) for happening in lived]


class TalksToItself(Broken):
    def told(self, lived: list[Happening], at: datetime) -> list[Happening]:
        return [Happening("opened", at)]


class Stutters(Broken):
    def replies(self, customer: int, round_index: int, sent: datetime) -> list[Happening]:
        return 2 * [Happening("opened", sent)]


class Foresees(Broken):
    def replies(self, customer: int, round_index: int, sent: datetime) -> list[Happening]:
        return [Happening("opened", sent - timedelta(minutes=1))]


class Backwards(Broken):
    def told(self, lived: list[Happening], at: datetime) -> list[Happening]:
        return [Happening("renewed", at + timedelta(days=2)), Happening("upgraded", at)]


class Exaggerates(Broken):
    """Every other time, nothing of what happens is told, so it seems half as likely as it is."""

    _odd = False

    def told(self, lived: list[Happening], at: datetime) -> list[Happening]:
        self._odd = not self._odd
        return lived if self._odd else []


BROKEN: list[tuple[Check, type[Retention], str]] = [
    (
        checks.check_reports,
        LosesReports,
        r"broken: expected all to be reported, \w+ is not",
    ),
    (
        checks.check_reports,
        ReportsTooEarly,
        r"broken: expected no report before 2026-\S+ \S+, got 2026-\S+ \S+",
    ),
    (
        checks.check_reports,
        ReportsOutOfOrder,
        r"broken: expected reports in order, got \[datetime.*",
    ),
    (
        checks.check_doing_nothing,
        Remembers,
        r"broken: expected the rate of \w+ to be 0\.\d+ whatever else has happened, got 0\.\d+",
    ),
    (
        checks.check_timetable,
        MeetsTooEarly,
        r"broken: expected round 0 between 2026-03-02 00:00:00\+00:00 and two spans later,"
        r" got 2026-02-2[3-9] .*",
    ),
    (
        checks.check_timetable,
        StandsStill,
        r"broken: expected round 2 after 2026-03-16 00:00:00\+00:00, got"
        r" 2026-03-16 00:00:00\+00:00",
    ),
    (
        checks.check_features_fit,
        TellsTooMuch,
        "broken: expected features that fit the schema: customer.loyality is not declared in"
        r" workspace.yaml; .*",
    ),
    (
        checks.check_features_fit,
        TellsTheImpossible,
        "broken: expected features that fit the schema: customer.tenure_months: expected a number"
        " from 0 to 600, got one that is above",
    ),
    (
        checks.check_probabilities,
        LeavesOneOut,
        r"broken: expected shape \(25, 4\), got \(25, 3\)",
    ),
    (
        checks.check_probabilities,
        TooSure,
        r"broken: expected probabilities in \[0, 1\], got 1 to 1\.\d+ for customer 0 in round 0",
    ),
    (
        checks.check_expected_rewards,
        ForgetsTheCosts,
        r"broken: expected \S+ for loyalty_credit/\S+, got \S+",
    ),
    (
        checks.check_expected_rewards,
        ChargesForNone,
        r"broken: expected \S+ for none, got \S+",
    ),
    (
        checks.check_expected_rewards,
        KnowsNothing,
        r"broken: expected finite rewards, got \[nan nan\]",
    ),
    (
        checks.check_same_seed,
        SharesItsLuck,
        r"broken: expected the same outcomes for \(customer, round\) \(\d+, \d\) whatever the"
        " order of customers, got others",
    ),
    (
        checks.check_same_seed,
        IgnoresTheSeed,
        "broken: expected another seed to give other outcomes",
    ),
    (
        checks.check_reset,
        NeverForgets,
        r"broken: expected reset\(\) to bring back the first run, got another",
    ),
    (
        checks.check_customers_are_apart,
        Gossips,
        "broken: expected customer 0 untouched by others' contacts, got a change",
    ),
    (
        checks.check_windows,
        ComesLate,
        r"broken: expected \w+ inside (7|14) days, 0:00:00, got 15 days, 0:00:00",
    ),
    (
        checks.check_windows,
        Invents,
        "broken: expected declared words, got 'clicked'",
    ),
    (
        checks.check_replies,
        TalksToItself,
        r"broken: expected nothing after none, got \['opened'\]",
    ),
    (
        checks.check_replies,
        Stutters,
        r"broken: expected each once, got \['opened', 'opened'\]",
    ),
    (
        checks.check_replies,
        Foresees,
        r"broken: expected nothing before 2026-\S+ \S+, got 2026-\S+ \S+",
    ),
    (
        checks.check_windows,
        Backwards,
        "broken: expected outcomes in order, got .*",
    ),
    (
        checks.check_frequencies,
        Exaggerates,
        r"broken: expected \d+ times \w+, give or take \d+, got \d+",
    ),
]


@pytest.mark.parametrize(
    ("check", "world", "message"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_broken_world_is_refused(
    check: Check, world: type[Retention], message: str, revision: Revision
) -> None:
    with pytest.raises(AssertionError) as caught:
        check(world, revision)
    assert re.fullmatch(message, str(caught.value), flags=re.DOTALL)


def test_every_check_is_tested_on_a_broken_world() -> None:
    assert {check for check, _, _ in BROKEN} == set(ALL_CHECKS)


def test_all_checks_are_listed() -> None:
    named = {value for name, value in vars(checks).items() if name.startswith("check_")}
    assert named == set(ALL_CHECKS)
