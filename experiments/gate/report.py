"""What a gate found, as a table and as plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from experiments.gate.canary import Canary, Course
from experiments.gate.judging import Judgement
from experiments.gate.verdict import Criterion
from experiments.intervals.asymptotic import FIRST_LOOK
from experiments.tracking.evaluations import diagnostic_figures


def judgement_parts(found: Judgement, currency: str) -> Iterator[RenderableType]:
    """Lay out each criterion, and what follows.

    Args:
        found: of a gate.
        currency: of amounts, which are per 1,000 decisions.
    """
    table = _table(f"{found.decisions:,} decisions; amounts in {currency} per 1,000")
    for name in ("criterion", "found", "asked for", ""):
        table.add_column(name)
    for row in found.criteria:
        value, mark = _told(row, found)
        table.add_row(Text(row.name), value, row.limit, mark)
    yield table
    for row in found.missing:
        yield f"not enough evidence: {row.name}: {row.words}"
        if row.needed:
            yield f"  needed: {row.needed}"
    yield found.outcome.value


def _told(row: Criterion, found: Judgement) -> tuple[str, str]:
    """Return what was found and what is thought of it; of merit nothing without evidence."""
    if row.role == "merit" and found.missing:
        return "", "not judged"
    if row.passed:
        return row.value, "pass"
    return row.value, "not enough" if row.role == "evidence" else "FAIL"


def judgement_record(found: Judgement) -> dict[str, Any]:
    """Return what a gate found as plain values; amounts are currency per decision.

    Where evidence is missing, merit is not judged: it has neither values nor a verdict.
    """
    judged = {row.name: row.role != "merit" or not found.missing for row in found.criteria}
    return {
        "outcome": found.outcome.value,
        "exit_code": found.outcome.exit_code,
        "decisions": found.decisions,
        "conversions": min((each.conversions for each in found.differences), default=None),
        "diagnostics": {
            each.target: diagnostic_figures(each.diagnostics) for each in found.evaluations
        },
        "missing": [
            {"name": each.name, "reason": each.words, "needed": each.needed}
            for each in found.missing
        ],
        "criteria": [
            {"name": each.name, "role": each.role, "limit": each.limit,
             "found": each.value if judged[each.name] else None,
             "passed": each.passed if judged[each.name] else None}
            for each in found.criteria
        ],
        "differences": [
            {"estimator": each.estimator, "value": each.value, "stderr": each.stderr,
             "low": each.low, "high": each.high, "level": each.level}
            for each in (() if found.missing else found.differences)
        ],
    }  # fmt: skip


def canary_parts(found: Canary, currency: str) -> Iterator[RenderableType]:
    """Lay out each metric at the last look, when something was sure first, and what follows.

    Args:
        found: of a canary.
        currency: of the reward, which is per 1,000 decisions.
    """
    yield (
        f"{found.canary:,} decisions of the canary, {found.champion:,} of the champion"
        f" in the same time; {currency}, or events, per 1,000"
    )
    table = _table("Canary less champion; above 0 is better")
    for name in ("metric", "value", "from", "to", "sure"):
        table.add_column(name, justify="left" if name in ("metric", "sure") else "right")
    for course in found.courses:
        table.add_row(Text(course.metric), *_last(course), _sure(course))
    yield table
    if found.breaches is not None:
        yield f"decisions of the canary against a rule: {found.breaches:,}"
    if found.needed:
        yield (
            f"not enough evidence: {found.conversions:,.1f} effective conversions in the smaller"
            f" arm, at least {FIRST_LOOK:g} needed."
        )
        yield f"  needed: {found.needed}"
    if found.share.fault:
        yield f"warning: {found.share.fault}"
        yield found.outcome.value
        return
    look = found.decided
    when = "" if look is None else f", as of {found.courses[0].at[look].astype('datetime64[s]')}"
    yield f"{found.outcome.value}{when}"


def canary_record(found: Canary) -> dict[str, Any]:
    """Return what became of a canary as plain values; per 1,000 decisions, above 0 is better."""
    return {
        "outcome": found.outcome.value,
        "exit_code": found.outcome.exit_code,
        "canary": found.canary,
        "champion": found.champion,
        "breaches": found.breaches,
        "conversions": found.conversions,
        "needed": found.needed,
        "share": asdict(found.share) | {"fault": found.share.fault},
        "decided_at_look": found.decided,
        "courses": {
            course.metric: {
                "at": [str(each) for each in course.at.astype("datetime64[s]")],
                "value": _finite(course.value),
                "low": _finite(course.band.low),
                "high": _finite(course.band.high),
            }
            for course in found.courses
        },
    }


def _last(course: Course) -> tuple[str, ...]:
    ends = (course.value[-1], course.band.low[-1], course.band.high[-1])
    return tuple(f"{end:+,.2f}" if math.isfinite(end) else "" for end in ends)


def _sure(course: Course) -> str:
    """Say what was sure first."""
    ways = ((course.better, "better"), (course.worse, "worse"))
    found = [(int(np.argmax(sure)), word) for sure, word in ways if sure.any()]
    if not found:
        return "nothing yet" if np.isfinite(course.value).any() else "too few conversions"
    look, word = min(found)
    return f"{word} at look {look + 1} of {len(course.at)}"


def _finite(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
