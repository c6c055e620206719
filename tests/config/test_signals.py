"""What a channel's values are is said in the dataset file, kept in the bundle, and in digests."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tsad_tasks.base.enums import Signal
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.read_settings import read_settings
from tsad_tasks.training.reader import feature_spec_of

SOURCE: dict[str, Any] = {
    "connection": "plant",
    "tables": "plant.meter",
    "time": {"column": "at"},
    "entity": {"column": "meter"},
    "step": "5min",
}


def _config(**total: Any) -> DatasetConfig:
    channels = {"total": total, "power": {}}
    return DatasetConfig.model_validate(
        {"dataset": "meter", "source": SOURCE | {"channels": channels}}
    )


def test_a_channel_is_a_gauge_unless_it_says_otherwise() -> None:
    assert [one.signal for one in _config().channels.values()] == [Signal.GAUGE, Signal.GAUGE]
    assert _config().signals == ()
    assert _config(signal="counter").signals == ("counter", "gauge")


def test_an_unknown_signal_is_a_clear_error() -> None:
    with pytest.raises(ValidationError) as caught:
        _config(signal="meter")
    assert "gauge" in str(caught.value)


def test_another_signal_is_another_model_and_another_reading() -> None:
    gauge, counter = _config(), _config(signal="counter")
    assert gauge.model_hash != counter.model_hash
    assert read_settings(gauge, {}).digest != read_settings(counter, {}).digest
    assert _config(signal="gauge").model_hash == gauge.model_hash
    assert read_settings(_config(signal="gauge"), {}) == read_settings(gauge, {})


def test_the_bundle_keeps_signals_and_says_nothing_where_all_are_gauges() -> None:
    assert "signals" not in feature_spec_of(_config()).to_json()
    spec = feature_spec_of(_config(signal="counter"))
    assert spec.to_json()["signals"] == ("counter", "gauge")
