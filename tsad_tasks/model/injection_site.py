"""Readings of one entity, as far as they say what an anomaly of each of its channels would be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tsad_tasks.base.arrays import Flags, Floats64, Ints
from tsad_tasks.base.enums import Signal
from tsad_tasks.model.circle import Circle
from tsad_tasks.model.extremes import HourExtremes, natural_ends, resolutions, side_widths
from tsad_tasks.model.features import Scaler, held, site_seconds, weekdays_of
from tsad_tasks.model.spec import FeatureSpec

# What is usual on a day takes another one to know.
LEAST_DAYS = 2
# Channels go together where the others explain so much of one.
COUPLED, RIDGE = 0.5, 1e-3
# So far beyond the extremes of its hour, in side widths, a value is no usual one.
CLEAR = 0.25
_DAY_S, _MAD = 86400, 1.4826


@dataclass(frozen=True, eq=False)
class Coupling:
    """What the other channels say of one: its expected values (n_steps,), and how far it is off
    them usually.
    """

    expected: Floats64
    spread: float


@dataclass(frozen=True, eq=False)
class Site:
    """Readings of one entity, and what of them is usual.

    Attributes
    ----------
    raw : (n_steps, n_channels), as they were read.
    start_s : Unix seconds of the first step.
    clean : (n_steps,), steps that say what is usual.
    ends : lowest and highest values that channels can have, (n_channels,) each; infinite where
        nobody said.
    states : channels, by position, that tell the states of one.
    """

    spec: FeatureSpec
    scaler: Scaler
    raw: Floats64
    start_s: int
    clean: Flags
    ends: tuple[Floats64, Floats64] | None = None
    states: Sequence[tuple[int, ...]] = ()

    @cached_property
    def circles(self) -> dict[int, Circle]:
        """Circles of the channels whose values are on one."""
        return {i: one for i, one in enumerate(self.scaler.circles) if one is not None}

    @cached_property
    def values(self) -> Floats64:
        """Readings, held as long as they are valid; of angles how far they are from the centre."""
        found = held(self.raw, self.spec.hold_steps)
        for channel, circle in self.circles.items():
            found[:, channel] = circle.difference(found[:, channel], self.scaler.center[channel])
        return found

    @cached_property
    def local_s(self) -> Ints:
        """Seconds since 1970 on the clocks of the site, (n_steps,)."""
        times_s = self.start_s + np.arange(len(self.raw), dtype=np.int64) * self.spec.step_s
        return site_seconds(times_s, self.spec.zone)

    @cached_property
    def hours(self) -> Ints:
        """Hour of the day, (n_steps,)."""
        return self.local_s % _DAY_S // 3600

    @cached_property
    def rests(self) -> Flags:
        """Whether it is a day of rest, the day before it, or a holiday, (n_steps,)."""
        return rest_of(self.local_s // _DAY_S, *self.spec.calendar)

    @cached_property
    def extremes(self) -> HourExtremes:
        """By hour, of all days."""
        return self._extremes(self.clean)

    @cached_property
    def extremes_of_days(self) -> tuple[HourExtremes, HourExtremes] | None:
        """By hour, of work days and of days of rest; None where too few of one were seen."""
        of_days = [self.clean & ~self.rests, self.clean & self.rests]
        dates = [np.unique(self.local_s[one] // _DAY_S) for one in of_days]
        if min(map(len, dates)) < LEAST_DAYS:
            return None
        return self._extremes(of_days[0]), self._extremes(of_days[1])

    def _extremes(self, clean: Flags) -> HourExtremes:
        return HourExtremes.of(self.values, clean, self.hours, self.local_s // _DAY_S)

    @cached_property
    def side_widths(self) -> Floats64:
        """How far each channel goes from its median, down and up, (2, n_channels)."""
        return side_widths(self.values, self.clean)

    @cached_property
    def resolutions(self) -> Floats64:
        """The distance between two values of each channel, (n_channels,); 0 where any will do."""
        return resolutions(self.values, self.clean)

    @cached_property
    def between(self) -> tuple[Floats64, Floats64]:
        """Between which ends each channel stays, (n_channels,) each."""
        lowest, highest = natural_ends(self.values, self.clean)
        counted = [at for at, one in enumerate(self.spec.signals) if one in _COUNTED]
        lowest[[*counted, *self.scaler.counts]] = 0.0
        if self.ends is not None:
            is_said = np.isfinite(self.ends[0]) | np.isfinite(self.ends[1])
            lowest, highest = (
                np.where(is_said, said, found)
                for said, found in zip(self.ends, (lowest, highest), strict=True)
            )
        on_circle = [*self.circles]
        lowest[on_circle], highest[on_circle] = -np.inf, np.inf
        return lowest, highest

    @cached_property
    def singles(self) -> list[int]:
        """Channels that an anomaly can be put into: judged, and seen to move."""
        of_states = {channel for group in self.states for channel in group}
        is_usable = self.scaler.fitted & ~self.scaler.never_moved & (self.side_widths[1] > 0)
        is_usable[self.spec.unseen] = False
        return [at for at in np.flatnonzero(is_usable).tolist() if at not in of_states]

    @cached_property
    def groups(self) -> list[tuple[int, ...]]:
        """The same of channels that have states: those that tell them."""
        fitted = self.scaler.fitted
        known = (group for group in self.states if fitted[[*group]].all())
        return [one for one in known if np.isfinite(self.values[:, one]).any()]

    def shares(self, group: tuple[int, ...]) -> Floats64:
        """Shares of all states, (n_steps, n_states); the first one's are what the others leave."""
        told = self.values[:, group]
        return np.column_stack([1 - told.sum(axis=1), told])

    def share_extremes(self, group: tuple[int, ...]) -> HourExtremes:
        """By hour, of the shares of all states."""
        dates = self.local_s // _DAY_S
        return HourExtremes.of(self.shares(group), self.clean, self.hours, dates)

    def edges(
        self, steps: slice, channel: int, *, alike: bool = False
    ) -> tuple[Floats64, Floats64]:
        """Lowest and highest usual values at steps, (n,) each; NaN where too few days are known.

        Parameters
        ----------
        alike : of work days, or of days of rest, alone, where enough of both were seen.
        """
        hours, found = self.hours[steps], self.extremes
        if alike and self.extremes_of_days is not None:
            found = self.extremes_of_days[int(self.rests[steps.start])]
        return found.low[hours, channel], found.high[hours, channel]

    def knows_days(self, steps: slice, channel: int) -> bool:
        """Whether other days say what is usual at steps."""
        return bool((self.extremes.n_days[self.hours[steps], channel] >= LEAST_DAYS).all())

    def possible(self, values: Floats64, channel: int) -> Floats64:
        """Values (n,) that the channel can have, nearest to these."""
        if (circle := self.circles.get(channel)) is not None:
            return circle.difference(values, 0.0)
        low, high = (end[channel] for end in self.between)
        found, apart = np.clip(values, low, high), self.resolutions[channel]
        if not apart:
            return found
        known = self.values[self.clean, channel]
        origin = known[np.isfinite(known)][0]
        return np.asarray(origin + np.round((found - origin) / apart) * apart, np.float64)

    def is_beyond(
        self,
        values: Floats64,
        steps: slice,
        channel: int,
        *,
        clear: float = CLEAR,
        alike: bool = False,
    ) -> Flags:
        """Which values (n,) leave what is usual at these steps by so many side widths and more."""
        low, high = self.edges(steps, channel, alike=alike)
        down, up = clear * self.side_widths[:, channel]
        found = (values >= high + up) | (values <= low - down)
        if (circle := self.circles.get(channel)) is not None:
            # Further around is nearer again, from the other side.
            found &= values <= low + circle.period - down
            found &= values >= high - circle.period + up
        return np.asarray(found, np.bool_)

    @cached_property
    def coupled(self) -> dict[int, Coupling]:
        """Channels of which the others say much."""
        found = {}
        for channel in self.singles if len(self.singles) > 1 else ():
            if channel not in self.circles and (one := self._coupling(channel)) is not None:
                found[channel] = one
        return found

    def _coupling(self, channel: int) -> Coupling | None:
        """What a ridge regression on the others makes of a channel; None where they say little."""
        others = [at for at in self.singles if at != channel and at not in self.circles]
        seen = self.values[:, [channel, *others]]
        used = self.clean & np.isfinite(seen).all(axis=1)
        if not others or np.count_nonzero(used) < 10 * len(others) + 50:
            return None
        center, scale = seen[used].mean(axis=0), self.side_widths.max(axis=0)[[channel, *others]]
        scaled = (seen - center) / scale
        inputs, target = scaled[used, 1:], scaled[used, 0]
        gram = inputs.T @ inputs + RIDGE * len(target) * np.eye(len(others))
        expected = scaled[:, 1:] @ np.linalg.solve(gram, inputs.T @ target)
        left = target - expected[used]
        if left.var() > (1 - COUPLED) * target.var():
            return None
        spread = max(_MAD * float(np.median(np.abs(left))), 0.02)
        return Coupling(expected * scale[0] + center[0], spread * scale[0])

    def as_read(self, values: Floats64, channel: int) -> Floats64:
        """Values in the channel's unit."""
        circle = self.circles.get(channel)
        if circle is None:
            return values
        return circle.within(values + self.scaler.center[channel])


def rest_of(days: Ints, holidays: Sequence[int], rest_weekday: int) -> Flags:
    """Whether days, counted since 1970, are weekends or holidays.

    >>> rest_of(np.array([0, 1, 2, 3, 4]), [4], 6).tolist()
    [False, False, True, True, True]
    """
    weekend = np.isin(weekdays_of(days), [rest_weekday, (rest_weekday - 1) % 7])
    return np.asarray(weekend | np.isin(days, np.asarray(holidays, np.int64)), np.bool_)


_COUNTED = (Signal.COUNTER.value, Signal.EVENT_COUNT.value)
