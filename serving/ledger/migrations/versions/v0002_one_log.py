"""Decisions and outcomes are found in the log itself; one table remembers customers."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move every row; positions and records stay as they are."""
    schema = files("serving.ledger").joinpath("schema/postgres_0002.sql").read_text("utf-8")
    connection = op.get_bind().connection.driver_connection
    assert connection is not None, "alembic runs on an open connection"
    connection.execute(schema)  # many statements at once, which SQLAlchemy does not send
