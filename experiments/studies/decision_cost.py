"""What one decision costs, beside what it is measured against, and how exact it is.

One decision is everything after the context is encoded: scores of all actions, the distribution of
the best, the floor and the draw. All parts are timed in turn in every round, so a change in the
machine's speed meets both sides of a ratio alike; figures are medians over rounds of the time of
the processor, so that other work on the machine counts less.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from experiments.studies.fine import best_by_convolution
from experiments.studies.table import Figure, Study, publish
from policies.decide import draw
from policies.floor import mix_floor
from policies.models.logistic import Design, Posterior
from policies.propensities.thompson import Utilities, best_table
from policies.vowpal.engine import Engine, Target

_COUNTS = (25, 120, 500)
_ROUNDS, _CALLS, _PROBLEMS, _TABLE = 25, 20, 8, 256
_VALUES = {
    "1 outcome": [80.0],
    "2 outcomes": [80.0, -20.0],
    "4 outcomes": [80.0, 30.0, -20.0, -15.0],
}
_COLUMNS, _LEVELS, _FLOOR = 50, 5, 0.02
_NUMPY, _VOWPAL = "numpy: draw normal scores, argmax", "vw_squarecb: predict, actions parsed before"

Part = Callable[[], object]
Floats = NDArray[np.float64]


def beliefs(values: list[float], count: int, rng: np.random.Generator) -> Utilities:
    """Make up what is believed of actions that 2% of customers respond to.

    Args:
        values: (O,) currency.
        count: E, number of actions.
        rng: draws them.
    """
    shape = (len(values), count)
    return Utilities(
        rng.normal(-3.9, 0.4, shape), rng.uniform(0.1, 1.0, shape), np.array(values),
        rng.choice([0.0, 0.06, 1.5], count),
    )  # fmt: skip


def _whole(values: list[float], count: int) -> Part:
    """Return one decision of a learner with 50 columns and 5 levels an action."""
    rng = np.random.default_rng(1)
    made = beliefs(values, count, rng)
    rows = _LEVELS + count
    shape = (len(values) + 1, 1 + _COLUMNS, rows)  # (O+1, C, L), the last for all outcomes
    posterior = Posterior.untaught(rng.uniform(0.001, 0.01, shape), np.full(len(values), -3.9))
    posterior.mean[:, 1:] = rng.normal(0.0, 0.02, (len(values) + 1, _COLUMNS, rows))
    levels = np.stack(
        [np.zeros(count, dtype=np.int64), *rng.integers(1, _LEVELS, (3, count)),
         np.arange(_LEVELS, rows)], axis=1,
    )  # fmt: skip
    ones = np.ones(levels.shape)  # (E, J)
    design = Design(np.ascontiguousarray(levels), ones, ones, wide=_LEVELS)
    z, allowed = np.append(1.0, rng.normal(size=_COLUMNS)), np.ones(count, dtype=np.bool_)

    def decision() -> int:
        mean, variance = posterior.predict(design, z)
        belief = Utilities(mean, np.sqrt(variance), made.values, made.costs)
        return draw(mix_floor(belief.best(), allowed, _FLOOR), 0.5)

    return decision


def _after_scores(values: list[float], count: int) -> Part:
    made = beliefs(values, count, np.random.default_rng(1))
    allowed = np.ones(count, dtype=np.bool_)
    return lambda: draw(mix_floor(made.best(), allowed, _FLOOR), 0.5)


def _vowpal(count: int) -> Part:
    rng = np.random.default_rng(2)
    lines = [f"|o o{i // 5} |c c{i % 5} |h h{i % 3} |i a{i}" for i in range(count)]
    engine = Engine("squarecb", _FLOOR, lines)
    shown = list(range(count))
    shared = "shared |s " + " ".join(f"x{i}:{x:.6g}" for i, x in enumerate(rng.normal(size=50)))
    for index in rng.integers(0, count, 20).tolist():
        engine.learn(shared, shown, index, Target(-float(index % 2), 1.0 / count, 1.0))
    return lambda: engine.predict(shared, shown)


def parts_of(count: int) -> dict[str, Part]:
    """Return what is timed for a number of allowed actions, the yardstick first."""
    rng = np.random.default_rng(3)
    means, sds = rng.normal(size=count), rng.uniform(0.1, 1.0, size=count)  # (E,)
    parts: dict[str, Part] = {_NUMPY: lambda: int(np.argmax(rng.normal(means, sds)))}
    for name, values in _VALUES.items():
        parts[f"distribution, floor, draw: {name}"] = _after_scores(values, count)
        parts[f"with scores: {name}"] = _whole(values, count)
    return {**parts, _VOWPAL: _vowpal(count)}


def measure(parts: Mapping[str, Part], rounds: int, calls: int) -> dict[str, list[float]]:
    """Return the microseconds of one call of each part, one figure for each round."""
    seen: dict[str, list[float]] = {name: [] for name in parts}
    for round_ in range(rounds + 1):
        for name, part in parts.items():
            start = time.thread_time()
            for _ in range(calls):
                part()
            if round_ > 0:  # the first one compiles
                seen[name].append((time.thread_time() - start) / calls * 1e6)
    return seen


def error(values: list[float], count: int, problems: int) -> Figure:
    """Return the worst total variation from the fine reference over seeded problems."""
    rng = np.random.default_rng(count)
    worst = 0.0
    for _ in range(problems):
        made = beliefs(values, count, rng)
        worst = max(worst, 0.5 * float(np.abs(made.best() - best_by_convolution(made)).sum()))
    return Figure(worst)


def _table(values: list[float], rounds: int) -> Figure:
    rng = np.random.default_rng(4)
    shape = (_TABLE, len(values), 24)
    mean, sd = rng.normal(-3.9, 0.4, shape), rng.uniform(0.1, 1.0, shape)
    allowed, costs = np.ones((_TABLE, 24), dtype=np.bool_), rng.choice([0.0, 0.06, 1.5], 24)
    parts = {"": lambda: best_table(mean, sd, np.array(values), costs, allowed)}
    return Figure(statistics.median(measure(parts, rounds, 1)[""]) / _TABLE)


def study(rounds: int = _ROUNDS, calls: int = _CALLS, problems: int = _PROBLEMS) -> Study:
    """Measure.

    Args:
        rounds: of which medians are taken, at least 1.
        calls: of each part in a round, at least 1.
        problems: of which the worst error is taken, at least 1.
    """
    timed = {count: measure(parts_of(count), rounds, calls) for count in _COUNTS}
    rows: dict[str, list[Figure | None]] = {}
    for name in timed[_COUNTS[0]]:
        rows[name] = [Figure(statistics.median(timed[count][name])) for count in _COUNTS]
        for other in (_NUMPY, _VOWPAL):
            if name.startswith("with"):
                pairs = [zip(timed[n][name], timed[n][other], strict=True) for n in _COUNTS]
                rows[f"  ratio to {other.split(':')[0]}, {name[13:]}"] = [
                    Figure(statistics.median(a / b for a, b in pair)) for pair in pairs
                ]
    for name, values in _VALUES.items():
        rows[f"a table, one of 24 actions: {name}"] = [_table(values, rounds)]
        rows[f"worst total variation x 1000: {name}"] = [
            Figure(1e3 * error(values, count, problems).value) for count in _COUNTS
        ]
    return Study(
        name="decision_cost",
        title=f"One decision, microseconds, medians of {rounds} rounds",
        columns=tuple(f"K={count}" for count in _COUNTS),
        rows=rows,
        notes=("K allowed actions; 50 columns; sds of eta from 0.1 to 1",),
        params={"rounds": str(rounds), "calls": str(calls), "problems": str(problems)},
        digits=2,
    )


def run() -> None:
    """Measure and publish."""
    publish(study())


if __name__ == "__main__":
    run()
