"""Outcomes of rules: met, failed or not tested."""

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    statements = (
        Path(__file__).parents[1].joinpath("0013_rule_outcomes.sql").read_text(encoding="utf-8")
    )
    # Without parameters psycopg2 leaves the percent signs alone.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statements)
