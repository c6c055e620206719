"""Trainings that people were asked about, and labels that were taken back."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    statements = Path(__file__).parents[1].joinpath("0010_previews.sql").read_text(encoding="utf-8")
    # Without parameters psycopg2 leaves the percent signs alone.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statements)
