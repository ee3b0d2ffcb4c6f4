from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from agents.revision import Revision

CUSTOMER = """
  stop: {type: boolean}
  stop_sms: {type: boolean}
  consent_email: {type: boolean}"""
WORKSPACE = {
    "customer": CUSTOMER,
    "opt_out": "stop",
    "channels": """
  email: {consent: consent_email}
  sms: {opt_out: stop_sms}""",
}
EMAIL, SMS = "help/short@email", "sale/plain@sms"
FREE: dict[str, object] = {"stop": False, "stop_sms": False, "consent_email": True}


@pytest.mark.parametrize(
    ("changed", "email", "sms"),
    [
        ({}, None, None),
        ({"stop": True}, "opt_out: customer.stop is true", "opt_out: customer.stop is true"),
        (
            {"stop": None, "stop_sms": True, "consent_email": False},
            "opt_out: customer.stop is unknown",
            "opt_out: customer.stop is unknown",
        ),
        ({"stop_sms": True}, None, "opt_out: customer.stop_sms for sms is true"),
        ({"stop_sms": None}, None, "opt_out: customer.stop_sms for sms is unknown"),
        ({"consent_email": False}, "consent: customer.consent_email for email is not given", None),
        ({"consent_email": None}, "consent: customer.consent_email for email is unknown", None),
    ],
)
def test_refused_and_unknown_both_bar(
    build: Callable[..., Revision],
    noon: datetime,
    changed: dict[str, object],
    email: str | None,
    sms: str | None,
) -> None:
    revision = build(workspace=WORKSPACE)
    mask = revision.mask(revision.context("ann", noon, FREE | changed))
    assert mask.reasons[revision.index(EMAIL)] == email
    assert mask.reasons[revision.index(SMS)] == sms
    assert mask.reasons[0] is None


def test_without_fields_nobody_is_asked(build: Callable[..., Revision]) -> None:
    revision = build(workspace=WORKSPACE | {"opt_out": "null", "channels": "{email: {}, sms: {}}"})
    assert {"opt_out", "consent"}.isdisjoint(rule.name for rule in revision.guardrails)
