"""The reference page of the language, made from the documents: `docs/language.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from agents.reference.examples import EXAMPLES
from agents.reference.schema import build

Schema = Mapping[str, Any]

_HEAD = """\
# The language

Every word that a workspace may use, made from the code by `python -m agents.reference.language`; a
test keeps it true. [workspace.md](workspace.md) is the tour.

| type | what it is |
|---|---|
| name | lower-case letters, digits and `_`, beginning with a letter, 64 at most |
| duration | a whole number and one of `s`, `m`, `h`, `d`, `w`; a day is 86,400 seconds |
| day | a calendar day, as in `2026-03-31` |
| time | a time of day from `00:00` to `23:59` |
| zone | an IANA time zone, as in `Europe/Berlin` |
| expression | [CEL](https://cel.dev) over `customer.FIELD` and `now`, true or false |
| path | names with `.` between them, as in `user.id`, of objects within objects |
| language tag | as in `de` or `de-AT` |
"""
_RULES = """\
## Guardrails

Each stands under a name of its own in `guardrails`, of the workspace or of an agent, and says by
`rule` which of the following it is. Every one may say `on` and `except`, a [Selector](#selector)
each: it speaks of the actions that fit `on` (all if not said) and do not fit `except`.
"""
_PATTERNS = {"smhdw": "duration", "[0-5][0-9]": "time", "(19|2": "day", "_+-": "zone"}
_PATTERNS |= {"[^.": "path", "a-z0-9_": "name"}
_PATTERNS |= {"[A-Z]{3}": "three capitals", "[a-z]{2,3}": "language tag"}
_KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
}
_ENDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
_TOP = ("workspace", "agent")


def reference() -> str:
    """Write the whole page as Markdown."""
    schemas = build()
    parts = {key: part for schema in schemas.values() for key, part in schema["$defs"].items()}
    rules = {_rule(part): part for part in parts.values() if _rule(part)}
    text = [_HEAD]
    for name in _TOP:
        title = "workspace.yaml" if name == "workspace" else "agents/NAME.yaml"
        text += [f"## {title}\n", *_document(schemas[name])]
    for key in sorted(parts):
        if not _rule(parts[key]):
            text += [f"## {key}\n", *_document(parts[key])]
    text.append(_RULES)
    for name in sorted(rules):
        text += [f"### {name}\n", *_document(rules[name])]
        text.append(f"```yaml\nguardrails:\n{EXAMPLES[name]}```\n")
    return "\n".join(text)


def rows(part: Schema) -> Iterator[tuple[str, str, str, str]]:
    """Yield each field of a document: its word, its type in words, its default, its meaning."""
    for word, field in part["properties"].items():
        if _rule(part) and word in ("rule", "on", "except"):
            continue
        meaning = field["description"]
        yield word, _type(field), _default(word, field, part), meaning


def _rule(part: Schema) -> str:
    return str(part["properties"].get("rule", {}).get("const", ""))


def _document(part: Schema) -> Iterator[str]:
    yield _paragraphs(part["description"])
    yield "| field | type | default | meaning |\n|---|---|---|---|"
    for row in rows(part):
        yield "| `{}` | {} | {} | {} |".format(*(cell.replace("|", "\\|") for cell in row))
    yield ""


def _paragraphs(docstring: str) -> str:
    return "\n".join(line.strip() for line in docstring.splitlines()) + "\n"


def _default(word: str, field: Schema, part: Schema) -> str:
    if word in part.get("required", ()):
        return "required"
    default = field.get("default")
    if default in (None, [], {}, ""):
        return ""
    if isinstance(default, dict):
        return "its own defaults"
    shown = default if isinstance(default, str) else json.dumps(default).replace('"', "")
    return f"`{shown}`"


def _type(field: Schema) -> str:
    """Say in words which values a field may have."""
    if "$ref" in field:
        name = str(field["$ref"]).rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_type(one) for one in field["anyOf"] if one.get("type") != "null")
    if "oneOf" in field:
        return "[guardrail](#guardrails)"
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if field["type"] == "object":
        return f"name → {_type(_values(field))}"
    return _plain(field)


def _values(field: Schema) -> Schema:
    patterns = field.get("patternProperties")
    values: Schema = next(iter(patterns.values())) if patterns else field["additionalProperties"]
    return values


def _plain(field: Schema) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "pattern" in field:
        return next(words for sign, words in _PATTERNS.items() if sign in field["pattern"])
    if field.get("minLength") == 1 and field.get("maxLength") == 2_000:
        return "expression"
    words, bounds = _KINDS[field["type"]], []
    for end, sign in zip(_ENDS, ("≥ ", "> ", "≤ ", "< "), strict=True):
        if end in field:
            bounds.append(
                f"{sign}{field[end]:,.0f}"
                if field[end] == int(field[end])
                else f"{sign}{field[end]:g}"
            )
    return f"{words} {', '.join(bounds)}".strip()


def main() -> None:
    """Print the page."""
    sys.stdout.write(reference())


if __name__ == "__main__":
    main()
