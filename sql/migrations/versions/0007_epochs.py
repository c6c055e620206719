"""Changes of sensors, and scales of new machines."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    statements = Path(__file__).parents[1].joinpath("0007_epochs.sql").read_text(encoding="utf-8")
    # Without parameters psycopg2 leaves the percent signs alone.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statements)
