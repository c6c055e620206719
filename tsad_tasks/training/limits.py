"""Limits of a model, from its errors on held-out readings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput
from tsad_tasks.detectors.base import Detector
from tsad_tasks.model.blocks import MIN_BLOCKS, as_seldom, block_steps, gumbel_of
from tsad_tasks.model.budget import (
    AlarmBudget,
    BudgetLimits,
    budget_limits,
    with_raised,
    without_faults,
)
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.spec import FeatureSpec, ModelSpec
from tsad_tasks.model.tails import fit_tails, unit_growth
from tsad_tasks.model.thresholds import (
    MIN_CALIBRATION,
    Calibration,
    ThresholdSettings,
    calibrate,
    stored_limit,
)
from tsad_tasks.model.windows import gather
from tsad_tasks.scoring.columns import channel_errors
from tsad_tasks.scoring.series import series_windows
from tsad_tasks.training.held_out import HeldOut, HeldOutErrors, held_out_errors
from tsad_tasks.training.reader import evenly

SPREAD_QUANTILE = 0.95
MAX_GROWTH_ENTITIES, MAX_GROWTH_WINDOWS = 24, 150
_NO_LIMIT = Calibration(0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0)
_NAN = np.float32(np.nan)


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
    known: Mapping[str, HeldOutErrors] | None = None,
) -> ModelSpec:
    """The whole spec, with limits from errors of held-out readings' calibration part.

    Parameters
    ----------
    combine : {"mean", "top_k", "max"}
        top_k puts errors of channels on the scale of surprise, unless they are on one scale.
    budget : what thresholds of kind evt keep to.
    known : the detector's errors, by entity; None: they are computed.

    Raises
    ------
    BadInput
        When all entities together have too few held-out windows.
    """
    found = known
    if found is None:
        found = held_out_errors(spec, lambda name: scalers.get(name, pooled), detector, held_out)
    pairs = [(part, ~found[part.entity].extreme) for part in held_out]
    held_out = [
        replace(part, judged=part.judged & usable, learned=part.learned & usable)
        for part, usable in pairs
    ]
    spreads = _spreads([found[part.entity].residuals[part.calibrating] for part in held_out], spec)
    model = ModelSpec(spec, scalers, pooled, settings, {}, _NO_LIMIT, spreads, None, combine, top_k)
    if combine == "top_k" and not detector.on_one_scale:
        # What the calibration part says of how surprising an error is; windows that overlap are
        # one cluster.
        of_channels = {}
        for part in held_out:
            errors_of = found[part.entity]
            live = errors_of.live & part.calibrating[:, None]
            of_channels[part.entity] = np.where(live, errors_of.channel_errors, _NAN)
        model = replace(model, tails=fit_tails(of_channels, gap_steps=spec.width))
    model = _with_growth(model, detector, found, held_out)
    errors = {part.entity: found[part.entity].combined(model, part.entity) for part in held_out}
    if settings.kind != "evt":
        return _with_limits(model, errors, held_out)
    if budget is None:
        raise BadInput("Expected an alarm budget for a threshold of kind evt. Received: none.")
    used = {part.entity: np.where(part.calibrating, errors[part.entity], _NAN) for part in held_out}
    steps = {part.entity: int(np.count_nonzero(part.calibrating)) for part in held_out}
    of_budget = budget_limits(used, steps, settings, budget)
    limits = no_higher(of_budget, detector, budget, used)
    if limits != of_budget:
        limits = with_raised(limits, used, steps, budget)
    return replace(
        model,
        calibrations=limits.own,
        pooled_calibration=limits.pooled,
        expected_incidents_per_day=limits.incidents_per_day,
        limit_notes=limits.notes,
    )


def no_higher(
    limits: BudgetLimits,
    detector: Detector,
    budget: AlarmBudget,
    errors: Mapping[str, NDArray[np.float32]],
) -> BudgetLimits:
    """Limits that are at most what a detector's own scale says, where it does; or what held-out
    errors (n_steps,) say of most hours, where that is more.

    Held-out readings with faults in them that nobody has marked would otherwise hide later ones.
    """
    usual = detector.usual_error(budget.aim)
    if usual is None:
        return limits
    seen = usual_highest(without_faults(errors), budget.step_s, budget.aim)
    highest = stored_limit(max(usual, seen or 0.0))

    def capped(one: Calibration) -> Calibration:
        lasting = min(one.collective_limit, highest)
        return replace(one, limit=min(one.limit, highest), collective_limit=lasting)

    own = {name: capped(one) for name, one in limits.own.items()}
    return replace(limits, pooled=capped(limits.pooled), own=own)


def usual_highest(
    errors: Mapping[str, NDArray[np.float32]], step_s: int, per_day: float
) -> float | None:
    """The error that is exceeded so often, by the highest of most six hours of held-out errors, or
    of shorter times where these are few; None: hardly any is known.

    Of the middle and the upper quarter, so that faults in a quarter of them say nothing, and a tail
    that is heavier than a detector's scale does. The fewer days are held out, the higher.

    >>> errors = {"a": np.random.default_rng(7).exponential(1.0, 86400).astype(np.float32)}
    >>> 6 < usual_highest(errors, 60, 4 / math.e) < 9
    True
    """
    n_known = sum(int(np.count_nonzero(np.isfinite(part))) for part in errors.values())
    n_steps = block_steps(n_known, step_s)
    whole = (part[: len(part) // n_steps * n_steps] for part in errors.values())
    joined = np.concatenate([part.reshape(-1, n_steps) for part in whole])
    known = np.isfinite(joined)
    joined = np.where(known, joined, -np.inf)[2 * known.sum(axis=1) >= n_steps]
    if 2 * len(joined) < MIN_BLOCKS:
        return None
    location, width = gumbel_of(joined.max(axis=1).astype(np.float64))
    # Machines share days: so many times were seen, of however many machines.
    n_times = max(len(part) for part in errors.values()) / n_steps
    beyond = math.log(86400 / (n_steps * step_s) / per_day)
    return float(location + width * as_seldom(beyond, n_times))


def _spreads(residuals: Sequence[NDArray[np.float32]], spec: FeatureSpec) -> tuple[float, ...]:
    """Half-width that holds 95 % of the residuals, by channel; 1 where none is known."""
    joined = np.concatenate([np.zeros((0, len(spec.channels)), np.float32), *residuals])
    columns = (column[np.isfinite(column)] for column in np.abs(joined).T)
    return tuple(
        float(np.quantile(column, SPREAD_QUANTILE)) if column.size else 1.0 for column in columns
    )


def _with_growth(
    model: ModelSpec,
    detector: Detector,
    found: Mapping[str, HeldOutErrors],
    held_out: Sequence[HeldOut],
) -> ModelSpec:
    """The model, knowing how much errors of some windows grow while a channel is dead."""
    spec, tails = model.features, model.tails
    if tails is None or detector.folds or len(spec.channels) < 2:
        return model
    windows, units = [np.zeros((0, spec.width, spec.n_inputs), np.float32)], []
    owned = [np.zeros((0, len(spec.channels)), bool)]
    for part in (held_out[i] for i in evenly(np.arange(len(held_out)), MAX_GROWTH_ENTITIES)):
        scaler = model.scaler(part.entity)
        features, _ = series_windows(spec, scaler, part.values, part.start_s)
        is_whole = (found[part.entity].live | ~scaler.fitted).all(axis=1)
        ends = evenly(np.flatnonzero(part.calibrating & is_whole), MAX_GROWTH_WINDOWS)
        windows.append(gather(features.inputs[0], ends, spec.width))
        units.append(np.tile(np.array(tails.unit(part.entity)), (len(ends), 1)))
        owned.append(np.tile(scaler.fitted, (len(ends), 1)))
    every, fitted = np.concatenate(windows), np.concatenate(owned)
    if len(every) < MIN_CALIBRATION:
        return model
    usual = np.where(fitted, _errors_of_windows(spec, detector, every), _NAN)
    masks = (~spec.dead_inputs(i) for i in range(len(spec.channels)))
    dead = [
        np.where(fitted & fitted[:, [i]], _errors_of_windows(spec, detector, every * mask), _NAN)
        for i, mask in enumerate(masks)
    ]
    growth = unit_growth(usual, dead, np.concatenate(units))
    return replace(model, tails=replace(tails, growth=growth))


def _errors_of_windows(
    spec: FeatureSpec, detector: Detector, windows: NDArray[np.float32]
) -> NDArray[np.float32]:
    n, width, n_inputs = windows.shape
    ends = width * np.arange(1, n + 1) - 1
    found = detector.reconstruct(windows.reshape(-1, n_inputs), ends).channel_errors
    return channel_errors(spec, detector, found)


def _with_limits(
    model: ModelSpec, errors: Mapping[str, NDArray[np.float32]], held_out: Sequence[HeldOut]
) -> ModelSpec:
    """Limits of all entities together, and of each that has enough errors of its own."""
    settings = model.threshold
    normal, labels = [np.zeros(0, np.float32)], [np.zeros(0, np.bool_)]
    for part in held_out:
        used, known = part.calibrating, np.zeros(len(part.values), bool)
        if settings.kind == "training":
            used = part.learned
        elif settings.kind == "f1_best" and part.labels is not None:
            known, used = part.labels, used | part.labels
        normal.append(np.where(used, errors[part.entity], _NAN))
        labels.append(known)
    every = np.concatenate(normal), np.concatenate(labels)
    pooled, own = calibrate(every[0], settings=settings, labels=every[1]), {}
    # An entity has a limit of its own where its own errors say enough for one.
    n_needed = 2 * MIN_CALIBRATION
    if settings.kind == "conformal":
        n_needed = max(n_needed, math.ceil(2 / (1 - settings.percentile / 100)))
    for part, its, known in zip(held_out, normal[1:], labels[1:], strict=True):
        finite = np.isfinite(its)
        is_enough = int(finite.sum()) >= n_needed
        is_enough &= settings.kind != "f1_best" or bool((finite & known).any())
        if part.entity in model.scalers and is_enough:
            own[part.entity] = calibrate(its, settings=settings, labels=known)
    return replace(model, calibrations=own, pooled_calibration=pooled)
