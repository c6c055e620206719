"""Detectors with a state: a reading is judged against all since an anchor, and then joins them.

The state of several entities is a dict of arrays of fixed shape, first axis the entity, so that one
entity's is a slice to be stored after any step. A step's result depends on the state before it and
on the step alone: however a series is cut, in whatever company, errors are the same to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tsad_tasks.base.arrays import Arrays, Floats32, Floats64, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.detectors.base import LARGEST, Reconstruction

State: TypeAlias = "Arrays"


@dataclass(frozen=True)
class Series:
    """Readings of entities on one grid.

    Attributes
    ----------
    values : float64 (n_entities, n_steps, n_channels)
        In the entity's scale; NaN where nothing was read, and while the machine is off.
    local_s : int64 (n_steps,)
        Seconds since 1970 on the site's wall clock: `local_s % 86400` is the time of day.
    step_s : int
    weekdays : int64 (n_steps,)
        0 is Monday; holidays have that of the weekly day of rest. None: the calendar's.
    noise : as values
        How many times as noisy as those that were learned from, since fewer readings made them:
        variance, from 1. None: as noisy. It counts for detectors that follow noise.
    conditions : float64 (n_entities, n_steps, n_conditions)
        What the entities are run under, scaled, as far as training saw it; NaN where one of them is
        unknown. None: there are none, or the detector sees none.
    """

    values: Floats64
    local_s: Ints
    step_s: int
    weekdays: Ints | None = None
    noise: Floats32 | None = None
    conditions: Floats64 | None = None

    @property
    def weekdays_at(self) -> Ints:
        """Weekday of each step, (n_steps,).

        >>> Series(np.zeros((1, 2, 1)), np.array([0, 4 * 86400]), 60).weekdays_at.tolist()
        [3, 0]
        """
        from tsad_tasks.model.features import weekdays_of

        return weekdays_of(self.local_s // 86400) if self.weekdays is None else self.weekdays


@dataclass(frozen=True)
class AssetReconstruction(Reconstruction):
    """An asset's error is the same in all live channels; `deviations` says where it came from.

    Deviations are (..., n_channels), in spreads; 0 for a channel that is not watched.
    """

    deviations: Floats32


def channel_weights(found: Reconstruction) -> Floats32:
    """How much channels count when people ask where an error came from, (..., n_channels), 0 to 1.

    1 for detectors that judge each channel alone. Where an asset is judged as a whole, the channel
    that deviates most has 1, another one its deviation as a share of that.

    >>> nothing, away = np.zeros((1, 2), np.float32), np.array([[8.0, 2.0]], np.float32)
    >>> channel_weights(AssetReconstruction(nothing, nothing, away)).tolist()
    [[1.0, 0.25]]
    """
    if not isinstance(found, AssetReconstruction):
        return np.ones_like(found.channel_errors)
    deviations = np.minimum(found.deviations, LARGEST)
    highest = np.nan_to_num(deviations, nan=0.0).max(axis=-1, keepdims=True, initial=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(highest > 0, deviations / highest, np.float32(1))


def at_ends(found: Reconstruction, ends: Ints) -> Reconstruction:
    """What was found, (n_entities, n_steps, n_channels), at positions in all steps end to end."""
    return type(found)(
        **{name: part.reshape(-1, part.shape[-1])[ends] for name, part in vars(found).items()}
    )
