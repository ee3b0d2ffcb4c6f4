"""Health insurer: a diabetes programme, and members who were charged too much."""

from __future__ import annotations

from typing import ClassVar

from agents.revision import Revision
from simulators.market.lazily import later
from simulators.market.load import load_world
from simulators.market.market import Market
from simulators.market.spec import WorldSpec

UNTOUCHED = {
    "enrolled": 0.00428, "visited_page": 0.0209, "unsubscribed": 0.0, "settled": 0.00299,
    "called_support": 0.0123, "complained_to_regulator": 0.000717, "switched": 0.00125,
}  # fmt: skip
"""Targets: share of weeks with each outcome while nobody is written to, over 13 weeks."""

WRITTEN_TO = {
    "enrolled": 0.00623, "visited_page": 0.0321, "unsubscribed": 0.05, "settled": 0.00311,
    "called_support": 0.0245, "complained_to_regulator": 0.00157, "switched": 0.00243,
}  # fmt: skip
"""Targets likewise, if everybody gets any message of the programme every week, by an even lot."""

_AGENTS = ("diabetes_programme", "billing_apology")


class HealthInsurer(Market):
    """The doubtful want a booklet, the lonely want peers; the overcharged want an apology.

    **Actions.** Those of the revision; of the packaged workspace, the agent `diabetes_programme` or
    `billing_apology`. Calls do most and cost most. The booklet comes out on day 14. An apology that
    names the sum helps those who doubt, a refund those who paid much too much.

    **Observation.** `features`: the fields of the packaged workspace. 89% have diabetes and 32% a
    billing error, which goes when it is settled; a complaint to the regulator opens a grievance
    for 60 days. For 42% the last visit to a doctor is half a year ago or more; the ill go more
    often. `first_name` says nothing. Consent goes with traits: who trusts the insurer agrees to
    more. 2 to 3% have no `age` or `time_zone`. One trait shows in nothing but consent, grievances
    and an opt-out.

    **Reward.** Values of the agent's outcomes, less the action's cost, in dollars. `enrolled`,
    `settled` and `complained_to_regulator` happen once; the last is as rare as it is dear. What one
    agent causes and only the other one hears of happens all the same. The market also has
    `switched`, which neither hears of: who switches has gone.

    **Episode end.** After `rounds` decisions, or when the member has switched; outcomes then still
    arrive inside their windows.

    **Ground truth.** Exact for every action and moment, as of `Market`. What is settled makes fewer
    calls and complaints, so the market is not `memoryless`: the value of `none` is sampled. 54% are
    persuadable, 14% sure things, 24% lost causes and 8% sleeping dogs, to whom their illness is
    nobody's business. Fatigue halves in 9 days, wear of an offer in 60. Members switch at open
    enrolment, around 30 November, and have good intentions in January; from day 37 a data leak is
    in the news for five days. `UNTOUCHED` and `WRITTEN_TO` are what the market is tuned to. All
    numbers are made up, and in `health_insurer.yaml`.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_world, "health_insurer")

    @classmethod
    def suits(cls, revision: Revision) -> bool:
        """Say whether it is one of the two agents that the market was made for."""
        return revision.workspace.workspace == cls.spec.example and revision.agent.agent in _AGENTS
