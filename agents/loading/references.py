"""What documents refer to: fields, values, channels, offers and placements that must exist."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import chain

from agents.errors import did_you_mean
from agents.expressions import Language
from agents.loading import rule_references as rules
from agents.loading.faults import Fault
from agents.loading.hours import hours_faults
from agents.loading.literals import unknown_values
from agents.loading.supplied_references import declared_faults, supplied_faults
from agents.spec import (
    ActionSuppressionSpec,
    Agent,
    EligibilitySpec,
    PrecedenceSpec,
    SuppressionSpec,
    Workspace,
)
from agents.yamlsource import Path as KeyPath

_OTHER_TONGUES = (
    (re.compile(r"(?<![=!<>])=(?!=)"), "compare with '=='"),
    (re.compile(r"\b(and|or|not|AND|OR|NOT)\b"), "write && for and, || for or, ! for not"),
)
_SAID = (ActionSuppressionSpec, EligibilitySpec, PrecedenceSpec, SuppressionSpec)
_GROUPS = ("treatment", "control", "random")


def words_of(agent: Agent) -> dict[str, str]:
    """List the events that an agent's outcomes are reported by: the word, and the outcome."""
    return {outcome.event or name: name for name, outcome in agent.outcomes.items()}


def workspace_faults(workspace: Workspace) -> Iterator[Fault]:
    """Yield whatever a workspace refers to that it does not declare."""
    yield from _zone_faults(workspace)
    yield from hours_faults(workspace)
    booleans = _fields(workspace, "boolean")
    for name, channel in workspace.channels.items():
        for word in ("consent", "opt_out"):
            field = getattr(channel, word)
            yield from _field(("channels", name, word), field, booleans, "boolean")
    yield from _field(("opt_out",), workspace.opt_out, booleans, "boolean")
    yield from _consent_faults(workspace)
    if workspace.locales is not None:
        tagged = _fields(workspace, "category", "text")
        yield from _field(("locales", "field"), workspace.locales.field, tagged, "category or text")
    yield from rules.name_faults(None, workspace)
    yield from rules.channel_faults(workspace.guardrails, workspace.channels)
    yield from rules.counting_faults(workspace.guardrails)
    yield from declared_faults(workspace.guardrails)
    yield from value_faults(workspace, workspace)
    yield from expression_faults(workspace, workspace)


def agent_faults(agent: Agent, workspace: Workspace) -> Iterator[Fault]:
    """Yield whatever an agent refers to that neither it nor its workspace declares."""
    yield from _outcome_faults(agent, workspace)
    for name in agent.offers:
        yield from _offer_faults(agent, name, workspace)
    yield from _managed_faults(agent, workspace)
    yield from rules.name_faults(agent, workspace)
    yield from rules.channel_faults(agent.guardrails, workspace.channels)
    yield from supplied_faults(agent, workspace)
    if agent.supplied is None:
        yield from rules.own_faults(agent.guardrails, agent.offers.items())
    known = {*workspace.events, *words_of(agent)}
    yield from rules.event_faults(agent.guardrails, known)
    yield from value_faults(agent, workspace)


def other_agent_faults(agent: Agent, agents: Collection[str]) -> Iterator[Fault]:
    """Yield agents that an agent names and the workspace does not have.

    Args:
        agent: what was read.
        agents: names of all agents of the workspace, its own included.
    """
    yield from rules.agent_name_faults(agent.guardrails, agents)
    warm, others = agent.policy.warm_start, [name for name in agents if name != agent.agent]
    if warm is not None and warm.agent not in others:
        hint = did_you_mean(warm.agent, others)
        yield ("policy", "warm_start", "agent"), f"{warm.agent!r} is no other agent; {hint}"


def between_faults(workspace: Workspace, agents: Collection[Agent]) -> Iterator[Fault]:
    """Yield whatever a workspace says of agents and their outcomes that none of them has."""
    names = [agent.agent for agent in agents]
    words = {*workspace.events, *(word for agent in agents for word in words_of(agent))}
    yield from rules.event_faults(workspace.guardrails, words)
    yield from rules.agent_name_faults(workspace.guardrails, names)
    yield from rules.own_faults(workspace.guardrails, [o for a in agents for o in a.offers.items()])
    for name in workspace.arbitration.levers:
        if name not in names:
            message = f"{name!r} is no agent; {did_you_mean(name, names)}"
            yield ("arbitration", "levers", name), message
    for name, weight in workspace.arbitration.context.items():
        path = ("arbitration", "context", name, "agents")
        yield from rules.unknown(path, weight.agents, names, "agent")


def expression_faults(document: Agent | Workspace, workspace: Workspace) -> Iterator[Fault]:
    """Yield the expressions of a document that do not compile against the customer schema."""
    language = Language(workspace.customer)
    for path, source in expressions(document):
        rule = document.guardrails.get(path[1]) if path[0] == "guardrails" else None
        over_actions = isinstance(rule, ActionSuppressionSpec)
        try:
            (language.over_actions if over_actions else language).compile(source)
        except ValueError as error:
            yield path, f"{error}{_cel_hint(str(error), source)} (in {source[:80]!r})"


def _cel_hint(message: str, source: str) -> str:
    """Say what people write who know another language of expressions."""
    if "recursion limit" in message:
        return "; nest it less deeply"
    if "Syntax error" not in message:
        return ""
    return next((f"; {hint}" for pattern, hint in _OTHER_TONGUES if pattern.search(source)), "")


def value_faults(document: Agent | Workspace, workspace: Workspace) -> Iterator[Fault]:
    """Yield the expressions and templates that compare a field with a text that it never has."""
    wordings = _wordings(document) if isinstance(document, Agent) else ()
    for path, source in chain(expressions(document), wordings):
        for message in unknown_values(source, workspace.customer):
            yield path, message


def _wordings(agent: Agent) -> Iterator[tuple[KeyPath, str]]:
    for name, offer in agent.offers.items():
        for variant, own in offer.variants.items():
            path = ("offers", name, "variants", variant)
            translated = [((*path, "locales", tag), said) for tag, said in own.locales.items()]
            for place, wording in [(path, own), *translated]:
                for word in ("subject", "text"):
                    yield (*place, word), getattr(wording, word)


def expressions(document: Agent | Workspace) -> Iterator[tuple[KeyPath, str]]:
    """Yield every expression of a document, with its place."""
    if isinstance(document, Agent):
        if document.audience is not None:
            yield ("audience",), document.audience
        for name, offer in document.offers.items():
            for word in ("eligible", "applicable", "suitable"):
                if (source := getattr(offer, word)) is not None:
                    yield ("offers", name, word), source
    else:
        for name, weight in document.arbitration.context.items():
            yield ("arbitration", "context", name, "when"), weight.when
    for name, rule in document.guardrails.items():
        if isinstance(rule, _SAID) and rule.when:
            yield ("guardrails", name, "when"), rule.when


def _consent_faults(workspace: Workspace) -> Iterator[Fault]:
    """Yield fields that must be true and false at once before a channel may be used."""
    for name, channel in workspace.channels.items():
        for path, field in (
            (("opt_out",), workspace.opt_out),
            (("channels", name, "opt_out"), channel.opt_out),
        ):
            if field is not None and field == channel.consent:
                message = f"{field!r} must be false here and true at channels.{name}.consent, so"
                yield path, f"{message} nobody could be reached by {name}"


def _zone_faults(workspace: Workspace) -> Iterator[Fault]:
    zones = _fields(workspace, "zone")
    for name in zones[1:]:
        yield ("customer", name), f"expected one zone field at most, and {zones[0]!r} is one"
    if zones:
        return
    for name, channel in workspace.channels.items():
        if channel.quiet_hours is not None or channel.windows:
            path = ("channels", name, "quiet_hours" if channel.quiet_hours else "windows")
            yield path, "expected a customer field of type 'zone' to know the local time by"


def _fields(workspace: Workspace, *types: str) -> list[str]:
    return [name for name, field in workspace.customer.items() if field.type in types]


def _field(path: KeyPath, name: str | None, known: list[str], kind: str) -> Iterator[Fault]:
    if name is not None and name not in known:
        yield path, f"{name!r} is no {kind} customer field; {did_you_mean(name, known)}"


def _outcome_faults(agent: Agent, workspace: Workspace) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for name, outcome in agent.outcomes.items():
        word = outcome.event or name
        path = ("outcomes", name, "event") if outcome.event else ("outcomes", name)
        if word in workspace.events:
            message = f"{word!r} is an event of the workspace already; an outcome needs its own"
            yield path, f"{message} word"
        other = agent.outcomes[first.setdefault(word, name)]
        if other.signal != outcome.signal:
            yield (
                path,
                f"outcome {first[word]!r} takes the event {word!r} for a {other.signal}, this one"
                f" for a {outcome.signal}; say 'counts_as' in both",
            )


def _offer_faults(agent: Agent, name: str, workspace: Workspace) -> Iterator[Fault]:
    offer, channels = agent.offers[name], workspace.channels
    path = ("offers", name)
    yield from rules.unknown((*path, "channels"), offer.channels, channels, "channel")
    for position, channel in enumerate(offer.channels):
        if channel in offer.channels[:position]:
            yield (*path, "channels", str(position)), f"{channel!r} is listed twice"
    slots = [s for c in offer.channels if c in channels for s in channels[c].placements]
    what = "placement of a channel of this offer"
    yield from rules.unknown((*path, "placements"), offer.placements, slots, what)
    yield from rules.unknown((*path, "includes"), offer.includes, agent.offers, "offer")
    for position, child in enumerate(offer.includes):
        if child not in agent.offers:
            continue
        place = (*path, "includes", str(position))
        if child == name:
            yield place, "an offer cannot include itself"
        elif agent.offers[child].includes:
            yield place, f"{child!r} is a bundle itself; include the offers that it includes"
        elif agent.offers[child].fallback:
            yield place, f"{child!r} is a fallback, offered only when nothing else is"


def _managed_faults(agent: Agent, workspace: Workspace) -> Iterator[Fault]:
    name = agent.holdout.managed
    if name is None:
        return
    path = ("holdout", "managed")
    fields = _fields(workspace, "category")
    if name not in fields:
        yield from _field(path, name, fields, "category")
    elif set(workspace.customer[name].values) != set(_GROUPS):
        got = ", ".join(workspace.customer[name].values)
        yield path, f"expected {name!r} to have the values {', '.join(_GROUPS)}, got {got}"
