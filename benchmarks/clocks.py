"""The warehouse's clock decides, whatever other clocks say: real steps under libfaketime.

Usage: python benchmarks/clocks.py [--small]

Workers whose clock is a day ahead or behind, or years, read an hour, then a late row, and clear up:
each leaves the rows of a worker whose clock is right. A server whose clock is set back by two hours
shows what it showed, takes a late row, waits until an hour has settled by its own clock, and leaves
the rows of an undisturbed one. Fails where rows differ; without libfaketime
(apt-get install libfaketime) nothing is measured.
--small: one worker a day ahead; otherwise six clocks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lab.short_life import config_of, everything, fill, rows_of
from upath import UPath

from devstack import postgres
from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.errors import NotYet
from tsad_tasks.base.interval import HOUR, hour_floor
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.monitoring.maintain import maintain_dataset
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

CLOCKS = {"a day ahead": "+1d", "a day behind": "-1d", "an hour ahead": "+1h"}
CLOCKS |= {"an hour behind": "-1h", "in 2031": "+1800d", "in 2021": "-1800d"}
SMALL = ("a day ahead",)
ROWS = "SELECT hour_at, read_until, n_rows, n_readings FROM tsad.ingest_hour"
SHOWN = "SELECT count(*) FROM tsad.scores('room', 'm-0', '2000-01-01', '2100-01-01')"
BACKWARDS = """
SELECT (SELECT count(*) FROM tsad.score_block WHERE superseded_at < scored_at)
  + (SELECT count(*) FROM tsad.anomaly WHERE superseded_at < known_from)
"""
CORRECTED = """
UPDATE room SET temperature = 99, changed = clock_timestamp() + interval '5 min'
WHERE machine = 'm-1' AND at = %(at)s + interval '20 min'
"""
# A server's programs get a bare environment: the clock goes in with it.
SERVER = """
import json, subprocess, sys
from pathlib import Path
from devstack import postgres
plain, clock = subprocess.run, json.loads(sys.argv[2])
subprocess.run = lambda command, **how: plain(command, **how | {"env": how.get("env", {}) | clock})
postgres.ensure_running(Path(sys.argv[1]), durable=False)
"""


def library() -> str | None:
    """Where libfaketime is, or None."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return str(found[0]) if found else None


def clock(offset: str) -> dict[str, str]:
    """The environment of a program whose clock is off; its files are stamped by the machine's."""
    if not offset:
        return {}
    names = {"FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    return {"LD_PRELOAD": str(library()), **names}


class Room:
    """A source and a warehouse of its own, with the steps of the pipeline."""

    def __init__(self, source_uri: str, uri: str, folder: str, at: datetime) -> None:
        self.source_uri, self.uri, self.folder, self.at = source_uri, uri, UPath(folder), at
        source = {"late_rows_within": "12h", "updated_at": "changed"}
        self.config = config_of(window=10, source=source, retention={"models": "30d"})
        os.environ["TSAD_ARTIFACTS"] = folder

    def train(self) -> None:
        """A champion from `at` on."""
        span: dict[str, Any] = {"start_at": self.at - timedelta(days=7), "end_at": self.at}
        with Store.connect(self.uri) as store:
            ingest_interval(store, self.config, self.source_uri, **span)
            run = Retraining(store, self.config, self.at, self.folder / "run", self.folder)
            made, *_ = retrain(run)
        assert made.valid_from == self.at, made

    def score(self, n_hours: int) -> None:
        """What the DAG does with the first hours after `at`."""
        span: dict[str, Any] = {
            "start_at": self.at + (n_hours - 1) * HOUR,
            "end_at": self.at + n_hours * HOUR,
        }
        with Store.connect(self.uri) as store:
            ingest_interval(store, self.config, self.source_uri, **span)
            for lived in (score_interval, build_incidents):
                lived(store, self.config, start_at=self.at, end_at=span["end_at"], lineage="live")

    def late_row(self) -> None:
        """A row of the first hour is corrected, by a source whose clock is ahead by minutes."""
        rows_of(self.source_uri, CORRECTED, {"at": self.at})

    def clear_up(self) -> None:
        """The daily maintenance, whose source has rows that nobody has read yet."""
        run = self.folder / "runs" / "room.train" / "beside"
        run.mkdir(parents=True, exist_ok=True)
        (run / "features.npz").write_bytes(b"of a run that goes on")
        with Store.connect(self.uri) as store:
            done = maintain_dataset(store, self.config, self.source_uri, at=self.at + 3 * HOUR)
        assert (run / "features.npz").exists(), "files of a run that goes on were removed"
        assert not done.late_commands, done

    def live(self) -> None:
        """An hour, its late row with the next ones, and the maintenance."""
        self.score(1)
        self.late_row()
        self.score(2)
        self.score(3)
        self.clear_up()


class Bench:
    """One server, and a filled source with a trained warehouse to clone."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.n_rooms = folder, 0
        self.start("")
        self.at = hour_floor(utc_now()) - 4 * HOUR
        room = Room(*self.databases("made"), str(folder / "made"), self.at)
        migrate(room.uri)
        fill(room.source_uri, self.at, 3)
        room.train()

    def start(self, offset: str) -> None:
        """The server, with its clock off by so much."""
        arguments = [str(self.folder / "postgres"), json.dumps(clock(offset))]
        subprocess.run([sys.executable, "-c", SERVER, *arguments], check=True)
        self.cluster = postgres.ensure_running(self.folder / "postgres", durable=False)

    def databases(self, name: str, **options: Any) -> tuple[str, str]:
        """URIs of a source and a warehouse."""
        kinds = ("plant", "store")
        made = [self.cluster.create_database(f"{name}_{kind}", **options) for kind in kinds]
        return made[0], made[1]

    def room(self) -> Room:
        """A copy of the trained room."""
        self.n_rooms += 1
        source_uri, uri = (
            self.cluster.create_database(f"{kind}_{self.n_rooms}", template=f"made_{kind}")
            for kind in ("plant", "store")
        )
        # The model's files are the same for all.
        return Room(source_uri, uri, str(self.folder / "made"), self.at)

    def worker(self, room: Room, offset: str) -> None:
        """A worker's life, in a process whose clock is off."""
        arguments = [room.source_uri, room.uri, str(room.folder), room.at.isoformat()]
        command = [sys.executable, __file__, "--worker", *arguments]
        done = subprocess.run(
            command, env=os.environ | clock(offset), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise AssertionError(done.stderr[-1500:])

    def set_back(self, room: Room) -> None:
        """The server's clock goes back by two hours after the first hour, and comes right again."""
        room.score(1)
        shown = rows_of(room.uri, SHOWN)
        postgres.stop(self.folder / "postgres")
        self.start("-2h")
        assert rows_of(room.uri, SHOWN) == shown != [(0,)], "a gap is shown"
        room.late_row()
        room.score(1)
        assert rows_of(room.uri, SHOWN) == shown, "a gap is shown after the late row"
        room.score(2)
        assert timedelta(0) < waiting(room) <= HOUR, "an hour has settled that has not ended"
        postgres.stop(self.folder / "postgres")
        self.start("")
        room.score(3)
        room.clear_up()
        assert rows_of(room.uri, BACKWARDS) == [(0,)], "a revision ends before it begins"


def waiting(room: Room) -> timedelta:
    """How long the third hour has to be waited for."""
    try:
        room.score(3)
    except NotYet as error:
        return error.wait
    return timedelta(0)


def main() -> int:
    """1 where a clock other than the warehouse's decided."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        source_uri, uri, folder, at = asked.worker
        Room(source_uri, uri, folder, datetime.fromisoformat(at)).live()
        return 0
    if library() is None:
        print("Not measured: no libfaketime here (apt-get install libfaketime).")
        return 0
    place = Path(tempfile.mkdtemp(prefix="tsad-clocks-"))
    place.chmod(0o711)
    n_wrong = 0
    try:
        bench = Bench(place)
        undisturbed = bench.room()
        undisturbed.live()
        expected = everything(undisturbed.uri, ROWS)
        assert all(expected), "nothing to compare"
        lives: dict[str, Callable[[Room], None]] = {
            f"worker {name}": lambda room, offset=offset: bench.worker(room, offset)  # type: ignore[misc]
            for name, offset in CLOCKS.items()
            if not asked.small or name in SMALL
        }
        lives["server set back by 2 h"] = bench.set_back
        for name, live in lives.items():
            room, began, said = bench.room(), time.perf_counter(), ""
            try:
                live(room)
                different = [
                    number
                    for number, (one, other) in enumerate(
                        zip(everything(room.uri, ROWS), expected, strict=True)
                    )
                    if one != other
                ]
                said = f"other rows of {different}" if different else ""
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            n_wrong += bool(said)
            print(f"{name:26} {time.perf_counter() - began:5.1f} s  {said or 'the same rows'}")
    finally:
        postgres.remove(place / "postgres")
    return bool(n_wrong)


if __name__ == "__main__":
    sys.exit(main())
