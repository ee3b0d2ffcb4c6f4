"""Telecom: bill shock, roaming and the end of the contract."""

from __future__ import annotations

from typing import ClassVar

from simulators.market.lazily import later
from simulators.market.load import load_world
from simulators.market.market import Market
from simulators.market.spec import WorldSpec

UNTOUCHED = {"renewed": 0.00534, "upgraded": 0.00551, "complained": 0.0144, "unsubscribed": 0.0}
"""Targets: share of weeks with each outcome while nobody is written to, over 13 weeks."""

WRITTEN_TO = {"renewed": 0.00941, "upgraded": 0.0118, "complained": 0.0234, "unsubscribed": 0.0335}
"""Targets likewise, if everybody gets any message every week, by an even lot."""


class Telecom(Market):
    """Explaining helps the shocked, credit the undecided, upgrades the heavy; some want silence.

    **Actions.** Those of the revision. Emails reach customers of long standing, pushes the users
    of the app; these read in the evening, the others in the morning. Each variant of an offer
    speaks to the price or to ease, and customers differ in which of them counts.

    **Observation.** `features`: the fields of the packaged workspace. The last bill, data use and
    roaming are drawn anew every 30 days. A renewal sets `contract_months_left` to 24, an upgrade
    moves the plan up, a complaint stays open for 14 days, an unsubscription withdraws the consent
    of the channel that was used, each from the instant it happens. Consent goes with traits; 5%
    have no `data_used_share`, 4% no `age`, 3% no `time_zone`. One trait shows in nothing but
    consent and complaints, and hardly there.

    **Reward.** Values of the agent's outcomes, less the action's cost, in euros. `renewed` and
    `upgraded` happen once. Tired customers respond by up to 80% less, complain more and
    unsubscribe; fatigue halves in 6 days, wear of an offer in 30.

    **Episode end.** After `rounds` decisions; outcomes then still arrive inside their windows.

    **Ground truth.** Exact for every action and moment, as of `Market`, and `memoryless`. 50% are
    persuadable, 26% sure things of long standing, 13% lost causes and 10% sleeping dogs. Upgrades
    are likelier around 20 July; from day 40 on an outage lasts three days. `UNTOUCHED` and
    `WRITTEN_TO` are what the market is tuned to. All numbers are made up, and in `telecom.yaml`.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_world, "telecom")
