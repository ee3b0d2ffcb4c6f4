"""Made-up contexts, masks and lessons that fit a revision: for checks, tests and measurements.

And what has to be lived with: odd weights, odd customers, and revisions that have moved on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from agents.context import Contact, Context
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import CustomerField, Offer
from agents.supplied import supply
from policies.base import Label, Lesson

NEWCOMER = "newcomer"
"""The offer that a later revision has."""

_START = datetime(2026, 3, 2, 12, tzinfo=UTC)
_TOPICS = ("news", "sport", "music")
_WEIGHTS = (-1.0, 0.0, 0.25, 1.0, 3.0)
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
        context = revision.context(f"customer-{number}", at, features, contacts)
        contexts.append(_supplied(revision, context, rng))
    return contexts


def _supplied(revision: Revision, context: Context, rng: np.random.Generator) -> Context:
    """Give a context the actions of a revision that has them from its requests."""
    if revision.agent.supplied is None:
        return context
    actions = {
        name: [{"topic": _TOPICS[int(rng.integers(3))], "length": float(rng.random())}]
        for name in revision.action_ids[1:]
    }
    moment: list[object] = [{"hour": context.at.hour, "returning": bool(rng.integers(2))}]
    return replace(context, supplied=supply(moment, actions))


def sample_mask(revision: Revision, rng: np.random.Generator) -> Mask:
    """Bar each action with probability 0.4, and leave at least one."""
    barred = rng.random(len(revision.actions)) < _BARRED  # (A,)
    barred[int(rng.integers(len(barred)))] = False
    return Mask(tuple("sample: barred" if bar else None for bar in barred))


def sample_lessons(revision: Revision, count: int, rng: np.random.Generator) -> list[Lesson]:
    """Make decisions drawn uniformly from sample masks, a tenth followed by an outcome.

    Of a loop each is one lesson, which says what its action was worth.
    """
    outcomes = list(revision.agent.outcomes)
    lessons = []
    for context in sample_contexts(revision, count, rng):
        mask = sample_mask(revision, rng)
        action = int(rng.choice(mask.indices))
        propensity = 1.0 / len(mask.indices)
        lesson = Lesson.decision(context, mask, action, propensity, outcomes)
        if revision.agent.supplied is not None:
            worth = Label(outcomes[0], happened=True, value=float(rng.uniform(-1.0, 1.0)))
            lessons.append(replace(lesson, labels=(worth,)))
            continue
        lessons.append(lesson)
        if rng.random() < _HAPPENS:
            outcome = outcomes[int(rng.integers(len(outcomes)))]
            lessons.append(lesson.then(Label(outcome, happened=True)))
    return lessons


def reweighted(lessons: Iterable[Lesson], rng: np.random.Generator) -> list[Lesson]:
    """Give each label a weight from -1 to 3: some count for nothing, some take back."""
    return [
        replace(
            lesson,
            labels=tuple(
                label._replace(weight=_WEIGHTS[int(rng.integers(len(_WEIGHTS)))])
                for label in lesson.labels
            ),
        )
        for lesson in lessons
    ]


def odd_contexts(revision: Revision) -> list[Context]:
    """Make two customers: one of whom nothing is known, and one whose values are not declared.

    Neither would pass the schema, but a snapshot may serve a revision whose schema has changed.
    """
    values = dict.fromkeys(revision.workspace.customer, "undeclared")
    return [Context("nobody", _START, {}), Context("somebody", _START, values)]


def later_revision(revision: Revision) -> Revision:
    """Return the revision with its first offer gone, from bundles too, and a new one added."""
    gone, first = next(iter(revision.agent.offers.items()))
    offers = {
        name: offer.model_copy(update={"includes": tuple(n for n in offer.includes if n != gone)})
        for name, offer in revision.agent.offers.items()
        if name != gone
    }
    return _with_offers(revision, offers | {NEWCOMER: first})


def reordered(revision: Revision) -> Revision:
    """Return the revision with its offers written in the opposite order."""
    return _with_offers(revision, dict(reversed(revision.agent.offers.items())))


def _with_offers(revision: Revision, offers: dict[str, Offer]) -> Revision:
    return Revision(revision.workspace, revision.agent.model_copy(update={"offers": offers}))


def moved(lesson: Lesson, old: Revision, new: Revision) -> Lesson:
    """Return a lesson as it is under a revision with the same actions in another order."""
    reasons = dict(zip(old.action_ids, lesson.mask.reasons, strict=True))
    mask = Mask(tuple(reasons[action] for action in new.action_ids))
    return replace(lesson, mask=mask, action=new.index(old.action_ids[lesson.action]))
