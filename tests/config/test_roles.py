"""What a channel is to the others is said in the dataset file, and kept in the bundle."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.config.test_signals import SOURCE
from tsad_tasks.base.enums import Role
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.read_settings import read_settings
from tsad_tasks.training.reader import feature_spec_of


def _config(features: dict[str, Any] | None = None, **target: Any) -> DatasetConfig:
    channels = {"target": target, "power": {}}
    fields = {"dataset": "meter", "source": SOURCE | {"channels": channels}}
    return DatasetConfig.model_validate(fields | {"features": features or {}})


def test_a_channel_is_measured_unless_it_says_otherwise() -> None:
    assert [one.role for one in _config().channels.values()] == [Role.MEASURED] * 2
    assert _config().roles == ()
    assert _config(role="setpoint").roles == ("setpoint", "measured")
    assert _config(role="load").conditions == ("target",)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"role": "knob"}, "setpoint"),
        ({"settles_within": "30min"}, "role: setpoint, whose changes it is about"),
        ({"role": "load", "settles_within": "30min"}, "role: setpoint, whose changes it is about"),
    ],
)
def test_what_no_role_can_be_is_a_clear_error(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        _config(**changes)


def test_something_is_judged() -> None:
    with pytest.raises(ValidationError, match="measured for one channel at least"):
        DatasetConfig.model_validate(
            {"dataset": "meter", "source": SOURCE | {"channels": {"target": {"role": "load"}}}}
        )


def test_another_role_is_another_model_of_the_same_readings() -> None:
    measured, ambient = _config(), _config(role="ambient")
    assert measured.model_hash != ambient.model_hash
    assert read_settings(measured, {}) == read_settings(ambient, {})
    hours = {"learned_after": "12h"}
    assert _config(hours).model_hash == measured.model_hash
    assert _config(hours, role="ambient").model_hash != ambient.model_hash


def test_the_bundle_keeps_roles_and_says_nothing_where_all_are_measured() -> None:
    assert not {"roles", "settle_steps", "learned_steps"} & set(
        feature_spec_of(_config()).to_json()
    )
    spec = feature_spec_of(_config(role="setpoint", settles_within="30min"))
    assert spec.to_json()["roles"] == ("setpoint", "measured")
    assert (spec.settle_steps, spec.learned_steps) == ((6, 0), 288)
    assert spec.conditions.tolist() == [0]
