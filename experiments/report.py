"""Reports: evaluations and lift as tables, on a terminal or as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from math import isfinite

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from agents.groups import Group
from experiments.diagnostics import Audit
from experiments.estimators import HEADLINE
from experiments.evaluate import Evaluation
from experiments.lift import Lift
from experiments.lift.metrics import MetricResult

PER = 1_000.0
_FEW = "not enough data"
REFUSED = "not supported"
FORCED = "FORCED, not supported"
SENSITIVITY = "sensitivity"


def value_table(evaluations: Sequence[Evaluation], currency: str) -> Table:
    """Lay out the estimates of one policy or several, in currency per 1,000 decisions.

    Args:
        evaluations: on the same log.
        currency: three letters, for the header.
    """
    table = table_of(f"Value in {currency} per 1,000 decisions")
    columns(table, ("policy", "estimator"), ("value", *bounds(evaluations[0].level)))
    table.add_column("note")
    digits = digits_of(
        PER * x
        for each in evaluations
        for row in each.shown
        for x in (row.value, row.low, row.high)
    )
    for evaluation in evaluations:
        supported = evaluation.verdict.supported
        if not evaluation.shown:
            table.add_row(Text(evaluation.target), "", "", "", "", REFUSED)
        for row in evaluation.shown:
            cells = amounts(*(x * PER for x in (row.value, row.low, row.high)), digits=digits)
            headline = row.estimator.partition("=")[0] in HEADLINE
            note = FORCED if not supported else "" if headline else SENSITIVITY
            table.add_row(Text(evaluation.target), row.estimator, *cells, note)
    return table


def verdict_lines(evaluations: Sequence[Evaluation]) -> list[str]:
    """Say in words why evaluations are not supported and what would be, and what to heed.

    What is true of the log is true of all policies: the same words are told once, for all of them.
    """
    said: dict[tuple[str, str, str], list[str]] = {}  # who it is about, by what is said
    for each in evaluations:
        verdict = each.verdict
        lines = [("", f"{REFUSED}: ", check.words) for check in verdict.reasons]
        lines += [("", "needed: ", words) for words in verdict.needed]
        lines += [("warning: ", "", c.words) for c in verdict.checks if c.verdict == "warn"]
        for line in lines:
            said.setdefault(line, []).append(each.target)
    everyone = len(evaluations) if len(evaluations) > 1 else 0
    return [
        f"{first}{'' if len(who) == everyone else ', '.join(who) + ': '}{then}{words}"
        for (first, then, words), who in said.items()
    ]


def diagnostics_table(evaluations: Sequence[Evaluation]) -> Table:
    """Lay out what says how far the estimates can be believed: see `Diagnostics`.

    `ESS` is the effective sample size, `conversions` are effective ones, `top 10` is the share of
    the ten greatest terms.
    """
    table = table_of("How far to believe it")
    columns(table, ("policy",), ("decisions", "ESS", "conversions"))
    columns(table, (), ("max weight", "top 10", "unsupported"))
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
    table = table_of(f"Reward in {currency} per 1,000 customers")
    columns(table, ("group",), ("customers", "decisions", "value", *bounds(lift.level)))
    table.add_column("note")
    digits = digits_of(x for each in lift.groups for x in (each.value, each.low, each.high))
    for group in lift.groups:
        sizes = (f"{group.customers:,}", f"{group.decisions:,}")
        cells = amounts(group.value, group.low, group.high, digits=digits)
        table.add_row(group.group, *sizes, *cells, "" if group.enough else _FEW)
    return table


def lift_table(lift: Lift, currency: str) -> Table:
    """Lay out the groups' differences, in currency per 1,000 customers.

    If the groups' sizes contradict the declared shares, the differences are withheld: where that
    leaves nothing, `Lift.told` is false and there is no table to print.
    """
    table = table_of(f"Lift in {currency} per 1,000 customers")
    columns(table, ("group", "over"), ("value", *bounds(lift.level)))
    table.add_column("note")
    digits = digits_of(x for row in lift.differences for x in (row.value, row.low, row.high))
    for row in lift.differences if lift.told else ():
        cells = amounts(row.value, row.low, row.high, sign="+", digits=digits)
        table.add_row(row.group, row.over, *cells, "" if row.enough else _FEW)
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
    table = table_of("Events per 1,000 customers; the lift is treatment less control")
    columns(table, ("outcome",), (*map(str, Group), "lift", *bounds(level)))
    table.add_column("note")
    digits = digits_of(x for row in metrics for x in (row.value, row.low, row.high))
    for row in metrics:
        rates = [_rate(row.rates.get(str(group))) for group in Group]
        cells = amounts(row.value, row.low, row.high, sign="+", digits=digits)
        note = "worse" if row.worse else "" if row.enough else _FEW
        table.add_row(f"{row.outcome}\n  {row.metric}", *rates, *cells, note)
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


def table_of(title: str) -> Table:
    """Make an empty table, as all reports have it."""
    return Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )


def columns(table: Table, texts: Sequence[str], numbers: Sequence[str]) -> None:
    """Add columns of texts, then of numbers."""
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")


def digits_of(values: Iterable[float]) -> int:
    """Return how many digits after the point all amounts of a table have: 2 if none is great.

    Example:
        >>> digits_of([12.5, -3.0]), digits_of([1_200.0, 3.0]), digits_of([float("inf"), 3.0])
        (2, 0, 2)
    """
    return 0 if any(isfinite(value) and abs(value) >= 1_000.0 for value in values) else 2


def amounts(*values: float, sign: str = "", digits: int = 2) -> tuple[str, ...]:
    """Write the amounts of one row, with as many digits as all rows of the table."""
    return tuple(f"{value:{sign},.{digits}f}" if isfinite(value) else "" for value in values)


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:,.1f}"


def bounds(level: float) -> tuple[str, str]:
    """Return the headers of an interval's two ends."""
    return f"{100.0 * level:g}% from", "to"
