"""How far a detector sees a condition, beside what training saw of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tsad_tasks.model.experience import condition_inputs
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.spec import FeatureSpec

SPEC = FeatureSpec(("load", "temp"), (0, 0), 60, "UTC", 1, 0.5, None, 0, (), (), (), ())
SPEC = replace(SPEC, roles=("load", "measured"))
# From 0 to 10, as training saw it.
SEEN = Scaler((5.0, 0.0), (1.0, 1.0), 9).under([0], [0], np.zeros(2), np.array([10.0, 0.0]))


@pytest.mark.parametrize(
    ("folds_under", "expected"), [(False, [-5, 0, 5, 5, 5]), (True, [-6, 0, 5, 5.5, 6])]
)
def test_a_fold_sees_a_tenth_beyond_what_training_saw_and_a_window_nothing(
    folds_under: bool, expected: list[float]
) -> None:
    load = np.array([-20.0, 5.0, 10.0, 10.5, 30.0])
    known = np.stack([load, np.zeros(5)], axis=1)[None]
    inputs, _ = condition_inputs(replace(SPEC, folds_under=folds_under), [SEEN], known)
    assert inputs[0, :, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("folds_under", "is_told"), [(False, [True, True]), (True, [True, False])])
def test_a_fold_that_sees_conditions_waits_for_them_and_others_do_not(
    folds_under: bool, is_told: list[bool]
) -> None:
    known = np.array([[[5.0, 0.0], [np.nan, 0.0]]])
    _, told = condition_inputs(replace(SPEC, folds_under=folds_under), [SEEN], known)
    assert told[0].tolist() == is_told
