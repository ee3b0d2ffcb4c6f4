"""Checking the audit chain: is every row as it was written, in its place, and none missing?"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from agents.errors import LogError
from serving.ledger import LedgerReader
from serving.ledger.audits import START, Audited, seal_head

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that holds.

    Args:
        rows: how many it has.
        head: hash of the newest; to be kept elsewhere, for the next check.
    """

    rows: int
    head: bytes


def verify_chain(reader: LedgerReader, key: bytes, expect: str = "") -> Chain:
    """Check the whole audit log of a ledger.

    Args:
        reader: of the ledger; a server may write to it meanwhile.
        key: what the newest row is sealed with.
        expect: a head (hexadecimal) that an earlier check has printed; the chain must go on from
            it. Only this shows that somebody has put a whole older state of the database back.

    Raises:
        LogError: something was changed, removed, added, moved or cut off; it says at which row.
        StateError: the ledger cannot be read.
    """
    seq, head, seen = 0, START, not expect
    with reader.still():
        while page := reader.audits(seq, _PAGE):
            for row in page:
                _check_row(row, seq, head)
                seq, head = row.seq, row.hash
                seen = seen or head.hex() == expect
        seal = reader.audit_seal()
    if seal is None and seq == 0:
        raise LogError("expected an audit log, got none: every server's start is in it")
    if seal is None or not hmac.compare_digest(seal.encode(), seal_head(key, seq, head).encode()):
        raise LogError(
            f"the audit log ends with row {seq}, but that is not what its seal says: rows after it"
            " were removed, or it was written without the server's key"
        )
    if not seen:
        raise LogError(f"expected the head {expect[:64]} in the audit log, got a log without it")
    return Chain(seq, head)


def _check_row(row: Audited, seq: int, head: bytes) -> None:
    if row.seq != seq + 1:
        raise LogError(
            f"expected row {seq + 1} of the audit log, got row {row.seq}: one is missing"
        )
    if row.previous != head:
        raise LogError(f"row {row.seq} of the audit log does not follow the row before it")
    if row.hash != row.computed():
        raise LogError(f"row {row.seq} of the audit log is not as it was written")
