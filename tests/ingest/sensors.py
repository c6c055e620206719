"""Sensors hour by hour, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.ingest.quality import AGES, LookBack, SensorFinding, sensor_findings
from tsad_tasks.model.hour_summary import no_summaries, summaries

# A Monday.
MONDAY = datetime(2026, 10, 5, tzinfo=UTC)
Said = tuple[datetime, int, str]


def hours_of(
    value: Callable[[datetime, np.random.Generator], float | Sequence[float]],
    *,
    days: float,
    step_min: int = 5,
    start_at: datetime = MONDAY,
    seed: int = 3,
) -> NDArray[np.float64]:
    """Readings (n_hours, n_steps, n_channels) of what `value` gives at each step."""
    rng, n_steps = np.random.default_rng(seed), 60 // step_min
    times = [start_at + timedelta(minutes=step_min * i) for i in range(int(days * 24 * n_steps))]
    read = np.array([np.atleast_1d(value(at, rng)) for at in times], np.float64)
    return read.reshape(-1, n_steps, read.shape[1])


def findings(
    values: NDArray[np.float64],
    counts: NDArray[np.uint8] | None = None,
    *,
    start_at: datetime = MONDAY,
    low: float = np.nan,
    high: float = np.nan,
    on_change: bool = False,
    hold_h: float = 0,
    from_hour: int = 0,
) -> list[tuple[datetime, SensorFinding]]:
    """All that is said of one entity, hour by hour, with what was known by then."""
    n_hours, n_steps, n_channels = values.shape
    counted = np.isfinite(values).astype(np.uint8) if counts is None else counts
    known = summaries(values, counted)
    has_any = np.isfinite(values).any(axis=1)
    first = np.where(has_any.any(axis=0), has_any.argmax(axis=0), n_hours)
    found = []
    for number in range(from_hour, n_hours):
        before = no_summaries((1, len(AGES), n_channels))
        seen = [i for i, age in enumerate(AGES) if age <= number]
        before[0, seen] = known[[number - AGES[i] for i in seen]]
        at = start_at + timedelta(hours=number)
        look = LookBack(
            known[None, number],
            before,
            n_steps,
            np.full(n_channels, low),
            np.full(n_channels, high),
            np.maximum(number - first, -1)[None],
            np.full(n_channels, on_change),
            np.full(n_channels, hold_h),
            at.weekday() >= 5,
        )
        found += [(at, one) for one in sensor_findings(look)]
    return found


def said(*args: Any, **options: Any) -> list[Said]:
    """When, of which channel, and what."""
    return [(at, one.channel_index, str(one.verdict)) for at, one in findings(*args, **options)]


def verdicts(*args: Any, **options: Any) -> list[str]:
    """What is said, each once."""
    return sorted({verdict for _, _, verdict in said(*args, **options)})
