"""`nextbest lift` tells one honest story from a log folder, and withholds it if it must."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from agents.errors import LogError
from experiments.commands import app

Write = Callable[..., Path]
SHARES = (0.6, 0.2, 0.2)  # what the example's agent declares


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["lift", *(str(a) for a in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def said(*arguments: object) -> str:
    return " ".join(run(*arguments).output.split())


def test_groups_are_compared_by_the_usual_metrics(life_folder: Write) -> None:
    told = said(life_folder(1_200, 1, lift=0.8, rate=0.2, shares=SHARES))
    for text in (
        "group sizes fit the declared shares", "treatment less control, at any look", "reward",
        "revenue", "conversion", "order_value", "gap", "EUR per 1,000 customers",
        "the interval first left 0 out on", "no fixed-horizon test: none was declared",
    ):  # fmt: skip
        assert text in told


def test_everything_at_once(life_folder: Write, tmp_path: Path) -> None:
    folder = life_folder(1_200, 2, lift=0.5, rate=0.2, shares=SHARES)
    plan = tmp_path / "plan.yaml"
    plan.write_text("metric: conversion@30:renewed\nhorizon: 2026-03-20T00:00:00Z\n")
    told = said(
        folder, "--metric", "revenue", "--metric", "churn:unsubscribed", "--metric",
        "retention@90:unsubscribed", "--by", "plan", "--cuped", "--covariate", "monthly_bill",
        "--plan", plan, "--aa", "--looks", 5,
    )  # fmt: skip
    for text in ("conversion@30:renewed", "churn@90:unsubscribed", "too early",
                 "have been observed for less than 90 days and are left out",
                 "are counted as long as they were", "CUPED with monthly_bill saved",
                 "(not worth it)", "on 2026-03-20:", "revenue by plan", "adjusted p", "Bonferroni",
                 "halved 256 times", "at most 5.0%"):  # fmt: skip
        assert text in told


def test_a_machine_reads_the_same(life_folder: Write, tmp_path: Path) -> None:
    folder = life_folder(600, 3, rate=0.3, shares=SHARES)
    plan = tmp_path / "plan.yaml"
    plan.write_text("metric: revenue@30\nover: random\nhorizon: 2027-03-20T00:00:00Z\n")
    record = json.loads(
        run(folder, "--metric", "revenue", "--by", "plan", "--aa", "--plan", plan, "--json").output
    )
    assert (record["over"], record["withheld"]) == ("random", False)
    assert [row["metric"] for row in record["metrics"]] == ["revenue@30", "revenue"]
    assert len(record["metrics"][0]["looks"]) == 20
    assert record["fixed"]["withheld"].startswith("its horizon is 2027-03-20")
    assert {row["segment"] for row in record["segments"]} == {"basic", "plus"}
    assert record["aa"][0]["measure"] == "revenue@30"
    assert record["metrics"][1]["unit"] == "EUR per 1,000 customers"


def test_what_is_not_known_yet_is_told_with_the_reason(life_folder: Write) -> None:
    folder = life_folder(300, 3, rate=0.3, shares=SHARES)
    words = ("--metric", "revenue@3650", "--metric", "revenue", "--json")
    late, known = json.loads(run(folder, *words).output)["metrics"]
    assert (late["difference"], late["group"]) == (None, None)
    assert "too early: " in late["reason"]
    assert "observed for 3650 days" in late["reason"]
    assert known["reason"] is None or "few data" in known["reason"]


def test_a_plan_says_itself_whether_cuped_is_used(life_folder: Write, tmp_path: Path) -> None:
    folder = life_folder(1_200, 10, rate=0.3, shares=SHARES)
    found = {}
    for name, line, options in (
        ("plain", "", []), ("flag", "", ["--cuped"]), ("planned", "covariates: [plan]", []),
    ):  # fmt: skip
        plan = tmp_path / f"{name}.yaml"
        plan.write_text(f"metric: revenue@30\nhorizon: 2026-04-10T00:00:00Z\n{line}\n")
        record = json.loads(run(folder, "--plan", plan, "--json", *options).output)
        found[name] = (record["fixed"]["high"], record["metrics"][0]["variance_saved"])
    assert found["flag"][0] == found["plain"][0]  # the flag came after the plan
    assert found["flag"][1] > 0.0
    assert found["planned"][0] != found["plain"][0]
    with pytest.raises(ValueError, match="the plan's covariates alone"):
        run(folder, "--plan", tmp_path / "planned.yaml", "--cuped", "--covariate", "app_user")


def test_sizes_that_contradict_the_shares_withhold_the_lift(life_folder: Write) -> None:
    folder = life_folder(1_200, 4, shares=(0.5, 0.2, 0.3))
    told = said(folder)
    assert "group sizes CONTRADICT the declared shares" in told
    assert "first refused after" in told
    assert "the lift is withheld" in told
    assert "treatment less control" not in told
    record = json.loads(run(folder, "--json").output)
    assert record["withheld"]
    assert "metrics" not in record


def test_without_revisions_sizes_are_not_checked_and_fields_are_enough(life_folder: Write) -> None:
    folder = life_folder(300, 5)
    for file in (folder / "revisions").iterdir():
        file.unlink()
    told = said(folder, "--by", "plan", "--metric", "revenue")
    assert "group sizes not checked" in told
    assert "revenue by plan, currency per 1,000 customers" in told


def test_an_earlier_period_serves_cuped(life_folder: Write) -> None:
    folder = life_folder(800, 6, rate=0.3, shares=SHARES)
    told = said(folder, "--metric", "revenue", "--cuped", "--since", "2026-02-15T00:00:00Z")
    assert "CUPED with events before 2026-02-15" in told


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (["--since", "2026-02-15T00:00:00Z"], ValueError, "with --cuped only"),
        (["--covariate", "plan"], ValueError, "with --cuped only"),
        (["--cuped", "--covariate", "plan", "--since", "2026-02-15T00:00:00Z"], ValueError,
         "either --covariate or --since"),
        (["--over", "treatment"], ValueError, "expected control or random"),
        (["--level", "1.5"], ValueError, "level between 0 and 1"),
        (["--agent", "retnetion"], LogError, "did you mean 'retention'"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(
    life_folder: Write, arguments: list[str], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        run(life_folder(60, 7), *arguments)


def test_a_group_without_customers_is_refused(life_folder: Write) -> None:
    folder = life_folder(60, 8, shares=(0.5, 0.5, 0.0))
    (folder / "revisions").rename(folder.parent / "elsewhere")
    message = "in control, got 0; the log has .* in random; --over random compares treatment with"
    with pytest.raises(LogError, match=message):
        run(folder)
    assert "treatment less random" in said(folder, "--over", "random")


def test_a_malformed_row_is_named(life_folder: Write) -> None:
    folder = life_folder(40, 9)
    table = pq.read_table(folder / "decisions.parquet").to_pylist()
    table[3]["propensity"] = 0.123
    schema = pq.read_schema(folder / "decisions.parquet")
    pq.write_table(pa.Table.from_pylist(table, schema=schema), folder / "decisions.parquet")
    with pytest.raises(LogError, match="decisions.parquet, row 3: propensity"):
        run(folder)


def test_a_segment_that_was_not_tested_has_no_p_value(life_folder: Write) -> None:
    """Too few conversions for a sequence to begin: p is not 1, there is none."""
    folder = life_folder(300, 12, rate=0.02, shares=SHARES)
    told = said(folder, "--metric", "conversion", "--by", "plan")
    assert "not tested, few data" in told
    assert "adjusted p" not in told
    found = json.loads(run(folder, "--metric", "conversion", "--by", "plan", "--json").output)
    assert [row["adjusted_p"] for row in found["segments"]] == [None, None]
