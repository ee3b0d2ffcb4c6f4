"""The words of a variant as a few hashed features, so that a new variant is not a blank slate."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter

import numpy as np
from numpy.typing import NDArray

_TAGS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_TOKEN = re.compile(r"[^\W_]+")


def tokens(text: str) -> list[str]:
    """Return the words of a template, lower-cased: letters and digits, none of what fills it in.

    Example:
        >>> tokens("Hi {{ customer.name }}, SAVE 20% today!")
        ['hi', 'save', '20', 'today']
    """
    plain = _TAGS.sub(" ", text)
    return _TOKEN.findall(unicodedata.normalize("NFKC", plain).casefold())


def word_buckets(text: str, size: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Hash the words of a template into buckets, each word with a sign of its own.

    With c_b the sum of the signs of the words that fall into bucket b, the coefficients are
    c_b / |c|. The signs make two different texts unlike on average, whatever falls together. The
    hash is the same on every machine.

    Args:
        text: a template.
        size: buckets, at least 1.

    Returns:
        Positions of the K buckets that are not 0, ascending, and their coefficients, whose squares
        add up to 1; both (K,), and empty for a text without words.

    Raises:
        ValueError: there is no bucket.

    Source: Weinberger et al., ICML 2009.

    Example:
        >>> positions, coefficients = word_buckets("Save 20% now", 64)
        >>> len(positions), float((coefficients**2).sum().round(12))
        (3, 1.0)
    """
    if size < 1:
        raise ValueError(f"expected at least 1 bucket, got {size}")
    sums: Counter[int] = Counter()
    for token in tokens(text):
        number = int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "big")
        sums[(number >> 1) % size] += 1 if number & 1 else -1
    held = sorted((bucket, total) for bucket, total in sums.items() if total)
    length = math.sqrt(sum(total * total for _, total in held))
    positions = np.array([bucket for bucket, _ in held], dtype=np.intp)  # (K,)
    return positions, np.array([total / length for _, total in held], dtype=np.float64)
