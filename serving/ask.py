"""One decision for somebody at a terminal: made here by a workspace's files, or by a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich import box
from rich.table import Table

from agents.declared import require_declared
from agents.errors import StateError, UnknownNameError, did_you_mean
from agents.load import load_workspace
from agents.memory import Memory
from agents.revision import Revision
from policies.arbitrate import Arbiter
from policies.base import Policy
from policies.decide import decide
from policies.explaining.insight import explain_decision
from policies.registry import create_policy, load_policy
from policies.snapshot import Manifest
from serving.deciding.decider import settle
from serving.learning.models import kept_model
from serving.learning.snapshots import SnapshotFolder
from serving.security.client import call
from serving.settings import Settings, load_keys


@dataclass(frozen=True, slots=True)
class Question:
    """What is best for this customer?

    Args:
        agents: who may answer, at least one; of several, one is chosen by arbitration.
        at: the moment (UTC), None for now.
        placement: the slot of an on-site channel that is to be filled, empty if none.
        channels: the only ones that may be used, empty for all.
    """

    agents: tuple[str, ...]
    customer: str
    features: Mapping[str, Any]
    at: datetime | None = None
    placement: str = ""
    channels: tuple[str, ...] = ()


def ask_here(
    workspace: Path, question: Question, *, data: Path | None = None, why: bool = False
) -> dict[str, Any]:
    """Decide by a workspace's files, with nothing known of the past.

    Args:
        workspace: its folder.
        question: who asks for whom.
        data: a server's data folder, to decide with the newest snapshots in it; untaught if None.
        why: whether to explain the decision.

    Returns:
        The decision's record with `action_id`, `arbitration` and `insight`, None if not asked for.

    Raises:
        DocumentError: the workspace is wrong.
        UnknownNameError: it has no such agent.
        ContextError: the features do not fit.
        StateError: the data folder has no snapshot that fits.
    """
    loaded = load_workspace(workspace)
    decision_id, secret = uuid4().hex, uuid4().bytes
    made, revisions, policies = [], [], []
    for name in question.agents:
        revision = loaded.revisions.get(name)
        if revision is None:
            known = did_you_mean(name, loaded.revisions)
            raise UnknownNameError(f"there is no agent {name!r}; {known}")
        require_declared(revision, "a question about a customer")
        context = Memory().recall(
            revision, question.customer, question.at or datetime.now(UTC), question.features,
            placement=question.placement, channels=question.channels,
        )  # fmt: skip
        snapshot, policy = ("", create_policy(revision)) if data is None else taught(revision, data)
        decision = decide(
            revision, policy, context, decision_id=decision_id, secret=secret, snapshot=snapshot
        )
        made.append(decision)
        revisions.append(revision)
        policies.append(policy)
    settled = settle(Arbiter(loaded.workspace), made, revisions, secret)
    chosen = 0 if settled is None else question.agents.index(settled.chosen)
    which = revisions[chosen], policies[chosen], made[chosen]
    return made[chosen].to_record() | {
        "action_id": made[chosen].action_id,
        "arbitration": None if settled is None else asdict(settled),
        "insight": explain_decision(*which).to_record() if why else None,
    }


def taught(revision: Revision, data: Path) -> tuple[str, Policy]:
    """Return what a server decides with for an agent: a registered model, or the newest snapshot.

    Its id comes first.

    Raises:
        StateError: the folder has no usable snapshot of the agent's learner.
    """
    settings, agent = Settings(Path(), data), revision.agent

    def rebuild(manifest: Manifest, state: bytes) -> Policy | None:
        same = manifest.policy == agent.policy.learner
        return load_policy(manifest.policy, state, revision) if same else None

    # With neither ledger nor keys, reading the keys would make them; a warm start has keys only.
    if settings.ledger.exists() or settings.keys.exists():
        folder = SnapshotFolder(settings.snapshots, load_keys(data).snapshot)
        model = kept_model(folder, agent.agent, agent.policy.learner)
        if model is not None:
            return model[0], load_policy(agent.policy.learner, model[1], revision)
        found = folder.newest(agent.agent, rebuild)
        if found is not None and found[1] is not None:
            return found[0], found[1]
    raise StateError(
        f"expected a snapshot of {agent.policy.learner} for agent {agent.agent!r} in"
        f" {settings.snapshots}, got none; leave out --data to decide untaught"
    )


def ask_there(url: str, question: Question, *, why: bool = False) -> dict[str, Any]:
    """Ask a server, which keeps the decision; return its whole record.

    Args:
        url: of the server.
        question: who asks for whom.
        why: whether the server is to explain the decision, under `insight`.

    Raises:
        StateError: there is no server at the address, or another one.
        ContextError, UnknownNameError, ConflictError: it refused.
    """
    body: dict[str, Any] = {"customer": question.customer, "features": question.features}
    if len(question.agents) == 1:
        body["agent"] = question.agents[0]
    else:
        body["agents"] = question.agents
    if question.at is not None:
        body["at"] = question.at.isoformat()
    if question.placement:
        body["placement"] = question.placement
    if question.channels:
        body["channels"] = question.channels
    if why:
        body["explain"] = True
    made = call(url, "POST", "/v1/decisions", body=body)
    try:
        whole: dict[str, Any] = call(url, "GET", f"/v1/decisions/{made['decision_id']}")
        return whole | {"insight": made["insight"]}
    except (LookupError, TypeError):
        raise StateError(
            f"expected a decision from {url}, got something else; is --url right?"
        ) from None


def bids_table(arbitration: Mapping[str, Any]) -> Table:
    """Lay out who bid for a customer, the drawn agent in bold."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("probability", "score", "value", "context weight", "lever"):
        table.add_column(head, justify="right")
    table.add_column("agent", overflow="fold")
    for bid in arbitration["bids"]:
        table.add_row(
            f"{bid['probability']:.4f}",
            *(f"{bid[name]:,.3f}" for name in ("score", "value", "context_weight", "lever")),
            bid["agent"],
            style="bold" if bid["agent"] == arbitration["chosen"] else None,
        )
    return table
