"""Reading from servers that others work on: a standby that cancels reads, one that is behind, a
pooler, and many datasets on one connection.

Usage: python benchmarks/good_guest.py [--small]

1. A real standby (`pg_basebackup`) with max_standby_streaming_delay = 1s, while its primary
   rewrites and vacuums the table without pause. Fails where the rows differ from those that the
   primary gives, or no read was cancelled.
2. The same standby with its replay paused: an interval waits, and is read whole once it goes on.
3. PgBouncer in transaction mode with two sessions for eight runs at once, tables and queries
   (left out, and said so, where there is no pgbouncer: apt-get install pgbouncer).
4. Twelve datasets at once on one connection: at most `source.max_connections` sessions are seen.
--small: a twentieth of the rows, and a standby that waits 20 ms.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

from lab.room import asked
from lab.standby import Standby, pooler, standby_of

from devstack import postgres
from tsad_tasks.base.errors import NotYet
from tsad_tasks.base.interval import hour_floor
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import IngestSummary, ingest_interval
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store

DAY = timedelta(days=1)
# A small read may slip through between two cleanings.
# A read of a day takes less than a second here, and must meet the vacuum that is in its way.
MOST_READ = 60
START_AT = datetime(2026, 3, 2, tzinfo=UTC)
ROWS = (
    "SELECT e.name, b.hour_at, md5(b.values::text) FROM tsad.reading_block b JOIN tsad.entity e "
    "USING (entity_id) JOIN tsad.dataset d USING (dataset_id) WHERE d.name = %s ORDER BY 1, 2"
)
FILL = """
CREATE SCHEMA plant;
CREATE TABLE plant.reading (at timestamptz, machine int, temperature float8, load float8);
INSERT INTO plant.reading SELECT t, m, sin(extract(epoch FROM t) / 7e3 + m), m %% 7
FROM generate_series(%s::timestamptz, %s::timestamptz - interval '1 min', '1 min') t,
  generate_series(1, %s) m;
CREATE INDEX ON plant.reading (at);
GRANT USAGE ON SCHEMA plant TO tsad_pipeline;
GRANT SELECT ON plant.reading TO tsad_pipeline;
"""
CONFLICTS = "SELECT confl_snapshot FROM pg_stat_database_conflicts WHERE datname = 'plant'"
SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = 'plant' AND usename = 'tsad_pipeline'"
)
QUERY = "SELECT at, machine::text AS machine, temperature, load FROM plant.reading"


def config_of(name: str, **changes: Any) -> DatasetConfig:
    """The plant's dataset under a name, with fields of its source changed."""
    source: dict[str, Any] = {
        "connection": "plant",
        "time": {"column": "at"},
        "entity": {"column": "machine"},
        "channels": {"temperature": {}, "load": {}},
    }
    table = {} if "query" in changes else {"tables": "plant.reading"}
    return DatasetConfig.model_validate({"dataset": name, "source": source | table | changes})


class Lab:
    """A plant's server and the warehouse that is filled from it."""

    def __init__(self, folder: Path, n_days: int, n_machines: int) -> None:
        self.cluster = postgres.ensure_running(folder / "postgres", durable=False)
        self.n_days, self.end_at = n_days, START_AT + n_days * DAY
        self.plant = self.cluster.create_database("plant")
        asked(self.plant, FILL, (START_AT, self.end_at, n_machines))
        self.warehouse = self.cluster.uri("warehouse", postgres.PIPELINE)
        migrate(self.cluster.uri("warehouse"), writer=postgres.PIPELINE)

    def ingest(
        self, uri: str, config: DatasetConfig, span: tuple[datetime, datetime] | None = None
    ) -> IngestSummary:
        """What reading all days, or a span of them, did."""
        start_at, end_at = span or (START_AT, self.end_at)
        with Store.open(self.warehouse) as store:
            return ingest_interval(store, config, uri, start_at=start_at, end_at=end_at)

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        """What the warehouse holds of a dataset."""
        return asked(self.cluster.uri("warehouse"), ROWS, (name,))

    @contextmanager
    def churn(self) -> Iterator[None]:
        """The table's rows are written anew, and the old ones vacuumed away, all the time."""
        done = Event()

        def work() -> None:
            while not done.is_set():
                asked(
                    self.plant,
                    "UPDATE plant.reading SET load = load WHERE at < %s",
                    (START_AT + timedelta(minutes=2),),
                )
                vacuum(self.plant)

        thread = Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def vacuum(uri: str) -> None:
    """VACUUM of the plant's table, which is no transaction."""
    with closing(connect(uri)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("VACUUM plant.reading")


def cancelled(lab: Lab, standby: Standby) -> bool:
    """Days read from a standby that cancels what is in its way, beside those of the primary."""
    role = postgres.PIPELINE
    began_s = time.perf_counter()
    lab.ingest(lab.cluster.uri("plant", role), config_of("calm"))
    calm_s = time.perf_counter() - began_s
    names, n_cancelled, began_s = list[str](), 0, time.perf_counter()
    with lab.churn():
        while not n_cancelled and len(names) < MOST_READ:
            names.append(f"disturbed_{len(names)}")
            lab.ingest(standby.uri("plant", role), config_of(names[-1]))
            ((n_cancelled,),) = asked(standby.uri("plant", postgres.OWNER), CONFLICTS)
    seconds = (time.perf_counter() - began_s) / len(names)
    calm = lab.rows("calm")
    same = bool(calm) and all(lab.rows(name) == calm for name in names)
    print(
        f"standby: {lab.n_days} days in {seconds:.1f} s, {n_cancelled} of the reads cancelled in "
        f"{len(names)} goes (primary, undisturbed: {calm_s:.1f} s); rows "
        f"{'the same' if same else 'DIFFER'}"
    )
    return same and n_cancelled > 0


def behind(lab: Lab, standby: Standby) -> bool:
    """Whether an interval waits for rows that a standby has not replayed, and no longer."""
    uri, owner = standby.uri("plant", postgres.PIPELINE), standby.uri("plant", postgres.OWNER)
    asked(lab.plant, "INSERT INTO plant.reading VALUES (now() - interval '1 hour', 0, 1, 1)")
    standby.wait("plant")
    asked(owner, "SELECT pg_wal_replay_pause()")
    ((now_at,),) = asked(lab.plant, "SELECT now()")
    end_at = hour_floor(now_at)
    wait_s = int((now_at - end_at).total_seconds()) + 2
    config = config_of("behind", wait_for_rows=f"{wait_s}s")
    span = end_at - timedelta(hours=1), end_at
    asked(lab.plant, "INSERT INTO plant.reading VALUES (%s, 1, 7, 7)", (span[0],))
    time.sleep(3)
    try:
        lab.ingest(uri, config, span)
        print("behind: read, though the newest row was not replayed yet")
        return False
    except NotYet as error:
        print(f"behind: {error}")
    asked(owner, "SELECT pg_wal_replay_resume()")
    for _ in range(20):
        standby.wait("plant")
        # A checkpoint that is received and not yet replayed is a reason to wait as well.
        with suppress(NotYet):
            summary = lab.ingest(uri, config, span)
            break
        time.sleep(0.5)
    print(f"behind: then {summary.n_rows} rows of the hour")
    return summary.n_rows == 2


def pooled(lab: Lab, folder: Path) -> bool:
    """Eight runs at once through two sessions that a pooler hands round."""
    if shutil.which("pgbouncer") is None:
        print("pooler: left out, there is no pgbouncer (apt-get install pgbouncer)")
        return True
    kinds = [{}, {"query": QUERY}] * 4
    with pooler(lab.cluster, folder, [postgres.PIPELINE], 2) as port:
        direct = lab.cluster.uri("plant", postgres.PIPELINE)
        uri = direct.replace(f":{lab.cluster.port}/", f":{port}/")
        configs = [
            config_of(f"pooled_{i}", max_connections=100, **kind) for i, kind in enumerate(kinds)
        ]
        with ThreadPoolExecutor(len(configs)) as jobs:
            list(jobs.map(lambda one: lab.ingest(uri, one), configs))
    calm = lab.rows("calm")
    n_same = sum(lab.rows(one.dataset) == calm for one in configs)
    print(f"pooler: {n_same} of {len(configs)} runs at once have the rows of the direct one")
    return n_same == len(configs)


def bounded(lab: Lab) -> bool:
    """The most sessions seen while twelve datasets are read at once."""
    span = START_AT, START_AT + timedelta(hours=6)
    uri, most, done = lab.cluster.uri("plant", postgres.PIPELINE), [0], Event()

    def watch() -> None:
        while not done.is_set():
            ((n_sessions,),) = asked(lab.cluster.uri("postgres"), SESSIONS)
            most.append(n_sessions)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    configs = [config_of(f"dataset_{i}") for i in range(12)]
    with ThreadPoolExecutor(len(configs)) as jobs:
        list(jobs.map(lambda one: lab.ingest(uri, one, span), configs))
    done.set()
    watcher.join()
    n_datasets, n_looks = len(configs), len(most)
    print(f"connections: at most {max(most)} of {n_datasets} datasets at once, in {n_looks} looks")
    return 1 < max(most) <= configs[0].source.max_connections


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    small = parser.parse_args().small
    folder = Path(tempfile.mkdtemp(prefix="tsad-guest-"))
    folder.chmod(0o711)
    lab = Lab(folder, n_days=1 if small else 4, n_machines=100 if small else 500)
    try:
        delay = "20ms" if small else "1s"
        settings = {"max_standby_streaming_delay": delay, "hot_standby_feedback": "off"}
        with standby_of(lab.cluster, **settings) as standby:
            held = [cancelled(lab, standby), behind(lab, standby)]
        held += [pooled(lab, folder), bounded(lab)]
    finally:
        postgres.remove(folder / "postgres")
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
