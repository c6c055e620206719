"""The isolation forest: windows that few random cuts set apart are strange. A baseline for the
networks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.extras import require
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.base import (
    DETAILS_FILE,
    MODEL_FILE,
    Budget,
    Detector,
    DetectorBase,
    DetectorSettings,
    Floats,
    Progress,
    Reconstruction,
    TrainingHistory,
    TrainingSet,
)
from tsad_tasks.detectors.fitting import check_fits, check_time, fitted
from tsad_tasks.detectors.registry import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tsad_tasks.detectors.inference.onnx_session import OnnxSession

# Trees compare only; beyond this nothing changes, and the square still is a float32.
LARGEST_INPUT = 1e6


class IsolationForestSettings(DetectorSettings):
    """Settings of `isolation_forest`."""

    trees: int = Field(100, ge=1, description="How many trees the forest has.")
    sample: int = Field(256, ge=2, description="Windows that a tree is grown from.")


@register("isolation_forest")
class IsolationForest(DetectorBase):
    """A forest over what a window is like: last values, and means and standard deviations of its
    sensors.

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
        require("train")
        from sklearn import ensemble

        from tsad_tasks.detectors.inference.onnx_session import BATCH_SIZE
        from tsad_tasks.model.windows import batches, gather

        if warm_start is not None:
            raise ConfigError(
                f"warm_start: Expected none, since trees grow anew. Received: a {warm_start.name}."
            )
        check_fits(training, self)
        started, settings = time.monotonic(), self.settings
        self._medians = np.median(training.inputs[training.ends], axis=0).astype(np.float32)
        parts = batches(len(training.ends), BATCH_SIZE)
        windows = (gather(training.inputs, training.ends[part], self.width) for part in parts)
        features = np.concatenate([self._features(part) for part in windows])
        self._usual = np.median(features, axis=0).astype(np.float32)
        n_sampled = min(settings.sample, len(features))
        forest = ensemble.IsolationForest(
            n_estimators=settings.trees, max_samples=n_sampled, random_state=seed
        )
        forest.fit(features)
        check_time(started, replace(budget, epochs=1), len(training.ends))
        self._usual_depth = usual_depth(forest.max_samples_)
        n_nodes = sum(tree.tree_.node_count for tree in forest.estimators_)
        self._use(_graph(forest, features.shape[1]), n_nodes)
        loss, held_out = (
            float(self.reconstruct(training.inputs, ends).channel_errors.mean())
            for ends in (training.ends, training.validation_ends)
        )
        if progress is not None:
            progress(1, loss, held_out)
        seconds = time.monotonic() - started
        return TrainingHistory((loss,), (held_out,), len(training.ends), seconds, "epochs")

    def reconstruct(self, inputs: Floats, ends: NDArray[np.int64]) -> Reconstruction:
        from tsad_tasks.detectors.inference.occlusion import one_score_each

        return one_score_each(inputs, ends, self.width, self.n_channels, self._errors)

    @property
    def n_parameters(self) -> int:
        return self._n_nodes

    @property
    def judges_windows(self) -> bool:
        return True

    def channel_shares(
        self, inputs: Floats, ends: NDArray[np.int64], columns: NDArray[np.bool_] | None = None
    ) -> Floats:
        from tsad_tasks.detectors.inference.occlusion import channels_taken_away, own_columns

        columns = own_columns(self.n_channels, self.n_inputs) if columns is None else columns
        # Its own features stand for a channel: one that did not move at all would be strange, too.
        own = own_columns(self.n_channels, self.n_channels)
        of_features = np.concatenate([columns, own, own], axis=1)
        return channels_taken_away(
            inputs, ends, self.width, self._usual, of_features, self._features, self._errors_of
        )

    def explain(self, inputs: Floats, ends: NDArray[np.int64]) -> Floats:
        from tsad_tasks.detectors.inference.occlusion import occluded

        return occluded(inputs, ends, self.width, self._medians[: self.n_channels], self._errors)

    def to_files(self) -> dict[str, bytes]:
        learned = {
            "medians": self._medians.tolist(),
            "usual_depth": self._usual_depth,
            "usual": self._usual.tolist(),
            "n_parameters": self.n_parameters,
        }
        return {MODEL_FILE: fitted(self._graph), DETAILS_FILE: self.details(**learned)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        forest, details = cls.from_details(files, MODEL_FILE)
        forest._medians = np.array(details["medians"], dtype=np.float32)
        forest._usual_depth = details["usual_depth"]
        # Bundles from before `usual` was kept stand on a window at its median all along.
        of_channels = details["medians"][: forest.n_channels]
        not_moving = [*details["medians"], *of_channels, *[0.0] * forest.n_channels]
        forest._usual = np.array(details.get("usual") or not_moving, dtype=np.float32)
        forest._use(files[MODEL_FILE], details["n_parameters"])
        return forest

    @cached_property
    def _session(self) -> OnnxSession:
        from tsad_tasks.detectors.inference.onnx_session import OnnxSession

        return OnnxSession(fitted(self._graph))

    def _use(self, graph: bytes, n_nodes: int) -> None:
        self._graph, self._n_nodes = graph, n_nodes
        self.__dict__.pop("_session", None)

    def _errors(self, windows: Floats) -> Floats:
        """Anomaly scores of windows, (n,), between 0 and 1."""
        return self._errors_of(self._features(windows))

    def _errors_of(self, features: Floats) -> Floats:
        """Anomaly scores of windows with these features, (n,)."""
        from tsad_tasks.detectors.inference.onnx_session import BATCH_SIZE

        # Always as many as this: in ONNX Runtime the order in which trees are added depends on the
        # size of the batch.
        padded = np.zeros((BATCH_SIZE, self.n_inputs + 2 * self.n_channels), dtype=np.float32)
        padded[: len(features)] = features
        depths = self._session.run(padded)[: len(features), 0].astype(np.float64)
        return np.exp2(-depths / self._usual_depth).astype(np.float32)

    def _features(self, windows: Floats) -> Floats:
        """Last inputs, means and standard deviations, (n, n_inputs + 2 n_channels); a dead channel
        is at its median.
        """
        live, limit = np.isfinite(windows).all(axis=1, keepdims=True), np.float32(LARGEST_INPUT)
        seen = np.clip(np.where(live, windows, self._medians), -limit, limit)
        sensors = seen[:, :, : self.n_channels]
        mean = _step_mean(sensors)
        spread = np.sqrt(_step_mean((sensors - mean[:, None]) ** 2))
        return np.concatenate([seen[:, -1], mean, spread], axis=1)


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
