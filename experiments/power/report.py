"""What `nextbest power` tells: sizes, days, and what is foregone, for two ways of testing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rich import box
from rich.table import Table

from experiments.intervals.asymptotic import multiplier, tuned_rho
from experiments.power.sizes import Design, holdout_for

_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True)
class Sizing:
    """What one design needs or can show.

    Args:
        test: once, or at any time.
        holdout: share of customers held back.
        customers: in all groups.
        lift: relative lift that is found.
        days: until so many have come; None if the traffic is not known.
        foregone: what the held back would have brought beside, in conversions or in the unit of
            the base.
    """

    test: str
    holdout: float
    customers: float
    lift: float
    days: float | None
    foregone: float


def sizings(
    design: Design, lift: float | None, customers: int | None, per_day: float | None
) -> tuple[Sizing, ...]:
    """Work out one design for a test at one date and for one at any time.

    Args:
        design: the comparison.
        lift: relative lift to find; None to ask what `customers` can show.
        customers: how many there are; with a lift as well they are what is asked about.
        per_day: new customers a day.

    Raises:
        ValueError: neither lift nor customers, or no traffic.
    """
    if lift is None and customers is None:
        raise ValueError("expected --lift, --customers or both, got neither")
    if per_day is not None and not 0.0 < per_day < math.inf:
        raise ValueError(
            f"--per-day: expected a number above 0 of customers a day, got {per_day!r}"
        )
    found = []
    for name, sequential in (("once, at a planned date", False), ("at any time", True)):
        each = replace(design, sequential=sequential)
        shown = lift if lift is not None else each.detectable(float(customers or 0))
        needed = each.customers(lift) if lift is not None else float(customers or 0)
        days = None if per_day is None else needed / per_day
        found.append(Sizing(name, each.holdout, needed, shown, days, each.foregone(shown, needed)))
    return tuple(found)


def power_table(
    design: Design, lift: float | None, customers: int | None, per_day: float | None
) -> Iterator[Table | str]:
    """Yield the answer as a table, and other holdouts beside it; see `sizings`."""
    unit = "conversions" if design.sd is None else "in the base's unit"
    table = _table(
        f"Base {design.base:g}, {design.holdout:.1%} held back, power {design.power:.0%},"
        f" alpha {design.alpha:g}"
    )
    table.add_column("test")
    for name in ("customers", "lift", "days", f"foregone, {unit}"):
        table.add_column(name, justify="right")
    for row in sizings(design, lift, customers, per_day):
        days = "" if row.days is None else f"{row.days:,.0f}"
        table.add_row(
            row.test, f"{row.customers:,.0f}", f"{row.lift:+.2%}", days, f"{row.foregone:,.0f}"
        )
    yield table
    yield _tuning(row.customers, design.alpha)
    if lift is None:
        return
    others = _table("Other holdouts, tested once")
    for name in ("held back", "customers", "days", f"foregone, {unit}"):
        others.add_column(name, justify="right")
    for share in _SHARES:
        each = replace(design, holdout=share)
        needed = each.customers(lift)
        days = "" if per_day is None else f"{needed / per_day:,.0f}"
        foregone = f"{each.foregone(lift, needed):,.0f}"
        others.add_row(f"{share:.0%}", f"{needed:,.0f}", days, foregone)
    yield others
    if customers is not None:
        yield _verdict(design, lift, customers)


def power_record(
    design: Design, lift: float | None, customers: int | None, per_day: float | None
) -> dict[str, object]:
    """Return the answer as plain values for JSON; see `sizings`."""
    rows = [
        {"test": r.test, "customers": r.customers, "lift": r.lift, "days": r.days,
         "foregone": r.foregone}
        for r in sizings(design, lift, customers, per_day)
    ]  # fmt: skip
    known = lift is not None and customers is not None
    least = holdout_for(design, lift or 0.0, float(customers or 0)) if known else None
    return {
        "base": design.base, "holdout": design.holdout, "power": design.power,
        "alpha": design.alpha, "sizings": rows, "least_holdout": least,
    }  # fmt: skip


def _tuning(customers: float, alpha: float) -> str:
    """Say on what the row for looking at any time rests, and what it costs not to declare it."""
    usual = multiplier(customers, tuned_rho(level=1.0 - alpha), 1.0 - alpha)
    wider = float(usual / multiplier(customers, tuned_rho(customers, 1.0 - alpha), 1.0 - alpha))
    return (
        f"at any time: with a plan that says 'customers: {customers:.0f}'; without one the"
        f" intervals of nextbest lift are {wider - 1.0:.0%} wider there"
    )


def _verdict(design: Design, lift: float, customers: int) -> str:
    least = holdout_for(design, lift, float(customers))
    if least is None:
        shown = replace(design, holdout=0.5).detectable(float(customers))
        return (
            f"{customers:,} customers cannot show a lift of {lift:+.1%} with any holdout, tested"
            f" once; with half of them held back they can show {shown:+.1%}"
        )
    return (
        f"{customers:,} customers show a lift of {lift:+.1%} with {least:.1%} held back, tested"
        " once"
    )


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
