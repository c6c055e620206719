"""Readings of our own making, with known anomalies: a server room, and a sine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import from_unix_s, unix_s

CHANNELS = ("cpu", "memory", "disk", "network", "temperature")
UNITS = ("%", "%", "MB/s", "Mbit/s", "°C")
_CPU, _MEMORY, _DISK, _NETWORK, _ = range(5)
_DAY_S, _HOUR_S = 86400, 3600

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SimulatedAnomaly:
    """One anomaly that was put in: where, when (`[start_at, end_at)`), what, and in words."""

    entity: str
    start_at: datetime
    end_at: datetime
    kind: str
    channels: tuple[str, ...]
    description: str


@dataclass(frozen=True)
class SimulatedPlant:
    """Readings of some machines or hosts and the anomalies in them.

    Attributes
    ----------
    entities : (n_entities,)
    channels : (n_channels,)
    times_s : (n_steps,)
        Unix seconds.
    values : (n_entities, n_steps, n_channels)
    anomalies : list, by time
    """

    entities: tuple[str, ...]
    channels: tuple[str, ...]
    times_s: NDArray[np.int64]
    values: Floats
    anomalies: list[SimulatedAnomaly]


def server_room(
    *, days: int, hosts: int, start_at: datetime, seed: int, step_s: int = 60
) -> SimulatedPlant:
    """Hosts with working hours, a nightly backup and a cooling; anomalies mostly in the last 48 h.

    Load drives network, disk and, a quarter of an hour later, temperature; each host has levels of
    its own. The anomalies are the same in kind for every seed; two of them lie earlier, where a
    model is trained, if there are 14 days. The same arguments give the same numbers.

    Parameters
    ----------
    days : length, at least 3.
    hosts : 1 to 99; anomalies are dealt out among them.
    start_at : first reading, with a zone.
    step_s : grid step, divides one hour.

    Raises `BadInput` when the length, the step or the number of hosts is out of range, or
    `start_at` has no zone.

    >>> from datetime import UTC
    >>> start_at = datetime(2024, 5, 1, tzinfo=UTC)
    >>> room = server_room(days=3, hosts=2, start_at=start_at, seed=7, step_s=300)
    >>> room.values.shape, room.entities
    ((2, 864, 5), ('host-01', 'host-02'))
    """
    times_s = times_of(days, hosts, start_at, step_s)
    rngs = [np.random.default_rng([seed, host]) for host in range(hosts)]
    values = np.stack([_host(times_s, step_s, rng) for rng in rngs])
    entities = tuple(f"host-{host + 1:02d}" for host in range(hosts))
    faults = known_faults("server_room")
    if days >= 14:
        faults += known_faults("server_room_earlier")
    rng = np.random.default_rng([seed, 1_000_000])
    anomalies = put_in_faults(values, times_s, entities, CHANNELS, faults, rng=rng)
    values[..., [_CPU, _MEMORY]] = values[..., [_CPU, _MEMORY]].clip(0, 100)
    values[..., [_DISK, _NETWORK]] = values[..., [_DISK, _NETWORK]].clip(min=0)
    return SimulatedPlant(entities, CHANNELS, times_s, values.round(3), anomalies)


def times_of(days: int, n_entities: int, start_at: datetime, step_s: int) -> NDArray[np.int64]:
    """Unix seconds of a plant's steps, if it may be simulated."""
    if days < 3 or not 1 <= n_entities <= 99 or step_s < 1 or _HOUR_S % step_s:
        wanted = "3 days or more, 1 to 99 machines, a step that divides 3600 s"
        raise BadInput(f"Expected {wanted}. Received: {days}, {n_entities}, {step_s}.")
    return unix_s(start_at) + step_s * np.arange(days * _DAY_S // step_s, dtype=np.int64)


def _host(times_s: NDArray[np.int64], step_s: int, rng: np.random.Generator) -> Floats:
    """Readings of one host without anomalies, (n_steps, n_channels)."""
    level = rng.uniform(0.8, 1.25, 5)
    # Load by clock: 1 in the busiest hours of a working day, about a quarter of that at weekends.
    hour, is_weekend = (times_s % _DAY_S) / _HOUR_S, (times_s // _DAY_S + 3) % 7 >= 5
    day = _step(1.8 * (hour - 8)) * _step(1.1 * (18 - hour))
    lunch = 1 - 0.18 * np.exp(-0.5 * ((hour - 12.6) / 0.5) ** 2)
    business = day * lunch * np.where(is_weekend, 0.27, 1.0) + 0.05
    busy = business + noise(rng, times_s.size, 1800 / step_s, 0.06)
    backup = bump(times_s % _DAY_S, 2.0 * _HOUR_S, 0.75 * _HOUR_S)
    cpu = 12 * level[0] + 38 * level[0] * busy + 9 * backup + noise(rng, times_s.size, 2, 1.8)
    disk = 15 * level[1] + 30 * busy + 95 * level[1] * backup + noise(rng, times_s.size, 2, 3.0)
    network = 40 * level[2] + 260 * level[2] * busy + 0.4 * disk + noise(rng, times_s.size, 2, 9.0)
    warmth = lagged(cpu, 900 / step_s)
    season = 0.8 * np.sin(2 * np.pi * (times_s % _DAY_S - 9 * _HOUR_S) / _DAY_S)
    flicker = noise(rng, times_s.size, 600 / step_s, 0.25)
    temperature = 24 * level[3] ** 0.3 + 0.17 * warmth + season + flicker
    # Memory grows until the weekly restart, on Sundays at 4.
    since_restart = (times_s - 3 * _DAY_S - 4 * _HOUR_S) % (7 * _DAY_S)
    sawtooth = 38 * level[4] + 11 * since_restart / (7 * _DAY_S)
    memory = sawtooth + 9 * busy + noise(rng, times_s.size, 1200 / step_s, 0.7)
    return np.column_stack([cpu, memory, disk, network, temperature])


def bump(second_of_day: NDArray[np.int64], start_s: float, length_s: float) -> Floats:
    """1 from start to start + length with flanks of some minutes, else 0, (n_steps,).

    >>> bump(np.array([0, 7200, 14400]), 3600, 7200).round(2).tolist()
    [0.0, 1.0, 0.0]
    """
    since_start_s = second_of_day.astype(np.float64) - start_s
    return _step(since_start_s / 90.0) * _step((length_s - since_start_s) / 90.0)


def _step(x: Floats) -> Floats:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


def noise(rng: np.random.Generator, n_steps: int, memory_steps: float, spread: float) -> Floats:
    """Noise with standard deviation `spread` that forgets within about `memory_steps`, (n_steps,).

    >>> noise(np.random.default_rng(7), 4, 2, 0.0).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    kept = float(np.exp(-1 / max(memory_steps, 1e-3)))
    kernel = kept ** np.arange(max(2, min(round(4 * memory_steps), n_steps)))
    white = rng.normal(0.0, spread / np.sqrt((kernel**2).sum()), n_steps + kernel.size - 1)
    return np.convolve(white, kernel, mode="valid")


def lagged(values: Floats, lag_steps: float) -> Floats:
    """The values as something slow follows them: an exponential average with that lag, (n_steps,).

    >>> lagged(np.array([0.0, 0.0, 4.0]), 0.5).round(2).tolist()
    [0.0, 0.0, 3.52]
    """
    kernel = np.exp(-np.arange(max(1, round(5 * lag_steps))) / max(lag_steps, 1e-3))
    padded = np.concatenate([np.full(kernel.size - 1, values[0]), values])
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


@dataclass(frozen=True)
class SimulatedFault:
    """When an anomaly starts, at which entity (from 0), how long it lasts, and what it does.

    Attributes
    ----------
    changes : by channel, of (shape, size)
        Shapes add, ramp and saturate have sizes in the channel's unit, times has a factor, freeze
        keeps one value.
    """

    hours_before_end: float
    hours: float
    entity: int
    kind: str
    description: str
    changes: dict[str, tuple[str, float]]


def known_faults(plant: str) -> list[SimulatedFault]:
    """The faults of a plant, as devstack/faults.yaml lists them."""
    listed = yaml.safe_load(Path(__file__).with_name("faults.yaml").read_text(encoding="utf-8"))
    return [SimulatedFault(*fields) for fields in listed[plant]]


def put_in_faults(
    values: Floats,
    times_s: NDArray[np.int64],
    entities: Sequence[str],
    channels: Sequence[str],
    faults: Sequence[SimulatedFault],
    *,
    rng: np.random.Generator,
) -> list[SimulatedAnomaly]:
    """The anomalies put in, by time; changes `values` in place. Starts vary by some minutes.

    Parameters
    ----------
    values : (n_entities, n_steps, n_channels)
    times_s : (n_steps,)
        Unix seconds, evenly spaced.

    >>> values, times_s = np.zeros((1, 8, 1)), np.arange(8) * 3600
    >>> fault = SimulatedFault(4.0, 2.0, 0, "point", "one too many", {"x": ("add", 10.0)})
    >>> rng = np.random.default_rng(7)
    >>> (one,) = put_in_faults(values, times_s, ["a"], ["x"], [fault], rng=rng)
    >>> (values[0, :, 0] > 0).tolist(), one.channels
    ([False, False, False, False, True, True, False, False], ('x',))
    """
    step_s = int(times_s[1] - times_s[0])
    end_s = int(times_s[-1]) + step_s
    anomalies = []
    for fault in faults:
        jitter_s = int(rng.integers(-10, 11)) * 60
        before_s, length_s = round(fault.hours_before_end * _HOUR_S), round(fault.hours * _HOUR_S)
        start_s = (end_s - before_s + jitter_s) // step_s * step_s
        stop_s = start_s + max(step_s, length_s // step_s * step_s)
        entity = fault.entity % len(entities)
        rows = slice(*np.searchsorted(times_s, [start_s, stop_s]).tolist())
        for name, (shape, size) in fault.changes.items():
            place = (entity, rows, channels.index(name))
            values[place] = _changed(values[place], shape, size * rng.uniform(0.95, 1.05))
        what = from_unix_s(start_s), from_unix_s(stop_s), fault.kind, tuple(fault.changes)
        anomalies.append(SimulatedAnomaly(entities[entity], *what, fault.description))
    return sorted(anomalies, key=lambda anomaly: anomaly.start_at)


def _changed(clean: Floats, shape: str, size: float) -> Floats:
    progress = np.linspace(0.0, 1.0, clean.size) if clean.size > 1 else np.ones(clean.size)
    if shape == "times":
        return clean * size
    if shape == "ramp":
        return clean + size * progress
    if shape == "saturate":
        return clean + size * (1 - np.exp(-10 * progress))
    if shape == "freeze":
        return np.full(clean.size, clean[0])
    return clean + size


def sine(n: int, noise: float, seed: int, *, period: int = 50) -> Floats:
    """A sine of amplitude 1 with normal noise, (n,).

    Parameters
    ----------
    noise : standard deviation of the noise.
    period : steps per cycle.

    Source: document B.

    >>> sine(4, 0.0, 7, period=4).round(6).tolist()
    [0.0, 1.0, 0.0, -1.0]
    """
    clean = np.sin(2 * np.pi * np.arange(n) / period)
    return np.asarray(clean + np.random.default_rng(seed).normal(0.0, noise, n))
