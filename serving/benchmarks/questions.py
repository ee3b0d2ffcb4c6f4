"""What is asked: whole HTTP requests, made before the clock starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson

RETURNING = 2_000
"""Customers who come back again and again; every other request is about one of them."""

_STEP = timedelta(seconds=108)  # so that each of them comes back every five days
_START = datetime.fromisoformat("2026-03-02T09:00:00+00:00")
_FLAGS = {
    "app_user": 0.8, "open_complaint": 0.1, "consent_email": 0.9, "consent_sms": 0.7,
    "consent_push": 0.7,
}  # fmt: skip
_PLANS = ("basic", "plus", "unlimited")

Body = dict[str, Any]


def post(path: str, body: bytes, key: str = "") -> bytes:
    """Write a whole POST request.

    Example:
        >>> post("/empty/", b"{}").splitlines()[0]
        b'POST /empty/ HTTP/1.1'
    """
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    if key:
        head += f"Idempotency-Key: {key}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


EMPTY = post("/empty/", b"{}")
"""Asks the empty deployment."""

STRAIGHT_PATH = "/straight/"
STRAIGHT = post(STRAIGHT_PATH, b"{}")
"""Asks the empty deployment that is reached past Ray's wrapper."""


def features(rng: np.random.Generator) -> Body:
    """Make up a customer of the telecom example."""
    drawn = rng.random(12).tolist()
    flags = {flag: drawn[k] < share for k, (flag, share) in enumerate(_FLAGS.items())}
    return flags | {
        "tenure_months": int(240 * drawn[5]),
        "plan": _PLANS[int(3 * drawn[6])],
        "monthly_bill": round(15 + 80 * drawn[7], 2),
        "bill_change": round(-0.2 + 0.9 * drawn[8], 3),
        "data_used_share": round(1.5 * drawn[9], 3),
        "roaming_days": int(4 * drawn[10]),
        "contract_months_left": int(24 * drawn[11]),
        "time_zone": "Europe/Berlin",
    }


@dataclass(slots=True)
class Customers:
    """Makes up who asks, the same with each seed: every other one is new, the others come back.

    Simulated time goes on with each request, over days and nights, so that some contacts have aged
    out of the caps when a customer comes back.

    Args:
        prefix: of all ids, so that two do not meet in one ledger.

    Example:
        >>> [len(line) for line in Customers("a").lines(2)]
        [3, 3]
    """

    prefix: str
    asked: int = 0
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(20261123))

    @property
    def at(self) -> str:
        """The simulated time of the next request."""
        return (_START + self.asked * _STEP).isoformat()

    def lines(self, count: int) -> list[Body]:
        """Make up so many customers, each with a key, as lines of a batch."""
        made = []
        for _ in range(count):
            number, again = divmod(self.asked, 2)
            who = f"back-{number % RETURNING}" if again else f"new-{number}"
            key = f"{self.prefix}-{self.asked}"
            made.append({"customer": who, "features": features(self._rng), "key": key})
            self.asked += 1
        return made

    def batch(self, agent: str, count: int) -> bytes:
        """Write the body of one batch, all of it at one time."""
        at = self.at
        return orjson.dumps({"agent": agent, "at": at, "decisions": self.lines(count)})

    def singles(self, agent: str, count: int) -> list[bytes]:
        """Write so many requests of one decision each, time going on from one to the next."""
        requests = []
        for _ in range(count):
            body = {"agent": agent, "at": self.at}
            (line,) = self.lines(1)
            key = line.pop("key")
            requests.append(post("/v1/decisions", orjson.dumps(body | line), key))
        return requests
