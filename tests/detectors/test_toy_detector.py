"""A detector that a person adds: registered, described by its settings, trained and scored by the
commands that one types.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from pydantic import Field
from typer.testing import CliRunner

from tests.plants.trained import CONFIG, SPLIT_AT, fill
from tests.statements import run
from tsad_tasks.base.arrays import Floats32
from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.interval import HOUR
from tsad_tasks.cli.commands import app
from tsad_tasks.config import load_config
from tsad_tasks.detectors.base import (
    Detector,
    DetectorSettings,
    Reconstruction,
    TrainingHistory,
    TrainingPlan,
    TrainingSet,
)
from tsad_tasks.detectors.fitting import check_fits
from tsad_tasks.detectors.registry import DETECTORS, register
from tsad_tasks.model.windows import gather


class ToySettings(DetectorSettings):
    power: float = Field(1.0, gt=0, description="Exponent of a distance.")


class Toy(Detector):
    """Distance of the last reading from the median of its window, in spreads of training."""

    settings_model = ToySettings
    settings: ToySettings
    n_parameters = 0

    def learn(self, training: TrainingSet, plan: TrainingPlan) -> TrainingHistory:
        check_fits(training, self)
        self.spread = training.inputs[training.ends].std(axis=0)[: self.n_channels] + 1e-3
        return TrainingHistory((), (), len(training.ends), 0.0, "epochs")

    def reconstruct(self, inputs: Floats32, ends: NDArray[np.int64]) -> Reconstruction:
        sensors = gather(inputs, ends, self.width)[:, :, : self.n_channels]
        expected = np.median(sensors, axis=1)
        away = np.abs(sensors[:, -1] - expected) / self.spread
        return Reconstruction((away**self.settings.power).astype(np.float32), expected)

    def explain(self, inputs: Floats32, ends: NDArray[np.int64]) -> Floats32:
        parts = np.zeros((len(ends), self.width, self.n_channels), np.float32)
        parts[:, -1] = self.reconstruct(inputs, ends).channel_errors
        return np.nan_to_num(parts)

    def learned(self) -> dict[str, Any]:
        return {"spread": self.spread.tolist()}

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        self.spread = np.array(details["spread"], np.float32)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DETECTORS, "_variants", {name: DETECTORS[name] for name in DETECTORS})
    register("toy")(Toy)


def tsad(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "250"})
    return f"{done.exit_code}: {done.output}"


@pytest.fixture
def dataset_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warehouse_uri: str, empty_database_uri: str
) -> Path:
    fill(empty_database_uri)
    for name, value in {
        "TSAD_DATASETS": str(tmp_path),
        "TSAD_ARTIFACTS": str(tmp_path / "artifacts"),
        "TSAD_DATABASE_URI": warehouse_uri,
        "AIRFLOW_CONN_ROOM": empty_database_uri,
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "room.yaml"


@pytest.mark.usefixtures("registered")
def test_a_registered_detector_is_trained_and_scores(
    dataset_file: Path, warehouse_uri: str
) -> None:
    fields = CONFIG | {"detector": {"name": "toy", "window": 6, "params": {"power": "high"}}}
    dataset_file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"params\.power: Expected a number\. Received: 'high'"):
        load_config(dataset_file)
    fields["detector"]["params"] = {"power": 1.5}
    dataset_file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    assert "is champion from" in tsad("retrain", "room", "--end", SPLIT_AT.isoformat())
    end = (SPLIT_AT + 12 * HOUR).isoformat()
    assert tsad("score", "room", "--from", SPLIT_AT.isoformat(), "--to", end).startswith("0: ")
    statement = "SELECT DISTINCT channel FROM tsad.v_anomaly WHERE severity = 'HIGH' ORDER BY 1"
    assert run(warehouse_uri, statement) == [("cpu",), ("temperature",)]
    assert run(warehouse_uri, "SELECT DISTINCT status FROM tsad.v_status") == [("scored",)]
