"""Trainings that the gate refused may be done again."""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    statements = (
        Path(__file__).parents[1].joinpath("0012_refused_trainings.sql").read_text(encoding="utf-8")
    )
    # Without parameters psycopg2 leaves the percent signs alone.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statements)
