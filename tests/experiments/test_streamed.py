"""`nextbest evaluate` in pieces: when it is chosen, and that it tells what the whole log tells."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from agents.errors import LogError
from experiments.asking import streamed
from experiments.asking.asker import Asker
from experiments.asking.streamed import newest_revision
from experiments.commands import app
from experiments.logs import read_log
from experiments.revisions import read_revisions
from experiments.streaming import evaluate_stream
from experiments.streaming.passes import S, Step
from experiments.streaming.source import Piece
from experiments.targets import none_target, uniform_target

SAMPLE = Path(__file__).parents[2] / "experiments" / "samples" / "log"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["evaluate", *(str(a) for a in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def changed(source: Path, target: Path, name: str, values: list[object]) -> Path:
    """Write a log with other values in one column."""
    table = pq.read_table(source)
    column = pa.array(values, table.schema.field(name).type)
    pq.write_table(table.set_column(table.column_names.index(name), name, column), target)
    return target


def test_a_large_log_is_read_in_pieces_and_the_output_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(streamed, "LARGE", 10)
    page = str(tmp_path / "page.html")
    asked = ("--policy", "none", "--force")
    line = "rows are more than 10: read in pieces"
    assert line in run(SAMPLE, *asked).output
    for others in (("--no-stream",), ("--html", page), ("--policy", "incumbent")):
        if others[0] == "--policy":
            with pytest.raises(LogError, match="expected the agent's revisions"):
                run(SAMPLE, *asked, *others)  # read whole: it might learn
        else:
            assert line not in run(SAMPLE, *asked, *others).output
    found = json.loads(run(SAMPLE, *asked, "--json").stdout)
    assert {"currency", "level", "interval", "warnings"} <= found.keys()


def test_the_newest_revision_is_that_of_the_last_closed_decision(folder: Path) -> None:
    """The last decisions of the log are open; in memory they do not count, nor in pieces."""
    file = folder / "decisions.parquet"
    table = pq.read_table(file)
    names = [
        name if closed is not None else "another"
        for name, closed in zip(
            table["revision"].to_pylist(), table["closed_at"].to_pylist(), strict=True
        )
    ]
    assert names[-1] == "another"
    changed(file, file, "revision", names)
    log, revisions = read_log(folder), read_revisions(folder)
    newest = newest_revision(folder, revisions, None, ("treatment", "random"))
    assert newest is not None
    assert newest is Asker(log, log, revisions, ("snips",), 0.95, None).newest


def test_a_stream_prints_what_the_whole_log_prints(folder: Path) -> None:
    by = ("--by", "tenure_months", "--by", "customer.tenure_months > 12")
    asked = ("--policy", "none", *by, "--parts", "--force")
    told = [run(folder, *asked, flag).output for flag in ("--stream", "--no-stream")]
    titles = [[line for line in text.splitlines() if " per 1,000 " in line] for text in told]
    assert titles[0] == titles[1]
    assert len(titles[0]) >= 7
    found = [json.loads(run(folder, *asked, flag, "--json").stdout)
             for flag in ("--stream", "--no-stream")]  # fmt: skip
    assert found[0].keys() == found[1].keys()
    for name in ("differences", "parts", "segments"):
        assert len(found[0][name]) == len(found[1][name]) > 0
    for one, other in zip(found[0]["segments"], found[1]["segments"], strict=True):
        counts = [[(s["segment"], s["decisions"]) for s in each["segments"]]
                  for each in (one, other)]  # fmt: skip
        assert counts[0] == counts[1]
    one, other = (each["differences"][0]["value"] for each in found)
    assert one == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (("--progressive", "--policy", "incumbent"), "--progressive learns from decision to"),
        (("--estimator", "snips", "--estimator", "mrdr"), "--estimator mrdr fits a model for each"),
        (("--html", "page.html"), "--html draws every decision"),
        (("--track", "runs"), "--track draws every decision"),
        (("--workspace", "folder"), "--workspace checks all decisions at once"),
    ],
)
def test_what_a_stream_cannot_do_is_refused_with_the_reason(
    option: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(LogError, match=f"--stream: {reason}.*, or --no-stream$"):
        run(SAMPLE, "--stream", *option)


@pytest.mark.parametrize("asked", ["uniform", "incumbent", "when customer.age > 20 then a else b"])
def test_a_log_that_is_all_open_is_refused_as_it_is_in_memory(folder: Path, asked: str) -> None:
    """Its revisions stand beside it: that none of them has a closed decision is what is wrong."""
    file = folder / "decisions.parquet"
    still_open = pq.read_table(file).filter(pc.field("closed_at").is_null())
    pq.write_table(still_open, file)
    told = []
    for flag in ("--stream", "--no-stream"):
        with pytest.raises(LogError) as caught:
            run(folder, "--policy", asked, flag)
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert "got none; 20 decisions are open" in told[0]
    assert told[0].endswith("take the log again when their windows have ended")


def test_a_file_that_is_no_log_is_refused_in_words(tmp_path: Path) -> None:
    bad = tmp_path / "log.parquet"
    bad.write_bytes(b"no log")
    with pytest.raises(LogError, match="log.parquet: expected a Parquet file of the decision log"):
        run(bad, "--stream")
    pq.write_table(pa.table({"at": [1]}), bad)
    with pytest.raises(LogError, match="log.parquet: "):
        run(bad, "--stream")


@pytest.mark.parametrize("reward", [math.nan, math.inf])
def test_a_reward_that_is_no_number_is_refused_alike(tmp_path: Path, reward: float) -> None:
    rewards = pq.read_table(SAMPLE)["reward"].to_pylist()
    file = changed(
        SAMPLE / "decisions.parquet", tmp_path / "log.parquet", "reward",
        [*rewards[:5], reward, *rewards[6:]],
    )  # fmt: skip
    messages = []
    for flag in ("--stream", "--no-stream"):
        with pytest.raises(LogError) as caught:
            run(file, flag)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "row 5: reward" in messages[0]


def test_a_policy_that_shares_nothing_with_the_log_spoils_no_other(tmp_path: Path) -> None:
    rows = [row for row in pq.read_table(SAMPLE).to_pylist() if row["action"] != "none"]
    file = tmp_path / "log.parquet"
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(SAMPLE / "decisions.parquet")), file)
    found = evaluate_stream(file, {"none": none_target, "uniform": uniform_target}).evaluations
    assert found[0].estimates == ()
    assert not found[0].verdict.supported
    assert [row.estimator for row in found[1].estimates] == ["snips", "dr"]
    codes = {flag: run(file, "--policy", "none", flag).exit_code for flag in ("--stream", "--json")}
    assert codes == {"--stream": 3, "--json": 3}


def test_control_decisions_are_refused() -> None:
    with pytest.raises(LogError, match="treatment and random groups only"):
        evaluate_stream(SAMPLE, {"u": uniform_target}, groups=("treatment", "control"))


def test_expressions_need_the_schema(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="which fields expressions may speak of"):
        run(SAMPLE, "--stream", "--policy", "when customer.age < 30.0 then tea else none")
    assert "fixed:tea" in run(SAMPLE, "--stream", "--policy", "fixed:tea", "--force").output
    with pytest.raises(LogError, match="read in pieces; take --by FIELD, or --no-stream$"):
        run(SAMPLE, "--stream", "--by", "customer.age < 30.0")


def test_row_groups_of_one_row_are_read_together(tmp_path: Path) -> None:
    """They were a piece each, at a third of a second."""
    file = tmp_path / "log.parquet"
    table = pq.read_table(SAMPLE / "decisions.parquet").slice(0, 400)
    pq.write_table(table, file, row_group_size=400)
    (one,) = evaluate_stream(file, {"u": uniform_target}).evaluations
    pq.write_table(table, file, row_group_size=1)
    counted: list[int] = []

    def counting(step: Step[S], pieces: Sequence[Piece], /) -> Iterator[S]:
        counted.append(len(pieces))
        return map(step, pieces)

    (two,) = evaluate_stream(file, {"u": uniform_target}, run=counting).evaluations
    assert set(counted) == {1}
    for name in ("snips", "dr"):
        assert two.by(name).value == pytest.approx(one.by(name).value, rel=1e-9)


def test_learning_at_once_is_warned_of(folder: Path) -> None:
    asked = ("--policy", "incumbent", "--at-once", "--force")
    assert "warning: --at-once taught learners outcomes" in run(folder, *asked).output
    assert "--at-once taught" in json.loads(run(folder, *asked, "--json").stdout)["warnings"][0]
