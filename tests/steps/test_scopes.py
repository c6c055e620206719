"""A model per entity, and hours in which the machine is off."""

from __future__ import annotations

from pathlib import Path

import pytest
from upath import UPath

from steps.test_same_rows import run_interval
from steps.trained import CONFIG, SPLIT_AT, START_AT, Plant, config
from tsad_tasks.core.interval import HOUR
from tsad_tasks.errors import NothingToDo
from tsad_tasks.steps.ingest import ingest_interval
from tsad_tasks.steps.retrain import Retraining, find_exclusions, retrain, settled
from tsad_tasks.storage.store import Store


@pytest.fixture
def own_models(plant: Plant, tmp_path: Path) -> Plant:
    """The plant, retrained with a model for each host that only runs while its CPU does."""
    chosen = config(
        detector={**CONFIG["detector"], "scope": "entity"},
        running_when="cpu > 0",
        training={**CONFIG["training"], "epochs": 1, "max_windows": 300},
    )
    plant.execute("TRUNCATE tsad.champion_record")
    with Store.connect(plant.uri) as store:
        run = Retraining(store, chosen, SPLIT_AT, UPath(tmp_path / "run"), UPath(tmp_path))
        assert len(retrain(run)) == 2
        with pytest.raises(NothingToDo, match="before"):
            retrain(run)
    return Plant(plant.uri, chosen)


def test_each_entity_is_scored_by_its_own_model_and_not_while_it_is_off(own_models: Plant) -> None:
    off = "UPDATE plant.metrics SET cpu = 0 WHERE host = 'host-01' AND at >= %s"
    own_models.execute(off, SPLIT_AT + HOUR)
    run_interval(own_models, SPLIT_AT, SPLIT_AT + 2 * HOUR)
    rows = own_models.execute(
        "SELECT s.entity, m.entity, s.status, s.n_needed "
        "FROM tsad.v_status s JOIN tsad.v_model m USING (model_id) ORDER BY s.entity, hour_at"
    )
    assert rows == [
        ("host-01", "host-01", "scored", 12),
        ("host-01", "host-01", "off", 0),
        ("host-02", "host-02", "scored", 12),
        ("host-02", "host-02", "scored", 12),
    ]


def test_a_window_of_auto_is_the_period_of_the_readings(plant: Plant, tmp_path: Path) -> None:
    plant.execute("UPDATE plant.metrics SET cpu = 50 + 30 * sin(2 * pi() * extract(epoch FROM at) / (12 * 300))")
    plant.execute("UPDATE plant.metrics SET temperature = cpu")
    chosen = config(detector={"window": "auto"})
    with Store.connect(plant.uri) as store:
        ingest_interval(store, chosen, plant.uri, start_at=START_AT, end_at=SPLIT_AT, force=True)
        run = Retraining(store, chosen, SPLIT_AT, UPath(tmp_path), UPath(tmp_path), lineage="replay")
        find_exclusions(run)
        assert settled(run).config.detector.window == 12
