from __future__ import annotations

import math

import pytest

from agents.errors import UnknownNameError
from policies.settings import Setting, read_settings

DECLARED = {"tau": Setting(0.6, 0.01, 5.0), "grid": Setting(128, 64, 512, whole=True)}


def test_defaults_and_given() -> None:
    assert read_settings("demo", DECLARED, {"grid": 64.0}) == {"tau": 0.6, "grid": 64.0}


def test_unknown_name() -> None:
    with pytest.raises(UnknownNameError) as caught:
        read_settings("demo", DECLARED, {"tua": 1.0})
    message = "policy.settings.tua: demo has no setting 'tua'; did you mean 'tau'?"
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tau", 0.0, "policy.settings.tau: expected a number from 0.01 to 5, got 0"),
        ("tau", math.nan, "policy.settings.tau: expected a number from 0.01 to 5, got nan"),
        ("grid", 100.5, "policy.settings.grid: expected a whole number from 64 to 512, got 100.5"),
        ("grid", 1024.0, "policy.settings.grid: expected a whole number from 64 to 512, got 1024"),
    ],
)
def test_out_of_range(name: str, value: float, message: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        read_settings("demo", DECLARED, {name: value})
    assert str(caught.value) == message
