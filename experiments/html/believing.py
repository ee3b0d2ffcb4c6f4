"""Can it be trusted? The checks of a policy, counted in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.diagnostics import Check
from experiments.evaluate import Evaluation
from experiments.trust import checks

_ORDER = ("fail", "warn", "pass")
_WORDS = {"fail": ("fails", "fail"), "warn": ("warns", "warn")}


@dataclass(frozen=True, slots=True)
class Belief:
    """What speaks for and against one policy's figures.

    Args:
        target: name of the policy.
        sentence: how many checks pass, and which do not.
        checks: the worst first.
        doubtful: whether one of them does not pass.
    """

    target: str
    sentence: str
    checks: tuple[Check, ...]
    doubtful: bool


def belief_of(evaluation: Evaluation) -> Belief:
    """Count the checks of an evaluation, and put the worst first."""
    found = sorted(checks(evaluation), key=lambda check: _ORDER.index(check.verdict))
    doubts = [
        _counted(found, verdict)
        for verdict in _WORDS
        if any(check.verdict == verdict for check in found)
    ]
    told = f"{', '.join(doubts)}; {len(found)} in all." if doubts else _all(len(found))
    return Belief(evaluation.target, told, tuple(found), bool(doubts))


def _all(count: int) -> str:
    return f"all {count} checks pass."


def _counted(found: Sequence[Check], verdict: str) -> str:
    names = [check.name for check in found if check.verdict == verdict]
    one, more = _WORDS[verdict]
    checks_ = f"1 check {one}" if len(names) == 1 else f"{len(names)} checks {more}"
    return f"{checks_} ({'; '.join(names)})"
