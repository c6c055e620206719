"""Totals that count up, as consumption: a rate for each step, and what of it is not certain.

What a step gets depends on the rows up to the end of its hour alone, and of those before the hour
on the last ones, so many that more of them change nothing: hours that are read one by one and all
at once are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import QualityVerdict
from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.sections import ChannelSection

Float = NDArray[np.float64]
Int64 = NDArray[np.int64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]

HOUR_US = 3_600_000_000
# What is usual for a meter is said by so many differences before, and its greatest total by so many
# totals before; the differences among these ask for as many before them.
N_USUAL = 32
N_BEFORE = 2 * N_USUAL + 1
# A total that is older says nothing of a step.
OLDEST_US = 7 * 24 * HOUR_US
# Of the usual rate (the median of those above zero) so much is plausible; a rise is one of another
# meter where it is so many times that, and a share of the total besides.
PLAUSIBLE, RISE, RISE_SHARE = 5.0, 20.0, 0.01
# A fall of this share of the total is its resolution; so is one of that share where nothing is
# known of what is usual.
RESOLUTION, UNKNOWN_RESOLUTION = 1e-5, 1e-3
# A greater fall than this share of the width at which the total wraps is more than noise.
NOISE_SHARE = 0.1
# So many steps without a row are a gap that is told of.
GAP_STEPS = 2
MARKS = (
    QualityVerdict.COUNTER_RESET,
    QualityVerdict.METER_REPLACED,
    QualityVerdict.SPREAD_OVER_GAP,
    QualityVerdict.WRAPS_UNKNOWN,
)
_RESET, _REPLACED, _SPREAD, _WRAPS = range(4)
_BLOCK = 65_536


@dataclass(frozen=True)
class Meter:
    """How the totals of one channel are read.

    Attributes
    ----------
    unit_us : rates are per so many microseconds.
    wraps_at : the total begins at 0 again when it reaches this; NaN: it does not.
    max_rate : no plausible rate is higher; NaN: what is usual for the meter says so.
    """

    unit_us: int
    wraps_at: float = np.nan
    max_rate: float = np.nan


def meter_of(channel: ChannelSection, step_s: int) -> Meter:
    """How the totals of a channel are read."""
    given = (np.nan if one is None else one for one in (channel.wraps_at, channel.max_rate))
    return Meter(channel.unit_s(step_s) * 1_000_000, *given)


def meters_of(config: DatasetConfig) -> dict[int, Meter]:
    """The meters of a dataset by the position of their channel."""
    return {
        position: meter_of(channel, config.step_s)
        for position, channel in enumerate(config.channels.values())
        if channel.is_counter
    }


class Totals(NamedTuple):
    """Known totals (n,), in order of entity and time, each moment once."""

    entity: Index
    times_us: Int64
    values: Float


class Consumption(NamedTuple):
    """What was consumed between each total and the one before it, (n,).

    Attributes
    ----------
    has_before : there is one before it, and it is not too old.
    rate : per microsecond; NaN where it is unknown.
    kind : position in `MARKS` of what is to be told; -1: nothing.
    """

    has_before: Mask
    rate: Float
    kind: Int64


@dataclass(frozen=True)
class Metered:
    """Rates of some steps.

    Attributes
    ----------
    cells : (n_cells,) positions of steps, of all entities' laid end to end.
    values : (n_cells,) rates in the meter's unit, NaN where unknown.
    marks : (n_marks, n_entities, n_hours) how often what is in `MARKS` occurred.
    """

    cells: Int64
    values: Float
    marks: Int64


def consumption(totals: Totals, meter: Meter) -> Consumption:
    """Rates between totals.

    A fall is the meter's resolution where it is no greater than what may be consumed in that time
    and leaves more than half, unless the total wraps: then it is only where it is small beside the
    width, and what was consumed past `wraps_at` would not be plausible. It is a wrap where that
    is; a reset where the new total is, which then is what was consumed at least. Any other fall,
    and a rise that is not plausible, is another meter: nothing is known.

    >>> us = 1_000_000 * np.arange(5)
    >>> totals = Totals(np.zeros(5, np.intp), us, np.array([7.0, 8.0, 9.0, 0.5, 1.5]))
    >>> (consumption(totals, Meter(1_000_000)).rate * 1e6).tolist()
    [nan, 1.0, 1.0, 0.5, 1.0]
    """
    n = len(totals.values)
    is_same = np.append(False, totals.entity[1:] == totals.entity[:-1])[:n]
    oldest_us = totals.times_us // HOUR_US * HOUR_US - OLDEST_US
    before_us = np.append(0, totals.times_us[:-1])[:n]
    before = np.append(np.nan, totals.values[:-1])[:n]
    has_before = is_same & (before_us >= oldest_us)
    elapsed_us = np.where(has_before, totals.times_us - before_us, 1).astype(np.float64)
    rise = np.where(has_before, totals.values - before, 0.0)
    usual = _usual_rates(totals, meter, rise, elapsed_us, has_before, before)
    most = usual * PLAUSIBLE * elapsed_us
    if not np.isnan(meter.max_rate):
        most = meter.max_rate / meter.unit_us * (1 + 1e-9) * elapsed_us
    kind, amount, is_fall = np.full(n, -1), rise.copy(), rise < 0
    is_small = is_fall & (totals.values > before / 2)
    is_small &= (
        (-rise <= most)
        | (-rise <= RESOLUTION * before)
        | (np.isnan(most) & (-rise <= UNKNOWN_RESOLUTION * before))
    )
    wrapped = totals.values + meter.wraps_at - before
    is_small &= _is_noise(meter, wrapped, before, usual * PLAUSIBLE * elapsed_us, most)
    other = is_fall & ~is_small
    enough = most if not np.isnan(meter.max_rate) else RISE * most
    is_wrap = other & (totals.values >= 0) & (before <= meter.wraps_at)
    is_wrap &= np.where(np.isnan(enough), wrapped <= meter.wraps_at / 2, wrapped <= enough)
    is_reset = other & ~is_wrap & (totals.values >= 0)
    is_reset &= (totals.values <= most) | (totals.values == 0)
    if np.isnan(meter.max_rate):
        is_other = ~is_fall & (rise > RISE * most) & (rise > RISE_SHARE * before)
    else:
        is_other = ~is_fall & (rise > most)
    is_other |= other & ~is_wrap & ~is_reset
    amount = np.where(is_wrap, wrapped, np.where(is_reset, totals.values, amount))
    kind[is_reset], kind[is_other] = _RESET, _REPLACED
    # So long without a row that it may have wrapped more than once.
    is_lost = has_before & ~is_other & ~is_reset & (usual * elapsed_us >= meter.wraps_at)
    is_lost &= is_fall | _is_longer(elapsed_us)
    kind[is_lost] = _WRAPS
    amount[is_other | is_lost] = np.nan
    cuts = ~has_before | is_wrap | is_reset | is_other | is_lost
    is_plain = ~cuts
    amount[is_plain] = np.maximum(rise, 0)[is_plain]
    _count_above_greatest(totals, is_small, cuts, amount)
    rate = np.where(has_before, amount / elapsed_us, np.nan)
    return Consumption(has_before, rate, kind)


def _is_noise(meter: Meter, wrapped: Float, before: Float, usual: Float, most: Float) -> Mask:
    """Whether small falls (n,) are noise rather than a wrap, after which `wrapped` was consumed.

    `most` may be consumed at most, and `usual` plausibly; NaN: nothing is known of that. A highest
    rate says no more than that: what is a hundred times as much as usual is noise all the same.
    """
    if not np.isnan(meter.max_rate):
        most = np.fmin(most, RISE * usual)
    is_little = meter.wraps_at - wrapped <= NOISE_SHARE * meter.wraps_at
    # A total beyond the width has not wrapped there.
    return np.isnan(wrapped) | (before > meter.wraps_at) | (is_little & ~(wrapped <= most))


def _is_longer(elapsed_us: Float) -> Mask:
    """Differences over a longer time than the one before: more than one wrap may be in them."""
    return np.append(False, elapsed_us[1:] > 1.5 * elapsed_us[:-1])[: len(elapsed_us)]


def _usual_rates(
    totals: Totals, meter: Meter, rise: Float, elapsed_us: Float, has_before: Mask, before: Float
) -> Float:
    """Rates (n,) that are usual before each total that asks for it; NaN: not asked, or unknown."""
    asks = np.zeros(len(rise), bool)
    if np.isnan(meter.max_rate):
        asks = has_before & ((rise < 0) | (rise > RISE_SHARE * before))
    if not np.isnan(meter.wraps_at):
        asks |= has_before & ((rise < 0) | _is_longer(elapsed_us))
    usual = np.full(len(rise), np.nan)
    for at in np.array_split(np.flatnonzero(asks), max(1, -(-int(asks.sum()) // _BLOCK))):
        earlier = at[:, None] - 1 - np.arange(N_USUAL)
        inside = earlier >= 0
        earlier = np.maximum(earlier, 0)
        inside &= totals.entity[earlier] == totals.entity[at][:, None]
        inside &= has_before[earlier] & (rise[earlier] > 0)
        oldest_us = totals.times_us[at] // HOUR_US * HOUR_US - OLDEST_US
        # Since a difference has a total before it, which must be there as well.
        inside &= totals.times_us[np.maximum(earlier - 1, 0)] >= oldest_us[:, None]
        rates = np.where(inside, rise[earlier] / elapsed_us[earlier], np.inf)
        rates.sort(axis=1)
        n_known = inside.sum(axis=1)
        middle = [np.take_along_axis(rates, np.maximum(k, 0)[:, None], 1)[:, 0]
                  for k in ((n_known - 1) // 2, n_known // 2)]  # fmt: skip
        usual[at] = np.where(n_known > 0, (middle[0] + middle[1]) / 2, np.nan)
    return usual


def _count_above_greatest(totals: Totals, is_small: Mask, cuts: Mask, amount: Float) -> None:
    """After a fall that is resolution only what is above the greatest total so far is consumed.

    So far is since the last reset or wrap, and among the last totals.
    """
    at = np.arange(len(amount))
    last_small = np.maximum.accumulate(np.where(is_small, at, -1))
    last_cut = np.maximum.accumulate(np.where(cuts, at, -1))
    since = np.append(-1, last_small[:-1])[: len(at)]
    # The cut itself begins what comes after it.
    begins = np.append(0, last_cut[:-1])[: len(at)]
    asks = ~cuts & (since > begins) & (since > at - 1 - N_USUAL)
    for some in np.array_split(np.flatnonzero(asks), max(1, -(-int(asks.sum()) // _BLOCK))):
        earlier = some[:, None] - 1 - np.arange(N_USUAL)
        inside = earlier >= begins[some][:, None]
        known = np.where(inside, totals.values[np.maximum(earlier, 0)], -np.inf)
        greatest = known.max(axis=1, initial=-np.inf)
        amount[some] = np.maximum(totals.values[some] - greatest, 0)


def metered(
    totals: Totals, meter: Meter, start_us: int, end_us: int, step_us: int, n_entities: int
) -> Metered:
    """Rates of the steps in [start, end), whole hours, whose hour has a later total.

    A step's rate is that of the differences that end in it. Steps before it without a total have
    the rate of the difference that spans them, within the hour; earlier hours were over before it
    was known.
    """
    n_steps, n_hours = (end_us - start_us) // step_us, (end_us - start_us) // HOUR_US
    found = consumption(totals, meter)
    marks = np.zeros((len(MARKS), n_entities, n_hours), np.int64)
    chosen = np.flatnonzero((totals.times_us >= start_us) & found.has_before)
    if not len(chosen):
        return Metered(np.zeros(0, np.int64), np.zeros(0), marks)
    times_us, entity = totals.times_us[chosen], totals.entity[chosen]
    before_us, rate = totals.times_us[chosen - 1], found.rate[chosen]
    step, per_hour = (times_us - start_us) // step_us, HOUR_US // step_us
    cell = entity * n_steps + step
    starts = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
    values = _of_steps(rate, times_us - before_us, starts, step_us)
    first = np.maximum((before_us - start_us) // step_us + 1, step // per_hour * per_hour)[starts]
    n_filled = np.maximum(step[starts] - first, 0)
    ordinal = np.arange(n_filled.sum()) - np.repeat(np.cumsum(n_filled) - n_filled, n_filled)
    filled = np.repeat(entity[starts] * n_steps + first, n_filled) + ordinal
    hour = entity * n_hours + step // per_hour
    flat = marks.reshape(len(MARKS), -1)
    kind = found.kind[chosen]
    for number in range(len(MARKS)):
        flat[number] += np.bincount(hour[kind == number], minlength=flat.shape[1])
    is_gap = np.zeros(len(rate), bool)
    is_gap[starts] = (times_us - before_us)[starts] > GAP_STEPS * step_us
    is_gap &= ~np.isnan(rate)
    told = np.zeros(len(rate), np.int64)
    told[starts] = n_filled + 1
    np.add.at(flat[_SPREAD], hour[is_gap], told[is_gap])
    cells = np.concatenate([cell[starts], filled])
    spread = np.repeat(rate[starts], n_filled)
    return Metered(cells, np.concatenate([values, spread]) * meter.unit_us, marks)


def _of_steps(rate: Float, elapsed_us: Int64, starts: Index, step_us: int) -> Float:
    """The mean rate of each step whose differences begin at `starts`, weighed by time.

    The first of them may have begun long before; it counts for what the others leave of the step.
    """
    ends = np.append(starts[1:], len(rate))
    weight = elapsed_us.astype(np.float64)
    others = np.add.reduceat(weight, starts) - weight[starts]
    weight[starts] = np.clip(step_us - others, 0, weight[starts])
    weight[starts] = np.where(others == 0, 1.0, weight[starts])
    sizes = ends - starts
    share = weight / np.repeat(np.add.reduceat(weight, starts), sizes)
    # From the first rate on, so that a rate that does not change is its own mean to the bit.
    base = rate[starts]
    mean = base + np.add.reduceat(share * (rate - np.repeat(base, sizes)), starts)
    return np.where(sizes == 1, base, mean)


DETAILS: Mapping[QualityVerdict, str] = {
    QualityVerdict.COUNTER_RESET: "the total began anew; its step has at least what it shows since",
    QualityVerdict.METER_REPLACED: "the total is that of another meter; what was consumed is "
    "unknown",
    QualityVerdict.SPREAD_OVER_GAP: "without rows; what was consumed is spread evenly over them",
    QualityVerdict.WRAPS_UNKNOWN: "the total may have wrapped more than once; what was consumed is "
    "unknown",
}
