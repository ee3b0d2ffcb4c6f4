"""Reports: evaluations and lift as tables, on a terminal or as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from agents.groups import Group
from experiments.diagnostics import Audit
from experiments.evaluate import Evaluation
from experiments.lift import Lift
from experiments.metrics import MetricResult

_PER = 1_000.0
_FEW = "not enough data"


def value_table(evaluations: Sequence[Evaluation], currency: str) -> Table:
    """Lay out the estimates of one policy or several, in currency per 1,000 decisions.

    Args:
        evaluations: on the same log.
        currency: three letters, for the header.
    """
    table = _table(f"Value in {currency} per 1,000 decisions")
    level = evaluations[0].estimates[0].level
    _columns(table, ("policy", "estimator"), ("value", *_bounds(level)))
    table.add_column("note")
    for evaluation in evaluations:
        for row in evaluation.estimates:
            amounts = _amounts(*(x * _PER for x in (row.value, row.low, row.high)))
            name = Text(evaluation.target)
            table.add_row(name, row.estimator, *amounts, "" if row.enough else _FEW)
    return table


def diagnostics_table(evaluations: Sequence[Evaluation]) -> Table:
    """Lay out what says how far the estimates can be believed: see `Diagnostics`.

    `ESS` is the effective sample size, `conversions` are effective ones, `top 10` is the share of
    the ten greatest terms.
    """
    table = _table("How far to believe it")
    _columns(table, ("policy",), ("decisions", "ESS", "conversions"))
    _columns(table, (), ("max weight", "top 10", "unsupported"))
    for evaluation in evaluations:
        found = evaluation.diagnostics
        table.add_row(
            Text(evaluation.target), f"{found.n:,}", f"{found.ess:,.0f}",
            f"{found.effective_conversions:,.1f}", f"{found.max_weight:,.1f}",
            f"{found.top_share:.1%}", f"{found.unsupported:.2%}",
        )  # fmt: skip
    return table


def audit_lines(audit: Audit) -> str:
    """Say whether actions were drawn with the logged propensities, and how that was tested."""
    verdict = "passed" if audit.passed else "FAILED"
    return (
        f"Propensity audit {verdict}\n"
        f"  mean weight {audit.mean_weight:.4f}, 1 expected (p = {audit.p_mean:.3g})\n"
        f"  draws by action: chi-square {audit.chi_square:.1f} on {audit.df}"
        f" (p = {audit.p_draws:.3g})\n"
        f"  rarities drawn: {audit.rare:,}, {audit.expected_rare:,.1f} expected"
        f" (p = {audit.p_rare:.3g})"
    )


def groups_table(lift: Lift, currency: str) -> Table:
    """Lay out what each group earned, in currency per 1,000 customers."""
    table = _table(f"Reward in {currency} per 1,000 customers")
    _columns(table, ("group",), ("customers", "decisions", "value", *_bounds(lift.level)))
    table.add_column("note")
    for group in lift.groups:
        sizes = (f"{group.customers:,}", f"{group.decisions:,}")
        amounts = _amounts(group.value, group.low, group.high)
        table.add_row(group.group, *sizes, *amounts, "" if group.enough else _FEW)
    return table


def lift_table(lift: Lift, currency: str) -> Table:
    """Lay out the groups' differences, in currency per 1,000 customers.

    If the groups' sizes contradict the declared shares, the differences are withheld.
    """
    table = _table(f"Lift in {currency} per 1,000 customers")
    _columns(table, ("group", "over"), ("value", *_bounds(lift.level)))
    table.add_column("note")
    for row in () if lift.mismatch else lift.differences:
        amounts = _amounts(row.value, row.low, row.high, sign="+")
        table.add_row(row.group, row.over, *amounts, "" if row.enough else _FEW)
    return table


def lift_warnings(lift: Lift) -> list[str]:
    """Say in words what speaks against the comparison of the groups."""
    found = []
    if lift.mismatch:
        found.append(
            f"the groups' sizes contradict the declared shares (p = {lift.ratio_p:.2g}); the lift"
            " is withheld until the assignment is understood"
        )
    if lift.moved:
        found.append(f"{lift.moved:,} customers were seen in two groups and are left out")
    return found


def metrics_table(metrics: Sequence[MetricResult], level: float) -> Table:
    """Lay out how often outcomes happened in each group, in events per 1,000 customers.

    Args:
        metrics: of one agent.
        level: of the intervals, for the header.
    """
    table = _table("Events per 1,000 customers; the lift is treatment less control")
    _columns(table, ("outcome",), (*map(str, Group), "lift", *_bounds(level)))
    table.add_column("note")
    for row in metrics:
        rates = [_rate(row.rates.get(str(group))) for group in Group]
        amounts = _amounts(row.value, row.low, row.high, sign="+")
        note = "worse" if row.worse else "" if row.enough else _FEW
        table.add_row(f"{row.outcome}\n  {row.metric}", *rates, *amounts, note)
    for column in table.columns[:-1]:
        column.no_wrap = True  # so that in a narrow window the note gives way, and no figure
    return table


def metrics_warnings(metrics: Sequence[MetricResult]) -> list[str]:
    """Say in words which guardrail metrics got worse."""
    return [
        f"{row.outcome} is a guardrail metric and got worse: {row.value:+,.1f} per 1,000 customers,"
        f" from {row.low:+,.1f} to {row.high:+,.1f}"
        for row in metrics
        if row.worse
    ]


def to_text(*parts: RenderableType, width: int = 120) -> str:
    """Render as plain text without colours, for files and tests."""
    console = Console(file=StringIO(), width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(*parts, sep="\n", highlight=False, markup=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )


def _columns(table: Table, texts: Sequence[str], numbers: Sequence[str]) -> None:
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")


def _amounts(*values: float, sign: str = "") -> tuple[str, ...]:
    """Write the amounts of one row alike; hundredths only where they can matter."""
    digits = 0 if max(map(abs, values)) >= 1_000.0 else 2
    return tuple(f"{value:{sign},.{digits}f}" for value in values)


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:,.1f}"


def _bounds(level: float) -> tuple[str, str]:
    return f"{100.0 * level:g}% from", "to"
