"""Advice: something worth a second look, with its place, and the place of what it clashes with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agents.actions import Action
from agents.guardrails.base import spoken_of
from agents.load import LoadedWorkspace
from agents.spec import GuardrailSpec
from agents.yamlsource import Path as KeyPath
from agents.yamlsource import Source


class Place(NamedTuple):
    """A place in a file."""

    source: Source
    path: KeyPath

    def __str__(self) -> str:
        """Write it as `file:line:column`."""
        error = self.source.error(self.path, "")
        return f"{error.file}:{error.line}:{error.column}"


class Advice(NamedTuple):
    """One warning.

    Args:
        place: where it stands.
        words: what is the matter.
        other: the second place that has to do with it, if there is one.
    """

    place: Place
    words: str
    other: Place | None = None

    def __str__(self) -> str:
        """Write it as `file:line:column: at path: words`."""
        text = str(self.place.source.error(self.place.path, self.words))
        return text if self.other is None else f"{text}; see {self.other}"


class WrittenRule(NamedTuple):
    """A guardrail as it is written, with its place and the actions that it speaks of.

    Args:
        agent: the agent that declares it, empty if the workspace does.
        actions: by agent, those it speaks of.
    """

    name: str
    spec: GuardrailSpec
    place: Place
    agent: str
    actions: dict[str, tuple[Action, ...]]


def written_rules(loaded: LoadedWorkspace) -> Iterator[WrittenRule]:
    """Yield every guardrail of a workspace: the shared ones first, then those of each agent."""
    everyone = list(loaded.revisions)
    for name, spec in loaded.workspace.guardrails.items():
        place = Place(loaded.source, ("guardrails", name))
        yield WrittenRule(name, spec, place, "", _spoken(loaded, spec, everyone))
    for agent, revision in loaded.revisions.items():
        for name, spec in revision.agent.guardrails.items():
            place = Place(loaded.sources[agent], ("guardrails", name))
            yield WrittenRule(name, spec, place, agent, _spoken(loaded, spec, [agent]))


def _spoken(
    loaded: LoadedWorkspace, spec: GuardrailSpec, agents: list[str]
) -> dict[str, tuple[Action, ...]]:
    actions = {agent: loaded.revisions[agent].actions for agent in agents}
    return {
        agent: tuple(actions[agent][i] for i in spoken_of(spec, actions[agent])) for agent in agents
    }
