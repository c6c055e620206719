"""Known anomalies, put into clean readings: what a gate and a benchmark measure a detector with.

Each is an anomaly of its channel: it leaves what clean readings reach at that hour, or what the
other channels say of it, on the channel's resolution and within its ends. Where none can be made
there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tsad_tasks.base.arrays import Flags, Floats64, Ints
from tsad_tasks.model.injection_site import LEAST_DAYS, Site

Kind = Literal["point", "contextual", "collective", "ramp", "decoupled", "weekday"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# What any detector has to find; the others take one that knows slow changes, channels that go
# together, or weekdays.
PLAIN_KINDS: tuple[Kind, ...] = ("point", "contextual", "collective")
HARD_KINDS: tuple[Kind, ...] = ("ramp", "decoupled", "weekday")
# Whose turn it is.
TURNS: tuple[Kind, ...] = (
    *("point", "contextual", "collective", "ramp", "point", "collective"),
    *("contextual", "decoupled", "collective", "point", "contextual", "weekday"),
)
# How far beyond the extremes of its hour, in what the channel goes from its median on that side.
POINT_SIZES, LASTING_SIZES = (1.5, 4.0), (0.5, 1.5)
LASTING_STEPS, RAMP_STEPS = (10, 20), (60, 120)
# The range of a channel may leave so much of that.
LEAST_SIZE = 0.6
_SHAPES = ("shift", "ramp", "flatline", "dip")
# So many robust spreads off from what the other channels say.
APART_SPREADS = 4.0
# Places that are tried for one anomaly, and days from which values may come.
MAX_TRIES, MOST_DAYS = 8, 8
_DAY_S = 86400


@dataclass(frozen=True, eq=False)
class Injection:
    """One anomaly: `values` (length, n_channels of it) from position `at` on, as they are read.

    Attributes
    ----------
    channels : by position; several where they tell the states of one.
    """

    kind: Kind
    at: int
    channels: tuple[int, ...]
    values: Floats64

    @property
    def length(self) -> int:
        """In steps."""
        return len(self.values)

    @property
    def channel(self) -> int:
        """The one that it is named by."""
        return self.channels[0]

    @property
    def steps(self) -> slice:
        """Its steps."""
        return slice(self.at, self.at + self.length)


def kinds_of(site: Site) -> list[Kind]:
    """Kinds of anomalies that readings may have: days and channels say the rest.

    >>> from tsad_tasks.model.features import Scaler
    >>> from tsad_tasks.model.spec import FeatureSpec
    >>> spec = FeatureSpec(("load",), (0,), 3600, "UTC", 3, 0.5, None, 0, (), (), (), ())
    >>> wave = np.sin(np.arange(72) / 24 * 2 * np.pi)[:, None].round(1)
    >>> site = Site(spec, Scaler((0.0,), (1.0,), 72), wave, 0, np.ones(72, bool))
    >>> kinds_of(site)
    ['point', 'contextual', 'collective', 'ramp']
    """
    can = dict.fromkeys(KINDS, bool(site.singles))
    can["point"] = can["collective"] = can["point"] or bool(site.groups)
    has_days = bool((site.extremes.n_days >= LEAST_DAYS).any())
    can["contextual"] = has_days and can["point"]
    can["weekday"] &= site.extremes_of_days is not None
    can["decoupled"] &= has_days and bool(site.coupled)
    return [kind for kind in KINDS if can[kind]]


def injection_plan(
    site: Site,
    usable: Flags,
    n: int,
    width: int,
    *,
    rng: np.random.Generator,
    n_before: int = 0,
) -> tuple[list[Injection], int]:
    """At most `n` anomalies, the kinds in turn, and how many turns there were.

    Anomalies are `width` steps and more apart, so that no window sees two of them; the first
    `width` steps stay clean. Where one plan has room for a single anomaly, plans after each other
    give all kinds their turn.

    Parameters
    ----------
    usable : bool (n_steps,), where anomalies may be.
    n_before : turns that earlier plans have had.

    >>> from tsad_tasks.model.features import Scaler
    >>> from tsad_tasks.model.spec import FeatureSpec
    >>> spec = FeatureSpec(("load",), (0,), 3600, "UTC", 3, 0.5, None, 0, (), (), (), ())
    >>> wave = np.sin(np.arange(72) / 24 * 2 * np.pi)[:, None].round(1)
    >>> site = Site(spec, Scaler((0.0,), (1.0,), 72), wave, 0, np.ones(72, bool))
    >>> plan, n_turns = injection_plan(site, site.clean, 3, 3, rng=np.random.default_rng(7))
    >>> [(one.kind, one.length) for one in plan[:2]], n_turns
    ([('point', 1), ('contextual', 20)], 3)
    """
    known = kinds_of(site)
    turns = [kind for kind in TURNS if kind in known]
    places = np.flatnonzero(usable)
    if not turns or not places.size:
        return [], 0
    first, end = int(places[0]) + width, int(places[-1]) + 1
    chosen: list[tuple[Kind, int]] = []
    room, n_turns = end - first, 0
    while n_turns < n:
        kind = turns[(n_before + n_turns) % len(turns)]
        length = _length(kind, rng)
        # How long a reading holds is known where it is put.
        length = LASTING_STEPS[1] if kind == "point" and any(site.spec.hold_steps) else length
        if 2 * width + length > room:
            # One that has no room even alone has had its turn.
            n_turns += not chosen
            break
        chosen.append((kind, length))
        room -= 2 * width + length
        n_turns += 1
    plan, start, spare = [], first, room // max(len(chosen), 1)
    for kind, length in chosen:
        starts = np.arange(start, start + spare + 1)
        made = _placed(site, kind, length, starts[usable[starts]], usable, rng)
        plan += [made] if made is not None else []
        start += spare + 2 * width + length
    return plan, n_turns


def _length(kind: Kind, rng: np.random.Generator) -> int:
    if kind == "point":
        return 1
    first, last = RAMP_STEPS if kind == "ramp" else LASTING_STEPS
    return int(rng.integers(first, last + 1))


def _placed(
    site: Site,
    kind: Kind,
    length: int,
    starts: Ints,
    usable: Flags,
    rng: np.random.Generator,
) -> Injection | None:
    """An anomaly at one of some places, in one of the channels; None where none can be made."""
    units: list[tuple[int, ...]] = [(channel,) for channel in _channels(site, kind)]
    units += site.groups if kind in PLAIN_KINDS else []
    if not starts.size or not units:
        return None
    # Every channel as often as another, whatever can be made in it.
    order = rng.permutation(len(units))
    for number in range(MAX_TRIES):
        at, channels = int(rng.choice(starts)), units[order[number % len(units)]]
        steps = slice(at, at + (_holds(site, at, channels[0]) if kind == "point" else length))
        if not usable[steps].any():
            continue
        if channels in site.groups:
            values = _of_states(site, kind, steps, channels, rng)
        else:
            made = _MAKERS[kind](site, steps, channels[0], rng)
            values = None if made is None else site.as_read(made, channels[0])[:, None]
        if values is not None:
            return Injection(kind, at, channels, values)
    return None


def _holds(site: Site, at: int, channel: int) -> int:
    """For how many steps a reading would hold: up to the next one; a while at most."""
    if not site.spec.hold_steps[channel]:
        return 1
    after = np.flatnonzero(np.isfinite(site.raw[at + 1 : at + LASTING_STEPS[1], channel]))
    return int(after[0]) + 1 if after.size else LASTING_STEPS[1]


def _channels(site: Site, kind: Kind) -> Sequence[int]:
    return list(site.coupled) if kind == "decoupled" else site.singles


Maker = Callable[[Site, slice, int, np.random.Generator], "Floats64 | None"]


def _point(site: Site, steps: slice, channel: int, rng: np.random.Generator) -> Floats64 | None:
    """One reading far beyond, as long as it holds."""
    base = np.zeros(steps.stop - steps.start)
    return _aimed(site, steps, channel, POINT_SIZES, rng, base=base, needed=1.0)


def _collective(
    site: Site, steps: slice, channel: int, rng: np.random.Generator
) -> Floats64 | None:
    """A level that lasts, a ramp up to there, one frozen value at it, or a dip to the half."""
    clean = site.values[steps, channel]
    for shape in rng.permutation(_SHAPES):
        if shape == "dip":
            found = _dip(site, steps, channel)
        else:
            base = np.zeros(len(clean)) if shape == "flatline" else clean
            ramps = shape == "ramp"
            found = _aimed(
                site, steps, channel, LASTING_SIZES, rng,
                base=base, needed=0.25 if ramps else 0.5, ramps=ramps,
            )  # fmt: skip
        if found is not None:
            return found
    return None


def _ramp(site: Site, steps: slice, channel: int, rng: np.random.Generator) -> Floats64 | None:
    """A slow drift away."""
    base = site.values[steps, channel]
    return _aimed(site, steps, channel, LASTING_SIZES, rng, base=base, needed=0.25, ramps=True)


def _aimed(
    site: Site,
    steps: slice,
    channel: int,
    sizes: tuple[float, float],
    rng: np.random.Generator,
    *,
    base: Floats64,
    needed: float,
    ramps: bool = False,
) -> Floats64 | None:
    """Values so many side widths beyond the extremes, up or down; None where neither can be.

    Parameters
    ----------
    base : (length,), what is moved.
    needed : the share of the steps that must be beyond.
    ramps : whether they go there step by step.
    """
    n, known, size = len(base), np.isfinite(site.values[steps, channel]), rng.uniform(*sizes)
    if not known.any():
        return None
    low, high = site.edges(steps, channel)
    rate = np.linspace(1 / n, 1.0, n) if ramps else np.ones(n)
    for sign in _signs(rng):
        off = np.where(known, (high if sign > 0 else low) - base, np.nan)
        if not np.isfinite(off).any():
            return None
        offset = np.nanmedian(off) + sign * size * site.side_widths[int(sign > 0), channel]
        values = site.possible(base + offset * rate, channel)
        values = np.where(known, values, np.nan)
        reaches = site.is_beyond(values, steps, channel, clear=LEAST_SIZE * sizes[0])
        if np.count_nonzero(reaches) >= needed * n:
            return values
    return None


def _signs(rng: np.random.Generator) -> tuple[float, float]:
    return (1.0, -1.0) if rng.random() < 0.5 else (-1.0, 1.0)


def _dip(site: Site, steps: slice, channel: int) -> Floats64 | None:
    """Half of what it was."""
    clean = site.values[steps, channel]
    if channel in site.circles or not (clean[np.isfinite(clean)] > 0).all():
        return None
    return _if_beyond(site, site.possible(clean / 2, channel), steps, channel, alike=True)


def _if_beyond(
    site: Site, values: Floats64, steps: slice, channel: int, *, alike: bool
) -> Floats64 | None:
    """The values, where half of them and more leave what is usual; and days say what that is."""
    found = site.is_beyond(values, steps, channel, alike=alike)
    is_odd = 2 * np.count_nonzero(found) >= len(values) and site.knows_days(steps, channel)
    return values if is_odd else None


def _contextual(
    site: Site, steps: slice, channel: int, rng: np.random.Generator
) -> Floats64 | None:
    """The values of half a day away, each usual there."""
    del rng
    half = _DAY_S // site.spec.step_s // 2
    for other in _shifted(site, steps, (-half, half)):
        found = _if_beyond(site, site.values[other, channel], steps, channel, alike=False)
        if found is not None and np.isfinite(found).all():
            return found
    return None


def _weekday(site: Site, steps: slice, channel: int, rng: np.random.Generator) -> Floats64 | None:
    """The values of the same hour on a day of rest, or on a work day."""
    others = [
        other
        for other in _other_days(site, steps)
        if site.clean[other].all() and (site.rests[other] != site.rests[steps]).all()
    ]
    for number in rng.permutation(len(others)):
        values: Floats64 = site.values[others[number], channel]
        if _if_beyond(site, values, steps, channel, alike=True) is not None:
            return values
    return None


def _decoupled(site: Site, steps: slice, channel: int, rng: np.random.Generator) -> Floats64 | None:
    """The values of another day, while the channels that it goes with stay as they are."""
    coupling = site.coupled[channel]
    others = [other for other in _other_days(site, steps) if site.clean[other].all()]
    for number in rng.permutation(len(others)):
        values: Floats64 = site.values[others[number], channel]
        with np.errstate(invalid="ignore"):
            apart = np.abs(values - coupling.expected[steps]) > APART_SPREADS * coupling.spread
        if 2 * np.count_nonzero(apart) >= len(values):
            return values
    return None


def _other_days(site: Site, steps: slice) -> list[slice]:
    """The same hours of other days."""
    daily = _DAY_S // site.spec.step_s
    days = [by * daily for by in range(-MOST_DAYS, MOST_DAYS + 1) if by]
    return list(_shifted(site, steps, days))


def _shifted(site: Site, steps: slice, offsets: Sequence[int]) -> Iterator[slice]:
    for by in offsets:
        if steps.start + by >= 0 and steps.stop + by <= len(site.values):
            yield slice(steps.start + by, steps.stop + by)


def _of_states(
    site: Site, kind: Kind, steps: slice, group: tuple[int, ...], rng: np.random.Generator
) -> Floats64 | None:
    """Shares (length, n) that say a state that is unusual at these hours; contextual ones the
    states of half a day away.
    """
    unusual = site.share_extremes(group).high[site.hours[steps]] < 0.5
    length = len(unusual)
    if kind == "contextual":
        half = _DAY_S // site.spec.step_s // 2
        for other in _shifted(site, steps, (-half, half)):
            shares = site.shares(group)[other]
            is_odd = unusual[np.arange(length), np.nan_to_num(shares).argmax(axis=1)]
            is_known = np.isfinite(shares).all() and site.knows_days(steps, group[0])
            if is_known and 2 * np.count_nonzero(is_odd) >= length:
                return shares[:, 1:]
        return None
    odd = np.flatnonzero(unusual.all(axis=0))
    if not odd.size or not np.isfinite(site.values[steps, group]).any():
        return None
    told = np.zeros((length, len(group) + 1))
    told[:, rng.choice(odd)] = 1.0
    return told[:, 1:]


_MAKERS: dict[Kind, Maker] = {
    "point": _point,
    "contextual": _contextual,
    "collective": _collective,
    "ramp": _ramp,
    "decoupled": _decoupled,
    "weekday": _weekday,
}


def inject_all(site: Site, plan: Sequence[Injection]) -> Floats64:
    """A copy of the readings (n_steps, n_channels) with a plan's anomalies.

    A value that is held ends where its anomaly does: what held before is read again.

    >>> from tsad_tasks.model.features import Scaler
    >>> from tsad_tasks.model.spec import FeatureSpec
    >>> spec = FeatureSpec(("load",), (0,), 3600, "UTC", 3, 0.5, None, 0, (), (), (), ())
    >>> wave = np.sin(np.arange(72) / 24 * 2 * np.pi)[:, None].round(1)
    >>> site = Site(spec, Scaler((0.0,), (1.0,), 72), wave, 0, np.ones(72, bool))
    >>> changed = inject_all(site, [Injection("point", 5, (0,), np.array([[9.0]]))])
    >>> np.flatnonzero(changed != wave).tolist(), changed[5].tolist()
    ([5], [9.0])
    """
    changed, hold = site.raw.copy(), site.spec.hold_steps
    for one in plan:
        after = one.at + one.length
        for channel, values in zip(one.channels, one.values.T, strict=True):
            changed[one.steps, channel] = values
            if hold[channel] and after < len(changed) and not np.isfinite(site.raw[after, channel]):
                before = site.values[after : after + 1, channel]
                changed[after, channel] = site.as_read(before, channel)[0]
    return changed
