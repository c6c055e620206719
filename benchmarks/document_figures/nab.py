"""Documents C and E: autoencoders on files of the Numenta Anomaly Benchmark, or on a stand-in where
there are none.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from simulators.simulate_documents import anomalous_steps, server_metrics

from document_figures.best_threshold import best_f1_threshold
from document_figures.figures import Say, Sizes
from document_figures.fitting import (
    Bools,
    Errors,
    Fitted,
    Values,
    budget_of,
    fit_clean,
    held_out_from,
    judge,
    preset,
    settings,
    window_labels,
)
from tsad_tasks.detectors.registry import load_detector
from tsad_tasks.model.evaluation import (
    classification_report,
    confusion,
    roc_curve,
)
from tsad_tasks.model.thresholds import calibrate, flag, threshold_series

AMBIENT = "realKnownCause/ambient_temperature_system_failure.csv"
# E names no file: in these a model can be trained on the first 45 % without meeting a label.
FILES = (
    "artificialWithAnomaly/art_daily_jumpsdown.csv",
    "artificialWithAnomaly/art_daily_nojump.csv",
    "artificialWithAnomaly/art_load_balancer_spikes.csv",
    "realAWSCloudwatch/rds_cpu_utilization_cc0c53.csv",
    "realKnownCause/ec2_request_latency_system_failure.csv",
    "realKnownCause/nyc_taxi.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_ac20cd.csv",
    "realTraffic/occupancy_t4013.csv",
)
START_AT = datetime(2024, 1, 1, tzinfo=UTC)
C_PRESET, E_PRESET = preset("document_c"), preset("document_e")
PERCENTILES = (95, 98, 99, 99.5)
CLEAN_SHARE = 0.4
E_CLEAN_SHARE = 0.45
WHOLE_EPOCHS = 15


@dataclass(frozen=True)
class Series:
    """One metric with labelled steps; `is_real` where it is a file of NAB."""

    values: Values
    labels: Bools
    step_s: int
    is_real: bool


def series_of(name: str, n_steps: int, step_s: int, seed: int) -> Series:
    """A file of NAB below TSAD_BENCH_DATA, or a load of our own making with as many steps."""
    folder = Path(os.environ.get("TSAD_BENCH_DATA", "")) / "nab"
    if os.environ.get("TSAD_BENCH_DATA") and (folder / "data" / name).is_file():
        return _read(folder, name, step_s)
    plant = server_metrics(
        start_at=START_AT,
        seed=seed,
        n_steps=n_steps,
        clean_steps=n_steps // 2,
        anomaly_share=0.1,
        step_s=step_s,
    )
    return Series(np.asarray(plant.values[0]), anomalous_steps(plant)[0], step_s, False)


def _read(folder: Path, name: str, step_s: int) -> Series:
    with (folder / "data" / name).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    at = np.array([row["timestamp"] for row in rows], "datetime64[s]")
    labels = np.zeros(len(rows), np.bool_)
    for pair in json.loads((folder / "labels" / "combined_windows.json").read_text())[name]:
        first, last = np.array([edge.replace(" ", "T") for edge in pair], "datetime64[s]")
        labels |= (at >= first) & (at <= last)
    return Series(np.array([[float(row["value"])] for row in rows]), labels, step_s, True)


def _made(sizes: Sizes, seed: int) -> Series:
    """A load whose labels mark the abnormal steps and nothing else, as NAB's wide windows do
    not.
    """
    return series_of("", 2000 if sizes.is_small else 8000, 300, seed)


def ambient(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """Document C: accuracy beside that of who always says normal, and the size and speed of the
    model.
    """
    n_steps = 2400 if sizes.is_small else 7267
    series = series_of(AMBIENT, n_steps, 3600, seed)
    say(
        "NAB's ambient_temperature_system_failure"
        if series.is_real
        else "a stand-in: TSAD_BENCH_DATA is not set"
    )
    n_clean = round(CLEAN_SHARE * len(series.labels))
    model = _fit_c(sizes, seed, series.values[:n_clean])
    say(
        f"trained before the first label: {len(model.history.loss)} epochs, "
        f"{model.history.seconds:.0f} s"
    )
    errors = model.errors(series.values)
    width = C_PRESET.detector.window
    held_out = errors[held_out_from(n_clean) + width - 1 : n_clean]
    found = {"is_real": float(series.is_real), "positive_share": float(series.labels.mean())}
    found |= _accuracies(errors, held_out, series, n_clean, "")
    document = _fit_c(sizes, seed, series.values, epochs=min(sizes.epochs, WHOLE_EPOCHS))
    say(f"trained on the whole file, as the document: {document.history.seconds:.0f} s")
    known = document.errors(series.values)
    found |= _accuracies(known, known, series, width, "whole_")
    found |= {
        "parameters": float(document.detector.n_parameters),
        "saved_equal": _saved_equal(document, series),
    }
    return found | {"epoch_s": document.history.seconds / len(document.history.loss)}


def _fit_c(sizes: Sizes, seed: int, values: Values, **changed: int) -> Fitted:
    budget = budget_of(C_PRESET, sizes, **changed)
    if sizes.is_small:
        budget = replace(budget, epochs=2, batch_size=128)
    scaling, width = C_PRESET.features.scaling, C_PRESET.detector.window
    return fit_clean(
        C_PRESET.detector.name, values, width=width, budget=budget, seed=seed, scaling=scaling
    )


def _accuracies(
    errors: Errors, normal: Errors, series: Series, start: int, prefix: str
) -> dict[str, float]:
    """Accuracy by step of the dynamic percentile at several levels, of nobody's flags, and of the
    best threshold.
    """
    found, labels = {}, series.labels[start:]
    for percentile in PERCENTILES:
        chosen = settings("rolling_percentile", percentile=percentile)
        thresholds = threshold_series(errors, calibrate(normal, settings=chosen), chosen)
        said = confusion(labels, (errors > thresholds)[start:])
        named = {
            "accuracy": said.accuracy,
            "precision": said.precision,
            "recall": said.recall,
            "f1": said.f1,
        }
        found |= {f"{prefix}p{percentile:g}_{name}": value for name, value in named.items()}
    found[f"{prefix}accuracy"] = found[f"{prefix}p99_accuracy"]
    found[f"{prefix}always_normal"] = 1 - float(labels.mean())
    found[f"{prefix}best_accuracy"] = _best_accuracy(labels, errors[start:])
    found[f"{prefix}near_always_normal"] = float(found[f"{prefix}best_accuracy"] < 0.95)
    return found


def _best_accuracy(labels: Bools, errors: Errors) -> float:
    """The highest accuracy that any fixed threshold reaches, chosen with the labels in view."""
    curve, positive = roc_curve(labels, errors), float(labels.mean())
    return float(
        np.max(
            curve.true_positive_share * positive + (1 - curve.false_positive_share) * (1 - positive)
        )
    )


def _saved_equal(model: Fitted, series: Series) -> float:
    """Whether a model that was saved and loaded gives the same errors, and its CSV the same
    rows.
    """
    scaled = model.scaler.transform(series.values[:200])
    with tempfile.TemporaryDirectory() as folder:
        model.detector.save(Path(folder) / "model")
        again = load_detector(Path(folder) / "model").score(scaled)
        np.savetxt(Path(folder) / "errors.csv", again, header="error", comments="")
        exported = np.loadtxt(Path(folder) / "errors.csv", skiprows=1).astype(np.float32)
    same = np.array_equal(model.detector.score(scaled), again, equal_nan=True)
    return float(same and np.array_equal(again, exported, equal_nan=True))


def dense(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """Document E: a dense autoencoder on several files, with the document's random split and with
    one by time.
    """
    found: dict[str, float] = {}
    names = FILES[: sizes.nab_files]
    for name in names:
        series = series_of(name, 2000 if sizes.is_small else 4032, 300, seed + FILES.index(name))
        began = time.perf_counter()
        key = Path(name).stem
        found |= _random_split(sizes, series, seed, f"{key}_random_") | _time_split(
            sizes, series, seed, f"{key}_time_"
        )
        found[f"{key}_is_real"] = float(series.is_real)
        say(f"{name if series.is_real else 'a stand-in'}: {time.perf_counter() - began:.0f} s")
    found |= _random_split(sizes, _made(sizes, seed), seed, "made_random_")
    found |= _time_split(sizes, _made(sizes, seed), seed, "made_time_")
    for split in ("random", "time"):
        for figure in ("precision", "recall", "f1", "normal_f1", "accuracy", "positive_share"):
            values = [found[f"{Path(name).stem}_{split}_{figure}"] for name in names]
            found[f"{split}_{figure}"] = float(np.nanmedian(values))
            found[f"{split}_{figure}_best"] = float(np.nanmax(values))
    return found


def _random_split(sizes: Sizes, series: Series, seed: int, prefix: str) -> dict[str, float]:
    """As the document: four fifths of the normal windows to train on; the others and all anomalous
    ones to test on.
    """
    width = E_PRESET.detector.window
    labels = window_labels(series.labels, width)
    ends = np.arange(width - 1, len(labels))
    normal = np.random.default_rng([seed, 4]).permutation(ends[~labels[ends]])
    n_train = round(0.8 * len(normal))
    budget = budget_of(E_PRESET, sizes)
    model = fit_clean(
        E_PRESET.detector.name,
        series.values,
        width=width,
        budget=budget,
        seed=seed,
        scaling=E_PRESET.features.scaling,
        ends=normal[:n_train],
    )
    errors = model.errors(series.values)
    limit = calibrate(
        errors[normal[:n_train]], settings=settings("mean_std", E_PRESET.threshold.k)
    ).limit
    tested = np.sort(np.concatenate([normal[n_train:], ends[labels[ends]]]))
    return _reported(labels[tested], errors[tested], limit, prefix)


def _time_split(sizes: Sizes, series: Series, seed: int, prefix: str) -> dict[str, float]:
    """Trained before the first label, threshold from held-out errors of that time, tested on all
    that follows.
    """
    width = E_PRESET.detector.window
    n_clean = round(E_CLEAN_SHARE * len(series.labels))
    model = fit_clean(
        E_PRESET.detector.name,
        series.values[:n_clean],
        width=width,
        budget=budget_of(E_PRESET, sizes),
        seed=seed,
        scaling=E_PRESET.features.scaling,
    )
    errors = model.errors(series.values)
    held_out = errors[held_out_from(n_clean) + width - 1 : n_clean]
    limit = calibrate(held_out, settings=settings("mean_std", E_PRESET.threshold.k)).limit
    rows = slice(n_clean + width, None)
    labels = window_labels(series.labels, width)[rows]
    found = _reported(labels, errors[rows], limit, prefix)
    return found | {
        f"{prefix}event_recall": judge(labels, errors[rows], limit, series.step_s).events.recall
    }


def _reported(labels: Bools, errors: Errors, limit: float, prefix: str) -> dict[str, float]:
    found = confusion(labels, flag(errors, limit))
    report = classification_report(found)
    values = {
        "precision": report.anomaly.precision,
        "recall": report.anomaly.recall,
        "f1": report.anomaly.f1,
        "normal_precision": report.normal.precision,
        "normal_recall": report.normal.recall,
        "normal_f1": report.normal.f1,
        "accuracy": report.accuracy,
        "always_normal": found.always_normal_accuracy,
        "positive_share": float(labels.mean()),
        "best_f1": best_f1_threshold(labels, errors).f1 if labels.any() else float("nan"),
    }
    return {prefix + name: value for name, value in values.items()}
