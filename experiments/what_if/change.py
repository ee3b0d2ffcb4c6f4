"""Changes of guardrails as a marketer writes them, applied to a revision of an agent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.changes.diff import diff
from agents.errors import DocumentError, LogError, StateError, UnknownNameError, did_you_mean
from agents.load import LoadedWorkspace, load_workspace, parse_agent, parse_workspace
from agents.revision import Revision
from agents.yamlsource import Source, read_yaml

_WORKSPACE = "workspace"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different; what is empty is not changed.

    Args:
        against: a workspace folder that was edited; nothing else may be said then.
        guardrails: `NAME.FIELD=VALUE`, such as `contact_limit.max=2`; the value is YAML.
        settings: `workspace.PATH=VALUE` or `AGENT.PATH=VALUE`, for whatever else bars actions,
            such as `workspace.channels.sms.quiet_hours.from="19:00"`.
        drops: names of guardrails to leave out.
        adds: YAML files of guardrails by name, as under `guardrails:` of an agent.
    """

    against: Path | None = None
    guardrails: Sequence[str] = ()
    settings: Sequence[str] = ()
    drops: Sequence[str] = ()
    adds: Sequence[Path] = ()

    def apply(self, revision: Revision) -> Revision:
        """Return the changed agent.

        Raises:
            StateError: nothing is changed, both a folder and single changes are given, or what
                comes out is no valid agent.
            UnknownNameError: a guardrail, field or agent that does not exist.
            LogError: the changed agent has other actions, of which no log can tell anything.
        """
        single = (*self.guardrails, *self.settings, *self.drops, *self.adds)
        if (self.against is None) != bool(single):
            raise StateError(
                "expected --against FOLDER, or one or more of --guardrail, --set, --drop and"
                f" --add; got {'both' if single else 'neither'}"
            )
        found = self._edited(revision) if self.against is None else _named(self.against, revision)
        if set(found.action_ids) != set(revision.action_ids):
            other = min(set(found.action_ids) ^ set(revision.action_ids))
            raise LogError(
                f"expected the same actions before and after the change, got a difference at"
                f" {other}; a log tells of guardrails, and nothing of actions that it never had"
            )
        return found

    def _edited(self, revision: Revision) -> Revision:
        documents = json.loads(revision.source)
        for text in self.guardrails:
            path, value = _assignment(text, "--guardrail", "contact_limit.max=2")
            owner = _owner(documents, path[0], "--guardrail")
            _put(documents, (owner, "guardrails", *path), value, "--guardrail")
        for text in self.settings:
            path, value = _assignment(
                text, "--set", 'workspace.channels.sms.quiet_hours.to="09:00"'
            )
            _put(documents, (_document(path[0], revision), *path[1:]), value, "--set")
        for name in self.drops:
            del documents[_owner(documents, name, "--drop")]["guardrails"][name]
        for file in self.adds:
            documents["agent"]["guardrails"] |= _rules(file)
        try:
            workspace = parse_workspace(_source("workspace", documents["workspace"]))
            agent = parse_agent(_source("agent", documents["agent"]), workspace)
        except DocumentError as error:  # it has a place in a file that nobody wrote
            place = f"{error.file}:{error.line}:{error.column}: "
            raise StateError(f"{self._said}: {str(error).removeprefix(place)}") from None
        return Revision(workspace, agent)

    @property
    def _said(self) -> str:
        """The options that change single things, as they were given."""
        options = {
            "--guardrail": self.guardrails, "--set": self.settings, "--drop": self.drops,
            "--add": self.adds,
        }  # fmt: skip
        return ", ".join(f"{name} {text}" for name, given in options.items() for text in given)


def _source(name: str, value: dict[str, Any]) -> Source:
    """Make a source of plain values, so that an error can name the word that is wrong."""
    return Source(name, value, dict.fromkeys(_paths((), value), (1, 1)))


def _paths(path: tuple[str, ...], value: Any) -> Iterator[tuple[str, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in parts:
        here = (*path, str(key))
        yield here
        if isinstance(part, (dict, list)):
            yield from _paths(here, part)


def in_words(before: Revision, after: Revision) -> tuple[str, ...]:
    """Say what is different between two revisions of an agent, as `nextbest diff` does."""
    return tuple(change.words for change in diff(_loaded(before), _loaded(after)))


def _loaded(revision: Revision) -> LoadedWorkspace:
    name = revision.agent.agent
    nowhere = Source("")
    return LoadedWorkspace(revision.workspace, {name: revision}, {}, {name: nowhere}, nowhere)


def _named(folder: Path, revision: Revision) -> Revision:
    revisions, name = load_workspace(folder).revisions, revision.agent.agent
    if name not in revisions:
        raise UnknownNameError(
            f"--against: {folder} has no agent {name!r}; {did_you_mean(name, revisions)}"
        )
    return revisions[name]


def _assignment(text: str, option: str, example: str) -> tuple[tuple[str, ...], Any]:
    """Take `a.b=value` apart; the value is read as YAML is."""
    left, equals, right = text.partition("=")
    path = tuple(part.strip() for part in left.split("."))
    if not equals or len(path) < 2 or not all(path):
        raise StateError(f"{option}: expected NAME.FIELD=VALUE, such as {example}; got {text!r}")
    return path, read_yaml(f"value: {right}", option).value["value"]


def _owner(documents: Mapping[str, Any], name: str, option: str) -> str:
    """Return which document has a guardrail."""
    known = {rule: part for part in documents for rule in documents[part]["guardrails"]}
    if name not in known:
        hint = did_you_mean(name, known)
        raise UnknownNameError(f"{option}: there is no guardrail {name!r}; {hint}")
    return str(known[name])


def _document(name: str, revision: Revision) -> str:
    known = {_WORKSPACE: _WORKSPACE, revision.agent.agent: "agent"}
    if name not in known:
        raise UnknownNameError(f"--set: there is no {name!r}; {did_you_mean(name, known)}")
    return known[name]


def _put(documents: dict[str, Any], path: Sequence[str], value: Any, option: str) -> None:
    place: Any = documents
    for key in path[:-1]:
        place = place.get(key) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise UnknownNameError(f"{option}: there is nothing at {'.'.join(path)}, as of {key!r}")
    if path[-1] not in place:
        hint = did_you_mean(path[-1], place)
        raise UnknownNameError(f"{option}: {'.'.join(path[1:-1])} has no {path[-1]!r}; {hint}")
    place[path[-1]] = value


def _rules(file: Path) -> dict[str, Any]:
    try:
        found = read_yaml(file.read_text(encoding="utf-8"), str(file)).value
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"--add: {file} cannot be read: {error}") from error
    if not found or not all(isinstance(rule, dict) for rule in found.values()):
        raise StateError(
            f"--add: expected guardrails by name in {file}, such as"
            " 'pause: {rule: cooldown, pause: 7d}'"
        )
    return found
