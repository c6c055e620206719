"""Document B's experiment: an LSTM autoencoder on a noisy sine."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from simulators.simulate_documents import NoisySine, noisy_sine

from document_figures.figures import Say, Sizes
from document_figures.fitting import Errors, Fitted, budget_of, fit_clean, preset, settings
from tsad_tasks.model.thresholds import calibrate, flag

PRESET = preset("document_b")
WIDTH = PRESET.detector.window
PERCENTILES = (80, 90, 95, 99, 99.9)
TRAINED_SHARE, CALIBRATED_SHARE = 0.7, 0.85
SPIKES = {"subtle": 0.3, "clear": 0.6, "gross": 1.2}
SPACING = 4 * WIDTH
N_PARTS = 60


def sine(sizes: Sizes, seed: int, say: Say) -> dict[str, float]:
    """Reconstruction error beside the noise floor, and what each percentile finds and cries."""
    series = noisy_sine(sizes.sine_steps, seed=seed)
    values = series.values[:, None]
    first, second = (round(share * len(values)) for share in (TRAINED_SHARE, CALIBRATED_SHARE))
    model = fit_clean(
        PRESET.detector.name,
        values[:first],
        width=WIDTH,
        budget=budget_of(PRESET, sizes),
        seed=seed,
        scaling=PRESET.features.scaling,
    )
    say(f"trained {len(model.history.loss)} epochs in {model.history.seconds:.0f} s")
    errors = model.errors(values)
    known = errors[second + WIDTH :]
    scale = float(model.scaler.scale[0])
    found = {
        "mse": float(known.mean()),
        "noise_floor": series.scaled_noise_floor,
        "mse_in_units": float(known.mean()) * scale**2,
        "mse_to_sine": _to_the_sine(model, series, second),
        "training_mse": float(np.nanmean(errors[:first])),
        "integer_times": float(
            series.times.dtype == np.int64 and bool((np.diff(series.times) == 1).all())
        ),
    }
    found |= _from_part_to_part(model, second - first, seed)
    return found | _trade_off(model, series, errors[first + WIDTH : second], second)


def _to_the_sine(model: Fitted, series: NoisySine, start: int) -> float:
    """Mean squared distance of what is expected from the sine without its noise, in scaled
    units.
    """
    scaled = model.scaler.transform(series.values[:, None])
    expected = scaled - model.detector.residuals(scaled)
    clean = model.scaler.transform(series.clean[:, None])
    return float(np.mean((expected - clean)[start + WIDTH :] ** 2))


def _from_part_to_part(model: Fitted, n_steps: int, seed: int) -> dict[str, float]:
    """Share of clean windows over the 95th percentile of the part before them, on many parts of one
    length.
    """
    more = noisy_sine(N_PARTS * n_steps, seed=1000 + seed)
    parts = model.errors(more.values[:, None]).reshape(N_PARTS, n_steps)[:, WIDTH:]
    chosen = settings("percentile", percentile=95)
    shares = [
        flag(now, calibrate(before, settings=chosen).limit).mean()
        for before, now in pairwise(parts)
    ]
    low, middle, high = np.percentile(shares, (5, 50, 95))
    return {
        "p95_parts_low": float(low),
        "p95_parts_middle": float(middle),
        "p95_parts_high": float(high),
    }


def _trade_off(
    model: Fitted, series: NoisySine, calibration: Errors, start: int
) -> dict[str, float]:
    """Share of clean windows flagged and of spikes found, by percentile of held-out errors and by
    size of the spike.
    """
    clean = model.errors(series.values[start:, None])[WIDTH:]
    spiked = {name: _spiked(series, start, size) for name, size in SPIKES.items()}
    errors = {name: model.errors(values) for name, (values, _) in spiked.items()}
    found = {}
    for percentile in PERCENTILES:
        limit = calibrate(calibration, settings=settings("percentile", percentile=percentile)).limit
        found[f"p{percentile:g}_threshold"] = limit
        found[f"p{percentile:g}_false"] = float(flag(clean, limit).mean())
        for name, (_, at) in spiked.items():
            hits = [flag(errors[name][step : step + WIDTH], limit).any() for step in at]
            found[f"p{percentile:g}_{name}"] = float(np.mean(hits))
    false = [found[f"p{percentile:g}_false"] for percentile in PERCENTILES]
    subtle = [found[f"p{percentile:g}_subtle"] for percentile in PERCENTILES]
    falls = all(x >= y for row in (false, subtle) for x, y in pairwise(row))
    return found | {"tradeoff": float(falls and false[0] > false[-1] and subtle[0] > subtle[-1])}


def _spiked(series: NoisySine, start: int, size: float) -> tuple[np.ndarray, list[int]]:  # type: ignore[type-arg]
    """The last part with spikes of about a size, and where they are."""
    values = series.values[start:, None]
    at = list(range(2 * WIDTH, len(values) - WIDTH, SPACING))
    spiked, rng = values.copy(), np.random.default_rng([len(values), start])
    for step in at:
        # A spike is 4 to 10 spreads high: 7 on average (document D).
        spiked[step] += float(rng.choice((-1.0, 1.0))) * rng.uniform(4.0, 10.0) * size / 7
    return spiked, at
