"""MIPS: weights of an action's attributes in place of those of the action."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.errors import LogError, did_you_mean
from experiments.estimators.base import Pieces
from experiments.logs.places import numbers_of
from experiments.weighing import Weighed

ATTRIBUTES = ("offer", "channel", "window")
"""What an action's id is made of, beside the variant."""


@dataclass(frozen=True)
class Marginal:
    """The mean of u r, u = P_target(e) / P_log(e) for the attributes e of what was drawn.

    Right only if, given the customer, the reward depends on the action through these attributes
    alone; then weights vary far less with many actions. Nothing in a log can show that it is so.

    Args:
        attributes: of `ATTRIBUTES`, at least one.

    Raises:
        ValueError: another attribute, or one that is named twice.

    Source: Saito and Joachims, ICML 2022.

    Example:
        >>> Marginal(("offer", "channel")).name
        'mips=offer+channel'
    """

    attributes: tuple[str, ...]
    needs_model: bool = False
    biased: bool = True

    def __post_init__(self) -> None:
        for attribute in self.attributes:
            if attribute not in ATTRIBUTES:
                raise ValueError(
                    f"mips: expected attributes such as offer+channel, got {attribute!r};"
                    f" {did_you_mean(attribute, ATTRIBUTES)}"
                )
        if len(set(self.attributes)) != len(self.attributes):
            raise ValueError(f"mips: expected each attribute once, got {self.attributes}")

    @property
    def name(self) -> str:
        """Return the name with the attributes."""
        return f"mips={'+'.join(self.attributes)}"

    def pieces(self, rows: Weighed) -> Pieces:
        """Return u r.

        Raises:
            LogError: only the drawn action's probability was logged.
        """
        if not rows.log.whole:
            raise LogError(
                f"{self.name}: expected a log with the probability of every action, got one with"
                " that of the drawn action alone; use ips or snips"
            )
        group = _groups(rows.log.actions, self.attributes)  # (actions,)
        same = group[numbers_of(rows.log)] == group[rows.log.drawn][:, None]  # (N, A), also padding
        wanted = np.einsum("na,na->n", rows.target, same)
        logged = np.einsum("na,na->n", rows.log.distribution, same)
        return Pieces(wanted / logged * rows.log.reward)


def _groups(actions: tuple[str, ...], attributes: tuple[str, ...]) -> NDArray[np.intp]:
    """Number actions so that those with the same attributes have the same number; (A,)."""
    values = [tuple(_attributes(action)[name] for name in attributes) for action in actions]
    numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return np.array([numbers[value] for value in values], dtype=np.intp)


def _attributes(action: str) -> dict[str, str]:
    """Take `offer/variant@channel#window` apart; `none` is an offer of its own name."""
    creative, _, sending = action.partition("@")
    channel, _, window = sending.partition("#")
    return {"offer": creative.partition("/")[0], "channel": channel, "window": window}
