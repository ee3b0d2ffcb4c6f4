"""What all tests of the room share: the example's revision, and ways to change it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import agents
from agents.load import compile_agent, load_workspace
from agents.revision import Revision
from simulators.world import World
from simulators.worlds import create_world

EXAMPLE = Path(agents.__file__).parent / "examples" / "telecom"


@pytest.fixture(scope="session")
def revision() -> Revision:
    return load_workspace(EXAMPLE).revisions["retention"]


@pytest.fixture
def world(revision: Revision) -> World:
    return create_world("retention", revision, customers=60, rounds=4, seed=3)


@pytest.fixture(scope="session")
def edited(revision: Revision) -> Callable[[str, str], Revision]:
    """Return the example's agent with one piece of its YAML replaced by another."""
    text = (EXAMPLE / "agents" / "retention.yaml").read_text(encoding="utf-8")

    def build(old: str, new: str) -> Revision:
        assert old in text
        return compile_agent(text.replace(old, new), "retention.yaml", revision.workspace)

    return build
