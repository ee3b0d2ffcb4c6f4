"""Where the ledger is: from the command line, the environment or a file, and never shown again."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from agents.errors import StateError

_SCHEMES = ("postgresql://", "postgres://")
_FILE = "file:"


def read_ledger_url(text: str) -> str:
    """Return the URL of a shared ledger, empty for SQLite in the data folder.

    Args:
        text: empty, a URL, or `file:` with the path of a file that holds one, so that a password
            is neither in a list of processes nor in the environment.

    Raises:
        StateError: the file cannot be read, or it is no URL of PostgreSQL; the message shows
            nothing of it, since it may hold a password.

    Example:
        >>> read_ledger_url("postgresql://nextbest@db/nextbest")
        'postgresql://nextbest@db/nextbest'
    """
    url = text.strip()
    if url.startswith(_FILE):
        path = Path(url.removeprefix(_FILE))
        try:
            url = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StateError(f"the file {path} with the ledger's URL cannot be read") from error
    if url and not url.startswith(_SCHEMES):
        raise StateError(
            "expected --ledger postgresql://user@host/database, or file: with the path of a file"
            " that holds such a URL; got something else"
        )
    return url


def holds_password(url: str) -> bool:
    """Whether a URL has a password in it; one that cannot be read may have.

    Example:
        >>> [holds_password("postgresql://" + rest) for rest in ("a:b@c", "c?password=b", "a@c")]
        [True, True, False]
    """
    try:
        parts = urlsplit(url)
        return parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:
        return True
