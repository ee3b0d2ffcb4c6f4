"""Fits a market's constants to a log, by moments and simulation with common random numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simulators.calibration.constants import Constant, changed_by, constants_of, moments_of
from simulators.calibration.logged import Logged, Waits
from simulators.calibration.moments import Measured, Moment, measure
from simulators.calibration.report import Report, Row
from simulators.calibration.simulated import simulate_chance
from simulators.calibration.solve import solve
from simulators.calibration.waits import (
    ENOUGH,
    fitted_scale,
    log_quantile,
    scaled,
    world_quantile,
)
from simulators.market.chance import Floats
from simulators.market.market import Market
from simulators.market.spec import WorldSpec
from simulators.worlds.from_file import world_of

Progress = Callable[[int], None]
Found = Mapping[Moment, Measured]

_STEPS = 6  # of the solver
_QUANTILES = {0.5: True, 0.9: False}  # whether the scale is fitted by it


@dataclass(frozen=True)
class Fit:
    """A fitted world.

    Args:
        spec: its document.
        report: how well it fits.
    """

    spec: WorldSpec
    report: Report


def runs_of(kind: type[Market]) -> int:
    """Return how many simulations a fit takes at most, for a progress bar."""
    return len(constants_of(kind.spec)) + _STEPS + 3


def calibrate(
    kind: type[Market],
    logged: Logged,
    *,
    customers: int = 4_000,
    seed: int = 1,
    progress: Progress | None = None,
) -> Fit:
    """Fit base rates, effects, fatigue and delays of a market to a log.

    Each constant has a moment (`constants_of`); they are solved for together, so that the world,
    under the log's guardrails and under the same two policies (nothing for the group `control`,
    chance for `random`), has the log's rates. Differences are of log-odds, in standard errors of
    the log; a weak prior around what the world says keeps a constant of which the log says nothing
    where it is. Delays are fitted by themselves, exactly.

    What a customer was sent before the log begins is not known, so the world begins with rested
    customers, as if so were the log's.

    Args:
        kind: the market as it is.
        logged: read with the market's outcomes as words.
        customers: of each simulation.
        seed: of the fit; the report is made with the next one.
        progress: called with the number of simulations made so far.
    """
    delayed = _with_delays(kind.spec, logged.waits)
    targets = _measured(kind.spec, logged)
    constants = [c for c in constants_of(kind.spec) if _tells(targets.get(c.moment))]
    ran = 0

    def simulated(spec: WorldSpec, luck: int) -> Found:
        nonlocal ran
        made = simulate_chance(
            world_of(spec, kind), logged.revision, logged.timetable, customers=customers, seed=luck
        )
        ran += 1
        if progress is not None:
            progress(ran)
        found = ((moment, measure(moment, made)) for moment in targets)
        return {moment: each for moment, each in found if each is not None}

    def apart(changes: Floats) -> list[float]:
        found = simulated(changed_by(delayed, constants, changes), seed)
        return [_distance(targets[c.moment], found.get(c.moment)) for c in constants]

    changes = solve(apart, constants, steps=_STEPS) if constants else np.zeros(0)
    spec = changed_by(delayed, constants, changes)
    spec = spec.model_copy(update={"version": kind.spec.version + 1})
    before, after = simulated(kind.spec, seed + 1), simulated(spec, seed + 1)
    rows = [
        *_rate_rows(targets, before, after, constants),
        *_delay_rows(kind.spec, spec, logged.waits),
    ]
    return Fit(spec, Report(tuple(rows), tuple(_notes(kind.spec, logged, targets, constants))))


def _distance(target: Measured, found: Measured | None) -> float:
    """Return how far a world is from the log, in standard errors of the log's log-odds."""
    return 0.0 if found is None else (found.logit - target.logit) / target.logit_error


def _tells(target: Measured | None) -> bool:
    """Say whether enough happened to fit a constant by."""
    return target is not None and target.rate * target.decisions >= ENOUGH


def _measured(spec: WorldSpec, logged: Logged) -> Found:
    found = ((moment, measure(moment, logged.decisions)) for moment in moments_of(spec))
    return {moment: each for moment, each in found if each is not None}


def _with_delays(spec: WorldSpec, waits: Mapping[str, Waits]) -> WorldSpec:
    outcomes = dict(spec.outcomes)
    for word, outcome in spec.outcomes.items():
        if word in waits and waits[word].taken.size >= ENOUGH:
            outcomes[word] = scaled(outcome, fitted_scale(outcome.delay, waits[word]))
    return spec.model_copy(update={"outcomes": outcomes})


def _rate_rows(
    targets: Found, before: Found, after: Found, constants: Sequence[Constant]
) -> list[Row]:
    fitted = {constant.moment for constant in constants}
    return [
        Row(
            moment.name, "%", target.rate, before[moment].rate, after[moment].rate,
            _error(target, after[moment]), moment in fitted,
        )
        for moment, target in targets.items()
        if moment in before and moment in after
    ]  # fmt: skip


def _error(target: Measured, after: Measured) -> float:
    """Return the standard error of the difference; of a rare outcome, as if `after` were true.

    Where nothing happened, the log's own error says too little of what might have.
    """
    chance = (after.rate * (1.0 - after.rate) / target.decisions) ** 0.5
    return float(np.hypot(max(target.error, chance), after.error))


def _delay_rows(before: WorldSpec, after: WorldSpec, waits: Mapping[str, Waits]) -> list[Row]:
    rows = []
    for word, each in waits.items():
        if each.taken.size < ENOUGH:
            continue
        for share, fitted in _QUANTILES.items():
            target, error = log_quantile(each.taken, share)
            old, new = (
                world_quantile(spec.outcomes[word].delay, each.most, share)
                for spec in (before, after)
            )
            name = f"days until {share:.0%} of {word}"
            rows.append(Row(name, "days", target, old, new, error, fitted))
    return rows


def _notes(
    spec: WorldSpec, logged: Logged, targets: Found, constants: Sequence[Constant]
) -> list[str]:
    """Say what keeps the world's own numbers."""
    unknown = [word for word in spec.outcomes if word not in logged.waits]
    notes = [f"the log's agent has no outcome {word!r}: not compared" for word in unknown]
    for constant in constants_of(spec):
        if constant not in constants and constant.outcome not in unknown:
            seen = targets.get(constant.moment)
            count = 0 if seen is None else round(seen.rate * seen.decisions)
            notes.append(
                f"{constant.part} {constant.outcome}".rstrip()
                + f" is as it was: {count} times {constant.moment.name},"
                f" expected at least {ENOUGH}"
            )
    return notes
