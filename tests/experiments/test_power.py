"""Sizes by formula, by simulation, and as the reference table has them."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
from typer.testing import CliRunner

from experiments.commands import app
from experiments.power.report import sizings
from experiments.power.sizes import Design, holdout_for

HOLDOUTS = (0.01, 0.02, 0.05, 0.1, 0.5)
TABLE = {  # total customers, 80% power, two-sided 5%: measured facts of the project's reference
    (0.01, 0.1): (7.9e6, 4.0e6, 1.64e6, 872e3, 326e3),
    (0.02, 0.05): (15.5e6, 7.9e6, 3.2e6, 1.72e6, 630e3),
    (0.02, 0.1): (3.9e6, 2.0e6, 814e3, 432e3, 161e3),
    (0.02, 0.2): (973e3, 492e3, 204e3, 109e3, 42e3),
    (0.05, 0.1): (1.5e6, 762e3, 315e3, 167e3, 62e3),
}


@pytest.mark.parametrize(("base", "lift"), TABLE)
def test_sizes_are_those_of_the_table_within_its_rounding(base: float, lift: float) -> None:
    for holdout, expected in zip(HOLDOUTS, TABLE[base, lift], strict=True):
        got = Design(base, holdout).customers(lift)
        rounding = (
            0.05e6
            if expected in (7.9e6, 4.0e6, 15.5e6, 3.2e6, 3.9e6, 2.0e6, 1.5e6)
            else (0.005e6 if expected >= 1e6 else 600.0)
        )
        assert abs(got - expected) <= rounding, (holdout, got)


def test_so_many_customers_have_the_power_that_was_asked_for() -> None:
    rng, runs = np.random.default_rng(1), 4_000
    for design in (Design(0.05, 0.2), Design(0.05, 0.5, power=0.9, alpha=0.01)):
        n = round(design.customers(0.3))
        held = round(n * design.holdout)
        control = rng.binomial(held, 0.05, runs) / held
        treated = rng.binomial(n - held, 0.065, runs) / (n - held)
        error = np.sqrt(control * (1 - control) / held + treated * (1 - treated) / (n - held))
        z = {0.05: 1.96, 0.01: 2.576}[design.alpha]
        found = float(((treated - control) / error > z).mean())
        # where the normal approximation is a little off, beside 4 standard errors
        assert abs(found - design.power) < 0.015 + 4 * (design.power * 0.2 / runs) ** 0.5


def test_amounts_take_a_standard_deviation() -> None:
    n = Design(12.0, 0.5, sd=80.0).customers(0.1)
    assert n == pytest.approx((1.959964 + 0.841621) ** 2 * 4 * 80.0**2 / 1.2**2, rel=1e-5)


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("sd", [None, 0.5])
def test_what_is_detectable_needs_so_many_customers(sequential: bool, sd: float | None) -> None:
    design = Design(0.03, 0.1, sd=sd, sequential=sequential)
    for lift in (0.05, 0.4):
        assert design.detectable(design.customers(lift)) == pytest.approx(lift)
        least = holdout_for(design, lift, design.customers(lift))
        assert least == pytest.approx(0.1)
    assert Design(0.03, 0.1, sequential=True).customers(0.1) > 1.8 * Design(0.03, 0.1).customers(
        0.1
    )


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(ValueError, match="to find any lift at all, got 5"):
        Design(0.5, 0.5).detectable(5)
    assert holdout_for(Design(0.02, 0.1), 0.1, 50_000) is None


def test_the_best_holdout_need_not_be_half() -> None:
    best = min(Design(0.02, h / 1_000).customers(20.0) for h in range(1, 1_000))
    least = holdout_for(Design(0.02, 0.5), 20.0, 1.01 * best)
    assert least is not None
    assert 0.1 < least < 0.25
    assert Design(0.02, 0.5).customers(20.0) > 1.2 * best


def test_what_is_foregone() -> None:
    assert Design(0.02, 0.05).foregone(0.1, 1_000_000) == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ("--base 0", "--base"),
        ("--base 1.2", "--base: expected a number above 0 and below 1"),
        ("--base nan", "--base"),
        ("--base 0.02 --holdout 1", "--holdout"),
        ("--base 0.02 --power 0.01", "--power"),
        ("--base 0.02 --alpha 0", "--alpha"),
        ("--base 0.02 --alpha nan", "--alpha"),
        ("--base 0.02 --per-day inf", "--per-day"),
        ("--base 0.02 --sd 0", "--sd"),
    ],
)
def test_numbers_out_of_range_are_refused(settings: str, match: str) -> None:
    result = CliRunner().invoke(app, ["power", "--lift", "0.1", *shlex.split(settings)])
    assert isinstance(result.exception, ValueError)
    assert match in str(result.exception)


@pytest.mark.parametrize("lift", [0.0, float("nan"), 60.0, -1.0, 1e-9, 1e-300])
def test_lifts_without_sense_are_refused(lift: float) -> None:
    with pytest.raises(ValueError, match="--lift"):
        Design(0.02, 0.1).customers(lift)


def test_the_question_must_be_whole() -> None:
    with pytest.raises(ValueError, match="--lift, --customers or both"):
        sizings(Design(0.02, 0.1), None, None, None)
    with pytest.raises(ValueError, match="--per-day"):
        sizings(Design(0.02, 0.1), 0.1, None, 0.0)


def power(words: str) -> str:
    return CliRunner().invoke(app, ["power", *shlex.split(words)]).output


def test_the_command_tells_sizes_days_and_what_is_foregone() -> None:
    said = power("--base 0.02 --lift 0.1 --holdout 0.05 --per-day 3000 --customers 500000")
    for text in ("813,631", "271", "1,558,0", "431,505", "8.5% held back", "conversions"):
        assert text in said
    never = power("--base 0.02 --lift 0.1 --customers 20000")
    assert "cannot show a lift of +10.0% with any holdout" in never
    record = json.loads(power("--base 0.02 --customers 813631 --json"))
    assert record["sizings"][0]["lift"] == pytest.approx(0.1, rel=1e-4)
    assert record["least_holdout"] is None
