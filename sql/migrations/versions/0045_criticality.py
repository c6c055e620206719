"""Incidents have a priority."""

from pathlib import Path

from alembic import op

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    path = Path(__file__).parents[1] / "0045_criticality.sql"
    statements = path.read_text(encoding="utf-8")
    # Without parameters psycopg2 leaves the percent signs alone.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statements)
