"""Differences, segments and parts: what else may be asked of a log."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from agents.errors import LogError, StateError, UnknownNameError
from experiments.asking import Asker, Rows, by_segment, difference, differences, parts_of
from experiments.asking.segments import labels_of
from experiments.asking.tables import differences_table
from experiments.commands import app
from experiments.diagnostics import Health
from experiments.evaluate import Question
from experiments.logs import LoggedDecisions
from experiments.report import to_text, verdict_lines
from experiments.targets import logged_target, none_target, uniform_target
from experiments.targets.asked import Source, read_target
from experiments.weighing import Weighed

MakeLog = Callable[..., LoggedDecisions]
SAMPLE = Path(__file__).parents[2] / "experiments" / "samples" / "log"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["evaluate", *(str(a) for a in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def question(log: LoggedDecisions, target: Any) -> Question:
    return Question(Weighed(log, target))


def test_paired_differences_cover_the_truth_and_are_narrower(
    market: Any, make_log: MakeLog
) -> None:
    held, widths = 0, []
    for seed in range(100):
        log = make_log(1_500, seed)
        target = uniform_target(log)
        truth = market.truth(log, target) - market.truth(log, log.distribution)
        one, other = question(log, target), question(log, logged_target(log))
        found = difference(("uniform", one), ("logged", other), "snips")
        assert found.value == pytest.approx(
            one.answer("u", ["snips"]).by("snips").value - float(log.reward.mean())
        )
        held += found.low < truth < found.high
        alone = [np.sqrt(q.answer("", ["snips"]).by("snips").stderr ** 2) for q in (one, other)]
        widths.append(found.stderr / np.hypot(*alone))
    assert held >= 95 - 4 * np.sqrt(100 * 0.05 * 0.95)
    assert np.mean(widths) < 0.8


def test_a_policy_differs_from_itself_by_nothing(make_log: MakeLog) -> None:
    log = make_log(500, 1)
    one = question(log, uniform_target(log))
    found = difference(("a", one), ("b", one), "ips")
    assert (found.value, found.low, found.high, found.supported) == (0.0, 0.0, 0.0, True)


def test_what_rounding_makes_of_the_same_policy_is_no_difference(make_log: MakeLog) -> None:
    log = make_log(2_000, 1)
    even = uniform_target(log)
    p = even[np.arange(2_000), log.action]
    log = replace(log, distribution=even, propensity=p)
    ways = np.where(np.arange(2_000) % 3 == 0, 1.0, 0.0)[:, None]
    other = np.where(even > 0.0, np.nextafter(even, ways), 0.0)
    assert (even != other).any()
    found = difference(("a", question(log, even)), ("b", question(log, other)), "snips")
    assert (found.value, found.stderr, found.effective_conversions) == (0.0, 0.0, 0.0)
    assert found.supported
    apart = difference(("a", question(log, even)), ("n", question(log, none_target(log))), "snips")
    assert apart.effective_conversions > 10.0


def test_segments_add_up_and_too_small_ones_are_refused(make_log: MakeLog) -> None:
    log = make_log(4_000, 2)
    asked = {"logged": question(log, logged_target(log))}
    found = by_segment(asked, "customer.a > 0.0", estimators=("ips",))
    assert [segment.name for segment in found.segments] == [
        "customer.a > 0.0", "not (customer.a > 0.0)"
    ]  # fmt: skip
    values = [(s.n, s.evaluations[0].by("ips").value) for s in found.segments]
    assert sum(n * value for n, value in values) == pytest.approx(log.reward.sum())
    quarters = by_segment(asked, "b", estimators=("ips",)).segments
    assert [segment.n for segment in quarters] == pytest.approx([1_000] * 4, abs=2)
    few = by_segment(asked, "customer.a > 3.2", estimators=("ips",)).segments[0]
    assert few.n < 20
    assert few.refused or not few.evaluations[0].shown


def test_a_segment_that_is_none_is_refused(make_log: MakeLog) -> None:
    log = make_log(300, 3)
    with pytest.raises(UnknownNameError, match="--by c: it is no field of the log"):
        labels_of(log, "c")
    with pytest.raises(UnknownNameError, match="--by customer.c > 1"):
        labels_of(log, "customer.c > 1")
    names = np.array(
        [{"features": {"id": f"x{i}"}, "contacts": []} for i in range(300)], dtype=object
    )
    many = replace(log, contexts=names)
    with pytest.raises(LogError, match="at most 20 segments, got 300"):
        by_segment({"logged": question(many, logged_target(many))}, "id")


def test_parts_add_up_to_the_whole(make_log: MakeLog) -> None:
    log = make_log(5_000, 4)
    found = parts_of("uniform", question(log, uniform_target(log)), supported=True)
    offers = [part for part in found if part.kind == "offer"]
    assert [part.name for part in offers] == ["none", "plan", "credit"]
    channels = [part.name for part in found if part.kind == "channel"]
    assert channels == ["none", "email", "push", "sms"]
    assert sum(part.share for part in offers) == pytest.approx(1.0)
    for part in offers:
        assert part.share_low < part.share < part.share_high
        assert part.shown is not None
        assert part.shown.low < part.shown.value < part.shown.high
    whole = sum(part.share * part.value.value for part in offers if part.value is not None)
    told = question(log, uniform_target(log)).answer("", ["snips"]).by("snips")
    assert abs(whole - told.value) < told.stderr


def test_a_policy_that_shares_nothing_with_the_log_is_no_error(make_log: MakeLog) -> None:
    log = make_log(1_000, 5)
    kept = log.where(log.action != 2)
    only = np.zeros_like(kept.distribution)
    only[:, 2] = 1.0
    asker = Asker(kept, kept, {}, ("snips", "dr"), 0.95, None)
    target = read_target("fixed:plan/free@push", Source({}))
    shared = replace(target, probabilities=lambda _: only)
    answer = asker.ask([shared], parts=True)
    assert answer.evaluations[0].estimates == ()
    assert not answer.supported
    assert answer.differences == ()


def test_what_is_not_supported_is_never_told(tmp_path: Path) -> None:
    """Neither on the terminal nor as JSON nor in the page, and the exit code says so."""
    rule = "when customer.age > 60.0 && customer.plan == 'gold' then gift else none"
    narrow = ("--policy", rule, "--group", "random")
    assert run(SAMPLE, *narrow).exit_code == 3
    assert "not supported" in run(SAMPLE, *narrow).output
    page = tmp_path / "page.html"
    told = json.loads(run(SAMPLE, *narrow, "--json", "--html", page).stdout)
    (found,) = told["evaluations"]
    assert (told["supported"], found["verdict"]) == (False, "not supported")
    assert found["estimates"] == []
    assert found["reasons"] != []
    assert all(row["value"] is row["low"] is row["stderr"] is None for row in told["differences"])
    forced = run(SAMPLE, *narrow, "--json", "--force")
    assert forced.exit_code == 0
    (numbers,) = json.loads(forced.stdout)["evaluations"]
    assert numbers["forced"] is True
    for row in numbers["estimates"]:
        for text in (f"{row['value']:.6f}", f"{1_000 * row['value']:,.2f}"):
            assert text not in page.read_text(encoding="utf-8")
    assert "FORCED" in run(SAMPLE, *narrow, "--force").output


def test_the_command_answers_everything_at_once() -> None:
    result = run(
        SAMPLE, "--policy", "none", "--policy", "fixed:cake > tea", "--by", "plan", "--parts",
        "--interval", "normal", "--estimator", "snips", "--estimator", "switch=5",
        "--force",
    )  # fmt: skip
    assert result.exit_code == 0
    for words in ("fixed:cake > tea", "sensitivity", "Difference in", "logged", "by plan", "basic",
                  "By offer and channel", "cake", "push"):  # fmt: skip
        assert words in result.output


def test_a_stream_gives_the_same_values() -> None:
    whole = json.loads(run(SAMPLE, "--policy", "none", "--json").stdout)["evaluations"]
    piece = json.loads(run(SAMPLE, "--policy", "none", "--json", "--stream").stdout)["evaluations"]
    for one, other in zip(whole[0]["estimates"], piece[0]["estimates"], strict=True):
        assert other["value"] == pytest.approx(one["value"], abs=1e-9)


def test_learners_are_judged_on_what_they_have_not_seen(folder: Path) -> None:
    learned = ("--policy", "hybrid_thompson:tau=.3", "--policy", "incumbent", "--force")
    result = run(folder, *learned, "--at-once", "--blocks", "3")
    said = " ".join(result.output.split())
    assert "learners went on learning block by block" in said
    assert "answers each of at most 3 blocks of time as taught by what had closed" in said
    assert "stands still" not in said
    once = " ".join(run(folder, *learned, "--at-once", "--blocks", "2").output.split())
    assert "taught once and then stands still" in once
    assert "hybrid_thompson:tau=.3" in result.output
    assert run(folder, *learned, "--progressive", "--at-once").exit_code == 0


def test_names_that_are_wrong_are_refused(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="no interval 'normel'; did you mean 'normal'"):
        run(SAMPLE, "--interval", "normel")
    with pytest.raises(LogError, match="expected the agent's revisions beside the log"):
        run(SAMPLE, "--policy", "incumbent")
    with pytest.raises(UnknownNameError, match="no setting 'tua'; did you mean 'tau'"):
        run(folder, "--policy", "hybrid_thompson:tua=1")
    with pytest.raises(StateError, match="there is no file rules.yaml"):
        run(folder, "--policy", "rules.yaml")
    with pytest.raises(ValueError, match="expected settings as NAME=VALUE"):
        run(folder, "--policy", "hybrid_thompson:tau")


def test_an_empty_group_is_refused(make_log: MakeLog) -> None:
    assert Rows.RANDOM.groups == ("random",)
    log = make_log(100, 6)
    asker = Asker(log, log.in_groups("random"), {}, ("snips",), 0.95, None)
    with pytest.raises(LogError, match="expected decisions to value a policy on, got none"):
        asker.ask([read_target("uniform", Source({}))])


def test_none_target_is_what_its_name_says(make_log: MakeLog) -> None:
    log = make_log(50, 7)
    assert np.array_equal(read_target("none", Source({})).probabilities(log), none_target(log))


def test_a_policy_that_shares_nothing_with_a_segment_spoils_no_other(make_log: MakeLog) -> None:
    log = make_log(4_000, 2)
    high = np.array([context["features"]["a"] > 0.0 for context in log.contexts])
    barred = np.where(high, log.distribution[:, 4], 0.0)
    p = log.distribution.copy()
    p[high, 4] = 0.0
    p[high, 0] += barred[high]
    log = replace(
        log, distribution=p, propensity=p[np.arange(len(log)), log.action],
        allowed=np.where(np.arange(5) == 4, log.allowed & ~high[:, None], log.allowed),
    ).where(~(high & (log.action == 4)))  # fmt: skip
    only = np.zeros_like(log.distribution)
    only[:, 4] = 1.0
    asked = {"logged": question(log, logged_target(log)), "sms": question(log, only)}
    found = by_segment(asked, "customer.a > 0.0", estimators=("snips",)).segments[0]
    assert not found.refused
    assert [len(each.estimates) for each in found.evaluations] == [1, 0]
    assert not found.evaluations[1].verdict.supported


def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "experiments.asking.command.read_log", lambda *_, **__: pytest.fail("it was read")
    )
    with pytest.raises(StateError, match=r"--html: there is no folder .* to write a.html to"):
        run(SAMPLE, "--html", tmp_path / "none" / "a.html")
    with pytest.raises(StateError, match="--html: expected a file to write, got the folder"):
        run(SAMPLE, "--html", tmp_path)


def test_a_log_of_control_alone_is_told_as_such(folder: Path, table: pa.Table) -> None:
    closed = table.filter(pc.is_valid(table["closed_at"]))
    control = closed.filter(pc.equal(closed["group"], "control"))
    pq.write_table(control, folder / "decisions.parquet")
    message = f"got none; the closed ones are {len(control)} of control: nothing was drawn"
    with pytest.raises(LogError, match=message):
        run(folder)
    with pytest.raises(LogError, match="expected closed decisions of random, got none"):
        run(folder, "--group", "random")
    gate = CliRunner().invoke(app, ["gate", str(folder), "--candidate", "uniform"])
    assert message in gate.stderr


def test_what_is_true_of_the_log_is_said_once(make_log: MakeLog) -> None:
    log = make_log(2_000, 6)
    features = [{**each["features"]} for each in log.contexts]
    for row, each in enumerate(features):
        each["b"] += row >= 1_000
    contexts = np.array([{"features": each, "contacts": []} for each in features], dtype=object)
    moved = replace(log, contexts=contexts)
    found = [
        question.answer(name, ["snips"])
        for name, target in (("uniform", uniform_target), ("logged", logged_target))
        for question in [
            Question(Weighed(moved, target(moved)), health=Health.of(moved))
        ]
    ]  # fmt: skip
    lines = [line for line in verdict_lines(found) if "halves of the log" in line]
    (line,) = lines
    assert line.startswith("warning: Between the halves of the log the mean of 'b' moved by 0.")
    (single,) = [line for line in verdict_lines(found[:1]) if "halves of the log" in line]
    assert single.startswith("warning: uniform: Between")


def test_all_amounts_of_a_table_have_the_same_digits(make_log: MakeLog) -> None:
    log = make_log(4_000, 1)
    inside = {name: question(log, target(log)) for name, target in
              (("uniform", uniform_target), ("logged", logged_target))}  # fmt: skip
    found = differences(inside, ["snips", "ips"], dict.fromkeys(inside, True))
    great = (replace(found[0], value=1.5, high=2.0), *found[1:])
    text = to_text(differences_table(great, "EUR"))
    assert "+1,500" in text
    assert "." not in text
    assert "." in to_text(differences_table(tuple(
        replace(each, value=0.1, low=0.0, high=0.2) for each in found
    ), "EUR"))  # fmt: skip
