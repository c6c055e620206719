"""Building, loading and asking detectors, without training."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from network_of_zeros import zero_detector, zero_graph

from tsad_tasks.detectors.onnx_graph import canonical_graph
from tsad_tasks.detectors.onnx_session import OnnxSession
from tsad_tasks.detectors.registry import build_detector, detector_class, detector_from_files
from tsad_tasks.errors import BadInput, BundleError, ConfigError

SIZES: dict[str, Any] = {"width": 10, "n_channels": 1, "n_inputs": 1}


def test_the_documents_autoencoder_has_62529_parameters() -> None:
    assert build_detector("lstm_autoencoder", **SIZES).n_parameters == 62_529


def test_an_unknown_detector_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"Expected one of .*lstm_autoencoder.*\. Received: lstm_autoencodr"):
        detector_class("lstm_autoencodr")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"unit": 3}, "Expected units, input_limit, error. Received: unit"),
        ({"units": [64]}, "units: Expected two whole numbers above 0"),
        ({"units": [64, 0]}, "units: Expected two whole numbers above 0"),
        ({"units": "ab"}, "units: Expected two whole numbers above 0"),
        ({"units": 5}, "units: Expected two whole numbers above 0"),
        ({"error": "rmse"}, "error: Expected one of mse, mae, huber, null. Received: rmse"),
        ({"input_limit": 0}, "input_limit: Expected a number above 0"),
        ({"input_limit": "high"}, "input_limit: Expected a number above 0"),
        ({"width": 3}, "Expected units, input_limit, error. Received: width"),
    ],
)
def test_wrong_params_are_named(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_detector("lstm_autoencoder", **SIZES, params=params)


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
        zero_detector().score(np.zeros((9, 1), dtype=np.float32), np.zeros((9, 2), dtype=np.float32))


@pytest.mark.parametrize(
    ("error", "expected"), [("mse", [2.0, 5.0]), ("mae", [4 / 3, 7 / 3]), ("huber", [2.5 / 3, 5.5 / 3])]
)
def test_errors_are_means_over_the_window(error: str, expected: list[float]) -> None:
    scores = zero_detector(width=3, error=error).score(np.array([[1], [-1], [2], [4]], dtype=np.float32))
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
