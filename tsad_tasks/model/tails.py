"""One scale for the errors of all channels: their surprise in nats, by held-out errors.

Normal readings show an error of s nats with probability exp(−s). The map from error to surprise is
a polyline, the same to the bit element by element: its body is empirical, its tail extreme-value
theory's, from the highest error of each cluster, so that one long episode does not count a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tsad_tasks.base.arrays import Flags, Floats32, Floats64, Ints
from tsad_tasks.base.errors import BadInput

MIN_ERRORS = 50
# The tail starts where an error has this probability, or where so many errors lie above it.
TAIL_SHARE, MIN_ABOVE = 0.02, 25
HEAVIEST_SHAPE = 0.25
# An excess counts at most so many median excesses: an anomaly among the held-out readings does not
# blind the scale.
CAP = 10.0
UNIT_QUANTILE, GROWTH_QUANTILE = 0.95, 0.99
# No entity's unit is smaller than this share of the usual one, nor than a thousandth of the
# channel's scale, squared.
UNIT_FLOOR, SMALLEST_UNIT = 0.1, 1e-6

_BODY = (0.8, 0.65, 0.5, 0.35, 0.25, 0.18, 0.12, 0.09, 0.06, 0.045, 0.03)
_BEYOND = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Tail:
    """The surprise of one channel's errors: a rising polyline from (0, 0), straight on at its end.

    Attributes
    ----------
    errors, surprises : (n_knots,), ascending; errors in units, surprises in nats.
    """

    errors: tuple[float, ...]
    surprises: tuple[float, ...]

    def surprise(self, errors: Floats64) -> Floats64:
        """Surprises in nats, of the errors' shape; NaN where the error is not finite, else finite.

        >>> tail = Tail((0.0, 1.0, 3.0), (0.0, 2.0, 4.0))
        >>> tail.surprise(np.array([0.5, 2.0, 9.0, np.nan])).tolist()
        [1.0, 3.0, 10.0, nan]
        """
        slope = (self.surprises[-1] - self.surprises[-2]) / (self.errors[-1] - self.errors[-2])
        with np.errstate(over="ignore", invalid="ignore"):
            beyond = slope * np.maximum(errors - self.errors[-1], 0.0)
            found = np.interp(errors, self.errors, self.surprises) + beyond
        return np.where(np.isfinite(errors), np.minimum(found, _FLOAT32_MAX), np.nan)


@dataclass(frozen=True)
class ChannelTails:
    """The surprise of every channel's errors, entity by entity.

    Attributes
    ----------
    tails : by channel, of errors in units.
    pooled_unit : (n_channels,), for entities without a unit of their own.
    units : by entity name, (n_channels,): an error that is high for this entity.
    growth : (n_channels, n_channels), by how much the units of all channels grow while one is dead;
        empty: not at all.
    """

    tails: tuple[Tail, ...]
    pooled_unit: tuple[float, ...]
    units: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    growth: tuple[tuple[float, ...], ...] = ()

    def unit(self, entity: str) -> tuple[float, ...]:
        """The unit of an entity's errors, (n_channels,).

        >>> ChannelTails((), (2.0,), {"a": (4.0,)}).unit("a")
        (4.0,)
        """
        return self.units.get(entity, self.pooled_unit)

    def surprises(
        self, channel_errors: Floats32, entities: Sequence[str] | None = None
    ) -> Floats32:
        """Surprises in nats of channel errors (n, n_channels); NaN where not finite.

        `entities` are (n,) names, None for the pooled unit.

        >>> tails = ChannelTails((Tail((0.0, 1.0), (0.0, 3.0)),), (2.0,), {"a": (4.0,)})
        >>> tails.surprises(np.array([[2.0], [2.0]], np.float32), ["a", "b"]).tolist()
        [[1.5], [3.0]]
        """
        names = [""] if entities is None else sorted(set(entities))
        units = np.array([self.unit(name) for name in names], np.float64)
        row = 0 if entities is None else np.searchsorted(names, entities)
        return self.surprises_in(channel_errors, units[row])

    def surprises_in(self, channel_errors: Floats32, units: Floats64) -> Floats32:
        """Surprises of errors (n, n_channels) whose units (n or 1, n_channels) are known.

        >>> tails = ChannelTails((Tail((0.0, 1.0), (0.0, 3.0)),), (2.0,))
        >>> tails.surprises_in(np.array([[2.0]], np.float32), np.array([[1.0]])).tolist()
        [[6.0]]
        """
        ratios = channel_errors.astype(np.float64) / units
        columns = [tail.surprise(ratios[:, channel]) for channel, tail in enumerate(self.tails)]
        if not columns:
            return np.empty(channel_errors.shape, np.float32)
        return np.stack(columns, axis=1).astype(np.float32)

    def grown(self, live: Flags) -> Floats64:
        """How much the units of windows grow, (n, n_channels), for channels dead in them.

        A detector that misses a sensor knows less about the others, and errs more.

        >>> tails = ChannelTails((), (1.0, 1.0), growth=((1.0, 3.0), (2.0, 1.0)))
        >>> tails.grown(np.array([[True, True], [False, True]])).tolist()
        [[1.0, 1.0], [1.0, 3.0]]
        """
        factors = np.ones(live.shape)
        for dead, growth in enumerate(self.growth):
            missed = ~live[:, dead]
            if missed.any():
                factors[missed] = np.maximum(factors[missed], growth)
        return factors

    def to_json(self) -> dict[str, Any]:
        """The tails as a JSON object."""
        tails = [{"errors": [*one.errors], "surprises": [*one.surprises]} for one in self.tails]
        return {
            "tails": tails,
            "pooled_unit": list(self.pooled_unit),
            "units": {name: list(unit) for name, unit in sorted(self.units.items())},
            "growth": [list(row) for row in self.growth],
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ChannelTails:
        """The tails of a JSON object, to the bit."""
        tails = tuple(
            Tail(tuple(part["errors"]), tuple(part["surprises"])) for part in fields["tails"]
        )
        units = {name: tuple(unit) for name, unit in fields["units"].items()}
        growth = tuple(tuple(row) for row in fields.get("growth", ()))
        return cls(tails, tuple(fields["pooled_unit"]), units, growth)


def fit_tails(errors: Floats32 | Mapping[str, Floats32], *, gap_steps: int = 10) -> ChannelTails:
    """The surprise of errors, from held-out readings that the detector was not trained on.

    Errors are (n_steps, n_channels) in the order of time, NaN where unknown; or such by entity.
    Those at most `gap_steps` apart are one cluster; at least the width of the detector's windows.

    Raises
    ------
    BadInput
        When no channel has 50 errors, all entities together.

    >>> tails = fit_tails(np.linspace(0, 1, 1001, dtype=np.float32)[:, None], gap_steps=0)
    >>> tails.surprises(np.array([[0.5], [1.0]], np.float32)).astype(float).round(1).tolist()
    [[0.7], [4.7]]
    """
    series = {"": errors} if isinstance(errors, np.ndarray) else dict(errors)
    n_known = np.sum([np.isfinite(part).sum(axis=0) for part in series.values()], axis=0)
    if not np.size(n_known) or int(np.max(n_known)) < MIN_ERRORS:
        raise BadInput(
            f"Expected at least {MIN_ERRORS} held-out errors of a channel. Received: "
            f"{np.max(n_known, initial=0)}. Use a longer training range or a larger validation "
            "share."
        )
    found = {name: [_high_error(column) for column in part.T] for name, part in series.items()}
    usual = np.array([_middle(own) for own in zip(*found.values(), strict=True)])
    usual = np.where(np.isfinite(usual), usual, _middle(usual.tolist(), otherwise=1.0))
    pooled = [_rounded(max(unit, SMALLEST_UNIT)) for unit in usual.tolist()]
    floors = np.maximum(UNIT_FLOOR * np.array(pooled), SMALLEST_UNIT)
    # An entity's own unit where it has enough errors, never far below the usual one.
    own_units = {}
    for name, own in found.items():
        chosen = np.where(np.isfinite(own), np.maximum(own, floors), pooled)
        if np.isfinite(own).any():
            own_units[name] = tuple(_rounded(unit) for unit in chosen.tolist())
    ratios = [
        part.astype(np.float64) / own_units.get(name, pooled) for name, part in series.items()
    ]
    enough = np.flatnonzero(n_known >= MIN_ERRORS)
    tails = []
    for channel, n in enumerate(n_known):
        # A channel's errors by entity; those of all channels where it has too few itself.
        channels = [channel] if n >= MIN_ERRORS else enough.tolist()
        parts = [part[:, one] for one in channels for part in ratios]
        tails.append(
            _tail(np.concatenate([part[np.isfinite(part)] for part in parts]), parts, gap_steps)
        )
    named = {} if isinstance(errors, np.ndarray) else own_units
    return ChannelTails(tuple(tails), tuple(pooled), named)


def unit_growth(
    usual: Floats32, with_dead: Sequence[Floats32], units: Floats64
) -> tuple[tuple[float, ...], ...]:
    """`ChannelTails.growth`, from errors of windows with all channels, and with each one dead.

    Errors and units are (n, n_channels); NaN in channels that an entity does not have, and in all
    channels where it does not have the dead one.

    >>> usual = np.ones((9, 2), np.float32)
    >>> unit_growth(usual, [3 * usual, 3 * usual], np.ones((9, 2)))
    ((1.0, 3.0), (3.0, 1.0))
    """
    high = np.maximum(_high_ratios(usual / units), SMALLEST_UNIT)
    ratios = [_high_ratios(errors / units) / high for errors in with_dead]
    # Unknown where no entity has both channels.
    grown = [[_rounded(max(ratio, 1.0)) for ratio in np.nan_to_num(row).tolist()] for row in ratios]
    for channel, row in enumerate(grown):
        row[channel] = 1.0
    return tuple(tuple(row) for row in grown)


def _high_ratios(ratios: Floats64) -> Floats64:
    """The 99th percentile of each column's known values; NaN where there are none."""
    known = np.isfinite(ratios).any(axis=0)
    found = np.full(ratios.shape[1], np.nan)
    found[known] = np.nanquantile(ratios[:, known], GROWTH_QUANTILE, axis=0)
    return found


def _high_error(column: Floats32) -> float:
    known = column[np.isfinite(column)]
    return float(np.quantile(known, UNIT_QUANTILE)) if known.size >= 2 * MIN_ERRORS else math.nan


def _middle(values: Sequence[float], otherwise: float = math.nan) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.median(known)) if known else otherwise


def _rounded(value: float) -> float:
    """Nine digits: a file of 300 machines stays small."""
    return float(f"{value:.9g}")


def _tail(known: Floats64, parts: Sequence[Floats64], gap_steps: int) -> Tail:
    """The tail of errors, of which `parts` are the series; a polyline from (0, 0)."""
    share = min(0.5, max(TAIL_SHARE, MIN_ABOVE / known.size))
    body = [p for p in _BODY if p > share]
    *lower, start = np.quantile(known, [1 - p for p in (*body, share)]).tolist()
    scale, shape = generalized_pareto(cluster_peaks(parts, start, gap_steps) - start)
    scale = max(scale, 1e-3 * max(start, 1.0))
    beyond = [start + scale * (math.expm1(shape * s) / shape if shape > 0 else s) for s in _BEYOND]
    surprises = [-math.log(p) for p in (*body, share)] + [s - math.log(share) for s in _BEYOND]
    knots = [(0.0, 0.0)]
    # Of knots at the same error the highest surprise would be too much, so the first stays.
    for error, surprise in zip((*lower, start, *beyond), surprises, strict=True):
        if _rounded(error) > knots[-1][0]:
            knots.append((_rounded(error), _rounded(surprise)))
    return Tail(tuple(error for error, _ in knots), tuple(surprise for _, surprise in knots))


def top_mean(surprises: Floats32, live: Flags, k: int) -> Floats32:
    """The mean (n,) of the `k` highest surprises (n, n_channels) of live channels, all if fewer.

    One channel's fault is thus not diluted by all the healthy ones. NaN where no channel is live.

    >>> live = np.array([[1, 1, 1], [1, 0, 0]], bool)
    >>> top_mean(np.array([[1, 9, 3], [1, 9, 3]], np.float32), live, 2).tolist()
    [6.0, 1.0]
    """
    ordered = np.sort(np.where(live, surprises, -np.inf).astype(np.float64), axis=1)[:, ::-1]
    n_used = np.minimum(np.count_nonzero(live, axis=1), k)
    total = np.zeros(len(ordered))
    for rank in range(min(k, ordered.shape[1])):
        total += np.where(rank < n_used, ordered[:, rank], 0.0)
    with np.errstate(over="ignore"):
        means = np.minimum(total / np.maximum(n_used, 1), _FLOAT32_MAX)
    return np.where(n_used > 0, means, np.nan).astype(np.float32)


def cluster_peaks(parts: Sequence[Floats64], level: float, gap_steps: int) -> Floats64:
    """The highest value of each cluster above a level: values at most `gap_steps` apart.

    Parts are series (n_steps,) on one grid, NaN where unknown; no cluster reaches from one into
    another. Source: Smith and Weissman (1994), runs declustering.

    >>> cluster_peaks([np.array([0.0, 5.0, 7.0, 0.0, 0.0, 6.0])], 1.0, 1).tolist()
    [7.0, 6.0]
    """
    found = [np.empty(0)]
    for part in parts:
        above = np.flatnonzero(part > level)
        if above.size:
            found.append(np.maximum.reduceat(part[above], cluster_starts(above, gap_steps)))
    return np.concatenate(found)


def cluster_starts(steps: Ints, gap_steps: int) -> Ints:
    """Positions in ascending `steps` where a cluster starts: more than `gap_steps` after the last.

    >>> cluster_starts(np.array([3, 4, 6, 9]), 2).tolist()
    [0, 3]
    """
    return np.concatenate(([0], np.flatnonzero(np.diff(steps) > max(gap_steps, 1)) + 1))


def generalized_pareto(excesses: Floats64) -> tuple[float, float]:
    """Scale and shape of a generalised Pareto distribution, by probability-weighted moments.

    The shape is kept between 0 (exponential) and 0.25: an endpoint would make what lies behind it
    impossible, and a few outliers make a tail without a mean. An excess, the height above a level,
    counts at most ten median ones. Without any, (0, 0). Source: Hosking and Wallis (1987), equation
    12.

    >>> generalized_pareto(np.array([1.0, 1.0, 1.0, 1.0]))
    (1.0, 0.0)
    """
    if not excesses.size:
        return 0.0, 0.0
    ascending = np.sort(np.minimum(excesses, CAP * np.median(excesses)))
    weights = 1 - (np.arange(1, excesses.size + 1) - 0.35) / excesses.size
    mean, weighted = float(ascending.mean()), float((weights * ascending).mean())
    spread = mean - 2 * weighted
    shape = min(max(2 - mean / spread, 0.0), HEAVIEST_SHAPE) if spread > 0 else 0.0
    return mean * (1 - shape), shape
