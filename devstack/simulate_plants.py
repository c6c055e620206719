"""Two more simulated plants with known anomalies: a cold store, and a hall of pumps."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from devstack.simulate import (
    Floats,
    SimulatedPlant,
    bump,
    known_faults,
    lagged,
    noise,
    put_in_faults,
    times_of,
)

COLD_CHANNELS = ("temperature", "humidity", "power")
PUMP_CHANNELS = ("speed", "flow", "pressure", "current", "vibration")
_DAY_S, _HOUR_S, _WEEK_S = 86400, 3600, 604800
_ANOMALY_STREAM = 1_000_000


def cold_store(
    *, days: int, start_at: datetime, seed: int, rooms: int = 3, step_s: int = 300
) -> SimulatedPlant:
    """Cold rooms with doors, a defrost every six hours, and anomalies in the last 48 hours.

    Raises `BadInput` when the length, the step or the number of rooms is out of range, or
    `start_at` has no zone.

    >>> from datetime import UTC
    >>> store = cold_store(days=3, start_at=datetime(2024, 5, 1, tzinfo=UTC), seed=7)
    >>> store.values.shape, store.entities
    ((3, 864, 3), ('room-1', 'room-2', 'room-3'))
    """
    times_s = times_of(days, rooms, start_at, step_s)
    rngs = [np.random.default_rng([seed, room]) for room in range(rooms)]
    values = np.stack([_room(times_s, step_s, rng) for rng in rngs])
    entities = tuple(f"room-{room + 1}" for room in range(rooms))
    return _finished(values, times_s, entities, COLD_CHANNELS, "cold_store", seed)


def pump_hall(
    *, days: int, start_at: datetime, seed: int, pumps: int = 30, step_s: int = 60
) -> SimulatedPlant:
    """Pumps, every third around the clock, others in shifts; anomalies in the last 48 hours.

    A pump that stands has speed, flow and current 0. Flow, pressure and current follow the speed.

    Raises `BadInput` when the length, the step or the number of pumps is out of range, or
    `start_at` has no zone.

    >>> from datetime import UTC
    >>> start_at = datetime(2024, 5, 1, tzinfo=UTC)
    >>> hall = pump_hall(days=3, start_at=start_at, seed=7, pumps=2, step_s=300)
    >>> hall.values.shape, hall.entities
    ((2, 864, 5), ('pump_01', 'pump_02'))
    """
    times_s = times_of(days, pumps, start_at, step_s)
    rngs = [np.random.default_rng([seed, pump]) for pump in range(pumps)]
    values = np.stack([_pump(times_s, step_s, pump, rng) for pump, rng in enumerate(rngs)])
    entities = tuple(f"pump_{pump + 1:02d}" for pump in range(pumps))
    return _finished(values, times_s, entities, PUMP_CHANNELS, "pumps", seed)


def _finished(
    values: Floats,
    times_s: NDArray[np.int64],
    entities: tuple[str, ...],
    channels: tuple[str, ...],
    plant: str,
    seed: int,
) -> SimulatedPlant:
    rng = np.random.default_rng([seed, _ANOMALY_STREAM])
    anomalies = put_in_faults(values, times_s, entities, channels, known_faults(plant), rng=rng)
    # Only the temperature of a cold room goes below zero.
    first = 1 if channels == COLD_CHANNELS else 0
    values[..., first:] = values[..., first:].clip(min=0)
    return SimulatedPlant(entities, channels, times_s, values.round(3), anomalies)


def _room(times_s: NDArray[np.int64], step_s: int, rng: np.random.Generator) -> Floats:
    """Readings of one cold room without anomalies, (n_steps, n_channels)."""
    level = rng.uniform(0.85, 1.15, 3)
    second_of_day, n_steps = times_s % _DAY_S, times_s.size
    # About two short openings an hour, Monday to Saturday, 5 to 15 o'clock.
    hour, weekday = second_of_day // _HOUR_S, (times_s // _DAY_S + 3) % 7
    is_open = rng.random(n_steps) < 2.0 * step_s / _HOUR_S
    is_open &= (hour >= 5) & (hour < 15) & (weekday < 6)
    doors = lagged(is_open * rng.uniform(0.5, 1.0, n_steps), 1200 / step_s)
    since_defrost = (times_s + int(rng.integers(_DAY_S))) % (6 * _HOUR_S)
    defrost = bump(since_defrost, 0.5 * _HOUR_S, 0.4 * _HOUR_S)
    warmth = np.sin(2 * np.pi * (second_of_day - 9 * _HOUR_S) / _DAY_S)
    thaw = lagged(defrost, 900 / step_s)
    noises = [noise(rng, n_steps, *how) for how in ((2, 0.15), (1800 / step_s, 0.8), (2, 0.2))]
    temperature = -20 * level[0] ** 0.3 + 0.4 * warmth + 1.6 * doors + 3.0 * thaw + noises[0]
    humidity = 70 * level[1] ** 0.5 + 6.0 * doors + 5.0 * thaw + noises[1]
    power = 6.0 * level[2] + 0.7 * warmth + 2.2 * doors + 1.5 * thaw - 3.0 * defrost + noises[2]
    return np.column_stack([temperature, humidity, power])


def _pump(times_s: NDArray[np.int64], step_s: int, number: int, rng: np.random.Generator) -> Floats:
    """Readings of one pump without anomalies, (n_steps, n_channels)."""
    level, n_steps = rng.uniform(0.85, 1.15, 4), times_s.size
    if number % 3 == 0:
        # Every third pump stands only on Sundays from 2 to 4.
        on = (times_s - 3 * _DAY_S - 2 * _HOUR_S) % _WEEK_S >= 2 * _HOUR_S
    else:
        # The others run a long shift, each with its own start.
        on = (times_s - (4 * _HOUR_S + number * 600)) % _DAY_S < (12 + number % 4) * _HOUR_S
    clock = np.sin(2 * np.pi * (times_s % _DAY_S - 7 * _HOUR_S) / _DAY_S)
    demand = 1 + 0.12 * clock + noise(rng, n_steps, 40, 0.03)
    # Run-up and run-down take about two minutes.
    speed = lagged(np.where(on, 1480.0 * demand, 0.0), 40 / step_s)
    share = speed / 1480.0
    flow = 95 * level[0] * share * (1 + noise(rng, n_steps, 2, 0.012))
    # Also read while the pump stands: the head of the tank, and below its neighbours' shaking.
    pressure = 1.2 + 4.6 * level[1] * share**2 * (1 + noise(rng, n_steps, 2, 0.012))
    pressure += noise(rng, n_steps, 2, 0.01)
    current = 42 * level[2] * share**2 * (1 + noise(rng, n_steps, 2, 0.015)) + 3 * (share > 0.05)
    vibration = 0.2 + 1.9 * level[3] * share * (1 + noise(rng, n_steps, 3, 0.05))
    vibration += noise(rng, n_steps, 2, 0.02)
    return np.column_stack([speed, flow, pressure, current, vibration])
