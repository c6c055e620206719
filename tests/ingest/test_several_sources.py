"""Several sources, each on a connection of its own, are one dataset: one reading has the channels
of all of them, and what one of them does not tell is not taken for known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from devstack.postgres import Cluster
from tests.plants.plant import DAY, Plant, at
from tests.statements import run
from tsad_tasks.base.errors import AccessDenied, Interrupted, SourceError, Unavailable
from tsad_tasks.base.places import project_folder
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.accepted_rows import AcceptedRows, accepted_rows
from tsad_tasks.ingest.check import check_sources
from tsad_tasks.ingest.ingest import IngestSummary, ingest_interval
from tsad_tasks.ingest.joined import joined
from tsad_tasks.ingest.late import late_changes, nothing_read
from tsad_tasks.ingest.sources.base import SourceRows, SourceTable, open_sources
from tsad_tasks.ingest.tally import Tally
from tsad_tasks.pipeline import tasks
from tsad_tasks.pipeline.task import TaskRun
from tsad_tasks.reporting.exploration.explore import source_readings
from tsad_tasks.storage.store import Store

T = 1714557600  # 2024-05-01 10:00 UTC
# Pressure in the historian, a column of a wide table; temperature in a store of series.
HISTORIAN: dict[str, Any] = {
    "connection": "historian",
    "tables": "reading",
    "time": {"column": "at"},
    "entity": {"column": "machine"},
    "channels": {"pressure": {"unit": "bar"}},
    "step": "10min",
    "late_rows_within": 0,
}
STORE: dict[str, Any] = {
    "connection": "zabbix",
    "tables": "history",
    "time": {"column": "clock", "unit": "s"},
    "series": "itemid",
    "tags": "plant.tags.csv",
    "value_column": "value",
    "channels": {"temp": {"unit": "°C"}},
}
TAGS = "itemid,entity,channel\n7,m1,temp\n9,m2,temp\n"
HISTORY = "CREATE TABLE history (itemid bigint, clock integer, value float8)"


def _history(uri: str, values: str) -> None:
    run(uri, f"INSERT INTO history VALUES {values}")  # noqa: S608


@dataclass
class TwoSources:
    """A plant with a second source."""

    plant: Plant
    other_uri: str

    @property
    def uris(self) -> tuple[str, str]:
        return self.plant.source_uri, self.other_uri

    def fill(self, rows: str = "", values: str = "") -> None:
        """Rows (at, machine, pressure) of one, and (itemid, clock, value) of the other."""
        if rows:
            self.plant.run(f"INSERT INTO reading VALUES {rows}")  # noqa: S608
        if values:
            _history(self.other_uri, values)

    def ingest(
        self, start: str, end: str, config: DatasetConfig | None = None, **options: Any
    ) -> IngestSummary:
        """Ingest [start, end) from both."""
        with Store.connect(self.plant.warehouse_uri) as store:
            return ingest_interval(
                store, config or config_of(), self.uris, start_at=at(start), end_at=at(end),
                **{"now": lambda: self.plant.now_at, **options},
            )  # fmt: skip

    def late(self, start: str, end: str, config: DatasetConfig) -> list[tuple[int, int, bool]]:
        """Rows read and there now of the hours that changed, and whether they are read again."""
        with Store.connect(self.plant.warehouse_uri) as store:
            late = late_changes(store, config, self.uris, start_at=at(start), end_at=at(end))
        return [(one.n_rows_read, one.n_rows_now, bool(one.command)) for one in late]


@pytest.fixture(scope="module")
def other_uri(cluster: Cluster) -> Iterator[str]:
    """The database of the second source."""
    name = f"test_{uuid4().hex}"
    yield cluster.create_database(name)
    cluster.drop_database(name)


@pytest.fixture
def two(filed_plant: Plant, other_uri: str, tmp_path: Path) -> TwoSources:
    """Two sources without a row."""
    (tmp_path / "plant.tags.csv").write_text(TAGS)
    table = "CREATE TABLE reading (at timestamptz, machine text, pressure float8)"
    filed_plant.run(table)
    run(other_uri, f"DROP SCHEMA public CASCADE; CREATE SCHEMA public; {HISTORY}")
    return TwoSources(filed_plant, other_uri)


def config_of(*sources: dict[str, Any]) -> DatasetConfig:
    """A dataset of these sources, by default of both."""
    return DatasetConfig.model_validate(
        {"dataset": "plant", "source": sources or (HISTORIAN, STORE)}
    )


def test_a_machine_of_two_sources_has_both_channels_in_one_reading(two: TwoSources) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4)", f"(7, {T}, 21), (9, {T}, 22), (7, {T + 600}, 23)")
    summary = two.ingest("10:00", "11:00")
    assert (summary.n_rows, summary.n_readings, summary.n_entities) == (4, 3, 2)
    assert two.plant.readings() == {
        ("m1", "10:00", "pressure"): 4,
        ("m1", "10:00", "temp"): 21,
        ("m1", "10:10", "temp"): 23,
        ("m2", "10:00", "temp"): 22,
    }
    assert two.plant.rows(
        "SELECT source, n_rows, newest_at FROM tsad.ingest_source ORDER BY 1"
    ) == [("historian", 1, at("10:00")), ("zabbix", 3, at("10:10"))]
    assert two.plant.rows("SELECT n_rows, sources FROM tsad.v_ingest") == [
        (4, {"historian": 1, "zabbix": 3})
    ]
    assert two.plant.rows("SELECT name, unit FROM tsad.channel ORDER BY 1") == [
        ("pressure", "bar"), ("temp", "°C"),
    ]  # fmt: skip


@pytest.mark.parametrize("broken", ["historian", "zabbix"])
def test_of_a_source_that_is_down_the_run_says_which_and_nothing_is_half_known(
    two: TwoSources, broken: str
) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4)", f"(7, {T}, 21)")
    uris = [*two.uris]
    uris[broken == "zabbix"] = "postgresql://me:secret@127.0.0.1:1/plant"
    down = TwoSources(two.plant, uris[1])
    down.plant = Plant(uris[0], two.plant.warehouse_uri)
    with pytest.raises(Unavailable, match=f"Source {broken}: Expected a PostgreSQL server"):
        down.ingest("10:00", "11:00")
    assert two.plant.rows("SELECT 1 FROM tsad.ingest_hour") == []
    assert two.plant.readings() == {}
    assert two.ingest("10:00", "11:00").n_readings == 1
    assert len(two.plant.readings()) == 2


def test_the_task_reads_each_source_on_its_own_connection(two: TwoSources) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4)", f"(7, {T}, 21)")
    uri_of = dict(zip(("historian", "zabbix"), two.uris, strict=True)).__getitem__
    task = TaskRun(
        config_of(), "plant.score", "run", at("10:00"), at("11:00"), {"lineage": "live"}, {},
        is_backfill=False, shard=-1, started_by="", uri_of=uri_of, send=print,
    )  # fmt: skip
    with Store.connect(two.plant.warehouse_uri) as store:
        assert tasks.ingest(store, task).n_readings == 1
    assert len(two.plant.readings()) == 2


def test_what_goes_wrong_keeps_its_kind_and_names_its_source(two: TwoSources) -> None:
    with (
        open_sources(two.uris, config_of()) as parts,
        pytest.raises(Interrupted, match="Source zabbix: late") as caught,
        parts[1].asked(),
    ):
        raise Interrupted("late", by_chance=True)
    assert caught.value.by_chance


def test_what_one_source_lacked_is_counted_again_though_the_other_spoke(two: TwoSources) -> None:
    late = [*range(1, 4)]
    for hour in range(7):
        two.fill(f"('2024-05-01 {10 + hour}:00Z', 'm1', {hour})")
        if hour == 5:
            # The gateway of the store was down from 11 to 14; its rows come after it is back.
            two.fill("", ", ".join(f"(7, {T + 3600 * one}, {20 + one})" for one in late))
        if hour not in late:
            two.fill("", f"(7, {T + 3600 * hour}, {20 + hour})")
        two.ingest(f"{10 + hour}:00", f"{11 + hour}:00")
    temps = {time: v for (_, time, name), v in two.plant.readings().items() if name == "temp"}
    assert temps == {f"{10 + hour}:00": 20 + hour for hour in range(7)}
    noted = "SELECT hour_at, arrived_at FROM tsad.late_hour ORDER BY 1"
    assert two.plant.rows(noted) == [(at(f"{10 + hour}:00"), at("16:00")) for hour in late]


def test_a_source_that_fails_between_two_hours_leaves_whole_hours(two: TwoSources) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4), ('2024-05-01 11:00Z', 'm1', 5)", f"(7, {T}, 21)")
    _history(two.other_uri, f"(7, {T + 3700}, 1)")
    # Broken when its second hour is read.
    value = f"CASE WHEN clock > {T + 3600} THEN pg_sleep(5)::text::float8 ELSE value END AS value"
    view = f"CREATE VIEW history AS SELECT itemid, clock, {value} FROM kept"  # noqa: S608
    run(two.other_uri, f"ALTER TABLE history RENAME TO kept; {view}")
    config = config_of(HISTORIAN, STORE | {"statement_timeout": "1s"})
    with pytest.raises(Unavailable, match=r"Source zabbix: .*statement_timeout"):
        two.ingest("10:00", "12:00", config)
    hours = two.plant.rows("SELECT hour_at FROM tsad.ingest_hour")
    assert hours == [(at("10:00"),)]
    assert two.plant.readings() == {("m1", "10:00", "pressure"): 4, ("m1", "10:00", "temp"): 21}


def test_a_refused_login_and_a_missing_table_name_their_source(two: TwoSources) -> None:
    denied = TwoSources(two.plant, two.other_uri.replace("@", "-wrong@", 1))
    with pytest.raises(AccessDenied, match="Source zabbix: Expected a login"):
        denied.ingest("10:00", "11:00")
    with pytest.raises(SourceError, match="Source zabbix: "):
        two.ingest("10:00", "11:00", config_of(HISTORIAN, STORE | {"tables": "gone"}))


def test_each_source_has_a_statement_timeout_of_its_own(two: TwoSources) -> None:
    two.plant.run(
        "ALTER TABLE reading RENAME TO fast;"
        "CREATE VIEW reading AS SELECT * FROM fast WHERE (SELECT pg_sleep(1.2)::text) = ''"
    )
    with pytest.raises(Unavailable, match=r"Source historian: .*statement_timeout"):
        two.ingest("10:00", "11:00", config_of(HISTORIAN | {"statement_timeout": 1}, STORE))


def test_a_row_more_in_one_source_and_one_less_in_the_other_is_late(two: TwoSources) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4)", f"(7, {T}, 21), (9, {T}, 22)")
    config = config_of()
    two.ingest("10:00", "12:00", config)
    assert two.late("10:00", "12:00", config) == []
    two.fill("('2024-05-01 10:10Z', 'm1', 5)")
    run(two.other_uri, "DELETE FROM history WHERE itemid = 9")
    assert two.late("10:00", "12:00", config) == [(3, 3, True)]
    two.ingest("10:00", "12:00", config, force=True)
    assert two.late("10:00", "12:00", config) == []
    # Absence does not erase.
    assert two.plant.readings()[("m2", "10:00", "temp")] == 22
    assert two.plant.issues()[("vanished", "m2", "")] == 1


def test_a_change_is_known_by_the_clock_of_its_own_source(two: TwoSources) -> None:
    two.plant.run("ALTER TABLE reading ADD changed timestamptz DEFAULT '2024-05-01 10:00Z'")
    run(two.other_uri, "ALTER TABLE history ADD changed timestamptz DEFAULT '2030-01-01Z'")
    two.fill("('2024-05-01 10:00Z', 'm1', 4)", f"(7, {T}, 21)")
    config = config_of(HISTORIAN | {"updated_at": "changed"}, STORE | {"updated_at": "changed"})
    two.ingest("10:00", "11:00", config)
    assert two.late("10:00", "11:00", config) == []
    # The clock of the other source is years ahead.
    two.plant.run("UPDATE reading SET pressure = 6, changed = '2024-05-01 10:30Z'")
    assert two.late("10:00", "11:00", config) == [(2, 2, True)]


def test_a_source_that_is_added_makes_its_hours_late(two: TwoSources) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4)", f"(7, {T}, 21)")
    alone = DatasetConfig.model_validate({"dataset": "plant", "source": HISTORIAN})
    two.plant.ingest("10:00", "11:00", alone)
    assert two.late("10:00", "11:00", config_of()) == [(1, 2, True)]
    two.ingest("10:00", "11:00", force=True)
    assert two.plant.readings() == {("m1", "10:00", "pressure"): 4, ("m1", "10:00", "temp"): 21}


SECOND = HISTORIAN | {"connection": "zabbix", "tables": "more"}
MORE = "CREATE TABLE more (at timestamptz, machine text, pressure float8); INSERT INTO more VALUES "


def test_one_channel_of_machines_of_two_sources_is_one_channel(two: TwoSources) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4)")
    run(two.other_uri, f"{MORE} ('2024-05-01 10:00Z', 'm2', 5)")
    two.ingest("10:00", "11:00", config_of(HISTORIAN, SECOND))
    assert two.plant.readings() == {("m1", "10:00", "pressure"): 4, ("m2", "10:00", "pressure"): 5}


def test_a_column_without_values_says_nothing_against_another_source(two: TwoSources) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4), ('2024-05-01 10:00Z', 'm2', NULL)")
    run(two.other_uri, f"{MORE} ('2024-05-01 10:00Z', 'm1', NULL), ('2024-05-01 10:00Z', 'm2', 5)")
    for first, second in ((HISTORIAN, SECOND), (SECOND, HISTORIAN)):
        uris = two.uris if first is HISTORIAN else two.uris[::-1]
        with Store.connect(two.plant.warehouse_uri) as store:
            span = {"start_at": at("10:00"), "end_at": at("11:00"), "force": True}
            ingest_interval(store, config_of(first, second), uris, **span)
        assert two.plant.readings() == {
            ("m1", "10:00", "pressure"): 4, ("m2", "10:00", "pressure"): 5,
        }  # fmt: skip


@pytest.mark.parametrize("n_machines", [1, 2, 4])
def test_a_meter_beside_another_source_keeps_its_verdicts(two: TwoSources, n_machines: int) -> None:
    totals = [10, 13, 16, 1, 4]  # the fourth is that of a counter that began at 0 again
    machines = [f"m{at}" for at in range(n_machines)]
    rows = [
        f"('2024-05-01 10:{10 * step}Z'::timestamptz, '{name}', "
        f"{totals[step] if name == machines[-1] else 3 * step})"
        for name in machines
        for step in range(5)
    ]
    two.fill(", ".join(rows).replace("10:0Z", "10:00Z"), f"(7, {T}, 21)")
    meter = HISTORIAN | {"channels": {"pressure": {"signal": "counter", "per": "step"}}}
    two.ingest("10:00", "11:00", config_of(meter, STORE))
    said = two.plant.rows("""
      SELECT e.name, q.verdict, q.n_steps
      FROM tsad.quality q JOIN tsad.entity e USING (entity_id) WHERE q.verdict = 'counter_reset'""")
    assert said == [(machines[-1], "counter_reset", 1)]


def test_a_channel_that_two_sources_give_for_one_machine_is_no_value_and_told(
    two: TwoSources,
) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4), ('2024-05-01 11:00Z', 'm1', 6)")
    run(two.other_uri, f"{MORE} ('2024-05-01 10:10Z', 'm1', 70), ('2024-05-01 10:00Z', 'm2', 5)")
    config = config_of(HISTORIAN, SECOND)
    two.ingest("10:00", "12:00", config)
    assert two.plant.readings() == {("m2", "10:00", "pressure"): 5, ("m1", "11:00", "pressure"): 6}
    assert two.plant.issues()[("several_sources", "m1", "pressure")] == 2
    checked = check_sources(config, two.uris, now_at=DAY)
    said = [one.text for one in checked[-1].findings if one.level == "error"]
    assert said == [
        "pressure (m1): in historian and zabbix; read as NULL, since the channel does not say "
        "across (several_sources). Say across on the channel pressure, or leave it out of one "
        "source."
    ]


@pytest.mark.parametrize(("across", "expected"), [("mean", 6), ("max", 8), ("min", 4)])
def test_across_says_how_channels_of_two_sources_are_one(
    two: TwoSources, across: str, expected: float
) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4), ('2024-05-01 10:10Z', 'm1', 3)")
    run(two.other_uri, f"{MORE} ('2024-05-01 10:00Z', 'm1', 8)")
    first = HISTORIAN | {"channels": {"pressure": {"across": across}}}
    two.ingest("10:00", "11:00", config_of(first, SECOND))
    assert two.plant.readings() == {
        ("m1", "10:00", "pressure"): expected,
        ("m1", "10:10", "pressure"): 3,
    }


def test_a_sum_is_known_where_the_series_of_all_sources_are(
    two: TwoSources, tmp_path: Path
) -> None:
    (tmp_path / "other.tags.csv").write_text("itemid,entity,channel\n1,m1,temp\n2,m1,temp\n")
    two.plant.run(HISTORY)
    _history(two.plant.source_uri, f"(1, {T}, 1), (2, {T}, 2), (1, {T + 600}, 3)")
    two.fill(values=f"(7, {T}, 10), (7, {T + 600}, 10), (9, {T}, 5)")
    temp = {"channels": {"temp": {"across": "sum"}}}
    first = STORE | temp | {"connection": "historian", "tags": "other.tags.csv", "step": "10min"}
    config = config_of(first | {"late_rows_within": 0}, STORE)
    two.ingest("10:00", "11:00", config)
    assert two.plant.readings() == {("m1", "10:00", "temp"): 13, ("m2", "10:00", "temp"): 5}
    # A source that says nothing of a machine does not make the sum smaller.
    _history(two.other_uri, f"(9, {T + 3600}, 6)")
    _history(two.plant.source_uri, f"(1, {T + 3600}, 1), (2, {T + 3600}, 2)")
    two.ingest("11:00", "12:00", config)
    assert two.plant.readings()[("m2", "11:00", "temp")] == 6
    assert ("m1", "11:00", "temp") not in two.plant.readings()


def test_two_tables_of_one_store_share_its_names(two: TwoSources, tmp_path: Path) -> None:
    (tmp_path / "plant.tags.csv").write_text("itemid,entity,channel\n7,m1,temp\n9,m1,temp\n")
    run(two.other_uri, HISTORY.replace("history", "history_uint"))
    run(two.other_uri, f"INSERT INTO history_uint VALUES (9, {T}, 2)")  # noqa: S608
    two.fill(values=f"(7, {T}, 10), (7, {T + 600}, 10)")
    whole = STORE | {"step": "10min", "late_rows_within": 0}
    first = whole | {"channels": {"temp": {"across": "sum"}}}
    config = config_of(first, STORE | {"tables": "history_uint"})
    with Store.connect(two.plant.warehouse_uri) as store:
        span = {"start_at": at("10:00"), "end_at": at("11:00")}
        ingest_interval(store, config, two.other_uri, **span)
    assert two.plant.readings() == {("m1", "10:00", "temp"): 12}


def test_a_value_holds_while_its_own_source_speaks(two: TwoSources) -> None:
    store = STORE | {"channels": {"temp": {"valid_for": "until_changed"}}, "silent_after": "1h"}
    two.fill(
        ", ".join(f"('2024-05-01 {hour}:00Z', 'm1', 4)" for hour in range(10, 15)),
        f"(7, {T - 900}, 21)",
    )
    config = config_of(HISTORIAN, store)
    for start, end in (("10:00", "11:00"), ("11:00", "12:00"), ("12:00", "13:00")):
        two.ingest(start, end, config)
    temps = sorted(time for _, time, channel in two.plant.readings() if channel == "temp")
    # Carried in from before the range; the historian's rows say nothing of the other gateway.
    assert temps == ["10:00", "10:10", "10:20", "10:30", "10:40"]


def test_a_killed_connection_of_one_source_is_tried_again_and_ends_the_same(
    two: TwoSources,
) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4)", f"(7, {T}, 21)")
    run(two.other_uri, "ALTER TABLE history RENAME TO kept; CREATE VIEW history AS SELECT kept.* "
        "FROM kept WHERE pg_terminate_backend(pg_backend_pid())")  # fmt: skip
    with pytest.raises(Unavailable, match="Source zabbix: "):
        two.ingest("10:00", "11:00")
    for table in ("ingest_hour", "ingest_source", "ingest_issue", "reading_block"):
        assert two.plant.rows(f"SELECT 1 FROM tsad.{table}") == []  # noqa: S608
    run(two.other_uri, "DROP VIEW history; ALTER TABLE kept RENAME TO history")
    two.ingest("10:00", "11:00")
    blocks = "SELECT checksum, revision FROM tsad.reading_block"
    first = two.plant.rows(blocks)
    assert two.ingest("10:00", "11:00", force=True).n_blocks_changed == 0
    assert two.plant.rows(blocks) == first


GUIDE = (project_folder() / "docs" / "guides" / "sources.md").read_text(encoding="utf-8")


def test_the_example_of_the_guide_reads_both_sources(two: TwoSources, tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(dataset: presses\n.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "presses.tags.csv").write_text("itemid,entity,channel\n7,m1,temperature\n")
    two.plant.run(
        "CREATE TABLE press (at timestamp, machine text, pressure float8);"
        "INSERT INTO press VALUES ('2024-05-01 12:10', 'm1', 4)"
    )
    run(two.other_uri, "ALTER TABLE history ADD ns integer DEFAULT 5")
    _history(two.other_uri, f"(7, {T + 600}, 21)")
    config = DatasetConfig.model_validate(yaml.safe_load(example))
    checked = check_sources(config, two.uris, now_at=DAY)
    assert [one for part in checked for one in part.findings if one.level == "error"] == []
    two.ingest("10:00", "11:00", config)
    assert two.plant.readings() == {
        ("m1", "10:10", "pressure"): 4,
        ("m1", "10:10", "temperature"): 21,
    }


def test_readings_are_explored_before_they_are_ingested(two: TwoSources) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4)", f"(7, {T}, 21), (9, {T + 600}, 22)")
    found = source_readings(config_of(), two.uris, at("10:00"), at("11:00"))
    assert found.entities == ("m1", "m2")
    assert np.nan_to_num(found.values[:, :2]).tolist() == [[[4, 21], [0, 0]], [[0, 0], [0, 22]]]


def test_a_range_without_a_row_is_told_with_the_ends_of_all_sources(two: TwoSources) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4)", f"(7, {T + 7200}, 21)")
    config = config_of()
    two.ingest("05:00", "06:00", config)
    with Store.connect(two.plant.warehouse_uri) as store:
        said = nothing_read(store, config, two.uris, start_at=at("05:00"), end_at=at("06:00"))
    assert "it has readings from 2024-05-01 10:00 to 2024-05-01 12:00 UTC" in said


def test_names_over_time_are_those_of_each_source(two: TwoSources, tmp_path: Path) -> None:
    (tmp_path / "other.tags.csv").write_text("itemid,entity,channel\n7,m1,pressure\n")
    two.plant.run(HISTORY)
    _history(two.plant.source_uri, f"(7, {T}, 4), (7, {T + 3600}, 5)")
    two.fill(values=f"(7, {T}, 21), (7, {T + 3600}, 22)")
    first = STORE | {"connection": "historian", "tags": "other.tags.csv", "step": "10min"}
    config = config_of(first | {"channels": {"pressure": {}}, "late_rows_within": 0}, STORE)
    two.ingest("10:00", "11:00", config)
    # The id 7 of one source is not that of the other.
    (tmp_path / "plant.tags.csv").write_text(TAGS.replace("7,m1", "7,m3"))
    two.ingest("11:00", "12:00", config)
    two.ingest("10:00", "12:00", config, force=True)
    assert two.plant.readings() == {
        ("m1", "10:00", "pressure"): 4, ("m1", "10:00", "temp"): 21,
        ("m1", "11:00", "pressure"): 5, ("m3", "11:00", "temp"): 22,
    }  # fmt: skip
    assert two.plant.issues()[("renamed_series", "m3", "temp")] == 1


Row = tuple[int, int, int, int]
HOUR_US = 3_600_000_000
CHANNELS: dict[str, dict[str, Any]] = {
    "a": {"aggregate": "last"}, "b": {}, "c": {"valid_for": "25min", "aggregate": "max"},
}  # fmt: skip


def _long(channels: list[str]) -> dict[str, Any]:
    return {
        "connection": "any", "tables": "any", "shape": "long", "channel_column": "c",
        "value_column": "v", "time": {"column": "at"}, "entity": {"column": "e"}, "step": "10min",
        "channels": {name: CHANNELS[name] for name in channels},
    }  # fmt: skip


def _read(config: DatasetConfig, rows: list[Row], tally: Tally) -> AcceptedRows:
    """What is accepted of rows (minute, entity, channel, value); below 0 the value is none."""
    names = [*CHANNELS]
    own = [row for row in rows if names[row[2]] in config.channels]
    minute, entity, channel, value = np.array(own, np.int64).reshape(-1, 4).T
    nothing = np.zeros(len(own), bool)
    place = np.array([config.channel_names.index(names[at]) for at in channel], np.intp)
    given = SourceRows(
        minute * 60_000_000, entity.astype(np.intp), minute * 0, nothing,
        np.where(value < 0, np.nan, value.astype(float)), place, nothing.astype(np.intp),
        np.ones((1, len(config.channel_names)), bool), nothing, nothing, ("m0", "m1"),
        config.channel_names, (SourceTable("any"),),
    )  # fmt: skip
    return accepted_rows(given, config, ("m0", "m1"), (0, 2 * HOUR_US), tally)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(0, 119), st.integers(0, 1), st.integers(0, 2), st.integers(-2, 9)),
        max_size=40,
    ),
    st.integers(1, 6),
)
def test_two_sources_have_the_readings_of_one_table(rows: list[Row], split: int) -> None:
    groups = [[name for at, name in enumerate(CHANNELS) if bool(split >> at & 1) is way]
              for way in (True, False)]  # fmt: skip
    whole = config_of(_long([*groups[0], *groups[1]]))
    parted = config_of(*(_long(group) for group in groups))
    one, two_tallies = Tally(), Tally()
    expected = _read(whole, rows, one)
    parts = [(part, _read(part, rows, two_tallies)) for part in parted.parts]
    found = joined(parted, parts, (0, 2 * HOUR_US), two_tallies)
    assert found.entity_names == expected.entity_names
    np.testing.assert_array_equal(found.gridded.values, expected.gridded.values)
    np.testing.assert_array_equal(found.gridded.present, expected.gridded.present)
    for name in ("n_rows", "n_readings", "newest_us"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert [*two_tallies.counts()] == [*one.counts()]


def test_check_speaks_of_each_source_under_its_own_heading(two: TwoSources) -> None:
    two.fill("('2024-05-01 10:00Z', 'm1', 4)")
    checked = check_sources(config_of(), two.uris, now_at=DAY)
    assert [one.heading for one in checked] == [
        "source historian: 'reading'", "source zabbix: 'history'",
    ]  # fmt: skip
    texts = [[finding.text for finding in one.findings] for one in checked]
    assert "Readings from 2024-05-01 10:00 to 2024-05-01 10:00 UTC." in texts[0]
    assert "Expected rows. Received: none of a series of plant.tags.csv." in texts[1]
    down = (two.plant.source_uri, "postgresql://me:secret@127.0.0.1:1/plant")
    first, second = check_sources(config_of(), down, now_at=DAY)
    assert len(first.findings) == len(texts[0])
    assert [one.level for one in second.findings] == ["error"]


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ("m1", []),
        ("M1 ", ["'M1 ' (historian), 'm1' (zabbix): different machines, since their names"]),
        ("press", ["No machine is in several of the sources, such as 'press' (historian), 'm1'"]),
    ],
)
def test_check_tells_of_machines_that_two_sources_call_otherwise(
    two: TwoSources, machine: str, said: list[str]
) -> None:
    two.fill(f"('2024-05-01 10:00Z', '{machine}', 4)", f"(7, {T}, 21)")
    checked = check_sources(config_of(), two.uris, now_at=DAY)[2:]
    found = [one.text for part in checked for one in part.findings]
    assert len(found) == len(said)
    assert all(one.startswith(text) for one, text in zip(found, said, strict=True))
