"""The mask: for one customer now, the reason why each action is barred, or none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agents.guardrails import Bar, Guardrail, Moment

ALWAYS_ACT = "always_act: another action is allowed"


@dataclass(frozen=True)
class Mask:
    """Reasons, one per action; `none` (position 0) can be barred only by `always_act`.

    Args:
        reasons: None where the action is allowed, else why it is barred.

    Example:
        >>> mask = Mask((None, "consent: refused", None))
        >>> mask.allowed.tolist(), mask.all_barred
        ([True, False, True], False)
    """

    reasons: tuple[str | None, ...]

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """Which actions may be drawn; (A,) boolean, at least one of them true."""
        return np.array([reason is None for reason in self.reasons])  # (A,)

    @cached_property
    def indices(self) -> NDArray[np.intp]:
        """Positions of the allowed actions, ascending; (E,)."""
        return np.flatnonzero(self.allowed)  # (E,)

    @property
    def all_barred(self) -> bool:
        """Whether every action but `none` is barred."""
        return len(self.reasons) > 1 and all(reason is not None for reason in self.reasons[1:])


def _bars(rule: Guardrail, moment: Moment) -> list[Bar]:
    """Ask one rule; if it fails, everything it speaks of is barred (fail closed)."""
    try:
        return list(rule.bars(moment))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a rule must bar
        why = f"could not be checked ({type(error).__name__}: {error})"
        return [Bar(rule.actions, why)]


def make_mask(
    rules: tuple[Guardrail, ...], moment: Moment, count: int, *, always_act: bool
) -> Mask:
    """Ask every rule; the first reason given for an action stands.

    Args:
        rules: in the order in which their reasons take precedence.
        moment: one customer now, shared by all rules.
        count: number of actions A, `none` first.
        always_act: bar `none` while anything else is allowed.
    """
    reasons: list[str | None] = [None] * count
    for rule in rules:
        for bar in _bars(rule, moment):
            for index in bar.actions:
                if reasons[index] is None:
                    reasons[index] = f"{rule.name}: {bar.reason}"
    if always_act and any(reason is None for reason in reasons[1:]):
        reasons[0] = ALWAYS_ACT
    return Mask(tuple(reasons))
