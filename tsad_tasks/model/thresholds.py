"""From errors to scores and flags: limits, adaptive thresholds, moving averages, severities.

Sums over a look-back are taken of whole numbers (an error as a multiple of limit / 2^24), so that a
threshold is the same to the bit wherever the series starts. Errors, thresholds and averages are
float32, as they are stored.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from dataclasses import fields as dataclass_fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Arrays, Flags, Floats32, Floats64, Ints
from tsad_tasks.base.errors import BadInput
from tsad_tasks.model.event_rule import RankRule, no_events, ranked_thresholds
from tsad_tasks.model.hysteresis import HysteresisRule, hysteresis_thresholds, no_alarm

MIN_CALIBRATION = 50
# An error counts at most this many limits in a moving average, so that one spike stays a point.
COLLECTIVE_CAP = 2.0
# Calibration errors beyond median + this × (95th − 5th percentile) are taken for anomalies and left
# out, once.
TRIM = 3.0

# Rolling kinds follow the errors before a step; the others are one limit each. A further kind is a
# line in _LIMITS.
ROLLING_KINDS = ("adaptive", "rolling_percentile")
# Folds over all errors since the anchor of a folding detector.
FOLDING_KINDS = {"ranked": RankRule, "hysteresis": HysteresisRule}

LOW_SCORE, MEDIUM_SCORE, HIGH_SCORE = 0.0, 0.5, 1.0

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_SMALLEST_LIMIT = 1e-12

# One entity's state of a folding threshold as JSON has it: arrays without the zeros at their end.
FoldStart = Mapping[str, float | Sequence[float]]


@dataclass(frozen=True)
class ThresholdSettings:
    """How errors become flags, in grid steps; what `config.ThresholdSection` says, on one grid.

    Attributes
    ----------
    kind : one of `KINDS`, fixed: percentile and mean_std of held-out errors; training, a percentile
        of the errors of what was learned from (optimistic: a model knows these readings); f1_best,
        on labelled readings; conformal, a quantile with a finite-sample guarantee; evt, by the
        alarm budget (`model.budget`). Rolling: adaptive (mean and standard deviation) and
        rolling_percentile of the errors just before. Folding: ranked (`model.event_rule`) and
        hysteresis (`model.hysteresis`), from the first error that is given, or from where
        `Calibration.start` says.
    percentile : of errors; used by percentile, rolling_percentile, training and conformal.
    k : standard deviations above the mean; used by mean_std and adaptive.
    look_back_steps : steps before a step that its rolling threshold sees.
    min_count : with fewer usable errors among them the calibrated limit holds.
    floor : share of the limit below which no rolling threshold falls.
    collective_width : steps of the moving average; 0 switches it off.
    collective_k : standard deviations above the mean of the moving averages.
    rule : parameters of a folding kind; what is missing has its default.
    """

    kind: str
    percentile: float
    k: float
    look_back_steps: int
    min_count: int
    floor: float
    collective_width: int
    collective_k: float
    rule: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadInput(f"Expected a threshold of {', '.join(KINDS)}. Received: {self.kind}.")

    @classmethod
    def on_grid(cls, fields: Mapping[str, Any], step_s: int) -> ThresholdSettings:
        """Settings from `config.ThresholdSection`, whose look-back is also a least time.

        >>> fields = {"kind": "adaptive", "percentile": 99.9, "k": 6.0, "look_back": 1000}
        >>> fields |= {"min_span_s": 86400, "min_count": 200, "floor": 0.5}
        >>> fields |= {"collective_width": 15, "collective_k": 6.0}
        >>> ThresholdSettings.on_grid(fields, 60).look_back_steps
        1440
        """
        steps = max(int(fields["look_back"]), math.ceil(fields["min_span_s"] / step_s))
        same = {field.name for field in dataclass_fields(cls)} & set(fields)
        settings = cls(look_back_steps=steps, **{name: fields[name] for name in same})
        return replace(settings, collective_width=0) if settings.kind in FOLDING_KINDS else settings

    @property
    def folding_rule(self) -> RankRule | HysteresisRule:
        """The rule of a folding kind."""
        found = FOLDING_KINDS[self.kind]
        whole = {part.name for part in dataclass_fields(found) if isinstance(part.default, int)}
        made: RankRule | HysteresisRule = found(
            **{name: int(value) if name in whole else value for name, value in self.rule.items()}
        )
        return made

    @property
    def history_steps(self) -> int:
        """How many steps before a step its threshold and moving average see."""
        look_back = self.look_back_steps if self.kind in ROLLING_KINDS else 0
        return max(look_back, self.collective_width - 1)


@dataclass(frozen=True)
class Calibration:
    """What normal errors look like, from held-out readings that the model was not trained on.

    Attributes
    ----------
    mean, std : of the trimmed errors.
    limit : the calibrated threshold, above 0, exact in float32. No error above it enters an
        adaptive look-back.
    collective_mean, collective_std, collective_limit : the same of the moving averages; those of
        the errors themselves when there are no moving averages.
    n_errors : how many errors were left after trimming.
    start : where a folding threshold begins, as numbers and lists by name: what it has seen of the
        errors up to the model's anchor. Empty: nothing.
    """

    mean: float
    std: float
    limit: float
    collective_mean: float
    collective_std: float
    collective_limit: float
    n_errors: int
    start: FoldStart = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """The limits of several entities, to compute their thresholds at once.

    Attributes
    ----------
    limit, collective_limit : float64 (n_entities, 1)
    starts : (n_entities,), where their folding thresholds begin.
    """

    limit: Floats64
    collective_limit: Floats64
    starts: tuple[FoldStart, ...]

    @classmethod
    def of(cls, calibrations: Sequence[Calibration]) -> Limits:
        """The limits of `calibrations`, in their order."""
        pairs = [(each.limit, each.collective_limit) for each in calibrations]
        limit, collective_limit = np.array(pairs, np.float64).reshape(-1, 2, 1).swapaxes(0, 1)
        return cls(limit, collective_limit, tuple(each.start for each in calibrations))


def calibrate(
    errors: Floats32, *, settings: ThresholdSettings, labels: Flags | None = None
) -> Calibration:
    """Limits from errors of normal readings.

    Errors far out (above the median by more than 3 times the range of the middle 90 %) are left out
    once, so that a few anomalies among the readings do not lift the limit; not for conformal, whose
    guarantee counts all, nor for f1_best, which knows them. The collective limit is never so low
    that one error alone, however large, could lift the moving average over it.

    Errors are (..., n_steps) on the grid, NaN where unknown; `labels`, of their shape, say which
    are known anomalies: f1_best needs them, the other kinds leave them out.

    Raises
    ------
    BadInput
        When fewer than 50 errors are finite, labels are needed and missing, or conformal has too
        few errors.

    >>> settings = ThresholdSettings("mean_std", 99.0, 3.0, 1000, 200, 0.5, 0, 3.0)
    >>> calibration = calibrate(np.array([1.0, 3.0] * 50 + [900.0], np.float32), settings=settings)
    >>> calibration.mean, calibration.std, calibration.limit
    (2.0, 1.0, 5.0)
    """
    anomalous = np.zeros(errors.shape, np.bool_) if labels is None else labels
    normal = np.where(anomalous, np.float32(np.nan), errors)
    known = normal[np.isfinite(normal)].astype(np.float64)
    if known.size < MIN_CALIBRATION:
        raise BadInput(
            f"Expected at least {MIN_CALIBRATION} errors to calibrate a threshold. Received: "
            f"{known.size}. Use a longer training range or a larger validation share."
        )
    kept = _trimmed(known)
    mean, std = float(kept.mean()), float(kept.std())
    if settings.kind == "f1_best":
        limit = f1_best_limit(errors, anomalous)
    else:
        limit = _LIMITS[settings.kind](known if settings.kind == "conformal" else kept, settings)
    limit = stored_limit(limit)
    collective = (mean, std, limit)
    averages = _moving_average(normal, limit, settings.collective_width)
    known_averages = averages[np.isfinite(averages)].astype(np.float64)
    if known_averages.size >= MIN_CALIBRATION:
        kept_averages = _trimmed(known_averages)
        center, spread = float(kept_averages.mean()), float(kept_averages.std())
        one_alone = mean + (COLLECTIVE_CAP * limit - mean) / settings.collective_width
        highest = max(center + settings.collective_k * spread, min(one_alone, limit))
        collective = (center, spread, stored_limit(highest))
    return Calibration(mean, std, limit, *collective, n_errors=int(kept.size))


def _mean_std(errors: Floats64, settings: ThresholdSettings) -> float:
    return float(errors.mean() + settings.k * errors.std())


def _percentile(errors: Floats64, settings: ThresholdSettings) -> float:
    return float(np.percentile(errors, settings.percentile))


def conformal_limit(errors: Floats64, settings: ThresholdSettings) -> float:
    """The conformal quantile: an error is above it with probability ≤ 1 − percentile / 100.

    The guarantee is for errors that are exchangeable with the held-out errors (n,), such as those
    of separate machines or days. Errors of neighbouring windows resemble one another: over a long
    time the share above the limit is still about right, but flags come in runs. Source: Vovk,
    Gammerman and Shafer (2005); Lei et al. (2018), equation 3.

    Raises
    ------
    BadInput
        When they are too few for so high a percentile.

    >>> settings = ThresholdSettings("conformal", 80.0, 3.0, 1000, 200, 0.5, 0, 3.0)
    >>> conformal_limit(np.array([1.0, 2.0, 3.0, 4.0]), settings)
    4.0
    """
    # Rounded first, since 5 × 0.8 must be 4 and not a little more.
    rank = math.ceil(round((errors.size + 1) * settings.percentile / 100, 9))
    if rank > errors.size:
        needed = math.ceil(round(settings.percentile / (100 - settings.percentile), 9))
        expected = f"{needed} errors for a conformal threshold at {settings.percentile:g} %"
        raise BadInput(
            f"Expected at least {expected}. Received: {errors.size}. Lower threshold.percentile, "
            "or use a longer training range."
        )
    return float(np.partition(errors, rank - 1)[rank - 1])


def f1_best_limit(errors: Floats32, labels: Flags) -> float:
    """The limit whose flags of single steps agree best with labels (F1); of several the highest.

    Halfway between the lowest error that is flagged and the highest one that is not.

    Raises
    ------
    BadInput
        When no labelled step has an error.

    Source: document A.

    >>> f1_best_limit(np.array([1, 2, 3, 8], np.float32), np.array([False, False, False, True]))
    5.5
    """
    known = np.isfinite(errors)
    order = np.argsort(-errors[known], kind="stable")
    descending, is_label = errors[known][order].astype(np.float64), labels[known][order]
    if not is_label.any():
        raise BadInput(
            "Expected labelled anomalies among the validation readings. Received: none. "
            "Name the label column in source.label, give labels, or choose another threshold.kind."
        )
    n_hits = np.cumsum(is_label)
    f1 = 2 * n_hits / (np.arange(1, descending.size + 1) + int(is_label.sum()))
    # Equal errors are flagged together or not at all.
    f1[:-1][descending[:-1] == descending[1:]] = -1.0
    best = int(np.argmax(f1))
    below = descending[best + 1] if best + 1 < descending.size else 0.0
    return float((descending[best] + below) / 2)


def _rule_limit(_errors: Floats64, settings: ThresholdSettings) -> float:
    return settings.folding_rule.limit


_LIMITS = {
    "percentile": _percentile,
    "rolling_percentile": _percentile,
    "mean_std": _mean_std,
    "adaptive": _mean_std,
    "training": _percentile,
    "conformal": conformal_limit,
    "evt": _percentile,
    "ranked": _rule_limit,
    "hysteresis": _rule_limit,
}
KINDS = (*_LIMITS, "f1_best")


def _trimmed(errors: Floats64) -> Floats64:
    p5, median, p95 = np.percentile(errors, [5, 50, 95]).tolist()
    return errors[errors <= median + TRIM * (p95 - p5)] if p95 > p5 else errors


def stored_limit(limit: float) -> float:
    """The limit as it is stored: above 0, and exact in float32.

    >>> stored_limit(0.0), stored_limit(0.5)
    (9.999999960041972e-13, 0.5)
    """
    return float(np.float32(max(float(limit), _SMALLEST_LIMIT)))


def threshold_series(
    errors: Floats32,
    calibration: Calibration | Limits,
    settings: ThresholdSettings,
    first_step: int = 0,
) -> Floats32:
    """The threshold of each step from `first_step` on, (..., n_steps - first_step).

    Fixed kinds: the calibrated limit. Adaptive: mean + k standard deviations of the errors (...,
    n_steps) at the `look_back_steps` steps before the step, between `floor` × limit and the limit;
    rolling_percentile: their percentile, the lowest error that so many are not above, in the same
    bounds. Unknown errors (NaN) and errors above the limit do not count; with fewer than
    `min_count` others the limit holds. No error above the limit thus ever goes unflagged, however
    long a fault lasts: adapting only makes quiet times more sensitive. History: `look_back_steps`.

    >>> settings = ThresholdSettings("adaptive", 99.9, 1.0, 2, 2, 0.1, 0, 6.0)
    >>> calibration = Calibration(1.0, 1.0, 8.0, 1.0, 1.0, 8.0, 99)
    >>> threshold_series(np.array([2, 4, 9, 9], np.float32), calibration, settings).tolist()
    [8.0, 8.0, 4.0, 8.0]
    """
    limit = calibration.limit
    if settings.kind in FOLDING_KINDS:
        starts = calibration.starts if isinstance(calibration, Limits) else (calibration.start,)
        return _folded(errors, starts, settings)[1][..., first_step:]
    if settings.kind == "rolling_percentile":
        return _rolling_percentiles(errors, np.asarray(limit, np.float32), settings, first_step)
    if settings.kind != "adaptive":
        return np.full((*errors.shape[:-1], errors.shape[-1] - first_step), limit, np.float32)
    # Binary places of an error in [0, limit] such that all their squares together fit into 62
    # bits; 24 up to 16,384.
    bits = min(24, (62 - max(settings.look_back_steps, 1).bit_length()) // 2)
    with np.errstate(invalid="ignore"):
        usable = errors <= np.asarray(limit, np.float32)
        used = np.where(usable, errors, np.float32(0)).astype(np.float64)
        units = np.rint(used * (2.0**bits / limit)).astype(np.int64)
    count = _sum_before(usable, settings.look_back_steps, first_step)
    n = np.maximum(count, 1).astype(np.float64)
    mean = _sum_before(units, settings.look_back_steps, first_step) / n
    square = _sum_before(units * units, settings.look_back_steps, first_step) / n
    shares = (mean + settings.k * np.sqrt(np.maximum(square - mean * mean, 0.0))) * 2.0**-bits
    shares = np.where(count < settings.min_count, 1.0, np.clip(shares, settings.floor, 1.0))
    return np.maximum(limit * shares, _SMALLEST_LIMIT).astype(np.float32)


def starts_after(
    errors: Floats32, starts: Sequence[FoldStart], settings: ThresholdSettings
) -> list[FoldStart]:
    """Where folding thresholds begun at `starts` are after errors (n_entities, n_steps).

    >>> rule = {"event_gap": 2}
    >>> settings = ThresholdSettings("ranked", 99.9, 6.0, 1000, 200, 0.5, 0, 6.0, rule)
    >>> (start,) = starts_after(np.array([[9, 0, 0, 8]], np.float32), [{}], settings)
    >>> start
    {'peak': 8.0, 'since': 0, 'peaks': [9.0], 'n_peaks': 1}
    >>> starts_after(np.zeros((1, 2), np.float32), [start], settings)[0]["peaks"]
    [9.0, 8.0]
    """
    state, _ = _folded(errors, starts, settings)
    # Arrays without the zeros at their end, and numbers.
    return [
        {
            name: np.trim_zeros(array[i], "b").tolist() if array.ndim > 1 else array[i].item()
            for name, array in state.items()
        }
        for i in range(len(errors))
    ]


def _folded(
    errors: Floats32, starts: Sequence[FoldStart], settings: ThresholdSettings
) -> tuple[Arrays, Floats32]:
    """State after errors (..., n_steps), and thresholds; one start is that of all."""
    rule, rows = settings.folding_rule, errors.reshape(-1, errors.shape[-1])
    each = starts if len(starts) == len(rows) else [starts[0]] * len(rows)
    if isinstance(rule, RankRule):
        after, found = ranked_thresholds(_begun(no_events(len(rows), rule), each), rows, rule)
    else:
        after, found = hysteresis_thresholds(_begun(no_alarm(len(rows), rule), each), rows, rule)
    return after, found.reshape(errors.shape)


def _begun(state: Arrays, starts: Sequence[FoldStart]) -> Arrays:
    """An empty state with what `starts` know."""
    for i, start in enumerate(starts):
        for name, value in start.items():
            if state[name].ndim == 1:
                state[name][i] = value
            else:
                found = np.asarray(value, state[name].dtype)
                state[name][i, : len(found)] = found
    return state


def _rolling_percentiles(
    errors: Floats32, limit: Floats32, settings: ThresholdSettings, first_step: int
) -> Floats32:
    """Order statistics of errors that occurred, so nothing is rounded."""
    n_steps, width = errors.shape[-1], settings.look_back_steps
    rows = errors.reshape(-1, n_steps)
    limits = np.broadcast_to(limit, (*errors.shape[:-1], 1)).reshape(-1).tolist()
    found = np.empty((len(rows), n_steps - first_step), np.float32)
    for row, of_row, top in zip(rows.tolist(), found, limits, strict=True):
        lowest = max(settings.floor * top, _SMALLEST_LIMIT)
        before = row[max(first_step - width, 0) : first_step]
        window = sorted(error for error in before if error <= top)
        for step in range(first_step, n_steps):
            rank = math.ceil(round(len(window) * settings.percentile / 100, 9))
            enough = len(window) >= max(settings.min_count, 1)
            of_row[step - first_step] = max(window[rank - 1], lowest) if enough else top
            if row[step] <= top:
                insort(window, row[step])
            if step >= width and row[step - width] <= top:
                del window[bisect_left(window, row[step - width])]
    return found.reshape(*errors.shape[:-1], n_steps - first_step)


def _sum_before(counts: NDArray[Any], n_before: int, first_step: int = 0) -> Ints:
    """Sums of the `n_before` numbers before each step; exact, as wrapping differences are."""
    n_steps = counts.shape[-1]
    sums = np.zeros((*counts.shape[:-1], n_steps + 1), np.int64)
    np.cumsum(counts, axis=-1, dtype=np.int64, out=sums[..., 1:])
    before = sums[..., first_step:-1].copy()
    n_whole = max(n_before - first_step, 0)
    before[..., n_whole:] -= sums[..., max(first_step - n_before, 0) : max(n_steps - n_before, 0)]
    return before


def collective_series(
    errors: Floats32, calibration: Calibration | Limits, settings: ThresholdSettings
) -> Floats32:
    """The mean of the last `collective_width` errors (..., n_steps), each at most twice the limit.

    NaN where one of them is unknown, and everywhere when `collective_width` is 0. History:
    `collective_width - 1`.

    >>> settings = ThresholdSettings("mean_std", 99.9, 6.0, 1000, 200, 0.5, 2, 6.0)
    >>> calibration = Calibration(1.0, 1.0, 8.0, 1.0, 1.0, 4.0, 99)
    >>> collective_series(np.array([2, 4, 900], np.float32), calibration, settings).tolist()
    [nan, 3.0, 10.0]
    """
    return _moving_average(errors, calibration.limit, settings.collective_width)


def lasting_errors(errors: Floats32, moving_average: Floats32) -> Floats32:
    """The lower of error and moving average, which the collective limit is for; NaN: unknown.

    The average says that it lasted, the error that it is still so: the average alone would flag
    normal readings for a while after a spike.

    >>> lasting_errors(np.array([1, 9], np.float32), np.array([4, 4], np.float32)).tolist()
    [1.0, 4.0]
    """
    return np.minimum(moving_average, errors)


def _moving_average(errors: Floats32, limit: float | Floats64, width: int) -> Floats32:
    if width == 0:
        return np.full(errors.shape, np.nan, np.float32)
    known = np.isfinite(errors)
    shares = np.where(known, errors, np.float32(0)).astype(np.float64) / limit
    capped = np.minimum(shares, COLLECTIVE_CAP)
    count = _sum_before(known, width - 1) + known
    units = np.rint(capped * 2.0**40).astype(np.int64)
    average = (_sum_before(units, width - 1) + units) * (limit / (width * 2.0**40))
    return np.where(count == width, average, np.nan).astype(np.float32)


def flag(scores: Floats32, threshold: float = 0.0) -> Flags:
    """Whether a score is over the threshold; unknown is not. No other place compares scores.

    >>> flag(np.array([0.0, 0.1, np.nan], np.float32)).tolist()
    [False, True, False]
    """
    return np.asarray(scores, np.float32) > np.float32(threshold)


def severities(scores: Floats32) -> NDArray[np.int8]:
    """0 no anomaly, 1 LOW above 0, 2 MEDIUM above 0.5, 3 HIGH above 1; unknown is 0.

    Source: document D.

    >>> severities(np.array([0.0, 0.2, 0.7, 3.0, np.nan], np.float32)).tolist()
    [0, 1, 2, 3, 0]
    """
    levels = (LOW_SCORE, MEDIUM_SCORE, HIGH_SCORE)
    over = (flag(scores, level).astype(np.int8) for level in levels)
    return sum(over, np.zeros(np.shape(scores), np.int8))


def anomaly_scores(errors: Floats32, thresholds: Floats32) -> Floats32:
    """(error − threshold) / threshold, above 0 where error > threshold; NaN where not finite.

    Errors and thresholds (above 0) as stored, in float32. Source: document D.

    >>> anomaly_scores(np.array([1, 3, np.nan], np.float32), np.full(3, 2, np.float32)).tolist()
    [-0.5, 0.5, nan]
    """
    wide = np.asarray(thresholds, np.float32).astype(np.float64)
    with np.errstate(invalid="ignore"):
        excess = np.asarray(errors, np.float32).astype(np.float64) - wide
        scores = np.minimum(excess / wide, _FLOAT32_MAX)
    return np.where(np.isfinite(errors), scores, np.nan).astype(np.float32)


def combined_scores(
    errors: Floats32,
    thresholds: Floats32,
    moving_average: Floats32,
    collective_limit: float | Floats64,
) -> tuple[Floats32, Flags]:
    """The higher of point and collective score, and where the collective one decided a flag.

    Errors, thresholds and moving averages are (..., n_steps) as stored, in float32, as is what
    comes back. For the collective score `lasting_errors` are compared with the limit; an unknown
    moving average leaves the point score. NaN where the error is not finite.

    >>> errors, average = np.array([3, 3, 9], np.float32), np.array([np.nan, 3, 4], np.float32)
    >>> found = combined_scores(errors, np.full(3, 4, np.float32), average, 2.0)
    >>> tuple(part.tolist() for part in found)
    ([-0.25, 0.5, 1.25], [False, True, False])
    """
    point = anomaly_scores(errors, thresholds)
    lasting = lasting_errors(errors, moving_average)
    sustained = anomaly_scores(lasting, np.full(lasting.shape, collective_limit, np.float32))
    scores = np.fmax(point, np.where(np.isfinite(errors), sustained, np.float32(np.nan)))
    return scores, flag(scores) & flag(sustained - point)
