"""The canary of a new model: a clean stretch of held-out readings, and the smallest fault that the
model finds in it. What becomes of it is in `scoring.canary`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.detectors.base import Detector
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.canary import FAULT_STEPS, Canary, errors_and_flags
from tsad_tasks.scoring.series import series_windows
from tsad_tasks.training.held_out import HeldOut
from tsad_tasks.training.reader import evenly

# A level this far off, in scales of the channel; the smallest that the model finds is taken.
FAULT_SIZES = (6.0, 12.0, 25.0, 50.0)
# Beyond this a rolling threshold has less to look back at, here as there; scoring a canary stays a
# few milliseconds.
MAX_LOOK_BACK, MAX_ENTITIES = 60, 24


def canary_of(spec: ModelSpec, detector: Detector, held_out: Sequence[HeldOut]) -> Canary | None:
    """A canary from held-out readings, with the smallest fault that the model finds.

    None where no stretch is clean, or no fault of up to 50 scales in one channel is found.
    """
    chosen = [held_out[i] for i in evenly(np.arange(len(held_out)), MAX_ENTITIES)]
    stretches = (_clean_stretch(spec, part) for part in chosen)
    clean = max(stretches, key=lambda part: int(np.count_nonzero(part.judged)), default=None)
    at = _last_run(clean.judged) if clean is not None and clean.judged.any() else None
    if clean is None or at is None:
        return None
    entity, start_s, scaler = clean.entity, clean.start_s, spec.scaler(clean.entity)
    known = np.flatnonzero(np.isfinite(clean.values[at]) & scaler.fitted).tolist()
    # A channel that never moved says nothing of the detector.
    known = [channel for channel in known if scaler.scale[channel]] or known
    errors, raised = errors_and_flags(spec, detector, entity, clean.values, start_s)
    for size in FAULT_SIZES:
        for channel in known:
            offset = float(size * scaler.step_of[channel])
            if scaler.circles and (circle := scaler.circles[channel]) is not None:
                # Further than half around is nearer again.
                offset = min(offset, circle.period / 2)
            canary = Canary(entity, clean.values, start_s, errors, at, channel, offset, size)
            _, flags = errors_and_flags(spec, detector, entity, canary.faulty, start_s)
            if (flags & ~raised)[canary.fault].any():
                return canary
    return None


def _clean_stretch(spec: ModelSpec, part: HeldOut) -> HeldOut:
    """The newest whole hours with the most complete windows, which are what `judged` says then."""
    _, index = series_windows(spec.features, spec.scaler(part.entity), part.values, part.start_s)
    ended = np.isin(np.arange(len(part.values)), index.ends) & part.judged
    # Whole hours that hold what features and threshold look back at, a window and the fault.
    step_s, per_hour = spec.features.step_s, 3600 // spec.features.step_s
    look_back = min(spec.threshold.history_steps, MAX_LOOK_BACK)
    look_back += spec.features.width + 2 * FAULT_STEPS
    n_hours = -(-look_back * step_s // 3600) + spec.features.reach_hours
    n_steps = min(n_hours * per_hour, len(ended) // per_hour * per_hour)
    starts = np.arange(0, len(ended) - n_steps + 1, per_hour)[::-1]
    n_before = np.concatenate(([0], np.cumsum(ended)))
    first = int(starts[np.argmax(n_before[starts + n_steps] - n_before[starts])])
    steps = slice(first, first + n_steps)
    start_s = part.start_s + first * step_s
    return replace(
        part, values=part.values[steps], start_s=start_s, judged=ended[steps], labels=None
    )


def _last_run(ended: NDArray[np.bool_]) -> int | None:
    """Where the last row of `FAULT_STEPS` complete windows begins.

    >>> _last_run(np.arange(24) != 12)
    14
    """
    if len(ended) < FAULT_STEPS:
        return None
    whole = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(ended, FAULT_STEPS).all(axis=1))
    return int(whole[-1]) if whole.size else None
