"""The life of an agent: a revision is put, tried on a few or in the shadow, activated, taken back.

Every function here runs as a job of the writer: what it checks and what it writes are one
transaction. What takes longer, reading and compiling YAML, is done before, by
`serving.life.written`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from agents.errors import ContextError, UnknownNameError
from agents.loading.faults import raise_first
from agents.loading.references import between_faults, other_agent_faults
from agents.revision import Revision
from agents.yamlsource import Source, read_yaml
from serving.clock import Clock
from serving.deciding.active import ActiveAgents
from serving.deciding.recount import recount
from serving.ledger import Ledger, LedgerReader
from serving.ledger.revisions import Standing
from serving.life.standing import Activation, Changed, conflict, named, stand
from serving.life.written import Written, read_agent, same_workspace

SERVER = "server"
"""Who changes what the files of the workspace have changed."""


@dataclass(frozen=True, slots=True)
class Why:
    """Who changes what stands, and for what reason, as the log and the audit log say."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Changes what stands of an agent, with the ledger's transaction as its only state."""

    agents: ActiveAgents
    clock: Clock

    def check(self, ledger: LedgerReader, written: Written) -> bool:
        """Check a revision as it is checked when it is put; say whether it would be new.

        Raises:
            DocumentError: it cannot stand beside the other agents.
        """
        revision = written.revision
        self._check_beside_others(ledger, revision, written.source)
        return ledger.stored_revision(revision.agent.agent, revision.id) is None

    def put(self, ledger: Ledger, written: Written, actor: str) -> bool:
        """Store a revision, which changes nothing yet; say whether it is new.

        Raises:
            DocumentError: it cannot stand beside the other agents.
        """
        self.check(ledger, written)
        return self._store(ledger, written, actor)

    def submit(self, ledger: Ledger, written: Written) -> bool:
        """Store a revision that was checked beside the others, and make it the active one.

        As the workspace's files do at start, whatever stands.

        Returns:
            Whether another one was active.
        """
        name, revision = written.revision.agent.agent, written.revision
        self._store(ledger, written, SERVER)
        present = ledger.standing(name)
        if present is not None and present.revision == revision.id:
            return False
        self._stand(ledger, name, present, Standing(revision.id), Why(SERVER, "its files"))
        return True

    def activate(self, ledger: Ledger, name: str, asked: Activation, actor: str) -> Changed:
        """Let a revision stand, if what is active is what the caller believes.

        Raises:
            ConflictError: something else is active, or another canary or shadow stands there.
            UnknownNameError: the agent has no such revision.
            ContextError: the revision was checked inside another workspace.
            DocumentError: it cannot stand beside the other agents as they are now.
        """
        self._require_stored(ledger, name, asked.revision)
        present = ledger.standing(name)
        active = None if present is None else present.revision
        if active != asked.expected:
            raise conflict(f"expected {named(asked.expected)} to be active", name, present)
        after = stand(present, asked, name)
        if after == present:
            return Changed(after, False)
        self._stand(ledger, name, present, after, Why(actor, asked.reason))
        return Changed(after, True)

    def rollback(self, ledger: Ledger, name: str, why: Why) -> Changed:
        """End the canary and the shadow; without either, go back to what was active before.

        What is gone back to is compiled inside the workspace as it is now.

        Raises:
            UnknownNameError: there is no such agent.
            ConflictError: nothing was active before.
            DocumentError: what was active before does not fit the workspace or the other agents.
        """
        present = self.agents.lineup(ledger, name).standing
        if len(present.ids) > 1:
            after = Standing(present.revision)
            self._stand(ledger, name, present, after, why)
            return Changed(after, True)
        before = ledger.before(name)
        if before is None:
            raise conflict("expected a revision that was active before, got none", name, present)
        written = self._renewed(ledger, name, before)
        self.put(ledger, written, why.actor)
        after = Standing(written.revision.id)
        self._recount(ledger, present, after)
        ledger.step_back(name, after, self._about(ledger, name, after, why))
        self.agents.lineup(ledger, name)
        return Changed(after, after != present)

    def renew(self, ledger: Ledger, name: str) -> None:
        """Compile all that stands of an agent inside the workspace as it is now.

        Raises:
            DocumentError: something that stands does not fit it any more.
        """
        present = self.agents.lineup(ledger, name).standing
        now = {each: self._renew_one(ledger, name, each) for each in present.ids}
        after = replace(
            present,
            revision=now[present.revision],
            canary=None if present.canary is None else now[present.canary],
            shadow=None if present.shadow is None else now[present.shadow],
        )
        if after != present:
            self._recount(ledger, present, after)
            why = Why(SERVER, "the workspace has changed")
            ledger.replace(name, after, self._about(ledger, name, after, why))
            self.agents.lineup(ledger, name)

    def _renew_one(self, ledger: Ledger, name: str, revision_id: str) -> str:
        written = self._renewed(ledger, name, revision_id)
        if written.revision is self.agents.loaded.revisions.get(name):
            self._store(ledger, written, SERVER)  # checked beside the other files
        else:
            self.put(ledger, written, SERVER)
        return written.revision.id

    def _renewed(self, ledger: LedgerReader, name: str, revision_id: str) -> Written:
        """Return a revision as it is inside the workspace now.

        Raises:
            DocumentError: it does not fit.
        """
        revision = self.agents.revision(ledger, revision_id)
        yaml = ledger.find_yaml(revision_id) or ""
        loaded = self.agents.loaded
        if same_workspace(revision, loaded.workspace):
            return Written(revision, yaml, read_yaml(yaml, f"agents/{name}.yaml"))
        if loaded.texts.get(name) == yaml:  # with the lists of customers that it names
            return Written(loaded.revisions[name], yaml, loaded.sources[name])
        return read_agent(name, yaml, loaded.workspace)

    def _require_stored(self, ledger: LedgerReader, name: str, revision_id: str) -> None:
        if ledger.stored_revision(name, revision_id) is None:
            raise UnknownNameError(
                f"agent {name!r} has no revision {revision_id!r};"
                f" put its YAML first, or see GET /v1/agents/{name}/revisions"
            )
        revision = self.agents.revision(ledger, revision_id)
        if not same_workspace(revision, self.agents.workspace):
            raise ContextError(
                f"revision {revision_id} was checked inside another workspace.yaml; put its YAML"
                " again, and activate what that answers"
            )
        yaml = ledger.find_yaml(revision_id) or ""
        self._check_beside_others(ledger, revision, read_yaml(yaml, f"agents/{name}.yaml"))

    def _check_beside_others(
        self, ledger: LedgerReader, revision: Revision, source: Source
    ) -> None:
        """Refuse an agent that names agents that are not there, or lacks what the workspace names.

        Raises:
            DocumentError: with the place in the agent's YAML, or in workspace.yaml.
        """
        agents = {
            each: self.agents.current(ledger, each).revision.agent for each in ledger.active()
        }
        agents[revision.agent.agent] = revision.agent
        raise_first(source, other_agent_faults(revision.agent, agents))
        loaded = self.agents.loaded
        raise_first(loaded.source, between_faults(loaded.workspace, agents.values()))

    def _store(self, ledger: Ledger, written: Written, actor: str) -> bool:
        revision = written.revision
        self.agents.remember(revision)
        return ledger.put_revision(
            revision.agent.agent, revision.id, yaml=written.yaml, source=revision.source,
            at=self.now(ledger), actor=actor, actions=revision.action_ids,
        )  # fmt: skip

    def _stand(
        self, ledger: Ledger, name: str, before: Standing | None, after: Standing, why: Why
    ) -> None:
        self._recount(ledger, before, after)
        ledger.stand(name, after, self._about(ledger, name, after, why))
        self.agents.lineup(ledger, name)  # so that what cannot be built is refused here

    def _recount(self, ledger: Ledger, before: Standing | None, after: Standing) -> None:
        def revisions(standing: Standing | None) -> list[Revision]:
            ids = () if standing is None else standing.ids
            return [self.agents.revision(ledger, each) for each in ids]

        recount(ledger, revisions(before), revisions(after))

    def _about(self, ledger: Ledger, name: str, after: Standing, why: Why) -> Mapping[str, Any]:
        """Write the audit row of a change; return what the log's entry says besides."""
        at = self.now(ledger)
        told = {"agent": name, **after.to_record(), "reason": why.reason}
        ledger.add_audit(at, why.actor, "agent.stand", told)
        return {"reason": why.reason, "actor": why.actor, "at": at.isoformat()}

    def now(self, ledger: LedgerReader) -> datetime:
        """Return the instant of a change; in a simulation that has not begun, the machine's."""
        return self.clock.reached(ledger.last_instant()) or datetime.now(UTC)
