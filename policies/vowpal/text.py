"""Decisions as examples in Vowpal Wabbit's text format, with no way for a name to become syntax.

Namespaces: `s` the customer's columns, and of an action `o` offer, `c` channel, `h` send window,
`t` the words of its variant, `i` the action itself.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from agents.actions import Action
from policies.features.words import tokens

_ABSENT = "_"  # stands where `none` has no offer; declared names begin with a letter


def escape(name: str) -> str:
    """Percent-encode everything but letters, digits and `_.-~`; one-to-one.

    Example:
        >>> escape("plan=a|b:2 c")
        'plan%3Da%7Cb%3A2%20c'
    """
    return quote(name, safe="", errors="backslashreplace")


def _words(text: str) -> str:
    """Write how often each word occurs, scaled to length 1, so that long texts weigh no more."""
    counts = Counter(tokens(text))
    length = math.sqrt(sum(count * count for count in counts.values()))
    return "".join(f" {escape(word)}:{count / length:.6g}" for word, count in counts.items())


def action_line(action: Action, *, words: bool = False) -> str:
    """Write an action without a label.

    Args:
        action: what is offered.
        words: whether a new wording is to inherit what its words have earned elsewhere.
    """
    parts = (action.offer, action.channel, action.window)
    offer, channel, window = (escape(part) or _ABSENT for part in parts)
    text = _words(action.text) if words else ""
    text = f" |t{text}" if text else ""
    return f"|o {offer} |c {channel} |h {window}{text} |i {escape(action.id)}"


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
