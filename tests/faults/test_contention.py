"""Many callers at once: two replicas on one PostgreSQL, or one server on SQLite."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.ledger import open_reader
from serving.settings import Settings

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
BUDGET = (
    "  money: {rule: budget, measure: contacts, max: 500, per: month, on: {offers: [scarce]}}\n"
)
CAP = "  once: {rule: frequency_cap, max: 1, per: 10d, scope: all}\n"
WIDE = "  wide: {rule: budget, measure: contacts, max: 1000000, per: month}\n"

Answer = tuple[int, Any, Any]
Ask = Callable[..., Answer]


def body(customer: str, seconds: float = 0.0) -> dict[str, Any]:
    at = AT + timedelta(seconds=seconds)
    return {
        "agent": "sales", "customer": customer, "features": {"spend": 1.0}, "at": at.isoformat(),
    }  # fmt: skip


class Callers:
    """Eight threads, each with its own connection to whichever replica takes it.

    Args:
        settings: of the replicas.
        lives: forks them.
        line: makes a connection.
    """

    def __init__(self, settings: Settings, lives: Any, line: Callable[[int], Any]) -> None:
        self.settings = settings
        self._line, self._port = line, lives.port
        self._own = threading.local()
        self._lines: list[Any] = []
        self._pool = ThreadPoolExecutor(8)
        for _ in range(2 if settings.ledger_url else 1):
            lives.serve()

    def ask(self, path: str, what: dict[str, Any], key: str = "") -> Answer:
        if not hasattr(self._own, "line"):
            self._own.line = self._line(self._port)
            self._lines.append(self._own.line)
        answer: Answer = self._own.line.post(path, what, key)
        return answer

    def map(self, work: Callable[[int], Any], count: int) -> list[Any]:
        """Do something many times, eight at once."""
        return list(self._pool.map(work, range(count)))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(open_reader(self.settings)) as reader:
            return reader._db.rows(sql)

    def close(self) -> None:
        self._pool.shutdown()
        for line in self._lines:
            line.close()


Open = Callable[[str], Callers]


@pytest.fixture
def open_callers(
    write_shop: Any, tmp_path: Path, ledger_url: str, nursery: Any, line: Any
) -> Iterator[Open]:
    opened: list[Callers] = []

    def start(rules: str) -> Callers:
        data = tmp_path / "data"
        settings = Settings(write_shop(rules), data, clock="driven", ledger_url=ledger_url)
        opened.append(Callers(settings, nursery(settings), line))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_a_budget_is_spent_exactly(open_callers: Open) -> None:
    callers = open_callers(BUDGET)

    def decide(number: int) -> str:
        status, _, answer = callers.ask("/v1/decisions", body(f"c{number}"), f"k{number}")
        assert status == 200, answer
        offer: str = answer["action"]["offer"]
        return offer

    given = Counter(callers.map(decide, 2_000))
    assert given == {"scarce": 500, "plenty": 1_500}
    assert callers.rows("SELECT sum(amount) FROM usage") == [(500,)]
    scarce = "SELECT count(*) FROM past WHERE event = '' AND offer = 'scarce'"
    assert callers.rows(scarce) == [(500,)]


def test_a_cap_of_one_is_one_contact(open_callers: Open) -> None:
    callers = open_callers(CAP)

    def decide(number: int) -> tuple[str, str | None]:
        status, _, answer = callers.ask("/v1/decisions", body("ann"), f"k{number}")
        assert status == 200, answer
        return answer["action"]["id"], answer["reason"]

    answers = Counter(callers.map(decide, 50))
    sent = [action for action, _ in answers if action != "none"]
    assert len(sent) == 1
    assert answers["none", "all_barred"] == 49
    assert callers.rows("SELECT count(*) FROM past WHERE event = ''") == [(1,)]


def test_the_same_key_is_one_decision(open_callers: Open) -> None:
    callers = open_callers(WIDE)

    def decide(_: int) -> tuple[str, str | None]:
        status, headers, answer = callers.ask("/v1/decisions", body("ann"), "visit")
        assert status == 200, answer
        return repr(sorted(answer.items())), headers["Idempotent-Replay"]

    answers = Counter(callers.map(decide, 50))
    assert len({answer for answer, _ in answers}) == 1
    assert sorted(answers.values()) == [1, 49]
    assert callers.rows("SELECT count(*) FROM log WHERE kind = 'decision'") == [(1,)]

    def another(number: int) -> int:
        return callers.ask("/v1/decisions", body("ann", 1.0 + number), "visit")[0]

    assert set(callers.map(another, 50)) == {422}
    assert callers.rows("SELECT count(*) FROM log WHERE kind = 'decision'") == [(1,)]


def test_an_outcome_counts_once(open_callers: Open) -> None:
    callers = open_callers(WIDE)
    _, _, made = callers.ask("/v1/decisions", body("ann"), "visit")
    event = {
        "outcome_id": "order-1", "decision_id": made["decision_id"], "outcome": "bought",
        "at": AT.isoformat(),
    }  # fmt: skip

    def tell(_: int) -> tuple[bool, tuple[str, ...]]:
        status, _, answer = callers.ask("/v1/outcomes", event)
        assert status == 200, answer
        return answer["replayed"], tuple(answer["counted"])

    answers = Counter(callers.map(tell, 100))
    assert answers == {(False, ("bought",)): 1, (True, ("bought",)): 99}
    for rows in ("log WHERE kind = 'outcome'", "past WHERE event > ''"):
        assert callers.rows(f"SELECT count(*) FROM {rows}") == [(1,)]


def test_whoever_objected_is_never_contacted_after(open_callers: Open) -> None:
    callers = open_callers(WIDE)
    rng = np.random.default_rng(3)
    customers = [f"c{n}" for n in rng.integers(40, size=1_200)]
    objects = rng.random(1_200) < 0.03
    objected: dict[str, int] = {}
    after: list[str] = []

    def work(number: int) -> None:
        customer = customers[number]
        if objects[number]:
            about = {"customer": customer, "at": AT.isoformat()}
            status, _, answer = callers.ask("/v1/suppressions", about)
            assert status == 200, answer
            objected.setdefault(customer, answer["position"])
            return
        knew = customer in objected
        status, _, answer = callers.ask("/v1/decisions", body(customer))
        assert status == 200, answer
        if knew:
            after.append(answer["action"]["id"])

    callers.map(work, 1_200)
    assert set(after) == {"none"}
    assert len(after) > 100
    sent = "SELECT customer, position FROM past WHERE event = '' ORDER BY position"
    contacts = callers.rows(sent)
    assert len(contacts) > 300
    late = [row for row in contacts if row[1] > objected.get(row[0], row[1])]
    assert late == []
    suppressed = callers.rows("SELECT count(*) FROM suppression")
    assert suppressed == [(len(objected),)]
