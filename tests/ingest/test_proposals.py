"""What check proposes of totals and events, with its evidence; what only grows is no total."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.plants.plant import Plant
from tests.statements import run
from tsad_tasks.base.interval import from_unix_s
from tsad_tasks.ingest.check import check_dataset

N = 12 * 24 * 8
START_S = 1_714_521_600
RNG = np.random.default_rng(4)
USED = np.cumsum(RNG.uniform(0.1, 0.7, N))
RESET = np.where(np.arange(N) < N - 30, 50 + USED, USED - USED[N - 30])
CHARGE = 40 + 30 * np.minimum(np.arange(N) % 288, 250) / 250 + USED / 1e4


def _said(plant: Plant, name: str, values: Any, **channel: Any) -> list[str]:
    plant.run("CREATE TABLE reading (at timestamptz, machine text, x float8)")
    times_s = [START_S + 300 * at for at in range(N)]
    given = times_s, np.asarray(values, float).tolist()
    insert = """
      INSERT INTO reading SELECT to_timestamp(t), 'm1', v
      FROM unnest(%s::float8[], %s::float8[]) AS s (t, v)"""
    run(plant.source_uri, insert, given)
    config = plant.config(channels={name: {"column": "x", **channel}}, step="5min")
    found = check_dataset(config, plant.source_uri, now_at=from_unix_s(START_S + 300 * N))
    return [one.text for one in found if re.search("signal|ticks|wraps_at", one.text)]


@pytest.mark.parametrize(
    ("name", "values", "evidence"),
    [
        ("energy_total", 5000 + USED, "it has grown for a week; its name energy_total"),
        ("x", 5000 + USED, "it has grown for a week"),
        ("x", RESET, "1 falls, 1 of them to 0"),
    ],
)
def test_a_total_is_proposed_with_its_evidence(
    empty_plant: Plant, name: str, values: Any, evidence: str
) -> None:
    (said,) = _said(empty_plant, name, values)
    assert "signal: counter" in said
    assert evidence in said


# Registers of 16 bits, which are full every day and once more of late; and of six digits.
PULSES = np.floor(2**16 - 30 + 700 * (USED - USED[-9])) % 2**16
LITRES = (1e6 - 0.1 + USED - USED[-9]) % 1e6


@pytest.mark.parametrize(
    ("name", "values", "width"),
    [("x", PULSES, "2^16"), ("pulses", PULSES, "2^16"), ("litres", LITRES, "1000000")],
)
def test_a_register_that_wraps_is_proposed_with_its_width(
    empty_plant: Plant, name: str, values: Any, width: str
) -> None:
    (said,) = _said(empty_plant, name, values)
    assert f"say signal: counter, wraps_at: {width}:" in said
    assert re.search(r"it falls \d times? from just below [\d,]+ to just above 0", said)


def test_a_declared_counter_that_wraps_asks_for_its_width(empty_plant: Plant) -> None:
    (said,) = _said(empty_plant, "pulses", PULSES, signal="counter")
    assert "say wraps_at: 2^16;" in said


def test_a_declared_counter_of_known_width_asks_nothing(empty_plant: Plant) -> None:
    assert _said(empty_plant, "pulses", PULSES, signal="counter", wraps_at=2**16) == []


# At random moments of six hours: errors, in a burst the same again; a valve when it is turned; a
# temperature now and then.
WHEN_S = np.sort(np.random.default_rng(5).uniform(0, 6 * 3600, 120)).round(3)


def _of_ticks(plant: Plant, **channel: Any) -> list[str]:
    """What check says of a water meter that writes a row each 10 litres."""
    plant.run("CREATE TABLE reading (at timestamptz, machine text, x float8)")
    times_s = (START_S + WHEN_S).tolist()
    insert = """
      INSERT INTO reading SELECT to_timestamp(t), 'm1', 5000 + 10 * n
      FROM unnest(%s::float8[]) WITH ORDINALITY AS s (t, n)"""
    run(plant.source_uri, insert, (times_s,))
    config = plant.config(channels={"litres_total": {"column": "x", **channel}}, step="5min")
    found = check_dataset(config, plant.source_uri, now_at=from_unix_s(START_S + 6 * 3600))
    return [one.text for one in found if re.search("signal|tick", one.text)]


@pytest.mark.parametrize("channel", [{}, {"signal": "counter", "per": "hour"}])
def test_a_meter_that_writes_a_row_a_tick_may_be_events(
    empty_plant: Plant, channel: dict[str, Any]
) -> None:
    (said,) = _of_ticks(empty_plant, **channel)
    assert said == (
        "litres_total looks like rows of ticks: each of 120 rows counts 10 more, and they come "
        "irregularly. Is it signal: event_count? Each row counts then, and no row is 0; as a "
        "counter, steps without one are unknown."
    )


def test_a_meter_of_ticks_that_is_declared_as_events_asks_nothing(empty_plant: Plant) -> None:
    assert _of_ticks(empty_plant, signal="event_count") == []


CREDIT = np.where(np.arange(N) < N - 20, 900.0, 1300.0) - USED


def test_a_total_that_counts_down_is_told_how_to_be_turned(empty_plant: Plant) -> None:
    (said,) = _said(empty_plant, "credit_kwh", CREDIT)
    assert said == (
        "credit_kwh may be a total that counts down (100.0% of 71 differences do not rise, but for "
        "1 by which it is filled up; its name credit_kwh). If so, turn its sign by a query, and "
        "say signal: counter."
    )


def test_a_declared_counter_that_counts_down_is_told(empty_plant: Plant) -> None:
    (said,) = _said(empty_plant, "credit_kwh", CREDIT, signal="counter")
    assert said.startswith("credit_kwh falls in 70 of 71 differences, while signal: counter is")


@pytest.mark.parametrize("name", ["tank_level", "battery_charge", "x"])
def test_what_is_emptied_is_no_total_that_counts_down(empty_plant: Plant, name: str) -> None:
    assert _said(empty_plant, name, CREDIT) == []


def test_of_several_meters_one_may_have_begun_anew(empty_plant: Plant) -> None:
    """No name says that they are totals; that most of them have grown for a week does."""
    empty_plant.run("CREATE TABLE reading (at timestamptz, machine text, x float8)")
    totals = {"m1": USED, "m2": 900 + USED, "m3": np.where(np.arange(N) < N - 400, 4e4, 700) + USED}
    times_s = [START_S + 300 * at for at in range(N)]
    insert = """
      INSERT INTO reading SELECT to_timestamp(t), %s, v
      FROM unnest(%s::float8[], %s::float8[]) AS s (t, v)"""
    for machine, values in totals.items():
        run(empty_plant.source_uri, insert, (machine, times_s, values.tolist()))
    config = empty_plant.config(channels={"x": {}}, step="5min")
    now_at = from_unix_s(START_S + 300 * N)
    found = check_dataset(config, empty_plant.source_uri, now_at=now_at)
    (said,) = [one.text for one in found if "signal" in one.text]
    assert "it has grown for a week" in said


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("tank_level", 5 + USED / 100),
        ("x", CHARGE),
        ("battery", CHARGE),
        ("uptime", 300.0 * np.arange(N)),
        ("x", 300.0 * np.arange(N)),
        ("temperature", 20 + np.sin(np.arange(N) / 40)),
    ],
)
def test_what_only_grows_is_not_proposed(empty_plant: Plant, name: str, values: Any) -> None:
    assert _said(empty_plant, name, values) == []


def test_a_declared_counter_is_not_proposed(empty_plant: Plant) -> None:
    assert _said(empty_plant, "energy_total", USED, signal="counter") == []


@pytest.mark.parametrize(
    ("ticks_a_step", "size", "advice"),
    [(0.4, 1.0, "Set step: 1h"), (2.0, 1.0, "Set step: 15min"), (2.0, 0.1, "Set step: 15min")],
)
def test_a_meter_of_few_ticks_a_step_asks_for_a_longer_one(
    empty_plant: Plant, ticks_a_step: float, size: float, advice: str
) -> None:
    used = ticks_a_step * (np.arange(N) + 0.4 * np.sin(np.arange(N)))
    total = (np.floor(used) * size).round(1)
    (said,) = _said(empty_plant, "energy_total", total, signal="counter")
    found = re.match(r"energy_total ticks every (\d+) s, by ([\d.]+), the step is 300 s", said)
    assert found
    assert float(found[1]) == pytest.approx(300 / ticks_a_step, rel=0.05)
    assert float(found[2]) == pytest.approx(size)
    assert f"it holds {ticks_a_step:.1f} ticks" in said
    assert advice in said
    assert "; per: hour says" in said


@pytest.mark.parametrize(
    "total", [np.arange(N) * 40.0, USED, np.floor(USED * 100) / 100, np.full(N, 7.0)]
)
def test_a_meter_of_many_ticks_or_none_asks_for_no_longer_step(
    empty_plant: Plant, total: Any
) -> None:
    assert _said(empty_plant, "energy_total", total, signal="counter") == []


CODES = np.random.default_rng(6).choice([100, 404, 500, 503], 120)
TURNS = np.arange(120) % 2
WARM = (20 + np.random.default_rng(7).normal(0, 1, 120)).round(2)


def _of_log(plant: Plant, name: str, values: Any, shape: str = "wide") -> list[str]:
    """What check says of a table with rows at random moments."""
    kind = "text" if np.asarray(values).dtype.kind == "U" else "float8"
    plant.run(f"CREATE TABLE reading (at timestamptz, machine text, item text, x {kind})")
    insert = """
      INSERT INTO reading SELECT (json_populate_record(NULL::reading, one)).*
      FROM json_array_elements(%s::json) one"""
    rows = [
        {"at": str(from_unix_s(START_S) + timedelta(seconds=s)),
         "machine": "m1", "item": name, "x": value}
        for s, value in zip(WHEN_S.tolist(), np.asarray(values).tolist(), strict=True)
    ]  # fmt: skip
    run(plant.source_uri, insert, (json.dumps(rows),))
    long: Any = {"shape": "long", "channel_column": "item", "value_column": "x"}
    source = {"channels": {name: {}}} | long if shape == "long" else {
        "channels": {name: {"column": "x"}}
    }  # fmt: skip
    found = check_dataset(
        plant.config(**source, step="5min"), plant.source_uri, now_at=from_unix_s(START_S + 21600)
    )
    return [one.text for one in found if "Is it signal" in one.text or "apart" in one.text]


@pytest.mark.parametrize("shape", ["wide", "long"])
@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        ("error_code", CODES, "4 codes"),
        ("message", np.char.add("E", CODES.astype("U3")), "4 texts"),
    ],
)
def test_rows_of_an_error_log_are_proposed_as_events(
    empty_plant: Plant, name: str, values: Any, what: str, shape: str
) -> None:
    said = _of_log(empty_plant, name, values, shape)
    again = int((np.diff(CODES) == 0).sum())
    evidence = f"120 rows say {what}, {again} the same as the row before, and come irregularly"
    (line,) = (one for one in said if "event_count" in one)
    assert line.startswith(f"{name}: These look like events: {evidence}. Is it signal: event_count")
    assert not any("apart" in one for one in said)


def test_of_a_log_of_few_rows_the_days_before_say_that_they_are_events(empty_plant: Plant) -> None:
    create = """
      CREATE TABLE reading AS SELECT 'm1' AS machine, 'E' || i * i %% 97 %% 3 AS message,
      to_timestamp(%s) + make_interval(mins => (i * 60 + i * i %% 97)::int) AS at
      FROM generate_series(0, 90) i"""
    run(empty_plant.source_uri, create, (START_S,))
    config = empty_plant.config(channels={"message": {}}, step="1h")
    now_at = from_unix_s(START_S + 93 * 3600)
    found = check_dataset(config, empty_plant.source_uri, now_at=now_at)
    (said,) = (one.text for one in found if "event_count" in one.text)
    assert said.startswith("message: These look like events: 91 rows say 3 texts")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("valve", TURNS),
        ("door", np.where(TURNS, "open", "closed")),
        ("temp", WARM),
        ("x", CODES),
        ("error_level", WARM),
    ],
)
def test_what_is_written_on_change_or_now_and_then_is_no_event(
    empty_plant: Plant, name: str, values: Any
) -> None:
    assert not any("event_count" in one for one in _of_log(empty_plant, name, values))


@pytest.mark.parametrize(
    ("per_day", "step", "advice"),
    [
        (1, "1min", "1 of 1,440 steps has one, of which little can be learned. Set step: 1h (1 of"),
        (144, "1min", ""),
        (
            24,
            "1min",
            "1 of 60 steps has one, of which little can be learned. Set step: 15min (1 of",
        ),
        (1, "1h", ""),
    ],
)
def test_events_of_which_few_steps_have_one_ask_for_a_longer_step(
    empty_plant: Plant, per_day: int, step: str, advice: str
) -> None:
    create = """
      CREATE TABLE reading AS SELECT 'm1' AS machine, at FROM generate_series(
      to_timestamp(%s), to_timestamp(%s), make_interval(secs => %s)) at"""
    span = START_S, START_S + 8 * 86400 - 1
    run(empty_plant.source_uri, create, (*span, 86400 // per_day))
    config = empty_plant.config(
        channels={"trips": {"column": "machine", "signal": "event_count"}}, step=step
    )
    now_at = from_unix_s(START_S + 8 * 86400)
    found = [one.text for one in check_dataset(config, empty_plant.source_uri, now_at=now_at)]
    said = [one for one in found if one.startswith("trips: ")]
    assert len(said) == bool(advice)
    assert all(advice in one for one in said)


def test_a_count_of_rows_is_proposed_as_events(empty_plant: Plant) -> None:
    (said,) = _said(empty_plant, "logins", np.ones(N), aggregate="count")
    assert "signal: event_count" in said
