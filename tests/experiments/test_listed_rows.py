"""A log whose rows list few of many actions is valued by the places of their own lists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from agents.commands import init
from agents.errors import LogError
from experiments.logs import LoggedDecisions, layout, read_log
from experiments.logs.importers.base import FILE
from experiments.logs.places import places_for
from experiments.plots import allocation_of
from experiments.reward_models.robust import fit_robust
from experiments.targets.named import none_target, uniform_target
from nextbest import app

EVENTS, ITEMS, SHOWN = 420, 70, 6
POLICIES = ("logged", "uniform", "first", "none", "fixed:item1 > item7", "vw_rank")
ESTIMATORS = ("ips", "snips", "dr")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


def event(rng: np.random.Generator, number: int) -> dict[str, Any]:
    """One line of DSJSON: few of many items, the first of them most often shown."""
    shown = rng.choice(ITEMS, size=SHOWN - number % 2, replace=False).tolist()  # lists differ
    p = [0.5 / len(shown) + 0.5 * (each == 0) for each in range(len(shown))]
    place = int(rng.choice(len(shown), p=p))
    reward = float(rng.random() < 0.2 + 0.5 * (shown[place] % 2))
    order = [place, *(each for each in range(len(shown)) if each != place)]
    actions = [
        {"_tag": f"item{item}", "i": {"constant": 1, "id": f"item{item}"}, "j": [{"k": item % 5}]}
        for item in shown
    ]
    moment = [{"hour": number % 24}, {"user": {"id": f"u{number % 150}"}}]
    return {
        "_label_cost": -reward, "_label_probability": p[place], "_label_Action": place + 1,
        "_labelIndex": place, "o": [{"v": reward, "EventId": f"e{number}", "ActionTaken": False}],
        "Timestamp": f"2026-03-{1 + number // 60:02}T12:{number % 60:02}:00Z", "Version": "1",
        "EventId": f"e{number}", "a": [each + 1 for each in order],
        "c": {"FromUrl": moment, "_multi": actions}, "p": [p[each] for each in order],
        "VWState": {"m": "sample"}, "_original_label_cost": -reward,
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a loop, beside its revision."""
    made, rng = tmp_path_factory.mktemp("listed"), np.random.default_rng(8)
    init(made / "bar", example="personalizer")
    lines = [orjson.dumps(event(rng, number)) for number in range(EVENTS)]
    (made / "site.dsjson").write_bytes(b"\n".join(lines))
    loop = ("--agent", "drinks", "--workspace", made / "bar")
    done = run("import", "dsjson", made / "site.dsjson", *loop, "--to", made / "log")
    assert done.exit_code == 0, done.output
    return made / "log"


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small log be laid out as a large one is."""
    monkeypatch.setattr(layout, "_DENSE", 1_000)


@pytest.fixture
def log(folder: Path, lists: None) -> LoggedDecisions:
    return read_log(folder)


def asked(folder: Path, *words: object) -> Any:
    estimators = [word for each in ESTIMATORS for word in ("--estimator", each)]
    found = run("evaluate", folder, *words, *estimators, "--force", "--json")
    assert found.exit_code == 0, found.output
    return orjson.loads(found.stdout)


def check_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, Mapping):
        assert one.keys() == other.keys()
        for name in one:
            check_same(one[name], other[name])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for each, same in zip(one, other, strict=True):
            check_same(each, same)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12)
    else:
        assert one == other


@pytest.mark.parametrize("stream", [False, True])
def test_all_answers_are_those_of_a_column_for_each_action(
    folder: Path, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = POLICIES[:-1] if stream else POLICIES
    words = [word for each in policies for word in ("--policy", each)]
    words += ["--stream"] if stream else ["--at-once", "--by", "FromUrl.hour"]
    words += [] if stream else ["--estimator", "mips=offer"]
    dense = asked(folder, *words)
    assert len(dense["evaluations"][0]["estimates"]) == len(ESTIMATORS) + (not stream)
    assert dense["evaluations"][0]["diagnostics"]["audit"]["df"] > 0
    assert read_log(folder).listed is None
    monkeypatch.setattr(layout, "_DENSE", 1_000)
    assert read_log(folder).listed is not None
    assert places_for(read_log(folder).actions, SHOWN + 1, EVENTS) == SHOWN + 1  # in pieces too
    check_same(asked(folder, *words), dense)


def test_the_arrays_are_as_wide_as_the_lists(log: LoggedDecisions, folder: Path) -> None:
    assert len(log.actions) == ITEMS + 1
    assert log.distribution.shape == (EVENTS, SHOWN + 1)
    names = pq.read_table(folder / FILE)["action"].to_pylist()
    assert [log.actions[number] for number in log.drawn] == names
    assert none_target(log).sum() == len(log)
    few = log.take(np.arange(40))
    assert [few.actions[number] for number in few.drawn] == names[:40]
    assert set(allocation_of(log).names) <= {*names, "other offers", "none"}


def test_what_asks_for_a_column_for_each_action_is_refused(
    log: LoggedDecisions, folder: Path
) -> None:
    found = run("evaluate", folder, "--estimator", "mrdr", "--force")
    assert isinstance(found.exception, LogError)
    assert "expected a log of few actions, got 71 distinct ones" in str(found.exception)
    parts = run("evaluate", folder, "--parts")
    assert "--parts: expected a log of declared offers" in str(parts.exception)
    with pytest.raises(LogError, match="a model of each action: expected a log of few actions"):
        fit_robust(log, uniform_target(log))


def test_the_page_and_the_groups_are_as_ever(folder: Path, lists: None, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found = run("evaluate", folder, "--policy", "first", "--html", page, "--force")
    assert found.exit_code == 0, found.output
    assert "What was offered as time went by" in page.read_text()
    assert "Reward in EUR per 1,000 customers" in found.output


def test_a_log_that_no_memory_would_hold_as_columns_is_read(
    folder: Path, lists: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "WIDE", 50)
    monkeypatch.setattr(layout, "_MOST_CELLS", 10_000)
    assert read_log(folder).distribution.shape == (EVENTS, SHOWN + 1)
    monkeypatch.setattr(layout, "_TIMES", 20)
    with pytest.raises(LogError, match="at most 140 rows with 71 distinct ones, got 420"):
        read_log(folder)


@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
def test_what_was_never_activated_does_not_count(folder: Path, tmp_path: Path, stream: str) -> None:
    """Its window has ended, but the server has not expired it yet: nobody knows what it earned."""
    rows = pq.read_table(folder / FILE).to_pylist()
    told = [None, "delivered", "reserved", "expired"]
    for number, row in enumerate(rows):
        row["state"] = told[number % 4]
        row["given_back"] = number if row["state"] == "expired" else None
    schema = pq.read_schema(folder / FILE)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / FILE)
    found = asked(tmp_path, "--policy", "logged", stream)
    made = [row["reward"] for number, row in enumerate(rows) if number % 4 < 2]
    assert found["decisions"] == len(made) == EVENTS // 2
    snips = found["evaluations"][0]["estimates"][1]
    assert snips["value"] == pytest.approx(float(np.mean(made)), rel=1e-9)
    log = read_log(tmp_path)
    assert (len(log), log.open_rows, log.given_back_rows) == (EVENTS // 2,) * 1 + (EVENTS // 4,) * 2
    assert len(read_log(tmp_path, include_open=True)) == EVENTS * 3 // 4
    said = run("evaluate", tmp_path, "--policy", "logged", stream, "--force").output
    assert f"{EVENTS // 4} open decisions left out" in said
