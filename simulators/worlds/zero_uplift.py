"""Zero uplift: no message changes anything."""

from __future__ import annotations

from typing import Any, ClassVar

from agents.revision import Revision
from simulators.market.lazily import later
from simulators.market.market import Market
from simulators.market.spec import WorldSpec
from simulators.worlds.variants import load_variant


class ZeroUplift(Market):
    """Customers of `telecom` who do what they do, whatever is sent to them.

    For false alarms: no lift is to be found, by whatever method, however often one looks.

    **Actions.** Those of the revision; they differ by their costs alone. With `without_costs` they
    are worth exactly the same.

    **Observation.** As in `telecom`; renewals, upgrades and complaints still change fields.

    **Reward.** Values of the agent's outcomes, less the action's cost. Customers unsubscribe from
    time to time, whether anything was sent or not.

    **Episode end.** After `rounds` decisions; outcomes then still arrive inside their windows.

    **Ground truth.** Exact: the probabilities of all actions are the very same numbers, `none`
    among them, in every state that any policy can lead to.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_variant, "zero_uplift", of="telecom")


def without_costs(revision: Revision) -> Revision:
    """Return the same agent where sending costs nothing, so that in this world nothing matters.

    Example:
        >>> from simulators.examples import example_revision
        >>> {action.cost for action in without_costs(example_revision()).actions}
        {0.0}
    """
    free: dict[str, Any] = {"cost": 0.0}
    channels = revision.workspace.channels.items()
    offers = revision.agent.offers.items()
    return Revision(
        revision.workspace.model_copy(
            update={"channels": {name: each.model_copy(update=free) for name, each in channels}}
        ),
        revision.agent.model_copy(
            update={"offers": {name: each.model_copy(update=free) for name, each in offers}}
        ),
    )
