"""Plans: one metric, one horizon and one alpha, declared before the data are seen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator
from scipy import special

from agents.errors import StateError, UnknownNameError
from agents.loading.faults import validate
from agents.spec import Document
from agents.units import parse_instant
from agents.yamlsource import read_yaml
from experiments.estimators import ENOUGH_CONVERSIONS
from experiments.intervals import Bounds, MeanSample, difference_interval
from experiments.lift.cuped import adjust
from experiments.lift.histories import DAY, Histories
from experiments.lift.measures import Measure, parse_measure
from experiments.lift.views import Floats, Mask, Totals


def _one_measure(text: str) -> str:
    try:
        found = parse_measure(text)
    except UnknownNameError as error:
        raise ValueError(str(error)) from None
    if len(found) > 1:
        raise ValueError(f"expected one metric, such as {found[0]}, got {text!r}")
    return text


def _instant(text: str) -> str:
    parse_instant(text)
    return text


class Plan(Document):
    """What was declared before the experiment began; see docs/evaluation.md."""

    metric: Annotated[str, AfterValidator(_one_measure)] = Field(
        description="what groups are compared by, such as conversion@30:renewed"
    )
    group: Literal["treatment", "random"] = Field("treatment", description="whose lift it is")
    over: Literal["control", "random"] = Field("control", description="over whom")
    alpha: float = Field(0.05, gt=0.0, lt=0.5, description="how often a false alarm may happen")
    horizon: Annotated[str, AfterValidator(_instant)] | None = Field(
        None, description="the instant at which the test is made, once"
    )
    customers: int | None = Field(
        None, ge=2, description="or how many customers of both groups it is made with"
    )
    covariates: tuple[str, ...] | None = Field(
        None,
        description="customer fields that CUPED takes out, [] for all at the first decision; no"
        " CUPED if not said: to choose it afterwards is a second look",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.horizon is None) == (self.customers is None):
            raise ValueError("expected either 'horizon' or 'customers'; got both or neither")
        if self.group == self.over:
            raise ValueError(f"expected two different groups, got {self.group!r} twice")
        return self

    @property
    def measure(self) -> Measure:
        """The one metric."""
        return parse_measure(self.metric)[0]

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of its SHA-256, to compare with what was written down."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


def read_plan(path: Path) -> Plan:
    """Read a plan from a YAML file.

    Raises:
        StateError: the file cannot be read.
        DocumentError: it is no such plan; names line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise StateError(f"--plan: {path} cannot be read: {why}") from error
    return validate(Plan, read_yaml(text, str(path)))


@dataclass(frozen=True)
class Fixed:
    """The pre-registered test, or why it is not told yet.

    Args:
        withheld: in words; empty if the test was made.
        at: the instant that it looks at, whatever came later.
        value, low, high: difference of the means with Welch's interval at 1 - alpha.
        p: two-sided.
        enough: whether both groups have at least 10 effective conversions.
    """

    withheld: str
    at: np.datetime64 | None = None
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    p: float = float("nan")
    enough: bool = False


def fixed_test(
    plan: Plan, found: Histories, groups: tuple[Mask, Mask], covariates: Floats | None = None
) -> Fixed:
    """Make the pre-registered test, once and at its horizon.

    Before the horizon nothing is told: a fixed interval that is looked at every day is wrong far
    more often than it says. After it only what was known at the horizon counts.

    Args:
        plan: what was declared.
        found: the customers.
        groups: (C,) members of the plan's two groups.
        covariates: (C, D) for CUPED; not used unless the plan says so.
    """
    due, reason = _due(plan, found, groups)
    if due is None or reason:
        return Fixed(reason, due)
    view = plan.measure.at(found, due)
    if plan.covariates is not None and covariates is not None and isinstance(view, Totals):
        view = adjust(view, covariates, groups)
    one, other = (view.point(group) for group in groups)
    if one is None or other is None:
        return Fixed("the metric is not defined in both groups at the horizon", due)
    low, high = difference_interval(one.sample, other.sample, 1.0 - plan.alpha)
    value = one.sample.mean - other.sample.mean
    p = welch_p(one.sample, other.sample, Bounds(low, high))
    enough = min(one.sample.conversions, other.sample.conversions) >= ENOUGH_CONVERSIONS
    return Fixed("", due, value, low, high, p, enough)


def welch_p(one: MeanSample, other: MeanSample, bounds: Bounds) -> float:
    """Return the two-sided p-value of Welch's test; 1 if neither group varies.

    Args:
        one: the first group.
        other: the second.
        bounds: the difference's interval, of no width if neither varies.
    """
    variance = one.variance + other.variance
    if variance == 0.0:
        return 1.0 if bounds.low == 0.0 else 0.0
    df = variance**2 / (one.variance**2 / one.df + other.variance**2 / other.df)
    return float(2.0 * special.stdtr(df, -abs(one.mean - other.mean) / variance**0.5))


def _due(
    plan: Plan, found: Histories, groups: tuple[Mask, Mask]
) -> tuple[np.datetime64 | None, str]:
    """Return the horizon as an instant, and why it has not been reached; empty if it has."""
    if plan.horizon is not None:
        due = np.datetime64(parse_instant(plan.horizon).replace(tzinfo=None), "us")
    else:
        come = np.sort(found.first[groups[0] | groups[1]])
        wanted = plan.customers or 0
        if len(come) < wanted:
            return None, f"{len(come):,} of {wanted:,} planned customers have come"
        due = come[wanted - 1] + (plan.measure.days or 0) * DAY
    if due > found.end:
        return due, f"its horizon is {day(due)}, and the log ends on {day(found.end)}"
    return due, ""


def day(instant: np.datetime64) -> str:
    """Write an instant as its day, in UTC."""
    return str(instant.astype("datetime64[D]"))
