"""Tables: comparisons of groups as a terminal shows them, and as plain values for a machine."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from experiments.intervals.asymptotic import FIRST_LOOK
from experiments.lift.comparison import Compared, Setting
from experiments.lift.cuped import WORTH_IT
from experiments.lift.plan import Fixed, Plan, day
from experiments.lift.ratio import SUSPICIOUS, RatioPath
from experiments.lift.selftest import SelfTest
from experiments.lift.views import Point
from experiments.report import amounts, digits_of

_FEW = "few data"


def comparison_table(rows: Sequence[Compared], setting: Setting, currency: str) -> Table:
    """Lay out measures side by side: both groups, their difference and its sequence."""
    table = _table(f"{setting.group} less {setting.over}, at any look", "metric", setting.level)
    for row in rows:
        name = Text(f"{row.measure}\n  {row.measure.unit(currency)}")
        table.add_row(name, *_amounts(row, _digits([row])), _note(row))
    _keep_figures(table)
    return table


def segment_table(rows: Sequence[Compared], by: str, currency: str) -> Table:
    """Lay out the segments of one measure; the intervals of all of them hold at once.

    Args:
        rows: at least one.
        by: the field or expression that makes the segments.
        currency: three letters.
    """
    first = rows[0]
    title = f"{first.measure} by {by}, {first.measure.unit(currency)}"
    table, digits = _table(title, "segment", first.level), _digits(rows)
    for row in rows:
        p = "< 0.001" if row.adjusted_p < 1e-3 else f"{row.adjusted_p:.3f}"
        words = [f"adjusted p {p}" if row.enough else "not tested", *filter(None, [_note(row)])]
        table.add_row(Text(row.segment), *_amounts(row, digits), ", ".join(words))
    _keep_figures(table)
    return table


def remarks(rows: Sequence[Compared], setting: Setting) -> list[str]:
    """Say what the table leaves out: who was not counted yet, and what CUPED was good for."""
    found = []
    for row in rows:
        if row.path.clear is not None:
            since = f"{row.measure}: the interval first left 0 out on {day(row.path.clear)}"
            found.append(since + ("" if row.outside else ", and holds it again now"))
        late = [point.left_out if point else 0 for point in (row.path.one, row.path.other)]
        if row.measure.days is not None and any(late):
            what = "counted as long as they were" if row.measure.kind == "retention" else "left out"
            found.append(
                f"{row.measure}: {late[0]:,} of {setting.group} and {late[1]:,} of {setting.over}"
                f" have been observed for less than {row.measure.days} days and are {what}"
            )
    if any(_note(row) == _FEW for row in rows):
        found.append(
            f"{_FEW}: no interval before both groups have {FIRST_LOOK:.0f} effective conversions;"
            " until then a lift may be nothing but luck"
        )
    if setting.covariates is not None:
        saved = [
            f"{row.measure} {row.saved:.1%}" + ("" if row.saved >= WORTH_IT else " (not worth it)")
            for row in rows
            if not math.isnan(row.saved)
        ]
        found.append(
            f"CUPED with {setting.covariates.about} saved of the variance:"
            f" {', '.join(saved) or 'nothing, no metric here is a mean that is known by now'}"
        )
    return found


def ratio_lines(p: float, path: RatioPath | None) -> list[str]:
    """Say whether the groups' sizes can come from the declared shares."""
    if path is None:
        return ["group sizes not checked: the declared shares are not known, or changed"]
    verdict = "fit" if p >= SUSPICIOUS and path.alarm is None else "CONTRADICT"
    ever = float(path.p[-1]) if len(path.p) else 1.0
    first = "" if path.alarm is None else f"; first refused after {path.alarm:,} customers"
    return [
        f"group sizes {verdict} the declared shares: chi-square p = {p:.3g} now,"
        f" p = {ever:.3g} at all times{first}"
    ]


def plan_lines(plan: Plan, fixed: Fixed, currency: str) -> list[str]:
    """Say what was declared, and what the test at its horizon found."""
    measure = plan.measure
    head = f"plan {plan.digest}: {measure}, {plan.group} less {plan.over}, alpha {plan.alpha:g}"
    if fixed.withheld:
        return [head, f"  withheld: {fixed.withheld}"]
    value, low, high = (x * measure.scale for x in (fixed.value, fixed.low, fixed.high))
    verdict = "a difference" if fixed.p < plan.alpha else "no difference shown"
    if not fixed.enough:
        verdict = "a guess, with fewer than 10 effective conversions in a group"
    when = "" if fixed.at is None else f"on {day(fixed.at)}: "
    return [
        head,
        f"  {when}{value:+,.2f} {measure.unit(currency)}, {100 * (1 - plan.alpha):g}% from"
        f" {low:+,.2f} to {high:+,.2f}, p = {fixed.p:.3g}: {verdict}",
    ]


def self_test_table(tests: Sequence[SelfTest]) -> Table:
    """Lay out how often each test found a difference between halves of a group.

    Args:
        tests: of one group with the same looks, at least one.
    """
    first = tests[0]
    table = _bare(
        f"A/A, {first.customers:,} customers halved {first.splits:,} times: false alarms at"
        f" {first.looks} looks"
    )
    table.add_column("metric")
    for name in ("fixed, at the end", "fixed, peeking", "sequence"):
        table.add_column(name, justify="right")
    table.add_column("note")
    for test in tests:
        shares = (test.fixed, test.peeking, test.sequential)
        cells = [f"{share:.1%} ± {test.error(share):.1%}" for share in shares]
        told = cells if test.started else ["", "", ""]
        table.add_row(Text(str(test.measure)), *told, "" if test.started else _FEW)
    alpha = 1.0 - first.level
    table.add_row("promised", f"{alpha:.1%}", "nothing", f"at most {alpha:.1%}", "")
    return table


def record(row: Compared, currency: str) -> dict[str, object]:
    """Return a comparison as plain values for JSON; None where something is not known, and why."""
    return {
        "metric": str(row.measure), "unit": row.measure.unit(currency), "reason": _reason(row),
        "segment": row.segment or None,
        "group": _point(row.path.one, row.measure.scale),
        "over": _point(row.path.other, row.measure.scale),
        "difference": _known(row.value * row.measure.scale),
        "low": _known(row.low * row.measure.scale), "high": _known(row.high * row.measure.scale),
        "level": row.level, "enough": row.enough, "p": _known(float(row.path.p[-1])),
        "adjusted_p": _known(row.adjusted_p) if row.enough else None,
        "variance_saved": _known(row.saved),
        "clear": None if row.path.clear is None else str(row.path.clear), "outside": row.outside,
        "looks": [
            {"at": str(at), "difference": _known(value), "low": _known(low), "high": _known(high)}
            for at, value, low, high in zip(
                row.path.at.tolist(), *(
                    (x * row.measure.scale).tolist()
                    for x in (row.path.value, row.path.band.low, row.path.band.high)
                ), strict=True,
            )
        ],
    }  # fmt: skip


def _point(point: Point | None, scale: float) -> dict[str, object] | None:
    if point is None:
        return None
    return {
        "customers": point.customers, "left_out": point.left_out,
        "mean": point.sample.mean * scale, "stderr": point.sample.variance**0.5 * scale,
        "effective_conversions": point.sample.conversions,
    }  # fmt: skip


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _figures(row: Compared) -> tuple[float, ...]:
    """Return both groups' means, their difference and its ends, as a table has them."""
    points = [row.path.one, row.path.other]
    means = [math.nan if p is None else p.sample.mean for p in points]
    return tuple(x * row.measure.scale for x in (*means, row.value, row.low, row.high))


def _digits(rows: Sequence[Compared]) -> int:
    return digits_of(x for row in rows for x in _figures(row))


def _amounts(row: Compared, digits: int) -> tuple[str, ...]:
    figures = _figures(row)
    return amounts(*figures[:2], digits=digits) + amounts(*figures[2:], sign="+", digits=digits)


def _reason(row: Compared) -> str | None:
    """Say why there is no difference or no interval, and what data it would take."""
    points, days = (row.path.one, row.path.other), row.measure.days
    if None in points and days is not None:
        return (
            f"too early: expected customers of both groups who have been observed for {days} days;"
            " take a longer log"
        )
    if None in points:
        return "nothing to compare yet: expected two customers of both groups whom it is known of"
    if not row.enough:
        return (
            f"{_FEW}: no interval before both groups have {FIRST_LOOK:.0f} effective conversions;"
            " take more customers or a longer log"
        )
    return None


def _note(row: Compared) -> str:
    if row.path.one is None or row.path.other is None:
        return "too early" if row.measure.days else "nothing"
    if not row.enough:
        return _FEW
    return "clear" if row.outside else ""


def _table(title: str, first: str, level: float) -> Table:
    table = _bare(title)
    table.add_column(first)
    for name in ("treated", "others", "lift", f"{100.0 * level:.4g}% from", "to"):
        table.add_column(name, justify="right")
    table.add_column("note")
    return table


def _keep_figures(table: Table) -> None:
    """Let the note give way in a narrow window, and no figure."""
    for column in table.columns[:-1]:
        column.no_wrap = True


def _bare(title: str) -> Table:
    return Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
