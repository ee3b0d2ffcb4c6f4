"""The schema of the shared ledger: made and changed by Alembic, under a lock, at start."""

from __future__ import annotations

import threading
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from agents.errors import StateError

NEWEST = "0002"
_VERSION = "SELECT to_regclass('alembic_version') IS NOT NULL, to_regclass('log') IS NOT NULL"
_SCHEMA_LOCK = 7_308_334_002
_ALEMBIC = threading.Lock()  # it keeps what it works on in variables of its modules


def check_version(url: str, *, change: bool) -> None:
    """Bring the schema to this version of nextbest, or refuse what is newer or something else.

    Args:
        url: of the database.
        change: whether to change it; a reader only looks.

    Raises:
        StateError: the database holds a newer ledger, none at all for a reader, or cannot be
            changed.
    """
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            found = _find(connection)
            if found != NEWEST and change:
                with _ALEMBIC:
                    _upgrade(connection)
                found = _find(connection)
    except psycopg.Error as error:
        state = error.sqlstate or "no connection"
        raise StateError(f"the ledger's database cannot be prepared ({state})") from None
    if found != NEWEST:
        raise StateError(
            f"expected version {NEWEST} of the ledger, got {found or 'no ledger'};"
            " run the nextbest that wrote it, or name another database with --ledger"
        )


def _find(connection: psycopg.Connection[Any]) -> str | None:
    """Return the version of the ledger that is there, None if there is none.

    Raises:
        StateError: there are tables of something else.
    """
    versioned, others = connection.execute(_VERSION).fetchone() or (False, False)
    if not versioned and others:
        raise StateError("expected an empty database or a ledger, got another program's database")
    rows = connection.execute("SELECT version_num FROM alembic_version") if versioned else ()
    return next((str(row[0]) for row in rows), None)


def _make_schema(connection: psycopg.Connection[Any]) -> None:
    """Make the schema that the connection string names as the search_path: a workspace's own."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
        row = connection.execute("SELECT current_schema(), current_setting('search_path')")
        schema, path = row.fetchone() or (None, "")
        if schema is None:
            name = str(path).partition(",")[0].strip().strip('"')
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))


def _upgrade(connection: psycopg.Connection[Any]) -> None:
    """Run the migrations that are missing; another replica that starts at once waits."""
    import sqlalchemy as sa
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    connection.rollback()
    _make_schema(connection)
    script = ScriptDirectory(str(files("serving.ledger").joinpath("migrations")))

    def missing(revision: Any, _context: object) -> Any:
        return script._upgrade_revs("head", revision)  # as alembic's own `upgrade` does

    engine = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: connection, poolclass=sa.pool.StaticPool
    )
    try:
        with engine.connect() as bound, EnvironmentContext(Config(), script, fn=missing) as run:
            bound.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
            run.configure(connection=bound)
            with run.begin_transaction():
                run.run_migrations()
            bound.commit()
    except CommandError:
        return  # a version that this one does not know: the caller names it
