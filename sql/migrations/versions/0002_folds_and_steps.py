"""States of folding models, and attributions by step."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    statements = (
        Path(__file__).parents[1].joinpath("0002_folds_and_steps.sql").read_text(encoding="utf-8")
    )
    # Without parameters psycopg2 leaves the percent signs alone.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statements)
