"""Heavy drift: what works today does not work next month."""

from __future__ import annotations

from typing import ClassVar

from simulators.market.lazily import later
from simulators.market.market import Market
from simulators.market.spec import WorldSpec
from simulators.worlds.variants import load_variant


class HeavyDrift(Market):
    """Customers of `telecom` whose tastes change on two days, and fade.

    For learners that must forget: on day 28 the credit and the roaming pass change places, and so
    do the explanation and the bigger plan; on day 56 the credit and the bigger plan do. From then
    on all effects fade, by half in 60 days, and on day 77 the roaming pass is no more. Wordings
    keep what they do.

    **Actions.** Those of the revision; an offer that the document does not know has the effect of
    its wording at most.

    **Observation.** As in `telecom`; no field shows the day.

    **Reward.** As in `telecom`: values of the agent's outcomes, less the action's cost.

    **Episode end.** After `rounds` decisions; outcomes then still arrive inside their windows.

    **Ground truth.** Exact at every moment, as of `Market`. A decision's rates are those of its own
    day, however late its outcomes arrive.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_variant, "heavy_drift", of="telecom")
