"""The agents that decide now: a memory of what the ledger says stands, and never ahead of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from agents.actions import ANY
from agents.decisions import Decision
from agents.errors import StateError, UnknownNameError, did_you_mean
from agents.groups import position
from agents.load import LoadedWorkspace
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import Workspace
from agents.supplied import supply
from policies.base import Policy
from policies.decide import draw, explore
from policies.registry import create_policy, load_policy
from policies.samples import odd_contexts
from policies.snapshot import Manifest
from serving.learning.models import Models
from serving.learning.snapshots import SnapshotFolder
from serving.ledger import LedgerReader, Made
from serving.ledger.revisions import Standing

logger = logging.getLogger("nextbest")

_REMEMBERED = 128  # revisions, beside those that stand


@dataclass(frozen=True, slots=True)
class Active:
    """What decides for one agent: a revision, its policy and the snapshot that came from."""

    revision: Revision
    policy: Policy
    snapshot: str


@dataclass(frozen=True)
class Lineup:
    """All that stands of one agent, ready to decide.

    Args:
        standing: what the ledger says.
        active: decides.
        canary: decides for its share of the customers instead, if there is one.
        shadow: decides beside, and nothing comes of it, if there is one and it can be built.
        unready: the shadow's revision if its policy cannot be built: its budgets count all the
            same, or they would know too little on the day it is activated.
    """

    standing: Standing
    active: Active
    canary: Active | None = None
    shadow: Active | None = None
    unready: Revision | None = None

    @cached_property
    def all(self) -> tuple[Active, ...]:
        """All that stand, the active one first."""
        beside = (self.canary, self.shadow)
        return (self.active, *(each for each in beside if each is not None))

    @cached_property
    def revisions(self) -> tuple[Revision, ...]:
        """The revisions of all that stand, the active one first."""
        ready = tuple(each.revision for each in self.all)
        return ready if self.unready is None else (*ready, self.unready)

    def deciding(self, customer: str) -> Active:
        """Return what decides for a customer: always the same, until the canary ends or grows."""
        if self.canary is None or not chosen(self.standing, customer):
            return self.active
        return self.canary

    def swapped(self, old: Active, new: Active) -> Lineup:
        """Return the same with one that decides exchanged."""
        now = {id(each): new if each is old else each for each in self.all}
        canary, shadow = self.canary, self.shadow
        return replace(
            self,
            active=now[id(self.active)],
            canary=None if canary is None else now[id(canary)],
            shadow=None if shadow is None else now[id(shadow)],
        )


def chosen(standing: Standing, customer: str) -> bool:
    """Say whether a customer belongs to the canary's share; a share that grows only adds.

    The hash has a salt of its own for each canary, so it is not always the same customers, and
    they are no other share of a control group than everybody.

    Example:
        >>> chosen(Standing("a"), "ann")
        False
        >>> few, many = Standing("a", "b", 5), Standing("a", "b", 50)
        >>> all(chosen(many, str(i)) for i in range(1000) if chosen(few, str(i)))
        True
    """
    if standing.canary is None:
        return False
    return 100.0 * position(f"canary:{standing.canary}", customer) < standing.percent


@dataclass(slots=True)
class ActiveAgents:
    """What stands of every agent in memory, all of it rebuilt from ledger and snapshots.

    Args:
        loaded: the workspace that agents are checked against when they are submitted.
        snapshots: that the learner has published.
        models: of a registry, that decide in place of them; None without one.
        by_name: what stands now; each replaced whole, never changed in place.
    """

    loaded: LoadedWorkspace
    snapshots: SnapshotFolder
    models: Models | None = None
    by_name: dict[str, Lineup] = field(default_factory=dict)
    _revisions: dict[str, Revision] = field(default_factory=dict)

    @property
    def workspace(self) -> Workspace:
        """What binds every agent."""
        return self.loaded.workspace

    def restore(self, ledger: LedgerReader) -> None:
        """Take up all that stands in the ledger, with its newest usable snapshots."""
        for name in ledger.active():
            self.lineup(ledger, name)

    def current(self, ledger: LedgerReader, agent: str) -> Active:
        """Return an agent's active revision, ready to decide.

        Raises:
            UnknownNameError: there is no such agent.
        """
        return self.lineup(ledger, agent).active

    def lineup(self, ledger: LedgerReader, agent: str) -> Lineup:
        """Return all that stands of an agent, as the ledger has it in this transaction.

        Raises:
            UnknownNameError: there is no such agent.
        """
        standing = ledger.standing(agent)
        if standing is None:
            raise UnknownNameError(
                f"there is no agent {agent!r}; {did_you_mean(agent, ledger.active())}"
            )
        known = self.by_name.get(agent)
        if known is None or known.standing != standing:
            # at start, after a change, or when the commit of a change has failed
            known = self.by_name[agent] = self._take_up(ledger, standing, known)
        return known

    def standing(self, ledger: LedgerReader) -> Iterator[Revision]:
        """Yield the revisions of every agent that stand now."""
        for name in ledger.active():
            yield from self.lineup(ledger, name).revisions

    def beside(self, ledger: LedgerReader, agent: str, revision_id: str) -> tuple[Revision, ...]:
        """Return the revisions of an agent that stand, none if one alone does, as is usual.

        As the ledger has it: another replica may have let a canary stand since this one looked.
        """
        lineup = self.lineup(ledger, agent)
        return () if lineup.standing.ids == (revision_id,) else lineup.revisions

    def _take_up(self, ledger: LedgerReader, standing: Standing, before: Lineup | None) -> Lineup:
        """Build what stands, of what stood before as far as it is the same."""
        ready = {} if before is None else {each.revision.id: each for each in before.all}

        def take(revision_id: str) -> Active:
            return ready.get(revision_id) or self._build(self.revision(ledger, revision_id))

        canary = None if standing.canary is None else take(standing.canary)
        shadow = unready = None
        if standing.shadow is not None:
            try:
                unready = self.revision(ledger, standing.shadow)
                shadow, unready = take(standing.shadow), None
            except Exception:  # a shadow never stops what decides
                logger.exception("the shadow %s cannot be built", standing.shadow)
        return Lineup(standing, take(standing.revision), canary, shadow, unready)

    def rehearse(self) -> None:
        """Draw for two made-up customers by every policy: compilers and caches work now.

        A policy that cannot is reported; the others decide.
        """
        for name, active in self.every():
            mask = Mask((None,) * len(active.revision.actions))
            listed = None if active.revision.agent.supplied is None else supply([], {ANY: []})
            try:
                for each in odd_contexts(active.revision):
                    context = replace(each, supplied=listed)
                    answer = active.policy.distribution(context, mask)
                    draw(explore(active.revision, answer.probabilities, mask.allowed), 0.5)
            except Exception:
                logger.exception("the policy of %s could not be rehearsed", name)

    def every(self) -> Iterator[tuple[str, Active]]:
        """Yield the name of the agent and what decides, for all that stand now."""
        for name, lineup in list(self.by_name.items()):
            for active in lineup.all:
                yield name, active

    def due(self, active: Active) -> str | None:
        """Return the id of the model or snapshot that is to decide, None if it does already."""
        pinned = self._pinned(active.revision)
        if pinned is not None:
            return None if pinned == active.snapshot else pinned
        latest = self.snapshots.latest(active.revision.agent.agent)
        return None if latest is None or latest <= active.snapshot else latest

    def newer(self, active: Active) -> tuple[str, Policy] | None:
        """Load the model that is to decide, or else the newest usable snapshot, if it is another.

        Changes nothing, so it may run in another thread; see `swap`.
        """
        return self._taught(active.revision, above=active.snapshot)

    def swap(self, active: Active, snapshot: str, policy: Policy) -> None:
        """Decide from a newer snapshot from now on, unless something else stands meanwhile."""
        name = active.revision.agent.agent
        lineup = self.by_name.get(name)
        if lineup is not None:
            new = Active(active.revision, policy, snapshot)
            self.by_name[name] = lineup.swapped(active, new)

    def _build(self, revision: Revision) -> Active:
        snapshot, policy = self._taught(revision) or ("", create_policy(revision))
        return Active(revision, policy, snapshot)

    def _taught(self, revision: Revision, above: str = "") -> tuple[str, Policy] | None:
        learner = revision.agent.policy.learner
        pinned = self._pinned(revision)
        if pinned is not None and self.models is not None:
            if pinned == above:
                return None
            model = self.models.read(revision.agent.agent, pinned)
            if model is not None:
                return pinned, load_policy(learner, model[1], revision)

        def rebuild(manifest: Manifest, state: bytes) -> Policy | None:
            same = manifest.policy == learner
            return load_policy(learner, state, revision) if same else None

        found = self.snapshots.newest(revision.agent.agent, rebuild, above=above)
        return None if found is None or found[1] is None else (found[0], found[1])

    def _pinned(self, revision: Revision) -> str | None:
        agent = revision.agent
        return (
            None if self.models is None else self.models.pinned(agent.agent, agent.policy.learner)
        )

    def remember(self, revision: Revision) -> None:
        """Keep a revision that was compiled; those that nobody has asked for longest are let go."""
        self._revisions.pop(revision.id, None)
        self._revisions[revision.id] = revision
        while len(self._revisions) > _REMEMBERED:
            del self._revisions[next(iter(self._revisions))]

    def revision(self, ledger: LedgerReader, revision_id: str) -> Revision:
        """Return a revision, active or not.

        Raises:
            StateError: the ledger does not have it.
        """
        revision = self._revisions.get(revision_id)
        if revision is None:
            source = ledger.find_revision(revision_id)
            if source is None:
                raise StateError(f"the ledger has lost revision {revision_id}")
            revision = Revision.from_source(source)
        self.remember(revision)
        return revision

    def deciding(self, ledger: LedgerReader, decision: Decision | Made) -> Revision:
        """Return the revision that made a decision, with the actions that were offered then.

        Raises:
            StateError: the ledger does not have it.
        """
        return self.revision(ledger, decision.revision).offering(decision.actions)
