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


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"per": "hour"}, "signal: counter"),
        ({"signal": "event_count", "max_rate": 3}, "signal: counter"),
        ({"signal": "counter", "event_id": "id"}, "signal: event_count"),
        ({"signal": "counter", "valid_for": "5min"}, "valid_for"),
        ({"signal": "counter", "wraps_at": "a lot"}, "2^32"),
        ({"signal": "counter", "max_rate": 0}, "greater than 0"),
    ],
)
def test_a_key_that_means_nothing_to_the_signal_is_an_error(
    keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        _config(**keys)
    assert said in str(caught.value)


def test_a_width_may_be_a_power() -> None:
    given = [_config(signal="counter", wraps_at=one) for one in ("2^32", "2**32", 4294967296)]
    assert {one.channels["total"].wraps_at for one in given} == {2.0**32}
    assert len({read_settings(one, {}).digest for one in given}) == 1
