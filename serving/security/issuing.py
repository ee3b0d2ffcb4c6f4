"""Making, rotating and revoking API keys: jobs inside one transaction, each with its audit row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.errors import ConflictError, UnknownNameError
from serving.ledger import Ledger
from serving.ledger.keys import ApiKey
from serving.security.tokens import digest_of, id_of, make_token

BOOTSTRAP = "bootstrap"
"""Name of the admin key that the server itself takes up at its start."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key, and the only sight of it in full.

    Args:
        token: the key itself; kept nowhere.
    """

    key: ApiKey
    token: str


def new_key(token: str, name: str, scopes: tuple[str, ...], created: datetime) -> ApiKey:
    """Return what is kept of a token: no more than its digest."""
    key_id = id_of(token.encode())
    assert key_id is not None, "whoever reads tokens checks them"
    return ApiKey(key_id, digest_of(token.encode()), name, scopes, created)


def create(ledger: Ledger, key: ApiKey, actor: str) -> None:
    """Store a new key."""
    ledger.add_api_key(key)
    told = {name: value for name, value in key.to_record().items() if name != "revoked"}
    ledger.add_audit(key.created, actor, "key.create", told)


def rotate(ledger: Ledger, key_id: str, now: datetime, grace: timedelta, actor: str) -> Issued:
    """Put a new key in the place of one that goes on being accepted for a while.

    The new one has the same name, scopes and limits, and as long to live as the old one had when
    it was made.

    Raises:
        UnknownNameError: there is no such key.
        ConflictError: it has ended, or has been rotated before: there are never more than two.
    """
    old = find(ledger, key_id)
    if not old.live(now):
        raise ConflictError(f"expected a live key, but {key_id} has ended; create another")
    younger = next((key for key in ledger.api_keys() if key.replaces == key_id), None)
    if younger is not None:
        raise ConflictError(
            f"key {key_id} has been rotated already; rotate {younger.key_id} instead"
        )
    token = make_token()
    made = new_key(token, old.name, old.scopes, now)
    expires = None if old.expires is None else now + (old.expires - old.created)
    key = ApiKey(
        made.key_id, made.digest, old.name, old.scopes, now, expires,
        replaces=key_id, rate=old.rate, burst=old.burst,
    )  # fmt: skip
    ledger.add_api_key(key)
    ended = ledger.end_api_key(old, expires=now + grace)
    assert ended.expires is not None, "it has just been given one"
    until = ended.expires.isoformat()
    body = {"key_id": key.key_id, "replaces": key_id, "old_expires": until}
    ledger.add_audit(now, actor, "key.rotate", body)
    return Issued(key, token)


def revoke(ledger: Ledger, key_id: str, now: datetime, actor: str) -> ApiKey:
    """Refuse a key from now on; one that is revoked already stays so.

    Raises:
        UnknownNameError: there is no such key.
    """
    key = find(ledger, key_id)
    if key.revoked is not None:
        return key
    ledger.add_audit(now, actor, "key.revoke", {"key_id": key_id})
    return ledger.end_api_key(key, revoked=now)


def find(ledger: Ledger, key_id: str) -> ApiKey:
    """Return a key of this ledger's workspace.

    Raises:
        UnknownNameError: there is none; whether another workspace has it makes no difference.
    """
    key = ledger.api_key(key_id)
    if key is None:
        raise UnknownNameError(f"there is no API key {key_id}; GET /v1/keys lists them")
    return key
