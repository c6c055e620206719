"""Alerts follow incidents whatever happens to these, and nothing is told twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tsad_tasks.base.enums import Severity, severity_rank
from tsad_tasks.notifications.alerts import (
    Alert,
    AlertableIncident,
    AlertChange,
    Young,
    alert_changes,
)

AT = datetime(2026, 3, 1, tzinfo=UTC)
GAP = timedelta(minutes=5)
ALWAYS = AT - timedelta(days=1)


def minute(n: int) -> datetime:
    return AT + timedelta(minutes=n)


def seen(
    start: int, end: int, severity: str = "LOW", *, is_open: bool = True, name: str = ""
) -> AlertableIncident:
    return AlertableIncident(
        name or f"INC-{start}-{end}", "a", minute(start), minute(end), severity, is_open, "a: ..."
    )


class Book:
    """Alerts as the warehouse keeps them, and everything that was told."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.told: list[tuple[int | None, str, str]] = []
        self._ids = count(1)

    @property
    def standing(self) -> list[Alert]:
        return [alert for alert in self.alerts if alert.state != "withdrawn"]

    def follow(self, *incidents: AlertableIncident, young_from: datetime = ALWAYS) -> list[str]:
        standing = self.standing
        every = alert_changes(standing, incidents, gap=GAP, young=Young(young_from))
        changes = [one for one in every if one.is_one]
        return [event for change in changes for event in self._kept(change)]

    def _kept(self, change: AlertChange) -> tuple[str, ...]:
        alert = change.alert
        if change.former is None:
            alert = replace(alert, alert_id=next(self._ids))
            self.alerts.append(alert)
        self.alerts = [
            alert if other.alert_id == alert.alert_id else other for other in self.alerts
        ]
        self.told += [
            (alert.alert_id, event, alert.severity * (event == "escalated"))
            for event in change.events
        ]
        return change.events


def test_an_incident_opens_escalates_and_closes_once() -> None:
    book = Book()
    steps = [seen(0, 1), seen(0, 2, "HIGH"), seen(0, 2, "MEDIUM"), seen(0, 2, is_open=False)]
    assert [book.follow(step) for step in (*steps, steps[-1])] == [
        ["opened"],
        ["escalated"],
        [],
        ["closed"],
        [],
    ]


def test_an_incident_under_another_id_is_the_same_alert() -> None:
    book = Book()
    assert book.follow(seen(10, 12)) == ["opened"]
    assert book.follow(seen(6, 8, name="INC-other")) == []
    assert (book.alerts[0].incident_id, book.alerts[0].start_at) == ("INC-other", minute(6))


def test_an_incident_beyond_the_gap_is_another_alert_and_the_first_is_withdrawn() -> None:
    book = Book()
    book.follow(seen(10, 12))
    assert book.follow(seen(18, 19)) == ["withdrawn", "opened"]
    assert book.follow(seen(10, 12), seen(18, 19)) == ["opened"]


def test_what_has_ended_when_it_is_found_is_told_once() -> None:
    book = Book()
    assert book.follow(seen(0, 1, is_open=False)) == ["opened"]
    assert book.alerts[0].state == "closed"
    assert book.follow(seen(0, 1, is_open=False)) == []


def test_two_alerts_whose_incidents_become_one_go_on_and_only_the_older_escalates() -> None:
    book = Book()
    assert book.follow(seen(0, 1), seen(10, 11)) == ["opened", "opened"]
    assert book.follow(seen(0, 11, "HIGH")) == ["escalated"]
    assert book.follow(seen(0, 11, "HIGH", is_open=False)) == ["closed", "closed"]


def test_an_alert_whose_incident_falls_apart_stays_one() -> None:
    book = Book()
    book.follow(seen(0, 20))
    assert book.follow(seen(0, 2), seen(18, 20)) == []
    assert (book.alerts[0].start_at, book.alerts[0].end_at) == (minute(0), minute(20))


def test_old_incidents_open_nothing_but_what_was_told_is_followed() -> None:
    book = Book()
    assert book.follow(seen(0, 1), young_from=minute(1)) == []
    assert book.follow(seen(0, 1)) == ["opened"]
    assert book.follow(seen(0, 1, "HIGH", is_open=False), young_from=minute(9)) == [
        "escalated",
        "closed",
    ]


def test_entities_are_told_apart() -> None:
    book = Book()
    assert book.follow(seen(0, 1), replace(seen(0, 1), entity="b")) == ["opened", "opened"]
    assert book.follow(replace(seen(0, 1), entity="b")) == ["withdrawn"]


def test_what_a_person_called_normal_does_not_escalate_and_is_closed_once() -> None:
    book = Book()
    judged = [replace(seen(0, n, "HIGH", is_open=n < 3), is_normal=True) for n in (1, 2, 3)]
    assert [book.follow(one) for one in (seen(0, 1), *judged, judged[-1])] == [
        ["opened"],
        [],
        [],
        ["closed"],
        [],
    ]
    assert book.alerts[0].severity == "LOW"


def test_another_incident_of_the_same_alert_escalates_by_itself() -> None:
    book = Book()
    normal = replace(seen(0, 1, "HIGH", name="known"), is_normal=True)
    assert [
        book.follow(*found) for found in ([seen(0, 1)], [normal, seen(3, 4, "MEDIUM", name="new")])
    ] == [
        ["opened"],
        ["escalated"],
    ]
    assert (book.alerts[0].severity, book.alerts[0].incident_id) == ("MEDIUM", "new")


def test_a_verdict_that_is_withdrawn_lets_the_severity_be_told() -> None:
    book = Book()
    worse = seen(0, 2, "HIGH")
    steps = (seen(0, 1), replace(worse, is_normal=True), worse, worse)
    assert [book.follow(step) for step in steps] == [["opened"], [], ["escalated"], []]


def test_what_went_the_way_that_nobody_asks_for_opens_nothing_and_makes_nothing_worse() -> None:
    def changes(alerts: list[Alert], *found: AlertableIncident) -> list[AlertChange]:
        every = alert_changes(
            alerts,
            found,
            gap=GAP,
            young=Young(ALWAYS),
            is_asked=lambda one: one.direction in (None, "rise"),
        )
        return [one for one in every if one.is_one]

    fell = replace(seen(0, 1, "HIGH"), direction="fall")
    assert changes([], fell) == []
    rose, unknown = replace(seen(3, 4, name="rose"), direction="rise"), seen(30, 31, name="unknown")
    opened = changes([], fell, rose, unknown)
    assert [(one.alert.severity, one.alert.incident_id) for one in opened] == [
        ("LOW", "rose"),
        ("LOW", "unknown"),
    ]
    known = [replace(one.alert, alert_id=i) for i, one in enumerate(opened)]
    assert [one.events for one in changes(known, fell, rose, unknown)] == []
    # What was told goes on to its end whichever way it went since.
    assert [one.events for one in changes(known[:1], replace(fell, is_open=False))] == [("closed",)]


incidents = st.builds(
    lambda start, length, severity, is_open, entity, is_normal: replace(
        seen(start, start + length, severity, is_open=is_open), entity=entity, is_normal=is_normal
    ),
    st.integers(0, 60),
    st.integers(0, 15),
    st.sampled_from(sorted(map(str, Severity))),
    st.booleans(),
    st.sampled_from("ab"),
    st.booleans(),
)


@given(st.lists(st.lists(incidents, max_size=6), max_size=8))
def test_whatever_happens_nothing_is_told_twice_and_everything_once(
    rounds: list[list[AlertableIncident]],
) -> None:
    book = Book()
    for found in rounds:
        before = book.standing
        book.follow(*found)
        _opens_only_what_nobody_knew(before, book, found)
        assert book.follow(*found) == []
        assert book.follow(*reversed(found)) == []
        _covers(book, found)
    assert max(Counter(book.told).values(), default=1) == 1
    assert {key for key, event, _ in book.told if event == "opened"} == {
        alert.alert_id for alert in book.alerts
    }


def _covers(book: Book, found: list[AlertableIncident]) -> None:
    """Each incident has an alert, at least as severe if nobody called it normal, and each alert has
    an incident.
    """
    for incident in found:
        near = [alert for alert in book.standing if _overlaps(alert, incident, timedelta())]
        assert any(
            incident.is_normal or severity_rank(alert.severity) >= severity_rank(incident.severity)
            for alert in near
        )
    assert all(
        any(_overlaps(alert, incident, GAP) for incident in found) for alert in book.standing
    )


def _opens_only_what_nobody_knew(
    before: list[Alert], book: Book, found: list[AlertableIncident]
) -> None:
    """No incident of a new alert was near to one that stood, under whatever id."""
    opened = [
        alert
        for alert in book.standing
        if alert.alert_id not in [other.alert_id for other in before]
    ]
    inside = [
        incident
        for incident in found
        if any(_overlaps(alert, incident, timedelta()) for alert in opened)
    ]
    assert not [
        incident for incident in inside if any(_overlaps(alert, incident, GAP) for alert in before)
    ]


def _overlaps(alert: Alert, incident: AlertableIncident, gap: timedelta) -> bool:
    near = (
        alert.start_at <= incident.last_flag_at + gap and alert.end_at >= incident.started_at - gap
    )
    return near and alert.entity == incident.entity


def part(start: int, end: int, *, of: str | None = None, **changes: Any) -> AlertableIncident:
    return replace(seen(start, end), continues=of, **changes)


def test_the_next_part_of_an_incident_goes_on_with_its_alert_however_far_apart_the_flags_are() -> (
    None
):
    book = Book()
    first, second = part(0, 60), part(80, 140, of="INC-0-60")
    assert book.follow(first) == ["opened"]
    assert book.follow(first, second) == []
    assert book.follow(first, second, part(145, 200, of="INC-80-140")) == []
    assert [(alert.start_at, alert.end_at) for alert in book.standing] == [(minute(0), minute(200))]


def test_what_a_person_called_normal_does_not_get_worse_by_a_cut_until_they_say_otherwise() -> None:
    book = Book()
    first = part(0, 60, is_normal=True)
    later = [part(61, 120, of="INC-0-60"), part(121, 140, of="INC-61-120", severity="HIGH")]
    assert book.follow(first) == ["opened"]
    assert book.follow(first, *later) == []
    assert book.follow(first, later[0], replace(later[1], is_normal=False)) == ["escalated"]
