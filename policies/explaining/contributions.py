"""Why one action is expected to be worth more than another, by what is known of the customer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agents.context import Context, FeatureValue
from agents.revision import Revision
from policies.models.belief import Linear
from policies.models.logistic import sigmoid

Kind = Literal["customer", "moment", "action", "cost"]
_MOMENT = {  # by the first word of an encoder's column that is of no field
    "days": "contacts", "contacts": "contacts",
    "hour": "hour", "weekday": "weekday",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one source adds to the lead of one action over another.

    Args:
        kind: `customer` for a declared field, `moment` for what the encoder makes of earlier
            contacts and the clock, `action` for what holds whoever the customer is, and `cost`.
        source: the field; `contacts`, `hour` or `weekday`; the level, such as `offer`; `cost`.
        value: the customer's value of the field, None if unknown or no field.
        worth: what it adds to the difference of the expected rewards, in currency.
        eta: by outcome, what it adds to the difference of eta (logits, for a logistic learner).
    """

    kind: Kind
    source: str
    value: FeatureValue | None
    worth: float
    eta: Mapping[str, float]


def contributions(
    revision: Revision, policy: Linear, context: Context, one: int, other: int
) -> tuple[Contribution, ...]:
    """Split the difference between two actions by source, exactly; the weightiest first.

    The differences of eta add up by outcome. An outcome's share in currency follows them: with the
    slope `(sigmoid(eta_1) - sigmoid(eta_2)) / (eta_1 - eta_2)`, 1 for a linear learner, a source
    adds `value slope difference`, so with the costs these add up to the difference of expected
    rewards at the mean weights.

    Args:
        revision: whose outcomes, actions and customer fields they are.
        policy: whose weights.
        context: of the customer.
        one: position of an action.
        other: position of the action that it is compared with.

    Source: integrated gradients (Sundararajan, Taly and Yan, ICML 2017), closed for a sigmoid.
    """
    mine, theirs = (_by_source(revision, policy.terms(context, a)) for a in (one, other))
    zero = np.zeros(len(revision.agent.outcomes))  # (O,)
    differences = {
        key: mine.get(key, zero) - theirs.get(key, zero) for key in dict.fromkeys((*mine, *theirs))
    }
    slopes = np.ones_like(zero)  # (O,)
    if policy.beliefs(context).link == "logit":
        slopes = _slopes(_total(mine.values(), zero), _total(theirs.values(), zero))  # (O,)
    values = np.array([outcome.worth for outcome in revision.agent.outcomes.values()])  # (O,)
    found = [
        Contribution(
            kind,
            source,
            context.features.get(source) if kind == "customer" else None,
            float((values * slopes * eta).sum()),
            dict(zip(revision.agent.outcomes, eta.tolist(), strict=True)),
        )
        for (kind, source), eta in differences.items()
        if eta.any()
    ]
    saved = revision.actions[other].cost - revision.actions[one].cost
    if saved:
        none = dict.fromkeys(revision.agent.outcomes, 0.0)
        found.append(Contribution("cost", "cost", None, saved, none))
    return tuple(sorted(found, key=lambda entry: -abs(entry.worth)))


def _total(arrays: Iterable[NDArray[np.float64]], zero: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(sum(arrays, zero), dtype=np.float64)


def _slopes(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean slope of the sigmoid between two logits, (O,)."""
    gap = one - other  # (O,)
    near = np.abs(gap) < 1e-6  # (O,) the slope at the middle is then exact to rounding
    middle = sigmoid((one + other) / 2.0)  # (O,)
    mean = (sigmoid(one) - sigmoid(other)) / np.where(near, 1.0, gap)  # (O,)
    return np.where(near, middle * (1.0 - middle), mean)


def _by_source(
    revision: Revision, terms: Mapping[str, NDArray[np.float64]]
) -> dict[tuple[Kind, str], NDArray[np.float64]]:
    sums: dict[tuple[Kind, str], NDArray[np.float64]] = {}
    for column, eta in terms.items():
        source = _source(revision, column)
        sums[source] = sums[source] + eta if source in sums else eta
    return sums


def _source(revision: Revision, column: str) -> tuple[Kind, str]:
    """Return what a column is made of; names are as `policies.features.encode` writes them."""
    word = re.split(r"[^a-z0-9_]", column, maxsplit=1)[0]
    field = revision.workspace.customer.get(word)
    if field is not None and field.learnable:
        stem = f"{word} days" if field.type == "instant" else word
        if column in (stem, f"{stem}?", f"{word}?") or column.startswith(f"{word}="):
            return "customer", word
    return ("moment", _MOMENT[word]) if word in _MOMENT else ("action", word)
