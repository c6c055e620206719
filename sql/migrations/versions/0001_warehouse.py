"""The warehouse as first landed."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    statements = (
        Path(__file__).parents[1].joinpath("0001_warehouse.sql").read_text(encoding="utf-8")
    )
    # Without parameters psycopg2 leaves the percent signs alone.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statements)
