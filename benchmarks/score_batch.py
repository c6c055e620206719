"""The hourly batch in fresh processes: 1,000 entities × 60 readings scored, beside the way one
would write it first.

Usage: python benchmarks/score_batch.py [--small]

Ours: one process reads blocks from Postgres (the look-back of 1,440 errors included), scores them
with one shared LSTM autoencoder, and writes scores, anomalies and incidents. Three consecutive
hours are ingested and scored, as in a live system; the medians are printed. Naive: one process with
`pandas.read_sql`, `keras.predict` and `to_sql` per entity, on the same readings, past errors and
network, for some of the entities. Its loop is scaled to all of them by proportion; its start is
counted once. The errors of both are compared. Times are of whole processes, imports included;
memory is their peak. Fails where errors differ or ours is not 3 times as fast as naive; at full
size, where it takes more than 3 s, 400 MB, or a fortieth of the naive way. Other work on the
machine counts against it: compare with the CPU column.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from lab.hours_read import note_hours

from tsad_tasks.scoring.queries import SELECT_CHAMPIONS
from tsad_tasks.storage.datasets import (
    ensure_entities,
    ensure_layout,
    select_dataset,
    select_entities,
    upsert_dataset,
)
from tsad_tasks.storage.readings import write_blocks
from tsad_tasks.storage.scores import read_score_memo

HOUR = timedelta(hours=1)
FIRST_AT = datetime(2026, 3, 10, tzinfo=UTC)
N_RUNS = 3
LOOK_BACK_H = 24
TRAIN_H = 24
N_FAULTY = 10
MAX_S, MAX_MB, MIN_FASTER, MIN_FASTER_SMALL = 3.0, 400, 40.0, 3.0
CONFIG: dict[str, Any] = {
    "dataset": "fleet",
    "source": {
        "connection": "fleet",
        "tables": "plant.reading",
        "time": {"column": "at"},
        "entity": {"column": "machine"},
        "channels": {"value": {}},
    },
    "features": {"cyclic": []},
    "detector": {"name": "lstm_autoencoder", "window": 10},
    "threshold": {"kind": "adaptive"},
    "training": {"range": f"{TRAIN_H}h", "max_windows": 12_000, "epochs": 3},
    "gate": {
        "min_point_share": 0,
        "min_contextual_share": 0,
        "min_collective_share": 0,
        "max_false_alarm_share": 1,
    },
}
_MAKE_TABLES = """
CREATE SCHEMA plant;
CREATE TABLE plant.reading (at timestamptz, machine text, value float8, PRIMARY KEY (machine, at));
CREATE INDEX ON plant.reading (at);
CREATE TABLE plant.score
  (at timestamptz, machine text, error real, threshold real, flag boolean,
   PRIMARY KEY (machine, at));
"""


@dataclass(frozen=True)
class Sizes:
    n_entities: int
    n_naive: int

    @property
    def names(self) -> list[str]:
        return [f"machine-{number:04d}" for number in range(self.n_entities)]


# Roles: what the child processes do. They import for themselves, since the import is part of what
# is measured. --------


def prepare(uri: str, folder: Path, sizes: Sizes) -> dict[str, float]:
    """Readings, a trained champion, and its scores of the day before: what is there in a live
    system.
    """
    from tsad_tasks.scoring.score import score_interval
    from tsad_tasks.storage.migrate import migrate
    from tsad_tasks.storage.store import Store

    migrate(uri)
    values = _readings(sizes)
    with Store.connect(uri) as store:
        _write_history(store, sizes, values[:, : (TRAIN_H + LOOK_BACK_H) * 60])
        _train(store, folder)
        span = {"start_at": FIRST_AT - LOOK_BACK_H * HOUR, "end_at": FIRST_AT}
        started = time.perf_counter()
        n_windows = score_interval(store, _config(), **span).n_windows
        day_s = time.perf_counter() - started
        _fill_tables(store, uri, sizes, values)
    return {"day_s": day_s, "n_windows": n_windows}


def ingest(uri: str, folder: Path, sizes: Sizes, number: int) -> dict[str, float]:
    """Ingests one hour from the table with a row per reading."""
    from tsad_tasks.ingest.ingest import ingest_interval
    from tsad_tasks.storage.store import Store

    start_at = FIRST_AT + number * HOUR
    with Store.connect(uri) as store:
        summary = ingest_interval(store, _config(), uri, start_at=start_at, end_at=start_at + HOUR)
    return {"n_rows": summary.n_rows, "n_blocks": summary.n_blocks_changed}


def score(uri: str, folder: Path, sizes: Sizes, number: int) -> dict[str, float]:
    """Scores one hour and merges its flags into incidents."""
    began = time.perf_counter()
    from tsad_tasks.scoring.incidents import build_incidents
    from tsad_tasks.scoring.score import score_interval
    from tsad_tasks.storage.store import Store

    span = {"start_at": FIRST_AT + number * HOUR, "end_at": FIRST_AT + (number + 1) * HOUR}
    laps = [began, time.perf_counter()]
    with Store.connect(uri) as store:
        summary = score_interval(store, _config(), **span)
        laps.append(time.perf_counter())
        incidents = build_incidents(store, _config(), **span)
        laps.append(time.perf_counter())
    parts = {
        name: laps[i + 1] - laps[i] for i, name in enumerate(("import_s", "score_s", "incidents_s"))
    }
    counts = {"n_windows": summary.n_windows, "n_anomalies": summary.n_anomalies}
    return parts | counts | {"n_incidents": incidents.n_incidents}


def naive(uri: str, folder: Path, sizes: Sizes) -> dict[str, float]:
    """What one writes first: per entity read_sql, predict, a rolling threshold, to_sql."""
    import keras
    import numpy as np
    import pandas as pd
    from sqlalchemy import create_engine

    engine, model = create_engine(uri), keras.models.load_model(folder / "model.keras")
    scales = json.loads((folder / "scales.json").read_text())
    started = time.perf_counter()
    for name in sizes.names[: sizes.n_naive]:
        readings = pd.read_sql(
            _NAIVE_READINGS,
            engine,
            params=(name, FIRST_AT - 9 * timedelta(minutes=1), FIRST_AT + HOUR),
        )
        past = pd.read_sql(
            _NAIVE_ERRORS, engine, params=(name, FIRST_AT - LOOK_BACK_H * HOUR, FIRST_AT)
        )
        center, scale = scales[name]
        scaled = ((readings["value"] - center) / scale).to_numpy(np.float32)
        windows = np.stack([scaled[i : i + 10] for i in range(60)])[..., None]
        errors = np.square(windows - model.predict(windows, verbose=0)).mean(axis=(1, 2))
        before = (
            pd.concat([past["error"], pd.Series(errors)], ignore_index=True).shift(1).rolling(1440)
        )
        threshold = (before.mean() + 6 * before.std()).to_numpy()[-60:]
        rows = {
            "at": readings["at"][9:],
            "machine": name,
            "error": errors,
            "threshold": threshold,
            "flag": errors > threshold,
        }
        pd.DataFrame(rows).to_sql("score", engine, schema="plant", if_exists="append", index=False)
    return {"loop_s": time.perf_counter() - started}


_NAIVE_READINGS = (
    "SELECT at, value FROM plant.reading WHERE machine = %s AND at >= %s AND at < %s ORDER BY at"
)
_NAIVE_ERRORS = (
    "SELECT at, error FROM plant.score WHERE machine = %s AND at >= %s AND at < %s ORDER BY at"
)


def _config() -> Any:
    from tsad_tasks.config import DatasetConfig

    return DatasetConfig.model_validate(CONFIG)


# Preparation


def _readings(sizes: Sizes) -> Any:
    """(n_entities, n_steps): a wave of an hour with noise, at another level for each; the last few
    break down.
    """
    import numpy as np

    random = np.random.default_rng(7)
    steps = np.arange((TRAIN_H + LOOK_BACK_H + N_RUNS) * 60)
    level, height, phase = random.uniform(20, 80, (3, sizes.n_entities, 1))
    values = level + height * np.sin(2 * np.pi * steps / 60 + phase)
    values += random.normal(0, 0.03, values.shape) * height
    for number in range(N_RUNS):
        first = (TRAIN_H + LOOK_BACK_H + number) * 60 + 20
        values[-N_FAULTY:, first : first + 5] += 2 * height[-N_FAULTY:]
    return values


def _write_history(store: Any, sizes: Sizes, values: Any) -> None:

    n_hours = values.shape[1] // 60
    hours = [FIRST_AT + (i - n_hours) * HOUR for i in range(n_hours)]
    with store.transaction():
        dataset = upsert_dataset(store, _config())
        ids = ensure_entities(store, dataset.dataset_id, sizes.names)
        layout = ensure_layout(store, dataset.dataset_id, _config())
        for i, hour in enumerate(hours):
            blocks = values[:, i * 60 : (i + 1) * 60, None]
            write_blocks(
                store,
                layout,
                [ids[name] for name in sizes.names],
                [hour] * sizes.n_entities,
                blocks,
            )
        entities = [ids[name] for name in sizes.names]
        note_hours(store, dataset.dataset_id, entities, hours, 60 * sizes.n_entities)


def _train(store: Any, folder: Path) -> None:
    """All tasks of a retraining; the network is kept as Keras saves it, too, for the naive way."""
    from upath import UPath

    from tsad_tasks.pipeline.register import register
    from tsad_tasks.training.judge import calibrate, gate
    from tsad_tasks.training.prepare import find_exclusions, make_features, make_windows
    from tsad_tasks.training.retrain import Retraining
    from tsad_tasks.training.survey import Scales

    run = Retraining(
        store, _config(), FIRST_AT - LOOK_BACK_H * HOUR, UPath(folder / "run"), UPath(folder)
    )
    for task in (find_exclusions, make_features, make_windows):
        task(run)
    ((_, scope_folder),) = run.scopes()
    _fit(scope_folder, folder / "model.keras")
    for task in (calibrate, gate, register):
        task(run)
    own = scope_folder.read("scales", Scales).own
    content = {name: (part.center[0], part.scale[0]) for name, part in own.items()}
    (folder / "scales.json").write_text(json.dumps(content))


def _fit(scope_folder: Any, keras_path: Path) -> None:
    from tsad_tasks.detectors.base import Budget, TrainingPlan, TrainingSet
    from tsad_tasks.detectors.neural.training.keras_training import train
    from tsad_tasks.detectors.registry import build_detector, detector_from_files
    from tsad_tasks.training.fit import Trained
    from tsad_tasks.training.kept import kept_windows

    with scope_folder.kept(_config()) as (kept, _, arrays):
        prepared = kept_windows(kept, arrays)
    detector: Any = build_detector("lstm_autoencoder", width=10, n_channels=1, n_inputs=1)
    learner = detector.learner(Budget(), seed=7, jit=True)
    training = TrainingSet(prepared.inputs, prepared.ends, prepared.validation_ends, 1, 10)
    history = train(learner, training, TrainingPlan(Budget(epochs=3), seed=7))
    learner.model.save(keras_path)
    details = {
        "name": detector.name,
        "width": 10,
        "n_channels": 1,
        "n_inputs": 1,
        "params": detector.params,
    }
    details |= {"error": "mse", "limits": [1e6]}
    files = {"model.onnx": learner.graph.filled(), "detector.json": json.dumps(details).encode()}
    detector_from_files(files).save(scope_folder.path / "detector")
    Trained(history, [], []).save(scope_folder.path / "trained.npz")


def _fill_tables(store: Any, uri: str, sizes: Sizes, values: Any) -> None:
    """Tables with a row per reading: the source, and the errors that the naive way looks back
    at.
    """
    import numpy as np

    from tsad_tasks.storage import copy_binary as binary
    from tsad_tasks.storage.database import connect

    n_steps = values.shape[1] - TRAIN_H * 60
    times_s = int((FIRST_AT - LOOK_BACK_H * HOUR).timestamp()) + 60 * np.arange(n_steps)
    errors = _stored_errors(store, sizes)
    unknown = np.zeros(errors.size)
    connection = connect(uri)
    with connection, connection.cursor() as cursor:
        cursor.execute(_MAKE_TABLES)
        columns = [binary.number(values[:, -n_steps:].ravel(), "f8")]
        _copy(cursor, "reading (at, machine, value)", sizes, times_s, columns)
        columns = [
            binary.number(errors.ravel(), "f4"),
            binary.number(unknown + 1, "f4"),
            binary.number(unknown, "i1"),
        ]
        _copy(
            cursor,
            "score (at, machine, error, threshold, flag)",
            sizes,
            times_s[: errors.shape[1]],
            columns,
        )
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    connection.close()


def _copy(cursor: Any, table: str, sizes: Sizes, times_s: Any, columns: list[Any]) -> None:
    import io

    import numpy as np

    from tsad_tasks.storage import copy_binary as binary

    at, machine = np.tile(times_s, sizes.n_entities), np.repeat(sizes.names, len(times_s)).tolist()
    content = binary.encode([binary.timestamptz(at), binary.text(machine), *columns])
    cursor.copy_expert(f"COPY plant.{table} FROM STDIN (FORMAT binary)", io.BytesIO(content))


def _stored_errors(store: Any, sizes: Sizes) -> Any:
    """(n_entities, n_steps): the errors of the day before the first run."""
    with store.transaction():
        dataset = select_dataset(store, "fleet")
        ids = select_entities(store, dataset.dataset_id)
        (champion,) = store.rows(
            SELECT_CHAMPIONS,
            dataset_id=dataset.dataset_id,
            lineage="live",
            start_at=FIRST_AT,
            end_at=FIRST_AT + HOUR,
        )
        keys = [ids[name] for name in sizes.names]
        memo = read_score_memo(
            store, champion.model_id, keys, FIRST_AT - LOOK_BACK_H * HOUR, FIRST_AT, 60
        )
    return memo.errors.reshape(len(keys), -1)


# Measuring


@dataclass(frozen=True)
class Measured:
    """One process: seconds of wall and of its own CPU, peak memory, and what it said."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    said: dict[str, float]


def measure(role: str, uri: str, folder: Path, sizes: Sizes, number: int = 0) -> Measured:
    """Runs a role in a fresh process."""
    arguments = [role, uri, str(folder), str(sizes.n_entities), str(sizes.n_naive), str(number)]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
    }
    started = time.perf_counter()
    command = [sys.executable, __file__, "--role", *arguments]
    ended = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        stderr=_errors(role),
        text=True,
        env=environment,
    )
    wall_s = time.perf_counter() - started
    said = json.loads(ended.stdout.splitlines()[-1])
    return Measured(wall_s, said.pop("cpu_s"), said.pop("peak_mb"), said)


def _errors(role: str) -> int | None:
    """TensorFlow complains of missing GPUs whatever its log level is."""
    return subprocess.DEVNULL if role == "naive" else None


def play(arguments: list[str]) -> None:
    """Runs a role in this process and prints what it used."""
    role, uri, folder, n_entities, n_naive, number = arguments
    sizes = Sizes(int(n_entities), int(n_naive))
    roles: dict[str, Callable[..., dict[str, float]]] = {"ingest": ingest, "score": score}
    alone: dict[str, Callable[..., dict[str, float]]] = {"prepare": prepare, "naive": naive}
    if role in roles:
        said = roles[role](uri, Path(folder), sizes, int(number))
    else:
        said = alone[role](uri, Path(folder), sizes)
    used = resource.getrusage(resource.RUSAGE_SELF)
    said |= {"cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}
    print(json.dumps(said))


def largest_difference(uri: str, sizes: Sizes) -> float:
    """Between the errors of both ways, in the first hour, relative to the largest of them."""
    from tsad_tasks.storage.database import connect

    connection = connect(uri)
    with connection, connection.cursor() as cursor:
        cursor.execute(_DIFFERENCE, {"start_at": FIRST_AT, "end_at": FIRST_AT + HOUR})
        n_steps, difference = cursor.fetchone() or (0, 0.0)
    connection.close()
    assert n_steps == 60 * sizes.n_naive, (
        f"Expected {60 * sizes.n_naive} errors in both. Received: {n_steps}."
    )
    return float(difference)


_DIFFERENCE = """
SELECT count(*), max(abs(u.error - p.error)) / max(p.error)
FROM tsad.score_block b JOIN tsad.entity e USING (entity_id)
CROSS JOIN LATERAL unnest(b.errors) WITH ORDINALITY AS u(error, i)
JOIN plant.score p ON p.machine = e.name AND p.at = b.hour_at + make_interval(mins => u.i::int - 1)
WHERE b.hour_at = %(start_at)s AND p.at >= %(start_at)s AND p.at < %(end_at)s
  AND b.superseded_at = 'infinity'
"""


@dataclass(frozen=True)
class Results:
    """All that was measured."""

    sizes: Sizes
    prepared: Measured
    ingests: list[Measured]
    scores: list[Measured]
    naive: Measured
    difference: float

    @property
    def wall_s(self) -> float:
        return median(run.wall_s for run in self.scores)

    @property
    def naive_s(self) -> float:
        """The naive way for all entities: its start once, its loop by proportion."""
        share = self.sizes.n_entities / self.sizes.n_naive
        return self.naive.wall_s + self.naive.said["loop_s"] * (share - 1)

    def print(self) -> None:
        """The table."""
        n, said = self.sizes.n_entities, self.scores[-1].said
        parts = (
            f"{name} {median(run.said[f'{name}_s'] for run in self.scores):.2f}" for name in _PARTS
        )
        print(
            f"{n:,} entities × 60 readings, look-back of {LOOK_BACK_H * 60:,} errors; medians of "
            f"{N_RUNS} runs"
        )
        print(f"{'':<46}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}")
        _print_row("score the hour: blocks to scores and incidents", self.scores, ", ".join(parts))
        _print_row(
            "ingest the hour: rows to blocks",
            self.ingests,
            f"{self.ingests[-1].said['n_rows']:,} rows",
        )
        _print_row(
            f"naive, {self.sizes.n_naive} entities",
            [self.naive],
            f"of it {self.naive.said['loop_s']:.1f} s loop",
        )
        print(
            f"{f'naive, scaled to {n:,} entities':<46}{self.naive_s:9.2f}"
            f"{self.naive_s / self.wall_s:21.0f} × ours"
        )
        day_s, n_windows = self.prepared.said["day_s"], self.prepared.said["n_windows"]
        print(
            f"{'in bulk: the day before, in one go':<46}{day_s:9.2f}   {n_windows / day_s:,.0f} "
            "windows/s"
        )
        print(
            f"found {said['n_anomalies']} anomalies in {said['n_windows']:,} windows, "
            f"{said['n_incidents']} incidents"
        )
        print(
            "largest difference from the naive errors, relative to the largest of them: "
            f"{self.difference:.1e}"
        )

    def missed(self, small: bool) -> list[str]:
        """Which promises were not kept."""
        peak_mb = max(run.peak_mb for run in self.scores)
        faster, floor = self.naive_s / self.wall_s, MIN_FASTER_SMALL if small else MIN_FASTER
        rules = {
            f"Expected errors equal to 1e-4. Received: {self.difference:.1e}.": self.difference
            <= 1e-4,
            "Expected the day before to be scored. Received: nothing of it.": self.prepared.said[
                "n_windows"
            ]
            > 0,
            f"Expected {floor:.0f} × naive. Received: {faster:.1f} ×.": faster >= floor,
            f"Expected at most {MAX_S} s. Received: {self.wall_s:.2f} s.": small
            or self.wall_s <= MAX_S,
            f"Expected at most {MAX_MB} MB. Received: {peak_mb:.0f} MB.": peak_mb <= MAX_MB,
        }
        return [message for message, kept in rules.items() if not kept]


_PARTS = ("import", "score", "incidents")


def _print_row(title: str, runs: list[Measured], note: str) -> None:
    figures = (
        median(getattr(run, name) for run in runs) for name in ("wall_s", "cpu_s", "peak_mb")
    )
    print(f"{title:<46}{next(figures):9.2f}{next(figures):9.2f}{next(figures):9.0f}   {note}")


def results(uri: str, folder: Path, sizes: Sizes) -> Results:
    """Prepares a warehouse and measures each process in turn."""
    prepared = measure("prepare", uri, folder, sizes)
    ingests, scores = [], []
    for number in range(N_RUNS):
        ingests.append(measure("ingest", uri, folder, sizes, number))
        scores.append(measure("score", uri, folder, sizes, number))
    first = measure("naive", uri, folder, sizes)
    return Results(sizes, prepared, ingests, scores, first, largest_difference(uri, sizes))


def main(small: bool) -> int:
    """Prints the table; 1 where a promise is not kept."""
    from devstack.postgres import ensure_running, remove

    with tempfile.TemporaryDirectory(prefix="tsad-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster = ensure_running(folder / "postgres")
        try:
            found = results(
                cluster.create_database("bench"), folder, Sizes(30, 4) if small else Sizes(1000, 30)
            )
        finally:
            remove(folder / "postgres")
    found.print()
    for message in found.missed(small):
        print(message)
    return int(bool(found.missed(small)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--role"]:
        play(sys.argv[2:])
        sys.exit()
    parser = argparse.ArgumentParser(
        description="The hourly batch in fresh processes, beside the naive way."
    )
    parser.add_argument(
        "--small", action="store_true", help="30 entities and a lower floor, for CI"
    )
    sys.exit(main(parser.parse_args().small))
