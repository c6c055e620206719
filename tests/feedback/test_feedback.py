"""What people say holds, whatever late readings make of an incident; maintenance suppresses, and
erases nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from devstack.postgres import BROWSER, ON_CALL, Cluster
from tests.plants.weeks import MACHINE, Weeks, copied_weeks, filled_weeks, week
from tests.statements import run
from tsad_tasks.base.errors import BadInput
from tsad_tasks.feedback.labels import add_label, add_labels, withdraw_label
from tsad_tasks.feedback.maintenance import add_maintenance, withdraw_maintenance
from tsad_tasks.feedback.verdicts import set_verdict, set_verdict_in, withdraw_verdict
from tsad_tasks.ingest.queries import UPSERT_LABELS, Label
from tsad_tasks.storage.datasets import select_dataset, select_entities
from tsad_tasks.storage.scores import SELECT_INCIDENTS
from tsad_tasks.storage.store import Store, columns
from tsad_tasks.training.exclusions import exclusions_of
from tsad_tasks.training.reader import training_range, training_scopes

FAULT = (week(1, 50), week(1, 53))
REFUSED = [
    ("set_verdict('none', 'confirmed')", "incident_id of an incident"),
    ("set_verdict(KEY, 'fine')", "Expected confirmed, expected, false_alarm"),
    ("set_verdict(KEY, 'confirmed', channel => 'x')", "Expected a channel"),
    (
        "add_verdict('plant', 'm-1', '2026-03-02', '2026-03-01', 'confirmed')",
        "Expected a beginning before its end",
    ),
    ("withdraw_verdict(KEY)", "Expected an incident with a verdict"),
    (
        "add_label('plant', 'm-9', '2026-03-01', '2026-03-02')",
        "Expected an entity of the dataset plant",
    ),
    ("add_label('plant', 'm-1', '2026-03-01', 'infinity')", "Expected a beginning before its end"),
    ("add_maintenance('hall', '2026-03-01', '2026-03-02', 'x')", "Expected a dataset"),
    ("add_maintenance('plant', '2026-03-01', '2026-03-02', '')", "Expected a title"),
    (
        "add_maintenance('plant', '2026-03-01', '2026-03-02', 'x', zone => 'Mars')",
        "Expected an IANA time zone",
    ),
    (
        "add_maintenance('plant', '2026-03-01', '2026-03-02', 'x', rrule => 'FREQ=NEVER')",
        "rule of RFC 5545",
    ),
    (
        "add_maintenance('plant', '2026-03-01', '2026-03-02', 'x', rrule => "
        "'FREQ=DAILY;BYDAY=2MO')",
        "rule of RFC",
    ),
    (
        "add_maintenance('plant', '2026-03-01', '2026-03-02', 'x', rrule => "
        "'FREQ=DAILY;UNTIL=20260231')",
        "range",
    ),
    (
        "add_maintenance('plant', '2026-03-01', '2026-03-02', 'x', margin_after_s => -1)",
        "Expected margins",
    ),
    ("withdraw_maintenance(7)", "Expected the window_id"),
    (
        "add_verdict('plant', 'm-1', '4000-01-01 BC', '2026-03-01', 'confirmed')",
        "Expected times from 1970 to 2100",
    ),
    ("add_label('plant', 'm-1', '2026-03-01', '20000-01-01')", "Expected times from 1970 to 2100"),
    (
        "add_maintenance('plant', '2026-03-01', '20000-03-02', 'x')",
        "Expected times from 1970 to 2100",
    ),
    (
        "set_channel_epoch('plant', 'm-1', 'load', '20000-01-01', 'replaced', 'x')",
        "from which on the sensor is another one, from 1970 to 2100",
    ),
    (
        "set_channel_epoch('plant', 'm-1', 'load', '2026-03-01', 'unit', 'x', 1e300, 0)",
        "Expected a scale from 1e-12 to 1e12",
    ),
    (
        "add_maintenance('plant', '2026-03-01', '2026-03-02', 'x', margin_before_s => 2000000000)",
        "Expected margins",
    ),
    ("set_verdict(KEY, 'confirmed', note => repeat('x', 4001))", "note of at most 4000"),
    ("set_verdict(KEY, 'confirmed', repeat('x', 251))", "name of at most 250"),
    (
        "add_verdict('plant', 'm-1', '2026-03-01', '2026-03-02', 'confirmed', "
        "incident_id => repeat('x', 251))",
        "incident_id of at most 250",
    ),
    (
        "add_maintenance('plant', '2026-03-01', '2026-03-02', repeat('x', 251))",
        "title of at most 250",
    ),
    *(
        (
            f"add_maintenance('plant', '2026-03-01', '2026-03-02', 'x', rrule => '{rule}')",
            "Expected a rule that matches some day",
        )
        for rule in (
            "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31",
            "FREQ=YEARLY;BYMONTH=4,6;BYMONTHDAY=-31",
            "FREQ=DAILY;BYSETPOS=99",
            "FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=3",
            "FREQ=DAILY;UNTIL=00010101T000000Z",
        )
    ),
]
SAYS = [
    "set_verdict('INC-1', 'confirmed')",
    "add_verdict('plant', 'm-1', '2026-03-01', '2026-03-02', 'confirmed')",
    "withdraw_verdict('INC-1')",
    "add_label('plant', 'm-1', '2026-03-01', '2026-03-02')",
    "withdraw_label(1)",
    "add_maintenance('plant', '2026-03-01', '2026-03-02', 'x')",
    "withdraw_maintenance(1)",
    "set_channel_epoch('plant', 'm-1', 'load', '2026-03-01', 'replaced', 'x')",
    "withdraw_channel_epoch(1)",
]


@pytest.fixture(scope="module")
def scored(
    cluster: Cluster, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Weeks]:
    """A learned week, and three hours of fault in the next."""
    with filled_weeks(cluster, template_database, tmp_path_factory.mktemp("weeks")) as made:
        made.shift(*FAULT)
        made.train(week(1))
        made.score(week(1), week(1, 72))
        yield made


@pytest.fixture
def weeks(cluster: Cluster, scored: Weeks, tmp_path: Path) -> Iterator[Weeks]:
    with copied_weeks(cluster, scored, tmp_path) as made:
        yield made


def _maintain(weeks: Weeks, start_at: datetime, end_at: datetime, **more: Any) -> tuple[int, int]:
    with Store.connect(weeks.uri) as store:
        return add_maintenance(store, "plant", start_at, end_at, "filter", created_by="ada", **more)


def _suppressed(weeks: Weeks) -> list[str | None]:
    """What suppresses the incidents of the fault."""
    return [held for _, _, held, started_at, _ in weeks.incidents() if started_at >= FAULT[0]][:1]


def test_a_verdict_stays_with_its_incident_when_late_readings_replace_it(weeks: Weeks) -> None:
    old = weeks.longest_incident()
    with Store.connect(weeks.uri) as store:
        set_verdict(store, old, "confirmed", said_by="ada", note="pump")
    weeks.execute(
        "UPDATE plant.metrics SET temperature = temperature - 15 WHERE at >= %s AND at < %s",
        FAULT[0],
        week(1, 51),
    )
    weeks.score(week(1), week(1, 72), force=True)
    assert weeks.longest_incident() != old
    assert ("confirmed",) in weeks.execute(
        "SELECT verdict FROM tsad.v_incident WHERE incident_id = %s", weeks.longest_incident()
    )
    assert weeks.execute("SELECT incident_id, said_by, note FROM tsad.v_verdict") == [
        (old, "ada", "pump")
    ]


def test_people_say_verdicts_and_labels_with_the_operators_role(
    weeks: Weeks, cluster: Cluster
) -> None:
    uri, key = cluster.uri(weeks.uri.rsplit("/", 1)[1], ON_CALL), weeks.longest_incident()
    run(uri, "SELECT tsad.set_verdict(%s, 'expected')", (key,))
    run(uri, "SELECT tsad.add_label('plant', 'm-1', %s, %s)", FAULT)
    run(uri, "SELECT tsad.add_maintenance('plant', %s, %s, 'filter')", FAULT)
    assert run(uri, "SELECT verdict, said_by FROM tsad.v_verdict") == [("expected", ON_CALL)]
    assert run(uri, "SELECT entity, origin FROM tsad.v_label") == [(MACHINE, "person")]
    assert run(uri, "SELECT title, zone, created_by FROM tsad.v_maintenance") == [
        ("filter", "Europe/Berlin", ON_CALL)
    ]


def test_a_reader_says_nothing_and_is_told_the_role(weeks: Weeks, cluster: Cluster) -> None:
    uri = cluster.uri(weeks.uri.rsplit("/", 1)[1], BROWSER)
    for call in SAYS:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="role tsad_operator"):
            run(uri, f"SELECT tsad.{call}")


def test_the_login_is_kept_beside_the_name_that_was_given(weeks: Weeks, cluster: Cluster) -> None:
    uri, key = cluster.uri(weeks.uri.rsplit("/", 1)[1], ON_CALL), weeks.longest_incident()
    run(uri, "SELECT tsad.set_verdict(%s, 'expected', 'the plant manager')", (key,))
    run(uri, "SELECT tsad.withdraw_verdict(%s)", (key,))
    said = run(uri, "SELECT said_by, login, withdrawn_login FROM tsad.v_verdict")
    assert said == [("the plant manager", ON_CALL, ON_CALL)]


def test_what_makes_no_sense_is_refused(weeks: Weeks) -> None:
    for call, message in REFUSED:
        with pytest.raises(psycopg2.DataError, match=message):
            run(weeks.uri, f"SELECT tsad.{call}".replace("KEY", f"'{weeks.longest_incident()}'"))


def test_maintenance_suppresses_incidents_of_the_past_at_once_and_keeps_them(weeks: Weeks) -> None:
    before = weeks.incidents()
    number, n_changed = _maintain(weeks, *FAULT)
    assert n_changed == 1
    assert _suppressed(weeks) == [f"maintenance {number}: filter"]
    assert [row[0] for row in weeks.incidents()] == [row[0] for row in before]
    with Store.connect(weeks.uri) as store:
        assert withdraw_maintenance(store, "plant", number) == 1
    assert weeks.incidents() == before


def test_merging_again_suppresses_the_same_and_writes_nothing(weeks: Weeks) -> None:
    _maintain(weeks, *FAULT)
    everything = "SELECT * FROM tsad.incident ORDER BY incident_id"
    before = weeks.execute(everything)
    weeks.score(week(1), week(1, 72))
    assert weeks.execute(everything) == before


def test_an_incident_may_outlive_maintenance_as_long_as_windows_hold_it_and_its_margin(
    weeks: Weeks,
) -> None:
    with Store.connect(weeks.uri) as store:
        (memory_steps,) = {
            one.memory_steps
            for one in store.rows(
                SELECT_INCIDENTS, lineage="live", entity_ids=[1], start_at=week(1), end_at=week(2)
            )
        }
    # The moving average of 15 errors holds a reading for 14 steps after it.
    assert memory_steps == 14
    until = FAULT[1] - timedelta(minutes=10 * (memory_steps + 1))
    _maintain(weeks, FAULT[0], until)
    assert _suppressed(weeks) == [None]
    number, _ = _maintain(weeks, FAULT[0], until, margin_after_s=600)
    assert _suppressed(weeks) == [f"maintenance {number}: filter"]


def test_maintenance_of_another_machine_or_day_suppresses_nothing(weeks: Weeks) -> None:
    weeks.execute(
        "INSERT INTO tsad.entity (dataset_id, name) SELECT dataset_id, 'm-2' FROM tsad.dataset"
    )
    assert _maintain(weeks, *FAULT, entity="m-2")[1] == 0
    assert _maintain(weeks, *FAULT, entity=MACHINE)[1] == 1


def test_maintenance_that_recurs_holds_incidents_on_both_sides_of_a_change_of_clocks(
    weeks: Weeks,
) -> None:
    """In Berlin clocks go forward on 29 March: 01:00 to 04:00 there is 00:00 UTC before and 23:00
    UTC after it.
    """
    weeks.shift(week(3), week(3, 3))
    weeks.shift(week(4) - timedelta(hours=1), week(4, 2))
    weeks.score(week(3) - timedelta(hours=24), week(4, 24))
    faults = """
        SELECT suppressed_by IS NOT NULL FROM tsad.v_incident
        WHERE n_flags >= 15 AND started_at >= %s ORDER BY started_at"""
    assert weeks.execute(faults, week(2)) == [(False,), (False,)]
    first = (week(2), week(2, 3))
    _maintain(weeks, *first, rrule="FREQ=WEEKLY;BYDAY=MO", zone="UTC")
    assert weeks.execute(faults, week(2)) == [(True,), (False,)]
    _maintain(weeks, *first, rrule="FREQ=WEEKLY;BYDAY=MO")
    assert weeks.execute(faults, week(2)) == [(True,), (True,)]


def test_a_form_takes_incidents_of_its_own_dataset_only(weeks: Weeks) -> None:
    key = weeks.longest_incident()
    with Store.connect(weeks.uri) as store:
        with pytest.raises(BadInput, match="incident of hall"):
            set_verdict_in(store, "hall", key, "confirmed", said_by="ada")
        assert set_verdict_in(store, "plant", key, "confirmed", said_by="ada") == {"verdict_id": 1}
        assert withdraw_verdict(store, key) == 1
        with pytest.raises(BadInput, match="Expected an incident with a verdict"):
            withdraw_verdict(store, key)


def test_labels_of_a_file_are_taken_all_or_none(weeks: Weeks, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    good = "entity,start_at,end_at,kind,note\nm-1,2026-03-03T00:00Z,2026-03-03T01:00Z,leak,seen\n"
    path.write_text(good + "m-1,2026-03-04T00:00Z,2026-03-03T01:00Z,leak,\n", encoding="utf-8")
    with Store.connect(weeks.uri) as store:
        with pytest.raises(BadInput, match=r"labels.csv:3: Expected a beginning before its end"):
            add_labels(store, "plant", path, datetime.fromisoformat)
        assert weeks.execute("SELECT count(*) FROM tsad.v_label") == [(0,)]
        path.write_text(good, encoding="utf-8")
        assert add_labels(store, "plant", path, datetime.fromisoformat) == 1
    assert weeks.execute("SELECT entity, kind, origin, note FROM tsad.v_label") == [
        (MACHINE, "leak", "file", "seen")
    ]


def test_a_label_that_was_taken_back_stays_and_counts_for_nothing(weeks: Weeks) -> None:
    with Store.connect(weeks.uri) as store:
        key = add_label(store, "plant", MACHINE, *FAULT)
        assert _excluded(weeks, store) == {"label: anomaly"}
        withdraw_label(store, "plant", key, withdrawn_by="ada")
        assert "label: anomaly" not in _excluded(weeks, store)
        with pytest.raises(BadInput, match="Expected the label_id of a label that holds"):
            withdraw_label(store, "plant", key, withdrawn_by="ada")
        with pytest.raises(BadInput, match="number of a label of hall"):
            withdraw_label(store, "hall", key, withdrawn_by="ada")
        again = add_label(store, "plant", MACHINE, *FAULT, kind="leak")
    said = weeks.execute(
        "SELECT label_id, kind, withdrawn_by, withdrawn_at IS NULL FROM tsad.v_label ORDER BY 1"
    )
    assert said == [(key, "anomaly", "ada", False), (again, "leak", None, True)]


def _excluded(weeks: Weeks, store: Store) -> set[str]:
    """Reasons for which a training of the second week leaves something out."""
    span = training_range(weeks.config, week(2))
    (scope,) = training_scopes(store, weeks.config)
    return {row.reason for row in exclusions_of(store, weeks.config, scope, span)}


def test_what_the_source_says_again_of_a_label_that_was_taken_back_is_not_taken(
    weeks: Weeks,
) -> None:
    with Store.connect(weeks.uri) as store:
        (entity_id,) = select_entities(store, select_dataset(store, "plant").dataset_id).values()
        said = [Label(entity_id, *FAULT, "bad", "source")]
        with store.transaction():
            store.execute(UPSERT_LABELS, **columns(said, Label))
        withdraw_label(store, "plant", 1, withdrawn_by="ada")
        with store.transaction():
            store.execute(UPSERT_LABELS, **columns(said, Label))
    assert weeks.execute("SELECT count(*) FROM tsad.v_label") == [(1,)]
    assert weeks.execute("SELECT count(*) FROM tsad.label") == [(0,)]
