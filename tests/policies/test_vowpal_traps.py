"""What the library does in silence, and what our adapter does about it."""

from __future__ import annotations

import ast
import copy
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
import vowpal_wabbit_next as vw

import policies
from policies.vowpal.engine import Engine, Target
from policies.vowpal.explorers import arguments

LINES = ["shared |s x:1", "|o a |i a", "|o b |i b", "|o c |i c"]
ROWS = LINES[1:]
DEFAULTS = ["--cb_explore_adf", "--quiet"]
OURS = [*arguments("squarecb"), "--epsilon", "0.02"]
Answer = list[tuple[int, float]]


class Bare:
    """A workspace without any guard."""

    def __init__(self, args: Sequence[str], model: bytes | None = None) -> None:
        self.workspace = vw.Workspace(list(args), model_data=model)
        self.parser = vw.TextFormatParser(self.workspace)

    def parse(self, lines: Sequence[str]) -> list[vw.Example]:
        return [self.parser.parse_line(line) for line in lines]

    def learn(self, row: int, cost: float, propensity: float, times: int = 1) -> None:
        for _ in range(times):
            label = f"0:{cost}:{propensity} "
            self.workspace.learn_one(
                self.parse([label + x if i == row else x for i, x in enumerate(LINES)])
            )

    def predict(self, lines: Sequence[str] = LINES) -> Answer:
        return cast("Answer", self.workspace.predict_one(self.parse(lines)))


def bare(args: Sequence[str], times: int = 30) -> Bare:
    made = Bare(args)
    made.learn(1, -1.0, 0.5, times)
    return made


@pytest.mark.parametrize("propensity", [0.0, -1.0])
def test_one_lesson_without_probability_ruins_a_model_for_ever(propensity: float) -> None:
    ruined = Bare(DEFAULTS)
    ruined.learn(1, -1.0, propensity)
    ruined.learn(1, -1.0, 0.5, times=50)
    assert dict(ruined.predict()) == pytest.approx(dict.fromkeys(range(3), 1 / 3))
    assert " inf " in ruined.workspace.readable_model()
    assert dict(bare(DEFAULTS, times=50).predict())[0] > 0.9  # without that one lesson


def test_a_propensity_above_1_is_accepted() -> None:
    wrong, right = Bare(DEFAULTS), Bare(DEFAULTS)
    wrong.learn(1, -1.0, 2.0)
    right.learn(1, -1.0, 1.0)
    assert wrong.workspace.json_weights() == right.workspace.json_weights()


def test_the_order_of_answers_is_not_that_of_the_actions() -> None:
    made = Bare(OURS)
    made.learn(3, -1.0, 0.5, times=30)
    assert made.predict()[0][0] == 2


def test_probabilities_are_32_bit() -> None:
    total = sum(p for _, p in bare([*OURS[:-1], "0.05"]).predict())
    assert total != 1.0
    assert total == pytest.approx(1.0, abs=1e-6)


POISON = """
import vowpal_wabbit_next as vw
lines = ["shared |s x", "|o a", "|o b"]
first, second = [vw.Workspace(["--cb_explore_adf", "--quiet"]) for _ in range(2)]
parser = vw.TextFormatParser(first)
examples = [parser.parse_line(line) for line in lines]
failures = 0
def ask(workspace, examples):
    global failures
    try:
        workspace.predict_one(examples)
    except RuntimeError as error:
        failures += "never unsetup" in str(error)
ask(first, [examples[0], examples[1], examples[1]])
ask(first, examples)
print(failures)
del examples
parser = vw.TextFormatParser(second)
for _ in range(50):
    ask(second, [parser.parse_line(line) for line in lines])
print(failures)
"""


def test_an_example_twice_poisons_other_workspaces() -> None:
    """In a process of its own, since later tests would fail."""
    command = [sys.executable, "-c", POISON]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    at_once, later = (int(line) for line in done.stdout.split())
    assert at_once == 2
    assert later > at_once


def test_our_engine_recovers_from_poisoned_examples() -> None:
    engine = Engine("squarecb", 0.02, ROWS)
    engine.learn(LINES[0], [0, 1, 2], 0, Target(-1.0, 0.5, 1.0))
    model, before = engine.model(), engine.probabilities(LINES[0], [0, 1, 2])
    for _ in range(3):
        with pytest.raises(RuntimeError, match="never unsetup"):
            engine.predict(LINES[0], [0, 1, 1])
    for _ in range(50):
        assert (engine.probabilities(LINES[0], [0, 1, 2]) == before).all()
    assert engine.model() == model


def test_nothing_can_be_pickled() -> None:
    made = bare(OURS)
    for subject in (made.workspace, made.parser, made.parse(LINES)[0]):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(subject)
        with pytest.raises(TypeError, match="cannot pickle"):
            copy.deepcopy(subject)


def test_a_model_cut_short_loads() -> None:
    made = bare(OURS)
    model = made.workspace.serialize()
    assert len(Bare(OURS, model[: len(model) // 2]).predict()) == 3


def test_deltas_lose_the_count_of_squarecb() -> None:
    args = [arg for arg in OURS if arg != "--coin"]
    made = bare(args, times=300)
    base = vw.Workspace(args)
    merged = vw.apply_delta(base, vw.calculate_delta(base, made.workspace))
    parser = vw.TextFormatParser(merged)
    answer = merged.predict_one([parser.parse_line(line) for line in LINES])
    assert dict(made.predict())[0] > 0.9
    assert dict(cast("Answer", answer)) == pytest.approx(dict.fromkeys(range(3), 1 / 3))


def test_deltas_are_not_to_be_had_with_coin() -> None:
    with pytest.raises(RuntimeError, match="does not have a merge function"):
        vw.calculate_delta(vw.Workspace(OURS), bare(OURS).workspace)


@pytest.mark.parametrize("explorer", ["squarecb", "large"])
def test_the_whole_model_keeps_the_count(explorer: str) -> None:
    engine = Engine(explorer, 0.02, ROWS)
    for _ in range(300):
        engine.learn(LINES[0], [0, 1, 2], 0, Target(-1.0, 0.5, 1.0))
    again = Engine(explorer, 0.02, ROWS, engine.model())
    answers = [e.probabilities(LINES[0], [0, 1, 2]) for e in (engine, again)]
    assert answers[0][0] > 0.9
    assert (answers[0] == answers[1]).all()


def test_interactions_on_loading_override_those_of_the_model() -> None:
    model = bare(OURS).workspace.serialize()
    others = ["zz" if arg in {"so", "sc", "sh"} else arg for arg in OURS]
    assert b"--quadratic so" in model
    assert b"--quadratic so" not in Bare(others, model).workspace.serialize()


def test_predicting_changes_the_saved_bytes_even_after_loading() -> None:
    asked, quiet = bare(OURS), bare(OURS)
    asked.predict()
    saved = [Bare(OURS, m.workspace.serialize()).workspace.serialize() for m in (asked, quiet)]
    assert saved[0] != saved[1]


@pytest.mark.parametrize("explorer", ["epsilon", "squarecb", "softmax", "large"])
def test_asking_our_engine_leaves_its_bytes_alone(explorer: str) -> None:
    asked, quiet = Engine(explorer, 0.05, ROWS), Engine(explorer, 0.05, ROWS)
    for number in range(40):
        for engine in (asked, quiet):
            engine.learn(LINES[0], [0, 1, 2], number % 3, Target(-float(number % 2), 0.3, 1.0))
        for _ in range(number % 4):
            asked.probabilities(f"shared |s x:{number}", [0, 2])
    assert asked.model() == quiet.model()
    assert Engine(explorer, 0.05, ROWS, quiet.model()).model() == quiet.model()


def test_the_customer_must_come_first() -> None:
    made = bare(OURS)
    last = made.predict([*ROWS, LINES[0]])
    assert sorted(position for position, _ in last) == [0, 1, 2, 3]  # counted as an action
    assert sorted(position for position, _ in bare(OURS).predict([*LINES, ""])) == [0, 1, 2, 3]
    assert bare(OURS).predict(LINES[:1]) == []
    shown = Engine("squarecb", 0.02, ROWS).predict(LINES[0], [0, 1, 2])
    assert sorted(position for position, _ in shown) == [0, 1, 2]


def test_large_action_spaces_answer_the_same_question_alike() -> None:
    """The library's own answer may change when asked again, by what its memory held before."""
    rows = [f"|o o{i % 5} |c c{i % 3} |i i{i}" for i in range(40)]
    customer, other = "shared |s x:1 y:-1", "shared |s x:-1 z:2"
    engine = Engine("large", 0.05, rows)
    for number in range(100):
        target = Target(-float(number % 3 == 0), 0.025, 1.0)
        engine.learn(customer, range(40), number * 7 % 40, target)
    ours = set()
    for number in range(1, 5):
        ours.add(tuple(engine.probabilities(customer, range(40)).tolist()))
        engine.probabilities(other, range(number, 30))
        engine.probabilities(other, range(number))
    ours.add(tuple(Engine("large", 0.05, rows, engine.model()).probabilities(customer, range(40))))
    assert len(ours) == 1


def test_weights_is_never_called() -> None:
    """It overruns its memory with `--bag 3` and more, and crashes the process."""
    for path in Path(policies.__file__).parent.glob("vowpal*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        assert "weights" not in {n.attr for n in nodes if isinstance(n, ast.Attribute)}, path.name


def test_only_one_module_runs_the_library() -> None:
    for path in Path(policies.__file__).parent.glob("*.py"):
        assert (path.name == "vowpal_engine.py") == ("import vowpal_wabbit" in path.read_text())
