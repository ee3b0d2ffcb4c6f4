"""Servers, PostgreSQL and the learner killed with no warning at every step, under load.

A server kills itself before or after the n-th begin, read, write, commit, journey to the database
or reply; which, is drawn from a seed. NEXTBEST_KILLS says how often (120 if it does not).
"""

from __future__ import annotations

import http.client
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from agents.checker import check_log
from agents.decisions import Decision
from agents.revision import Revision
from serving.keeping.export import export_log
from serving.ledger import Entry, LedgerReader, open_reader
from serving.settings import Settings

KILLS = int(os.environ.get("NEXTBEST_KILLS", "120"))
CLIENTS, CUSTOMERS = 8, 40
START = datetime(2026, 3, 2, 7, tzinfo=UTC)
MOST = {"begin": 6, "read": 60, "write": 30, "commit": 6, "journey": 20, "reply": 25}
SQLITE = ["begin", "read", "write", "commit", "reply"]
SECONDS = 60.0

Body = dict[str, Any]
MakeLine = Callable[[int], Any]
MakeNursery = Callable[[Settings], Any]
MakePoint = Callable[..., Any]


@dataclass
class Client:
    """Sends keyed decisions and outcomes, each until it is answered, and remembers both."""

    name: str
    rng: np.random.Generator
    features: Body
    line: Any
    up: threading.Event
    stop: threading.Event
    over: threading.Event
    asked: dict[str, Body] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)
    told: dict[str, Body] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)
    cuts: int = 0
    refused: int = 0
    found: int = 0  # requests that had been committed, though their answer was lost

    def run(self) -> None:
        """Talk until told to stop, and finish what was begun."""
        try:
            while not self.stop.is_set():
                self.decide(self.next_question())
                if self.rng.random() < 0.4:
                    self.tell(self.next_event())
        finally:
            self.line.close()

    def next_question(self) -> str:
        key = f"{self.name}-{len(self.asked)}"
        late = timedelta(minutes=float(self.rng.integers(0, 28 * 24 * 60)))
        self.asked[key] = {
            "agent": "retention", "customer": f"c{self.rng.integers(CUSTOMERS)}",
            "features": self.features | {"monthly_bill": float(self.rng.integers(10, 90))},
            "at": (START + late).isoformat(),
        }  # fmt: skip
        return key

    def next_event(self) -> str:
        key = list(self.decided)[int(self.rng.integers(len(self.decided)))]
        outcome_id = f"o-{self.name}-{len(self.told)}"
        self.told[outcome_id] = {
            "outcome_id": outcome_id, "decision_id": self.decided[key],
            "outcome": str(self.rng.choice(["renewed", "complained"])), "at": self.asked[key]["at"],
        }  # fmt: skip
        return outcome_id

    def decide(self, key: str) -> bool:
        """Ask until there is an answer; return whether it was a replay."""
        answer, replayed, again = self.send("/v1/decisions", self.asked[key], key)
        assert self.decided.setdefault(key, answer["decision_id"]) == answer["decision_id"]
        assert again or not replayed
        return replayed

    def tell(self, outcome_id: str) -> bool:
        """Report until there is an answer; return whether it was a replay."""
        answer, _, again = self.send("/v1/outcomes", self.told[outcome_id])
        self.recorded.add(outcome_id)
        self.found += answer["replayed"] and not self.stop.is_set()
        assert again or not answer["replayed"]
        replayed: bool = answer["replayed"]
        return replayed

    def send(self, path: str, body: Body, key: str = "") -> tuple[Body, bool, bool]:
        """Send until there is an answer; return it, and whether it was made before, and asked."""
        for tries in range(500):
            assert self.up.wait(SECONDS)
            assert not self.over.is_set(), "the test has failed elsewhere"
            try:
                status, headers, answer = self.line.post(path, body, key)
            except (OSError, http.client.HTTPException):
                self.cuts += 1
                self.line.close()
                continue
            if status == 503:
                self.refused += 1
                continue
            assert status == 200, answer
            again = tries > 0 or self.stop.is_set()
            replayed = headers.get("Idempotent-Replay") == "true"
            self.found += replayed and not self.stop.is_set()
            return answer, replayed, again
        raise AssertionError("500 tries without an answer")

    def retry_all(self) -> None:
        """Send everything again: every answer is the one that was given before."""
        for key in self.asked:
            assert self.decide(key), "an answered decision is gone"
        for outcome_id in self.told:
            assert self.tell(outcome_id), "an answered outcome is gone"
        self.line.close()


@dataclass
class Auditor:
    """Reads what is new in the ledger after each death: nothing answered is gone, nothing half."""

    settings: Settings
    clients: Sequence[Client]
    position: int = 0
    seen: set[str] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)

    def look(self) -> None:
        answered = [(dict(client.decided), set(client.recorded)) for client in self.clients]
        with closing(open_reader(self.settings)) as reader, reader.still():
            new = reader.entries(self.position, 1_000_000)
            assert [entry.position for entry in new] == list(
                range(self.position + 1, self.position + 1 + len(new))
            )
            self.compare(reader, new)
            for decided, recorded in answered:
                for key in decided.keys() - self.seen:
                    stored = reader.find_by_key(key)
                    assert stored is not None, "an answered decision is gone"
                    assert stored.decision.decision_id == decided[key]
                for outcome_id in recorded - self.seen:
                    assert reader.find_outcome(outcome_id) is not None, "an outcome is gone"
                self.seen |= decided.keys() | recorded
        self.entries += new
        self.position += len(new)

    def compare(self, reader: LedgerReader, new: list[Entry]) -> None:
        """Every index says what the log says."""

        def table(column: str, where: str) -> list[tuple[Any, ...]]:
            sql = f"SELECT position, {column} FROM {where} AND position > ? ORDER BY position"
            return reader._db.rows(sql, (self.position,))

        made = [entry for entry in new if entry.kind == "decision"]
        heard = [entry for entry in new if entry.kind == "outcome"]
        assert table("id", "log WHERE kind = 'decision'") == [
            (entry.position, entry.body["decision_id"]) for entry in made
        ]
        assert table("decision_id", "past WHERE event = ''") == [
            (entry.position, entry.body["decision_id"])
            for entry in made
            if entry.body["send_at"] is not None
        ]
        assert table("id", "log WHERE kind = 'outcome'") == [
            (entry.position, entry.body["event"]["outcome_id"]) for entry in heard
        ]
        both = table("customer", "log JOIN past USING (customer, at, position) WHERE 1 = 1")
        assert both == table("customer", "log WHERE customer IS NOT NULL")
        assert both == table("customer", "past WHERE 1 = 1")

    def end(self, folder: Path) -> None:
        """Every key has one decision, every budget is what was spent, every cap was kept."""
        self.look()
        decisions = [e.body["decision_id"] for e in self.entries if e.kind == "decision"]
        outcomes = [e.body["event"]["outcome_id"] for e in self.entries if e.kind == "outcome"]
        assert sorted(decisions) == sorted(d for c in self.clients for d in c.decided.values())
        assert sorted(outcomes) == sorted(o for c in self.clients for o in c.told)
        with closing(open_reader(self.settings)) as reader:
            kept = {row[:2]: row[2] for row in reader._db.rows("SELECT * FROM usage")}
            assert kept == pytest.approx(self.spent(reader))
        assert export_log(self.settings, folder, now=START) == len(decisions)
        table = pq.read_table(folder / "decisions.parquet")
        assert check_log(table, self.settings.workspace) == []

    def spent(self, reader: LedgerReader) -> dict[tuple[str, int], float]:
        """Add up once more what all contacts have used."""
        amounts: dict[tuple[str, int], float] = {}
        for entry in self.entries:
            if entry.kind != "decision" or entry.body["send_at"] is None:
                continue
            source = reader.find_revision(entry.body["revision"])
            assert source is not None
            revision = _revision(source)
            decision = Decision.from_record(entry.body)
            contact = decision.contact(revision.actions[decision.action])
            assert contact is not None
            for counter, bucket, amount in revision.charges(decision.action, contact.at):
                amounts[counter, bucket] = amounts.get((counter, bucket), 0.0) + amount
        return amounts


_KNOWN: dict[bytes, Revision] = {}


def _revision(source: bytes) -> Revision:
    return _KNOWN.setdefault(source, _KNOWN.get(source) or Revision.from_source(source))


@dataclass
class Talk:
    """Eight clients that talk all the while, and who looks after each death."""

    clients: list[Client]
    auditor: Auditor
    up: threading.Event
    stop: threading.Event

    def say(self, what: str, kills: int) -> None:
        """Print what happened."""
        cuts, found = (sum(getattr(c, n) for c in self.clients) for n in ("cuts", "found"))
        refused = sum(client.refused for client in self.clients)
        sys.stdout.write(
            f"{what}: {kills} kills, {len(self.auditor.seen)} answers, {cuts} cut,"
            f" {refused} refused, {found} found committed; none lost\n"
        )


@contextmanager
def talking(nursery: Any, line: MakeLine, features: Body, folder: Path) -> Iterator[Talk]:
    """Let eight clients talk inside the context; afterwards ask everything again, and check all."""
    up, stop, over = threading.Event(), threading.Event(), threading.Event()
    up.set()
    children = np.random.default_rng(20261122).spawn(CLIENTS)
    clients = [
        Client(f"k{number}", rng, features, line(nursery.port), up, stop, over)
        for number, rng in enumerate(children)
    ]
    talk = Talk(clients, Auditor(nursery.settings, clients), up, stop)
    with ThreadPoolExecutor(CLIENTS) as pool:
        talks = [pool.submit(client.run) for client in clients]
        try:
            yield talk
        except BaseException:
            over.set()
            nursery.clear()  # so that nobody waits for an answer
            raise
        finally:
            stop.set()
        for each in talks:
            each.result(SECONDS)
        list(pool.map(Client.retry_all, clients))
    talk.auditor.end(folder)


def plans(kinds: Sequence[str], count: int, point: MakePoint, do: str = "die") -> list[Any]:
    """Draw where to die: every kind of point equally often, at some place of a busy stretch."""
    rng = np.random.default_rng(5)
    pairs = [(at, when) for at in kinds for when in ("before", "after")]
    drawn = [pairs[number % len(pairs)] for number in range(count)]
    return [point(at, when, int(rng.integers(1, MOST[at])), do) for at, when in drawn]


@pytest.mark.parametrize("ledger_url", ["sqlite", "postgres"], indirect=True)
def test_nothing_answered_is_lost_wherever_a_replica_is_killed(
    ledger_url: str, telecom: Path, tmp_path: Path, features: Body, nursery: MakeNursery,
    point: MakePoint, line: MakeLine,
) -> None:  # fmt: skip
    shared = bool(ledger_url)
    # on PostgreSQL a transaction begins and ends with journeys, whatever they are made for
    kinds = ["read", "write", "journey", "commit", "journey", "reply"] if shared else SQLITE
    planned = plans(kinds, KILLS // 2 if shared else KILLS, point)
    lives = nursery(Settings(telecom, tmp_path / "data", clock="driven", ledger_url=ledger_url))
    with talking(lives, line, features, tmp_path / "log") as talk:
        waiting = iter(planned)
        for _ in range(2 if shared else 1):  # at once
            lives.serve([next(waiting)])
        for number in range(len(planned)):
            assert lives.wait()
            talk.auditor.look()
            following = next(waiting, None)
            lives.serve([] if following is None else [following], from_start=number % 8 == 7)
    talk.say("replica on PostgreSQL" if shared else "server on SQLite", len(planned))
    assert sum(client.found for client in talk.clients) > 0  # some were in doubt


def test_nothing_answered_is_lost_when_postgresql_is_killed_anywhere(
    postgres: Any, telecom: Path, tmp_path: Path, features: Body, nursery: MakeNursery,
    point: MakePoint, line: MakeLine,
) -> None:  # fmt: skip
    planned = plans(["read", "journey", "reply", "journey"], KILLS // 8, point, "ask")
    url = postgres.schema("killed")
    lives = nursery(Settings(telecom, tmp_path / "data", clock="driven", ledger_url=url))
    with talking(lives, line, features, tmp_path / "log") as talk:
        lives.serve(planned)
        for _ in planned:
            lives.heard()
            talk.up.clear()
            postgres.kill()
            lives.go_on()
            postgres.start()
            talk.auditor.look()
            talk.up.set()
    talk.say("PostgreSQL", len(planned))
    assert sum(client.refused for client in talk.clients) > 0


@pytest.mark.parametrize("ledger_url", ["sqlite", "postgres"], indirect=True)
def test_a_learner_killed_anywhere_ends_in_the_same_bytes(
    ledger_url: str, telecom: Path, tmp_path: Path, features: Body, nursery: MakeNursery,
    point: MakePoint, line: MakeLine,
) -> None:  # fmt: skip
    kills = KILLS // 12
    lives = nursery(Settings(telecom, tmp_path / "data", clock="driven", ledger_url=ledger_url))
    with talking(lives, line, features, tmp_path / "log") as talk:
        server = lives.serve([point("reply", "after", max(20 * kills, 100), "ask")])
        lives.heard()
        lives.go_on()
    lives.kill(server)
    lives.learn("whole")
    assert not lives.wait()

    rng = np.random.default_rng(12)
    pairs = [
        (at, when)
        for at in ("read", "update", "publish", "mark", "fsync", "rename")
        for when in ("before", "after")
    ]
    for number in range(kills):
        most = 30 if pairs[number % len(pairs)][0] == "update" else 4
        lives.learn("parts", [point(*pairs[number % len(pairs)], int(rng.integers(1, most)))])
        assert lives.wait(), "it learned all before it came to its end"
    lives.learn("parts")
    assert not lives.wait()
    ours, theirs = (
        sorted((tmp_path / "data" / name / "retention").glob("*.snapshot"))[-1]
        for name in ("parts", "whole")
    )
    assert ours.name == theirs.name
    assert ours.read_bytes() == theirs.read_bytes()
    talk.say("learner", kills)
