"""The quick look at sensors misses nothing that the thorough one would say."""

from __future__ import annotations

import numpy as np
import pytest

from tsad_tasks.ingest.quality import quality_verdicts
from tsad_tasks.ingest.sensor_quality import dependent_hours, suspects, usual_level

FAULTS = [
    "none",
    "stuck",
    "constant",
    "at_limit",
    "out_of_range",
    "unit",
    "dead",
    "gaps",
    "rounded",
    "moved",
]


def _with_fault(
    fault: str, rng: np.random.Generator, n_steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reference, previous hour and hour of one sensor."""
    reference = 20 + rng.normal(size=7 * n_steps)
    previous, values = 20 + rng.normal(size=n_steps), 20 + rng.normal(size=n_steps)
    changes = {
        "stuck": (slice(n_steps // 3, None), 21.5),
        "at_limit": (slice(0, n_steps // 3), 40.0),
        "dead": (slice(None), np.nan),
        "out_of_range": (slice(3, 4), 41.0),
        "gaps": (slice(2, 9), np.nan),
        "constant": (slice(None), 20.5),
    }
    if fault in changes:
        values[changes[fault][0]] = changes[fault][1]
    if fault == "constant":
        previous[:] = 20.5
    if fault == "unit":
        values = values * 1.8 + 32
    if fault == "moved":
        previous, values = previous + 7, (values + 7) * 1.8 + 32
    if fault == "rounded":
        values = values.round()
    return reference, previous, values


@pytest.mark.parametrize("n_steps", [12, 60])
def test_who_is_not_suspect_gets_no_verdict(n_steps: int) -> None:
    rng = np.random.default_rng(3)
    sensors = [_with_fault(fault, rng, n_steps) for fault in FAULTS for _ in range(20)]
    reference, previous, values = (
        np.stack(part)[:, :, None] for part in zip(*sensors, strict=True)
    )
    low, high, (median, spread) = np.array([0.0]), np.array([40.0]), usual_level(reference)
    found = suspects(values, previous, low, high, median, spread, np.ones(median.shape, bool))
    judged = np.array(
        [
            bool(
                quality_verdicts(
                    values[i],
                    previous[i],
                    low=low,
                    high=high,
                    reference_median=median[i],
                    reference_spread=spread[i],
                )
            )
            for i in range(len(values))
        ]
    )
    assert not (judged & ~found).any()
    assert judged.any()
    assert not found[:20].any()


def test_a_change_reaches_the_next_hour_and_seven_days() -> None:
    from tests.plants.plant import at

    assert [hour.day for hour in dependent_hours([at("10:00")])] == [1, 1, 2, 3, 4, 5, 6, 7, 8]
