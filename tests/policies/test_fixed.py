from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import numpy as np
import pytest

from agents.context import Context
from agents.errors import SnapshotError, UnknownNameError
from agents.mask import Mask
from agents.revision import Revision
from policies.fixed import Fixed

WithSettings = Callable[[Mapping[str, object]], Revision]
ANYONE = Context("ann", datetime(2026, 3, 2, 12, tzinfo=UTC), {})
SMS = "roaming_pass/calm@sms"


def chosen(revision: Revision, *barred: str) -> str:
    reasons = [
        "test: barred" if action.id in barred or action.offer in barred else None
        for action in revision.actions
    ]
    answer = Fixed.create(revision).distribution(ANYONE, Mask(tuple(reasons)))
    assert np.isnan(answer.expected).all()
    (position,) = np.flatnonzero(answer.probabilities)
    assert answer.probabilities[position] == 1.0
    return revision.action_ids[position]


def test_without_an_order_offers_stand_as_they_are_written(revision: Revision) -> None:
    first = revision.action_ids[1]
    assert chosen(revision) == first
    assert chosen(revision, first) == revision.action_ids[2]
    assert chosen(revision, *revision.agent.offers) == "none"


def test_an_order_of_offers_and_actions(with_settings: WithSettings) -> None:
    revision = with_settings({"order": (SMS, "bigger_plan", "roaming_pass")})
    assert chosen(revision) == SMS
    bigger = [action.id for action in revision.actions if action.offer == "bigger_plan"]
    assert chosen(revision, SMS) == bigger[0]
    assert chosen(revision, SMS, bigger[0]) == bigger[1]
    assert chosen(revision, "bigger_plan", SMS).startswith("roaming_pass/")
    assert chosen(revision, "bigger_plan", "roaming_pass") == "none"


def test_none_may_be_listed_and_what_is_not_listed_is_the_last_resort(
    with_settings: WithSettings,
) -> None:
    revision = with_settings({"order": (SMS, "none", "bigger_plan")})
    assert chosen(revision, SMS) == "none"
    assert chosen(revision, SMS, "none").startswith("bigger_plan/")
    assert chosen(revision, SMS, "none", "bigger_plan") == revision.action_ids[1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"order": ("bigger_plann",)}, UnknownNameError,
         "policy.settings.order.0: 'bigger_plann' is no offer or action; did you mean"
         " 'bigger_plan'?"),
        ({"order": ("none", SMS, "none")}, ValueError,
         "policy.settings.order.2: expected each of them once, got 'none' twice"),
        ({"order": 3.0}, ValueError,
         "policy.settings.order: expected a list, as in [one, two], got 3"),
        ({"ordre": ()}, UnknownNameError,
         "policy.settings.ordre: fixed has no setting 'ordre'; did you mean 'order'?"),
    ],
)  # fmt: skip
def test_refused(
    with_settings: WithSettings, settings: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        Fixed.create(with_settings(settings))
    assert str(caught.value) == message


def test_state_is_its_name(revision: Revision) -> None:
    assert Fixed.create(revision).to_bytes() == b'{"policy":"fixed"}'
    with pytest.raises(SnapshotError, match="expected the state of fixed, got 2 other bytes"):
        Fixed.from_bytes(b"{}", revision)
