"""An agent as it was written: read, compiled, compared, and looked over for slips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from agents.advising.advice import advise
from agents.changes.diff import diff
from agents.errors import ContextError
from agents.load import LoadedWorkspace, parse_agent
from agents.revision import Revision
from agents.spec import Workspace
from agents.yamlsource import Source, read_yaml
from policies.registry import check_policy


@dataclass(frozen=True, slots=True)
class Written:
    """An agent's YAML, read and compiled inside the workspace as it is now."""

    revision: Revision
    yaml: str
    source: Source


def read_agent(name: str, yaml: str, workspace: Workspace) -> Written:
    """Read, check and compile an agent's YAML.

    Raises:
        DocumentError: the YAML cannot be accepted, or its learner or the learner's settings do
            not exist or are out of range.
        ContextError: it describes an agent of another name.
    """
    source = read_yaml(yaml, f"agents/{name}.yaml")
    revision = Revision(workspace, parse_agent(source, workspace))
    if revision.agent.agent != name:
        raise ContextError(
            f"expected agent {name!r} as the address says, got {revision.agent.agent!r}"
        )
    check_policy(revision, source)
    return Written(revision, yaml, source)


def same_workspace(revision: Revision, workspace: Workspace) -> bool:
    """Whether a revision was compiled inside a workspace."""
    return revision.workspace.model_dump_json() == workspace.model_dump_json()


def difference(before: Revision, after: Revision, loaded: LoadedWorkspace) -> list[str]:
    """Say in words what is different between two revisions of an agent."""
    two = (
        LoadedWorkspace(each.workspace, {each.agent.agent: each}, {}, {}, loaded.source)
        for each in (before, after)
    )
    changes = diff(*two)
    return [
        change.words if change.where != "workspace" else f"workspace: {change.words}"
        for change in changes
    ]


def advice(
    written: Written, others: Mapping[str, Written], loaded: LoadedWorkspace, now: datetime
) -> list[str]:
    """Say what deserves a second look in an agent's YAML, read beside the other agents."""
    every = {**others, written.revision.agent.agent: written}
    together = LoadedWorkspace(
        loaded.workspace,
        {name: each.revision for name, each in every.items()},
        {name: each.yaml for name, each in every.items()},
        {name: each.source for name, each in every.items()},
        loaded.source,
    )
    found = advise(together, now)
    return [str(each) for each in found if each.place.source is written.source]
