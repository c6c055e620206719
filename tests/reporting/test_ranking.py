"""Which incidents get a page, and in which order."""

from __future__ import annotations

from dataclasses import replace

from samples.report import sample_incident, sample_report

from tsad_tasks.base.enums import ReportDetail
from tsad_tasks.reporting.period.ranking import (
    BRIEF,
    LIMITS,
    highest_scores,
    look_first,
    undecided,
    with_own_page,
    worst_first,
)

ONE = sample_incident(42, n_channels=1, n_steps=20)


def incidents(n: int, verdict: str | None) -> list:
    return [
        replace(ONE, incident_id=f"{verdict}-{i}", peak_error=100.0 - i, verdict=verdict)
        for i in range(n)
    ]


def test_severity_comes_before_the_height_of_the_error() -> None:
    low = replace(ONE, severity="LOW", peak_error=900.0)
    assert worst_first([low, ONE]) == [ONE, low]


def test_priority_comes_before_severity() -> None:
    urgent = replace(ONE, severity="LOW", peak_error=1.0, priority=1)
    assert worst_first([ONE, urgent]) == look_first([ONE, urgent]) == [urgent, ONE]
    # Without it, the severity says it.
    of_severity = replace(ONE, incident_id="INC-2", priority=2, peak_error=0.0)
    assert worst_first([of_severity, ONE]) == [ONE, of_severity]


def test_an_unknown_threshold_ranks_last_of_its_severity() -> None:
    unknown = replace(ONE, peak_threshold=float("nan"))
    assert worst_first([unknown, ONE]) == [ONE, unknown]


def test_the_worst_and_the_unjudged_have_pages_of_their_own() -> None:
    judged, unjudged = incidents(40, "real"), incidents(60, None)
    chosen = with_own_page([*judged, *unjudged], LIMITS[ReportDetail.FULL])
    assert sum(one.verdict is None for one in chosen) == 30
    assert sum(one.verdict is not None for one in chosen) == 10


def test_in_brief_those_to_look_at_first_have_pages_of_their_own() -> None:
    chosen = with_own_page([*incidents(9, "confirmed"), *incidents(2, None)], BRIEF)
    assert {one.incident_id for one in chosen} == {"confirmed-0", "None-0", "None-1"}
    assert [one.incident_id for one in undecided(chosen, 3)] == ["None-0", "None-1"]


def test_unjudged_and_open_incidents_are_read_first() -> None:
    judged = replace(ONE, verdict="real")
    closed = replace(ONE, verdict=None, state="closed", peak_error=99.0)
    still_open = replace(ONE, verdict=None, state="open")
    assert look_first([judged, closed, still_open]) == [still_open, closed, judged]


def test_the_highest_scores_come_in_the_order_of_time() -> None:
    rows = sample_report(0, n_anomalies=30).anomalies
    shown = highest_scores(rows, 5)
    assert sorted(row.score for row in shown) == sorted(row.score for row in rows)[-5:]
    assert [row.at for row in shown] == sorted(row.at for row in shown)
