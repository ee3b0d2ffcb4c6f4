"""What is counted by the ids of a loop's actions, which are ever others, is forgotten again."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.context import Contact
from agents.counters import Charge, Reading
from agents.decisions import OutcomeEvent
from agents.guardrails.maturity import REMEMBERED
from agents.load import load_workspace
from agents.revision import Revision
from serving.keeping.retention import first_buckets
from serving.ledger import SqliteLedger

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEPT = timedelta(days=30)
MATURITY = "maturity: {start_share: 0.1, full_at_positives: 4}\n"
CAP = """\
guardrails:
  few: {rule: frequency_cap, for: total, scope: offer, max: 3, per: day, window: calendar}
"""


@pytest.fixture
def revision(own_loops: Path) -> Revision:
    file = own_loops / "agents" / "front_page.yaml"
    file.write_text(file.read_text() + MATURITY + CAP)
    return load_workspace(own_loops).revisions["front_page"]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with closing(SqliteLedger.open(tmp_path / "ledger.sqlite")) as made:
        made.begin()
        yield made


def charges(revision: Revision, ids: list[str], at: datetime) -> list[Charge]:
    """Return what a contact with each action, and its reward, add."""
    offered = revision.offering(("none", *ids))
    event = OutcomeEvent("r", "d", "reward", at, {"value": 1.0})
    made: list[Charge] = []
    for place, name in enumerate(ids, start=1):
        contact = Contact(at, "front_page", name, "promotion", "site", name)
        made += offered.charges(place, at)
        made += offered.event_charges(event, contact, before=(), counted=True)
    return made


def size(ledger: SqliteLedger) -> int:
    ((count,),) = ledger._db.rows("SELECT count(*) FROM usage", ())
    return int(count)


def test_a_success_counts_for_ninety_days(revision: Revision) -> None:
    (charge,) = (c for c in charges(revision, ["a"], START) if c.counter.startswith("positives:"))
    assert charge.counter == "positives:front_page/a"
    offered = revision.offering(("none", "a"))
    for days, counts in ((0, True), (89, True), (92, False)):
        context = revision.context("someone", START + days * DAY, {})
        readings = {reading.counter: reading for reading in offered.readings(context)}
        told = readings[charge.counter]
        assert (told.first <= charge.bucket <= told.last) is counts
        usage = {reading.key: 0.0 for reading in readings.values()}
        for positives, barred in ((0.0, True), (4.0, False)):
            asked = replace(context, usage=usage | {told.key: positives})
            reasons = [str(bar.reason) for rule in offered.guardrails if rule.name == "maturity"
                       for bar in rule.bars(offered.moment(asked))]  # fmt: skip
            assert bool(reasons) is barred


def test_only_what_nobody_asks_about_any_more_is_removed(
    revision: Revision, ledger: SqliteLedger
) -> None:
    """A bit at a time; what other agents, and other rules, count is left alone."""
    later = START + 200 * DAY
    odd = ["a/b per day", "*", "ü", "a"]
    for at in (START, later):
        ledger.charge(charges(revision, odd, at))
    others = [Charge("positives:front_page2/a", 0, 1.0), Charge("stock:front_page/*", 0, 1.0),
              Charge("cap:front_page/fewer:front_page/a per day", 0, 1.0)]  # fmt: skip
    ledger.charge(others)
    before = size(ledger)
    first = first_buckets([revision], later - KEPT)
    assert set(first) == {"positives:front_page/*", "cap:front_page/few:front_page/* per day"}
    assert [ledger.prune_usage(first, 3) for _ in range(4)] == [3, 3, 2, 0]
    assert size(ledger) == before - 8
    assert all(ledger.used(Reading(name, 0, 0)) == 1.0 for name, _, _ in others)
    assert all(
        ledger.used(Reading(name, bucket, bucket)) == amount
        for name, bucket, amount in charges(revision, odd, later)
    )


def test_ids_without_end_need_no_room_without_end(revision: Revision, ledger: SqliteLedger) -> None:
    """200,000 ids in 400 days: what is kept is that of the days that still count."""
    most, grown = 0, list[int]()
    for day in range(400):
        at = START + day * DAY
        for part in range(10):
            ids = [f"article-{day}-{part}-{number}" for number in range(50)]
            counters = revision.offering(("none", *ids)).counters
            successes = [each for each in counters if each.measure == "positives"]
            ledger.charge([Charge(each.name, each.bucket(at), 1.0) for each in successes])
        if day % 10 == 9:
            while ledger.prune_usage(first_buckets([revision], at - KEPT), 1_000) >= 1_000:
                pass
            most = max(most, size(ledger))
        if day == 370:
            tracemalloc.start()
        if day in (380, 399):
            grown.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    kept = 500 * ((REMEMBERED + KEPT) // DAY)
    assert 0.9 * kept < most <= 1.1 * kept
    assert grown[1] - grown[0] < 2_000_000
