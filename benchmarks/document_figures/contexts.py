"""Document D with the time of day: as an input of the autoencoder, and as a profile; and several
detectors as one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from document_figures.figures import Say, Sizes
from document_figures.fitting import (
    STEP_S,
    Errors,
    Judgement,
    budget_of,
    fit_clean,
    fixed_limit,
    held_out_from,
    judge,
    window_labels,
)
from document_figures.loads import PRESET, WIDTH, Load, made, usual
from tsad_tasks.detectors.folding.fold import Series
from tsad_tasks.detectors.registry import build_detector
from tsad_tasks.model.evaluation import AlertSchedule, event_report
from tsad_tasks.model.features import cyclic_time, fit_scaler
from tsad_tasks.model.thresholds import flag

UTC_ZONE = ZoneInfo("UTC")
FOLDS = ("seasonal_profile", "three_sigma", "level", "variance_change", "event_head")
SIGMAS = 3.0


def with_hour(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """Peaks at night: the plain autoencoder, one that sees the hour, and profiles that judge by
    it.
    """
    series = made(sizes, seed)
    found = _named(series, usual(sizes, seed).errors(series.values), "plain_", WIDTH)
    hour = cyclic_time(series.plant.times_s, UTC_ZONE, ["hour"])
    budget, scaling = budget_of(PRESET, sizes), PRESET.features.scaling
    model = fit_clean(
        PRESET.detector.name,
        series.clean,
        width=WIDTH,
        budget=budget,
        seed=seed,
        scaling=scaling,
        context=hour[: series.n_clean],
    )
    say(f"with the hour as input: {model.history.seconds:.0f} s")
    found |= _named(series, model.errors(series.values, hour), "hour_", WIDTH)
    for name in FOLDS[:1] if sizes.is_small else FOLDS:
        found |= _named(series, _folded(series, name, seed), f"{name}_", 1)
        say(name)
    return found


def ensemble(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """LSTM, dense autoencoder and isolation forest on one calibrated scale, against each alone."""
    series = made(sizes, seed)
    names = ("lstm_autoencoder", "dense_autoencoder", "isolation_forest")
    budget = replace(budget_of(PRESET, sizes), epochs=max(1, budget_of(PRESET, sizes).epochs // 2))
    model = fit_clean(
        "ensemble",
        series.clean,
        width=WIDTH,
        budget=budget,
        seed=seed,
        scaling=PRESET.features.scaling,
        params={"members": [{"name": name} for name in names]},
    )
    say(f"{model.history.seconds:.0f} s")
    return _named(series, model.errors(series.values), "", WIDTH)


def _folded(series: Load, name: str, seed: int) -> Errors:
    """Errors of a detector with a state, which learns from the first nine tenths of the clean
    steps; NaN there.
    """
    values = fit_scaler(series.clean, "robust").transform(series.values).astype(np.float64)
    first = held_out_from(series.n_clean)
    detector: Any = build_detector(name, width=WIDTH, n_channels=1, n_inputs=1)
    times_s, entities = series.plant.times_s, list(series.plant.entities)
    detector.fit_series(entities, Series(values[None, :first], times_s[:first], STEP_S), seed=seed)
    followed = Series(values[None, first:], times_s[first:], STEP_S)
    later = detector.advance(detector.start(entities), followed)[1].channel_errors
    return np.concatenate([np.full(first, np.nan, np.float32), later[0, :, 0]])


def _named(series: Load, errors: Errors, prefix: str, width: int) -> dict[str, float]:
    """Figures by window of `width`, and the share of each kind of anomaly that is found and
    flagged.
    """
    limit = fixed_limit(errors[series.held_out(WIDTH)], SIGMAS)
    labels = window_labels(series.labels, width)
    found: Judgement = judge(labels[series.test], errors[series.test], limit)
    nightly = series.of_kind("contextual")
    flags = flag(errors, limit)
    inside = float(flags[nightly].mean()) if nightly.any() else float("nan")
    events = event_report(nightly, flags, schedule=AlertSchedule(STEP_S, STEP_S)).recall
    return found.named(prefix) | {
        f"{prefix}nightly_steps": inside,
        f"{prefix}nightly_events": events,
    }
