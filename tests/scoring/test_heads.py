"""The heads in production are what the benchmarks measure: through training and scoring, the same
flags.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from upath import UPath

from devstack.postgres import Cluster
from tests.benchmark_modules import benchmark
from tests.pipeline import test_same_rows
from tests.plants.trained import CONFIG, Plant, artifacts_folder
from tsad_tasks.base.interval import HOUR, unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.folding.fold import Series
from tsad_tasks.detectors.registry import build_detector
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.thresholds import ThresholdSettings
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.store import Store
from tsad_tasks.training.fold_groups import fold_start
from tsad_tasks.training.held_out import HeldOut, calibrated_spec
from tsad_tasks.training.reader import TrainingRange, feature_spec_of, training_range
from tsad_tasks.training.retrain import Retraining

LINEAGE = "replay"
START_AT = datetime(2026, 3, 2, tzinfo=UTC)
STEP_S, N_STEPS = 300, 1728
OPEN_GATE = CONFIG["gate"]
CHANNELS = ("cpu", "fan", "power", "temperature")
RANKED = {"kind": "ranked", "rule": {"event_gap": 25}}

run_interval = functools.partial(test_same_rows.run_interval, lineage=LINEAGE)
run_hours = functools.partial(test_same_rows.run_hours, lineage=LINEAGE)


def head_config(
    detector: str, threshold: dict[str, Any], channels: tuple[str, ...], **training: Any
) -> DatasetConfig:
    source = CONFIG["source"] | {"channels": {name: {} for name in channels}}
    learned = {"range": "4d", "min_hours": 10, "max_windows": 1000} | training
    return DatasetConfig.model_validate(
        {
            "dataset": "room",
            "source": source,
            "detector": {"name": detector},
            "threshold": threshold,
            "training": learned,
            "gate": OPEN_GATE,
        }
    )


def made_readings(faults: dict[int, tuple[int, int, float]], n_channels: int) -> np.ndarray:
    """(N_STEPS, n_channels): daily waves and noise, moved by faults: first step, by length, channel
    and height.
    """
    steps = np.arange(N_STEPS)
    noise = np.random.default_rng(4).normal(0, 0.5, (N_STEPS, n_channels))
    values = 20 + noise + 0.5 * np.sin(2 * np.pi * steps * STEP_S / 86_400)[:, None]
    for first, (length, channel, height) in faults.items():
        values[first : first + length, channel] += height
    return np.asarray(values)


def plant_of(cluster: Cluster, template: str, config: DatasetConfig, values: np.ndarray) -> str:
    """Name of a database with readings, and a champion of lineage replay from the end of its
    training range on.
    """
    name = named()
    plant = Plant(cluster.create_database(name, template=template), config)
    columns = ", ".join(f"{name} double precision" for name in config.channel_names)
    plant.execute(
        f"CREATE SCHEMA plant; CREATE TABLE plant.metrics (at timestamptz, host text, {columns})"
    )
    fill(plant, values)
    with Store.connect(plant.uri) as store:
        ingest_interval(store, config, plant.uri, start_at=START_AT, end_at=anchor_at(config))
        folder = UPath(artifacts_folder() / uuid4().hex)
        (summary,) = retrain(
            Retraining(store, config, anchor_at(config), folder, folder, lineage=LINEAGE)
        )
    assert summary.valid_from == anchor_at(config)
    return name


def fill(plant: Plant, values: np.ndarray) -> None:
    """Writes readings of one host, every five minutes."""
    times_s = unix_s(START_AT) + STEP_S * np.arange(len(values))
    columns = [binary.timestamptz(times_s), binary.text(["host"] * len(values))]
    columns += [binary.nullable(column) for column in values.T]
    connection = connect(plant.uri)
    with connection, connection.cursor() as cursor:
        cursor.copy_expert(
            "COPY plant.metrics FROM STDIN (FORMAT binary)", io.BytesIO(binary.encode(columns))
        )
    connection.close()


def copied(cluster: Cluster, template: str, config: DatasetConfig) -> Plant:
    return Plant(cluster.create_database(named(), template=template), config)


MADE: list[str] = []


def named() -> str:
    """Name of a database that goes when the tests of this file are done."""
    MADE.append(f"heads_{uuid4().hex}")
    return MADE[-1]


@pytest.fixture(scope="module", autouse=True)
def tidied(cluster: Cluster) -> Iterator[None]:
    yield
    while MADE:
        cluster.drop_database(MADE.pop())


def anchor_at(config: DatasetConfig) -> datetime:
    return START_AT + timedelta(seconds=config.training.range_s)


def span_of(config: DatasetConfig) -> TrainingRange:
    return training_range(config, anchor_at(config))


def step_of(at: datetime) -> int:
    return (unix_s(at) - unix_s(START_AT)) // STEP_S


END_AT = START_AT + timedelta(seconds=STEP_S * N_STEPS)
SPIKES = {
    300: (1, 0, 12.0),
    420: (2, 0, 9.0),
    560: (1, 0, -10.0),
    900: (1, 0, 11.0),
    1000: (2, 0, 12.0),
    1230: (1, 0, 8.0),
    1300: (3, 0, 13.0),
    1420: (1, 0, -9.0),
    1500: (60, 0, 5.0),
    1650: (1, 0, 40.0),
}
EVENTS = head_config("event_head", RANKED, ("cpu",))
# One channel after the other is somewhere else for 30 readings.
SHIFTS = {1152 + 155 * channel + 40: (30, channel, 8.0) for channel in range(len(CHANNELS))}
STATES = head_config("state_head", {"kind": "hysteresis"}, CHANNELS)


@pytest.fixture(scope="module")
def events(cluster: Cluster, template_database: str) -> str:
    """Name of a database with an event head and ranked thresholds, not scored yet."""
    return plant_of(cluster, template_database, EVENTS, made_readings(SPIKES, 1))


@pytest.fixture(scope="module")
def events_in_bulk(cluster: Cluster, events: str) -> Plant:
    """Scored in one run."""
    plant = copied(cluster, events, EVENTS)
    run_interval(plant, anchor_at(EVENTS), END_AT)
    return plant


@pytest.fixture(scope="module")
def states(cluster: Cluster, template_database: str) -> str:
    """Name of a database with a state head, not scored yet."""
    return plant_of(cluster, template_database, STATES, made_readings(SHIFTS, len(CHANNELS)))


NAB = benchmark("nab")


def benchmarked(n_probation: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors (1, N_STEPS) that benchmarks/nab.py makes of the series, and their thresholds
    (N_STEPS,).
    """
    local_s = unix_s(START_AT) + STEP_S * np.arange(N_STEPS)
    file = NAB.NabFile(
        "made", ("",) * N_STEPS, made_readings(SPIKES, 1)[:, 0], local_s, n_probation
    )
    errors = NAB.file_errors([file], {})
    return errors, ranked(errors)


def ranked(errors: np.ndarray) -> np.ndarray:
    rule = NAB.replace(NAB.RULE, event_gap=25)
    return np.asarray(NAB.ranked_thresholds(NAB.no_events(1), errors, rule)[1][0])


def scored(plant: Plant) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors, thresholds and scores of the hours from the anchor on."""
    rows = plant.execute(
        "SELECT errors, thresholds, scores FROM tsad.score_block"
        " WHERE superseded_at = 'infinity' AND thresholds IS NOT NULL ORDER BY hour_at"
    )
    errors, thresholds, scores = (
        np.concatenate([np.array(row[i], float) for row in rows]) for i in range(3)
    )
    return errors, thresholds, scores


def test_production_flags_what_the_benchmark_flags(events_in_bulk: Plant) -> None:
    errors, thresholds = benchmarked(step_of(span_of(EVENTS).split_at))
    later = slice(step_of(anchor_at(EVENTS)), None)
    found, limits, scores = scored(events_in_bulk)
    np.testing.assert_allclose(found, errors[0, later], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(limits, thresholds[later], rtol=1e-6)
    assert (scores > 0).tolist() == (errors[0] > thresholds)[later].tolist()
    assert 0 < np.count_nonzero(scores > 0) < 100
    # The training has seen spikes: thresholds that had not would be lower.
    assert (ranked(errors[:, later]) < limits - 0.1).any()


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]])
def test_thresholds_that_begin_with_the_training_are_the_same_in_any_order(
    cluster: Cluster, events: str, order: list[int]
) -> None:
    hours = [anchor_at(EVENTS) + i * HOUR for i in order]
    bulk, plant = (copied(cluster, events, EVENTS) for _ in range(2))
    run_interval(bulk, anchor_at(EVENTS), max(hours) + HOUR)
    run_hours(plant, hours[:3])
    plant.execute("DELETE FROM tsad.fold_state")
    run_hours(plant, hours[3:])
    assert plant.rows() == bulk.rows()


@pytest.mark.parametrize(("channel", "name"), enumerate(CHANNELS))
def test_the_channel_that_left_its_state_leads(
    cluster: Cluster, states: str, channel: int, name: str
) -> None:
    plant = copied(cluster, states, STATES)
    first = step_of(anchor_at(STATES)) + 155 * channel + 40
    started, ended = (START_AT + timedelta(seconds=STEP_S * step) for step in (first, first + 30))
    run_interval(plant, anchor_at(STATES), END_AT)
    during = [started, ended]
    leaders = plant.execute(
        "SELECT DISTINCT channel FROM tsad.v_anomaly WHERE at >= %s AND at < %s", *during
    )
    assert leaders == [(name,)]
    shares = dict(
        plant.execute(
            "SELECT channel, avg(share) FROM tsad.v_attribution WHERE at >= %s AND at < %s GROUP "
            "BY 1",
            *during,
        )
    )
    assert shares.pop(name) > 0.5 > max(shares.values(), default=0.0)
    assert (name,) in plant.execute(
        "SELECT channel FROM tsad.v_incident WHERE started_at < %s", ended
    )


def test_one_error_of_a_whole_window_is_put_down_to_the_channel_that_made_it(
    cluster: Cluster, template_database: str
) -> None:
    config = head_config("isolation_forest", {"kind": "percentile"}, CHANNELS)
    plant = copied(
        cluster,
        plant_of(cluster, template_database, config, made_readings(SHIFTS, len(CHANNELS))),
        config,
    )
    first = step_of(anchor_at(config)) + 155 + 40
    started, ended = (
        START_AT + timedelta(seconds=STEP_S * step) for step in (first + 9, first + 30)
    )
    run_interval(plant, started.replace(minute=0), ended)
    leaders = plant.execute(
        "SELECT channel, count(*) FROM tsad.v_anomaly WHERE at BETWEEN %s AND %s GROUP BY 1",
        started,
        ended,
    )
    assert max(leaders, key=lambda row: row[1])[0] == CHANNELS[1]
    ((lowest, highest),) = plant.execute(
        "SELECT min(total), max(total) FROM (SELECT sum(share) AS total FROM tsad.v_attribution "
        "GROUP BY at) each"
    )
    assert 0.9 < lowest <= highest < 1.001


def learned_from(n_entities: int, **training: Any) -> timedelta:
    """How much before the split a fold of so many entities of one channel begins, of 4.2 days."""
    config = head_config("event_head", RANKED, ("cpu",), **({"range": "6d"} | training))
    span = training_range(config, anchor_at(config))
    return span.split_at - fold_start(config, n_entities, span)


def test_a_fold_learns_from_the_newest_part_that_it_can_afford_but_from_three_days_at_least() -> (
    None
):
    whole = span_of(head_config("event_head", RANKED, ("cpu",), range="6d"))
    assert learned_from(1) == whole.split_at - whole.start_at
    a_step = 60 + 40
    assert learned_from(60, max_fold_values=12 * 80 * a_step) == 80 * HOUR
    assert learned_from(60, max_fold_values=12 * 81 * a_step - 1) == 80 * HOUR
    assert learned_from(6000, max_fold_values=1000) == timedelta(days=3)
    assert learned_from(6000, max_fold_values=1000, range="2d") < timedelta(days=2)


@pytest.mark.parametrize(
    ("name", "has_tails"), [("event_head", False), ("three_sigma", True), ("state_head", True)]
)
def test_errors_that_are_surprise_already_are_not_mapped_to_surprise_again(
    name: str, *, has_tails: bool
) -> None:
    values, scaler = made_readings({}, 1), Scaler((0.0,), (1.0,), 100)
    detector: Any = build_detector(name, width=1, n_channels=1, n_inputs=1)
    clock = unix_s(START_AT) + STEP_S * np.arange(N_STEPS)
    detector.fit_series(["host"], Series(values[None, :800], clock[:800], STEP_S), seed=0)
    steps = np.arange(N_STEPS - 800)
    part = HeldOut("host", values[800:], int(clock[800]), steps >= 0, steps >= 500, steps < 0)
    config = head_config(name, {"kind": "percentile"}, ("cpu",))
    settings = ThresholdSettings.on_grid(config.threshold.model_dump(), STEP_S)
    features, scalers = feature_spec_of(config), {"host": scaler}
    spec = calibrated_spec(features, scalers, scaler, settings, detector, [part], combine="top_k")
    assert (spec.tails is not None) is has_tails


def test_the_card_says_since_when_a_fold_learned(cluster: Cluster, template_database: str) -> None:
    config = head_config("event_head", RANKED, ("cpu",), range="5d", max_fold_values=1000)
    plant = copied(
        cluster, plant_of(cluster, template_database, config, made_readings({}, 1)), config
    )
    ((card,),) = plant.execute("SELECT card FROM tsad.model")
    assert card["learned_from_at"] == (span_of(config).split_at - timedelta(days=3)).isoformat()
    assert card["n_windows_used"] == 3 * 288 < card["n_windows_available"]
    assert card["window"] == 1
