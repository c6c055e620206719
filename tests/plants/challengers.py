"""Challengers of the trained plant, registered without a training."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from upath import UPath

from tests.plants.trained import SPLIT_AT, Plant
from tests.plants.weeks import Weeks
from tsad_tasks.base.enums import Outcome
from tsad_tasks.base.interval import HOUR
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions.champions import RegisterSummary, register_model
from tsad_tasks.champions.queries import SELECT_MODEL
from tsad_tasks.detectors.bundle import read_bundle, store_bundle
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.thresholds import Calibration
from tsad_tasks.storage.store import Store
from tsad_tasks.training.queries import NewModel

PASSED = [RuleResult("finite_loss", Outcome.MET, 0.1)]
FAILED = [RuleResult("point_share", Outcome.FAILED, 0.2, 0.9, 0.95)]


def with_limits(bundle: Any, folder: Path, factor: float) -> tuple[str, str]:
    """Place and sha256 of a bundle whose calibrated limits are so many times what they were."""
    spec = ModelSpec.from_json(bundle.spec)
    limits = {name: _times(one, factor) for name, one in spec.calibrations.items()}
    changed = replace(
        spec, calibrations=limits, threshold=replace(spec.threshold, kind="percentile")
    )
    uri, sha256 = store_bundle(UPath(folder), bundle.detector, changed.to_json(), bundle.card)
    return str(uri), sha256


def _times(one: Calibration, factor: float) -> Calibration:
    """What lasts is not found sooner, but later."""
    return replace(
        one, limit=one.limit * factor, collective_limit=one.collective_limit * max(factor, 1.0)
    )


def challenger(
    plant: Plant | Weeks,
    *,
    seed: int = 8,
    end_at: datetime = SPLIT_AT + HOUR,
    gate: list[RuleResult] | None = None,
    nervous_in: Path | None = None,
    limits: tuple[float, Path] | None = None,
    lineage: str = "live",
) -> RegisterSummary:
    """The champion's bundle, registered once more as another model, as good as the first.

    Parameters
    ----------
    limits : how many times the champion's, and a folder for the bundle.
    nervous_in : a folder for a bundle whose limits are a tenth of what they were.
    """
    with Store.connect(plant.uri) as store:
        row = store.one(SELECT_MODEL, model_id=1)
    first = NewModel(**{name: row[name] for name in NewModel.__dataclass_fields__})
    model = replace(first, seed=seed, train_end_at=end_at, parent_model_id=1, lineage=lineage)
    if nervous_in is not None:
        limits = 0.1, nervous_in
    if limits is not None:
        bundle = read_bundle(UPath(model.artifact_uri), expected_sha256=model.sha256)
        uri, sha256 = with_limits(bundle, limits[1], limits[0])
        model = replace(model, artifact_uri=uri, sha256=sha256)
    with Store.connect(plant.uri) as store:
        return register_model(store, model, PASSED if gate is None else gate, [])
