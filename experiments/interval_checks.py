"""What every interval owes: plain checks, run over the whole registry and over anyone's own.

Each takes an interval, returns nothing, and raises AssertionError with what was expected and what
was got.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, replace
from itertools import pairwise

import numpy as np

from agents.errors import LogError
from experiments.estimators import Pieces
from experiments.intervals import Bounds, Interval, Rows, Sample
from experiments.tally import Tally
from experiments.weights import effective_size

Check = Callable[[Interval], None]

_SEED = 20260302
_N, _CUSTOMERS = 4_000, 1_500
_LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
_SLACK = 1e-4  # of the width: some intervals are found by bisection


def sample() -> Sample:
    """Make a sample of 4,000 decisions by 1,500 customers, with rewards of both signs."""
    rng = np.random.default_rng(_SEED)
    clusters = rng.integers(0, _CUSTOMERS, _N)
    weights = rng.gamma(1.0, 1.0, _N)
    rewards = rng.choice([-20.0, 0.0, 80.0], _N, p=[0.05, 0.85, 0.1])
    pieces = Pieces(weights * rewards)
    tally = Tally.of(pieces, clusters, _CUSTOMERS)
    total = float(weights.sum())
    gain, loss = (float(weights @ np.maximum(sign * rewards, 0.0)) / total for sign in (1, -1))
    return Sample(
        n=_N, value=tally.value, stderr=tally.stderr, design_effect=tally.design_effect,
        ess=effective_size(weights), gain=gain, loss=loss, reward_range=Bounds(-20.0, 80.0),
        weight_limit=float(weights.max()), rows=Rows(pieces.plain, weights, rewards, clusters),
    )  # fmt: skip


def scaled(sample: Sample, factor: float) -> Sample:
    """Return a sample in another currency; with a factor of -1, gains become losses."""
    one, other = (factor * end for end in sample.reward_range)
    gain, loss = abs(factor) * sample.gain, abs(factor) * sample.loss
    rows = sample.rows
    return replace(
        sample, value=factor * sample.value, stderr=abs(factor) * sample.stderr,
        gain=gain if factor > 0.0 else loss, loss=loss if factor > 0.0 else gain,
        reward_range=Bounds(min(one, other), max(one, other)),
        rows=rows and replace(rows, terms=factor * rows.terms, rewards=factor * rows.rewards),
    )  # fmt: skip


def check_words(interval: Interval) -> None:
    """An interval has a name, and says under what it holds."""
    assert interval.name.isidentifier(), f"expected a name of one word, got {interval.name!r}"
    assert len(interval.assumption) >= 20, (
        f"{interval.name}: expected an assumption in words, got {interval.assumption!r}"
    )


def check_finite_and_holds_value(interval: Interval) -> None:
    """The estimate itself is inside, and both ends are numbers."""
    found, value = interval.bounds(sample(), 0.95), sample().value
    assert np.all(np.isfinite(found)), f"{interval.name}: expected finite bounds, got {found}"
    assert found.low <= value <= found.high, (
        f"{interval.name}: expected the estimate {value:.6g} inside, got {found}"
    )


def check_wider_with_level(interval: Interval) -> None:
    """Who wants to be surer is told less: each level's interval holds those of lower ones."""
    found = [interval.bounds(sample(), level) for level in _LEVELS]
    for inner, outer in pairwise(found):
        slack = _SLACK * (outer.high - outer.low)
        grown = min(inner.low - outer.low, outer.high - inner.high)
        assert grown >= -slack, (
            f"{interval.name}: expected intervals that grow with the level, got {found}"
        )


def check_level(interval: Interval) -> None:
    """A level that is no probability is refused."""
    for level in (0.0, 1.0, 95.0):
        try:
            found = interval.bounds(sample(), level)
        except ValueError:
            continue
        raise AssertionError(
            f"{interval.name}: expected level {level:g} to be refused, got {found}"
        )


def check_scale(interval: Interval) -> None:
    """In cents both bounds are a hundred times those in euros."""
    _same(interval, 100.0, "100 times the bounds for 100 times the rewards")


def check_mirror(interval: Interval) -> None:
    """With all signs turned the interval is its own mirror image."""
    _same(interval, -1.0, "the mirror image for rewards of the other sign")


def _same(interval: Interval, factor: float, what: str) -> None:
    one = interval.bounds(sample(), 0.95)
    ends = sorted(factor * end for end in one)
    other = interval.bounds(scaled(sample(), factor), 0.95)
    gap = max(abs(a - b) for a, b in zip(ends, other, strict=True))
    assert gap <= _SLACK * (ends[1] - ends[0]), (
        f"{interval.name}: expected {what}, {ends[0]:.6g} to {ends[1]:.6g};"
        f" got {other.low:.6g} to {other.high:.6g}"
    )


def check_narrower_with_more(interval: Interval) -> None:
    """Sixteen times the customers, all like those at hand, tell more."""
    few = sample()
    rows = few.rows
    assert rows is not None
    clusters = np.concatenate([rows.clusters + k * _CUSTOMERS for k in range(16)])
    terms, weights, rewards = (np.tile(x, 16) for x in (rows.terms, rows.weights, rows.rewards))
    many = replace(
        few, n=16 * _N, stderr=few.stderr / 4.0, ess=16.0 * few.ess,
        rows=Rows(terms, weights, rewards, clusters),
    )  # fmt: skip
    widths = [high - low for low, high in (interval.bounds(s, 0.95) for s in (few, many))]
    assert widths[1] < 0.5 * widths[0], (
        f"{interval.name}: expected less than half the width from 16 times the customers,"
        f" got {widths[1]:.4g} from {widths[0]:.4g}"
    )


def check_pure(interval: Interval) -> None:
    """The same question has the same answer, and the arrays it was asked with stay."""
    given = sample()
    assert given.rows is not None
    before = [array.copy() for array in astuple(given.rows) if array is not None]
    first, second = (interval.bounds(given, 0.95) for _ in range(2))
    assert first == second, (
        f"{interval.name}: expected the same answer twice, got {first}, {second}"
    )
    same = all(map(np.array_equal, before, astuple(given.rows)))
    assert same, f"{interval.name}: expected the arrays it is given to stay, got others"


def check_rows(interval: Interval) -> None:
    """Without the decisions it answers the same, or, if it says that it needs them, refuses."""
    given = sample()
    try:
        without = interval.bounds(replace(given, rows=None), 0.95)
    except LogError:
        assert interval.needs_rows, f"{interval.name}: expected needs_rows to be True, got False"
        return
    assert not interval.needs_rows, (
        f"{interval.name}: expected a LogError without decisions, got {without}"
    )
    found = interval.bounds(given, 0.95)
    assert without == found, f"{interval.name}: expected {found} without decisions, got {without}"


ALL_CHECKS: tuple[Check, ...] = (
    check_words,
    check_finite_and_holds_value,
    check_wider_with_level,
    check_level,
    check_scale,
    check_mirror,
    check_narrower_with_more,
    check_pure,
    check_rows,
)
