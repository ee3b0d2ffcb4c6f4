from __future__ import annotations

import pytest

from agents.errors import UnknownNameError
from agents.revision import Revision
from simulators.worlds import WORLDS, create_world


def test_every_world_is_built_by_its_name(revision: Revision) -> None:
    for name, world in WORLDS.items():
        built = create_world(name, revision, customers=2)
        assert type(built) is world
        assert built.name == name


def test_every_world_documents_what_a_researcher_asks() -> None:
    for world in WORLDS.values():
        for section in (
            "Actions", "Observation", "Reward", "Episode end", "Ground truth", "Version history",
        ):  # fmt: skip
            assert f"**{section}.**" in str(world.__doc__)


def test_an_unknown_world_leads_to_the_nearest(revision: Revision) -> None:
    message = r"^there is no world 'retension'; did you mean 'retention'\?$"
    with pytest.raises(UnknownNameError, match=message):
        create_world("retension", revision)
