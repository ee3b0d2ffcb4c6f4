"""The agents that decide now: a memory of what the ledger has active, and never ahead of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from agents.errors import ContextError, StateError, UnknownNameError, did_you_mean
from agents.load import LoadedWorkspace, parse_agent
from agents.loading.faults import raise_first
from agents.loading.references import between_faults, other_agent_faults
from agents.mask import Mask
from agents.revision import Revision
from agents.spec import Workspace
from agents.yamlsource import Source, read_yaml
from policies.base import Policy
from policies.registry import check_policy, create_policy, load_policy
from policies.samples import odd_contexts
from policies.snapshot import Manifest
from serving.ledger import Ledger
from serving.recount import recount
from serving.snapshots import SnapshotFolder

logger = logging.getLogger("nextbest")


@dataclass(frozen=True, slots=True)
class Active:
    """What decides for one agent: its revision, its policy and the snapshot that came from."""

    revision: Revision
    policy: Policy
    snapshot: str


@dataclass(slots=True)
class ActiveAgents:
    """Every agent's revision and policy in memory, all of it rebuilt from ledger and snapshots.

    Args:
        loaded: the workspace that agents are checked against when they are submitted.
        by_name: what decides now; each replaced whole, never changed in place.
    """

    loaded: LoadedWorkspace
    snapshots: SnapshotFolder
    by_name: dict[str, Active] = field(default_factory=dict)
    _revisions: dict[str, Revision] = field(default_factory=dict)

    @property
    def workspace(self) -> Workspace:
        """What binds every agent."""
        return self.loaded.workspace

    def submit(self, ledger: Ledger, name: str, yaml: str) -> tuple[Revision, bool]:
        """Check an agent's YAML and make it the active revision.

        Returns:
            The revision, and whether it differs from the one that was active.

        Raises:
            DocumentError: the YAML cannot be accepted beside the other agents, or its learner or
                the learner's settings do not exist or are out of range; nothing has changed.
            ContextError: it describes an agent of another name.
        """
        source = read_yaml(yaml, f"agents/{name}.yaml")
        revision = Revision(self.workspace, parse_agent(source, self.workspace))
        if revision.agent.agent != name:
            raise ContextError(
                f"expected agent {name!r} as the address says, got {revision.agent.agent!r}"
            )
        self._check_beside_others(ledger, revision, source)
        return revision, self.activate(ledger, revision, check_policy(revision, source), yaml)

    def _check_beside_others(self, ledger: Ledger, revision: Revision, source: Source) -> None:
        """Refuse an agent that names agents that are not there, or lacks what the workspace names.

        Raises:
            DocumentError: with the place in the agent's YAML, or in workspace.yaml.
        """
        name = revision.agent.agent
        agents = {each: self.current(ledger, each).revision.agent for each in ledger.active()}
        agents[name] = revision.agent
        raise_first(source, other_agent_faults(revision.agent, agents))
        raise_first(self.loaded.source, between_faults(self.workspace, agents.values()))

    def activate(self, ledger: Ledger, revision: Revision, untaught: Policy, yaml: str) -> bool:
        """Make a checked revision the active one of its agent; say whether it was another."""
        name = revision.agent.agent
        present = ledger.active_revision(name)
        if present == revision.id:
            return False
        recount(ledger, None if present is None else self.revision(ledger, present), revision)
        ledger.activate(name, revision.id, yaml=yaml, source=revision.source)
        self._install(revision, untaught)
        return True

    def restore(self, ledger: Ledger) -> None:
        """Take up every active revision of the ledger, with its newest usable snapshot."""
        for name in ledger.active():
            self.current(ledger, name)

    def current(self, ledger: Ledger, agent: str) -> Active:
        """Return what decides for an agent, as the ledger has it in this transaction.

        Raises:
            UnknownNameError: there is no such agent.
        """
        revision_id = ledger.active_revision(agent)
        if revision_id is None:
            raise UnknownNameError(
                f"there is no agent {agent!r}; {did_you_mean(agent, ledger.active())}"
            )
        active = self.by_name.get(agent)
        if active is None or active.revision.id != revision_id:
            # at start, or when the commit that should have activated another one has failed
            revision = self.revision(ledger, revision_id)
            active = self._install(revision, create_policy(revision))
        return active

    def rehearse(self) -> None:
        """Let every policy answer for two made-up customers: compilers and caches work now.

        A policy that cannot is reported; the others decide.
        """
        for name, active in self.by_name.items():
            mask = Mask((None,) * len(active.revision.actions))
            try:
                for context in odd_contexts(active.revision):
                    active.policy.distribution(context, mask)
            except Exception:
                logger.exception("the policy of %s could not be rehearsed", name)

    def newer(self, active: Active) -> tuple[str, Policy] | None:
        """Load the newest usable snapshot of an agent's learner, if it is newer than the present.

        Changes nothing, so it may run in another thread; see `swap`.
        """
        return self._taught(active.revision, above=active.snapshot)

    def swap(self, active: Active, snapshot: str, policy: Policy) -> None:
        """Decide from a newer snapshot from now on, unless something else decides meanwhile."""
        name = active.revision.agent.agent
        if self.by_name.get(name) is active:
            self.by_name[name] = Active(active.revision, policy, snapshot)

    def _install(self, revision: Revision, untaught: Policy) -> Active:
        snapshot, policy = self._taught(revision) or ("", untaught)
        self._revisions[revision.id] = revision
        active = self.by_name[revision.agent.agent] = Active(revision, policy, snapshot)
        return active

    def _taught(self, revision: Revision, above: str = "") -> tuple[str, Policy] | None:
        learner = revision.agent.policy.learner

        def rebuild(manifest: Manifest, state: bytes) -> Policy | None:
            same = manifest.policy == learner
            return load_policy(learner, state, revision) if same else None

        found = self.snapshots.newest(revision.agent.agent, rebuild, above=above)
        return None if found is None or found[1] is None else (found[0], found[1])

    def revision(self, ledger: Ledger, revision_id: str) -> Revision:
        """Return a revision, active or not.

        Raises:
            StateError: the ledger does not have it.
        """
        revision = self._revisions.get(revision_id)
        if revision is None:
            source = ledger.find_revision(revision_id)
            if source is None:
                raise StateError(f"the ledger has lost revision {revision_id}")
            revision = self._revisions[revision_id] = Revision.from_source(source)
        return revision
