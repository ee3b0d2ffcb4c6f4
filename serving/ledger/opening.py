"""Opening the ledger that the settings name: SQLite in the data folder, or PostgreSQL."""

from __future__ import annotations

from serving.ledger.base import Ledger, LedgerReader
from serving.ledger.sqlite import SqliteLedger, SqliteReader
from serving.settings import Settings


def open_ledger(settings: Settings, *, wait_s: float = 15.0) -> Ledger:
    """Open or make the ledger for writing.

    Args:
        settings: name it.
        wait_s: seconds to wait at most for another writer of an embedded one.

    Raises:
        StateError: it cannot be opened.
    """
    if not settings.ledger_url:
        return SqliteLedger.open(settings.ledger, wait_s=wait_s)
    from serving.ledger.postgres_ledger import PostgresLedger

    return PostgresLedger.open(settings.ledger_url)


def open_reader(settings: Settings) -> LedgerReader:
    """Open the ledger for reading; safe beside a writer in another process.

    Raises:
        StateError: there is none, or it cannot be opened.
    """
    if not settings.ledger_url:
        return SqliteReader.open(settings.ledger)
    from serving.ledger.postgres_ledger import PostgresReader

    return PostgresReader.open(settings.ledger_url)
