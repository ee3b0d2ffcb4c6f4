"""Settings of a learner: declared names and ranges, anything else refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agents.errors import UnknownNameError, did_you_mean


@dataclass(frozen=True, slots=True)
class Setting:
    """One number that a marketer may set under `policy.settings`.

    Args:
        default: used if the agent does not say.
        low, high: the range, both ends included.
        whole: whether only whole numbers are accepted.
    """

    default: float
    low: float
    high: float
    whole: bool = False


def read_settings(
    learner: str, declared: Mapping[str, Setting], given: Mapping[str, float]
) -> dict[str, float]:
    """Merge an agent's settings over the learner's defaults.

    Raises:
        UnknownNameError: a name that the learner does not declare.
        ValueError: a value outside its range.

    Example:
        >>> read_settings("demo", {"tau": Setting(0.6, 0.01, 5.0)}, {"tau": 1.0})
        {'tau': 1.0}
    """
    for name, value in given.items():
        setting = declared.get(name)
        if setting is None:
            raise UnknownNameError(
                f"policy.settings.{name}: {learner} has no setting {name!r};"
                f" {did_you_mean(name, declared)}"
            )
        # Written so that NaN, which no comparison accepts, is refused too.
        if not setting.low <= value <= setting.high or (setting.whole and value % 1):
            kind = "a whole number" if setting.whole else "a number"
            raise ValueError(
                f"policy.settings.{name}: expected {kind} from {setting.low:g} to"
                f" {setting.high:g}, got {value:g}"
            )
    return {name: setting.default for name, setting in declared.items()} | dict(given)
