from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from agents.groups import Group, assign, position
from agents.spec import Holdout

CUSTOMERS = [f"customer-{number}" for number in range(100_000)]


def members(holdout: Holdout, group: Group) -> set[str]:
    return {customer for customer in CUSTOMERS if assign(holdout, customer) is group}


def within_4_se(count: int, share: float) -> bool:
    """Whether a count among all customers is within 4 standard errors of a share."""
    n = len(CUSTOMERS)
    return abs(count - n * share) <= 4 * math.sqrt(n * share * (1 - share))


@pytest.mark.parametrize(("control", "random"), [(0.1, 0.1), (0.2, 0.05), (0.01, 0.5), (0.5, 0.0)])
def test_shares_are_close_to_what_is_stated(control: float, random: float) -> None:
    holdout = Holdout(control=control, random=random)
    counts = Counter(assign(holdout, customer) for customer in CUSTOMERS)
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
    assert assign(Holdout(control=0.1, random=0.0), "ann") is Group.TREATMENT
    assert assign(Holdout(control=0.1, random=0.1), "ann") is Group.RANDOM


def test_treatment_must_not_be_empty() -> None:
    with pytest.raises(
        ValidationError, match="expected control \\+ random below 1, got 0.5 \\+ 0.5"
    ):
        Holdout(control=0.5, random=0.5)
