"""What every ledger promises: each test runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from agents.context import Contact, Context, PastEvent
from agents.corrections import Correction
from agents.counters import Charge, Reading
from agents.decisions import Decision, OutcomeEvent, Reason
from agents.errors import StateError
from agents.groups import Group
from agents.mask import Mask
from serving.ledger import Ledger, LedgerReader, open_ledger, open_reader
from serving.ledger.audits import seal_head
from serving.ledger.bulk import NewDecision
from serving.ledger.keys import ApiKey
from serving.ledger.revisions import Standing
from serving.settings import Settings

AT = datetime(2026, 3, 2, 9, 0, 0, 123_457, tzinfo=UTC)
DAY = timedelta(days=1)
ODD = "ann ❤ 'quoted' $1 \\ %s"


@dataclass(frozen=True)
class Ledgers:
    """Opens one ledger again and again."""

    settings: Settings

    @contextmanager
    def writer(self) -> Iterator[Ledger]:
        with closing(open_ledger(self.settings, wait_s=0.0)) as ledger:
            ledger.audit_key = ledger.customer_key = b"k" * 32
            yield ledger

    @contextmanager
    def reader(self) -> Iterator[LedgerReader]:
        with closing(open_reader(self.settings)) as reader:
            reader.customer_key = b"k" * 32
            yield reader

    def do(self, *jobs: Callable[[Ledger], object]) -> None:
        """Run each job in a transaction of its own."""
        with self.writer() as ledger:
            for job in jobs:
                ledger.begin()
                with ledger.savepoint():
                    job(ledger)
                ledger.commit()


@pytest.fixture
def ledgers(tmp_path: Path, ledger_url: str) -> Ledgers:
    return Ledgers(Settings(tmp_path, tmp_path, ledger_url=ledger_url))


def decision(number: int = 1, customer: str = "ann", action: int = 1) -> Decision:
    at = AT + number * DAY
    return Decision(
        f"d{number}", at, "sales", "r1", "uniform", "", Group.TREATMENT, Reason.POLICY,
        Context(customer, at, {"spend": 1.5, "likes": ("film",)}), ("none", "gadget"),
        Mask((None, None)), np.array([0.25, 0.75]), np.array([np.nan, 2.0]), action, 0.01, False,
        at if action else None,
    )  # fmt: skip


def contact(number: int = 1) -> Contact:
    at = AT + number * DAY
    return Contact(at, "sales", "gadget", "promotion", "email", "gadget/a@email", ("cable",), "d1")


def outcome(number: int = 1, decision_id: str = "d1") -> OutcomeEvent:
    at = AT + number * DAY
    return OutcomeEvent(f"o{number}", decision_id, "order", at, {"amount": 0.1}, "ann")


def heard(number: int = 1) -> PastEvent:
    at = AT + number * DAY
    return PastEvent(at, "order", "d1", "sales", "gadget", "promotion", "email", "g", ("cable",))


def decide(ledger: Ledger, number: int = 1, customer: str = "ann", key: str | None = "k1") -> int:
    return ledger.add_decision(
        decision(number, customer), contact(number), key=key, request=b"\x00\xff",
        closes=AT + (number + 1) * DAY, arbitration={"sales": 1},
    )  # fmt: skip


def hear(ledger: Ledger, number: int = 1, decision_id: str = "d1") -> int:
    return ledger.add_outcome(
        outcome(number, decision_id), heard(number),
        counted=["bought"], request=b"\x00r", closes=AT + (number + 1) * DAY,
    )  # fmt: skip


def test_a_new_ledger_is_empty(ledgers: Ledgers) -> None:
    with ledgers.writer() as ledger:
        ledger.begin()
        assert ledger.last_position() == 0
        assert ledger.last_instant() is None
        assert ledger.entries(0, 10) == []
        assert ledger.active() == {}
        assert ledger.find_by_key("k") is None
        assert ledger.find_decision("d") is None
        assert ledger.find_made("d") is None
        assert ledger.find_outcome("o") is None
        assert ledger.find_revision("r") is None
        assert ledger.find_yaml("r") is None
        assert ledger.active_revision("sales") is None
        assert ledger.used(Reading("c", 0, 9)) == 0.0
        ledger.commit()


def test_a_decision_is_read_as_it_was_written(ledgers: Ledgers) -> None:
    def write(ledger: Ledger) -> None:
        assert decide(ledger, customer=ODD, key=ODD) == 1

    ledgers.do(write)
    with ledgers.reader() as reader:
        for stored in (reader.find_decision("d1"), reader.find_by_key(ODD)):
            assert stored is not None
            assert stored.decision == decision(customer=ODD)
            assert (stored.position, stored.request) == (1, b"\x00\xff")
            assert stored.arbitration == {"sales": 1}
        assert reader.find_by_key("k2") is None
        made, whole = reader.find_made("d1"), decision(customer=ODD)
        assert made is not None
        assert (made.decision_id, made.at, made.customer) == ("d1", whole.at, ODD)
        assert (made.agent, made.revision) == (whole.agent, whole.revision)
        assert (made.action, made.send_at) == (whole.action, whole.send_at)
        entry = reader.entries(0, 10)[0]
        assert (entry.position, entry.kind, entry.body["decision_id"]) == (1, "decision", "d1")
        assert reader.contacts(ODD, AT) == (contact(),)
        assert reader.contacts(ODD, contact().at) == ()  # later than, not at
        assert reader.sent("sales", 0) == [contact()]
        assert reader.sent("sales", 1) == []
        assert reader.last_instant() == decision().at


def test_an_outcome_is_read_as_it_was_written(ledgers: Ledgers) -> None:
    def write(ledger: Ledger) -> None:
        assert decide(ledger) == 1
        assert hear(ledger) == 2
        assert hear(ledger, 2) == 3

    ledgers.do(write)
    with ledgers.reader() as reader:
        stored = reader.find_outcome("o1")
        assert stored is not None
        assert (stored.event, stored.counted, stored.request) == (outcome(), ("bought",), b"\x00r")
        assert reader.find_events("d1") == [outcome(), outcome(2)]
        assert reader.events("ann", ["order"], AT, AT + DAY) == (heard(),)
        assert reader.events("ann", ["order"], AT, AT + 2 * DAY) == (heard(), heard(2))
        assert reader.events("ann", [], AT, AT + DAY) == ()
        assert reader.events("ann", ["opened"], AT, AT + DAY) == ()
        for sent, words, until in (
            (AT - 9 * DAY, ["order"], AT + DAY), (AT + 9 * DAY, ["order"], AT + 2 * DAY),
            (AT, [], AT + DAY), (AT - DAY, ["opened"], AT + 2 * DAY),
        ):  # fmt: skip
            both = reader.contacts("ann", sent), reader.events("ann", words, AT, until)
            assert reader.past("ann", sent, words, AT, until) == both
        assert reader.heard("sales", ["order"], 2) == [heard(2)]
        assert reader.last_instant() == outcome(2).at


def test_an_outcome_that_is_told_late_does_not_turn_the_clock_back(ledgers: Ledgers) -> None:
    ledgers.do(lambda ledger: decide(ledger, 5), lambda ledger: hear(ledger, 1, "d5"))
    with ledgers.reader() as reader:
        assert reader.last_instant() == AT + 5 * DAY


def test_ids_and_keys_are_used_once(ledgers: Ledgers) -> None:
    ledgers.do(decide, hear)
    for again in (
        lambda ledger: decide(ledger, 1, key=None),
        lambda ledger: decide(ledger, 2, key="k1"),
        hear,
    ):
        with pytest.raises(StateError):
            ledgers.do(again)
    with ledgers.reader() as reader:
        assert reader.last_position() == 2
    ledgers.do(lambda ledger: decide(ledger, 3, key=None), lambda ledger: decide(ledger, 4, key=""))


def test_usage_adds_up_by_bucket(ledgers: Ledgers) -> None:
    def charge(ledger: Ledger) -> None:
        ledger.charge([Charge("money", 5, 0.25), Charge("money", 6, 1.0), Charge("sms", 5, 8.0)])
        ledger.charge([Charge("money", 5, 0.5), Charge("money", 7, -2.0)])
        assert ledger.used(Reading("money", 5, 5)) in {0.75, 1.5}  # the second time

    def check(ledger: LedgerReader, times: int) -> None:
        for (first, last), amount in {(5, 5): 0.75, (5, 6): 1.75, (6, 7): -1.0, (8, 9): 0}.items():
            assert ledger.used(Reading("money", first, last)) == times * amount

    ledgers.do(charge)
    with ledgers.reader() as reader:
        check(reader, 1)
    ledgers.do(charge, lambda ledger: check(ledger, 2))

    def prune(ledger: Ledger) -> None:
        ledger.charge([Charge("money", 4, 9.0)])
        assert ledger.prune_usage({"money": 6, "none": 9}) == 2  # buckets 4 and 5
        assert ledger.used(Reading("money", 0, 9)) == -2.0

    ledgers.do(prune)
    with ledgers.reader() as reader:
        assert reader.used(Reading("money", 0, 9)) == -2.0
        assert reader.used(Reading("sms", 0, 9)) == 16.0


def test_a_savepoint_undoes_what_is_inside_and_nothing_else(ledgers: Ledgers) -> None:
    with ledgers.writer() as ledger:
        ledger.begin()
        with ledger.savepoint():
            decide(ledger)
            ledger.charge([Charge("money", 1, 1.0)])
        for reads in (False, True):
            with pytest.raises(ZeroDivisionError), ledger.savepoint():
                assert decide(ledger, 2, key="k2") == 2
                ledger.charge([Charge("money", 1, 5.0)])
                ledger.note("half", "done")
                if reads:
                    assert ledger.find_by_key("k2") is not None
                    assert len(ledger.entries(0, 10)) == 2
                1 / 0  # noqa: B018
            assert ledger.find_by_key("k2") is None
            assert ledger.note("half") is None
            assert ledger.used(Reading("money", 0, 2)) == 1.0
        with ledger.savepoint():
            assert decide(ledger, 3, key="k3") == 2
        ledger.commit()
        assert [entry.body["decision_id"] for entry in ledger.entries(0, 10)] == ["d1", "d3"]


def test_removing_old_usage_in_vain_loses_nothing_that_others_charged(ledgers: Ledgers) -> None:
    with ledgers.writer() as ledger:
        ledger.begin()
        with ledger.savepoint():
            ledger.charge([Charge("money", 7, 2.0)])
        with pytest.raises(ZeroDivisionError), ledger.savepoint():
            ledger.prune_usage({"money": 5})
            1 / 0  # noqa: B018
        with ledger.savepoint():
            ledger.charge([Charge("money", 7, 1.0)])
        ledger.commit()
        assert ledger.used(Reading("money", 0, 9)) == 3.0


def test_a_refused_write_leaves_the_ledger_usable(ledgers: Ledgers) -> None:
    ledgers.do(decide)
    with ledgers.writer() as ledger:
        ledger.begin()
        with pytest.raises(StateError), ledger.savepoint():
            decide(ledger, 2, key="k1")
            assert ledger.entries(0, 10)  # by now, at the latest, it is told
        with ledger.savepoint():
            decide(ledger, 3, key="k3")
        ledger.commit()
        ledger.begin()
        assert [entry.body["decision_id"] for entry in ledger.entries(0, 10)] == ["d1", "d3"]
        ledger.rollback()


def test_a_rollback_undoes_everything(ledgers: Ledgers) -> None:
    with ledgers.writer() as ledger:
        for reads in (False, True):
            ledger.begin()
            with ledger.savepoint():
                decide(ledger)
                ledger.charge([Charge("money", 1, 1.0)])
            if reads:
                assert ledger.find_by_key("k1") is not None
            ledger.rollback()
        ledger.rollback()  # of nothing
        with pytest.raises(StateError), ledger.savepoint():
            pass
        ledger.begin()
        assert ledger.last_position() == 0
        assert ledger.used(Reading("money", 0, 2)) == 0.0
        assert decide(ledger) == 1
        ledger.commit()


def test_readers_see_what_is_committed_and_nothing_more(ledgers: Ledgers) -> None:
    with ledgers.writer() as ledger, ledgers.reader() as reader:
        ledger.begin()
        decide(ledger)
        assert ledger.find_by_key("k1") is not None
        assert reader.entries(0, 10) == []
        ledger.commit()
        assert len(reader.entries(0, 10)) == 1
        with reader.still():
            assert reader.last_position() == 1
            ledger.begin()
            hear(ledger)
            ledger.commit()
            assert reader.last_position() == 1
            assert reader.find_events("d1") == []
        assert reader.last_position() == 2


def test_what_is_foreseen_is_never_out_of_date(ledgers: Ledgers) -> None:
    ledgers.do(decide)

    def look(reader: LedgerReader) -> None:
        for customer in ("ann", "bob"):
            assert reader.contacts(customer, AT) == ()
            assert reader.events(customer, ["order"], AT, AT + 9 * DAY) == ()
        reader.find_by_key("k1")
        reader.find_by_key("k2")
        reader.last_instant()
        reader.active_revision("sales")
        reader.used(Reading("money", 0, 9))
        reader.find_events("d1")
        raise ValueError("a wrong guess")

    with ledgers.writer() as ledger:
        ledger.begin()
        ledger.foresee([look, look, lambda reader: reader.entries(0, 1)])
        with ledger.savepoint():
            assert ledger.contacts("ann", AT) == (contact(),)
            assert ledger.find_by_key("k2") is None
            decide(ledger, 2, key="k2")
            ledger.charge([Charge("money", 1, 1.0)])
            assert ledger.find_by_key("k2") is not None
            assert len(ledger.contacts("ann", AT)) == 2
            assert ledger.contacts("bob", AT) == ()
            assert ledger.last_instant() == decision(2).at
            assert ledger.used(Reading("money", 0, 9)) == 1.0
            hear(ledger, 5)
            assert ledger.events("ann", ["order"], AT, AT + 9 * DAY) == (heard(5),)
            assert ledger.find_events("d1") == [outcome(5)]
        with pytest.raises(ZeroDivisionError), ledger.savepoint():
            decide(ledger, 3, "bob", key="k3")
            1 / 0  # noqa: B018
        assert ledger.contacts("bob", AT) == ()
        ledger.commit()


def test_pruning_takes_what_is_old_closed_and_learned_but_the_newest(ledgers: Ledgers) -> None:
    def write(ledger: Ledger) -> None:
        for number in range(1, 5):
            decide(ledger, number, key=f"k{number}")
        hear(ledger, 4, "d4")

    ledgers.do(write)
    now = AT + 30 * DAY

    def prune(ledger: Ledger) -> None:
        assert ledger.prune(AT + 2 * DAY, AT, until=9, limit=9) == 0  # still open
        assert ledger.prune(AT + 9 * DAY, now, until=1, limit=9) == 1
        assert ledger.prune(AT + 9 * DAY, now, until=9, limit=1) == 1
        assert ledger.prune(AT + 9 * DAY, now, until=9, limit=9) == 2
        assert ledger.prune(AT + 9 * DAY, now, until=9, limit=9) == 0

    ledgers.do(prune)
    with ledgers.reader() as reader:
        assert [entry.kind for entry in reader.entries(0, 10)] == ["outcome"]
        assert reader.find_by_key("k1") is None
        assert reader.contacts("ann", AT) == ()
        assert reader.last_position() == 5


def test_what_is_not_learned_yet_keeps_its_decision(ledgers: Ledgers) -> None:
    def write(ledger: Ledger) -> None:
        for number in range(1, 5):
            decide(ledger, number, key=f"k{number}")
        ledger.reserve("d1", 1, AT + 99 * DAY)
        hear(ledger, 2, "d2")
        ledger.settle("d3", 3, "released", {}, customer="ann", at=AT, closes=AT)
        said = Correction("c1", "o2", AT)
        ledger.add_correction(said, outcome(2, "d2"), lost=(), remaining={}, request=b"", closes=AT)
        decide(ledger, 5, key="k5")

    def prune(ledger: Ledger) -> None:
        def gone(until: int, now: datetime = AT + 30 * DAY) -> list[str]:
            kept = {name for name in names if ledger.find_decision(name) is not None}
            ledger.prune(AT + 20 * DAY, now, until=until, limit=99)
            return sorted(name for name in kept if ledger.find_decision(name) is None)

        names = [f"d{number}" for number in range(1, 6)]
        assert gone(4) == ["d4"]
        assert gone(5) == []  # the outcome is learned, its correction is not
        assert gone(6) == ["d3"]
        assert gone(7) == ["d2"]
        assert gone(8) == []  # one is reserved, one is the newest
        ledger.settle("d1", 1, "expired", {}, customer="ann", at=AT, closes=AT)
        assert gone(8) == ["d5"]
        assert gone(9) == ["d1"]

    ledgers.do(write, prune)


def test_revisions_and_notes(ledgers: Ledgers) -> None:
    def write(ledger: Ledger) -> None:
        about: dict[str, Any] = {"yaml": "a: 1", "source": b"\x00{}", "at": AT, "actor": "anyone"}
        assert ledger.put_revision("sales", "r1", **about)
        assert not ledger.put_revision("sales", "r1", **about)
        assert ledger.put_revision("sales", "r2", **about | {"at": AT + DAY})
        assert ledger.stand("sales", Standing("r1"), {"why": "new"}) == 1
        assert ledger.stand("sales", Standing("r1", canary="r2", percent=5), {}) == 2
        assert ledger.before("sales") is None
        assert ledger.stand("sales", Standing("r2"), {}) == 3
        assert ledger.before("sales") == "r1"
        assert ledger.replace("sales", Standing("r2", shadow="r1"), {}) == 4
        assert ledger.before("sales") == "r1"

    ledgers.do(write)
    with ledgers.reader() as reader:
        assert reader.active() == {"sales": "r2"}
        assert reader.active_revision("sales") == "r2"
        assert reader.standing("sales") == Standing("r2", shadow="r1")
        assert reader.find_yaml("r1") == "a: 1"
        assert reader.find_revision("r1") == b"\x00{}"
        assert [each.id for each in reader.revisions_of("sales")] == ["r2", "r1"]
        assert reader.stored_revision("sales", "r2") == reader.revisions_of("sales")[0]
        assert reader.stored_revision("care", "r2") is None
        assert reader.entries(0, 1)[0].body["why"] == "new"
    ledgers.do(lambda ledger: ledger.step_back("sales", Standing("r1"), {}))
    with ledgers.writer() as ledger:
        ledger.begin()
        assert ledger.active() == {"sales": "r1"}
        assert ledger.before("sales") is None
        assert (ledger.note("n"), ledger.note("n", "1"), ledger.note("n", ODD)) == (None, "1", ODD)
        ledger.commit()
    with ledgers.writer() as ledger:
        ledger.begin()
        assert ledger.note("n") == ODD
        ledger.rollback()


def test_corrections_are_found_and_forget_what_was_retracted(ledgers: Ledgers) -> None:
    restated = Correction("c1", "o1", AT + 2 * DAY, {"amount": 0.25})
    retracted = Correction("c2", "o1", AT + 3 * DAY)

    def correct(ledger: Ledger, correction: Correction, lost: list[str]) -> int:
        return ledger.add_correction(
            correction, outcome(), lost=lost, remaining=dict.fromkeys(lost, 1),
            request=b"\x00c", closes=AT,
        )  # fmt: skip

    ledgers.do(decide, hear, lambda ledger: correct(ledger, restated, []))
    with ledgers.reader() as reader:
        (event,) = reader.standing_events("d1")
        assert (event.properties, reader.find_events("d1")) == ({"amount": 0.25}, [outcome()])
        assert reader.events("ann", ["order"], AT, AT + DAY) == (heard(),)
    ledgers.do(lambda ledger: correct(ledger, retracted, ["bought"]))
    with ledgers.writer() as ledger:
        assert ledger.standing_events("d1") == []
        assert ledger.events("ann", ["order"], AT, AT + DAY) == ()
        stored = ledger.find_correction("c2")
        assert stored is not None
        assert (stored.position, stored.request, stored.lost) == (4, b"\x00c", ("bought",))
        assert (stored.correction, stored.event) == (retracted, outcome())
        assert ledger.find_correction("c3") is None
        assert [each.correction for each in ledger.corrections_of("o1")] == [restated, retracted]
        assert len(ledger.find_corrections("d1")) == 2
        assert ledger.corrections_within(1, 1) == {"d1": ledger.find_corrections("d1")}
        assert ledger.corrections_within(2, 9) == {}
        assert ledger.told_before("c1") == (b"\x00c", "correction")


def test_a_contact_is_reserved_delivered_or_given_back(ledgers: Ledgers) -> None:
    due = AT + 2 * DAY

    def reserve(ledger: Ledger) -> None:
        ledger.reserve("d1", decide(ledger), due)
        ledger.reserve("d2", decide(ledger, 2, key=None), due + DAY)

    def settle(ledger: Ledger, name: str, decided: int, state: Any) -> int:
        return ledger.settle(
            name, decided, state, {"why": ""}, customer="ann", at=AT + DAY, closes=AT
        )

    ledgers.do(reserve)
    with ledgers.reader() as reader:
        assert reader.delivery("d1") == ("reserved", due, None, None)
        assert reader.delivery("d3") is None
        assert reader.overdue(due - timedelta(microseconds=1), 9) == []
        assert reader.overdue(due, 9) == reader.overdue(due + DAY, 1) == ["d1"]
        assert reader.overdue(due + DAY, 9) == ["d1", "d2"]
    ledgers.do(
        lambda ledger: settle(ledger, "d1", 1, "released"),
        lambda ledger: settle(ledger, "d2", 2, "delivered"),
    )
    with ledgers.reader() as reader:
        assert reader.overdue(due + DAY, 9) == []
        found = reader.deliveries_within(1, 2)
        assert found == {
            "d1": ("released", None, 3, None),
            "d2": ("delivered", None, 4, None),
        }
        assert (found["d1"].given_back, found["d2"].given_back) == (True, False)
        assert reader.deliveries_within(2, 2).keys() == {"d2"}
        assert [each.at for each in reader.contacts("ann", AT)] == [contact(2).at]
        assert reader.entries(2, 1)[0].body["decision_id"] == "d1"


def test_a_contact_that_is_made_late_is_remembered_as_of_then(ledgers: Ledgers) -> None:
    late = replace(contact(1), at=contact(1).at + DAY)

    def deliver(ledger: Ledger) -> None:
        ledger.settle(
            "d1", 1, "delivered", {}, customer="ann", at=late.at, closes=AT, late=late
        )  # fmt: skip

    ledgers.do(lambda ledger: ledger.reserve("d1", decide(ledger), AT + 9 * DAY), deliver)
    with ledgers.reader() as reader:
        assert reader.delivery("d1") == ("delivered", None, 2, late.at)
        assert reader.contacts("ann", AT - DAY) == (late,)
        assert reader.overdue(AT + 10 * DAY, 9) == []
    ledgers.do(lambda ledger: ledger.erase("ann"))
    with ledgers.reader() as reader:
        assert reader.contacts("ann", AT - DAY) == ()


def test_outcomes_wait_join_and_die(ledgers: Ledgers) -> None:
    until = AT + 7 * DAY
    body = {"outcome": ODD}

    def wait(ledger: Ledger) -> None:
        for name, decision_id in (("o1", "d1"), ("o2", "d9"), ("o3", "d9")):
            ledger.keep_pending(name, decision_id, b"\x00p", body, until)

    ledgers.do(wait)
    with ledgers.reader() as reader:
        assert reader.joinable(9) == []
        assert reader.pending_counts() == (3, 0)
        assert reader.told_before("o1") == (b"\x00p", "pending")
        assert reader.told_before("o4") is None
    ledgers.do(decide, lambda ledger: ledger.bury("o2", ODD, until))
    with ledgers.writer() as ledger:
        (found,) = ledger.joinable(9)
        assert (found.outcome_id, found.body, found.until, found.dead) == ("o1", body, until, None)
        dead = ledger.find_pending("o2")
        assert dead is not None
        assert (dead.dead, ledger.told_before("o2")) == (ODD, (b"\x00p", "dead"))
        ledger.begin()
        assert ledger.bury_late(until - timedelta(microseconds=1), "late", until + DAY) == 0
        assert ledger.bury_late(until, "late", until + DAY) == 2
        assert ledger.pending_counts() == (0, 3)
        assert (ledger.forget_dead(until), ledger.forget_dead(until + DAY)) == (1, 2)
        ledger.rollback()
        ledger.begin()
        ledger.drop_pending("o1")
        ledger.commit()
        assert ledger.pending_counts() == (1, 1)


def test_suppressions_are_never_shortened_and_named_by_hash(ledgers: Ledgers) -> None:
    ledgers.do(
        lambda ledger: ledger.suppress(ODD, ["email"], AT + DAY, {"reason": ""}),
        lambda ledger: ledger.suppress(ODD, ["email", "*"], AT, {}),
    )
    with ledgers.reader() as reader:
        assert reader.suppressed(ODD, AT - DAY) == ("*", "email")
        assert reader.suppressed(ODD, AT) == ("email",)
        assert reader.suppressed(ODD, AT + DAY) == reader.suppressed("bob", AT) == ()
        assert reader.suppressions(ODD) == {"*": AT, "email": AT + DAY}
        assert all(ODD not in str(entry.body) for entry in reader.entries(0, 9))
    ledgers.do(lambda ledger: ledger.suppress(ODD, ["email"], None, {}))
    ledgers.do(lambda ledger: ledger.suppress(ODD, ["email"], AT, {}))
    with ledgers.reader() as reader:
        assert reader.suppressed(ODD, AT + 900 * DAY) == ("email",)
    ledgers.do(lambda ledger: ledger.lift(ODD, ["email", "sms"], {}))
    with ledgers.reader() as reader:
        assert reader.suppressions(ODD) == {"*": AT}


def test_a_contact_made_elsewhere_is_remembered(ledgers: Ledgers) -> None:
    body = {"contact_id": ODD}

    def meet(ledger: Ledger) -> int:
        return ledger.add_elsewhere(
            ODD, "ann", contact(), body, request=b"\x00e", closes=contact().at
        )

    ledgers.do(meet)
    with ledgers.writer() as ledger:
        found = ledger.find_elsewhere(ODD)
        assert found is not None
        assert (found.position, found.request, found.body) == (1, b"\x00e", body)
        assert ledger.find_elsewhere("other") is None
        assert ledger.contacts("ann", AT) == (contact(),)


def test_many_customers_are_read_and_decided_for_at_once(ledgers: Ledgers) -> None:
    def many(ledger: Ledger) -> None:
        made = [decision(number, f"c{number}", number % 2) for number in range(1, 6)]
        ledger.add_decisions(
            [
                NewDecision(
                    each.decision_id, each.context.customer, f"k{number}", b"\x00r",
                    orjson.dumps(each.to_record()), each.at, each.at + DAY,
                    contact(number) if each.action else None,
                )
                for number, each in enumerate(made, 1)
            ]
        )  # fmt: skip
        ledger.append("contact", {})

    ledgers.do(many, hear, lambda ledger: ledger.suppress("c1", ["email"], None, {}))
    customers = ["c1", "c2", "c3", "ann", ODD]
    with ledgers.reader() as reader:
        assert reader.contacts_of(customers, AT) == {"c1": [contact(1)], "c3": [contact(3)]}
        assert reader.events_of(customers, ["order"], AT, AT + 9 * DAY) == {"ann": [heard()]}
        assert reader.events_of(customers, [], AT, AT + 9 * DAY) == {}
        assert reader.suppressed_of(customers, AT) == {"c1": ("email",)}
        assert reader.known_keys(["k1", "k5", "k6"]) == {"k1", "k5"}
        assert reader.known_keys([]) == frozenset()
        places = {"d1": 1, "d3": 3}
        assert reader.positions_of(["d3", "nobody", "d1"]) == places
        assert reader.positions_of([]) == {}
        packed = {e.position: e.body for e in reader.entries(0, 9, stored=True)}
        whole = {e.position: e.body for e in reader.entries(0, 9)}
        assert {place: reader.whole(packed[place]) for place in (1, 3)} == {
            place: whole[place] for place in (1, 3)
        }
        stored = reader.find_by_key("k3")
        assert stored is not None
        assert stored.decision == decision(3, "c3")
        assert reader.first_decision() == 1
        assert reader.last_position() == 8
    with pytest.raises(StateError):
        ledgers.do(many)


def test_api_keys_end_and_stay_ended(ledgers: Ledgers) -> None:
    key = ApiKey("id", b"\x00" * 32, ODD, ("decide", "erase"), AT, AT + DAY, rate=0.5, burst=2.0)
    ledgers.do(lambda ledger: ledger.add_api_key(key), lambda ledger: ledger.add_api_key(key))
    with ledgers.reader() as reader:
        assert reader.api_keys() == [key]
        assert reader.api_key("id") == key
        assert reader.api_key("other") is None

    def end(ledger: Ledger) -> None:
        ended = ledger.end_api_key(key, expires=AT + 9 * DAY, revoked=AT)
        assert (ended.expires, ended.revoked) == (AT + DAY, AT)
        assert ledger.api_key("id") == ended

    ledgers.do(end)


def test_audits_are_chained_and_sealed(ledgers: Ledgers) -> None:
    ledgers.do(lambda ledger: ledger.add_audit(AT, "key:a", "agent.put", {"b": 1, "a": ODD}))
    ledgers.do(lambda ledger: ledger.add_audit(AT + DAY, "server", "prune", {}))
    with ledgers.reader() as reader:
        rows = reader.audits(0, 9)
        assert [row.computed() for row in rows] == [row.hash for row in rows]
        assert rows[0].hash == rows[1].previous
        assert reader.audits(1, 9) == rows[1:]
        assert reader.audit_seal() == seal_head(b"k" * 32, 2, rows[1].hash)


def test_a_customer_is_read_and_erased(ledgers: Ledgers) -> None:
    ledgers.do(decide, hear, lambda ledger: decide(ledger, 2, "bob", key="k2"))
    with ledgers.reader() as reader:
        assert [each.position for each in reader.mentions("ann", None, 9)] == [2, 1]
        assert [each.kind for each in reader.mentions("ann", 2, 9)] == ["decision"]

    def erase(ledger: Ledger) -> None:
        removed = ledger.erase("ann")
        assert removed["log"] == 2
        assert removed["decision"] == removed["contact"] == removed["outcome"] == 1
        assert ledger.mentions("ann", None, 9) == []
        assert ledger.contacts("ann", AT) == ()

    ledgers.do(erase)
    with ledgers.writer() as ledger:
        assert isinstance(ledger.scrub(), bool)
        assert isinstance(ledger.scrub(whole=True), bool)
        assert [entry.position for entry in ledger.entries(0, 9)] == [3]


def said_of_ann_and_bob(ledger: Ledger) -> None:
    """Two contacts, one given back, an outcome taken back, one without a decision, a contact."""
    for number, customer in enumerate(("ann", "bob"), 1):
        decided = decide(ledger, number, customer, key=f"k{number}")
        event = replace(outcome(number, f"d{number}"), customer=customer)
        about: dict[str, Any] = {"request": b"", "closes": AT}
        ledger.add_outcome(event, heard(number), counted=(), **about)
        loose = replace(event, outcome_id=f"loose{number}", decision_id="")
        ledger.add_outcome(loose, heard(number), counted=(), **about)
        taken = Correction(f"c{number}", event.outcome_id, AT)
        ledger.add_correction(taken, event, lost=(), remaining={}, **about)
        ledger.settle(f"d{number}", decided, "released", {}, customer=customer, at=AT, closes=AT)
        ledger.add_elsewhere(f"e{number}", customer, contact(number), {}, **about)


def orphans(reader: LedgerReader) -> list[tuple[str, Any]]:
    """Return the rows of every table that stand beside the log without a row of it."""
    key = "SELECT customer, at, position FROM"
    both = (f"{key} log WHERE customer IS NOT NULL ORDER BY 3", f"{key} past ORDER BY 3")
    about, past = map(reader._db.rows, both)
    found: list[tuple[str, Any]] = [("past", row) for row in set(about) ^ set(past)]
    for table in ("correction", "delivery", "elsewhere"):
        sql = f"SELECT position FROM {table} WHERE position NOT IN (SELECT position FROM log)"
        found += [(table, row) for row in reader._db.rows(sql)]
    return found


def test_nothing_is_left_beside_the_log_of_what_is_erased_or_pruned(ledgers: Ledgers) -> None:
    ledgers.do(said_of_ann_and_bob)
    removed: list[Any] = []
    ledgers.do(lambda ledger: removed.append(ledger.erase("ann")))
    assert removed == [
        {
            "log": 6, "decision": 1, "contact": 1, "event": 1, "outcome": 2, "correction": 1,
            "delivery": 1, "elsewhere": 1,
        }
    ]  # fmt: skip
    with ledgers.reader() as reader:
        assert orphans(reader) == []
        assert reader.last_position() == 12
        assert reader._db.rows("SELECT count(*) FROM past WHERE customer = 'ann'") == [(0,)]
        assert [len(reader.mentions(name, None, 9)) for name in ("ann", "bob")] == [0, 6]
        assert reader.contacts("bob", AT) == (contact(2),)  # the one made elsewhere

    def prune(ledger: Ledger) -> None:
        ledger.append("revision", {})
        now = AT + 30 * DAY
        assert ledger.prune(AT + 20 * DAY, now, until=99, limit=4) == 4
        assert orphans(ledger) == []
        assert ledger.prune(AT + 20 * DAY, now, until=99, limit=4) == 2

    ledgers.do(prune)
    with ledgers.reader() as reader:
        assert orphans(reader) == []
        tables = ("log", "past", "correction", "delivery", "elsewhere")
        left = [reader._db.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]
        assert left == [1, 0, 0, 0, 0]


def test_what_is_written_shows(ledgers: Ledgers) -> None:
    with ledgers.writer() as ledger:
        assert ledger.written.transaction == -1
        ledger.begin()
        seen = [ledger.written]
        ledger.note("a")
        assert ledger.written == seen[0]
        ledger.note("a", "1")
        seen.append(ledger.written)
        decide(ledger)
        seen.append(ledger.written)
        ledger.rollback()
        seen.append(ledger.written)
        ledger.begin()
        seen.append(ledger.written)
        assert len(set(seen)) == 5
        assert len({each.transaction for each in seen}) == 3
        ledger.rollback()


def test_decisions_leave_the_actions_to_a_revision_that_is_there_for_good(
    ledgers: Ledgers,
) -> None:
    about: Any = {"yaml": "", "source": b"", "at": AT, "actor": "", "actions": ["none", "gadget"]}

    def undone(ledger: Ledger) -> None:
        ledger.put_revision("sales", "r1", **about)
        decide(ledger)
        raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        ledgers.do(undone)
    ledgers.do(decide)
    ledgers.do(lambda ledger: ledger.put_revision("sales", "r1", **about))
    ledgers.do(lambda ledger: decide(ledger, 2, key="k2"))
    with ledgers.reader() as reader:
        bodies = [b for (b,) in reader._db.rows("SELECT record FROM log ORDER BY position")]
        assert [b'"actions"' in b for b in bodies] == [True, False]
        found = [Decision.from_record(entry.body) for entry in reader.entries(0, 9)]
        assert found == [decision(1), decision(2)]
        assert (reader.action_ids("r1"), reader.action_ids("r2")) == (["none", "gadget"], [])


def test_one_agents_decisions_are_removed_and_no_others(ledgers: Ledgers) -> None:
    def told(ledger: Ledger) -> None:
        assert ledger.decided_between("sales") is None
        assert ledger.stands_since("sales") is None
        ledger.put_revision("sales", "r1", yaml="", source=b"{}", at=AT, actor="anyone")
        ledger.stand("sales", Standing("r1"), {"at": AT.isoformat()})
        said_of_ann_and_bob(ledger)
        decide(ledger, 3, "cleo", key="k3")
        ledger.add_decision(
            replace(decision(4), agent="other"), None, key="k4", request=b"", closes=AT
        )

    ledgers.do(told)
    with ledgers.reader() as reader:
        assert reader.decided_between("sales") == (AT + DAY, AT + 3 * DAY)
        assert reader.decided_between("other") == (AT + 4 * DAY, AT + 4 * DAY)
        assert reader.decided_between("nobody") is None
        assert reader.stands_since("sales") == AT

    def remove(ledger: Ledger) -> None:
        through = ledger.last_position()
        ledger.append("revision", {})
        first = ledger.remove_decisions("sales", 0, through, 1)
        assert first.kinds == {"decision": 1, "outcome": 1, "correction": 1, "delivery": 1}
        assert first.after is not None
        rest = ledger.remove_decisions("sales", first.after, through, 9)
        assert (rest.after, rest.kinds["decision"]) == (None, 2)
        assert orphans(ledger) == []

    ledgers.do(remove)
    with ledgers.reader() as reader:
        assert reader.decided_between("sales") is None
        assert reader.find_by_key("k3") is None
        assert reader.find_by_key("k4") is not None
        assert reader.find_outcome("loose1") is not None  # it followed no decision
        assert reader.contacts("cleo", AT) == ()


def test_every_method_of_a_ledger_is_in_this_contract() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    used = set(re.findall(r"\b(?:ledger|reader)\.(\w+)", text))
    beneath = {
        "ahead",
        "close",
        "moment",
        "remote",
    }  # used by others of these
    public = {name for name in dir(Ledger) if not name.startswith("_")}
    assert public - used - beneath == set()
