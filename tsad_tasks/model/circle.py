"""Values on a circle, such as directions and times of day: where they are, differences and means.

Sine, cosine and arctangent are made of sums, products and quotients here, since the last bit of
NumPy's own may depend on where in an array a value lies, and what is stored must not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Floats64

# Below this mean resultant length directions cancel, and have no mean: their circular standard
# deviation is more than 120 degrees.
MIN_RESULTANT = 0.1
# Coefficients of r² in sin(r) / r and cos(r), the highest first: Taylor's, exact to the last bit up
# to an eighth of a turn.
_SIN = [(-1) ** k / math.factorial(2 * k + 1) for k in range(8, -1, -1)]
_COS = [(-1) ** k / math.factorial(2 * k) for k in range(9, -1, -1)]
# Of r² in arctan(r) / r. Source: Moshier, Cephes mathematical library, atan.c, 1995.
_ATAN_OVER = [
    -8.750608600031904122785e-1,
    -1.615753718733365076637e1,
    -7.500855792314704667340e1,
    -1.228866684490136173410e2,
    -6.485021904942025371773e1,
]
_ATAN_UNDER = [
    1.0,
    2.485846490142306297962e1,
    1.650270098316988542046e2,
    4.328810604912902668951e2,
    4.853903996359136964868e2,
    1.945506571482613964425e2,
]
_TAN_PI_8 = math.sqrt(2) - 1


@dataclass(frozen=True)
class Circle:
    """Values from `start` to `start + period`, where one end is the other."""

    period: float
    start: float = 0.0

    def within(self, values: Floats64) -> Floats64:
        """The same places from `start` up to, and without, `start + period`; what is there stays.

        >>> Circle(360.0, -180.0).within(np.array([190.0, -180.0, 180.0])).tolist()
        [-170.0, -180.0, -180.0]
        """
        with np.errstate(invalid="ignore"):
            turns = np.floor((values - self.start) / self.period)
            moved = values - turns * self.period
            # Rounding may leave a value on the far end.
            moved = np.where(moved >= self.start + self.period, self.start, moved)
            return np.where(turns == 0, values, np.maximum(moved, self.start))

    def difference(self, values: Floats64, others: Floats64 | float) -> Floats64:
        """How far values are from others the shorter way, from −period / 2 up to period / 2.

        >>> Circle(360.0).difference(np.array([30.0]), 350.0).tolist()
        [40.0]
        """
        return signed_turn(values - others, self.period)

    def mean(self, values: Floats64) -> float:
        """Circular mean of known values (n,); NaN where they cancel.

        >>> Circle(360.0).mean(np.array([350.0, 20.0])), Circle(360.0).mean(np.array([0.0, 180.0]))
        (5.0, nan)
        """
        if not len(values):
            return math.nan
        return float(means(self, values, np.zeros(1, np.intp))[0])


def signed_turn(differences: Floats64, period: float | Floats64) -> Floats64:
    """Differences on a circle the shorter way, from −period / 2 up to period / 2.

    >>> signed_turn(np.array([-320.0, 180.0, 10.0]), 360.0).tolist()
    [40.0, 180.0, 10.0]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        turned = differences - np.ceil(differences / period - 0.5) * period
    return np.asarray(turned, np.float64)


def means(
    circle: Circle, values: Floats64, starts: NDArray[np.intp], weights: Floats64 | None = None
) -> Floats64:
    """Circular means of runs of known values that begin at `starts`, of each from its first on.

    NaN where the mean resultant length is below `MIN_RESULTANT`. `weights` (n,) are above 0; None:
    all count alike. A value that does not change is its own mean to the bit. Source: Mardia and
    Jupp, Directional statistics, 2000, section 2.2.

    >>> means(Circle(24.0), np.array([23.0, 1.0, 6.0]), np.array([0, 2])).tolist()
    [0.0, 6.0]
    """
    sizes = np.diff(np.append(starts, len(values)))
    first = values[starts]
    sine, cosine = sine_cosine((values - np.repeat(first, sizes)) / circle.period)
    weight = np.ones(len(values)) if weights is None else weights
    total = np.add.reduceat(weight, starts)
    up, along = (np.add.reduceat(weight * part, starts) / total for part in (sine, cosine))
    is_known = np.sqrt(up * up + along * along) >= MIN_RESULTANT
    found = circle.within(first + turns_of(up, along) * circle.period)
    return np.where(is_known, found, np.nan)


def means_across(circle: Circle, values: Floats64) -> Floats64:
    """Circular means (n_steps,) of the known ones of values (n_series, n_steps).

    >>> means_across(Circle(360.0), np.array([[350.0, np.nan], [10.0, 90.0]])).tolist()
    [0.0, 90.0]
    """
    found = np.full(values.shape[1], np.nan)
    step, series = np.nonzero(~np.isnan(values.T))
    if len(step):
        at, starts = np.unique(step, return_index=True)
        found[at] = means(circle, values[series, step], starts)
    return found


def sine_cosine(turns: Floats64) -> tuple[Floats64, Floats64]:
    """Sine and cosine of angles in turns, the same to the bit wherever a value stands.

    >>> [part.tolist() for part in sine_cosine(np.array([0.0, 0.25, 0.5, 100.75]))]
    [[0.0, 1.0, 0.0, -1.0], [1.0, 0.0, -1.0, 0.0]]
    """
    with np.errstate(invalid="ignore"):
        rest = turns - np.rint(turns)
        quarter = np.rint(4 * rest)
        angle = (rest - quarter / 4) * (2 * math.pi)
        square = angle * angle
        sine, cosine = angle * _polynomial(_SIN, square), _polynomial(_COS, square)
        is_odd, is_back = np.abs(quarter) == 1, (quarter == -1) | (np.abs(quarter) == 2)
        turned = np.where(is_odd, cosine, sine), np.where(is_odd, sine, cosine)
        # By a quarter: sin is cos, cos is −sin; by three: −cos, sin; by two both change sign.
        along_back = (quarter == 1) | (np.abs(quarter) == 2)
        # Adding 0 turns −0.0 into 0.0.
        up = np.where(is_back, -turned[0], turned[0]) + 0.0
        return up, np.where(along_back, -turned[1], turned[1]) + 0.0


def turns_of(sine: Floats64, cosine: Floats64) -> Floats64:
    """The angle in turns, from −1/2 up to 1/2, of which these are sine and cosine times a length.

    >>> turns_of(np.array([0.0, 3.0, 0.0]), np.array([2.0, 0.0, -1.0])).tolist()
    [0.0, 0.25, 0.5]
    """
    high, wide = np.abs(sine), np.abs(cosine)
    larger = np.maximum(high, wide)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(larger > 0, np.minimum(high, wide) / larger, 0.0)
        is_steep = slope > _TAN_PI_8
        rest = np.where(is_steep, (slope - 1) / (slope + 1), slope)
        square = rest * rest
        over, under = _polynomial(_ATAN_OVER, square), _polynomial(_ATAN_UNDER, square)
        turns = (rest + rest * square * over / under) / (2 * math.pi) + 0.125 * is_steep
        turns = np.where(high > wide, 0.25 - turns, turns)
        turns = np.where(cosine < 0, 0.5 - turns, turns)
        turns = np.where(sine < 0, -turns, turns)
        return np.where(np.isnan(sine) | np.isnan(cosine), np.nan, turns)


def _polynomial(coefficients: list[float], at: Floats64) -> Floats64:
    """Horner's rule, the highest power first."""
    total = np.full(at.shape, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * at + coefficient
    return total
