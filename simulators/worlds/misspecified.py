"""Misspecified: what works is no weighted sum of what is known."""

from __future__ import annotations

from typing import ClassVar

from simulators.market.lazily import later
from simulators.market.market import Market
from simulators.market.spec import WorldSpec
from simulators.worlds.variants import load_variant


class Misspecified(Market):
    """Customers of `telecom` whose tastes a linear model of their fields cannot tell.

    For learners and reward models whose form is wrong: the product of two traits turns an effect
    round, another effect follows the distance from the middle, a third one rises and falls along
    the years, and every action has a whim of its own that its offer, wording, channel and hour do
    not explain.

    **Actions.** Those of the revision; an offer that the document does not know has no effect but
    its channel's.

    **Observation.** As in `telecom`: fields show the traits, not their products.

    **Reward.** As in `telecom`: values of the agent's outcomes, less the action's cost.

    **Episode end.** After `rounds` decisions; outcomes then still arrive inside their windows.

    **Ground truth.** Exact, as of `Market`; all numbers are in `misspecified.yaml`, the whims too
    (normal, sd 1.4 of log-odds).

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_variant, "misspecified", of="telecom")
