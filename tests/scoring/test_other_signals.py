"""A model scores no values whose unit changed since it was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devstack.postgres import Cluster
from tests.plants.signals import Signals, day, signals, steps
from tests.plants.weeks import CONFIG
from tsad_tasks.base.arrays import Floats64
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.storage.store import Store
from tsad_tasks.training.reader import feature_spec_of

TOTAL, POWER = {"unit": "kWh", "signal": "counter"}, {"unit": "kW"}
VALVE = {"signal": "discrete", "states": {"closed": 0, "open": 1}}
STATUS = "SELECT status, detail FROM tsad.v_status WHERE hour_at >= %s AND hour_at < %s"


def values(n_days: int) -> Floats64:
    """A total that counts up, and a noisy power beside it."""
    rng = np.random.default_rng(3)
    used = 6 + rng.random((1, steps(n_days)))
    return np.stack([9000 + np.cumsum(used, axis=1), used + rng.random(used.shape)], axis=-1)


def config_of(made: Signals, **total: Any) -> DatasetConfig:
    """The same dataset with other keys of its total."""
    source = CONFIG["source"] | {"tables": "plant.signals"}
    channels = {"total": TOTAL | total, "power": POWER}
    shadow = {"hours": made.config.shadow.hours}
    return DatasetConfig.model_validate(
        CONFIG
        | {"dataset": "signals", "site_zone": "UTC", "shadow": shadow}
        | {"source": source | {"channels": channels}}
    )


def read_again(made: Signals, start_day: float, end_day: float) -> None:
    """Reads days again, whose values the file's settings of now would not give."""
    with Store.connect(made.uri) as store:
        span = {"start_at": day(start_day), "end_at": day(end_day)}
        ingest_interval(store, made.config, made.uri, **span, force=True)


REFERENCES = (
    "SELECT channel, m.version, replaced_at IS NULL FROM tsad.v_reference r "
    "JOIN tsad.model m USING (model_id) ORDER BY channel, r.recorded_at"
)


@pytest.mark.parametrize("is_of_before", [False, True])
def test_a_rate_per_another_time_is_not_scored_until_a_training(
    cluster: Cluster, template_database: str, tmp_path: Path, is_of_before: bool
) -> None:
    """And its commissioning reference begins anew, though nothing was kept of its unit."""
    channels = {"total": TOTAL, "power": POWER}
    with signals(cluster, template_database, tmp_path, channels, values(9)) as made:
        assert made.train(7).gate_passed
        made.config = config_of(made, per="hour")
        made.score(7, 8)
        found = made.execute(STATUS, day(7), day(8))
        assert [status for status, _ in found] == ["failed"] * 24
        expected = "total was counter per second and is counter per hour now"
        assert expected in found[0][1]
        assert made.incidents() == []
        read_again(made, 1, 7)
        if is_of_before:
            made.execute("UPDATE tsad.commissioning_reference SET meaning = NULL")
        assert made.train(8).gate_passed
        assert made.execute(REFERENCES) == [
            ("power", 1, True), ("total", 1, False), ("total", 2, True),
        ]  # fmt: skip
        made.score(8, 9)
        statuses = made.execute(STATUS, day(8), day(9))
        assert [status for status, _ in statuses] == ["scored"] * 24


def _file(channel: dict[str, Any]) -> DatasetConfig:
    source = CONFIG["source"] | {"channels": {"x": channel, "power": POWER}}
    return DatasetConfig.model_validate(CONFIG | {"source": source})


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (TOTAL, TOTAL | {"per": "hour"}, "x was counter per second and is counter per hour now"),
        (TOTAL | {"per": "step"}, TOTAL, "x was counter per 600 s and is counter per second now"),
        (
            {"signal": "angle"},
            {"signal": "angle", "period": 400},
            "x was angle of period 360 and is angle of period 400 now",
        ),
        (
            VALVE,
            VALVE | {"states": {"closed": 1, "open": 0}},
            "x=open was the share of state 1 and is the share of state 0 now",
        ),
        (TOTAL, POWER, "x was counter and is gauge now"),
        (TOTAL, TOTAL | {"wraps_at": 2**32, "max_rate": 40}, None),
        ({"signal": "angle"}, {"signal": "angle", "sensor_range": [-180, 180]}, None),
        (VALVE, VALVE | {"states": {"closed": 0, "open": 1, "ajar": 2}}, None),
        (POWER, {"unit": "W"}, None),
    ],
)
def test_what_changed_is_named(then: dict[str, Any], now: dict[str, Any], said: str | None) -> None:
    spec, config = feature_spec_of(_file(then)), _file(now)
    signals_now = {name: one.signal.value for name, one in config.channels.items()}
    units_now = dict(zip(config.model_names, config.signal_units, strict=False))
    assert spec.changes(signals_now, units_now) == ([said] if said else [])
    # A bundle of before says no units: what nobody knows is as it was.
    if said and spec.signal_of.get("x") == config.channels["x"].signal:
        assert replace(spec, units=()).changes(signals_now, units_now) == []


def test_a_spec_of_gauges_says_nothing_of_it() -> None:
    assert "units" not in feature_spec_of(_file(POWER)).to_json()
    assert feature_spec_of(_file(TOTAL)).to_json()["units"] == ("counter per second", "")


def test_the_same_training_of_another_unit_is_another_model() -> None:
    hour, second = _file(TOTAL | {"per": "hour"}), _file(TOTAL | {"per": "second"})
    assert hour.model_hash != second.model_hash
    assert second.model_hash == _file(TOTAL).model_hash
