"""From a workspace folder to each agent's law, with nothing but a YAML parser and CEL.

It takes a workspace that `nextbest check` accepts; it does not check the YAML itself.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cel_expr_python import cel
from ruamel.yaml import YAML

from agents.checking.actions import ActionLaw, Selection
from agents.checking.laws import AgentLaw, ChannelLaw
from agents.checking.times import Span, read_span

Document = dict[str, Any]

_CEL_TYPES = {
    "integer": cel.Type.INT, "number": cel.Type.DOUBLE, "boolean": cel.Type.BOOL,
    "set": cel.Type.List(cel.Type.STRING), "instant": cel.Type.TIMESTAMP,
}  # fmt: skip


@dataclass(frozen=True)
class Documents:
    """One agent in its workspace, as written.

    Args:
        key: of the customer hash, None if it is not known.
        supplied: ids of the actions of one request, if the agent declares no offers.
    """

    workspace: Document
    agent: Document
    folder: Path
    key: bytes | None
    supplied: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The agent's name."""
        return str(self.agent["agent"])

    @property
    def offers(self) -> Mapping[str, Document]:
        """The agent's offers; each supplied action is one by itself."""
        spec = self.agent.get("supplied")
        if spec is not None:
            kind, channels = spec.get("kind", "promotion"), [spec["channel"]]
            own = {"kind": kind, "variants": {}, "channels": channels}
            return dict.fromkeys(self.supplied, own)
        offers: Mapping[str, Document] = self.agent["offers"]
        return offers

    @property
    def zone(self) -> ZoneInfo:
        """Where the organisation counts its periods."""
        return ZoneInfo(self.workspace["zone"])

    @cached_property
    def environment(self) -> Any:
        """The CEL environment of the customer schema and of what is supplied."""
        fields = self.workspace["customer"].items()
        return _environment(tuple((name, field["type"]) for name, field in fields))

    @cached_property
    def actions(self) -> dict[str, ActionLaw]:
        """Every action but `none`."""
        return {action.id: action for action in self._expand()}

    @cached_property
    def signals(self) -> dict[str, str | None]:
        """What each event is taken for: response, rejection, failure or nothing."""
        events = self.workspace.get("events") or {}
        signals: dict[str, str | None] = {w: (e or {}).get("counts_as") for w, e in events.items()}
        for name, outcome in self.agent["outcomes"].items():
            harm = worth(outcome) < 0
            signal = outcome.get("counts_as") or ("rejection" if harm else "response")
            signals[outcome.get("event") or name] = signal
        return signals

    def signalled(self, signal: str) -> frozenset[str]:
        """List the events that are taken for a signal."""
        return frozenset(word for word, means in self.signals.items() if means == signal)

    def rules(self) -> Iterator[tuple[str, Document, bool]]:
        """List the declared rules, the workspace's first: name, document, whether the agent's."""
        for document, own in ((self.workspace, False), (self.agent, True)):
            for name, rule in (document.get("guardrails") or {}).items():
                yield name, rule, own

    def chosen(self, rule: Document) -> list[ActionLaw]:
        """List the actions that a rule speaks of."""
        selection = selection_of(rule)
        return [action for action in self.actions.values() if selection.meant(action, self.actions)]

    def hashed(self, customer: str) -> str:
        """Return the keyed hash by which a log knows a customer."""
        return hmac.new(self.key or b"", customer.encode(), hashlib.sha256).hexdigest()[:32]

    def _expand(self) -> Iterator[ActionLaw]:
        spec = self.agent.get("supplied")
        if spec is not None:
            channel = self.workspace["channels"][spec["channel"]] or {}
            cost = spec.get("cost", 0.0) + channel.get("cost", 0.0)
            for name, own in self.offers.items():
                yield ActionLaw(name, name, own["kind"], channel=spec["channel"], cost=cost)
            return
        for name, offer in self.offers.items():
            includes = tuple(offer.get("includes") or ())
            paid = sum(self.offers[one].get("cost", 0.0) for one in (name, *includes))
            base = ActionLaw(
                "", name, offer["kind"], stage=offer.get("stage") or "",
                tags=frozenset(offer.get("tags") or ()), includes=includes,
                fallback=bool(offer.get("fallback", False)),
            )  # fmt: skip
            for variant in offer["variants"]:
                for channel in offer["channels"]:
                    raw = self.workspace["channels"][channel] or {}
                    for window in raw.get("windows") or ("",):
                        tail = "#" + window if window else ""
                        yield replace(
                            base, id=f"{name}/{variant}@{channel}{tail}", variant=variant,
                            channel=channel, window=window, cost=paid + raw.get("cost", 0.0),
                        )  # fmt: skip


@lru_cache(maxsize=64)
def _environment(fields: tuple[tuple[str, str], ...]) -> Any:
    anything = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    return cel.NewEnv(
        variables={f"customer.{n}": _CEL_TYPES.get(kind, cel.Type.STRING) for n, kind in fields}
        | {"now": cel.Type.TIMESTAMP, "action_id": cel.Type.STRING}
        | {"action": anything, "context": anything}
    )


def worth(outcome: Document) -> float:
    """Return what one event of an outcome is taken to be worth."""
    value = outcome["value"]
    amount = value["typical"] if isinstance(value, dict) else value
    return float(outcome.get("weight", 1.0) * amount)


def selection_of(rule: Document) -> Selection:
    """Read the `on` and `except` of a rule."""
    return Selection(rule.get("on"), rule.get("except"))


def read_documents(folder: Path, key: bytes | None) -> list[Documents]:
    """Read every agent of a workspace folder."""
    workspace = _document(folder / "workspace.yaml")
    paths = sorted((folder / "agents").glob("*.y*ml"))
    return [Documents(workspace, _document(path), folder, key) for path in paths]


def _document(path: Path) -> Document:
    loaded: Document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return loaded


def bare_law(documents: Documents) -> AgentLaw:
    """Read everything of an agent but its rules."""
    fields, agent = documents.workspace["customer"], documents.agent
    channels = {name: _channel(raw or {}) for name, raw in documents.workspace["channels"].items()}
    actions = documents.actions
    return AgentLaw(
        agent=documents.name,
        always_act=bool(agent.get("always_act", False)),
        managed=(agent.get("holdout") or {}).get("managed") or "",
        zone_field=next((n for n, f in fields.items() if f["type"] == "zone"), ""),
        actions={"none": ActionLaw("none"), **actions},
        channels=channels,
        environment=documents.environment,
        slots=tuple({action.slot for action in actions.values()}),
    )


def _channel(raw: Document) -> ChannelLaw:
    windows: dict[str, Span] = {
        name: read_span(span) for name, span in (raw.get("windows") or {}).items()
    }
    quiet: Document = raw.get("quiet_hours") or {}
    queued = quiet.get("on_hit", "discard") == "queue"
    return ChannelLaw(read_span(quiet) if quiet else None, queued, windows)
