"""The filters of templates: what each makes of a value, as far as it can be known beforehand."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

Kind = Literal["text", "number", "boolean", "instant", "set"]

NUMBER = 40
"""Characters that no number, date pattern or zone exceeds."""

_GROWS = 3  # no letter becomes more than three in another case
_PATTERN = re.compile(r"(%[YmdHM]|[^%\n]){0,40}")


class Value(NamedTuple):
    """What an expression gives.

    Args:
        kind: of the value.
        longest: at most how many characters it is written with.
    """

    kind: Kind
    longest: int

    def __str__(self) -> str:
        return f"{'an' if self.kind == 'instant' else 'a'} {self.kind}"


def _default(value: Value, fallback: object = None, falsy: object = False) -> Value:
    kinds: dict[type, Kind] = {str: "text", int: "number", float: "number", bool: "boolean"}
    if kinds.get(type(fallback)) != value.kind or not isinstance(falsy, bool):
        raise ValueError(f"default(...) with a literal like {value}")
    longest = len(fallback) if isinstance(fallback, str) else NUMBER
    return Value(value.kind, max(value.longest, longest))


def _cased(value: Value) -> Value:
    return Value("text", _GROWS * _needs(value, "text").longest)


def _trim(value: Value) -> Value:
    return _needs(value, "text")


def _whole(value: Value) -> Value:
    return _needs(value, "number")


def _round(value: Value, digits: object = 0) -> Value:
    if type(digits) is not int or not 0 <= digits <= 6:
        raise ValueError("round(...) with 0 to 6 digits")
    return _needs(value, "number")


def _money(value: Value) -> Value:
    return Value("text", _needs(value, "number").longest)


def _date(value: Value, pattern: object = "") -> Value:
    if not isinstance(pattern, str) or _PATTERN.fullmatch(pattern) is None:
        raise ValueError("date(...) with a pattern of %Y, %m, %d, %H and %M, such as '%d.%m.%Y'")
    _needs(value, "instant")
    return Value("text", 10 + 2 * len(pattern))


def _join(value: Value, between: object = ", ") -> Value:
    if not isinstance(between, str) or len(between) > 40:
        raise ValueError("join(...) with a text of at most 40 characters")
    members = _needs(value, "set").longest
    return Value("text", members * (1 + len(between)))


FILTERS: dict[str, Callable[..., Value]] = {
    "default": _default,
    "upper": _cased,
    "lower": _cased,
    "title": _cased,
    "capitalize": _cased,
    "trim": _trim,
    "round": _round,
    "int": _whole,
    "money": _money,
    "date": _date,
    "join": _join,
}
"""By name of each filter, what it makes of a value and its literals; it raises ValueError."""


def _needs(value: Value, kind: Kind) -> Value:
    if value.kind != kind:
        raise ValueError(f"{Value(kind, 0)} before the filter, got {value}")
    return value
