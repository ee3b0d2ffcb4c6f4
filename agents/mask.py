"""The mask: for one customer now, the reason why each action is barred, or none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agents.guardrails import Bar, Guardrail, Moment, Ranking

ALWAYS_ACT = "always_act: another action is allowed"
_ALLOWED = "_allowed"


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

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """Which actions may be drawn; (A,) boolean, at least one of them true."""
        known: NDArray[np.bool_] | None = self.__dict__.get(_ALLOWED)
        if known is None:  # kept without `cached_property`, whose lock costs as much as the array
            known = np.array([reason is None for reason in self.reasons])  # (A,)
            self.__dict__[_ALLOWED] = known
        return known

    @cached_property
    def indices(self) -> NDArray[np.intp]:
        """Positions of the allowed actions, ascending; (E,)."""
        return np.flatnonzero(self.allowed)  # (E,)

    @property
    def all_barred(self) -> bool:
        """Whether every action but `none` is barred."""
        return len(self.reasons) > 1 and None not in self.reasons[1:]


def make_mask(
    rules: tuple[Guardrail, ...],
    rankings: tuple[Ranking, ...],
    moment: Moment,
    count: int,
    *,
    always_act: bool,
) -> Mask:
    """Ask every rule; the first reason given for an action stands.

    A rule that fails bars everything it speaks of (fail closed).

    Args:
        rules: in the order in which their reasons take precedence.
        rankings: rules that depend on what is allowed so far, asked one after another.
        moment: one customer now, shared by all rules.
        count: number of actions A, `none` first.
        always_act: bar `none` while anything else is allowed.
    """
    reasons: list[str | None] = [None] * count
    _ask(rules, moment, reasons)
    for ranking in rankings:
        _ask_among(ranking, moment, [reason is None for reason in reasons], reasons)
    if always_act and None in reasons[1:]:
        reasons[0] = ALWAYS_ACT
    return Mask(tuple(reasons))


def ask(rule: Guardrail, moment: Moment, count: int) -> list[str | None]:
    """Return why one guardrail alone bars each action, None where it does not; (A,)."""
    reasons: list[str | None] = [None] * count
    _ask((rule,), moment, reasons)
    return reasons


def ask_among(ranking: Ranking, moment: Moment, allowed: list[bool]) -> list[str | None]:
    """Return why one ranking alone bars each action, given what is allowed; (A,)."""
    reasons: list[str | None] = [None] * len(allowed)
    _ask_among(ranking, moment, allowed, reasons)
    return reasons


def _ask(rules: tuple[Guardrail, ...], moment: Moment, reasons: list[str | None]) -> None:
    """Ask rules in order; when all but `none` is barred, no further reason can stand."""
    for rule in rules:
        bar: Bar | None = None
        try:
            for bar in rule.bars(moment):
                _apply(rule.name, bar, reasons)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong must bar
            bar = _failed(rule, error)
            _apply(rule.name, bar, reasons)
        if bar is not None and None not in reasons[1:]:
            return


def _ask_among(
    ranking: Ranking, moment: Moment, allowed: list[bool], reasons: list[str | None]
) -> None:
    try:
        for bar in ranking.bars_among(moment, allowed):
            _apply(ranking.name, bar, reasons)
    except Exception as error:  # noqa: BLE001 - as above
        _apply(ranking.name, _failed(ranking, error), reasons)


def _apply(name: str, bar: Bar, reasons: list[str | None]) -> None:
    reason = f"{name}: {bar.reason}"
    for index in bar.actions:
        if reasons[index] is None:
            reasons[index] = reason


def _failed(rule: Guardrail | Ranking, error: Exception) -> Bar:
    return Bar(rule.actions, f"could not be checked ({type(error).__name__}: {error})")
