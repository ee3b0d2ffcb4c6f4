"""Telecom customers: hidden traits as arrays, and what a company would see of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.context import FeatureValue
from simulators.streams import Draws

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

RESPONSES = ("persuadable", "sure_thing", "lost_cause", "sleeping_dog")
TRAITS = ("price", "ease", "shock", "ending", "heavy", "roaming", "hidden")
CHANNELS = ("email", "sms", "push")
PLANS = ("basic", "plus", "unlimited")
ZONES = ("Europe/Berlin", "Europe/London", "Europe/Athens", "Atlantic/Canary")

_ZONE_SHARES = np.cumsum([0.8, 0.1, 0.06])
_MISSING = {"time_zone": 0.03, "data_used_share": 0.05, "age": 0.04}
_PLAN_BILL = np.array([22.0, 38.0, 60.0])  # EUR


class _People(NamedTuple):
    """What does not change from month to month; each (N,)."""

    digital: Floats
    appetite: Floats
    hidden: Floats
    age: Floats
    tenure: Floats
    plan: Ints
    price: Floats
    app_user: Bools
    complaint: Bools


@dataclass(frozen=True)
class Population:
    """N customers over P periods of 30 days; nothing in it changes while they are contacted.

    Hidden:
        response: (N,) position in `RESPONSES`.
        traits: (N, P, K) of `TRAITS`: price sensitivity and its opposite, then how far the bill
            jumped, the contract is ending, the data run out and the customer roams, each from 0
            to about 1; last a standard normal that shows in no feature.
        channel_fit: (N, 4) in (0, 1), how well each of `CHANNELS` reaches the customer, and last
            a channel that is none of them.
        time_fit: (N, 3) in (0, 1), for a message in the morning, the evening, and at any time.

    Observed:
        features: by field, (N,) or (N, P) of plain values.
        known: by field, (N,) False where the company does not know the value.
    """

    response: Ints
    traits: Floats
    channel_fit: Floats
    time_fit: Floats
    features: dict[str, NDArray[np.generic]]
    known: dict[str, Bools]

    def observed(self, customer: int, period: int) -> dict[str, FeatureValue]:
        """Return what is known of a customer in a period, unknown fields left out."""
        row: dict[str, FeatureValue] = {}
        for name, values in self.features.items():
            known = self.known.get(name)
            if known is None or known[customer]:
                cell = values[customer] if values.ndim == 1 else values[customer, period]
                row[name] = cell.item()
        return row


def draw_population(seed: int, customers: int, periods: int) -> Population:
    """Draw customers, their bills and their consents.

    Args:
        seed: of the world.
        customers: N, above 0.
        periods: P, months of 30 days, above 0.
    """
    draws = Draws(seed, customers)
    people = _people(draws)
    months = _months(draws, people, periods)
    consent = _consent(draws, people)  # (N, 3)
    channel_fit, time_fit = _fits(draws, people)
    bill = _PLAN_BILL[people.plan] * np.exp(0.15 * draws.normal())  # EUR, (N,)
    zone = np.searchsorted(_ZONE_SHARES, draws.uniform(), side="right")  # (N,)
    features: dict[str, NDArray[np.generic]] = {
        "age": people.age.astype(np.int64),
        "plan": np.array(PLANS)[people.plan],
        "monthly_bill": np.round(bill, 2),
        **months,
        "app_user": people.app_user,
        "open_complaint": people.complaint,
        **{f"consent_{name}": consent[:, i] for i, name in enumerate(CHANNELS)},
        "time_zone": np.array(ZONES)[zone],
    }
    known = {name: draws.uniform() >= share for name, share in _MISSING.items()}  # (N,) each
    response = _response(draws, people, months["bill_change"][:, 0])
    return Population(response, _traits(people, months), channel_fit, time_fit, features, known)


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float64)


def _people(draws: Draws) -> _People:
    digital, appetite, hidden = draws.normal(), draws.normal(), draws.normal()
    age = np.clip(np.rint(45.0 - 9.0 * digital + 12.0 * draws.normal()), 16, 95)
    tenure = np.clip(draws.exponentials(1)[:, 0] * (15.0 + 0.8 * age), 0, 400)  # months
    plan = np.searchsorted([-0.4, 0.9], appetite + 0.7 * draws.normal())
    thrift = 2.4 * (plan == 0) - 1.2 * (plan == 1) - 2.4 * (plan == 2)
    price = _sigmoid(thrift + 0.5 * draws.normal())
    app_user = draws.uniform() < _sigmoid(0.5 + 1.8 * digital)
    complaint = draws.uniform() < _sigmoid(-2.9 + 0.4 * hidden)
    return _People(digital, appetite, hidden, age, tenure, plan, price, app_user, complaint)


def _months(draws: Draws, people: _People, periods: int) -> dict[str, NDArray[np.generic]]:
    """Draw what changes with the month; each (N, P)."""
    month = np.arange(periods)
    jumped = draws.uniforms(periods) < 0.55
    change = np.where(
        jumped, 0.1 + 0.25 * draws.exponentials(periods), 0.05 * draws.normals(periods)
    )
    share = 0.85 * np.exp(0.35 * people.appetite[:, None] + 0.3 * draws.normals(periods))
    share /= np.array([0.8, 1.0, 1.4])[people.plan][:, None]  # larger plans last longer
    abroad = draws.uniforms(periods) < _sigmoid(-0.9 + 0.6 * people.appetite)[:, None]
    days = np.where(abroad, 1.0 + 6.0 * draws.exponentials(periods), 0.0)
    left = np.floor(25.0 * draws.uniform() ** 2.2)[:, None] - month
    return {
        "tenure_months": np.floor(people.tenure[:, None] + month).astype(np.int64),
        "bill_change": np.round(np.clip(change, -0.5, 2.0), 3),
        "data_used_share": np.round(np.clip(share, 0.0, 2.5), 3),
        "roaming_days": np.clip(days, 0, 30).astype(np.int64),
        "contract_months_left": np.clip(left, 0, 24).astype(np.int64),
    }


def _consent(draws: Draws, people: _People) -> Bools:
    """Draw consents (N, 3): those who are hard to win also say no more often."""
    logits = np.stack(
        [
            1.8 - 0.3 * people.digital - 0.4 * people.hidden,
            1.2 - 0.8 * people.price + 0.2 * people.digital,
            np.where(people.app_user, 1.6, -2.5) - 0.3 * people.hidden,
        ],
        axis=1,
    )  # (N, 3)
    return np.asarray(draws.uniforms(3) < _sigmoid(logits), dtype=np.bool_)


def _fits(draws: Draws, people: _People) -> tuple[Floats, Floats]:
    """Draw how well channels (N, 4) and times of day (N, 3) reach a customer."""
    old, app = people.tenure / 60.0, people.app_user.astype(np.float64)
    anywhere = np.zeros_like(old)
    logits = np.stack([1.6 * old - 1.6 * app, 1.0 - 1.2 * app, 3.0 * app - 1.5, anywhere], axis=1)
    channels = _sigmoid(logits + 0.4 * draws.normals(4))  # (N, 4)
    early = _sigmoid(2.5 - 4.0 * app + 0.6 * draws.normal())  # (N,)
    times = np.stack([early, 1.0 - early, np.full_like(early, 0.8)], axis=1)  # (N, 3)
    return channels, times


def _response(draws: Draws, people: _People, bill_change: NDArray[np.generic]) -> Ints:
    """Draw the response types (N,), more or less visible in tenure, plan and the last bill."""
    years, jump = people.tenure / 12.0, bill_change.astype(np.float64)
    logits = np.stack(
        [
            np.full_like(years, 1.5),
            -2.4 + 0.5 * years - 2.0 * jump,
            -1.5 + 2.0 * people.complaint + 1.5 * (years < 1.0),
            -1.6 + 2.4 * (people.plan == 2) - 0.8 * people.digital,
        ],
        axis=1,
    )  # (N, 4)
    gumbel = -np.log(-np.log(np.clip(draws.uniforms(4), 1e-12, 1.0 - 1e-12)))  # (N, 4)
    return np.asarray(np.argmax(logits + gumbel, axis=1), dtype=np.int64)


def _traits(people: _People, months: dict[str, NDArray[np.generic]]) -> Floats:
    """Gather what outcomes depend on, in the order of `TRAITS`; (N, P, K)."""
    shape = months["bill_change"].shape
    left = months["contract_months_left"].astype(np.float64)
    columns = [
        np.broadcast_to(people.price[:, None], shape),
        np.broadcast_to(1.0 - people.price[:, None], shape),
        np.clip(months["bill_change"].astype(np.float64) / 0.4, 0.0, 1.5),
        (left <= 6) * (1.0 - left / 12.0),
        np.clip((months["data_used_share"].astype(np.float64) - 0.7) / 0.5, 0.0, 1.5),
        np.clip(months["roaming_days"].astype(np.float64) / 8.0, 0.0, 1.5),
        np.broadcast_to(people.hidden[:, None], shape),
    ]
    return np.stack(columns, axis=-1)
