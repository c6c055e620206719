"""A channel that stood still in all of the training moves: one incident at once, in any unit."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devstack.postgres import Cluster
from tests.plants.signals import STEP_S, Signals, day, signals, steps
from tests.plants.weeks import CONFIG
from tsad_tasks.base.arrays import Floats64
from tsad_tasks.config import DatasetConfig

N_DAYS, TRAINED, MOVES = 16, 8, 8.5
STEP = timedelta(seconds=STEP_S)
CHANNELS: dict[str, dict[str, Any]] = {"motor": {"unit": "A"}, "alarm": {"unit": "bar"}}
QUICK = {"training": {"range": "8d", "min_hours": 10}}
DENSE = {
    "detector": {"name": "dense_autoencoder", "window": 6},
    "threshold": {},
    "training": {"range": "8d", "min_hours": 10, "epochs": 4},
}


def readings(level: float, moved: float, until: float = N_DAYS) -> Floats64:
    """Two machines: the alarm of the first one goes from one level to another, and back."""
    rng = np.random.default_rng(11)
    values = np.full((2, steps(N_DAYS), 2), level)
    values[..., 0] = 50 + rng.normal(0, 4, values.shape[:2])
    values[0, steps(MOVES) : steps(until), 1] = moved
    return values


@pytest.fixture
def plant_of(cluster: Cluster, template_database: str, tmp_path: Path) -> Any:
    def plant(values: Floats64, **changes: Any) -> AbstractContextManager[Signals]:
        fields = {"channels": CHANNELS} | QUICK | changes
        channels = fields.pop("channels")
        return signals(cluster, template_database, tmp_path, channels, values, **fields)

    return plant


@pytest.mark.parametrize(
    ("level", "moved", "changes"),
    [
        (0.0, 0.4, QUICK),
        (0.0, 0.4e-9, QUICK),
        (1e-9, 1.001e-9, QUICK),
        (1e7, 1e7 + 0.01, QUICK),
        (75.0, 60.0, DENSE),
        (0.075, 0.060, DENSE),
    ],
)
def test_it_is_one_incident_at_once_whatever_its_level_and_unit(
    plant_of: Any, level: float, moved: float, changes: dict[str, Any]
) -> None:
    with plant_of(readings(level, moved), **changes) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 10)
        found = [row for row in plant.incidents() if row[4] == "alarm"]
        assert found == [("u1", day(MOVES), day(10) - STEP, "MEDIUM", "alarm")]
        (sentence,) = plant.execute("SELECT sentence FROM tsad.v_incident WHERE channel = 'alarm'")
        assert "moved for the first time" in sentence[0]


def test_the_sentence_says_where_it_was(plant_of: Any) -> None:
    with plant_of(readings(0.0, 0.4)) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 9)
        said = plant.execute("SELECT sentence FROM tsad.v_incident WHERE channel = 'alarm'")
        expected = "u1: alarm rose to 0.400 bar; moved for the first time, at 0 bar since training"
        assert said == [(expected,)]
        row = "SELECT actual, expected, spread FROM tsad.v_attribution WHERE channel = 'alarm'"
        assert set(plant.execute(row)) == {(0.4, 0.0, None)}


def test_a_single_spike_lasts_no_longer_than_itself(plant_of: Any) -> None:
    with plant_of(readings(0.0, 0.4, until=MOVES + 1 / 144)) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 10)
        of_alarm = "SELECT kind, started_at, n_flags FROM tsad.v_incident WHERE channel = 'alarm'"
        assert plant.execute(of_alarm) == [("point", day(MOVES), 1)]


def test_where_it_moves_elsewhere_it_is_known_to_move(plant_of: Any) -> None:
    values = readings(5.0, 7.0)
    values[1, :, 1] += np.random.default_rng(3).normal(0, 1, values.shape[1])
    with plant_of(values) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 10)
        severities = {row[0]: row[3] for row in plant.incidents() if row[4] == "alarm"}
        assert severities == {"u1": "MEDIUM"}


@pytest.mark.parametrize(
    ("before", "after", "channel"), [(0.0, 0.4, {}), (350.0, 30.0, {"signal": "angle"})]
)
def test_the_next_training_learns_it(
    plant_of: Any, before: float, after: float, channel: dict[str, Any]
) -> None:
    channels, values = _of_signal(before, after, **channel)
    with plant_of(values, channels=channels, shadow={"hours": 0}) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 10)
        # Most of what it learns from is as before: where the channel went is known all the same.
        assert plant.train(10).gate_passed
        plant.score(10, 12)
        (last,) = (row for row in plant.incidents() if row[4] == "alarm")
        assert last[1:3] == (day(MOVES), day(10) - STEP)


def test_a_challenger_that_knows_the_move_agrees_with_its_champion(plant_of: Any) -> None:
    with plant_of(readings(0.0, 0.4)) as plant:
        agreed = "SELECT * FROM tsad.step_agreement('{1,-0.5,0.2,1,NULL}', '{-0.5,-0.4,-1,NULL,1}')"
        assert plant.execute(agreed) == [(3, 2, 2, 0)]


def test_late_and_split_runs_leave_the_same_rows(plant_of: Any) -> None:
    rows = "SELECT hour_at, scores, errors FROM tsad.score_block WHERE superseded_at = 'infinity' "
    found = []
    for cuts in ([TRAINED, 10], [TRAINED, 8.75, 9, 10]):
        with plant_of(readings(0.0, 0.4)) as plant:
            plant.train(TRAINED)
            for start, end in pairwise(cuts):
                plant.score(start, end)
            found.append((plant.execute(rows + "ORDER BY entity_id, hour_at"), plant.incidents()))
    assert found[0] == found[1]


def _of_signal(before: float, after: float, **channel: Any) -> tuple[dict[str, Any], Floats64]:
    """Channel `alarm` at one value, and from its move on at another one; NaN: no row has it."""
    values = readings(0.0, 1.0)
    moved = values[..., 1] == 1.0
    values[..., 1] = np.where(moved, after, before)
    return CHANNELS | {"alarm": channel}, values


# Of a total that stood, and rises by 3 a step.
COUNTED = np.maximum(np.arange(steps(N_DAYS)) - steps(MOVES) + 1, 0) * 3.0


@pytest.mark.parametrize(
    ("channel", "name", "before", "after", "said"),
    [
        (
            {"signal": "angle", "unit": "°"},
            "alarm",
            350.0,
            30.0,
            "alarm turned by 40° to 30°; moved for the first time, at 350° since training",
        ),
        (
            {"signal": "angle", "unit": "rad", "period": "2pi"},
            "alarm",
            0.0,
            3.0,
            "alarm turned by 3.00 rad to 3.00 rad; moved for the first time, at 0.00 rad since "
            "training",
        ),
        (
            {"signal": "discrete"},
            "alarm=1",
            0.0,
            1.0,
            "alarm was in state 1 100 % of the time, for the first time since training",
        ),
        (
            {"signal": "counter", "per": "step", "unit": "kWh"},
            "alarm",
            100.0,
            np.nan,
            "alarm rose to 3.00 kWh/step; moved for the first time, at 0 kWh/step since training",
        ),
    ],
)
def test_it_is_one_incident_of_any_signal(
    plant_of: Any,
    channel: dict[str, Any],
    name: str,
    before: float,
    after: float,
    said: str,
) -> None:
    channels, values = _of_signal(before, after, **channel)
    if channel["signal"] == "counter":
        values[0, :, 1], values[1, :, 1] = before + COUNTED, before
    with plant_of(values, channels=channels) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 10)
        found = [row for row in plant.incidents() if row[4].startswith("alarm")]
        assert found == [("u1", day(MOVES), day(10) - STEP, "MEDIUM", name)]
        sentence = "SELECT sentence FROM tsad.v_incident WHERE channel LIKE 'alarm%%'"
        assert plant.execute(sentence) == [(f"u1: {said}",)]


def test_a_network_has_no_echo_of_a_vane_that_turned(plant_of: Any) -> None:
    channels, values = _of_signal(350.0, 30.0, signal="angle")
    with plant_of(values, channels=channels, **DENSE) as plant:
        plant.train(TRAINED)
        plant.score(TRAINED, 10)
        found = [row for row in plant.incidents() if row[0] == "u1"]
        assert found == [("u1", day(MOVES), day(10) - STEP, "MEDIUM", "alarm")]


# Rows of a channel of events are events: it has none before its move.
LOG = """
CREATE VIEW plant.log AS SELECT at, machine, 'motor' AS sensor, motor AS value FROM plant.signals
UNION ALL SELECT at, machine, 'alarm', alarm FROM plant.signals WHERE alarm > 0
"""


def test_the_first_events_of_all_are_one_incident(plant_of: Any) -> None:
    channels, values = _of_signal(0.0, 1.0, signal="event_count")
    with plant_of(values, channels=channels) as plant:
        plant.execute(LOG)
        source = CONFIG["source"] | {"tables": "plant.log", "channels": channels, "shape": "long"}
        source |= {"channel_column": "sensor", "value_column": "value"}
        fields = CONFIG | QUICK | {"dataset": "signals", "source": source}
        plant.config = DatasetConfig.model_validate(fields)
        plant.train(TRAINED)
        plant.score(TRAINED, 10)
        found = [row for row in plant.incidents() if row[4] == "alarm"]
        assert found == [("u1", day(MOVES), day(10) - STEP, "MEDIUM", "alarm")]
        (sentence,) = plant.execute("SELECT sentence FROM tsad.v_incident WHERE channel = 'alarm'")
        expected = "u1: alarm rose to 1.00; moved for the first time, at 0 since training"
        assert sentence == (expected,)
