"""What a model expected of an entity, computed again: only flagged readings keep it as rows."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import hour_ceil, hour_floor, hours_later, unix_s
from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.folding.fold import State, channel_weights
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.detectors.folding.stored_state import joined_state
from tsad_tasks.model.features import Scaler, counts_within, held
from tsad_tasks.model.scoring import combined_errors
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.columns import is_share, within_shares
from tsad_tasks.scoring.fold import entity_reconstruction
from tsad_tasks.scoring.own_scales import OwnScale
from tsad_tasks.scoring.reach import Reach
from tsad_tasks.scoring.series import series_windows
from tsad_tasks.storage.datasets import Layout
from tsad_tasks.storage.folds import READ_FOLD_DIGESTS, read_fold_states
from tsad_tasks.storage.readings import read_blocks
from tsad_tasks.storage.scores import read_digests
from tsad_tasks.storage.store import Store

Float = NDArray[np.float64]


@dataclass(frozen=True)
class ExpectedReadings:
    """Readings beside what the model expected, in the channels' units; NaN where unknown.

    Attributes
    ----------
    actual, expected : float64 (n_steps, n_channels), held values included in `actual`.
    spread : float64 (n_channels,), half-width that holds 95 % of the usual differences.
    channel_errors : float32 (n_steps, n_channels), of the step's window, on the model's scale.
    """

    actual: Float
    expected: Float
    spread: Float
    channel_errors: NDArray[np.float32]


def expected_readings(
    spec: ModelSpec,
    detector: Detector,
    entity: str,
    values: Float,
    start_s: int,
    scaler: Scaler | None = None,
    resumed: Resumed | None = None,
) -> ExpectedReadings:
    """What the model expects of one entity's readings (n_steps, n_channels), as scoring has it.

    Parameters
    ----------
    scaler : None: the model's own for the entity, or its pooled one.
    resumed : a folding model's state after some of the steps, of which nothing is said then; None:
        it starts with the first step.
    """
    scaler = scaler or spec.scaler(entity)
    features, index = series_windows(spec.features, scaler, values, start_s)
    seen_so_far = resumed and (resumed.n_steps(start_s, spec.features.step_s), resumed.state)
    found = entity_reconstruction(
        spec.features, detector, entity, features, start_s, index.ends, seen_so_far
    )
    scaled, errors = np.full((2, *values.shape), np.nan, np.float32)
    scaled[index.ends] = np.where(index.live, found.expected, np.nan)
    of_it = np.zeros(len(index.ends), np.int64)
    seen = found.channel_errors, index.live, index.fitted
    of_channels = combined_errors(spec, [entity], of_it, *seen)[1]
    errors[index.ends] = of_channels * channel_weights(found)
    spread = np.array(spec.spreads) * np.array(scaler.scale)
    expected = within_shares(scaler.inverse(scaled), is_share(spec.features.channels))
    for position in scaler.counts:
        usual = expected[np.isfinite(expected[:, position]), position]
        middle = np.median(usual) if usual.size else np.nan
        spread[position] = counts_within(np.asarray(middle), spread[position])
    actual = scaler.on_circles(held(values, spec.features.hold_steps))
    return ExpectedReadings(actual, expected, spread, errors)


class Resumed(NamedTuple):
    """A folding model's state of an entity, and the hour with which it goes on."""

    at: datetime
    state: State

    def n_steps(self, start_s: int, step_s: int) -> int:
        """Steps from a moment (Unix seconds) until it goes on."""
        return (unix_s(self.at) - start_s) // step_s


def last_state(
    store: Store,
    model_id: int,
    entity_id: int,
    spec: ModelSpec,
    anchor_at: datetime,
    before_at: datetime,
) -> Resumed | None:
    """The last state that scoring remembered before an hour, of the readings as they are now.

    None: there is none, or readings since the anchor are others than those that it has seen.
    """
    if before_at <= anchor_at:
        return None
    span, ids = (anchor_at, before_at), [entity_id]
    remembered, then = read_digests(store, READ_FOLD_DIGESTS, model_id, ids, *span)
    if not remembered.any():
        return None
    reach = Reach(spec.features.reach_hours, anchor_at)
    now = reach.of_blocks(store, ids, *span, [None], 1).digests
    hours = np.flatnonzero((remembered & (then == now))[0])
    if not len(hours):
        return None
    last_at = hours_later(anchor_at, int(hours[-1]))
    contents = read_fold_states(store, model_id, ids, [last_at])
    # Between both statements scoring may have let it go.
    if entity_id not in contents:
        return None
    return Resumed(hours_later(last_at, 1), joined_state([contents[entity_id]]))


def expected_in_range(
    store: Store,
    layout: Layout,
    model_id: int,
    spec: ModelSpec,
    detector: Detector,
    entity: tuple[str, int],
    start_at: datetime,
    end_at: datetime,
    anchor_at: datetime,
    scale: OwnScale | None,
    least_error: float = 0.0,
) -> ExpectedReadings:
    """What the model expects of an entity (name, id) at the grid's steps of [start_at, end_at).

    Parameters
    ----------
    anchor_at : where a folding model's states begin; nothing is expected before it.
    scale : the entity's, where it was learned later; the model expects by it from then on.
    least_error : of flagged readings. A model that knows two values to expect, such as that of the
        calendar and that of the other channels, takes for those the one that surprises.
    """
    name, entity_id = entity
    first_at, resumed = hour_floor(start_at), None
    has_two_scales = scale is not None and scale.usable_s < unix_s(end_at)
    if detector.folds and not has_two_scales:
        resumed = last_state(store, model_id, entity_id, spec, anchor_at, first_at)
    # Where windows are of one hour, the one before still tells a gap from silence.
    n_back = max(spec.features.reach_hours, 1) if resumed else spec.features.reach_hours
    from_at = hours_later(resumed.at if resumed else first_at, -n_back)
    if detector.folds and resumed is None:
        from_at = min(anchor_at, first_at)
    values = read_blocks(store, layout, [entity_id], from_at, hour_ceil(end_at)).values[0]
    columns = [layout.channel_names.index(channel) for channel in spec.features.channels]
    if detector.folds:
        detector = copy(cast(FoldDetector, detector))
        detector.least_error = least_error
        if resumed is None:
            values[: (unix_s(anchor_at) - unix_s(from_at)) // layout.step_s] = np.nan
    seen = spec, detector, name, values[:, columns], unix_s(from_at)
    found = expected_readings(*seen, resumed=resumed)
    expected, errors = found.expected, found.channel_errors
    if scale is not None and has_two_scales:
        # The one up to a step, and the other from there on, whose spreads count.
        step = max(0, (scale.usable_s - unix_s(from_at)) // layout.step_s)
        found = expected_readings(*seen, scale.scaler(spec))
        expected = np.concatenate([expected[:step], found.expected[step:]])
        errors = np.concatenate([errors[:step], found.channel_errors[step:]])
    steps = slice(*((unix_s(at) - unix_s(from_at)) // layout.step_s for at in (start_at, end_at)))
    return ExpectedReadings(found.actual[steps], expected[steps], found.spread, errors[steps])
