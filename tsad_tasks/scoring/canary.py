"""A clean stretch of readings and a copy with a fault: a model that no longer finds it is broken,
and says so at once.

Both are part of the model's bundle, made when it is calibrated, and go through everything that
scores go through: features, windows, detector, errors, threshold.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BundleError
from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.bundle import Bundle
from tsad_tasks.model.scoring import entity_features, entity_scores, entity_windows
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.training.fit import evenly
from tsad_tasks.training.held_out import HeldOut, series_errors

log = logging.getLogger("tsad")

# A level this far off, in scales of the channel; the smallest that the model finds is taken.
FAULT_SIZES, FAULT_STEPS = (6.0, 12.0, 25.0, 50.0), 10
# Errors are those of another machine and another ONNX Runtime as well; relative where they are
# above 1.
TOLERANCE = 1e-5
# Beyond this a rolling threshold has less to look back at, here as there; scoring a canary stays a
# few milliseconds.
MAX_LOOK_BACK, MAX_ENTITIES = 60, 24


@dataclass(frozen=True)
class Canary:
    """Clean readings of one entity with their errors, and the fault that goes into a copy of them.

    Attributes
    ----------
    values : float64 (n_steps, n_channels), NaN where nothing was read.
    start_s : Unix seconds of the first step.
    errors : float32 (n_steps,) of the clean readings, NaN where there is none.
    at, channel, offset : the fault: `FAULT_STEPS` steps from `at` on, so much higher, in the
        channel's unit.
    size : of the offset, in scales of the channel.
    """

    entity: str
    values: NDArray[np.float64]
    start_s: int
    errors: NDArray[np.float32]
    at: int
    channel: int
    offset: float
    size: float

    @property
    def fault(self) -> slice:
        """The faulty steps."""
        return slice(self.at, self.at + FAULT_STEPS)

    @property
    def faulty(self) -> NDArray[np.float64]:
        """The copy with the fault, (n_steps, n_channels)."""
        changed = self.values.copy()
        changed[self.fault, self.channel] += self.offset
        return changed

    def to_json(self) -> dict[str, Any]:
        """The canary as a JSON object; NaN is null."""
        lists = {"values": _listed(self.values), "errors": _listed(self.errors)}
        return vars(self) | lists

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Canary:
        """The canary of a JSON object, to the bit."""
        values, errors = (
            np.array(fields["values"], np.float64),
            np.array(fields["errors"], np.float32),
        )
        return cls(**{**fields, "values": values, "errors": errors})


def _listed(array: NDArray[Any]) -> Any:
    listed = array.astype(object)
    listed[~np.isfinite(array)] = None
    return listed.tolist()


def canary_of(spec: ModelSpec, detector: Detector, held_out: Sequence[HeldOut]) -> Canary | None:
    """A canary from held-out readings, with the smallest fault that the model finds.

    None where no stretch is clean, or no fault of up to 50 scales in one channel is found.
    """
    chosen = [held_out[i] for i in evenly(np.arange(len(held_out)), MAX_ENTITIES)]
    clean = max((_clean_stretch(spec, part) for part in chosen), key=_n_ended, default=None)
    if clean is None or not clean.judged.any():
        return None
    return next(_found_faults(spec, detector, clean), None)


def _n_ended(part: HeldOut) -> int:
    return int(np.count_nonzero(part.judged))


def _clean_stretch(spec: ModelSpec, part: HeldOut) -> HeldOut:
    """The newest whole hours with the most complete windows, which are what `judged` says then."""
    features = entity_features(
        spec.features, [spec.scaler(part.entity)], part.values[None], part.start_s
    )
    index = entity_windows(spec.features, features, np.ones((1, len(part.values)), bool))
    ended = np.isin(np.arange(len(part.values)), index.ends) & part.judged
    per_hour = 3600 // spec.features.step_s
    n_steps = min(_n_hours(spec) * per_hour, len(ended) // per_hour * per_hour)
    starts = np.arange(0, len(ended) - n_steps + 1, per_hour)[::-1]
    n_before = np.concatenate(([0], np.cumsum(ended)))
    first = int(starts[np.argmax(n_before[starts + n_steps] - n_before[starts])])
    steps = slice(first, first + n_steps)
    start_s = part.start_s + first * spec.features.step_s
    return replace(
        part, values=part.values[steps], start_s=start_s, judged=ended[steps], labels=None
    )


def _n_hours(spec: ModelSpec) -> int:
    """Whole hours that hold what features and threshold look back at, a window and the fault."""
    look_back = (
        min(spec.threshold.history_steps, MAX_LOOK_BACK) + spec.features.width + 2 * FAULT_STEPS
    )
    return -(-look_back * spec.features.step_s // 3600) + spec.features.reach_hours


def _found_faults(spec: ModelSpec, detector: Detector, clean: HeldOut) -> Iterator[Canary]:
    """Canaries whose fault the model finds, small faults first."""
    errors, raised = _scored(spec, detector, clean.entity, clean.values, clean.start_s)
    at = _last_run(clean.judged)
    if at is None:
        return
    scale = spec.scaler(clean.entity).scale
    for size in FAULT_SIZES:
        for channel in np.flatnonzero(np.isfinite(clean.values[at])).tolist():
            offset = float(size * scale[channel])
            canary = Canary(
                clean.entity, clean.values, clean.start_s, errors, at, channel, offset, size
            )
            if (_flags(spec, detector, canary) & ~raised)[canary.fault].any():
                yield canary


def _last_run(ended: NDArray[np.bool_]) -> int | None:
    """Where the last row of `FAULT_STEPS` complete windows begins.

    >>> _last_run(np.arange(24) != 12)
    14
    """
    if len(ended) < FAULT_STEPS:
        return None
    whole = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(ended, FAULT_STEPS).all(axis=1))
    return int(whole[-1]) if whole.size else None


def _scored(
    spec: ModelSpec, detector: Detector, entity: str, values: NDArray[np.float64], start_s: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Errors and flags (n_steps,) of one entity's readings, as scoring makes them."""
    found = series_errors(spec.features, spec.scaler(entity), detector, values, start_s, entity)
    errors = found.combined(spec, entity)
    return errors, entity_scores(spec, [entity], errors[None]).flags[0]


def _flags(spec: ModelSpec, detector: Detector, canary: Canary) -> NDArray[np.bool_]:
    return _scored(spec, detector, canary.entity, canary.faulty, canary.start_s)[1]


def check_canary(name: str, spec: ModelSpec, bundle: Bundle) -> None:
    """Scores the canary of a bundle; one without, as older versions made them, is used as it is.

    Parameters
    ----------
    name : of the model, for people.

    Raises
    ------
    BundleError
        When the fault is not flagged, or the clean readings have other errors than when the model
        was calibrated.
    """
    if bundle.canary is None:
        _say_without(name, bundle.sha256)
        return
    canary = Canary.from_json(bundle.canary)
    errors, _ = _scored(spec, bundle.detector, canary.entity, canary.values, canary.start_s)
    _check_errors(name, canary, errors)
    if not _flags(spec, bundle.detector, canary)[canary.fault].any():
        channel = spec.features.channels[canary.channel]
        raise BundleError(
            f"{name}: Expected a flag on its canary, a fault of {canary.size:g} scales in "
            f"{channel}. "
            "Received: none. The model is broken: restore its folder, roll back, or retrain."
        )


def _check_errors(name: str, canary: Canary, errors: NDArray[np.float32]) -> None:
    same = np.isclose(errors, canary.errors, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    if same.all():
        return
    step = int(np.flatnonzero(~same)[0])
    raise BundleError(
        f"{name}: Expected the error {canary.errors[step]:.6g} at step {step} of its clean canary, "
        "as when it was "
        f"calibrated. Received: {errors[step]:.6g}, and {np.count_nonzero(~same)} of {same.size} "
        "steps differ. "
        "The model is broken: restore its folder, roll back, or retrain."
    )


@lru_cache(maxsize=1024)
def _say_without(name: str, sha256: str) -> None:
    """Once for each bundle and process."""
    log.info(
        "%s (bundle %s) has no canary: older, or it finds no fault in quiet readings.",
        name,
        sha256[:12],
    )
