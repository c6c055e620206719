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
    # What never moved does from step 144 on; a long incident may be cut, with nothing between.
    told = {step for first, last in here.incidents[0] for step in range(first, last + 1)}
    assert told >= set(range(144, 288))
    assert 144 in {first for first, _ in here.incidents[0]}
