"""The log of a loop that lists a few of very many actions: rules, groups, readers, importers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from agents.errors import LogError
from agents.log import SCHEMA
from agents.revision import Revision
from experiments.evaluate import evaluate
from experiments.fairness.parity import exposure_parity
from experiments.fairness.report import ask_fairness, parity_record
from experiments.gate.breaches import breaches_of
from experiments.lift.labels import label
from experiments.logs import layout, read_log
from experiments.logs.importers.base import FILE
from experiments.logs.inspecting import inspect_log
from experiments.streaming import evaluate_stream
from experiments.studies.many_actions import study
from experiments.studies.many_actions.make import TASTES, Articles, loop_revision, write_loop
from experiments.studies.many_actions.study import COMMANDS, measured_alone
from experiments.targets import uniform_target
from experiments.targets.named import none_target
from experiments.targets.rules import parse_rule, rule_target
from experiments.what_if.asked import Question, what_if
from experiments.what_if.change import Change
from experiments.what_if.reading import read_rows
from experiments.what_if.report import record
from experiments.what_if.rerun import rerun
from experiments.what_if.rows import Rows
from nextbest import app

ROWS, BAD = 600, 7
ARTICLES = Articles(60, 12)
LOOSE = pa.schema([field.with_nullable(True) for field in SCHEMA])
TIGHTER = Change(guardrails=("variety.max=1",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_loop(tmp_path_factory.mktemp("many") / "log", ROWS, ARTICLES)


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small log be laid out as a large one is."""
    monkeypatch.setattr(layout, "_DENSE", 1_000)
    monkeypatch.setattr(layout, "_TIMES", 2)


@pytest.fixture
def rows(folder: Path, lists: None) -> Rows:
    return read_rows(folder)


def truth(rows: Rows) -> NDArray[np.float64]:
    """The chance that each listed article is read; (N, A), 0 for doing nothing."""
    found = np.zeros(rows.distribution.shape)
    for row in range(len(rows)):
        shown = np.array([int(name[8:]) for name in rows.ids(row)[1:]])
        taste = TASTES.index(rows.log.contexts[row]["features"]["taste"])
        found[row, 1 : len(shown) + 1] = ARTICLES.chances(taste, shown)
    return found


def test_the_log_is_true_and_the_same_every_time(folder: Path, tmp_path: Path) -> None:
    quality = inspect_log(folder)
    assert (quality.findings, quality.actions, quality.closed) == ((), 61, ROWS)
    again = write_loop(tmp_path, ROWS, ARTICLES)
    assert pq.read_table(again / FILE).equals(pq.read_table(folder / FILE))
    log = read_log(folder)
    found = evaluate(log, uniform_target(log))
    assert found.diagnostics.audit.passed
    breaches = breaches_of(folder, None)
    assert breaches is not None
    assert breaches.count == 0


@pytest.mark.parametrize("change", [TIGHTER, Change(drops=("subscribers_only",))])
def test_what_if_answers_alike_however_the_log_is_laid_out(
    folder: Path, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = Question(by="taste")
    assert read_log(folder).listed is None
    dense = record(what_if(read_rows(folder), change, question), force=True)
    monkeypatch.setattr(layout, "_DENSE", 1_000)
    monkeypatch.setattr(layout, "_TIMES", 2)
    assert read_log(folder).listed is not None
    listed = record(what_if(read_rows(folder), change, question), force=True)
    assert {each["rule"] for each in listed["rules"]} >= {"subscribers_only", "quiet"}
    same(listed, dense)


def same(one: Any, other: Any) -> None:
    """Both records hold the same, numbers up to rounding."""
    words = [orjson.dumps(each, default=str).decode() for each in (one, other)]
    assert len(words[0].split(",")) == len(words[1].split(","))
    for left, right in zip(flat(one), flat(other), strict=True):
        if isinstance(left, float):
            assert left == pytest.approx(right, rel=1e-7, abs=1e-10, nan_ok=True)
        else:
            assert left == right


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [each for name in sorted(value) for each in (name, *flat(value[name]))]
    if isinstance(value, (list, tuple)):
        return [each for part in value for each in flat(part)]
    return [value]


def by_hand(rows: Rows, revision: Revision) -> NDArray[np.bool_]:
    """Make every mask anew, as a server would; (N, A)."""
    found = np.zeros_like(rows.allowed)
    for row in range(len(rows)):
        allowed = revision.offering(rows.ids(row)).mask(rows.context(row)).allowed
        found[row, : len(allowed)] = allowed
    return found


def test_counts_equal_a_recount(rows: Rows) -> None:
    after = TIGHTER.apply(rows.revision)
    answer = what_if(rows, TIGHTER, Question(prices=False))
    new = by_hand(rows, after)
    whole = answer.reach[0]
    assert whole.tightened == int((rows.allowed & ~new).any(axis=1).sum()) > 0
    assert whole.freed == int((new & ~rows.allowed).any(axis=1).sum())
    assert whole.drawn == int((~new[np.arange(len(rows)), rows.drawn]).sum())


def test_the_value_of_tighter_rules_is_the_truth_within_its_error(rows: Rows) -> None:
    answer = what_if(rows, TIGHTER, Question(prices=False))
    assert answer.tightened is not None
    assert answer.value is not None
    assert np.allclose(answer.tightened.target.sum(axis=1), 1.0)
    assert not answer.tightened.target[~rows.exists].any()
    known = float((answer.tightened.target * truth(rows)).sum(axis=1).mean())
    for each in answer.value.estimates:
        assert abs(each.value - known) < 4.0 * each.stderr


def test_a_rule_that_names_an_article_is_asked_where_it_is_listed(
    rows: Rows, tmp_path: Path
) -> None:
    rule = tmp_path / "rule.yaml"
    spec = {"rule": "action_suppression", "when": "action_id == 'article_3'"}
    rule.write_bytes(orjson.dumps({"rare": spec}))
    after = Change(adds=(rule,)).apply(rows.revision)
    found = rerun(rows, after)
    assert np.array_equal(found.allowed, by_hand(rows, after))
    barred = found.alone[found.names.index("rare")]
    assert barred.any()
    assert np.array_equal(barred, rows.numbers == rows.log.actions.index("article_3"))


def test_fairness_is_that_of_the_same_log_by_column(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> Any:
        found = ask_fairness(folder, (), offers=("article_5",), policy="uniform")
        return {name: [parity_record(each) for each in told] for name, told in found.items()}

    dense = asked()
    assert list(dense) == ["taste"]  # the category that learners do not see
    monkeypatch.setattr(layout, "_DENSE", 1_000)
    monkeypatch.setattr(layout, "_TIMES", 2)
    same(asked(), dense)
    log = read_log(folder)
    assert log.listed is not None
    labels = label("taste", log.contexts.tolist(), log.at, {})
    (told,) = (exposure_parity(log, labels, offer="article_5"),)
    by_hand = np.zeros(len(log))
    for row, place in np.argwhere(log.listed == log.actions.index("article_5")).tolist():
        by_hand[row] += log.distribution[row, place]
    for each in told.rows:
        assert each.value == pytest.approx(by_hand[labels == each.group].mean())


def test_a_fixed_rule_takes_the_first_that_is_listed_and_allowed(rows: Rows) -> None:
    log = rows.log
    rules = parse_rule("when customer.subscriber then article_2 > article_0 else article_1")
    target = rule_target(log, rules, loop_revision())
    assert (target.sum(axis=1) == 1.0).all()
    assert log.allowed[np.arange(len(log)), target.argmax(axis=1)].all()
    for row in range(len(log)):
        allowed = [
            name for name, free in zip(rows.ids(row), log.allowed[row], strict=False) if free
        ]
        pays = log.contexts[row]["features"]["subscriber"]
        order = ("article_2", "article_0", "none") if pays else ("article_1", "none")
        wanted = next((name for name in order if name in allowed), None)
        chosen = rows.ids(row)[target[row].argmax()]
        assert wanted is None or chosen == wanted


def test_doing_nothing_was_never_tried_and_is_not_supported(rows: Rows) -> None:
    found = evaluate(rows.log, none_target(rows.log), name="none")
    assert not found.verdict.supported


Faulty = Callable[[dict[str, Any]], object]


def bar_the_drawn(row: dict[str, Any]) -> None:
    row["mask"][row["actions"].index(row["action"])] = "consent"


def early(row: dict[str, Any]) -> None:
    at = row["at"] - timedelta(seconds=1)
    row["outcomes"] = [{"outcome": "reward", "value": 1.0, "at": at}]


FAULTS: dict[str, Faulty] = {
    "0": lambda row: row.update(propensity=0.0),
    "above 1": lambda row: row.update(propensity=1.5),
    "missing": lambda row: row.update(propensity=None),
    "NaN": lambda row: row.update(propensity=float("nan")),
    "barred": bar_the_drawn,
    "again": lambda row: row.update(decision_id="r3"),
    "early": early,
    "unlisted": lambda row: row.update(action="article_x"),
    "listed twice": lambda row: row["actions"].__setitem__(1, row["actions"][2]),
}
READERS: dict[str, Callable[[Path], object]] = {
    "evaluate": read_log,
    "stream": lambda folder: evaluate_stream(folder, {"uniform": uniform_target}),
    "what-if": read_rows,
    "fairness": lambda folder: ask_fairness(folder, ("taste",)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_reader_refuses_a_bad_row_by_its_number(
    folder: Path, fault: str, tmp_path: Path, lists: None
) -> None:
    table = pq.read_table(folder / FILE).slice(0, 200).to_pylist()
    FAULTS[fault](table[BAD])
    pq.write_table(pa.Table.from_pylist(table, schema=LOOSE), tmp_path / FILE)
    (tmp_path / "revisions").symlink_to(folder / "revisions")
    for name, read in READERS.items():
        with pytest.raises(LogError) as refused:
            read(tmp_path)
        assert f"row {BAD}" in str(refused.value) or "'r3'" in str(refused.value), name
    places = [place.row for finding in inspect_log(tmp_path).refused for place in finding.first]
    assert places
    assert set(places) == {BAD}


def test_empty_groups_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LogError, match="expected closed decisions of group 'random', got none"):
        ask_fairness(folder, ("taste",), group="random")
    table = pq.read_table(folder / FILE).to_pylist()
    held = [{**row, "group": "control"} for row in table]
    pq.write_table(pa.Table.from_pylist(held, schema=SCHEMA), tmp_path / FILE)
    (tmp_path / "revisions").symlink_to(folder / "revisions")
    with pytest.raises(LogError, match="expected closed decisions of revision .*, got none"):
        read_rows(tmp_path)


def test_of_a_hundred_thousand_few_columns_are_held(tmp_path: Path) -> None:
    folder = write_loop(tmp_path / "log", 300, Articles(100_000, 50))
    log = read_log(folder)
    assert len(log.actions) > layout.MOST_COLUMNS
    assert log.distribution.shape == (300, 51)
    rows = read_rows(folder)
    found = rerun(rows, rows.revision)
    assert found.alone.shape[1:] == rows.allowed.shape == (300, 51)
    assert np.array_equal(found.allowed, rows.allowed)
    assert ask_fairness(folder, ("taste",))["taste"]


def test_the_study_measures_each_command_by_itself(folder: Path) -> None:
    taken = measured_alone("quality", folder)
    assert 0.0 < taken.before <= taken.peak
    assert taken.cpu > 0.0


def test_the_study_has_a_row_for_each_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "measured_alone", study.measured)
    found = study.study(120, (40,), listed=5)
    assert list(found.rows) == [f"{name}, of 40" for name in COMMANDS]


def test_more_ids_than_columns_are_imported_looked_at_and_valued(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    names = rng.permutation(20_000).reshape(400, 50)
    drawn = rng.integers(0, 50, 400)
    lines, rows = [], []
    for number, (own, place) in enumerate(zip(names.tolist(), drawn.tolist(), strict=True)):
        ids, reward = [f"m{each}" for each in own], float(number % 3 == 0)
        order = [place, *(each for each in range(50) if each != place)]
        at = f"2026-03-{1 + number // 20:02}T{number % 24:02}:00:00Z"
        lines.append(orjson.dumps({
            "_label_cost": -reward, "_label_probability": 0.02, "_label_Action": place + 1,
            "_labelIndex": place, "Timestamp": at, "EventId": f"e{number}",
            "a": [each + 1 for each in order], "p": [0.02] * 50,
            "c": {"_multi": [{"_tag": name} for name in ids]},
        }))  # fmt: skip
        rows.append({"shown": ids[place], "all": ids, "p": 0.02, "paid": reward})
    (tmp_path / "site.dsjson").write_bytes(b"\n".join(lines))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "site.parquet")
    columns = tmp_path / "columns.yaml"
    columns.write_text("action: shown\nactions: all\npropensity: p\nreward: paid\n")
    runner = CliRunner()
    for words, actions in (
        (("dsjson", "site.dsjson"), 20_001),
        (("table", "site.parquet", "--columns", columns), 20_000),
    ):
        to = tmp_path / words[0]
        command = ["import", words[0], tmp_path / words[1], *words[2:], "--to", to]
        done = runner.invoke(app, [str(word) for word in command])
        assert done.exit_code == 0, (done.output, done.exception)
        quality = inspect_log(to)
        assert (quality.actions, quality.refused) == (actions, ())
        log = read_log(to)
        assert log.distribution.shape == (400, 51 if words[0] == "dsjson" else 50)
        snips = evaluate(log, uniform_target(log)).by("snips")
        assert snips.value == pytest.approx(float(np.mean([row["paid"] for row in rows])))
