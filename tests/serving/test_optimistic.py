"""Jobs that are done before the lock is held: what stands, what is done again, and what is logged.

One replica is stopped between its work and the lock, another one writes, the first goes on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow.parquet as pq
import pytest

from agents.checker import check_log
from agents.errors import ContextError, StateError
from serving.deciding.attempt import submit_decision
from serving.deciding.decider import Decided, DecisionRequest
from serving.deciding.foresee import foresee_outcome
from serving.hearing.reported import OutcomeRequest, Recorded
from serving.keeping.export import export_log
from serving.ledger import Ledger, LedgerReader, open_reader
from serving.ledger.database import Row, Statement
from serving.ledger.optimistic import PROVISIONAL, Changes, Check
from serving.ledger.postgres_link import Link
from serving.ledger.waiting import Wait, wait_on_loop
from serving.running.private_postgres import PrivatePostgres
from serving.runtime import Runtime, run
from serving.settings import Settings, load_keys
from serving.watching.metrics import Stopwatch

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)

WORKSPACE = """\
workspace: shop
currency: EUR
zone: Europe/Berlin
customer:
  spend: {type: number, min: 0, max: 1000}
channels:
  phone: {cost: 2}
  web: {cost: 0}
events:
  opened: {}
guardrails:
  seldom: {rule: frequency_cap, max: 2, per: 10d, scope: all}
  money: {rule: budget, measure: cost, max: 6, per: month}
"""
AGENT = """\
agent: sales
outcomes:
  bought: {value: 10, window: 7d, metric: primary}
  complained: {value: -5, window: 7d}
offers:
  dear:
    kind: promotion
    variants: {plain: {text: "Good morning."}, short: {text: "Hello."}}
    channels: [phone]
guardrails:
  calm: {rule: event_suppression, after: [complained], scope: offer, for: 30d}
policy: {learner: uniform}
holdout: {control: 0, random: 0}
always_act: true
"""


@dataclass
class Replica:
    """One of two replicas; the first can be held before it takes the lock.

    Args:
        kept: of each batch, how many jobs there were and how many stood.
    """

    runtime: Runtime
    kept: list[tuple[int, int]] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Note what becomes of each batch, and wait at the gate before each lock."""
        ahead = self.runtime.writer._ledger.ahead
        assert ahead is not None
        self.gate.set()
        real = ahead.conclude

        async def conclude(checks: list[Check], *, whole: bool) -> int:
            self.reached.set()
            assert await asyncio.to_thread(self.gate.wait, 20)
            kept = await real(checks, whole=whole)
            self.kept.append((len(checks), kept))
            return kept

        ahead.conclude = conclude  # type: ignore[method-assign,assignment]  # watched

    def decide(self, customer: str, key: str | None = None, at: datetime | None = AT) -> Any:
        ask = DecisionRequest(("sales",), customer, {"spend": 1.0}, b"f", key=key, at=at)
        return submit_decision(self.runtime.writer, self.runtime.decider, ask, Stopwatch())

    def tell(self, outcome_id: str, word: str, decision_id: str) -> Any:
        told = OutcomeRequest(outcome_id, word, b"f", decision_id, at=AT)

        def check(_ledger: LedgerReader, answer: Recorded) -> tuple[Recorded, Changes]:
            return answer, ()

        return self.runtime.writer.submit(
            lambda ledger: self.runtime.recorder.record(ledger, told),
            partial(foresee_outcome, self.runtime.agents, outcome_id, decision_id),
            check,
        )

    async def held(
        self, work: Callable[[], list[Any]], beside: Callable[[], Awaitable[Any]]
    ) -> list[Any]:
        """Let jobs work; let others write; then let the jobs take the lock."""
        self.kept.clear()
        self.reached.clear()
        self.gate.clear()
        try:
            futures = work()
            assert await asyncio.to_thread(self.reached.wait, 20)
            await beside()
        finally:
            self.gate.set()
        return list(await asyncio.gather(*futures, return_exceptions=True))


@pytest.fixture
def settings(postgres: PrivatePostgres, tmp_path: Path) -> Settings:
    folder = tmp_path / "shop"
    (folder / "agents").mkdir(parents=True)
    (folder / "workspace.yaml").write_text(WORKSPACE)
    (folder / "agents" / "sales.yaml").write_text(AGENT)
    url = postgres.schema(f"test_{uuid4().hex}")
    return Settings(
        folder, tmp_path / "data", clock="driven", ledger_url=url,
        sweep_every_s=3_600.0, poll_s=3_600.0,
    )  # fmt: skip


def with_two(settings: Settings, use: Callable[[Replica, Replica], Awaitable[None]]) -> None:
    async def go() -> None:
        async with AsyncExitStack() as stack:
            pair = [Replica(await stack.enter_async_context(run(settings))) for _ in range(2)]
            for each in pair:
                each.watch()
            await use(*pair)

    asyncio.run(go())


def logged(settings: Settings) -> list[dict[str, Any]]:
    """Return all decisions of the log; its positions have no gaps."""
    with closing(open_reader(settings)) as reader:
        entries = reader.entries(0, 100_000)
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    return [dict(entry.body) for entry in entries if entry.kind == "decision"]


def assert_lawful(settings: Settings, folder: Path) -> None:
    """Check the log by itself: caps, budgets, and the usage that each decision logs."""
    export_log(settings, folder / "log", now=AT + timedelta(days=60))
    table = pq.read_table(folder / "log" / "decisions.parquet")
    assert table.num_rows == len(logged(settings))
    hash_key = load_keys(settings.data).customer
    assert list(check_log(table, settings.workspace, hash_key=hash_key)) == []


async def nothing() -> None:
    """Nobody writes beside."""


def barred(decided: Decided) -> bool:
    return decided.decision.mask.all_barred


def three(one: Replica) -> list[Any]:
    return [one.decide(customer) for customer in ("ann", "bob", "cid")]


def test_decisions_stand_if_nobody_wrote(settings: Settings, tmp_path: Path) -> None:
    async def use(one: Replica, _two: Replica) -> None:
        made = await one.held(lambda: three(one), nothing)
        assert one.kept == [(3, 3)]
        ids = [row["decision_id"] for row in logged(settings)]
        assert [each.decision.decision_id for each in made] == ids

    with_two(settings, use)
    assert_lawful(settings, tmp_path)


def test_they_stand_beside_others_and_log_what_those_used(
    settings: Settings, tmp_path: Path
) -> None:
    async def use(one: Replica, two: Replica) -> None:
        (made,) = await one.held(lambda: [one.decide("ann", "k")], lambda: two.decide("bob"))
        assert one.kept == [(1, 1)]
        bob, ann = logged(settings)
        assert (bob["customer"], ann["customer"]) == ("bob", "ann")
        assert list(bob["usage"].values()) == [0.0]
        assert list(ann["usage"].values()) == [2.0]  # what bob's contact costs
        assert made.decision.context.usage == ann["usage"]
        again = await two.decide("ann", "k")
        assert (again.replayed, again.decision.decision_id) == (True, ann["decision_id"])

    with_two(settings, use)
    assert_lawful(settings, tmp_path)


def test_a_mask_that_others_have_changed_is_made_again(settings: Settings, tmp_path: Path) -> None:
    async def use(one: Replica, two: Replica) -> None:
        (made,) = await one.held(lambda: [one.decide("zoe")], lambda: asyncio.gather(*three(two)))
        assert one.kept == [(1, 0)]
        assert barred(made)
        assert list(logged(settings)[-1]["usage"].values()) == [6.0]

    with_two(settings, use)
    assert_lawful(settings, tmp_path)


def test_those_before_the_first_that_falls_stand(settings: Settings, tmp_path: Path) -> None:
    """There is money for three; another has taken some, so that the last of three falls alone."""

    async def use(one: Replica, two: Replica) -> None:
        made = await one.held(lambda: three(one), lambda: two.decide("zoe"))
        assert [barred(each) for each in made] == [False, False, True]
        assert one.kept == [(3, 2)]

    with_two(settings, use)
    assert [row["customer"] for row in logged(settings)] == ["zoe", "ann", "bob", "cid"]
    assert_lawful(settings, tmp_path)


def test_a_second_job_about_a_customer_sees_the_first(settings: Settings, tmp_path: Path) -> None:
    async def use(one: Replica, _two: Replica) -> None:
        made = await one.held(lambda: [one.decide("ann") for _ in range(3)], nothing)
        assert one.kept == [(1, 1)]
        assert [len(each.decision.context.contacts) for each in made] == [0, 1, 2]
        assert [barred(each) for each in made] == [False, False, True]  # the cap

    with_two(settings, use)
    assert_lawful(settings, tmp_path)


def test_one_key_is_one_decision_whoever_is_asked(settings: Settings) -> None:
    async def use(one: Replica, two: Replica) -> None:
        beside: list[Decided] = []

        async def same() -> None:
            beside.append(await two.decide("ann", "k"))

        (made,) = await one.held(lambda: [one.decide("ann", "k")], same)
        assert (one.kept, made.replayed) == ([(1, 0)], True)
        assert made.decision.decision_id == beside[0].decision.decision_id
        (refused,) = await one.held(
            lambda: [one.decide("dan", "l")], lambda: two.decide("eve", "l")
        )
        assert "eve" in [row["customer"] for row in logged(settings)]
        assert refused.replayed  # the fingerprint of both is the same here
        assert len(logged(settings)) == 2

    with_two(settings, use)


def suppress(ledger: Ledger) -> int:
    return ledger.suppress("ann", ["*"], None, {})


def complain(two: Replica, decision_id: str) -> Callable[[], Awaitable[Any]]:
    return lambda: two.tell("o1", "complained", decision_id)


def test_what_is_said_of_the_customer_meanwhile_counts(settings: Settings) -> None:
    async def use(one: Replica, two: Replica) -> None:
        first = await two.decide("ann")
        told = complain(two, first.decision.decision_id)
        (made,) = await one.held(lambda: [one.decide("ann")], told)
        assert one.kept == [(1, 0)]
        assert {each.event for each in made.decision.context.events} == {"complained"}
        assert barred(made)
        (other,) = await one.held(
            lambda: [one.decide("bob")], complain(two, first.decision.decision_id)
        )
        assert (one.kept, barred(other)) == ([(1, 1)], False)

    with_two(settings, use)


def test_a_suppression_binds_whoever_has_not_the_lock_yet(settings: Settings) -> None:
    async def use(one: Replica, two: Replica) -> None:
        (made,) = await one.held(
            lambda: [one.decide("ann")], lambda: two.runtime.writer.submit(suppress)
        )
        assert one.kept == [(1, 0)]
        assert barred(made)

    with_two(settings, use)


def test_an_activation_binds_whoever_has_not_the_lock_yet(settings: Settings) -> None:
    async def use(one: Replica, two: Replica) -> None:
        def activate(ledger: Ledger) -> None:
            standing = ledger.standing("sales")
            assert standing is not None
            ledger.stand("sales", standing, {})

        (made,) = await one.held(
            lambda: [one.decide("ann")], lambda: two.runtime.writer.submit(activate)
        )
        assert one.kept == [(1, 0)]
        assert not barred(made)

    with_two(settings, use)


def test_an_outcome_is_counted_once_by_two_replicas(settings: Settings) -> None:
    async def use(one: Replica, two: Replica) -> None:
        first = await two.decide("ann")
        told = first.decision.decision_id
        (recorded,) = await one.held(
            lambda: [one.tell("o1", "bought", told)], lambda: two.tell("o1", "bought", told)
        )
        assert (one.kept, recorded.replayed) == ([(1, 0)], True)
        (late,) = await one.held(
            lambda: [one.tell("o2", "bought", told)], lambda: two.tell("o3", "bought", told)
        )
        assert one.kept == [(1, 0)]
        assert late.counted == ()  # the outcome counts once in its window

    with_two(settings, use)


def test_jobs_that_waited_too_long_are_done_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A send window may have begun or ended since: the clock is read again under the lock."""
    monkeypatch.setattr("serving.ledger.optimistic._LATEST", timedelta(microseconds=-1))

    async def use(one: Replica, _two: Replica) -> None:
        await one.held(lambda: three(one), nothing)
        assert one.kept == [(3, 0)]

    with_two(settings, use)
    assert len(logged(settings)) == 3


def test_the_databases_clock_is_told_ahead_of_the_lock(settings: Settings) -> None:
    async def use(one: Replica, two: Replica) -> None:
        for ahead in (False, True):  # the first batch learns what the clock shows
            one.kept.clear()
            first, second = await asyncio.gather(
                *(one.decide(f"{name}{ahead}", at=None) for name in ("a", "b"))
            )
            assert [done for done, kept in one.kept if done == kept]
            assert first.decision.at <= second.decision.at
            assert abs(first.decision.at - datetime.now(UTC)) < timedelta(seconds=5)
        made = await two.decide("c", at=None)
        assert made.decision.at >= first.decision.at - timedelta(milliseconds=50)

    with_two(replace(settings, clock="machine"), use)


def test_alone_a_batch_takes_two_journeys_until_somebody_writes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(one: Replica, two: Replica) -> None:
        ahead = one.runtime.writer._ledger.ahead
        assert ahead is not None
        for number in range(9):
            await one.decide(f"c{number}")
        link = one.runtime.writer._ledger._db._link  # type: ignore[attr-defined]  # beneath
        journeys: list[int] = []
        real = Link.journey

        async def counted(
            link: Link, sent: Sequence[Statement], wait: Wait = wait_on_loop
        ) -> list[list[Row]]:
            journeys.append(id(link))
            return await real(link, sent, wait)

        monkeypatch.setattr(Link, "journey", counted)
        await one.held(lambda: three(one), nothing)
        assert journeys.count(id(link)) == 2
        monkeypatch.undo()
        made = await one.held(lambda: [one.decide("zoe")], lambda: two.decide("yve"))
        assert one.kept == [(1, 1)]
        assert barred(made[0])
        assert ahead._quiet == 0

    with_two(settings, use)
    assert_lawful(settings, tmp_path)


def test_a_write_that_is_refused_voids_no_other_of_its_batch(settings: Settings) -> None:
    async def use(one: Replica, _two: Replica) -> None:
        def bad(ledger: Ledger) -> None:
            ledger._db.run("INSERT INTO note VALUES (?, NULL)", ("n",))

        def check(_ledger: LedgerReader, result: None) -> tuple[None, Changes]:
            return result, ()

        submit = one.runtime.writer.submit
        answers = await one.held(
            lambda: [one.decide("ann"), submit(bad, None, check), one.decide("bob")], nothing
        )
        assert isinstance(answers[1], StateError)
        assert [row["customer"] for row in logged(settings)] == ["ann", "bob"]

    with_two(settings, use)


def test_a_job_that_fails_leaves_nothing(settings: Settings) -> None:
    async def use(one: Replica, two: Replica) -> None:
        await two.decide("ann", "k")
        ask = DecisionRequest(("sales",), "ann", {"spend": 1.0}, b"other", key="k", at=AT)
        work = partial(submit_decision, one.runtime.writer, one.runtime.decider, ask)
        await two.decide("bob")
        answers = await one.held(lambda: [work(Stopwatch()), one.decide("cid")], nothing)
        assert isinstance(answers[0], ContextError)
        assert [row["customer"] for row in logged(settings)] == ["ann", "bob", "cid"]

    with_two(settings, use)


@pytest.mark.parametrize("seed", range(2))
def test_replicas_that_race_keep_every_rule(settings: Settings, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)

    async def use(one: Replica, two: Replica) -> None:
        jobs: list[Any] = []
        for number in range(60):
            who = (one, two)[int(rng.integers(2))]
            customer = f"c{rng.integers(15)}"
            at = AT + timedelta(days=int(number // 6))  # the cap's span passes
            jobs.append(who.decide(customer, f"k{rng.integers(50)}-{customer}", at))
            if number % 6 == 5:
                await asyncio.gather(*jobs)

    with_two(settings, use)
    assert_lawful(settings, tmp_path)


def test_what_a_decision_reads_does_not_grow_with_a_new_ledger(
    settings: Settings, rows_read: Callable[[str, str], int]
) -> None:
    """The database has not counted its rows yet, and plans are made when there are none."""
    rounds = 60

    async def use(one: Replica, two: Replica) -> None:
        for number in range(rounds):
            for replica, name in ((one, "one"), (two, "two")):
                made = await replica.decide(f"{name}-{number}", key=f"{name}-{number}")
                await replica.tell(f"{name}-{number}", "opened", made.decision.decision_id)

    with_two(settings, use)
    written = len(logged(settings))
    assert written == 2 * rounds
    assert rows_read(settings.ledger_url, "log") < 30 * written


def test_a_ledger_that_is_not_shared_does_nothing_ahead(tmp_path: Path, own_shop: Path) -> None:
    async def go() -> None:
        async with run(Settings(own_shop, tmp_path / "data", clock="driven")) as runtime:
            assert not runtime.writer.ahead

    asyncio.run(go())


def test_provisional_positions_are_beyond_all_others() -> None:
    micros = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp() * 1e6)
    assert micros < PROVISIONAL
