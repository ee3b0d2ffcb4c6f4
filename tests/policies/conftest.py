"""One revision for all tests of the room: the example workspace's agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import agents
from agents.load import load_workspace
from agents.revision import Revision

EXAMPLE = Path(agents.__file__).parent / "examples" / "telecom"


@pytest.fixture(scope="session")
def revision() -> Revision:
    return load_workspace(EXAMPLE).revisions["retention"]


@pytest.fixture(scope="session")
def loop() -> Revision:
    """The example's agent whose actions come with each request, with those of one."""
    (revision,) = load_workspace(EXAMPLE.parent / "personalizer").revisions.values()
    return revision.offering(("none", "a", "b", "c"))


@pytest.fixture(scope="session")
def with_settings(revision: Revision) -> Callable[[Mapping[str, float]], Revision]:
    """Return the revision with other settings of its learner."""

    def build(settings: Mapping[str, float]) -> Revision:
        policy = revision.agent.policy.model_copy(update={"settings": dict(settings)})
        agent = revision.agent.model_copy(update={"policy": policy})
        return Revision(revision.workspace, agent)

    return build
