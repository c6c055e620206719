"""Incidents depend on the flags and on nothing else, whole chains given."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.reference.slow_incidents import slow_incidents
from tsad_tasks.base.errors import BadInput
from tsad_tasks.model.incidents import IncidentRule, connected_range, incident_id, incident_spans

quick = settings(max_examples=120, deadline=None, derandomize=True)
flag_steps = st.lists(st.integers(0, 300), unique=True, max_size=60).map(sorted)
rules = st.builds(
    IncidentRule,
    merge_gap_s=st.sampled_from([0, 60, 300, 1800]),
    max_length_s=st.sampled_from([60, 600, 1500, 3600, 10**6]),
    consecutive=st.integers(1, 4),
    min_score=st.sampled_from([0.0, 0.5, 2.0]),
)


def flags(steps: list[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Times on a grid of a minute, and a score for each that is always the same."""
    times_s = np.array(steps, np.int64) * 60
    return times_s, ((times_s * 7919 % 1000) / 300 + 0.01).astype(np.float32)


@quick
@given(flag_steps, rules)
def test_incidents_agree_with_the_slow_twin(steps: list[int], rule: IncidentRule) -> None:
    times_s, scores = flags(steps)
    expected = slow_incidents(times_s.tolist(), scores.tolist(), rule, 60)
    assert incident_spans(times_s, scores, rule, 60) == expected


@quick
@given(flag_steps, rules, st.integers(0, 290), st.integers(1, 60))
def test_rebuilding_what_hangs_together_gives_the_incidents_of_all(
    steps: list[int], rule: IncidentRule, start: int, n_steps: int
) -> None:
    times_s, scores = flags(steps)
    first, last = connected_range(times_s, start * 60, (start + n_steps) * 60, rule.merge_gap_s)
    inside = (times_s >= first) & (times_s <= last)
    rebuilt = incident_spans(times_s[inside], scores[inside], rule, 60)
    kept = incident_spans(times_s, scores, rule, 60)
    offset = int(np.searchsorted(times_s, first))
    found = [(span.first + offset, span.last + offset, span.peak + offset) for span in rebuilt]
    assert found == [
        (s.first, s.last, s.peak)
        for s in kept
        if times_s[s.last] >= first and times_s[s.first] <= last
    ]


@quick
@given(flag_steps, rules, st.permutations([0, 1, 2, 3, 4]))
def test_the_order_in_which_hours_arrive_does_not_matter(
    steps: list[int], rule: IncidentRule, order: list[int]
) -> None:
    """Hours arrive one by one; each time the chains that the hour touches are rebuilt and replace
    what was there.
    """
    known: list[int] = []
    stored: set[tuple[int, int]] = set()
    for hour in order:
        known = sorted(known + [step for step in steps if step // 61 == hour])
        times_s, scores = flags(known)
        first, last = connected_range(
            times_s, hour * 61 * 60, (hour + 1) * 61 * 60, rule.merge_gap_s
        )
        inside = (times_s >= first) & (times_s <= last)
        times_s, scores = times_s[inside], scores[inside]
        stored = {span for span in stored if span[1] < first or span[0] > last}
        spans = incident_spans(times_s, scores, rule, 60)
        stored |= {(int(times_s[span.first]), int(times_s[span.last])) for span in spans}
    times_s, scores = flags(steps)
    spans = incident_spans(times_s, scores, rule, 60)
    assert stored == {(int(times_s[span.first]), int(times_s[span.last])) for span in spans}


def test_flags_exactly_the_gap_apart_are_one_incident() -> None:
    rule = IncidentRule(merge_gap_s=300, max_length_s=10**6)
    for gap_s, n in ((300, 1), (301, 2)):
        assert len(incident_spans(np.array([0, gap_s]), np.ones(2, np.float32), rule, 60)) == n


def test_a_long_chain_is_cut_at_its_maximum_length_and_every_flag_stays_in_one_piece() -> None:
    times_s, scores = flags(list(range(100)))
    spans = incident_spans(
        times_s, scores, IncidentRule(merge_gap_s=60, max_length_s=1800, consecutive=5), 60
    )
    assert [(span.first, span.last) for span in spans] == [(0, 29), (30, 59), (60, 89), (90, 99)]
    assert sum(span.n_flags for span in spans) == 100


def test_a_later_part_says_what_it_continues_and_its_cut_does_not_move_with_the_first_flag() -> (
    None
):
    rule = IncidentRule(merge_gap_s=60, max_length_s=1800)
    for first in (0, 7, 29):
        times_s, scores = flags(list(range(first, 130)))
        spans = incident_spans(times_s, scores, rule, 60)
        starts = [int(times_s[span.first]) // 60 for span in spans]
        assert starts == [*dict.fromkeys([first, first + 30, 60, 90, 120])]
        assert [span.former for span in spans] == [None, *(span.first for span in spans[:-1])]


def test_a_part_counts_with_the_one_before_and_a_chain_without_any_height_ends() -> None:
    times_s = np.arange(150) * 60
    scores = np.where(times_s == 1200, 3.0, 0.1).astype(np.float32)
    spans = incident_spans(times_s, scores, IncidentRule(60, 1800, min_score=1.0), 60)
    assert [(span.first, span.last, span.former) for span in spans] == [(0, 29, None), (30, 59, 0)]


@quick
@given(flag_steps, rules, st.integers(0, 290), st.integers(1, 60), flag_steps)
def test_flags_change_incidents_only_so_far(
    steps: list[int], rule: IncidentRule, start: int, n_steps: int, other: list[int]
) -> None:
    """Others in a range leave what begins later than the reach, and ends before the gap, alone."""
    rule = replace(rule, max_length_s=min(rule.max_length_s, 900))
    end = start + n_steps
    changed = sorted(
        {s for s in steps if not start <= s < end} | {s for s in other if start <= s < end}
    )
    far = []
    before, after = start * 60 - rule.gap_s, end * 60 + rule.reach_s
    for its in (steps, changed):
        times_s, scores = flags(its)
        spans = [
            [-1 if i is None else int(times_s[i]) for i in (one.first, one.last, one.former)]
            for one in incident_spans(times_s, scores, rule, 60)
        ]
        far.append([span for span in spans if span[1] < before or span[0] > after])
    assert far[0] == far[1]


@quick
@given(flag_steps, rules, st.integers(0, 300))
def test_flags_within_the_reach_give_the_incidents_that_all_flags_give(
    steps: list[int], rule: IncidentRule, start: int
) -> None:
    rule = replace(rule, max_length_s=min(rule.max_length_s, 900))
    times_s, scores = flags(steps)
    offset = int(np.searchsorted(times_s, start * 60 - rule.reach_s))
    known = incident_spans(times_s[offset:], scores[offset:], rule, 60)
    found = [
        replace(
            one,
            first=one.first + offset,
            last=one.last + offset,
            peak=one.peak + offset,
            former=None if one.former is None else one.former + offset,
        )
        for one in known
        if times_s[one.last + offset] >= start * 60
    ]
    every = incident_spans(times_s, scores, rule, 60)
    assert found == [one for one in every if times_s[one.last] >= start * 60]


def test_a_day_long_fault_is_one_incident_in_spite_of_short_pauses() -> None:
    steps = [step for step in range(1440) if step % 60 < 40]
    times_s, scores = flags(steps)
    spans = incident_spans(times_s, scores, IncidentRule(merge_gap_s=1800, max_length_s=604800), 60)
    assert [(span.first, span.last) for span in spans] == [(0, len(steps) - 1)]


def test_a_flag_exactly_the_gap_before_the_range_belongs_to_it_and_one_further_does_not() -> None:
    assert connected_range(np.array([0, 400, 1900]), 500, 1800, 100) == (400, 1900)
    assert connected_range(np.array([0, 399, 1901]), 500, 1800, 100) == (500, 1800)


def test_no_flags_are_no_incidents() -> None:
    times_s, scores = flags([])
    assert incident_spans(times_s, scores, IncidentRule(60, 600), 60) == []
    assert connected_range(times_s, 60, 120, 600) == (60, 120)


@pytest.mark.parametrize("times_s", [[60, 0], [0, 0]])
def test_times_out_of_order_or_twice_are_refused(times_s: list[int]) -> None:
    with pytest.raises(BadInput, match="ascending times"):
        incident_spans(np.array(times_s), np.ones(2, np.float32), IncidentRule(60, 600), 60)


def test_an_id_names_everything_that_makes_an_incident_and_not_the_zone_it_is_told_in() -> None:
    at = datetime(2024, 5, 1, 12, tzinfo=UTC)
    found = incident_id("host-1", "room", "v1", "live", at)
    assert found == incident_id(
        "host-1", "room", "v1", "live", at.astimezone(ZoneInfo("Asia/Tokyo"))
    )
    assert len(found) == 14
    others = {
        incident_id("host-2", "room", "v1", "live", at),
        incident_id("host-1", "cellar", "v1", "live", at),
        incident_id("host-1", "room", "v2", "live", at),
        incident_id("host-1", "room", "v1", "replay", at),
        incident_id("host-1", "room", "v1", "live", at.replace(minute=1)),
    }
    assert len(others | {found}) == 6


def test_an_alarm_keeps_quiet_unless_it_gets_worse() -> None:
    times_s, errors = np.array([0, 60, 120, 180, 4000]), np.array([4, 5, 9, 9, 4], np.float32)
    rule = IncidentRule(merge_gap_s=60, max_length_s=604800, refractory_s=600, escalation=2.0)
    spans = incident_spans(times_s, errors - 3, rule, 60, errors)
    assert [(span.first, span.last, span.peak) for span in spans] == [
        (0, 1, 1),
        (2, 3, 2),
        (4, 4, 4),
    ]
    with pytest.raises(BadInput, match="Expected the errors of flags"):
        incident_spans(times_s, errors - 3, rule, 60)
