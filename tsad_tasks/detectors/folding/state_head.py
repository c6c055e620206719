"""The state head: one error for all channels, against baselines that follow drift and freeze in an
alarm.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.detectors.base import DETAILS_FILE, Floats
from tsad_tasks.detectors.folding.fold import AssetReconstruction, Series
from tsad_tasks.detectors.folding.series_fold import Found, Rows, SeriesFold, Units, json_bytes
from tsad_tasks.model import drift
from tsad_tasks.model.hysteresis import HysteresisRule, held_error, hysteresis_step, no_alarm


class StateHead(SeriesFold):
    """Deviations from slow baselines, near their maximum over the channels, held with hysteresis.

    Its errors are made for `core.hysteresis`: over that threshold is the alarm's state. While
    baselines are learned anew after an alarm, errors are NaN.

    Parameters
    ----------
    n_commission : int
        Readings that commission an entity that was not trained on.
    smooth, memory, delay : int
        Readings; see `core.drift.Baseline`.
    limit, leave, leave_share, longest, recent
        See `core.hysteresis.HysteresisRule`; a baseline learns only from deviations up to the
        limit.
    relearn : int
        Readings after an alarm, in which baselines follow quickly and nothing is judged.
    slow_ratio : float
        A channel whose von Neumann ratio over the training readings is lower, in the median of the
        fleet, is not watched, unless all are; 0 watches all.
    """

    name = "state_head"
    per_channel: ClassVar[bool] = False
    n_found: ClassVar[int] = 3
    relearn_gain: ClassVar[float] = 0.1

    def __init__(
        self,
        width: int,
        n_channels: int,
        n_inputs: int,
        n_commission: int = 400,
        smooth: int = 10,
        memory: int = 150,
        delay: int = 20,
        limit: float = 5.0,
        leave: float = 2.5,
        leave_share: float = 0.55,
        longest: int = 600,
        recent: int = 90,
        relearn: int = 90,
        slow_ratio: float = 0.3,
    ) -> None:
        super().__init__(width, n_channels, n_inputs, n_commission)
        if (
            min(smooth, memory, delay, longest, recent, relearn) < 1
            or recent > longest
            or min(limit, leave) <= 0
        ):
            raise ConfigError(
                "detector.params: Expected smooth, memory, delay, longest, recent, relearn >= 1, "
                "recent <= longest, "
                "limit and leave above 0. Received: "
                f"{(smooth, memory, delay, longest, recent, relearn, limit, leave)}."
            )
        self.baseline = drift.Baseline(smooth, memory, delay)
        self.rule = HysteresisRule(limit, leave, leave_share, longest, recent)
        self.relearn, self.slow_ratio = relearn, slow_ratio
        self.watched = np.ones(n_channels, np.bool_)

    @property
    def params(self) -> dict[str, Any]:
        return (
            vars(self.baseline)
            | vars(self.rule)
            | {"relearn": self.relearn, "slow_ratio": self.slow_ratio}
        )

    def fit_series(self, entities: Sequence[str], series: Series, *, seed: int) -> None:
        ratios = np.stack([drift.roughness(values) for values in series.values])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            slow = np.nanmedian(ratios, axis=0) < self.slow_ratio
        self.watched = ~slow | slow.all()
        super().fit_series(entities, series, seed=seed)

    def empty(self, n_units: int) -> Units:
        mode = {
            "relearning": np.zeros(n_units, np.int32),
            "last": np.zeros((n_units, 3), np.float32),
        }
        return {
            "baseline": drift.no_baseline(n_units, self.n_channels, self.baseline),
            "alarm": no_alarm(n_units, self.rule),
            "mode": mode,
        }

    def commission_units(self, units: Units, rows: Rows, readings: NDArray[np.float64]) -> None:
        drift.commission(units["baseline"], rows, readings, self.baseline)

    def replay(
        self, units: Units, rows: Rows, values: NDArray[np.float64], half_hours: Rows
    ) -> Floats:
        """Commissioning has folded them already, and judges none."""
        return np.full(values.shape, np.nan, np.float32)

    def step(
        self, units: Units, rows: Rows, readings: NDArray[np.float64], half_hour: Rows
    ) -> Found:
        baseline, known = units["baseline"], np.isfinite(readings)
        means = drift.smoothed(baseline, rows, readings)
        expected = drift.expected_value(baseline, rows)
        each = np.where(known & self.watched, drift.deviations(baseline, rows, means), 0.0)
        learning = units["mode"]["relearning"][rows] > 0
        errors = np.full(len(rows), np.nan, np.float32)
        self._learn_anew(units, rows[learning], means[learning], known[learning])
        judged = ~learning
        if judged.any():
            errors[judged] = self._judge(
                units, rows[judged], means[judged], known[judged], each[judged]
            )
        return np.broadcast_to(errors[:, None], readings.shape), expected, each

    def made(self, errors: Floats, expected: Floats, deviations: Floats) -> AssetReconstruction:  # type: ignore[override]
        return AssetReconstruction(errors, expected, deviations)

    def _judge(
        self,
        units: Units,
        rows: Rows,
        means: NDArray[np.float64],
        known: NDArray[np.bool_],
        each: NDArray[np.float64],
    ) -> Floats:
        deviation = _near_largest(each).astype(np.float32)
        last = np.concatenate([units["mode"]["last"][rows][:, 1:], deviation[:, None]], axis=1)
        units["mode"]["last"][rows] = last
        before = units["alarm"]["alarm"][rows]
        errors = held_error(before, last)
        hysteresis_step(units["alarm"], rows, errors, self.rule)
        after = units["alarm"]["alarm"][rows]
        calm = ~before & ~after
        gain = np.where(
            known & (deviation <= self.rule.limit)[:, None], 1.0 / self.baseline.memory, 0.0
        )
        drift.follow(units["baseline"], rows[calm], means[calm], gain[calm])
        self._begin_anew(units, rows[before & ~after])
        return errors

    def _begin_anew(self, units: Units, rows: Rows) -> None:
        level = units["baseline"]["last"][rows]
        drift.settle(
            units["baseline"], rows, (level[..., 0] + level[..., 1] + level[..., 2]) / drift.N_LAST
        )
        units["mode"]["relearning"][rows] = self.relearn
        units["mode"]["last"][rows] = 0

    def _learn_anew(
        self, units: Units, rows: Rows, means: NDArray[np.float64], known: NDArray[np.bool_]
    ) -> None:
        drift.follow(units["baseline"], rows, means, np.where(known, self.relearn_gain, 0.0))
        units["mode"]["relearning"][rows] -= 1
        drift.settle(units["baseline"], rows[units["mode"]["relearning"][rows] == 0])

    def to_files(self) -> dict[str, bytes]:
        files = super().to_files()
        details = json.loads(files[DETAILS_FILE]) | {"watched": self.watched.tolist()}
        return files | {DETAILS_FILE: json_bytes(details)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        detector = super().from_files(files)
        detector.watched = np.array(json.loads(files[DETAILS_FILE])["watched"], np.bool_)
        return detector


def _near_largest(deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fourth root of the sum of fourth powers, (n_rows,): quiet channels do not dilute the
    loudest.
    """
    total = np.zeros(len(deviations))
    for column in deviations.T:
        total += (column * column) * (column * column)
    return np.sqrt(np.sqrt(total))


class DriftAware(SeriesFold):
    """A baseline: each channel's distance from its own slow average, in spreads of it."""

    name = "drift_aware"
    per_channel: ClassVar[bool] = True

    def __init__(
        self, width: int, n_channels: int, n_inputs: int, n_commission: int = 400, memory: int = 150
    ) -> None:
        super().__init__(width, n_channels, n_inputs, n_commission)
        self.baseline = drift.Baseline(memory=memory)

    @property
    def params(self) -> dict[str, Any]:
        return {"memory": self.baseline.memory}

    def empty(self, n_units: int) -> Units:
        return {"baseline": drift.no_baseline(n_units, 1, self.baseline)}

    def commission_units(self, units: Units, rows: Rows, readings: NDArray[np.float64]) -> None:
        drift.commission(units["baseline"], rows, readings, self.baseline)

    def replay(
        self, units: Units, rows: Rows, values: NDArray[np.float64], half_hours: Rows
    ) -> Floats:
        """Commissioning has folded them already, and judges none."""
        return np.full(values.shape, np.nan, np.float32)

    def step(
        self, units: Units, rows: Rows, readings: NDArray[np.float64], half_hour: Rows
    ) -> Found:
        means = drift.smoothed(units["baseline"], rows, readings)
        expected = drift.expected_value(units["baseline"], rows)
        errors = drift.deviations(units["baseline"], rows, means)
        drift.follow(
            units["baseline"], rows, means, np.full(means.shape, 1.0 / self.baseline.memory)
        )
        return errors, expected
