"""No two clocks are compared: beside the warehouse's stands what the source's or Airflow's says."""

from pathlib import Path

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    statements = Path(__file__).parents[1].joinpath("0016_clocks.sql").read_text(encoding="utf-8")
    # Without parameters psycopg2 leaves the percent signs alone.
    with op.get_bind().connection.cursor() as cursor:
        cursor.execute(statements)
