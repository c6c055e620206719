"""Models that know nothing stay refused, whatever the channel; one that knows its hours passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.detectors.network_of_zeros import zero_detector
from tests.model.sites import KINDS, START_S, STEPS_A_DAY, site
from tests.plants.trained import config
from tests.training.test_held_out import BUDGET, NOISY
from tsad_tasks.base.enums import Outcome
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.detectors.base import Detector, Reconstruction, TrainingHistory
from tsad_tasks.model.injection import PLAIN_KINDS
from tsad_tasks.model.injection_site import Site
from tsad_tasks.scoring.series import series_windows
from tsad_tasks.training.gate import run_gate
from tsad_tasks.training.held_out import HeldOut
from tsad_tasks.training.limits import calibrated_spec

WIDTH, N_DAYS = 10, 16
LEARNED = TrainingHistory((0.2,), (0.1,), 100, 1.0, "epochs")
COUNTED = TrainingHistory((), (), 100, 1.0, "epochs")


class Guess(Detector):
    """Errors that are made up; `expected` is 0."""

    name = "guess"
    n_parameters = 0

    def errors(self, inputs: NDArray[np.float32], ends: NDArray[np.int64]) -> NDArray[Any]:
        """One for each window."""
        raise NotImplementedError

    def reconstruct(self, inputs: Any, ends: Any) -> Reconstruction:
        found = np.repeat(self.errors(inputs, ends)[:, None], self.n_channels, axis=1)
        return Reconstruction(found.astype(np.float32), np.zeros(found.shape, np.float32))


class Constant(Guess):
    def errors(self, inputs: Any, ends: Any) -> Any:
        return np.ones(len(ends))


class Random(Guess):
    """Other readings, other scores."""

    def errors(self, inputs: Any, ends: Any) -> Any:
        seed = int(np.abs(inputs).sum(dtype=np.float64) * 1000)
        return np.random.default_rng(seed).exponential(size=len(inputs))[ends]


class Clock(Guess):
    def errors(self, inputs: Any, ends: Any) -> Any:
        return 1 + np.sin(2 * np.pi * ends / STEPS_A_DAY) + (ends % STEPS_A_DAY == 100)


class Hours(Guess):
    """How far a reading leaves what its hour has had, of readings that are known."""

    low: NDArray[Any]
    high: NDArray[Any]

    def errors(self, inputs: Any, ends: Any) -> Any:
        hours = ends % STEPS_A_DAY * 24 // STEPS_A_DAY
        beyond = np.maximum(inputs[ends] - self.high[hours], self.low[hours] - inputs[ends])
        return np.maximum(beyond, 0).max(axis=1)


def judged(of: Site, detector: Detector, history: TrainingHistory) -> dict[str, RuleResult]:
    """The gate's rules, of readings whose last four days are for it."""
    steps, day = np.arange(len(of.raw)), STEPS_A_DAY
    after = steps >= 2 * day
    part = HeldOut(
        "m", of.raw, START_S, after, steps >= (N_DAYS - 4) * day, np.zeros(len(steps), bool)
    )
    features = replace(of.spec, width=WIDTH)
    budget = replace(BUDGET, step_s=300)
    spec = calibrated_spec(
        features, {"m": of.scaler}, of.scaler, NOISY, detector, [part], budget=budget
    )
    rows = run_gate(config(gate={}), spec, detector, history, [part], None, seed=7)
    return {row.rule: row for row in rows}


def columns(of: Site) -> int:
    return replace(of.spec, width=WIDTH).n_columns


def made(kind: str, of: Site) -> tuple[Detector, TrainingHistory]:
    n = columns(of)
    if kind == "zeros":
        return zero_detector(WIDTH, n), LEARNED
    detector: Guess = {"constant": Constant, "random": Random, "clock": Clock, "hours": Hours}[
        kind
    ](WIDTH, n, n)
    if isinstance(detector, Hours):
        inputs = series_windows(of.spec, of.scaler, of.raw, START_S)[0].inputs[0]
        hours = np.arange(len(inputs)) % STEPS_A_DAY * 24 // STEPS_A_DAY
        by_hour = [inputs[hours == hour] for hour in range(24)]
        detector.low = np.array([one.min(axis=0) for one in by_hour])
        detector.high = np.array([one.max(axis=0) for one in by_hour])
    return detector, COUNTED


@pytest.mark.parametrize("channel", KINDS)
@pytest.mark.parametrize("model", ["constant", "random", "clock", "zeros"])
def test_a_model_that_knows_nothing_is_refused(model: str, channel: str) -> None:
    of = site(channel, N_DAYS)
    rows = judged(of, *made(model, of))
    assert any(rows[f"{kind}_share"].outcome is not Outcome.NOT_TESTED for kind in PLAIN_KINDS)
    assert [row.rule for row in rows.values() if not row.passed] != []


@pytest.mark.parametrize("channel", KINDS)
def test_a_model_that_knows_what_each_hour_has_had_passes(channel: str) -> None:
    of = site(channel, N_DAYS)
    rows = judged(of, *made("hours", of))
    assert [row.rule for row in rows.values() if not row.passed] == []
    assert rows["point_share"].value == 1.0


def test_of_a_channel_that_never_moves_nothing_is_tested_or_met() -> None:
    of = replace(site("gauge", N_DAYS), raw=np.full((N_DAYS * STEPS_A_DAY, 1), 3.0))
    of = replace(of, scaler=replace(of.scaler, center=(3.0,), scale=(0.0,)))
    rows = judged(of, *made("zeros", of))
    untested = {"explained_share", *(f"{kind}_share" for kind in PLAIN_KINDS)}
    assert {rows[name].outcome for name in untested} == {Outcome.NOT_TESTED}
