"""What a channel's values may be, by how they look: proposed with the evidence, and never set."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.model.circle import Circle, signed_turn

Float = NDArray[np.float64]

_ANGLE_NAMES = re.compile(
    r"(?<![a-z])(dir|direction|bearing|heading|azimuth|phase|angle|yaw|course|wd|winddir)(?![a-z])",
    re.IGNORECASE,
)
# Names of nothing but directions, in degrees where values go so far.
_DIRECTIONS = re.compile(
    r"(?<![a-z])(wind[_ -]?dir(ection)?|wdir|heading|bearing|azimuth)(?![a-z])", re.IGNORECASE
)
_LEAST_DEGREES = 24.0
_HOUR_NAMES = re.compile(r"(?<![a-z])(hour|time|clock|tod)(?![a-z])", re.IGNORECASE)
_STATE_NAMES = re.compile(
    r"(?<![a-z])(mode|state|status|valve|door|switch|relay|alarm|running|open|on|enabled|active|"
    r"recipe|grade|phase)(?![a-z])",
    re.IGNORECASE,
)
_COUNT_NAMES = re.compile(r"(?<![a-z])(count|counts|errors?|n|num|number|total|events?)(?![a-z])",
                          re.IGNORECASE)  # fmt: skip
_ANGLE_UNITS = {"°", "deg", "degree", "degrees", "rad", "gon", "grad"}


@dataclass(frozen=True)
class _Kind:
    """A circle that people use, how a file says it, and whether name or unit must hint at it."""

    circle: Circle
    written: str
    needs_hint: bool = False


_CIRCLES = (
    _Kind(Circle(360.0), "signal: angle"),
    _Kind(Circle(360.0, -180.0), "signal: angle, sensor_range: [-180, 180]"),
    _Kind(Circle(math.tau), "signal: angle, period: 2pi", needs_hint=True),
    _Kind(Circle(math.tau, -math.pi), "signal: angle, period: 2pi, sensor_range: [-3.1416, 3.1416]",
          needs_hint=True),
    _Kind(Circle(400.0), "signal: angle, period: 400", needs_hint=True),
    _Kind(Circle(24.0), "signal: angle, period: 24", needs_hint=True),
)  # fmt: skip
# Both ends within so much of the period; so many jumps from near one end to near the other, fewer
# where name or unit hint at an angle; and of all jumps over half the period most of them.
_END_SHARE, _NEAR_SHARE, _MOST_SHARE = 0.06, 1 / 6, 0.8
_MIN_JUMPS, _MIN_JUMPS_HINTED = 5, 2
# So many states at most, in so many values at least; fewer where the name hints at states, since
# rows that come when a valve changes are few.
_MAX_STATES, _MIN_VALUES, _MIN_HINTED = 8, 20, 4


def proposed_signal(name: str, unit: str | None, series: Sequence[Float]) -> str | None:
    """What to write of a gauge whose values look like those of an angle or of states, and why.

    Parameters
    ----------
    series : values of each series in the order of time, NaN where there is none.

    >>> proposed_signal("wind_dir", "deg", [np.array([350.0, 355, 2, 8, 358, 359, 1, 357, 4, 340])])
    'signal: angle (values from 1 to 359 jump 6 times from one end to the other)'
    >>> proposed_signal("wind_dir", "deg", [np.arange(250.0, 300.0)])
    'signal: angle (its name wind_dir, values from 250 to 299)'
    """
    known = [values[~np.isnan(values)] for values in series]
    known = [values for values in known if len(values)]
    if not known:
        return None
    return _angle(name, unit, known) or _direction(name, known) or _states(name, unit, known)


def _angle(name: str, unit: str | None, series: Sequence[Float]) -> str | None:
    low, high = min(map(np.min, series)), max(map(np.max, series))
    different = np.unique(np.concatenate(series))
    is_direction = bool(_DIRECTIONS.search(name))
    if len(different) <= _MAX_STATES and not is_direction:
        return None
    is_hinted = bool(_ANGLE_NAMES.search(name)) or (unit or "").strip().lower() in _ANGLE_UNITS
    is_hinted |= is_direction
    for kind in _CIRCLES:
        circle, near = kind.circle, _END_SHARE * kind.circle.period
        if is_direction and len(different) > 1:
            # A compass of eight points ends at 315°.
            near = max(near, float(np.diff(different).min()))
        end = circle.start + circle.period
        hinted = is_hinted or (circle.period == 24.0 and bool(_HOUR_NAMES.search(name)))
        if kind.needs_hint and not hinted:
            continue
        at_ends = low <= circle.start + near and high >= end - near
        if not at_ends or low < circle.start - 1e-9 or high > end + 1e-3 * circle.period:
            continue
        steps = np.concatenate([np.diff(values) for values in series])
        is_jump = np.abs(steps) > circle.period / 2
        turned = np.abs(signed_turn(steps[is_jump], circle.period))
        n_across = int(np.count_nonzero(turned < _NEAR_SHARE * circle.period))
        enough = _MIN_JUMPS_HINTED if hinted else _MIN_JUMPS
        if n_across >= enough and n_across >= _MOST_SHARE * np.count_nonzero(is_jump):
            span = f"values from {low:g} to {high:g} jump {n_across} times"
            return f"{kind.written} ({span} from one end to the other)"
    return None


def _direction(name: str, series: Sequence[Float]) -> str | None:
    """Degrees of a channel whose name says that it is a direction, wherever it was."""
    low, high = min(map(np.min, series)), max(map(np.max, series))
    if not _DIRECTIONS.search(name) or low == high or max(-low, high) <= _LEAST_DEGREES:
        return None
    for kind in _CIRCLES[:2]:
        if kind.circle.start <= low and high <= kind.circle.start + kind.circle.period:
            return f"{kind.written} (its name {name}, values from {low:g} to {high:g})"
    return None


def _states(name: str, unit: str | None, series: Sequence[Float]) -> str | None:
    codes, counts = np.unique(np.concatenate(series), return_counts=True)
    whole = bool((codes == np.rint(codes)).all()) and bool((np.abs(codes) < 1e6).all())
    if not whole or not 2 <= len(codes) <= _MAX_STATES or _COUNT_NAMES.search(name):
        return None
    is_hinted = bool(_STATE_NAMES.search(name))
    is_switch = len(codes) == 2 and codes[0] == 0.0 and codes[1] in (1.0, 100.0, 255.0)
    n_values = int(counts.sum())
    n_changes = sum(int(np.count_nonzero(np.diff(values))) for values in series)
    if not (is_switch or is_hinted) or n_values < (_MIN_HINTED if is_hinted else _MIN_VALUES):
        return None
    listed = ", ".join(f"{code:g}" for code in codes)
    written = "signal: discrete" + f", states: [{listed}]" * (codes.tolist() != [0.0, 1.0])
    return f"{written} ({n_values} values, only {listed}, changed {n_changes} times)"
