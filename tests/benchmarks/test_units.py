"""Another unit changes no incident and no score; the benchmark has all detectors."""

from __future__ import annotations

import pytest

from tests.benchmark_modules import benchmark

units = benchmark("units")


@pytest.mark.parametrize("scaling", ["robust", "standard"])
@pytest.mark.parametrize("name", units.SMALL)
def test_another_unit_changes_neither_incidents_nor_scores(name: str, scaling: str) -> None:
    difference, here, there = units.compared(name, scaling)
    assert difference <= units.MOST_APART
    assert here.incidents == there.incidents
    moved = [(144, 287)]
    assert all(span in here.incidents[0] for span in moved)
