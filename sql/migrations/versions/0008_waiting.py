"""Challengers that wait for their place in the shadow, and forms that are asked once."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    statements = Path(__file__).parents[1].joinpath("0008_waiting.sql").read_text(encoding="utf-8")
    # Without parameters psycopg2 leaves the percent signs alone.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statements)
