"""A small evaluation and a small exploration, made from a few numbers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from tsad_tasks.model.evaluation import (
    AlertSchedule,
    Judged,
    classification_report,
    detection,
    pr_curve,
    reliability,
    roc_curve,
)
from tsad_tasks.model.periods import autocorrelation
from tsad_tasks.reporting.drawing.series import ChannelSeries, ScoreSeries
from tsad_tasks.reporting.evaluation.content import (
    EvaluatedModel,
    EvaluationContent,
    Example,
    OtherThreshold,
    PartResult,
)
from tsad_tasks.reporting.exploration.content import (
    ChannelPreview,
    ChannelView,
    ExcludedRange,
    ExplorationContent,
    KeySeries,
    LabelRange,
    TrainingPreview,
)
from tsad_tasks.reporting.exploration.statistics import (
    channel_summary,
    correlations,
    histogram,
    missing_shares,
)

START_AT = datetime(2026, 3, 2, tzinfo=UTC)
N = 600
EDGES = np.linspace(-3, 3, 61)


def part(name: str, *, n_events: int = 6, seed: int = 7) -> PartResult:
    """A part with events of ten steps, most of them found, and a false alarm or two."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(N, bool)
    for event in range(n_events):
        labels[60 + 80 * event : 70 + 80 * event] = True
    scores = rng.normal(-0.6, 0.2, N) + 2.0 * labels
    figures = detection(
        [Judged(labels, scores, scores > 0)], schedule=AlertSchedule(60), max_buffer_steps=10
    )
    ratios = np.log10(np.maximum(1 + scores, 1e-3))
    return PartResult(
        name,
        START_AT,
        START_AT + timedelta(hours=10),
        figures,
        classification_report(figures.steps),
        roc_curve(labels, scores),
        pr_curve(labels, scores),
        histogram(ratios[~labels], edges=EDGES),
        histogram(ratios[labels], edges=EDGES),
        (("point", 2, n_events),) * bool(n_events),
        (OtherThreshold(1.0, 5, n_events, 0.5, 0.9, 0.8),),
    )


def example() -> Example:
    """A sine with a step in it."""
    times = (np.datetime64("2026-03-02") + np.arange(120).astype("timedelta64[m]")).astype(
        "datetime64[s]"
    )
    wave = np.sin(np.arange(120) / 9)
    values = wave + np.where(np.arange(120) // 10 == 6, 4.0, 0.0)
    errors = np.abs(values - wave).astype(np.float32)
    channel = ChannelSeries("pressure", "bar", times, values, wave, wave - 0.3, wave + 0.3)
    scores = ScoreSeries(times, errors, np.full(120, 1.0, np.float32), errors > 1)
    known = ((START_AT + timedelta(minutes=60), START_AT + timedelta(minutes=70)),)
    return Example(
        "Found, the clearest: point · P-07 · highest error 4 times its threshold",
        "P-07",
        channel,
        scores,
        known,
    )


def evaluation(**changes: Any) -> EvaluationContent:
    """A whole report."""
    model = EvaluatedModel(
        "pumps v3",
        "v3",
        "lstm_autoencoder",
        62529,
        3,
        10,
        7,
        "ab" * 32,
        "Mean + 6 σ of held-out errors.",
        1000,
        0.5,
        (0.5, 0.2, 0.1),
        (0.4, 0.15, 0.16),
        "patience",
        61.0,
    )
    rng = np.random.default_rng(3)
    stated = rng.uniform(size=900)
    fields: dict[str, Any] = {
        "dataset": "pumps",
        "description": "Three pumps",
        "zone": "Europe/Berlin",
        "generated_at": START_AT,
        "model": model,
        "start_at": START_AT,
        "end_at": START_AT + timedelta(days=3),
        "evidence": "labels",
        "n_entities": 3,
        "n_all_entities": 300,
        "step_s": 60,
        "alert_wait": "runs every 1 h",
        "parts": (part("training"), part("validation", seed=8), part("test", seed=9)),
        "examples": (example(),),
        "reliability": reliability(rng.uniform(size=900) < stated, stated),
        "preview": preview(),
    }
    return EvaluationContent(**fields | changes)


def preview() -> TrainingPreview:
    """A training of one channel with one exclusion."""
    first, second = np.random.default_rng(1).normal(size=(2, 500))
    shown = histogram(first)
    channel = ChannelPreview(
        "pressure",
        "bar",
        shown,
        histogram(second, edges=shown.edges),
        0.06,
        2,
        0.0,
        9.5,
        "P-07",
        START_AT,
    )
    out = ExcludedRange("P-07", START_AT, START_AT + timedelta(hours=1), "label: leak", 60)
    days = [START_AT + timedelta(days=n) for n in (0, 2, 3, 4)]
    return TrainingPreview(
        *days, 1000, 2000, 10, (out,), 0.02, (("P-07", 40.0), ("P-08", 47.0)), 2, 48.0, (channel,)
    )


def exploration(**changes: Any) -> ExplorationContent:
    """Two channels that move together, one of them with a gap, and a label."""
    steps = np.arange(2880)
    wave = np.sin(steps * 2 * np.pi / 288)
    values = np.column_stack([wave, 2 * wave + np.random.default_rng(5).normal(size=2880) * 0.1])
    values[1000:1400, 1] = np.nan
    names, units = ("speed", "current"), ("rpm", "A")
    views = tuple(
        ChannelView(
            name,
            unit,
            channel_summary(column),
            histogram(column),
            histogram(column[:90]),
            autocorrelation(column, 1000),
            300.0,
            86400.0,
        )
        for name, unit, column in zip(names, units, values.T, strict=True)
    )
    times = (np.datetime64("2026-03-02") + steps * np.timedelta64(300, "s")).astype("datetime64[s]")
    label = LabelRange(
        "P-07", START_AT + timedelta(hours=5), START_AT + timedelta(hours=6), "bearing_wear"
    )
    fields: dict[str, Any] = {
        "dataset": "pumps",
        "description": "Three pumps",
        "zone": "UTC",
        "generated_at": START_AT,
        "start_at": START_AT,
        "end_at": START_AT + timedelta(days=10),
        "step_s": 300,
        "entities": ("P-07",),
        "n_all_entities": 300,
        "from_source": False,
        "channels": views,
        "correlations": correlations(values),
        "days": tuple(date(2026, 3, 2 + day) for day in range(10)),
        "missing": missing_shares(values[None], steps // 288, np.ones((1, values.shape[1]), bool)),
        "labels": (label,),
        "labelled_share": np.array([0.04] + [0.0] * 9),
        "n_anomalies": np.arange(10.0),
        "series": (KeySeries("P-07", "speed", "rpm", times, values[:, 0]),),
        "preview": None,
    }
    return ExplorationContent(**fields | changes)
