"""Drift and the self-audit, week by week."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    statements = Path(__file__).parents[1].joinpath("0006_watch.sql").read_text(encoding="utf-8")
    # Without parameters psycopg2 leaves the percent signs alone.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statements)
