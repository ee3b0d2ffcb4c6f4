from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from agents.context import Context
from agents.groups import Group, assign, position
from agents.spec import Channel, CustomerField, Holdout, UniversalControl, Workspace

CUSTOMERS = [f"customer-{number}" for number in range(100_000)]


NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)


def workspace(universal: UniversalControl | None = None) -> Workspace:
    return Workspace(
        workspace="w", currency="EUR", zone="UTC", universal_control=universal,
        customer={"arm": CustomerField(type="category", values=tuple(Group))},
        channels={"sms": Channel()},
    )  # fmt: skip


PLAIN = workspace()


def assigned(holdout: Holdout, customer: str, within: Workspace = PLAIN, **known: str) -> Group:
    return assign(within, holdout, Context(customer, NOON, known))


def members(holdout: Holdout, group: Group, within: Workspace = PLAIN) -> set[str]:
    return {customer for customer in CUSTOMERS if assigned(holdout, customer, within) is group}


def within_4_se(count: int, share: float) -> bool:
    """Whether a count among all customers is within 4 standard errors of a share."""
    n = len(CUSTOMERS)
    return abs(count - n * share) <= 4 * math.sqrt(n * share * (1 - share))


@pytest.mark.parametrize(("control", "random"), [(0.1, 0.1), (0.2, 0.05), (0.01, 0.5), (0.5, 0.0)])
def test_shares_are_close_to_what_is_stated(control: float, random: float) -> None:
    holdout = Holdout(control=control, random=random)
    counts = Counter(assigned(holdout, customer) for customer in CUSTOMERS)
    assert within_4_se(counts[Group.CONTROL], control)
    assert within_4_se(counts[Group.RANDOM], random)
    assert within_4_se(counts[Group.TREATMENT], 1 - control - random)
    if random == 0:
        assert Group.RANDOM not in counts


def test_growing_a_group_only_adds() -> None:
    small = Holdout(control=0.05, random=0.1)
    large = Holdout(control=0.3, random=0.4)
    assert members(small, Group.CONTROL) < members(large, Group.CONTROL)
    assert members(small, Group.RANDOM) < members(large, Group.RANDOM)
    assert members(large, Group.TREATMENT) < members(small, Group.TREATMENT)


def test_growing_one_group_moves_nobody_else() -> None:
    before = Holdout(control=0.1, random=0.1)
    after = Holdout(control=0.3, random=0.1)
    assert members(before, Group.RANDOM) == members(after, Group.RANDOM)


def test_two_salts_are_independent() -> None:
    one = members(Holdout(control=0.2, salt="spring"), Group.CONTROL)
    two = members(Holdout(control=0.2, salt="summer"), Group.CONTROL)
    assert within_4_se(len(one & two), 0.04)


@pytest.mark.parametrize(
    ("salt", "customer", "where"),
    [
        ("1", "ann", 0.6171105281224333),
        ("price-change", "customer-17", 0.9402568034332208),
        ("1", "café", 0.3357966619457763),
    ],
)
def test_a_position_is_the_same_for_ever(salt: str, customer: str, where: float) -> None:
    assert position(salt, customer) == where
    digits = hashlib.sha256(salt.encode() + b"\0" + customer.encode()).hexdigest()
    assert abs(where - int(digits, 16) / 2**256) <= 2.0**-53


def test_a_position_is_the_same_in_another_process() -> None:
    code = "from agents.groups import position; print(repr(position('1', 'ann')))"
    found = subprocess.check_output(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        text=True,
    )
    assert float(found) == position("1", "ann")


def test_no_position_reaches_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Largest:
        def digest(self) -> bytes:
            return b"\xff" * 32

    monkeypatch.setattr("agents.groups.hashlib.sha256", lambda data: Largest())
    assert position("1", "ann") == 1 - 2.0**-53
    assert assigned(Holdout(control=0.1, random=0.0), "ann") is Group.TREATMENT
    assert assigned(Holdout(control=0.1, random=0.1), "ann") is Group.RANDOM


def test_treatment_must_not_be_empty() -> None:
    with pytest.raises(
        ValidationError, match="expected control \\+ random below 1, got 0.5 \\+ 0.5"
    ):
        Holdout(control=0.5, random=0.5)


def test_the_universal_control_comes_first_for_every_agent() -> None:
    within = workspace(UniversalControl(share=0.2))
    one, two = Holdout(control=0.1, salt="one"), Holdout(control=0.0, random=0.5, salt="two")
    shared = members(two, Group.CONTROL, within)
    assert within_4_se(len(shared), 0.2)
    assert shared < members(one, Group.CONTROL, within)
    assert within_4_se(len(members(one, Group.CONTROL, within)), 0.2 + 0.8 * 0.1)
    assert not shared & members(two, Group.RANDOM, within)
    assert within_4_se(len(members(two, Group.RANDOM, within)), 0.8 * 0.5)


def test_growing_the_universal_control_only_adds() -> None:
    small, large = (workspace(UniversalControl(share=share)) for share in (0.05, 0.2))
    nobody = Holdout(control=0.0, random=0.0)
    assert members(nobody, Group.CONTROL, small) < members(nobody, Group.CONTROL, large)


@pytest.mark.parametrize("group", list(Group))
def test_groups_may_be_managed_elsewhere(group: Group) -> None:
    holdout = Holdout(control=0.3, random=0.3, managed="arm")
    assert {assigned(holdout, name, arm=str(group)) for name in CUSTOMERS[:50]} == {group}


def test_who_is_in_no_managed_group_is_in_control() -> None:
    holdout = Holdout(control=0.0, random=0.0, managed="arm")
    assert assigned(holdout, "ann") is Group.CONTROL
    assert assigned(holdout, "ann", arm="somewhere") is Group.CONTROL


def test_the_universal_control_holds_for_managed_groups_too() -> None:
    within, holdout = workspace(UniversalControl(share=1.0)), Holdout(managed="arm")
    assert assigned(holdout, "ann", within, arm="treatment") is Group.CONTROL
