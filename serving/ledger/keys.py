"""The API keys of a ledger: never the keys themselves, only SHA-256 digests of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from serving.ledger.database import Database, Row, from_micros, to_micros
from serving.ledger.revisions import Revisions

_SELECT = (
    "SELECT key_id, digest, name, scopes, created, expires, revoked, replaces, rate, burst"
    " FROM api_key "
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of an API key.

    Args:
        key_id: the part of it that is no secret.
        digest: SHA-256 of the whole key.
        name: what it is for, in its maker's words.
        scopes: what its holder may do.
        expires: from when on it is refused (UTC), None for never.
        revoked: since when it has been refused for good (UTC), None if it was not.
        replaces: id of the key that this one was rotated in for, empty if none.
        rate: requests per second on average, None for as many as may be.
        burst: requests at once after a pause, at least 1; None where `rate` is.
    """

    key_id: str
    digest: bytes
    name: str
    scopes: tuple[str, ...]
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    replaces: str = ""
    rate: float | None = None
    burst: float | None = None

    def ends(self) -> datetime | None:
        """Return the first instant at which it is refused, None for never."""
        return min((at for at in (self.expires, self.revoked) if at is not None), default=None)

    def live(self, now: datetime) -> bool:
        """Whether it is accepted at an instant."""
        end = self.ends()
        return end is None or now < end

    def to_record(self) -> dict[str, Any]:
        """Return what may be shown of it, as plain JSON values; not the digest."""
        times = {name: getattr(self, name) for name in ("created", "expires", "revoked")}
        return {
            "key_id": self.key_id,
            "name": self.name,
            "scopes": list(self.scopes),
            **{name: None if at is None else at.isoformat() for name, at in times.items()},
            "replaces": self.replaces,
            "rate": self.rate,
            "burst": self.burst,
        }


def _to_row(key: ApiKey) -> Row:
    times = (
        None if at is None else to_micros(at) for at in (key.created, key.expires, key.revoked)
    )
    scopes = " ".join(key.scopes)
    return (key.key_id, key.digest, key.name, scopes, *times, key.replaces, key.rate, key.burst)


def _from_row(row: Row) -> ApiKey:
    key_id, digest, name, scopes, *times, replaces, rate, burst = row
    created, expires, revoked = (None if at is None else from_micros(at) for at in times)
    assert created is not None, "the column is NOT NULL"
    names = tuple(scopes.split())
    return ApiKey(
        key_id, bytes(digest), name, names, created, expires, revoked, replaces, rate, burst
    )


class KeyReader:
    """Reads API keys."""

    _db: Database

    def api_keys(self) -> list[ApiKey]:
        """Return every API key there ever was, the oldest first."""
        rows = self._db.rows(_SELECT + "ORDER BY created, key_id")
        return [_from_row(row) for row in rows]

    def api_key(self, key_id: str) -> ApiKey | None:
        """Return an API key by its id."""
        rows = self._db.rows(_SELECT + "WHERE key_id = ?", (key_id,))
        return _from_row(rows[0]) if rows else None


class ApiKeys(Revisions, KeyReader):
    """Adds and ends API keys, inside a transaction."""

    def add_api_key(self, key: ApiKey) -> None:
        """Store a new API key; one with the same id stays as it is."""
        self._db.run(
            "INSERT INTO api_key (key_id, digest, name, scopes, created, expires, revoked,"
            " replaces, rate, burst) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            _to_row(key),
        )

    def end_api_key(
        self, key: ApiKey, *, expires: datetime | None = None, revoked: datetime | None = None
    ) -> ApiKey:
        """Let a key expire no later than an instant, or revoke it; return it as it is now.

        What has ended stays ended: no instant is ever moved to a later one.
        """
        ends = [at for at in (key.expires, expires) if at is not None]
        ended = replace(key, expires=min(ends, default=None), revoked=key.revoked or revoked)
        times = (None if at is None else to_micros(at) for at in (ended.expires, ended.revoked))
        self._db.run(
            "UPDATE api_key SET expires = ?, revoked = ? WHERE key_id = ?", (*times, key.key_id)
        )
        return ended
