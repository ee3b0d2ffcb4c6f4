"""What a change of a workspace does, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from agents.actions import ANY, Action
from agents.changes.tightness import verdict
from agents.load import LoadedWorkspace
from agents.revision import Revision
from agents.spec import Document, GuardrailSpec

_UNSAID = (
    "agent",
    "offers",
    "outcomes",
    "guardrails",
    "workspace",
    "customer",
    "channels",
    "events",
)
_SHOWN = 60
_BEFORE = 12  # characters, to see where in a text it is


class Change(NamedTuple):
    """One difference.

    Args:
        where: `workspace`, or `agent NAME`.
        words: what is different, for people.
    """

    where: str
    words: str


def diff(old: LoadedWorkspace, new: LoadedWorkspace) -> list[Change]:
    """List what is different between two workspaces, the shared part first, then by agent.

    A guardrail is `tightened` if it bars more than before, `loosened` if less, `changed` if that
    depends.
    """
    changes = [Change("workspace", words) for words in _workspace(old, new)]
    for name in dict.fromkeys([*old.revisions, *new.revisions]):
        where = f"agent {name}"
        before, after = old.revisions.get(name), new.revisions.get(name)
        if before is None or after is None:
            changes.append(Change(where, "added" if before is None else "removed"))
        else:
            changes += [Change(where, words) for words in _agent(before, after)]
    return changes


def _workspace(old: LoadedWorkspace, new: LoadedWorkspace) -> Iterator[str]:
    before, after = old.workspace, new.workspace
    yield from _named("customer field", before.customer, after.customer)
    yield from _named("channel", before.channels, after.channels)
    yield from _named("event", before.events, after.events)
    actions = [a for loaded in (old, new) for r in loaded.revisions.values() for a in r.actions[1:]]
    yield from _guardrails(before.guardrails, after.guardrails, actions)
    yield from _rest(before, after)


def _agent(old: Revision, new: Revision) -> Iterator[str]:
    before, after = old.agent, new.agent
    yield from _named("outcome", before.outcomes, after.outcomes)
    yield from _named("offer", before.offers, after.offers)
    for action in new.action_ids:
        if action not in (*old.action_ids, ANY):
            yield f"action added: {action}"
    for action in old.action_ids:
        if action not in (*new.action_ids, ANY):
            yield f"action removed: {action}"
    actions = [*old.actions[1:], *new.actions[1:]]
    yield from _guardrails(before.guardrails, after.guardrails, actions)
    yield from _rest(before, after)


def _named(what: str, old: Mapping[str, Document], new: Mapping[str, Document]) -> Iterator[str]:
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            yield f"{what} {name} added"
        elif name not in new:
            yield f"{what} {name} removed"
        elif old[name] != new[name]:
            yield f"{what} {name} changed: {_fields(old[name], new[name])}"


def _guardrails(
    old: Mapping[str, GuardrailSpec], new: Mapping[str, GuardrailSpec], actions: list[Action]
) -> Iterator[str]:
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            yield f"guardrail {name} added ({new[name].rule})"
        elif name not in new:
            yield f"guardrail {name} removed ({old[name].rule})"
        elif old[name] != new[name]:
            said = verdict(old[name], new[name], actions)
            yield f"guardrail {name} {said.value}: {_fields(old[name], new[name])}"
    kept = [name for name in old if name in new]
    if kept != [name for name in new if name in old]:
        yield "guardrails stand in another order, which decides whose reason is given first"


def _rest(old: Document, new: Document) -> Iterator[str]:
    """Say what changed of all that is no list of named parts."""
    names = [name for name in type(old).model_fields if name not in _UNSAID]
    before, after = _plain(old), _plain(new)
    for name in names:
        for path, was, now in _leaves((name,), before[name], after[name]):
            yield f"{'.'.join(path)}: {_change(was, now)}"


def _fields(old: Document, new: Document) -> str:
    leaves = _leaves((), _plain(old), _plain(new))
    return "; ".join(f"{'.'.join(path)} {_change(was, now)}" for path, was, now in leaves)


def _plain(document: Document) -> dict[str, Any]:
    return document.model_dump(mode="json", by_alias=True)


def _leaves(
    path: tuple[str, ...], old: Any, new: Any
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield the values that differ, each with its place; lists are values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _leaves((*path, key), old.get(key), new.get(key))
    elif old != new:
        yield path, old, new


def _change(old: Any, new: Any) -> str:
    """Write both values; of two long texts only what begins shortly before they part."""
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > _SHOWN:
        parts = (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
        same = max(0, next(parts, min(len(old), len(new))) - _BEFORE)
        lead = "..." if same else ""
        return f"{lead}{_shown(old[same:])} -> {lead}{_shown(new[same:])}"
    return f"{_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "nothing"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = ", ".join(value)
        return f"[{text}]" if len(text) <= _SHOWN else f"{len(value):,} of them"
    if isinstance(value, dict):
        inner = ", ".join(f"{k}: {_shown(v)}" for k, v in value.items() if v not in (None, [], {}))
        return f"{{{inner}}}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
