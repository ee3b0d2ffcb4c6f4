"""The API keys in a replica's memory, looked up at every request, read anew twice a second."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from hmac import compare_digest

from serving.ledger.keys import ApiKey
from serving.security.principal import Principal
from serving.security.scopes import SCOPES
from serving.security.tokens import digest_of, id_of


class Bucket:
    """A token bucket: `rate` a second on average, `burst` at once after a pause.

    Args:
        rate: above 0, infinite for no limit.
        burst: at least 1.

    Example:
        >>> bucket = Bucket(rate=2.0, burst=1.0)
        >>> bucket.take(10.0), bucket.take(10.0), bucket.take(10.5)
        (0.0, 0.5, 0.0)
    """

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst = rate, burst
        self._level, self._at = burst, 0.0

    def take(self, now: float) -> float:
        """Take one; return 0, or the seconds after which there will be one to take.

        Args:
            now: seconds of a clock that never runs backwards.
        """
        if self.rate == math.inf:
            return 0.0
        level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        if level < 1.0:
            self._level = level
            return (1.0 - level) / self.rate
        self._level = level - 1.0
        return 0.0


@dataclass(frozen=True, slots=True)
class Held:
    """A key as the gate needs it.

    Args:
        ends: seconds since 1970 from when on it is refused, infinite for never.
    """

    digest: bytes
    ends: float
    principal: Principal
    bucket: Bucket


_NOBODY = Held(digest_of(b""), 0.0, Principal("", "", frozenset()), Bucket(math.inf, 1.0))


class Keyring:
    """Every API key of every workspace that this replica serves, by id."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}

    def replace(self, workspace: str, keys: Iterable[ApiKey]) -> None:
        """Take up all keys of a workspace as its ledger has them, and forget all others of it."""
        others = {
            key_id: held
            for key_id, held in self._held.items()
            if held.principal.workspace != workspace
        }
        self._held = others | {key.key_id: self._hold(workspace, key) for key in keys}

    def find(self, token: bytes) -> Held | None:
        """Return the key that a request presents, live or not; None if there is no such key.

        A key that does not exist takes as long as one with a wrong secret.
        """
        held = self._held.get(id_of(token) or "", _NOBODY)
        same = compare_digest(digest_of(token), held.digest)
        return held if same and held is not _NOBODY else None

    def _hold(self, workspace: str, key: ApiKey) -> Held:
        end = key.ends()
        known = frozenset(scope for scope in SCOPES if scope in key.scopes)
        principal = Principal(key.key_id, workspace, known)
        rate = math.inf if key.rate is None else key.rate
        burst = 1.0 if key.burst is None else key.burst
        held = self._held.get(key.key_id)
        same = held is not None and (held.bucket.rate, held.bucket.burst) == (rate, burst)
        bucket = held.bucket if held is not None and same else Bucket(rate, burst)
        return Held(key.digest, math.inf if end is None else end.timestamp(), principal, bucket)
