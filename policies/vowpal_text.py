"""Decisions as examples in Vowpal Wabbit's text format, with no way for a name to become syntax.

Namespaces: `s` the customer's columns, and of an action `o` offer, `c` channel, `h` send window,
`i` the action itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from agents.actions import Action

_ABSENT = "_"  # stands where `none` has no offer; declared names begin with a letter


def escape(name: str) -> str:
    """Percent-encode everything but letters, digits and `_.-~`; one-to-one.

    Example:
        >>> escape("plan=a|b:2 c")
        'plan%3Da%7Cb%3A2%20c'
    """
    return quote(name, safe="", errors="backslashreplace")


def action_line(action: Action) -> str:
    """Write an action without a label."""
    parts = (action.offer, action.channel, action.window)
    offer, channel, window = (escape(part) or _ABSENT for part in parts)
    return f"|o {offer} |c {channel} |h {window} |i {escape(action.id)}"


def shared_line(columns: Sequence[str], x: NDArray[np.float64]) -> str:
    """Write the customer; columns that are 0 are left out, which is the same to VW.

    Args:
        columns: D names, escaped.
        x: (D,)

    Example:
        >>> shared_line(["age", "plan%3Dplus"], np.array([0.0, 1.0]))
        'shared |s plan%3Dplus:1'
    """
    features = [
        f"{name}:{value:.6g}" for name, value in zip(columns, x.tolist(), strict=True) if value
    ]
    return " ".join(("shared |s", *features))


def label(line: str, cost: float, propensity: float) -> str:
    """Put what an action cost, and the probability it was drawn with, before its line."""
    return f"0:{cost!r}:{propensity!r} {line}"
