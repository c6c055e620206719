"""How many readings of the source a model's steps were made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tsad_tasks.base.enums import Signal
from tsad_tasks.base.interval import hours_between
from tsad_tasks.config import DatasetConfig
from tsad_tasks.model.features import stabilised
from tsad_tasks.model.noise import OTHER_RATE, ChannelNoise, noise_share
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.storage.datasets import select_dataset, select_layouts
from tsad_tasks.storage.readings import read_summaries
from tsad_tasks.storage.store import Store
from tsad_tasks.training.held_out import HeldOut, HeldOutErrors
from tsad_tasks.training.reader import Entities, TrainingRange, evenly

# So many hours say how many readings a step usually has.
_MAX_HOURS = 48


def readings_per_step(
    store: Store, config: DatasetConfig, entities: Entities, span: TrainingRange
) -> Mapping[str, tuple[float, ...]]:
    """By entity, how many readings each channel's steps have in what calibrates limits; 0: not
    known, or none is less noisy for that. Empty where no step of any has several.
    """
    seen_by_model = [config.channels.get(name) for name in config.model_names]
    are_means = [
        channel is not None and channel.aggregate == "mean" and channel.signal == Signal.GAUGE
        for channel in seen_by_model
    ]
    every = hours_between(*span.held_out)
    hours = [every[i] for i in evenly(np.arange(len(every)), _MAX_HOURS).tolist()]
    if not any(are_means):
        return {}
    layout = select_layouts(store, select_dataset(store, config.dataset).dataset_id)[0]
    own = [layout.channel_names.index(name) for name in config.model_names]
    found = {}
    for first in range(0, len(entities), 64):
        chosen = entities[first : first + 64]
        seen = read_summaries(store, layout, [key for _, key in chosen], hours)[:, :, own]
        n = seen["n"].astype(np.float64)
        is_known = (n > 0) & (seen["n_rows"] > 0)
        counts = np.where(is_known, seen["n_rows"] / np.where(n > 0, n, 1.0), np.nan)
        for (name, _), of_it in zip(chosen, counts, strict=True):
            known = [one[np.isfinite(one)] for one in of_it.T]
            usual = [float(np.median(one)) if one.size else 0.0 for one in known]
            usual = [one if is_mean else 0.0 for one, is_mean in zip(usual, are_means, strict=True)]
            if max(usual) >= OTHER_RATE:
                found[name] = tuple(usual)
    return found


def learned_noise(
    counts: Mapping[str, tuple[float, ...]],
    held_out: Sequence[HeldOut],
    errors: Mapping[str, HeldOutErrors],
    spec: ModelSpec,
) -> Mapping[str, ChannelNoise]:
    """The noise of entities with these readings per step, by what is left of held-out readings."""
    found = {}
    for part in held_out:
        if part.entity not in counts:
            continue
        scaler = spec.scaler(part.entity)
        scale, known = np.array(scaler.scale), stabilised(part.values, scaler.counts)
        used = part.calibrating[:, None]
        values = np.where(used, known / np.where(scale > 0, scale, np.nan), np.nan)
        residuals = np.where(used, errors[part.entity].residuals, np.nan)
        shares = map(noise_share, values.T, residuals.T.astype(np.float64))
        found[part.entity] = ChannelNoise(counts[part.entity], tuple(shares))
    return found
