"""The checker on a loop's log: clean if true, and every forgery of what was supplied is found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.catalog import example_folder
from agents.checker import check_log
from agents.checking.supplied import one_object
from agents.context import Contact
from agents.load import load_workspace
from agents.log import log_row, log_table
from agents.revision import Revision
from agents.supplied import supply
from agents.supplied_features import features_of
from policies.decide import decide
from policies.uniform import Uniform

Row = dict[str, Any]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
DRINKS = {
    "Irish coffee": {"alcohol": True, "contains": ["milk"]},
    "latte": {"alcohol": False, "contains": ["milk"]},
    "oat latte": {"alcohol": False, "contains": ["oats"]},
    "tea": {"alcohol": False, "contains": []},
    "mystery": {},
}


@pytest.fixture(scope="module")
def revision() -> Revision:
    with example_folder("personalizer") as folder:
        return load_workspace(folder).revisions["drinks"]


def moment(rng: np.random.Generator, user: str) -> list[dict[str, Any]]:
    """What is known now; anything may be unknown."""
    known: dict[str, Any] = {"id": user}
    if rng.random() < 0.8:
        known["age"] = int(rng.integers(14, 30))
    if rng.random() < 0.7:
        known["avoids"] = [str(rng.choice(["milk", "oats"]))]
    return [{"user": known}, {"weather": str(rng.choice(["rain", "sun"]))}]


@pytest.fixture(scope="module")
def clean(revision: Revision) -> list[Row]:
    """Requests as a server would answer them, each with some of the drinks."""
    rng = np.random.default_rng(3)
    contacts: dict[str, list[Contact]] = defaultdict(list)
    rows: list[Row] = []
    for number in range(150):
        user, at = f"u{rng.integers(8)}", START + timedelta(minutes=7 * number)
        shared = moment(rng, user)
        listed = [str(name) for name in rng.permutation(list(DRINKS))[: int(rng.integers(1, 6))]]
        supplied = supply(
            shared,
            {name: [DRINKS[name]] for name in listed},
            barred={listed[-1]: "excluded"} if rng.random() < 0.2 else None,
        )
        offered = revision.offering(supplied.actions)
        known = {"age": shared[0]["user"]["age"]} if "age" in shared[0]["user"] else {}
        context = replace(offered.context(user, at, known, contacts[user]), supplied=supplied)
        decision = decide(offered, Uniform(), context, decision_id=f"d{number}", secret=b"s")
        made = decision.contact(offered.actions[decision.action])
        if made is not None:
            contacts[user].append(made)
        rows.append(log_row(number + 1, decision, offered, [], now=at, key=b"k"))
    return rows


def found(rows: list[Row]) -> set[tuple[str, str]]:
    with example_folder("personalizer") as folder:
        report = check_log(log_table(rows), folder)
    return {(breach.decision_id, breach.guardrail) for breach in report}


def barred_by(row: Row, rule: str) -> list[str]:
    named = zip(row["actions"], row["mask"], strict=True)
    return [name for name, why in named if str(why).startswith(f"{rule}: ")]


def test_a_true_log_is_clean_and_every_rule_has_barred(clean: list[Row]) -> None:
    assert found(clean) == set()
    for rule in ("adults_only", "allergens", "variety", "request"):
        assert any(barred_by(row, rule) for row in clean), rule


def forged(
    clean: list[Row], which: Callable[[Row], bool], change: Callable[[Row], None]
) -> tuple[list[Row], str]:
    rows = [dict(row) for row in clean]
    row = next(row for row in rows if which(row))
    change(row)
    return rows, str(row["decision_id"])


@pytest.mark.parametrize("rule", ["adults_only", "allergens", "variety", "request"])
def test_an_action_left_open_against_a_rule_is_found(clean: list[Row], rule: str) -> None:
    def leave_open(row: Row) -> None:
        action = barred_by(row, rule)[0]
        row["mask"] = [None if n == action else m for n, m in
                       zip(row["actions"], row["mask"], strict=True)]  # fmt: skip

    rows, decision = forged(clean, lambda row: bool(barred_by(row, rule)), leave_open)
    assert (decision, rule) in found(rows)


@pytest.mark.parametrize("rule", ["adults_only", "allergens", "variety", "request"])
def test_an_action_barred_without_cause_is_found(clean: list[Row], rule: str) -> None:
    def bar(row: Row) -> None:
        place = row["actions"].index("tea")
        row["mask"] = [*row["mask"][:place], f"{rule}: forged", *row["mask"][place + 1 :]]

    def tea_is_open(row: Row) -> bool:
        return "tea" in row["actions"] and row["mask"][row["actions"].index("tea")] is None

    rows, decision = forged(clean, tea_is_open, bar)
    assert (decision, rule) in found(rows)


def supplied_of(change: Callable[[dict[str, Any]], object]) -> Callable[[Row], None]:
    def changed(row: Row) -> None:
        context = orjson.loads(row["context"])
        change(context["supplied"])
        row["context"] = orjson.dumps(context).decode()

    return changed


def with_several(row: Row) -> bool:
    return len(row["actions"]) > 3 and None in row["mask"][1:]


@pytest.mark.parametrize(
    "change",
    [
        lambda supplied: supplied["ids"].reverse(),
        lambda supplied: supplied["content"]["_multi"].reverse(),
        lambda supplied: supplied["content"]["_multi"].pop(),
        lambda supplied: [supplied["ids"].pop(), supplied["content"]["_multi"].pop()],
    ],
)
def test_features_of_other_actions_are_found(
    clean: list[Row], change: Callable[[dict[str, Any]], object]
) -> None:
    rows, decision = forged(clean, with_several, supplied_of(change))
    breaches = found(rows)
    assert (decision, "context") in breaches
    assert {breached for breached, _ in breaches} == {decision}


def test_a_row_without_what_was_supplied_is_found(clean: list[Row]) -> None:
    def forget(row: Row) -> None:
        context = orjson.loads(row["context"])
        del context["supplied"]
        row["context"] = orjson.dumps(context).decode()

    rows, decision = forged(clean, with_several, forget)
    assert (decision, "unreadable") in found(rows)


def test_a_feature_said_twice_bars_for_the_checker_too(clean: list[Row]) -> None:
    def twice(supplied: dict[str, Any]) -> None:
        for entry in supplied["content"]["_multi"]:
            entry["j"].append({"alcohol": None})

    rows, decision = forged(clean, with_several, supplied_of(twice))
    assert (decision, "adults_only") in found(rows)


VALUES = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 1.0, "a", [1]]),
    lambda inner: st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2),
    max_leaves=4,
)


@given(st.lists(st.dictionaries(st.sampled_from(["x", "y", "z"]), VALUES, max_size=3), max_size=3))
@example([{"x": 1}, {"x": True}])
@example([{"x": {"y": 1}}, {"x": {"y": 1, "x": 2}}])
@example([{"x": {}}, {"x": 1}])
def test_both_readers_of_features_agree(parts: list[dict[str, Any]]) -> None:
    read = features_of(supply([], {"one": parts}))
    mine = one_object(parts)
    assert (mine is None) == ("one" in read.contradictions)
    assert mine is None or repr(mine) == repr(dict(read.actions["one"]))


def test_the_checker_reads_features_by_itself() -> None:
    source = Path(__file__).parents[2] / "agents" / "checking" / "supplied.py"
    assert "supplied_features" not in source.read_text()
    assert "open_shortcuts" not in source.read_text()
