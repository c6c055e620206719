"""Sixty days of a plant that nobody watches, at the benchmark's small size: promises by SQL, each
decision a row.
"""

from __future__ import annotations

from pathlib import Path

from tests.benchmark_modules import benchmark

SIXTY_DAYS = benchmark("sixty_days")


def test_every_promise_is_kept_and_every_decision_is_a_row(
    warehouse_uri: str, tmp_path: Path
) -> None:
    plant = SIXTY_DAYS.Plant(
        warehouse_uri, tmp_path, SIXTY_DAYS.SMALL, SIXTY_DAYS.config_of(SIXTY_DAYS.SMALL)
    )
    SIXTY_DAYS.live(plant, 7)
    broken = [text for text, kept in SIXTY_DAYS.checked(plant) if not kept]
    assert broken == [], "\n".join(plant.story)
    decisions = plant.rows(SIXTY_DAYS.DECISIONS)
    made = [decision for _, _, decision, *_ in decisions]
    assert (made[0], made[-1]) == ("promoted", "rolled_back")
    assert made.count("shadow_started") >= 2
    # The challenger from the scrambled archive is stopped by the gate or in the shadow, with the
    # reason.
    stopped = [
        reason
        for _, _, decision, *_, reason in decisions
        if decision in ("gate_failed", "shadow_failed")
    ]
    assert stopped
    assert all(stopped)
