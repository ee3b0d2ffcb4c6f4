"""Guardrails over all agents that would hear only what each agent itself calls by a word."""

from __future__ import annotations

from collections.abc import Iterator

from agents.advising.documents import Advice, Place, WrittenRule
from agents.load import LoadedWorkspace
from agents.spec import CooldownSpec

_OVER_AGENTS = ("all", "kind", "channel")


def half_heard(rule: WrittenRule, loaded: LoadedWorkspace) -> Iterator[Advice]:
    """Yield each outcome of one agent that a workspace's rule does not count for the others.

    What a response or a rejection is, an agent knows of its own outcomes and of the workspace's
    events. A rule that means other agents' outcomes too has to list their words.
    """
    signal = _signal(rule)
    bound = [name for name, spoken in rule.actions.items() if spoken]
    if rule.agent or signal is None or len(bound) < 2:
        return
    for name, revision in loaded.revisions.items():
        for outcome, spec in revision.agent.outcomes.items():
            word = spec.event or outcome
            others = [o for o in bound if loaded.revisions[o].signals.get(word) != signal]
            if spec.signal == signal and others:
                words = (
                    f"{word} is a {signal} for agent {name} only, and {' and '.join(others)} will"
                    f" not pause for it; list the events, as in after: [{word}]"
                )
                place = Place(loaded.sources[name], ("outcomes", outcome))
                yield Advice(rule.place, words, place)


def _signal(rule: WrittenRule) -> str | None:
    spec = rule.spec
    if isinstance(spec, CooldownSpec) and spec.scope in _OVER_AGENTS:
        return spec.after if spec.after in ("response", "rejection") else None
    return None
