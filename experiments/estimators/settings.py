"""Settings of estimators: what stands behind the equals sign, such as 20 in `switch=20`."""

from __future__ import annotations

import math


def named(name: str, setting: float) -> str:
    """Return an estimator's name with its setting, as it is asked for.

    Example:
        >>> named("switch", 20.0)
        'switch=20'
    """
    return f"{name}={setting!r}".removesuffix(".0")


def checked(
    name: str, expected: str, setting: float, *, least: float, most: float = math.inf
) -> None:
    """Refuse a setting outside [least, most], and any that is not finite.

    Raises:
        ValueError: with what was expected.
    """
    if not (math.isfinite(setting) and least <= setting <= most):
        raise ValueError(f"{name}: expected {expected}, got {setting:g}")


def number(name: str, text: str) -> float:
    """Read a setting.

    Raises:
        ValueError: it is not a number.

    Example:
        >>> number("clip", "20")
        20.0
    """
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"{name}: expected a number behind the equals sign, got {text!r}"
        ) from None
