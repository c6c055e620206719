"""Which entities of a large fleet a folding detector is judged on for longer than a day.

A fold goes through its readings one by one, each at the same cost: 1,500 machines at a reading per
minute would be calibrated for hours. All of them are commissioned, and have held-out errors, units
and limits of their own; the choice has as many as `training.max_fold_values` allows over all
held-out readings, and only the choice goes through the gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.detectors.registry import detector_class
from tsad_tasks.model.windows import batches
from tsad_tasks.scoring.fold import SERIES_TOGETHER
from tsad_tasks.training.reader import (
    Entities,
    FoldGroup,
    Scope,
    TrainingRange,
    TrainingReader,
    evenly,
)

# A folding detector learns from at least three days. Each of its steps costs as much as so many
# series in it.
MIN_FOLD_S, STEP_SERIES = 259200, 40
# So many are judged at length, whatever it costs: as many as the gate looks at.
MIN_CHOSEN = 24
# The others are held out for so long: a unit of their own takes a hundred errors.
OTHERS_HELD_S, OTHERS_HELD_STEPS = 86400, 120
# What is read at once of entities that are learned from alone: 30 MB, and some copies.
LEARNED_TOGETHER = 1 << 22


def fold_groups(
    reader: TrainingReader, scope: Scope, running_hours: Mapping[str, float], *, seed: int
) -> list[FoldGroup]:
    """The choice first, then the others; one group where they are few, or held out no longer.

    The choice is the same for the same seed: entities with known anomalies in held-out readings,
    and of all others one of each of as many strata of running hours, so that machines that work in
    shifts are there as often as in the fleet.
    """
    span, entities = reader.span, scope.entities
    training, step_s = reader.config.training, reader.config.step_s
    # How many can be judged over all held-out readings, and where those of the others begin.
    n_steps = max(1, (unix_s(span.end_at) - unix_s(span.split_at)) // step_s)
    affordable = training.max_fold_values // n_steps - STEP_SERIES
    n = max(MIN_CHOSEN, affordable // len(reader.config.model_names))
    held_s = max(OTHERS_HELD_S, OTHERS_HELD_STEPS * step_s)
    late = span.end_at - timedelta(hours=-(-held_s // 3600))
    if n >= len(entities) or late <= span.split_at:
        return [FoldGroup(entities, span)]
    known = [reader.labelled(key, span.held_out).any() for _, key in entities]
    hours = [running_hours.get(name, 0.0) for name, _ in entities]
    chosen = stratified(hours, np.array(known, bool), n, np.random.default_rng(seed))
    is_chosen = np.isin(np.arange(len(entities)), chosen)
    parts = [tuple(entities[i] for i in np.flatnonzero(mask)) for mask in (is_chosen, ~is_chosen)]
    others = replace(span, split_at=late, gate_at=span.end_at)
    return [FoldGroup(parts[0], span), FoldGroup(parts[1], others)]


def together(entities: Entities, n_channels: int) -> Iterator[Entities]:
    """The entities, in parts of at most 4,000 series."""
    for part in batches(len(entities), max(1, SERIES_TOGETHER // n_channels)):
        yield entities[part]


def learns_alone(config: DatasetConfig) -> bool:
    """Whether the dataset's folding detector learns from each entity alone, of any range."""
    return cast(type[FoldDetector], detector_class(config.detector.name)).learns_alone


def few_together(entities: Entities, n_values: int) -> Iterator[Entities]:
    """The entities, in parts of one or more whose values, `n_values` each, are read at once."""
    for part in batches(len(entities), max(1, LEARNED_TOGETHER // max(1, n_values))):
        yield entities[part]


def fold_start(config: DatasetConfig, n_entities: int, span: TrainingRange) -> datetime:
    """Where a folding detector begins to learn: the newest part of the range that it can afford.

    Whole hours that hold at most `training.max_fold_values` values, of all entities, channels and
    steps; but three days at least, as far as the range has them. Measured (event_head, one core):
    32 us a value, and 40 values more a step. A detector that learns alone has the whole range.
    """
    if learns_alone(config):
        return span.start_at
    n_values = n_entities * len(config.model_names) + STEP_SERIES
    affordable_s = config.training.max_fold_values // n_values * config.step_s // 3600 * 3600
    return max(span.start_at, span.split_at - timedelta(seconds=max(affordable_s, MIN_FOLD_S)))


def stratified(
    order_by: Sequence[float], first: NDArray[np.bool_], n: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """`n` positions, ascending: the `first` ones (some, evenly), and one of each equal stratum.

    >>> first, rng = np.array([0, 0, 0, 0, 1], bool), np.random.default_rng(0)
    >>> stratified([9, 1, 2, 8, 3], first, 3, rng).tolist()
    [0, 2, 4]
    """
    preferred = evenly(np.flatnonzero(first), n)
    others, n_drawn = np.flatnonzero(~first), n - len(preferred)
    ordered = others[np.argsort(np.asarray(order_by)[others], kind="stable")]
    # One random start and equal strides: each has the same chance, and neighbours in the order are
    # not drawn together.
    at = (rng.random() + np.arange(n_drawn)) * len(ordered) / max(n_drawn, 1)
    return np.sort(np.concatenate([preferred, ordered[at.astype(np.int64)]]))
