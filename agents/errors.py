"""Everything nextbest refuses, as one tree of exceptions.

NextbestError
├── DocumentError   a YAML document is wrong: names file, line and column
├── ContextError    a customer's context does not fit the declared schema
├── ContentError    a template cannot be written for this customer
├── UnknownNameError  a name was asked for that does not exist
├── ConflictError   what was asked no longer fits what has happened meanwhile
├── LogError        a decision log is malformed or contradicts itself
├── SnapshotError   a snapshot is damaged, forged or of another kind
└── StateError      the server or its ledger cannot do this now

A message says what was expected, what was got, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class NextbestError(Exception):
    """Root of every error this project raises on purpose."""


class DocumentError(NextbestError):
    """A YAML document cannot be accepted.

    The message reads `file:line:column: at path.to.field: what is wrong`.
    """

    def __init__(
        self, message: str, *, file: str, line: int, column: int, path: tuple[str, ...] = ()
    ) -> None:
        self.file, self.line, self.column, self.path = file, line, column, path
        where = f"at {'.'.join(path)}: " if path else ""
        super().__init__(f"{file}:{line}:{column}: {where}{message}")


class ContextError(NextbestError):
    """A customer's context does not fit the customer schema of the workspace."""


class ContentError(NextbestError):
    """A template cannot be written for this customer: a field that it needs is missing."""


class UnknownNameError(NextbestError):
    """A name was asked for that does not exist; the message offers the nearest one."""


class ConflictError(NextbestError):
    """What was asked no longer fits what has happened meanwhile; asking again will not help.

    Args:
        message: what was expected, and what was got.
        members: plain values that the caller may go on with, by name.
    """

    def __init__(self, message: str, **members: object) -> None:
        self.members = members
        super().__init__(message)


class LogError(NextbestError):
    """A decision log is malformed or contradicts itself."""


class SnapshotError(NextbestError):
    """A policy snapshot is damaged, forged, or belongs to another policy."""


class StateError(NextbestError):
    """The server or its ledger cannot do what was asked, given its present state."""


_NAMED = 50  # of a log there may be very many


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return the end of an error message that leads from a wrong word to the right one.

    Example:
        >>> did_you_mean("emial", ["email", "sms"])
        "did you mean 'email'?"
        >>> did_you_mean("fax", ["sms", "email"])
        'use one of: email, sms'
    """
    names = sorted(choices)
    near = get_close_matches(word, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    more = f", ... ({len(names):,} in all)" if len(names) > _NAMED else ""
    return f"use one of: {', '.join(names[:_NAMED])}{more}" if names else "none is declared"
