"""Durations as ISO 8601 writes them, `PT10M`, and as documents do, `10m`."""

from __future__ import annotations

import re
from datetime import timedelta

_ISO = re.compile(
    r"P(?:([0-9]{1,6})W|(?:([0-9]{1,6})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,9})(?:\.0{1,9})?S)?)?)"
)
_SECONDS = (604_800, 86_400, 3_600, 60, 1)
_UNITS = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def from_iso(text: object) -> timedelta:
    """Read a duration of whole seconds; months and years have no fixed length.

    Raises:
        ValueError: the text is no such duration, or it is nothing at all.

    Example:
        >>> from_iso("PT10M").total_seconds(), from_iso("P1DT12H").total_seconds()
        (600.0, 129600.0)
    """
    match = _ISO.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("expected a duration of whole seconds such as 'PT10M' or 'P1D'")
    parts = (int(part or 0) for part in match.groups())
    seconds = sum(size * count for size, count in zip(_SECONDS, parts, strict=True))
    if seconds == 0:
        raise ValueError("expected a duration above zero, such as 'PT10M'")
    return timedelta(seconds=seconds)


def to_iso(span: timedelta) -> str:
    """Write a duration of whole seconds, rounded up.

    Example:
        >>> to_iso(timedelta(minutes=10)), to_iso(timedelta(days=1, hours=12))
        ('PT10M', 'P1DT12H')
    """
    seconds = -(-span // timedelta(seconds=1))
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = ((hours, "H"), (minutes, "M"), (seconds, "S"))
    time = "".join(f"{count}{unit}" for count, unit in parts if count)
    if not days and not time:
        time = "0S"
    return "P" + (f"{days}D" if days else "") + (f"T{time}" if time else "")


def to_yaml(span: timedelta) -> str:
    """Write a duration of whole seconds as documents have it, in the largest unit that fits.

    Example:
        >>> to_yaml(timedelta(seconds=600)), to_yaml(timedelta(seconds=90))
        ('10m', '90s')
    """
    seconds = span // timedelta(seconds=1)
    return next(f"{seconds // size}{unit}" for unit, size in _UNITS if seconds % size == 0)
