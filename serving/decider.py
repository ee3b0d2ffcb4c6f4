"""What the server does inside one transaction: decide, record an outcome, activate an agent.

Every function here runs as a job of the writer, reads the ledger's state and writes to it in the
same transaction, so no mask is ever computed from a state that is not the committed one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from agents.decisions import Decision, OutcomeEvent
from agents.errors import ContextError, StateError, UnknownNameError, did_you_mean
from agents.load import compile_agent
from agents.revision import Revision
from agents.rewards import counted
from agents.spec import Workspace
from policies.base import Policy
from policies.decide import decide
from policies.registry import create_policy
from serving.clock import Clock
from serving.ledger import Ledger
from serving.settings import Keys
from serving.snapshots import SnapshotFolder


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """One question: what is best for this customer now?

    Args:
        fingerprint: digest of the whole request, to tell a retry from another question.
        key: the caller's idempotency key, None if it gave none.
        at: the time that a driver claims, None in production.
    """

    agent: str
    customer: str
    features: dict[str, Any]
    fingerprint: bytes
    key: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OutcomeRequest:
    """One event that followed a decision."""

    outcome_id: str
    decision_id: str
    outcome: str
    fingerprint: bytes
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """A committed decision, the revision that speaks of it, and whether it was made before."""

    decision: Decision
    revision: Revision
    replayed: bool


@dataclass(frozen=True, slots=True)
class Recorded:
    """A committed outcome: whether it counts, and whether it was recorded before."""

    event: OutcomeEvent
    counted: bool
    replayed: bool


@dataclass(frozen=True, slots=True)
class Active:
    """What decides for one agent: its revision, its policy and the snapshot that came from."""

    revision: Revision
    policy: Policy
    snapshot: str


@dataclass(slots=True)
class Decider:
    """The server's state in memory, all of it rebuilt from the ledger and the snapshots.

    Args:
        workspace: what agents are checked against when they are submitted.
        active: by agent, what decides now; replaced whole, never changed in place.
    """

    workspace: Workspace
    keys: Keys
    clock: Clock
    snapshots: SnapshotFolder
    active: dict[str, Active] = field(default_factory=dict)
    _revisions: dict[str, Revision] = field(default_factory=dict)

    def decide(self, ledger: Ledger, request: DecisionRequest) -> Decided:
        """Make one decision, or return the one made before under the same key.

        Raises:
            UnknownNameError: there is no such agent.
            ContextError: the features do not fit, or the key was used for another request.
        """
        if request.key is not None:
            stored = ledger.find_by_key(request.key)
            if stored is not None:
                _require_same(stored.request, request.fingerprint, f"key {request.key!r}")
                return Decided(stored.decision, self.revision_of(ledger, stored.decision), True)
        active = self._active(request.agent)
        revision = active.revision
        at = self.clock.now(request.at)
        contacts = ledger.contacts(request.customer, at - revision.lookback)
        context = revision.context(request.customer, at, request.features, contacts)
        decision = decide(
            revision, active.policy, context,
            decision_id=uuid4().hex, secret=self.keys.draw, snapshot=active.snapshot,
        )  # fmt: skip
        contact = decision.contact(revision.actions[decision.action])
        ledger.add_decision(decision, contact, key=request.key, request=request.fingerprint)
        return Decided(decision, revision, False)

    def record(self, ledger: Ledger, request: OutcomeRequest) -> Recorded:
        """Record one outcome, once.

        Raises:
            UnknownNameError: the decision or the outcome is unknown.
            ContextError: the id was used for another outcome, or it precedes its decision.
        """
        known = ledger.find_outcome(request.outcome_id)
        if known is not None:
            _require_same(known.request, request.fingerprint, f"outcome_id {request.outcome_id!r}")
            return Recorded(known.event, known.counted, True)
        stored = ledger.find_decision(request.decision_id)
        if stored is None:
            raise UnknownNameError(
                f"there is no decision {request.decision_id!r};"
                " send the decision_id that POST /v1/decisions answered"
            )
        decision = stored.decision
        agent = self.revision_of(ledger, decision).agent
        if request.outcome not in agent.outcomes:
            raise UnknownNameError(
                f"agent {agent.agent!r} has no outcome {request.outcome!r};"
                f" {did_you_mean(request.outcome, agent.outcomes)}"
            )
        at = self.clock.now(request.at)
        if at < decision.at:
            raise ContextError(
                f"expected an outcome after its decision at {decision.at.isoformat()},"
                f" got {at.isoformat()}"
            )
        event = OutcomeEvent(request.outcome_id, request.decision_id, request.outcome, at)
        events = [*ledger.find_events(request.decision_id), event]
        counts = event in counted(agent, decision.at, events)
        ledger.add_outcome(event, counted=counts, request=request.fingerprint)
        return Recorded(event, counts, False)

    def submit(self, ledger: Ledger, name: str, yaml: str) -> tuple[Revision, bool]:
        """Check an agent's YAML and make it the active revision.

        Returns:
            The revision, and whether it differs from the one that was active.

        Raises:
            DocumentError: the YAML cannot be accepted; nothing has changed.
            ContextError: it describes an agent of another name.
            UnknownNameError: it names a learner or a setting that does not exist.
            ValueError: a learner's setting is out of range.
        """
        revision = compile_agent(yaml, f"agents/{name}.yaml", self.workspace)
        if revision.agent.agent != name:
            raise ContextError(
                f"expected agent {name!r} as the address says, got {revision.agent.agent!r}"
            )
        policy = create_policy(revision)
        if ledger.active().get(name) == revision.id:
            return revision, False
        ledger.activate(name, revision.id, yaml=yaml, source=revision.source)
        self._install(revision, policy)
        return revision, True

    def restore(self, ledger: Ledger) -> None:
        """Take up every active revision of the ledger, with its newest snapshot."""
        for revision_id in ledger.active().values():
            source = ledger.find_revision(revision_id)
            assert source is not None, "the ledger references each active revision"
            revision = Revision.from_source(source)
            self._install(revision, create_policy(revision))

    def swap(self, agent: str, revision: Revision, policy: Policy, snapshot: str) -> None:
        """Decide from a newer snapshot from now on, unless the revision has changed meanwhile."""
        if self.active[agent].revision is revision:
            self.active[agent] = Active(revision, policy, snapshot)

    def _install(self, revision: Revision, untaught: Policy) -> None:
        name = revision.agent.agent
        policy, snapshot = untaught, ""
        latest = self.snapshots.latest(name)
        if latest is not None:
            manifest, _ = self.snapshots.read(name, latest)
            if manifest.policy == untaught.name:
                policy, snapshot = self.snapshots.load(name, latest, revision), latest
        self._revisions[revision.id] = revision
        self.active[name] = Active(revision, policy, snapshot)

    def _active(self, agent: str) -> Active:
        try:
            return self.active[agent]
        except KeyError:
            raise UnknownNameError(
                f"there is no agent {agent!r}; {did_you_mean(agent, self.active)}"
            ) from None

    def revision_of(self, ledger: Ledger, decision: Decision) -> Revision:
        """Return the revision under which a decision was made.

        Raises:
            StateError: the ledger does not have it.
        """
        revision = self._revisions.get(decision.revision)
        if revision is None:
            source = ledger.find_revision(decision.revision)
            if source is None:
                raise StateError(f"the ledger has lost revision {decision.revision}")
            revision = self._revisions[decision.revision] = Revision.from_source(source)
        return revision


def _require_same(stored: bytes, asked: bytes, what: str) -> None:
    if stored != asked:
        raise ContextError(f"{what} was used before for a different request; choose a new one")
