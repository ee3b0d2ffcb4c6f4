"""Estimators of a policy's value, one a file.

A new estimator is one module here and one line in `_ALL`; one with a setting has a line in
`_SETTINGS` too, and without its setting chooses it by SLOPE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agents.errors import UnknownNameError, did_you_mean
from experiments.estimators.balanced import Balanced
from experiments.estimators.base import ENOUGH_CONVERSIONS, Estimate, Estimator, Pieces
from experiments.estimators.clip import LIMITS, Clipped, ClippedDoublyRobust
from experiments.estimators.dm import DirectMethod
from experiments.estimators.dr import DoublyRobust
from experiments.estimators.dros import SCALES, OptimisticShrinkage
from experiments.estimators.ips import InversePropensity
from experiments.estimators.marginal import ATTRIBUTES, Marginal
from experiments.estimators.mrdr import MoreRobust
from experiments.estimators.replay import Replay
from experiments.estimators.settings import number
from experiments.estimators.slope import Tuned, candidates_of, settle
from experiments.estimators.sndr import SelfNormalisedDoublyRobust
from experiments.estimators.snips import SelfNormalised
from experiments.estimators.subgaussian import BENDS, SubGaussian, SubGaussianDoublyRobust
from experiments.estimators.switch import LIMITS as SWITCHES
from experiments.estimators.switch import Switch

__all__ = [
    "ENOUGH_CONVERSIONS", "ESTIMATORS", "HEADLINE", "Estimate", "Estimator", "Pieces", "Tuned",
    "candidates_of", "find_estimator", "settle",
]  # fmt: skip

HEADLINE = ("snips", "dr")
"""The two whose answer counts; every other one is a line beside them that shows how firm it is."""

_IPS, _DR = InversePropensity(), DoublyRobust()
_SETTINGS: Mapping[str, Callable[[str], Estimator]] = {
    "clip": lambda text: Clipped(number("clip", text)),
    "cdr": lambda text: ClippedDoublyRobust(number("cdr", text)),
    "switch": lambda text: Switch(number("switch", text)),
    "dros": lambda text: OptimisticShrinkage(number("dros", text)),
    "sgips": lambda text: SubGaussian(number("sgips", text)),
    "sgdr": lambda text: SubGaussianDoublyRobust(number("sgdr", text)),
    "mips": lambda text: Marginal(tuple(text.split("+"))),
}
_ALL: tuple[Estimator, ...] = (
    _IPS, SelfNormalised(), DirectMethod(), _DR, SelfNormalisedDoublyRobust(),
    MoreRobust(), Balanced(), Replay(),
    Tuned("clip", (_IPS, *map(Clipped, LIMITS))),
    Tuned("cdr", (_DR, *map(ClippedDoublyRobust, LIMITS))),
    Tuned("switch", (_DR, *map(Switch, SWITCHES))),
    Tuned("dros", (_DR, *map(OptimisticShrinkage, SCALES))),
    Tuned("sgips", (_IPS, *map(SubGaussian, BENDS))),
    Tuned("sgdr", (_DR, *map(SubGaussianDoublyRobust, BENDS))),
    Tuned("mips", (_IPS, *(Marginal(ATTRIBUTES[:k]) for k in (3, 2, 1)))),
)  # fmt: skip
ESTIMATORS: Mapping[str, Estimator] = {estimator.name: estimator for estimator in _ALL}


def find_estimator(name: str) -> Estimator:
    """Return an estimator by its name, with or without a setting.

    Args:
        name: such as `snips`; or such as `switch=20` or `mips=offer+channel`, without which one
            with a setting chooses it by SLOPE, see `experiments.estimators.slope`.

    Raises:
        UnknownNameError: there is no such estimator, it has no setting, or not such a one.

    Example:
        >>> find_estimator("dr").needs_model
        True
        >>> find_estimator("switch=20").name
        'switch=20'
    """
    base, equals, setting = name.partition("=")
    if base not in ESTIMATORS:
        hint = did_you_mean(base, ESTIMATORS)
        raise UnknownNameError(f"there is no estimator {base!r}; {hint}")
    if not equals:
        return ESTIMATORS[name]
    if base not in _SETTINGS:
        with_one = ", ".join(_SETTINGS)
        raise UnknownNameError(
            f"estimator {base!r} has no setting, got {name!r}; those that have one are {with_one}"
        )
    try:
        return _SETTINGS[base](setting)
    except ValueError as error:
        raise UnknownNameError(str(error)) from None
