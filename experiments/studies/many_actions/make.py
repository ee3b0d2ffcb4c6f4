"""The log of a made-up loop: every request lists some of very many articles.

Who asks is of one of three tastes, and each article is of one of five topics; what is read depends
on both, and on how good the article is. A rule bars what is only for subscribers, another one what
was shown three times that day. Every mask is made by the loop's own rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from agents.context import Contact, Context
from agents.decisions import Decision, OutcomeEvent, Reason
from agents.groups import Group
from agents.log import SCHEMA, log_row, log_table
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import Agent, Channel, CustomerField, Outcome, Workspace
from agents.supplied import Supplied, supply

TOPICS = ("home", "garden", "travel", "sports", "money")
TASTES = ("young", "family", "old")
FLOOR = 0.3
"""The share of the logging policy that is spread evenly over what is allowed."""

READ = np.array([[0.1, 0.1, 0.4, 0.5, 0.2], [0.5, 0.4, 0.2, 0.2, 0.1], [0.3, 0.5, 0.3, 0.1, 0.4]])
"""The true probability that an article of middling quality is read, (tastes, topics)."""

_START = datetime(2026, 3, 2, tzinfo=UTC)
_STEP = timedelta(seconds=41)
_DAY = timedelta(days=1)
_PAID = 11  # one article in so many is for subscribers
_BLOCK = 500  # rows as Python objects at a time
_KEY = b"many actions"
_FIELDS = {
    "taste": CustomerField(type="category", values=TASTES, feature=False),
    "subscriber": CustomerField(type="boolean"),
}
_AGENT = {
    "agent": "articles",
    "supplied": {"channel": "site", "customer": "user.id",
                 "fields": {"taste": "user.taste", "subscriber": "user.subscriber"}},
    "guardrails": {
        "subscribers_only": {"rule": "action_suppression",
                             "when": "action.paid && !(customer.subscriber == true)"},
        "variety": {"rule": "frequency_cap", "max": 3, "per": "1d", "scope": "offer"},
        "quiet": {"rule": "frequency_cap", "max": 12, "per": "1d", "scope": "all"},
    },
    "policy": {"learner": "vw_rank", "floor": FLOOR},
    "always_act": True,
    "holdout": {"control": 0, "random": 0},
}  # fmt: skip
_OUTCOME = {"value": {"property": "value", "min": 0, "max": 1, "typical": 1}, "window": "10m",
            "count": "each", "aggregate": "first", "metric": "primary"}  # fmt: skip

Floats = NDArray[np.float64]


def loop_revision() -> Revision:
    """Return the loop: three guardrails, and a hidden category that customers are told apart by."""
    workspace = Workspace(
        workspace="reading", currency="EUR", zone="UTC", customer=_FIELDS,
        channels={"site": Channel()},
    )  # fmt: skip
    outcomes = {"reward": Outcome.model_validate(_OUTCOME)}
    return Revision(workspace, Agent.model_validate({**_AGENT, "outcomes": outcomes}))


@dataclass(frozen=True)
class Articles:
    """What may be listed, and how well it is read.

    Args:
        count: distinct ones.
        listed: how many a request has.
        seed: of the quality of each.
    """

    count: int
    listed: int = 50
    seed: int = 1

    @cached_property
    def quality(self) -> Floats:
        """What the chance of being read is multiplied by; (count,)."""
        return np.random.default_rng(self.seed).uniform(0.5, 1.5, self.count)

    def chances(self, taste: int, shown: NDArray[np.int64]) -> Floats:
        """Return the true probability that each listed article is read; (listed,)."""
        return np.asarray(READ[taste, shown % len(TOPICS)] * self.quality[shown])

    def supplied(self, taste: int, subscriber: bool, shown: NDArray[np.int64]) -> Supplied:
        """Return the request."""
        user = {"taste": TASTES[taste], "subscriber": subscriber}
        features: dict[str, list[object]] = {
            f"article_{number}": [
                {"topic": TOPICS[number % len(TOPICS)], "words": 100 + number % 900,
                 "paid": number % _PAID == 0}
            ]
            for number in shown.tolist()
        }  # fmt: skip
        return supply([{"user": user}], features)


def write_loop(folder: Path, rows: int, articles: Articles, *, seed: int = 1) -> Path:
    """Write a log and its revision as a server exports them; the same seed gives the same rows.

    Args:
        folder: made if missing.
        rows: closed decisions of the treatment group, some eight of each customer.
        articles: what requests list.
        seed: of everything but the articles.
    """
    revision = loop_revision()
    sources = folder / "revisions"
    sources.mkdir(parents=True, exist_ok=True)
    (sources / f"{revision.id}.json").write_bytes(revision.source)
    made = decisions(revision, rows, articles, seed=seed)
    now = _START + rows * _STEP + _DAY
    with pq.ParquetWriter(folder / "decisions.parquet", SCHEMA, compression="zstd") as writer:
        for start in range(0, rows, _BLOCK):
            block = [next(made) for _ in range(min(_BLOCK, rows - start))]
            found = [
                log_row(start + number, decision, revision, events, now=now, key=_KEY)
                for number, (decision, events) in enumerate(block)
            ]
            writer.write_table(log_table(found))
    return folder


def decisions(
    revision: Revision, rows: int, articles: Articles, *, seed: int = 1
) -> Iterator[tuple[Decision, list[OutcomeEvent]]]:
    """Yield decisions with what came of them, in the order of time."""
    rng = np.random.default_rng(seed)
    customers = max(rows // 8, 1)
    tastes, pays = rng.integers(0, len(TASTES), customers), rng.random(customers) < 0.4
    past: dict[int, list[Contact]] = {}
    for row in range(rows):
        who, at = int(rng.integers(customers)), _START + row * _STEP
        shown = _shown(rng, articles)  # (listed,)
        taste, pay = int(tastes[who]), bool(pays[who])
        recent = [sent for sent in past.get(who, ()) if sent.at > at - revision.lookback]
        context = Context(
            f"c{who}", at, {"taste": TASTES[taste], "subscriber": pay}, tuple(recent),
            supplied=articles.supplied(taste, pay, shown),
        )  # fmt: skip
        decision = _decide(rng, revision, context, f"r{row}", taste)
        action = revision.offering(decision.actions).actions[decision.action]
        contact = decision.contact(action)
        past[who] = recent + ([] if contact is None else [contact])
        chance = articles.chances(taste, shown)[decision.action - 1]
        read = decision.action > 0 and bool(rng.random() < chance)
        yield decision, [_reading(decision)] if read else []


def _shown(rng: np.random.Generator, articles: Articles) -> NDArray[np.int64]:
    """Draw what a request lists: of the newest most, of old ones some; (listed,)."""
    drawn = (articles.count * rng.random(4 * articles.listed) ** 1.5).astype(np.int64)
    distinct = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
    if len(distinct) >= articles.listed:
        return np.asarray(distinct[: articles.listed])
    return rng.choice(articles.count, articles.listed, replace=False)


def _decide(
    rng: np.random.Generator, revision: Revision, context: Context, name: str, taste: int
) -> Decision:
    """Draw from a policy that knows which topics are liked, and of articles nothing."""
    supplied = context.supplied
    assert supplied is not None, "a loop's request lists its actions"
    own = revision.offering(supplied.actions)
    mask = own.mask(context)
    p = _probabilities(mask, taste, [int(name[8:]) for name in supplied.ids])
    drawn = int(rng.choice(len(p), p=p))
    action = own.actions[drawn]
    return Decision(
        name, context.at, own.agent.agent, own.id, "vw_rank", "s1", Group.TREATMENT,
        Reason.ALL_BARRED if mask.all_barred else Reason.POLICY, context, supplied.actions, mask,
        p, np.full(len(p), np.nan), drawn, FLOOR, explored=False,
        send_at=own.send_at(action, context),
    )  # fmt: skip


def _probabilities(mask: Mask, taste: int, shown: list[int]) -> Floats:
    liked = READ[taste, np.array(shown) % len(TOPICS)]  # (listed,)
    score = np.where(mask.allowed, np.concatenate([[0.2], np.exp(4.0 * liked)]), 0.0)
    even = mask.allowed / mask.allowed.sum()
    return np.asarray((1.0 - FLOOR) * score / score.sum() + FLOOR * even)


def _reading(decision: Decision) -> OutcomeEvent:
    at = decision.at + timedelta(minutes=1)
    return OutcomeEvent(
        f"o{decision.decision_id}", decision.decision_id, "reward", at, {"value": 1}
    )
