"""The constants of a world that are fitted, each by a moment of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from simulators.calibration.moments import ALL, LATER, MESSAGE, SOON, UNTOUCHED, Moment
from simulators.market.chance import Floats
from simulators.market.spec import ONE, Effect, FatigueSpec, OutcomeSpec, WorldSpec


class Part(StrEnum):
    """What a constant changes."""

    BASE = "base"
    EFFECTS = "effects"
    STEP = "step"
    HALF_LIFE = "half-life"


_PROBE = {Part.BASE: 0.2, Part.EFFECTS: 0.2, Part.STEP: 0.5, Part.HALF_LIFE: 0.5}
_SCALE = {Part.BASE: 3.0, Part.EFFECTS: 1.0, Part.STEP: 1.5, Part.HALF_LIFE: 1.0}
_BOUND = {Part.BASE: 6.0, Part.EFFECTS: 4.0, Part.STEP: 4.0, Part.HALF_LIFE: 3.0}
_DIGITS = 6  # of what is written
_LEAST_EFFECT = -1.0  # then there is none; effects never turn into their opposite


@dataclass(frozen=True, slots=True)
class Constant:
    """One number of a world, as a change of what it is.

    Args:
        part: the base log-odds of an outcome, shifted; all effects on an outcome, multiplied by
            1 + change; the step of fatigue, its log-odds shifted; or its half-life, its logarithm
            shifted.
        outcome: of which outcome; empty for fatigue.
        moment: what it is fitted by.
    """

    part: Part
    outcome: str
    moment: Moment

    @property
    def probe(self) -> float:
        """A change that is large enough to show."""
        return _PROBE[self.part]

    @property
    def scale(self) -> float:
        """How far a change is to be expected: the standard deviation of the prior around 0."""
        return _SCALE[self.part]

    def bounded(self, change: float) -> float:
        """Return the change inside its bounds."""
        least = _LEAST_EFFECT if self.part is Part.EFFECTS else -_BOUND[self.part]
        return min(max(change, least), _BOUND[self.part])


def constants_of(spec: WorldSpec) -> list[Constant]:
    """List the constants of a world that a log can tell."""
    tired = tuple(i for i, o in enumerate(spec.outcomes.values()) if o.harm and o.fatigue)
    found = []
    for place, (word, outcome) in enumerate(spec.outcomes.items()):
        usual = MESSAGE if outcome.contact_only else UNTOUCHED
        found.append(Constant(Part.BASE, word, Moment(word, usual, (place,))))
        affected = any(word in effect.on for effect in spec.effects)
        if affected and not (outcome.contact_only or outcome.harm):
            found.append(Constant(Part.EFFECTS, word, Moment(word, MESSAGE, (place,))))
    if tired and spec.fatigue.step:
        found.append(Constant(Part.STEP, "", Moment("harm", SOON, tired)))
        found.append(Constant(Part.HALF_LIFE, "", Moment("harm", LATER, tired)))
    return found


def moments_of(spec: WorldSpec) -> list[Moment]:
    """List all that a log and a world are compared by; what no constant is fitted by, too."""
    fitted = [constant.moment for constant in constants_of(spec)]
    harms = [
        Moment(word, MESSAGE, (place,))
        for place, (word, outcome) in enumerate(spec.outcomes.items())
        if outcome.harm
    ]
    return list(dict.fromkeys([*fitted, *harms, Moment("contacts", ALL, ())]))


def changed_by(spec: WorldSpec, constants: Sequence[Constant], changes: Floats) -> WorldSpec:
    """Return a world whose constants are changed, (P,) as of `Constant`.

    Example:
        >>> import numpy as np
        >>> from simulators.market.load import load_world
        >>> spec = load_world("telecom")
        >>> first = constants_of(spec)[:1]
        >>> made = changed_by(spec, first, np.array([0.5]))
        >>> made.outcomes["renewed"].base["one"] - spec.outcomes["renewed"].base["one"]
        0.5
    """
    for constant, change in zip(constants, changes.tolist(), strict=True):
        spec = spec.model_copy(update=_change(spec, constant, change))
    return spec


def _change(spec: WorldSpec, constant: Constant, change: float) -> dict[str, object]:
    word = constant.outcome
    if constant.part is Part.BASE:
        outcome = _shifted(spec.outcomes[word], change)
        return {"outcomes": {**spec.outcomes, word: outcome}}
    if constant.part is Part.EFFECTS:
        return {"effects": tuple(_stronger(each, word, 1.0 + change) for each in spec.effects)}
    return {"fatigue": _tiring(spec.fatigue, constant.part, change)}


def _shifted(outcome: OutcomeSpec, change: float) -> OutcomeSpec:
    base = {**outcome.base, ONE: round(outcome.base.get(ONE, 0.0) + change, _DIGITS)}
    return outcome.model_copy(update={"base": base})


def _stronger(effect: Effect, word: str, factor: float) -> Effect:
    if word not in effect.on:
        return effect
    weights = {name: round(factor * weight, _DIGITS) for name, weight in effect.on[word].items()}
    return effect.model_copy(update={"on": {**effect.on, word: weights}})


def _tiring(fatigue: FatigueSpec, part: Part, change: float) -> FatigueSpec:
    if part is Part.HALF_LIFE:
        seconds = round(fatigue.half_life.total_seconds() * math.exp(change))
        return fatigue.model_copy(update={"half_life": timedelta(seconds=max(1, seconds))})
    odds = fatigue.step / (1.0 - fatigue.step) * math.exp(change)
    step = round(min(max(odds / (1.0 + odds), 0.001), 0.999), _DIGITS)
    return fatigue.model_copy(update={"step": step})
