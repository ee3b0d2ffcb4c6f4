"""Groups over time: sequences, CUPED, plans, segments, and control against itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from agents.errors import DocumentError, LogError, StateError
from agents.revision import Revision
from experiments.intervals.asymptotic import Band, multiplier, tuned_rho
from experiments.lift.comparison import Compared, Setting, compare_groups, compare_segments
from experiments.lift.cuped import (
    Covariates,
    adjust,
    check_covariates,
    first_contexts,
    imbalance,
    pre_period,
)
from experiments.lift.histories import Histories, histories
from experiments.lift.labels import label
from experiments.lift.measures import parse_measure
from experiments.lift.paths import follow, looks
from experiments.lift.plan import Plan, fixed_test, read_plan
from experiments.lift.ratio import ratio_path
from experiments.lift.selftest import self_test
from experiments.lift.tables import plan_lines, remarks
from experiments.lift.views import Totals

MakeLife = Callable[..., pa.Table]
RHO = tuned_rho(2_000.0)
REVENUE = parse_measure("revenue")[0]


@pytest.fixture(scope="module")
def found(make_life: MakeLife) -> Histories:
    """2,000 customers; treatment renews half as often again."""
    return histories(make_life(2_000, 1, lift=0.5, rate=0.1))


def pair(found: Histories) -> tuple[np.ndarray, np.ndarray]:
    return found.member("treatment"), found.member("control")


def setting(found: Histories, covariates: Covariates | None = None, count: int = 10) -> Setting:
    return Setting("treatment", "control", looks(found, count), RHO, 0.95, covariates)


def test_a_path_ends_in_the_difference_with_a_sequence_around_it(found: Histories) -> None:
    path = follow(REVENUE, found, pair(found), looks(found, 12), rho=RHO)
    assert path.at[-1] == found.end
    assert path.one is not None
    assert path.other is not None
    value = path.one.sample.mean - path.other.sample.mean
    error = (path.one.sample.variance + path.other.sample.variance) ** 0.5
    reach = float(multiplier(path.one.clock + path.other.clock, RHO)) * error
    assert path.value[-1] == pytest.approx(value)
    assert path.band.low[-1] == pytest.approx(value - reach)
    assert path.clear is not None
    assert np.all(np.diff(path.p) <= 0.0)
    assert path.p[-1] < 0.05
    assert np.isnan(path.stderr[0])  # fewer than 30 conversions in control so far
    assert np.isinf(path.band.high[0])


def test_paths_of_groups_alike_seldom_leave_zero(make_life: MakeLife) -> None:
    """Forty A/A tests with 20 looks at totals that grow: 5% are 2, and 5 is two errors above."""
    alarms = 0
    table = histories(make_life(1_200, 2, rate=0.15))
    rng = np.random.default_rng(3)
    for _ in range(40):
        half = rng.random(len(table)) < 0.5
        alarms += follow(REVENUE, table, (half, ~half), looks(table, 20), rho=RHO).clear is not None
    assert alarms <= 5


def test_cuped_keeps_the_difference_and_saves_variance(found: Histories) -> None:
    (plain,) = compare_groups(found, [REVENUE], setting(found))
    known = first_contexts(found)
    (less,) = compare_groups(found, [REVENUE], setting(found, known))
    assert np.isnan(plain.saved)
    assert 0.15 < less.saved < 0.6
    width, before = less.high - less.low, plain.high - plain.low
    assert width == pytest.approx(before * (1.0 - less.saved) ** 0.5, rel=0.02)
    error = float(plain.path.stderr[-1])
    assert abs(less.value - plain.value) < 3.0 * error * less.saved**0.5


def test_cuped_by_hand_with_one_covariate() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3_000, 1))
    y = 2.0 * x[:, 0] + rng.normal(size=3_000)
    everyone = np.ones(3_000, dtype=np.bool_)
    half = rng.random(3_000) < 0.5
    view = Totals(everyone, everyone, y, y, everyone.astype(np.float64))
    done = adjust(view, x, (half, ~half))
    within = np.concatenate([x[half, 0] - x[half, 0].mean(), x[~half, 0] - x[~half, 0].mean()])
    target = np.concatenate([y[half], y[~half]])
    theta = float(within @ target / (within @ within))
    assert done.offset == pytest.approx(theta * (x[:, 0] - x[:, 0].mean()))
    told = done.point(half)
    assert told is not None
    assert told.sample.variance * half.sum() == pytest.approx(1.0, rel=0.1)


def test_a_covariate_that_treatment_touched_is_refused(found: Histories) -> None:
    one, other = pair(found)
    assert imbalance(first_contexts(found).values, one, other) > 1e-3
    touched = np.where(one, 1.0, 0.0) + np.random.default_rng(5).normal(size=len(found))
    with pytest.raises(LogError, match="alike before the treatment, got p ="):
        check_covariates(Covariates("touched", touched[:, None]), one, other)
    many = np.random.default_rng(5).normal(size=(len(found), 200))
    with pytest.raises(LogError, match="20 customers for each of 200"):
        check_covariates(Covariates("many", many), one, other)


def test_what_happened_before_is_a_covariate_of_what_came_after(make_life: MakeLife) -> None:
    whole = histories(make_life(2_000, 6, rate=0.2))
    since = np.datetime64("2026-02-10", "us")
    after, known = pre_period(whole, since)
    assert after.first.min() == since
    assert after.events.at.min() >= since
    assert after.decided.at.min() >= since
    before = whole.events.at < since
    assert known.values[:, 0].sum() == before.sum()
    (told,) = compare_groups(after, [REVENUE], setting(after, known))
    assert told.saved > 0.02
    with pytest.raises(LogError, match="no earlier period"):
        pre_period(whole, np.datetime64("2025-01-01", "us"))


def test_covariates_are_named_and_must_be_there(found: Histories) -> None:
    assert first_contexts(found, ["monthly_bill"]).values.shape == (len(found), 1)
    with pytest.raises(LogError, match="got 'shoe_size'; the log has app_user, monthly_bill, plan"):
        first_contexts(found, ["shoe_size"])
    with pytest.raises(LogError, match="that differ between customers"):
        first_contexts(found, exclude=["app_user", "monthly_bill", "plan"])


def test_segments_hold_at_once_and_their_p_values_are_adjusted(found: Histories) -> None:
    labels = np.array([f["plan"] for f in found.features()], dtype=np.object_)
    rows = compare_segments(found, REVENUE, setting(found), labels)
    assert [row.segment for row in rows] == ["basic", "plus"]
    assert all(row.level == pytest.approx(0.975) for row in rows)
    inside = labels == "basic"
    one, other = pair(found)
    path = follow(
        REVENUE, found, (one & inside, other & inside), looks(found, 10), rho=RHO, level=0.975
    )
    assert rows[0].low == pytest.approx(float(path.band.low[-1]))
    raw = sorted(float(row.path.p[-1]) for row in rows)
    assert sorted(row.adjusted_p for row in rows) == pytest.approx(
        [min(2 * raw[0], raw[1]), raw[1]]
    )


def test_labels_are_fields_or_expressions(found: Histories, revision: Revision) -> None:
    schema = revision.workspace.customer
    contexts = [{"features": features} for features in found.features()]
    by_field = label("app_user", contexts, found.first, schema)
    assert set(by_field.tolist()) == {"true", "false"}
    rich = label("customer.monthly_bill > 40.0", contexts, found.first, schema)
    bills = np.array([f["monthly_bill"] for f in found.features()], dtype=np.float64)
    assert np.array_equal(rich == "true", bills > 40.0)
    contexts[0] = {"features": {}}
    for by in ("plan", "customer.monthly_bill > 40.0", "customer.plan"):
        assert label(by, contexts, found.first, schema)[0] == "unknown"


@pytest.mark.parametrize(
    ("by", "error", "match"),
    [
        ("pan", LogError, "did you mean 'plan'"),
        ("monthly_bill", LogError, "use an expression such as 'customer.monthly_bill >= 3'"),
        ("customer.monthly_bil > 3.0", ValueError, "did you mean 'customer.monthly_bill'"),
        ("customer.monthly_bill + 1.0", ValueError, "true or false"),
    ],
)
def test_what_makes_no_segments_is_refused(
    found: Histories, revision: Revision, by: str, error: type[Exception], match: str
) -> None:
    contexts = [{"features": features} for features in found.features()]
    with pytest.raises(error, match=match):
        label(by, contexts, found.first, revision.workspace.customer)


def test_an_expression_needs_a_schema_and_a_field_few_values(found: Histories) -> None:
    contexts = [{"features": {"zip": str(n)}} for n in range(len(found))]
    with pytest.raises(ValueError, match="name a field instead"):
        label("customer.a > 1", contexts, found.first, {})
    with pytest.raises(LogError, match="at most 50 values of 'zip', got 2,000"):
        label("zip", contexts, found.first, {})


def test_a_plan_is_told_at_its_horizon_and_not_before(found: Histories) -> None:
    plan = Plan(metric="revenue@30", horizon="2026-03-10T00:00:00Z")
    told = fixed_test(plan, found, pair(found))
    assert not told.withheld
    assert told.low < told.value < told.high
    assert (told.p < 0.05) == (told.low > 0.0 or told.high < 0.0)
    young = replace(found, end=np.datetime64("2026-03-09", "us"))
    assert "the log ends on 2026-03-09" in fixed_test(plan, young, pair(found)).withheld
    later = replace(found, end=np.datetime64("2026-09-09", "us"))
    assert fixed_test(plan, later, pair(found)) == told  # what came after does not count


def test_a_planned_reward_stays_as_it_was_at_its_horizon(make_life: MakeLife) -> None:
    whole = make_life(400, 21, rate=0.3)
    horizon = datetime(2026, 3, 1, tzinfo=UTC)
    then = whole.filter(pc.less_equal(whole["at"], horizon))  # the log, exported at the horizon
    closed = pc.if_else(pc.less_equal(then["closed_at"], horizon), then["closed_at"], None)
    then = then.set_column(then.column_names.index("closed_at"), "closed_at", closed)
    early, late = histories(then), histories(whole)
    plan = Plan(metric="reward", horizon="2026-03-01T00:00:00Z")
    early = replace(early, end=late.end)
    assert fixed_test(plan, early, pair(early)) == fixed_test(plan, late, pair(late))


def test_a_planned_test_with_few_conversions_is_a_guess(make_life: MakeLife) -> None:
    found = histories(make_life(200, 22, rate=0.01))
    plan = Plan(metric="revenue", horizon="2026-04-01T00:00:00Z")
    told = fixed_test(plan, found, pair(found))
    assert not told.enough
    assert "a guess, with fewer than 10" in plan_lines(plan, told, "EUR")[1]


def test_a_difference_that_went_away_is_not_clear(found: Histories) -> None:
    now = np.array(["2026-02-01", "2026-03-01"], dtype="datetime64[us]")
    band = Band(np.array([1.0, -1.0]), np.array([2.0, 2.0]))
    half = np.array([1.5, 0.5])
    whole = follow(parse_measure("revenue")[0], found, pair(found), now, rho=RHO)
    row = Compared(parse_measure("revenue")[0], replace(whole, band=band, value=half), 0.95)
    assert row.path.clear == now[0]
    assert not row.outside
    setting = Setting("treatment", "control", now, RHO)
    assert any("holds it again now" in line for line in remarks([row], setting))


def test_balance_does_not_depend_on_columns_that_say_the_same() -> None:
    rng = np.random.default_rng(23)
    levels, group = np.eye(3)[rng.integers(3, size=600)], rng.random(600) < 0.4
    bare = imbalance(levels[:, :2], group, ~group)
    tied = np.concatenate([levels, 1e6 * levels, 1.0 - levels], axis=1)
    assert imbalance(tied, group, ~group) == pytest.approx(bare)


def test_a_plan_can_count_customers(found: Histories) -> None:
    both = int(np.count_nonzero(found.member("treatment") | found.member("control")))
    plan = Plan(metric="revenue@30", customers=both)
    told = fixed_test(plan, found, pair(found))
    assert told.at is not None
    assert not told.withheld
    more = Plan(metric="revenue@30", customers=both + 1)
    assert f"{both:,} of {both + 1:,} planned" in fixed_test(more, found, pair(found)).withheld


def test_fixed_tests_refuse_as_often_as_they_promise(make_life: MakeLife) -> None:
    table = histories(make_life(1_500, 7, rate=0.2))
    plan = Plan(metric="conversion@30:renewed", horizon="2026-04-10T00:00:00Z", alpha=0.1)
    rng, refused = np.random.default_rng(8), 0
    for _ in range(200):
        half = rng.random(len(table)) < 0.5
        refused += fixed_test(plan, table, (half, ~half)).p < 0.1
    assert abs(refused / 200 - 0.1) < 4 * 0.021


def test_a_plan_is_read_strictly(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("metric: churn@90:left\nover: random\nhorizon: 2026-06-01T00:00:00Z\n")
    plan = read_plan(file)
    assert (str(plan.measure), plan.over, plan.alpha, len(plan.digest)) == (
        "churn@90:left", "random", 0.05, 16,
    )  # fmt: skip
    for text, match in (
        ("metric: churn:left\nhorizon: 2026-06-01T00:00:00Z\n", "expected one metric"),
        ("metric: nonsense\ncustomers: 10\n", "plan.yaml:1:1: at metric: .*'nonsense'"),
        ("metric: reward\n", "either 'horizon' or 'customers'"),
        ("metric: reward\nhorizon: June\n", "expected an instant"),
        ("metric: reward\ncustomers: 10\nalpah: 0.1\n", "alpah"),
        ("metric: reward\ncustomers: 10\ngroup: random\nover: random\n", "two different groups"),
    ):
        file.write_text(text)
        with pytest.raises(DocumentError, match=match):
            read_plan(file)
    with pytest.raises(StateError, match=r"none.yaml cannot be read: No such file or directory$"):
        read_plan(tmp_path / "none.yaml")


def test_control_against_itself_cries_wolf_as_often_as_promised(found: Histories) -> None:
    told = self_test(REVENUE, found, looks(found, 40), rho=RHO, splits=300)
    assert told.customers == found.member("control").sum()
    assert told.started == 1.0
    assert told.fixed <= 0.05 + 4 * told.error(0.05)
    assert told.peeking > told.fixed
    assert told.sequential <= 0.05
    assert self_test(REVENUE, found, looks(found, 40), rho=RHO, splits=300) == told
    other = self_test(REVENUE, found, looks(found, 40), rho=RHO, splits=300, salt="b")
    assert other != told


def test_a_self_test_needs_customers_and_a_mean(found: Histories) -> None:
    with pytest.raises(ValueError, match="a mean or a ratio"):
        self_test(parse_measure("retention@30:unsubscribed")[0], found, looks(found, 2), rho=RHO)
    few = replace(found, group=np.array(["treatment"] * len(found), dtype=np.object_))
    with pytest.raises(LogError, match="at least 20 customers in control, got 0"):
        self_test(REVENUE, few, looks(found, 2), rho=RHO)
    never = self_test(parse_measure("churn@365:unsubscribed")[0], found, looks(found, 2), rho=RHO)
    assert (never.started, never.peeking) == (0.0, 0.0)


def test_the_sequential_ratio_test_is_the_bayes_factor() -> None:
    from scipy.special import gammaln

    rng = np.random.default_rng(9)
    shares = np.array([0.7, 0.2, 0.1])
    codes = rng.choice(3, 500, p=shares)
    counts = np.bincount(codes, minlength=3)
    a = 100.0 * shares
    factor = (
        gammaln(a + counts).sum() - gammaln(a.sum() + 500) - gammaln(a).sum() + gammaln(a.sum())
        - counts @ np.log(shares)
    )  # fmt: skip
    assert ratio_path(codes, shares).log_evidence[-1] == pytest.approx(factor)


def test_the_sequential_ratio_test_seldom_cries_wolf_and_finds_a_fault() -> None:
    rng = np.random.default_rng(10)
    right = [ratio_path(rng.choice(2, 4_000, p=[0.8, 0.2]), [0.8, 0.2]).p[-1] for _ in range(300)]
    assert np.mean(np.array(right) < 0.05) <= 0.05
    wrong = ratio_path(rng.choice(2, 20_000, p=[0.77, 0.23]), [0.8, 0.2])
    assert wrong.alarm is not None
    assert wrong.p[-1] < 1e-3
    assert ratio_path([0, 0, 1], [1.0, 0.0]).alarm == 3  # nobody can be in a group of share 0
    assert ratio_path(np.zeros(0, dtype=np.int64), [0.5, 0.5]).alarm is None
