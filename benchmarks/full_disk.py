"""A full disk stops no more than the run that met it: real steps on a file system that is full.

Usage: python benchmarks/full_disk.py [--small]

A small tmpfs takes artifacts, hand-over files and reports: each task of a training, of scoring and
of a report meets it with no room, then with some kilobytes, then with enough, in one run folder. A
second one takes the tables of a warehouse, as a tablespace. Whatever a task says, it is to be tried
again and names the disk; what lies there is whole; and the rows at the end are those of an
undisturbed life. Where nothing may be mounted (only root may), files are bounded by RLIMIT_FSIZE
instead, and the second part is left out.
--small: one size of room for each task; otherwise four.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lab.disk import Bounded, Disk, tmpfs
from lab.short_life import config_of, everything, fill, rows_of
from psycopg2 import sql

from devstack import postgres
from tsad_tasks.base.errors import NoSpace
from tsad_tasks.base.interval import HOUR
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.register import register
from tsad_tasks.pipeline.tasks import STEPS
from tsad_tasks.reporting.period.report import render_period
from tsad_tasks.scoring.features import build_features
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_shard
from tsad_tasks.scoring.windows import build_windows
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

AT = datetime(2026, 3, 9, tzinfo=UTC)
N_HOURS = 6
ROOMS, SMALL = (0, 4 << 10, 32 << 10, 256 << 10), (4 << 10,)
FILES_BYTES, TABLES_BYTES = 6 << 20, 48 << 20
ROWS = "SELECT version, sha256, gate_passed FROM tsad.model"


class Life:
    """A dataset's life, step by step: training, scoring, report."""

    def __init__(self, source_uri: str, uri: str, folder: Path) -> None:
        self.source_uri, self.uri, self.folder = source_uri, uri, folder
        self.config = config_of(window="auto")
        self.shards: list[list[str]] = []

    def steps(self) -> dict[str, Callable[[Store], object]]:
        """What is done, in order."""
        span: dict[str, Any] = {"start_at": AT, "end_at": AT + N_HOURS * HOUR}
        before: dict[str, Any] = {"start_at": AT - timedelta(days=7), "end_at": AT}
        of, folder = (self.config,), self.folder

        def trained(step: Callable[[Retraining], object]) -> Callable[[Store], object]:
            return lambda store: step(Retraining(store, *of, AT, folder / "run", folder))

        def features(store: Store) -> None:
            self.shards = build_features(store, *of, **span, folder=folder / "score").shards

        def scored(store: Store) -> None:
            for shard in self.shards:
                score_shard(store, *of, shard)
            build_incidents(store, *of, **span, lineage="live")

        report = folder / "reports" / "room.pdf"
        return {
            "ingest": lambda store: ingest_interval(store, *of, self.source_uri, **before),
            **{name: trained(step) for name, step in STEPS.items()},
            "register": trained(register),
            "ingest hours": lambda store: ingest_interval(store, *of, self.source_uri, **span),
            "score features": features,
            "score windows": lambda _: build_windows(self.shards),
            "score": scored,
            "report": lambda store: render_period(store, *of, **span, path=report, now=lambda: AT),
        }

    def live(self, disk: Disk | None = None, rooms: tuple[int, ...] = ()) -> int:
        """How often the full disk was met, after living through all steps; each is tried with
        every room first, and then with enough.
        """
        n_met = 0
        for name, step in self.steps().items():
            for room in rooms if disk else ():
                assert disk is not None
                n_met += self._is_stopped(name, step, disk, room)
                self.check(name)
            with Store.connect(self.uri) as store:
                step(store)
            self.check(name)
        return n_met

    def _is_stopped(
        self, name: str, step: Callable[[Store], object], disk: Disk, room: int
    ) -> bool:
        try:
            with Store.connect(self.uri) as store, disk.full(room):
                step(store)
        except NoSpace:
            return True
        except Exception as error:
            raise AssertionError(f"{name} with {room} bytes: {error!r}") from error
        return False

    def check(self, name: str) -> None:
        """Nothing lies there that is not whole."""
        for path in self.folder.rglob("*"):
            if not path.is_file() or path.name.startswith("ballast"):
                continue
            assert not path.name.startswith("."), f"{name} left {path}"
            if path.suffix == ".npz":
                assert zipfile.ZipFile(path).testzip() is None, path
            elif path.suffix == ".json":
                json.loads(path.read_bytes())
            elif path.suffix == ".pdf":
                assert path.read_bytes().rstrip().endswith(b"%%EOF"), path


class Bench:
    """A server with a filled source, and warehouses of their own for each life."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.expected: list[list[str]] = []
        self.cluster = postgres.ensure_running(folder / "postgres", durable=False)
        self.source_uri = self.cluster.create_database("plant")
        fill(self.source_uri, AT, N_HOURS)
        migrate(self.cluster.create_database("made"))

    def life(self, name: str, folder: Path) -> Life:
        """A life in an empty warehouse."""
        uri = self.cluster.create_database(name, template="made")
        return Life(self.source_uri, uri, folder)

    def on_full_tables(self, rooms: tuple[int, ...]) -> Callable[[], str]:
        """A life whose tables lie on a small disk."""

        def lived() -> str:
            place = self.cluster.data_folder.with_name("small-tables")
            with tmpfs(place, TABLES_BYTES) as disk:
                if disk is None:
                    return "not measured: nothing can be mounted where the server sees it"
                owner = place.parent.joinpath(self.cluster.data_folder.name).stat()
                os.chown(place, owner.st_uid, owner.st_gid)
                space = self.cluster.uri("postgres")
                rows_of(space, sql.SQL("CREATE TABLESPACE small LOCATION {}").format(
                    sql.Literal(str(place))))  # fmt: skip
                life = self.life("tables", self.folder / "tables")
                try:
                    rows_of(space, "ALTER DATABASE tables SET TABLESPACE small")
                    n_met = life.live(disk, tuple(max(room, 32 << 10) for room in rooms))
                    return self.said(life, n_met)
                finally:
                    self.cluster.drop_database("tables")
                    rows_of(space, "DROP TABLESPACE small")

        return lived

    def said(self, life: Life, n_met: int) -> str:
        """What came of a life, beside the undisturbed one."""
        assert n_met, "the disk was never full"
        assert everything(life.uri, ROWS) == self.expected, "other rows than undisturbed"
        return f"met {n_met} times; the same rows"


def main() -> int:
    """1 where a full disk left more than a run that is tried again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    rooms, n_wrong = SMALL if asked.small else ROOMS, 0
    folder = Path(tempfile.mkdtemp(prefix="tsad-full-disk-"))
    folder.chmod(0o711)
    try:
        bench = Bench(folder)
        undisturbed = bench.life("undisturbed", folder / "undisturbed")
        undisturbed.live()
        bench.expected = everything(undisturbed.uri, ROWS)
        assert all(bench.expected), "nothing to compare"

        def on_full_files() -> str:
            with tmpfs(folder / "small-files", FILES_BYTES) as disk:
                place = disk or Bounded(folder / "small-files")
                life = bench.life("files", place.folder)
                how = "" if disk else " (RLIMIT_FSIZE: nothing can be mounted here)"
                return bench.said(life, life.live(place, rooms)) + how

        for name, lived in {
            "full disk of files": on_full_files,
            "full disk of tables": bench.on_full_tables(rooms),
        }.items():
            began = time.perf_counter()
            try:
                said = lived()
            except Exception as error:
                n_wrong, said = n_wrong + 1, f"{type(error).__name__}: {error}"
            print(f"{name:20} {time.perf_counter() - began:5.1f} s  {said}", flush=True)
    finally:
        postgres.remove(folder / "postgres")
    return bool(n_wrong)


if __name__ == "__main__":
    sys.exit(main())
