"""Streaming: trials that end, members who fall idle, and some who come back."""

from __future__ import annotations

from typing import ClassVar

from simulators.market.lazily import later
from simulators.market.load import load_world
from simulators.market.market import Market
from simulators.market.spec import WorldSpec

UNTOUCHED = {
    "subscribed": 0.00822, "upgraded": 0.00217, "watched_recommended": 0.0431,
    "cancelled": 0.00546, "trial_lapsed": 0.0124, "unsubscribed": 0.0,
}  # fmt: skip
"""Targets: share of weeks with each outcome while nobody is written to, over 13 weeks."""

WRITTEN_TO = {
    "subscribed": 0.0131, "upgraded": 0.00306, "watched_recommended": 0.0667,
    "cancelled": 0.00685, "trial_lapsed": 0.0107, "unsubscribed": 0.0246,
}  # fmt: skip
"""Targets likewise, if everybody gets any message every week, by an even lot."""


class Streaming(Market):
    """What to watch keeps members, a mended payment even more; a free month must earn its cost.

    **Actions.** Those of the revision. What to watch next turns trials into members and keeps the
    idle: those of habit by what is like what they know, the curious by a list. Help with a failed
    payment saves the member. The family plan is sold from day 21 on.

    **Observation.** `features`: the fields of the packaged workspace. Hours and failed payments are
    drawn anew every 14 days. `state` becomes `active` with a subscription, `cancelled` with a
    cancellation or a trial that lapses; an upgrade sets the plan to `family`. `trial_ends` is drawn
    anew every 14 days, some days ahead, and says nothing of when a trial lapses. In 36% of the
    rounds the app is open, at the slot `home` or `player_end`; in the others customers are written
    to. Consent goes with traits: heavy viewers take pushes. 3% have no `hours_watched` or
    `time_zone`. One trait shows in nothing but consent and payments.

    **Reward.** Values of the agent's outcomes, less the action's cost, in dollars. `subscribed`,
    `upgraded` and `cancelled` happen once, what is watched counts each time. The market also has
    `trial_lapsed`, which the agent does not hear of.

    **Episode end.** After `rounds` decisions; outcomes then still arrive inside their windows. Who
    has cancelled can still come back.

    **Ground truth.** Exact for every action and moment, as of `Market`. What becomes of a customer
    depends on the state that other outcomes change, so the market is not `memoryless`: the value
    of `none` is sampled. 54% are persuadable, 20% sure things, 19% lost causes and 7% sleeping
    dogs, who pay, have forgotten it and cancel when they are reminded. Fatigue halves in 5 days and
    makes members cancel; wear of an offer halves in 30. Evenings at the end of December are good,
    summer and January are not; on day 26 there is a night without service, and on day 49 the price
    goes up. `UNTOUCHED` and `WRITTEN_TO` are what the market is tuned to. All numbers are made up,
    and in `streaming.yaml`.

    **Version history.** v0: first.
    """

    spec: ClassVar[WorldSpec] = later(load_world, "streaming")
