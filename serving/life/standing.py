"""What may stand after what: the rules of activating a revision, a canary and a shadow."""

from __future__ import annotations

from dataclasses import dataclass

from agents.errors import ConflictError
from serving.ledger.revisions import Standing


@dataclass(frozen=True, slots=True)
class Activation:
    """What is to stand.

    Args:
        revision: id of a revision that was put.
        expected: id of the revision that the caller believes is active, None for none.
        percent: of customers that it decides for; below 100 it is a canary.
        shadow: whether it is to decide beside only.
        reason: for those who read the log.
    """

    revision: str
    expected: str | None
    percent: int = 100
    shadow: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """What stands after a change, and whether it was another before."""

    standing: Standing
    changed: bool


def stand(present: Standing | None, asked: Activation, name: str) -> Standing:
    """Return what stands once a revision is activated.

    A revision has one part at a time. Active for all, it ends every canary and shadow.

    Raises:
        ConflictError: it is the active one already, or another canary or shadow stands there.
    """
    if not asked.shadow and asked.percent == 100:
        return Standing(asked.revision)
    if present is None:
        raise conflict("expected an active revision beside a canary or a shadow", name, present)
    if asked.revision == present.revision:
        raise conflict("expected another revision than the active one", name, present)
    part = present.shadow if asked.shadow else present.canary
    if part not in (None, asked.revision):
        what = "shadow" if asked.shadow else "canary"
        raise conflict(f"expected no other {what}; roll back or activate it first", name, present)
    if asked.shadow:
        kept = present.canary != asked.revision
        canary, percent = (present.canary, present.percent) if kept else (None, 0)
        return Standing(present.revision, canary, percent, asked.revision)
    shadow = None if present.shadow == asked.revision else present.shadow
    return Standing(present.revision, asked.revision, asked.percent, shadow)


def conflict(message: str, name: str, present: Standing | None) -> ConflictError:
    """Make the error that tells what stands."""
    if present is None:
        return ConflictError(f"{message}; agent {name!r} has none", standing=None)
    parts = [f"{named(present.revision)} is active"]
    if present.canary is not None:
        parts.append(f"{present.canary} decides for {present.percent} %")
    if present.shadow is not None:
        parts.append(f"{present.shadow} is the shadow")
    return ConflictError(f"{message}; {', '.join(parts)}", standing=present.to_record())


def named(revision_id: str | None) -> str:
    """Write the id of a revision, or that there is none."""
    return "no revision" if revision_id is None else f"revision {revision_id}"
