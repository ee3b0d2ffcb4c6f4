"""What an agent whose actions come with each request may say, and what makes no sense of such."""

from __future__ import annotations

from collections.abc import Iterator

from agents.errors import did_you_mean
from agents.loading.faults import Fault
from agents.loading.rule_references import Rules, selectors
from agents.spec import ActionSuppressionSpec, Agent, SuppliedSpec, Workspace
from agents.yamlsource import Path as KeyPath

_UNDECLARED = ("stages", "offers", "tags")


def supplied_faults(agent: Agent, workspace: Workspace) -> Iterator[Fault]:
    """Yield what does not fit an agent: of one with offers, rules that need supplied actions."""
    spec = agent.supplied
    if spec is None:
        yield from declared_faults(agent.guardrails)
        return
    yield from _channel_faults(spec, workspace)
    yield from _field_faults(spec, workspace)
    yield from _selector_faults(agent.guardrails)
    yield from _answer_faults(agent)


def declared_faults(rules: Rules) -> Iterator[Fault]:
    """Yield rules over supplied actions, where actions are declared or of every agent."""
    for name, rule in rules.items():
        if isinstance(rule, ActionSuppressionSpec):
            yield (
                ("guardrails", name, "rule"),
                "action_suppression is for an agent with 'supplied', whose actions have features;"
                " write it there, or choose declared offers by 'on' and a suppression",
            )


def _channel_faults(spec: SuppliedSpec, workspace: Workspace) -> Iterator[Fault]:
    """Yield a channel that is not there, or that does not show at once what is asked for."""
    channel = workspace.channels.get(spec.channel)
    path = ("supplied", "channel")
    if channel is None:
        hint = did_you_mean(spec.channel, workspace.channels)
        yield path, f"{spec.channel!r} is no channel; {hint}"
    elif channel.windows or channel.placements:
        word = "windows" if channel.windows else "placements"
        yield path, f"expected a channel without '{word}': what is asked for is shown at once"
    elif channel.quiet_hours is not None and channel.quiet_hours.on_hit == "queue":
        words = "expected a channel without 'on_hit: queue': what is asked for is shown at once"
        yield path, words


def _field_faults(spec: SuppliedSpec, workspace: Workspace) -> Iterator[Fault]:
    path: KeyPath = ("supplied", "fields")
    known = workspace.customer
    for name in spec.fields:
        if name not in known:
            yield (*path, name), f"{name!r} is no customer field; {did_you_mean(name, known)}"
    lacking = [name for name, field in known.items() if field.required and name not in spec.fields]
    if lacking:
        words = f"the workspace requires the customer field {lacking[0]!r}, so every request would"
        yield (
            path if spec.fields else path[:1],
            f"{words} be refused; say where it stands, as in fields: {{{lacking[0]}:"
            f" user.{lacking[0]}}}",
        )


def _selector_faults(rules: Rules) -> Iterator[Fault]:
    for path, selector in selectors(rules):
        for word in _UNDECLARED:
            if getattr(selector, word):
                yield (
                    (*path, word),
                    f"supplied actions have no declared {word}; use an action_suppression over"
                    " `action` or `action_id`, or choose by kinds or channels",
                )


def _answer_faults(agent: Agent) -> Iterator[Fault]:
    """Yield what would leave requests without an answer, or without the contact they ask for."""
    if agent.holdout.managed is not None:
        yield (
            ("holdout", "managed"),
            "expected no managed groups beside 'supplied': control would get no action",
        )
    if agent.confirm is not None:
        yield (
            ("confirm",),
            "expected no 'confirm' beside 'supplied': a request defers its event by itself",
        )
