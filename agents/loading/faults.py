"""From a document's values to the document: the first thing wrong, in words, with its place."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, Union, get_args, get_origin
from zoneinfo import available_timezones

from pydantic import BaseModel, ValidationError

from agents.errors import did_you_mean
from agents.spec import CURRENCY_PATTERN, LOCALE_PATTERN, Document
from agents.spec.supplied import PATH_PATTERN
from agents.units import NAME_PATTERN
from agents.yamlsource import Path as KeyPath
from agents.yamlsource import Source

D = TypeVar("D", bound=Document)
Fault = tuple[KeyPath, str]

_QUOTED = re.compile(r"'(\w+)'")
_PATTERNS = {
    NAME_PATTERN: "a name of lower-case letters, digits and '_' that begins with a letter",
    CURRENCY_PATTERN: "a currency of three capitals such as 'EUR'",
    LOCALE_PATTERN: "a language tag such as 'de' or 'de-AT'",
    PATH_PATTERN: "names with '.' between them, such as user.id",
}
_PERIODS = ("hour", "day", "week", "month", "quarter", "year")
_TYPES = {
    "bool_type": "true or false",
    "dict_type": "keys and values",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "string_type": "text",
    "tuple_type": "a list, as in [one, two]",
}
_PERCENT = re.compile(r"\d{1,3}(\.\d+)?%")
_MOMENTS = ("contact", "response", "rejection")
# Words whose value may be one of two things: what to expect, and the words to choose from.
_EITHER: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "per": (f"a span such as '7d' or a period ({', '.join(_PERIODS)})", _PERIODS),
    "value": ("a number, or {property, min, max, typical}", ()),
    "after": ("contact, response, rejection or a list of events such as [purchased]", _MOMENTS),
}
_BRANCH = re.compile(r"(function-(before|after)|literal|constrained-float|tuple)\b")
_OTHER_KIND = ("float_type", "model_type", "literal_error", "tuple_type")
_NO_ZONE = "expected an IANA time zone"
_NO_DURATION = "expected a positive duration"


def validate(model: type[D], source: Source) -> D:
    """Make a document of a source's values.

    Raises:
        DocumentError: the first thing that does not fit, with its place.
    """
    try:
        return model.model_validate_json(
            json.dumps(source.value), strict=True, by_alias=True, by_name=False
        )
    except ValidationError as failure:
        errors = [dict(error) for error in failure.errors(include_url=False)]
        chosen = _chosen(_apart(errors))
        # A misspelt word is a missing one too; the word that stands there is the better lead.
        present = [error for error in chosen if error["type"] != "missing"]
        faults = [(_key_path(source, error), _explain(model, error)) for error in present or chosen]
    raise_first(source, faults)
    raise AssertionError("a validation error has at least one fault")


def raise_first(source: Source, faults: Iterable[Fault]) -> None:
    """Raise the fault that stands first in the file, if there is any.

    Raises:
        DocumentError: with the place of the fault.
    """
    errors = [source.error(path, message) for path, message in faults]
    if errors:
        raise min(errors, key=lambda error: (error.line, error.column))


def _apart(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out that a list is too short where it is only because an item of it is wrong."""
    places = [error["loc"] for error in errors]
    return [
        error
        for error in errors
        if error["type"] != "too_short"
        or not any(p[: len(error["loc"])] == error["loc"] != p for p in places)
    ]


def _chosen(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make one error of those that say only that a value is neither of the two it may be.

    A validator tries both and complains of both. An error from inside one of them (a range, a
    misspelt key) says which was meant, and stands; otherwise one sentence names both.
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for error in errors:
        loc = error["loc"]
        branch = _branch(loc)
        key = loc if branch is None else loc[:branch]
        vague = branch == len(loc) - 1 and _is_vague(error)
        plain = loc if branch is None else (*loc[:branch], *loc[branch + 1 :])
        kept = {**error, "loc": plain, "type": "either"} if vague else {**error, "loc": plain}
        groups.setdefault(key, []).append(kept)
    return [
        error
        for group in groups.values()
        for error in [e for e in group if e["type"] != "either"] or group[:1]
    ]


def _is_vague(error: dict[str, Any]) -> bool:
    return error["type"] in _OTHER_KIND or (
        error["type"] == "value_error" and str(error["ctx"]["error"]).startswith(_NO_DURATION)
    )


def _branch(loc: tuple[Any, ...]) -> int | None:
    """Position of the union member that a validator's location names, if it names one."""
    for position in range(1, len(loc)):
        if loc[position - 1] in _EITHER and _BRANCH.match(str(loc[position])):
            return position
    return None


def _key_path(source: Source, error: dict[str, Any]) -> KeyPath:
    """Turn a validator's location into the document's own keys (it names rules too)."""
    path: KeyPath = ()
    for part in error["loc"]:
        if part != "[key]" and (*path, str(part)) in source.places:
            path = (*path, str(part))
    return (*path, str(error["loc"][-1])) if error["type"] == "missing" else path


def _explain(model: type[BaseModel], error: dict[str, Any]) -> str:
    got, facts, loc = error["input"], error.get("ctx", {}), error["loc"]
    shown = f", got {_as_written(got)}"
    match error["type"]:
        case "extra_forbidden":
            hint = did_you_mean(str(loc[-1]), _words(model, loc[:-1]))
            message = f"unknown word {loc[-1]!r}; {hint}"
        case "missing":
            message = f"{loc[-1]!r} is missing"
        case "value_error":
            message = _with_zone(str(facts["error"]), got)
        case "either":
            message = _explain_either(str(loc[-1]), got, shown)
        case "union_tag_not_found":
            message = "'rule' is missing; it says what it limits, as in 'rule: frequency_cap'"
        case "union_tag_invalid":
            hint = did_you_mean(facts["tag"], _QUOTED.findall(facts["expected_tags"]))
            message = f"unknown rule {facts['tag'][:60]!r}; {hint}"
        case "literal_error" if isinstance(got, str):
            message = f"got {got[:60]!r}; {did_you_mean(got, _QUOTED.findall(facts['expected']))}"
        case "too_short":
            listed = facts["actual_length"] or "none"
            message = f"expected at least {facts['min_length']} of them, got {listed}"
        case "string_pattern_mismatch":
            message = f"expected {_PATTERNS[facts['pattern']]}{shown}"
        case _:
            text = error["msg"].removeprefix("Input should be ").replace(" should ", " to ")
            words = _TYPES.get(error["type"], f"{text[0].lower()}{text[1:]}")
            message = f"expected {words}{shown}{_as_share(got)}"
    return message


def _with_zone(message: str, got: object) -> str:
    """Add the zone that was meant to a complaint of one that nobody knows."""
    if not message.startswith(_NO_ZONE) or not isinstance(got, str):
        return message
    near = get_close_matches(got, available_timezones(), n=1)
    return f"{message}; did you mean {near[0]!r}?" if near else message


def _explain_either(word: str, got: object, shown: str) -> str:
    expected, choices = _EITHER[word]
    near = get_close_matches(got, choices, n=1) if isinstance(got, str) else []
    return f"expected {expected}{shown}" + (f"; did you mean {near[0]!r}?" if near else "")


def _as_written(value: object) -> str:
    """Write a value as a YAML document has it, cut short."""
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "keys and values" if isinstance(value, dict) else "a list"
    return repr(value[:60]) if isinstance(value, str) else json.dumps(value)


def _as_share(got: object) -> str:
    percent = _PERCENT.fullmatch(got) if isinstance(got, str) else None
    return f"; write it as {float(percent[0][:-1]) / 100:g}" if percent else ""


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
        if rule is not None:
            if loc and get_args(rule.annotation)[0] == loc[0]:
                return _words(member, loc[1:])
        elif words := _words(member, loc):
            return words
    return []
