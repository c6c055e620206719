"""What a channel's values are is said in the dataset file, kept in the bundle, and in digests."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tsad_tasks.base.enums import Role, Signal
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.sections import FORMER_ENDS, ChannelSection
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


# Of each key of a channel a value that means something, and the signals of which it does.
EVERY = {"gauge", "counter", "angle", "discrete", "event_count"}
MEANT: dict[str, tuple[Any, set[str]]] = {
    "column": ("meter_total", EVERY),
    "unit": ("kWh", EVERY),
    "aggregate": ("mean", {"gauge", "angle"}),
    "signal": (None, EVERY),
    "per": ("hour", {"counter"}),
    "wraps_at": ("2^32", {"counter"}),
    "max_rate": (40, {"counter"}),
    "event_id": ("login_id", {"event_count"}),
    "period": (400, {"angle"}),
    "states": ([0, 1, 2], {"discrete"}),
    "role": (None, EVERY),
    "settles_within": ("30min", EVERY),
    "no_value": (-1, EVERY - {"event_count"}),
    "across": ("mean", EVERY - {"discrete"}),
    "valid_for": ("1h", {"gauge", "angle", "discrete"}),
    "hold": ("1h", {"gauge", "angle", "discrete"}),
    "sensor_range": ([0, 360], {"gauge", "angle"}),
    "low": (0, {"gauge", "angle"}),
    "high": (360, {"gauge", "angle"}),
    "alert_on": ("rise", EVERY - {"angle", "discrete"}),
}
ACROSS = SOURCE | {"series": "id", "tags": "meter.tags.csv", "value_column": "value"}
del ACROSS["entity"]


def _refused(key: str, value: Any, signal: str, role: str) -> str:
    """The field that is said to be wrong of a channel with this key; empty: it is taken."""
    channel = {"signal": signal, "role": role} | ({} if value is None else {key: value})
    source = ACROSS if key == "across" else SOURCE
    channels = {"total": channel, "power": {}}
    fields = {"dataset": "meter", "source": source | {"channels": channels}}
    try:
        DatasetConfig.model_validate(fields)
    except ValidationError as error:
        (said,) = error.errors()
        return ".".join(map(str, (*said["loc"], *said["ctx"]["field"])))
    return ""


def test_every_key_of_a_channel_is_asked_about_here() -> None:
    fields = ChannelSection.model_fields
    assert {*MEANT} == {fields[name].alias or name for name in fields} | {*FORMER_ENDS}


@pytest.mark.parametrize("role", [one.value for one in Role])
@pytest.mark.parametrize("signal", sorted(EVERY))
@pytest.mark.parametrize("key", sorted(MEANT))
def test_a_key_has_an_effect_or_is_refused(key: str, signal: str, role: str) -> None:
    value, signals = MEANT[key]
    if key == "settles_within":
        signals = signals if role == "setpoint" else set()
    named = {"low": "sensor_range", "high": "sensor_range", "settles_within": "role"}
    if key == "alert_on" and role != "measured":
        signals, named = set(), named | {"alert_on": "role"}
    wrong = f"source.0.channels.total.{named.get(key, key)}"
    assert _refused(key, value, signal, role) == ("" if signal in signals else wrong)


@pytest.mark.parametrize(
    ("signal", "aggregate"), [("event_count", "count"), ("discrete", "last"), ("angle", "last")]
)
def test_an_aggregate_that_says_what_the_signal_does_is_taken(signal: str, aggregate: str) -> None:
    assert _refused("aggregate", aggregate, signal, "measured") == ""


def test_of_several_sources_a_key_of_one_and_the_signal_of_another_are_refused_too() -> None:
    one, other = (
        SOURCE | {"tables": f"plant.{name}", "channels": {"total": channel, name: {}}}
        for name, channel in (("a", {"signal": "counter"}), ("b", {"aggregate": "last"}))
    )
    with pytest.raises(ValidationError, match="a counter has what was consumed in each step"):
        DatasetConfig.model_validate({"dataset": "meter", "source": [one, other]})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("power", ""),
        ("door=1", ""),
        ("door=other", ""),
        ("door changes", ""),
        ("door", "one of the channels door=1, door=other, door changes, since states of door"),
        ("door=0", "one of the channels door=1, door=other, which leave the share"),
        ("wish", "a channel of role setpoint is none"),
        ("mode=1", "a channel of role load is none"),
        ("mode", "a channel of role load is none"),
        ("nobody", "one of the channels power, door=1, door=other, door changes"),
    ],
)
def test_a_least_deviation_is_of_what_may_raise_something(name: str, said: str) -> None:
    channels = {
        "power": {},
        "wish": {"role": "setpoint"},
        "door": {"signal": "discrete"},
        "mode": {"signal": "discrete", "role": "load"},
    }
    fields = {"dataset": "meter", "source": SOURCE | {"channels": channels}}
    fields |= {"alarm_policy": {"min_deviation": {name: 0.5}}, "running_when": "door >= 0"}
    if not said:
        assert DatasetConfig.model_validate(fields).alarm_policy.min_deviation == {name: 0.5}
        return
    with pytest.raises(ValidationError) as caught:
        DatasetConfig.model_validate(fields)
    assert said in str(caught.value)
