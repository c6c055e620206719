"""Building, loading and asking detectors, without training."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from tests.detectors.network_of_zeros import zero_detector, zero_graph
from tsad_tasks.base.errors import BadInput, BundleError, ConfigError
from tsad_tasks.detectors.inference.onnx_session import OnnxSession
from tsad_tasks.detectors.neural.training.onnx_graph import canonical_graph
from tsad_tasks.detectors.registry import (
    build_detector,
    detector_class,
    detector_from_files,
)

SIZES: dict[str, Any] = {"width": 10, "n_channels": 1, "n_inputs": 1}


def test_the_documents_autoencoder_has_62529_parameters() -> None:
    assert build_detector("lstm_autoencoder", **SIZES).n_parameters == 62_529


def test_an_unknown_detector_lists_the_known() -> None:
    with pytest.raises(
        ConfigError, match=r"Expected one of .*lstm_autoencoder.*\. Received: lstm_autoencodr"
    ):
        detector_class("lstm_autoencodr")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"unit": 3}, r"unit: Expected one of input_limit, error, units \(did you mean units\?\)"),
        ({"units": [64]}, "units: Expected two whole numbers above 0"),
        ({"units": [64, 0]}, "units: Expected a list of whole numbers above 0"),
        ({"units": "ab"}, "units: Expected two whole numbers above 0"),
        ({"units": 5}, "units: Expected two whole numbers above 0"),
        ({"error": "rmse"}, "error: Expected 'mse', 'mae' or 'huber'. Received: 'rmse'"),
        ({"input_limit": 0}, "input_limit: Expected greater than 0. Received: 0"),
        ({"input_limit": "high"}, "input_limit: Expected a number. Received: 'high'"),
        ({"input_limit": 1, "units": 5}, "detector.params.units: Expected two whole numbers"),
    ],
)
def test_wrong_params_are_named(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_detector("lstm_autoencoder", **SIZES, params=params)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("dense_autoencoder", {"units": []}, "units: Expected a list of whole numbers above 0"),
        ("dense_autoencoder", {"units": [True]}, "units: Expected a list of whole numbers above 0"),
        ("lstm_vae", {"code": 0}, "code: Expected greater than or equal to 1. Received: 0"),
        (
            "lstm_vae",
            {"anomaly_share": 1},
            "anomaly_share: Expected less than 1. Received: 1",
        ),
        (
            "transformer_autoencoder",
            {"units": 30},
            "units: Expected a multiple of heads \\(4\\). Received: 30",
        ),
        (
            "masked_autoencoder",
            {"stretches": 1},
            "stretches: Expected greater than or equal to 2. Received: 1",
        ),
        (
            "forecaster",
            {"horizon": 10},
            r"horizon: Expected fewer steps than the window has \(10\). Received: 10",
        ),
        (
            "bilstm_classifier",
            {"dropout": 1.0},
            "dropout: Expected less than 1. Received: 1.0",
        ),
        (
            "bilstm_classifier",
            {"sampler": "adasyn"},
            "sampler: Expected 'random' or 'smote'. Received: 'adasyn'",
        ),
        (
            "bilstm_classifier",
            {"oversampling": 0},
            "oversampling: Expected greater than 0. Received: 0",
        ),
        (
            "isolation_forest",
            {"trees": 2.5},
            "trees: Expected a whole number. Received: 2.5",
        ),
        ("ensemble", {"members": [{"name": "lstm_vae"}]}, "members: Expected at least two"),
        (
            "ensemble",
            {"members": [{"nam": "lstm_vae"}]},
            "members.0.nam: Expected one of name, params, weight",
        ),
        ("ensemble", {"members": [{"name": "x"}] * 2}, "Expected one of .*Received: x"),
        (
            "ensemble",
            {"members": [{"name": "bilstm_classifier"}] * 2},
            "learn without labels. Received: bilstm",
        ),
        (
            "ensemble",
            {"members": [{"name": "ensemble"}] * 2},
            "learn without labels. Received: ensemble",
        ),
        (
            "ensemble",
            {"members": [{"name": "forecaster", "weight": 0}] * 2},
            "members.0.weight: Expected greater than 0",
        ),
        (
            "ensemble",
            {"members": [{"name": "forecaster", "params": {"x": 1}}] * 2},
            "members.0.params.x: Expected one of input_limit, error, units, horizon",
        ),
    ],
)
def test_wrong_params_of_any_detector_are_named(
    name: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_detector(name, **SIZES, params=params)


@pytest.mark.parametrize("sizes", [{"width": 1}, {"n_channels": 0}, {"n_channels": 2}])
def test_impossible_sizes_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="Expected width >= 2"):
        build_detector("lstm_autoencoder", **SIZES | sizes)


def test_a_detector_that_has_not_learned_says_so() -> None:
    with pytest.raises(BadInput, match="Expected a fitted detector"):
        build_detector("lstm_autoencoder", **SIZES).score(np.zeros((20, 1), dtype=np.float32))


@pytest.mark.parametrize("shape", [(9,), (9, 2), (9, 0)])
def test_readings_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInput, match=r"Expected readings of shape \(n, 1\)"):
        zero_detector().score(np.zeros(shape, dtype=np.float32))


def test_context_that_the_detector_does_not_know_is_refused() -> None:
    with pytest.raises(BadInput, match=r"Received: \[\(9, 1\), \(9, 2\)\]"):
        zero_detector().score(
            np.zeros((9, 1), dtype=np.float32), np.zeros((9, 2), dtype=np.float32)
        )


@pytest.mark.parametrize(
    ("error", "expected"),
    [("mse", [2.0, 5.0]), ("mae", [4 / 3, 7 / 3]), ("huber", [2.5 / 3, 5.5 / 3])],
)
def test_errors_are_means_over_the_window(error: str, expected: list[float]) -> None:
    scores = zero_detector(width=3, error=error).score(
        np.array([[1], [-1], [2], [4]], dtype=np.float32)
    )
    assert scores[2:].tolist() == pytest.approx([2.0, 7.0] if error == "mse" else expected)


def test_files_without_details_are_no_detector() -> None:
    with pytest.raises(BundleError, match=r"Expected detector\.json\. Received: model\.onnx"):
        detector_from_files({"model.onnx": b""})


def test_a_graph_that_cannot_be_read_is_a_bundle_error() -> None:
    with pytest.raises(BundleError, match=r"Expected model\.onnx with a readable graph"):
        OnnxSession(b"nonsense")


def test_equal_networks_are_equal_bytes_whatever_their_parts_are_called() -> None:
    other = onnx.load_from_string(zero_graph(3, 2, prefix="of_another_run_"))
    nodes = list(reversed(other.graph.node))
    del other.graph.node[:]
    other.graph.node.extend(nodes)
    assert canonical_graph(other.SerializeToString()) == canonical_graph(zero_graph(3, 2))


def test_networks_with_other_weights_are_other_bytes() -> None:
    other = onnx.load_from_string(zero_graph(3, 2))
    other.graph.initializer[0].raw_data = np.ones(1, dtype=np.float32).tobytes()
    assert canonical_graph(other.SerializeToString()) != canonical_graph(zero_graph(3, 2))
