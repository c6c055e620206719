"""Whether machines that carry different sensors are one dataset: 40 pumps, 5 to 9 of 12 channels.

Usage: python benchmarks/unlike_machines.py [--small] [DETECTOR ...]

A long table, as other systems write them: what a pump does not have has no row. Each detector (by
default the default one, one of windows, one with a state) is trained on all pumps together and
scores a day after that. In it one pump has a fault in one of its sensors, one loses a sensor, and
one gets a sensor that it never had. Fails where a healthy pump's coverage is not 100 %, where a
sensor that a pump does not have is found fault with, where the fault is not found or not
attributed to its sensor, where the lost sensor is not dead or costs no coverage, or where the new
one is judged before a training.
--small: 12 pumps and the detector with a state alone.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from lab import gates
from numpy.typing import NDArray
from upath import UPath

from devstack import postgres
from tsad_tasks.base.interval import HOUR, moment, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

START_AT = moment("2026-03-02T00:00Z")
STEP_S = 600
N_DAYS, N_SCORED_HOURS = 6, 24
SPLIT_AT = START_AT + timedelta(days=N_DAYS)
END_AT = SPLIT_AT + N_SCORED_HOURS * HOUR
CHANNELS = (
    *("flow", "pressure_in", "pressure_out", "speed", "power", "current"),
    *("motor_temp", "bearing_temp", "vibration_x", "vibration_y", "level", "valve"),
)
DETECTORS = ("lstm_autoencoder", "dense_autoencoder", "event_head")
FAULT_FROM, DEATH_FROM, NEW_FROM = (SPLIT_AT + hours * HOUR for hours in (8, 6, 4))


@dataclass(frozen=True)
class Fleet:
    """Pumps and what they carry.

    Attributes
    ----------
    fitted : bool (n_pumps, n_channels).
    faulty, dying, newly : position of a pump and of one of its channels; of `newly` of one that it
        did not have.
    """

    fitted: NDArray[np.bool_]
    faulty: tuple[int, int]
    dying: tuple[int, int]
    newly: tuple[int, int]

    @property
    def names(self) -> list[str]:
        return [f"pump-{number:02}" for number in range(len(self.fitted))]


def fleet_of(n_pumps: int, rng: np.random.Generator) -> Fleet:
    """Pumps with 5 to 9 of the channels each, no two alike but by chance."""
    fitted = np.zeros((n_pumps, len(CHANNELS)), bool)
    for row in fitted:
        row[rng.choice(len(CHANNELS), rng.integers(5, 10), replace=False)] = True
    faulty, dying = ((pump, int(np.flatnonzero(fitted[pump])[0])) for pump in (0, 1))
    return Fleet(fitted, faulty, dying, newly=(2, int(np.flatnonzero(~fitted[2])[0])))


def readings_of(fleet: Fleet, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n_pumps, n_steps, n_channels), NaN where there is no sensor; all follow one load."""
    n_pumps, n_steps = len(fleet.fitted), (unix_s(END_AT) - unix_s(START_AT)) // STEP_S
    hours = np.arange(n_steps) * STEP_S / 3600
    load = np.sin(hours / 24 * 2 * np.pi)[None, :] + 0.2 * rng.normal(size=(n_pumps, n_steps))
    level, gain = rng.uniform(20, 80, (2, n_pumps, len(CHANNELS)))
    values: NDArray[np.float64] = level[:, None, :] + 0.1 * gain[:, None, :] * load[:, :, None]
    values += 0.02 * gain[:, None, :] * rng.normal(size=values.shape)
    first, death, new = (
        (unix_s(at) - unix_s(START_AT)) // STEP_S for at in (FAULT_FROM, DEATH_FROM, NEW_FROM)
    )
    pump, channel = fleet.faulty
    values[pump, first : first + 12, channel] += gain[pump, channel]
    values[np.broadcast_to(~fleet.fitted[:, None, :], values.shape)] = np.nan
    values[fleet.dying[0], death:, fleet.dying[1]] = np.nan
    values[fleet.newly[0], new:, fleet.newly[1]] = 1e3 * rng.normal(size=n_steps - new)
    return values


def fill(uri: str, fleet: Fleet, values: NDArray[np.float64]) -> None:
    """The source table, a row for each value that there is."""
    pump, step, channel = np.nonzero(np.isfinite(values))
    columns = [
        binary.timestamptz(unix_s(START_AT) + STEP_S * step),
        binary.text(np.array(fleet.names)[pump].tolist()),
        binary.text(np.array(CHANNELS)[channel].tolist()),
        binary.nullable(values[pump, step, channel]),
    ]
    connection = connect(uri)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE reading (at timestamptz, pump text, sensor text, value float8)"
        )
        cursor.copy_expert(
            "COPY reading FROM STDIN (FORMAT binary)", io.BytesIO(binary.encode(columns))
        )
    connection.close()


def config_of(detector: str) -> DatasetConfig:
    """The dataset with a detector; no rule of the gate refuses a model trained for a moment."""
    fields: dict[str, Any] = {
        "dataset": "pumps",
        "source": {
            "connection": "pumps",
            "tables": "reading",
            "shape": "long",
            "time": {"column": "at"},
            "entity": {"column": "pump"},
            "channel_column": "sensor",
            "value_column": "value",
            "step": f"{STEP_S}s",
            "channels": {name: {} for name in CHANNELS},
        },
        "detector": {"name": detector},
        "training": {"range": f"{N_DAYS}d", "max_windows": 6000, "epochs": 8},
        "features": {"min_own_scale": "1d"},
        "gate": gates.OPEN,
    }
    return DatasetConfig.model_validate(fields)


@contextmanager
def warehouses(folder: Path, n: int) -> Iterator[list[str]]:
    """Migrated databases on a server of their own, removed afterwards."""
    folder.chmod(0o711)
    cluster = postgres.ensure_running(folder / "postgres", durable=False)
    try:
        uris = [cluster.create_database(f"pumps_{i}", owner=postgres.OWNER) for i in range(n)]
        for uri in uris:
            migrate(uri)
        yield uris
    finally:
        postgres.remove(folder / "postgres")


def lived(uri: str, config: DatasetConfig, folder: Path) -> None:
    """Training up to the split, and a day of scores after it."""
    with Store.connect(uri) as store:
        ingest_interval(store, config, uri, start_at=START_AT, end_at=SPLIT_AT)
        retrain(Retraining(store, config, SPLIT_AT, UPath(folder / "run"), UPath(folder)))
        span: dict[str, Any] = {"start_at": SPLIT_AT, "end_at": END_AT}
        ingest_interval(store, config, uri, **span)
        score_interval(store, config, **span)
        build_incidents(store, config, **span)


def run(uri: str, statement: str, params: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    """Rows of a statement."""
    connection = connect(uri)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, params)
            return list(cursor.fetchall())
    finally:
        connection.close()


def failures(uri: str, fleet: Fleet) -> Iterator[str]:
    """What does not hold of the rows that a run left."""
    chosen = {"faulty": fleet.faulty, "dying": fleet.dying, "newly": fleet.newly}
    name = {what: fleet.names[pump] for what, (pump, _) in chosen.items()}
    of = {what: CHANNELS[channel] for what, (_, channel) in chosen.items()}
    low = run(
        uri,
        "SELECT entity, hour_at, status, coverage FROM tsad.v_status WHERE (status <> 'scored' OR "
        "coverage <> 1) AND entity <> %s",
        (name["dying"],),
    )
    if low:
        yield f"{len(low)} hours of pumps without a fault are not covered, such as {low[0]}"
    ((n_scored,),) = run(uri, "SELECT count(*) FROM tsad.v_status WHERE status = 'scored'")
    if n_scored < (len(fleet.fitted) - 1) * N_SCORED_HOURS:
        yield f"{n_scored} hours are scored"
    dead = run(uri, "SELECT DISTINCT entity, channel FROM tsad.v_quality WHERE verdict = 'dead'")
    if dead != [(name["dying"], of["dying"])]:
        yield f"dead are {dead}"
    ((lost,),) = run(
        uri,
        "SELECT max(coverage) FROM tsad.v_status WHERE entity = %s AND hour_at >= %s",
        (name["dying"], DEATH_FROM + 6 * HOUR),
    )
    n_own = int(fleet.fitted[fleet.dying[0]].sum())
    if not abs(lost - (n_own - 1) / n_own) < 1e-6:
        yield f"coverage with one of {n_own} sensors dead is {lost}"
    found = run(
        uri,
        "SELECT channel FROM tsad.v_anomaly WHERE entity = %s AND at >= %s AND at < %s",
        (name["faulty"], FAULT_FROM, FAULT_FROM + 2 * HOUR),
    )
    n_right = sum(channel == of["faulty"] for (channel,) in found)
    if not found or n_right < 0.8 * len(found):
        yield f"of the fault {n_right} of {len(found)} flags are attributed to {of['faulty']}"
    others = run(uri, "SELECT DISTINCT entity, channel FROM tsad.v_attribution")
    fitted = {(fleet.names[pump], CHANNELS[channel]) for pump, channel in np.argwhere(fleet.fitted)}
    if strange := [pair for pair in others if pair not in fitted]:
        yield f"attributed to sensors that are not fitted: {strange}"
    issues = run(
        uri,
        "SELECT issue, entity, channel FROM tsad.ingest_issue WHERE issue <> 'new_entity'",
    )
    if issues != [("new_channel", name["newly"], of["newly"])]:
        yield f"issues are {issues}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detectors", nargs="*", metavar="DETECTOR")
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    rng = np.random.default_rng(11)
    fleet = fleet_of(12 if asked.small else 40, rng)
    values = readings_of(fleet, rng)
    chosen = asked.detectors or (DETECTORS[-1:] if asked.small else DETECTORS)
    n_failed = 0
    print(f"{len(fleet.fitted)} pumps, {fleet.fitted.sum()} sensors of {len(CHANNELS)} channels")
    with (
        tempfile.TemporaryDirectory(prefix="tsad-pumps-") as folder,
        warehouses(Path(folder), len(chosen)) as uris,
    ):
        for detector, uri in zip(chosen, uris, strict=True):
            began = time.process_time()
            fill(uri, fleet, values)
            lived(uri, config_of(detector), Path(folder) / detector)
            broken = [*failures(uri, fleet)]
            n_failed += len(broken)
            said = "; ".join(broken) or "all covered, all found"
            print(f"{detector:18} {time.process_time() - began:6.0f} CPU-s  {said}", flush=True)
    sys.exit(1 if n_failed else 0)


if __name__ == "__main__":
    main()
