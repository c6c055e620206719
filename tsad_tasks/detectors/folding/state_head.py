"""The state head: one error for all channels, against baselines that freeze in an alarm."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field, model_validator

from tsad_tasks.base.arrays import Flags, Floats32, Floats64, Ints
from tsad_tasks.base.lazy import np
from tsad_tasks.base.settings import Readings, wrong
from tsad_tasks.detectors.base import Reconstruction
from tsad_tasks.detectors.folding.baseline import BaselineDetector
from tsad_tasks.detectors.folding.fold import AssetReconstruction, Series
from tsad_tasks.detectors.folding.series_fold import FoldSettings, Found, Units
from tsad_tasks.detectors.registry import register


class StateHeadSettings(FoldSettings):
    """Settings of `state_head`."""

    n_commission: Readings = Field(
        400, description="Readings that commission an entity that was not trained on."
    )
    smooth: Readings = Field(10, description="Readings that a channel is smoothed over.")
    memory: Readings = Field(
        150, description="Readings over which the slow average of a channel forgets."
    )
    delay: Readings = Field(
        20, description="The baseline is the slow average as it was so many readings before."
    )
    limit: float = Field(
        5.0,
        gt=0,
        description="An error above it begins an alarm; a baseline learns only from deviations up "
        "to it. In spreads.",
    )
    leave: float = Field(2.5, gt=0, description="An alarm ends at an error of at most this.")
    leave_share: float = Field(
        0.55,
        description="An alarm ends at this share of its median error, if that is higher than "
        "leave.",
    )
    longest: Readings = Field(
        600, description="After so many readings in an alarm the new regime is accepted."
    )
    recent: Readings = Field(
        90,
        description="An alarm also ends when most of so many last readings were not above the "
        "limit.",
    )
    relearn: Readings = Field(
        90,
        description="Readings after an alarm, in which baselines follow quickly and nothing is "
        "judged.",
    )
    slow_ratio: float = Field(
        0.3,
        description="A channel whose von Neumann ratio over the training readings is lower, in the "
        "median of the fleet, is not watched, unless all are; 0 watches all.",
    )

    @model_validator(mode="after")
    def _recent_within_longest(self) -> StateHeadSettings:
        if self.recent > self.longest:
            raise wrong(f"at most longest, which is {self.longest}", self.recent, "recent")
        return self


@register("state_head")
class StateHead(BaselineDetector):
    """Deviations from slow baselines, near their maximum over the channels, held with hysteresis.

    Its errors are made for `model.hysteresis`: over that threshold is the alarm's state. While
    baselines are learned anew after an alarm, errors are NaN.
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
            mine.limit, mine.leave, mine.leave_share, mine.longest, mine.recent
        )
        self.watched = np.ones(n_channels, np.bool_)

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
        return super().empty(n_units) | {"alarm": no_alarm(n_units, self.rule), "mode": mode}

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
        # Fourth root of the sum of fourth powers: quiet channels do not dilute the loudest.
        total = np.zeros(len(each))
        for column in each.T:
            total += (column * column) * (column * column)
        deviation = np.sqrt(np.sqrt(total)).astype(np.float32)
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
        return {"watched": self.watched.tolist()}

    def recall(self, details: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        super().recall(details, files)
        self.watched = np.array(details["watched"], np.bool_)
