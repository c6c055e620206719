"""What is read, when it is read again, and that neither order, retries nor races change what is
kept.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from random import Random

import numpy as np
import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.plants.plant import Plant, at
from tsad_tasks.base.errors import AccessDenied, NotYet, SourceError, Unavailable
from tsad_tasks.ingest.late import late_changes
from tsad_tasks.ingest.sources.base import open_source
from tsad_tasks.storage.store import Store

TABLE = (
    "CREATE TABLE reading (at timestamptz, machine text, temp float8, load float8, changed "
    "timestamptz, bad bool)"
)
FILL = """
INSERT INTO reading SELECT t, 'm' || m, extract(epoch FROM t) % 977 + m, m, '2024-05-02Z', false
FROM generate_series('2024-05-01 04:00Z'::timestamptz, '2024-05-01 11:59Z', '5 min') t,
  generate_series(1, 2) m
"""
BLOCKS = "SELECT entity_id, hour_at, checksum, values::text FROM tsad.reading_block ORDER BY 1, 2"


@pytest.fixture
def plant(empty_plant: Plant) -> Plant:
    """Two machines with eight hours of readings."""
    empty_plant.run(TABLE)
    empty_plant.run(FILL)
    return empty_plant


def test_an_hour_is_read_once(plant: Plant) -> None:
    assert plant.ingest("10:00", "11:00").n_hours_read == 1
    again = plant.ingest("10:00", "12:00")
    assert (again.n_hours_read, again.n_hours_skipped) == (1, 1)


def test_only_what_the_history_lacks_is_read(plant: Plant) -> None:
    plant.ingest("08:00", "09:00")
    summary = plant.ingest("10:00", "11:00", history_s=4 * 3600)
    assert (summary.n_hours_read, summary.n_hours_skipped) == (4, 1)
    assert summary.changed_hours == (at("06:00"), at("07:00"), at("09:00"), at("10:00"))


def test_unchanged_content_writes_nothing(plant: Plant) -> None:
    plant.ingest("10:00", "11:00")
    summary = plant.ingest("10:00", "11:00", force=True)
    assert (summary.n_hours_read, summary.n_blocks_changed) == (1, 0)
    assert plant.rows("SELECT DISTINCT revision FROM tsad.reading_block") == [(1,)]


def test_rows_that_come_late_within_the_mutability_period_are_taken(plant: Plant) -> None:
    config = plant.config(late_rows_within="2h")
    plant.now_at = at("10:00")
    plant.ingest("09:00", "10:00", config)
    plant.run("UPDATE reading SET temp = 1000 WHERE at = '2024-05-01 09:00Z' AND machine = 'm1'")
    plant.now_at = at("11:00")
    assert plant.ingest("10:00", "11:00", config).changed_hours == (at("09:00"), at("10:00"))
    assert plant.readings()["m1", "09:00", "temp"] > 500
    assert plant.rows("SELECT max(revision) FROM tsad.reading_block") == [(2,)]


def test_an_hour_past_its_mutability_is_read_a_last_time(plant: Plant) -> None:
    config = plant.config(late_rows_within="1h")
    read = []
    for hour in (9, 10, 11):
        plant.now_at = at(f"{hour + 1:02}:00")
        read.append(plant.ingest(f"{hour:02}:00", f"{hour + 1:02}:00", config).n_hours_read)
    assert read == [2, 2, 2]
    assert plant.ingest("09:00", "10:00", config).n_hours_read == 0


def test_later_changes_are_listed_with_the_command_that_reads_them(plant: Plant) -> None:
    config = plant.config(updated_at="changed")
    plant.ingest("08:00", "12:00", config)
    plant.run("INSERT INTO reading VALUES ('2024-05-01 09:01Z', 'm1', 1, 1, '2024-05-02Z')")
    plant.run("UPDATE reading SET changed = '2030-01-01Z' WHERE at = '2024-05-01 10:00Z'")
    plant.run("DELETE FROM reading WHERE at = '2024-05-01 11:00Z'")
    with Store.connect(plant.warehouse_uri) as store:
        late = late_changes(
            store, config, plant.source_uri, start_at=at("08:00"), end_at=at("12:00")
        )
    assert [(found.hour_at.hour, found.n_rows_now - found.n_rows_read) for found in late] == [
        (9, 1),
        (10, 0),
        (11, -2),
    ]
    assert late[0].command == "tsad rescore plant --from 2024-05-01T09:00Z --to 2024-05-01T10:00Z"
    assert late[2].command == ""


def test_what_the_source_has_deleted_stays_and_is_counted(plant: Plant) -> None:
    plant.ingest("10:00", "11:00")
    before = plant.readings()
    plant.run(
        "DELETE FROM reading WHERE at < '2024-05-01 10:20Z' AND machine = 'm1' OR machine = 'm2'"
    )
    assert plant.ingest("10:00", "11:00", force=True).n_blocks_changed == 0
    assert plant.readings() == before
    assert plant.issues() == {
        ("vanished", "m1", ""): 2,
        ("vanished", "m2", ""): 6,
        ("resampled", "m1", ""): 4,
    }


def test_a_value_that_became_null_is_null(plant: Plant) -> None:
    plant.ingest("10:00", "11:00")
    plant.run("UPDATE reading SET temp = NULL WHERE machine = 'm1'")
    plant.ingest("10:00", "11:00", force=True)
    assert {channel for entity, _, channel in plant.readings() if entity == "m1"} == {"load"}


def test_a_column_that_is_gone_does_not_erase_what_was_read(plant: Plant) -> None:
    plant.ingest("10:00", "11:00")
    before = plant.readings()
    plant.run("ALTER TABLE reading DROP COLUMN load")
    plant.ingest("10:00", "11:00", force=True)
    assert plant.readings() == before
    assert ("vanished", "m1", "") not in plant.issues()


def test_a_channel_that_was_added_is_read_into_a_grown_layout(plant: Plant) -> None:
    plant.ingest("10:00", "11:00")
    plant.run("ALTER TABLE reading ADD fan float8 DEFAULT 7")
    config = plant.config(channels={"temp": {}, "load": {}, "fan": {}})
    plant.ingest("11:00", "12:00", config)
    assert plant.readings()["m1", "11:00", "fan"] == 7
    assert ("m1", "10:00", "temp") in plant.readings()


@pytest.mark.parametrize("hours", [(4, 5, 6, 7, 8), (8, 7, 6, 5, 4), (6, 4, 8, 5, 7)])
def test_the_order_of_runs_does_not_change_the_blocks(plant: Plant, hours: tuple[int, ...]) -> None:
    for hour in hours:
        plant.ingest(f"{hour:02}:00", f"{hour + 1:02}:00")
    one_by_one = plant.rows(BLOCKS)
    assert plant.ingest("04:00", "09:00", force=True).n_blocks_changed == 0
    assert plant.rows(BLOCKS) == one_by_one


def test_runs_at_the_same_time_leave_the_blocks_of_one(plant: Plant) -> None:
    with ThreadPoolExecutor(4) as pool:
        spans = [("04:00", "09:00"), ("06:00", "12:00"), ("08:00", "09:00"), ("04:00", "12:00")]
        list(pool.map(lambda span: plant.ingest(*span), spans))
    raced = plant.rows(BLOCKS)
    assert plant.ingest("04:00", "12:00", force=True).n_blocks_changed == 0
    assert plant.rows(BLOCKS) == raced
    assert plant.rows("SELECT count(*) FROM tsad.reading_block") == [(16,)]


def test_a_run_that_dies_leaves_whole_hours(plant: Plant) -> None:
    class Killed(BaseException):
        pass

    calls = []

    def now():
        calls.append(1)
        if len(calls) == 4:
            raise Killed
        return plant.now_at

    with pytest.raises(Killed):
        plant.ingest("04:00", "09:00", now=now)
    (n_hours, n_blocks) = plant.rows(
        "SELECT (SELECT count(*) FROM tsad.ingest_hour), count(*) FROM tsad.reading_block"
    )[0]
    assert n_blocks == 2 * n_hours == 2
    plant.ingest("04:00", "09:00")
    assert plant.rows("SELECT count(*) FROM tsad.reading_block") == [(10,)]


def test_part_of_an_hour_is_read_up_to_the_interval_and_completed_later(plant: Plant) -> None:
    assert plant.ingest("10:00", "10:15").n_rows == 6
    assert plant.rows("SELECT read_until FROM tsad.ingest_hour") == [(at("10:15"),)]
    plant.ingest("10:45", "11:00")
    assert plant.rows("SELECT read_until, n_rows FROM tsad.ingest_hour") == [(at("11:00"), 24)]
    plant.ingest("10:00", "10:15", force=True)
    assert plant.rows("SELECT read_until, n_rows FROM tsad.ingest_hour") == [(at("11:00"), 24)]


def test_an_interval_that_has_not_settled_is_tried_again_when_it_has(plant: Plant) -> None:
    plant.now_at = at("11:01")
    with pytest.raises(NotYet, match="11:05:00 UTC") as caught:
        plant.ingest("10:00", "11:00", plant.config(wait_for_rows="5min"))
    assert caught.value.wait == timedelta(minutes=4)


def test_the_lag_is_measured_live_and_not_in_a_backfill(plant: Plant) -> None:
    config = plant.config(late_rows_within="1h")
    plant.now_at = at("11:00") + timedelta(seconds=7)
    assert plant.ingest("10:00", "11:00", config).lag_s == 307
    plant.now_at = at("11:30")
    plant.ingest("10:00", "11:00", config)
    assert plant.rows("SELECT lag_s FROM tsad.ingest_hour WHERE hour_at = '2024-05-01 10:00Z'") == [
        (307,)
    ]
    assert plant.ingest("05:00", "06:00", config).lag_s is None


def test_labels_of_the_source_are_kept_by_the_hour(plant: Plant) -> None:
    plant.run(
        "UPDATE reading SET bad = true WHERE machine = 'm1' AND at BETWEEN '2024-05-01 09:40Z' AND "
        "'2024-05-01 10:15Z'"
    )
    config = plant.config(label="bad")
    plant.ingest("09:00", "11:00", config)
    plant.ingest("09:00", "10:00", config, force=True)
    spans = plant.rows("SELECT start_at, end_at, origin FROM tsad.label ORDER BY 1")
    assert spans == [(at("09:40"), at("10:00"), "source"), (at("10:00"), at("10:20"), "source")]


def test_sensors_are_judged_beside_the_machine(plant: Plant) -> None:
    plant.run("UPDATE reading SET temp = NULL WHERE machine = 'm2' AND at >= '2024-05-01 10:00Z'")
    config = plant.config(channels={"temp": {"sensor_range": [None, 970]}, "load": {}}, step="5min")
    plant.ingest("09:00", "11:00", config)
    verdicts = plant.rows(
        "SELECT entity, channel, verdict FROM tsad.v_quality WHERE verdict = 'dead'"
    )
    assert verdicts == [("m2", "temp", "dead")]


def test_verdicts_do_not_depend_on_the_order_of_runs(plant: Plant) -> None:
    plant.run("DELETE FROM reading")
    plant.run(
        "INSERT INTO reading SELECT t, 'm1', 20 + random(), CASE WHEN t < '2024-05-08 09:00Z' THEN "
        "random() ELSE 1 END "
        "FROM generate_series('2024-05-07 09:00Z'::timestamptz, '2024-05-08 10:59Z', '1 min') t"
    )
    config = plant.config(step="1min")
    for start, end in [
        ("08 10:00", "08 11:00"),
        ("08 09:00", "08 10:00"),
        ("07 09:00", "07 11:00"),
    ]:
        plant.ingest(f"2024-05-{start}", f"2024-05-{end}", config)
    backwards = plant.rows(
        "SELECT hour_at, channel, verdict, n_steps FROM tsad.v_quality ORDER BY 1, 2, 3"
    )
    plant.ingest("2024-05-07 09:00", "2024-05-08 11:00", config, force=True)
    assert (at("2024-05-08 10:00"), "load", "constant", 60) in backwards
    assert (
        plant.rows("SELECT hour_at, channel, verdict, n_steps FROM tsad.v_quality ORDER BY 1, 2, 3")
        == backwards
    )


def test_a_wrong_password_is_denied_and_the_next_run_reads_the_connection_anew(
    plant: Plant,
) -> None:
    right = plant.source_uri
    plant.source_uri = right.replace("@", "-wrong@", 1)
    with pytest.raises(AccessDenied, match="Expected a login") as caught:
        plant.ingest("10:00", "11:00")
    assert "-wrong" not in str(caught.value)
    plant.source_uri = right
    assert plant.ingest("10:00", "11:00").n_hours_read == 1


def test_a_source_that_is_down_may_be_tried_again(plant: Plant) -> None:
    plant.source_uri = "postgresql://me:secret@127.0.0.1:1/plant"
    with pytest.raises(Unavailable, match="Expected a PostgreSQL server") as caught:
        plant.ingest("10:00", "11:00")
    assert "secret" not in str(caught.value)


def test_a_source_that_is_too_slow_may_be_tried_again(plant: Plant) -> None:
    plant.run(
        "ALTER TABLE reading RENAME TO fast;"
        "CREATE VIEW reading AS SELECT * FROM fast WHERE (SELECT pg_sleep(5)::text) = ''"
    )
    with pytest.raises(Unavailable, match="statement_timeout"):
        plant.ingest("10:00", "11:00", plant.config(statement_timeout="1s"))


@pytest.mark.parametrize(("timeout", "n_seconds"), [("3s", 3), ("5min", 10)])
def test_what_is_only_counted_takes_ten_seconds_or_the_sources_own_patience(
    plant: Plant, timeout: str, n_seconds: int
) -> None:
    plant.run(
        "ALTER TABLE reading RENAME TO timed;"
        "CREATE VIEW reading AS SELECT * FROM timed UNION ALL SELECT NULL, 'm1', 1, 1, "
        "NULL, false FROM generate_series(1, extract(epoch FROM "
        "current_setting('statement_timeout')::interval)::int)"
    )
    plant.ingest("10:00", "11:00", plant.config(statement_timeout=timeout))
    assert plant.issues()["null_time", "", ""] == n_seconds


HARMLESS = {
    "another lock": "LOCK TABLE reading IN EXCLUSIVE MODE",
    "new rows": "INSERT INTO reading TABLE reading",
    "other values": "UPDATE reading SET temp = -1",
    "no rows": "DELETE FROM reading",
    "an index": "CREATE INDEX ON reading (at)",
    "locked rows": "SELECT FROM reading FOR UPDATE",
    "a trigger": "CREATE TRIGGER t BEFORE UPDATE ON reading EXECUTE FUNCTION "
    "suppress_redundant_updates_trigger()",
}


@pytest.mark.parametrize("work", [*HARMLESS])
def test_what_locks_no_reader_hinders_nothing_until_it_is_committed(
    plant: Plant, work: str
) -> None:
    with closing(psycopg2.connect(plant.source_uri)) as owner:
        owner.cursor().execute(HARMLESS[work])
        plant.ingest("10:00", "11:00", plant.config(statement_timeout="1s"))
    meanwhile = plant.readings()
    assert len(meanwhile) == 24
    plant.ingest("10:00", "11:00", force=True)
    assert plant.readings() == meanwhile


OWNERS_WORK = {
    "a lock": "LOCK TABLE reading IN ACCESS EXCLUSIVE MODE",
    "a new column": "ALTER TABLE reading ADD COLUMN spare float8",
    "a load": "CREATE TEMP TABLE kept AS TABLE reading; TRUNCATE reading; "
    "INSERT INTO reading TABLE kept",
    "another table in its place": "ALTER TABLE reading RENAME TO old; CREATE TABLE reading (n int)",
    "an index": "CREATE INDEX ON reading (at); CLUSTER reading USING reading_at_idx",
}


@pytest.mark.parametrize("work", [*OWNERS_WORK])
def test_what_the_owner_of_a_table_does_not_commit_fails_one_run(plant: Plant, work: str) -> None:
    patient = plant.config(statement_timeout="1s")
    with closing(psycopg2.connect(plant.source_uri)) as owner:
        owner.cursor().execute(OWNERS_WORK[work])
        with pytest.raises(Unavailable, match="Received: a lock that another session there holds"):
            plant.ingest("10:00", "11:00", patient)
    assert plant.rows("SELECT count(*) FROM tsad.ingest_hour") == [(0,)]
    assert plant.ingest("10:00", "11:00", patient).n_hours_read == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"tables": "readings"}, r"matches readings\. Received: none\. Similar: public\.reading"),
        ({"tables": "plant.*"}, r"matches plant\.\*"),
        (
            {"time": {"column": "att"}},
            r"time column att\. Received: at, machine, .* Did you mean at\?",
        ),
        (
            {"time": {"column": "machine"}},
            "a timestamp, a date or a number in the time column machine. Received: text",
        ),
        (
            {"time": {"column": "temp"}},
            r"Expected time\.unit \(s, ms, us or ns\) for the number column temp",
        ),
        ({"entity": {"column": "host"}}, r"entity column host\."),
        (
            {"entity": {"from_table": "machine_(.*)"}},
            "Expected a name that matches entity.from_table",
        ),
        ({"channels": {"x": {}, "y": {}}}, r"at least one of the columns x, y\."),
    ],
)
def test_a_source_that_is_not_what_the_file_says(
    plant: Plant, source: dict[str, object], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        plant.ingest("10:00", "11:00", plant.config(**source))


def test_a_database_that_is_not_there(plant: Plant) -> None:
    plant.source_uri = plant.source_uri.rsplit("/", 1)[0] + "/nowhere"
    with pytest.raises(SourceError, match=r"Received: 'nowhere'\. There is: airflow, "):
        plant.ingest("10:00", "11:00")


@pytest.mark.parametrize(("unit", "us_per_unit"), [("s", 1e6), ("ms", 1e3), ("us", 1.0)])
def test_double_epochs_are_exact_to_the_microsecond_and_to_the_hour(
    plant: Plant, unit: str, us_per_unit: float
) -> None:
    """Around an hour's edge, and the last double before it."""
    edge_us = int(at("10:00").timestamp()) * 1_000_000
    wanted_us = np.arange(edge_us - 200, edge_us + 200)
    last = np.nextafter(edge_us / us_per_unit, 0)
    plant.run("DROP TABLE reading; CREATE TABLE reading (at float8, machine text, temp float8)")
    rows = ", ".join(f"({us / us_per_unit!r}, 'm1', 1)" for us in wanted_us.tolist())
    plant.run(f"INSERT INTO reading VALUES {rows}, ({float(last)!r}, 'm2', 1)")  # noqa: S608
    config = plant.config(time={"column": "at", "unit": unit}, channels={"temp": {}})
    hour_us = 3_600_000_000
    spans = [(edge_us - hour_us, edge_us), (edge_us, edge_us + hour_us)]
    with open_source(plant.source_uri, config) as source:
        whole, *hours = (source.read(*one) for one in ((spans[0][0], spans[1][1]), *spans))
    assert sorted(whole.times_us[whole.entity == 0].tolist()) == wanted_us.tolist()
    assert (whole.times_us[whole.entity == 1] == edge_us - 1).all()
    apart = np.concatenate([one.times_us for one in hours])
    assert sorted(apart.tolist()) == sorted(whole.times_us.tolist())
    assert hours[0].times_us.max() < edge_us <= hours[1].times_us.min()


# Times from 1990 to 2090, and how far before or after an hour's edge, in microseconds.
EDGES = st.integers(175_320, 1_052_000).map(lambda hour: hour * 3_600_000_000)
AROUND = st.one_of(st.integers(-30, 30), st.integers(-3_600_000_000, 3_600_000_000 - 1))


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    unit=st.sampled_from([("s", 10**9), ("ms", 10**6), ("us", 1000), ("ns", 1)]),
    edge_us=EDGES,
    apart_us=st.lists(AROUND, min_size=1, max_size=40, unique=True),
    cuts_s=st.lists(st.integers(-3599, 3599), max_size=4, unique=True),
    order=st.randoms(use_true_random=False),
)
def test_double_epochs_are_the_same_whichever_range_they_are_read_in(
    plant: Plant,
    unit: tuple[str, int],
    edge_us: int,
    apart_us: list[int],
    cuts_s: list[int],
    order: Random,
) -> None:
    """Two hours, cut where intervals may end, in any order: each row once, to the microsecond."""
    wanted_us = sorted(edge_us + us for us in apart_us)
    plant.run("DROP TABLE reading; CREATE TABLE reading (at float8, machine text, temp float8)")
    rows = ", ".join(f"({us * 1000 / unit[1]!r}, 'm1', 1)" for us in wanted_us)
    plant.run(f"INSERT INTO reading VALUES {rows}")  # noqa: S608
    config = plant.config(time={"column": "at", "unit": unit[0]}, channels={"temp": {}})
    edges = [edge_us + s * 1_000_000 for s in sorted({-3600, 0, 3600, *cuts_s})]
    spans = [*pairwise(edges)]
    order.shuffle(spans)
    found: list[int] = []
    with open_source(plant.source_uri, config) as source:
        for start_us, end_us in spans:
            times_us = source.read(start_us, end_us).times_us.tolist()
            assert all(start_us <= us < end_us for us in times_us)
            found += times_us
    assert sorted(found) == wanted_us


def test_what_is_said_of_sensors_is_the_same_in_any_order_of_runs(plant: Plant) -> None:
    plant.run("DELETE FROM reading")
    plant.run(
        "INSERT INTO reading SELECT t, 'm1', CASE WHEN extract(isodow FROM t) < 6 THEN "
        "50 + sin(extract(epoch FROM t)) ELSE 0 END, CASE WHEN t < '2024-05-14 10:20Z' THEN 5 ELSE "
        "50 END + cos(extract(epoch FROM t)) FROM generate_series('2024-04-29 00:00Z'::timestamptz,"
        " '2024-05-15 23:50Z', '10 min') t"
    )
    plant.run("UPDATE reading SET temp = 42 WHERE at >= '2024-05-14 06:00Z' AND at < '2024-05-15'")
    said = "SELECT hour_at, channel, verdict, n_steps, detail FROM tsad.v_quality ORDER BY 1, 2, 3"
    plant.ingest("2024-04-29 00:00", "2024-05-16 00:00")
    forwards = plant.rows(said)
    assert {row[1:3] for row in forwards} >= {("temp", "constant"), ("load", "unit_jump")}
    assert {row[0].day for row in forwards} == {14, 15}
    plant.rows("DELETE FROM tsad.quality RETURNING 1")
    plant.rows("DELETE FROM tsad.reading_block RETURNING 1")
    plant.rows("DELETE FROM tsad.fitted_channel RETURNING 1")
    for start, end in [("05-10", "05-16"), ("05-03", "05-10"), ("04-29", "05-03")]:
        plant.ingest(f"2024-{start} 00:00", f"2024-{end} 00:00", force=True)
    assert plant.rows(said) == forwards
