"""How a model does on held-out readings: errors, calibration, detection of injected anomalies, false alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.core.features import Scaler
from tsad_tasks.core.injection import KINDS, Injection, inject_all, injection_plan
from tsad_tasks.core.scoring import Features, Windows, entity_features, entity_scores, entity_windows
from tsad_tasks.core.spec import FeatureSpec, ModelSpec
from tsad_tasks.core.thresholds import MIN_CALIBRATION, Calibration, ThresholdSettings, calibrate
from tsad_tasks.core.windows import window_errors
from tsad_tasks.detectors.base import Detector
from tsad_tasks.errors import BadInput

MAX_ROUNDS = 60
CONTEXT_FACTOR = 3.0
SPREAD_QUANTILE = 0.95


@dataclass(frozen=True)
class HeldOut:
    """Held-out readings of one entity.

    Attributes
    ----------
    values : float64 (n_steps, n_channels); the first `reach` steps are only looked back at.
    start_s : epoch seconds of the first step.
    judged : bool (n_steps,), steps that count: not excluded, and after the reach.
    gated : bool (n_steps,), the part of them that is kept for the gate.
    learned : bool (n_steps,), steps before the split that calibration sees as well; none where it has enough without.
    """

    entity: str
    values: NDArray[np.float64]
    start_s: int
    judged: NDArray[np.bool_]
    gated: NDArray[np.bool_]
    learned: NDArray[np.bool_]


@dataclass(frozen=True)
class SeriesErrors:
    """Errors (n_steps,) of one entity, and residuals (n_steps, n_channels) in scaled units; NaN where unknown."""

    errors: NDArray[np.float32]
    residuals: NDArray[np.float32]


def series_errors(
    spec: FeatureSpec, scaler: Scaler, detector: Detector, values: NDArray[np.float64], start_s: int
) -> SeriesErrors:
    """Errors of one entity's series, window by window, as scoring computes them."""
    features, index = _windows_of(spec, scaler, values, start_s)
    found = detector.reconstruct(features.inputs[0], index.ends)
    errors = np.full(len(values), np.nan, np.float32)
    residuals = np.full((len(values), len(spec.channels)), np.nan, np.float32)
    errors[index.ends] = window_errors(found.channel_errors, index.live)
    sensors = features.inputs[0, :, : len(spec.channels)]
    residuals[index.ends] = np.where(index.live, sensors[index.ends] - found.expected, np.nan)
    errors[~np.isfinite(errors)] = np.nan
    return SeriesErrors(errors, residuals)


def _windows_of(
    spec: FeatureSpec, scaler: Scaler, values: NDArray[np.float64], start_s: int
) -> tuple[Features, Windows]:
    features = entity_features(spec, [scaler], values[None], start_s)
    return features, entity_windows(spec, features, np.ones((1, len(values)), bool))


def calibrated_spec(
    spec: FeatureSpec,
    scalers: Mapping[str, Scaler],
    pooled: Scaler,
    settings: ThresholdSettings,
    detector: Detector,
    held_out: Sequence[HeldOut],
) -> ModelSpec:
    """The whole spec, with limits from errors of the calibration part of held-out readings, and learned ones if few.

    Raises
    ------
    BadInput
        When all entities together have too few held-out windows.
    """
    calibrations: dict[str, Calibration] = {}
    errors, residuals = [], []
    for part in held_out:
        found = series_errors(spec, scalers.get(part.entity, pooled), detector, part.values, part.start_s)
        used = (part.judged & ~part.gated) | part.learned
        errors.append(np.where(used, found.errors, np.float32(np.nan)))
        residuals.append(found.residuals[used])
        if part.entity in scalers and np.isfinite(errors[-1]).sum() >= 2 * MIN_CALIBRATION:
            calibrations[part.entity] = calibrate(errors[-1], settings=settings)
    joined = np.concatenate(errors) if errors else np.zeros(0, np.float32)
    spreads = _spreads(np.concatenate(residuals) if residuals else np.zeros((0, len(spec.channels)), np.float32))
    return ModelSpec(spec, scalers, pooled, settings, calibrations, calibrate(joined, settings=settings), spreads)


def _spreads(residuals: NDArray[np.float32]) -> tuple[float, ...]:
    """Half-width that holds 95 % of the residuals, by channel; 1 where none is known."""
    columns = (column[np.isfinite(column)] for column in np.abs(residuals).T)
    return tuple(float(np.quantile(column, SPREAD_QUANTILE)) if column.size else 1.0 for column in columns)


@dataclass(frozen=True)
class Verdicts:
    """What a model made of the gate's part of held-out readings.

    Attributes
    ----------
    found_share : share of injected anomalies found, by kind; None where none could be injected.
    n_injected : by kind.
    false_alarm_share : flagged share of the judged steps without injections.
    n_judged : how many these are.
    """

    found_share: Mapping[str, float | None]
    n_injected: Mapping[str, int]
    false_alarm_share: float | None
    n_judged: int

    @property
    def overall(self) -> float | None:
        """Share found of all injected anomalies."""
        total = sum(self.n_injected.values())
        found = sum((self.found_share[kind] or 0.0) * n for kind, n in self.n_injected.items())
        return found / total if total else None


def judge(
    spec: ModelSpec,
    detector: Detector,
    held_out: Sequence[HeldOut],
    *,
    n_injected: int,
    seed: int,
    reference: ModelSpec,
) -> Verdicts:
    """Detection of injected anomalies and false alarms. The same seed injects the same anomalies for every model.

    Parameters
    ----------
    reference : the spec that says how large an injected anomaly is, and where one can be found.
    """
    hits: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    n_flags = n_judged = 0
    quota = max(1, -(-n_injected // max(1, len(held_out))))
    for number, part in enumerate(held_out):
        judged = _Judged(spec, detector, part)
        flags = judged.flags(part.values)
        scored = flags.known & part.judged & part.gated
        n_flags += int((flags.raised & scored).sum())
        n_judged += int(scored.sum())
        _add_hits(hits, judged, flags.raised, quota, np.random.default_rng([seed, number]), reference)
    shares = {kind: (float(np.mean(found)) if found else None) for kind, found in hits.items()}
    share = n_flags / n_judged if n_judged else None
    return Verdicts(shares, {kind: len(found) for kind, found in hits.items()}, share, n_judged)


@dataclass(frozen=True)
class _Flags:
    raised: NDArray[np.bool_]
    known: NDArray[np.bool_]


class _Judged:
    """Flags of one entity's held-out readings, as they are and with anomalies in them."""

    def __init__(self, spec: ModelSpec, detector: Detector, part: HeldOut) -> None:
        self.spec, self.part, self._detector = spec, part, detector
        self._scaler = spec.scaler(part.entity)
        self._features, _ = _windows_of(spec.features, self._scaler, part.values, part.start_s)
        self._errors = series_errors(spec.features, self._scaler, detector, part.values, part.start_s).errors

    def flags(self, values: NDArray[np.float64]) -> _Flags:
        """Flags of readings that are the held-out ones but for a few."""
        scores = entity_scores(self.spec, [self.part.entity], self._errors_of(values)[None])
        return _Flags(scores.flags[0], np.isfinite(scores.scores[0]))

    def _errors_of(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Only windows with something new in them go through the detector: the errors of the others are known."""
        features, index = _windows_of(self.spec.features, self._scaler, values, self.part.start_s)
        n_before = np.concatenate(([0], np.cumsum((features.inputs != self._features.inputs)[0].any(axis=1))))
        first = np.maximum(index.ends + 1 - self.spec.features.width, 0)
        is_new = n_before[index.ends + 1] > n_before[first]
        errors = np.full(len(values), np.nan, np.float32)
        errors[index.ends] = self._errors[index.ends]
        found = self._detector.reconstruct(features.inputs[0], index.ends[is_new])
        made = window_errors(found.channel_errors, index.live[is_new])
        errors[index.ends[is_new]] = np.where(np.isfinite(made), made, np.float32(np.nan))
        return errors


def _add_hits(
    hits: dict[str, list[bool]],
    judged: _Judged,
    raised_before: NDArray[np.bool_],
    quota: int,
    rng: np.random.Generator,
    reference: ModelSpec,
) -> None:
    """Injects in rounds, as many anomalies as fit at once, until the quota is met.

    Found is what raises a flag that the clean readings do not: a model that flags everything finds nothing.
    """
    n_done = n_planned = 0
    part, width = judged.part, judged.spec.features.width
    scale, daily = reference.scaler(part.entity).scale, 86400 // reference.features.step_s
    scored = _scored_steps(reference, part, part.values) & part.judged
    strange = CONTEXT_FACTOR * _day_to_day(part, daily)
    for _ in range(MAX_ROUNDS):
        plan = _placed(reference.features, part, quota - n_done, n_planned, rng)
        if not plan or n_done >= quota:
            return
        values = inject_all(part.values, plan, spread=scale, rng=rng, daily_steps=daily)
        still = scored & _scored_steps(reference, part, values)
        moved = np.abs(values - part.values) > strange
        counted = [one for one in plan if _counts(one, still, moved)]
        raised = judged.flags(values).raised & ~raised_before if counted else raised_before
        for one in counted:
            hits[one.kind].append(bool(raised[one.at : one.at + one.length + width - 1].any()))
        n_done, n_planned = n_done + len(counted), n_planned + len(plan)


def _counts(one: Injection, scored: NDArray[np.bool_], moved: NDArray[np.bool_]) -> bool:
    """Whether an injection can be found: while the machine runs and is read, and goes on running with it.

    A contextual one only where days are alike: what moves a channel, most of the time, no further than days differ is
    none.

    Parameters
    ----------
    scored : (n_steps,) ends a complete window, with and without the injection.
    moved : (n_steps, n_channels) by more than days differ.
    """
    steps = slice(one.at, one.at + one.length)
    if one.kind != "contextual":
        return bool(scored[steps].any())
    return bool(2 * np.count_nonzero(scored[steps] & moved[steps, one.channel]) >= one.length)


def _day_to_day(part: HeldOut, daily_steps: int) -> NDArray[np.float64]:
    """How much a channel usually differs from the day before, (n_channels,); 0 where nothing is known of it."""
    moved = np.abs(part.values[daily_steps:] - part.values[:-daily_steps])[part.judged[daily_steps:]]
    known = (column[np.isfinite(column)] for column in moved.T)
    return np.array([np.median(column) if column.size else 0.0 for column in known])


def _scored_steps(reference: ModelSpec, part: HeldOut, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Steps (n_steps,) that end a complete window."""
    _, windows = _windows_of(reference.features, reference.scaler(part.entity), values, part.start_s)
    ended: NDArray[np.bool_] = np.isin(np.arange(len(values)), windows.ends)
    return ended


def _placed(spec: FeatureSpec, part: HeldOut, n: int, n_before: int, rng: np.random.Generator) -> list[Injection]:
    """A plan inside the gate's part, or inside all of the judged steps where that is too short."""
    channels = [i for i in range(part.values.shape[1]) if np.isfinite(part.values[:, i]).any()]
    for steps in (np.flatnonzero(part.gated), np.flatnonzero(part.judged)):
        if not steps.size:
            continue
        first, n_steps = int(steps[0]), int(steps[-1] - steps[0]) + 1
        try:
            daily = 86400 // spec.step_s
            plan = injection_plan(n_steps, channels, n, spec.width, rng=rng, daily_steps=daily, n_before=n_before)
        except BadInput:
            continue
        return [replace(one, at=one.at + first) for one in plan]
    return []
