"""Task `windows`: which windows are complete enough for a score: an index, a validity mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tsad_tasks.base.interval import unix_s
from tsad_tasks.base.places import Folder
from tsad_tasks.model.scoring import Windows, entity_windows
from tsad_tasks.model.spec import FeatureSpec
from tsad_tasks.scoring.features import load_model
from tsad_tasks.scoring.shard import FeatureShard
from tsad_tasks.storage.arrays import write_arrays
from tsad_tasks.storage.artifacts import artifact_path


@dataclass(frozen=True)
class WindowSummary:
    """Windows to be scored, and steps that end none, over all files of a run."""

    n_windows: int
    n_incomplete: int


def build_windows(shards: Sequence[Sequence[str]]) -> WindowSummary:
    """Window files beside the feature files of `shards`."""
    n_windows = n_incomplete = 0
    for path in (artifact_path(name) for part in shards for name in part):
        shard = FeatureShard.load(path)
        spec, _ = load_model(shard.job.champion)
        windows = windows_of_shard(shard, spec.features)
        write_arrays(windows_path(path), vars(windows), {})
        n_windows += len(windows.ends)
        n_incomplete += int(_wanted_steps(shard, spec.features).sum()) - len(windows.ends)
    return WindowSummary(n_windows, n_incomplete)


def windows_path(features_path: Folder) -> Folder:
    """Where the windows of a feature file are."""
    return features_path.with_name(features_path.name.replace("features_", "windows_"))


def windows_of_shard(shard: FeatureShard, spec: FeatureSpec) -> Windows:
    """The windows of the hours whose errors are wanted."""
    return entity_windows(spec, shard.features, _wanted_steps(shard, spec))


def _wanted_steps(shard: FeatureShard, spec: FeatureSpec) -> np.ndarray:
    n_steps = 3600 // spec.step_s
    offset = (unix_s(shard.values_at) - unix_s(shard.errors_at)) // 3600
    hours = np.zeros((len(shard.wanted), shard.values.shape[1] // n_steps), bool)
    hours[:, max(0, -offset) :] = shard.wanted[:, max(0, offset) :]
    return np.repeat(hours, n_steps, axis=1)
