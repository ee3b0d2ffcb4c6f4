"""What messages do, as tables: they depend on a world's document and a revision, never on luck."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from agents.actions import Action
from agents.revision import Revision
from simulators.market.chance import Floats, Ints
from simulators.market.kept import kept
from simulators.market.signals import signal_names
from simulators.market.spec import Effect, WorldSpec

_KEPT = 16  # tables: of as many ways in which offers count as others
_INCLUDED = 0.5  # share of an offer's effect that it has inside a bundle


class Effects:
    """The effects of a revision's actions in a world.

    Args:
        spec: of the world.
        revision: whose actions there are; A of them.

    Attributes:
        offers: all that may come, go, or count as another one.
    """

    def __init__(self, spec: WorldSpec, revision: Revision) -> None:
        self._spec, self._revision, self._names = spec, revision, signal_names(spec)
        included = [offer for action in revision.actions for offer in action.includes]
        lives = [life.offer for life in spec.lives]
        self.offers = frozenset([*(a.offer for a in revision.actions), *included, *lives])
        self._weights = tuple(self._weigh(effect) for effect in spec.effects)  # (K, O) each
        self.of = lru_cache(maxsize=_KEPT)(self._of)
        """Tables for what each offer counts as, pairs of names; as of `Climate`."""

    def _of(self, counts_as: tuple[tuple[str, str], ...]) -> tuple[Floats, Ints]:
        offers = dict(counts_as)
        tables = np.stack([self._table(action, offers) for action in self._revision.actions])
        used = tables.any(axis=2)  # (A, K)
        order = np.argsort(~used, axis=1, kind="stable")
        terms = np.where(np.take_along_axis(used, order, axis=1), order, -1)
        return tables, terms[:, : max(1, int(used.sum(axis=1).max()))].copy()

    def _table(self, action: Action, offers: dict[str, str]) -> Floats:
        table = np.zeros((len(self._names), len(self._spec.outcomes)))  # (K, O)
        if action.is_none or not offers[action.offer]:
            return table
        for effect, weights in zip(self._spec.effects, self._weights, strict=True):
            if _fits(effect, action, offers[action.offer]):
                table += weights
            for offer in action.includes:
                if effect.offer is not None and _fits(effect, action, offers[offer], alone=False):
                    table += _INCLUDED * weights
        return table

    def _weigh(self, effect: Effect) -> Floats:
        rows = [effect.on.get(word, {}) for word in self._spec.outcomes]
        return np.array([[row.get(name, 0.0) for row in rows] for name in self._names])  # (K, O)


effects_of = kept(Effects)
"""Return the effects of a revision's actions in a world, worked out once for all its seeds."""


def _fits(effect: Effect, action: Action, offer: str, *, alone: bool = True) -> bool:
    """Say whether an effect is one of an action's, whose offer now counts as this one.

    An offer that comes along with another has neither kind nor variant.
    """
    pairs = (
        (effect.kind, action.kind if alone else ""), (effect.offer, offer),
        (effect.variant, action.variant if alone else ""),
        (effect.channel, action.channel), (effect.window, action.window),
    )  # fmt: skip
    return all(wanted is None or wanted == got for wanted, got in pairs)
