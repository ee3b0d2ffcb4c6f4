"""What the checker reads from YAML: each agent's law, with nothing but a parser and CEL.

Together with `agents.checker` this is the second opinion on the guardrails. It shares no code with
`load`, `revision`, `schedule`, `guardrails` or `mask`, and must not: a fault there would be shared
too. It takes a workspace that `nextbest check` accepts; it does not check the YAML itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cel_expr_python import cel
from ruamel.yaml import YAML

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_CEL_TYPES = {"integer": cel.Type.INT, "number": cel.Type.DOUBLE, "boolean": cel.Type.BOOL}


@dataclass(frozen=True, slots=True)
class Span:
    """A daily span of local time in minutes after midnight; the end is exclusive."""

    start: int
    end: int

    def holds(self, instant: datetime, zone: ZoneInfo) -> bool:
        """Say whether an instant lies in the span, where the customer is."""
        local = instant.astimezone(zone)
        minute = local.hour * 60 + local.minute
        if self.start > self.end:
            return minute >= self.start or minute < self.end
        return self.start <= minute < self.end


@dataclass(frozen=True, slots=True)
class ChannelLaw:
    """What a channel demands: a consent field, silence in some hours, its send windows."""

    consent: str
    quiet: Span | None
    windows: Mapping[str, Span]


@dataclass(frozen=True, slots=True)
class ActionLaw:
    """What an action is made of; all empty for `none`."""

    offer: str
    kind: str
    channel: str
    window: str


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` contacts of a scope in any span of `per`."""

    name: str
    most: int
    per: timedelta
    scope: str


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression that must be exactly true for some actions."""

    name: str
    source: str
    actions: frozenset[str]
    compiled: Any

    def holds(self, bound: Any) -> bool:
        """Say whether it is exactly true; an error or a missing field is not."""
        value = self.compiled.eval(bound)
        return value.type() == cel.Type.BOOL and value.value() is True


@dataclass(frozen=True, slots=True)
class AgentLaw:
    """All that binds one agent.

    Args:
        zone_field: the customer field that names the time zone, empty if there is none.
        environment: the CEL environment in which its conditions were compiled.
    """

    agent: str
    always_act: bool
    zone_field: str
    actions: Mapping[str, ActionLaw]
    channels: Mapping[str, ChannelLaw]
    conditions: tuple[Condition, ...]
    caps: tuple[Cap, ...]
    environment: Any

    def bind(self, features: Mapping[str, object]) -> Any:
        """Bind a customer's features for its conditions."""
        return self.environment.Activation({f"customer.{k}": v for k, v in features.items()})


def read_laws(folder: Path) -> dict[str, AgentLaw]:
    """Read the law of every agent of a workspace folder, by the agent's name."""
    workspace = _document(folder / "workspace.yaml")
    agents = [_document(path) for path in sorted((folder / "agents").glob("*.yaml"))]
    return {agent["agent"]: _law(workspace, agent) for agent in agents}


def _document(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return loaded


def _law(workspace: dict[str, Any], agent: dict[str, Any]) -> AgentLaw:
    fields: dict[str, dict[str, Any]] = workspace["customer"]
    environment = cel.NewEnv(
        variables={
            f"customer.{name}": _CEL_TYPES.get(field["type"], cel.Type.STRING)
            for name, field in fields.items()
        }
    )
    channels = {name: _channel(raw or {}) for name, raw in workspace["channels"].items()}
    actions = dict(_actions(agent, channels))
    rules = {**workspace.get("guardrails", {}), **agent.get("guardrails", {})}
    zones = [name for name, field in fields.items() if field["type"] == "zone"]
    return AgentLaw(
        agent=agent["agent"],
        always_act=bool(agent.get("always_act", False)),
        zone_field=zones[0] if zones else "",
        actions={"none": ActionLaw("", "", "", ""), **actions},
        channels=channels,
        conditions=tuple(_conditions(agent, rules, actions, environment)),
        caps=tuple(_caps(rules)),
        environment=environment,
    )


def _channel(raw: dict[str, Any]) -> ChannelLaw:
    windows = {name: _span(span) for name, span in raw.get("windows", {}).items()}
    quiet = raw.get("quiet_hours")
    return ChannelLaw(raw.get("consent") or "", _span(quiet) if quiet else None, windows)


def _span(raw: dict[str, str]) -> Span:
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (raw["from"], raw["to"]))
    return Span(start, end)


def _actions(
    agent: dict[str, Any], channels: Mapping[str, ChannelLaw]
) -> Iterator[tuple[str, ActionLaw]]:
    for name, offer in agent["offers"].items():
        for variant, channel in itertools.product(offer["variants"], offer["channels"]):
            for window in channels[channel].windows or [""]:
                tail = "#" + window if window else ""
                law = ActionLaw(name, offer["kind"], channel, window)
                yield f"{name}/{variant}@{channel}{tail}", law


def _conditions(
    agent: dict[str, Any],
    rules: dict[str, Any],
    actions: Mapping[str, ActionLaw],
    environment: Any,
) -> Iterator[Condition]:
    def condition(name: str, source: str, chosen: Iterator[str]) -> Condition:
        return Condition(name, source, frozenset(chosen), environment.compile(source))

    if agent.get("audience") is not None:
        yield condition("audience", agent["audience"], iter(actions))
    for offer, raw in agent["offers"].items():
        if raw.get("eligible") is not None:
            of_offer = (i for i, action in actions.items() if action.offer == offer)
            yield condition("eligible", raw["eligible"], of_offer)
    for name, rule in rules.items():
        if rule["rule"] == "eligibility":
            kinds = rule.get("kinds") or [action.kind for action in actions.values()]
            of_kind = (i for i, action in actions.items() if action.kind in kinds)
            yield condition(name, rule["when"], of_kind)


def _caps(rules: dict[str, Any]) -> Iterator[Cap]:
    for name, rule in rules.items():
        if rule["rule"] == "frequency_cap":
            yield Cap(name, rule["max"], _duration(rule["per"]), rule.get("scope", "all"))
        elif rule["rule"] == "cooldown":
            yield Cap(name, 1, _duration(rule["pause"]), rule.get("scope", "offer"))


def _duration(text: str) -> timedelta:
    return timedelta(seconds=int(text[:-1]) * _SECONDS[text[-1]])
