"""Allocation and funnel equal what an independent count of the exported log gives."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from agents.errors import StateError
from agents.load import load_workspace
from agents.revision import Revision
from serving.keeping.export import export_log
from serving.ledger import Entry, EntryKind, LedgerReader
from serving.reports.facts import Facts, Past
from serving.reports.reader import Reports
from serving.reports.report import HOUR, Totals, instant_of
from serving.reports.views import Question, allocation, funnel
from serving.settings import Settings

Serve = Callable[..., AbstractContextManager[httpx.Client]]
Submit = Callable[[httpx.Client, str, str], httpx.Response]
START = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)


def drive(client: httpx.Client, first: int, number: int) -> None:
    """Decide every 13 minutes; some are helped, some order, and some of that was a mistake."""
    for i in range(first, first + number):
        at = START + timedelta(minutes=13 * i)
        likes = ["music"] if i % 3 else ["sport"]
        body = {
            "agent": "care", "customer": f"c{i % 40}", "at": at.isoformat(),
            "features": {"name": "Ann", "likes": likes},
        }  # fmt: skip
        made = client.post("/v1/decisions", json=body).json()
        for word, every in (("helped", 4), ("order", 5)):
            if i % every == 0:
                event = {
                    "outcome_id": f"{word}{i}", "decision_id": made["decision_id"],
                    "outcome": word, "at": (at + timedelta(hours=1)).isoformat(),
                }  # fmt: skip
                assert client.post("/v1/outcomes", json=event).is_success
        if i % 8 == 0:
            undo = {
                "outcome_id": f"undo{i}", "adjusts": f"helped{i}", "retract": True,
                "at": (at + timedelta(hours=2)).isoformat(),
            }  # fmt: skip
            answer = client.post("/v1/outcomes", json=undo)
            assert answer.is_success, answer.text


def report(client: httpx.Client, what: str, **asked: Any) -> dict[str, Any]:
    params = {name.rstrip("_"): value for name, value in asked.items()}
    answer = client.get(f"/v1/agents/care/{what}", params=params)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    assert told["position"] == told["last_position"]
    return told


def begins(at: datetime, per: str) -> str:
    cut = at.replace(minute=0, second=0, microsecond=0)
    return (cut if per == "hour" else cut.replace(hour=0)).isoformat()


def count_allocation(rows: list[dict[str, Any]], per: str) -> list[dict[str, Any]]:
    """Count the rows of the exported log by hand."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[begins(row["at"], per), row["revision"], row["action"]].append(row)
    wholes: dict[tuple[str, str], int] = defaultdict(int)
    for (begin, revision, _), drawn in groups.items():
        wholes[begin, revision] += len(drawn)
    return [
        {
            "from": begin, "revision": revision, "action": action, "decisions": len(drawn),
            "share": len(drawn) / wholes[begin, revision],
            "mean_propensity": sum(row["propensity"] for row in drawn) / len(drawn),
            "explored_share": sum(row["explored"] for row in drawn) / len(drawn),
            "outcomes": sum(len(row["outcomes"]) for row in drawn),
            "reward": sum(row["reward"] for row in drawn),
            "given_back": 0,
        }
        for (begin, revision, action), drawn in sorted(groups.items())
    ]  # fmt: skip


def same(told: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    def close(one: Any, two: Any) -> bool:
        return math.isclose(one, two, abs_tol=1e-9) if isinstance(one, float) else bool(one == two)

    return len(told) == len(expected) and all(
        one.keys() == two.keys() and all(close(one[name], two[name]) for name in one)
        for one, two in zip(told, expected, strict=True)
    )


def count_funnel(rows: list[dict[str, Any]], order: Mapping[str, list[str]]) -> dict[str, Any]:
    bars: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    nothing: dict[str, int] = defaultdict(int)
    for row in rows:
        names = [reason.partition(": ")[0] for reason in row["mask"][1:] if reason is not None]
        for name in names:
            bars[name][0] += 1
        for name in set(names):
            bars[name][1] += 1
        if None not in row["mask"][1:]:
            bars[max(names, key=order[row["revision"]].index)][2] += 1
        if row["action"] == "none":
            nothing[row["reason"]] += 1
    return {"decisions": len(rows), "bars": dict(bars), "none": dict(nothing)}


def told_funnel(told: dict[str, Any]) -> dict[str, Any]:
    bars = {
        each["guardrail"]: [each["actions"], each["decisions"], each["last"]]
        for each in told["guardrails"]
    }
    return {"decisions": told["decisions"], "bars": bars, "none": told["none"]}


def test_reports_equal_a_count_of_the_exported_log(
    open_shop: Serve, own_shop: Path, tmp_path: Path, submit: Submit, ledger_url: str
) -> None:
    text = (own_shop / "agents" / "care.yaml").read_text()
    stricter = text.replace(
        "policy:", "guardrails:\n  rest: {rule: cooldown, pause: 6h, scope: all}\npolicy:"
    )
    with open_shop() as client:
        drive(client, 0, 40)
        early = report(client, "allocation", per="hour")
        assert sum(row["decisions"] for row in early["rows"]) == 40
        revision = client.put("/v1/agents/care", content=stricter).json()["revision"]
        body = {"revision": revision, "expected": client.get("/v1/agents/care").json()["revision"]}
        assert client.post("/v1/agents/care/activate", json=body | {"percent": 60}).is_success
        drive(client, 40, 40)
        assert submit(client, "care", stricter).json()["changed"]
        drive(client, 80, 40)
        reports = {per: report(client, "allocation", per=per) for per in ("hour", "day")}
        barred = report(client, "funnel")
        first, until = START + timedelta(hours=3), START + timedelta(hours=15)
        span = {"from_": first.isoformat(), "until": until.isoformat()}
        within = report(client, "allocation", per="hour", **span), report(client, "funnel", **span)
        assert client.get("/v1/agents/carr/funnel").status_code == 404
    settings = Settings(own_shop, tmp_path / "data", ledger_url=ledger_url)
    export_log(settings, tmp_path / "log", now=START + timedelta(days=90))
    rows = pq.read_table(tmp_path / "log" / "decisions.parquet").to_pylist()
    assert len(rows) == 120
    words = [each["outcome"] for row in rows for each in row["outcomes"]]
    assert words.count("helped") == 15  # of 30, half were taken back
    assert words.count("order") > 0
    for per, told in reports.items():
        assert same(told["rows"], count_allocation(rows, per))
    order = {row["revision"]: rules(own_shop, row["revision"], tmp_path) for row in rows}
    assert told_funnel(barred) == count_funnel(rows, order)
    assert barred["none"]["all_barred"] > 0
    low, high = begins(first, "hour"), begins(until, "hour")
    inside = [row for row in rows if low <= begins(row["at"], "hour") < high]
    assert 0 < len(inside) < 120
    assert same(within[0]["rows"], count_allocation(inside, "hour"))
    assert told_funnel(within[1]) == count_funnel(inside, order)
    with open_shop() as client:  # read again, from the log alone
        for per, told in reports.items():
            assert report(client, "allocation", per=per)["rows"] == told["rows"]
        assert report(client, "funnel")["guardrails"] == barred["guardrails"]


def rules(shop: Path, revision_id: str, folder: Path) -> list[str]:
    source = (folder / "log" / "revisions" / f"{revision_id}.json").read_bytes()
    revision = Revision.from_source(source)
    return [rule.name for rule in (*revision.guardrails, *revision.rankings)]


class Known(Past):
    """Answers for a revision that every entry is of, and for decisions that nobody keeps."""

    def __init__(self, revision: Revision) -> None:
        self.known = Facts(revision, tuple(each.cost for each in revision.actions), {"b": 0})

    def facts(self, revision_id: str) -> Facts:
        assert revision_id == self.known.revision.id
        return self.known

    def decision(self, decision_id: str) -> None:
        return None


def entry(revision: Revision, position: int, at: datetime, action: int = 0) -> Entry:
    body = {
        "agent": "care", "revision": revision.id, "at": at.isoformat(), "action": action,
        "actions": list(revision.action_ids), "explored": False, "reason": "all_barred",
        "mask": [None, "b: barred"], "distribution": [1.0, 0.0],
    }  # fmt: skip
    return Entry(position, "decision", body)


@pytest.fixture
def revision(shop: Path) -> Revision:
    return load_workspace(shop).revisions["care"]


def test_memory_is_bounded_and_what_was_forgotten_is_said(revision: Revision) -> None:
    totals = Totals(Known(revision), most=3 * 1_000)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for hour in range(1_000):
        totals.take(entry(revision, hour + 1, begin + hour * HOUR))
    assert totals.since is None
    assert len(totals.slots) == 1_000
    totals.take(entry(revision, 1_001, begin + 1_000 * HOUR))
    rows = allocation(totals, Question("care"), "day")
    assert sum(row["decisions"] for row in rows) == 1_001  # older hours became days
    assert len(totals.slots) == 1_001 - 160 + 7  # 840 hours stay, a little more than 6 days
    for day in range(1, 4_000):
        totals.take(entry(revision, 1_001 + day, begin + timedelta(days=41 + day)))
    assert sum(total.size for total in totals.slots.values()) <= 3_000
    assert totals.since is not None
    oldest = min(instant_of(slot.hour) for slot in totals.slots)
    assert begin < totals.since <= oldest
    told = funnel(totals, Question("care"))
    assert told["decisions"] == told["none"]["all_barred"] == len(totals.slots)


def test_what_is_damaged_or_gone_is_left_out(revision: Revision) -> None:
    totals = Totals(Known(revision))
    with pytest.raises(KeyError):
        totals.take(Entry(1, "decision", {"agent": "care", "revision": revision.id}))
    gone = {"event": {"decision_id": "gone"}}
    kinds: list[EntryKind] = ["outcome", "correction", "suppression"]
    for position, kind in enumerate(kinds, start=2):
        totals.take(Entry(position, kind, gone))
    assert totals.position == 4
    assert totals.slots == {}


def test_a_ledger_that_cannot_be_read_is_told_to_whoever_asks() -> None:
    def no_ledger() -> LedgerReader:
        raise StateError("no ledger")

    async def ask() -> None:
        reports = Reports(no_ledger)
        with pytest.raises(StateError, match="no ledger"):
            await reports.ask(lambda totals, _ledger: totals.position)
        await reports.close()

    asyncio.run(ask())
