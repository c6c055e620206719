"""The state head: one error for all channels, against baselines that freeze in an alarm."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from tsad_tasks.base.arrays import Flags, Floats32, Floats64, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.base.settings import Readings, UsualTime, wrong
from tsad_tasks.detectors.base import Reconstruction
from tsad_tasks.detectors.folding.baseline import BaselineDetector
from tsad_tasks.detectors.folding.fold import AssetReconstruction, Series
from tsad_tasks.detectors.folding.series_fold import FoldSettings, Found, Units
from tsad_tasks.detectors.registry import register

# Median and 90 % quantile of the norm of six independent channels: what limits are said for.
_MIDDLE, _HIGH = 1.75, 2.55
_LEAST_WIDTH = 0.4


class StateHeadSettings(FoldSettings):
    """Settings of `state_head`."""

    n_commission: Readings = Field(
        400, description="Readings that commission an entity that was not trained on."
    )
    smooth: Annotated[Readings, UsualTime(600, least=3)] = Field(
        10, description="Readings that a channel is smoothed over."
    )
    memory: Annotated[Readings, UsualTime(9000, least=50)] = Field(
        150, description="Readings over which the slow average of a channel forgets."
    )
    delay: Annotated[Readings, UsualTime(1200, least=5)] = Field(
        20, description="The baseline is the slow average as it was so many readings before."
    )
    limit: float = Field(
        5.0,
        gt=0,
        description="An error above it begins an alarm; a baseline learns only from deviations up "
        "to it. In spreads; with many channels counted from what is usual for the machine: half of "
        "its commissioning had an error of at most 1.75, nine tenths one of at most 2.55.",
    )
    leave: float = Field(2.5, gt=0, description="An alarm ends at an error of at most this.")
    leave_share: float = Field(
        0.55,
        description="An alarm ends at this share of its median error, if that is higher than "
        "leave.",
    )
    longest: Annotated[Readings, UsualTime(36000, least=200)] = Field(
        600, description="After so many readings in an alarm the new regime is accepted."
    )
    recent: Annotated[Readings, UsualTime(5400, least=10, within="longest")] = Field(
        90,
        description="An alarm also ends when most of so many last readings were not above the "
        "limit.",
    )
    relearn: Annotated[Readings, UsualTime(5400, least=10)] = Field(
        90,
        description="Readings after an alarm, in which baselines follow quickly and nothing is "
        "judged.",
    )
    fresh: Annotated[Readings, UsualTime(1800, least=10, within="longest")] = Field(
        30,
        description="An alarm also ends when none of so many last readings was above the limit.",
    )
    slow_ratio: float = Field(
        0.3,
        description="A channel whose von Neumann ratio over the training readings is lower, in the "
        "median of the fleet, is not watched, unless all are; 0 watches all.",
    )

    @model_validator(mode="after")
    def _within_longest(self) -> StateHeadSettings:
        for name in ("recent", "fresh"):
            if (n := getattr(self, name)) > self.longest:
                raise wrong(f"at most longest, which is {self.longest}", n, name)
        return self


@register("state_head")
class StateHead(BaselineDetector):
    """Deviations from slow baselines, near their maximum over the channels, held with hysteresis.

    Its errors are made for `model.hysteresis`: over that threshold is the alarm's state. While
    baselines are learned anew after an alarm, errors are NaN. The norm of the deviations grows with
    their number, so it counts from the median and the 90 % quantile that a machine's own
    commissioning had: a limit means the same for 6 channels and for 52.
    """

    settings_model = StateHeadSettings
    settings: StateHeadSettings
    per_channel: ClassVar[bool] = False
    reconstruction: ClassVar[type[Reconstruction]] = AssetReconstruction
    relearn_gain: ClassVar[float] = 0.1

    def __init__(self, width: int, n_channels: int, n_inputs: int, **params: Any) -> None:
        from tsad_tasks.model.drift import Baseline
        from tsad_tasks.model.hysteresis import HysteresisRule

        super().__init__(width, n_channels, n_inputs, **params)
        mine = self.settings
        self.baseline = Baseline(mine.smooth, mine.memory, mine.delay)
        self.rule = HysteresisRule(
            mine.limit, mine.leave, mine.leave_share, mine.longest, mine.recent, mine.fresh
        )
        self.watched = np.ones(n_channels, np.bool_)
        self.own_scale = True

    def fit_series(self, entities: Sequence[str], series: Series, *, seed: int) -> None:
        from tsad_tasks.model.drift import roughness

        ratios = np.stack([roughness(values) for values in series.values])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            slow = np.nanmedian(ratios, axis=0) < self.settings.slow_ratio
        self.watched = ~slow | slow.all()
        super().fit_series(entities, series, seed=seed)

    def empty(self, n_units: int) -> Units:
        from tsad_tasks.model.hysteresis import no_alarm

        relearning, last = np.zeros(n_units, np.int32), np.zeros((n_units, 3), np.float32)
        mode = {"relearning": relearning, "last": last}
        units = super().empty(n_units) | {"alarm": no_alarm(n_units, self.rule), "mode": mode}
        if self.own_scale:
            units["usual"] = {"middle": np.zeros(n_units), "high": np.ones(n_units)}
        return units

    def commission_units(self, units: Units, rows: Ints, readings: Floats64) -> None:
        from tsad_tasks.model.drift import commission

        found = commission(units["baseline"], rows, readings, self.baseline)
        for unit, distances in zip(rows.tolist(), found, strict=True):
            if self.own_scale and len(distances):
                usual = np.quantile(_norm(np.where(self.watched, distances, 0.0)), (0.5, 0.9))
                units["usual"]["middle"][unit], units["usual"]["high"][unit] = usual

    def step(self, units: Units, rows: Ints, readings: Floats64, half_hour: Ints) -> Found:
        from tsad_tasks.model import drift

        baseline, known = units["baseline"], np.isfinite(readings)
        means = drift.smoothed(baseline, rows, readings)
        expected = drift.expected_value(baseline, rows)
        each = np.where(known & self.watched, drift.deviations(baseline, rows, means), 0.0)
        relearning = units["mode"]["relearning"]
        learning = relearning[rows] > 0
        errors = np.full(len(rows), np.nan, np.float32)
        anew, gain = rows[learning], np.where(known[learning], self.relearn_gain, 0.0)
        drift.follow(baseline, anew, means[learning], gain)
        relearning[anew] -= 1
        drift.settle(baseline, anew[relearning[anew] == 0])
        judged = ~learning
        if judged.any():
            errors[judged] = self._judge(
                units, rows[judged], means[judged], known[judged], each[judged]
            )
        return np.broadcast_to(errors[:, None], readings.shape), expected, each

    def _judge(
        self, units: Units, rows: Ints, means: Floats64, known: Flags, each: Floats64
    ) -> Floats32:
        """Errors (n_rows,) of readings, which change alarms and, while it is calm, baselines."""
        from tsad_tasks.model import drift
        from tsad_tasks.model.hysteresis import held_error, hysteresis_step

        baseline, alarm, mode = units["baseline"], units["alarm"], units["mode"]
        norm = _norm(each)
        if self.own_scale:
            middle, high = (units["usual"][name][rows] for name in ("middle", "high"))
            spreads = (norm - middle) / np.maximum(high - middle, _LEAST_WIDTH)
            # Never for more than it is in spreads: few channels are no reason for more alarms.
            norm = np.minimum(norm, np.maximum(_MIDDLE + (_HIGH - _MIDDLE) * spreads, 0.0))
        deviation = norm.astype(np.float32)
        last = np.concatenate([mode["last"][rows][:, 1:], deviation[:, None]], axis=1)
        mode["last"][rows] = last
        before = alarm["alarm"][rows]
        errors = held_error(before, last)
        hysteresis_step(alarm, rows, errors, self.rule)
        after = alarm["alarm"][rows]
        calm, ended = ~before & ~after, rows[before & ~after]
        learned = known & (deviation <= self.rule.limit)[:, None]
        gain = np.where(learned, 1.0 / self.baseline.memory, 0.0)
        drift.follow(baseline, rows[calm], means[calm], gain[calm])
        level = baseline["last"][ended]
        level = (level[..., 0] + level[..., 1] + level[..., 2]) / drift.N_LAST
        drift.settle(baseline, ended, level)
        mode["relearning"][ended] = self.settings.relearn
        mode["last"][ended] = 0
        return errors

    def learned(self) -> dict[str, Any]:
        return {"watched": self.watched.tolist(), "own_scale": self.own_scale}

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        super().recall(details, files)
        self.watched = np.array(details["watched"], np.bool_)
        # Models from before it keep their scale and their rule.
        self.own_scale = details.get("own_scale", False)
        if not self.own_scale:
            self.rule = replace(self.rule, fresh=0)


def _norm(distances: Floats64) -> Floats64:
    """Fourth root of the sum of fourth powers (n,): quiet channels do not dilute the loudest."""
    total = np.zeros(len(distances))
    for column in distances.T:
        total += (column * column) * (column * column)
    return np.asarray(np.sqrt(np.sqrt(total)))
