"""A gate that lets a model through, for benchmarks that are about what comes after it."""

from __future__ import annotations

from typing import Any

OPEN: dict[str, Any] = {
    "min_point_share": 0,
    "min_contextual_share": 0,
    "min_collective_share": 0,
    "max_false_alarm_share": 1,
    "max_incidents_per_entity_week": 1000,
    "n_injected": 10,
}
