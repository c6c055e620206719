"""Limits of a model, from its errors on held-out readings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput
from tsad_tasks.detectors.base import Detector
from tsad_tasks.model.blocks import BLOCK_S, HIGH, MIN_BLOCKS, as_seldom, block_steps, gumbel_of
from tsad_tasks.model.budget import (
    MOST_RISE,
    AlarmBudget,
    BudgetLimits,
    budget_limits,
    named,
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
# So many machines are a fleet: what many of them raise is how they are, and their limit rises to so
# many times what the detector's scale and most hours say, and to twice that scale, which has seen
# nothing that was held out. A moving average's is so much of it at
# least: what is rare, long and healthy was left out as a fault, and says nothing of how long.
FLEET, MOST_FLEET_RISE, LEAST_LASTING = 20, 1.4, 0.6
# A machine's own level weighs as much as the fleet's where so many times six hours are known of it.
LEVEL_BLOCKS = 14
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
    limits = limits_in_budget(used, steps, settings, detector, budget)
    return replace(
        model,
        calibrations=limits.own,
        pooled_calibration=limits.pooled,
        expected_incidents_per_day=limits.incidents_per_day,
        limit_notes=limits.notes,
    )


def limits_in_budget(
    errors: Mapping[str, NDArray[np.float32]],
    steps: Mapping[str, int],
    settings: ThresholdSettings,
    detector: Detector,
    budget: AlarmBudget,
) -> BudgetLimits:
    """Limits by `budget_limits`, no higher than a detector's own scale says, where it does.

    Of a fleet each machine's errors then count as so many of its own level.
    """
    levels: Mapping[str, float] = {}
    if detector.usual_error(budget.aim) is not None and len(errors) >= FLEET:
        levels = machine_levels(without_faults(errors), budget.step_s)
    alike = {name: part / np.float32(levels.get(name, 1.0)) for name, part in errors.items()}
    of_budget = budget_limits(alike, steps, settings, budget)
    limits = at_levels(no_higher(of_budget, detector, budget, alike), levels)
    return limits if limits == of_budget else with_raised(limits, errors, steps, budget)


def machine_levels(errors: Mapping[str, NDArray[np.float32]], step_s: int) -> dict[str, float]:
    """How many times the fleet's the limits of machines are that err more than others, by name.

    By the upper quarter of the highest of six hours, so that faults in less of them say little;
    shrunk to the fleet's where few are known, at most twice that, and never less.

    >>> calm, loud = np.tile(np.arange(6, dtype=np.float32), 28), np.full(168, 15, np.float32)
    >>> machine_levels({"a": calm, "b": calm, "c": calm, "d": calm, "e": loud}, 3600)
    {'e': 2.0}
    >>> machine_levels({"a": calm, "b": calm, "c": calm, "d": calm, "e": calm * 1.3}, 3600)
    {'e': 1.2}
    """
    n_steps = max(1, BLOCK_S // step_s)
    highest = {name: _highest(part, n_steps) for name, part in errors.items()}
    every = np.concatenate(list(highest.values()))
    usual = float(np.quantile(every, HIGH)) if every.size else 0.0
    if usual <= 0:
        return {}
    found = {}
    for name, own in highest.items():
        if own.size:
            times = float(np.quantile(own, HIGH)) / usual
            level = 1 + own.size / (own.size + LEVEL_BLOCKS) * (times - 1)
            found[name] = float(f"{min(level, MOST_RISE):.4g}")
    return {name: level for name, level in found.items() if level > 1}


def at_levels(limits: BudgetLimits, levels: Mapping[str, float]) -> BudgetLimits:
    """Limits of errors as they are, of limits for errors that were divided by machines' levels."""
    if not levels:
        return limits

    highest, longest = (
        MOST_RISE * one for one in (limits.pooled.limit, limits.pooled.collective_limit)
    )

    def raised(one: Calibration, level: float) -> Calibration:
        lasting = stored_limit(min(level * one.collective_limit, longest))
        return replace(
            one, limit=stored_limit(min(level * one.limit, highest)), collective_limit=lasting
        )

    own = {name: limits.own.get(name, limits.pooled) for name in {**limits.own, **levels}}
    own = {name: raised(one, levels.get(name, 1.0)) for name, one in sorted(own.items())}
    most = sorted(levels, key=lambda name: (-levels[name], name))
    said = f"{levels[most[0]]:.3g} times the fleet's at most, {MOST_RISE:g} are allowed"
    why = f"Limits of {named(most)} are higher, as the highest errors of their hours are: {said}."
    return replace(limits, own=own, notes=(*limits.notes, why))


def no_higher(
    limits: BudgetLimits,
    detector: Detector,
    budget: AlarmBudget,
    errors: Mapping[str, NDArray[np.float32]],
) -> BudgetLimits:
    """Limits that are at most what a detector's own scale says, where it does; or what held-out
    errors (n_steps,) say of most hours, where that is more; of a fleet two fifths more, up to twice
    that scale, which the notes say.

    Held-out readings with faults in them that nobody has marked would otherwise hide later ones.
    """
    usual = detector.usual_error(budget.aim)
    if usual is None:
        return limits
    seen = usual_highest(without_faults(errors), budget.step_s, budget.aim)
    rise, least = (MOST_FLEET_RISE, LEAST_LASTING) if len(errors) >= FLEET else (1.0, 0.0)
    bound = max(usual, seen or 0.0)
    most = MOST_RISE * usual if len(errors) >= FLEET else math.inf
    highest = stored_limit(min(rise * bound, most))

    def capped(one: Calibration) -> Calibration:
        limit = min(one.limit, highest)
        lasting = max(min(one.collective_limit, highest), stored_limit(least * limit))
        return replace(one, limit=limit, collective_limit=lasting)

    own, notes = {name: capped(one) for name, one in limits.own.items()}, limits.notes
    wanted = limits.pooled.limit
    if rise > 1 and wanted > min(bound, highest):
        said = f"{min(wanted, highest) / usual:.3g} times the detector's own scale"
        notes += (
            f"The fleet's limit is {said}, {MOST_RISE:g} at most, as {len(errors)} machines raise "
            f"more: held-out readings alone would make it {wanted:.3g}.",
        )
    return replace(limits, pooled=capped(limits.pooled), own=own, notes=notes)


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
    highest = np.concatenate([_highest(part, n_steps) for part in errors.values()])
    if 2 * len(highest) < MIN_BLOCKS:
        return None
    location, width = gumbel_of(highest)
    # Machines share days: so many times were seen, of however many machines.
    n_times = max(len(part) for part in errors.values()) / n_steps
    beyond = math.log(86400 / (n_steps * step_s) / per_day)
    return float(location + width * as_seldom(beyond, n_times))


def _highest(errors: NDArray[np.float32], n_steps: int) -> NDArray[np.float64]:
    """The highest of each so many steps of errors (n_steps,) of which half are known."""
    blocks = errors[: len(errors) // n_steps * n_steps].reshape(-1, n_steps)
    known = np.isfinite(blocks)
    mostly = 2 * known.sum(axis=1) >= n_steps
    return np.asarray(np.where(known, blocks, -np.inf)[mostly].max(axis=1), np.float64)


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
