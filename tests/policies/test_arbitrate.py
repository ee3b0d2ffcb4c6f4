from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from agents.context import Context
from agents.spec import Workspace
from policies.arbitrate import Arbiter, Arbitrated, Bid, arbitrate

SECRET = b"a secret for tests"
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
BIDS = (Bid("sales", 5.0), Bid("care", 2.0), Bid("news", 1.0))


def workspace(**arbitration: Any) -> Workspace:
    return Workspace.model_validate_json(
        json.dumps(
            {
                "workspace": "w",
                "currency": "EUR",
                "zone": "UTC",
                "customer": {"complaint": {"type": "boolean"}, "age": {"type": "integer"}},
                "channels": {"sms": {}},
                "arbitration": {"explore": 0.0} | arbitration,
            }
        )
    )


CARE_FIRST = {
    "complaint": {"when": "customer.complaint", "agents": ["care", "news"], "weight": 4},
    "older": {"when": "customer.age > 50", "agents": ["care"], "weight": 2},
    "hush": {"when": "customer.complaint", "agents": ["sales"], "weight": 0},
}


def found(rules: Workspace, bids: tuple[Bid, ...] = BIDS, **features: Any) -> Arbitrated:
    context = Context("ann", AT, features)
    return Arbiter(rules).arbitrate(bids, context, decision_id="d", secret=SECRET)


def test_the_greatest_expected_value_speaks() -> None:
    won = found(workspace())
    assert (won.chosen, won.explored, won.cost) == ("sales", False, 0.0)
    assert [bid.score for bid in won.bids] == [5.0, 2.0, 1.0]
    assert [bid.probability for bid in won.bids] == [1.0, 0.0, 0.0]
    assert [bid.agent for bid in won.bids] == ["sales", "care", "news"]


@pytest.mark.parametrize(
    ("features", "weights"),
    [
        ({"complaint": True, "age": 60}, {"care": 8.0, "news": 4.0, "sales": 0.0}),
        ({"complaint": True, "age": 40}, {"care": 4.0, "news": 4.0, "sales": 0.0}),
        ({"complaint": False, "age": 60}, {"care": 2.0}),
        ({"age": 60}, {"care": 2.0}),  # an unknown condition does not count
        ({}, {}),
    ],
)
def test_context_weights_multiply_if_exactly_true(
    features: dict[str, Any], weights: dict[str, float]
) -> None:
    arbiter = Arbiter(workspace(context=CARE_FIRST))
    assert arbiter.context_weights(Context("ann", AT, features)) == weights


def test_levers_and_weights_are_logged_and_their_cost_is_seen() -> None:
    rules = workspace(context=CARE_FIRST, levers={"care": 1.5, "news": 0.5})
    won = found(rules, complaint=True, age=60)
    assert won.chosen == "care"
    assert won.cost == 5.0 - 2.0
    care = won.bids[1]
    assert (care.value, care.context_weight, care.lever, care.score) == (2.0, 8.0, 1.5, 24.0)
    assert won.bids[0].score == 0.0
    assert won.bids[2].score == 1.0 * 4.0 * 0.5


def test_without_the_value_weights_alone_decide_and_cost_what_they_cost() -> None:
    won = found(workspace(value=False, levers={"news": 2}))
    assert won.chosen == "news"
    assert [bid.score for bid in won.bids] == [1.0, 1.0, 2.0]
    assert won.cost == 4.0


def test_ties_go_to_the_first_bid() -> None:
    rules = workspace(value=False)
    assert found(rules).chosen == "sales"
    assert found(rules, BIDS[::-1]).chosen == "news"


def test_negative_values_stay_negative() -> None:
    rules = workspace(levers={"sales": 10})
    won = found(rules, (Bid("sales", -1.0), Bid("care", -2.0)))
    assert (won.chosen, won.cost) == ("care", 1.0)
    assert [bid.score for bid in won.bids] == [-10.0, -2.0]


def test_an_unknown_value_counts_as_silence() -> None:
    won = found(workspace(), (Bid("sales", -1.0), Bid("care", math.nan)))
    assert (won.chosen, won.cost, won.bids[1].value) == ("care", 0.0, 0.0)


def test_probabilities_are_exact_for_every_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every u of a fine grid, once: the agents are drawn in exactly the logged shares."""
    rules, points = workspace(explore=0.24), 3_000
    chosen, explored = [], 0
    for point in range(points):
        u = (point + 0.5) / points
        monkeypatch.setattr("policies.arbitrate.uniform_draw", lambda secret, name, u=u: u)
        won = found(rules)
        chosen.append(won.chosen)
        explored += won.explored
    logged = {bid.agent: bid.probability for bid in won.bids}
    assert logged == pytest.approx({"sales": 0.84, "care": 0.08, "news": 0.08})
    for agent, probability in logged.items():
        assert chosen.count(agent) == round(points * probability)
    assert explored == round(points * 0.16)


def test_draws_follow_the_logged_probabilities_and_are_keyed() -> None:
    rules, draws = workspace(explore=0.3), 6_000
    runs = [arbitrate(rules, BIDS, {}, decision_id=f"d{n}", secret=SECRET) for n in range(draws)]
    counts = [sum(run.chosen == bid.agent for run in runs) for bid in BIDS]
    assert chisquare(counts, np.array([0.8, 0.1, 0.1]) * draws).pvalue > 1e-3
    again = [arbitrate(rules, BIDS, {}, decision_id=f"d{n}", secret=SECRET) for n in range(100)]
    other = [arbitrate(rules, BIDS, {}, decision_id=f"d{n}", secret=b"x") for n in range(100)]
    assert again == runs[:100] != other


def test_even_spread_where_everything_explores() -> None:
    won = found(workspace(explore=1.0))
    assert [bid.probability for bid in won.bids] == pytest.approx([1 / 3] * 3)


def test_a_single_bid_wins() -> None:
    won = found(workspace(explore=0.5), BIDS[1:2])
    assert (won.chosen, won.bids[0].probability, won.explored) == ("care", 1.0, False)


@pytest.mark.parametrize(
    ("bids", "message"),
    [
        ((), r"^expected at least one bid, each of another agent, got \[\]$"),
        ((Bid("a", 1.0), Bid("a", 2.0)), "each of another agent"),
        ((Bid("a", math.inf),), "^bid of 'a': expected a finite value, got inf$"),
    ],
)
def test_bids_that_make_no_sense_are_refused(bids: tuple[Bid, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        found(workspace(), bids)


def test_a_condition_that_does_not_compile_is_refused() -> None:
    wrong = {"x": {"when": "customer.agge > 3", "agents": ["care"], "weight": 2}}
    with pytest.raises(ValueError, match=r"customer\.age"):
        Arbiter(workspace(context=wrong))
