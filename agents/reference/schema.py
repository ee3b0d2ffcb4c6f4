"""JSON Schema of both kinds of file, made from the documents, so that editors complete and check.

What a schema cannot say (that a channel exists, that one field needs another) `nextbest check`
says.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from agents.spec import Agent, Document, Workspace
from agents.units import describe_duration, parse_zone

DRAFT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = ".schema"

_DOCUMENTS: dict[str, type[Document]] = {"workspace": Workspace, "agent": Agent}
_DURATION = {
    "type": "string",
    "pattern": "^[1-9][0-9]{0,5}[smhdw]$",
    "description": "a whole number and one of s, m, h, d, w; a day is 86,400 seconds",
}
_TIME = {
    "type": "string",
    "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$",
    "description": "a time of day from 00:00 to 23:59",
}
_DAY = {
    "type": "string",
    "pattern": "^(19|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
    "description": "a calendar day, as in 2026-03-31",
}
_ZONE = {
    "type": "string",
    "pattern": "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$",
    "description": "an IANA time zone such as Europe/Berlin",
}
_FORMS = {"timedelta": _DURATION, "time": _TIME, "date": _DAY}


class _Schema(GenerateJsonSchema):
    """Writes the small typed values the way a YAML file has them: as text of a certain form."""

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        """Describe durations, times, days and zones by patterns, all else as the library does."""
        if schema.get("function", {}).get("function") is parse_zone:
            return dict(_ZONE)
        form = _FORMS.get(schema["type"])
        return super().generate_inner(schema) if form is None else dict(form)

    def encode_default(self, dft: Any) -> Any:
        """Write a default the way a YAML file has it."""
        return describe_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def build() -> dict[str, dict[str, Any]]:
    """Make the schema of each kind of file: `workspace` and `agent`.

    Example:
        >>> sorted(build())
        ['agent', 'workspace']
    """
    return {
        name: {"$schema": DRAFT, **model.model_json_schema(schema_generator=_Schema)}
        for name, model in _DOCUMENTS.items()
    }


def schema_texts() -> dict[str, str]:
    """Write the schema of each kind of file as it stands in `agents/schema/`."""
    return {name: json.dumps(schema, indent=1) + "\n" for name, schema in build().items()}


def editor_comment(path: Path, workspace: Path) -> str:
    """Return the first line of a file that tells editors which schema it follows.

    Example:
        >>> editor_comment(Path("shop/agents/renewal.yaml"), Path("shop"))
        '# yaml-language-server: $schema=../.schema/agent.json'
    """
    below = len(path.relative_to(workspace).parts) - 1
    kind = "agent" if below else "workspace"
    return f"# yaml-language-server: $schema={'../' * below}{FOLDER}/{kind}.json"
