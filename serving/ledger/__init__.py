"""The ledger: the durable, transactional record that decisions are read from and written to."""

from serving.ledger.base import Entry, Ledger, LedgerReader, StoredDecision, StoredOutcome
from serving.ledger.sqlite import SqliteLedger
from serving.ledger.sqlite_reader import SqliteReader

__all__ = [
    "Entry",
    "Ledger",
    "LedgerReader",
    "SqliteLedger",
    "SqliteReader",
    "StoredDecision",
    "StoredOutcome",
]
