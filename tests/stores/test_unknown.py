"""A dataset file for a table of which nothing is known: what its columns and rows show is right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.plants.plant import Plant
from tsad_tasks.base.errors import BadInput, SourceError
from tsad_tasks.cli.datasets import draft
from tsad_tasks.config import named_config
from tsad_tasks.ingest.check import check_dataset
from tsad_tasks.stores.unknown import drafted_table

AT = "'2024-05-01 10:00Z'::timestamptz + i * interval '5 min'"
STEPS = "FROM generate_series(0, 23) i"
# Tables, what of the source the draft says, and readings of the hour after 10:00.
TABLES: dict[str, tuple[str, dict[str, Any], dict[tuple[str, str, str], float]]] = {
    "wide, with a number, a change and a label": (
        f"""CREATE TABLE log AS SELECT i AS id, {AT} AS read_at, 'm' || j AS machine, i + j AS temp,
          'on' AS mode, now() AS updated_at, false AS is_fault {STEPS}, generate_series(1, 2) j""",
        {"entity.column": "machine", "time.column": "read_at", "updated_at": "updated_at",
         "label": "is_fault", "step_s": 300, "shape": "wide"},
        {("m1", "10:00", "temp"): 1, ("m2", "10:55", "temp"): 13},
    ),
    "long, milliseconds, texts": (
        f"""CREATE TABLE log AS SELECT 1714557600000 + i * 300000 AS ts, 'm1' AS device,
          s AS sensor, (i || '.5') AS value {STEPS}, unnest(ARRAY['flow', 'temp']) s""",
        {"entity.column": "device", "time.unit": "ms", "channel_column": "sensor", "step_s": 300},
        {("m1", "10:00", "flow"): 0.5, ("m1", "10:55", "temp"): 11.5},
    ),
    "tags of a historian": (
        f"""CREATE TABLE log AS SELECT t AS tagname, {AT} AS at, i::float8 AS val,
          CASE WHEN i = 3 THEN 0 ELSE 192 END AS quality {STEPS},
          unnest(ARRAY['P1.FLOW', 'P1.TEMP', 'P2.FLOW', 'LEVEL']) t;
        CREATE INDEX ON log (tagname, at)""",
        {"series": "tagname", "tags": "log.tags.csv", "quality.good": (192,)},
        {("P1", "10:00", "FLOW"): 0, ("P2", "10:55", "FLOW"): 11, ("plant", "10:05", "LEVEL"): 1},
    ),
    "Telegraf, several series of a host": (
        f"""CREATE TABLE log AS SELECT ({AT}) AT TIME ZONE 'UTC' AS time, c AS cpu, h AS host,
          i + length(c)::float8 AS usage_idle {STEPS}, unnest(ARRAY['cpu0', 'cpu-total']) c,
          unnest(ARRAY['a', 'b']) h""",
        {"entity.column": "host", "rows_where": {"cpu": "cpu-total"}, "time.column": "time"},
        {("a", "10:00", "usage_idle"): 9, ("b", "10:05", "usage_idle"): 10},
    ),
    "one machine": (
        f"CREATE TABLE log AS SELECT {AT} AS at, i::real AS power {STEPS};"
        "CREATE INDEX ON log (at)",
        {"entity.constant": "log", "step_s": 300},
        {("log", "10:05", "power"): 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_drafted_and_read(name: str, filed_plant: Plant, tmp_path: Path) -> None:
    tables, said, readings = TABLES[name]
    filed_plant.run(tables)
    files = drafted_table(filed_plant.source_uri, "log", connection="other", name="log")
    (tmp_path / "log.yaml").write_text(files.dataset)
    (tmp_path / "log.tags.csv").write_text(files.tags)
    config = named_config(tmp_path / "log.yaml")
    for place, value in said.items():
        found: Any = config.source
        for part in place.split("."):
            found = getattr(found, part)
        assert found == value, f"{place} in {files.dataset}"
    errors = check_dataset(config, filed_plant.source_uri, now_at=filed_plant.now_at)
    assert [one.text for one in errors if one.level == "error"] == []
    filed_plant.ingest("10:00", "11:00", config)
    found_readings = filed_plant.readings()
    assert {key: found_readings.get(key) for key in readings} == readings


def test_a_training_takes_what_a_young_table_has(filed_plant: Plant) -> None:
    filed_plant.run(
        "CREATE TABLE log AS SELECT 'P1.' || c AS tag, at, 1.5 AS v FROM unnest('{A,B}'::text[])"
        " c, generate_series(now() - interval '9 days 1 hour', now(), '1 hour') at"
    )
    files = drafted_table(filed_plant.source_uri, "log", connection="other", name="log")
    assert "\ntraining:\n  range: 9d  # measured" in files.dataset


# A meter, a tank, a meter whose rises are a clock's, and rows that come when somebody logs in.
SIGNALS = f"""CREATE TABLE log AS SELECT {AT} AS at, 'm1' AS machine, floor(i ^ 1.1) AS energy_kwh,
  floor(i ^ 1.1) AS tank, i * 300 AS run_total, i % 2 AS temp {STEPS.replace("23", "59")};"""
LOGINS = f"""CREATE TABLE log AS SELECT {AT.replace("i * ", "(i * i % 97) * ")} AS at, 'de' AS shop,
  1 AS login {STEPS.replace("23", "59")};"""


# Rows when something fails, of codes and of texts that come as they come.
AFTER = "(SELECT sum(k * k % 97) FROM generate_series(0, i) k) * "
FAILS = f"""CREATE TABLE log AS SELECT {AT.replace("i * ", AFTER)} AS at, 'm1' AS machine,
  {{}} {STEPS.replace("23", "79")};"""
CODES = FAILS.format("400 + i * i % 97 % 3 AS error_code")
TEXTS = FAILS.format("'E' || 400 + i * i % 97 % 3 AS message")


@pytest.mark.parametrize(
    ("table", "channel", "remark"),
    [
        (SIGNALS, "energy_kwh", "# CHECK: a counter? signal: counter (100.0% of 59 differences do "
         "not fall; its name energy_kwh)"),
        (SIGNALS, "tank", ""),
        (SIGNALS, "run_total", ""),
        (LOGINS, "login", "# CHECK: events? signal: event_count (60 rows all say 1, and come "
         "irregularly, 11 with the time of another one)"),
        (CODES, "error_code", "# CHECK: events? signal: event_count (80 rows say 3 codes, 27 the "
         "same as the row before, and come irregularly)"),
        (TEXTS, "message", "# CHECK: events? signal: event_count (80 rows say 3 texts, 27 the "
         "same as the row before, and come irregularly)"),
    ],
)  # fmt: skip
def test_totals_and_events_are_asked_about_and_not_set(
    filed_plant: Plant, tmp_path: Path, table: str, channel: str, remark: str
) -> None:
    filed_plant.run(table)
    files = drafted_table(filed_plant.source_uri, "log", connection="other", name="log")
    (line,) = (one for one in files.dataset.splitlines() if one.startswith(f"    {channel}:"))
    assert line == f"    {channel}: {{}}" + f"  {remark}" * bool(remark)
    (tmp_path / "log.yaml").write_text(files.dataset)
    assert named_config(tmp_path / "log.yaml").signals == ()


DAILY = f"""CREATE TABLE log AS SELECT {AT.replace("5 min", "1 day")} AS at, 'm1' AS machine,
  i * 1.5 AS ph {STEPS}"""


@pytest.mark.parametrize(
    ("table", "step"),
    [
        (TEXTS.replace("interval '5 min'", "interval '0.3 s'"),
         "step: 1min  # guessed: events come 15 s apart"),
        (DAILY,
         "step: 1h  # measured: readings are 86400 s apart; CHECK: no step is longer, so a level "
         "needs a valid_for to count meanwhile"),
    ],
)  # fmt: skip
def test_a_step_counts_events_and_is_an_hour_at_most(
    filed_plant: Plant, table: str, step: str
) -> None:
    filed_plant.run(table)
    files = drafted_table(filed_plant.source_uri, "log", connection="plant", name="log")
    (line,) = (one.strip() for one in files.dataset.splitlines() if one.startswith("  step:"))
    assert line == step


def test_an_id_that_comes_twice_may_be_that_of_an_event(filed_plant: Plant) -> None:
    filed_plant.run(TEXTS)
    filed_plant.run(
        "ALTER TABLE log ADD row_id serial, ADD event_uuid text;"
        "UPDATE log SET event_uuid = 'e' || row_id / 6 * 6 + least(row_id % 6, 4)"
    )
    files = drafted_table(filed_plant.source_uri, "log", connection="plant", name="log")
    (said,) = (one for one in files.told if "which event" in one)
    assert said == (
        "CHECK: event_uuid may say which event a row is of: 80 rows say 67. If so, add event_id: "
        "event_uuid to the channel, and each event counts once."
    )


# A long table whose values are texts: numbers, states that are written on change, error codes.
POINTS = """
  CREATE TABLE log AS
  SELECT $AT AS at, 'm' || j AS unit, 'V1.STATE' AS point,
    CASE WHEN i % 2 = 0 THEN 'OPEN' ELSE 'CLOSED' END AS val
  FROM generate_series(0, 23) i, generate_series(1, 2) j
  UNION ALL SELECT $AT, 'm' || j, 'RECIPE', (i / 8 + 1)::text
  FROM generate_series(0, 23) i, generate_series(1, 2) j
  UNION ALL SELECT '2024-05-01 10:00Z'::timestamptz
    + 7 * ((i * i * 13) % 997) * interval '1 s', 'm1', 'ALARM',
    CASE WHEN i % 5 < 3 THEN 'F12' ELSE 'F7' END FROM generate_series(0, 79) i
  UNION ALL SELECT $AT, 'm' || j, 'TT1', (20 + i / 7.0)::text
  FROM generate_series(0, 23) i, generate_series(1, 2) j;
""".replace("$AT", AT)
# The same as tags of a historian that name machine and channel.
AS_TAGS = """
  ALTER TABLE log ADD tagname text;
  UPDATE log SET tagname = unit || '.' || split_part(point, '.', 1);
  ALTER TABLE log DROP unit, DROP point
"""


@pytest.mark.parametrize(
    ("table", "state"), [(POINTS, "V1.STATE"), (POINTS + AS_TAGS, "V1")], ids=["points", "tags"]
)
def test_texts_of_a_long_table_are_asked_about_by_channel(
    filed_plant: Plant, table: str, state: str
) -> None:
    filed_plant.run(table)
    text = drafted_table(filed_plant.source_uri, "log", connection="plant", name="log").dataset
    assert (
        f"{state}: {{}}  # CHECK: states? signal: discrete, states: {{CLOSED: 0, OPEN: 1}} (48 "
        "values, all of them these texts)\n"
    ) in text
    assert (
        "RECIPE: {}  # CHECK: states? signal: discrete, states: [1, 2, 3] (48 values, only 1, 2, "
        "3, changed 4 times)\n"
    ) in text
    assert "ALARM: {}  # CHECK: events? signal: event_count (80 rows say 2 texts, " in text
    assert "TT1: {}\n" in text


def test_a_column_of_texts_that_is_left_out_may_be_states(filed_plant: Plant) -> None:
    table = f"""CREATE TABLE log AS SELECT {AT} AS at, 'm1' AS machine, i AS temp,
      CASE WHEN i / 7 % 2 = 0 THEN 'off' ELSE 'on' END AS pump {STEPS}"""
    filed_plant.run(table)
    told = drafted_table(filed_plant.source_uri, "log", connection="other", name="log").told
    (said,) = (one for one in told if "pump says" in one)
    assert said == (
        "CHECK: pump says one of 2 texts. If these are states, add to channels: "
        "pump: {signal: discrete, states: {'off': 0, 'on': 1}}"
    )


ODD_NAMES = ("two\nlines", "at", "x  # y", "long" * 20, "null", "\u202egnp")


@pytest.mark.parametrize("way", ["wide", "long", "tags"])
def test_odd_names_of_channels_are_drafted_and_read(
    filed_plant: Plant, tmp_path: Path, way: str
) -> None:
    names = [*ODD_NAMES[:3], *ODD_NAMES[4:]] if way == "wide" else [*ODD_NAMES]
    columns = ", ".join(f'{at} AS "{name}"' for at, name in enumerate(names))
    values = f"unnest(ARRAY{names}) n CROSS JOIN generate_series(0, 23) i"
    selects = {
        "wide": f"'m1' AS machine, {columns} {STEPS}",
        "long": f"'m1' AS machine, n AS tag, 1 AS value FROM {values}",
        "tags": f"'P1/' || n AS tag, 1 AS value FROM {values}",
    }
    filed_plant.run(f"CREATE TABLE log AS SELECT now() AS time, {selects[way]}")
    files = drafted_table(filed_plant.source_uri, "log", connection="other", name="log")
    (tmp_path / "log.yaml").write_text(files.dataset)
    (tmp_path / "log.tags.csv").write_text(files.tags)
    config = named_config(tmp_path / "log.yaml")
    assert len(config.channel_names) == len(names)
    check_dataset(config, filed_plant.source_uri, now_at=filed_plant.now_at)
    said = files.as_values()
    assert [*said["dataset"]["source"]["channels"]] == [*config.channel_names]
    assert {len(one["place"]) for one in said["from"]} == {2}
    filed_plant.ingest("10:00", "11:00", config)


def test_what_a_tags_file_cannot_name_is_told(filed_plant: Plant) -> None:
    filed_plant.run(
        "CREATE TABLE log AS SELECT now() AS time, n AS tag, 1 AS value "
        "FROM unnest(ARRAY['P1.FLOW', 'P1.TEMP ', ' P2.FLOW']) n, generate_series(0, 9) i"
    )
    files = drafted_table(filed_plant.source_uri, "log", connection="other", name="log")
    assert files.tags == "tag,entity,channel\nP1.FLOW,P1,FLOW\n"
    assert files.told[-1].startswith("CHECK: 2 tags are left out")


@pytest.mark.parametrize("name", ["log\nlabel: x", "log.2026", "Log 'x'"])
def test_a_table_of_an_odd_name_is_drafted_and_found(
    filed_plant: Plant, tmp_path: Path, name: str
) -> None:
    filed_plant.run(f'CREATE TABLE "{name}" AS SELECT {AT} AS at, i AS power {STEPS}')
    files = drafted_table(filed_plant.source_uri, f'"{name}"', connection="other", name="log")
    (tmp_path / "log.yaml").write_text(files.dataset)
    config = named_config(tmp_path / "log.yaml")
    assert config.source.label is None
    assert filed_plant.ingest("10:00", "11:00", config).n_rows == 12


def test_a_time_of_before_our_era_costs_its_row(filed_plant: Plant) -> None:
    filed_plant.run(
        "CREATE TABLE log AS SELECT CASE i WHEN 3 THEN '0044-03-15 BC' ELSE now() END AS time, "
        f"'m1' AS machine, 1 AS temp {STEPS}"
    )
    files = drafted_table(filed_plant.source_uri, "log", connection="other", name="log")
    assert "  time: {column: time}" in files.dataset


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("CREATE TABLE log (name text, value int); INSERT INTO log VALUES ('a', 1)", "of times"),
        ("CREATE TABLE log AS SELECT now() AS at, 'a' AS note", "columns of numbers"),
        ("CREATE TABLE log (at timestamptz, v int)", "rows in public.log"),
        ("SELECT 1", "Similar|no table that this login may see"),
    ],
)
def test_what_is_no_sensor_table_is_said(filed_plant: Plant, table: str, said: str) -> None:
    filed_plant.run(table)
    with pytest.raises((BadInput, SourceError), match=said):
        drafted_table(filed_plant.source_uri, "log", connection="other", name="log")


def test_a_draft_is_compared_with_its_own_one_of_several_sources(
    filed_plant: Plant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filed_plant.run(TABLES["tags of a historian"][0])
    monkeypatch.setenv("TSAD_CONNECTION_OTHER", filed_plant.source_uri)
    files = drafted_table(filed_plant.source_uri, "log", connection="other", name="plant")
    source = files.dataset[files.dataset.index("source:\n") :].splitlines()[1:]
    mine = ["  - " + source[0].strip(), *(f"  {line}" for line in source[1:])]
    text = "\n".join(mine).replace("plant.tags.csv", "log.tags.csv")
    names = "time: {column: at}, entity: {column: m}, channels: {x: {}}"
    theirs = f"  - {{connection: far, tables: t, {names}}}"
    path = tmp_path / "plant.yaml"
    path.write_text(f"dataset: plant\nsource:\n{theirs}\n{text}\nstartup_grace: 5min\n")
    (tmp_path / "log.tags.csv").write_text(files.tags)
    draft("other", "log", out="plant")
    assert "is written" not in capsys.readouterr().out
    path.write_text(path.read_text().replace("step: 5min", "step: 10min"))
    (tmp_path / "log.tags.csv").write_text(files.tags.replace("P2,FLOW", "P9,FLOW"))
    with pytest.raises(BadInput, match=r"Expected this source of .*plant\.yaml, and these tags"):
        draft("other", "log", out="plant")
    shown = capsys.readouterr().out
    lines = [line for line in shown.splitlines() if re.match(r"[+-](?![+-])", line)]
    assert [re.sub(" *#.*", "", line) for line in lines] == [
        "-  step: 10min", "+  step: 5min", "-P2.FLOW,P9,FLOW", "+P2.FLOW,P2,FLOW",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["../log", "A log", "", "log.yaml"])
def test_a_draft_is_written_under_a_name_that_a_dataset_may_have(
    filed_plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    filed_plant.run(TABLES["one machine"][0])
    monkeypatch.setenv("TSAD_CONNECTION_OTHER", filed_plant.source_uri)
    with pytest.raises(BadInput, match="--out: Expected a name of up to 48 small letters"):
        draft("other", "log", out=name)
    assert [*tmp_path.iterdir()] == []
