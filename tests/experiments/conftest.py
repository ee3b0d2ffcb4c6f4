"""A synthetic market whose truth is known in closed form, and a small real log."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from agents.decisions import OutcomeEvent
from agents.load import load_workspace
from agents.log import log_row, log_table
from agents.revision import Revision
from experiments.logs import LoggedDecisions
from experiments.tracking import open_tracking
from policies.base import Label, Lesson
from policies.decide import decide
from policies.hybrid import HybridThompson
from policies.samples import sample_contexts

ACTIONS = (
    "none",
    "plan/save@email#morning",
    "plan/free@push",
    "credit/thanks@email#morning",
    "credit/lock@sms",
)
COSTS = np.array([0.0, 0.01, 0.002, 1.51, 1.56])  # (A,)
VALUE, HARM = 80.0, -20.0

MakeLog = Callable[..., LoggedDecisions]


@pytest.fixture(scope="session")
def empty_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an MLflow store, which takes seconds; `runs` copies it."""
    folder = tmp_path_factory.mktemp("tracking") / "runs"
    open_tracking(folder).get_experiment_by_name("any")
    return folder


@pytest.fixture
def runs(empty_runs: Path, tmp_path: Path) -> Path:
    """Return the folder of an MLflow store in which nothing is recorded."""
    return Path(shutil.copytree(empty_runs, tmp_path / "runs"))


@dataclass(frozen=True)
class Market:
    """Customers with two features; each action converts and annoys with its own probability."""

    base: float = 0.03  # conversions without contact

    def contexts(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        return rng.normal(size=(n, 2))

    def read(self, log: LoggedDecisions) -> NDArray[np.float64]:
        """The two features of every decision of a log; (N, 2)."""
        return np.array([list(context["features"].values()) for context in log.contexts])

    def truth(self, log: LoggedDecisions, target: NDArray[np.float64]) -> float:
        """What a target (N, A) is worth on the customers of a log, in currency per decision."""
        return float((target * self.means(self.read(log))).sum(axis=1).mean())

    def means(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected reward of each action; (N, A) currency."""
        return np.asarray(VALUE * self.convert(x) + HARM * self.annoy(x) - COSTS)

    def convert(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        pull = np.array([[0.0, 0.9, 0.6, -0.5, 0.3], [0.0, -0.6, 0.4, 0.8, 0.2]])
        lift = np.array([0.0, 0.2, 0.1, 0.5, 0.0])
        logit = np.log(self.base / (1.0 - self.base)) + lift + x @ pull  # (N, A)
        return np.asarray(1.0 / (1.0 + np.exp(-logit)))

    def annoy(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.broadcast_to([0.0, 0.01, 0.005, 0.01, 0.02], (len(x), 5))

    def allowed(self, n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        free = rng.random((n, 5)) < 0.8
        free[:, 0] = True
        return free

    def logging(
        self, x: NDArray[np.float64], allowed: NDArray[np.bool_], floor: float
    ) -> NDArray[np.float64]:
        """A softmax over the allowed actions, with a floor; (N, A)."""
        score = np.where(allowed, np.exp(x @ np.array([[0, 1, 0, -1, 0], [0, 0, 1, 0, -1]])), 0.0)
        soft = score / score.sum(axis=1, keepdims=True)
        return np.asarray((1 - floor) * soft + floor * allowed / allowed.sum(axis=1, keepdims=True))

    def best(self, x: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The policy that knows the truth; (N, A)."""
        means = np.where(allowed, self.means(x), -np.inf)
        return np.asarray(np.eye(5)[np.argmax(means, axis=1)])


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
def make_log(market: Market) -> MakeLog:
    def make(n: int, seed: int, *, floor: float = 0.2, market: Market = market) -> LoggedDecisions:
        rng = np.random.default_rng(seed)
        x, allowed = market.contexts(n, rng), market.allowed(n, rng)
        p = market.logging(x, allowed, floor)  # (N, A)
        drawn = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)  # (N,)
        drawn = np.minimum(drawn, 4)
        rows = np.arange(n)
        outcome = VALUE * (rng.random(n) < market.convert(x)[rows, drawn])
        outcome = outcome + HARM * (rng.random(n) < market.annoy(x)[rows, drawn])
        contexts = np.array(
            [{"features": {"a": a, "b": b}, "contacts": []} for a, b in x.tolist()], dtype=object
        )
        outcomes = np.empty(n, dtype=object)
        outcomes[:] = [("bought",) if value > 0.0 else () for value in outcome.tolist()]
        return LoggedDecisions(
            decision_id=np.array([f"d{i}" for i in rows], dtype=object),
            at=np.datetime64("2026-01-01T00:00:00", "us") + rows * np.timedelta64(60, "s"),
            customer=np.array([f"c{i}" for i in rows], dtype=object),
            group=np.full(n, "treatment", dtype=object),
            revision=np.full(n, "r1", dtype=object),
            policy=np.full(n, "softmax", dtype=object),
            snapshot=np.full(n, "", dtype=object),
            contexts=contexts,
            action=drawn.astype(np.int64),
            propensity=p[rows, drawn],
            distribution=p,
            allowed=allowed,
            reward=outcome - COSTS[drawn],
            outcome_value=outcome,
            outcomes=outcomes,
            actions=ACTIONS,
        )

    return make


@pytest.fixture(scope="session")
def revision() -> Revision:
    """The agent of the example workspace."""
    root = Path(__file__).parents[2]
    return load_workspace(root / "agents" / "examples" / "telecom").revisions["retention"]


@pytest.fixture(scope="session")
def policy(revision: Revision) -> HybridThompson:
    """A learner that has seen a little."""
    taught = HybridThompson.create(revision)
    contexts = sample_contexts(revision, 100, np.random.default_rng(5))
    masks = [revision.mask(context) for context in contexts]
    taught.update(
        [
            Lesson(context, mask, int(mask.indices[-1]), 0.5, (Label("renewed", happened),), first)
            for context, mask in zip(contexts, masks, strict=True)
            for happened, first in ((False, True), (True, False))
        ]
    )
    return taught


@pytest.fixture(scope="session")
def table(revision: Revision, policy: HybridThompson) -> pa.Table:
    """A log of 300 decisions in the log's schema; the last 20 are still open."""
    rng = np.random.default_rng(7)
    contexts = sample_contexts(revision, 300, rng)
    now = contexts[-20].at + max(o.window for o in revision.agent.outcomes.values())
    now -= timedelta(seconds=1)
    rows = []
    for position, context in enumerate(contexts):
        name = f"d{position}"
        decision = decide(revision, policy, context, decision_id=name, secret=b"s")
        event = OutcomeEvent(f"o{position}", name, "renewed", context.at + timedelta(hours=1))
        events = [event] if rng.random() < 0.2 else []
        rows.append(log_row(position, decision, revision, events, now=now, key=b"k"))
    return log_table(rows)


@pytest.fixture
def folder(table: pa.Table, revision: Revision, tmp_path: Path) -> Path:
    """The same log as a folder, as a server exports it."""
    target = tmp_path / "log"
    (target / "revisions").mkdir(parents=True)
    pq.write_table(table, target / "decisions.parquet")
    (target / "revisions" / f"{revision.id}.json").write_bytes(revision.source)
    return target


MakeLife = Callable[..., pa.Table]


@pytest.fixture(scope="session")
def make_life(revision: Revision) -> MakeLife:
    """Make a log of customers who come over 60 days and are decided about every 14 days.

    `rate` is how often a decision of control is followed by a renewal; treatment's is (1 + lift)
    times that. Customers of plan `plus` renew three times as often as those of `basic`, and
    `basic` is contacted with probability 0.4 where `plus` is with 0.8. One in `leave` of all
    decisions is followed by an unsubscription.
    """

    def life(
        n: int, seed: int, *, lift: float = 0.0, rate: float = 0.1, days: int = 120,
        leave: float = 0.02, shares: tuple[float, ...] = (0.6, 0.1, 0.3),
    ) -> pa.Table:  # fmt: skip
        rng = np.random.default_rng(seed)
        start = datetime(2026, 1, 1, tzinfo=UTC)
        end = start + timedelta(days=days)
        rows: list[dict[str, Any]] = []
        groups = rng.choice(["treatment", "random", "control"], n, p=shares)
        plans = rng.choice(["basic", "plus"], n)
        spent = rng.gamma(2.0, 20.0, n)
        for number, (group, plan, bill) in enumerate(
            zip(groups.tolist(), plans.tolist(), spent.tolist(), strict=True)
        ):
            pull = (0.5 if plan == "basic" else 1.5) * bill / 40.0
            chance = rate * pull * (1.0 + lift * (group == "treatment"))
            reach = {"control": 0.0, "random": 2 / 3}.get(group, 0.4 if plan == "basic" else 0.8)
            at = start + timedelta(days=60.0 * float(rng.random()))
            while at < end:
                events = [("renewed", 80.0)] if rng.random() < chance else []
                events += [("unsubscribed", -15.0)] if rng.random() < leave else []
                p = [1.0 - reach, reach / 2, reach / 2]
                luck = float(rng.random())
                drawn = int(luck >= p[0]) + int(luck >= p[0] + p[1])
                closes = at + timedelta(days=14)
                rows.append(
                    {
                        "position": len(rows), "decision_id": f"d{len(rows)}", "at": at,
                        "agent": "retention", "revision": revision.id, "policy": "test",
                        "snapshot": "", "group": group, "reason": "policy",
                        "customer": f"c{number}",
                        "context": _context(plan=plan, monthly_bill=bill, app_user=number % 2 == 0),
                        "actions": list(ACTIONS[:3]), "mask": [None] * 3, "distribution": p,
                        "expected": [None] * 3, "action": ACTIONS[drawn], "propensity": p[drawn],
                        "floor": 0.0, "explored": False,
                        "outcomes": [
                            {"outcome": name, "value": value, "at": at + timedelta(days=2)}
                            for name, value in events
                            if at + timedelta(days=2) <= end
                        ],
                        "reward": sum(value for _, value in events) - 0.01 * (drawn > 0),
                        "closed_at": closes if closes <= end else None,
                    }
                )  # fmt: skip
                at += timedelta(days=14)
        return log_table(rows)

    return life


def _context(**features: object) -> str:
    record = {"features": features, "contacts": [], "events": [], "usage": {}, "placement": "",
              "channels": [], "suppressed": []}  # fmt: skip
    return json.dumps(record)


@pytest.fixture
def life_folder(make_life: MakeLife, revision: Revision, tmp_path: Path) -> Callable[..., Path]:
    """Write such a log as a folder, with its revision beside it."""

    def write(*arguments: Any, **settings: Any) -> Path:
        folder = tmp_path / "life"
        (folder / "revisions").mkdir(parents=True)
        pq.write_table(make_life(*arguments, **settings), folder / "decisions.parquet")
        (folder / "revisions" / f"{revision.id}.json").write_bytes(revision.source)
        return folder

    return write
