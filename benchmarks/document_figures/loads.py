"""Document D's experiments: one server's load, an LSTM autoencoder, and what the document says
about both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise

import numpy as np
from simulators.simulate_documents import NOISE, anomalous_steps, server_metrics

from devstack.simulate import SimulatedPlant
from document_figures.figures import Say, Sizes
from document_figures.fitting import (
    STEP_S,
    Bools,
    Errors,
    Fitted,
    Judgement,
    Values,
    budget_of,
    fit_clean,
    fixed_limit,
    held_out_from,
    judge,
    one_window_ms,
    preset,
    settings,
    threshold_for_recall,
    window_labels,
)
from tsad_tasks.model.evaluation import AlertSchedule, event_report
from tsad_tasks.model.features import fit_scaler
from tsad_tasks.model.thresholds import (
    anomaly_scores,
    calibrate,
    collective_series,
    combined_scores,
    flag,
    severities,
    threshold_series,
)

START_AT = datetime(2024, 5, 6, tzinfo=UTC)
KINDS = ("point", "contextual", "collective", "degradation", "failure")
SIGMAS = (2, 3, 5)
WINDOWS = (5, 10, 20, 50)
CONTAMINATION = 0.05
INTERVALS_S = (300, 900, 3600)
# What a run waits for late readings and needs itself.
SETTLE_S = 60
PRESET = preset("document_d")
WIDTH = PRESET.detector.window


@dataclass(frozen=True)
class Load:
    """One series of document D, its labels, and which steps are for what."""

    plant: SimulatedPlant
    labels: Bools
    n_clean: int

    @property
    def values(self) -> Values:
        """(n_steps, 1)"""
        return np.asarray(self.plant.values[0])

    @property
    def clean(self) -> Values:
        return self.values[: self.n_clean]

    @property
    def test(self) -> slice:
        """After the clean steps and an eighth as many for validation: readings that nothing was
        chosen on.
        """
        return slice(self.n_clean * 9 // 8, len(self.labels))

    @property
    def document_test(self) -> slice:
        """The document's last tenth: an eighth of the clean steps."""
        return slice(self.test.start, self.n_clean * 10 // 8)

    def held_out(self, width: int) -> slice:
        """Clean steps whose windows the model has not learned from."""
        return slice(held_out_from(self.n_clean) + width - 1, self.n_clean)

    def of_kind(self, kind: str) -> Bools:
        """Labels of one kind."""
        chosen = [one for one in self.plant.anomalies if one.kind == kind]
        return np.asarray(anomalous_steps(replace(self.plant, anomalies=chosen))[0])


@lru_cache(maxsize=4)
def load(n_steps: int, n_clean: int, seed: int, spikes_of: str = "series") -> Load:
    """The series of a seed."""
    plant = server_metrics(
        start_at=START_AT,
        seed=seed,
        n_steps=n_steps,
        clean_steps=n_clean,
        spikes_of=spikes_of,  # type: ignore[arg-type]
    )
    return Load(plant, anomalous_steps(plant)[0], n_clean)


def made(sizes: Sizes, seed: int, **changed: str) -> Load:
    """The series of some sizes and a seed."""
    return load(sizes.load_steps, sizes.clean_steps, seed, **changed)


def fitted(
    sizes: Sizes, seed: int, values: Values, name: str = PRESET.detector.name, width: int = WIDTH
) -> Fitted:
    """The preset's detector, or another, trained on clean readings."""
    budget = budget_of(PRESET, sizes)
    return fit_clean(
        name, values, width=width, budget=budget, seed=seed, scaling=PRESET.features.scaling
    )


def usual(sizes: Sizes, seed: int, name: str = PRESET.detector.name) -> Fitted:
    """A detector trained on the clean part of the seed's series; several experiments look at the
    same one.
    """
    return _usual(sizes, seed, name)


@lru_cache(maxsize=12)
def _usual(sizes: Sizes, seed: int, name: str) -> Fitted:
    return fitted(sizes, seed, made(sizes, seed).clean, name)


def judged(
    series: Load, errors: Errors, width: int, k: float = 3.0, part: slice | None = None
) -> Judgement:
    """The test part at mean + k standard deviations of the held-out clean errors."""
    limit = fixed_limit(errors[series.held_out(width)], k)
    rows = series.test if part is None else part
    return judge(window_labels(series.labels, width)[rows], errors[rows], limit)


def main_row(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """The document's own row: errors, threshold, precision, recall, F1, AUC, and what is said
    around them.
    """
    series = made(sizes, seed)
    model = usual(sizes, seed)
    say(f"trained {len(model.history.loss)} epochs in {model.history.seconds:.0f} s")
    errors = model.errors(series.values)
    found = _error_figures(series, errors) | judged(series, errors, WIDTH).named("")
    found |= judged(series, errors, WIDTH, part=series.document_test).named("document_size_")
    for k in SIGMAS:
        found |= judged(series, errors, WIDTH, k).named(f"sigma{k}_")
    found["tradeoff"] = _rises(found, "precision") and _rises(
        [-found[f"sigma{k}_recall"] for k in SIGMAS]
    )
    found |= _by_kind(series, errors) | _adaptive(series, errors) | _severity(series, errors)
    found["events_found"] = float(found["event_recall"] >= 0.95)
    found |= _early_warning(series, errors) | _against_fixed_rule(series, errors)
    found["noise_floor"] = (NOISE / float(np.ptp(series.clean))) ** 2
    found["parameters"] = model.detector.n_parameters
    found["one_window_ms"] = one_window_ms(model, series.clean)
    found["epoch_s"] = model.history.seconds / len(model.history.loss)
    return found | _buffer_of_ten(model, series)


def _rises(found: dict[str, float] | list[float], name: str = "") -> bool:
    values = [found[f"sigma{k}_{name}"] for k in SIGMAS] if isinstance(found, dict) else found
    return all(before <= after for before, after in pairwise(values))


def _error_figures(series: Load, errors: Errors) -> dict[str, float]:
    labels = window_labels(series.labels, WIDTH)[series.test]
    normal, anomalous = errors[series.test][~labels], errors[series.test][labels]
    held_out = errors[series.held_out(WIDTH)]
    return {
        "normal_error": float(normal.mean()),
        "normal_error_std": float(normal.std()),
        "anomaly_error": float(anomalous.mean()),
        "anomaly_error_std": float(anomalous.std()),
        "ratio": float(anomalous.mean() / normal.mean()),
        "threshold": fixed_limit(held_out),
        "clean_flag_share": float(np.mean(normal > fixed_limit(held_out))),
    }


def _by_kind(series: Load, errors: Errors) -> dict[str, float]:
    """Share of each kind's windows and events that are flagged, on all steps after training."""
    flags = flag(errors, fixed_limit(errors[series.held_out(WIDTH)]))
    found = {}
    for kind in KINDS:
        labels = series.of_kind(kind)
        windows = window_labels(labels, WIDTH)
        found[f"{kind}_windows"] = float(flags[windows].mean()) if windows.any() else float("nan")
        found[f"{kind}_events"] = event_report(
            labels, flags, schedule=AlertSchedule(STEP_S, STEP_S)
        ).recall
    return found


def _adaptive(series: Load, errors: Errors) -> dict[str, float]:
    """The adaptive threshold, alone and with the moving average of errors (production's
    combination).
    """
    calibration_part = errors[series.held_out(WIDTH)]
    chosen = settings("adaptive", 3.0, floor=0.0)
    thresholds = threshold_series(errors, calibrate(calibration_part, settings=chosen), chosen)
    found = _judged_scores(series, anomaly_scores(errors, thresholds)).named("adaptive_")
    lasting = settings("mean_std", 3.0, collective_width=15, collective_k=3.0)
    calibration = calibrate(calibration_part, settings=lasting)
    averages = collective_series(errors, calibration, lasting)
    fixed = threshold_series(errors, calibration, lasting)
    scores, _ = combined_scores(errors, fixed, averages, calibration.collective_limit)
    return found | _judged_scores(series, scores).named("collective_")


def _judged_scores(series: Load, scores: Errors) -> Judgement:
    return judge(window_labels(series.labels, WIDTH)[series.test], scores[series.test], 0.0)


def _severity(series: Load, errors: Errors) -> dict[str, float]:
    """Peak severity (1 LOW, 2 MEDIUM, 3 HIGH) of spikes of half the size against those of the
    whole.
    """
    limit = np.full(errors.shape, fixed_limit(errors[series.held_out(WIDTH)]), np.float32)
    scores = anomaly_scores(errors, limit)
    levels = severities(scores)
    labels = window_labels(series.labels, WIDTH)
    normal = ~labels & np.isfinite(errors) & (np.arange(len(labels)) >= series.test.start)
    high = (
        severities(np.array([1.01], np.float32))[0] == 3
        and severities(np.array([0.51], np.float32))[0] == 2
    )
    return {
        "high_share_of_anomalies": float(np.mean(levels[labels] == 3)),
        "high_share_of_normal": float(np.mean(levels[normal] == 3)),
        "severity_rule": float(high),
    }


def _early_warning(series: Load, errors: Errors) -> dict[str, float]:
    """Lead time before failures when the score DAG runs every 5, 15, 60 minutes and then has to
    run.
    """
    flags = flag(errors, fixed_limit(errors[series.held_out(WIDTH)]))
    ramps = series.of_kind("degradation")
    found = {}
    for interval_s in INTERVALS_S:
        schedule = AlertSchedule(STEP_S, interval_s, SETTLE_S, int(series.plant.times_s[0]))
        report = event_report(ramps, flags, schedule=schedule)
        leads = np.array(report.lead_s) / 60
        found[f"lead_{interval_s // 60}"] = float(np.median(leads)) if leads.size else float("nan")
        found[f"warned_{interval_s // 60}"] = float(np.mean(leads > 0)) if leads.size else 0.0
        found[f"warned15_{interval_s // 60}"] = float(np.mean(leads >= 15)) if leads.size else 0.0
    return found


def _against_fixed_rule(series: Load, errors: Errors) -> dict[str, float]:
    """False alarms of a fixed limit on the load at the event recall of the autoencoder, and at its
    own 3 sigma.
    """
    deviation = _deviation(series)
    labels = window_labels(series.labels, WIDTH)[series.test]
    ours = judged(series, errors, WIDTH)
    rule = judge(labels, deviation[series.test], 3.0)
    same = threshold_for_recall(labels, deviation[series.test], ours.events.recall)
    rule_at_recall = judge(labels, deviation[series.test], same)
    found = rule.named("rule_") | rule_at_recall.named("rule_same_recall_")
    minutes_per_day = 86400 / STEP_S
    wrong = [
        one.steps.false_positive / one.steps.n * minutes_per_day for one in (ours, rule_at_recall)
    ]
    return found | {
        "rule_false_share": 1 - rule.steps.precision,
        "rule_same_recall_false_share": 1 - rule_at_recall.steps.precision,
        "false_minutes_per_day": wrong[0],
        "rule_same_recall_false_minutes_per_day": wrong[1],
        "false_minutes_saved": 1 - wrong[0] / wrong[1] if wrong[1] else float("nan"),
    }


def _deviation(series: Load) -> Errors:
    """Distance of the load from its mean in standard deviations, both of the clean readings."""
    return np.abs(fit_scaler(series.clean, "standard").transform(series.values))[:, 0]


def _buffer_of_ten(model: Fitted, series: Load) -> dict[str, float]:
    """Whether a buffer of the last ten values, minute by minute, gives the batch's errors to the
    bit.
    """
    rows = series.values[series.test][:200]
    batch = model.errors(rows)
    alone = [
        model.errors(rows[end - WIDTH + 1 : end + 1])[-1] for end in range(WIDTH - 1, len(rows))
    ]
    return {
        "buffer_equals_batch": float(
            np.array_equal(batch[WIDTH - 1 :], np.array(alone, np.float32))
        )
    }


def detectors(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """The same series, split and threshold for every registered detector of windows, and the 3
    sigma rule.
    """
    series, found = made(sizes, seed), {}
    for name in NAMES[:5] if sizes.is_small else NAMES:
        model = usual(sizes, seed, name)
        say(f"{name}: {model.history.seconds:.0f} s")
        errors = model.errors(series.values)
        found |= judged(series, errors, WIDTH).named(f"{name}_")
        found[f"{name}_parameters"] = model.detector.n_parameters
        found[f"{name}_seconds"] = model.history.seconds
    found["dense_behind"] = float(
        found["dense_autoencoder_f1"] < found["lstm_autoencoder_f1"] - 0.02
    )
    rows, labels = series.test, window_labels(series.labels, WIDTH)[series.test]
    return found | judge(labels, _deviation(series)[rows], 3.0).named("three_sigma_rule_")


NAMES = (
    "lstm_autoencoder",
    "dense_autoencoder",
    "lstm_vae",
    "attention_autoencoder",
    "isolation_forest",
    "transformer_autoencoder",
    "forecaster",
    "masked_autoencoder",
)


def windows(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """Window sizes of 5, 10, 20 and 50 steps."""
    series, found = made(sizes, seed), {}
    widths = (WIDTH,) if sizes.is_small else WINDOWS
    for width in widths:
        model = usual(sizes, seed) if width == WIDTH else _of_width(sizes, seed, series, width)
        say(f"window {width}: {model.history.seconds:.0f} s")
        errors = model.errors(series.values)
        found |= judged(series, errors, width).named(f"w{width}_")
        labels = window_labels(series.labels, width)[series.test]
        found[f"w{width}_normal_error"] = float(errors[series.test][~labels].mean())
    best = max(widths, key=lambda width: found[f"w{width}_f1"])
    normal = [found[f"w{width}_normal_error"] for width in widths]
    rises = all(before < after for before, after in pairwise(normal))
    return found | {
        "best": float(best),
        "ten_is_best": float(best == 10),
        "normal_error_rises": float(rises),
    }


def _of_width(sizes: Sizes, seed: int, series: Load, width: int) -> Fitted:
    """Wider windows get fewer epochs, down to a third, so that 50 steps do not take five times as
    long as ten.
    """
    budget = budget_of(PRESET, sizes)
    epochs = max(budget.epochs // 3, min(budget.epochs, budget.epochs * 15 // width))
    scaling = PRESET.features.scaling
    budget = replace(budget, epochs=epochs)
    return fit_clean(
        PRESET.detector.name, series.clean, width=width, budget=budget, seed=seed, scaling=scaling
    )


def contamination(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """Five percent anomalies in the training data; the threshold plain, trimmed, without known
    anomalies.
    """
    series, found = made(sizes, seed), {}
    dirty = server_metrics(
        start_at=START_AT,
        seed=seed,
        n_steps=series.n_clean,
        clean_steps=0,
        anomaly_share=CONTAMINATION * 1.15,
    )
    found["share"] = float(anomalous_steps(dirty).mean())
    scaled = fit_scaler(dirty.values[0], "robust").transform(dirty.values[0])
    found["extreme_share"] = float(np.mean(np.abs(scaled) > 3))
    found["clean_extreme_share"] = float(
        np.mean(np.abs(fit_scaler(series.clean, "robust").transform(series.clean)) > 3)
    )
    for name, values in (("clean", series.clean), ("dirty", dirty.values[0])):
        model = usual(sizes, seed) if name == "clean" else fitted(sizes, seed, values)
        say(f"{name}: {model.history.seconds:.0f} s")
        errors, own = model.errors(series.values), model.errors(values)[series.held_out(WIDTH)]
        known = window_labels(anomalous_steps(dirty)[0], WIDTH)[series.held_out(WIDTH)] & (
            name == "dirty"
        )
        labels = window_labels(series.labels, WIDTH)[series.test]
        plain = float(own.mean() + 3 * own.std())
        found |= judge(labels, errors[series.test], plain).named(f"{name}_plain_")
        found |= judge(labels, errors[series.test], fixed_limit(own)).named(f"{name}_trimmed_")
        excluded = calibrate(own, settings=settings("mean_std"), labels=known).limit
        found |= judge(labels, errors[series.test], excluded).named(f"{name}_excluded_")
    found["precision_lost"] = found["clean_plain_precision"] - found["dirty_plain_precision"]
    found["recall_lost"] = found["clean_plain_recall"] - found["dirty_plain_recall"]
    found["f1_lost_excluded"] = found["clean_plain_f1"] - found["dirty_excluded_f1"]
    found["shows_extremes"] = float(found["extreme_share"] > 2 * found["clean_extreme_share"])
    found["costs_recall_instead"] = float(found["recall_lost"] > 0.15)
    return found


def losses(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """MSE, MAE and Huber as loss and error; MAPE as an error of the MSE model, near zero and far
    from it.
    """
    series, found = made(sizes, seed), {}
    for loss in ("mse",) if sizes.is_small else ("mse", "mae", "huber"):
        model = (
            usual(sizes, seed)
            if loss == PRESET.training.loss
            else _with_loss(sizes, seed, series, loss)
        )
        say(f"{loss}: {model.history.seconds:.0f} s")
        found |= judged(series, model.errors(series.values), WIDTH).named(f"{loss}_")
        if loss == "mse":
            found |= _relative_errors(series, model)
    found["mse_over_mae"] = float(found["mse_f1"] > found.get("mae_f1", np.nan))
    return found


def _with_loss(sizes: Sizes, seed: int, series: Load, loss: str) -> Fitted:
    budget, scaling = budget_of(PRESET, sizes, loss=loss), PRESET.features.scaling
    return fit_clean(
        PRESET.detector.name, series.clean, width=WIDTH, budget=budget, seed=seed, scaling=scaling
    )


def _relative_errors(series: Load, model: Fitted) -> dict[str, float]:
    """The mean absolute percentage error of the last step: judged, and its spread near and far from
    a load of zero.
    """
    scaled = model.scaler.transform(series.values)
    residuals = np.abs(model.detector.residuals(scaled))[:, 0] * np.float32(model.scaler.scale[0])
    relative = (residuals / np.abs(series.values[:, 0])).astype(np.float32)
    rows = series.held_out(WIDTH)
    size = np.abs(series.values[rows, 0])
    near = size <= np.quantile(size, 0.1)
    found = judged(series, relative, WIDTH).named("mape_")
    return found | {
        "mape_near_zero": float(relative[rows][near].mean()),
        "mape_far": float(relative[rows][~near].mean()),
    }


def small_spikes(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """The other reading of "3 sigma spikes": three times the noise, not three times the series'
    spread.
    """
    series = made(sizes, seed, spikes_of="noise")
    errors = fitted(sizes, seed, series.clean).errors(series.values)
    found = judged(series, errors, WIDTH).named("")
    flags = flag(errors, fixed_limit(errors[series.held_out(WIDTH)]))
    points = series.of_kind("point")
    return found | {
        "point_events": event_report(
            window_labels(points, WIDTH), flags, schedule=AlertSchedule(60)
        ).recall
    }


def adapts(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """An upgraded system's new baseline: false flags of the old model, and of one retrained on the
    readings after.
    """
    series, other = made(sizes, seed), made(sizes, seed + 100)
    upgraded, n_clean = 0.6 * other.values + 1.5, other.n_clean
    old = usual(sizes, seed)
    limit = fixed_limit(old.errors(series.values)[series.held_out(WIDTH)])
    new = fitted(sizes, seed, upgraded[:n_clean])
    new_errors = new.errors(upgraded)
    new_limit = fixed_limit(new_errors[other.held_out(WIDTH)])
    labels = window_labels(other.labels, WIDTH)
    normal = ~labels & (np.arange(len(labels)) >= other.test.start)
    found = judge(labels[other.test], new_errors[other.test], new_limit).named("retrained_")
    return (
        found
        | {
            "old_false_share": float(np.mean(old.errors(upgraded)[normal] > limit)),
            "retrained_false_share": float(np.mean(new_errors[normal] > new_limit)),
            "holds": float(
                np.mean(new_errors[normal] > new_limit)
                < 0.25 * np.mean(old.errors(upgraded)[normal] > limit)
            ),
        }
        | _drifted(series, old, limit)
    )


def _drifted(series: Load, model: Fitted, limit: float) -> dict[str, float]:
    """False flags after the drift of a further 40,000 minutes, without retraining."""
    shifted = series.clean + 0.4
    return {"drift_false_share": float(np.mean(model.errors(shifted)[WIDTH:] > limit))}
