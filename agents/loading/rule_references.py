"""What guardrails refer to: channels, offers, tags, events and agents that must exist."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from agents.actions import Action
from agents.errors import did_you_mean
from agents.guardrails.base import selects, speaks_of
from agents.loading.faults import Fault
from agents.spec import (
    Agent,
    CooldownSpec,
    EscalationSpec,
    EventSuppressionSpec,
    ExclusiveSpec,
    FrequencyCapSpec,
    GuardrailSpec,
    Offer,
    PrecedenceSpec,
    Selector,
    SequenceSpec,
    Workspace,
)
from agents.yamlsource import Path as KeyPath

Rules = Mapping[str, GuardrailSpec]

IMPLIED = (
    "suppressed", "request", "audience", "eligible", "applicable", "suitable", "opt_out", "consent",
    "dates", "placement", "channels", "content", "quiet_hours", "stock", "capacity", "maturity",
    "fallback", "always_act", "holdout",
)  # fmt: skip
_COUNTING = (FrequencyCapSpec, CooldownSpec, EventSuppressionSpec)


def name_faults(agent: Agent | None, workspace: Workspace) -> Iterator[Fault]:
    """Yield guardrails that bear a name that means something else already."""
    for name in (workspace if agent is None else agent).guardrails:
        if name in IMPLIED:
            message = f"{name!r} is the name of a guardrail that is always there; choose another"
            yield ("guardrails", name), message
        elif agent is not None and name in workspace.guardrails:
            yield ("guardrails", name), f"the workspace has a guardrail named {name!r} already"


def channel_faults(rules: Rules, channels: Collection[str]) -> Iterator[Fault]:
    """Yield channels that guardrails name and nobody declares."""
    for path, selector in selectors(rules):
        yield from unknown((*path, "channels"), selector.channels, channels, "channel")
    for name, rule in rules.items():
        if isinstance(rule, EscalationSpec):
            for word, channel in (("from", rule.from_), ("to", rule.to)):
                if channel not in channels:
                    message = f"{channel!r} is no channel; {did_you_mean(channel, channels)}"
                    yield ("guardrails", name, word), message


def own_faults(rules: Rules, offers: Collection[tuple[str, Offer]]) -> Iterator[Fault]:
    """Yield offers and tags that guardrails name and that no offer they may speak of has."""
    names = {name for name, _ in offers}
    tags = {tag for _, offer in offers for tag in offer.tags}
    for path, selector in selectors(rules):
        yield from unknown((*path, "offers"), selector.offers, names, "offer")
        yield from unknown((*path, "tags"), selector.tags, tags, "tag of an offer")


def counting_faults(rules: Rules) -> Iterator[Fault]:
    """Yield rules of a workspace that count by what is not known of other agents' contacts."""
    for name, rule in rules.items():
        if not isinstance(rule, (*_COUNTING, SequenceSpec)):
            continue
        for path, selector in selectors({name: rule}):
            for word in ("stages", "offers", "tags"):
                if getattr(selector, word):
                    yield (
                        (*path, word),
                        f"a workspace's {rule.rule} counts contacts of every agent, of which only"
                        f" kind and channel are known; select by kinds or channels, not by {word}",
                    )


def event_faults(rules: Rules, known: Collection[str]) -> Iterator[Fault]:
    """Yield events that guardrails wait for and nobody can report."""
    for name, rule in rules.items():
        for word, events in _events(rule):
            yield from unknown(
                ("guardrails", name, word), events, known, "outcome, and no event of the workspace"
            )


def agent_name_faults(rules: Rules, agents: Collection[str]) -> Iterator[Fault]:
    """Yield agents that guardrails name and the workspace does not have."""
    for name, rule in rules.items():
        if isinstance(rule, ExclusiveSpec):
            path = ("guardrails", name, "agents")
            yield from unknown(path, rule.agents, agents, "agent")
            for position, agent in enumerate(rule.agents):
                if agent in rule.agents[:position]:
                    yield (*path, str(position)), f"{agent!r} is listed twice"


def idle_faults(agent: Agent, actions: Sequence[Action]) -> Iterator[Fault]:
    """Yield guardrails and steps of an agent that speak of none of its actions."""
    real = [action for action in actions if not action.is_none]
    message = "it speaks of no action of this agent; no offer fits all that is listed"
    for name, rule in agent.guardrails.items():
        if not any(speaks_of(rule, action) for action in real):
            part = ("on",) if rule.on is not None else ("except",)
            yield ("guardrails", name, *part), message
        elif rule.except_ is not None and not any(selects(rule.except_, a) for a in real):
            yield ("guardrails", name, "except"), message
        for position, step in enumerate(rule.steps if isinstance(rule, SequenceSpec) else ()):
            if not any(selects(step, action) for action in real):
                yield ("guardrails", name, "steps", str(position)), message


def selectors(rules: Rules) -> Iterator[tuple[KeyPath, Selector]]:
    """Yield every selector of some guardrails, with its place."""
    for name, rule in rules.items():
        if rule.on is not None:
            yield ("guardrails", name, "on"), rule.on
        if rule.except_ is not None:
            yield ("guardrails", name, "except"), rule.except_
        if isinstance(rule, SequenceSpec):
            for position, step in enumerate(rule.steps):
                yield ("guardrails", name, "steps", str(position)), step


def unknown(
    path: KeyPath, names: tuple[str, ...], known: Collection[str], what: str
) -> Iterator[Fault]:
    """Yield those of some listed names that are not known, each at its place in the list."""
    for position, name in enumerate(names):
        if name not in known:
            yield (*path, str(position)), f"{name!r} is no {what}; {did_you_mean(name, known)}"


def _events(rule: GuardrailSpec) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(rule, (CooldownSpec, EventSuppressionSpec, PrecedenceSpec)):
        yield "after", rule.after if isinstance(rule.after, tuple) else ()
    elif isinstance(rule, EscalationSpec):
        yield "unless", rule.unless
    elif isinstance(rule, SequenceSpec):
        yield "until", rule.until
