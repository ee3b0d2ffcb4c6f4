"""The revisions of a ledger, which of them stand, and its notes to itself.

An agent's revisions are stored once and never changed. One row says which of them stand now, and
every change of it is an entry of the log. What was active before is a stack: activating puts a
revision on it, rolling back takes one off, so two rollbacks in a row go back twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson

from serving.ledger.database import Database, from_micros, to_micros
from serving.ledger.log import Log


@dataclass(frozen=True, slots=True)
class Standing:
    """Which revisions of an agent decide, and which one is only watched.

    Args:
        revision: the active one, by its id.
        canary: decides for some customers instead, None if there is none.
        percent: how many customers the canary decides for, 1 to 99; 0 without one.
        shadow: decides beside, and nothing comes of it; None if there is none.
    """

    revision: str
    canary: str | None = None
    percent: int = 0
    shadow: str | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """All that stand, the active one first."""
        beside = (self.canary, self.shadow)
        return (self.revision, *(each for each in beside if each is not None))

    def role(self, revision_id: str) -> str:
        """Return what a revision is now: `active`, `canary`, `shadow` or `stored`."""
        roles = {self.shadow: "shadow", self.canary: "canary", self.revision: "active"}
        return roles.get(revision_id, "stored")

    def to_record(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class StoredRevision:
    """A revision as it was put.

    Args:
        at: when, by the server's clock.
        actor: who did it, as the audit log names it.
    """

    id: str
    at: datetime
    actor: str


class RevisionReader:
    """Reads revisions."""

    _db: Database

    def find_revision(self, revision_id: str) -> bytes | None:
        """Return the source of a revision."""
        rows = self._db.rows("SELECT source FROM revision WHERE revision_id = ?", (revision_id,))
        return bytes(rows[0][0]) if rows else None

    def find_yaml(self, revision_id: str) -> str | None:
        """Return the YAML that a revision was submitted as."""
        rows = self._db.rows("SELECT yaml FROM revision WHERE revision_id = ?", (revision_id,))
        return str(rows[0][0]) if rows else None

    def revisions_of(self, agent: str) -> list[StoredRevision]:
        """Return an agent's revisions, the newest first, and no more than a thousand."""
        rows = self._db.rows(
            "SELECT revision_id, at, actor FROM revision WHERE agent = ?"
            " ORDER BY at DESC, revision_id LIMIT 1000",
            (agent,),
        )
        return [StoredRevision(name, from_micros(at), actor) for name, at, actor in rows]

    def stored_revision(self, agent: str, revision_id: str) -> StoredRevision | None:
        """Return when and by whom a revision of an agent was put, None if the agent has none."""
        rows = self._db.rows(
            "SELECT revision_id, at, actor FROM revision WHERE revision_id = ? AND agent = ?",
            (revision_id, agent),
        )
        return StoredRevision(rows[0][0], from_micros(rows[0][1]), rows[0][2]) if rows else None

    def active(self) -> dict[str, str]:
        """Return the id of the active revision of each agent."""
        return dict(self._db.rows("SELECT agent, revision_id FROM active ORDER BY agent"))

    def active_revision(self, agent: str) -> str | None:
        """Return the id of an agent's active revision."""
        standing = self.standing(agent)
        return None if standing is None else standing.revision

    def standing(self, agent: str) -> Standing | None:
        """Return which revisions of an agent stand, None if there is no such agent."""
        rows = self._db.rows(
            "SELECT revision_id, canary_id, percent, shadow_id FROM active WHERE agent = ?",
            (agent,),
        )
        return Standing(*rows[0]) if rows else None

    def before(self, agent: str) -> str | None:
        """Return the id of the revision to which a rollback goes, None if there is none."""
        rows = self._db.rows(
            "SELECT revision_id FROM activation WHERE position = (SELECT back FROM activation"
            " WHERE position = (SELECT position FROM active WHERE agent = ?))",
            (agent,),
        )
        return str(rows[0][0]) if rows else None


class Revisions(RevisionReader, Log):
    """Adds revisions and says which of them stand, inside a transaction."""

    _open: bool
    _stood: dict[str, Standing | None]  # as read or written in the open transaction

    def standing(self, agent: str) -> Standing | None:
        """Return which revisions of an agent stand, read once in each transaction."""
        if not self._open:
            return super().standing(agent)
        if agent not in self._stood:
            self._stood[agent] = super().standing(agent)
        return self._stood[agent]

    def put_revision(
        self,
        agent: str,
        revision_id: str,
        *,
        yaml: str,
        source: bytes,
        at: datetime,
        actor: str,
        actions: Sequence[str] = (),
    ) -> bool:
        """Store a revision, which changes nothing yet; say whether it is new.

        Args:
            agent: whose it is.
            revision_id: the hash of its content.
            yaml: as it was submitted.
            source: from which it can be rebuilt.
            at: when (UTC).
            actor: who did it.
            actions: their ids, which its decisions then leave out.
        """
        if actions:
            self._put.add(revision_id)
            sql = "INSERT INTO action_list VALUES (?, ?) ON CONFLICT DO NOTHING"
            self._db.run(sql, (revision_id, orjson.dumps(actions)))
        added = self._db.rows(
            "INSERT INTO revision VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
            " RETURNING revision_id",
            (revision_id, agent, yaml, source, to_micros(at), actor),
        )
        return bool(added)

    def stand(self, agent: str, standing: Standing, about: Mapping[str, Any]) -> int:
        """Let stored revisions of an agent stand from now on; return the log's position.

        Args:
            agent: whose they are.
            standing: all that stand; another active revision than before goes on the stack.
            about: what the entry of the log says of it besides: who did it, and why.
        """
        position = self._log(agent, standing, about)
        top = self._top(agent)
        if self.active_revision(agent) != standing.revision:
            top = self._stack(position, agent, standing.revision, back=top)
        self._stand(agent, standing, position if top is None else top)
        return position

    def replace(self, agent: str, standing: Standing, about: Mapping[str, Any]) -> int:
        """Let others stand in the place of those that stand: a rollback goes where it did before.

        As when the same agents are compiled again inside another workspace.
        """
        position = self._log(agent, standing, about)
        top = self._stack(position, agent, standing.revision, back=self._back(self._top(agent)))
        self._stand(agent, standing, top)
        return position

    def step_back(self, agent: str, standing: Standing, about: Mapping[str, Any]) -> int:
        """Let others stand, and take the revision that was active off the stack."""
        position = self._log(agent, standing, about)
        before = self._back(self._top(agent))
        top = self._stack(position, agent, standing.revision, back=self._back(before))
        self._stand(agent, standing, top)
        return position

    def _log(self, agent: str, standing: Standing, about: Mapping[str, Any]) -> int:
        return self.append("revision", {"agent": agent, **standing.to_record(), **about})

    def _top(self, agent: str) -> int | None:
        rows = self._db.rows("SELECT position FROM active WHERE agent = ?", (agent,))
        return int(rows[0][0]) if rows else None

    def _back(self, position: int | None) -> int | None:
        """Return the place in the stack below one."""
        rows = self._db.rows("SELECT back FROM activation WHERE position = ?", (position,))
        return rows[0][0] if rows else None

    def _stack(self, position: int, agent: str, revision_id: str, *, back: int | None) -> int:
        self._db.run(
            "INSERT INTO activation VALUES (?, ?, ?, ?)", (position, agent, revision_id, back)
        )
        return position

    def _stand(self, agent: str, standing: Standing, top: int) -> None:
        self._stood.pop(agent, None)
        self._db.run(
            "INSERT INTO active VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (agent) DO UPDATE SET"
            " revision_id = excluded.revision_id, canary_id = excluded.canary_id,"
            " percent = excluded.percent, shadow_id = excluded.shadow_id,"
            " position = excluded.position",
            (
                agent, standing.revision, standing.canary, standing.percent, standing.shadow, top,
            ),
        )  # fmt: skip

    def note(self, name: str, value: str | None = None) -> str | None:
        """Return a named note of the server to itself; with a value, set it first."""
        if value is not None:
            self._db.run(
                "INSERT INTO note VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )
        rows = self._db.rows("SELECT value FROM note WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else None
