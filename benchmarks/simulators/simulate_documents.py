"""Series as documents B and D describe theirs: a noisy sine, and a server's load with faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from devstack.simulate import Floats, SimulatedAnomaly, SimulatedPlant, sine
from tsad_tasks.base.arrays import Flags, Ints
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import from_unix_s, unix_s

LOAD_CHANNEL = "load"
SERVER = "server-01"
NOISE = 0.1
DRIFT = 0.1
DRIFT_STEPS = 10_000
CONTEXTUAL_STEPS = (20, 30)
COLLECTIVE_STEPS = (10, 20)
DEGRADATION_STEPS, FAILURE_STEPS = 45, 10
_DAY_S, _NIGHT_S = 86400, (0, 3 * 3600)
_MARGIN_STEPS = 25
# Abnormal steps of an even and an odd block, without the failure and with it.
_BLOCK_STEPS, _BLOCK_SHARE = 1000, 0.0735


@dataclass(frozen=True)
class NoisySine:
    """A sine with noise, and what no forecast of it can beat.

    Attributes
    ----------
    times : int64 (n,), whole numbers from 0.
    values, clean : (n,), with and without the noise.
    noise : standard deviation of the noise.
    """

    times: Ints
    values: Floats
    clean: Floats
    noise: float

    @property
    def noise_floor(self) -> float:
        """Mean squared error of who knows the sine but not the noise."""
        return self.noise**2

    @property
    def scaled_noise_floor(self) -> float:
        """The same after scaling to [0, 1] by the lowest and highest value."""
        return float(self.noise_floor / np.ptp(self.values) ** 2)


def noisy_sine(n: int, *, noise: float = NOISE, seed: int, period: int = 50) -> NoisySine:
    """A sine of amplitude 1 at integer times, with normal noise of a known size.

    Source: document B.

    >>> made = noisy_sine(4, noise=0.1, seed=7, period=4)
    >>> made.times.tolist(), made.clean.round(6).tolist(), round(made.noise_floor, 4)
    ([0, 1, 2, 3], [0.0, 1.0, 0.0, -1.0], 0.01)
    """
    return NoisySine(
        np.arange(n, dtype=np.int64),
        sine(n, noise, seed, period=period),
        sine(n, 0.0, seed, period=period),
        noise,
    )


def server_metrics(
    *,
    start_at: datetime,
    seed: int,
    n_steps: int = 10_000,
    clean_steps: int = 8_000,
    anomaly_share: float = 0.07,
    spikes_of: Literal["series", "noise"] = "series",
    step_s: int = 60,
) -> SimulatedPlant:
    """One server's load: a daily sine of amplitude 1, noise, slow drift; later, known anomalies.

    point: a spike of 3 standard deviations, up or down. contextual: the load of noon at night, 20
    to 30 steps. collective: 10 to 20 steps at a displaced level with three times the noise.
    degradation: 45 steps in which load and noise grow, up to a failure of 10 steps in which the
    load drops; it ends where the failure starts.

    Parameters
    ----------
    clean_steps : steps at the start without anomalies.
    anomaly_share : share of the later steps that are abnormal, about; 0 to 0.1.
    spikes_of : {"series", "noise"}, whose standard deviation a spike has three times: that of the
        series (0.71), or that of the noise (0.1).

    Raises
    ------
    BadInput
        When a size is out of range, or `start_at` has no zone.

    Source: document D.

    >>> from datetime import UTC
    >>> plant = server_metrics(start_at=datetime(2024, 5, 1, tzinfo=UTC), seed=7)
    >>> plant.values.shape, round(float(anomalous_steps(plant)[0, 8000:].mean()), 2)
    ((1, 10000, 1), 0.06)
    """
    if not (
        0 <= clean_steps <= n_steps and n_steps > 0 and 0 <= anomaly_share <= 0.1 and step_s > 0
    ):
        raise BadInput(
            "Expected clean_steps of at most n_steps, a share of 0 to 0.1, a step above 0. "
            f"Received: {clean_steps} of {n_steps}, {anomaly_share}, {step_s}."
        )
    times_s = unix_s(start_at) + step_s * np.arange(n_steps, dtype=np.int64)
    load = _load(times_s, step_s, np.random.default_rng([seed, 0]))
    spike = 3 * (float(np.sqrt(0.5 + NOISE**2)) if spikes_of == "series" else NOISE)
    series = _Series(load, times_s, clean_steps, spike, np.random.default_rng([seed, 1]))
    series.put_in(anomaly_share)
    return SimulatedPlant(
        (SERVER,), (LOAD_CHANNEL,), times_s, load[None, :, None], series.sorted_anomalies()
    )


def anomalous_steps(plant: SimulatedPlant) -> Flags:
    """Which steps lie in an anomaly, (n_entities, n_steps).

    >>> from datetime import UTC
    >>> start_at = datetime(2024, 5, 1, tzinfo=UTC)
    >>> clean = server_metrics(start_at=start_at, seed=7, n_steps=50, clean_steps=50)
    >>> int(anomalous_steps(clean).sum())
    0
    """
    steps = np.zeros(plant.values.shape[:2], np.bool_)
    for one in plant.anomalies:
        edges = np.searchsorted(plant.times_s, [unix_s(one.start_at), unix_s(one.end_at)])
        steps[plant.entities.index(one.entity), edges[0] : edges[1]] = True
    return steps


def _load(times_s: Ints, step_s: int, rng: np.random.Generator) -> Floats:
    """The load without anomalies, highest at noon, (n_steps,)."""
    day = -np.cos(2 * np.pi * (times_s % _DAY_S) / _DAY_S)
    drift = DRIFT * (times_s - times_s[0]) / (step_s * DRIFT_STEPS)
    return np.asarray(day + drift + rng.normal(0.0, NOISE, times_s.size))


class _Series:
    """A load into which anomalies are put, each at a free place; changes the values in place."""

    def __init__(
        self, values: Floats, times_s: Ints, first: int, spike: float, rng: np.random.Generator
    ) -> None:
        self.values, self.times_s, self.spike, self.rng = values, times_s, spike, rng
        self.step_s = int(times_s[1] - times_s[0]) if times_s.size > 1 else 60
        self.free = np.ones(values.size, np.bool_)
        second_of_day = times_s % _DAY_S
        self.night = (second_of_day >= _NIGHT_S[0]) & (second_of_day < _NIGHT_S[1])
        self.first = first
        self.anomalies: list[SimulatedAnomaly] = []

    def sorted_anomalies(self) -> list[SimulatedAnomaly]:
        return sorted(self.anomalies, key=lambda one: one.start_at)

    def put_in(self, share: float) -> None:
        """Anomalies of all kinds, block by block: as large a share early as late."""
        n_steps = self.values.size - self.first
        n_blocks = round(n_steps * share / (_BLOCK_STEPS * _BLOCK_SHARE))
        block = n_steps // max(n_blocks, 1)
        for number in range(n_blocks):
            within = self._within(self.first + number * block, block)
            if number % 2 == 1:
                self._degrade(within)
            self._peak_at_night(within)
            self._collective(within)
            for _ in range(6):
                self._point(within)

    def _within(self, start: int, length: int) -> Flags:
        steps = np.arange(self.values.size)
        return np.asarray((steps >= start) & (steps < start + length))

    def _place(self, length: int, within: Flags) -> int | None:
        """A random start whose steps and margins are free, or None; the steps are taken."""
        starts = np.flatnonzero(within)
        starts = starts[
            (starts >= _MARGIN_STEPS) & (starts + length + _MARGIN_STEPS <= self.values.size)
        ]
        n_taken = np.concatenate([[0], np.cumsum(~self.free)])
        starts = starts[n_taken[starts + length + _MARGIN_STEPS] == n_taken[starts - _MARGIN_STEPS]]
        if not starts.size:
            return None
        start = int(self.rng.choice(starts))
        self.free[start : start + length] = False
        return start

    def _note(self, start: int, length: int, kind: str, description: str) -> None:
        start_s = int(self.times_s[start])
        ends_at = from_unix_s(start_s + length * self.step_s)
        self.anomalies.append(
            SimulatedAnomaly(
                SERVER, from_unix_s(start_s), ends_at, kind, (LOAD_CHANNEL,), description
            )
        )

    def _point(self, within: Flags) -> None:
        start = self._place(1, within)
        if start is not None:
            self.values[start] += self.spike * self.rng.choice((-1.0, 1.0))
            self._note(start, 1, "point", "A spike")

    def _peak_at_night(self, within: Flags) -> None:
        length = int(self.rng.integers(CONTEXTUAL_STEPS[0], CONTEXTUAL_STEPS[1] + 1))
        start = self._place(length, within & self.night)
        if start is not None:
            self.values[start : start + length] += self.rng.uniform(1.2, 1.7)
            self._note(start, length, "contextual", "The load of noon at night")

    def _collective(self, within: Flags) -> None:
        length = int(self.rng.integers(COLLECTIVE_STEPS[0], COLLECTIVE_STEPS[1] + 1))
        start = self._place(length, within)
        if start is not None:
            level = self.rng.choice((-1.0, 1.0)) * self.rng.uniform(0.6, 1.2)
            self.values[start : start + length] += level + self.rng.normal(0.0, 3 * NOISE, length)
            self._note(start, length, "collective", "A restless level beside the usual one")

    def _degrade(self, within: Flags) -> None:
        length = DEGRADATION_STEPS + FAILURE_STEPS
        start = self._place(length, within)
        if start is None:
            return
        fails = start + DEGRADATION_STEPS
        progress = np.arange(1, DEGRADATION_STEPS + 1) / DEGRADATION_STEPS
        self.values[start:fails] += 0.8 * progress + progress * self.rng.normal(
            0.0, 5 * NOISE, DEGRADATION_STEPS
        )
        self.values[fails : fails + FAILURE_STEPS] -= 2.0
        self._note(start, DEGRADATION_STEPS, "degradation", "Load and jitter grow before a failure")
        self._note(fails, FAILURE_STEPS, "failure", "The server answers nothing")
