"""Expressions that no customer can make true, as far as that can be decided.

An expression that only compares one field with literals, joined by `&&`, `||` and `!`, changes its
value nowhere but at those literals. So it is never true if it is not true at the ends of the
field's range, at each literal, beside it and between any two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise

from agents.context import FeatureValue
from agents.expressions import Language
from agents.spec import CustomerField

_FIELD = re.compile(r"\bcustomer\.([a-z][a-z0-9_]*)")
_STRING = re.compile(r"'[^'\\]*'|\"[^\"\\]*\"")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")
_MINUS = re.compile(r"[\w)\]']\s*-")  # a difference, not a negative number
_PLAIN = re.compile(r"(?:&&|\|\||[!=<>]=|[!<>()\[\],]|''|\b(?:in|true|false)\b|\s)*")
_FAR = 1e15  # no context holds a greater number
_ANY = datetime(2000, 1, 1, tzinfo=UTC)  # such expressions do not speak of now


def fields_of(source: str) -> set[str]:
    """List the customer fields that an expression names.

    Example:
        >>> sorted(fields_of("customer.age > 18 && customer.plan == 'customer.x'"))
        ['age', 'plan']
    """
    return set(_FIELD.findall(_STRING.sub("''", source)))


def never_true(source: str, schema: Mapping[str, CustomerField]) -> bool:
    """Say whether an expression is surely true for no customer; false also where undecided.

    Example:
        >>> schema = {"age": CustomerField(type="integer", min=18, max=99)}
        >>> never_true("customer.age < 18", schema), never_true("customer.age < 19", schema)
        (True, False)
    """
    return _constant(source, schema, wanted="true")


def never_false(source: str, schema: Mapping[str, CustomerField]) -> bool:
    """Say whether an expression is surely false for no customer; false also where undecided."""
    return _constant(source, schema, wanted="false")


def _constant(source: str, schema: Mapping[str, CustomerField], *, wanted: str) -> bool:
    text = _STRING.sub("''", source)
    names = fields_of(source)
    rest = _NUMBER.sub(" ", _FIELD.sub(" ", text))
    if len(names) != 1 or _MINUS.search(text) or not _PLAIN.fullmatch(rest):
        return False
    name = names.pop()
    field = schema.get(name)
    values = list(_candidates(field, text)) if field is not None else []
    if not values:
        return False
    language = Language(schema)
    condition = language.compile(source if wanted == "true" else f"!({source})")
    return all(condition.refusal(language.bind({name: value}, _ANY)) for value in values)


def _candidates(field: CustomerField, text: str) -> Iterator[FeatureValue]:
    """Yield values of a field at which such an expression takes every value that it can take."""
    if field.type == "boolean":
        yield from (True, False)
    elif field.type == "category":
        yield from field.values
    elif field.type in ("integer", "number"):
        yield from _numbers(field, [float(number) for number in _NUMBER.findall(text)])


def _numbers(field: CustomerField, literals: list[float]) -> Iterator[int | float]:
    least = -_FAR if field.min is None else field.min
    most = _FAR if field.max is None else field.max
    points = sorted({least, most, *literals})
    between = [(low + high) / 2 for low, high in pairwise(points)]
    beside = [literal + step for literal in literals for step in (-1.0, 1.0)]
    for point in sorted({*points, *between, *beside}):
        if least <= point <= most:
            yield int(point) if field.type == "integer" else point
