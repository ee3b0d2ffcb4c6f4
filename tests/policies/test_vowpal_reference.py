"""Vowpal Wabbit's own reference predictions, reproduced by the library that we use.

Inputs and expected numbers are of nine tests of its suite (`test/core.vwtest.json` at commit
4a8a19a of VowpalWabbit/vowpal_wabbit, BSD-3-Clause), all of which run on the events below. Two
more tests of these explorers, 156 and 235, are left out: their input is a log of headlines about
named people.
"""

from __future__ import annotations

from typing import cast

import pytest
import vowpal_wabbit_next as vw

EVENTS = (
    ("shared | s_1 s_2", "0:1.0:0.5 | a_1 b_1 c_1", " | a_2 b_2 c_2", " | a_3 b_3 c_3"),
    (" | b_1 c_1 d_1", "0:0.0:0.5 | b_2 c_2 d_2"),
    (" | a_1 b_1 c_1", " | a_3 b_3 c_3"),
)
THIRD = 0.333333
Answer = list[tuple[int, float]]


def run(options: str, passes: int = 1) -> list[dict[int, float]]:
    """Predict, then learn, event by event; the most probable action stands first."""
    args = ["--cb_explore_adf", "--noconstant", "--quiet", *options.split()]
    workspace = vw.Workspace(args)
    parser = vw.TextFormatParser(workspace)
    answers = (
        workspace.predict_then_learn_one([parser.parse_line(line) for line in event])
        for event in EVENTS * passes
    )
    return [dict(cast("Answer", answer)) for answer in answers]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(
            "--softmax --lambda 1",
            [(THIRD, THIRD, THIRD), (0.440425, 0.559575), (0.411164, 0.588835)],
            id="127",
        ),
        pytest.param(
            "--cover 3",
            [
                (THIRD, THIRD, THIRD), (0.5, 0.5), (0.5, 0.5),
                (THIRD, THIRD, THIRD), (0.408248, 0.591752), (0.353553, 0.646447),
                (0.288675, 0.355662, 0.355662), (0.316228, 0.683772), (0.288675, 0.711325),
                (0.235702, 0.382149, 0.382149), (0.333333, 0.666667), (0.25, 0.75),
                (0.204124, 0.204124, 0.591752), (0.235702, 0.764298), (0.223607, 0.776393),
            ],
            id="136",
        ),
        pytest.param(
            "--cover 3 --cb_type dr", [(THIRD, THIRD, THIRD), (0.5, 0.5), (0.5, 0.5)], id="137"
        ),
        pytest.param(
            "--softmax --lambda 100000", [(THIRD, THIRD, THIRD), (0.0, 1.0), (0.0, 1.0)], id="198"
        ),
        pytest.param(
            "--rnd 1",
            [(0.35996, 0.304639, 0.335401), (0.06699, 0.933011), (0.13839, 0.86161)],
            id="209",
        ),
        pytest.param(
            "--synthcover --epsilon 0.01",
            [(0.33, 0.33, 0.34), (0.005, 0.995), (0.005, 0.995)],
            id="253",
        ),
    ],
)  # fmt: skip
def test_predictions(options: str, expected: list[tuple[float, ...]]) -> None:
    """Each action's probability, event by event, in as many passes as there are answers."""
    answers = run(options, len(expected) // len(EVENTS))
    assert len(answers) == len(expected)
    for answer, wanted in zip(answers, expected, strict=True):
        assert answer == pytest.approx(dict(enumerate(wanted)), abs=1e-4)


@pytest.mark.parametrize(
    ("options", "best", "probability"),
    [
        pytest.param("--epsilon 0.1", 1, 0.95, id="126"),
        pytest.param("--bag 3", 0, 0.5, id="128"),
        pytest.param("--first 2", 1, 0.5, id="129"),
    ],
)
def test_progress(options: str, best: int, probability: float) -> None:
    """Of these, the reference is the printed progress: of two events, and not all of them.

    Of the first event the most probable action and the loss, 1 / 0.5 times the probability of the
    labelled action; of the second the most probable action and its probability.
    """
    first, second, _ = run(options)
    assert next(iter(first)) == 0
    assert first[0] * 1.0 / 0.5 == pytest.approx(0.666667, abs=1e-4)
    assert next(iter(second)) == best
    assert second[best] == pytest.approx(probability, abs=1e-4)
