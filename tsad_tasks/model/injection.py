"""Known anomalies, put into clean readings: what a gate and a benchmark measure a detector with.

Source: document D (point, contextual and collective anomalies, shares of a robust standard
deviation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tsad_tasks.base.arrays import Floats64
from tsad_tasks.base.errors import BadInput

Kind = Literal["point", "contextual", "collective"]
KINDS: tuple[Kind, ...] = get_args(Kind)

POINT_SPREADS = (4.0, 10.0)
COLLECTIVE_SPREADS = (3.0, 6.0)
LASTING_STEPS = (10, 20)
_SHAPES = ("shift", "ramp", "flatline")


@dataclass(frozen=True)
class Injection:
    """One planned anomaly: `length` steps from position `at`, in one channel."""

    kind: Kind
    at: int
    length: int
    channel: int


def injection_plan(
    n_steps: int,
    channels: Sequence[int],
    n: int,
    width: int,
    *,
    rng: np.random.Generator,
    daily_steps: int,
    n_before: int = 0,
) -> list[Injection]:
    """At most `n` anomalies, the kinds in turn; no window of `width` sees two of them.

    Fewer come back when the readings are too short for all; the first `width` steps stay clean.
    Contextual ones need half a day of other readings (`daily_steps`), and are left out of the turn
    where there is less. `n_before` anomalies of earlier plans have had their turn: where one plan
    has room for a single anomaly, all kinds still get theirs.

    Raises
    ------
    BadInput
        When there is no channel, or not room for one anomaly.

    >>> plan = injection_plan(3000, [0, 2], 6, 10, rng=np.random.default_rng(7), daily_steps=1440)
    >>> [injection.kind for injection in plan[:3]], len(plan)
    (['point', 'contextual', 'collective'], 6)
    """
    room = 2 * width + LASTING_STEPS[1]
    n = min(n, (n_steps - width) // room)
    if n < 1 or not channels:
        expected = f"Expected a channel and at least {room + width} steps."
        raise BadInput(f"{expected} Received: {len(channels)}, {n_steps}.")
    has_days = n_steps >= daily_steps + LASTING_STEPS[1]
    kinds = [kind for kind in KINDS if kind != "contextual" or has_days]
    slots = np.linspace(width, n_steps, n + 1).astype(np.int64).tolist()
    plan = []
    for turn in range(n):
        kind = kinds[(n_before + turn) % len(kinds)]
        length = _length(kind, rng)
        last = max(slots[turn + 1] - 2 * width - length, slots[turn])
        at = int(rng.integers(slots[turn], last + 1))
        plan.append(Injection(kind, at, length, int(rng.choice(np.asarray(channels)))))
    return plan


def _length(kind: Kind, rng: np.random.Generator) -> int:
    return 1 if kind == "point" else int(rng.integers(LASTING_STEPS[0], LASTING_STEPS[1] + 1))


def inject(
    values: Floats64,
    kind: Kind,
    *,
    at: int,
    channel: int,
    spread: float,
    rng: np.random.Generator,
    length: int | None = None,
    daily_steps: int = 1440,
) -> Floats64:
    """A copy of the readings with one anomaly.

    point: a spike of 4 to 10 spreads, up or down. contextual: the values of half a day away, each
    usual, now not. collective: 10 to 20 steps of a level 3 to 6 spreads off, of a ramp up to there,
    or of one frozen value at it.

    Parameters
    ----------
    values : (n_steps, n_channels), clean readings; untouched.
    at : position of the first abnormal step.
    spread : robust standard deviation of the channel (the scaler's scale), in its unit.
    length : steps; None: 1 for a point, else 10 to 20.
    daily_steps : grid steps per day.

    Raises
    ------
    BadInput
        When the kind is unknown, `at` is outside, or a contextual anomaly has no readings half a
        day away.

    >>> rng = np.random.default_rng(7)
    >>> spiked = inject(np.zeros((5, 1)), "point", at=2, channel=0, spread=1.0, rng=rng)
    >>> (abs(spiked[:, 0]) >= 4.0).tolist()
    [False, False, True, False, False]
    """
    if kind not in KINDS or not 0 <= at < values.shape[0]:
        expected = f"Expected one of {', '.join(KINDS)} within {values.shape[0]} steps."
        raise BadInput(f"{expected} Received: {kind} at {at}.")
    end = min(at + (_length(kind, rng) if length is None else length), values.shape[0])
    changed = values.copy()
    clean = values[at:end, channel]
    if kind == "point":
        changed[at:end, channel] = clean + _either(rng) * rng.uniform(*POINT_SPREADS) * spread
    elif kind == "contextual":
        half = daily_steps // 2
        inside = (start for start in (at - half, at + half) if 0 <= start <= len(values) - end + at)
        start = next(inside, None)
        if start is None:
            expected = f"Expected readings half a day ({half} steps) from step {at}."
            raise BadInput(f"{expected} Received: {len(values)} steps.")
        changed[at:end, channel] = values[start : start + end - at, channel]
    else:
        offset = _either(rng) * rng.uniform(*COLLECTIVE_SPREADS) * spread
        shape, ramp = rng.choice(_SHAPES), np.linspace(1 / clean.size, 1.0, clean.size)
        base = np.full(clean.size, clean[0]) if shape == "flatline" else clean
        changed[at:end, channel] = base + offset * (ramp if shape == "ramp" else 1.0)
    return changed


def _either(rng: np.random.Generator) -> float:
    return float(rng.choice((-1.0, 1.0)))


def inject_all(
    values: Floats64,
    plan: Sequence[Injection],
    *,
    spread: Sequence[float],
    rng: np.random.Generator,
    daily_steps: int = 1440,
) -> Floats64:
    """A copy of the readings (n_steps, n_channels) with a plan's anomalies; `spread` by channel.

    >>> plan = [Injection("point", 1, 1, 0), Injection("point", 3, 1, 0)]
    >>> spiked = inject_all(np.zeros((4, 1)), plan, spread=[1.0], rng=np.random.default_rng(7))
    >>> (spiked[:, 0] != 0).tolist()
    [False, True, False, True]
    """
    changed = values.copy()
    for one in plan:
        rows = slice(one.at, one.at + one.length)
        injected = inject(
            values, one.kind, at=one.at, channel=one.channel, spread=spread[one.channel], rng=rng,
            length=one.length, daily_steps=daily_steps,
        )  # fmt: skip
        changed[rows, one.channel] = injected[rows, one.channel]
    return changed
