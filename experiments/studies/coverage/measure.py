"""Draw logs again and again, and count how often each interval holds the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, get_args

import numpy as np

from experiments.evaluate import DEFAULT_INTERVAL
from experiments.intervals import INTERVALS, Interval, Rows, Sample
from experiments.studies.coverage.samples import predict, samples_of
from experiments.studies.coverage.worlds import SHARPNESS, Draws, Kind, World

LEVEL = 0.95
_WORLDS = 4
_EVERY = 5  # intervals that take long, and looks, are measured on each fifth log
_SLOW = ("bootstrap", "likelihood", "betting")
_ALIKE = ("wilson", "bernstein", "betting")  # the same around any estimator
_LOOKS = 8


class Cell(NamedTuple):
    """One situation."""

    kind: Kind
    target: str
    n: int


class Covered(NamedTuple):
    """How often an interval held the truth, and its mean width over the truth.

    Args:
        share: of the logs.
        error: standard error of the share.
        width: mean, over the truth.
        beside: mean width of the default interval on the same logs, over this one's.
        logs: how many.
    """

    share: float
    error: float
    width: float
    beside: float
    logs: int


@dataclass(frozen=True)
class Found:
    """What the study found.

    Args:
        once: by cell and by `INTERVAL ESTIMATOR`, at the end of each log.
        always: the same for anytime intervals: the share that held the truth at all looks.
    """

    once: dict[Cell, dict[str, Covered]]
    always: dict[Cell, dict[str, Covered]]


class _Hit(NamedTuple):
    held: bool
    width: float = 0.0
    default: float = 0.0  # width of the default interval on the same log


Rowwise = dict[str, list[_Hit]]
Hits = dict[Cell, Rowwise]


def measure(sizes: dict[int, int], seed: int, *, kinds: tuple[Kind, ...] = get_args(Kind)) -> Found:
    """Measure all intervals.

    Args:
        sizes: number of logs of each kind, by their number of decisions.
        seed: of worlds and logs.
        kinds: of logs, see `World.log`.
    """
    once: Hits = defaultdict(lambda: defaultdict(list))
    always: Hits = defaultdict(lambda: defaultdict(list))
    worlds = [World.draw(seed + number) for number in range(_WORLDS)]
    truths = {moody: _truths(worlds, moody=moody) for moody in {k == "repeated" for k in kinds}}
    for kind in kinds:
        for n, logs in sizes.items():
            rng = np.random.default_rng([seed, n, get_args(Kind).index(kind)])
            for number in range(logs):
                world = worlds[number % _WORLDS]
                for cell, samples, truth in _questions(
                    world, truths[kind == "repeated"][number % _WORLDS], world.log(kind, n, rng)
                ):
                    slow = number % _EVERY == 0
                    _count(once[cell._replace(kind=kind)], samples, truth, slow=slow)
                    if slow:
                        _look(always[cell._replace(kind=kind)], samples, truth)
    return Found(_summed(once), _summed(always))


def _truths(worlds: list[World], *, moody: bool) -> list[dict[str, float]]:
    return [{name: world.truth(name, moody=moody) for name in SHARPNESS} for world in worlds]


def _questions(
    world: World, truths: dict[str, float], draws: Draws
) -> Iterator[tuple[Cell, dict[str, Sample], float]]:
    q_hat = predict(draws)
    for name, truth in truths.items():
        samples = samples_of(draws, world.target(draws.x, name), q_hat)
        yield Cell("fixed", name, len(draws.action)), samples, truth


def _asked(samples: dict[str, Sample], *, anytime: bool) -> Iterator[tuple[str, Interval, str]]:
    for name, interval in INTERVALS.items():
        for estimator in list(samples)[: 1 if name in _ALIKE else None]:
            if interval.anytime or not anytime:
                yield f"{name} {estimator}", interval, estimator


def _count(
    hits: Rowwise,
    samples: dict[str, Sample],
    truth: float,
    *,
    slow: bool,
) -> None:
    defaults = {name: DEFAULT_INTERVAL.bounds(each, LEVEL) for name, each in samples.items()}
    for row, interval, estimator in _asked(samples, anytime=False):
        if slow or interval.name not in _SLOW:
            low, high = interval.bounds(samples[estimator], LEVEL)
            default = defaults[estimator].high - defaults[estimator].low
            hits[row].append(_Hit(low <= truth <= high, (high - low) / truth, default / truth))


def _look(hits: Rowwise, samples: dict[str, Sample], truth: float) -> None:
    for row, interval, estimator in _asked(samples, anytime=True):
        held = []
        for sample in _prefixes(samples[estimator]):
            low, high = interval.bounds(sample, LEVEL)
            held.append(low <= truth <= high)
        hits[row].append(_Hit(all(held)))


def _prefixes(sample: Sample) -> Iterator[Sample]:
    """Yield what was known after each of some looks, the last one at the end."""
    rows = sample.rows
    assert rows is not None
    for part in np.geomspace(1.0 / 20.0, 1.0, _LOOKS):
        n = round(sample.n * part)
        first = Rows(rows.terms[:n], rows.weights[:n], rows.rewards[:n], rows.clusters[:n])
        yield _summary(sample, first)


def _summary(sample: Sample, rows: Rows) -> Sample:
    """Sum up the first decisions; the terms stay those that the whole log gave them."""
    n, weights = len(rows.terms), rows.weights
    value, total = float(rows.terms.mean()), float(weights.sum())
    gaps = np.bincount(rows.clusters, rows.terms - value)
    error = float(np.sqrt(gaps @ gaps)) / n
    return replace(
        sample, n=n, value=value, stderr=error, rows=rows, ess=total**2 / float(weights @ weights),
        gain=float(weights @ rows.rewards) / total,
    )  # fmt: skip


def _summed(hits: Hits) -> dict[Cell, dict[str, Covered]]:
    return {
        cell: {row: _covered(each) for row, each in rows.items()} for cell, rows in hits.items()
    }


def _covered(hits: list[_Hit]) -> Covered:
    share = float(np.mean([hit.held for hit in hits]))
    width = float(np.mean([hit.width for hit in hits]))
    default = float(np.mean([hit.default for hit in hits]))
    return Covered(
        share, standard_error(share, len(hits)), width, default / width if width else 0.0, len(hits)
    )


def standard_error(share: float, logs: int) -> float:
    """Return the standard error of a share; at least that of one miss in a thousand."""
    return float(np.sqrt(max(share * (1.0 - share), 1e-3) / logs))
