"""Airline: late flights, lost bags, and who is worth a voucher."""

from __future__ import annotations

from typing import ClassVar

from simulators.market.lazily import later
from simulators.market.load import load_world
from simulators.market.market import Market
from simulators.market.spec import WorldSpec

UNTOUCHED = {"flew_again": 0.020, "claimed": 0.0081, "complained": 0.0112, "unsubscribed": 0.0}
"""Targets: share of weeks with each outcome while nobody is written to, over 13 weeks."""


class Airline(Market):
    """Money is for those who would sue or never return; for the others an apology is enough.

    **Actions.** Those of the revision. Selling the next trip to somebody whose flight has just
    been cancelled makes complaints; the sale ends on day 70. Vouchers are good for 60 seats in 28
    days: sold out, they do nothing but annoy.

    **Observation.** `features`: the fields of the packaged workspace. Disruptions, fares and cabins
    are drawn anew every 28 days; a claim stays open for 90 days, a booking for 28. Consent goes
    with traits: angry people take fewer emails. One trait shows in delays and consent alone, and
    hardly there.

    **Reward.** Values of the agent's outcomes, less the action's cost, in euros. A claim costs far
    more than the refund that would have prevented it, but few would claim: most compensation is
    given to people who would have flown again without it. Who unsubscribes takes back the
    channel's consent.

    **Episode end.** After `rounds` decisions; outcomes then still arrive inside their windows.

    **Ground truth.** Exact for every action and moment, as of `Market`. About 60% are persuadable,
    20% sure things who fly often, 13% lost causes and 6% sleeping dogs, who had forgotten the
    matter until they were written to. From day 33 on air traffic control strikes for four days;
    from day 63 a claims agency advertises. All numbers are made up, and in `airline.yaml`.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_world, "airline")
