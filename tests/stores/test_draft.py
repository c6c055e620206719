"""A dataset file for another system's tables: drafted, checked, and read with the right values.

The tables have the columns, types and keys of the systems that they are named after; what is in
them is made here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.plants.plant import Plant
from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import HOUR, hour_floor
from tsad_tasks.cli.datasets import draft
from tsad_tasks.config import named_config
from tsad_tasks.ingest.check import check_dataset
from tsad_tasks.stores.draft import drafted
from tsad_tasks.stores.named import named_otherwise
from tsad_tasks.stores.recipes import open_store, recipes

ZABBIX = """
CREATE TABLE dbversion (dbversionid bigint PRIMARY KEY, mandatory int, optional int);
INSERT INTO dbversion VALUES (1, 6000000, 6000018);
CREATE TABLE hosts (hostid bigint PRIMARY KEY, host text, name text, status int, flags int);
CREATE TABLE hstgrp (groupid bigint, name text);
CREATE TABLE hosts_groups (hostid bigint, groupid bigint);
CREATE TABLE items (itemid bigint PRIMARY KEY, hostid bigint, key_ text, value_type int,
  delay text, history text, units text, status int, flags int, trends text DEFAULT '365d');
CREATE TABLE item_preproc (itemid bigint, type int, params text);
CREATE TABLE history (itemid bigint, clock int, value float8, ns int,
  PRIMARY KEY (itemid, clock, ns));
CREATE TABLE history_uint (itemid bigint, clock int, value numeric(20), ns int,
  PRIMARY KEY (itemid, clock, ns));
INSERT INTO hosts VALUES (1, 'a', 'Pump A', 0, 0), (2, 't', 'Template', 3, 0);
INSERT INTO hstgrp VALUES (5, 'Pumps'); INSERT INTO hosts_groups VALUES (1, 5), (2, 5);
INSERT INTO items VALUES (7, 1, 'flow', 0, '60s', '7d', 'm³/h', 0, 0),
  (8, 1, 'starts', 3, '1m', '7d', '!rpm', 0, 0), (9, 2, 'flow', 0, '1m', '7d', '', 0, 0);
INSERT INTO item_preproc VALUES (8, 20, '1h');
INSERT INTO history SELECT 7, {t} + 60 * i + 7, i, 500 FROM generate_series(0, 59) i;
INSERT INTO history VALUES (9, {t}, 99, 0);
INSERT INTO history_uint VALUES (8, {t}, 4, 0), (8, {t} + 1800, 5, 0);
UPDATE items SET trends = '0' WHERE itemid = 8;
CREATE TABLE trends (itemid bigint, clock int, num int, value_min float8, value_avg float8,
  value_max float8, PRIMARY KEY (itemid, clock));
CREATE TABLE trends_uint (LIKE trends INCLUDING ALL);
INSERT INTO trends SELECT 7, {t} - 3600 * i, 60, 0, 29.5 + i, 59 FROM generate_series(0, 40) i;
"""
MOVING = """
INSERT INTO items SELECT 20 + k, 1, name, 0, '1m', '7d', unit, 0, 0
FROM (VALUES (1, 'wind', '°'), (2, 'energy', 'kWh'), (3, 'level', '%')) item (k, name, unit);
INSERT INTO history SELECT 20 + k, {t} + 60 * i,
  CASE k WHEN 1 THEN (i * 37) % 360 WHEN 2 THEN floor(i ^ 1.1) ELSE 50 + i % 7 END, 0
FROM generate_series(0, 59) i, generate_series(1, 3) k;
"""
HOME = """
CREATE TABLE schema_changes (schema_version int); INSERT INTO schema_changes VALUES (43);
CREATE TABLE states_meta (metadata_id bigint, entity_id varchar(255));
CREATE TABLE state_attributes (attributes_id bigint, shared_attrs text);
CREATE TABLE states (state_id bigint, entity_id char(1), state varchar(255),
  last_updated timestamptz, last_updated_ts float8, attributes_id bigint, metadata_id bigint);
CREATE INDEX ON states (metadata_id, last_updated_ts);
INSERT INTO states_meta VALUES (1, 'sensor.cellar'), (2, 'switch.fan'), (3, 'sun.sun');
INSERT INTO state_attributes VALUES (4, '{{"unit_of_measurement":"°C"}}');
INSERT INTO states VALUES (1, NULL, '8.25', NULL, {t} + .5, 4, 1),
  (2, NULL, 'unavailable', NULL, {t} + 600, 4, 1), (3, NULL, 'on', NULL, {t}, NULL, 2),
  (4, NULL, 'below_horizon', NULL, {t}, NULL, 3);
CREATE TABLE statistics_meta (id bigint, statistic_id varchar(255), unit_of_measurement text);
CREATE TABLE statistics (id bigint, metadata_id bigint, start_ts float8, mean float8, state float8,
  sum float8);
CREATE INDEX ON statistics (metadata_id, start_ts);
INSERT INTO statistics_meta VALUES (1, 'sensor.cellar', '°C'), (2, 'sensor.meter', 'kWh'),
  (3, 'energy:tariff', '');
INSERT INTO statistics VALUES (1, 1, {t}, 8.5, NULL, NULL), (2, 2, {t}, NULL, 420, 20),
  (3, 3, {t}, 1, NULL, NULL);
"""
THINGSBOARD = """
CREATE TABLE device (id uuid, name text, type text);
CREATE TABLE key_dictionary (key text, key_id int);
CREATE TABLE ts_kv (entity_id uuid, key int, ts bigint, bool_v bool, str_v text, long_v bigint,
  dbl_v float8, json_v json, PRIMARY KEY (entity_id, key, ts));
CREATE TABLE ts_kv_latest (LIKE ts_kv);
INSERT INTO device VALUES ('3f2504e0-4f89-11d3-9a0c-0305e82c3301', 'Pump A', 'pump'),
  ('3f2504e0-4f89-11d3-9a0c-0305e82c3302', 'Door', 'door');
INSERT INTO key_dictionary VALUES ('flow', 31), ('open', 32);
INSERT INTO ts_kv SELECT '3f2504e0-4f89-11d3-9a0c-0305e82c3301', 31, {t}000 + 60000 * i, NULL, NULL,
  CASE WHEN i % 2 = 0 THEN i END, CASE WHEN i % 2 = 1 THEN i + .5 END FROM generate_series(0, 59) i;
INSERT INTO ts_kv VALUES ('3f2504e0-4f89-11d3-9a0c-0305e82c3302', 32, {t}000, true);
INSERT INTO ts_kv_latest SELECT DISTINCT ON (entity_id) * FROM ts_kv ORDER BY entity_id, ts DESC;
"""
IGNITION = """
CREATE TABLE sqlth_te (id int, tagpath text, datatype int, created bigint, retired bigint);
CREATE TABLE sqlth_partitions (pname text, start_time bigint, end_time bigint);
CREATE TABLE sqlt_data_1_2026_10 (tagid int, intvalue bigint, floatvalue float8, stringvalue text,
  datevalue timestamp, dataintegrity int, t_stamp bigint, PRIMARY KEY (tagid, t_stamp));
CREATE TABLE sqlt_data_1_2026_11 (LIKE sqlt_data_1_2026_10 INCLUDING ALL);
INSERT INTO sqlth_te VALUES (1, 'line1/pump3/old', 1, 0, {t}000),
  (2, 'line1/pump3/flow', 1, {t}000, NULL), (3, 'line1/pump3/note', 2, 0, NULL);
INSERT INTO sqlt_data_1_2026_10 VALUES (1, NULL, 3.5, NULL, NULL, 192, {t}000 - 1);
INSERT INTO sqlt_data_1_2026_11 VALUES (2, NULL, 4.5, NULL, NULL, 192, {t}000),
  (2, NULL, 9.9, NULL, NULL, 0, {t}000 + 600000), (3, NULL, NULL, 'x', NULL, 192, {t}000);
"""
OPENHAB = """
CREATE TABLE items (itemid int, itemname text);
CREATE TABLE item0001 (time timestamptz PRIMARY KEY, value float8);
CREATE TABLE item0002 (time timestamptz PRIMARY KEY, value varchar(20));
INSERT INTO items VALUES (1, 'Cellar_Temperature'), (2, 'Cellar_Fan'), (3, 'Gone');
INSERT INTO item0001 VALUES (to_timestamp({t}), 8.25);
INSERT INTO item0002 VALUES (to_timestamp({t}), 'ON'), (to_timestamp({t} + 60), 'OFF');
"""


@dataclass(frozen=True)
class Known:
    """A store, and what its first minutes are as readings: entity, minute, channel, value."""

    name: str
    title: str
    tables: str
    groups: list[tuple[str, int, int]]
    readings: dict[tuple[str, int, str], float]
    lines: list[str] = field(default_factory=list)
    archive: bool = False


KNOWN = [
    Known(
        "zabbix", "Zabbix 6.0", ZABBIX, [("Pumps", 1, 2)],
        {("Pump A", 0, "flow"): 0, ("Pump A", 1, "flow"): 1, ("Pump A", 0, "starts"): 4},
        ["step: 1min  # measured", "unit: m³/h  # said by the store", "valid_for: 66min  # said",
         "unit: rpm  # said by the store", "range: 1d  # measured: values begin on "],
    ),
    Known(
        "home_assistant", "Home Assistant, recorder schema 43", HOME,
        [("sensor", 1, 1), ("switch", 1, 1)],
        {("home", 0, "cellar"): 8.25, ("home", 0, "fan"): 1},
        ["unit: °C  # said by the store", "valid_for: until_changed  # guessed"],
    ),
    Known(
        "zabbix_trends", "the archive of Zabbix 6.0", ZABBIX, [("Pumps", 1, 1)],
        {("Pump A", 0, "flow"): 29.5}, ["step: 1h  # measured", "unit: m³/h  # said by the store"],
        archive=True,
    ),
    Known(
        "home_assistant_statistics", "the archive of Home Assistant, recorder schema 43", HOME,
        [("sensor", 1, 2)], {("home", 0, "cellar"): 8.5, ("home", 0, "meter"): 420},
        ["step: 1h  # said by the store", "unit: kWh  # said by the store"], archive=True,
    ),
    Known(
        "thingsboard", "ThingsBoard", THINGSBOARD, [("door", 1, 1), ("pump", 1, 1)],
        {("Pump A", 0, "flow"): 0, ("Pump A", 1, "flow"): 1.5, ("Door", 0, "open"): 1},
        ["value_column: [dbl_v, long_v, bool_v, str_v, json_v]"],
    ),
    Known(
        "ignition", "Ignition", IGNITION, [("line1", 1, 2)],
        {("line1/pump3", 0, "flow"): 4.5}, ["good: [[192, 255]]"],
    ),
    Known(
        "openhab", "openHAB", OPENHAB, [("Cellar", 1, 2)],
        {("home", 0, "Cellar_Temperature"): 8.25, ("home", 0, "Cellar_Fan"): 1,
         ("home", 1, "Cellar_Fan"): 0},
        ["SELECT 1 AS itemid"],
    ),
]  # fmt: skip


def _fill(filed_plant: Plant, tables: str) -> datetime:
    """Make the tables, `{t}` in them an hour that is over."""
    filed_plant.now_at = utc_now()
    start_at = hour_floor(filed_plant.now_at) - 2 * HOUR
    filed_plant.run(tables.format(t=int(start_at.timestamp())))
    return start_at


def test_every_recipe_is_here() -> None:
    assert sorted(one.name for one in recipes()) == sorted(one.name for one in KNOWN)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_a_store_is_recognised_drafted_and_read(
    known: Known, filed_plant: Plant, tmp_path: Path
) -> None:
    start_at = _fill(filed_plant, known.tables)
    with open_store(filed_plant.source_uri, archive=known.archive) as store:
        groups = [(one.name, one.n_entities, one.n_series) for one in store.groups()]
        assert (store.title, sorted(groups)) == (known.title, known.groups)
        series = store.series([], [], ["*"])
        files = drafted(filed_plant.source_uri, store, series, connection="other", name="drafted")
    (tmp_path / "drafted.yaml").write_text(files.dataset)
    (tmp_path / "drafted.tags.csv").write_text(files.tags)
    for line in known.lines:
        assert line in files.dataset
    config = named_config(tmp_path / "drafted.yaml")
    found = check_dataset(config, filed_plant.source_uri, now_at=utc_now())
    assert [one.text for one in found if one.level == "error"] == []
    start, end = (f"{at:%Y-%m-%d %H:%M}" for at in (start_at, start_at + HOUR))
    filed_plant.ingest(start, end, config)
    readings = filed_plant.readings()
    for (entity, minute, channel), value in known.readings.items():
        at = start_at + timedelta(minutes=minute)
        assert readings[entity, f"{at:%H:%M}", channel] == value
    assert {entity for entity, _, _ in readings} == {one.entity for one in series}


def test_groups_machines_and_channels_choose(filed_plant: Plant) -> None:
    _fill(filed_plant, ZABBIX)
    with open_store(filed_plant.source_uri) as store:
        assert [one.channel for one in store.series(["P*"], ["Pump A"], ["st*"])] == ["starts"]
        with pytest.raises(BadInput, match=r"Received: P%, which are none.*first groups: Pumps"):
            store.series(["P%"], [], [])
        with pytest.raises(BadInput, match=r"pump a, which are none.*first machines: Pump A"):
            store.series(["Pumps"], ["pump a"], [])


def test_a_machine_in_several_groups_is_of_each_and_read_once(filed_plant: Plant) -> None:
    _fill(filed_plant, ZABBIX)
    filed_plant.run("INSERT INTO hstgrp VALUES (6, 'All'); INSERT INTO hosts_groups VALUES (1, 6)")
    for archive, ids in ((False, [("7",), ("8",)]), (True, [("7",)])):
        with open_store(filed_plant.source_uri, archive=archive) as store:
            groups = [(one.name, one.n_entities, one.n_series) for one in store.groups()]
            assert groups == [("All", 1, len(ids)), ("Pumps", 1, len(ids))]
            for names in (["Pumps"], ["All"], ["Pumps", "All"], []):
                assert [one.series for one in store.series(names, [], [])] == ids


def test_a_store_without_an_archive_says_so(filed_plant: Plant) -> None:
    _fill(filed_plant, OPENHAB)
    with (
        pytest.raises(BadInput, match=r"archive of hours\. Received: openHAB"),
        open_store(filed_plant.source_uri, archive=True),
    ):
        pass


def test_another_database_is_none_of_them(filed_plant: Plant) -> None:
    filed_plant.run("CREATE TABLE log AS SELECT 1 AS value")
    with (
        pytest.raises(BadInput, match=r"one of home_assistant, .* Received: none .* public\.log"),
        open_store(filed_plant.source_uri),
    ):
        pass


def test_the_stores_own_short_memory_is_told(filed_plant: Plant) -> None:
    _fill(filed_plant, ZABBIX)
    with open_store(filed_plant.source_uri) as store:
        series = store.series(["Pumps"], [], [])
        told = drafted(
            filed_plant.source_uri, store, series, connection="other", name="drafted"
        ).told
        at = store.now_at + timedelta(days=23)
    assert [line for line in told if "keeps 7 days" in line and f"{at:%Y-%m-%d}" in line]


def test_counters_and_angles_are_asked_about(filed_plant: Plant) -> None:
    _fill(filed_plant, ZABBIX + MOVING)
    uri = filed_plant.source_uri
    with open_store(uri) as store:
        series = store.series(["Pumps"], [], ["wind", "energy", "level"])
        text = drafted(uri, store, series, connection="other", name="drafted").dataset
    energy, level, wind = re.split(r"\n    (?=\w)", text.partition("channels:")[2])[1:]
    assert "# CHECK: a counter? signal: counter (100.0% of " in energy
    assert "signal:" not in [line.strip()[:7] for line in energy.splitlines()]
    assert "an angle?" in wind
    assert "?" not in level


def test_a_unit_that_is_several_lines_adds_none_to_the_file(filed_plant: Plant) -> None:
    _fill(filed_plant, ZABBIX)
    filed_plant.run(
        "INSERT INTO hosts VALUES (3, 'b', 'Pump B', 0, 0); INSERT INTO hosts_groups VALUES (3, 5);"
        "INSERT INTO items VALUES (30, 3, 'flow', 0, '60s', '7d', E'l/s\n    wrong: {}', 0, 0)"
    )
    with open_store(filed_plant.source_uri) as store:
        series = store.series(["Pumps"], [], [])
        files = drafted(filed_plant.source_uri, store, series, connection="other", name="drafted")
    assert [*files.as_values()["dataset"]["source"]["channels"]] == ["flow", "starts"]


def test_a_draft_is_read_by_programs(filed_plant: Plant) -> None:
    _fill(filed_plant, ZABBIX)
    with open_store(filed_plant.source_uri) as store:
        series = store.series(["Pumps"], [], [])
        files = drafted(filed_plant.source_uri, store, series, connection="other", name="drafted")
    said = files.as_values()
    assert said["dataset"]["source"]["channels"]["flow"]["unit"] == "m³/h"
    place = ["source", "channels", "flow", "unit"]
    assert {"place": place, "why": "said by the store"} in said["from"]
    assert [(row["itemid"], row["channel"]) for row in said["tags"]] == [
        ("7", "flow"),
        ("8", "starts"),
    ]
    # 120 values an hour.
    assert any(line.startswith("Estimated for 2 series at 1min: 1 MB") for line in said["told"])


def test_a_second_draft_shows_what_the_store_says_otherwise(
    filed_plant: Plant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _fill(filed_plant, ZABBIX)
    monkeypatch.setenv("TSAD_CONNECTION_OTHER", filed_plant.source_uri)
    draft("other", archive=True)
    assert "draft other --archive --group Pumps" in capsys.readouterr().out
    draft("other", group=["Pumps"], out="again")
    filed_plant.run("INSERT INTO history SELECT 7, max(clock) + 60, 1, 0 FROM history")
    draft("other", group=["Pumps"], out="again")
    assert "again.yaml says the same already" in capsys.readouterr().out
    filed_plant.run("UPDATE hosts SET name = 'Pump 1' WHERE hostid = 1")
    with pytest.raises(BadInput, match=r"Expected no file .*again\.tags\.csv, or this one"):
        draft("other", group=["Pumps"], out="again")
    shown = capsys.readouterr().out
    assert "-7,Pump A,flow" in shown
    assert "+7,Pump 1,flow" in shown


def test_what_a_store_calls_otherwise_or_has_no_more_is_told(
    filed_plant: Plant, tmp_path: Path
) -> None:
    _fill(filed_plant, ZABBIX)
    uri = filed_plant.source_uri
    with open_store(uri) as store:
        files = drafted(uri, store, store.series(["Pumps"], [], []), connection="o", name="drafted")
    (tmp_path / "drafted.yaml").write_text(files.dataset)
    (tmp_path / "drafted.tags.csv").write_text(files.tags)
    config = named_config(tmp_path / "drafted.yaml")
    assert named_otherwise(config, uri) == []
    filed_plant.run(
        "UPDATE hosts SET name = 'Pump 1' WHERE hostid = 1; DELETE FROM items WHERE itemid = 8;"
        "INSERT INTO items VALUES (10, 1, 'flow', 0, '60s', '7d', '', 0, 0)"
    )
    assert [text for _, text in named_otherwise(config, uri)] == [
        "8: not among the store's series of numbers any more.",
        "7 ('Pump 1' there, 'Pump A' here): called otherwise in the store; the tags file counts.",
        "Pump 1 flow: in the store, in the same groups and channels, and not in the tags file. "
        "See: tsad datasets draft.",
    ]
