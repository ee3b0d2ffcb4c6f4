"""Every registry crossed with its contract: a new part is checked because it is registered.

A room adds itself by one function that yields (id, check to run) and one line in `CONTRACTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import chain
from pathlib import Path

import pytest

import agents
from agents.load import load_workspace
from agents.revision import Revision
from agents.spec import Agent, Workspace
from experiments.checks import ALL_CHECKS as ESTIMATOR_CHECKS
from experiments.estimators import ESTIMATORS
from experiments.interval_checks import ALL_CHECKS as INTERVAL_CHECKS
from experiments.intervals import INTERVALS
from policies.checks import ALL_CHECKS as POLICY_CHECKS
from policies.checks import RANKER_CHECKS
from policies.registry import POLICIES, RANKERS
from policies.uniform import Uniform
from simulators.checks import ALL_CHECKS as WORLD_CHECKS
from simulators.examples import example_revision
from simulators.world import World
from simulators.worlds import WORLDS

Case = tuple[str, Callable[[], None]]


@cache
def example() -> Revision:
    """Return the revision of the example workspace."""
    folder = Path(agents.__file__).parent / "examples" / "telecom"
    return load_workspace(folder).revisions["retention"]


@cache
def rich() -> Revision:
    """Return an agent whose customers have fields of every type."""
    folder = Path(__file__).parent / "simulators" / "rich"
    workspace = Workspace.model_validate_json((folder / "workspace.json").read_bytes())
    return Revision(workspace, Agent.model_validate_json((folder / "agent.json").read_bytes()))


@cache
def loop() -> Revision:
    """Return the loop of the example workspace, with the actions of one request."""
    folder = Path(agents.__file__).parent / "examples" / "personalizer"
    (revision,) = load_workspace(folder).revisions.values()
    return revision.offering(("none", *(f"action-{number}" for number in range(8))))


def rankers() -> Iterator[Case]:
    """Cross every learner of supplied actions with every check of such."""
    for name, policy in (RANKERS | {Uniform.name: Uniform}).items():
        for check in RANKER_CHECKS:
            yield f"rankers-{name}-{check.__name__}", partial(_on_loop, check, policy.create)


def policies() -> Iterator[Case]:
    """Cross every policy with every check, on the example and on a rich agent."""
    for name, policy in POLICIES.items():
        for check in POLICY_CHECKS:
            run = partial(_on_example, check, policy.create)
            yield f"policies-{name}-{check.__name__}", run
            yield f"policies-{name}-rich-{check.__name__}", partial(_on_rich, check, policy.create)


def worlds() -> Iterator[Case]:
    """Cross every world with every check, on the agent that it was made for.

    The one that fits all agents is crossed with a rich agent, too.
    """
    for name, world in WORLDS.items():
        for check in WORLD_CHECKS:
            yield f"worlds-{name}-{check.__name__}", partial(_on_own, check, world)
    for check in WORLD_CHECKS:
        yield f"worlds-generic-rich-{check.__name__}", partial(_on_rich, check, WORLDS["generic"])


def estimators() -> Iterator[Case]:
    """Cross every estimator with every check."""
    for name, estimator in ESTIMATORS.items():
        for check in ESTIMATOR_CHECKS:
            yield f"estimators-{name}-{check.__name__}", partial(check, estimator)


def intervals() -> Iterator[Case]:
    """Cross every interval with every check."""
    for name, interval in INTERVALS.items():
        for check in INTERVAL_CHECKS:
            yield f"intervals-{name}-{check.__name__}", partial(check, interval)


def _on_own(check: Callable[..., None], world: type[World]) -> None:
    check(world, example_revision(*world.made_for))


def _on_example(check: Callable[..., None], create: object) -> None:
    check(create, example())


def _on_rich(check: Callable[..., None], create: object) -> None:
    check(create, rich())


def _on_loop(check: Callable[..., None], create: object) -> None:
    check(create, loop())


CONTRACTS: list[Case] = list(chain(policies(), rankers(), worlds(), estimators(), intervals()))


@pytest.mark.parametrize("run", [run for _, run in CONTRACTS], ids=[name for name, _ in CONTRACTS])
def test_contract(run: Callable[[], None]) -> None:
    run()


def test_every_registered_part_is_checked() -> None:
    assert len({name for name, _ in CONTRACTS}) == len(CONTRACTS)
    expected = 2 * len(POLICIES) * len(POLICY_CHECKS) + (len(WORLDS) + 1) * len(WORLD_CHECKS)
    expected += (len(RANKERS) + 1) * len(RANKER_CHECKS)
    expected += len(ESTIMATORS) * len(ESTIMATOR_CHECKS)
    assert len(CONTRACTS) == expected + len(INTERVALS) * len(INTERVAL_CHECKS)
