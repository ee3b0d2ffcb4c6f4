"""From YAML to revisions: every error names file, line, column and the way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from agents.content import Catalog, TemplateError
from agents.errors import DocumentError
from agents.loading.exclusions import resolve_exclusions
from agents.loading.faults import Fault, raise_first, validate
from agents.loading.references import (
    agent_faults,
    between_faults,
    expression_faults,
    other_agent_faults,
    workspace_faults,
)
from agents.loading.rule_references import idle_faults
from agents.revision import Revision
from agents.spec import Agent, Workspace
from agents.units import describe_duration
from agents.yamlsource import Path as KeyPath
from agents.yamlsource import Source, read_yaml

WORKSPACE_FILE = "workspace.yaml"


@dataclass(frozen=True, slots=True)
class LoadedWorkspace:
    """A workspace folder.

    Args:
        workspace: its document.
        revisions, texts, sources: by agent, compiled, as written, and where each word stands.
        source: where each word of `workspace.yaml` stands.
    """

    workspace: Workspace
    revisions: Mapping[str, Revision]
    texts: Mapping[str, str]
    sources: Mapping[str, Source]
    source: Source


def load_workspace(folder: Path) -> LoadedWorkspace:
    """Load and check `workspace.yaml` and every `agents/*.yaml` of a folder.

    Raises:
        DocumentError: the first thing that is wrong, with file, line and column.
    """
    if folder.is_file():
        message = "expected a folder with workspace.yaml and agents/*.yaml, got a file"
        raise DocumentError(message, file=str(folder), line=1, column=1)
    own, _ = _read(folder / WORKSPACE_FILE, folder)
    workspace = parse_workspace(own, folder=folder)
    revisions, texts, sources = {}, {}, {}
    for path in sorted((folder / "agents").glob("*.y*ml")):
        source, text = _read(path, folder)
        revision = _compile(source, workspace, folder)
        name = revision.agent.agent
        raise_first(own, _retention_faults(revision, ("retention",)))
        if path.name != f"{name}.yaml":
            message = f"expected the file to be named {name}.yaml, got {path.name}"
            raise source.error(("agent",), message)
        revisions[name], sources[name], texts[name] = revision, source, text
    if not revisions:
        message = "expected at least one agent, a file agents/NAME.yaml; got none"
        raise DocumentError(message, file=str(folder), line=1, column=1)
    raise_first(own, between_faults(workspace, [r.agent for r in revisions.values()]))
    for name, revision in revisions.items():
        raise_first(sources[name], other_agent_faults(revision.agent, revisions))
    return LoadedWorkspace(workspace, revisions, texts, sources, own)


def parse_workspace(source: Source, *, folder: Path | None = None) -> Workspace:
    """Check a workspace document and its references.

    What it says of agents can be checked only with them: `load_workspace` does.

    Args:
        source: the document as read.
        folder: where files that it names may be read; None refuses them.

    Raises:
        DocumentError: with the place of what is wrong.
    """
    resolve_exclusions(source, folder)
    workspace = validate(Workspace, source)
    raise_first(source, workspace_faults(workspace))
    return workspace


def parse_agent(source: Source, workspace: Workspace) -> Agent:
    """Check an agent document against its workspace.

    Raises:
        DocumentError: with the place of what is wrong.
    """
    return _compile_alone(source, workspace).agent


def compile_agent(text: str, file: str, workspace: Workspace) -> Revision:
    """Read one agent's YAML and compile it inside a workspace.

    Raises:
        DocumentError: with the place of what is wrong.
    """
    return _compile_alone(read_yaml(text, file), workspace)


def _compile_alone(source: Source, workspace: Workspace) -> Revision:
    revision = _compile(source, workspace, None)
    raise_first(source, _retention_faults(revision, ("guardrails",)))
    return revision


def _compile(source: Source, workspace: Workspace, folder: Path | None) -> Revision:
    """Check and compile; what compiles is not compiled a second time to be checked."""
    resolve_exclusions(source, folder)
    agent = validate(Agent, source)
    faults = list(agent_faults(agent, workspace))
    if faults:
        raise_first(source, chain(faults, expression_faults(agent, workspace)))
    try:
        revision = Revision(workspace, agent)
    except ValueError as error:
        raise_first(source, _compile_faults(agent, workspace))
        raise source.error((), str(error)) from None
    raise_first(source, idle_faults(agent, revision.actions))
    return revision


def _compile_faults(agent: Agent, workspace: Workspace) -> Iterator[Fault]:
    yield from expression_faults(agent, workspace)
    try:
        Catalog(workspace, agent)
    except TemplateError as error:
        yield error.path, error.message


def _retention_faults(revision: Revision, path: KeyPath) -> Iterator[Fault]:
    kept, needed = revision.workspace.retention, max(revision.lookback, revision.event_lookback)
    if kept is None or kept > needed:
        return
    rules = {rule.name: rule.lookback for rule in revision.guardrails}
    rules |= {rule.name: rule.lookback for rule in revision.rankings}
    who = next((name for name, lookback in rules.items() if lookback == needed), "the learner")
    yield (
        path,
        f"{who} of agent {revision.agent.agent!r} looks back {describe_duration(needed)}, and"
        f" contacts and events are kept for {describe_duration(kept)}; expected 'retention' to be"
        " longer",
    )


def _read(path: Path, folder: Path) -> tuple[Source, str]:
    name = str(path.relative_to(folder.parent)) if folder.name else str(path)
    try:
        text = path.read_text(encoding="utf-8")
        return read_yaml(text, name), text
    except FileNotFoundError:
        message = "there is no such file; `nextbest init` writes an example workspace"
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        message = f"the file is not UTF-8: {error.reason} at byte {error.start:,}"
    raise DocumentError(message, file=name, line=1, column=1)
