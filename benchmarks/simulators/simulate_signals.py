"""Tables as people have them, one for each kind of signal: columns, rows and what happens in them.

Times are seconds since 1970; `at_s` is the Monday on which scoring begins, and what happens lies in
the three days after it. All is made up, from a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DAY_S, HOUR_S, STEP_S = 86400, 3600, 300
TWO_PI = 2 * np.pi


@dataclass(frozen=True)
class Table:
    """Columns of one length by name: seconds (`at`, `arrived_at`), words or numbers."""

    columns: dict[str, Any]

    def __add__(self, other: Table) -> Table:
        pairs = ((name, column, other.columns[name]) for name, column in self.columns.items())
        return Table({name: np.concatenate([one, more]) for name, one, more in pairs})


@dataclass(frozen=True)
class Time:
    """From when to when there are rows, and where scoring begins."""

    at_s: int
    train_days: int
    score_days: int

    def steps(self, step_s: int = STEP_S) -> NDArray[np.int64]:
        """Times of all steps, (n_steps,)."""
        end_s = self.at_s + self.score_days * DAY_S
        return np.arange(self.at_s - self.train_days * DAY_S, end_s, step_s)

    def moment(self, day: int, hour: float = 0) -> int:
        """Seconds of a time of day on a day after `at_s`, the first one 0."""
        return self.at_s + day * DAY_S + round(hour * HOUR_S)


def _daily(times_s: NDArray[Any], shift: float = 9) -> Floats:
    """A wave of one day around 0, (n_steps,)."""
    return np.sin((times_s / HOUR_S - shift) / 24 * TWO_PI)


def _of(name: str, of: str, times_s: NDArray[Any], **columns: Any) -> Table:
    """Rows of one entity, whose name stands in column `name`."""
    return Table({"at": times_s, name: np.full(len(times_s), of), **columns})


def _together(tables: Sequence[Table]) -> Table:
    return sum(tables[1:], tables[0])


def meters(time: Time, rng: np.random.Generator) -> Table:
    """Energy totals: M2 falls to 0 on day 1 at 10:00, M3 is replaced on day 2 at 14:00 by a meter
    that says 12, and M1 uses three times as much on day 2 from 02:00 to 05:00.
    """
    times_s, tables = time.steps(), []
    for name, first, size in (("M1", 48210.0, 1.0), ("M2", 1733.5, 0.7), ("M3", 90412.2, 1.4)):
        power = np.maximum(size * (4 + 3 * _daily(times_s) + rng.normal(0, 0.3, len(times_s))), 0.1)
        if name == "M1":
            power[(times_s >= time.moment(2, 2)) & (times_s < time.moment(2, 5))] *= 3
        total = first + np.cumsum(power * STEP_S / HOUR_S)
        for of, moment, begins in (("M2", time.moment(1, 10), 0.0), ("M3", time.moment(2, 14), 12)):
            later = times_s >= moment
            if of == name:
                total[later] += begins - total[later][0]
        tables.append(
            _of("meter", name, times_s, energy_total=total.round(2), power=power.round(3))
        )
    return _together(tables)


def vane(time: Time, rng: np.random.Generator) -> Table:
    """Wind from the west while a model learns, and from the north, around 0 and 360, on day 1."""
    times_s = time.steps(60)
    west = 275 + 25 * np.sin(times_s / DAY_S / 3)
    goal = np.where(times_s < time.moment(1), west, 360 + 6 * np.sin(times_s / DAY_S))
    direction = np.round((goal + rng.normal(0, 5, len(times_s))) % 360) % 360
    speed = np.maximum(0.2, 6 + 2 * _daily(times_s, 0) + rng.normal(0, 0.7, len(times_s)))
    return _of("mast", "mast-1", times_s, wind_dir=direction, wind_speed=speed.round(1))


def rooms(time: Time, rng: np.random.Generator) -> Table:
    """A row where a value changed: set point, temperature in half degrees, valve; in room south a
    window is open on day 1 from 08:00 to 20:00.
    """
    times_s, tables = time.steps(60), []
    hour = times_s % DAY_S / HOUR_S
    wanted = np.where((hour >= 6) & (hour < 22), 21.0, 17.0)
    for room in ("north", "south"):
        opened = (times_s >= time.moment(1, 8)) & (times_s < time.moment(1, 20))
        drift = rng.normal(0, 0.02, len(times_s)) - 0.09 * opened * (room == "south")
        temperature, now = np.empty(len(times_s)), 19.0
        for step, (goal, change) in enumerate(zip(wanted, drift, strict=True)):
            now += (goal - now) * 0.02 + change
            temperature[step] = now
        seconds = times_s + rng.integers(0, 59, len(times_s))
        valve = 100.0 * (temperature < wanted - 0.3)
        items = {"setpoint": wanted, "temp": np.round(temperature * 2) / 2, "valve": valve}
        for item, values in items.items():
            new = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
            words = np.full(len(new), item)
            tables.append(_of("room", room, seconds[new], item=words, value=values[new]))
    return _together(tables)


def errors(time: Time, rng: np.random.Generator) -> Table:
    """Errors of a shop, 96 % zeros; 40 to 70 of them on day 1 from 12:00 to 12:30."""
    times_s = time.steps()
    some = rng.random(len(times_s)) < 0.04 * (1 + _daily(times_s))
    count = np.where(some, rng.choice([1, 1, 2, 3], len(times_s)), 0).astype(float)
    burst = (times_s >= time.moment(1, 12)) & (times_s < time.moment(1, 12.5))
    count[burst] = rng.integers(40, 70, burst.sum())
    return _of("shop", "shop", times_s, errors=count)


def logins(time: Time, rng: np.random.Generator) -> Table:
    """A row per login, 25 to 75 in five minutes, none on day 1 from 11:00 to 12:30."""
    times_s = time.steps()
    mean = 50 + 25 * _daily(times_s)
    counts = np.maximum(rng.normal(mean, 4).round(), 0).astype(int)
    counts[(times_s >= time.moment(1, 11)) & (times_s < time.moment(1, 12.5))] = 0
    moments = np.repeat(times_s, counts) + rng.integers(0, STEP_S, counts.sum())
    took = rng.normal(180, 20, counts.sum()).round()
    return _of("shop", "de", np.sort(moments), login_ms=took)


def office(time: Time, rng: np.random.Generator) -> Table:
    """Full load on workdays from 07:00 to 18:00; on day 5, a Saturday, from 10:00 to 14:00 as well,
    and none on day 2.
    """
    times_s = time.steps()
    day, hour = (times_s - time.at_s) // DAY_S, times_s % DAY_S // HOUR_S
    works = (day % 7 < 5) & (hour >= 7) & (hour < 18) & (day != 2)
    works |= (times_s >= time.moment(5, 10)) & (times_s < time.moment(5, 14))
    load = np.where(works, 95, 22) + rng.normal(0, 3, len(times_s))
    co2 = np.where(works, 650, 430) + rng.normal(0, 20, len(times_s))
    return _of("site", "office", times_s, load_kw=load.round(1), co2=co2.round())


def constants(time: Time, rng: np.random.Generator, factor: float = 1.0) -> Table:
    """Sensors that never moved: one of each of three units does on day 1 from 10:00, for good."""
    times_s, tables = time.steps(), []
    moved = times_s >= time.moment(1, 10)
    for unit in ("U1", "U2", "U3", "U4"):
        pairs = {"leak": ("U1", 0.002, 0.35), "relief": ("U2", 0.0, 0.4), "level": ("U3", 75, 60)}
        still = {
            name: factor * np.where(moved & (unit == of), new, former)
            for name, (of, former, new) in pairs.items()
        }
        motor = 50 + rng.normal(0, 4, len(times_s)).round(2)
        tables.append(_of("unit", unit, times_s, motor=factor * motor, **still))
    return _together(tables)


def logger(time: Time, rng: np.random.Generator) -> Table:
    """A reading every ten seconds, from day 1, 12:00 on every minute; on day 2 from 10:00 to 11:00
    the pressure is one bar too high.
    """
    change = time.moment(1, 12)
    fast, slow = time.steps(10), time.steps(60)
    times_s = np.concatenate([fast[fast < change], slow[slow >= change]])
    pressure = 4 + 0.4 * _daily(times_s, 0)
    flow = 10 * pressure + rng.normal(0, 2, len(times_s))
    pressure = pressure + rng.normal(0, 0.12, len(times_s))
    pressure[(times_s >= time.moment(2, 10)) & (times_s < time.moment(2, 11))] += 1
    return _of("pump", "pump", times_s, pressure=pressure.round(3), flow=flow.round(2))


def hosts(time: Time, rng: np.random.Generator, n_a_day: int = 50) -> Table:
    """Two hosts that last, and others a day that live for two to six hours."""
    all_s, tables = time.steps(), []
    first_s, end_s = int(all_s[0]), int(all_s[-1]) + STEP_S
    lives = [(f"base-{n}", first_s, end_s) for n in (1, 2)]
    for day_s in range(first_s, end_s, DAY_S):
        for n in range(n_a_day):
            born_s = day_s + STEP_S * int(rng.integers(288))
            gone_s = born_s + STEP_S * int(rng.integers(24, 72))
            lives.append((f"i-{day_s:x}-{n}", born_s, min(end_s, gone_s)))
    for host, born_s, gone_s in lives:
        times_s = np.arange(born_s, gone_s, STEP_S)
        cpu = 35 + 15 * _daily(times_s) + rng.normal(0, 3, len(times_s))
        noise = rng.normal(0, 0.2, len(times_s))
        memory = 55 + 5 * noise
        if host.startswith("i-"):
            memory = np.minimum(85, 20 + np.cumsum(np.abs(noise)))
        tables.append(_of("host", host, times_s, cpu=cpu.round(1), mem=memory.round(1)))
    return _together(tables)


def station(time: Time, rng: np.random.Generator) -> Table:
    """A pump station without network from day 1 to day 2, 12:00, when all rows of that time come;
    it is too hot on day 1 from 10:00 to 16:00.
    """
    times_s, back_s = time.steps(), time.moment(2, 12)
    away = (times_s >= time.moment(1)) & (times_s < back_s)
    wave = 40 + 6 * _daily(times_s)
    hot = (times_s >= time.moment(1, 10)) & (times_s < time.moment(1, 16))
    temperature = wave + rng.normal(0, 0.8, len(times_s)) + 25 * hot
    current = wave / 5 + rng.normal(0, 0.2, len(times_s))
    arrived_s = np.where(away, back_s, times_s + 20)
    made = _of("station", "ps-9", times_s, temp=temperature.round(2), current=current.round(2))
    return Table(made.columns | {"arrived_at": arrived_s})


def restarted_meters(time: Time, rng: np.random.Generator) -> Table:
    """Totals whose meters restart: R1 says 0 in one row of day 1, 10:00, and its old total after it
    (evcc issue 30592, Refoss refoss_rpc issue 14); R2 begins anew each midnight, on day 2 only
    after it has said yesterday's total once more (ha-emporia-vue issue 315); the last digit of R3
    falls now and then (grott issue 99).
    """
    times_s, tables = time.steps(), []
    for name, first in (("R1", 13423.7), ("R2", 0.0), ("R3", 215.6)):
        power = np.maximum(4 + 3 * _daily(times_s) + rng.normal(0, 0.3, len(times_s)), 0.1)
        total = first + np.cumsum(power * STEP_S / HOUR_S)
        if name == "R1":
            total[times_s == time.moment(1, 10)] = 0
        if name == "R2":
            begins = np.flatnonzero(times_s % DAY_S == 0)
            before = np.repeat(np.append(0, total[begins[begins > 0] - 1]), DAY_S // STEP_S)
            total = total - before[: len(total)]
            again = (times_s > time.moment(2)) & (times_s <= time.moment(2, 0.25))
            total[again] = total[times_s < time.moment(2)][-1]
        if name == "R3":
            total = total.round(1) - 0.1 * (rng.random(len(times_s)) < 0.05)
        tables.append(_of("meter", name, times_s, energy=total.round(2), power=power.round(3)))
    return _together(tables)


def net_meter(time: Time, rng: np.random.Generator) -> Table:
    """A total of what was taken less what was given, which falls by day (hass_wibeee issue 191)."""
    times_s = time.steps()
    power = 1 - 3 * np.maximum(_daily(times_s, 6), 0) + rng.normal(0, 0.2, len(times_s))
    total = 628493 + np.cumsum(power * STEP_S / HOUR_S)
    return _of("meter", "net", times_s, energy_total=total.round(2))


def broken_wire(time: Time, rng: np.random.Generator) -> Table:
    """Three probes of one board, of which the second says its last value from day 1, 10:00 on
    (ESPHome issue 536).
    """
    times_s, tables = time.steps(60), []
    for probe in ("p1", "p2", "p3"):
        value = (21 + 2 * _daily(times_s) + rng.normal(0, 0.15, len(times_s))).round(1)
        if probe == "p2":
            later = times_s >= time.moment(1, 10)
            value[later] = value[~later][-1]
        tables.append(_of("probe", probe, times_s, temp=value))
    return _together(tables)


def nightly_job(time: Time, rng: np.random.Generator) -> Table:
    """A host with a job each morning at six, for ten minutes (netdata issue 12127)."""
    times_s = time.steps(60)
    second = times_s % DAY_S
    works = (second >= 6 * HOUR_S) & (second < 6 * HOUR_S + 600)
    cpu = np.where(works, 90, 20) + rng.normal(0, 3, len(times_s))
    return _of("host", "web-1", times_s, cpu=cpu.clip(0, 100).round(1))


def clock_change(time: Time, rng: np.random.Generator) -> Table:
    """People's load by the clocks of Berlin, which go forward on the day before `at_s` (Elastic
    ml-cpp issue 2690).
    """
    times_s = time.steps()
    local_s = times_s + np.where(times_s < time.moment(-1, 1), 1, 2) * HOUR_S
    hour, weekday = local_s % DAY_S / HOUR_S, (local_s // DAY_S + 3) % 7
    works = (hour >= 7) & (hour < 18) & (weekday < 5)
    load = np.where(works, 95, 22) + rng.normal(0, 3, len(times_s))
    return _of("site", "office", times_s, load_kw=load.round(1))


Simulator = Callable[[Time, np.random.Generator], Table]
