"""Injected anomalies are where the plan says, of the size it says, and nothing else changes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput
from tsad_tasks.model.injection import Kind, inject, inject_all, injection_plan

quick = settings(max_examples=40, deadline=None, derandomize=True)


def days(n_days: int = 2) -> NDArray[np.float64]:
    """A sine per day in channel 0, noise in channel 1."""
    steps = np.arange(n_days * 1440)
    return np.column_stack(
        [np.sin(2 * np.pi * steps / 1440), np.random.default_rng(1).normal(0, 1, steps.size)]
    )


@quick
@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(2, 60))
def test_planned_anomalies_never_share_a_window(seed: int, n: int, width: int) -> None:
    plan = injection_plan(5000, [0, 1], n, width, rng=np.random.default_rng(seed), daily_steps=1440)
    assert 1 <= len(plan) <= n
    assert plan[0].at >= width
    assert plan[-1].at + plan[-1].length <= 5000
    for one, following in pairwise(plan):
        assert following.at - (one.at + one.length) >= width
        assert {one.channel, following.channel} <= {0, 1}


def test_the_kinds_take_turns_and_the_same_seed_gives_the_same_plan() -> None:
    plans = [
        injection_plan(9000, [0], 60, 10, rng=np.random.default_rng(7), daily_steps=1440)
        for _ in range(2)
    ]
    assert plans[0] == plans[1]
    assert [one.kind for one in plans[0]].count("contextual") == 20


def test_plans_with_room_for_one_anomaly_still_give_all_kinds_their_turn() -> None:
    plans = [
        injection_plan(100, [0], 3, 24, rng=np.random.default_rng(7), daily_steps=24, n_before=n)
        for n in range(3)
    ]
    assert [[one.kind for one in plan] for plan in plans] == [
        ["point"],
        ["contextual"],
        ["collective"],
    ]


def test_without_half_a_day_of_readings_there_are_no_contextual_anomalies() -> None:
    plan = injection_plan(600, [0], 6, 10, rng=np.random.default_rng(7), daily_steps=1440)
    assert {one.kind for one in plan} == {"point", "collective"}


def test_no_room_for_any_anomaly_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 50 steps"):
        injection_plan(49, [0], 5, 10, rng=np.random.default_rng(7), daily_steps=1440)


@quick
@given(
    st.integers(0, 10_000),
    st.sampled_from(["point", "contextual", "collective"]),
    st.integers(0, 2879),
)
def test_only_the_named_steps_of_the_named_channel_change(seed: int, kind: Kind, at: int) -> None:
    clean = days()
    before = clean.copy()
    changed = inject(clean, kind, at=at, channel=0, spread=0.7, rng=np.random.default_rng(seed))
    assert (clean == before).all()
    differ = np.argwhere(changed != clean)
    assert (differ[:, 1] == 0).all()
    assert ((differ[:, 0] >= at) & (differ[:, 0] < at + (1 if kind == "point" else 20))).all()


@quick
@given(st.integers(0, 10_000))
def test_points_and_collective_anomalies_reach_beyond_three_spreads(seed: int) -> None:
    clean = days()
    for kind in ("point", "collective"):
        changed = inject(
            clean, kind, at=500, channel=1, spread=9.0, rng=np.random.default_rng(seed)
        )
        assert np.abs(changed - clean).max() >= 2.7 * 9.0


def test_a_contextual_anomaly_is_usual_at_another_time_of_day() -> None:
    clean = days()
    changed = inject(
        clean, "contextual", at=360, channel=0, spread=1.0, rng=np.random.default_rng(7), length=12
    )
    assert (changed[360:372, 0] == clean[1080:1092, 0]).all()
    assert abs(changed[360, 0] - clean[360, 0]) == pytest.approx(2.0)


def test_a_contextual_anomaly_without_another_time_of_day_is_refused() -> None:
    with pytest.raises(BadInput, match="half a day"):
        inject(
            days()[:700], "contextual", at=300, channel=0, spread=1.0, rng=np.random.default_rng(7)
        )


@pytest.mark.parametrize(("kind", "at"), [("odd", 5), ("point", -1), ("point", 2880)])
def test_an_unknown_kind_or_place_is_refused(kind: Kind, at: int) -> None:
    with pytest.raises(BadInput, match="Expected one of point, contextual, collective"):
        inject(days(), kind, at=at, channel=0, spread=1.0, rng=np.random.default_rng(7))


def test_a_whole_plan_changes_what_it_plans_and_can_be_repeated() -> None:
    clean = days(4)
    plan = injection_plan(
        len(clean), [0, 1], 30, 10, rng=np.random.default_rng(7), daily_steps=1440
    )
    changed, again = (
        inject_all(clean, plan, spread=[0.7, 1.0], rng=np.random.default_rng(8)) for _ in range(2)
    )
    planned = np.zeros(clean.shape, bool)
    for one in plan:
        planned[one.at : one.at + one.length, one.channel] = True
        assert (
            changed[one.at : one.at + one.length, one.channel]
            != clean[one.at : one.at + one.length, one.channel]
        ).any()
    assert (changed[~planned] == clean[~planned]).all()
    assert (changed == again).all()
