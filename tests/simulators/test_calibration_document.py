from __future__ import annotations

from datetime import timedelta

import pytest

from simulators.calibration.document import world_yaml
from simulators.market.load import read_world
from simulators.market.market import Market
from simulators.worlds import WORLDS

MARKETS = [name for name, world in WORLDS.items() if issubclass(world, Market)]


def market(name: str) -> type[Market]:
    found = WORLDS[name]
    assert issubclass(found, Market)
    return found


@pytest.mark.parametrize("name", MARKETS)
def test_every_world_is_read_again_as_it_was_written(name: str) -> None:
    spec = market(name).spec
    assert read_world(world_yaml(spec), "again.yaml") == spec


def test_every_part_is_written(everything: type[Market]) -> None:
    spec = everything.spec
    assert read_world(world_yaml(spec), "again.yaml") == spec


def test_long_durations_are_written_in_minutes_and_the_comment_comes_first() -> None:
    spec = market("telecom").spec
    long = timedelta(days=20, seconds=31)
    made = spec.model_copy(
        update={"fatigue": spec.fatigue.model_copy(update={"half_life": long, "step": 1e-7})}
    )
    text = world_yaml(made, "First line.\nSecond line.")
    assert text.startswith("# First line.\n# Second line.\n")
    again = read_world(text, "again.yaml")
    assert again.fatigue.half_life == timedelta(days=20, minutes=1)
    assert again.fatigue.step == 1e-7
