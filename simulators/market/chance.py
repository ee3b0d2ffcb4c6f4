"""Luck by number: every random number is a function of who, when and what for, and of nothing else.

A counter-based generator: the SplitMix64 finaliser over (seed, purpose, customer, round, number).
So a table of customers and one customer alone meet the same luck, in whatever order they come.

Source: Steele, Lea and Flood, OOPSLA 2014 (SplitMix); Salmon et al., SC 2011 (counter-based).
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from policies.jit import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)
_ONE = np.uint64(1)
_UNIT = 2.0**-53


class Luck(IntEnum):
    """What numbers are for; no two purposes share any."""

    TRAIT = 1
    KIND = 2
    FIELD = 3
    MISSING = 4
    TIMETABLE = 5
    OUTCOME = 6
    DELAY = 7
    NOISE = 8
    LOGGING = 9
    REPLY = 10
    POLICY = 11
    VISIT = 12


def uniforms(
    seed: int, purpose: Luck, which: int, customers: Ints, rounds: Ints | int, width: int
) -> Floats:
    """Return (N, width) numbers in [0, 1).

    Args:
        seed: of the world, 0 or more.
        purpose: what they are for.
        which: of several things of one purpose, 0 or more.
        customers: (N,) positions.
        rounds: (N,) or one for all: of the customer's decisions, or of a field's periods.
        width: numbers for each.

    Example:
        >>> table = uniforms(1, Luck.TRAIT, 0, np.arange(3), 0, 2)
        >>> alone = uniforms(1, Luck.TRAIT, 0, np.array([2]), 0, 2)
        >>> bool((table[2] == alone[0]).all())
        True
    """
    when = np.full(customers.shape, rounds, dtype=np.int64)
    who = np.ascontiguousarray(customers, dtype=np.int64)
    return _table(luck_key(seed, purpose, which), who, when, width)


def luck_key(seed: int, purpose: Luck, which: int = 0) -> np.uint64:
    """Return what all numbers of one purpose start from."""
    made = _key(np.uint64(seed), np.uint64(int(purpose)), np.uint64(which))
    return np.uint64(made)  # compiled code hands back a plain number


@compiled
def _mix(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> _S30)) * _FIRST
    word = (word ^ (word >> _S27)) * _SECOND
    return word ^ (word >> _S31)


@compiled
def _key(seed: np.uint64, purpose: np.uint64, which: np.uint64) -> np.uint64:
    return _mix(_mix(seed * _GOLDEN + purpose) ^ (which * _FIRST + _GOLDEN))


@compiled
def luck_of(key: np.uint64, customer: int, round_index: int) -> np.uint64:
    """Return what one customer's numbers of one round start from."""
    who = _mix(key + np.uint64(customer) * _GOLDEN)
    return _mix(who ^ (np.uint64(round_index) * _SECOND + _GOLDEN))


@compiled
def number(start: np.uint64, position: int) -> float:
    """Return one of a customer's numbers, in [0, 1); positions from 0."""
    word = _mix(start + (np.uint64(position) + _ONE) * _GOLDEN)
    return np.float64(word >> _S11) * _UNIT


@compiled
def _table(key: np.uint64, customers: Ints, rounds: Ints, width: int) -> Floats:
    found = np.empty((customers.size, width))
    for row in range(customers.size):
        start = luck_of(key, customers[row], rounds[row])
        for position in range(width):
            found[row, position] = number(start, position)
    return found
