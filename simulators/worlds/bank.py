"""Bank: savings accounts and deposits, inside the rules of conduct."""

from __future__ import annotations

from typing import ClassVar

from simulators.market.lazily import later
from simulators.market.load import load_world
from simulators.market.market import Market
from simulators.market.spec import WorldSpec

UNTOUCHED = {
    "opened_account": 0.00429, "deposit": 0.0197, "marketing_opt_out": 0.0,
    "closed_account": 0.000935,
}  # fmt: skip
"""Targets: share of weeks with each outcome while nobody is written to, over 13 weeks."""

WRITTEN_TO = {
    "opened_account": 0.00718, "deposit": 0.0243, "marketing_opt_out": 0.0421,
    "closed_account": 0.00181,
}  # fmt: skip
"""Targets likewise, if everybody gets any message every week, by an even lot."""


class Bank(Market):
    """A round-up suits the easy-going, a rate the careful; reminded of rates, some move away.

    **Actions.** Those of the revision. The budget planner brings deposits from those who do not
    know where their money goes; a fixed term suits the rich who look for a rate, and its rate is
    taken back on day 77: from then on its messages do nothing but tire.

    **Observation.** `features`: the fields of the packaged workspace. Balances and arrears are
    drawn anew every 30 days, the fraud score every 7; an opt-out sets `marketing_stopped` and
    withdraws the consent of the channel that was used. Consent goes with traits: the rich agree
    less to emails and texts. 1 to 2% have no `age`, `fraud_score` or `time_zone`. How much a rate,
    ease or advice is worth to somebody shows only in part, and one trait hardly at all.

    **Reward.** Values of the agent's outcomes, less the action's cost, in pounds; a deposit counts
    with its typical margin. `opened_account` happens once, deposits again and again. The market
    also has `closed_account`, which the agent does not hear of: who closes it has gone, and what
    would have been earned with them is lost.

    **Episode end.** After `rounds` decisions, or when the account is closed; outcomes then still
    arrive inside their windows.

    **Ground truth.** Exact for every action and moment, as of `Market`, and `memoryless`. 48% are
    persuadable, 17% sure things, 26% lost causes and 8% sleeping dogs, who compare rates once
    reminded and close accounts. Fatigue halves in 7 days, wear of an offer in 45. The end of the
    tax year (5 April) and January are good for savings; from day 33 the app is down for two days,
    from day 58 a cut of the base rate is felt for two weeks. `UNTOUCHED` and `WRITTEN_TO` are what
    the market is tuned to. All numbers are made up, and in `bank.yaml`.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_world, "bank")
