"""A detector whose network says 0 for everything, made without Keras."""

from __future__ import annotations

import json

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.registry import detector_from_files


def zero_graph(width: int, n_channels: int, prefix: str = "") -> bytes:
    """A graph that multiplies twice by 0."""
    shape = ("n", width, n_channels)
    first, second = (
        helper.make_tensor_value_info(f"{prefix}{end}", TensorProto.FLOAT, shape)
        for end in ("in", "out")
    )
    zero = numpy_helper.from_array(np.zeros(1, dtype=np.float32), f"{prefix}zero")
    nodes = [
        helper.make_node(
            "Mul", [f"{prefix}in", f"{prefix}zero"], [f"{prefix}mid"], name=f"{prefix}a"
        ),
        helper.make_node(
            "Mul", [f"{prefix}mid", f"{prefix}zero"], [f"{prefix}out"], name=f"{prefix}b"
        ),
    ]
    graph = helper.make_graph(nodes, f"{prefix}graph", [first], [second], [zero])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def zero_detector(width: int = 3, n_channels: int = 1, error: str = "mse") -> Detector:
    """A detector that expects 0 always: its errors are those of the readings themselves."""
    details = {
        "name": "lstm_autoencoder",
        "width": width,
        "n_channels": n_channels,
        "n_inputs": n_channels,
    }
    details |= {
        "params": {"units": [64, 32], "input_limit": 2.0},
        "error": error,
        "limits": [10.0] * n_channels,
    }
    files = {
        "model.onnx": zero_graph(width, n_channels),
        "detector.json": json.dumps(details).encode(),
    }
    return detector_from_files(files)
