"""Inference by ONNX Runtime: one thread, small batches, outputs that depend on one window alone."""

from __future__ import annotations

import numpy as np
import onnxruntime

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.base.errors import BundleError
from tsad_tasks.model.windows import batches

BATCH_SIZE = 256
_ERRORS_ONLY = 3


class OnnxSession:
    """A loaded graph with one input.

    Raises
    ------
    BundleError
        Where the content is not a graph that ONNX Runtime can load.
    """

    def __init__(self, content: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors share no narrower base class.
            expected = "Expected model.onnx with a readable graph."
            raise BundleError(f"{expected} Received: {error}.") from error
        self._input_name = self._session.get_inputs()[0].name
        self._output_names = [output.name for output in self._session.get_outputs()]

    def run(self, windows: Floats32, output: int = 0) -> Floats32:
        """One of the outputs for windows (n_windows, width, n_inputs), finite values only."""
        names, parts = [self._output_names[output]], batches(len(windows), BATCH_SIZE)
        return np.concatenate(
            [self._session.run(names, {self._input_name: windows[part]})[0] for part in parts]
        )
