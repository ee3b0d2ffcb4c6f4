"""Confounded: an old log by people who chose by what no field shows."""

from __future__ import annotations

from typing import ClassVar

from simulators.market.lazily import later
from simulators.market.market import Market
from simulators.market.spec import WorldSpec
from simulators.worlds.variants import load_variant


class Confounded(Market):
    """Customers of `telecom`, and a company that wrote to its friends.

    For estimators that are handed a log nobody should believe: `simulators.historic.historic_log`
    writes it. Whom the old company wrote to depended on a trait that no field shows, and that also
    makes people renew and upgrade; its records say that it wrote to one half of them by lot. With
    our own software in charge the world is an ordinary one.

    **Actions.** Those of the revision.

    **Observation.** As in `telecom`; the trait shows in no field but, a little, in consent.

    **Reward.** As in `telecom`: values of the agent's outcomes, less the action's cost.

    **Episode end.** After `rounds` decisions; outcomes then still arrive inside their windows.

    **Ground truth.** Exact, as of `Market`; the historic log also comes with the probabilities that
    it was truly drawn with. From fields alone, the value of writing cannot be told from such a log.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_variant, "confounded", of="telecom")
