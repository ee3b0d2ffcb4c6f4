"""The first schema of the shared ledger."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    schema = (
        files("serving.ledger").joinpath("schema/postgres_0001.sql").read_text(encoding="utf-8")
    )
    connection = op.get_bind().connection.driver_connection
    assert connection is not None, "alembic runs on an open connection"
    connection.execute(schema)  # many statements at once, which SQLAlchemy does not send
