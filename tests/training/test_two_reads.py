"""A retraining reads its range at most twice, and hands on one file a task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from tests.plants.weeks import WEEK, Weeks, week
from tsad_tasks.feedback.labels import add_label
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.register import register
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.storage.store import Store
from tsad_tasks.training import reader
from tsad_tasks.training.fit import train
from tsad_tasks.training.judge import calibrate, gate
from tsad_tasks.training.prepare import find_exclusions, make_features, make_windows
from tsad_tasks.training.retrain import Retraining

FOREST: dict[str, Any] = {"name": "isolation_forest", "window": 3}
PERCENTILE = {"kind": "percentile"}


@pytest.fixture
def n_read(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For each question for readings, how many weeks of an entity it was about."""
    asked: list[float] = []
    read_blocks = reader.read_blocks

    def counted(store: Any, layout: Any, entity_ids: Any, start_at: Any, end_at: Any) -> Any:
        asked.append(len(entity_ids) * ((end_at - start_at) / WEEK))
        return read_blocks(store, layout, entity_ids, start_at, end_at)

    monkeypatch.setattr(reader, "read_blocks", counted)
    return asked


@pytest.mark.parametrize(
    "changes",
    [
        {"detector": {"name": "three_sigma"}},
        {"detector": FOREST, "threshold": PERCENTILE},
        {"detector": FOREST | {"window": "auto"}, "threshold": PERCENTILE},
        {"detector": FOREST, "threshold": {"kind": "training"}},
        {"detector": FOREST | {"scope": "entity"}, "threshold": PERCENTILE},
    ],
    ids=["folding", "windows", "chosen window", "training errors", "a model per entity"],
)
def test_a_retraining_reads_its_range_twice(
    warehouse_uri: str, tmp_path: Path, n_read: list[float], changes: dict[str, Any]
) -> None:
    weeks = Weeks.filled(warehouse_uri, tmp_path, **changes)
    with Store.connect(weeks.uri) as store:
        ingest_interval(store, weeks.config, weeks.uri, start_at=week(0), end_at=week(1))
        add_label(store, "plant", "m-1", week(0, 50), week(0, 53), kind="leak")
        folders = UPath(tmp_path / "run"), UPath(tmp_path)
        (summary,) = retrain(Retraining(store, weeks.config, week(1), *folders))
    assert summary.gate_passed
    assert 0 < sum(n_read) <= 2


def test_each_task_leaves_one_file_of_a_scope(warehouse_uri: str, tmp_path: Path) -> None:
    tasks: dict[str, Callable[[Retraining], object]] = {
        "exclusions": find_exclusions,
        "features": make_features,
        "windows": make_windows,
        "train": train,
        "calibrate": calibrate,
        "gate": gate,
        "register": register,
    }
    weeks, left = Weeks.filled(warehouse_uri, tmp_path), {}
    with Store.connect(weeks.uri) as store:
        ingest_interval(store, weeks.config, weeks.uri, start_at=week(0), end_at=week(1))
        run = Retraining(store, weeks.config, week(1), UPath(tmp_path / "run"), UPath(tmp_path))
        known: set[str] = set()
        for name, task in tasks.items():
            task(run)
            files = {path.name for path in (tmp_path / "run" / "scope_0").iterdir()}
            left[name], known = files - known, files
    assert left == {
        "exclusions": {"survey.json"},
        "features": {"scales.json"},
        "windows": {"readings.npz"},
        "train": {"detector", "trained.npz"},
        "calibrate": {"calibrated.npz"},
        "gate": {"gate.json"},
        "register": set(),
    }


def test_a_fold_that_sees_a_sample_of_a_fleet_s_windows_needs_none_of_them(
    warehouse_uri: str, tmp_path: Path
) -> None:
    """Its first window ends at the first step: there are no earlier ones to be cut out."""
    training = {"range": "7d", "min_hours": 10, "max_windows": 100, "dead_channel_share": 0.2}
    weeks = Weeks.filled(warehouse_uri, tmp_path, training=training)
    assert weeks.train(week(1)).gate_passed
