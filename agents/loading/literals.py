"""Texts that an expression compares with a category or a set, and that the field never has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from agents.errors import did_you_mean
from agents.spec import CustomerField

_TEXT = r"""(?:'[^'\\]*'|"[^"\\]*")"""
_FIELD = r"\bcustomer\.(?P<field>[a-z][a-z0-9_]*)\b"
_END = r"(?!\s*[+.\[(])"  # the text, or the field, is not a part of something longer
_COMPARED = (
    re.compile(rf"(?<!\+ ){_FIELD}\s*[!=]=\s*(?P<texts>{_TEXT}){_END}"),
    re.compile(rf"(?<!\+ )(?P<texts>{_TEXT})\s*(?:[!=]=|(?:not\s+)?in\b)\s*{_FIELD}{_END}"),
    re.compile(
        rf"(?<!\+ ){_FIELD}\s+(?:not\s+)?in\s*\[(?P<texts>\s*{_TEXT}(?:\s*,\s*{_TEXT})*)\s*\]"
    ),
)
_ONE = re.compile(_TEXT)


def unknown_values(source: str, schema: Mapping[str, CustomerField]) -> Iterator[str]:
    """Yield what is wrong with the texts that an expression compares declared fields with.

    CEL takes any text for text, so a misspelt value would compile and never be met.

    Example:
        >>> schema = {"plan": CustomerField(type="category", values=("basic", "plus"))}
        >>> list(unknown_values("customer.plan in ['basic', 'plsu']", schema))
        ["'plsu' is no value of customer.plan; did you mean 'plus'?"]
        >>> list(unknown_values("customer.plan != 'plus'", schema))
        []
    """
    for pattern in _COMPARED:
        for found in pattern.finditer(source):
            field = schema.get(found["field"])
            values = field.values if field is not None else ()
            for text in _ONE.findall(found["texts"]) if values else ():
                if (value := text[1:-1]) not in values:
                    hint = did_you_mean(value, values)
                    yield f"{value!r} is no value of customer.{found['field']}; {hint}"
