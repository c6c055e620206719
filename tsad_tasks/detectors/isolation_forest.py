"""The isolation forest: windows that few random cuts set apart are strange. A baseline."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field

from tsad_tasks.base.arrays import Flags, Floats32
from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.extras import require
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.base import DetectorSettings, TrainingHistory, TrainingPlan, TrainingSet
from tsad_tasks.detectors.fitting import check_fits, check_time
from tsad_tasks.detectors.inference.onnx_detector import OnnxDetector, WindowJudge
from tsad_tasks.detectors.registry import register

# Trees compare only; beyond this nothing changes, and the square still is a float32.
LARGEST_INPUT = 1e6


class IsolationForestSettings(DetectorSettings):
    """Settings of `isolation_forest`."""

    trees: int = Field(100, ge=1, description="How many trees the forest has.")
    sample: int = Field(256, ge=2, description="Windows that a tree is grown from.")


@register("isolation_forest")
class IsolationForest(WindowJudge, OnnxDetector):
    """A forest over a window's last values, and the means and standard deviations of its sensors.

    The error, between 0 and 1, is the same for every live channel. Trees are grown by scikit-learn
    and asked through ONNX Runtime. Source: Liu, Ting and Zhou, Isolation forest, 2008.
    """

    settings_model = IsolationForestSettings
    settings: IsolationForestSettings

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        super().__init__(width, n_channels, n_inputs, **params)
        self._n_nodes = 0
        self._medians, self._usual_depth = np.zeros(n_inputs, dtype=np.float32), 1.0
        self._usual = np.zeros(n_inputs + 2 * n_channels, dtype=np.float32)

    def learn(self, training: TrainingSet, plan: TrainingPlan) -> TrainingHistory:
        require("train")
        from sklearn import ensemble

        from tsad_tasks.detectors.inference.onnx_session import BATCH_SIZE
        from tsad_tasks.model.windows import batches, gather

        if plan.warm_start is not None:
            received = f"Received: a {plan.warm_start.name}."
            raise ConfigError(f"warm_start: Expected none, since trees grow anew. {received}")
        check_fits(training, self)
        started, settings = time.monotonic(), self.settings
        self._medians = np.median(training.inputs[training.ends], axis=0).astype(np.float32)
        parts = batches(len(training.ends), BATCH_SIZE)
        windows = (gather(training.inputs, training.ends[part], self.width) for part in parts)
        features = np.concatenate([self.features(part) for part in windows])
        self._usual = np.median(features, axis=0).astype(np.float32)
        n_sampled = min(settings.sample, len(features))
        forest = ensemble.IsolationForest(
            n_estimators=settings.trees, max_samples=n_sampled, random_state=plan.seed
        )
        forest.fit(features)
        check_time(started, replace(plan.budget, epochs=1), len(training.ends))
        self._usual_depth = usual_depth(forest.max_samples_)
        self._n_nodes = sum(tree.tree_.node_count for tree in forest.estimators_)
        self.use_graph(_graph(forest, features.shape[1]))
        loss, held_out = (
            float(self.reconstruct(training.inputs, ends).channel_errors.mean())
            for ends in (training.ends, training.validation_ends)
        )
        if plan.progress is not None:
            plan.progress(1, loss, held_out)
        seconds = time.monotonic() - started
        return TrainingHistory((loss,), (held_out,), len(training.ends), seconds, "epochs")

    @property
    def n_parameters(self) -> int:
        return self._n_nodes

    @property
    def usual(self) -> Floats32:
        return self._medians

    def usual_columns(self, columns: Flags) -> tuple[Floats32, Flags]:
        # Its own features stand for a channel: one that did not move at all would be strange, too.
        own = columns[:, : self.n_channels]
        return self._usual, np.concatenate([columns, own, own], axis=1)

    def learned(self) -> dict[str, Any]:
        return {
            "medians": self._medians.tolist(),
            "usual_depth": self._usual_depth,
            "usual": self._usual.tolist(),
            "n_parameters": self.n_parameters,
        }

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        super().recall(details, files)
        self._medians = np.array(details["medians"], dtype=np.float32)
        self._usual_depth, self._n_nodes = details["usual_depth"], details["n_parameters"]
        # Bundles from before `usual` was kept stand on a window at its median all along.
        of_channels = details["medians"][: self.n_channels]
        not_moving = [*details["medians"], *of_channels, *[0.0] * self.n_channels]
        self._usual = np.array(details.get("usual") or not_moving, dtype=np.float32)

    def scores_of(self, features: Floats32) -> Floats32:
        """Anomaly scores of windows with these features, (n,), between 0 and 1."""
        from tsad_tasks.detectors.inference.onnx_session import BATCH_SIZE

        # Always as many as this: in ONNX Runtime the order in which trees are added depends on the
        # size of the batch.
        padded = np.zeros((BATCH_SIZE, self.n_inputs + 2 * self.n_channels), dtype=np.float32)
        padded[: len(features)] = features
        depths = self._session.run(padded)[: len(features), 0].astype(np.float64)
        return np.exp2(-depths / self._usual_depth).astype(np.float32)

    def features(self, windows: Floats32) -> Floats32:
        """Last inputs, means and spreads, (n, n_inputs + 2 n_channels); a dead channel's usual."""
        live, limit = np.isfinite(windows).all(axis=1, keepdims=True), np.float32(LARGEST_INPUT)
        seen = np.clip(np.where(live, windows, self._medians), -limit, limit)
        sensors = seen[:, :, : self.n_channels]
        mean = _step_mean(sensors)
        spread = np.sqrt(_step_mean((sensors - mean[:, None]) ** 2))
        return np.concatenate([seen[:, -1], mean, spread], axis=1)


def _step_mean(values: Floats32) -> Floats32:
    """Mean over the steps, added in order: NumPy's own depends on the batch's shape."""
    total = np.zeros((len(values), values.shape[2]), dtype=np.float32)
    for step in range(values.shape[1]):
        total += values[:, step]
    return total / np.float32(values.shape[1])


def _graph(forest: Any, n_features: int) -> bytes:
    """The mean depth at which trees set a window apart, as one ensemble of regression trees.

    skl2onnx would make a graph of each tree of an isolation forest, and is ten times slower so, as
    is the graph.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import ExtraTreesRegressor

    depths = ExtraTreesRegressor(n_estimators=len(forest.estimators_))
    depths.estimators_, depths.n_outputs_, depths.n_features_in_ = forest.estimators_, 1, n_features
    for estimator in forest.estimators_:
        tree = estimator.tree_
        depth = np.zeros(tree.node_count)
        for node in np.flatnonzero(tree.children_left >= 0):  # Nodes come after their parents.
            depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
        # And what it would take on average to set apart the training windows left in a node.
        tree.value[:, 0, 0] = depth + [usual_depth(n) for n in tree.n_node_samples.tolist()]
    made = to_onnx(
        depths,
        initial_types=[("features", FloatTensorType([None, n_features]))],
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    return bytes(made.SerializeToString(deterministic=True))


def usual_depth(n: int) -> float:
    """Mean depth at which one of `n` is set apart by random cuts.

    Source: Liu, Ting and Zhou, Isolation forest, 2008, eq. 1.

    >>> [round(usual_depth(n), 3) for n in (1, 2, 256)]
    [0.0, 1.0, 10.245]
    """
    if n <= 2:
        return float(n == 2)
    return 2 * (math.log(n - 1) + float(np.euler_gamma)) - 2 * (n - 1) / n
