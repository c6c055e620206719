"""What holds of values that stay valid: against the slow twin, and however a range is split."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.slow_grid import Row
from tests.reference.slow_held import slow_held
from tsad_tasks.ingest.grid import HOUR_US, Grid, Gridded, Rows, to_grid
from tsad_tasks.ingest.held import UNTIL_CHANGED, Validity, heard_spans

quick = settings(max_examples=60, deadline=None, derandomize=True)

AGGREGATES = ("mean", "last", "min", "max", "count")
# All times are whole minutes: the slow twin looks at each of them.
MINUTE_US = 60_000_000
STEP, SILENCE = 10, 25
VALUES = st.sampled_from([-1.5, 0.0, 0.1, 1.0, 2.25, float("nan")])
# Minutes, of which some are on the grid's edges; entity; update; channel; value.
ROWS = st.lists(
    st.tuples(
        st.one_of(st.integers(-90, 179), st.sampled_from([-10, 0, 10, 59, 60, 120])),
        st.integers(0, 1),
        st.integers(0, 1),
        st.integers(0, 4),
        VALUES,
    ),
    min_size=1,
    max_size=25,
)
VALID = st.lists(st.sampled_from([5, 15, 66, UNTIL_CHANGED]), min_size=5, max_size=5)


def _gridded(content, valid, start_h, end_h, until=None) -> Gridded:
    """Readings of [start, end) of what a source has before its end."""
    content = [row for row in content if row[0] < end_h * 60]
    t, e, u, c, v = (np.array(column) for column in zip(*content, strict=True))
    times_us, entity = t.astype(np.int64) * MINUTE_US, e.astype(np.intp)
    rows = Rows(times_us, entity, u.astype(np.int64), v.astype(float), channel=c.astype(np.intp))
    valid_us = np.array([n if n == UNTIL_CHANGED else n * MINUTE_US for n in valid])
    heard = heard_spans(entity, times_us, SILENCE * MINUTE_US)
    end_us = end_h * HOUR_US
    validity = Validity(valid_us, heard, end_us if until is None else until * MINUTE_US)
    grid = Grid(start_h * HOUR_US, end_us, STEP * 60, n_entities=2, n_channels=5)
    return to_grid(rows, grid, AGGREGATES, validity)


@quick
@given(ROWS, VALID)
def test_what_holds_is_what_was_last_said_minute_by_minute(content, valid) -> None:
    content = [*content, (-90, 0, 0, 0, 1.0)]
    found = _gridded(content, valid, 0, 3)
    rows = [Row(t, e, c, u, v) for t, e, u, c, v in content]
    wanted = slow_held(rows, range(18), STEP, AGGREGATES, valid, SILENCE)
    present = np.zeros(found.present.shape, bool)
    values = np.full(present.shape, np.nan)
    for place, value in wanted.items():
        present[place], values[place] = True, value
    np.testing.assert_array_equal(found.present, present)
    np.testing.assert_allclose(found.values, values, rtol=1e-12)


def _last_before(content, start):
    """Of each series the rows of its last moment before a range, and all rows in it."""
    last: dict[tuple[int, int], int] = {}
    for t, e, _, c, _ in content:
        if t < start:
            last[e, c] = max(t, last.get((e, c), t))
    return [row for row in content if row[0] >= start or row[0] == last[row[1], row[3]]]


@quick
@given(ROWS, VALID)
def test_any_split_of_a_range_gives_the_same_readings_to_the_bit(content, valid) -> None:
    content = [*content, (-90, 0, 0, 0, 1.0)]
    whole = _gridded(content, valid, 0, 3)
    for hours in ([0, 1, 2, 3], [0, 2, 3], [0, 1, 3]):
        parts = [_gridded(_last_before(content, a * 60), valid, a, b) for a, b in pairwise(hours)]
        for name in ("values", "present"):
            joined = np.concatenate([getattr(part, name) for part in parts], axis=1)
            assert joined.tobytes() == getattr(whole, name).tobytes()


def test_nothing_holds_beyond_where_the_source_was_read() -> None:
    found = _gridded([(0, 0, 0, 0, 1.0)], [UNTIL_CHANGED] * 5, 0, 1, until=20)
    assert found.values[0, :, 0].tolist()[:2] == [1.0, 1.0]
    assert not found.present[0, 2:, 0].any()


def test_a_value_that_does_not_change_is_its_own_mean() -> None:
    rows = [(t, 0, 0, 0, 0.1) for t in (1, 2, 6, 7, 9)]
    assert _gridded(rows, [15] * 5, 0, 1).values[0, :2, 0].tolist() == [0.1, 0.1]


@pytest.mark.parametrize(("n_days", "n_series"), [(1, 2000)])
def test_how_long_nothing_changed_costs_nothing(n_days: int, n_series: int) -> None:
    """Of a day in which nothing is said as many pieces are made as there are steps."""
    start_us, entity = n_days * 24 * HOUR_US, np.arange(n_series, dtype=np.intp)
    for age_us in (60_000_000, 3650 * 24 * HOUR_US):
        times_us = np.full(n_series, start_us - age_us)
        values = np.ones((n_series, 1))
        rows = Rows(times_us, entity, np.zeros(n_series, np.int64), values)
        heard = heard_spans(entity, np.full(n_series, start_us), 25 * HOUR_US)
        grid = Grid(start_us, start_us + HOUR_US, 60, n_series, 1)
        validity = Validity(np.array([UNTIL_CHANGED]), heard, grid.end_us)
        assert to_grid(rows, grid, ["mean"], validity).values.all()
