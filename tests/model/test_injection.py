"""Injected anomalies are where the plan says, are anomalies of their channel, and nothing else
changes.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.model.sites import KINDS, START_S, STEPS_A_DAY, site, spec_of, wave
from tsad_tasks.model.features import fit_scaler
from tsad_tasks.model.injection import (
    LASTING_STEPS,
    TURNS,
    Injection,
    inject_all,
    injection_plan,
    kinds_of,
)
from tsad_tasks.model.injection_site import Site

WIDTH = 10


def planned(of: Site, n: int = 24, seed: int = 7, width: int = WIDTH) -> list[Injection]:
    """Anomalies in the last six days."""
    usable = of.clean & (np.arange(len(of.raw)) >= 3 * STEPS_A_DAY)
    return injection_plan(of, usable, n, width, rng=np.random.default_rng(seed))[0]


def of_kind(plan: list[Injection], *kinds: str) -> list[Injection]:
    found = [one for one in plan if one.kind in kinds]
    assert found, kinds
    return found


def near(of: Site, one: Injection) -> NDArray[np.float64]:
    """Clean values within an hour of the time of day of an anomaly's middle, on all days."""
    hour = of.hours[one.at + one.length // 2]
    return of.values[np.abs((of.hours - hour + 12) % 24 - 12) <= 1, one.channel]


@pytest.mark.parametrize("width", [2, 10, 60])
@pytest.mark.parametrize("seed", range(5))
def test_planned_anomalies_never_share_a_window(seed: int, width: int) -> None:
    plan = planned(site("gauge"), 80, seed, width)
    assert plan[0].at >= 3 * STEPS_A_DAY + width
    assert plan[-1].at + plan[-1].length <= 9 * STEPS_A_DAY
    assert len(plan) > 5
    for one, following in pairwise(plan):
        assert following.at - (one.at + one.length) >= width


def test_the_kinds_take_turns_and_the_same_seed_gives_the_same_plan() -> None:
    first, second = (planned(site("gauge"), 20) for _ in range(2))
    assert [(one.kind, one.at, one.values.tolist()) for one in first] == [
        (one.kind, one.at, one.values.tolist()) for one in second
    ]
    turns = [kind for kind in TURNS if kind in ("point", "contextual", "collective", "ramp")]
    assert [one.kind for one in first][:10] == turns[:10]


def test_a_plan_with_room_for_one_goes_on_with_the_next_kind() -> None:
    of, usable = site("gauge"), np.zeros(9 * STEPS_A_DAY, bool)
    usable[1000:1055] = True
    kinds = []
    for n_before in range(4):
        plan, n_turns = injection_plan(
            of, usable, 3, WIDTH, rng=np.random.default_rng(7), n_before=n_before
        )
        kinds.append([one.kind for one in plan][:1])
        assert n_turns >= 1
    # The fourth is a slow ramp, for which there is no room.
    assert kinds == [["point"], ["contextual"], ["collective"], []]


@pytest.mark.parametrize("kind", KINDS)
def test_points_are_beyond_what_the_channel_reaches_at_that_hour(kind: str) -> None:
    of = site(kind)
    for one in of_kind(planned(of, 40), "point"):
        away = one.values[0, 0] - of.scaler.center[0] if kind == "angle" else one.values[0, 0]
        away = (away + 180) % 360 - 180 if kind == "angle" else away
        known = near(of, one)
        least = 0.2 * (np.nanmax(of.values) - np.nanmin(of.values)) / 2
        beyond = max(away - np.nanmax(known), np.nanmin(known) - away)
        assert beyond >= least, (one.at, away)


@pytest.mark.parametrize(
    ("kind", "apart", "low", "high"),
    [
        ("zero-inflated", 1.0, 0, np.inf),
        ("two values", 100.0, 0, 100),
        ("held", 0.5, 0, np.inf),
        ("office", 0.1, 0, np.inf),
        ("angle", 0.0, 0, 360),
    ],
)
def test_values_are_on_the_resolution_and_within_the_range_of_their_channel(
    kind: str, apart: float, low: float, high: float
) -> None:
    values = np.concatenate([one.values[:, 0] for one in planned(site(kind), 40)])
    assert values.min() >= low
    assert values.max() <= high
    if apart:
        assert np.abs(values / apart - np.round(values / apart)).max() < 1e-6


def test_a_range_that_the_dataset_file_says_holds() -> None:
    of = replace(site("gauge"), ends=(np.array([-6.0]), np.array([9.0])))
    values = np.concatenate([one.values[:, 0] for one in planned(of, 40)])
    assert values.min() >= -6.0
    assert 8.0 < values.max() <= 9.0


def test_a_valve_is_injected_only_where_it_stands_otherwise() -> None:
    of = site("two values")
    plan = of_kind(planned(of, 40), "point", "collective")
    assert {one.values.max() for one in plan} == {0.0, 100.0}
    for one in plan:
        assert (one.values != of.values[one.steps]).mean() >= 0.25


def test_only_the_planned_steps_change() -> None:
    of = site("gauge")
    plan, before = planned(of, 40), of.raw.copy()
    changed = inject_all(of, plan)
    assert (of.raw == before).all()
    marked = np.zeros(len(before), bool)
    for one in plan:
        marked[one.steps] = True
        assert (changed[one.steps] != before[one.steps]).any()
    assert (changed[~marked] == before[~marked]).all()


def test_what_held_before_an_anomaly_of_a_held_channel_holds_after_it() -> None:
    of = site("held")
    for one in of_kind(planned(of, 30), "point", "collective"):
        changed = replace(of, raw=inject_all(of, [one]))
        assert np.isfinite(one.values).all()
        assert (changed.values[one.steps] == one.values).all()
        outside = np.ones(len(of.raw), bool)
        outside[one.steps] = False
        np.testing.assert_array_equal(changed.values[outside], of.values[outside])


def test_a_channel_that_never_moved_has_no_anomaly() -> None:
    values = np.full((9 * STEPS_A_DAY, 1), 4.0)
    of = Site(spec_of(1), fit_scaler(values, "robust"), values, START_S, np.ones(len(values), bool))
    assert kinds_of(of) == []
    assert planned(of) == []


def test_a_contextual_anomaly_is_usual_half_a_day_away_and_needs_two_days() -> None:
    of = site("gauge")
    for one in of_kind(planned(of, 40), "contextual"):
        half = STEPS_A_DAY // 2
        away = (of.values[one.at + by : one.at + by + one.length] for by in (-half, half))
        assert any((found == one.values).all() for found in away if len(found) == one.length)
    assert "contextual" not in kinds_of(replace(of, clean=np.arange(len(of.raw)) < STEPS_A_DAY))


@pytest.mark.parametrize("wander", [0.0, 20.0])
def test_contextual_anomalies_are_made_only_where_days_are_alike(wander: float) -> None:
    rng = np.random.default_rng(2)
    values = (wave(9, rng) + wander * rng.normal(0, 1, 9).repeat(STEPS_A_DAY))[:, None]
    of = Site(spec_of(1), fit_scaler(values, "robust"), values, START_S, np.ones(len(values), bool))
    plan = planned(of, 40)
    assert any(one.kind == "contextual" for one in plan) is (wander == 0.0)
    assert any(one.kind == "point" for one in plan)


def test_another_weekdays_values_are_those_of_that_hour_and_need_two_days_of_each_kind() -> None:
    of = site("office")
    plan = [one for seed in range(12) for one in planned(of, 60, seed)]
    for one in of_kind(plan, "weekday"):
        days = [one.at + by * STEPS_A_DAY for by in range(-8, 9)]
        found = [
            at
            for at in days
            if 0 <= at <= len(of.values) - one.length
            and (of.values[at : at + one.length] == one.values).all()
        ]
        assert of.rests[found[0]] != of.rests[one.at]
        # A day's load on a day of rest, or quiet at work.
        assert np.abs(one.values - of.values[one.steps]).mean() > 50
    assert "weekday" not in kinds_of(site("office", n_days=6))
    assert "weekday" in kinds_of(site("office", n_days=7))


def test_some_lasting_anomalies_are_dips_to_the_half_on_days_alike() -> None:
    of, n = site("office"), 0
    for one in of_kind([a for seed in range(8) for a in planned(of, 60, seed)], "collective"):
        assert LASTING_STEPS[0] <= one.length <= LASTING_STEPS[1]
        n += bool(np.abs(one.values - of.values[one.steps] / 2).max() < 0.1)
    assert n >= 5


def coupled_site(*, is_coupled: bool) -> Site:
    """Two channels, of which one follows the other, or not."""
    rng = np.random.default_rng(3)
    load = np.repeat(rng.normal(50, 10, 9 * 24), STEPS_A_DAY // 24)
    heat = (load if is_coupled else rng.permutation(load)) * 0.5 + rng.normal(0, 0.2, load.size)
    values = np.column_stack([load + rng.normal(0, 0.2, load.size), heat])
    of = spec_of(2), fit_scaler(values, "robust"), values
    return Site(*of, START_S, np.ones(len(values), bool))


def test_channels_that_go_together_are_decoupled_and_others_are_not() -> None:
    of = coupled_site(is_coupled=True)
    for one in of_kind(planned(of, 60), "decoupled"):
        changed = of.values.copy()
        changed[one.steps, one.channel] = one.values[:, 0]
        apart = np.abs(changed[one.steps, 1] - changed[one.steps, 0] / 2)
        assert np.median(apart) > 4 * 0.2
        # Each value alone is usual.
        assert of.values.min(axis=0)[one.channel] <= one.values.min()
        assert one.values.max() <= of.values.max(axis=0)[one.channel]
    assert "decoupled" not in kinds_of(coupled_site(is_coupled=False))


def test_a_slow_ramp_ends_beyond_and_begins_where_it_was() -> None:
    of = site("gauge")
    for one in of_kind(planned(of, 60), "ramp"):
        assert 60 <= one.length <= 120
        moved = one.values[:, 0] - of.values[one.steps, 0]
        assert abs(moved[0]) < 0.05 * abs(moved[-1])
        steps = slice(one.at + one.length - 10, one.at + one.length)
        assert of.is_beyond(one.values[-10:, 0], steps, 0).all()


def test_states_that_are_unusual_at_that_hour_are_told_by_all_their_shares() -> None:
    hours = np.arange(9 * STEPS_A_DAY) % STEPS_A_DAY * 24 // STEPS_A_DAY
    told = np.column_stack([hours >= 20, np.zeros(len(hours))]).astype(float)
    names = ("valve=closed", "valve=other")
    clean = np.ones(len(told), bool)
    of = Site(
        spec_of(2, channels=names), fit_scaler(told, "robust"), told, START_S, clean,
        states=[(0, 1)],
    )  # fmt: skip
    plan = of_kind(planned(of, 60), "point", "collective", "contextual")
    for one in plan:
        assert one.channels == (0, 1)
        assert set(one.values.sum(axis=1).tolist()) <= {0.0, 1.0}
        assert (one.values != told[one.steps]).any(axis=1).mean() >= 0.5
        if one.values[0, 0] == 1.0 and one.kind != "contextual":
            assert 1 <= hours[one.at] < 19
    assert {tuple(one.values[0].tolist()) for one in plan} >= {(1.0, 0.0), (0.0, 1.0)}
