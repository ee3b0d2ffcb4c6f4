"""Made-up contexts, masks and lessons that fit a revision: for checks, tests and measurements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from agents.context import Contact, Context
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import CustomerField
from policies.base import Lesson

_START = datetime(2026, 3, 2, 12, tzinfo=UTC)
_MISSING, _BARRED, _HAPPENS, _HELD = 0.1, 0.4, 0.1, 0.5  # probabilities


def _value(field: CustomerField, rng: np.random.Generator) -> object:
    match field.type:
        case "boolean":
            return bool(rng.integers(2))
        case "category":
            return field.values[int(rng.integers(len(field.values)))]
        case "set":
            return [value for value in field.values if rng.random() < _HELD]
        case "instant":
            return (_START + timedelta(days=float(rng.uniform(-400.0, 40.0)))).isoformat()
        case "zone" | "text":
            return "Europe/Berlin"
        case _:
            low = -100.0 if field.min is None else field.min
            high = low + 200.0 if field.max is None else field.max
            number = float(rng.uniform(low, high))
            return int(number) if field.type == "integer" else number


def sample_contexts(revision: Revision, count: int, rng: np.random.Generator) -> list[Context]:
    """Make contexts an hour apart, of new customers, a tenth of the optional fields missing."""
    contexts = []
    for number in range(count):
        at = _START + timedelta(hours=number)
        features = {
            name: _value(field, rng)
            for name, field in revision.workspace.customer.items()
            if field.required or rng.random() >= _MISSING
        }
        past = sorted(rng.integers(1, 60, size=int(rng.integers(4))).tolist(), reverse=True)
        contacts = [
            Contact(at - timedelta(days=days), "another", "news", "service", "letter", "news")
            for days in past
        ]
        contexts.append(revision.context(f"customer-{number}", at, features, contacts))
    return contexts


def sample_mask(revision: Revision, rng: np.random.Generator) -> Mask:
    """Bar each action with probability 0.4, and leave at least one."""
    barred = rng.random(len(revision.actions)) < _BARRED  # (A,)
    barred[int(rng.integers(len(barred)))] = False
    return Mask(tuple("sample: barred" if bar else None for bar in barred))


def sample_lessons(revision: Revision, count: int, rng: np.random.Generator) -> list[Lesson]:
    """Make decisions drawn uniformly from sample masks, a tenth followed by an outcome."""
    outcomes = list(revision.agent.outcomes)
    lessons = []
    for context in sample_contexts(revision, count, rng):
        mask = sample_mask(revision, rng)
        action = int(rng.choice(mask.indices))
        propensity = 1.0 / len(mask.indices)
        lessons.append(Lesson(context, mask, action, propensity))
        if rng.random() < _HAPPENS:
            outcome = outcomes[int(rng.integers(len(outcomes)))]
            lessons.append(Lesson(context, mask, action, propensity, outcome))
    return lessons
