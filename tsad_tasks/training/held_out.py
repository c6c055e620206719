"""How a model does on held-out readings: errors, calibration, detection of injected anomalies,
false alarms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput
from tsad_tasks.detectors.base import Detector, Reconstruction
from tsad_tasks.detectors.folding.fold import FoldDetector, at_ends
from tsad_tasks.model.budget import AlarmBudget, BudgetLimits, budget_limits
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.incidents import IncidentRule, incident_spans
from tsad_tasks.model.injection import KINDS, Injection, inject_all, injection_plan
from tsad_tasks.model.scoring import (
    InputSet,
    combined_errors,
    entity_scores,
)
from tsad_tasks.model.spec import FeatureSpec, ModelSpec
from tsad_tasks.model.tails import ChannelTails, fit_tails, unit_growth
from tsad_tasks.model.thresholds import MIN_CALIBRATION, Calibration, ThresholdSettings, calibrate
from tsad_tasks.model.windows import batches, gather
from tsad_tasks.scoring.fold import (
    SERIES_TOGETHER,
    EntityFold,
    entities_reconstruction,
)
from tsad_tasks.scoring.series import SeriesErrors, on_steps, series_windows

MAX_ROUNDS, WEEK_S = 60, 604800
CONTEXT_FACTOR = 3.0
SPREAD_QUANTILE = 0.95
# What lies so far off is no reading of a machine that is well: it is neither learned from nor
# calibrated with.
MAX_GROWTH_ENTITIES, MAX_GROWTH_WINDOWS = 24, 150
EXTREME_SPREADS, USUAL_QUANTILE = 50.0, 0.995


@dataclass(frozen=True)
class HeldOut:
    """Held-out readings of one entity.

    Attributes
    ----------
    values : float64 (n_steps, n_channels); the first `reach` steps are only looked back at.
    start_s : Unix seconds of the first step.
    judged : bool (n_steps,), steps that count: not excluded, and after the reach.
    gated : bool (n_steps,), the part of them that is kept for the gate.
    learned : bool (n_steps,), steps before the split that calibration sees as well; none where it
        has enough without.
    labels : bool (n_steps,), known anomalies, which are not judged; None where nobody asked for
        them.
    known : the same over all held-out readings, those of the gate's part included.
    """

    entity: str
    values: NDArray[np.float64]
    start_s: int
    judged: NDArray[np.bool_]
    gated: NDArray[np.bool_]
    learned: NDArray[np.bool_]
    labels: NDArray[np.bool_] | None = None
    known: NDArray[np.bool_] | None = None

    @property
    def calibrating(self) -> NDArray[np.bool_]:
        """bool (n_steps,), steps whose errors say what is normal."""
        return (self.judged & ~self.gated) | self.learned


@dataclass(frozen=True)
class HeldOutErrors(SeriesErrors):
    """Errors of one entity's held-out readings.

    Attributes
    ----------
    extreme : bool (n_steps,), whether the window holds a reading that is out of the question.
    """

    extreme: NDArray[np.bool_]


def held_out_errors(
    spec: FeatureSpec,
    scaler_of: Callable[[str], Scaler],
    detector: Detector,
    parts: Sequence[HeldOut],
) -> dict[str, HeldOutErrors]:
    """Errors of each entity's series, by name: those of `series_errors`.

    A folding detector goes through series of the same steps together: each step costs as much as 40
    series in it.
    """
    found: dict[str, HeldOutErrors] = {}
    n_together = max(1, SERIES_TOGETHER // len(spec.channels)) if detector.folds else 1
    for alike in _alike(parts, n_together):
        names, start_s, n_steps = (
            [one.entity for one in alike],
            alike[0].start_s,
            len(alike[0].values),
        )
        seen = [series_windows(spec, scaler_of(one.entity), one.values, start_s) for one in alike]
        if detector.folds:
            folding, features = cast(FoldDetector, detector), [one for one, _ in seen]
            folded = entities_reconstruction(spec, folding, names, features, start_s)
        for number, (name, (features_of, index)) in enumerate(zip(names, seen, strict=True)):
            if detector.folds:
                made = at_ends(folded, index.ends + number * n_steps)
            else:
                made = detector.reconstruct(features_of.inputs[0], index.ends)
            extreme = seen_by_window(is_extreme(features_of, len(spec.channels)), spec.width)
            found[name] = HeldOutErrors(
                **vars(on_steps(spec, features_of, index, made)), extreme=extreme
            )
    return found


def _alike(parts: Sequence[HeldOut], n: int) -> Iterator[list[HeldOut]]:
    """The parts, at most `n` of the same steps together."""
    by_steps: dict[tuple[int, int], list[HeldOut]] = {}
    for part in parts:
        by_steps.setdefault((part.start_s, len(part.values)), []).append(part)
    for same in by_steps.values():
        yield from (same[chunk] for chunk in batches(len(same), n))


def is_extreme(features: InputSet, n_channels: int) -> NDArray[np.bool_]:
    """Whether any channel of one entity is out of the question, (n_steps,): more than 50 spreads
    off.

    What occurs for more than a two-hundredth of the running time is a state of the machine, however
    far off: a limit is never below three times that.
    """
    size = np.abs(features.inputs[0, :, :n_channels])
    running = size[features.running[0] == 0]
    usual = np.quantile(running, USUAL_QUANTILE, axis=0) if len(running) else np.zeros(n_channels)
    return np.asarray((size > np.maximum(EXTREME_SPREADS, 3 * usual)).any(axis=1), np.bool_)


def seen_by_window(marks: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Whether the window that ends at each step holds a mark, (n_steps,).

    >>> seen_by_window(np.array([True, False, False]), 2).tolist()
    [True, True, False]
    """
    n_before = np.concatenate(([0], np.cumsum(marks)))
    ends = np.arange(len(marks))
    return np.asarray(n_before[ends + 1] > n_before[np.maximum(ends - width + 1, 0)], np.bool_)


def calibrated_spec(
    spec: FeatureSpec,
    scalers: Mapping[str, Scaler],
    pooled: Scaler,
    settings: ThresholdSettings,
    detector: Detector,
    held_out: Sequence[HeldOut],
    *,
    combine: str = "mean",
    top_k: int = 2,
    budget: AlarmBudget | None = None,
) -> ModelSpec:
    """The whole spec, with limits from errors of the calibration part of held-out readings, and
    learned ones if few.

    Parameters
    ----------
    combine : {"mean", "top_k", "max"}
        top_k puts the errors of channels on the scale of surprise first, unless they are on one
        scale already.
    budget : what thresholds of kind evt keep to.

    Raises
    ------
    BadInput
        When all entities together have too few held-out windows.
    """
    found = held_out_errors(spec, lambda name: scalers.get(name, pooled), detector, held_out)
    held_out = [_without_extremes(part, found[part.entity]) for part in held_out]
    residuals = [found[part.entity].residuals[part.calibrating] for part in held_out]
    spreads = _spreads(
        np.concatenate(residuals) if residuals else np.zeros((0, len(spec.channels)), np.float32)
    )
    model = ModelSpec(spec, scalers, pooled, settings, {}, _NO_LIMIT, spreads, None, combine, top_k)
    if combine == "top_k" and not detector.on_one_scale:
        model = replace(model, tails=_tails(found, held_out, spec))
    model = _with_growth(model, detector, found, held_out)
    errors = {part.entity: found[part.entity].combined(model, part.entity) for part in held_out}
    if settings.kind != "evt":
        return _with_limits(model, errors, held_out)
    limits = _budgeted(errors, held_out, settings, budget)
    return replace(
        model,
        calibrations=limits.own,
        pooled_calibration=limits.pooled,
        expected_incidents_per_day=limits.incidents_per_day,
    )


def _without_extremes(part: HeldOut, found: HeldOutErrors) -> HeldOut:
    return replace(part, judged=part.judged & ~found.extreme, learned=part.learned & ~found.extreme)


_NO_LIMIT = Calibration(0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0)


def _tails(
    found: Mapping[str, HeldOutErrors], held_out: Sequence[HeldOut], spec: FeatureSpec
) -> ChannelTails:
    """What the calibration part says of how surprising an error is; windows that overlap are one
    cluster.
    """
    nan = np.float32(np.nan)
    known = {part.entity: found[part.entity].live & part.calibrating[:, None] for part in held_out}
    errors = {name: np.where(mask, found[name].channel_errors, nan) for name, mask in known.items()}
    return fit_tails(errors, gap_steps=spec.width)


def _with_growth(
    model: ModelSpec,
    detector: Detector,
    found: Mapping[str, HeldOutErrors],
    held_out: Sequence[HeldOut],
) -> ModelSpec:
    """The model, knowing by how much the errors of some held-out windows grow while a channel is
    dead.
    """
    spec, tails = model.features, model.tails
    if tails is None or detector.folds or len(spec.channels) < 2:
        return model
    parts = [
        _some_windows(model, part, found[part.entity])
        for part in _some(held_out, MAX_GROWTH_ENTITIES)
    ]
    windows = np.concatenate(
        [np.zeros((0, spec.width, spec.n_inputs), np.float32), *(one for one, _ in parts)]
    )
    if len(windows) < MIN_CALIBRATION:
        return model
    units = np.concatenate([unit for _, unit in parts])
    usual = _errors_of_windows(detector, windows)
    dead = (
        _errors_of_windows(detector, windows * ~spec.dead_inputs(i))
        for i in range(len(spec.channels))
    )
    return replace(model, tails=replace(tails, growth=unit_growth(usual, list(dead), units)))


def _some_windows(
    model: ModelSpec, part: HeldOut, found: HeldOutErrors
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Complete windows (n, width, n_inputs) of the calibration part, and their units (n,
    n_channels).
    """
    features, _ = series_windows(
        model.features, model.scaler(part.entity), part.values, part.start_s
    )
    ends = np.array(
        _some(np.flatnonzero(part.calibrating & found.live.all(axis=1)), MAX_GROWTH_WINDOWS),
        np.int64,
    )
    unit = model.tails.unit(part.entity) if model.tails else ()
    return gather(features.inputs[0], ends, model.features.width), np.tile(
        np.array(unit), (len(ends), 1)
    )


def _some(items: Sequence[Any] | NDArray[Any], n: int) -> list[Any]:
    """At most `n` of the items, evenly."""
    chosen = np.unique(np.linspace(0, len(items) - 1, min(n, len(items))).round().astype(np.int64))
    return [items[i] for i in chosen]


def _errors_of_windows(detector: Detector, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    n, width, n_inputs = windows.shape
    return detector.reconstruct(
        windows.reshape(-1, n_inputs), width * np.arange(1, n + 1) - 1
    ).channel_errors


def _with_limits(
    model: ModelSpec, errors: Mapping[str, NDArray[np.float32]], held_out: Sequence[HeldOut]
) -> ModelSpec:
    """Limits of all entities together, and of each that has enough errors of its own."""
    parts = [_calibrating(model.threshold, part, errors[part.entity]) for part in held_out]
    pooled = calibrate(
        _joined([normal for normal, _ in parts], np.float32),
        settings=model.threshold,
        labels=_joined([labels for _, labels in parts], np.bool_),
    )
    own = {}
    for part, (normal, labels) in zip(held_out, parts, strict=True):
        if part.entity in model.scalers and _is_enough(model.threshold, normal, labels):
            own[part.entity] = calibrate(normal, settings=model.threshold, labels=labels)
    return replace(model, calibrations=own, pooled_calibration=pooled)


def _joined(parts: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *parts])


def _calibrating(
    settings: ThresholdSettings, part: HeldOut, errors: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Errors (n_steps,) that a limit is made from, NaN elsewhere, and which of them are known
    anomalies.
    """
    labels = np.zeros(len(errors), bool)
    used = part.calibrating
    if settings.kind == "training":
        used = part.learned
    elif settings.kind == "f1_best" and part.labels is not None:
        labels = part.labels
        used = used | labels
    return np.where(used, errors, np.float32(np.nan)), labels


def _is_enough(
    settings: ThresholdSettings, errors: NDArray[np.float32], labels: NDArray[np.bool_]
) -> bool:
    """Whether an entity's own errors say enough for a limit of its own."""
    known = np.isfinite(errors)
    needed = 2 * MIN_CALIBRATION
    if settings.kind == "conformal":
        needed = max(needed, math.ceil(2 / (1 - settings.percentile / 100)))
    return int(known.sum()) >= needed and (
        settings.kind != "f1_best" or bool((known & labels).any())
    )


def _budgeted(
    errors: Mapping[str, NDArray[np.float32]],
    held_out: Sequence[HeldOut],
    settings: ThresholdSettings,
    budget: AlarmBudget | None,
) -> BudgetLimits:
    if budget is None:
        raise BadInput("Expected an alarm budget for a threshold of kind evt. Received: none.")
    nan = np.float32(np.nan)
    used = {part.entity: np.where(part.calibrating, errors[part.entity], nan) for part in held_out}
    steps = {part.entity: int(np.count_nonzero(part.calibrating)) for part in held_out}
    return budget_limits(used, steps, settings, budget)


def _spreads(residuals: NDArray[np.float32]) -> tuple[float, ...]:
    """Half-width that holds 95 % of the residuals, by channel; 1 where none is known."""
    columns = (column[np.isfinite(column)] for column in np.abs(residuals).T)
    return tuple(
        float(np.quantile(column, SPREAD_QUANTILE)) if column.size else 1.0 for column in columns
    )


Delays = tuple[int | None, ...]


@dataclass(frozen=True)
class DetectionResult:
    """What a model made of the gate's part of held-out readings.

    Attributes
    ----------
    delays : steps from the beginning of each injected anomaly to its flag, None where there is
        none; by kind, in the order in which they were injected, which is the same for every model.
    n_flags, n_judged : flagged steps without injections, and how many were judged.
    n_incidents, n_weeks : what these flags amount to, in so many weeks of one entity.
    scores : float32 (n_judged,), of these steps.
    mean_error : of their windows, as the detector gives them.
    known : as `delays`, of the known anomalies in held-out readings.
    """

    delays: Mapping[str, Delays]
    n_flags: int
    n_judged: int
    n_incidents: int = 0
    n_weeks: float = 0.0
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    mean_error: float | None = None
    known: Delays = ()

    @property
    def n_injected(self) -> dict[str, int]:
        """Injected anomalies, by kind."""
        return {kind: len(found) for kind, found in self.delays.items()}

    @property
    def all_delays(self) -> Delays:
        """Delays of all kinds, in one order for every model."""
        return tuple(each for kind in sorted(self.delays) for each in self.delays[kind])

    @property
    def false_alarm_share(self) -> float | None:
        """Flagged share of the judged steps; None where nothing was judged."""
        return self.n_flags / self.n_judged if self.n_judged else None

    @property
    def overall(self) -> float | None:
        """Share found of all injected anomalies."""
        return n_found(self.all_delays) / len(self.all_delays) if self.all_delays else None


def n_found(delays: Delays) -> int:
    """How many anomalies were found.

    >>> n_found((0, None, 3))
    2
    """
    return sum(each is not None for each in delays)


def judge(
    spec: ModelSpec,
    detector: Detector,
    held_out: Sequence[HeldOut],
    *,
    n_injected: int,
    seed: int,
    reference: ModelSpec,
    rule: IncidentRule,
) -> DetectionResult:
    """Detection of injected anomalies and false alarms. The same seed injects the same anomalies
    for every model.

    Parameters
    ----------
    reference : the spec that says how large an injected anomaly is, and where one can be found.
    rule : what makes an incident of flags.
    """
    hits: dict[str, list[int | None]] = {kind: [] for kind in KINDS}
    quota = max(1, -(-n_injected // max(1, len(held_out))))
    found = []
    for number, part in enumerate(held_out):
        judged, rng = _Judged(spec, detector, part), np.random.default_rng([seed, number])
        found.append(judged.clean(rule))
        _add_hits(hits, judged, quota, rng, reference)
    return _detection_result({kind: tuple(delays) for kind, delays in hits.items()}, found)


def _detection_result(delays: Mapping[str, Delays], found: Sequence[_Clean]) -> DetectionResult:
    errors = np.concatenate([np.zeros(0, np.float32), *(one.errors for one in found)])
    return DetectionResult(
        delays,
        n_flags=sum(one.n_flags for one in found),
        n_judged=sum(len(one.scores) for one in found),
        n_incidents=sum(one.n_incidents for one in found),
        n_weeks=sum(one.n_weeks for one in found),
        scores=np.concatenate([np.zeros(0, np.float32), *(one.scores for one in found)]),
        mean_error=float(errors.mean(dtype=np.float64)) if errors.size else None,
        known=tuple(delay for one in found for delay in one.known),
    )


@dataclass(frozen=True)
class _Clean:
    """What a model made of one entity's readings as they are: see `DetectionResult`."""

    n_flags: int
    n_incidents: int
    n_weeks: float
    scores: NDArray[np.float32]
    errors: NDArray[np.float32]
    known: Delays


def first_flags(raised: NDArray[np.bool_], known: NDArray[np.bool_], width: int) -> Delays:
    """Steps from the beginning of each run of marks to the first flag in a window that sees it;
    None without one.

    Parameters
    ----------
    raised, known : (n_steps,)

    >>> first_flags(np.array([0, 0, 0, 1, 0, 0], bool), np.array([0, 1, 1, 0, 0, 1], bool), 2)
    (2, None)
    """
    edges = np.diff(np.concatenate(([0], known.astype(np.int8), [0])))
    runs = zip(
        np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True
    )
    return tuple(_first_flag(raised[first : end + width - 1]) for first, end in runs)


def _first_flag(raised: NDArray[np.bool_]) -> int | None:
    return int(raised.argmax()) if raised.any() else None


@dataclass(frozen=True)
class _Flags:
    raised: NDArray[np.bool_]
    known: NDArray[np.bool_]
    scores: NDArray[np.float32]


class _Judged:
    """Flags of one entity's held-out readings, as they are and with anomalies in them."""

    def __init__(self, spec: ModelSpec, detector: Detector, part: HeldOut) -> None:
        self.spec, self.part, self._detector = spec, part, detector
        self._scaler = spec.scaler(part.entity)
        self._features, index = series_windows(
            spec.features, self._scaler, part.values, part.start_s
        )
        self._fold = self._folded() if detector.folds else None
        made = self._reconstructed(self._features, index.ends)
        found = on_steps(spec.features, self._features, index, made)
        self._errors = found.combined(spec, part.entity)
        self._raw = np.where(found.live, found.channel_errors, np.float32(np.nan))

    def _folded(self) -> EntityFold:
        """What a folding detector makes of the readings; anomalies are put into the gate's part of
        them.
        """
        part, at = self.part, int(np.argmax(self.part.gated))
        detector = cast(FoldDetector, self._detector)
        return EntityFold(
            self.spec.features, detector, part.entity, self._features, part.start_s, at
        )

    def _reconstructed(self, features: InputSet, ends: NDArray[np.int64]) -> Reconstruction:
        return (
            self._fold.reconstruction(features, ends)
            if self._fold
            else self._detector.reconstruct(features.inputs[0], ends)
        )

    def clean(self, rule: IncidentRule) -> _Clean:
        """Flags, incidents, scores and errors of the gate's part, and the known anomalies that were
        found.
        """
        part, step_s = self.part, self.spec.features.step_s
        found = self.flags(part.values)
        scored = found.known & part.judged & part.gated
        raised = np.flatnonzero(found.raised & scored)
        spans = incident_spans(
            part.start_s + raised * step_s, found.scores[raised], rule, step_s, self._errors[raised]
        )
        raw = self._raw[scored]
        known = np.zeros(len(scored), bool) if part.known is None else part.known
        delays = first_flags(found.raised, known, self.spec.features.width)
        n_weeks = int(np.count_nonzero(scored)) * step_s / WEEK_S
        return _Clean(
            len(raised), len(spans), n_weeks, found.scores[scored], raw[np.isfinite(raw)], delays
        )

    def flags(self, values: NDArray[np.float64]) -> _Flags:
        """Flags of readings that are the held-out ones but for a few."""
        scores = entity_scores(self.spec, [self.part.entity], self._errors_of(values)[None])
        return _Flags(scores.flags[0], np.isfinite(scores.scores[0]), scores.scores[0])

    def _errors_of(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Only windows with something new in them go through the detector: the errors of the others
        are known.
        """
        features, index = series_windows(
            self.spec.features, self._scaler, values, self.part.start_s
        )
        changed = (features.inputs != self._features.inputs)[0].any(axis=1)
        n_before = np.concatenate(([0], np.cumsum(changed)))
        first = np.maximum(index.ends + 1 - self.spec.features.width, 0)
        # What a folding detector has seen stays with it.
        first = np.zeros_like(first) if self._detector.folds else first
        is_new = n_before[index.ends + 1] > n_before[first]
        errors = np.full(len(values), np.nan, np.float32)
        errors[index.ends] = self._errors[index.ends]
        if not is_new.any():
            return errors
        found = self._reconstructed(features, index.ends[is_new])
        of_it, live = np.zeros(int(is_new.sum()), np.int64), index.live[is_new]
        made, _ = combined_errors(self.spec, [self.part.entity], of_it, found.channel_errors, live)
        errors[index.ends[is_new]] = made
        return errors


def _add_hits(
    hits: dict[str, list[int | None]],
    judged: _Judged,
    quota: int,
    rng: np.random.Generator,
    reference: ModelSpec,
) -> None:
    """Injects in rounds, as many anomalies as fit at once, until the quota is met.

    Found is what raises a flag that the clean readings do not: a model that flags everything finds
    nothing.
    """
    n_done = n_planned = 0
    part, width = judged.part, judged.spec.features.width
    scale, daily = reference.scaler(part.entity).scale, 86400 // reference.features.step_s
    scored = _scored_steps(reference, part, part.values) & part.judged
    strange, raised_before = (
        CONTEXT_FACTOR * _day_to_day(part, daily),
        judged.flags(part.values).raised,
    )
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
            hits[one.kind].append(_first_flag(raised[one.at : one.at + one.length + width - 1]))
        n_done, n_planned = n_done + len(counted), n_planned + len(plan)


def _counts(one: Injection, scored: NDArray[np.bool_], moved: NDArray[np.bool_]) -> bool:
    """Whether an injection can be found: while the machine runs and is read, and goes on running
    with it.

    A contextual one only where days are alike: what moves a channel, most of the time, no further
    than days differ is none.

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
    """How much a channel usually differs from the day before, (n_channels,); 0 where nothing is
    known of it.
    """
    moved = np.abs(part.values[daily_steps:] - part.values[:-daily_steps])[
        part.judged[daily_steps:]
    ]
    known = (column[np.isfinite(column)] for column in moved.T)
    return np.array([np.median(column) if column.size else 0.0 for column in known])


def _scored_steps(
    reference: ModelSpec, part: HeldOut, values: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Steps (n_steps,) that end a complete window."""
    _, windows = series_windows(
        reference.features, reference.scaler(part.entity), values, part.start_s
    )
    ended: NDArray[np.bool_] = np.isin(np.arange(len(values)), windows.ends)
    return ended


def _placed(
    spec: FeatureSpec, part: HeldOut, n: int, n_before: int, rng: np.random.Generator
) -> list[Injection]:
    """A plan inside the gate's part, or inside all of the judged steps where that is too short."""
    channels = [i for i in range(part.values.shape[1]) if np.isfinite(part.values[:, i]).any()]
    for steps in (np.flatnonzero(part.gated), np.flatnonzero(part.judged)):
        if not steps.size:
            continue
        first, n_steps = int(steps[0]), int(steps[-1] - steps[0]) + 1
        try:
            daily = 86400 // spec.step_s
            plan = injection_plan(
                n_steps, channels, n, spec.width, rng=rng, daily_steps=daily, n_before=n_before
            )
        except BadInput:
            continue
        return [replace(one, at=one.at + first) for one in plan]
    return []
