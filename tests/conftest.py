"""For every test: property tests try the same examples on every machine; a port, a customer."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("nextbest", deadline=None, derandomize=True, database=None)
settings.load_profile("nextbest")


@pytest.fixture
def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def features() -> dict[str, Any]:
    """What is known of a customer of the example `telecom`; rooms with others bring their own."""
    return {
        "tenure_months": 30, "plan": "plus", "monthly_bill": 42.5, "bill_change": 0.3,
        "data_used_share": 0.95, "roaming_days": 2, "contract_months_left": 3, "app_user": True,
        "open_complaint": False, "consent_email": True, "consent_sms": True, "consent_push": True,
        "time_zone": "Europe/Berlin",
    }  # fmt: skip
