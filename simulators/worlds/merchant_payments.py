"""Merchant payments: turnover falls, tickets are open, and a competitor is cheaper."""

from __future__ import annotations

from typing import ClassVar

from simulators.market.lazily import later
from simulators.market.load import load_world
from simulators.market.market import Market
from simulators.market.spec import WorldSpec

UNTOUCHED = {
    "stayed": 0.010,
    "new_terminal": 0.0032,
    "complained": 0.0083,
    "contract_ended": 0.0072,
}
"""Targets: share of weeks with each outcome while nobody is written to, over 13 weeks."""


class MerchantPayments(Market):
    """A fixed fault keeps more merchants than a lower fee; a review makes some of them compare.

    **Actions.** Those of the revision. Calls work best on merchants of long standing, and cost
    most; emails come before the shop opens or after it closes, and large merchants read early. A
    second terminal is sold from day 21 on.

    **Observation.** `features`: the fields of the packaged workspace. Turnover and the leaving
    score are drawn anew every 30 days, tickets every 14, an outage every 7; a complaint opens a
    ticket for 10 days. Consent goes with traits: who struggles takes fewer calls. 6% have no
    leaving score. How hard business is, how much the fee matters and one more trait show only in
    part, the last one in nothing but tickets and turnover.

    **Reward.** Values of the agent's outcomes, less the action's cost, in euros. Signing again and
    a new terminal happen once. Who ends the contract has gone. A lower fee is dear, and most who
    are offered it would have stayed: none is worth more than a choice by lot.

    **Episode end.** After `rounds` decisions, or when the merchant has gone; outcomes then still
    arrive inside their windows.

    **Ground truth.** Exact for every action and moment, as of `Market`. About 53% are persuadable,
    25% sure things, 12% lost causes and 10% sleeping dogs, large merchants who compare offers once
    they are reminded. A complaint opens a ticket, and a ticket makes more complaints, so the market
    is not `memoryless`: the value of `none` is sampled. On day 24 terminals fail everywhere for two
    days; from day 56 a competitor advertises for two weeks. All numbers are made up, and in
    `merchant_payments.yaml`.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_world, "merchant_payments")
