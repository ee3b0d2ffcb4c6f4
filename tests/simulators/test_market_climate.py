from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from agents.revision import Revision
from simulators.market.climate import Climates
from simulators.market.market import Market
from simulators.market.signals import signal_names
from simulators.market.spec import Effect
from simulators.world import START

OUTCOMES = ("renewed", "upgraded", "complained", "unsubscribed", "churned")


@pytest.fixture(scope="module")
def climates(everything: type[Market], revision: Revision) -> Climates:
    return Climates(everything.spec, revision, START)


def test_weekdays_seasons_and_shocks_add_up(climates: Climates) -> None:
    monday, saturday, shaken = (climates.on(day) for day in (0, 5, 11))  # from 2 March 2026
    peak = 0.5 * math.exp(-0.5 * (18 / 10) ** 2)
    assert monday.odds == pytest.approx([0.1, 0.1 + peak, 0.0, 0.0, 0.0], abs=1e-12)
    peak = 0.5 * math.exp(-0.5 * (13 / 10) ** 2)
    assert saturday.odds == pytest.approx([-0.2, -0.2 + peak, 0.0, 0.0, 0.0], abs=1e-12)
    assert shaken.odds[2] == pytest.approx(0.8)
    assert [climates.on(day).odds[2] for day in (9, 10, 12, 13)] == [0.0, 0.8, 0.8, 0.0]
    assert [climates.on(day).response for day in (9, 10, 12, 13)] == [1.0, 0.7, 0.7, 1.0]


def test_a_season_comes_every_year_from_both_sides(
    everything: type[Market], revision: Revision
) -> None:
    season = everything.spec.seasons[0].model_copy(update={"peak": "01-05"})
    spec = everything.spec.model_copy(update={"seasons": (season,), "weekly": (0.0,) * 7})
    before = Climates(spec, revision, datetime(2026, 12, 26, tzinfo=UTC))
    after = Climates(spec, revision, datetime(2027, 1, 15, tzinfo=UTC))
    assert before.on(0).odds[1] == pytest.approx(after.on(0).odds[1], rel=0.1)
    assert after.on(0).odds[1] == pytest.approx(0.5 * math.exp(-0.5), abs=1e-12)


def test_strength_halves_from_the_day_of_the_drift_on(climates: Climates) -> None:
    assert [climates.on(day).response for day in (19, 20, 60, 100)] == [1.0, 1.0, 0.5, 0.25]


def weights(
    climates: Climates, revision: Revision, world: type[Market], day: int, action: str
) -> dict[str, dict[str, float]]:
    table = climates.on(day).effects[revision.index(action)]  # (K, O)
    names = signal_names(world.spec)
    found: dict[str, dict[str, float]] = {}
    for k, o in zip(*np.nonzero(table), strict=True):
        found.setdefault(OUTCOMES[o], {})[names[k]] = float(table[k, o])
    return found


@pytest.fixture(scope="module")
def action_of(revision: Revision) -> dict[str, str]:
    """An action of every offer, by email where there is one."""
    ordered = sorted(revision.actions, key=lambda action: action.channel == "email")
    return {action.offer: action.id for action in ordered}


def test_all_effects_that_fit_are_added_up(
    climates: Climates, revision: Revision, everything: type[Market]
) -> None:
    tips = next(a for a in revision.actions if (a.offer, a.variant) == ("bill_explained", "tips"))
    assert weights(climates, revision, everything, 0, tips.id) == {
        "renewed": {"one": 0.4, "ending": 1.5, "price": 1.0},
        "complained": {"one": -0.1, "shock": -2.0},
    }
    assert weights(climates, revision, everything, 0, revision.actions[0].id) == {}


def test_terms_name_the_weights_that_are_not_zero(climates: Climates) -> None:
    climate = climates.on(0)
    for table, terms in zip(climate.effects, climate.terms, strict=True):
        assert np.flatnonzero(table.any(axis=1)).tolist() == [k for k in terms.tolist() if k >= 0]


def test_an_offer_that_the_world_does_not_know_has_the_effects_of_all(
    climates: Climates, revision: Revision, everything: type[Market], action_of: dict[str, str]
) -> None:
    general = {"renewed": {"one": 0.4}, "complained": {"one": -0.1}}
    assert weights(climates, revision, everything, 16, action_of["roaming_pass"]) == general


def test_an_offer_outside_of_its_life_does_nothing(
    climates: Climates, revision: Revision, everything: type[Market], action_of: dict[str, str]
) -> None:
    alive = [
        [bool(weights(climates, revision, everything, day, action_of[offer])) for day in days]
        for offer, days in (("roaming_pass", (0, 14, 15)), ("bigger_plan", (0, 29, 30)))
    ]
    assert alive == [[False, False, True], [True, True, False]]


def test_drift_swaps_what_is_true_of_two_offers(
    climates: Climates, revision: Revision, everything: type[Market], action_of: dict[str, str]
) -> None:
    credit = action_of["loyalty_credit"]
    before, after = (weights(climates, revision, everything, day, credit) for day in (19, 20))
    assert before["renewed"] == {"one": 0.4, "price": 2.0, "quick": 0.5}
    assert after["renewed"] == {"one": 0.4, "ending": 1.5}
    assert after["complained"] == {"one": -0.1, "shock": -2.0}


def test_two_swaps_after_each_other_move_truths_on(
    everything: type[Market], revision: Revision, action_of: dict[str, str]
) -> None:
    first = everything.spec.drift[0]
    second = first.model_copy(update={"day": 25, "swap": (("bill_explained", "bigger_plan"),)})
    spec = everything.spec.model_copy(update={"drift": (first, second), "lives": ()})
    climates = Climates(spec, revision, START)
    moved = weights(climates, revision, everything, 25, action_of["bigger_plan"])
    assert moved["renewed"] == {"one": 0.4, "price": 2.0, "quick": 0.5}  # the credit's, by way of
    kept = weights(climates, revision, everything, 25, action_of["loyalty_credit"])
    assert kept["renewed"] == {"one": 0.4, "ending": 1.5}


def test_a_bundle_has_half_of_the_effect_of_what_it_includes(
    everything: type[Market], edited: Callable[[str, str], Revision]
) -> None:
    """Of an included offer's own effects; what a variant of it adds is not sent along."""
    revision = edited("  loyalty_credit:\n", "  loyalty_credit:\n    includes: [bill_explained]\n")
    effects = (
        Effect(offer="bill_explained", on={"renewed": {"one": 2.0}}),
        Effect(offer="bill_explained", variant="tips", on={"renewed": {"one": 50.0}}),
        Effect(offer="loyalty_credit", on={"renewed": {"price": 1.0}}),
    )
    spec = everything.spec.model_copy(update={"effects": effects, "drift": ()})
    climates = Climates(spec, revision, START)
    action = next(a for a in revision.actions if a.offer == "loyalty_credit")
    found = weights(climates, revision, everything, 0, action.id)
    assert found == {"renewed": {"one": 1.0, "price": 1.0}}
