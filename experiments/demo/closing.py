"""The demo's closing table: what the log says, beside what the simulator knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.table import Table

from agents.groups import Group
from experiments.evaluate import Evaluation
from experiments.lift import Lift

PER = 1_000.0


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast the server answered.

    Args:
        decisions_per_s: decisions over the whole drive, outcomes being sent in between.
        p50_ms, p99_ms: latency of one decision as its caller saw it.
    """

    decisions_per_s: float
    p50_ms: float
    p99_ms: float

    @classmethod
    def of(cls, latencies_ms: Sequence[float], seconds: float) -> Speed:
        """Summarise the latencies of a drive."""
        p50, p99 = np.percentile(np.asarray(latencies_ms), [50.0, 99.0])
        return cls(len(latencies_ms) / seconds, float(p50), float(p99))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of figures, in currency per 1,000 customers or decisions.

    Args:
        count: customers or decisions that it rests on.
        truth: what the simulator knows, free of the luck of outcomes.
        ess: effective sample size, for an off-policy estimate.
    """

    name: str
    count: int
    value: float
    low: float
    high: float
    truth: float
    ess: float | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """Everything the demo found out."""

    currency: str
    decisions: int
    groups: tuple[Row, ...]
    lifts: tuple[Row, ...]
    values: tuple[Row, ...]
    breaches: int
    mean_weight: float
    audit_passed: bool
    snapshots: int
    speed: Speed

    def to_record(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self)


def group_rows(lift: Lift, truth: dict[Group, float]) -> tuple[Row, ...]:
    """Lay the measured reward of each group beside the true one, per 1,000 customers."""
    return tuple(
        Row(
            f"{g.group}, {g.decisions:,} decisions", g.customers,
            g.value, g.low, g.high, truth[Group(g.group)],
        )
        for g in lift.groups
    )  # fmt: skip


def lift_rows(lift: Lift, truth: dict[Group, float]) -> tuple[Row, ...]:
    """Lay the measured lift of treatment beside the true one, on the treated customers.

    Args:
        lift: as measured.
        truth: what the treated customers are worth, per 1,000, under each group's rule.
    """
    treated = next(g.customers for g in lift.groups if g.group == Group.TREATMENT)
    rows = []
    for other in (Group.CONTROL, Group.RANDOM):
        found = lift.over(Group.TREATMENT, other)
        known = truth[Group.TREATMENT] - truth[other]
        name = f"treatment over {other}"
        rows.append(Row(name, treated, found.value, found.low, found.high, known))
    return tuple(rows)


def value_rows(
    evaluation: Evaluation, target: NDArray[np.float64], expected: NDArray[np.float64]
) -> tuple[Row, ...]:
    """Lay off-policy estimates beside the true value, per 1,000 decisions.

    Args:
        evaluation: of that policy on some decisions.
        target: (N, A) probabilities of the policy that was valued.
        expected: (N, A) currency, the world's expected rewards at the same decisions.
    """
    known = float((target * expected).sum(axis=1).mean())
    return tuple(
        Row(
            f"{evaluation.target}, {row.estimator.upper()}", row.n,
            row.value * PER, row.low * PER, row.high * PER, known * PER, row.ess,
        )
        for row in evaluation.estimates
    )  # fmt: skip


def closing_table(closing: Closing) -> Table:
    """Lay everything out as one table, 80 characters wide at most."""
    title = f"What the log says, and what is true ({closing.currency})"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.pad_edge, table.collapse_padding = False, True
    table.add_column("", no_wrap=True)
    for name in ("n", "value", "95% interval", "truth", "ESS"):
        table.add_column(name, justify="right", no_wrap=True)
    _section(table, "Reward per 1,000 customers", closing.groups)
    _section(table, "Lift per 1,000 customers", closing.lifts)
    _section(table, "Value per 1,000 decisions", closing.values)
    audit = "audit passed" if closing.audit_passed else "AUDIT FAILED"
    speed = closing.speed
    for name, value in (
        ("Decisions", f"{closing.decisions:,}"),
        ("Breaches, by the re-check", f"{closing.breaches:,}"),
        (f"Mean weight, {audit}", f"{closing.mean_weight:.4f}"),
        ("Snapshots published", f"{closing.snapshots:,}"),
        ("Decisions per second", f"{speed.decisions_per_s:,.0f}"),
        ("Latency p50, ms", f"{speed.p50_ms:.1f}"),
        ("Latency p99, ms", f"{speed.p99_ms:.1f}"),
    ):
        table.add_row(name, "", value)
    return table


def _section(table: Table, title: str, rows: tuple[Row, ...]) -> None:
    table.add_row(f"[bold]{title}")
    for row in rows:
        table.add_row(
            f"  {row.name}",
            f"{row.count:,}",
            f"{row.value:,.0f}",
            f"{row.low:,.0f} to {row.high:,.0f}",
            f"{row.truth:,.0f}",
            "" if row.ess is None else f"{row.ess:,.0f}",
        )
    table.add_section()
