from __future__ import annotations

import subprocess
import sys

import gymnasium

from simulators.registration import register_environments
from simulators.worlds import WORLDS


def test_importing_the_room_registers_every_world() -> None:
    code = "import simulators, gymnasium as g; print(*(n for n in g.registry if 'nextbest' in n))"
    listed = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert {gymnasium.spec(name).kwargs["world"] for name in listed} == set(WORLDS)


def test_registering_twice_changes_nothing() -> None:
    before = dict(gymnasium.registry)
    register_environments()
    assert gymnasium.registry == before
