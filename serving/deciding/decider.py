"""What the server does inside one transaction: make a decision.

Every function here runs as a job of the writer, reads the ledger's state and writes to it in the
same transaction, so no mask is ever computed from a state that is not the committed one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from agents.content import Rendered
from agents.decisions import Decision
from agents.errors import ConflictError, ContextError, StateError
from agents.revision import Revision
from agents.supplied import Supplied
from policies.arbitrate import Arbiter, Arbitrated, Bid
from policies.decide import decide
from serving.clock import Clock
from serving.deciding.active import Active, ActiveAgents
from serving.deciding.recall import keep, recall
from serving.ids import new_id
from serving.ledger import Ledger, StoredDecision
from serving.settings import Keys


class UsedBeforeError(ContextError):
    """An id came with another request before."""


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """One question: what is best for this customer now?

    Args:
        agents: who may answer; of several, one is chosen by arbitration.
        fingerprint: digest of the whole request, to tell a retry from another question.
        key: the caller's idempotency key, None if it gave none.
        at: the time that a driver claims, None in production.
        placement: the slot of an on-site channel that is to be filled, empty if none.
        channels: the only ones that may be used, empty for all.
        supplied: the actions to choose from, of an agent that declares none.
        defer: whether the contact is only reserved until the caller says that it is made.
    """

    agents: tuple[str, ...]
    customer: str
    features: Mapping[str, object]
    fingerprint: bytes
    key: str | None = None
    at: datetime | None = None
    placement: str = ""
    channels: tuple[str, ...] = ()
    supplied: Supplied | None = None
    defer: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """A committed decision and what its caller is told of it.

    Args:
        content: the words for the customer, None for `none`.
        replayed: whether it was made before.
        arbitration: as in the ledger, None if one agent was asked.
    """

    decision: Decision
    revision: Revision
    content: Rendered | None
    replayed: bool
    arbitration: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Decider:
    """Makes decisions, with the ledger's transaction as its only state."""

    agents: ActiveAgents
    arbiter: Arbiter
    keys: Keys
    clock: Clock
    note: Callable[[Revision, Decision], None] = lambda _revision, _decision: None
    """Told of everything that is decided on the way to a decision."""

    def decide(self, ledger: Ledger, request: DecisionRequest) -> Decided:
        """Make one decision, or return the one made before under the same key.

        Raises:
            UnknownNameError: there is no such agent.
            ContextError: the features do not fit, or the key was used for another request.
        """
        if request.key is not None:
            stored = ledger.find_by_key(request.key)
            if stored is not None:
                require_same(stored.request, request.fingerprint, f"key {request.key!r}")
                return self._again(ledger, stored)
        at, decision_id = self.clock.now(request.at), self.clock.name(request.key) or new_id()
        lineups = [self.agents.lineup(ledger, name) for name in request.agents]
        asked = [lineup.deciding(request.customer) for lineup in lineups]
        made = [self._decide(ledger, active, request, at, decision_id) for active in asked]
        revisions = [
            active.revision.offering(each.actions) for active, each in zip(asked, made, strict=True)
        ]
        settled = settle(self.arbiter, made, revisions, self.keys.draw)
        chosen = 0 if settled is None else request.agents.index(settled.chosen)
        decision, revision = made[chosen], revisions[chosen]
        arbitration = None if settled is None else asdict(settled)
        answer = Decided(decision, revision, _content(decision, revision), False, arbitration)
        keep(
            ledger, decision, revision,
            key=request.key, request=request.fingerprint, arbitration=arbitration,
            shadow=self._shadow(ledger, lineups[chosen].shadow, request, decision),
            beside=lineups[chosen].revisions, defer=request.defer,
        )  # fmt: skip
        return answer

    def _shadow(
        self, ledger: Ledger, shadow: Active | None, request: DecisionRequest, made: Decision
    ) -> Mapping[str, Any] | None:
        """Decide once more from the same state, by what nothing comes of; None without a shadow.

        What goes wrong there is told in its place: it never changes a decision, and stops none.
        """
        if shadow is None:
            return None
        try:
            decision = self._decide(ledger, shadow, request, made.at, made.decision_id)
        except Exception as error:  # noqa: BLE001 - only its kind: it may hold customers' data
            return {"revision": shadow.revision.id, "failed": type(error).__name__}
        return {
            "revision": decision.revision,
            "snapshot": decision.snapshot,
            "actions": list(decision.actions),
            "mask": list(decision.mask.reasons),
            "distribution": decision.distribution.tolist(),
            "action": decision.action_id,
        }

    def _decide(
        self,
        ledger: Ledger,
        active: Active,
        request: DecisionRequest,
        at: datetime,
        decision_id: str,
    ) -> Decision:
        supplied = request.supplied
        require_supplied(active.revision, supplied)
        revision = active.revision
        if supplied is not None:
            revision = revision.offering(supplied.actions)
        context = recall(
            ledger, revision, request.customer, at, request.features,
            placement=request.placement, channels=request.channels, supplied=supplied,
        )  # fmt: skip
        decision = decide(
            revision, active.policy, context,
            decision_id=decision_id, secret=self.keys.draw, snapshot=active.snapshot,
        )  # fmt: skip
        _require_lawful(decision)
        self.note(revision, decision)
        return decision

    def _again(self, ledger: Ledger, stored: StoredDecision) -> Decided:
        """Answer as before, unless the contact must not be made any more.

        Raises:
            ConflictError: it was released or has expired since, as after an objection.
        """
        decision = stored.decision
        delivery = None if decision.send_at is None else ledger.delivery(decision.decision_id)
        if delivery is not None and delivery.given_back:
            raise ConflictError(
                f"decision {decision.decision_id} of this key was {delivery.state} meanwhile; do"
                " not send it, and ask with a new key for another",
                decision_id=decision.decision_id,
            )
        revision = self.agents.deciding(ledger, decision)
        content = _content(decision, revision)
        return Decided(decision, revision, content, True, stored.arbitration)


def require_supplied(revision: Revision, supplied: Supplied | None) -> None:
    """Refuse a request that lists actions for an agent that declares its own, or lists none.

    Raises:
        ContextError: it is the wrong kind of request.
    """
    agent = revision.agent.agent
    if (supplied is None) != (revision.agent.supplied is None):
        raise ContextError(
            f"agent {agent!r} has its actions from each request; ask"
            f" POST /loops/{agent}/personalizer/v1.0/rank"
            if supplied is None
            else f"agent {agent!r} declares its offers; ask POST /v1/decisions"
        )


def settle(
    arbiter: Arbiter, made: Sequence[Decision], revisions: Sequence[Revision], secret: bytes
) -> Arbitrated | None:
    """Settle which of several agents' decisions about a customer stands.

    Args:
        arbiter: of their workspace.
        made: one decision of each agent, all with one id; those that can do more than nothing bid.
        revisions: by which each was made.
        secret: the server's key.

    Returns:
        Who was drawn; None if one agent alone was asked, or none could act: the first one stands.
    """
    if len(made) == 1:
        return None
    bids = [
        Bid(each.agent, bid_value(each, revision))
        for each, revision in zip(made, revisions, strict=True)
        if each.mask.allowed[1:].any()
    ]
    if not bids:
        return None
    first = made[0]
    return arbiter.arbitrate(bids, first.context, decision_id=first.decision_id, secret=secret)


def bid_value(decision: Decision, revision: Revision) -> float:
    """Return what an agent's own decision is worth before it is drawn, in currency.

    It is the sum of p x (expected reward + the offer's value). A policy without values expects 0.
    Not the drawn action's value, so that a draw does not decide who draws.
    """
    offers = np.array([action.value for action in revision.actions])  # (A,)
    expected = np.nan_to_num(decision.expected, nan=0.0)  # (A,)
    return float(decision.distribution @ (expected + offers))


def require_same(stored: bytes, asked: bytes, what: str) -> None:
    """Refuse another request under an id that was used before.

    Raises:
        UsedBeforeError: the fingerprints differ.
    """
    if stored != asked:
        raise UsedBeforeError(f"{what} was used before for a different request; choose a new one")


def _content(decision: Decision, revision: Revision) -> Rendered | None:
    action = revision.actions[decision.action]
    return None if action.is_none else revision.content(action, decision.context)


def _require_lawful(decision: Decision) -> None:
    """Refuse a draw that the law could not have made, as from a model that answers NaN."""
    barred = decision.mask.reasons[decision.action] is not None
    if barred or not 0.0 < decision.propensity <= 1.0:
        raise StateError(
            f"the policy {decision.policy} answered no distribution; nothing was decided;"
            " activate the agent with another learner, or remove its newest snapshots"
        )
