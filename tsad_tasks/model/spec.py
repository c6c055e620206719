"""All of a model beside the network that affects errors, scores and flags: its spec.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from tsad_tasks.base.arrays import Flags, Ints
from tsad_tasks.base.enums import Role, Signal
from tsad_tasks.model.features import SUNDAY, Scaler, derived_history
from tsad_tasks.model.noise import ChannelNoise
from tsad_tasks.model.tails import ChannelTails
from tsad_tasks.model.thresholds import Calibration, ThresholdSettings


@dataclass(frozen=True)
class FeatureSpec:
    """How readings become the detector's inputs. Counts are grid steps.

    Attributes
    ----------
    channels : names in the order of the inputs' first columns.
    hold_steps : by channel, how long a value stays valid.
    holidays : days since 1970 that are like the weekly day of rest; without any there is no such
        input.
    rest_weekday : 0 is Monday.
    signals : by channel, what its values are, as the dataset file says it; empty: all are gauges.
    units : by channel, what its numbers mean where the signal alone leaves it open, see
        `DatasetConfig.signal_units`; empty: nobody knows, or all are gauges.
    roles : by channel, what it is to the others; empty: all are measured.
    settle_steps : by channel, how long the machine is on its way after a change; empty: not at all.
    learned_steps : so long a condition is outside of what training saw until it is known.
    folds_under : whether a detector that folds sees conditions, and waits for them.
    """

    channels: tuple[str, ...]
    hold_steps: tuple[int, ...]
    step_s: int
    site_zone: str
    width: int
    min_coverage: float
    running_when: str | None
    grace_steps: int
    rolling_mean: tuple[int, ...]
    lag: tuple[int, ...]
    diff: tuple[int, ...]
    cyclic: tuple[str, ...]
    holidays: tuple[int, ...] = ()
    rest_weekday: int = SUNDAY
    signals: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    settle_steps: tuple[int, ...] = ()
    learned_steps: int = 0
    units: tuple[str, ...] = ()
    folds_under: bool = False

    def to_json(self) -> dict[str, Any]:
        """The features as a JSON object; without signals it is as it was before there were any."""
        later = ("signals", "roles", "settle_steps", "learned_steps", "units", "folds_under")
        return {name: value for name, value in vars(self).items() if value or name not in later}

    def changes(self, signals: Mapping[str, str], units: Mapping[str, str]) -> list[str]:
        """What channels were and are, by name, of those whose values mean something else now; a
        unit that nobody knows is as it was.
        """
        found = []
        for name, signal in self.signal_of.items():
            then, now = self.unit_of.get(name), units.get(name)
            if name in signals and signal != signals[name]:
                found.append(f"{name} was {signal} and is {signals[name]} now")
            elif then and now and then != now:
                found.append(f"{name} was {then} and is {now} now")
        return found

    @property
    def signal_of(self) -> dict[str, str]:
        """What the values of each channel are."""
        gauges = (Signal.GAUGE.value,) * len(self.channels)
        return dict(zip(self.channels, self.signals or gauges, strict=True))

    @property
    def unit_of(self) -> dict[str, str]:
        """The `units` by channel; without any, nothing is known of them."""
        return dict(zip(self.channels, self.units, strict=True)) if self.units else {}

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.site_zone)

    @property
    def calendar(self) -> tuple[tuple[int, ...], int]:
        """Holidays, and the weekday that they are like."""
        return self.holidays, self.rest_weekday

    @property
    def angles(self) -> Ints:
        """Positions of the channels whose values are on a circle, and judged."""
        return np.setdiff1d(self._of_signal(Signal.ANGLE), self.conditions)

    @property
    def conditions(self) -> Ints:
        """Positions of the channels that the others are judged under."""
        found = [at for at, one in enumerate(self.roles) if Role(one).is_condition]
        return np.array(found, np.int64)

    @property
    def n_condition_inputs(self) -> int:
        """Inputs that conditions are: a direction is two."""
        on_circle = np.intersect1d(self.conditions, self._of_signal(Signal.ANGLE))
        return len(self.conditions) + len(on_circle)

    @property
    def unseen(self) -> Ints:
        """Positions of channels that are no column: conditions, or only of `running_when`."""
        return np.union1d(self._of_signal(Signal.DISCRETE), self.conditions)

    def _of_signal(self, signal: Signal) -> Ints:
        found = [at for at, one in enumerate(self.signals) if one == signal]
        return np.array(found, np.int64)

    @property
    def is_plain(self) -> bool:
        """Whether each channel is one column of a detector."""
        return not len(self.angles) and not len(self.unseen)

    @property
    def column_channels(self) -> Ints:
        """Which channel each column (n_columns,) is of that a detector reconstructs.

        Of each channel that is seen there is one, in their order; then come second ones of angles.
        """
        return np.concatenate([self.seen, self.angles])

    @property
    def seen(self) -> Ints:
        """Positions of the channels that inputs are made of."""
        return np.delete(np.arange(len(self.channels)), self.unseen)

    @property
    def n_columns(self) -> int:
        """Columns that a detector reconstructs, the first ones of its inputs."""
        return len(self.channels) - len(self.unseen) + len(self.angles)

    @property
    def n_inputs(self) -> int:
        """Columns that the detector sees."""
        n_derived = len(self.rolling_mean) + len(self.lag) + len(self.diff)
        return self.n_columns * (1 + n_derived) + self.n_condition_inputs + self.n_clock_inputs

    @property
    def condition_columns(self) -> slice:
        """Which inputs conditions are: the last ones before the clock's."""
        end = self.n_inputs - self.n_clock_inputs
        return slice(end - self.n_condition_inputs, end)

    @property
    def n_clock_inputs(self) -> int:
        """Of these the last ones, which say what time and day it is."""
        return 2 * len(self.cyclic) + bool(self.holidays)

    def dead_inputs(self, channel: int) -> Flags:
        """Which inputs (n_inputs,) are unknown while a channel is: it, and its derived ones."""
        n_context = self.n_condition_inputs + self.n_clock_inputs
        sensed = np.arange(self.n_inputs) < self.n_inputs - n_context
        # What is derived from columns comes after them, in the same order; conditions and the
        # clock's inputs come last.
        of_channel = self.column_channels[np.arange(self.n_inputs) % self.n_columns] == channel
        return np.asarray(sensed & of_channel, np.bool_)

    @property
    def channel_inputs(self) -> Flags:
        """Which inputs go with each channel, (n_channels, n_inputs): its `dead_inputs`."""
        return np.stack([self.dead_inputs(channel) for channel in range(len(self.channels))])

    @property
    def column_inputs(self) -> Flags:
        """Which inputs go with each column, (n_columns, n_inputs): those of its channel, with the
        first one; with the second one of an angle none, so that a channel is taken away once.
        """
        found = self.channel_inputs[self.column_channels]
        found[self.n_columns - len(self.angles) :] = False
        return found

    @property
    def reach_steps(self) -> int:
        """How many steps before a reading its error looks back."""
        back = derived_history(rolling_mean=self.rolling_mean, lag=self.lag, diff=self.diff)
        on_its_way = max(self.grace_steps, *self.settle_steps, 0)
        of_window = self.width - 1 + max(back, on_its_way)
        return max(of_window, self.learned_steps) + max(self.hold_steps, default=0)

    @property
    def reach_hours(self) -> int:
        """Whole hours that cover `reach_steps`."""
        return math.ceil(self.reach_steps * self.step_s / 3600)


@dataclass(frozen=True)
class ModelSpec:
    """A model's features, scales, threshold and calibration.

    Attributes
    ----------
    scalers, calibrations : by entity name; an entity that is not there uses the pooled one.
    spreads : half-width that holds 95 % of the residuals by channel, in scaled units: the ± of
        "expected".
    tails : surprise of channel errors; None: they are taken as they are.
    combine : {"mean", "top_k", "max"}, how the errors of the live channels become one.
    top_k : how many of the highest, for top_k.
    expected_incidents_per_day : of all entities while nothing is wrong; None where the threshold
        has no budget.
    limit_notes : sentences on how the limits came about, for the card of the model; not stored.
    noise : by entity name, from how many readings each channel's steps were made, and what noise
        makes of its errors; without entities it makes no difference how many there are.
    noise_power : errors grow with this power of the noise of readings, 1 or 2; 0: the detector
        follows the noise itself.
    """

    features: FeatureSpec
    scalers: Mapping[str, Scaler]
    pooled_scaler: Scaler
    threshold: ThresholdSettings
    calibrations: Mapping[str, Calibration]
    pooled_calibration: Calibration
    spreads: tuple[float, ...]
    tails: ChannelTails | None = None
    combine: str = "mean"
    top_k: int = 2
    expected_incidents_per_day: float | None = None
    noise: Mapping[str, ChannelNoise] = field(default_factory=dict)
    noise_power: int = 2
    limit_notes: tuple[str, ...] = ()

    @property
    def score_reach_hours(self) -> int:
        """Whole hours that a threshold looks back, the errors' own reach included."""
        # Beyond what training saw an error is compared with those just before.
        steps = max(self.threshold.history_steps, self.features.learned_steps)
        look_back_s = steps * self.features.step_s
        return math.ceil(look_back_s / 3600) + self.features.reach_hours

    def scaler(self, entity: str) -> Scaler:
        return self.scalers.get(entity, self.pooled_scaler)

    def calibration(self, entity: str) -> Calibration:
        return self.calibrations.get(entity, self.pooled_calibration)

    def is_provisional(self, entity: str) -> bool:
        """Whether the entity has no scale of its own."""
        return entity not in self.scalers

    def to_json(self) -> dict[str, Any]:
        """The spec as a JSON object; without noise as it was before there was any."""
        made = {
            "features": self.features.to_json(),
            "scalers": {name: scaler.to_json() for name, scaler in sorted(self.scalers.items())},
            "pooled_scaler": self.pooled_scaler.to_json(),
            "threshold": asdict(self.threshold),
            "calibrations": {
                name: asdict(found) for name, found in sorted(self.calibrations.items())
            },
            "pooled_calibration": asdict(self.pooled_calibration),
            "spreads": list(self.spreads),
            "tails": self.tails.to_json() if self.tails else None,
            "combine": self.combine,
            "top_k": self.top_k,
            "expected_incidents_per_day": self.expected_incidents_per_day,
        }
        if self.noise:
            made["noise"] = {name: one.to_json() for name, one in sorted(self.noise.items())}
            made["noise_power"] = self.noise_power
        return made

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ModelSpec:
        """The spec of a JSON object, to the bit; what older bundles do not say is as it was."""
        tails = fields.get("tails")
        features: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields["features"].items()
        }
        return cls(
            features=FeatureSpec(**features),
            scalers={name: Scaler.from_json(part) for name, part in fields["scalers"].items()},
            pooled_scaler=Scaler.from_json(fields["pooled_scaler"]),
            threshold=ThresholdSettings(**fields["threshold"]),
            calibrations={
                name: Calibration(**part) for name, part in fields["calibrations"].items()
            },
            pooled_calibration=Calibration(**fields["pooled_calibration"]),
            spreads=tuple(fields["spreads"]),
            tails=ChannelTails.from_json(tails) if tails else None,
            combine=fields.get("combine", "mean"),
            top_k=fields.get("top_k", 2),
            expected_incidents_per_day=fields.get("expected_incidents_per_day"),
            noise={
                name: ChannelNoise.from_json(one) for name, one in fields.get("noise", {}).items()
            },
            noise_power=fields.get("noise_power", 2),
        )
