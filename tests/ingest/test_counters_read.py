"""Counters and events of a source, hour by hour and all at once, from rows to stored readings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.plants.plant import SOURCE, Plant, at
from tests.statements import run
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest import ingest

METER = {"channels": {"temp": {"signal": "counter", "per": "step"}, "load": {}}}
LONG = METER | {"shape": "long", "channel_column": "channel", "value_column": "value"}
WIDE_TABLE = "CREATE TABLE reading (at timestamptz, machine text, temp float8, load float8);"
LONG_TABLE = "CREATE TABLE reading (at timestamptz, machine text, channel text, value float8);"
VERDICTS = """
SELECT e.name, to_char(q.hour_at AT TIME ZONE 'UTC', 'HH24'), q.verdict, q.n_steps
FROM tsad.quality q JOIN tsad.entity e USING (entity_id) ORDER BY 1, 2, 3"""


@pytest.fixture
def plant(empty_plant: Plant) -> Plant:
    return empty_plant


def _fill(plant: Plant, rows: str, *, long: bool = False) -> None:
    """A table with rows `HH:MM total machine`, one each line, of m1 where it names none."""
    plant.run(LONG_TABLE if long else WIDE_TABLE)
    for line in rows.splitlines():
        time, total, machine = [*line.split(), "m1"][:3]
        value = None if total == "-" else float(total)
        row = (at(time), machine, "temp", value) if long else (at(time), machine, value, 1)
        run(plant.source_uri, "INSERT INTO reading VALUES (%s, %s, %s, %s)", row)


def _temps(plant: Plant, machine: str = "m1") -> dict[str, float]:
    return {
        time: round(value, 9)
        for (name, time, channel), value in plant.readings().items()
        if (name, channel) == (machine, "temp")
    }


TWO_HOURS = """08:00 100
08:10 103
08:20 106
08:30 109
08:40 112
08:50 115
09:00 118
09:10 4
09:20 7"""


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("order", ["at once", "forwards", "backwards"])
def test_an_hour_begins_with_the_last_total_before_it(plant: Plant, order: str, long: bool) -> None:
    _fill(plant, TWO_HOURS, long=long)
    config = plant.config(**(LONG if long else METER))
    hours = [("08:00", "09:00"), ("09:00", "10:00")]
    spans = {"at once": [("08:00", "10:00")], "forwards": hours, "backwards": hours[::-1]}[order]
    for span in spans:
        plant.ingest(*span, config)
    assert _temps(plant) == {
        **dict.fromkeys(("08:10", "08:20", "08:30", "08:40", "08:50", "09:00"), 3),
        "09:10": 4,
        "09:20": 3,
    }
    assert plant.rows(VERDICTS) == [("m1", "09", "counter_reset", 1)]


def test_a_row_without_a_total_says_nothing_of_it(plant: Plant) -> None:
    _fill(plant, "08:30 100\n08:40 104\n08:50 -\n09:00 112\n09:10 116")
    plant.ingest("09:00", "10:00", plant.config(**METER))
    assert _temps(plant) == {"09:00": 4, "09:10": 4}


def test_a_late_total_changes_the_hour_after_it(plant: Plant) -> None:
    _fill(plant, "08:10 100\n08:40 109\n09:00 121\n09:10 124")
    config = plant.config(**METER, late_rows_within="3h")
    plant.now_at = at("10:05")
    plant.ingest("09:00", "10:00", config)
    assert _temps(plant)["09:00"] == 6
    plant.run("INSERT INTO reading VALUES ('2024-05-01 08:50Z', 'm1', 112, 1)")
    plant.ingest("09:00", "10:00", config)
    assert _temps(plant)["09:00"] == 9


def test_a_gap_is_spread_over_the_hour_in_which_it_ends(plant: Plant) -> None:
    _fill(plant, "07:00 100\n07:10 101\n12:20 132\n12:30 133")
    plant.ingest("07:00", "13:00", plant.config(**METER))
    assert _temps(plant) == {
        "07:10": 1, "12:00": 1, "12:10": 1, "12:20": 1, "12:30": 1,
    }  # fmt: skip
    assert plant.rows(VERDICTS) == [("m1", "12", "spread_over_gap", 3)]


@pytest.mark.parametrize("total", [1, 900_000])
def test_another_meter_is_unknown_and_told(plant: Plant, total: int) -> None:
    rows = "\n".join(f"0{8 + i // 6}:{i % 6}0 {50_000 + 0.01 * i:.2f}" for i in range(8))
    _fill(plant, f"{rows}\n09:20 {total}\n09:30 {total + 0.01}")
    plant.ingest("08:00", "10:00", plant.config(**METER))
    found = _temps(plant)
    assert "09:20" not in found
    assert found["09:30"] == pytest.approx(0.01)
    assert plant.rows(VERDICTS) == [("m1", "09", "meter_replaced", 1)]


def test_marks_are_told_again_as_they_are_then(plant: Plant) -> None:
    _fill(plant, "08:00 100\n08:10 103\n08:20 2\n08:30 5")
    config = plant.config(**METER)
    plant.ingest("08:00", "09:00", config)
    assert plant.rows(VERDICTS) == [("m1", "08", "counter_reset", 1)]
    plant.run("UPDATE reading SET temp = temp + 104 WHERE temp < 50")
    plant.ingest("08:00", "09:00", config, force=True)
    assert plant.rows(VERDICTS) == []
    assert _temps(plant) == {"08:10": 3, "08:20": 3, "08:30": 3}


def test_consumption_of_several_meters_of_one_entity_is_added(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSAD_DATASETS", str(tmp_path))
    (tmp_path / "plant.tags.csv").write_text("id,entity,channel,scale\n1,m1,temp,1\n2,m1,temp,10\n")
    plant.run("""
      CREATE TABLE history (id int, at timestamptz, value float8);
      INSERT INTO history
      SELECT 1, t, 2 * extract(epoch FROM t) / 600
      FROM generate_series('2024-05-01 08:00Z'::timestamptz, '2024-05-01 09:20Z', '10min') t;
      INSERT INTO history
      SELECT 2, t, CASE WHEN t < '2024-05-01 09:10Z' THEN 3000 ELSE 0 END
        + 5 * (extract(epoch FROM t) - extract(epoch FROM '2024-05-01 09:00Z'::timestamptz)) / 600
      FROM generate_series('2024-05-01 08:00Z'::timestamptz, '2024-05-01 09:20Z', '10min') t""")
    source = {name: value for name, value in SOURCE.items() if name not in ("entity", "channels")}
    source |= {
        "tables": "history",
        "series": "id",
        "tags": "plant.tags.csv",
        "value_column": "value",
    }
    source |= {"channels": {"temp": {"signal": "counter", "per": "step", "across": "sum"}}}
    config = DatasetConfig.model_validate({"dataset": "plant", "source": source})
    plant.ingest("09:00", "10:00", config)
    assert _temps(plant) == {"09:00": 52, "09:10": 52, "09:20": 52}
    assert plant.rows(VERDICTS) == [("m1", "09", "counter_reset", 1)]


def test_a_dataset_without_counters_asks_nothing_more(plant: Plant) -> None:
    _fill(plant, TWO_HOURS)
    assert not plant.config().source.needs_before
    gauge: dict[str, Any] = {"channels": {"temp": {"signal": "gauge"}, "load": {}}}
    plant.ingest("08:00", "10:00", plant.config(**gauge))
    assert _temps(plant)["09:10"] == 4


def test_an_idle_meter_is_no_sensor_that_is_stuck_or_at_its_limit(plant: Plant) -> None:
    plant.run(WIDE_TABLE)
    plant.run("""
      INSERT INTO reading
      SELECT t, 'm1', CASE WHEN t < '2024-05-01 06:00Z' THEN n + n % 3 ELSE 500 END, n
      FROM generate_series('2024-04-28 00:00Z'::timestamptz, '2024-05-01 08:59Z', '1min')
        WITH ORDINALITY AS s (t, n)""")
    channels = {"temp": {"signal": "counter"}, "load": {}}
    config = plant.config(channels=channels, step="1min", late_rows_within="0s")
    plant.ingest("2024-04-28 00:00", "2024-05-01 09:00", config)
    assert {verdict for _, _, verdict, _ in plant.rows(VERDICTS)} <= {"meter_replaced"}


EVENT = {"column": "user_name", "signal": "event_count"}
EVENTS: dict[str, Any] = {"tables": "login", "entity": {"column": "shop"},
                          "channels": {"logins": EVENT}}  # fmt: skip
LOGINS = [
    ("08:32:10", "a"), ("08:32:10", "b"), ("08:32:10", "b"), ("08:51:00", None), ("09:20:00", "c"),
    ("09:20:01", "c"), ("10:40:00", "c"),
]  # fmt: skip


def _log_in(plant: Plant) -> None:
    plant.run("CREATE TABLE login (at timestamptz, shop text, user_name text, id text)")
    for time, name in LOGINS:
        run(plant.source_uri, "INSERT INTO login VALUES (%s, 'de', %s, %s)", (at(time), name, name))


def _counts(plant: Plant, shop: str = "de") -> dict[str, float]:
    found = plant.readings().items()
    return {time: value for (name, time, _), value in found if name == shop}


COUNTED = {
    "08:30": 3.0, "08:40": 0, "08:50": 1, "09:00": 0, "09:10": 0, "09:20": 2, "09:30": 0,
    "09:40": 0, "09:50": 0, "10:00": 0, "10:10": 0, "10:20": 0, "10:30": 0, "10:40": 1, "10:50": 0,
}  # fmt: skip


@pytest.mark.parametrize("hours", ["8", "8 9 10", "10 9 8", "9 10 8", "10 8 9"])
def test_each_row_is_an_event_and_no_row_is_none_in_any_order(plant: Plant, hours: str) -> None:
    _log_in(plant)
    config = plant.config(**EVENTS)
    if hours == "8":
        plant.ingest("08:00", "11:00", config)
    for hour in hours.split() if hours != "8" else ():
        plant.ingest(f"{int(hour):02}:00", f"{int(hour) + 1:02}:00", config)
    assert _counts(plant) == COUNTED
    assert plant.issues() == {("new_entity", "de", ""): 1} or hours != "8"


@pytest.mark.parametrize(
    "broken",
    [
        "RENAME COLUMN user_name TO who",
        "RENAME COLUMN shop TO store",
        "ALTER COLUMN at TYPE text USING 'some day'",
    ],
)
def test_of_a_table_of_events_that_cannot_be_read_no_row_is_not_none(
    plant: Plant, broken: str
) -> None:
    _log_in(plant)
    plant.run("CREATE TABLE login_fr (LIKE login)")
    plant.run("INSERT INTO login_fr SELECT at, 'fr', user_name, id FROM login")
    config = plant.config(**EVENTS | {"tables": ["login", "login_fr"]})
    plant.ingest("08:00", "09:00", config)
    plant.run(f"ALTER TABLE login {broken}")
    plant.ingest("09:00", "11:00", config)
    here = {time: value for time, value in COUNTED.items() if time < "09"}
    assert _counts(plant) == here
    assert _counts(plant, "fr") == here | {"09:20": 2, "10:40": 1}


def test_an_event_that_is_delivered_again_counts_once(plant: Plant) -> None:
    _log_in(plant)
    channels = {"logins": EVENT | {"event_id": "id"}}
    plant.ingest("08:00", "11:00", plant.config(**EVENTS | {"channels": channels}))
    assert _counts(plant) == COUNTED | {"08:30": 2, "09:20": 1}
    assert plant.issues()["duplicate", "de", ""] == 2


def test_a_long_table_of_events_counts_by_channel(plant: Plant) -> None:
    plant.run("CREATE TABLE event (at timestamptz, shop text, kind text, value text)")
    for time, kind in (("08:00:10", "login"), ("08:00:10", "login"), ("08:10:00", "error")):
        run(plant.source_uri, "INSERT INTO event VALUES (%s, 'de', %s, NULL)", (at(time), kind))
    source = EVENTS | {"tables": "event", "shape": "long", "channel_column": "kind"}
    counted = {"signal": "event_count"}
    source |= {"value_column": "value", "channels": {"login": counted, "error": counted}}
    plant.ingest("08:00", "09:00", plant.config(**source))
    found = {key[1:]: value for key, value in plant.readings().items()}
    assert [found["08:00", name] for name in ("login", "error")] == [2, 0]
    assert [found["08:10", name] for name in ("login", "error")] == [0, 1]
    assert len(found) == 12


def test_steps_that_have_not_settled_are_not_zero(plant: Plant) -> None:
    _log_in(plant)
    plant.now_at = at("09:25")
    plant.ingest("08:00", "09:00", plant.config(**EVENTS))
    plant.ingest("09:00", "09:20", plant.config(**EVENTS))
    assert max(_counts(plant)) == "09:10"


def test_hours_that_the_source_has_lost_are_not_zero(plant: Plant) -> None:
    _log_in(plant)
    config = plant.config(**EVENTS)
    plant.ingest("08:00", "09:00", config)
    plant.run("DELETE FROM login WHERE at < '2024-05-01 10:00Z'")
    plant.ingest("08:00", "11:00", config, force=True)
    assert _counts(plant) == {
        "08:30": 3, "08:40": 0, "08:50": 1, "10:40": 1, "10:50": 0,
    }  # fmt: skip


def test_an_entity_that_is_retired_has_no_zeros_any_more(plant: Plant) -> None:
    _log_in(plant)
    config = plant.config(**EVENTS)
    plant.ingest("08:00", "10:00", config)
    run(
        plant.warehouse_uri,
        "SELECT tsad.retire_entity('plant', 'de', 'closed', '2024-05-01 10:00Z')",
    )
    plant.run("DELETE FROM login WHERE at > '2024-05-01 10:00Z'")
    plant.ingest("10:00", "11:00", config)
    assert max(_counts(plant)) == "09:50"


OF_SHOPS = """
CREATE TABLE login (at timestamptz, shop text, user_name text, id text);
INSERT INTO login SELECT t, 'fr', 'x', '' FROM generate_series(
  '2024-05-01 08:00Z'::timestamptz, '2024-05-01 15:50Z', '10 min') t;
INSERT INTO login VALUES ('2024-05-01 08:30Z', 'de', 'x', ''), ('2024-05-01 09:20Z', 'de', 'x', '')
"""
BACK = "INSERT INTO login VALUES ('2024-05-01 14:20Z', 'de', 'x', '')"
EARLIER = "INSERT INTO login VALUES ('2024-05-01 12:40Z', 'de', 'x', '')"


def _say(plant: Plant, what: str) -> None:
    run(plant.warehouse_uri, f"SELECT tsad.{what}")


def _retire(plant: Plant) -> None:
    _say(plant, "retire_entity('plant', 'de', 'closed', '2024-05-01 10:30Z')")


def _steps(start: str, end: str, **events: float) -> dict[str, float]:
    """Zeros of the steps of [start, end), but in those that are given, such as `at_0830`."""
    times = [f"{n // 6:02}:{n % 6}0" for n in range(24 * 6)]
    counted = {f"{key[3:5]}:{key[5:]}": value for key, value in events.items()}
    return {time: counted.get(time, 0) for time in times if start <= time < end}


ALIVE = _steps("08:30", "10:30", at_0830=1, at_0920=1)


@pytest.mark.parametrize("order", ["live", "at once", "backwards"])
def test_events_are_counted_until_an_entity_is_retired_and_from_its_return(
    plant: Plant, order: str
) -> None:
    plant.run(OF_SHOPS)
    config = plant.config(**EVENTS)
    hours = [(f"{hour:02}:00", f"{hour + 1:02}:00") for hour in range(8, 16)]
    if order == "live":
        for span in hours[:5]:
            plant.ingest(*span, config)
        assert _counts(plant) == ALIVE | _steps("10:30", "13:00")
        # The word comes hours after it was so.
        _retire(plant)
        plant.ingest(*hours[5], config)
        assert _counts(plant) == ALIVE
        plant.run(BACK)
        for span in hours[6:]:
            plant.ingest(*span, config)
    else:
        plant.run(BACK)
        plant.ingest(*hours[0], config)
        _retire(plant)
        for span in [("08:00", "16:00")] if order == "at once" else hours[::-1]:
            plant.ingest(*span, config)
    again = _steps("14:20", "16:00", at_1420=1)
    assert _counts(plant) == ALIVE | again
    # A late row before the return: it was back by then.
    plant.run(EARLIER)
    plant.ingest("12:00", "13:00", config, force=True)
    again = _steps("12:40", "16:00", at_1240=1, at_1420=1)
    assert _counts(plant) == ALIVE | again
    _say(plant, "unretire_entity('plant', 'de', 'it was another')")
    plant.ingest("15:00", "16:00", config)
    assert _counts(plant) == ALIVE | _steps("10:30", "12:40") | again
    blocks = "SELECT max(revision) FROM tsad.reading_block"
    revisions = plant.rows(blocks)
    assert plant.ingest("15:00", "16:00", config).n_hours_read == 0
    assert plant.rows(blocks) == revisions


def test_what_is_taken_back_before_any_run_changes_nothing(plant: Plant) -> None:
    plant.run(OF_SHOPS)
    config = plant.config(**EVENTS)
    plant.ingest("08:00", "13:00", config)
    _retire(plant)
    _say(plant, "unretire_entity('plant', 'de', 'it was another')")
    assert plant.ingest("12:00", "13:00", config).n_hours_read == 0
    assert _counts(plant) == ALIVE | _steps("10:30", "13:00")


def test_of_a_table_that_has_gone_no_row_is_not_none(plant: Plant) -> None:
    for shop in ("de", "fr"):
        plant.run(f"CREATE TABLE login_{shop} (at timestamptz, user_name text, id text)")
        fill = "INSERT INTO login_SHOP VALUES ('2024-05-01 08:30Z', 'x', '')"
        plant.run(fill.replace("SHOP", shop))
    source = EVENTS | {"tables": "login_*", "entity": {"from_table": "login_(.*)"}}
    config = plant.config(**source)
    plant.ingest("08:00", "09:00", config)
    plant.run("ALTER TABLE login_de RENAME TO kept")
    plant.ingest("09:00", "10:00", config)
    plant.now_at = at("11:05")
    plant.ingest("10:00", "11:00", config)
    assert _counts(plant) == _steps("08:30", "09:00", at_0830=1)
    assert _counts(plant, "fr") == _steps("08:30", "11:00", at_0830=1)


def _in_tables(plant: Plant, **shops: str) -> None:
    """A table of each name, with an event of each of these shops at 8:30 of the first of May."""
    for name, words in shops.items():
        plant.run(f"CREATE TABLE login_{name} (at timestamptz, shop text, user_name text, id text)")
        for shop in words.split():
            fill = f"INSERT INTO login_{name} VALUES ('2024-05-01 08:30Z', %s, 'x', '')"  # noqa: S608
            run(plant.source_uri, fill, (shop,))


SHARED = EVENTS | {"tables": "login_*"}
GONE = "SELECT entity, hour_at, detail FROM tsad.ingest_issue WHERE issue = 'unusable_table'"


def test_of_a_shared_table_that_has_gone_no_row_is_not_none(plant: Plant) -> None:
    _in_tables(plant, north="de dk", south="fr")
    config = plant.config(**SHARED)
    plant.ingest("08:00", "09:00", config)
    plant.run("DROP TABLE login_north")
    plant.ingest("09:00", "10:00", config)
    known = _steps("08:30", "09:00", at_0830=1)
    assert (_counts(plant), _counts(plant, "dk")) == (known, known)
    assert _counts(plant, "fr") == _steps("08:30", "10:00", at_0830=1)
    why = "public.login_north: it had its rows until 2024-05-01, and is gone; no row is no 0"
    assert plant.rows(GONE) == [(shop, at("09:00"), why) for shop in ("de", "dk")]
    # Its rows come in another table: from that hour on.
    _in_tables(plant, west="de")
    plant.run("UPDATE login_west SET at = '2024-05-02 03:20Z'")
    plant.ingest("2024-05-02 01:00", "2024-05-02 04:00", config)
    assert _counts(plant) == known | _steps("03:00", "04:00", at_0320=1)
    # What lies between stays unknown, though it is read once more.
    plant.ingest("09:00", "10:00", config, force=True)
    assert _counts(plant) == known | _steps("03:00", "04:00", at_0320=1)


def test_an_old_table_of_a_rotation_may_go(plant: Plant) -> None:
    _in_tables(plant, april="de", may="de")
    plant.run("UPDATE login_april SET at = '2024-04-30 23:10Z'")
    config = plant.config(**SHARED)
    plant.ingest("2024-04-30 23:00", "2024-05-01 09:00", config)
    plant.run("DROP TABLE login_april")
    plant.ingest("09:00", "10:00", config)
    assert _counts(plant)["09:50"] == 0
    assert plant.rows(GONE) == []


# Runs that are weeks apart lock no hour of one another.
LATER = "2024-07-01 10:00", "2024-07-01 11:00"


@pytest.mark.parametrize(
    ("moment", "is_heard"), [("joined", True), ("joined", False), ("life_ends", False)]
)
def test_a_run_counts_an_entity_that_becomes_known_while_it_reads(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, moment: str, is_heard: bool
) -> None:
    _log_in(plant)
    if is_heard:
        plant.run("INSERT INTO login VALUES ('2024-07-01 10:40Z', 'de', 'x', '')")
    config, looked, runs = plant.config(**EVENTS), getattr(ingest, moment), [("08:00", "09:00")]

    def meanwhile(*of: Any) -> Any:
        # Another one comes between, reads hours of May and ends, before or after it is decided what
        # counts in July.
        found = looked(*of) if moment == "life_ends" else None
        while runs:
            plant.ingest(*runs.pop(), config)
        return looked(*of) if moment == "joined" else found

    monkeypatch.setattr(ingest, moment, meanwhile)
    plant.ingest(*LATER, config)
    counted = {time: n for time, n in COUNTED.items() if time < "09"}
    assert _counts(plant) == counted | _steps("10:00", "11:00", at_1040=float(is_heard))
