"""Features of several entities at once, windows that are wanted, and the status of an hour."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.model.window_index import window_index
from tsad_tasks.model import scoring
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.scoring import (
    combined_errors,
    entity_features,
    entity_scores,
    entity_windows,
    hour_status,
)
from tsad_tasks.model.spec import FeatureSpec, ModelSpec
from tsad_tasks.model.tails import fit_tails
from tsad_tasks.model.thresholds import Calibration, ThresholdSettings

SPEC = FeatureSpec(
    channels=("cpu", "temperature"),
    hold_steps=(0, 1),
    step_s=60,
    site_zone="UTC",
    width=2,
    min_coverage=0.5,
    running_when="cpu > 0",
    grace_steps=1,
    rolling_mean=(2,),
    lag=(),
    diff=(1,),
    cyclic=("hour",),
)
SCALERS = [Scaler((1.0, 10.0), (1.0, 2.0), 9), Scaler((0.0, 0.0), (1.0, 1.0), 9)]
NAN = float("nan")


def test_inputs_are_sensors_then_derived_columns_then_the_clock() -> None:
    values = np.array([[[2.0, 12.0], [3.0, 14.0]], [[1.0, 1.0], [1.0, 1.0]]])
    features = entity_features(SPEC, SCALERS, values, 0)
    assert features.inputs.shape == (2, 2, SPEC.n_inputs) == (2, 2, 2 + 4 + 2)
    assert features.inputs[0, 1, :2].tolist() == [2.0, 2.0]
    assert features.inputs[0, 1, 2:6].tolist() == [1.5, 1.5, 1.0, 1.0]


def test_what_is_unknown_goes_in_as_zero_and_is_not_present() -> None:
    values = np.array([[[1.0, 5.0], [1.0, NAN], [1.0, NAN]]])
    features = entity_features(SPEC, SCALERS[:1], values, 0)
    assert features.present[0].tolist() == [[True, True], [True, True], [True, False]]
    assert features.inputs[0, 2, 1] == 0.0


def test_only_wanted_steps_get_windows_counted_over_all_entities() -> None:
    values = np.full((2, 4, 2), 5.0)
    features = entity_features(SPEC, SCALERS, values, 0)
    wanted = np.zeros((2, 4), bool)
    wanted[1, 2:] = True
    assert entity_windows(SPEC, features, wanted).ends.tolist() == [6, 7]


def test_the_share_of_live_channels_is_that_of_the_channels_that_an_entity_has() -> None:
    spec = replace(SPEC, running_when=None, min_coverage=1.0)
    values = np.full((2, 4, 2), 5.0)
    values[:, :, 1] = NAN
    lacking = replace(SCALERS[0], not_fitted=(1,))
    features = entity_features(spec, [lacking, SCALERS[1]], values, 0)
    found = entity_windows(spec, features, np.ones((2, 4), bool))
    assert found.ends.tolist() == [2, 3]
    assert found.fitted.tolist() == [[True, False]] * 2


def test_readings_of_a_channel_that_is_not_fitted_change_nothing() -> None:
    spec = replace(SPEC, running_when=None)
    lacking, values = [replace(SCALERS[0], not_fitted=(1,))], np.full((1, 6, 2), 5.0)
    without = values.copy()
    without[:, :, 1] = NAN
    for with_it, other in zip(
        *(vars(entity_features(spec, lacking, part, 0)).values() for part in (values, without)),
        strict=True,
    ):
        np.testing.assert_array_equal(with_it, other)


def test_channels_count_from_the_step_on_from_which_an_entity_has_them() -> None:
    spec = replace(SPEC, running_when=None, min_coverage=1.0)
    values = np.full((1, 6, 2), 5.0)
    values[:, :, 1] = NAN
    features = entity_features(spec, SCALERS[:1], values, 0)
    features = replace(features, fitted_from=np.array([[0, 4]]))
    assert entity_windows(spec, features, np.ones((1, 6), bool)).ends.tolist() == [2, 3]


def test_no_wanted_step_gives_no_window() -> None:
    features = entity_features(SPEC, SCALERS, np.full((2, 4, 2), 5.0), 0)
    assert len(entity_windows(SPEC, features, np.zeros((2, 4), bool)).ends) == 0


def test_windows_of_entities_together_are_those_of_each_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(7)
    values = np.where(rng.random((5, 30, 2)) < 0.8, rng.normal(1, 1, (5, 30, 2)), NAN)
    features = entity_features(SPEC, [*SCALERS, *SCALERS, SCALERS[0]], values, 0)
    monkeypatch.setattr(scoring, "_CELLS", 2 * 30 * 2)
    found = entity_windows(SPEC, features, wanted := rng.random((5, 30)) < 0.7)
    for entity in range(5):
        parts = features.present[entity], features.running[entity], features.context_ok[entity]
        alone = window_index(*parts, width=SPEC.width, min_coverage=SPEC.min_coverage)
        mine, chosen = found.ends // 30 == entity, wanted[entity, alone.ends]
        assert (found.ends[mine] - 30 * entity).tolist() == alone.ends[chosen].tolist()
        assert found.live[mine].tolist() == alone.live[chosen].tolist()
        assert found.reasons[entity].tolist() == alone.reasons.tolist()


@pytest.mark.parametrize("kind", ["adaptive", "mean_std"])
def test_scores_of_entities_together_are_those_of_each_alone(kind: str) -> None:
    settings = ThresholdSettings(kind, 99.9, 2.0, 20, 5, 0.1, 3, 2.0)
    own = {
        "b": Calibration(0.5, 0.2, 0.9, 0.5, 0.1, 0.7, 99),
        "c": Calibration(0.3, 0.1, 0.6, 0.3, 0.1, 0.4, 99),
    }
    spec = ModelSpec(
        SPEC,
        {},
        SCALERS[0],
        settings,
        own,
        Calibration(0.4, 0.1, 0.8, 0.4, 0.1, 0.6, 99),
        (1.0, 1.0),
    )
    errors = np.random.default_rng(7).random((3, 90), np.float32)
    errors[:, ::11] = NAN
    together = entity_scores(spec, ["a", "b", "c"], errors)
    assert together.flags.any()
    for entity, name in enumerate("abc"):
        alone = entity_scores(spec, [name], errors[entity : entity + 1])
        for field in ("thresholds", "scores", "flags", "collective", "severity"):
            np.testing.assert_array_equal(
                getattr(together, field)[entity], getattr(alone, field)[0]
            )


LIMITS = Calibration(0.4, 0.1, 0.8, 0.4, 0.1, 0.6, 99)
SETTINGS = ThresholdSettings("evt", 99.9, 2.0, 20, 5, 0.1, 3, 2.0)
PLAIN = ModelSpec(SPEC, {}, SCALERS[0], SETTINGS, {}, LIMITS, (1.0, 1.0))
TAILS = fit_tails(
    {
        name: np.random.default_rng(i).exponential(1 + i, (400, 2)).astype(np.float32)
        for i, name in enumerate("ab")
    },
    gap_steps=0,
)
SURPRISED = replace(PLAIN, tails=TAILS, combine="top_k", top_k=1, expected_incidents_per_day=2.5)


def test_a_country_adds_one_input_that_is_1_on_its_holidays_and_on_sundays() -> None:
    spec = replace(SPEC, holidays=(5,))
    features = entity_features(spec, SCALERS[:1], np.full((1, 2 * 1440, 2), 5.0), 2 * 86400)
    assert features.inputs.shape[2] == spec.n_inputs == SPEC.n_inputs + 1
    assert features.inputs[0, [0, 1440], -1].tolist() == [
        0.0,
        1.0,
    ]  # The third day of 1970 was a Saturday.
    friday = entity_features(
        replace(SPEC, holidays=(1,)), SCALERS[:1], np.full((1, 1, 2), 5.0), 86400
    )
    assert friday.inputs[0, 0, -1] == 1.0


def test_without_tails_errors_are_the_mean_of_live_channels_as_they_are() -> None:
    errors, parts = combined_errors(
        PLAIN,
        ["a"],
        np.zeros(2, np.int64),
        np.array([[1, 3], [1, 3]], np.float32),
        np.array([[1, 1], [1, 0]], bool),
    )
    assert errors.tolist() == [2.0, 1.0]
    assert parts[0].tolist() == [1.0, 3.0]
    assert np.isnan(parts[1, 1])


def test_with_tails_errors_are_surprises_and_the_highest_of_a_live_channel_counts() -> None:
    raw, live = (
        np.array([[1, 6], [1, 6], [1, 6]], np.float32),
        np.array([[1, 1], [1, 1], [1, 0]], bool),
    )
    errors, parts = combined_errors(SURPRISED, ["a", "b"], np.array([0, 1, 0]), raw, live)
    np.testing.assert_array_equal(parts[:2], TAILS.surprises(raw[:2], ["a", "b"]))
    assert errors.tolist() == [parts[0, 1], parts[1, 1], parts[2, 0]]
    assert parts[1, 1] < parts[0, 1]


def test_units_grow_for_a_dead_channel_and_not_for_one_that_is_not_fitted() -> None:
    spec = replace(SURPRISED, tails=replace(TAILS, growth=((1.0, 9.0), (9.0, 1.0))))
    raw, live = np.array([[6, 1]], np.float32), np.array([[True, False]])
    of = np.zeros(1, np.int64)
    usual, dead = (combined_errors(one, ["a"], of, raw, live)[0] for one in (SURPRISED, spec))
    lacking = combined_errors(spec, ["a"], of, raw, live, np.array([[True, False]]))[0]
    assert dead < usual
    assert lacking == usual


def test_windows_together_have_the_errors_of_each_alone() -> None:
    raw = np.random.default_rng(7).exponential(1.0, (50, 2)).astype(np.float32)
    of, live = np.arange(50) % 2, np.random.default_rng(8).random((50, 2)) < 0.8
    together, parts = combined_errors(SURPRISED, ["a", "b"], of, raw, live)
    for i in range(50):
        one = slice(i, i + 1)
        alone = combined_errors(SURPRISED, ["a", "b"], of[one], raw[one], live[one])
        assert (alone[0].tobytes(), alone[1].tobytes()) == (
            together[one].tobytes(),
            parts[one].tobytes(),
        )


def test_a_spec_goes_through_json_to_the_bit() -> None:
    spec = replace(SURPRISED, features=replace(SPEC, holidays=(5, 9)), scalers={"a": SCALERS[0]})
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_bundle_from_before_there_were_tails_and_holidays_scores_as_it_did() -> None:
    fields = json.loads(json.dumps(PLAIN.to_json()))
    for name in ("tails", "combine", "top_k", "expected_incidents_per_day"):
        del fields[name]
    for name in ("holidays", "rest_weekday"):
        del fields["features"][name]
    assert ModelSpec.from_json(fields) == PLAIN
    assert PLAIN.combine == "mean"


@pytest.mark.parametrize("first_step", [1, 2, 20, 21, 55, 90])
def test_steps_that_are_only_looked_back_at_get_no_score_and_change_none(first_step: int) -> None:
    settings = ThresholdSettings("adaptive", 99.9, 2.0, 20, 5, 0.1, 3, 2.0)
    spec = ModelSpec(
        SPEC,
        {},
        SCALERS[0],
        settings,
        {},
        Calibration(0.4, 0.1, 0.8, 0.4, 0.1, 0.6, 99),
        (1.0, 1.0),
    )
    errors = np.random.default_rng(7).random((2, 90), np.float32)
    whole, late = (
        entity_scores(spec, ["a", "b"], errors),
        entity_scores(spec, ["a", "b"], errors, first_step),
    )
    for field in ("thresholds", "scores", "flags", "collective", "severity"):
        np.testing.assert_array_equal(
            getattr(late, field)[:, first_step:], getattr(whole, field)[:, first_step:]
        )
    assert np.isnan(late.scores[:, :first_step]).all()
    assert not late.flags[:, :first_step].any()


@pytest.mark.parametrize(
    ("reasons", "read", "marks", "status"),
    [
        ([0, 0], [True, True], {}, ("scored", 2, 2)),
        ([0, 2], [True, True], {}, ("partial", 2, 1)),
        ([0, 7], [True, False], {}, ("scored", 1, 1)),
        ([0, 3], [True, True], {}, ("scored", 1, 1)),
        ([0, 0], [True, True], {"provisional": True}, ("unknown_entity_scale", 2, 2)),
        ([3, 4], [True, True], {}, ("off", 0, 0)),
        ([1, 1], [False, False], {}, ("gap", 2, 0)),
        ([1, 1], [False, False], {"silent": True}, ("stale", 2, 0)),
        ([2, 2], [True, True], {}, ("insufficient_history", 2, 0)),
        ([2, 2], [True, True], {"retired": True}, ("inputs_retired", 2, 0)),
    ],
)
def test_the_status_of_an_hour(
    reasons: list[int], read: list[bool], marks: dict[str, bool], status: tuple[str, int, int]
) -> None:
    chosen = {"provisional": False, "silent": False, "retired": False} | marks
    assert hour_status(np.array(reasons, np.int16), np.array(read), **chosen) == status
