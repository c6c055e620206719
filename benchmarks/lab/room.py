"""A server of its own with a plant, whose machines fail now and then, and warehouses to score it
in.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from devstack import postgres
from lab import gates
from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.migrate import migrate

START_AT = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = timedelta(days=7)
STEP_S = 600
# Columns without values, for channels that a dataset gets later.
SPARE = [f"spare_{n}" for n in range(50)]
CONFIG: dict[str, Any] = {
    "dataset": "room",
    "source": {
        "connection": "plant",
        "tables": "plant.room",
        "time": {"column": "at"},
        "entity": {"column": "machine"},
        "step": "10min",
        "late_rows_within": 0,
        "channels": {"temperature": {"unit": "°C"}, "load": {"unit": "%"}},
    },
    "detector": {"name": "three_sigma"},
    "threshold": {"kind": "percentile", "percentile": 99.5, "combine": "max"},
    "training": {"range": "7d", "min_hours": 10},
    "features": {"min_own_scale": "1d"},
    "gate": gates.OPEN | {"tolerance": 1, "min_known_share": 0, "max_latency_ms": 10_000},
    "shadow": {"hours": 0},
}


def config_of(**changes: Any) -> DatasetConfig:
    """The plant's dataset, with top-level fields changed."""
    return DatasetConfig.model_validate(CONFIG | changes)


@dataclass(frozen=True)
class Room:
    """The plant's table in one database, and the dataset's warehouse and artifacts in others."""

    cluster: postgres.Cluster
    name: str
    artifacts: Path
    config: DatasetConfig

    def uri(self, role: str = postgres.PIPELINE) -> str:
        """The URI by which a role reaches the warehouse."""
        return self.cluster.uri(f"{self.name}_warehouse", role)

    @property
    def source_uri(self) -> str:
        """The URI by which the pipeline reads the plant."""
        return self.cluster.uri(f"{self.name}_plant", postgres.PIPELINE)

    def rows(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows of a statement in the warehouse, asked by its owner, kept."""
        return asked(self.uri(postgres.OWNER), statement, params)

    def change(self, statement: str, *params: object) -> None:
        """Something happens in the plant."""
        asked(self.cluster.uri(f"{self.name}_plant"), statement, params)


def asked(uri: str, statement: str, params: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    """Rows of a statement, committed."""
    with closing(connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement, params or None)
        return list(cursor.fetchall()) if cursor.description else []


class House:
    """The server: every room is a copy of the same plant with an empty warehouse."""

    def __init__(self, folder: Path, *, durable: bool, n_machines: int, n_weeks: int) -> None:
        self.folder = folder
        self.cluster = postgres.ensure_running(folder / "postgres", durable=durable)
        _fill(self.cluster.create_database("plant"), n_machines, n_weeks)
        logins = {"writer": postgres.PIPELINE, "reader": postgres.BROWSER}
        migrate(self.cluster.create_database("empty"), **logins, operator=postgres.ON_CALL)

    def room(self, name: str, config: DatasetConfig) -> Room:
        """A room of that name, whose artifacts are where all tasks of this process leave them."""
        self.cluster.create_database(f"{name}_plant", template="plant")
        self.cluster.create_database(f"{name}_warehouse", template="empty")
        artifacts = self.folder / name
        os.environ["TSAD_ARTIFACTS"] = str(artifacts)
        return Room(self.cluster, name, artifacts, config)

    def leave(self, room: Room) -> None:
        """Drops the room's databases."""
        for what in ("plant", "warehouse"):
            self.cluster.drop_database(f"{room.name}_{what}")


@contextmanager
def opened_house(
    *, durable: bool = False, n_machines: int = 3, n_weeks: int = 2
) -> Iterator[House]:
    """A house, removed afterwards."""
    os.environ["TSAD_SHARDS"] = "2"
    with tempfile.TemporaryDirectory(prefix="tsad-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        try:
            yield House(folder, durable=durable, n_machines=n_machines, n_weeks=n_weeks)
        finally:
            postgres.remove(folder / "postgres")


def _fill(uri: str, n_machines: int, n_weeks: int) -> None:
    n_steps, rng = n_weeks * 7 * 86400 // STEP_S, np.random.default_rng(5)
    steps = np.arange(n_steps)
    names, times, values = [], [], []
    for machine in range(n_machines):
        temperature = 20 + 3 * np.sin(2 * np.pi * steps * STEP_S / 86400)
        temperature += rng.normal(0, 0.5, n_steps)
        # The first week, from which models learn, is quiet.
        for start in rng.integers(7 * 144, n_steps - 20, size=30 * (n_weeks - 1)):
            temperature[start : start + int(rng.integers(3, 15))] += 15
        names += [f"m-{machine}"] * n_steps
        times.append(int(START_AT.timestamp()) + STEP_S * steps)
        values.append(np.stack([temperature, 50 + rng.normal(0, 5, n_steps)]))
    columns = [binary.timestamptz(np.concatenate(times)), binary.text(names)]
    columns += [binary.nullable(one) for one in np.concatenate(values, axis=1)]
    with closing(connect(uri)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE SCHEMA plant; CREATE TABLE plant.room (at timestamptz, machine text, "
            f"temperature float8, load float8, {', '.join(f'{one} float8' for one in SPARE)}); "
            "CREATE INDEX ON plant.room (at); GRANT USAGE ON SCHEMA plant TO PUBLIC; "
            "GRANT SELECT ON plant.room TO PUBLIC"
        )
        cursor.copy_expert(
            "COPY plant.room (at, machine, temperature, load) FROM STDIN (FORMAT binary)",
            io.BytesIO(binary.encode(columns)),
        )
