"""Who is not to be contacted, by the keyed hash of the customer: it outlives an erasure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from agents.log import hash_customer
from serving.ledger.database import Database, from_micros, to_micros
from serving.ledger.log import Log

_ANYBODY = "SELECT 1 FROM suppression LIMIT 1"


class SuppressionReader:
    """Reads who is not to be contacted."""

    _db: Database
    customer_key: bytes = b""
    """Hashes customers; set once after opening, from the server's secrets."""

    def suppressed(self, customer: str, at: datetime) -> tuple[str, ...]:
        """Return the channels on which a customer is not to be contacted at an instant, sorted.

        `*` stands for all of them.
        """
        if not self._db.remote and not self._db.rows(_ANYBODY):  # or the hash costs most of it
            return ()
        rows = self._db.rows(
            "SELECT channel FROM suppression WHERE customer = ? AND (until IS NULL OR until > ?)",
            (hash_customer(self.customer_key, customer), to_micros(at)),
        )
        return tuple(sorted(channel for (channel,) in rows))

    def suppressions(self, customer: str) -> dict[str, datetime | None]:
        """Return, by channel, until when a customer is not to be contacted; None is for good."""
        rows = self._db.rows(
            "SELECT channel, until FROM suppression WHERE customer = ? ORDER BY channel",
            (hash_customer(self.customer_key, customer),),
        )
        return {channel: None if end is None else from_micros(end) for channel, end in rows}


class Suppressions(Log, SuppressionReader):
    """Says who is not to be contacted, inside a transaction."""

    def suppress(
        self,
        customer: str,
        channels: Collection[str],
        until: datetime | None,
        body: Mapping[str, Any],
    ) -> int:
        """Append that a customer is not to be contacted; return its position.

        What is said already is never shortened: of two ends the later stands.

        Args:
            customer: who objects.
            channels: by name; `*` for all.
            until: when it ends; None for good.
            body: what the log's entry says besides; no customer's id.
        """
        hashed = hash_customer(self.customer_key, customer)
        ends = None if until is None else until.isoformat()
        record = {"customer": hashed, "channels": list(channels), "until": ends, **body}
        position = self.append("suppression", record)
        known = self.suppressions(customer)
        for channel in channels:
            both = (until, known.get(channel, until))
            last = None if None in both else max(end for end in both if end is not None)
            self._db.run(
                "INSERT INTO suppression VALUES (?, ?, ?, ?) ON CONFLICT (customer, channel)"
                " DO UPDATE SET until = excluded.until, position = excluded.position",
                (hashed, channel, None if last is None else to_micros(last), position),
            )
        return position

    def lift(self, customer: str, channels: Collection[str], body: Mapping[str, Any]) -> int:
        """Append that a customer may be contacted again; return its position.

        Args:
            customer: who objected.
            channels: what is lifted, by name; `*` for what was said of all.
            body: what the log's entry says besides; no customer's id.
        """
        hashed = hash_customer(self.customer_key, customer)
        record = {"customer": hashed, "channels": list(channels), "lifted": True, **body}
        for channel in channels:
            self._db.run(
                "DELETE FROM suppression WHERE customer = ? AND channel = ?", (hashed, channel)
            )
        return self.append("suppression", record)
