"""Features of several entities at once, windows that are wanted, and the status of an hour."""

from __future__ import annotations

import numpy as np
import pytest

from tsad_tasks.core import scoring
from tsad_tasks.core.features import Scaler
from tsad_tasks.core.scoring import entity_features, entity_scores, entity_windows, hour_status
from tsad_tasks.core.spec import FeatureSpec, ModelSpec
from tsad_tasks.core.thresholds import Calibration, ThresholdSettings
from tsad_tasks.core.windows import window_index

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


def test_no_wanted_step_gives_no_window() -> None:
    features = entity_features(SPEC, SCALERS, np.full((2, 4, 2), 5.0), 0)
    assert len(entity_windows(SPEC, features, np.zeros((2, 4), bool)).ends) == 0


def test_windows_of_entities_together_are_those_of_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
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
    own = {"b": Calibration(0.5, 0.2, 0.9, 0.5, 0.1, 0.7, 99), "c": Calibration(0.3, 0.1, 0.6, 0.3, 0.1, 0.4, 99)}
    spec = ModelSpec(SPEC, {}, SCALERS[0], settings, own, Calibration(0.4, 0.1, 0.8, 0.4, 0.1, 0.6, 99), (1.0, 1.0))
    errors = np.random.default_rng(7).random((3, 90), np.float32)
    errors[:, ::11] = NAN
    together = entity_scores(spec, ["a", "b", "c"], errors)
    assert together.flags.any()
    for entity, name in enumerate("abc"):
        alone = entity_scores(spec, [name], errors[entity : entity + 1])
        for field in ("thresholds", "scores", "flags", "collective", "severity"):
            np.testing.assert_array_equal(getattr(together, field)[entity], getattr(alone, field)[0])


@pytest.mark.parametrize("first_step", [1, 2, 20, 21, 55, 90])
def test_steps_that_are_only_looked_back_at_get_no_score_and_change_none(first_step: int) -> None:
    settings = ThresholdSettings("adaptive", 99.9, 2.0, 20, 5, 0.1, 3, 2.0)
    spec = ModelSpec(SPEC, {}, SCALERS[0], settings, {}, Calibration(0.4, 0.1, 0.8, 0.4, 0.1, 0.6, 99), (1.0, 1.0))
    errors = np.random.default_rng(7).random((2, 90), np.float32)
    whole, late = entity_scores(spec, ["a", "b"], errors), entity_scores(spec, ["a", "b"], errors, first_step)
    for field in ("thresholds", "scores", "flags", "collective", "severity"):
        np.testing.assert_array_equal(getattr(late, field)[:, first_step:], getattr(whole, field)[:, first_step:])
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
