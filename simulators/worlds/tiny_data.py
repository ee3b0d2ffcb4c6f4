"""Tiny data: 200 customers and three weeks."""

from __future__ import annotations

from typing import ClassVar

from simulators.market.lazily import later
from simulators.market.market import Market
from simulators.market.spec import WorldSpec
from simulators.worlds.variants import load_variant


class TinyData(Market):
    """Customers of `telecom`: 200 of them, met three times.

    For intervals that must be wide and reports that must say so: there are hardly a dozen
    conversions.

    **Actions.** As in `telecom`.

    **Observation.** As in `telecom`.

    **Reward.** As in `telecom`: values of the agent's outcomes, less the action's cost.

    **Episode end.** After three decisions, if not said otherwise; outcomes then still arrive inside
    their windows.

    **Ground truth.** As in `telecom`, number for number.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_variant, "tiny_data", of="telecom")
