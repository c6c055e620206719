"""What single kinds of detectors promise beyond the contracts of all, without training a
network.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn import ensemble

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.base.errors import BadInput
from tsad_tasks.detectors.base import Budget, TrainingSet
from tsad_tasks.detectors.inference.onnx_detector import WindowJudge
from tsad_tasks.detectors.neural.masked_autoencoder import hidden_steps
from tsad_tasks.detectors.neural.training.oversampling import interpolated, repeated
from tsad_tasks.detectors.registry import build_detector
from tsad_tasks.model.windows import gather

WIDTH = 4


def make_training(n_anomalies: int = 20) -> TrainingSet:
    """300 steps, of which the first 240 are trained on; anomalies are 3 higher."""
    inputs = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    labels = np.zeros(300, bool)
    labels[10 : 10 + 11 * n_anomalies : 11] = True
    labels[290] = True
    inputs[labels] += 3
    return TrainingSet(inputs, np.arange(WIDTH - 1, 240), np.arange(243, 300), 2, WIDTH, labels)


@pytest.mark.parametrize("oversample", [repeated, interpolated])
def test_oversampling_raises_the_share_in_what_is_trained_on_and_nowhere_else(
    oversample: Any,
) -> None:
    training = make_training()
    made = oversample(training, 0.3, 1)
    labels = made.labels[made.ends]
    assert labels.sum() == int(0.3 * (~labels).sum())
    assert (~labels).sum() == (~training.labels[training.ends]).sum()
    assert made.validation_ends.tolist() == training.validation_ends.tolist()
    assert made.inputs[:300].tolist() == training.inputs.tolist()


def test_windows_between_known_ones_are_anomalous_and_new() -> None:
    training = make_training()
    made = interpolated(training, 0.3, 1)
    new = gather(made.inputs, made.ends[len(training.ends) :], WIDTH)
    assert new[:, -1].min() > 0
    assert (
        not (new[:, None] == gather(training.inputs, training.ends, WIDTH)[None])
        .all(axis=(2, 3))
        .any()
    )


@pytest.mark.parametrize("oversample", [repeated, interpolated])
def test_oversampling_is_the_same_for_the_same_seed_and_leaves_enough_alone(
    oversample: Any,
) -> None:
    training = make_training()
    first, again = (oversample(training, 0.3, 1) for _ in range(2))
    assert (first.ends.tolist(), first.inputs.tolist()) == (
        again.ends.tolist(),
        again.inputs.tolist(),
    )
    assert oversample(training, 0.05, 1) is training


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (
            make_training(9),
            r"Expected at least 10 anomalous windows .*Received: 9 of 237 and 1 of 57",
        ),
        (
            TrainingSet(*(make_training().__dict__ | {"labels": None}).values()),
            "Expected labels .*Received: none",
        ),
    ],
)
def test_too_few_labels_are_bad_input(training: TrainingSet, message: str) -> None:
    classifier = build_detector("bilstm_classifier", width=WIDTH, n_channels=2, n_inputs=2)
    with pytest.raises(BadInput, match=message):
        classifier.fit(training, budget=Budget(), seed=1)


def test_the_forest_scores_as_scikit_learn_does() -> None:
    training = make_training()
    forest: Any = build_detector(
        "isolation_forest", width=WIDTH, n_channels=2, n_inputs=2, params={"trees": 20}
    )
    forest.fit(training, budget=Budget(), seed=3)
    features, held_out = (
        forest.features(gather(training.inputs, ends, WIDTH))
        for ends in (training.ends, training.validation_ends)
    )
    expected = (
        -ensemble.IsolationForest(n_estimators=20, max_samples=237, random_state=3)
        .fit(features)
        .score_samples(held_out)
    )
    found = forest.reconstruct(training.inputs, training.validation_ends).channel_errors[:, 1]
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_forest_saved_before_usual_features_were_kept_still_says_which_channel_it_was() -> None:
    training = make_training()
    forest = build_detector(
        "isolation_forest", width=WIDTH, n_channels=2, n_inputs=2, params={"trees": 20}
    )
    forest.fit(training, budget=Budget(), seed=3)
    files = forest.to_files()
    details = json.loads(files["detector.json"])
    del details["usual"]
    old = type(forest).from_files(files | {"detector.json": json.dumps(details).encode()})
    inputs = training.inputs.copy()
    inputs[260, 1] += 9
    assert old.channel_shares(inputs, np.array([260]))[0].argmax() == 1


@pytest.mark.parametrize(("width", "n"), [(10, 4), (3, 8), (2, 2)])
def test_every_step_is_hidden_once(width: int, n: int) -> None:
    assert hidden_steps(width, n).sum(axis=0).tolist() == [[1.0]] * width
    assert hidden_steps(width, n).sum(axis=1).min() >= 1


class Summing(WindowJudge):
    """The sum of a window is its score."""

    n_parameters = 0

    def scores_of(self, features: Floats32) -> Floats32:
        return features.sum(axis=(1, 2))


def test_a_value_owes_what_the_score_falls_by_without_it() -> None:
    inputs = np.array([[1.0], [3.0]], np.float32)
    assert Summing(2, 1, 1).explain(inputs, np.array([1])).tolist() == [[[1.0], [3.0]]]


def test_a_channel_has_the_share_that_the_score_falls_by_without_it() -> None:
    inputs = np.array([[0.0, 1.0], [1.0, 2.0]], np.float32)
    assert Summing(2, 2, 2).channel_shares(inputs, np.array([1])).tolist() == [[0.25, 0.75]]
