"""A Rank of 50 actions beside our own decision of 50 actions.

Run it by `python -m serving.benchmarks.rank`. Eight connections, turn about: agents of 50 declared
offers with `hybrid_thompson` and with `vw_epsilon`, and a loop of 50 supplied actions with
`vw_rank`, all under the same five guardrails, every customer a new one, every answer durable. The
bar is the loop's against the first agent's. With `--in-process` the application is asked without a
socket, and the processor time of each request is told.

The loop is asked twice: with the same 50 actions each time, as a page that has its articles of the
day; and with 50 of 500 drawn for each request.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from serving.app import make_app
from serving.benchmarks.questions import features, post
from serving.benchmarks.single import Measured, measure
from serving.benchmarks.stages import Meter, ask_whole
from serving.benchmarks.stand import stand
from serving.benchmarks.tables import CONSOLE, bar, heading, show, spread
from serving.settings import Settings

CONNECTIONS, ACTIONS, CATALOGUE = 8, 50, 500
OWN, OWN_VW, SAME, DRAWN = "hybrid_thompson", "vw_epsilon", "loop, same 50", "loop, 50 of 500"
SIDES = (OWN, OWN_VW, SAME, DRAWN)
_AGENTS = {OWN: "declared", OWN_VW: "declared_vw"}
_RANK = "/loops/front/personalizer/v1.0/rank"
_BAR = 1.5
_FASTEST = 3_000

_WORKSPACE = """\
workspace: site
currency: EUR
zone: Europe/Berlin
customer:
  tenure_months: {type: integer, min: 0, max: 600}
  plan: {type: category, values: [basic, plus, unlimited]}
  monthly_bill: {type: number, min: 0, max: 500}
  bill_change: {type: number, min: -1, max: 5}
  data_used_share: {type: number, min: 0, max: 3}
  roaming_days: {type: integer, min: 0, max: 31}
  contract_months_left: {type: integer, min: 0, max: 24}
  app_user: {type: boolean}
  open_complaint: {type: boolean}
channels:
  site: {}
guardrails:
  contact_limit: {rule: frequency_cap, max: 1000, per: 14d, scope: all}
"""
_RULES = """\
guardrails:
  bill_shock: {rule: suppression, when: customer.bill_change > 1.0, on: {kinds: [promotion]}}
  offer_pause: {rule: cooldown, pause: 1d, scope: offer}
  channel_limit: {rule: frequency_cap, max: 500, per: 14d, scope: channel}
  spend: {rule: budget, measure: cost, max: 1000000000, per: month}
always_act: true
holdout: {control: 0, random: 0}
"""
_DECLARED = """\
agent: {agent}
outcomes:
  reward: {{value: 1, window: 10m}}
offers:
{offers}policy: {{learner: {learner}, floor: 0.2}}
"""
_OFFER = '  article_{n}: {{kind: promotion, variants: {{plain: {{text: "Article {n}"}}}}, channels: [site]}}\n'  # noqa: E501
_LOOP = """\
agent: front
supplied:
  channel: site
  kind: promotion
  customer: user.id
  fields: {bill_change: user.bill_change, open_complaint: user.open_complaint}
outcomes:
  reward:
    value: {property: value, min: -1, max: 1, typical: 1}
    window: 10m
    count: each
    aggregate: first
    default: 0
    metric: primary
policy: {learner: vw_rank, floor: 0.2}
"""


def write_site(folder: Path) -> Path:
    """Write the workspace; return its folder.

    Example:
        >>> import tempfile
        >>> from agents.load import load_workspace
        >>> with tempfile.TemporaryDirectory() as made:
        ...     loaded = load_workspace(write_site(Path(made) / "workspace"))
        >>> sorted((name, len(each.actions) - 1) for name, each in loaded.revisions.items())
        [('declared', 50), ('declared_vw', 50), ('front', 1)]
    """
    (folder / "agents").mkdir(parents=True)
    (folder / "workspace.yaml").write_text(_WORKSPACE, encoding="utf-8")
    offers = "".join(_OFFER.format(n=n) for n in range(ACTIONS))
    texts = {
        agent: _DECLARED.format(agent=agent, offers=offers, learner=learner)
        for learner, agent in _AGENTS.items()
    }
    for agent, text in (texts | {"front": _LOOP}).items():
        path = folder / "agents" / f"{agent}.yaml"
        path.write_text(text + _RULES, encoding="utf-8")
    return folder


@dataclass(slots=True)
class Visitors:
    """Makes up who asks, the same with each seed, each of them once.

    Args:
        asked: how many have asked.

    Example:
        >>> path, body = Visitors().question(SAME)
        >>> path, len(orjson.loads(body)["actions"])
        ('/loops/front/personalizer/v1.0/rank', 50)
    """

    asked: int = 0
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(20261123))

    def question(self, side: str) -> tuple[str, bytes]:
        """Return the path and the body of the next question to a side."""
        self.asked += 1
        who, told = f"v-{self.asked}", features(self._rng)
        told = {k: v for k, v in told.items() if not k.startswith("consent") and k != "time_zone"}
        if side in _AGENTS:
            body = {"agent": _AGENTS[side], "customer": who, "features": told}
            return "/v1/decisions", orjson.dumps(body)
        places: Sequence[int] = range(ACTIONS)
        if side == DRAWN:
            places = self._rng.choice(CATALOGUE, ACTIONS, replace=False).tolist()
        asked: dict[str, Any] = {
            "contextFeatures": [{"user": told | {"id": who}}, {"device": {"mobile": True}}],
            "actions": [_article(place) for place in places],
            "eventId": f"e-{self.asked}",
        }
        return _RANK, orjson.dumps(asked)

    def requests(self, side: str, count: int) -> Iterator[bytes]:
        """Write so many whole requests; those to our own route have keys, as events have ids."""
        for _ in range(count):
            path, body = self.question(side)
            yield post(path, body, f"k-{self.asked}" if side in _AGENTS else "")


def _article(place: int) -> dict[str, Any]:
    topics = ("politics", "sport", "culture", "science", "business")
    about = {"topic": topics[place % 5], "length": 200 + 13 * place, "premium": place % 3 == 0}
    return {"id": f"article_{place}", "features": [about, {"age_hours": place % 24}]}


def on_ray(turns: int, seconds: float) -> None:
    """Measure rates and tails behind Ray Serve."""
    heading(f"A Rank of {ACTIONS} actions, {CONNECTIONS} connections, {turns} turns of {seconds} s")
    folder, visitors = Path(tempfile.mkdtemp(prefix="nextbest-")), Visitors()
    found: dict[str, list[Measured]] = {side: [] for side in SIDES}
    try:
        write_site(folder / "workspace")
        with stand(folder, clock="machine") as server:
            for number in range(turns + 1):  # the first round warms up
                for side, kept in found.items():
                    requests = list(visitors.requests(side, int(_FASTEST * seconds)))
                    measured = measure(server, "nextbest", requests, seconds)
                    if number:
                        kept.append(measured)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    columns = ("side", "requests/s", "p50 ms", "p99 ms", "replica us", "learner us")
    show(columns, [(side, *_row(each)) for side, each in found.items()])
    costs = {side: [each.replica_us for each in turns] for side, turns in found.items()}
    _tell(costs)


def _row(turns: list[Measured]) -> Iterator[str]:
    yield f"{statistics.median(each.turn.rate for each in turns):,.0f}"
    yield f"{statistics.median(each.turn.percentile(0.5) for each in turns):.2f}"
    yield f"{statistics.median(each.turn.percentile(0.99) for each in turns):.2f}"
    yield f"{statistics.median(each.replica_us for each in turns):.0f}"
    yield f"{statistics.median(each.learner_us for each in turns):.0f}"


async def in_process(rounds: int) -> None:
    """Measure the processor time of a request without a socket, eight at once, turn about."""
    heading(f"A Rank of {ACTIONS} actions in one process, {rounds} rounds of {CONNECTIONS}")
    meter, visitors = Meter(), Visitors()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(write_site(Path(folder) / "workspace"), Path(folder) / "data")
        app = make_app(settings)
        async with app.router.lifespan_context(app):
            for number in range(rounds):
                for side in SIDES:
                    asked = [visitors.question(side) for _ in range(CONNECTIONS)]
                    answered = 200 if side in _AGENTS else 201
                    stage = side if number >= rounds // 10 else "warm-up"
                    keys = [f"{side}-{number}-{n}" for n in range(CONNECTIONS)]
                    await ask_whole(
                        meter, app, asked[0][0], stage, [body for _, body in asked], answered,
                        keys if side in _AGENTS else (),
                    )  # fmt: skip
    costs = {side: meter.costs[side] for side in SIDES}
    rows = [(side, *(f"{q:.0f}" for q in _quartiles(each))) for side, each in costs.items()]
    show(("side", "least us", "lower quartile", "median"), rows)
    _tell(costs)


def _quartiles(costs: list[float]) -> tuple[float, float, float]:
    low, middle, _ = statistics.quantiles(costs, n=4)
    return min(costs), low, middle


def _tell(costs: dict[str, list[float]]) -> None:
    own = costs[OWN]
    bar(f"a Rank to our own decision ({OWN})", _ratios(costs[SAME], own), _BAR, least=False)
    for side, other in ((OWN_VW, OWN), (DRAWN, OWN), (SAME, OWN_VW), (DRAWN, OWN_VW)):
        CONSOLE.print(f"{side} to {other}: {spread(_ratios(costs[side], costs[other]))}")


def _ratios(costs: list[float], others: list[float]) -> list[float]:
    return [a / b for a, b in zip(costs, others, strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="A Rank beside our own decision.")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    if options.in_process:
        asyncio.run(in_process(options.rounds))
    else:
        on_ray(options.turns, options.seconds)


if __name__ == "__main__":
    main()
