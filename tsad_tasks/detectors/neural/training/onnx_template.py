"""Keras to ONNX once per architecture: another training only fills in its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.detectors.neural.training.onnx_graph import canonical_graph
from tsad_tasks.detectors.neural.training.quiet_keras import quiet_stderr

# float32 holds all whole numbers up to 2**24: each weight gets one of its own, too large for any
# other constant.
FIRST_MARK, LAST_MARK = 2**20, 2**24


class GraphTemplate:
    """The ONNX graph of a Keras model, for whatever weights the model has.

    Converting takes seconds. So the model is converted once with a number of its own in place of
    each weight; where those turn up in the graph, the weights go. Where they do not all turn up,
    because the conversion computes with weights, every filling is a conversion.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._marked = _marked_graph(model)

    def filled(self) -> bytes:
        """The graph with the weights that the model has now."""
        weights = self._model.get_weights()
        if self._marked is None:
            return exported(self._model)
        return _filled(self._marked, np.concatenate([weight.ravel() for weight in weights]))


def exported(model: Any) -> bytes:
    """What tf2onnx makes of the model, in one spelling.

    Keras's own exporter makes the same to the byte, but first prepares the model to be saved, which
    costs as much again.
    """
    import tensorflow
    import tf2onnx
    from keras.src.export.tf2onnx_lib import patch_tf2onnx

    (windows,) = model.inputs
    signature = [tensorflow.TensorSpec(windows.shape, windows.dtype, windows.name)]
    infer = tensorflow.function(
        lambda given: model(given, training=False), input_signature=signature, autograph=False
    )
    with quiet_stderr():
        patch_tf2onnx()  # It does not know NumPy 2.
        graph, _ = tf2onnx.convert.from_function(infer, signature)
    return canonical_graph(graph.SerializeToString())


def _marked_graph(model: Any) -> onnx.ModelProto | None:
    kept = model.get_weights()
    marks = _marks(kept)
    if marks is None:
        return None
    model.set_weights(marks)
    try:
        graph = onnx.load_from_string(exported(model))
    finally:
        model.set_weights(kept)
    found = [_array(constant).ravel() for constant in _constants(graph)]
    seen = np.unique(np.concatenate([values[values >= FIRST_MARK] for values in found]))
    return graph if np.array_equal(seen, np.concatenate([mark.ravel() for mark in marks])) else None


def _marks(weights: Sequence[Floats32]) -> list[Floats32] | None:
    firsts = FIRST_MARK + np.cumsum([0, *(weight.size for weight in weights)])
    if firsts[-1] > LAST_MARK:
        return None
    return [
        np.arange(first, first + weight.size, dtype=np.float32).reshape(weight.shape)
        for first, weight in zip(firsts, weights, strict=False)
    ]


def _filled(marked: onnx.ModelProto, weights: Floats32) -> bytes:
    graph = onnx.ModelProto()
    graph.CopyFrom(marked)
    for constant in _constants(graph):
        values = _array(constant)
        is_mark = values >= FIRST_MARK
        places = np.where(is_mark, values - FIRST_MARK, 0).astype(np.int64)
        filled = np.where(is_mark, weights[places], values).astype(np.float32)
        constant.CopyFrom(numpy_helper.from_array(filled, constant.name))
    return bytes(graph.SerializeToString(deterministic=True))


def _constants(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    return [
        constant
        for constant in model.graph.initializer
        if constant.data_type == onnx.TensorProto.FLOAT
    ]


def _array(constant: onnx.TensorProto) -> Floats32:
    return np.asarray(numpy_helper.to_array(constant), dtype=np.float32)
