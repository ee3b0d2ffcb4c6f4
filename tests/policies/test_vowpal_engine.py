from __future__ import annotations

import math

import numpy as np
import pytest

from agents.errors import StateError, UnknownNameError
from policies.vowpal_engine import EXPLORERS, Engine, arguments, read_prediction

ARGS = (*arguments("epsilon"), "--epsilon", "0.1")
LINES = ["shared |s x:1", "|o a |i a", "|o b |i b", "|o c |i c"]


@pytest.mark.parametrize(
    "explorer", ["regcbopt", "regcb", "cover", "bag", "first", "rnd", "softmax", "nounif", ""]
)
def test_other_explorers_are_refused(explorer: str) -> None:
    with pytest.raises(UnknownNameError, match="its probabilities cannot be relied on"):
        arguments(explorer)


@pytest.mark.parametrize("explorer", sorted(EXPLORERS))
def test_weights_stay_out_of_the_regression(explorer: str) -> None:
    args = arguments(explorer)
    assert args[args.index("--clip_p") + 1] == "1"
    assert args[args.index("--cb_type") + 1] == "mtr"


def test_predictions_come_by_falling_probability_and_are_put_in_order() -> None:
    engine = Engine(ARGS, None)
    for _ in range(30):
        engine.learn([*LINES[:3], "0:-1:0.3 " + LINES[3]])
        engine.learn([LINES[0], "0:0:0.3 " + LINES[1], *LINES[2:]])
    prediction = engine.predict(LINES)
    assert prediction[0][0] == 2  # the best comes first: this is the trap
    p = read_prediction(prediction, 3, 0.1)
    assert p.argmax() == 2
    assert p.sum() == pytest.approx(1.0, abs=1e-15)
    assert p[2] == pytest.approx(0.9 + 0.1 / 3, abs=1e-6)


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
