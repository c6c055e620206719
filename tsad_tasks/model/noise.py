"""A mean of few readings is noisier than one of many: how much errors count while steps have fewer
readings than the model learned from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Flags, Floats32, Floats64

# Fewer readings by less than this are none of another sampling.
OTHER_RATE = 1.5


@dataclass(frozen=True)
class ChannelNoise:
    """Of an entity's channels: readings per step that limits were calibrated on, 0: not known; and
    the share of the errors' variance that is noise of readings.
    """

    readings: tuple[float, ...]
    shares: tuple[float, ...]

    def to_json(self) -> dict[str, list[float]]:
        """The same as JSON."""
        return {"readings": [*self.readings], "shares": [*self.shares]}

    @classmethod
    def from_json(cls, fields: Mapping[str, Sequence[float]]) -> Self:
        """The same from JSON."""
        return cls(tuple(fields["readings"]), tuple(fields["shares"]))


def noise_share(values: Floats64, residuals: Floats64) -> float:
    """Share of a channel's residuals (n_steps,) that is noise of its readings (n_steps,), 0 to 1.

    Noise is what neighbours differ by. Where a model follows it, or nothing is known, all is noise.

    >>> rng = np.random.default_rng(1)
    >>> slow, noise = 9 * np.sin(np.arange(999) / 99), rng.normal(0, 1, 999)
    >>> [round(noise_share(slow + noise, left), 2) for left in (noise, slow + noise)]
    [1.0, 0.01]
    """
    steps = np.abs(np.diff(values))
    steps, left = steps[np.isfinite(steps)], np.abs(residuals[np.isfinite(residuals)])
    if not steps.size or not left.size:
        return 1.0
    noise, all_of_it = float(np.median(steps)) ** 2 / 2, float(np.median(left)) ** 2
    return 1.0 if noise >= all_of_it else noise / all_of_it


def noise_growth(
    counts: NDArray[np.uint8],
    known: Flags,
    learned: Floats64,
    shares: Floats64,
    width: int,
    power: int,
) -> Floats32:
    """By how much errors of windows grow by noise alone, (n_entities, n_steps, n_channels), from 1.

    Noise of independent readings has the variance of one, divided by their number, and is a share
    of the errors'. A window's error is a mean over its steps. Where more readings came than were
    learned from nothing grows.

    Parameters
    ----------
    counts : (n_entities, n_steps, n_channels), from how many readings each step was made; one that
        a former reading fills counts as one.
    known : (n_entities, n_steps); elsewhere nothing grows.
    learned, shares : (n_entities, n_channels), as `ChannelNoise` has them.
    width : steps of a window.
    power : 2 for errors that grow with the variance, 1 for those that grow with its root; 0 for
        the variance of each step's noise itself, whatever its share.

    >>> counts = np.array([6, 6, 1, 1, 1], np.uint8).reshape(1, 5, 1)
    >>> known, learned, shares = np.ones((1, 5), bool), np.array([[6.0]]), np.array([[1.0]])
    >>> noise_growth(counts, known, learned, shares, 2, 2).ravel().tolist()
    [1.0, 1.0, 3.5, 6.0, 6.0]
    """
    if not power:
        return noise_growth(counts, known, learned, np.ones_like(shares), 1, 2)
    ratios = learned[:, None, :] / np.maximum(counts, 1)
    is_other = known[:, :, None] & (ratios >= OTHER_RATE)
    grown = np.where(is_other, 1.0 + shares[:, None, :] * (ratios - 1.0), 1.0)
    total = np.zeros(grown.shape)
    # Step by step, so that the sum does not depend on where the series starts.
    for back in range(width):
        total[:, back:] += grown[:, : grown.shape[1] - back]
        total[:, :back] += 1.0
    mean = total / width
    found: Floats32 = (mean if power == 2 else np.sqrt(mean)).astype(np.float32)
    return found
