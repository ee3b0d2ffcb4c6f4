"""The report is one file that needs nothing else, and takes no name for markup."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from agents.errors import StateError
from experiments.commands import app
from experiments.evaluate import Evaluation, evaluate
from experiments.html import Facts, evaluation_files, render_html, to_tsv, write_html
from experiments.html.asked import curve_of
from experiments.html.headline import difference_sentence, headlines, lift_headline
from experiments.html.records import table_rows
from experiments.lift import Difference, GroupResult, Lift, lift
from experiments.lift.metrics import MetricResult
from experiments.logs import LoggedDecisions, read_log
from experiments.plots import LiftCurve
from experiments.targets import logged_target, none_target
from experiments.tracking import EXPERIMENT, open_tracking

MakeLog = Callable[..., LoggedDecisions]
EVIL = "<script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)>"
VOID = {"meta", "br", "hr", "img", "link", "input"}

LIFT = Lift(
    groups=(
        GroupResult("treatment", 600, 3_000, 7_788.8, 5_406.6, 10_171.1, 80.0),
        GroupResult("control", 200, 1_000, 2_551.0, -519.0, 5_621.0, 16.0),
    ),
    differences=(Difference("treatment", "control", 5_237.8, 1_400.5, 9_075.1, True),),
    moved=0,
    ratio_p=0.4,
    level=0.9,
)
METRICS = (
    MetricResult("complained", "guardrail", {"treatment": 9.0}, 4.0, 1.0, 7.0, True, True),
    MetricResult("renewed", "primary", {"treatment": 90.0}, 40.0, 10.0, 70.0, False, True),
)


class Page(HTMLParser):
    """Collects what a browser would fetch or run, and the text; checks that tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def log(make_log: MakeLog) -> LoggedDecisions:
    return make_log(2_000, 5)


@pytest.fixture
def found(log: LoggedDecisions) -> list[Evaluation]:
    few = evaluate(log, none_target(log), name="none")
    return [
        evaluate(log, logged_target(log), name="logged"),
        replace(few, diagnostics=replace(few.diagnostics, effective_conversions=2.0)),
    ]


def full(log: LoggedDecisions) -> Facts:
    looks = np.array([0.0, 1.0, 2.0])
    low, high = np.array([-1.0, 0.0, 1.0]), np.array([1.0, 2.0, 3.0])
    curve = LiftCurve(log.at[:3], looks, low, high, np.array([10, 11, 12]))
    return Facts(
        currency="EUR", lift=LIFT, metrics=METRICS, curve=curve,
        targets={"none": none_target(log)}, fingerprint="ab" * 32,
        command="nextbest evaluate log --policy none", title="Evaluation of retention",
    )  # fmt: skip


def test_everything_is_in_one_file(
    found: list[Evaluation], log: LoggedDecisions, tmp_path: Path
) -> None:
    write_html(tmp_path / "report.html", found, log, full(log))
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("svg") == 4
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(page.tags)
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in {"src", "href", "xlink:href", "action", "data"}:
            assert value is not None
            assert value.startswith("#")
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for words in (
        "Worth it: treated customers earned 5,238 EUR per 1,000 customers more than customers who"
        " were left alone (90% interval +1,400 to +9,075 EUR per 1,000 customers).",
        "none: not supported. 2.0 effective conversions, at least 10 needed.",
        "Needed: About 8,000 more decisions like these (10,000 in all).",
        "2,000 decisions from 2026-01-01 to 2026-01-02 (UTC)", "complained", "worse",
        "nextbest evaluate log --policy none", "ab" * 32, "Few decisions that count for much",
        "treatment control +5,238 +1,400 +9,075",
        "Can it be trusted? The groups' sizes are as declared.",
    ):  # fmt: skip
        assert words in page.text


def test_what_researchers_copy_is_exact(found: list[Evaluation], log: LoggedDecisions) -> None:
    header, first, *_ = to_tsv(found).splitlines()
    row = dict(zip(header.split("\t"), first.split("\t"), strict=True))
    assert float(row["value"]) == found[0].by("snips").value
    assert (row["policy"], row["verdict"]) == ("logged", "supported")
    page = Page(render_html(found, log))
    assert "\t".join(first.split("\t")[:3]) in " ".join(page.words)
    record = json.loads(next(w for w in page.words if w.startswith("{")))
    assert record["evaluations"][1]["verdict"] == "not supported"
    assert record["evaluations"][0]["estimates"][1]["high"] == found[0].by("dr").high
    files = evaluation_files(found, log, full(log))
    assert sorted(files) == [
        "evaluation.json", "plots/allocation.png", "plots/lift.png", "plots/value.png",
        "plots/weights1.png", "report.html",
    ]  # fmt: skip
    assert json.loads(files["evaluation.json"])["log_sha256"] == "ab" * 32


def test_names_from_logs_are_text(found: list[Evaluation], log: LoggedDecisions) -> None:
    evil = [replace(found[0], target=EVIL, warnings=(EVIL,))]
    groups = replace(LIFT, groups=(replace(LIFT.groups[0], group=EVIL),))
    odd = replace(log, actions=("none", *(f"{EVIL}{i}/a@b" for i in range(4))))
    facts = replace(
        full(log), title=EVIL, currency=EVIL, command=EVIL, lift=groups,
        metrics=[replace(METRICS[0], outcome=EVIL)], targets={EVIL: logged_target(log)},
    )  # fmt: skip
    page = Page(render_html(evil, odd, facts))
    assert not {"script", "img"} & set(page.tags)
    assert page.text.count("<script>alert('x')</script>") > 10
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert to_tsv([replace(found[0], target="=1+1")]).splitlines()[1].startswith("'=1+1\t")


def test_the_same_twice(found: list[Evaluation], log: LoggedDecisions) -> None:
    assert render_html(found, log, full(log)) == render_html(found, log, full(log))


def test_a_report_of_nothing_or_to_nowhere_is_refused(
    found: list[Evaluation], log: LoggedDecisions, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="expected at least one evaluation"):
        render_html([], log)
    with pytest.raises(StateError, match="cannot be written: No such file"):
        write_html(tmp_path / "no" / "report.html", found, log)


@pytest.mark.parametrize(
    ("found", "answer", "words"),
    [
        (LIFT, "yes", "Worth it"),
        (replace(LIFT, differences=(Difference("treatment", "control", -9.0, -12.0, -1.0, True),)),
         "no", "Not worth it: treated customers earned 9 EUR per 1,000 customers less"),
        (replace(LIFT, differences=(Difference("treatment", "control", 2.0, -1.0, 5.0, True),)),
         "open", "Not shown either way: treated customers earned +2 EUR"),
        (replace(LIFT, differences=(Difference("treatment", "control", 9.0, 1.0, 15.0, False),)),
         "unsupported", "too few customers"),
        (replace(LIFT, ratio_p=1e-9), "unsupported", "sizes contradict the declared shares"),
        (replace(LIFT, ratio_p=float("nan")), "open", "sizes were not checked"),
    ],
)  # fmt: skip
def test_is_it_worth_it(found: Lift, answer: str, words: str) -> None:
    line = lift_headline(found, "EUR")
    assert line is not None
    assert line.answer == answer
    assert words in line.sentence
    assert bool(line.needed) == (answer in {"open", "unsupported"})


def test_without_a_control_group_nobody_says_worth_it(found: list[Evaluation]) -> None:
    alone = replace(LIFT, differences=(Difference("treatment", "random", 9.0, 1.0, 15.0, True),))
    told = headlines(found, None, "EUR")
    assert [line.answer for line in told] == ["open", "unsupported"]
    first, *rest = headlines(found, alone, "EUR")
    assert (first.answer, tuple(rest)) == ("unsupported", told)
    assert "no customers who were left alone" in first.sentence


def test_an_outcome_that_got_worse_is_in_the_first_sentence(found: list[Evaluation]) -> None:
    first = headlines(found, LIFT, "EUR", worse=["complained"])[0]
    assert first.answer == "open"
    assert first.sentence.endswith("But it got worse in: complained.")


def test_forced_numbers_say_so_and_differences_stand_beside(found: list[Evaluation]) -> None:
    sure = difference_sentence(-1.064, -1.707, -0.421, 0.95, "EUR")
    assert sure == (
        "Against what was logged that is -1,064 EUR per 1,000 decisions (95% interval -1,707 to"
        " -421)."
    )
    assert "no difference fits" in difference_sentence(0.1, -0.1, 0.3, 0.95, "EUR")
    told = headlines([replace(each, forced=True) for each in found], None, "EUR",
                     compared={each.target: sure for each in found})  # fmt: skip
    assert told[0].sentence.endswith(sure)
    assert told[1].sentence.endswith("Its numbers are FORCED: do not rely on them.")
    records = table_rows([replace(each, forced=True) for each in found])
    assert {row["verdict"] for row in records} == {"supported", "not supported, FORCED"}


def test_small_amounts_are_not_rounded_away() -> None:
    small = replace(LIFT, differences=(Difference("treatment", "control", 0.2, 0.1, 0.3, True),))
    line = lift_headline(small, "EUR")
    assert line is not None
    assert "0.2 EUR" in line.sentence
    assert "+0.1 to +0.3" in line.sentence


@pytest.mark.parametrize("name", ["x" * 10_000, "_sms", "\u6f22", "a\x00\x1b[2J", "\u202eshop"])
def test_any_name_leaves_the_plots_as_they_are(
    found: list[Evaluation], log: LoggedDecisions, name: str
) -> None:
    actions = (*log.actions[:-1], name)
    page = Page(render_html([replace(found[0], target=name)], replace(log, actions=actions)))
    assert "script" not in page.tags
    assert name[:4].strip("\x00\x1b") in page.text


def test_a_log_of_centuries_stays_a_small_page(
    found: list[Evaluation], log: LoggedDecisions
) -> None:
    at = log.at.copy()
    at[0] = np.datetime64("0001-01-02", "us")
    assert len(render_html(found, replace(log, at=at))) < 300_000


def test_the_lift_is_followed_as_nextbest_lift_does(folder: Path) -> None:
    curve = curve_of(folder, None, 0.95)
    assert curve is not None
    found = lift(read_log(folder))
    assert curve.value[-1] == pytest.approx(found.over("treatment", "control").value)
    groups = pq.read_table(folder / "decisions.parquet")["group"].to_pylist()
    assert curve.customers[-1] == sum(group != "random" for group in groups)
    assert np.all(np.diff(curve.customers) >= 0)


def test_the_command_writes_and_records_it(folder: Path, runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    command = ["evaluate", str(folder), "--html", str(page), "--track", str(runs)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert f"the report: {page}" in result.output
    text = Page(page.read_text(encoding="utf-8")).text
    assert "Evaluation of retention" in text
    assert "nextbest evaluate log --group all --level 0.95 --policy uniform" in text
    assert str(tmp_path) not in page.read_text(encoding="utf-8")
    client = open_tracking(runs)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    kept = {each.path for each in client.list_artifacts(run.info.run_id)}
    assert kept == {"report.html", "evaluation.json", "plots"}
