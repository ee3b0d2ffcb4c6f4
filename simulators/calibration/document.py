"""A world's document as YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from agents.units import describe_duration
from simulators.market.spec import WorldSpec

_MOST_SECONDS = 999_999  # what a duration in seconds can say
_DIGITS = 18  # after the point; YAML of ours has no more


def world_yaml(spec: WorldSpec, comment: str = "") -> str:
    """Write a world's document; reading it again gives the same world.

    Durations have whole seconds, or minutes beyond eleven days; what has its default is left out.

    Args:
        spec: to be written.
        comment: its first lines, without the `#`.

    Example:
        >>> from simulators.market.load import load_world, read_world
        >>> spec = load_world("telecom")
        >>> read_world(world_yaml(spec, "As it was."), "again.yaml") == spec
        True
    """
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    for name, part in spec.model_dump(exclude_defaults=True).items():
        if isinstance(part, Mapping) and part:
            lines += [f"{name}:", *(f"  {_text(key)}: {_flow(v)}" for key, v in part.items())]
        elif isinstance(part, list | tuple) and part and isinstance(part[0], Mapping):
            lines += [f"{name}:", *(f"  - {_flow(each)}" for each in part)]
        else:
            lines.append(f"{name}: {_flow(part)}")
    return "\n".join(lines) + "\n"


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {_flow(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, timedelta):
        return describe_duration(_sayable(value))
    if isinstance(value, float):
        return _number(value)
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _sayable(span: timedelta) -> timedelta:
    seconds = round(span.total_seconds())
    return timedelta(seconds=seconds if seconds <= _MOST_SECONDS else round(seconds / 60) * 60)


def _number(value: float) -> str:
    whole, _, rest = f"{round(Decimal(repr(value)), _DIGITS):f}".partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}"


def _text(value: object) -> str:
    """Quote what is not plainly a word."""
    text = str(value)
    plain = text.isidentifier() and text.lower() not in ("true", "false", "null", "yes", "no")
    return text if plain else json.dumps(text, ensure_ascii=False)
