from __future__ import annotations

import json
import math

import numpy as np
import pytest

from agents.errors import StateError, UnknownNameError
from policies.vowpal.engine import Engine, Target, read_prediction
from policies.vowpal.explorers import EXPLORERS

CUSTOMER = "shared |s x:1"
ROWS = ["|o a |i a", "|o b |i b", "|o c |i c"]
ALL = [0, 1, 2]
EVERY = pytest.mark.parametrize("explorer", sorted(EXPLORERS))


def wide(count: int) -> list[str]:
    return [f"|o o{i % 7} |c c{i % 3} |i i{i}" for i in range(count)]


def test_a_refused_explorer_makes_no_engine() -> None:
    with pytest.raises(UnknownNameError, match="the explorer 'bag' is not offered"):
        Engine("bag", 0.1, ROWS)


def test_answers_come_in_the_order_of_the_actions() -> None:
    engine = Engine("epsilon", 0.1, ROWS)
    for _ in range(30):
        engine.learn(CUSTOMER, ALL, 2, Target(-1.0, 0.3, 1.0))
        engine.learn(CUSTOMER, ALL, 0, Target(0.0, 0.3, 1.0))
    assert engine.predict(CUSTOMER, ALL)[0][0] == 2  # the best comes first: this is the trap
    p = engine.probabilities(CUSTOMER, ALL)
    assert p.sum() == pytest.approx(1.0, abs=1e-15)
    assert p[2] == pytest.approx(0.9 + 0.1 / 3, abs=1e-6)
    assert engine.probabilities(CUSTOMER, [0, 2])[1] == pytest.approx(0.95, abs=1e-6)


@EVERY
@pytest.mark.parametrize("count", [1, 2, 20, 21, 60])
def test_every_action_keeps_the_floor(explorer: str, count: int) -> None:
    engine, rng = Engine(explorer, 0.1, wide(count)), np.random.default_rng(0)
    for _ in range(15):
        drawn = int(rng.integers(count))
        loss = -float(drawn == 0)
        engine.learn(CUSTOMER, range(count), drawn, Target(loss, 1.0 / count, 1.0))
        p = engine.probabilities(CUSTOMER, range(count))
        assert p.sum() == pytest.approx(1.0, abs=1e-12)
        assert p.min() >= 0.1 / count * (1.0 - 1e-4)


def test_a_large_space_is_explored_among_few() -> None:
    engine, rng = Engine("large", 0.1, wide(60)), np.random.default_rng(1)
    for _ in range(60):
        engine.learn(CUSTOMER, range(60), int(rng.integers(60)), Target(-0.5, 1.0 / 60, 1.0))
    p = engine.probabilities(CUSTOMER, range(60))
    assert (p > 0.1 / 60 + 1e-9).sum() <= 20
    assert p.min() == pytest.approx(0.1 / 60, rel=1e-9)


@EVERY
def test_cached_actions_answer_as_freshly_parsed_ones(explorer: str) -> None:
    rows, rng = wide(12), np.random.default_rng(2)
    engine = Engine(explorer, 0.05, rows)
    for number in range(40):
        shown = np.flatnonzero(rng.random(12) < 0.7).tolist() or [3]
        customer = f"shared |s x:{rng.normal():.6g} y{number % 3}:1"
        kept = engine.probabilities(customer, shown)
        fresh = Engine(explorer, 0.05, rows, engine.model()).probabilities(customer, shown)
        assert (kept == fresh).all()
        engine.learn(customer, shown, shown[0], Target(-float(number % 4 == 0), 0.5, 1.0))


@pytest.mark.parametrize(
    ("examples", "mean"),
    [([(-1.0, 1.0), (0.0, 3.0)], -0.25), ([(-1.0, 0.1), (0.0, 0.3)], -0.25),
     ([(-1.0, 1.0), (0.0, 1.0)], -0.5), ([(0.0, 1.0), (-1.0, 0.2), (1.0, 0.2)], 0.0)],
)  # fmt: skip
def test_weights_make_a_weighted_mean(examples: list[tuple[float, float]], mean: float) -> None:
    engine = Engine("epsilon", 0.1, ROWS[:1])
    for _ in range(500):
        for loss, weight in examples:
            engine.learn(CUSTOMER, [0], 0, Target(loss, 0.5, weight))
    weights = json.loads(engine._workspace.json_weights())["weights"]
    assert sum(entry["value"] for entry in weights) == pytest.approx(mean, abs=0.025)


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        ([(0, 1.0)], "one probability for each of 2 actions"),
        ([(0, 0.5), (0, 0.5)], "one probability for each of 2 actions"),
        ([(0, 1.0), (1, 1.0)], "sum to 1, got 2"),
        ([(0, math.nan), (1, 1.0)], "sum to 1, got nan"),
        ([(0, 1.0), (1, 0.0)], "at least 0.05 from VW, got 0"),
        ([(0, 1.04), (1, -0.04)], "at least 0.05 from VW, got -0.04"),
    ],
)
def test_answers_that_are_no_distribution(
    prediction: list[tuple[int, float]], message: str
) -> None:
    with pytest.raises(StateError, match=message):
        read_prediction(prediction, 2, 0.1)


def test_thirty_two_bit_rounding_is_accepted() -> None:
    epsilon = float(np.float32(0.1) / 3) - 1e-9
    p = read_prediction([(0, 1 - 2 * epsilon), (2, epsilon), (1, epsilon)], 3, 0.1)
    assert p.sum() == pytest.approx(1.0, abs=1e-15)
