"""The rules that a workspace and its agents declare, by the word after `rule`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

from agents.checking.actions import ActionLaw, grouped
from agents.checking.conditions import Expression, Listed
from agents.checking.counts import CustomerCap, Exclusive, Pause
from agents.checking.flows import Course, Escalation, steps_taken
from agents.checking.laws import Law, Order
from agents.checking.orders import Fallback, Pace, Precedence
from agents.checking.reading import Document, Documents, selection_of
from agents.checking.supplied import ActionSuppression
from agents.checking.times import duration, span_or_period
from agents.checking.totals import Limit, Meter, meter_name

_FOREVER = timedelta(days=3_650)
_BY_SIGNAL = ("response", "rejection")
_MEASURES = {"decision": "contacts", "delivery": "deliveries", "response": "events"}


def declared_laws(documents: Documents) -> Iterator[Law]:
    """List the declared rules of an agent but those that depend on what others allow."""
    for name, rule, own in documents.rules():
        make = _LAWS.get(rule["rule"])
        if make is not None:
            yield from make(documents, f"{documents.name}/{name}" if own else name, name, rule)


def declared_orders(documents: Documents) -> Iterator[Order]:
    """List the rules that depend on what others allow, as they are asked."""
    for name, rule, own in documents.rules():
        if rule["rule"] == "precedence":
            yield _precedence(documents, name, rule)
        elif rule["rule"] == "budget" and rule.get("min") is not None:
            counter = f"budget:{documents.name}/{name}" if own else f"budget:{name}"
            meter = _budget_meter(documents, counter, rule)
            yield Pace(name, meter, rule["min"])
    ids = frozenset(action.id for action in documents.actions.values() if action.fallback)
    if ids:
        yield Fallback("fallback", ids)


def _ids(actions: list[ActionLaw]) -> tuple[str, ...]:
    return tuple(action.id for action in actions)


def _expression(
    documents: Documents, _: str, name: str, rule: Document, *, wanted: bool
) -> Iterator[Law]:
    compiled = documents.environment.compile(rule["when"])
    yield Expression(name, _ids(documents.chosen(rule)), rule["when"], compiled, wanted)


def _action_suppression(documents: Documents, _: str, name: str, rule: Document) -> Iterator[Law]:
    compiled = documents.environment.compile(rule["when"])
    yield ActionSuppression(name, _ids(documents.chosen(rule)), rule["when"], compiled)


def _cap(documents: Documents, counter: str, name: str, rule: Document) -> Iterator[Law]:
    if rule.get("for", "customer") == "total":
        yield from _total_cap(documents, counter, name, rule)
        return
    scope, counts = rule.get("scope", "all"), rule.get("counts", "decision")
    yield CustomerCap(
        name, grouped(documents.chosen(rule), scope), selection_of(rule), scope, rule["max"],
        span_or_period(rule["per"]), documents.zone,
        documents.signalled("response") if counts == "response" else None,
        documents.signalled("failure") if counts == "delivery" else frozenset(),
    )  # fmt: skip


def _total_cap(documents: Documents, counter: str, name: str, rule: Document) -> Iterator[Law]:
    scope, chosen = rule.get("scope", "all"), documents.chosen(rule)
    exact = rule.get("counts", "decision") == "decision"
    keys = dict.fromkeys(group.key for group in grouped(chosen, scope))
    for key in keys:
        ids = [i for g in grouped(chosen, scope) if g.key == key for i in g.ids]
        bound = [documents.actions[i] for i in ids]
        what = f"cap:{counter}{_total_key(documents, scope, key)}"
        full = meter_name(what, _MEASURES[rule.get("counts", "decision")], rule["per"])
        per = span_or_period(rule["per"])
        meter = Meter(full, dict.fromkeys(ids, 1.0), per, documents.zone, exact)
        yield Limit(name, meter, grouped(bound), rule["max"])


def _total_key(documents: Documents, scope: str, key: str) -> str:
    """Name what a total is counted by; agents, offers and actions are the agent's own."""
    if scope == "all":
        return ""
    if scope == "agent":
        return f":{documents.name}"
    return f":{key}" if scope in ("kind", "channel") else f":{documents.name}/{key}"


def _cooldown(documents: Documents, _: str, name: str, rule: Document) -> Iterator[Law]:
    after, scope = rule.get("after", "contact"), rule.get("scope", "offer")
    if isinstance(after, str):
        words = documents.signalled(after) if after in _BY_SIGNAL else None
    else:
        words = frozenset(after)
    yield Pause(
        name, grouped(documents.chosen(rule), scope), selection_of(rule), scope,
        duration(rule["pause"]), words, rule.get("times", 1),
        duration(rule["within"]) if rule.get("within") else timedelta(0),
    )  # fmt: skip


def _ending(documents: Documents, _: str, name: str, rule: Document) -> Iterator[Law]:
    scope = rule.get("scope", "offer")
    span = duration(rule["for"]) if rule.get("for") else _FOREVER
    groups = grouped(documents.chosen(rule), scope)
    yield Pause(name, groups, selection_of(rule), scope, span, frozenset(rule["after"]))


def _budget_meter(documents: Documents, counter: str, rule: Document) -> Meter:
    cost = rule.get("measure", "contacts") == "cost"
    amounts = {action.id: action.cost if cost else 1.0 for action in documents.chosen(rule)}
    name = meter_name(counter, "cost" if cost else "contacts", rule.get("per"))
    return Meter(name, amounts, rule.get("per"), documents.zone)


def _budget(documents: Documents, counter: str, name: str, rule: Document) -> Iterator[Law]:
    if rule.get("max") is not None:
        meter = _budget_meter(documents, f"budget:{counter}", rule)
        yield Limit(name, meter, grouped(documents.chosen(rule)), rule["max"])


def _listed(documents: Documents, _: str, name: str, rule: Document) -> Iterator[Law]:
    if documents.key is None:
        return
    listed = rule.get("customers") or ()
    if rule.get("file"):
        text = (documents.folder / rule["file"]).read_text(encoding="utf-8-sig")
        lines = [line.strip() for line in text.splitlines()]
        listed = [line for line in lines if line and not f"{line} ".startswith("# ")]
    hashes = frozenset(documents.hashed(str(customer)) for customer in listed)
    yield Listed(name, _ids(documents.chosen(rule)), hashes)


def _exclusive(documents: Documents, _: str, name: str, rule: Document) -> Iterator[Law]:
    if documents.name in rule["agents"]:
        others = frozenset(rule["agents"]) - {documents.name}
        yield Exclusive(name, grouped(documents.chosen(rule)), others, duration(rule["for"]))


def _escalation(documents: Documents, _: str, name: str, rule: Document) -> Iterator[Law]:
    scope = rule.get("scope", "offer")
    opened = [
        replace(action, includes=())  # both contacts share the very offer, not one sent along
        for action in documents.chosen(rule) if action.channel == rule["to"]
    ]  # fmt: skip
    by_offer = grouped(opened, scope)
    yield Escalation(
        name, by_offer, rule["from"], frozenset(rule["unless"]),
        duration(rule["wait"]), duration(rule["within"]), scope,
    )  # fmt: skip


def _sequence(documents: Documents, _: str, name: str, rule: Document) -> Iterator[Law]:
    steps = tuple(rule["steps"])
    takes = {action.id: steps_taken(steps, action) for action in documents.chosen(rule)}
    waits = tuple(duration(step["after"]) if step.get("after") else timedelta(0) for step in steps)
    yield Course(
        name, selection_of(rule), steps, waits, duration(rule["within"]), duration(rule["restart"]),
        frozenset(rule.get("until") or ()),
        {action: taken for action, taken in takes.items() if taken},
    )  # fmt: skip


def _precedence(documents: Documents, name: str, rule: Document) -> Precedence:
    order, when = rule["order"], rule.get("when")
    ranks = {a.id: order.index(a.kind) for a in documents.chosen(rule) if a.kind in order}
    return Precedence(
        name, ranks, None if when is None else documents.environment.compile(when),
        frozenset(rule.get("after") or ()),
        duration(rule["within"]) if rule.get("within") else timedelta(0),
    )  # fmt: skip


_LAWS: dict[str, Callable[[Documents, str, str, Document], Iterator[Law]]] = {
    "action_suppression": _action_suppression,
    "budget": _budget,
    "cooldown": _cooldown,
    "eligibility": partial(_expression, wanted=True),
    "escalation": _escalation,
    "event_suppression": _ending,
    "exclusion_list": _listed,
    "exclusive": _exclusive,
    "frequency_cap": _cap,
    "sequence": _sequence,
    "suppression": partial(_expression, wanted=False),
}
