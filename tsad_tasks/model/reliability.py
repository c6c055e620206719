"""Whether probabilities are what they say: of all events given 30 %, 30 % should happen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Flags, Floats64, Ints
from tsad_tasks.base.errors import BadInput


@dataclass(frozen=True)
class ReliabilityCurve:
    """What was said and what happened, by bin of equal width; bins without an event are left out.

    Attributes
    ----------
    said : (n_bins,), the mean probability of a bin.
    happened : (n_bins,), the share of its events that happened.
    n_events : (n_bins,)
    """

    said: Floats64
    happened: Floats64
    n_events: Ints

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of happened and said, by events.

        Source: Naeini et al., Obtaining well calibrated probabilities using Bayesian binning, 2015.

        >>> reliability_curve(np.array([0.25, 0.25]), np.array([False, True])).error
        0.25
        """
        return float(np.average(np.abs(self.happened - self.said), weights=self.n_events))


def reliability_curve(
    probabilities: NDArray[np.floating], happened: Flags, n_bins: int = 10
) -> ReliabilityCurve:
    """How often events (n,) happened, by the probability that was given; NaN is left out.

    Raises
    ------
    BadInput
        When there is no known probability, or one is not between 0 and 1.

    >>> curve = reliability_curve(np.array([0.1, 0.1, 0.9]), np.array([False, True, True]), 2)
    >>> curve.said.round(3).tolist(), curve.happened.tolist(), curve.n_events.tolist()
    ([0.1, 0.9], [0.5, 1.0], [2, 1])
    """
    known = np.isfinite(probabilities)
    said, did = probabilities[known].astype(np.float64), happened[known]
    if not said.size or said.min() < 0 or said.max() > 1:
        raise BadInput(f"Expected probabilities from 0 to 1. Received: {probabilities}.")
    bins = np.minimum((said * n_bins).astype(np.int64), n_bins - 1)
    n_events = np.bincount(bins, minlength=n_bins)
    used = n_events > 0
    sums = (
        np.bincount(bins, weights=values, minlength=n_bins)[used]
        for values in (said, did.astype(np.float64))
    )
    mean, share = (total / n_events[used] for total in sums)
    return ReliabilityCurve(mean, share, n_events[used].astype(np.int64))


def anomaly_probability(surprises: NDArray[np.floating], anomaly_share: float) -> Floats64:
    """Probability that a reading is an anomaly, from surprise in nats and share of anomalies.

    With p = exp(−surprise), normal readings are at least −e p ln p times as likely as anomalies
    (for p < 1/e), whatever anomalies look like; so this is the highest probability that the
    surprise can justify. NaN stays. Source: Sellke, Bayarri and Berger, Calibration of p values for
    testing precise null hypotheses, 2001, eq. 3.

    >>> anomaly_probability(np.array([0.0, 1.0, 7.0, 14.0]), 0.01).round(3).tolist()
    [0.01, 0.01, 0.368, 0.997]
    """
    nats = np.maximum(np.asarray(surprises, dtype=np.float64), 1.0)
    ratio = nats * np.exp(1 - nats) * (1 - anomaly_share) / anomaly_share
    return np.asarray(1 / (1 + ratio))
