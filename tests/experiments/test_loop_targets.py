"""What policies are worth on logs whose actions came with each request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from agents.errors import LogError, UnknownNameError
from experiments import samples
from experiments.logs import LoggedDecisions, from_table
from experiments.logs.importers.base import joined
from experiments.logs.importers.dsjson import DsjsonLog
from experiments.logs.importers.loops import Loop, find_loop
from experiments.progressive import progress
from experiments.samples.drinks import BOUGHT, DRINKS, EVENTS, TIMES
from experiments.targets.asked import Source, read_target
from experiments.targets.learner import Learner
from experiments.targets.supplied import Places, first_target, supplied_in
from experiments.targets.taught import Lessons

SAMPLE = Path(samples.__file__).parent / "drinks.dsjson"
WORKSPACE = """\
workspace: bar
currency: EUR
zone: Europe/Berlin
customer:
  age: {type: integer, min: 0, max: 70}
channels: {app: {}}
"""
DRINK = """\
agent: drinks
supplied: {channel: app, customer: user.id, fields: {age: user.age}}
outcomes:
  reward:
    value: {property: value, min: -1, max: 1, typical: 1}
    window: 10m
    count: each
    aggregate: first
    metric: primary
policy: {learner: vw_rank, floor: 0.2}
always_act: true
holdout: {control: 0, random: 0}
"""
OFFERS = """\
agent: shop
outcomes: {order: {value: 1, window: 1d, metric: primary}}
offers:
  tea: {kind: promotion, variants: {plain: {text: Tea.}}, channels: [app]}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "agents").mkdir()
    (tmp_path / "workspace.yaml").write_text(WORKSPACE)
    (tmp_path / "agents" / "drinks.yaml").write_text(DRINK)
    (tmp_path / "agents" / "shop.yaml").write_text(OFFERS)
    return tmp_path


@pytest.fixture
def loop(workspace: Path) -> Loop:
    return find_loop(workspace, "drinks")


@pytest.fixture
def log(loop: Loop) -> LoggedDecisions:
    return from_table(joined(DsjsonLog((SAMPLE,), "drinks", loop).pieces()))


def source(log: LoggedDecisions, loop: Loop) -> Source:
    lessons = Lessons.of(log, log, wait=timedelta(0), revisions={loop.revision.id: loop.revision})
    return Source({loop.revision.id: loop.revision}, loop.revision, lessons=lessons)


def test_a_loops_rows_are_as_it_would_have_logged_them(log: LoggedDecisions, loop: Loop) -> None:
    assert log.actions == ("none", *DRINKS)
    assert (len(log), log.given_back_rows) == (EVENTS, 8)
    assert set(log.revision) == {loop.revision.id}
    assert len(set(log.customer)) < 91  # customers come again
    records = list(log.contexts)
    assert b'"id":"u' not in orjson.dumps([each["supplied"]["content"] for each in records])
    ages = [each["features"].get("age") for each in records]
    told = [each["features"]["FromUrl.user.age"] for each in records]
    assert ages == [age if age <= 70 else None for age in told]  # others are not accepted
    assert None in ages


def test_without_a_loop_all_stays_as_it_stood() -> None:
    table = joined(DsjsonLog((SAMPLE,)).pieces())
    first = orjson.loads(SAMPLE.read_bytes().splitlines()[0])
    context = orjson.loads(table["context"][0].as_py())
    assert context["supplied"]["content"] == first["c"]
    assert context["features"] == {}
    assert table["customer"][0].as_py() == first["EventId"]


def test_first_is_the_callers_own_choice(log: LoggedDecisions) -> None:
    target = first_target(log)
    assert supplied_in(log)
    assert target.sum(axis=1).tolist() == [1.0] * len(log)
    assert target[:, log.actions.index("espresso")].all()
    barred = log.allowed.copy()
    barred[:, log.actions.index("espresso")] = False
    other = first_target(replace(log, allowed=barred))
    assert other[:, log.actions.index("iced tea")].all()
    nothing = np.zeros_like(log.allowed)
    nothing[:, 0] = True
    assert first_target(replace(log, allowed=nothing))[:, 0].all()


def test_first_of_declared_offers_is_never_none_unless_alone(table: Any) -> None:
    log = from_table(table)
    assert not supplied_in(log)
    target = first_target(log)
    free = log.allowed.copy()
    free[:, 0] &= ~free[:, 1:].any(axis=1)
    np.testing.assert_array_equal(target.argmax(axis=1), free.argmax(axis=1))


def by_place(log: LoggedDecisions) -> LoggedDecisions:
    """The same log with places of each row's own list as columns, the last action listed first."""
    order = np.array([0, 3, 1, 2])
    return replace(
        log, distribution=log.distribution[:, order], allowed=log.allowed[:, order],
        action=np.argsort(order)[log.action], listed=np.tile(order, (len(log), 1)),
    )  # fmt: skip


def test_columns_may_be_places(log: LoggedDecisions, loop: Loop) -> None:
    placed = by_place(log)
    assert Places(placed).of(0, ("espresso", "none")).tolist() == [2, 0]
    np.testing.assert_array_equal(first_target(placed)[:, [0, 2, 3, 1]], first_target(log))
    asked = read_target("vw_rank", source(log, loop)).probabilities(log)
    there = read_target("vw_rank", source(placed, loop)).probabilities(placed)
    np.testing.assert_allclose(there[:, [0, 2, 3, 1]], asked)
    with pytest.raises(LogError, match="got none called 'rum'"):
        Places(placed).of(0, ("rum",))


def test_vw_rank_learns_what_is_liked(log: LoggedDecisions, loop: Loop) -> None:
    target = read_target("vw_rank", source(log, loop))
    assert target.learns
    lessons = source(log, loop).lessons
    assert lessons is not None
    rows = lessons.judged(log)
    found = target.probabilities(rows)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    np.testing.assert_allclose(found.max(axis=1), 0.8 + 0.2 / 3)  # the floor of the loop
    times = [TIMES.index(each["features"]["FromUrl.time"]) for each in rows.contexts]
    truth = BOUGHT[times]  # (N, 3)
    late = slice(len(rows) // 2, None)
    worth = float((found[late, 1:] * truth[late]).sum(axis=1).mean())
    assert worth > float(truth[late].mean()) + 0.08  # better than uniform, which is worth .36


def test_a_learner_is_told_the_reward(log: LoggedDecisions, loop: Loop) -> None:
    found = progress(
        log, {loop.revision.id: loop.revision}, Learner("vw_rank").create, wait=timedelta(0)
    )
    assert found.lessons == len(log) - 1
    np.testing.assert_allclose(found.target.sum(axis=1), 1.0)
    assert found.q_hat is None


@pytest.mark.parametrize("name", ["uniform", "first"])
def test_others_need_no_lessons(name: str, log: LoggedDecisions, loop: Loop) -> None:
    named = read_target(name, Source({})).probabilities(log)
    np.testing.assert_allclose(named.sum(axis=1), 1.0)
    asked = read_target(f"{name}:floor=1", source(log, loop)).probabilities(log)
    np.testing.assert_allclose(asked[:, 1:], 1.0 / 3.0)


def test_the_incumbent_has_its_own_floor(log: LoggedDecisions, workspace: Path) -> None:
    text = DRINK.replace(
        "floor: 0.2}", "floor: 0.2, mode: apprentice, incumbent: {learner: first, floor: 0}}"
    )
    (workspace / "agents" / "drinks.yaml").write_text(text)
    loop = find_loop(workspace, "drinks")
    same = replace(log, revision=np.array([loop.revision.id] * len(log), dtype=object))
    asked = read_target("incumbent", source(same, loop))
    np.testing.assert_array_equal(asked.probabilities(same), first_target(same))


def test_what_cannot_choose_is_refused(log: LoggedDecisions, loop: Loop, workspace: Path) -> None:
    with pytest.raises(ValueError, match="hybrid_thompson cannot choose among supplied actions"):
        read_target("hybrid_thompson", source(log, loop))
    with pytest.raises(LogError, match="shop: expected a loop, an agent with 'supplied' actions"):
        find_loop(workspace, "shop")
    with pytest.raises(UnknownNameError, match=r"has no agent 'drink'; did you mean 'drinks'\?"):
        find_loop(workspace, "drink")


def renamed(log: LoggedDecisions, change: Mapping[str, object] | None) -> LoggedDecisions:
    """The log with other supplied actions in its first row."""
    records = np.array(list(log.contexts), dtype=np.object_)
    records[0] = {**records[0], "supplied": change} if change else dict(records[0])
    if change is None:
        del records[0]["supplied"]
    return replace(log, contexts=records)


def test_actions_that_no_loop_can_offer_are_named(log: LoggedDecisions, loop: Loop) -> None:
    first = log.contexts[0]["supplied"]
    wrong = renamed(log, {**first, "ids": ["none", *first["ids"][1:]]})
    with pytest.raises(LogError, match="decision e0: expected no action called 'none'"):
        read_target("vw_rank", source(wrong, loop)).probabilities(wrong)
    with pytest.raises(LogError, match="decision e0: expected actions that came with the request"):
        read_target("vw_rank", source(renamed(log, None), loop)).probabilities(renamed(log, None))
