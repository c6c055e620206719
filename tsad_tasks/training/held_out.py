"""Held-out readings, and what a detector makes of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.folding.fold import at_ends
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.scoring import InputSet
from tsad_tasks.model.spec import FeatureSpec
from tsad_tasks.model.windows import batches
from tsad_tasks.scoring.columns import of_windows
from tsad_tasks.scoring.fold import SERIES_TOGETHER, Folded, fold_entities
from tsad_tasks.scoring.series import SeriesErrors, on_steps, series_windows

# What lies so far off is no reading of a machine that is well: it is neither learned from nor
# calibrated with.
EXTREME_SPREADS, USUAL_QUANTILE = 50.0, 0.995
# Beside the entities that the gate judges, so long says what is normal of all others together, by
# whole times of six hours: what is strange lasts, and is seen whole or not at all.
MOST_CALIBRATING_S, TIME_S = 420 * 86400, 6 * 3600
TIMES_A_DAY = 86400 // TIME_S


@dataclass(frozen=True)
class HeldOut:
    """Held-out readings of one entity.

    Attributes
    ----------
    values : float64 (n_steps, n_channels); the first `reach` steps are only looked back at.
    start_s : Unix seconds of the first step.
    judged : bool (n_steps,), steps that count: not excluded, and after the reach.
    gated : bool (n_steps,), the part of them that is kept for the gate.
    learned : bool (n_steps,), steps before the split that calibration sees as well, if it must.
    labels : bool (n_steps,), known anomalies, which are not judged; None: nobody asked for them.
    known : the same over all held-out readings, those of the gate's part included.
    scored : bool (n_steps,), where windows end that a detector judges; None: everywhere.
    """

    entity: str
    values: NDArray[np.float64]
    start_s: int
    judged: NDArray[np.bool_]
    gated: NDArray[np.bool_]
    learned: NDArray[np.bool_]
    labels: NDArray[np.bool_] | None = None
    known: NDArray[np.bool_] | None = None
    scored: NDArray[np.bool_] | None = None

    @property
    def calibrating(self) -> NDArray[np.bool_]:
        """bool (n_steps,), steps whose errors say what is normal."""
        return (self.judged & ~self.gated) | self.learned


@dataclass(frozen=True)
class HeldOutErrors(SeriesErrors):
    """Errors of held-out readings, and bool (n_steps,) whether the window holds an extreme one."""

    extreme: NDArray[np.bool_]


def held_out_errors(
    spec: FeatureSpec,
    scaler_of: Callable[[str], Scaler],
    detector: Detector,
    parts: Sequence[HeldOut],
    folds: list[Folded] | None = None,
) -> dict[str, HeldOutErrors]:
    """Errors of each entity's series, by name: those of `series_errors`.

    A fold goes through series of the same steps together: a step costs as much as 40 of them. What
    it made of them is put into `folds`.
    """
    found = dict[str, HeldOutErrors]()
    n_together = max(1, SERIES_TOGETHER // spec.n_columns) if detector.folds else 1
    groups = on_same_steps(parts)
    cut = (same[chunk] for same in groups for chunk in batches(len(same), n_together))
    for alike in cut:
        start_s, n_steps = alike[0].start_s, len(alike[0].values)
        names = [one.entity for one in alike]
        seen = [
            series_windows(spec, scaler_of(one.entity), one.values, start_s, one.scored)
            for one in alike
        ]
        if detector.folds:
            folding, features = cast(FoldDetector, detector), [one for one, _ in seen]
            folded = fold_entities(spec, folding, names, features, start_s)
            if folds is not None:
                folds.append(folded)
        for number, (name, (of_it, index)) in enumerate(zip(names, seen, strict=True)):
            if detector.folds:
                made = at_ends(folded.made, index.ends + number * n_steps)
            else:
                made = detector.reconstruct(of_it.inputs[0], index.ends)
                made = of_windows(spec, detector, made, of_it, index.ends)
            extreme = seen_by_window(is_extreme(of_it, spec.n_columns), spec.width)
            errors = on_steps(spec, scaler_of(name), of_it, index, made)
            found[name] = HeldOutErrors(**vars(errors), extreme=extreme)
    return found


def of_some_times(
    parts: Sequence[HeldOut],
    whole: Container[str],
    step_s: int,
    most_s: float = MOST_CALIBRATING_S,
) -> list[HeldOut]:
    """The parts, those of entities that are not `whole` scored where they calibrate alone, and of a
    fleet at some times only: one in so many that at most about `most_s` seconds are left of these.

    Times differ from machine to machine and from day to day, so that the fleet's, and with enough
    days a machine's, are of all hours. Labelled steps are kept.

    >>> yes = np.ones(240, bool)
    >>> fleet = [HeldOut(name, np.zeros((240, 1)), 0, yes, ~yes, ~yes) for name in "abc"]
    >>> found = of_some_times(fleet, {"a"}, 360, most_s=86400)
    >>> [int(one.calibrating.sum()) for one in found], found[0].scored
    ([240, 120, 120], None)
    """
    others = [part for part in parts if part.entity not in whole]
    their_s = step_s * sum(int(np.count_nonzero(part.calibrating)) for part in others)
    one_in, found = max(1, math.ceil(their_s / most_s)), list(parts)
    chosen_from = (i for i, part in enumerate(parts) if part.entity not in whole)
    # By one each day; where that is a day and a time, it would be the same hours for ever.
    shift = 1 if one_in % (TIMES_A_DAY + 1) else 2
    for number, i in enumerate(chosen_from):
        part = parts[i]
        times = (part.start_s + step_s * np.arange(len(part.values))) // TIME_S
        chosen = (times + shift * (times // TIMES_A_DAY) + number) % one_in == 0
        judged, learned = part.judged & chosen, part.learned & chosen
        scored = (judged & ~part.gated) | learned
        if part.labels is not None:
            scored |= part.labels
        found[i] = replace(part, judged=judged, learned=learned, scored=scored)
    return found


def on_same_steps(parts: Sequence[HeldOut]) -> list[list[HeldOut]]:
    """The parts, those of the same steps together: a fold goes through them as one."""
    groups: dict[tuple[int, int], list[HeldOut]] = {}
    for part in parts:
        groups.setdefault((part.start_s, len(part.values)), []).append(part)
    return list(groups.values())


def is_extreme(features: InputSet, n_columns: int) -> NDArray[np.bool_]:
    """Whether any column of one entity is more than 50 spreads off, (n_steps,).

    What occurs for more than a two-hundredth of the running time is a state of the machine, however
    far off: a limit is never below three times that.
    """
    size = np.abs(features.inputs[0, :, :n_columns])
    running = size[features.running[0] == 0]
    usual = np.quantile(running, USUAL_QUANTILE, axis=0) if len(running) else np.zeros(n_columns)
    return np.asarray((size > np.maximum(EXTREME_SPREADS, 3 * usual)).any(axis=1), np.bool_)


def seen_by_window(marks: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Whether the window that ends at each step holds a mark, (n_steps,).

    >>> seen_by_window(np.array([True, False, False]), 2).tolist()
    [True, True, False]
    """
    n_before = np.concatenate(([0], np.cumsum(marks)))
    ends = np.arange(len(marks))
    return np.asarray(n_before[ends + 1] > n_before[np.maximum(ends - width + 1, 0)], np.bool_)
