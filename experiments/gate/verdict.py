"""What a gate found: criterion by criterion, and what follows from all of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from experiments.trust import NOT_SUPPORTED

Role = Literal["law", "evidence", "merit"]


class Outcome(StrEnum):
    """What is to be done, from best to worst known."""

    PROMOTE = "promote"
    KEEP = "keep the champion"
    UNKNOWN = "not enough evidence"
    CONTINUE = "continue"
    ROLLBACK = "roll back"

    @property
    def exit_code(self) -> int:
        """For scripts: 0 promote, 1 do not, 3 not enough evidence (yet); 2 is for errors."""
        return {Outcome.PROMOTE: 0, Outcome.KEEP: 1, Outcome.ROLLBACK: 1}.get(self, NOT_SUPPORTED)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that was asked for.

    Args:
        name: short.
        role: `law` counts what must never happen; `evidence` says whether the data can answer at
            all; `merit` is the answer.
        value: what was found, in words and numbers.
        limit: what was asked for.
        passed: whether it is so.
        words: the same in a sentence, where evidence is missing.
        needed: what data would help then.
    """

    name: str
    role: Role
    value: str
    limit: str
    passed: bool
    words: str = ""
    needed: str = ""


def outcome_of(criteria: tuple[Criterion, ...]) -> Outcome:
    """Say what follows: a broken law first, then missing evidence, then merit.

    Example:
        >>> outcome_of((Criterion("ESS", "evidence", "12", "200", False),)).exit_code
        3
    """
    failed = {each.role for each in criteria if not each.passed}
    if "law" in failed:
        return Outcome.KEEP
    if "evidence" in failed:
        return Outcome.UNKNOWN
    return Outcome.KEEP if "merit" in failed else Outcome.PROMOTE
