from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from agents.decisions import Decision
from agents.memory import Memory
from agents.revision import Revision

ZONE = "Europe/Berlin"
CHANNELS = """
  email:
    capacity: {max: 12, per: day}
    windows: {night: {from: "01:30", to: "03:30"}, noon: {from: "12:00", to: "13:00"}}
  sms: {capacity: {max: 5, per: hour}}
  push: {}"""
OFFERS = """
  gift:
    kind: retention
    stock: {max: 9, per: day}
    variants: {a: {text: x}, b: {text: y}}
    channels: [sms, push]
  data:
    kind: promotion
    stock: {max: 15}
    variants: {a: {text: x}}
    channels: [email, push]
  pack:
    kind: promotion
    includes: [gift, data]
    variants: {a: {text: x}}
    channels: [push]"""
MAIL = """
  news: {kind: education, variants: {a: {text: x}}, channels: [email, sms]}"""


def small(build: Callable[..., Revision], **agent: str) -> Revision:
    return build(workspace={"channels": CHANNELS}, **({"offers": OFFERS} | agent))


def reasons(revision: Revision, at: datetime, used: dict[str, float]) -> dict[str, str | None]:
    """Return the reasons where so much of each counter is used, and nothing of the others."""
    context = revision.context("ann", at, {"time_zone": ZONE})
    usage = {reading.key: used.get(reading.counter, 0.0) for reading in revision.readings(context)}
    mask = revision.mask(replace(context, usage=usage))
    return dict(zip(revision.action_ids, mask.reasons, strict=True))


@pytest.mark.parametrize(("used", "full"), [(4.0, False), (5.0, True), (6.0, True)])
def test_a_channel_that_is_full(
    build: Callable[..., Revision], noon: datetime, used: float, full: bool
) -> None:
    found = reasons(small(build), noon, {"capacity:sms per hour": used})
    expected = (
        f"capacity: capacity of sms in the hour of 2026-01-14 13:00: {used:g} of 5 contacts used,"
        " 1 more is too much"
    )
    assert found["gift/a@sms"] == found["gift/b@sms"] == (expected if full else None)
    assert found["gift/a@push"] is found["data/a@email#noon"] is found["none"] is None


def test_an_offer_that_is_gone_takes_its_bundles_along(
    build: Callable[..., Revision], noon: datetime
) -> None:
    found = reasons(small(build), noon, {"stock:helper/data": 15.0})
    gone = "stock: stock of data: 15 of 15 contacts used, 1 more is too much"
    assert found["data/a@push"] == found["data/a@email#night"] == found["pack/a@push"] == gone
    assert found["gift/a@push"] is None


def test_what_was_not_read_bars(build: Callable[..., Revision], noon: datetime) -> None:
    revision = small(build)
    mask = revision.mask(revision.context("ann", noon, {"time_zone": ZONE}))
    found = dict(zip(revision.action_ids, mask.reasons, strict=True))
    assert found["gift/a@push"] == "stock: stock of gift on 2026-01-14 is unknown"
    assert found["data/a@push"] == "stock: stock of data is unknown"
    mask = (other := small(build, offers=MAIL)).mask(
        other.context("ann", noon, {"time_zone": ZONE})
    )
    assert mask.reasons[other.index("news/a@email#night")] == (
        "capacity: capacity of email on 2026-01-15 is unknown"
    )


def test_counters_are_the_agent_s_for_stock_and_everybody_s_for_capacity(
    build: Callable[..., Revision],
) -> None:
    revision = small(build, agent="other")
    found = {c.name: {revision.action_ids[i] for i in c.actions} for c in revision.counters}
    assert set(found) == {
        "stock:other/gift per day", "stock:other/data", "capacity:sms per hour",
        "capacity:email per day",
    }  # fmt: skip
    assert found["stock:other/data"] == {
        "data/a@email#night", "data/a@email#noon", "data/a@push", "pack/a@push",
    }  # fmt: skip
    assert found["capacity:sms per hour"] == {"gift/a@sms", "gift/b@sms"}
    assert {c.measure for c in revision.counters} == {"contacts"}
    assert {c.name: c.per for c in revision.counters}["stock:other/data"] is None


def test_nothing_is_ever_sent_that_is_not_there(
    build: Callable[..., Revision],
    start: datetime,
    draw: Callable[..., Decision],
    instants: Callable[..., Iterator[datetime]],
    period: Callable[[str, datetime], str],
) -> None:
    agents = [small(build), small(build, agent="other", offers=MAIL)]
    rng, memory = np.random.default_rng(3), Memory()
    sent: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for number, at in enumerate(instants(rng, start, 400)):
        revision = agents[number % 2]
        decision = draw(memory, revision, f"c{number}", at, rng)
        if decision.send_at is None:
            continue
        action = revision.actions[decision.action]
        if action.channel != "push":
            per = "hour" if action.channel == "sms" else "day"
            sent[action.channel][period(per, decision.send_at)] += 1
        if "gift" in (action.offer, *action.includes):
            sent["gift"][period("day", decision.send_at)] += 1
        if "data" in (action.offer, *action.includes):
            sent["data"]["ever"] += 1
    most = {name: max(counts.values()) for name, counts in sent.items()}
    assert most == {"sms": 5, "email": 12, "gift": 9, "data": 15}
