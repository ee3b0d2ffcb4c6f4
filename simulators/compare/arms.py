"""Arms of a comparison: an agent as it stands, with another learner, without its guardrails."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agents.revision import Revision
from policies.registry import policy_class
from simulators.offline.yardstick import without_floor as bare

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Arm:
    """What decides for all customers of one life.

    Args:
        name: unique among the arms of a comparison.
        revision: decides for everybody: it has no holdout.
    """

    name: str
    revision: Revision


def arm(revision: Revision, name: str = "") -> Arm:
    """Let an agent decide for every customer, so that groups take nothing from the comparison.

    Args:
        revision: of the agent; its holdout and the universal control are taken away.
        name: of the arm; the agent's own if empty.

    Example:
        >>> from simulators.examples import example_revision
        >>> arm(example_revision()).revision.agent.holdout.control
        0.0
    """
    agent, workspace = revision.agent, revision.workspace
    shares = {"control": 0.0, "random": 0.0, "managed": None}
    holdout = agent.holdout.model_copy(update=shares)
    return Arm(
        name or agent.agent,
        Revision(
            workspace.model_copy(update={"universal_control": None}),
            agent.model_copy(update={"holdout": holdout}),
        ),
    )


def with_learner(base: Arm, learner: str) -> Arm:
    """Let another learner decide, with its usual settings, under the same guardrails.

    Args:
        base: what it is like otherwise.
        learner: a name of `policies.registry.POLICIES`.

    Raises:
        UnknownNameError: there is no such learner.
    """
    policy_class(learner)  # an unknown name is an error here
    own = base.revision.agent.policy
    policy = own.model_copy(
        update={"learner": learner, "settings": {}, "mode": "online", "incumbent": None}
    )
    agent = base.revision.agent.model_copy(update={"policy": policy})
    return Arm(f"{base.name}: {learner}", Revision(base.revision.workspace, agent))


def without_guardrails(base: Arm) -> Arm:
    """Take away every declared guardrail; consent, eligibility and dates stay in force.

    Args:
        base: what it is like otherwise.
    """
    workspace = base.revision.workspace.model_copy(update={"guardrails": {}})
    agent = base.revision.agent.model_copy(update={"guardrails": {}})
    return Arm(f"{base.name}: no guardrails", Revision(workspace, agent))


def without_floor(base: Arm) -> Arm:
    """Take away the exploration floor, for one who has nothing to learn.

    Args:
        base: what it is like otherwise.
    """
    return Arm(f"{base.name}: no floor", bare(base.revision))


def distinct(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """Leave out what decides as an earlier arm does, and refuse two that share a name.

    Raises:
        ValueError: two different arms of one name.
    """
    known: dict[str, Arm] = {}
    for each in arms:
        known.setdefault(each.revision.id, each)
    names = [each.name for each in known.values()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"expected arms of different names, got {', '.join(twice)} twice")
    return tuple(known.values())


@contextmanager
def documents(revision: Revision) -> Iterator[Path]:
    """Write a revision as a workspace folder, for the checker, which reads documents alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agents").mkdir()
        parts = {"workspace": revision.workspace, f"agents/{revision.agent.agent}": revision.agent}
        for place, document in parts.items():
            content = document.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            # JSON is YAML, so the checker reads it as what a marketer wrote
            (folder / f"{place}.yaml").write_text(json.dumps(content), encoding="utf-8")
        yield folder
