"""What a log says of a change of guardrails, as tables and as plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from experiments.diagnostics.verdict import STEADIER
from experiments.what_if.asked import Answer
from experiments.what_if.loosened import Loosened
from experiments.what_if.prices import UNTRIED, Price
from experiments.what_if.reach import ALL

_PER = 1_000.0
FIRST_ORDER = (
    "first-order: customers' histories are as they were logged. Under other rules other contacts"
    " would have been made, and later decisions would have met other histories"
)
NOTHING = "nothing changed: the rules are those that were in force"
NOT_IDENTIFIED = (
    "what was loosened has no value from this log: where an action was barred, nobody knows what"
    " it would have brought. Below is what models guess, without an interval"
)


def tables(answer: Answer, *, force: bool = False) -> Iterator[RenderableType]:
    """Lay out an answer, part by part.

    Args:
        answer: to one question.
        force: also tell the numbers of what is not supported, marked as such.
    """
    rows = answer.rows
    left = f"; {rows.left_out:,} of other revisions left out" if rows.left_out else ""
    yield (
        f"revision {rows.revision.id} of {rows.revision.agent.agent}, {len(rows):,} decisions{left}"
    )
    for words in answer.words:
        yield f"  {words}"
    if not answer.words:
        yield NOTHING
        return
    yield _reach(answer)
    yield _rules(answer)
    if answer.tightened is not None:
        yield from _value(answer, force=force)
    if answer.loosened is not None:
        yield NOT_IDENTIFIED
        yield _guesses(answer, answer.loosened)
        yield _exploring(answer, answer.loosened)
    if answer.prices:
        yield _prices(answer, force=force)
    if answer.tightened is not None or answer.loosened is not None:
        yield from _order(answer, told=answer.supported or force)


def record(answer: Answer, *, force: bool = False) -> dict[str, Any]:
    """Return an answer as plain values; amounts are currency per decision.

    Without `force`, numbers of what is not supported are left out.
    """
    revision, told = answer.rows.revision, answer.supported or force
    found: dict[str, Any] = {
        "agent": revision.agent.agent, "revision": revision.id, "changed": answer.after.id,
        "currency": revision.workspace.currency, "decisions": len(answer.rows),
        "left_out": answer.rows.left_out,
        "change": list(answer.words),
        "reach": [asdict(each) for each in answer.reach],
        "rules": [asdict(each) for each in answer.rules],
        "prices": [_price(each, force=force) for each in answer.prices],
        "first_order": list(answer.memory),
        "supported": answer.supported, "reasons": list(reasons(answer)),
        "loosened": None if answer.loosened is None else asdict(answer.loosened),
        "simulated": None if answer.opinion is None else asdict(answer.opinion),
    }  # fmt: skip
    if answer.tightened is not None and answer.value is not None:
        whole = answer.tightened
        found["tightened"] = {
            "decisions": whole.changed, "recomputed": whole.recomputed, "emptied": whole.emptied,
            "value": [asdict(each) for each in answer.value.estimates] if told else None,
            "difference": [asdict(each) for each in answer.differences] if told else None,
        }  # fmt: skip
    return found


def reasons(answer: Answer) -> tuple[str, ...]:
    """Say why the value of what was tightened may not be told; empty if it may."""
    if answer.value is None:
        return ()
    verdict = answer.value.verdict
    found = [
        f"{check.words} {check.needed if check.needed in verdict.needed else ''}".strip()
        for check in verdict.reasons
    ]
    few = min(each.conversions for each in answer.differences)
    if not all(each.enough for each in answer.differences):
        found.append(
            f"{few:,.1f} effective conversions among the decisions that the change touches, at"
            " least 10 needed: more decisions like these."
        )
    if any(each.drift.great for each in answer.differences):
        found.append(
            "What the change brings differs between the halves of the log by more than chance, and"
            f" not both say surely whether it helps. {STEADIER}"
        )
    return tuple(found)


def _reach(answer: Answer) -> Table:
    table = _table("What the change reaches (exact)", "segment")
    _numbers(table, "decisions", "lose an action", "customers", "gain one", "customers", "not sent")
    for row in answer.reach:
        table.add_row(Text(row.segment), *_counts(
            row.decisions, row.tightened, row.tightened_customers, row.freed, row.freed_customers,
            row.drawn,
        ))  # fmt: skip
    table.caption = "not sent: decisions whose drawn action is barred after the change"
    return table


def _rules(answer: Answer) -> Table:
    table = _table("Decisions in which each rule bars an action (exact)", "segment", "rule")
    _numbers(table, "before", "after", "customers", "no other does", "drawn, now barred")
    for row in answer.rules:
        table.add_row(Text(row.segment), Text(row.rule), *_counts(
            row.before, row.after, row.customers, row.alone, row.breaches
        ))  # fmt: skip
    return table


def _value(answer: Answer, *, force: bool) -> Iterator[RenderableType]:
    whole, value = answer.tightened, answer.value
    assert whole is not None
    assert value is not None
    yield (
        f"of {whole.changed:,} decisions that lose an action, the policy itself was asked again in"
        f" {whole.recomputed:,}; in the others its probabilities were scaled up over what is left"
        + (f"; {whole.emptied:,} are left with nothing it would choose" if whole.emptied else "")
    )
    against = reasons(answer)
    for line in against:
        yield f"warning: not supported: {line}"
    if against and not force:
        return
    unit = answer.rows.revision.workspace.currency
    mark = ", NOT SUPPORTED" if against else ""
    table = _table(f"{unit} per 1,000 decisions{mark}", "what", "estimator")
    _numbers(table, "value", f"{100 * value.estimates[0].level:g}% from", "to")
    table.add_row("as logged", "", f"{_PER * answer.rows.log.reward.mean():,.2f}", "", "")
    for row in value.estimates:
        table.add_row("tightened", row.estimator, *_amounts(row.value, row.low, row.high))
    for each in answer.differences:
        amounts = _amounts(each.value, each.low, each.high, sign="+")
        table.add_row("difference", each.estimator, *amounts)
    yield table


def _guesses(answer: Answer, found: Loosened) -> Table:
    unit = answer.rows.revision.workspace.currency
    table = _table(f"Guesses in {unit} per 1,000 decisions", "model")
    _numbers(table, "if the worst were always taken", "if the best were")
    for guess in found.guesses:
        table.add_row(guess.model, *_amounts(guess.low, guess.high, sign="+"))
    table.add_row("all", *_amounts(found.low, found.high, sign="+"))
    return table


def _exploring(answer: Answer, found: Loosened) -> Table:
    unit = answer.rows.revision.workspace.currency
    table = _table(
        f"Trying it, until its value is known to +-{_PER * found.precision:,.2f} {unit} per 1,000"
        " decisions", "share that tries it"
    )  # fmt: skip
    _numbers(table, "decisions", "days at the pace of the log")
    for row in found.explorations:
        days = "" if math.isnan(row.days) else f"{row.days:,.0f}"
        table.add_row(f"{row.share:.0%}", f"{row.decisions:,}", days)
    return table


def _prices(answer: Answer, *, force: bool) -> Table:
    unit = answer.rows.revision.workspace.currency
    table = _table(
        f"What each rule in force costs, in {unit} (first-order, by models, no interval)",
        "segment", "rule"
    )  # fmt: skip
    _numbers(table, "decisions", "per 1,000 decisions", "one unit more")
    for row in answer.prices:
        table.add_row(
            Text(row.segment), Text(row.rule), f"{row.decisions:,}", *_priced(row, force=force),
        )  # fmt: skip
    table.caption = (
        "one unit more: of a cap, per 1,000 decisions; of a budget, for that unit; what later"
        " contacts lose by these is not in a price: --simulate tells it"
    )
    if any(row.extrapolated for row in answer.prices):
        table.caption += (
            f"\nextrapolated: over {UNTRIED:.0%} of the actions it would free were never drawn for"
            " customers for whom it bars them; --force tells what models make of it"
        )
    return table


def _priced(row: Price, *, force: bool) -> tuple[str, str]:
    """Return the price, and that of one unit, as far as they may be told."""
    if row.extrapolated and not force:
        return "extrapolated", ""
    mark = ", EXTRAPOLATED" if row.extrapolated else ""
    return f"{_PER * row.gain:,.2f}{mark}", _unit(row)


def _unit(row: Price) -> str:
    if math.isnan(row.per_unit):
        return ""
    cap = row.unit == "one contact more"
    return f"{row.per_unit * (_PER if cap else 1.0):,.3g} ({row.unit})"


def _order(answer: Answer, *, told: bool) -> Iterator[RenderableType]:
    yield FIRST_ORDER + "."
    if answer.memory:
        yield f"  rules that look at them: {', '.join(answer.memory)}"
    found = answer.opinion
    if found is None:
        if answer.rows.revision.agent.supplied is None:  # no market sends requests of a loop
            yield "  a second opinion with histories: --simulate WORLD"
        return
    unit = answer.rows.revision.workspace.currency
    table = _table(f"Difference in {unit} per 1,000 decisions, side by side", "by", "histories")
    _numbers(table, "value", "from", "to")
    for each in answer.differences if told else ():
        amounts = _amounts(each.value, each.low, each.high, sign="+")
        table.add_row(f"the log, {each.estimator}", "as logged", *amounts)
    amounts = _amounts(found.value, found.low, found.high, sign="+")
    table.add_row(Text(f"world {found.world}"), "lived through", *amounts)
    table.caption = (
        f"{found.customers:,} simulated customers of {found.rounds} decisions, seed {found.seed};"
        " the interval is about their luck, not about how far the world is from yours"
    )
    yield table


def _table(title: str, *texts: str) -> Table:
    table = Table(
        title=title, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD,
        pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for name in texts:
        table.add_column(name, no_wrap=name == "rule")
    return table


def _numbers(table: Table, *names: str) -> None:
    for name in names:
        table.add_column(name, justify="right")


def _counts(*counts: int) -> tuple[str, ...]:
    return tuple(f"{count:,}" for count in counts)


def _amounts(*values: float, sign: str = "") -> tuple[str, ...]:
    return tuple(f"{_PER * value:{sign},.2f}" for value in values)


def _price(row: Price, *, force: bool) -> dict[str, Any]:
    """Return a price as plain values, null where it is not known or may not be told."""
    hidden = row.extrapolated and not force
    amounts = {name: None if hidden or math.isnan(value) else value
               for name, value in (("gain", row.gain), ("per_unit", row.per_unit))}  # fmt: skip
    return asdict(row) | amounts | {"extrapolated": row.extrapolated}


__all__ = ["ALL", "FIRST_ORDER", "NOT_IDENTIFIED", "reasons", "record", "tables"]
