"""The audit log of a ledger: who changed what, each row chained to the one before it by a hash.

    hash = SHA-256(previous hash + canonical JSON of [seq, at, actor, action, body])

A changed, removed or moved row breaks the chain. A tail that was cut off would not, so the newest
hash is also kept in a note, sealed with a key that is not in the database.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from serving.ledger.database import Database, from_micros, to_micros
from serving.ledger.log import read_body
from serving.ledger.revisions import Revisions

START = bytes(32)
"""What stands before the first row."""

_SEAL = "audit_head"


@dataclass(frozen=True, slots=True)
class Audited:
    """One row of the audit log.

    Args:
        seq: 1, 2, 3 and so on, without a gap.
        actor: `key:<id>`, `anyone` where no keys are asked for, or `server`.
        action: what was done, as `key.revoke`.
        body: the rest, as it was hashed (JSON).
        previous: the hash of the row before.
        hash: of this row.
    """

    seq: int
    at: int
    actor: str
    action: str
    body: bytes
    previous: bytes
    hash: bytes

    def computed(self) -> bytes:
        """Return the hash that the row ought to have."""
        values = (self.seq, self.at, self.actor, self.action, orjson.Fragment(self.body))
        return hashlib.sha256(self.previous + orjson.dumps(values)).digest()

    def to_record(self) -> dict[str, Any]:
        """Return the row as plain JSON values."""
        return {
            "seq": self.seq,
            "at": from_micros(self.at).isoformat(),
            "actor": self.actor,
            "action": self.action,
            "body": dict(read_body(self.body)),
            "previous": self.previous.hex(),
            "hash": self.hash.hex(),
        }


def seal_head(key: bytes, seq: int, head: bytes) -> str:
    """Return the note that says which row is the newest, which only the key's holder can write."""
    text = f"{seq}:{head.hex()}"
    return f"{text}:{hmac.digest(key, text.encode(), 'sha256').hex()}"


class AuditReader:
    """Reads the audit log."""

    _db: Database

    def audits(self, after: int, limit: int) -> list[Audited]:
        """Return up to `limit` rows of the audit log with a `seq` above `after`, in order."""
        rows = self._db.rows(
            "SELECT seq, at, actor, action, body, previous, hash FROM audit WHERE seq > ?"
            " ORDER BY seq LIMIT ?",
            (after, limit),
        )
        return [Audited(*row[:4], *map(bytes, row[4:])) for row in rows]

    def audit_seal(self) -> str | None:
        """Return the sealed note of the newest row, None if nothing was ever audited."""
        rows = self._db.rows("SELECT value FROM note WHERE name = ?", (_SEAL,))
        return str(rows[0][0]) if rows else None


class Audits(Revisions, AuditReader):
    """Adds to the audit log, inside a transaction."""

    audit_key: bytes = b""
    """Seals the newest row; set once after opening, from the server's secrets."""

    def add_audit(self, at: datetime, actor: str, action: str, body: Mapping[str, Any]) -> bytes:
        """Append a row to the audit log; return its hash.

        Args:
            at: the instant (UTC).
            actor: who did it; `serving.security.principal.actor_of` tells.
            action: what was done, as `agent.activate`.
            body: plain JSON values, no customer's id and no secret among them.
        """
        last = self._db.rows("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
        seq, previous = (last[0][0], bytes(last[0][1])) if last else (0, START)
        text = orjson.dumps(dict(body), option=orjson.OPT_SORT_KEYS)
        row = Audited(seq + 1, to_micros(at), actor, action, text, previous, b"")
        head = row.computed()
        self._db.run(
            "INSERT INTO audit (seq, at, actor, action, body, previous, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (row.seq, row.at, actor, action, text, previous, head),
        )
        self.note(_SEAL, seal_head(self.audit_key, row.seq, head))
        return head
