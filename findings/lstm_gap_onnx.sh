#!/usr/bin/env bash
# ONNX Runtime: an LSTM or GRU with a bias, even one of zeros, turns NaN into ordinary numbers; without the bias NaN
#   stays NaN.
# Guess: NaN in, NaN out, as in Keras and PyTorch, so that a score of a window with a gap cannot look normal; adding 0
#   changes nothing.
# Versions: onnxruntime 1.31.1 (CPU; 1.32.0 the same), onnx 1.23.2. Layers of Keras and PyTorch have a bias by
#   default.
# Seen: with a bias and every reading NaN the last state of the LSTM is 1.0, that of the GRU 0.0; one NaN anywhere in
#   the window leaves both finite and unremarkable. Without the bias input, and in the RNN operator with or without
#   it, the state is NaN.
# Source: ONNX Runtime's rnn_helpers.cc, clip_add_bias: the bias is added and limited in one step, and std::min of a
#   limit and NaN is the limit.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
cd "$work"
v/bin/python - <<'PY'
import sys
import numpy as np, onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
rng, units, steps, channels = np.random.default_rng(0), 8, 10, 3
one_gap = rng.normal(size=(steps, 1, channels)).astype(np.float32)
one_gap[4, 0, 1] = np.nan
windows = {"all gap": np.full((steps, 1, channels), np.nan, np.float32), "one gap": one_gap}
def states(operator, gates, **bias):
    weights = {"W": rng.normal(size=(1, gates * units, channels)), "R": rng.normal(size=(1, gates * units, units)), **bias}
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *weights], ["", "state"], hidden_size=units)], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [steps, 1, channels])],
        [helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, 1, units])],
        [numpy_helper.from_array(part.astype(np.float32), name) for name, part in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=9)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return {name: session.run(None, {"x": window})[0].ravel() for name, window in windows.items()}
print("expected: nan everywhere")
same = True
for operator, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
    for name, bias in (("no bias", {}), ("bias of zeros", {"B": np.zeros((1, 2 * gates * units))})):
        found = states(operator, gates, **bias)
        print("seen:    ", operator, name, {window: np.round(state[:3], 3).tolist() for window, state in found.items()})
        lost = bool(bias) and operator != "RNN"
        same &= all(np.isfinite(state).all() if lost else np.isnan(state).any() for state in found.values())
        same &= not lost or bool((found["all gap"] == (1 if operator == "LSTM" else 0)).all())
sys.exit(0 if same else "The behaviour has changed.")
PY
