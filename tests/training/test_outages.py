"""Rows that are missing over a training cost the others nothing, and their machine no more than
they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devstack.postgres import Cluster
from tests.plants.signals import Signals, day, signals, steps
from tsad_tasks.base.arrays import Floats64

N_DAYS, TRAINED = 17, 10
STATUSES = (
    "SELECT status, count(*) FROM tsad.v_status WHERE entity = %s AND hour_at >= %s "
    "AND hour_at < %s GROUP BY 1 ORDER BY 1"
)


def quiet() -> Floats64:
    """Three machines (3, n_steps, 2), each with levels of its own, and a fault of an hour each."""
    rng, shape = np.random.default_rng(5), (3, steps(N_DAYS), 2)
    levels = np.array([[20.0, 5.0], [30.0, 9.0], [60.0, 2.0]])[:, None, :]
    values = levels + rng.normal(0, 0.5, shape)
    for machine, at in enumerate((12, 12, 15)):
        values[machine, steps(at) : steps(at) + 6, 0] += 20
    return values


@pytest.fixture
def plant(cluster: Cluster, template_database: str, tmp_path: Path) -> Iterator[Signals]:
    """u2 has no rows in days 4 and 5, u3 none from day 8 to day 13."""
    changes = {
        "features": {"min_own_scale": "1d"},
        "training": {"range": "10d", "min_hours": 10},
    }
    channels: dict[str, dict[str, str]] = {"temp": {"unit": "°C"}, "flow": {}}
    of = cluster, template_database, tmp_path, channels, quiet()
    with signals(*of, **changes) as made:
        _take(made, "u2", 4, 6)
        _take(made, "u3", 8, 13)
        yield made


def _take(plant: Signals, machine: str, start_day: float, end_day: float) -> None:
    ends = day(start_day), day(end_day)
    plant.execute(
        "DELETE FROM plant.signals WHERE machine = %s AND at >= %s AND at < %s", machine, *ends
    )


def _found(plant: Signals, machine: str) -> list[tuple[object, ...]]:
    """Where HIGH incidents of a machine began, and which channel led."""
    return [(row[1], row[4]) for row in plant.incidents() if (row[0], row[3]) == (machine, "HIGH")]


def test_each_is_trained_on_what_there_is_and_scored_while_it_is_there(plant: Signals) -> None:
    assert plant.train(TRAINED).gate_passed
    plant.score(TRAINED, N_DAYS)
    for machine in ("u1", "u2"):
        assert plant.execute(STATUSES, machine, day(10.5), day(17)) == [("scored", 156)]
        assert _found(plant, machine) == [(day(12), "temp")]
    # It died before the training, and has a scale of its own since it lived for eight days.
    assert plant.execute(STATUSES, "u3", day(10), day(13)) == []
    assert plant.execute(STATUSES, "u3", day(13.25), day(17)) == [("scored", 90)]
    assert _found(plant, "u3") == [(day(15), "temp")]


def test_a_retraining_while_one_is_dead_passes_and_scores_it_when_it_is_back(
    plant: Signals,
) -> None:
    plant.train(TRAINED)
    plant.score(TRAINED, 12.5)
    assert plant.train(12.5).gate_passed
    plant.score(12.5, N_DAYS)
    assert plant.execute(STATUSES, "u3", day(13.25), day(17)) == [("scored", 90)]
    assert _found(plant, "u3") == [(day(15), "temp")]
    assert plant.execute(STATUSES, "u1", day(12.5), day(17)) == [("scored", 108)]


def test_one_that_had_hardly_lived_before_the_training_is_provisional_until_it_is_known(
    plant: Signals,
) -> None:
    _take(plant, "u3", 0.25, 8)
    assert plant.train(TRAINED).gate_passed
    plant.score(TRAINED, N_DAYS)
    first = plant.execute(STATUSES, "u3", day(13.25), day(13.5))
    assert first == [("unknown_entity_scale", 6)]
    assert plant.execute(STATUSES, "u3", day(14.5), day(17)) == [("scored", 60)]
    for machine in ("u1", "u2"):
        assert plant.execute(STATUSES, machine, day(10.5), day(17)) == [("scored", 156)]
        assert _found(plant, machine) == [(day(12), "temp")]
