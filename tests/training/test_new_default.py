"""A dataset that names no detector gets another one when the default changes: who is champion by
then stays until the new one has passed gate and shadow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from upath import UPath

from tests.plants.trained import CONFIG, SPLIT_AT, Plant
from tsad_tasks.base.interval import HOUR
from tsad_tasks.config import DatasetConfig
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining


def retrained(plant: Plant, folder: Path, **changes: Any) -> None:
    """Train the plant anew, whose champion is an LSTM autoencoder."""
    training = CONFIG["training"] | {"warm_start_from": "champion"}
    config = DatasetConfig.model_validate(
        {key: part for key, part in CONFIG.items() if key != "detector"}
        | {"training": training, "threshold": {}}
        | changes
    )
    with Store.connect(plant.uri) as store:
        run = Retraining(store, config, SPLIT_AT + HOUR, UPath(folder / "run"), UPath(folder))
        retrain(run)


def test_the_new_default_is_a_challenger_that_waits_in_the_shadow(
    plant: Plant, tmp_path: Path
) -> None:
    # The held-out Saturday is the first that anybody sees.
    gate = CONFIG["gate"] | {"max_incidents_per_entity_week": 100}
    retrained(plant, tmp_path, gate=gate)
    found = plant.execute("SELECT detector, state FROM tsad.v_model ORDER BY version")
    assert found == [("lstm_autoencoder", "champion"), ("conditional_residuals", "shadow")]


def test_a_network_begins_anew_where_the_champion_is_of_another_detector(
    plant: Plant, tmp_path: Path
) -> None:
    """An isolation forest takes no weights at all."""
    retrained(plant, tmp_path, detector={"name": "isolation_forest", "window": 6})
    found = plant.execute("SELECT detector FROM tsad.v_model ORDER BY version")
    assert found == [("lstm_autoencoder",), ("isolation_forest",)]
