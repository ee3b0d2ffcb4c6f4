"""A market as arrays and one customer of it: the same bits."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from scipy import stats

from agents.catalog import example_folder
from agents.load import load_workspace
from agents.revision import Revision
from agents.spec import CustomerEvent
from agents.tabular.columns import instant_of, microseconds
from simulators.checks import check_doing_nothing
from simulators.examples import example_revision
from simulators.market.market import Market
from simulators.world import Happening
from simulators.worlds import WORLDS

SPAN = timedelta(days=2)
ROUNDS = 20


def made(kind: type[Market], revision: Revision, customers: int = 60, seed: int = 5) -> Market:
    return kind(revision, customers=customers, rounds=ROUNDS, every=SPAN, seed=seed)


def choices(market: Market, round_index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an action for everybody, and how many microseconds later its message is sent."""
    rng = np.random.default_rng(round_index)
    actions = rng.integers(0, len(market.revision.actions), market.customers)
    waits = rng.choice([0, 3_600_000_000, 100_000_000_000], market.customers)
    return actions, waits


def test_one_customer_and_all_of_them_meet_the_same_bits(
    everything: type[Market], revision: Revision
) -> None:
    whole, alone = made(everything, revision), made(everything, revision)
    changed = happened = 0
    for i in range(whole.rounds):
        happened += same_round(whole, alone, i)
        changed += int(whole.standing.touched.sum())
    assert happened > 300
    assert changed > 300
    assert whole.standing.gone.sum() > 5
    assert np.array_equal(whole.standing.left, alone.standing.left)


@pytest.mark.parametrize(
    "world", [w for w in WORLDS.values() if issubclass(w, Market)], ids=lambda world: world.name
)
def test_every_market_is_the_same_as_arrays(world: type[Market]) -> None:
    revision = example_revision(*world.made_for)
    whole, alone = (made(world, revision, customers=30) for _ in range(2))
    for i in range(3):
        same_round(whole, alone, i)


def same_round(whole: Market, alone: Market, round_index: int) -> int:
    """Play a round as arrays and one by one; return how many outcomes the agent hears of."""
    actions, waits = choices(whole, round_index)
    happened = 0
    for at, rows in whole.meetings(round_index):
        rates, columns = whole.probabilities(rows, at), whole.columns(rows, at)
        sent, rounds = microseconds(at) + waits[rows], np.full(rows.size, round_index)
        result = whole.live(rows, rounds, actions[rows], at, sent)
        replied = whole.replied(rows, rounds, sent)
        for place, customer in enumerate(rows.tolist()):
            assert at == alone.opportunity(customer, round_index)
            assert np.array_equal(rates[place], alone.outcome_probabilities(customer, at))
            row = {n: c.value(place) for n, c in columns.items() if c.known[place]}
            assert row == alone.features(customer, at)
            action, send_at = int(actions[customer]), instant_of(int(sent[place]))
            heard = alone.respond(customer, round_index, action, at, send_at)
            due = [
                (whole.outcomes[o], instant_of(when))
                for r, o, when in zip(*(part.tolist() for part in result), strict=True)
                if r == place and whole.outcomes[o] in whole.reports
            ]
            happened += len(due)
            if action > 0:
                due += [
                    (whole.reply_words[word], instant_of(when))
                    for r, word, when in zip(*(part.tolist() for part in replied), strict=True)
                    if r == place
                ]
            assert [(h.outcome, h.at) for h in heard] == sorted(due, key=lambda pair: pair[1])
    return happened


def test_any_order_of_customers_meets_the_same(
    everything: type[Market], revision: Revision
) -> None:
    """But for inventory, which they share."""
    first, second = made(everything, revision), made(everything, revision)
    for market in (first, second):
        market._after.stocks = type(market._after.stocks)(())
    rng = np.random.default_rng(2)
    for i in range(6):
        actions, waits = choices(first, i)
        for at, rows in first.meetings(i):
            sent, rounds = microseconds(at) + waits, np.full(rows.size, i)
            one = first.live(rows, rounds, actions[rows], at, sent[rows])
            mixed = rng.permutation(rows)
            other = second.live(mixed, rounds, actions[mixed], at, sent[mixed])
            pairs = [
                sorted(zip(who[h.row].tolist(), h.outcome.tolist(), h.at.tolist(), strict=True))
                for who, h in ((rows, one), (mixed, other))
            ]
            assert pairs[0] == pairs[1]


def test_outcomes_come_as_often_as_said_and_inside_their_windows(
    everything: type[Market], revision: Revision
) -> None:
    market = made(everything, revision, customers=4_000)
    due, variance, got = (np.zeros(len(market.outcomes)) for _ in range(3))
    spans = np.array([window // timedelta(microseconds=1) for window in market.windows])
    for i in range(3):
        actions, waits = choices(market, i)
        for at, rows in market.meetings(i):
            rates = market.probabilities_of(rows, actions[rows], at)
            sent = microseconds(at) + waits[rows]
            found = market.live(rows, np.full(rows.size, i), actions[rows], at, sent)
            due, variance = due + rates.sum(axis=0), variance + (rates * (1.0 - rates)).sum(axis=0)
            got += np.bincount(found.outcome, minlength=len(got))
            wait = found.at - microseconds(at)
            assert (wait >= 0).all()
            assert (wait < spans[found.outcome]).all()
            inside = sent[found.row] < microseconds(at) + spans[found.outcome]
            message = (actions[rows][found.row] > 0) & inside
            assert (found.at[message] >= sent[found.row][message]).all()
    assert got.min() > 50
    assert (np.abs(got - due) < 4.0 * np.sqrt(variance)).all()


def test_arrivals_follow_the_delay_inside_the_window(
    everything: type[Market], revision: Revision
) -> None:
    market = made(everything, revision, customers=6_000)
    (at, rows), *_ = market.meetings(0)
    rows = np.arange(6_000)
    found = market.live(rows, np.zeros(6_000, dtype=np.int64), np.zeros_like(rows), at, None)
    place = market.outcomes.index("renewed")
    waits = (found.at[found.outcome == place] - microseconds(at)) * timedelta(microseconds=1)
    delay, window = market.delays[place], market.windows[place]
    levels = [delay.share_within(w) / delay.share_within(window) for w in waits]
    assert len(levels) > 200
    assert stats.kstest(levels, "uniform").pvalue > 0.001


def test_changed_fields_show_from_the_instant_on(
    everything: type[Market], revision: Revision
) -> None:
    market = made(everything, revision)
    who, action = np.array([7]), np.array([1])
    columns = market.columns(who, market.start)
    plan = columns["plan"].value(0)
    words = ("renewed", "upgraded", "complained", "unsubscribed")
    at = microseconds(market.start) + np.array([1, 2, 3, 4]) * 3_600_000_000
    outcomes = np.array([market.outcomes.index(word) for word in words])
    market._after.follow(np.full(4, 7), np.full(4, 1), outcomes, at)
    later = market.features(7, market.start + timedelta(hours=5))
    assert later["contract_months_left"] == 24
    values = revision.workspace.customer["plan"].values
    assert later["plan"] == values[min(values.index(str(plan)) + 1, 2)]
    assert later["open_complaint"] is True
    channel = revision.actions[int(action[0])].channel
    assert later[str(revision.workspace.channels[channel].consent)] is False
    early = market.features(7, market.start + timedelta(minutes=30))
    assert early == {n: c.value(0) for n, c in columns.items() if c.known[0]}
    much_later = market.features(7, market.start + timedelta(days=30))
    assert much_later["contract_months_left"] == 21  # 24, and 0.1 less a day
    drawn = market.people.columns(30, who)["open_complaint"].value(0)
    assert much_later.get("open_complaint") == drawn  # again, or unknown


def test_reports_are_late_or_doubled_as_often_as_said(
    everything: type[Market], revision: Revision
) -> None:
    market = made(everything, revision)
    count = 20_000
    who, rounds = np.arange(count), np.full(count, 3)
    words = np.arange(count) % len(market.words)
    at = np.full(count, microseconds(market.start))
    found = market.reached(who, rounds, words, at)
    assert found.which[:count].tolist() == list(range(count))
    late = found.at[:count] - at
    hours = 12 * 3_600_000_000
    assert set(late.tolist()) == {0, hours}
    assert abs((late > 0).mean() - 0.3) < 4.0 * np.sqrt(0.21 / count)
    doubles = found.which[count:]
    assert abs(doubles.size / count - 0.2) < 4.0 * np.sqrt(0.16 / count)
    again = found.at[count:] - found.at[doubles]
    assert ((again >= 0) & (again <= hours)).all()
    assert abs(np.corrcoef(late > 0, np.isin(np.arange(count), doubles))[0, 1]) < 0.03


def test_one_decision_reports_the_same_as_the_table(
    everything: type[Market], revision: Revision
) -> None:
    market = made(everything, revision)
    at = market.start
    happenings = [Happening(word, at) for word in market.words]
    words = np.arange(len(market.words))
    several = 0
    for customer in range(60):
        same = np.full(words.size, customer)
        found = market.reached(
            same, np.full(words.size, 2), words, np.full(words.size, microseconds(at))
        )
        pairs = zip(found.at.tolist(), found.which.tolist(), strict=True)
        due = sorted((instant_of(when), market.words[which]) for when, which in pairs)
        got = market.reported(customer, 2, happenings)
        assert sorted((r.at, r.happening.outcome) for r in got) == due
        assert [r.at for r in got] == sorted(r.at for r in got)
        several += len(got) > len(words)
    assert several > 10


def test_replies_follow_contacts_until_the_customer_has_left(
    everything: type[Market], revision: Revision
) -> None:
    events = {"opened": CustomerEvent(counts_as="response"), "visited": CustomerEvent()}
    workspace = revision.workspace.model_copy(update={"events": events})
    market = made(everything, Revision(workspace, revision.agent), customers=4_000)
    who, rounds = np.arange(4_000), np.zeros(4_000, dtype=np.int64)
    sent = np.full(4_000, microseconds(market.start))
    found = market.replied(who, rounds, sent)
    assert market.reply_words == ("opened", "visited")
    for word, share in ((0, 0.25), (1, 0.10)):
        count = int((found.word == word).sum())
        assert abs(count / 4_000 - share) < 4.0 * np.sqrt(share * (1.0 - share) / 4_000)
    for customer in range(40):
        mine = [
            (market.reply_words[w], instant_of(t))
            for r, w, t in zip(*found, strict=True)
            if r == customer
        ]
        assert mine == [(h.outcome, h.at) for h in market.replies(customer, 0, market.start)]
    market.standing.leave(who, sent + 3_600_000_000)
    fewer = market.replied(who, rounds, sent)
    assert 0 < fewer.row.size < found.row.size
    assert (fewer.at < sent[0] + 3_600_000_000).all()


def test_a_world_runs_for_a_workspace_it_does_not_know(everything: type[Market]) -> None:
    with example_folder("streaming") as folder:
        revision = load_workspace(folder).revisions["subscription"]
    market = everything(revision, customers=30, rounds=2)
    rates = market.probabilities(np.arange(30), market.start)
    assert rates.shape == (30, len(revision.actions), 5)
    assert (rates[:, 1:] > 0.0).all()
    assert not everything.suits(revision)


def test_what_is_needed_of_memory_does_not_grow_with_rounds(
    everything: type[Market], revision: Revision
) -> None:
    def held(rounds: int) -> int:
        tracemalloc.start()
        market = everything(revision, customers=2_000, rounds=rounds)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert market.rounds == rounds
        return size

    held(2)
    assert abs(held(1_000) - held(2)) < 100_000


def test_sizes_are_checked(everything: type[Market], revision: Revision) -> None:
    with pytest.raises(ValueError, match="expected customers and rounds above 0"):
        everything(revision, customers=0)
    assert everything(revision).customers == 200  # as its document says


def test_what_nobody_is_sent_anything_for_has_its_closed_form(
    everything: type[Market], make_market: Callable[..., type[Market]], revision: Revision
) -> None:
    """The expected counts under `none`, from rates of untouched customers alone."""
    outcomes = {
        name: each.model_dump() | {"changes": ()} for name, each in everything.spec.outcomes.items()
    }
    world = make_market(outcomes=outcomes)
    check_doing_nothing(world, revision)
    fresh, lived = (world(revision, customers=4_000, rounds=4) for _ in range(2))
    assert lived.memoryless
    final, leaving = ([o in words for o in lived.outcomes] for words in (world.once, world.leaves))
    waiting, there = np.ones((4_000, 5)), np.ones(4_000)
    due, got = np.zeros(5), np.zeros(5)
    for i in range(4):
        for at, rows in lived.meetings(i):
            rates = fresh.probabilities(rows, at)[:, 0]  # (n, O)
            due += (waiting[rows] * there[rows, None] * rates).sum(axis=0)
            waiting[rows] = np.where(final, waiting[rows] * (1.0 - rates), 1.0)
            there[rows] *= np.where(leaving, 1.0 - rates, 1.0).prod(axis=1)
            none = np.zeros(rows.size, dtype=np.int64)
            found = lived.live(rows, np.full(rows.size, i), none, at, None)
            got += np.bincount(found.outcome, minlength=5)
    assert due[3] == got[3] == 0.0  # nobody unsubscribes from nothing
    assert got[[0, 1, 2, 4]].min() > 100
    assert (np.abs(got - due) <= 4.0 * np.sqrt(due)).all()  # of a Poisson count, which is more


def test_what_is_recorded_counts_as_what_was_lived(
    everything: type[Market], revision: Revision
) -> None:
    lived, told = made(everything, revision), made(everything, revision)
    actions, _ = choices(lived, 0)
    heard = 0
    for at, rows in lived.meetings(0):
        found = lived.live(rows, np.zeros_like(rows), actions[rows], at, None)
        for place, customer in enumerate(rows.tolist()):
            mine = found.row == place
            pairs = zip(found.outcome[mine].tolist(), found.at[mine].tolist(), strict=True)
            happenings = [Happening(told.outcomes[o], instant_of(when)) for o, when in pairs]
            action = int(actions[customer])
            told.record(customer, action, at if action else None, happenings)
            heard += len(happenings)
    everybody, later = np.arange(60), lived.start + timedelta(days=3)
    assert heard > 10
    assert np.array_equal(
        lived.probabilities(everybody, later), told.probabilities(everybody, later)
    )
