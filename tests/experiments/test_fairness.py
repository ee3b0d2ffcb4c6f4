"""Exposure from probabilities and value by group: known ratios are found, luck is not told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from agents.errors import LogError, UnknownNameError
from agents.revision import Revision
from experiments.commands import app
from experiments.evaluate import evaluate
from experiments.fairness.parity import Parity, exposure_parity
from experiments.fairness.report import ask_fairness, parity_record
from experiments.fairness.values import value_parity
from experiments.logs import LoggedDecisions, from_table
from experiments.targets import none_target, uniform_target

MakeLog = Callable[..., LoggedDecisions]
MakeLife = Callable[..., pa.Table]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["fairness", *(str(a) for a in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def halves(log: LoggedDecisions) -> NDArray[np.object_]:
    """Two groups by chance."""
    rng = np.random.default_rng(1)
    return np.where(rng.random(len(log)) < 0.5, "a", "b").astype(np.object_)


def by_plan(log: LoggedDecisions) -> NDArray[np.object_]:
    return np.array([c["features"]["plan"] for c in log.contexts], dtype=np.object_)


@pytest.fixture(scope="module")
def treated(make_life: MakeLife) -> LoggedDecisions:
    return from_table(make_life(1_500, 5)).in_groups("treatment")


def test_exposure_is_the_mean_probability_and_not_the_share_of_draws(
    treated: LoggedDecisions,
) -> None:
    found = exposure_parity(treated, by_plan(treated))
    basic, plus = found.rows
    assert (basic.group, plus.group) == ("basic", "plus")
    assert [basic.value, plus.value] == pytest.approx([0.4, 0.8])
    assert basic.ratio == pytest.approx(0.5)
    assert basic.surely_below
    assert plus.best
    (warning,) = found.warnings
    assert "basic has 50% of the best-served group's (50% to 50%), under four fifths" in warning
    none_drawn = replace(treated, action=np.zeros(len(treated), dtype=np.int64))
    assert exposure_parity(none_drawn, by_plan(treated)).rows == found.rows


def test_one_offer_is_compared_alone(treated: LoggedDecisions) -> None:
    found = exposure_parity(treated, by_plan(treated), offer="plan")
    assert found.what == "offer plan"
    assert found.rows[1].value == pytest.approx(0.8)  # both contacts are of that offer
    with pytest.raises(UnknownNameError, match="did you mean 'plan'"):
        exposure_parity(treated, by_plan(treated), offer="plann")


def test_value_is_that_of_each_group(make_log: MakeLog) -> None:
    log = make_log(6_000, 2)
    labels = np.where(np.array([c["features"]["a"] for c in log.contexts]) > 0, "high", "low")
    labels = labels.astype(np.object_)
    target = uniform_target(log)
    found = value_parity(log, labels, target, q_hat=None)
    for row in found.rows:
        inside = log.where(labels == row.group)
        weights = (1 / inside.allowed.sum(axis=1)) / inside.propensity
        assert row.value == pytest.approx(float((weights * inside.reward).mean()))
        assert row.decisions == len(inside)
    with_model = value_parity(log, labels, target, q_hat=np.zeros_like(target))
    assert [r.value for r in with_model.rows] == [r.value for r in found.rows]


def test_ratios_are_covered(make_log: MakeLog) -> None:
    """Two groups drawn by chance: the ratio's interval holds 1 in about 95% of 60 logs."""
    misses = 0
    for seed in range(60):
        log = make_log(1_200, seed, floor=1.0)
        found = value_parity(log, halves(log), uniform_target(log), q_hat=None)
        if any(row.best for row in found.rows):
            misses += any(row.ratio_high < 1.0 for row in found.rows)
    assert misses <= 3 + 2 * 1.7


def test_groups_alike_are_told_as_alike(make_log: MakeLog) -> None:
    log = make_log(4_000, 3)
    found = exposure_parity(log, halves(log))
    assert not found.warnings
    assert min(row.ratio for row in found.rows) > 0.95


def test_losses_have_no_four_fifths(make_log: MakeLog) -> None:
    log = make_log(2_000, 4)
    bad = replace(log, reward=-np.abs(log.reward) - 1.0)
    found = value_parity(bad, halves(bad), bad.distribution, q_hat=None)
    assert all(np.isnan(row.ratio) for row in found.rows)
    assert found.warnings == [
        "value (ips): no ratios, since the best group's is not clearly above 0"
    ]


def test_few_customers_are_compared_with_nobody(make_log: MakeLog) -> None:
    log = make_log(2_000, 5)
    labels = np.full(2_000, "many", dtype=np.object_)
    labels[:29] = "few"
    few, many = exposure_parity(log, labels).rows
    assert (few.enough, few.best, many.best) == (False, False, True)
    assert np.isnan(few.ratio)
    assert "few has 29 customers; expected 30" in exposure_parity(log, labels).warnings[0]


def test_customers_and_not_decisions_are_independent(make_log: MakeLog) -> None:
    log = make_log(2_000, 6)
    labels = halves(log)
    alone = exposure_parity(log, labels).rows[0]
    thrice_each = np.repeat(np.arange(2_000), 3)
    repeated = replace(
        log, customer=log.customer[thrice_each], group=log.group[thrice_each],
        distribution=log.distribution[thrice_each], action=log.action[thrice_each],
    )  # fmt: skip
    thrice = exposure_parity(repeated, np.repeat(labels, 3)).rows[0]
    assert thrice.value == pytest.approx(alone.value)
    assert thrice.high - thrice.low == pytest.approx(alone.high - alone.low)
    assert thrice.customers == alone.customers


def test_control_is_refused(make_log: MakeLog) -> None:
    log = make_log(100, 7)
    mixed = replace(log, group=np.array(["control"] + ["treatment"] * 99, dtype=np.object_))
    with pytest.raises(LogError, match="got 1 of the control group"):
        exposure_parity(mixed, halves(log))
    with pytest.raises(LogError, match="got none"):
        exposure_parity(log.in_groups("random"), np.zeros(0, dtype=np.object_))
    with pytest.raises(ValueError, match="expected 100 labels"):
        exposure_parity(log, np.zeros(3, dtype=np.object_))


def test_the_command_tells_and_warns(life_folder: Callable[..., Path]) -> None:
    folder = life_folder(800, 8, rate=0.2)
    said = run(folder, "--by", "plan", "--by", "customer.monthly_bill > 40.0", "--offer", "plan")
    for text in (
        "contact by plan", "offer plan by plan", "value (dr) by plan", "under 4/5",
        "warning: plan: contact: basic has 50%", "by customer.monthly_bill > 40.0",
    ):  # fmt: skip
        assert text in " ".join(said.output.split())
    record = json.loads(run(folder, "--by", "plan", "--json", "--policy", "uniform").output)
    contact, value = record["plan"]
    assert [g["ratio"] for g in contact["groups"]] == [pytest.approx(0.5), 1.0]
    assert value["money"]


def test_what_was_not_tried_in_a_group_is_not_valued(make_log: MakeLog) -> None:
    log = make_log(8_000, 31)
    inside = (halves(log) == "b") & (log.distribution[:, 0] < 1.0)
    kept = ~(inside & (log.action == 0))  # given that none was not drawn, the others' shares hold
    log, inside, labels = log.where(kept), inside[kept], halves(log)[kept]
    never = log.distribution.copy()
    never[inside, 0] = 0.0
    never /= never.sum(axis=1, keepdims=True)
    log = replace(
        log, distribution=never, propensity=never[np.arange(len(log)), log.action],
        allowed=log.allowed & (never > 0.0),
    )  # fmt: skip
    told = value_parity(log, labels, log.distribution, q_hat=None)
    assert all(row.supported for row in told.rows)
    tried, untried = value_parity(log, labels, none_target(log), q_hat=np.zeros(never.shape)).rows
    assert tried.supported
    assert "were barred or hardly ever tried" in untried.refused
    assert np.isnan([untried.value, untried.low, untried.high, untried.ratio]).all()
    assert not untried.best


def test_a_thinned_log_is_refused(life_folder: Callable[..., Path]) -> None:
    folder = life_folder(60, 9)
    table = pq.read_table(folder / "decisions.parquet")
    kept = pa.array([0.1] + [None] * (table.num_rows - 1), pa.float64())
    column = table.column_names.index("kept")
    pq.write_table(table.set_column(column, "kept", kept), folder / "decisions.parquet")
    with pytest.raises(LogError, match="got one that was thinned"):
        run(folder, "--by", "plan")


def test_without_a_hidden_category_a_field_must_be_named(life_folder: Callable[..., Path]) -> None:
    folder = life_folder(60, 9)
    with pytest.raises(LogError, match="use one of: app_user, open_complaint, plan"):
        run(folder)
    with pytest.raises(UnknownNameError, match="logged, uniform, none, got 'best'"):
        run(folder, "--by", "plan", "--policy", "best")
    with pytest.raises(UnknownNameError, match="treatment, random, got 'control'"):
        run(folder, "--by", "plan", "--group", "control")


def test_a_hidden_category_is_a_declared_group(
    life_folder: Callable[..., Path], revision: Revision
) -> None:
    folder = life_folder(200, 10)
    fields = revision.workspace.customer
    hidden = {**fields, "plan": fields["plan"].model_copy(update={"feature": False})}
    other = Revision(revision.workspace.model_copy(update={"customer": hidden}), revision.agent)
    table = pq.read_table(folder / "decisions.parquet")
    place = table.schema.get_field_index("revision")
    column = pa.array([other.id] * table.num_rows)
    pq.write_table(
        table.set_column(place, table.schema.field(place), column), folder / "decisions.parquet"
    )
    (folder / "revisions" / f"{other.id}.json").write_bytes(other.source)
    found = ask_fairness(folder, ())
    assert list(found) == ["plan"]
    assert all(isinstance(each, Parity) for each in found["plan"])


def test_a_group_is_valued_as_evaluate_values_a_segment(make_log: MakeLog) -> None:
    """The same interval, which is no plain normal one, and the same limits."""
    log = make_log(1_500, 12)
    labels = np.full(1_500, "many", dtype=np.object_)
    labels[:60] = "some"
    labels[60:72] = "dozen"
    q_hat = np.zeros_like(log.distribution)
    dozen, many, some = value_parity(log, labels, log.distribution, q_hat=q_hat).rows
    own = evaluate(log.where(labels == "many"), log.distribution[labels == "many"],
                   q_hat=q_hat[labels == "many"]).by("dr")  # fmt: skip
    assert [many.value, many.low, many.high] == pytest.approx([own.value, own.low, own.high])
    assert many.high - many.low > 2.05 * 1.96 * own.stderr
    assert (many.best, many.supported) == (True, True)
    for few in (dozen, some):
        assert (few.supported, few.best) == (False, False)
        assert np.isnan([few.value, few.low, few.high, few.ratio]).all()
        assert "effective conversions, at least 10 needed" in few.refused
        assert few.needed
    assert "At least 50 are needed" in dozen.refused


def test_what_evaluate_would_not_value_is_not_valued_by_group(
    life_folder: Callable[..., Path],
) -> None:
    """Also what was logged; how likely contacts were is exact all the same."""
    folder = life_folder(40, 8, rate=0.02)
    for policy in ("logged", "uniform"):
        contact, value = ask_fairness(folder, ("plan",), policy=policy)["plan"]
        assert not any(row.supported or row.best for row in value.rows)
        assert all("not supported: " in line and "Needed: " in line for line in value.warnings)
        assert [row.value for row in contact.rows] == pytest.approx([0.4, 0.8])
        for row in parity_record(value)["groups"]:
            assert (row["value"], row["low"], row["supported"]) == (None, None, False)
    said = " ".join(run(folder, "--by", "plan").output.split())
    assert "not supported" in said
    assert "warning: plan: value (dr): basic: not supported: " in said
