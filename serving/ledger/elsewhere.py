"""Contacts that were made elsewhere, by other systems or people, each known by the caller's id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from agents.context import Contact
from serving.ledger.log import Log


@dataclass(frozen=True, slots=True)
class StoredContact:
    """A contact made elsewhere, as committed, and the fingerprint of its request."""

    position: int
    request: bytes
    body: Mapping[str, Any]


class Elsewhere(Log):
    """Keeps contacts made elsewhere, inside a transaction."""

    def find_elsewhere(self, contact_id: str) -> StoredContact | None:
        """Return a contact by the caller's id."""
        rows = self._db.rows(
            "SELECT position, elsewhere.request, record FROM elsewhere JOIN log USING (position)"
            " WHERE contact_id = ?",
            (contact_id,),
        )
        if not rows:
            return None
        position, request, body = rows[0]
        return StoredContact(position, bytes(request), orjson.loads(body))

    def add_elsewhere(
        self,
        contact_id: str,
        customer: str,
        contact: Contact,
        body: Mapping[str, Any],
        *,
        request: bytes,
        closes: datetime,
    ) -> int:
        """Append a contact that was made elsewhere; return its position.

        Args:
            contact_id: the caller's id.
            customer: who was contacted.
            contact: as later decisions remember it.
            body: the record, as plain JSON values.
            request: the fingerprint of the report.
            closes: until when it is needed, whatever its age.
        """
        position = self.append(
            "contact", body, customer=customer, at=contact.at, closes=closes, past=contact
        )
        self._db.run("INSERT INTO elsewhere VALUES (?, ?, ?)", (contact_id, request, position))
        return position
