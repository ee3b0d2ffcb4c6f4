"""A revision on trial: what a canary's budgets know, and that a shadow changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from agents.load import LoadedWorkspace, load_workspace
from policies.arbitrate import Arbiter
from policies.hybrid import HybridThompson
from policies.uniform import Uniform
from serving.clock import DrivenClock
from serving.deciding.active import ActiveAgents, chosen
from serving.deciding.batch import BatchDecider
from serving.deciding.decider import Decided, Decider, DecisionRequest
from serving.hearing.deliverer import Deliverer
from serving.hearing.recorder import Recorder
from serving.hearing.reported import OutcomeRequest
from serving.learning.learner import Learner
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import SqliteLedger, SqliteReader
from serving.ledger.revisions import Standing
from serving.life.lifecycle import Lifecycle, Why
from serving.life.standing import Activation
from serving.life.written import Written, read_agent
from serving.settings import Keys

WORKSPACE = """\
workspace: shop
currency: EUR
zone: Europe/Berlin
customer: {age: {type: integer}}
channels: {email: {cost: 2}}
events: {opened: {counts_as: response}}
"""
AGENT = """\
agent: seller
outcomes: {bought: {value: 10, window: 7d}}
offers:
  sale: {kind: promotion, variants: {v: {text: Buy}}, channels: [email]}
  help: {kind: service, variants: {v: {text: Help}}, channels: [email]}
policy: {learner: uniform}
holdout: {control: 0, random: 0}
always_act: true
"""
OWN = AGENT + "guardrails:\n  own: {rule: budget, max: 1000}\n"
OTHER = AGENT.replace("  help:", "  talk:") + "guardrails:\n  own: {rule: budget, max: 999}\n"
TAUGHT = AGENT.replace("uniform", "hybrid_thompson").replace("value: 10", "value: 11")
CAPPED = """\
guardrails:
  answered:
    {rule: frequency_cap, max: 500, per: 20d, for: total, counts: response}
"""
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Server:
    """The parts of a server on one ledger, in one open transaction; ids and keys are counted."""

    def __init__(self, loaded: LoadedWorkspace, data: Path) -> None:
        self.data, self.now = data, NOON
        self.ledger = SqliteLedger.open(data / "ledger.sqlite")
        self.ledger.begin()
        self.agents = ActiveAgents(loaded, SnapshotFolder(data / "snapshots", b"k"))
        clock = DrivenClock()
        self.lifecycle = Lifecycle(self.agents, clock)
        keys = Keys(b"draw", b"", b"")
        self.decider = Decider(self.agents, Arbiter(loaded.workspace), keys, clock)
        written = Written(
            loaded.revisions["seller"], loaded.texts["seller"], loaded.sources["seller"]
        )
        self.lifecycle.submit(self.ledger, written)

    @property
    def active(self) -> str:
        return self.agents.current(self.ledger, "seller").revision.id

    def put(self, text: str) -> str:
        written = read_agent("seller", text, self.agents.workspace)
        self.lifecycle.put(self.ledger, written, "test")
        return written.revision.id

    def stand(self, text: str, **how: Any) -> Standing:
        asked = Activation(self.put(text), self.active, **how)
        return self.lifecycle.activate(self.ledger, "seller", asked, "test").standing

    def send(self, number: int) -> list[Decided]:
        made = []
        for index in range(number):
            self.now += timedelta(seconds=1)
            request = DecisionRequest(("seller",), f"c{index}", {"age": index}, b"", at=self.now)
            made.append(self.decider.decide(self.ledger, request))
        return made

    def send_together(self, number: int) -> None:
        """Decide as a batch does."""
        self.now += timedelta(seconds=1)
        BatchDecider(self.decider).decide(
            self.ledger,
            [
                DecisionRequest(("seller",), f"c{index}", {"age": index}, b"", at=self.now)
                for index in range(number)
            ],
        )

    def used(self, counter: str = "budget:seller/own") -> float:
        """What a budget that some revisions have of their own has counted."""
        rows = self.ledger._db.rows("SELECT sum(amount) FROM usage WHERE counter = ?", (counter,))
        return float(rows[0][0])

    def bodies(self) -> list[dict[str, Any]]:
        """The decisions in the log."""
        entries = self.ledger.entries(0, 10_000)
        return [dict(entry.body) for entry in entries if entry.kind == "decision"]


@pytest.fixture
def shop(tmp_path: Path) -> LoadedWorkspace:
    (tmp_path / "agents").mkdir()
    (tmp_path / "workspace.yaml").write_text(WORKSPACE)
    (tmp_path / "agents" / "seller.yaml").write_text(AGENT)
    return load_workspace(tmp_path)


@contextmanager
def opened(shop: LoadedWorkspace, data: Path) -> Iterator[Server]:
    """Open a server whose decisions' ids are counted, so that draws are the same each time."""
    data.mkdir()
    ids = count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.deciding.decider.new_id", lambda: f"d{next(ids)}")
        server = Server(shop, data)
        with closing(server.ledger):
            yield server


@pytest.fixture
def server(shop: LoadedWorkspace, tmp_path: Path) -> Iterator[Server]:
    with opened(shop, tmp_path / "one") as server:
        yield server


def test_a_canarys_share_is_what_was_asked_for() -> None:
    customers = [f"customer-{i}" for i in range(20_000)]
    for percent in (1, 10, 50, 99):
        for canary in ("b", "c"):
            standing = Standing("a", canary, percent)
            share = np.mean([chosen(standing, customer) for customer in customers])
            p = percent / 100
            assert abs(share - p) < 4.0 * np.sqrt(p * (1 - p) / len(customers))
    one, two = Standing("a", "b", 50), Standing("a", "c", 50)
    both = np.mean([chosen(one, each) == chosen(two, each) for each in customers])
    assert abs(both - 0.5) < 4.0 * np.sqrt(0.25 / len(customers))  # another canary, other customers


def test_a_canarys_own_budget_knows_every_contact_and_each_once(server: Server) -> None:
    server.send(10)
    server.stand(OWN, percent=50)
    assert server.used() == 10.0
    made = server.send(40)
    by = [each.decision.revision for each in made]
    assert len(set(by)) == 2
    assert server.used() == 50.0
    server.stand(OWN)  # for all
    server.send(5)
    assert server.used() == 55.0
    server.lifecycle.rollback(server.ledger, "seller", Why("test", ""))
    server.send(7)
    assert server.used() == 55.0  # nobody counts it now
    server.stand(OWN, shadow=True)
    assert server.used() == 62.0
    server.send(3)
    assert server.used() == 65.0


def test_revisions_that_stand_charge_what_they_share_once(server: Server) -> None:
    server.stand(OWN)
    server.stand(OTHER, percent=50)  # the same counter, of other actions
    made = server.send(40)
    drawn = {each.decision.action_id.partition("/")[0] for each in made}
    assert drawn == {"sale", "help", "talk"}
    assert server.used() == 40.0
    server.stand(OTHER)
    assert server.used() == 40.0


def test_a_canarys_own_cap_on_events_hears_every_event_once(server: Server) -> None:
    capped = AGENT.replace("uniform}", "uniform, floor: 0.2}") + CAPPED
    recorder = Recorder(server.agents, DrivenClock())

    def tell(made: list[Decided]) -> None:
        for each in made:
            name, at = each.decision.decision_id, server.now
            request = OutcomeRequest(f"o{name}", "opened", name.encode(), name, at=at)
            recorder.record(server.ledger, request)

    early = server.send(10)
    tell(early[:6])
    server.stand(capped, percent=50)
    counter = "cap:seller/answered events per 20d"
    assert server.used(counter) == 6.0
    tell(early[6:])
    tell(server.send(20))
    assert server.used(counter) == 30.0
    server.stand(capped)
    tell(server.send(5))
    assert server.used(counter) == 35.0


def records(server: Server) -> list[bytes]:
    """The decisions in the log, without what the shadow would have done."""
    bodies = server.bodies()
    return [orjson.dumps({k: v for k, v in body.items() if k != "shadow"}) for body in bodies]


@pytest.mark.parametrize("text", [OWN, OTHER, TAUGHT])
def test_a_shadow_leaves_every_decision_as_it_was(
    shop: LoadedWorkspace, tmp_path: Path, text: str
) -> None:
    with opened(shop, tmp_path / "without") as server:
        server.send(30)
        without, positions = records(server), server.ledger.last_position()
    with opened(shop, tmp_path / "with") as server:
        server.stand(text, shadow=True)
        server.send(30)
        assert records(server) == without
        assert server.ledger.last_position() == positions + 1
        bodies = server.bodies()
        standing = server.ledger.standing("seller")
        assert standing is not None
        shadow = server.agents.revision(server.ledger, standing.shadow or "")
    policy = shadow.agent.policy.learner
    assert policy in ("uniform", "hybrid_thompson")
    for body in bodies:
        told = body["shadow"]
        assert told["revision"] == shadow.id
        assert told["actions"] == list(shadow.action_ids)
        assert told["mask"][0] == "always_act: another action is allowed"
        assert sum(told["distribution"]) == pytest.approx(1.0)
        barred = [reason is not None for reason in told["mask"]]
        assert all(p == 0.0 for p, bar in zip(told["distribution"], barred, strict=True) if bar)
        assert told["distribution"][told["actions"].index(told["action"])] > 0.0


def test_what_fails_in_the_shadow_stops_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_anything: object) -> None:
        raise FloatingPointError("with a customer's data")

    server.stand(TAUGHT, shadow=True)
    monkeypatch.setattr(HybridThompson, "distribution", fails)
    server.send(3)
    told = [body["shadow"] for body in server.bodies()]
    assert told == [{"revision": told[0]["revision"], "failed": "FloatingPointError"}] * 3


@pytest.mark.parametrize("together", [False, True])
def test_the_budgets_of_a_shadow_that_cannot_be_built_count_all_the_same(
    server: Server, monkeypatch: pytest.MonkeyPatch, *, together: bool
) -> None:
    """Or they would be taken for full knowledge once the shadow is activated."""

    def fails(*_anything: object) -> None:
        raise FloatingPointError

    own = OWN.replace("uniform", "hybrid_thompson")
    with monkeypatch.context() as patch:
        patch.setattr("serving.deciding.active.create_policy", fails)
        server.stand(own, shadow=True)
        server.send_together(5) if together else server.send(5)
    assert all(body.get("shadow") is None for body in server.bodies())
    assert server.used() == 5.0
    server.stand(own)
    assert server.used() == 5.0


def test_what_is_released_while_a_canary_is_gone_stays_in_its_own_budget(server: Server) -> None:
    """Too strict by what was released, and never too loose: nothing is known of its buckets then.

    What was sent meanwhile is counted when it stands again, but for what was released.
    """
    deliverer = Deliverer(server.agents, DrivenClock())

    def release(decided: Decided) -> None:
        deliverer.report(server.ledger, decided.decision.decision_id, "released", server.now)

    server.stand(OWN, percent=50)
    first, *during = server.send(8)
    release(first)
    assert server.used() == 7.0
    server.lifecycle.rollback(server.ledger, "seller", Why("test", ""))
    during.sort(key=lambda decided: decided.revision.id != server.active)  # not the canary's first
    assert during[0].revision.id == server.active
    release(during[0])
    after = server.send(3)
    release(after[0])
    assert server.used() == 7.0
    server.stand(OWN, percent=50)
    assert server.used() == 9.0  # 6 of 8 and 2 of 3 were made: one more than that
    release(after[1])
    release(during[1])
    assert server.used() == 7.0


def test_memory_is_never_ahead_of_the_ledger(server: Server) -> None:
    """A change whose commit fails has not happened."""
    first = server.active
    server.ledger.commit()
    for how in ({}, {"percent": 99}, {"shadow": True}):
        server.ledger.begin()
        server.stand(OWN, **how)
        server.ledger.rollback()
        server.ledger.begin()
        assert server.agents.lineup(server.ledger, "seller").standing == Standing(first)
        assert {each.decision.revision for each in server.send(5)} == {first}
        server.ledger.commit()
    assert all("shadow" not in body for body in server.bodies())
    server.ledger.begin()


def test_a_replica_that_has_not_heard_of_a_canary_charges_its_budgets(
    server: Server, shop: LoadedWorkspace
) -> None:
    elsewhere = ActiveAgents(shop, SnapshotFolder(server.data / "snapshots", b"k"))
    elsewhere.restore(server.ledger)
    server.stand(AGENT + CAPPED, percent=1)
    decided = server.send(1)[0].decision
    assert decided.revision == server.active
    request = OutcomeRequest("o1", "opened", b"", decided.decision_id, at=server.now)
    Recorder(elsewhere, DrivenClock()).record(server.ledger, request)
    (counter,) = server.agents.lineup(server.ledger, "seller").revisions[1].counters
    assert server.used(counter.name) == 1.0


def test_memory_of_revisions_is_bounded(server: Server) -> None:
    first = server.active
    for value in range(140):
        server.put(AGENT.replace("value: 10", f"value: {value + 20}"))
    assert len(server.agents._revisions) == 128
    assert server.agents.revision(server.ledger, first).id == server.active == first


def test_every_change_is_audited(server: Server) -> None:
    server.stand(OWN, percent=50, reason="try it")
    server.lifecycle.rollback(server.ledger, "seller", Why("key:k1", "no good"))
    rows = [row.to_record() for row in server.ledger.audits(0, 10)]
    assert [(row["actor"], row["action"], row["body"]["reason"]) for row in rows] == [
        ("server", "agent.stand", "its files"),
        ("test", "agent.stand", "try it"),
        ("key:k1", "agent.stand", "no good"),
    ]


def learn(server: Server, folder: str) -> Learner:
    with closing(SqliteReader.open(server.data / "ledger.sqlite")) as reader:
        learner = Learner(reader, SnapshotFolder(server.data / folder, b"k"), 0.0)
        learner.resume()
        while learner.step():
            pass
        learner.publish(force=True)
    return learner


def test_a_trial_is_taught_what_the_agent_has_learned(server: Server) -> None:
    """One learner an agent: a canary decides by its snapshots, and starts nothing anew."""
    ledger = server.ledger
    server.stand(TAUGHT)
    server.send(20)
    ledger.commit()
    learn(server, "snapshots")
    ledger.begin()
    server.stand(TAUGHT.replace("value: 11", "value: 12"), percent=50)
    server.stand(AGENT.replace("learner: uniform", "learner: uniform, floor: 0.5"), shadow=True)
    lineup = server.agents.lineup(ledger, "seller")
    assert lineup.canary is not None
    assert lineup.canary.snapshot == server.agents.snapshots.latest("seller") != ""
    assert lineup.shadow is not None
    assert isinstance(lineup.shadow.policy, Uniform)
    made = server.send(40)
    assert {each.decision.snapshot for each in made} == {"", lineup.canary.snapshot}
    ledger.commit()
    again = learn(server, "snapshots").pupils["seller"]
    whole = learn(server, "whole").pupils["seller"]
    assert again.revision.id == whole.revision.id == lineup.active.revision.id
    assert again.policy.to_bytes() == whole.policy.to_bytes()
    assert again.lessons == whole.lessons == 60
