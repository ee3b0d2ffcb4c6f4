"""From YAML to revisions: every error names file, line, column and the way out."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from agents.errors import DocumentError, did_you_mean
from agents.expressions import Language
from agents.revision import Revision
from agents.spec import CURRENCY_PATTERN, Agent, Document, EligibilitySpec, Workspace
from agents.units import NAME_PATTERN
from agents.yamlsource import Path as KeyPath
from agents.yamlsource import Source, read_yaml

D = TypeVar("D", bound=Document)

_QUOTED = re.compile(r"'(\w+)'")
_PATTERNS = {
    NAME_PATTERN: "a name of lower-case letters, digits and '_' that begins with a letter",
    CURRENCY_PATTERN: "a currency of three capitals such as 'EUR'",
}


@dataclass(frozen=True, slots=True)
class LoadedWorkspace:
    """A workspace folder.

    Args:
        workspace: its document.
        revisions, texts, sources: by agent, compiled, as written, and where each word stands.
    """

    workspace: Workspace
    revisions: Mapping[str, Revision]
    texts: Mapping[str, str]
    sources: Mapping[str, Source]


def load_workspace(folder: Path) -> LoadedWorkspace:
    """Load and check `workspace.yaml` and every `agents/*.yaml` of a folder.

    Raises:
        DocumentError: the first thing that is wrong, with file, line and column.
    """
    if folder.is_file():
        message = "expected a folder with workspace.yaml and agents/*.yaml, got a file"
        raise DocumentError(message, file=str(folder), line=1, column=1)
    workspace = parse_workspace(_read(folder / "workspace.yaml", folder))
    revisions, texts, sources = {}, {}, {}
    for path in sorted((folder / "agents").glob("*.y*ml")):
        source = _read(path, folder)
        agent = parse_agent(source, workspace)
        if path.name != f"{agent.agent}.yaml":
            message = f"expected the file to be named {agent.agent}.yaml, got {path.name}"
            raise source.error(("agent",), message)
        revisions[agent.agent], sources[agent.agent] = Revision(workspace, agent), source
        texts[agent.agent] = path.read_text(encoding="utf-8")
    if not revisions:
        message = "expected at least one agent, a file agents/NAME.yaml; got none"
        raise DocumentError(message, file=str(folder), line=1, column=1)
    return LoadedWorkspace(workspace, revisions, texts, sources)


def parse_workspace(source: Source) -> Workspace:
    """Check a workspace document and its references.

    Raises:
        DocumentError: with the place of what is wrong.
    """
    workspace = _validate(Workspace, source)
    _raise_first(source, _workspace_faults(workspace))
    return workspace


def parse_agent(source: Source, workspace: Workspace) -> Agent:
    """Check an agent document against its workspace.

    Raises:
        DocumentError: with the place of what is wrong.
    """
    agent = _validate(Agent, source)
    _raise_first(source, _agent_faults(agent, workspace))
    return agent


def compile_agent(text: str, file: str, workspace: Workspace) -> Revision:
    """Read one agent's YAML and compile it inside a workspace.

    Raises:
        DocumentError: with the place of what is wrong.
    """
    return Revision(workspace, parse_agent(read_yaml(text, file), workspace))


def _read(path: Path, folder: Path) -> Source:
    name = str(path.relative_to(folder.parent)) if folder.name else str(path)
    try:
        return read_yaml(path.read_text(encoding="utf-8"), name)
    except FileNotFoundError:
        message = "there is no such file; `nextbest init` writes an example workspace"
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        message = f"the file is not UTF-8: {error.reason} at byte {error.start:,}"
    raise DocumentError(message, file=name, line=1, column=1)


def _validate(model: type[D], source: Source) -> D:
    try:
        return model.model_validate_json(
            json.dumps(source.value), strict=True, by_alias=True, by_name=False
        )
    except ValidationError as failure:
        errors = failure.errors(include_url=False)
        # A misspelt word is a missing one too; the word that stands there is the better lead.
        present = [error for error in errors if error["type"] != "missing"]
        faults = [
            (_key_path(source, error["loc"]), _explain(model, dict(error)))
            for error in present or errors
        ]
    _raise_first(source, iter(faults))
    raise AssertionError("a validation error has at least one fault")


def _raise_first(source: Source, faults: Iterator[tuple[KeyPath, str]]) -> None:
    errors = [source.error(path, message) for path, message in faults]
    if errors:
        raise min(errors, key=lambda error: (error.line, error.column))


def _key_path(source: Source, loc: tuple[str | int, ...]) -> KeyPath:
    """Turn a validator's location into the document's own keys (it names union members too)."""
    path: KeyPath = ()
    for part in loc:
        if part != "[key]" and ((*path, str(part)) in source.places or part == loc[-1]):
            path = (*path, str(part))
    return path


def _explain(model: type[BaseModel], error: dict[str, Any]) -> str:
    got, facts, loc = error["input"], error.get("ctx", {}), error["loc"]
    shown = "" if isinstance(got, (dict, list)) else f", got {_as_written(got)}"
    match error["type"]:
        case "extra_forbidden":
            hint = did_you_mean(str(loc[-1]), _words(model, loc[:-1]))
            message = f"unknown word {loc[-1]!r}; {hint}"
        case "missing":
            message = f"{loc[-1]!r} is missing"
        case "value_error":
            message = str(facts["error"])
        case "union_tag_not_found":
            message = "'rule' is missing; it says what it limits, as in 'rule: frequency_cap'"
        case "union_tag_invalid":
            hint = did_you_mean(facts["tag"], _QUOTED.findall(facts["expected_tags"]))
            message = f"unknown rule {facts['tag']!r}; {hint}"
        case "literal_error" if isinstance(got, str):
            message = f"got {got!r}; {did_you_mean(got, _QUOTED.findall(facts['expected']))}"
        case "too_short":
            message = f"expected at least {facts['min_length']} of them, got none"
        case "string_pattern_mismatch":
            message = f"expected {_PATTERNS[facts['pattern']]}{shown}"
        case _:
            text = error["msg"].removeprefix("Input should be ").replace(" should ", " to ")
            message = f"expected {text[0].lower()}{text[1:]}{shown}"
    return message


def _as_written(value: object) -> str:
    """Write a plain value as a YAML document has it, cut short."""
    return repr(value[:60]) if isinstance(value, str) else json.dumps(value)


def _words(annotation: Any, loc: tuple[str | int, ...]) -> list[str]:
    """List the words that a document accepts at a location, by walking its annotations."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields
        if not loc:
            return [field.alias or name for name, field in fields.items()]
        by_word = {field.alias or name: field for name, field in fields.items()}
        found = by_word.get(str(loc[0]))
        return _words(found.annotation, loc[1:]) if found else []
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (dict, tuple) and loc:
        return _words(arguments[-1] if origin is dict else arguments[0], loc[1:])
    if origin in (Union, types.UnionType):
        return _union_words(arguments, loc)
    return _words(arguments[0], loc) if arguments else []


def _union_words(members: tuple[Any, ...], loc: tuple[str | int, ...]) -> list[str]:
    for member in members:
        rule = getattr(member, "model_fields", {}).get("rule")
        if rule is not None and loc and get_args(rule.annotation)[0] == loc[0]:
            return _words(member, loc[1:])
        if rule is None and member is not type(None):
            return _words(member, loc)
    return []


def _workspace_faults(workspace: Workspace) -> Iterator[tuple[KeyPath, str]]:
    zones = [name for name, field in workspace.customer.items() if field.type == "zone"]
    for name in zones[1:]:
        yield ("customer", name), f"expected one zone field at most, and {zones[0]!r} is one"
    if not zones:
        for name, channel in workspace.channels.items():
            if channel.quiet_hours is not None or channel.windows:
                path = ("channels", name, "quiet_hours" if channel.quiet_hours else "windows")
                yield path, "expected a customer field of type 'zone' to know the local time by"
    booleans = [n for n, field in workspace.customer.items() if field.type == "boolean"]
    for name, channel in workspace.channels.items():
        if channel.consent is not None and channel.consent not in booleans:
            message = f"{channel.consent!r} is no boolean customer field; "
            message += did_you_mean(channel.consent, booleans)
            yield ("channels", name, "consent"), message
    yield from _expression_faults(workspace, workspace)


def _agent_faults(agent: Agent, workspace: Workspace) -> Iterator[tuple[KeyPath, str]]:
    for name, offer in agent.offers.items():
        for position, channel in enumerate(offer.channels):
            path = ("offers", name, "channels", str(position))
            if channel not in workspace.channels:
                yield (
                    path,
                    f"{channel!r} is no channel; {did_you_mean(channel, workspace.channels)}",
                )
            elif channel in offer.channels[:position]:
                yield path, f"{channel!r} is listed twice"
    for name in agent.guardrails:
        if name in workspace.guardrails:
            yield ("guardrails", name), f"the workspace has a guardrail named {name!r} already"
    yield from _expression_faults(agent, workspace)


def _expression_faults(
    document: Agent | Workspace, workspace: Workspace
) -> Iterator[tuple[KeyPath, str]]:
    language = Language(workspace.customer)
    for path, source in _expressions(document):
        try:
            language.compile(source)
        except ValueError as error:
            yield path, f"{error} (in {source[:80]!r})"


def _expressions(document: Agent | Workspace) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(document, Agent):
        if document.audience is not None:
            yield ("audience",), document.audience
        for name, offer in document.offers.items():
            if offer.eligible is not None:
                yield ("offers", name, "eligible"), offer.eligible
    for name, rule in document.guardrails.items():
        if isinstance(rule, EligibilitySpec):
            yield ("guardrails", name, "when"), rule.when
