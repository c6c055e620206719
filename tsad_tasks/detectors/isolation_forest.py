"""The isolation forest: windows that few random cuts set apart are strange. A baseline for the
networks.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput, ConfigError
from tsad_tasks.detectors.base import (
    DETAILS_FILE,
    Budget,
    Detector,
    Floats,
    Progress,
    Reconstruction,
    TrainingHistory,
    TrainingSet,
    WindowScores,
)
from tsad_tasks.detectors.fitting import check_files, check_fits, check_sizes, check_time
from tsad_tasks.detectors.neural.network import MODEL_FILE
from tsad_tasks.detectors.occlusion import (
    channels_taken_away,
    occluded,
    one_score_each,
    own_columns,
)
from tsad_tasks.detectors.onnx_session import BATCH_SIZE, OnnxSession
from tsad_tasks.detectors.parameters import whole_number
from tsad_tasks.model.windows import batches, gather

# Trees compare only; beyond this nothing changes, and the square still is a float32.
LARGEST_INPUT = np.float32(1e6)


class IsolationForest(WindowScores):
    """A forest over what a window is like: last values, and means and standard deviations of its
    sensors.

    The error, between 0 and 1, is the same for every live channel. Trees are grown by scikit-learn
    and asked through ONNX Runtime. Source: Liu, Ting and Zhou, Isolation forest, 2008.

    Parameters
    ----------
    trees : int
    sample : int
        Windows that a tree is grown from.
    """

    name = "isolation_forest"

    def __init__(
        self, width: int, n_channels: int, n_inputs: int, trees: int = 100, sample: int = 256
    ) -> None:
        check_sizes(width, n_channels, n_inputs)
        self.width, self.n_channels, self.n_inputs = width, n_channels, n_inputs
        self.trees, self.sample = (
            whole_number("trees", trees),
            whole_number("sample", sample, least=2),
        )
        self.n_parameters = 0
        self._medians, self._usual_depth = np.zeros(n_inputs, dtype=np.float32), 1.0
        self._usual = np.zeros(n_inputs + 2 * n_channels, dtype=np.float32)
        self._graph: bytes | None = None

    def fit(
        self,
        training: TrainingSet,
        *,
        budget: Budget,
        seed: int,
        progress: Progress | None = None,
        warm_start: Detector | None = None,
    ) -> TrainingHistory:
        from sklearn import ensemble

        if warm_start is not None:
            raise ConfigError(
                f"warm_start: Expected none, since trees grow anew. Received: a {warm_start.name}."
            )
        check_fits(training, self.width, self.n_channels, self.n_inputs)
        started = time.monotonic()
        self._medians = np.median(training.inputs[training.ends], axis=0).astype(np.float32)
        features = self._features_of(training.inputs, training.ends)
        self._usual = np.median(features, axis=0).astype(np.float32)
        forest = ensemble.IsolationForest(
            n_estimators=self.trees, max_samples=min(self.sample, len(features)), random_state=seed
        )
        forest.fit(features)
        check_time(started, replace(budget, epochs=1), len(training.ends))
        self._usual_depth = usual_depth(forest.max_samples_)
        self._use(
            _graph(forest, features.shape[1]),
            sum(tree.tree_.node_count for tree in forest.estimators_),
        )
        return self._history(training, started, progress)

    def reconstruct(self, inputs: Floats, ends: NDArray[np.int64]) -> Reconstruction:
        return one_score_each(inputs, ends, self.width, self.n_channels, self._errors)

    @property
    def judges_windows(self) -> bool:
        return True

    def channel_shares(
        self, inputs: Floats, ends: NDArray[np.int64], columns: NDArray[np.bool_] | None = None
    ) -> Floats:
        columns = own_columns(self.n_channels, self.n_inputs) if columns is None else columns
        # Its own features stand for a channel: one that did not move at all would be strange, too.
        of_features = np.concatenate(
            [columns, *[own_columns(self.n_channels, self.n_channels)] * 2], axis=1
        )
        return channels_taken_away(
            inputs, ends, self.width, self._usual, of_features, self._features, self._errors_of
        )

    def explain(self, inputs: Floats, ends: NDArray[np.int64]) -> Floats:
        return occluded(inputs, ends, self.width, self._medians[: self.n_channels], self._errors)

    def to_files(self) -> dict[str, bytes]:
        details = {
            "name": self.name,
            "width": self.width,
            "n_channels": self.n_channels,
            "n_inputs": self.n_inputs,
        }
        details |= {"params": {"trees": self.trees, "sample": self.sample}}
        details |= {"medians": self._medians.tolist(), "usual_depth": self._usual_depth}
        details |= {"usual": self._usual.tolist()}
        details |= {"n_parameters": self.n_parameters}
        return {
            MODEL_FILE: self._fitted(),
            DETAILS_FILE: json.dumps(details, sort_keys=True, indent=2).encode(),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        check_files(files, MODEL_FILE, DETAILS_FILE)
        details = json.loads(files[DETAILS_FILE])
        forest = cls(
            *(details[key] for key in ("width", "n_channels", "n_inputs")), **details["params"]
        )
        forest._medians = np.array(details["medians"], dtype=np.float32)
        forest._usual_depth = details["usual_depth"]
        forest._usual = np.array(details.get("usual") or _not_moving(details), dtype=np.float32)
        forest._use(files[MODEL_FILE], details["n_parameters"])
        return forest

    @cached_property
    def _session(self) -> OnnxSession:
        return OnnxSession(self._fitted())

    def _use(self, graph: bytes, n_parameters: int) -> None:
        self._graph, self.n_parameters = graph, n_parameters
        self.__dict__.pop("_session", None)

    def _fitted(self) -> bytes:
        if self._graph is None:
            raise BadInput(
                "Expected a fitted detector. Received: one that has not learned; call fit or load."
            )
        return self._graph

    def _history(
        self, training: TrainingSet, started: float, progress: Progress | None
    ) -> TrainingHistory:
        groups = (training.ends, training.validation_ends)
        loss, held_out = (
            float(self.reconstruct(training.inputs, ends).channel_errors.mean()) for ends in groups
        )
        if progress is not None:
            progress(1, loss, held_out)
        return TrainingHistory(
            (loss,), (held_out,), len(training.ends), time.monotonic() - started, "epochs"
        )

    def _errors(self, windows: Floats) -> Floats:
        """Anomaly scores of windows, (n,), between 0 and 1."""
        return self._errors_of(self._features(windows))

    def _errors_of(self, features: Floats) -> Floats:
        """Anomaly scores of windows with these features, (n,)."""
        # Always as many as this: in ONNX Runtime the order in which trees are added depends on the
        # size of the batch.
        padded = np.zeros((BATCH_SIZE, self.n_inputs + 2 * self.n_channels), dtype=np.float32)
        padded[: len(features)] = features
        depths = self._session.run(padded)[: len(features), 0].astype(np.float64)
        return np.exp2(-depths / self._usual_depth).astype(np.float32)

    def _features_of(self, inputs: Floats, ends: NDArray[np.int64]) -> Floats:
        parts = batches(len(ends), BATCH_SIZE)
        return np.concatenate(
            [self._features(gather(inputs, ends[part], self.width)) for part in parts]
        )

    def _features(self, windows: Floats) -> Floats:
        """Last inputs, means and standard deviations, (n, n_inputs + 2 n_channels); a dead channel
        is at its median.
        """
        live = np.isfinite(windows).all(axis=1, keepdims=True)
        seen = np.clip(np.where(live, windows, self._medians), -LARGEST_INPUT, LARGEST_INPUT)
        sensors = seen[:, :, : self.n_channels]
        mean = _step_mean(sensors)
        return np.concatenate(
            [seen[:, -1], mean, np.sqrt(_step_mean((sensors - mean[:, None]) ** 2))], axis=1
        )


def _not_moving(details: Mapping[str, Any]) -> list[float]:
    """Features of a window at its median all along: what bundles stand on that were made before
    `usual` was kept.
    """
    of_channels = details["medians"][: details["n_channels"]]
    return [*details["medians"], *of_channels, *[0.0] * len(of_channels)]


def _step_mean(values: Floats) -> Floats:
    """Mean over the steps, added one after the other: NumPy's own order depends on the shape of the
    batch.
    """
    total = np.zeros((len(values), values.shape[2]), dtype=np.float32)
    for step in range(values.shape[1]):
        total += values[:, step]
    return total / np.float32(values.shape[1])


def _graph(forest: Any, n_features: int) -> bytes:
    """The mean depth at which the forest's trees set a window apart, as one ensemble of regression
    trees.

    skl2onnx would make a graph of each tree of an isolation forest, and is ten times slower so, as
    is the graph.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import ExtraTreesRegressor

    depths = ExtraTreesRegressor(n_estimators=len(forest.estimators_))
    depths.estimators_, depths.n_outputs_, depths.n_features_in_ = forest.estimators_, 1, n_features
    for estimator in forest.estimators_:
        estimator.tree_.value[:, 0, 0] = _depths(estimator.tree_)
    made = to_onnx(
        depths,
        initial_types=[("features", FloatTensorType([None, n_features]))],
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    return bytes(made.SerializeToString(deterministic=True))


def _depths(tree: Any) -> NDArray[np.float64]:
    """Depth of each node, and what it would take on average to set apart the training windows that
    are left in it.
    """
    depth = np.zeros(tree.node_count)
    for node in np.flatnonzero(tree.children_left >= 0):  # A tree's nodes come after their parents.
        depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
    return np.asarray(depth + [usual_depth(n) for n in tree.n_node_samples.tolist()])


def usual_depth(n: int) -> float:
    """Mean depth at which one of `n` is set apart by random cuts.

    Source: Liu, Ting and Zhou, Isolation forest, 2008, eq. 1.

    >>> [round(usual_depth(n), 3) for n in (1, 2, 256)]
    [0.0, 1.0, 10.245]
    """
    if n <= 2:
        return float(n == 2)
    return 2 * (math.log(n - 1) + float(np.euler_gamma)) - 2 * (n - 1) / n
