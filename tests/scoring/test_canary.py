"""A broken model is noticed by the next run; a good one is not disturbed."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from upath import UPath

from tests.pipeline.test_same_rows import run_interval
from tests.plants.challengers import challenger
from tests.plants.trained import SPLIT_AT, Plant
from tests.scoring.test_folding import LINEAGE, folding, folding_template
from tsad_tasks.base.errors import BundleError
from tsad_tasks.base.interval import HOUR
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.canary import FAULT_STEPS, Canary, check_canary
from tsad_tasks.scoring.features import build_features
from tsad_tasks.scoring.score import score_shard
from tsad_tasks.scoring.windows import build_windows
from tsad_tasks.storage.store import Store

__all__ = ["folding", "folding_template"]
END_AT = SPLIT_AT + 2 * HOUR
Files = dict[str, bytes]


def zeroed_onnx(files: Files) -> Files:
    """The same graph, all of whose weights are 0."""
    graph = onnx.load_from_string(files["model.onnx"])
    for each in graph.graph.initializer:
        weights = numpy_helper.to_array(each)
        if weights.dtype == np.float32:
            each.CopyFrom(numpy_helper.from_array(np.zeros_like(weights), each.name))
    return files | {"model.onnx": graph.SerializeToString()}


def deaf(files: Files) -> Files:
    """The same model with limits that nothing reaches."""
    spec = json.loads(files["spec.json"])
    for limits in (spec["pooled_calibration"], *spec["calibrations"].values()):
        limits |= {"limit": 1e6, "collective_limit": 1e6}
    spec["threshold"] |= {"kind": "percentile"}
    return files | {"spec.json": json.dumps(spec).encode()}


def without_canary(files: Files) -> Files:
    return {name: content for name, content in files.items() if name != "canary.json"}


def champion(plant: Plant, lineage: str = "live") -> tuple[int, str, str]:
    statement = """
      SELECT m.model_id, m.artifact_uri, m.sha256
      FROM tsad.model m JOIN tsad.champion_period p USING (model_id)
      WHERE p.lineage = %s"""
    ((model_id, uri, sha256),) = plant.execute(statement, lineage)
    return model_id, uri, sha256


def change_bundle(
    plant: Plant, folder: Path, change: Callable[[Files], Files], lineage: str = "live"
) -> None:
    """Puts a changed copy of the champion's bundle in its place, its manifest and sha256 made
    right.
    """
    model_id, uri, _ = champion(plant, lineage)
    names = [path.name for path in Path(uri).iterdir() if path.name != "manifest.json"]
    files = change({name: (Path(uri) / name).read_bytes() for name in names})
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = json.dumps({"format_version": 1, "sha256": hashes}).encode()
    for name, content in (files | {"manifest.json": manifest}).items():
        (folder / name).write_bytes(content)
    sha256 = hashlib.sha256(manifest).hexdigest()
    plant.execute(
        "UPDATE tsad.model SET artifact_uri = %s, sha256 = %s WHERE model_id = %s",
        str(folder),
        sha256,
        model_id,
    )


def statuses(plant: Plant, lineage: str = "live") -> set[tuple[Any, ...]]:
    return set(
        plant.execute("SELECT DISTINCT status FROM tsad.v_status WHERE lineage = %s", lineage)
    )


def test_a_good_model_passes_and_its_canary_is_small_and_made_of_clean_readings(
    plant: Plant,
) -> None:
    _, uri, sha256 = champion(plant)
    bundle = read_bundle(UPath(uri), expected_sha256=sha256)
    assert bundle.canary is not None
    canary = Canary.from_json(bundle.canary)
    assert np.isfinite(canary.errors[canary.fault]).all()
    assert np.count_nonzero(canary.faulty != canary.values) == FAULT_STEPS
    assert len(json.dumps(bundle.canary)) < 50_000
    check_canary("room v1", ModelSpec.from_json(bundle.spec), bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            zeroed_onnx,
            r"room v1: Expected the error .* of its clean canary.* Received: .* steps differ",
        ),
        (
            deaf,
            r"room v1: Expected a flag on its canary, a fault of .* scales in .* Received: none",
        ),
    ],
)
def test_a_silently_broken_model_fails_the_run_and_marks_its_hours(
    plant: Plant, tmp_path: Path, change: Callable[[Files], Files], message: str
) -> None:
    change_bundle(plant, tmp_path, change)
    with pytest.raises(BundleError, match=message):
        run_interval(plant, SPLIT_AT, END_AT)
    assert statuses(plant) == {("failed",)}


def test_hours_that_failed_are_scored_once_the_bundle_is_back(plant: Plant, tmp_path: Path) -> None:
    model_id, uri, sha256 = champion(plant)
    change_bundle(plant, tmp_path, zeroed_onnx)
    with pytest.raises(BundleError):
        run_interval(plant, SPLIT_AT, END_AT)
    plant.execute(
        "UPDATE tsad.model SET artifact_uri = %s, sha256 = %s WHERE model_id = %s",
        uri,
        sha256,
        model_id,
    )
    run_interval(plant, SPLIT_AT, END_AT)
    assert statuses(plant) == {("scored",)}


def test_a_bundle_of_an_older_version_is_used_without_and_says_so_once(
    plant: Plant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change_bundle(plant, tmp_path, without_canary)
    with caplog.at_level(logging.INFO, "tsad"):
        run_interval(plant, SPLIT_AT, SPLIT_AT + HOUR)
        run_interval(plant, SPLIT_AT + HOUR, END_AT)
    assert statuses(plant) == {("scored",)}
    assert len([one for one in caplog.messages if "room v1" in one and "has no canary" in one]) == 1


def test_a_broken_challenger_in_the_shadow_does_not_stop_the_champion(
    plant: Plant, tmp_path: Path
) -> None:
    run_interval(plant, SPLIT_AT, SPLIT_AT + HOUR)
    challenger(plant, end_at=SPLIT_AT)
    change_bundle(plant, tmp_path, zeroed_onnx, "live/shadow")
    run_interval(plant, SPLIT_AT, SPLIT_AT + 4 * HOUR)
    assert statuses(plant) == {("scored",)}
    failed = (
        "SELECT DISTINCT lineage, status FROM tsad.unscored_hour WHERE superseded_at = 'infinity'"
    )
    assert plant.execute(failed) == [("live/shadow", "failed")]


def forgetful(files: Files) -> Files:
    """The same model, which begins as if it had learned nothing."""
    return files | {"states.json": b"{}"}


def test_a_folding_model_passes(folding: Plant) -> None:
    _, uri, sha256 = champion(folding, LINEAGE)
    assert read_bundle(UPath(uri), expected_sha256=sha256).canary is not None
    run_interval(folding, SPLIT_AT, SPLIT_AT + HOUR, LINEAGE)
    assert statuses(folding, LINEAGE) == {("scored",)}


@pytest.mark.parametrize("change", [deaf, forgetful])
def test_a_broken_folding_model_fails_the_run(
    folding: Plant, tmp_path: Path, change: Callable[[Files], Files]
) -> None:
    change_bundle(folding, tmp_path, change, LINEAGE)
    with pytest.raises(BundleError, match="canary"):
        run_interval(folding, SPLIT_AT, END_AT, LINEAGE)
    assert statuses(folding, LINEAGE) == {("failed",)}


def test_the_tasks_with_their_files_fail_as_well(plant: Plant, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    change_bundle(plant, tmp_path / "bundle", zeroed_onnx)
    span: dict[str, Any] = {"start_at": SPLIT_AT, "end_at": END_AT}
    with Store.connect(plant.uri) as store:
        ingest_interval(store, plant.config, plant.uri, **span)
        made = build_features(store, plant.config, folder=UPath(tmp_path), **span)
        build_windows(made.shards)
        with pytest.raises(BundleError, match="clean canary"):
            score_shard(store, plant.config, made.shards[0])
    assert statuses(plant) == {("failed",)}
