"""Verdicts on sensors, beside the verdict on the machine: is the reading itself to be trusted?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import QualityVerdict
from tsad_tasks.base.errors import BadInput

# So many equal values in a row are stuck, at least; and this many times the sensor's usual run of
# equal values.
STUCK_STEPS = 30
STUCK_RUNS = 10
# Fewer values of an hour than this say nothing about its level or variation.
MIN_VALUES = 5
# Values on the end of the range: at least MIN_VALUES and this share of the hour.
AT_LIMIT_SHARE = 0.25
# A level has moved when it is this many usual spreads away; it fits a unit within so many spreads,
# and at most 5 % of what the readings just before lead to expect, or 10 % of what is usual.
MOVED_SPREADS, FITTING_SPREADS, FITTING_SHARES = 8.0, 3.0, (0.05, 0.10)

_UNITS = (
    ("× 1.8 + 32", 1.8, 32.0),
    ("− 32, ÷ 1.8", 1 / 1.8, -32 / 1.8),
    ("× 1000", 1000.0, 0.0),
    ("÷ 1000", 0.001, 0.0),
    ("× 100", 100.0, 0.0),
    ("÷ 100", 0.01, 0.0),
)


class SensorFinding(NamedTuple):
    """One verdict: on which channel, for how many steps, and why."""

    channel_index: int
    verdict: QualityVerdict
    n_steps: int
    detail: str


Said = tuple[QualityVerdict, int, str]


class _Sensor(NamedTuple):
    """Finite values of one channel, and what is usual for it (NaN where that is not known)."""

    hour: NDArray[np.float64]
    previous: NDArray[np.float64]
    low: float
    high: float
    median: float
    spread: float


def quality_verdicts(
    values: NDArray[np.float64],
    previous: NDArray[np.float64],
    *,
    low: NDArray[np.float64] | None = None,
    high: NDArray[np.float64] | None = None,
    reference_median: NDArray[np.float64] | None = None,
    reference_spread: NDArray[np.float64] | None = None,
    on_change: NDArray[np.bool_] | None = None,
    fitted: NDArray[np.bool_] | None = None,
) -> list[SensorFinding]:
    """What is wrong with the sensors in one hour, by channel.

    dead: nothing was read while other channels were. out_of_range: values outside the sensor's
    range. at_limit: a quarter of the hour lies exactly on an end of it. constant: one value in this
    hour and before, though the channel usually varies. stuck: the same value for 30 steps and ten
    times its usual run, though the channel usually varies. unit_jump: the level is that of another
    unit (°F for °C, thousandths, hundredths, or back) and far from its own.

    Parameters
    ----------
    values : (n_steps, n_channels)
        The hour as stored; NaN where nothing was read, nor was valid any more.
    previous : (n_previous, n_channels)
        The readings just before; may be empty.
    low, high : (n_channels,)
        Ends of each sensor's range; NaN or None where not stated.
    reference_median, reference_spread : (n_channels,)
        Usual level and robust standard deviation (centre and scale of the scaler), 0 for a channel
        that does not vary; NaN or None where not known: then neither constant, stuck nor unit_jump
        is said.
    on_change : (n_channels,)
        Channels that are told of when they change: a value that stays is neither constant nor
        stuck. None: there are none.
    fitted : (n_channels,)
        Which channels the entity has; None: all. What it does not have cannot be dead.

    >>> hour = np.column_stack([np.full(6, 80.6), np.arange(6.0)])
    >>> median, spread = np.array([27.0, 3.0]), np.array([0.5, 1.0])
    >>> usual = {"reference_median": median, "reference_spread": spread}
    >>> [str(found.verdict) for found in quality_verdicts(hour, np.array([[27.1, 3.0]]), **usual)]
    ['unit_jump']
    """
    n_channels = values.shape[1]
    given, unknown = (low, high, reference_median, reference_spread), np.full(n_channels, np.nan)
    usual = [unknown if part is None else np.asarray(part, np.float64) for part in given]
    if previous.shape[1:] != (n_channels,) or any(part.shape != (n_channels,) for part in usual):
        received = f"{previous.shape}, {[part.shape for part in usual]}"
        raise BadInput(f"Expected {n_channels} channels everywhere. Received: {received}.")
    n_read = int(np.isfinite(values).any(axis=1).sum())
    found: list[SensorFinding] = []
    for index in range(n_channels):
        hour, before = (part[:, index][np.isfinite(part[:, index])] for part in (values, previous))
        channel = _Sensor(hour, before, *(float(part[index]) for part in usual))
        if hour.size:
            may_stay = on_change is not None and bool(on_change[index])
            unchanging = [] if may_stay else _unchanging(channel)
            said = [*_range(channel), *unchanging, *_unit(channel)]
            found += [SensorFinding(index, *verdict) for verdict in said]
        elif n_read >= MIN_VALUES and (fitted is None or fitted[index]):
            detail = f"nothing read at {n_read} steps at which other channels were"
            found.append(SensorFinding(index, QualityVerdict.DEAD, n_read, detail))
    return found


def _range(channel: _Sensor) -> Iterator[Said]:
    hour, low, high = channel.hour, channel.low, channel.high
    n_outside = int(((hour < low) | (hour > high)).sum())
    if n_outside:
        seen = f"{hour.min():.6g} to {hour.max():.6g}, range {low:.6g} to {high:.6g}"
        yield QualityVerdict.OUT_OF_RANGE, n_outside, seen
    for end, name in ((low, "low"), (high, "high")):
        n_there = int((hour == end).sum())
        if n_there >= max(MIN_VALUES, AT_LIMIT_SHARE * hour.size):
            yield QualityVerdict.AT_LIMIT, n_there, f"at the {name} end of the range, {end:.6g}"


def _unchanging(channel: _Sensor) -> Iterator[Said]:
    hour, both = channel.hour, np.concatenate([channel.previous, channel.hour])
    if not channel.spread > 0 or hour.size < MIN_VALUES:
        return
    if channel.previous.size and np.ptp(both) == 0:
        usual = f"usually ± {channel.spread:.3g}"
        detail = f"only {hour[0]:.6g} in {both.size} readings, {usual}"
        yield QualityVerdict.CONSTANT, int(hour.size), detail
        return
    starts = np.concatenate(([0], np.flatnonzero(np.diff(both)) + 1, [both.size]))
    runs = np.diff(starts)
    in_hour = np.where(starts[1:] > channel.previous.size, runs, 0)
    longest = int(in_hour.argmax())
    usual_run = (both.size - runs[longest]) / max(runs.size - 1, 1)
    if in_hour[longest] >= max(STUCK_STEPS, STUCK_RUNS * usual_run):
        n_steps = min(int(runs[longest]), int(starts[longest + 1]) - channel.previous.size)
        value = f"{both[starts[longest]]:.6g}"
        yield QualityVerdict.STUCK, n_steps, f"{value} in {int(runs[longest])} readings in a row"


def _unit(channel: _Sensor) -> Iterator[Said]:
    """The first unit that fits, when the level is far from its own."""
    spread = channel.spread
    if channel.hour.size < MIN_VALUES or not np.isfinite(channel.median + spread):
        return
    q1, level, q3 = np.percentile(channel.hour, [25, 50, 75]).tolist()
    scatter = (q3 - q1) / 1.349
    # The level from which a jump would have started, and the share of it that a unit may miss.
    own, share = channel.median, FITTING_SHARES[1]
    if channel.previous.size >= MIN_VALUES:
        before = float(np.median(channel.previous))
        if abs(before - channel.median) <= MOVED_SPREADS * spread:
            own, share = before, FITTING_SHARES[0]
    for name, factor, offset in _UNITS:
        expected = own * factor + offset
        open_to = max(FITTING_SPREADS * spread * factor, 0.01 * abs(expected))
        tolerance = min(open_to, share * abs(expected))
        # The move is also four times what the fit leaves open, and the scatter has shrunk along
        # with the level: else a shift of the level explains it as well.
        moved = abs(level - own) > max(MOVED_SPREADS * spread, 4 * tolerance, 0.1 * abs(own))
        fits = abs(level - expected) <= tolerance and scatter <= FITTING_SPREADS * spread * factor
        if moved and fits:
            detail = f"median {level:.6g} is the former {own:.6g} {name}"
            yield QualityVerdict.UNIT_JUMP, int(channel.hour.size), detail
            return
