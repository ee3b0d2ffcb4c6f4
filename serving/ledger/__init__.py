"""The ledger: the durable, transactional record that decisions are read from and written to."""

from serving.ledger.base import Ledger, LedgerReader
from serving.ledger.opening import open_ledger, open_reader
from serving.ledger.records import Entry, EntryKind, Made, StoredDecision, StoredOutcome
from serving.ledger.sqlite import SqliteLedger, SqliteReader

__all__ = [
    "Entry",
    "EntryKind",
    "Ledger",
    "LedgerReader",
    "Made",
    "SqliteLedger",
    "SqliteReader",
    "StoredDecision",
    "StoredOutcome",
    "open_ledger",
    "open_reader",
]
