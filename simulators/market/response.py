"""A world's document as arrays: what the compiled formula reads."""

from __future__ import annotations

import numpy as np

from agents.revision import Revision
from simulators.market.kept import kept
from simulators.market.kernels import Truth
from simulators.market.signals import signal_names
from simulators.market.spec import ONE, Weights, WorldSpec


@kept
def truth_of(spec: WorldSpec, revision: Revision) -> Truth:
    """Return a world's truth for the actions of a revision.

    A channel of which the world says nothing reaches everybody by half; a send window of which it
    says nothing suits everybody.
    """
    names, outcomes = signal_names(spec), tuple(spec.outcomes.values())
    actions, offers = revision.actions, offers_of(revision)
    channels = tuple(dict.fromkeys(action.channel for action in actions))
    windows = tuple(dict.fromkeys(action.window for action in actions))

    def weights(given: Weights) -> list[float]:
        return [given.get(name, 0.0) for name in names]

    certain = {ONE: np.inf}
    return Truth(
        base=np.array([weights(o.base) for o in outcomes]).T.copy(),
        kinds=np.array([[o.kinds.get(kind, 0.0) for o in outcomes] for kind in spec.kinds]),
        gains=np.array([kind.gain for kind in spec.kinds.values()]),
        nature=np.array([(o.harm, o.contact_only, o.once) for o in outcomes]).T.copy(),
        odds=np.array([(o.fatigue, o.misfit, o.disliked) for o in outcomes]).T.copy(),
        channels=np.array([weights(spec.channels.get(name, {})) for name in channels]),
        windows=np.array([weights(spec.windows.get(name, certain)) for name in windows]),
        parts=np.array(
            [
                (
                    -1 if a.is_none else offers.index(a.offer),
                    channels.index(a.channel),
                    windows.index(a.window),
                )
                for a in actions
            ]
        ),
        response=spec.fatigue.response,
    )


def offers_of(revision: Revision) -> tuple[str, ...]:
    """Name the offers of a revision's actions, each once."""
    return tuple(dict.fromkeys(a.offer for a in revision.actions if not a.is_none))


def is_memoryless(spec: WorldSpec) -> bool:
    """Say whether, while nobody is contacted, only what happens once or for good is remembered.

    It is not if an outcome changes a field on which the base of another one depends, or its own if
    it may happen again.
    """
    for word, outcome in spec.outcomes.items():
        if outcome.contact_only or outcome.leaves:
            continue
        moved = {change.field for change in outcome.changes}
        for name, signal in spec.signals.items():
            sources = {signal.field, *signal.product, signal.absolute}
            sources |= {signal.wave[0]} if signal.wave else set()
            if moved & sources:
                moved.add(name)
        for other, each in spec.outcomes.items():
            if moved & each.base.keys() and not (other == word and each.once):
                return False
    return True
