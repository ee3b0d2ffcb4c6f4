"""The laws that offers, channels and customers imply, in the order in which reasons are given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import product

from agents.checking.actions import ActionLaw, grouped
from agents.checking.conditions import (
    Channels,
    Content,
    Days,
    Expression,
    Flag,
    Objection,
    Placement,
    QuietHours,
    Wording,
    fields_of,
    plain,
)
from agents.checking.laws import Law
from agents.checking.reading import Documents
from agents.checking.supplied import Requested
from agents.checking.totals import Limit, Meter, meter_name

_ASKED = ("eligible", "applicable", "suitable")


def implied_laws(documents: Documents) -> Iterator[Law]:
    """List the laws of an agent that are not declared as rules."""
    actions = list(documents.actions.values())
    yield Objection("suppressed", {action.id: action.channel for action in actions})
    if "supplied" in documents.agent:
        yield Requested("request")
    yield from _expressions(documents, actions)
    yield from _flags(documents, actions)
    yield from _days(documents, actions)
    yield _placement(documents, actions)
    yield Channels("channels", {action.id: action.channel for action in actions})
    yield _content(documents, actions)
    channels = documents.workspace["channels"]
    local = (a for a in actions if _local(channels[a.channel] or {}))
    yield QuietHours("quiet_hours", grouped(local))
    yield from _stocks(documents, actions)
    yield from _capacities(documents, actions)


def _local(channel: dict[str, object]) -> bool:
    return bool(channel.get("quiet_hours") or channel.get("windows"))


def _ids(actions: Iterable[ActionLaw]) -> tuple[str, ...]:
    return tuple(action.id for action in actions)


def _expressions(documents: Documents, actions: list[ActionLaw]) -> Iterator[Law]:
    compile_ = documents.environment.compile
    audience = documents.agent.get("audience")
    if audience is not None:
        yield Expression("audience", _ids(actions), audience, compile_(audience))
    for word, (name, offer) in product(_ASKED, documents.offers.items()):
        if offer.get(word) is not None:
            bound = (action for action in actions if name in action.offers)
            yield Expression(word, _ids(bound), offer[word], compile_(offer[word]))


def _flags(documents: Documents, actions: list[ActionLaw]) -> Iterator[Law]:
    everywhere = documents.workspace.get("opt_out")
    if everywhere:
        yield Flag("opt_out", _ids(actions), everywhere, False)
    for name, raw in documents.workspace["channels"].items():
        ids = _ids(action for action in actions if action.channel == name)
        for word, wanted in (("opt_out", False), ("consent", True)):
            if (raw or {}).get(word):
                yield Flag(word, ids, raw[word], wanted)


def _days(documents: Documents, actions: list[ActionLaw]) -> Iterator[Law]:
    for name, offer in documents.offers.items():
        first, last = (_day(offer.get(word)) for word in ("start", "end"))
        if first is not None or last is not None:
            bound = grouped(action for action in actions if name in action.offers)
            yield Days("dates", bound, first, last, documents.zone)


def _day(written: object) -> date | None:
    return None if written is None else date.fromisoformat(str(written)[:10])


def _placement(documents: Documents, actions: list[ActionLaw]) -> Law:
    slots: dict[str, frozenset[str] | None] = {}
    for action in actions:
        has = frozenset(
            (documents.workspace["channels"][action.channel] or {}).get("placements", ())
        )
        fits = [set(documents.offers[o].get("placements") or has) for o in action.offers]
        slots[action.id] = has.intersection(*fits) if has else None
    return Placement("placement", slots)


def _content(documents: Documents, actions: list[ActionLaw]) -> Law:
    wordings = []
    for name, offer in documents.offers.items():
        for variant, own in offer["variants"].items():
            ids = _ids(a for a in actions if a.offer == name and a.variant == variant)
            texts = {"": _texts(own)} | {
                tag: _texts(words) for tag, words in (own.get("locales") or {}).items()
            }
            if all(plain(*words) for words in texts.values()):
                wordings.append(Wording(ids, {t: fields_of(*words) for t, words in texts.items()}))
    locales = documents.workspace.get("locales") or {}
    return Content("content", tuple(wordings), locales.get("field", ""))


def _texts(words: dict[str, str]) -> tuple[str, str]:
    return words.get("subject", ""), words["text"]


def plain_words(documents: Documents) -> bool:
    """Say whether all templates only write fields."""
    return all(
        plain(*_texts(words))
        for offer in documents.offers.values()
        for own in offer["variants"].values()
        for words in (own, *(own.get("locales") or {}).values())
    )


def _stocks(documents: Documents, actions: list[ActionLaw]) -> Iterator[Law]:
    for name, offer in documents.offers.items():
        stock = offer.get("stock")
        if stock is not None:
            bound = [action for action in actions if name in action.offers]
            counter = meter_name(f"stock:{documents.name}/{name}", "contacts", stock.get("per"))
            meter = Meter(
                counter, dict.fromkeys(_ids(bound), 1.0), stock.get("per"), documents.zone
            )
            yield Limit("stock", meter, grouped(bound), stock["max"])


def _capacities(documents: Documents, actions: list[ActionLaw]) -> Iterator[Law]:
    for name, raw in documents.workspace["channels"].items():
        capacity = (raw or {}).get("capacity")
        bound = [action for action in actions if action.channel == name]
        if capacity is not None and bound:
            ones = dict.fromkeys(_ids(bound), 1.0)
            counter = meter_name(f"capacity:{name}", "contacts", capacity["per"])
            meter = Meter(counter, ones, capacity["per"], documents.zone)
            yield Limit("capacity", meter, grouped(bound), capacity["max"])
