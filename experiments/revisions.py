"""The revisions beside a log: what contexts, masks and reward ranges are rebuilt from."""

from __future__ import annotations

from pathlib import Path

from agents.errors import LogError
from agents.revision import Revision


def read_revisions(path: Path) -> dict[str, Revision]:
    """Read `revisions/ID.json` beside a log; an empty mapping if there is no such folder.

    Args:
        path: the log, a Parquet file or a folder of them.

    Raises:
        LogError: a file is not a revision's source, or not that of its name.
    """
    folder = (path if path.is_dir() else path.parent) / "revisions"
    revisions = {}
    for file in sorted(folder.glob("*.json")):
        try:
            revision = Revision.from_source(file.read_bytes())
        except (ValueError, LookupError, TypeError, OSError) as error:
            message = f"{file}: expected the source of a revision: {error}"
            raise LogError(message) from None
        if revision.id != file.stem:
            raise LogError(f"{file}: expected revision {file.stem}, got {revision.id}")
        revisions[revision.id] = revision
    return revisions


def currency_of(newest: Revision | None) -> str:
    """Return three letters, or a word in their place if no revision is known."""
    return newest.workspace.currency if newest else "currency"


def hidden_features(revision: Revision) -> frozenset[str]:
    """Return the customer fields that the workspace keeps out of every learner."""
    fields = revision.workspace.customer
    return frozenset(name for name, field in fields.items() if not field.learnable)
