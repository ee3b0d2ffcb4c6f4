"""Each refusal is measured on the library itself, so it falls when the library is mended."""

from __future__ import annotations

from typing import cast

import pytest
import vowpal_wabbit_next as vw

from agents.errors import UnknownNameError
from policies.vowpal.explorers import EXPLORERS, REFUSED, arguments

LINES = ["shared |s x", "|o a", "|o b", "|o c"]


def taught(options: str, rounds: int = 30) -> dict[int, float]:
    """Teach VW under its defaults that the first action pays; return its probabilities."""
    workspace = vw.Workspace(["--cb_explore_adf", "--quiet", *options.split()])
    parser = vw.TextFormatParser(workspace)
    for _ in range(rounds):
        for row, cost in ((1, -1), (2, 0), (3, 0)):
            lines = [f"0:{cost}:0.3 {x}" if i == row else x for i, x in enumerate(LINES)]
            workspace.learn_one([parser.parse_line(line) for line in lines])
    answer = workspace.predict_one([parser.parse_line(line) for line in LINES])
    return dict(cast("list[tuple[int, float]]", answer))


@pytest.mark.parametrize("explorer", sorted(REFUSED))
def test_what_is_refused_says_why(explorer: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        arguments(explorer)
    assert str(caught.value) == f"the explorer {explorer!r} is not offered: {REFUSED[explorer]}"
    assert explorer not in EXPLORERS


def test_an_unknown_explorer() -> None:
    with pytest.raises(UnknownNameError, match="expected an explorer, got 'softmx'.*'softmax'"):
        arguments("softmx")


@pytest.mark.parametrize("explorer", sorted(EXPLORERS))
def test_propensities_stay_out_of_the_regression(explorer: str) -> None:
    args = arguments(explorer)
    assert args[args.index("--clip_p") + 1] == "1"
    assert args[args.index("--cb_type") + 1] == "mtr"
    assert not {f"--{name}" for name in REFUSED} & set(args)


def test_regcbopt_gives_all_that_tie_probability_1() -> None:
    assert taught("--regcbopt", rounds=0) == {0: 1.0, 1: 1.0, 2: 1.0}


def test_regcb_stays_uniform_or_has_no_floor() -> None:
    assert taught("--regcb") == pytest.approx(dict.fromkeys(range(3), 1 / 3))
    known = taught("--regcb --cb_min_cost -1 --cb_max_cost 0", rounds=200)
    assert known == {0: 1.0, 1: 0.0, 2: 0.0}


@pytest.mark.parametrize(
    ("explorer", "options"),
    [("nounif", "--cover 3 --nounif"), ("bag", "--bag 5"), ("first", "--first 2"),
     ("synthcover", "--synthcover")],
)  # fmt: skip
def test_explorers_without_a_floor(explorer: str, options: str) -> None:
    assert explorer in REFUSED
    assert min(taught(options, rounds=300).values()) == 0.0


def test_rnd_has_no_floor() -> None:
    assert 0.0 <= min(taught("--rnd 3").values()) < 1e-6


def test_the_floor_of_cover_shrinks() -> None:
    least = [min(taught("--cover 3", rounds).values()) for rounds in (1, 10, 100, 300)]
    assert least == sorted(least, reverse=True)
    assert least[0] > 10 * least[-1]


def test_softmax_needs_its_floor() -> None:
    assert min(taught("--softmax --lambda 100").values()) < 1e-40
    floored = taught("--softmax --lambda 100 --epsilon 0.06")
    assert min(floored.values()) == pytest.approx(0.02, rel=1e-6)
    assert sum(floored.values()) == pytest.approx(1.0, abs=1e-6)


def test_squarecb_accepts_no_type_but_mtr() -> None:
    with pytest.raises(RuntimeError, match="Please select from"):
        vw.Workspace(["--cb_explore_adf", "--quiet", "--squarecb", "--cb_type", "dr"])
