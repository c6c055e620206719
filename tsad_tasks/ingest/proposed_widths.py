"""At which total a register begins at 0 again, by the falls of a total that counts up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

# Registers count in bits, or show so many digits.
_WIDTHS = sorted([*(2.0**bits for bits in (16, 24, 31, 32, 48)), *(10.0**n for n in range(3, 13))])
# What is consumed past the end is no more than so many of the greatest rises, and those are small
# beside the width: nothing else falls from just below it to just above 0.
_RISES, _SMALL = 3, 1 / 8
_MOST_FALLS = 0.8


class Width(NamedTuple):
    """A register that wraps, and how many falls say so."""

    wraps_at: float
    n_wraps: int

    @property
    def written(self) -> str:
        """As a dataset file says it.

        >>> Width(65536.0, 3).written, Width(1e6, 1).written
        ('2^16', '1000000')
        """
        bits = int(self.wraps_at).bit_length() - 1
        return f"2^{bits}" if self.wraps_at == 2**bits else f"{self.wraps_at:.0f}"

    @property
    def evidence(self) -> str:
        """What was seen."""
        times = f"falls {self.n_wraps:,} time{'s' * (self.n_wraps != 1)}"
        return f"{times} from just below {self.wraps_at:,.0f} to just above 0"


def proposed_width(series: Sequence[Float]) -> Width | None:
    """The width that explains how totals fall; None: they do not, or otherwise.

    Parameters
    ----------
    series : known totals of each meter, in the order of time.

    >>> proposed_width([np.arange(0, 200_000, 700.0) % 65536])
    Width(wraps_at=65536.0, n_wraps=3)
    >>> proposed_width([np.append(np.arange(0, 60_000, 700.0), np.arange(0, 9_000, 700.0))])
    """
    rises = [np.diff(values) for values in series]
    is_fall = [
        (rise < 0) & (values[1:] <= values[:-1] / 2)
        for values, rise in zip(series, rises, strict=True)
    ]
    n_falls = sum(int(one.sum()) for one in is_fall)
    if not n_falls:
        return None
    highest = max(float(values.max()) for values in series if len(values))
    for width in (one for one in _WIDTHS if highest <= one):
        n_wraps = sum(
            int((one & is_wrap_of(width, values)).sum())
            for one, values in zip(is_fall, series, strict=True)
        )
        if n_wraps >= _MOST_FALLS * n_falls:
            return Width(width, n_wraps)
    return None


def is_wrap_of(width: float, values: Float) -> NDArray[np.bool_]:
    """Which differences (n - 1,) of totals (n,) are those of a register that wraps there.

    >>> is_wrap_of(1000.0, np.array([920.0, 950, 990, 20, 50])).tolist()
    [False, False, True, False]
    """
    rise = np.diff(values)
    most = _RISES * float(rise.max(initial=0.0))
    past = rise + width
    return (rise < 0) & (past <= most) & (values[1:] >= 0) & (most <= _SMALL * width)
