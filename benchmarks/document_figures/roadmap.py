"""Document D's roadmap: several sensors, probabilities and intervals, attention, transfer
learning.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
from simulators.simulate_documents import anomalous_steps

from devstack.simulate import CHANNELS, SimulatedPlant, server_room
from document_figures.figures import Say, Sizes
from document_figures.fitting import (
    Bools,
    Errors,
    Fitted,
    Values,
    budget_of,
    fit_clean,
    fixed_limit,
    held_out_from,
    judge,
    preset,
    window_labels,
)
from document_figures.loads import WIDTH, made, usual
from tsad_tasks.model.evaluation import reliability
from tsad_tasks.model.windows import gather

START_AT = datetime(2024, 4, 1, tzinfo=UTC)
PRESET = preset("document_d")
SPIKE_STEP = 5
N_SPIKES = 200
SCORED_DAYS = 2


@lru_cache(maxsize=2)
def room(sizes: Sizes, seed: int) -> SimulatedPlant:
    """One host with five sensors; all its anomalies are in the last two days."""
    return server_room(days=min(sizes.room_days, 13), hosts=1, start_at=START_AT, seed=seed)


def multivariate(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """Windows (batch, 10, 5): events found and the root cause named, against five univariate
    models.
    """
    plant = room(sizes, seed)
    values, labels = plant.values[0], anomalous_steps(plant)[0]
    n_clean = len(values) - SCORED_DAYS * 1440
    joint = _fit(sizes, seed, values[:n_clean], "lstm_autoencoder")
    say(f"five sensors at once: {joint.history.seconds:.0f} s")
    found = _judged_room(joint.errors(values), labels, n_clean).named("")
    found |= {"parameters": float(joint.detector.n_parameters), **_root_causes(joint, plant)}
    return found


def _fit(sizes: Sizes, seed: int, values: Values, name: str, **more: Any) -> Fitted:
    budget = budget_of(PRESET, sizes)
    return fit_clean(name, values, width=WIDTH, budget=budget, seed=seed, scaling="minmax", **more)


def _judged_room(errors: Errors, labels: Bools, n_clean: int) -> Any:
    limit = fixed_limit(errors[held_out_from(n_clean) + WIDTH - 1 : n_clean])
    return judge(window_labels(labels, WIDTH)[n_clean:], errors[n_clean:], limit)


def _root_causes(model: Fitted, plant: SimulatedPlant) -> dict[str, float]:
    """Share of the anomalies at whose highest error one of the sensors that were changed has the
    largest share.
    """
    inputs = model.scaler.transform(plant.values[0])
    hits = []
    for one in plant.anomalies:
        edges = np.searchsorted(plant.times_s, [one.start_at.timestamp(), one.end_at.timestamp()])
        shares = model.detector.reconstruct(inputs, np.arange(*edges)).channel_errors
        highest = shares[np.argmax(shares.sum(axis=1))]
        hits.append(CHANNELS[int(np.argmax(highest))] in one.channels)
    return {"root_cause_share": float(np.mean(hits)), "n_anomalies": float(len(hits))}


def variational(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """Probabilities between 0 and 1 and intervals of the last reading, on the test part."""
    series = made(sizes, seed)
    model = usual(sizes, seed, "lstm_vae")
    say(f"trained in {model.history.seconds:.0f} s")
    detector: Any = model.detector
    inputs = model.scaler.transform(series.values)
    probability = detector.probability(model.errors(series.values)[series.test])
    curve = reliability(window_labels(series.labels, WIDTH)[series.test], probability)
    normal = np.flatnonzero(~window_labels(series.labels, WIDTH)[series.test]) + series.test.start
    found = {
        "lowest": float(probability.min()),
        "highest": float(probability.max()),
        "in_range": float(probability.min() >= 0 and probability.max() <= 1),
        "calibration_error": curve.calibration_error,
        "brier": curve.brier,
    }
    for level in (0.5, 0.9, 0.95):
        low, high = detector.interval(inputs, normal, level)
        inside = (inputs[normal] >= low) & (inputs[normal] <= high)
        found[f"inside_{round(100 * level)}"] = float(inside.mean())
    return found


def attention(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """A spike at step 5 of clean windows: whether the explanation names that step."""
    series, found = made(sizes, seed), {}
    for name in ("attention_autoencoder", "lstm_autoencoder"):
        model = usual(sizes, seed, name)
        say(f"{name}: {model.history.seconds:.0f} s")
        inputs = model.scaler.transform(series.clean)
        ends = np.linspace(held_out_from(len(inputs)) + WIDTH, len(inputs) - 1, N_SPIKES).astype(
            np.int64
        )
        found |= {
            f"{name}_{key}": value for key, value in _explained(model, inputs, ends, seed).items()
        }
    return found


def _explained(
    model: Fitted, inputs: Errors, ends: np.ndarray[Any, np.dtype[np.int64]], seed: int
) -> dict[str, float]:
    windows = gather(inputs, ends, WIDTH)
    sign = np.random.default_rng([seed, 5]).choice((-1.0, 1.0), len(windows)).astype(np.float32)
    windows[:, SPIKE_STEP, 0] += 0.8 * sign
    laid = windows.reshape(-1, 1)
    shares = model.detector.explain(laid, np.arange(WIDTH - 1, len(laid), WIDTH))[:, :, 0]
    of_spike = shares[:, SPIKE_STEP] / shares.sum(axis=1)
    return {
        "step_found": float(np.mean(shares.argmax(axis=1) == SPIKE_STEP)),
        "step_share": float(np.median(of_spike)),
    }


def transfer(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """Pre-trained on a server's CPU, fine-tuned on a little of a network's traffic: epochs and
    error against afresh.
    """
    values = server_room(
        days=min(sizes.room_days, 13), hosts=2, start_at=START_AT, seed=seed
    ).values
    n_clean = values.shape[1] - SCORED_DAYS * 1440
    source, target = values[0, :n_clean, :1], values[1, :n_clean, 3:4]
    few = target[: min(2 * 1440, len(target) // 2)]
    first = _fit(sizes, seed, source, "lstm_autoencoder")
    say(f"pre-trained in {first.history.seconds:.0f} s")
    afresh = _fit(sizes, seed, few, "lstm_autoencoder")
    warm = _fit(sizes, seed, few, "lstm_autoencoder", warm_start=first.detector)
    unseen = target[len(few) + WIDTH :]
    losses = {"afresh": afresh.history.validation_loss, "warm": warm.history.validation_loss}
    reached = min(losses["afresh"])
    return {
        "afresh_error": float(np.nanmean(afresh.errors(unseen))),
        "warm_error": float(np.nanmean(warm.errors(unseen))),
        "gain": 1 - float(np.nanmean(warm.errors(unseen)) / np.nanmean(afresh.errors(unseen))),
        "afresh_epochs": float(len(losses["afresh"])),
        "warm_epochs_to_same": float(_epochs_to(losses["warm"], reached)),
        "first_epoch_ratio": losses["afresh"][0] / losses["warm"][0],
    }


def _epochs_to(losses: tuple[float, ...], level: float) -> float:
    """The first epoch, from 1, at which the validation loss is no more than a level; infinite if
    none is.
    """
    below = np.flatnonzero(np.array(losses) <= level)
    return float(below[0] + 1) if below.size else float("inf")
