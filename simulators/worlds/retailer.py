"""Retailer: carts that are left, sizes that are guessed, and discounts for those who buy anyway."""

from __future__ import annotations

from typing import ClassVar

from simulators.market.lazily import later
from simulators.market.load import load_world
from simulators.market.market import Market
from simulators.market.spec import WorldSpec

UNTOUCHED = {
    "ordered": 0.0322, "returned": 0.0137, "unsubscribed": 0.0, "account_deleted": 0.000505,
}  # fmt: skip
"""Targets: share of weeks with each outcome while nobody is written to, over 13 weeks."""

WRITTEN_TO = {
    "ordered": 0.0381, "returned": 0.0141, "unsubscribed": 0.03, "account_deleted": 0.000895,
}  # fmt: skip
"""Targets likewise, if everybody gets any message every week, by an even lot."""


class Retailer(Market):
    """Reminders and advice sell; a discount pays for a few full carts only, and brings returns.

    **Actions.** Those of the revision. A reminder works by what is in the cart, the size guide on
    those who hesitate; both cost next to nothing. Free postage starts on day 14 and is good for 20
    orders a week: sold out, it annoys. Postage and ten percent are paid for with every message, so
    they pay only where a full cart meets somebody to whom the price matters.

    **Observation.** `features`: the fields of the packaged workspace; carts are drawn anew every
    week, and most are empty; half are left for less than half a day. `first_name` says nothing.
    In 28% of the rounds customers come by, to the slot `hero` or `cart` of the site; in the others
    they are written to. Consent goes with traits: who minds the price wants emails, who is at home
    online wants pushes. 3 to 5% have no `returned_share`, `favourite` or `time_zone`. One trait
    shows in nothing but consent.

    **Reward.** Values of the agent's outcomes, less the action's cost, in euros; an order counts
    with its typical margin. Orders and returns happen again and again. The market also has
    `account_deleted`, which the agent does not hear of: who deletes it has gone.

    **Episode end.** After `rounds` decisions, or when the account is deleted; outcomes then still
    arrive inside their windows.

    **Ground truth.** Exact for every action and moment, as of `Market`, and `memoryless`. 55% are
    persuadable, 21% sure things who buy anyway, 19% lost causes and 6% sleeping dogs. Fatigue
    halves in 5 days, wear of an offer in 21; the tired also buy less without a message. Christmas
    is the season, then its returns; Mother's Day and the sales count less. On day 30 the shop is
    down; from day 52 parcels are late for ten days. `UNTOUCHED` and `WRITTEN_TO` are what the
    market is tuned to. All numbers are made up, and in `retailer.yaml`.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_world, "retailer")
