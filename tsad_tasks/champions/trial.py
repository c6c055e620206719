"""A trial in the shadow: the same anomalies, put into its hours, for challenger and champion.

On a quiet day a challenger that finds nothing agrees with its champion on every step. Here both are
shown the readings of these hours with anomalies in them, as the gate does; nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np

from tsad_tasks.base.interval import hour_ceil, hours_later, unix_s
from tsad_tasks.champions.queries import SELECT_MODEL, OpenShadow
from tsad_tasks.champions.rules.base import Trial
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.model.injection import LASTING_STEPS
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.alarm_rule import incident_rule
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.datasets import select_entities
from tsad_tasks.storage.store import Store
from tsad_tasks.training.exclusions import exclusions_of
from tsad_tasks.training.gate import MAX_GATE_ENTITIES, comparable_model, window_milliseconds
from tsad_tasks.training.held_out import HeldOut
from tsad_tasks.training.injected import judge, value_ends
from tsad_tasks.training.queries import SELECT_CHAMPION_AT, ChampionScope
from tsad_tasks.training.reader import Scope, TrainingRange, TrainingReader, evenly

# Each round folds all steps anew: 24 entities of 17 channels would take minutes.
MAX_FOLDING_ENTITIES = 6
# A shadow that gaps and idle time have lengthened to a month needs no month of anomalies.
MAX_HOURS = 168
Model = tuple[ModelSpec, Detector]


def shadow_trial(
    store: Store,
    config: DatasetConfig,
    scope: ChampionScope,
    shadow: OpenShadow,
    *,
    end_at: datetime,
) -> Trial | None:
    """The trial on the last week of the shadow's hours before `end_at`; None: nothing was read.

    Anomalies, their places and sizes depend on the model's seed, these readings and the champion's
    scales alone. A folding detector begins with the state of its anchor.
    """
    model = store.one(SELECT_MODEL, model_id=shadow.model_id)
    bundle = read_bundle(artifact_path(model["artifact_uri"]), expected_sha256=model["sha256"])
    spec = ModelSpec.from_json(bundle.spec)
    champion = store.first(SELECT_CHAMPION_AT, **asdict(scope), at=end_at)
    old = comparable_model(champion, spec) if champion else None
    new = spec, bundle.detector
    span = max(shadow.valid_from, hours_later(end_at, -MAX_HOURS)), end_at
    parts = _shadow_readings(store, config, scope, span, [new, old] if old else [new])
    if not parts:
        return None
    settings: dict[str, Any] = {"n_injected": config.gate.n_injected, "seed": model["seed"]}
    settings |= {"reference": (old or new)[0], "rule": incident_rule(config.alarm_policy)}
    settings |= {"ends": value_ends(config, spec.features.channels)}
    challenger = judge(*new, parts, **settings)
    beside = judge(*old, parts, **settings) if old else None
    of_new = window_milliseconds(*new, parts[0])
    return Trial(challenger, beside, (of_new, window_milliseconds(*old, parts[0]) if old else None))


def _shadow_readings(
    store: Store,
    config: DatasetConfig,
    scope: ChampionScope,
    span: tuple[datetime, datetime],
    models: Sequence[Model],
) -> list[HeldOut]:
    """By entity; before the hours room for anomalies, and what the models look back at."""
    spec = models[0][0].features
    room_hours = -(-(3 * spec.width + 2 * LASTING_STEPS[1]) * spec.step_s // 3600)
    room_at = hours_later(span[0], -room_hours)
    from_at = hours_later(room_at, -max(one.score_reach_hours for one, _ in models))
    whole = TrainingRange(from_at, room_at, span[0], hour_ceil(span[1]))
    # Some entities of the scope, evenly; and nothing of what a training would leave out.
    folds = any(detector.folds for _, detector in models)
    known = sorted(select_entities(store, scope.dataset_id).items())
    own = [pair for pair in known if scope.scope_entity_id in (0, pair[1])]
    chosen = evenly(np.arange(len(own)), MAX_FOLDING_ENTITIES if folds else MAX_GATE_ENTITIES)
    entities = tuple(own[i] for i in chosen)
    found = exclusions_of(
        store, config, Scope(scope.scope_entity_id, "", entities), whole, scope.lineage
    )
    reader = TrainingReader.of_store(store, config, whole, found, channels=spec.channels)
    parts = (_part(reader, name, key, spec.step_s) for name, key in entities)
    return [part for part in parts if np.isfinite(part.values[part.judged]).any()]


def _part(reader: TrainingReader, name: str, entity_id: int, step_s: int) -> HeldOut:
    """Clean steps count, and anomalies go into those of the shadow where there are enough."""
    span = reader.span
    values = reader.values(entity_id, span.whole)
    steps = np.arange(len(values))
    room, shadow = (
        (unix_s(at) - unix_s(span.start_at)) // step_s for at in (span.split_at, span.gate_at)
    )
    judged = ~reader.excluded(entity_id, span.whole) & (steps >= room)
    nothing = np.zeros(len(values), bool)
    return HeldOut(name, values, unix_s(span.start_at), judged, judged & (steps >= shadow), nothing)
