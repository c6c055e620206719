"""Alerts and the outbox of notifications."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    statements = (
        Path(__file__).parents[1].joinpath("0005_notifications.sql").read_text(encoding="utf-8")
    )
    # Without parameters psycopg2 leaves the percent signs alone.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statements)
