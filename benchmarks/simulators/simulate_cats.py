"""A plant of our own making with the channels of the CATS data set (document A).

Names and proportions are those of the data set; the plant, its equations and its numbers are ours.
Source: Fleith, Controlled Anomalies Time Series (CATS), Zenodo 8338435, 2023 (what channels there
are).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devstack.simulate import Floats, SimulatedAnomaly, SimulatedPlant
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import from_unix_s, unix_s

COMMANDS = ("aimp", "amud", "adbr", "adfl")
STIMULI = ("arnd", "asin1", "asin2")
TELEMETRY = ("bed1", "bed2", "bfo1", "bfo2", "bso1", "bso2", "bso3", "ced1", "cfo1", "cso1")
CHANNELS = COMMANDS + STIMULI + TELEMETRY
CATEGORIES = ("offset", "drift", "gain", "noise", "delay", "stuck")
PLANT = "cats"
NOMINAL_SHARE, ANOMALOUS_SHARE = 0.2, 0.038
MAX_ROWS, MIN_ROWS = 5_000_000, 2_000
N_SEGMENTS = 200
NOISE = 0.03
# So many faults stay within the usual range of their own channel, where no limit sees them.
COVERT_SHARE = 0.7
# An impulse acts now and then only, and what is random has no right value: neither can be the root
# of an anomaly.
_ROOTS = tuple(name for name in CHANNELS if name not in ("aimp", "arnd"))


@dataclass(frozen=True)
class Segment:
    """One planned anomaly: rows `[start, end)`, the channel where it begins, its category."""

    start: int
    end: int
    root: str
    category: str


def cats_plant(
    n_rows: int, *, start_at: datetime, seed: int, n_segments: int | None = None
) -> SimulatedPlant:
    """A plant of 17 channels at 1 Hz: a nominal fifth, then segments with root cause and category.

    Telemetry follows commands and stimuli through lags of first and second order, delays and
    saturation, and other telemetry; a fault in a component is seen downstream. Most faults keep
    every channel within its nominal range. An anomaly's kind is its category, its first channel the
    root cause. 2,000 to 5,000,000 rows take about 340 bytes each; by default there are 200 segments
    per 5 million, at least 4, together 3.8 % of the rows.

    Raises
    ------
    BadInput
        When a size is out of range, or `start_at` has no zone.

    >>> from datetime import UTC
    >>> plant = cats_plant(2_000, start_at=datetime(2023, 1, 1, tzinfo=UTC), seed=7)
    >>> plant.values.shape, len(plant.anomalies)
    ((1, 2000, 17), 4)
    """
    wanted = max(4, round(N_SEGMENTS * n_rows / MAX_ROWS)) if n_segments is None else n_segments
    if not (MIN_ROWS <= n_rows <= MAX_ROWS and 0 <= wanted <= n_rows // 200):
        raise BadInput(
            f"Expected {MIN_ROWS:,} to {MAX_ROWS:,} rows, and at most one segment per 200 of them. "
            f"Received: {n_rows:,}, {wanted}."
        )
    start_s = unix_s(start_at)
    segments = planned_segments(n_rows, wanted, np.random.default_rng([seed, 0]))
    values = _Plant(n_rows, segments, seed).values()
    times_s = start_s + np.arange(n_rows, dtype=np.int64)
    return SimulatedPlant(
        (PLANT,), CHANNELS, times_s, values[None], [_anomaly(one, start_s) for one in segments]
    )


def _anomaly(segment: Segment, start_s: int) -> SimulatedAnomaly:
    start_at, end_at = (from_unix_s(start_s + row) for row in (segment.start, segment.end))
    said = f"{segment.category} in {segment.root}"
    return SimulatedAnomaly(PLANT, start_at, end_at, segment.category, (segment.root,), said)


def planned_segments(n_rows: int, n_segments: int, rng: np.random.Generator) -> list[Segment]:
    """Segments of different lengths after the nominal fifth, by time; none touches another.

    >>> plan = planned_segments(10_000, 5, np.random.default_rng(7))
    >>> sum(segment.end - segment.start for segment in plan), plan[0].start >= 2000
    (380, True)
    """
    if n_segments == 0:
        return []
    first = round(NOMINAL_SHARE * n_rows)
    weights = np.clip(rng.lognormal(0.0, 0.5, n_segments), 0.4, 3.0)
    edges = np.round(np.cumsum(weights) / weights.sum() * ANOMALOUS_SHARE * n_rows).astype(np.int64)
    lengths = np.diff(edges, prepend=0)
    shortest_gap = 30
    spare = n_rows - first - int(edges[-1]) - shortest_gap * (n_segments + 1)
    starts = first + np.sort(rng.integers(0, spare + 1, n_segments)) + (edges - lengths)
    starts += shortest_gap * np.arange(1, n_segments + 1)
    roots, kinds = rng.choice(_ROOTS, n_segments), rng.choice(CATEGORIES, n_segments)
    rows = zip(starts.tolist(), lengths.tolist(), roots.tolist(), kinds.tolist(), strict=True)
    return [
        Segment(start, start + length, root, _possible(root, kind))
        for start, length, root, kind in rows
    ]


def _possible(root: str, category: str) -> str:
    """A category that shows: commands hide noise; what is slow is hardly stuck, late or flat."""
    if root in COMMANDS:
        return "drift" if category == "drift" else "offset"
    if root == "asin1" and category in ("stuck", "delay", "gain"):
        return "noise"
    return category


class _Plant:
    """Readings of one plant, channel by channel, in the order in which one drives another."""

    def __init__(self, n_rows: int, segments: list[Segment], seed: int) -> None:
        self.n_rows, self.segments, self.seed = n_rows, segments, seed
        self.readings = np.empty((n_rows, len(CHANNELS)))

    def values(self) -> Floats:
        """Readings (n_rows, 17)."""
        acting = {name: self._driver(name) for name in COMMANDS + STIMULI}
        for name in TELEMETRY:
            acting[name] = self._telemetry(name, _response(name, acting))
        return self.readings.round(4, out=self.readings)

    def _rng(self, name: str, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream, CHANNELS.index(name)])

    def _driver(self, name: str) -> Floats:
        """What acts: a command not obeyed is recorded as given, a stimulus measured wrongly."""
        given = _course(name, self.n_rows, self._rng(name, 1))
        wrong = self._with_faults(name, given, _BEFORE_NOISE | _AFTER_NOISE)
        recorded, acts = (given, wrong) if name in COMMANDS else (wrong, given)
        self.readings[:, CHANNELS.index(name)] = recorded
        return acts

    def _telemetry(self, name: str, response: Floats) -> Floats:
        acts = self._with_faults(name, response, _BEFORE_NOISE)
        read = acts + self._rng(name, 2).normal(0.0, NOISE, self.n_rows)
        self.readings[:, CHANNELS.index(name)] = self._with_faults(name, read, _AFTER_NOISE)
        return acts

    def _with_faults(self, name: str, clean: Floats, categories: frozenset[str]) -> Floats:
        mine = [one for one in self.segments if one.root == name and one.category in categories]
        if not mine:
            return clean
        changed, spread = clean.copy(), float(clean.std())
        low, high = np.quantile(clean, [0.005, 0.995]).tolist()
        for one in mine:
            rng = np.random.default_rng([self.seed, 3, one.start])
            is_covert = rng.random() < COVERT_SHARE
            faulty = _faulty(clean, one, spread if is_covert else -1.5 * spread, rng)
            changed[one.start : one.end] = faulty.clip(low, high) if is_covert else faulty
        return changed


# What breaks a component acts downstream; what freezes a sensor shows in its own reading, noise
# included.
_BEFORE_NOISE, _AFTER_NOISE = frozenset(CATEGORIES) - {"stuck"}, frozenset({"stuck"})


def _faulty(clean: Floats, segment: Segment, spread: float, rng: np.random.Generator) -> Floats:
    rows, middle = clean[segment.start : segment.end], float(clean.mean())
    # Towards the middle, where the usual range has room; with a negative spread, out of it.
    direction = -spread * (np.sign(rows.mean() - middle) or 1.0)
    if segment.category == "offset":
        return rows + direction * rng.uniform(0.6, 1.2)
    if segment.category == "drift":
        return rows + direction * rng.uniform(1.0, 1.8) * np.linspace(0.1, 1.0, rows.size)
    if segment.category == "gain":
        return middle + (rows - middle) * rng.uniform(0.1, 0.4)
    if segment.category == "noise":
        return rows + rng.normal(0.0, rng.uniform(0.25, 0.5) * abs(spread), rows.size)
    if segment.category == "delay":
        late = min(int(rng.integers(60, 150)), segment.start)
        return clean[segment.start - late : segment.end - late]
    return np.full(rows.size, rows[0])


def _course(name: str, n: int, rng: np.random.Generator) -> Floats:
    """A command or a stimulus as given, (n,)."""
    steps = np.arange(n, dtype=np.float64)
    if name == "aimp":
        return _held(n, (60, 400), rng, np.array([0.0, 1.0]), pulse=10)
    if name == "amud":
        return _held(n, (60, 500), rng, np.linspace(-1.0, 1.0, 5))
    if name == "adbr":
        return _held(n, (150, 900), rng, np.array([0.0, 1.0]))
    if name == "adfl":
        knots = np.cumsum(rng.integers(60, 400, n // 60 + 2))
        return np.asarray(np.interp(steps, knots, rng.uniform(-1.0, 1.0, knots.size)))
    if name == "arnd":
        wander = first_order(rng.normal(0.0, 1.0, n), 120.0)
        return np.asarray(np.tanh(0.5 * wander * np.sqrt(240.0)))
    period = 3600.0 if name == "asin1" else 700.0
    return np.asarray(np.sin(2 * np.pi * (steps / period + rng.random())))


def _held(
    n: int,
    hold: tuple[int, int],
    rng: np.random.Generator,
    levels: Floats,
    pulse: int | None = None,
) -> Floats:
    """A course that jumps between levels; with `pulse`, the second one lasts so many steps."""
    n_jumps = n // (hold[0] // 2) + 2
    lengths = rng.integers(*hold, n_jumps)
    # Each jump goes to another level.
    places = np.cumsum(rng.integers(1, levels.size, n_jumps)) % levels.size
    if pulse is not None:
        lengths[places == 1] = pulse
    return np.repeat(levels[places], lengths)[:n]


def _response(name: str, a: dict[str, Floats]) -> Floats:
    """What drives one telemetry channel makes of it, without faults of its own and noise, (n,)."""
    if name == "bed1":
        return np.tanh(0.8 * a["asin1"] + 0.6 * first_order(a["arnd"], 30.0))
    if name == "bed2":
        return a["asin2"] * (1 - 0.5 * first_order(a["adbr"], 5.0)) + 0.2 * a["bed1"]
    if name == "bfo1":
        return np.tanh(1.2 * first_order(a["adfl"], 20.0)) + 0.2 * a["asin2"]
    if name == "bfo2":
        return first_order(a["bfo1"] * (0.5 + a["adbr"]), 10.0)
    if name == "bso1":
        return first_order(a["amud"], 8.0) + 0.15 * a["arnd"]
    if name == "bso2":
        return second_order(0.7 * a["amud"] + 0.4 * a["asin1"], 40.0, 25.0)
    if name == "bso3":
        return 1.5 * first_order(a["aimp"], 15.0) + 0.4 * _delayed(a["bso1"], 12)
    if name == "ced1":
        return 0.6 * a["bed1"] + 0.6 * a["bed2"] + 0.2 * a["bed1"] * a["bed2"]
    if name == "cfo1":
        return np.tanh(a["bfo1"] + a["bfo2"] - 0.3 * a["bso2"])
    return first_order(0.5 * a["bso1"] + 0.5 * a["bso2"] + 0.3 * a["bso3"], 25.0)


def _delayed(values: Floats, steps: int) -> Floats:
    return np.concatenate([np.full(steps, values[0]), values[:-steps]])


def first_order(values: Floats, lag_steps: float) -> Floats:
    """The values as a system of first order follows them, with that time constant, (n,).

    >>> first_order(np.array([0.0, 1.0, 1.0]), 1.0).round(3).tolist()
    [0.0, 0.632, 0.865]
    """
    return np.ascontiguousarray(_one_pole(values, complex(np.exp(-1.0 / lag_steps))).real)


def second_order(values: Floats, period_steps: float, lag_steps: float) -> Floats:
    """The values (n,) as a damped oscillator with this period and time constant follows them.

    >>> second_order(np.ones(4), 8.0, 4.0).round(3).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    pole = np.exp(complex(-1.0 / lag_steps, 2 * np.pi / period_steps))
    return np.ascontiguousarray(_one_pole(values, complex(pole)).real)


def _one_pole(values: Floats, pole: complex) -> NDArray[np.complex128]:
    """y[k] = pole y[k-1] + (1 - pole) x[k], at rest before: in blocks, then what each hands on."""
    length = int(np.ceil(np.sqrt(values.size)))
    # Real numbers take half the time and memory where the pole is real.
    kind = np.complex128 if pole.imag else np.float64
    kept: Any = np.asarray(pole if pole.imag else pole.real, kind)
    padded = np.zeros(length * length, kind)
    padded[: values.size] = values - values[0]
    blocks = padded.reshape(length, length).T * (1 - kept)
    for step in range(1, length):
        blocks[step] += kept * blocks[step - 1]
    handed = np.zeros(length, kind)
    for block in range(1, length):
        handed[block] = blocks[-1, block - 1] + kept**length * handed[block - 1]
    blocks += (kept ** np.arange(1, length + 1))[:, None] * handed
    return np.asarray(blocks.T.ravel()[: values.size] + values[0])
