"""A condition has no error of its own, and beyond what training saw of it all is LOW."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.benchmark_modules import benchmark
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.registry import DETECTORS
from tsad_tasks.model.scoring import BEYOND_SCORE
from tsad_tasks.scoring.series import series_errors

units = benchmark("units")
LOAD = units.CHANNELS.index("load")
SCORED = units.TRAIN_DAYS * 86400 // units.STEP_S


def _config(name: str) -> DatasetConfig:
    fields: dict[str, Any] = units.config_of(name, "robust").model_dump(exclude_unset=True)
    (source,) = fields.pop("sources", None) or fields.pop("source")
    source["channels"]["load"]["role"] = "load"
    return DatasetConfig.model_validate(fields | {"source": source})


@pytest.mark.parametrize("name", [*DETECTORS])
def test_a_condition_is_judged_by_no_detector(name: str) -> None:
    values = units.readings()
    values[:, SCORED:] = values[:, SCORED - 288 : SCORED]
    config = _config(name)
    spec, detector = units.trained(config, values)
    assert detector.n_channels == len(units.CHANNELS) - 1
    faulty = values.copy()
    # Half of the load, and for an hour far from all that was seen.
    faulty[:, SCORED + 100 :, LOAD] = 0.45
    faulty[:, SCORED + 150 : SCORED + 156, LOAD] = 40.0
    start_s = units.unix_s(units.START_AT)
    found = series_errors(spec.features, spec.scaler("a"), detector, faulty[0], start_s, "a")
    assert np.isnan(found.channel_errors[:, LOAD]).all()
    assert not found.live[:, LOAD].any()
    told = units.told_by(config, spec, detector, faulty)
    outside = told.scores[:, 150:156]
    assert (outside[np.isfinite(outside)] <= BEYOND_SCORE).all()
    if detector.folds and not detector.folds_under:
        usual = units.told_by(config, spec, detector, values)
        assert (usual.scores[:, 100:150] == told.scores[:, 100:150])[
            np.isfinite(usual.scores[:, 100:150])
        ].all()
