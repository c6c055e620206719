"""Challengers of the trained plant, registered without a training."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from upath import UPath

from steps.trained import SPLIT_AT, Plant
from tsad_tasks.core.interval import HOUR
from tsad_tasks.core.spec import ModelSpec
from tsad_tasks.detectors.bundle import read_bundle, store_bundle
from tsad_tasks.steps.champions import RegisterSummary, register_model
from tsad_tasks.storage.rows import GateRow, NewModel
from tsad_tasks.storage.store import Store

PASSED = [GateRow("finite_loss", 0.1, None, None, True)]
FAILED = [GateRow("point_share", 0.2, 0.9, 0.95, False)]


def nervous(bundle: Any, folder: Path) -> tuple[str, str]:
    """Place and sha256 of a bundle whose calibrated limits are a tenth of what they were."""
    spec = ModelSpec.from_json(bundle.spec)
    lower = {name: replace(one, limit=one.limit / 10) for name, one in spec.calibrations.items()}
    changed = replace(spec, calibrations=lower, threshold=replace(spec.threshold, kind="percentile"))
    uri, sha256 = store_bundle(UPath(folder), bundle.detector, changed.to_json(), bundle.card)
    return str(uri), sha256


def challenger(
    plant: Plant,
    *,
    seed: int = 8,
    end_at: datetime = SPLIT_AT + HOUR,
    gate: list[GateRow] | None = None,
    nervous_in: Path | None = None,
    lineage: str = "live",
) -> RegisterSummary:
    """The champion's bundle, registered once more as another model, as good as the first or `nervous`."""
    with Store.connect(plant.uri) as store:
        row = store.records("select_model", {"model_id": 1})[0]
    first = NewModel(**{name: row[name] for name in NewModel.__dataclass_fields__})
    model = replace(first, seed=seed, train_end_at=end_at, parent_model_id=1, lineage=lineage)
    if nervous_in is not None:
        bundle = read_bundle(UPath(model.artifact_uri), expected_sha256=model.sha256)
        uri, sha256 = nervous(bundle, nervous_in)
        model = replace(model, artifact_uri=uri, sha256=sha256)
    with Store.connect(plant.uri) as store:
        return register_model(store, model, PASSED if gate is None else gate, [])
