"""How much is known of a spread by values that follow one another, and what follows of it."""

from __future__ import annotations

import numpy as np

from tsad_tasks.base.arrays import Floats64

# No fewer are told of. A factor grows with e to the power of half of the exponent.
LEAST, MOST_EXPONENT = 2.0, 40.0


def n_independent(rows: Floats64) -> Floats64:
    """How many independent values (…) say as much of a spread around 0 as rows (n_rows, …) do.

    Rows that resemble their neighbours are worth fewer: by the shape of their spectrum, since an
    estimated power is exponentially distributed and its square twice as large as it should be.
    Source: Box (1954), theorem 3.1: equivalent degrees of freedom of a quadratic form.

    >>> noise = np.random.default_rng(7).normal(0, 1, (4001, 1))
    >>> pairs = noise[1:] + noise[:-1]
    >>> n_independent(noise).round(-2).tolist(), n_independent(pairs).round(-2).tolist()
    ([4000.0], [2600.0])
    """
    power = np.abs(np.fft.rfft(rows, axis=0)) ** 2
    counts = np.full((len(power), *[1] * (rows.ndim - 1)), 2.0)
    counts[0] = 1.0
    if len(rows) % 2 == 0:
        counts[-1] = 1.0
    first, second = (counts * power).sum(axis=0), (counts * power * power).sum(axis=0)
    found = np.divide(2 * first * first, second, out=np.full_like(first, LEAST), where=second > 0)
    return np.asarray(np.clip(found, LEAST, len(rows) or LEAST))


def student_factor(deviate: Floats64, n: Floats64) -> Floats64:
    """How many times farther off a normal deviate is where its spread is known from n values alone.

    Source: Wallace (1959), Bounds on normal approximations to Student's distribution, inverted.

    >>> student_factor(np.array([3.0, 3.0, 3.0]), np.array([5.0, 10.0, 1000.0])).round(2).tolist()
    [1.86, 1.32, 1.0]
    """
    bend = (8 * n + 3) / (8 * n + 1)
    exponent = np.minimum((bend * deviate) ** 2 / n, MOST_EXPONENT)
    return np.asarray(np.sqrt(n * np.expm1(exponent)) / deviate)
