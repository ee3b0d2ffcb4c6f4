"""Replenishment: boxes that run empty, and boxes that pile up."""

from __future__ import annotations

from typing import ClassVar

from simulators.market.lazily import later
from simulators.market.load import load_world
from simulators.market.market import Market
from simulators.market.spec import WorldSpec

UNTOUCHED = {"reordered": 0.041, "extra_bought": 0.0098, "cancelled": 0.0027, "unsubscribed": 0.0}
"""Targets: share of weeks with each outcome while nobody is written to, over 13 weeks."""


class Replenishment(Market):
    """A reminder is worth something on the day the box runs out, and harm when the shelf is full.

    **Actions.** Those of the revision. A bundle is sold from day 14 on, 40 of them a week. Skipping
    a box costs an order now and keeps a subscriber.

    **Observation.** `features`: the fields of the packaged workspace. The supply goes down by a
    day a day and is filled up by a reorder; ratings and failed payments are drawn anew every four
    weeks, parcels every week. 5% have no known supply, 20% no rating. Consent goes with traits. One
    trait shows in failed payments and consent alone, and hardly there.

    **Reward.** Values of the agent's outcomes, less the action's cost, in dollars; a reorder counts
    with its typical margin. Who cancels has gone; who unsubscribes from messages takes back the
    channel's consent and keeps the boxes.

    **Episode end.** After `rounds` decisions, or when the subscriber has gone; outcomes then still
    arrive inside their windows.

    **Ground truth.** Exact for every action and moment, as of `Market`. A reorder fills the shelf,
    and a full shelf makes the next one less likely, contacted or not: the market is not
    `memoryless`, so the value of a policy is sampled, that of `none` too. About 58% are
    persuadable, 22% sure things, 9% lost causes and 10% sleeping dogs, who had forgotten what they
    pay for. From day 30 shops have run out for ten days; on day 62 the price of a box rises. All
    numbers are made up, and in `replenishment.yaml`.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_world, "replenishment")
