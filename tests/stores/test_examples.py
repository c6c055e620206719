"""Each example of docs/guides/other_systems.md reads the right value from tables as its system has
them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.plants.plant import Plant
from tsad_tasks.base.places import project_folder
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.check import check_dataset

PAGE = (project_folder() / "docs" / "guides" / "other_systems.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```yaml\n# (\w+)\n(.*?)```", PAGE, re.DOTALL))
AT, LATER = "2024-05-01 10:00", "2024-05-01 10:10"

# Tables and a few rows; lines of the tags file; readings of the hour after 10:00.
STORES: dict[str, tuple[str, str, dict[tuple[str, str, str], float]]] = {
    "historian": (
        """CREATE TABLE history (tag text, at timestamptz, value float8, quality int);
        INSERT INTO history VALUES ('P1.FLOW', '<at>Z', 4.5, 192), ('P1.FLOW', '<later>Z', 9, 0),
          ('P1.FLOW', '2024-05-01 10:20Z', -9999, 192), ('P2.FLOW', '<at>Z', 1, 192);""",
        "tag,entity,channel\nP1.FLOW,P1,flow",
        {("P1", "10:00", "flow"): 4.5},
    ),
    "telegraf": (
        """CREATE TABLE cpu (time timestamp, host text, cpu text, usage_user float8, usage_system
          numeric); INSERT INTO cpu VALUES ('<at>', 'web1', 'cpu-total', 12.5, 3),
          ('<at>', 'web1', 'cpu0', 99, 99);""",
        "",
        {("web1", "10:00", "usage_user"): 12.5, ("web1", "10:00", "usage_system"): 3},
    ),
    "frost": (
        """CREATE TABLE "OBSERVATIONS" ("DATASTREAM_ID" bigint, "PHENOMENON_TIME_START"
          timestamptz, "RESULT_NUMBER" float8, "RESULT_STRING" text);
        INSERT INTO "OBSERVATIONS" VALUES (3, '<at>Z', 4.5, '4.5'), (4, '<at>Z', 9, '9');""",
        "DATASTREAM_ID,entity,channel\n3,P1,flow",
        {("P1", "10:00", "flow"): 4.5},
    ),
    "openremote": (
        """CREATE TABLE asset_datapoint (timestamp timestamp, entity_id varchar(22),
          attribute_name varchar(255), value jsonb);
        INSERT INTO asset_datapoint VALUES ('<at>', 'a', 'flow', '4.5'),
          ('<later>', 'a', 'flow', 'null'), ('<at>', 'b', 'flow', '9');""",
        "entity_id,attribute_name,entity,channel\na,flow,P1,flow",
        {("P1", "10:00", "flow"): 4.5},
    ),
    "chirpstack": (
        """CREATE TABLE event_up (deduplication_id uuid, time timestamptz, device_name text,
          object jsonb); INSERT INTO event_up VALUES
          (NULL, '<at>Z', 'bed 1', '{"temperature": 21.5, "soil": {"moisture": 33}}');""",
        "",
        {("bed 1", "10:00", "temperature"): 21.5, ("bed 1", "10:00", "moisture"): 33},
    ),
    "traccar": (
        """CREATE TABLE tc_positions (deviceid int, fixtime timestamp, speed float8, valid bool,
          attributes varchar(4000));
        INSERT INTO tc_positions VALUES (7, '<at>', 12.5, true, '{"batteryLevel": 80}'),
          (7, '<later>', 99, false, '{}');""",
        "",
        {("7", "10:00", "speed"): 12.5, ("7", "10:00", "battery"): 80},
    ),
    "collectd": (
        """CREATE TABLE "values" (id int, tstamp timestamptz, name text, value float8);
        CREATE TABLE "values$2024-05-01" () INHERITS ("values");
        INSERT INTO "values$2024-05-01" VALUES (5, '<at>Z', '''rx''', 4.5),
          (5, '<at>Z', '''tx''', 9), (5, '<later>Z', '''rx''', 'NaN');""",
        "id,name,entity,channel\n5,'rx',P1,flow",
        {("P1", "10:00", "flow"): 4.5},
    ),
    "icinga": (
        """CREATE TABLE icinga_objects (object_id int, name1 text, name2 text);
        CREATE TABLE icinga_servicechecks (service_object_id int, start_time timestamp, perfdata
          text); INSERT INTO icinga_objects VALUES (2, 'pump1', 'bearing');
        INSERT INTO icinga_servicechecks VALUES
          (2, '<at>', '''bearing temp''=43.36C;60;70;0;100 load=1');""",
        "",
        {("pump1", "10:00", "bearing"): 43.36},
    ),
    "zabbix": (
        """CREATE TABLE hosts (hostid bigint, host text, status int);
        CREATE TABLE hstgrp (groupid bigint, name text);
        CREATE TABLE hosts_groups (hostid bigint, groupid bigint);
        CREATE TABLE items (itemid bigint, hostid bigint, key_ text, status int);
        CREATE TABLE history (itemid bigint, clock int, value float8, ns int);
        CREATE TABLE history_uint (itemid bigint, clock int, value numeric(20,0), ns int);
        INSERT INTO hosts VALUES (1, 'web 1', 0), (2, 'other', 0);
        INSERT INTO hstgrp VALUES (1, 'Linux servers'); INSERT INTO hosts_groups VALUES (1, 1);
        INSERT INTO items VALUES (7, 1, 'system.cpu.load[all,avg1]', 0),
          (8, 1, 'vm.memory.size[available]', 0), (9, 2, 'system.cpu.load[all,avg1]', 0),
          (10, 1, 'net.if.in[eth0]', 0);
        INSERT INTO history VALUES (7, extract(epoch FROM timestamptz '<at>Z'), 4.5, 0),
          (9, extract(epoch FROM timestamptz '<at>Z'), 9, 0);
        INSERT INTO history_uint VALUES (8, extract(epoch FROM timestamptz '<at>Z'), 33, 0);""",
        "",
        {("web 1", "10:00", "load"): 4.5, ("web 1", "10:00", "free"): 33},
    ),
}


def test_every_example_is_here() -> None:
    assert [*EXAMPLES] == [*STORES]


@pytest.mark.parametrize("name", STORES)
def test_an_example_reads_the_right_values(name: str, filed_plant: Plant, tmp_path: Path) -> None:
    tables, tags, readings = STORES[name]
    filed_plant.run(tables.replace("<at>", AT).replace("<later>", LATER))
    (tmp_path / "example.tags.csv").write_text(tags)
    source = {"connection": "other", "step": "10min", **yaml.safe_load(EXAMPLES[name])}
    config = DatasetConfig.model_validate({"dataset": "plant", "source": source})
    found = check_dataset(config, filed_plant.source_uri, now_at=filed_plant.now_at)
    assert [one.text for one in found if one.level == "error"] == []
    filed_plant.ingest("10:00", "11:00", config)
    assert filed_plant.readings() == readings
