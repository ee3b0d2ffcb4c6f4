"""All laws of a workspace folder, by agent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from agents.checking.declared import declared_laws, declared_orders
from agents.checking.implied import implied_laws, plain_words
from agents.checking.laws import AgentLaw, Metered
from agents.checking.orders import Pace
from agents.checking.reading import Documents, bare_law, read_documents
from agents.checking.times import duration
from agents.checking.totals import Limit

_HISTORY = timedelta(days=30)
_OFFERINGS = 256  # lists of supplied actions whose law is kept


def read_laws(folder: Path, key: bytes | None = None) -> dict[str, AgentLaw]:
    """Read the law of every agent of a workspace folder, by the agent's name.

    Args:
        folder: a workspace that `nextbest check` accepts.
        key: of the customer hash, to know the customers of exclusion lists by.
    """
    return {documents.name: _of(documents) for documents in read_documents(folder, key)}


def _of(documents: Documents) -> AgentLaw:
    """Read the law of an agent; where actions are supplied, that of each list of them."""
    if "supplied" not in documents.agent:
        return _law(documents)

    @lru_cache(maxsize=_OFFERINGS)
    def offering(supplied: tuple[str, ...]) -> AgentLaw:
        return _law(replace(documents, supplied=supplied))

    return replace(_law(documents), supplied=offering)


def _law(documents: Documents) -> AgentLaw:
    laws = (*implied_laws(documents), *declared_laws(documents))
    orders = tuple(declared_orders(documents))
    metered = [law.meter for law in laws if isinstance(law, Limit)]
    metered += [order.meter for order in orders if isinstance(order, Pace)]
    meters: dict[str, Metered] = {meter.name: meter for meter in metered}
    retention, ramp = documents.workspace.get("retention"), documents.agent.get("maturity")
    unchecked = tuple(_unchecked(documents, exact=all(meter.exact for meter in metered)))
    lists = frozenset(
        name for name, rule, _ in documents.rules()
        if rule["rule"] == "exclusion_list" and documents.key is None
    )  # fmt: skip
    return replace(
        bare_law(documents),
        laws=laws,
        orders=orders,
        meters=tuple(meters.values()),
        undecided=lists | {"maturity"} | (frozenset() if plain_words(documents) else {"content"}),
        unchecked=unchecked,
        words={n: o.get("event") or n for n, o in documents.agent["outcomes"].items()},
        remembers=min(_HISTORY, duration(retention)) if retention else _HISTORY,
        ramp=None if ramp is None else (
            ramp.get("start_share", 0.02), ramp.get("full_at_positives", 200)
        ),
        hears=_hears(documents),
        declared=frozenset(name for name, _, _ in documents.rules()),
        names=frozenset({r.name for r in laws} | {r.name for r in orders} | lists | {"maturity"}),
        universal=bool(documents.workspace.get("universal_control")),
    )  # fmt: skip


def _unchecked(documents: Documents, *, exact: bool) -> list[str]:
    """Say what the log of an agent cannot tell."""
    open_ = [
        f"exclusion_list {name}: the hash key is needed"
        for name, rule, _ in documents.rules()
        if rule["rule"] == "exclusion_list" and documents.key is None
    ]
    if not (documents.agent.get("holdout") or {}).get("managed"):
        open_.append("groups: only that they stay; customers are hashed")
    if documents.agent.get("maturity") is not None:
        open_.append("maturity: only its shares; customers are hashed")
    if not plain_words(documents):
        open_.append("content: templates that do more than write fields")
    if not exact:
        open_.append("total caps of deliveries and responses: only against what was logged")
    return open_


def _hears(documents: Documents) -> frozenset[str]:
    """List the events that the rules of an agent speak of, and the responses to it."""
    heard = set(documents.signalled("response"))
    for _, rule, _ in documents.rules():
        words = rule.get("after") if rule["rule"] != "sequence" else rule.get("until")
        if isinstance(words, str):
            heard |= documents.signalled(words)
        else:
            heard |= {*(words or ()), *rule.get("unless", ())}
        counts = {"delivery": "failure", "response": "response"}.get(rule.get("counts", ""))
        if counts and rule.get("for") != "total":
            heard |= documents.signalled(counts)
    return frozenset(heard)
