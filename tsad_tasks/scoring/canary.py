"""Clean readings and a copy with a fault: a model that no longer finds it is broken.

Both are part of the model's bundle, made when it is calibrated, and go through everything that
scores go through: features, windows, detector, errors, threshold.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BundleError
from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.bundle import Bundle
from tsad_tasks.model.scoring import entity_scores
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.series import series_errors

log = logging.getLogger("tsad")

FAULT_STEPS = 10
# Errors are those of another machine and another ONNX Runtime as well; relative where they are
# above 1.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Canary:
    """Clean readings of one entity with their errors, and the fault that goes into a copy of them.

    Attributes
    ----------
    values : float64 (n_steps, n_channels), NaN where nothing was read.
    start_s : Unix seconds of the first step.
    errors : float32 (n_steps,) of the clean readings, NaN where there is none.
    at, channel, offset : the fault: `FAULT_STEPS` steps so much higher, in the channel's unit.
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
        return vars(self) | {"values": _listed(self.values), "errors": _listed(self.errors)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Canary:
        """The canary of a JSON object, to the bit."""
        values, errors = np.array(fields["values"], float), np.array(fields["errors"], np.float32)
        return cls(**{**fields, "values": values, "errors": errors})


def _listed(array: NDArray[Any]) -> Any:
    listed = array.astype(object)
    listed[~np.isfinite(array)] = None
    return listed.tolist()


def errors_and_flags(
    spec: ModelSpec, detector: Detector, entity: str, values: NDArray[np.float64], start_s: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Errors and flags (n_steps,) of one entity's readings, as scoring makes them."""
    found = series_errors(spec.features, spec.scaler(entity), detector, values, start_s, entity)
    errors = found.combined(spec, entity)
    return errors, entity_scores(
        spec, [entity], errors[None], moved=found.moved[None], farthest=found.farthest[None]
    ).flags[0]


def check_canary(name: str, spec: ModelSpec, bundle: Bundle) -> None:
    """Scores the canary of a bundle; one without, as older versions made them, is used as it is.

    Parameters
    ----------
    name : of the model, for people.

    Raises
    ------
    BundleError
        When the fault is not flagged, or the clean readings have other errors than then.
    """
    if bundle.canary is None:
        _say_without(name, bundle.sha256[:12])
        return
    canary, detector = Canary.from_json(bundle.canary), bundle.detector
    entity, start_s = canary.entity, canary.start_s
    advice = "The model is broken: restore its folder, roll back, or retrain."
    errors, _ = errors_and_flags(spec, detector, entity, canary.values, start_s)
    same = np.isclose(errors, canary.errors, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    if not same.all():
        step = int(np.flatnonzero(~same)[0])
        raise BundleError(
            f"{name}: Expected the error {canary.errors[step]:.6g} at step {step} of its clean "
            f"canary, as when it was calibrated. Received: {errors[step]:.6g}, and "
            f"{np.count_nonzero(~same)} of {same.size} steps differ. {advice}"
        )
    _, flags = errors_and_flags(spec, detector, entity, canary.faulty, start_s)
    if not flags[canary.fault].any():
        raise BundleError(
            f"{name}: Expected a flag on its canary, a fault of {canary.size:g} scales in "
            f"{spec.features.channels[canary.channel]}. Received: none. {advice}"
        )


@lru_cache(maxsize=1024)
def _say_without(name: str, sha256: str) -> None:
    """Once for each bundle and process."""
    why = "older, or it finds no fault in quiet readings"
    log.info("%s (bundle %s) has no canary: %s.", name, sha256, why)
