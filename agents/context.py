"""What is known of one customer at one moment, checked against the declared schema."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from agents.errors import ContextError, did_you_mean
from agents.spec import CustomerField
from agents.units import parse_zone

FeatureValue = bool | int | float | str

_MAX_TEXT = 256
_MAX_NUMBER = 1e15


@dataclass(frozen=True, slots=True)
class Contact:
    """One message that reached, or is planned to reach, a customer.

    Args:
        at: the instant it is sent (UTC); later than the decision if a send window was chosen.
        agent, offer, kind, channel, action: what was sent, by name.
    """

    at: datetime
    agent: str
    offer: str
    kind: str
    channel: str
    action: str


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision may depend on: the customer's features and the contacts already made.

    Args:
        customer: the caller's identifier; never a model feature.
        at: the instant of the decision (UTC).
        features: declared fields only, no missing values (an unknown field is left out).
        contacts: contacts within the revision's lookback, oldest first.
    """

    customer: str
    at: datetime
    features: Mapping[str, FeatureValue]
    contacts: tuple[Contact, ...] = ()


def _shown(value: object) -> str:
    """Write a value of any size and kind for a message, cut short and fit to print."""
    if isinstance(value, int) and abs(value) > _MAX_NUMBER:
        return f"a number of {value.bit_length()} bits"
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    return repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"


def _number(name: str, field: CustomerField, value: object) -> int | float:
    whole = field.type == "integer"
    kinds = (int,) if whole else (int, float)
    expected = "a whole number" if whole else "a finite number"
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ContextError(f"customer.{name}: expected {expected}, got {_shown(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ContextError(f"customer.{name}: expected {expected}, got {value!r}")
    low = -_MAX_NUMBER if field.min is None else field.min
    high = _MAX_NUMBER if field.max is None else field.max
    if not low <= value <= high:
        raise ContextError(
            f"customer.{name}: expected a number from {low:g} to {high:g}, got {_shown(value)}"
        )
    return value if whole else float(value)


def _text(name: str, field: CustomerField, value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise ContextError(
            f"customer.{name}: expected printable text of at most {_MAX_TEXT} characters,"
            f" got {_shown(value)}"
        )
    if field.type == "zone":
        try:
            return parse_zone(value)
        except ValueError as error:
            raise ContextError(f"customer.{name}: {error}") from error
    if field.values and value not in field.values:
        raise ContextError(f"customer.{name}: got {value!r}; {did_you_mean(value, field.values)}")
    return value


def _value(name: str, field: CustomerField, value: object) -> FeatureValue:
    if field.type == "boolean":
        if not isinstance(value, bool):
            raise ContextError(f"customer.{name}: expected true or false, got {_shown(value)}")
        return value
    if field.type in ("integer", "number"):
        return _number(name, field, value)
    return _text(name, field, value)


def check_customer(customer: str) -> str:
    """Return a customer's identifier; refuse one that could not be stored or shown.

    Identifiers are compared as they are written: no case folding, no Unicode normalisation.

    Raises:
        ContextError: it is empty, too long, or holds a character that cannot be printed.
    """
    if not 1 <= len(customer) <= _MAX_TEXT or not customer.isprintable():
        raise ContextError(
            f"customer: expected printable text of 1 to {_MAX_TEXT} characters,"
            f" got {_shown(customer)}"
        )
    return customer


def check_features(
    schema: Mapping[str, CustomerField], features: Mapping[str, object]
) -> dict[str, FeatureValue]:
    """Check a customer's features against the schema and drop the missing ones.

    A field that is absent or null is unknown, and stays absent: a guardrail that needs it bars.

    Raises:
        ContextError: an undeclared field, a wrong type, a number out of range or not finite, or
            a required field that is missing.

    Example:
        >>> schema = {"age": CustomerField(type="integer", min=0, max=120)}
        >>> check_features(schema, {"age": 41})
        {'age': 41}
    """
    checked: dict[str, FeatureValue] = {}
    for name, value in features.items():
        field = schema.get(name)
        if field is None:
            raise ContextError(
                f"customer.{_shown(name)[1:-1]} is not declared in workspace.yaml;"
                f" {did_you_mean(name, schema)}"
            )
        if value is not None:
            checked[name] = _value(name, field, value)
    missing = [name for name, field in schema.items() if field.required and name not in checked]
    if missing:
        raise ContextError(f"expected the required customer fields {', '.join(missing)}; got none")
    return checked
