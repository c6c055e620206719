"""A fleet of machines in shifts, with Mondays, holidays, start-ups, jobs; faults on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from devstack.simulate import Floats, SimulatedAnomaly, SimulatedPlant, bump, lagged, noise
from tsad_tasks.base.arrays import Ints
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import from_unix_s, unix_s
from tsad_tasks.model.features import site_seconds

FLEET_CHANNELS = (
    *("spindle_speed", "feed", "load", "power", "current", "torque", "vibration", "sound"),
    *("spindle_temperature", "motor_temperature", "coolant_temperature", "room_temperature"),
    *("oil_pressure", "air_pressure", "coolant_flow", "oil_level", "cycle_time"),
)
FAULT_KINDS = ("point", "shift", "ramp")
_FAULT_HOURS = {"point": 0.0, "shift": 2.0, "ramp": 4.0}
_DAY_S, _HOUR_S = 86400, 3600
_JOBS = 5


def machine_fleet(
    *,
    days: int,
    machines: int,
    start_at: datetime,
    seed: int,
    step_s: int = 300,
    zone: ZoneInfo | None = None,
    holidays: Sequence[int] = (),
) -> SimulatedPlant:
    """Machine tools that work around the clock, in two shifts or in one, without any fault.

    Those in shifts stand at night, at weekends and on `holidays` (days since 1970), and are cold on
    Mondays. Each of 1 to 9,999 has levels, noise, breaks and a sequence of jobs of its own; a job
    sets speed and feed, from which load, power, heat and vibration follow. Oil is refilled on
    Mondays. Now and then a sensor's noise is four times its usual, as real ones' is.

    Raises
    ------
    BadInput
        When the length, the step or the number of machines is out of range, or `start_at` has no
        zone.

    >>> from datetime import UTC
    >>> fleet = machine_fleet(days=2, machines=3, start_at=datetime(2024, 5, 6, tzinfo=UTC), seed=7)
    >>> fleet.values.shape, fleet.entities[0]
    ((3, 576, 17), 'machine_0001')
    """
    if days < 1 or not 1 <= machines <= 9999 or step_s < 1 or _HOUR_S % step_s:
        raise BadInput(
            "Expected 1 day or more, 1 to 9,999 machines, a step that divides 3600 s. "
            f"Received: {days}, {machines}, {step_s}."
        )
    times_s = unix_s(start_at) + step_s * np.arange(days * _DAY_S // step_s, dtype=np.int64)
    local_s = site_seconds(times_s, zone or ZoneInfo("UTC"))
    values = np.stack(
        [
            _machine(local_s, step_s, number, np.random.default_rng([seed, number]), holidays)
            for number in range(machines)
        ]
    )
    names = tuple(f"machine_{number + 1:04d}" for number in range(machines))
    return SimulatedPlant(names, FLEET_CHANNELS, times_s, values, [])


def _machine(
    local_s: Ints, step_s: int, number: int, rng: np.random.Generator, holidays: Sequence[int]
) -> Floats:
    """Readings of one machine, (n_steps, 17)."""
    n = local_s.size
    level, coarse = rng.uniform(0.8, 1.25, 17), rng.lognormal(0.0, 0.35, 17)
    on = _is_on(local_s, number, holidays)
    pause = _breaks(local_s, rng)
    job_speed, job_feed = _jobs(n, step_s, rng)

    def wobble(channel: int, spread: float, memory_s: float = 600) -> Floats:
        return _sensor_noise(rng, n, memory_s / step_s, spread * coarse[channel])

    run = lagged(on * (1 - 0.75 * pause), 120 / step_s)
    speed = 6000 * level[0] * job_speed * run * (1 + wobble(0, 0.008))
    feed = 900 * level[1] * job_feed * run * (1 + wobble(1, 0.015))
    cutting = job_speed * job_feed * run
    load = 8 * run + 45 * level[2] * cutting * (1 + wobble(2, 0.03, 1200))
    power = 0.6 + 1.1 * on + 0.11 * level[3] * load * (1 + wobble(3, 0.02))
    current = 1.0 + 2.1 * level[4] * power * (1 + wobble(4, 0.015))
    torque = 30 * level[5] * job_feed * run * (1 + wobble(5, 0.03))
    vibration = 0.1 + 1.6 * level[6] * (0.4 * job_speed + 0.6 * cutting) * run * (
        1 + wobble(6, 0.06)
    )
    sound = 45 + 28 * run * job_speed**0.3 * level[7] ** 0.1 + wobble(7, 0.8)
    room = (
        20
        + 2.5 * np.sin(2 * np.pi * (local_s % _DAY_S - 9 * _HOUR_S) / _DAY_S)
        + _weather(rng, n, step_s)
    )
    spindle_heat = room + 0.55 * level[8] * lagged(load, 2400 / step_s) + wobble(8, 0.25)
    motor_heat = room + 5.0 * level[9] * lagged(power, 5400 / step_s) + wobble(9, 0.25)
    coolant_heat = room + 0.16 * level[10] * lagged(load, 9000 / step_s) + wobble(10, 0.2)
    oil = (
        2.0 * on
        + 38 * level[12] * lagged(run, 600 / step_s)
        - 0.08 * (coolant_heat - 22)
        + wobble(12, 0.35)
    )
    air = 6.3 * level[13] ** 0.2 - 0.25 * run + wobble(13, 0.04, 1800)
    flow = 24 * level[14] * run * (1 + wobble(14, 0.02)) + wobble(14, 0.1)
    cycle = np.where(
        run > 0.5, 95 * level[16] / np.maximum(job_feed, 0.2) * (1 + wobble(16, 0.02)), 0.0
    )
    driven = [speed, feed, load, power, current, torque, vibration, sound]
    warm = [spindle_heat, motor_heat, coolant_heat, room + wobble(11, 0.15)]
    oil_level = _oil_level(local_s, level[15]) + wobble(15, 0.3)
    return np.column_stack([*driven, *warm, oil, air, flow, oil_level, cycle]).round(4)


def _sensor_noise(rng: np.random.Generator, n: int, memory_steps: float, spread: float) -> Floats:
    """Noise that is four times as strong for a quarter of an hour or so, about once in two days."""
    calm = noise(rng, n, memory_steps, spread)
    bursts = noise(rng, n, 6, 1.0) > 2.9
    return np.asarray(calm * np.where(bursts, 4.0, 1.0))


def _is_on(local_s: Ints, number: int, holidays: Sequence[int]) -> Floats:
    """1 while the machine works: around the clock, in two shifts, or in one."""
    day, second = local_s // _DAY_S, local_s % _DAY_S
    weekday, hour = (day + 3) % 7, second / _HOUR_S
    if number % 3 == 0:
        return np.asarray((weekday != 6) | (hour >= 8) | (hour < 5), np.float64)
    start, end = (6.0, 22.0) if number % 3 == 1 else (7.0, 16.5)
    start += number % 7 / 12
    is_saturday_shift = (weekday == 5) & (hour >= 6) & (hour < 13) & (number % 2 == 0)
    works = ((weekday < 5) & (hour >= start) & (hour < end)) | is_saturday_shift
    return np.asarray(works & ~np.isin(day, np.asarray(holidays, np.int64)), np.float64)


def _breaks(local_s: Ints, rng: np.random.Generator) -> Floats:
    """1 in the breaks, when the machine idles."""
    second = local_s % _DAY_S
    shift_s = float(rng.uniform(-900, 900))
    return bump(second, 9 * _HOUR_S + shift_s, 900) + bump(second, 12 * _HOUR_S + shift_s, 1800)


def _jobs(n: int, step_s: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Speed and feed that the job at each step asks for, as shares; jobs last one to six hours."""
    speeds, feeds = rng.uniform(0.6, 1.0, _JOBS), rng.uniform(0.5, 1.0, _JOBS)
    lengths = (rng.uniform(1, 6, n * step_s // _HOUR_S + 2) * _HOUR_S / step_s).astype(np.int64)
    which = np.repeat(rng.integers(0, _JOBS, lengths.size), lengths)[:n]
    return speeds[which], feeds[which]


def _weather(rng: np.random.Generator, n: int, step_s: int) -> Floats:
    """Warm and cold days in the hall, a degree or so."""
    hours = np.arange(n) * step_s / _HOUR_S
    days = rng.normal(0, 1.0, int(hours[-1] // 24) + 2)
    return np.interp(hours, 24.0 * np.arange(days.size), days)


def _oil_level(local_s: Ints, level: float) -> Floats:
    """Falls through the week; refilled on Mondays at 6."""
    since_refill = (local_s - 4 * _DAY_S - 6 * _HOUR_S) % (7 * _DAY_S)
    return np.asarray(85 - 12 * level * since_refill / (7 * _DAY_S))


def with_faults(
    fleet: SimulatedPlant, *, size: float, from_step: int, spreads: Floats, seed: int
) -> SimulatedPlant:
    """The fleet with a fault in each machine that works long enough, in one channel.

    A spike of one step, a shift of two hours, a ramp of four, machine by machine in turn; none
    before `from_step`. Faults are `size` spreads, up or down; `spreads` (n_machines, n_channels)
    are those of channels while the machine works.

    >>> from datetime import UTC
    >>> fleet = machine_fleet(days=2, machines=3, start_at=datetime(2024, 5, 6, tzinfo=UTC), seed=7)
    >>> faulty = with_faults(fleet, size=6.0, from_step=0, spreads=fleet.values.std(axis=1), seed=7)
    >>> [anomaly.kind for anomaly in faulty.anomalies]
    ['ramp', 'shift', 'point']
    """
    values, anomalies = fleet.values.copy(), []
    step_s = int(fleet.times_s[1] - fleet.times_s[0])
    for machine, name in enumerate(fleet.entities):
        rng = np.random.default_rng([seed, machine])
        kind = FAULT_KINDS[machine % len(FAULT_KINDS)]
        length = max(1, round(_FAULT_HOURS[kind] * _HOUR_S / step_s))
        first = _while_working(
            fleet.values[machine, :, 0], from_step, length, _HOUR_S // step_s, rng
        )
        if first is None:
            continue
        channel = int(rng.integers(len(fleet.channels)))
        growth = np.linspace(0, 1, length) if kind == "ramp" else np.ones(length)
        offset = float(rng.choice((-1.0, 1.0))) * size * spreads[machine, channel]
        values[machine, first : first + length, channel] += offset * growth
        start_at, end_at = (
            from_unix_s(int(fleet.times_s[0]) + step * step_s) for step in (first, first + length)
        )
        said = f"{kind} of {size:g} spreads"
        anomalies.append(
            SimulatedAnomaly(name, start_at, end_at, kind, (fleet.channels[channel],), said)
        )
    return replace(fleet, values=values, anomalies=sorted(anomalies, key=lambda one: one.start_at))


def _while_working(
    speed: Floats, from_step: int, length: int, margin: int, rng: np.random.Generator
) -> int | None:
    """A step from which, and `margin` before, the machine works for `length`; None: never."""
    works = np.concatenate(([0], np.cumsum(speed > 100)))
    starts = np.arange(max(from_step, margin), speed.size - length)
    whole = works[starts + length] - works[starts - margin] == length + margin
    found = starts[whole]
    return int(rng.choice(found)) if found.size else None
