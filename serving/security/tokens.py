"""API keys as text: `nb_<id>_<secret>`, 64 bits that name the key and 256 that prove it.

The secret is random, so one round of SHA-256 keeps it; what slows down the guessing of passwords
would only slow down the server.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from agents.errors import ContextError

_TOKEN = re.compile(rb"nb_([0-9a-f]{16})_[0-9a-f]{64}")

KEY_ID = "^[0-9a-f]{16}$"
"""What the id of a key looks like."""


def make_token() -> str:
    """Make a new API key.

    Example:
        >>> len(make_token())
        84
    """
    return f"nb_{secrets.token_hex(8)}_{secrets.token_hex(32)}"


def id_of(token: bytes) -> str | None:
    """Return the id in an API key; None if the text is no API key at all.

    Example:
        >>> id_of(b"nb_" + b"0" * 16 + b"_" + b"a" * 64)
        '0000000000000000'
        >>> id_of(b"nb_0_a")
    """
    match = _TOKEN.fullmatch(token)
    return None if match is None else match[1].decode()


def digest_of(token: bytes) -> bytes:
    """Return what is stored of an API key: SHA-256 of the whole."""
    return hashlib.sha256(token).digest()


def read_token(text: str, place: str) -> str:
    """Return the API key in a text, with the white space around it gone.

    Args:
        text: of a file or an environment variable.
        place: where it comes from, for the error; the text itself is never repeated.

    Raises:
        ContextError: it is no API key.
    """
    token = text.strip()
    if id_of(token.encode(errors="replace")) is None:
        raise ContextError(
            f"expected an API key in {place}, as nb_<16 hexadecimal digits>_<64 more>;"
            f" got {len(token)} characters of something else"
        )
    return token
