"""What is known of one customer at one moment, checked against the declared schema."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from agents.errors import ContextError, did_you_mean
from agents.spec import Channel, CustomerField
from agents.supplied import Supplied
from agents.units import parse_instant, parse_zone

FeatureValue = bool | int | float | str | datetime | tuple[str, ...]

MAX_TEXT = 256
MAX_NUMBER = 1e15


@dataclass(frozen=True, slots=True)
class Contact:
    """One message that reached, or is planned to reach, a customer.

    Args:
        at: the instant it is sent (UTC); later than the decision if a send window was chosen.
        agent, offer, kind, channel, action: what was sent, by name.
        includes: offers that were sent along with it, as a bundle.
        decision_id: the decision that made it; events that follow it carry the same.
    """

    at: datetime
    agent: str
    offer: str
    kind: str
    channel: str
    action: str
    includes: tuple[str, ...] = ()
    decision_id: str = ""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """Something that a customer did earlier: an outcome, or an event of the workspace.

    Args:
        at: when it happened (UTC).
        event: the word it was reported by.
        decision_id: the decision it followed, empty if it followed none.
        agent, offer, kind, channel, action: what that decision sent, by name; empty if none.
        includes: offers that were sent along.
    """

    at: datetime
    event: str
    decision_id: str = ""
    agent: str = ""
    offer: str = ""
    kind: str = ""
    channel: str = ""
    action: str = ""
    includes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision may depend on: the customer's features and the contacts already made.

    Args:
        customer: the caller's identifier; never a model feature.
        at: the instant of the decision (UTC).
        features: declared fields only, no missing values (an unknown field is left out).
        contacts: contacts within the revision's lookback, oldest first.
        events: what the customer did within the revision's event lookback, oldest first; at
            least the events that its guardrails speak of.
        usage: what of the organisation's budgets is used, by the key of each reading that the
            revision asked for (see `agents.counters`).
        placement: the slot of an on-site channel that is to be filled, empty if none.
        channels: the only ones that may be used, in the workspace's order; empty for all.
        suppressed: channels on which the customer is not to be contacted, sorted; `*` for all.
        supplied: the actions that came with the request, of an agent that declares none.
    """

    customer: str
    at: datetime
    features: Mapping[str, FeatureValue]
    contacts: tuple[Contact, ...] = ()
    events: tuple[PastEvent, ...] = ()
    usage: Mapping[str, float] = field(default_factory=dict)
    placement: str = ""
    channels: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()
    supplied: Supplied | None = None


def _kind(value: object) -> str:
    """Say of what kind a value is, and not which: messages are kept, and it is a person's."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return repr(value)
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        big = abs(value) > MAX_NUMBER
        return f"a number of {value.bit_length()} bits" if big else "a whole number"
    if isinstance(value, float):
        return "a number"
    if isinstance(value, str):
        return f"a text of length {len(value)}"
    return f"a {type(value).__name__}"


def _number(name: str, field: CustomerField, value: object) -> int | float:
    whole = field.type == "integer"
    kinds = (int,) if whole else (int, float)
    expected = "a whole number" if whole else "a finite number"
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ContextError(f"customer.{name}: expected {expected}, got {_kind(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ContextError(f"customer.{name}: expected {expected}, got {_kind(value)}")
    low = -MAX_NUMBER if field.min is None else field.min
    high = MAX_NUMBER if field.max is None else field.max
    if not low <= value <= high:
        raise ContextError(
            f"customer.{name}: expected a number from {low:g} to {high:g},"
            f" got one that is {'below' if value < low else 'above'}"
        )
    return value if whole else float(value)


def _text(name: str, field: CustomerField, value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise ContextError(
            f"customer.{name}: expected printable text of at most {MAX_TEXT} characters,"
            f" got {_kind(value)}"
        )
    if field.type == "zone":
        try:
            return parse_zone(value)
        except ValueError:
            raise ContextError(
                f"customer.{name}: expected an IANA time zone such as 'Europe/Berlin',"
                f" got {_kind(value)}"
            ) from None
    if field.values and value not in field.values:
        near = did_you_mean(value, field.values)
        raise ContextError(f"customer.{name}: got none of its values; {near}")
    return value


def _set(name: str, field: CustomerField, value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > len(field.values):
        raise ContextError(
            f"customer.{name}: expected a list of at most {len(field.values)} different values,"
            f" got {_kind(value)}"
        )
    members = [_text(name, field, member) for member in value]
    if len(set(members)) < len(members):
        raise ContextError(f"customer.{name}: expected each value once, got one of them twice")
    return tuple(sorted(members, key=field.values.index))


def _instant(name: str, value: object) -> datetime:
    if not isinstance(value, (str, datetime)) or (isinstance(value, str) and len(value) > 40):
        raise ContextError(
            f"customer.{name}: expected an instant such as '2026-03-01T12:00:00Z',"
            f" got {_kind(value)}"
        )
    try:
        return parse_instant(value)
    except ValueError:
        raise ContextError(
            f"customer.{name}: expected an instant such as '2026-03-01T12:00:00Z',"
            f" got {_kind(value)}; it needs an offset, and a year from 1900 to 2999"
        ) from None


def _value(name: str, field: CustomerField, value: object) -> FeatureValue:
    match field.type:
        case "boolean":
            if not isinstance(value, bool):
                raise ContextError(f"customer.{name}: expected true or false, got {_kind(value)}")
            return value
        case "integer" | "number":
            return _number(name, field, value)
        case "set":
            return _set(name, field, value)
        case "instant":
            return _instant(name, value)
        case _:
            return _text(name, field, value)


def check_customer(customer: str) -> str:
    """Return a customer's identifier; refuse one that could not be stored or shown.

    Identifiers are compared as they are written: no case folding, no Unicode normalisation.

    Raises:
        ContextError: it is empty, too long, or holds a character that cannot be printed.
    """
    if not 1 <= len(customer) <= MAX_TEXT or not customer.isprintable():
        raise ContextError(
            f"customer: expected printable text of 1 to {MAX_TEXT} characters,"
            f" got {_kind(customer)}"
        )
    return customer


def check_channels(known: Iterable[str], asked: Collection[str]) -> tuple[str, ...]:
    """Return the channels that a request asks for, in the workspace's order.

    Raises:
        ContextError: the workspace has no such channel.

    Example:
        >>> check_channels(("email", "sms"), ["sms"])
        ('sms',)
    """
    if not asked:
        return ()
    every = tuple(known)
    for name in asked:
        if name not in every:
            raise ContextError(f"channels: got {name[:40]!r}; {did_you_mean(name, every)}")
    return tuple(name for name in every if name in asked)


def check_placement(channels: Mapping[str, Channel], asked: str) -> str:
    """Return the placement that a request asks for; empty if it asks for none.

    A word that no channel has would bar everything, as often as it is asked for: it is a mistake
    of the caller, and not a slot that nothing fits.

    Raises:
        ContextError: no channel of the workspace has such a placement.

    Example:
        >>> check_placement({"site": Channel(placements=("hero",))}, "hero")
        'hero'
    """
    if asked and not any(asked in channel.placements for channel in channels.values()):
        known = {slot for channel in channels.values() for slot in channel.placements}
        raise ContextError(f"placement: got {asked[:40]!r}; {did_you_mean(asked, known)}")
    return asked


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
                f"customer.{repr(name[:40])[1:-1]} is not declared in workspace.yaml;"
                f" {did_you_mean(name, schema)}"
            )
        if value is not None:
            checked[name] = _value(name, field, value)
    missing = [name for name, field in schema.items() if field.required and name not in checked]
    if missing:
        raise ContextError(f"expected the required customer fields {', '.join(missing)}; got none")
    return checked
