"""A small plant for tests: source tables in one database, the warehouse in another, a clock that
tests set.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from devstack.postgres import Cluster
from tests.plants.emptied import empty
from tests.statements import run
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import IngestSummary, ingest_interval
from tsad_tasks.storage.store import Store

DAY = datetime(2024, 5, 1, tzinfo=UTC)
SOURCE = {
    "connection": "plant",
    "tables": "reading",
    "time": {"column": "at"},
    "entity": {"column": "machine"},
    "channels": {"temp": {}, "load": {}},
    "step": "10min",
    "late_rows_within": 0,
}


def at(text: str, day: datetime = DAY) -> datetime:
    """A time of the day, such as `10:30`, or of a day, such as `2024-10-27 01:00`."""
    return datetime.fromisoformat(text if "-" in text else f"{day:%Y-%m-%d} {text}").replace(
        tzinfo=UTC
    )


@dataclass
class Plant:
    """Source tables, warehouse and clock."""

    source_uri: str
    warehouse_uri: str
    now_at: datetime = DAY + timedelta(days=300)

    def clear(self) -> None:
        """Empty both databases, which costs a fiftieth of what new ones do."""
        self.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        empty(self.warehouse_uri)

    def run(self, statements: str) -> None:
        """Run SQL in the source."""
        run(self.source_uri, statements)

    def config(self, **source: Any) -> DatasetConfig:
        """The dataset `plant`, changed by what is given."""
        return DatasetConfig.model_validate({"dataset": "plant", "source": {**SOURCE, **source}})

    def ingest(
        self, start: str, end: str, config: DatasetConfig | None = None, **options: Any
    ) -> IngestSummary:
        """Ingest [start, end) at `now_at`."""
        with Store.connect(self.warehouse_uri) as store:
            return ingest_interval(
                store,
                config or self.config(),
                self.source_uri,
                start_at=at(start),
                end_at=at(end),
                **{"now": lambda: self.now_at, **options},
            )

    def readings(self) -> dict[tuple[str, str, str], float]:
        """Values by entity, time and channel."""
        rows = self.rows(
            "SELECT e.name, to_char(r.at AT TIME ZONE 'UTC', 'HH24:MI'), r.channel, r.value FROM "
            "tsad.entity e JOIN tsad.dataset d USING (dataset_id), "
            "tsad.readings(d.name, e.name, '2000-01-01', '2100-01-01') r ORDER BY 1, 2, 3"
        )
        return {(entity, time, channel): value for entity, time, channel, value in rows}

    def issues(self) -> dict[tuple[str, str, str], int]:
        """Rows by issue, entity and channel."""
        rows = self.rows(
            "SELECT issue, entity, channel, sum(n_rows)::int FROM tsad.ingest_issue GROUP BY 1, 2, "
            "3"
        )
        return {(issue, entity, channel): n_rows for issue, entity, channel, n_rows in rows}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the warehouse."""
        return run(self.warehouse_uri, statement)


@contextmanager
def opened_plant(cluster: Cluster, template: str) -> Iterator[Plant]:
    """A plant with databases of its own."""
    names = [f"test_{uuid4().hex}" for _ in range(2)]
    yield Plant(
        cluster.create_database(names[0]), cluster.create_database(names[1], template=template)
    )
    for name in names:
        cluster.drop_database(name)
