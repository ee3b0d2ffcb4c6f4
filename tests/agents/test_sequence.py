from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.guardrails.sequence import Course, Run
from agents.memory import Memory
from agents.revision import Revision

Do = Callable[..., str]
Ask = Callable[..., dict[str, str]]
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
CHANNELS = "{email: {}, push: {}, phone: {}}"
OFFERS = """
  hello: {kind: service, variants: {a: {text: a}}, channels: [email, push, phone]}
  other: {kind: promotion, variants: {a: {text: a}}, channels: [email]}"""
RULE = (
    "{onboard: {rule: sequence, steps: [{channels: [email]}, {channels: [push], after: 1d},"
    " {channels: [phone]}], within: 3d, restart: 14d, until: [bought], on: {offers: [hello]}}}"
)
EMAIL, PUSH, PHONE = "hello/a@email", "hello/a@push", "hello/a@phone"


@pytest.fixture
def revision(build: Callable[..., Revision]) -> Revision:
    return build({"channels": CHANNELS}, offers=OFFERS, guardrails=RULE)


@pytest.fixture
def is_open(barred: Ask) -> Callable[..., set[str]]:
    """A function that names the actions of the sequence that are allowed now."""

    def ask(memory: Memory, revision: Revision, at: datetime) -> set[str]:
        return {EMAIL, PUSH, PHONE} - set(barred(memory, revision, at))

    return ask


def test_only_the_first_step_is_open_at_first(
    revision: Revision, barred: Ask, noon: datetime
) -> None:
    assert barred(Memory(), revision, noon) == dict.fromkeys(
        [PUSH, PHONE], "onboard: the sequence has not begun"
    )


def test_each_step_opens_the_next(
    revision: Revision, send: Do, barred: Ask, is_open: Callable[..., set[str]], noon: datetime
) -> None:
    memory = Memory()
    send(memory, revision, EMAIL, noon)
    assert is_open(memory, revision, noon + DAY - TICK) == set()
    assert is_open(memory, revision, noon + DAY) == {PUSH}
    assert is_open(memory, revision, noon + 3 * DAY - TICK) == {PUSH}
    assert is_open(memory, revision, noon + 3 * DAY) == set()  # not taken in time
    found = barred(memory, revision, noon)
    assert found[PHONE] == "onboard: step 3 of 3 is not open"
    second = noon + 2 * DAY
    send(memory, revision, PUSH, second)
    assert is_open(memory, revision, second) == {PHONE}  # no least time before it
    assert is_open(memory, revision, second + 3 * DAY - TICK) == {PHONE}
    assert is_open(memory, revision, second + 3 * DAY) == set()
    send(memory, revision, PHONE, second)
    assert is_open(memory, revision, second) == set()
    assert is_open(memory, revision, noon + 14 * DAY) == {EMAIL}
    assert "other/a@email" not in barred(memory, revision, second)  # takes no step


def test_it_begins_again_after_restart_whatever_happened(
    revision: Revision, send: Do, is_open: Callable[..., set[str]], noon: datetime
) -> None:
    memory = Memory()
    send(memory, revision, EMAIL, noon)
    assert is_open(memory, revision, noon + 14 * DAY - TICK) == set()
    assert is_open(memory, revision, noon + 14 * DAY) == {EMAIL}
    send(memory, revision, EMAIL, noon + 14 * DAY)
    assert is_open(memory, revision, noon + 15 * DAY) == {PUSH}
    assert is_open(memory, revision, noon + 28 * DAY - TICK) == set()
    assert is_open(memory, revision, noon + 28 * DAY) == {EMAIL}


@pytest.mark.parametrize(
    ("word", "when", "ends"),
    [
        ("bought", timedelta(0), True),
        ("bought", DAY, True),
        ("bought", -TICK, False),  # before it began
        ("bought", 2 * DAY + TICK, False),  # not yet heard
        ("complained", DAY, False),
    ],
)
def test_an_event_ends_a_run(
    revision: Revision,
    send: Do,
    hear: Callable[..., None],
    is_open: Callable[..., set[str]],
    noon: datetime,
    word: str,
    when: timedelta,
    ends: bool,
) -> None:
    memory = Memory()
    decision = send(memory, revision, EMAIL, noon)
    hear(memory, word, noon + when, decision)
    assert is_open(memory, revision, noon + 2 * DAY) == (set() if ends else {PUSH})
    assert is_open(memory, revision, noon + 14 * DAY) == {EMAIL}
    send(memory, revision, EMAIL, noon + 14 * DAY)  # the next run is another one
    assert is_open(memory, revision, noon + 15 * DAY) == {PUSH}


def test_an_event_between_two_steps_stops_the_later_one_from_counting(
    revision: Revision,
    send: Do,
    hear: Callable[..., None],
    is_open: Callable[..., set[str]],
    noon: datetime,
) -> None:
    memory = Memory()
    send(memory, revision, EMAIL, noon)
    hear(memory, "bought", noon + DAY)
    send(memory, revision, PUSH, noon + 2 * DAY)
    assert is_open(memory, revision, noon + 2 * DAY) == set()


@pytest.mark.parametrize(
    ("sent", "opens"),
    [
        ([(PUSH, 0)], {EMAIL}),
        ([(EMAIL, 0), (PHONE, 24)], {PUSH}),  # the step between is missing
        ([(EMAIL, 0), (PUSH, 23)], {PUSH}),  # too early to count
        ([(EMAIL, 0), (PUSH, 24)], {PHONE}),
        ([(EMAIL, 0), (PUSH, 30), (PUSH, 40)], {PHONE}),
        ([(EMAIL, 0), (EMAIL, 20)], {PUSH}),  # counted from the first
        ([("other/a@email", 0)], {EMAIL}),  # the rule does not speak of it
        ([(EMAIL, 0), (PUSH, 24), (PHONE, 30)], set()),
    ],
)
def test_a_contact_that_takes_no_open_step_changes_nothing(
    revision: Revision,
    send: Do,
    is_open: Callable[..., set[str]],
    noon: datetime,
    sent: list[tuple[str, int]],
    opens: set[str],
) -> None:
    memory = Memory()
    for action, hours in sent:
        send(memory, revision, action, noon + hours * HOUR)
    assert is_open(memory, revision, noon + 2 * DAY) == opens


def test_another_agents_contacts_take_no_step(
    build: Callable[..., Revision],
    revision: Revision,
    send: Do,
    is_open: Callable[..., set[str]],
    noon: datetime,
) -> None:
    memory = Memory()
    send(memory, build({"channels": CHANNELS}, offers=OFFERS, agent="seller"), EMAIL, noon)
    assert is_open(memory, revision, noon + DAY) == {EMAIL}
    wide = RULE.replace(", on: {offers: [hello]}", "")
    revision = build({"channels": CHANNELS}, offers=OFFERS, guardrails=wide)
    assert is_open(memory, revision, noon + DAY) == {EMAIL}


def test_a_step_that_is_planned_ahead_bars_what_comes_before_it(
    build: Callable[..., Revision], send: Do, barred: Ask, noon: datetime
) -> None:
    windows = '\n  email: {windows: {late: {from: "18:00", to: "22:00"}}}\n  push: {}\n  phone: {}'
    rule = RULE.replace(", after: 1d", "").replace("14d", "1h")
    revision = build({"channels": windows}, offers=OFFERS, guardrails=rule)
    memory, late = Memory(), f"{EMAIL}#late"
    send(memory, revision, late, noon)  # at 17:00 UTC
    found = barred(memory, revision, noon)
    assert found[PUSH] == found[PHONE] == "onboard: step 1 is planned for later"
    assert late in found  # it would begin again at the very instant at which it begins
    assert PUSH not in barred(memory, revision, noon + 5 * HOUR)
    assert PUSH in barred(memory, revision, noon + 5 * HOUR - TICK)
    unknown = barred(memory, revision, noon + 6 * HOUR, time_zone=None)
    assert {late, PHONE} == set(unknown) - {"other/a@email#late"}


def test_an_action_of_several_steps_is_allowed_by_any_of_them(
    build: Callable[..., Revision], send: Do, is_open: Callable[..., set[str]], noon: datetime
) -> None:
    rule = (
        "{twice: {rule: sequence, steps: [{channels: [email]}, {kinds: [service], after: 1d},"
        " {channels: [phone], after: 1d}], within: 3d, restart: 14d, on: {offers: [hello]}}}"
    )
    revision, memory = build({"channels": CHANNELS}, offers=OFFERS, guardrails=rule), Memory()
    send(memory, revision, EMAIL, noon)
    assert is_open(memory, revision, noon) == set()
    assert is_open(memory, revision, noon + DAY) == {EMAIL, PUSH, PHONE}
    send(memory, revision, EMAIL, noon + DAY)  # the second step, not a second beginning
    assert is_open(memory, revision, noon + 2 * DAY) == {PHONE}
    assert is_open(memory, revision, noon + 14 * DAY) == {EMAIL}


def test_a_contact_takes_the_next_step_rather_than_begin_again(noon: datetime) -> None:
    course = Course((timedelta(0), timedelta(0)), within=9 * DAY, restart=DAY)
    sent = [(noon, (0,)), (noon + 2 * DAY, (0, 1))]
    assert course.replay(sent, []) == Run(noon, noon + 2 * DAY, 2)
    assert course.replay(sent, [noon + 3 * DAY]) == Run(noon, noon + 2 * DAY, 2)  # ended later
    again = Run(noon + 2 * DAY, noon + 2 * DAY, 1)
    assert course.replay(sent, [noon + DAY]) == again
    assert course.replay([], [noon]) is None


def test_it_remembers_long_enough(build: Callable[..., Revision], revision: Revision) -> None:
    assert next(rule.hears for rule in revision.guardrails if rule.hears) == {"bought"}
    rule = RULE.replace("restart: 14d", "restart: 60d")
    long = build({"channels": CHANNELS}, offers=OFFERS, guardrails=rule)
    assert long.lookback == 69 * DAY


# --- against the definition, by brute force ---

STEP = {EMAIL: 1, PUSH: 2, PHONE: 3}


def opened(sent: list[tuple[str, datetime]], ends: list[datetime], now: datetime) -> set[str]:
    """Name the steps of RULE that are open, each run told as the list of its steps' instants."""
    runs: list[list[datetime]] = []

    def next_open(at: datetime) -> set[str]:
        names = set()
        if not runs or at >= runs[-1][0] + 14 * DAY:
            names.add(EMAIL)
        if runs and len(runs[-1]) < 3 and not any(runs[-1][0] <= end <= at for end in ends):
            wait = [DAY, timedelta(0)][len(runs[-1]) - 1]
            if runs[-1][-1] + wait <= at < runs[-1][-1] + 3 * DAY:
                names.add([PUSH, PHONE][len(runs[-1]) - 1])
        return names

    for action, at in sent:
        if action in next_open(at):
            if action == EMAIL:
                runs.append([at])
            else:
                runs[-1].append(at)
    return next_open(now)


trains = st.lists(
    st.tuples(
        st.sampled_from([EMAIL, PUSH, PHONE, PHONE, "bought"]),
        st.sampled_from([0, 1, 24, 30, 71, 72, 150, 336]),
    ),
    max_size=14,
)


@settings(max_examples=150)
@given(train=trains)
def test_what_is_open_is_what_the_definition_says(
    build: Callable[..., Revision],
    send: Do,
    hear: Callable[..., None],
    barred: Ask,
    noon: datetime,
    train: list[tuple[str, int]],
) -> None:
    revision = build({"channels": CHANNELS}, offers=OFFERS, guardrails=RULE)
    memory, now = Memory(), noon
    sent: list[tuple[str, datetime]] = []
    ends: list[datetime] = []
    for word, hours in train:
        now += hours * HOUR
        if word == "bought":
            hear(memory, word, now)
            ends.append(now)
        else:
            send(memory, revision, word, now)
            sent.append((word, now))
        for later in (0, 1, 14):
            then = now + later * DAY
            shut = set(barred(memory, revision, then))
            recent = [(action, at) for action, at in sent if at > then - 23 * DAY]
            assert set(STEP) - shut == opened(recent, ends, then)


@settings(max_examples=60)
@given(picks=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60)), max_size=25))
def test_what_is_sent_when_allowed_is_always_in_order(
    build: Callable[..., Revision],
    send: Do,
    barred: Ask,
    noon: datetime,
    picks: list[tuple[int, int]],
) -> None:
    revision = build({"channels": CHANNELS}, offers=OFFERS, guardrails=RULE)
    memory, now = Memory(), noon
    sent: list[tuple[int, datetime]] = []
    for pick, hours in picks:
        now += hours * HOUR
        free = sorted(set(STEP) - set(barred(memory, revision, now)))
        if free:
            action = free[pick % len(free)]
            send(memory, revision, action, now)
            sent.append((STEP[action], now))
    for (before, earlier), (step, at) in pairwise(sent):
        assert step == 1 or (step == before + 1 and at - earlier < 3 * DAY)
        assert step != 2 or at - earlier >= DAY
    begun = [at for step, at in sent if step == 1]
    assert all(b - a >= 14 * DAY for a, b in pairwise(begun))
