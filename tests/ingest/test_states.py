"""States of a source as they are stored: the last one of a step, shares of the step in each, and
how often it changed; never a mean, the same however hours are read.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.plants.emptied import empty
from tests.plants.plant import SOURCE, Plant
from tests.statements import run
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.check import check_dataset
from tsad_tasks.ingest.grid import HOUR_US, Grid, Rows, States, to_grid
from tsad_tasks.ingest.held import UNTIL_CHANGED, Validity, heard_spans
from tsad_tasks.training.reader import feature_spec_of

quick = settings(max_examples=80, deadline=None, derandomize=True)
GRID = Grid(0, HOUR_US, 600, n_entities=1, n_channels=1)
CODES = (0.0, 1.0, 2.0)
READINGS = st.dictionaries(st.integers(0, 3599), st.sampled_from([*CODES, 7.0, math.nan]))


def _rows(content: dict[int, float]) -> Rows:
    nothing = np.zeros(len(content), np.intp), np.zeros(len(content), np.int64)
    values = np.array([*content.values()], float).reshape(-1, 1)
    return Rows(np.array([*content], np.int64) * 1_000_000, *nothing, values)


def _slow_shares(found: list[tuple[float, float]]) -> list[float]:
    """Of values with weights: shares of the codes and of others; NaN where nothing is known."""
    total = sum(weight for _, weight in found)
    if not total:
        return [math.nan] * 4
    of_codes = [sum(w for v, w in found if v == code) / total for code in CODES]
    return [*of_codes, sum(w for v, w in found if v not in CODES) / total]


@quick
@given(READINGS)
def test_a_step_is_in_states_for_shares_of_it_and_changes(content: dict[int, float]) -> None:
    found = to_grid(_rows(content), GRID, [States(CODES)]).values[0]
    assert found.shape == (6, 6)
    for step in range(GRID.n_steps):
        of_step = [v for t, v in sorted(content.items()) if t // 600 == step and not math.isnan(v)]
        wanted = _slow_shares([(value, 1.0) for value in of_step])
        changes = float(sum(a != b for a, b in pairwise(of_step))) if of_step else math.nan
        last = of_step[-1] if of_step else math.nan
        np.testing.assert_allclose(found[step], [last, *wanted, changes], rtol=1e-12)


@quick
@given(READINGS)
def test_states_that_stay_valid_count_for_as_long_as_they_hold(content: dict[int, float]) -> None:
    rows = _rows(content)
    heard = heard_spans(rows.entity, rows.times_us, 2 * HOUR_US)
    validity = Validity(np.array([UNTIL_CHANGED]), heard, HOUR_US)
    found = to_grid(rows, GRID, [States(CODES)], validity).values[0]
    times = sorted(content)
    for step in range(GRID.n_steps):
        held = []
        for time, end in pairwise([*times, 3600]):
            seconds = min(end, 600 * (step + 1)) - max(time, 600 * step)
            known = seconds > 0 and not math.isnan(content[time])
            held += [(content[time], float(seconds))] if known else []
        wanted = _slow_shares(held)
        changed = [
            content[a] != content[b] and not math.isnan(content[a] + content[b])
            for a, b in pairwise(times)
            if b // 600 == step
        ]
        changes = float(sum(changed)) if held else math.nan
        np.testing.assert_allclose(found[step, 1:], [*wanted, changes], rtol=1e-9, atol=1e-12)


def _config(**channel: Any) -> DatasetConfig:
    source = SOURCE | {"channels": {"valve": {"signal": "discrete", **channel}, "temp": {}}}
    return DatasetConfig.model_validate({"dataset": "plant", "source": source})


@pytest.mark.parametrize(
    ("channel", "named"),
    [
        ({"aggregate": "mean"}, "last or no such field, since states have no mean"),
        ({"aggregate": "max"}, "last or no such field"),
        ({"across": "max"}, "no such field, since the states of several series are not one"),
        ({"states": 3}, "a list of numbers such as"),
        ({"states": ["auto"]}, "a list of numbers such as"),
        ({"states": [1, 1]}, "states of different numbers"),
        ({"states": {"on": 1, "open": 1}}, "1 to 20 states of different names"),
        ({"states": []}, "a list of numbers such as"),
        ({"states": {"other": 1}}, "none of them other"),
        ({"states": [*range(21)]}, "1 to 20 states"),
        ({"states": {"x" * 60: 1}}, "names so short that"),
        ({"signal": "gauge", "states": [0, 1]}, "no such field, since the channel is not discrete"),
    ],
)
def test_what_does_not_go_with_states_is_a_clear_error(channel: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        _config(**channel)


def test_a_word_of_the_source_is_no_other_number_as_a_state() -> None:
    channels = {"a": {"signal": "discrete", "states": {"on": 5, "idle": 0}}}
    source = SOURCE | {"channels": channels, "words": {"on": 1}}
    with pytest.raises(ValidationError, match="1, as words have it"):
        DatasetConfig.model_validate({"dataset": "plant", "source": source})


def test_a_model_sees_shares_in_place_of_states() -> None:
    config = _config(states={"closed": 0, "half": 50, "open": 100})
    assert config.channel_names == ("valve", "temp")
    assert config.stored_names[2:] == (
        "valve=closed", "valve=half", "valve=open", "valve=other", "valve changes",
    )  # fmt: skip
    # The first state is what the others leave.
    assert config.model_names == (
        "temp", "valve=half", "valve=open", "valve=other", "valve changes",
    )  # fmt: skip
    assert config.signals == ()


def test_a_mode_that_is_a_condition_is_one_by_its_shares() -> None:
    spec = feature_spec_of(_config(states=[0, 1, 2], role="load"))
    assert spec.channels[0] == "temp"
    assert spec.conditions.tolist() == [1, 2, 3, 4]
    # Only what is measured is reconstructed.
    assert spec.column_channels.tolist() == [0]


def test_on_and_off_of_yaml_are_names() -> None:
    given_: dict[Any, int] = {True: 1, False: 0}
    assert _config(states=given_).channels["valve"].state_codes == {"on": 1.0, "off": 0.0}
    assert _config().channels["valve"].state_codes == {"0": 0.0, "1": 1.0}


def _fill(plant: Plant, kind: str, readings: str) -> None:
    """Readings of one machine such as `08:00 open, 08:05 closed`."""
    rows = ", ".join(
        f"('2024-05-01 {time}Z', 'm1', {value})"
        for time, value in (one.strip().split(" ", 1) for one in readings.split(","))
    )
    table = f"CREATE TABLE reading (at timestamptz, machine text, valve {kind})"
    plant.run(f"{table}; INSERT INTO reading VALUES {rows}")  # noqa: S608


def _stored(plant: Plant, name: str) -> dict[str, float]:
    return {time: v for (_, time, channel), v in plant.readings().items() if channel == name}


def _discrete(**channel: Any) -> dict[str, Any]:
    return {"channels": {"valve": {"signal": "discrete", **channel}}}


def test_texts_are_states_and_others_are_counted(empty_plant: Plant) -> None:
    texts = "08:00 'open',08:05 'closed',08:10 'OPEN',08:15 'stuck',08:20 'closed',08:30 'ajar'"
    _fill(empty_plant, "text", texts)
    config = empty_plant.config(**_discrete(states={"closed": 0, "open": 1}))
    empty_plant.ingest("08:00", "09:00", config)
    assert [*_stored(empty_plant, "valve=open").values()] == [0.5, 0.5, 0, 0]
    assert [*_stored(empty_plant, "valve=other").values()] == [0, 0.5, 0, 1]
    assert [*_stored(empty_plant, "valve changes").values()] == [1, 1, 0, 0]
    # A text that is no state has no number.
    assert _stored(empty_plant, "valve") == {"08:00": 0, "08:20": 0}
    assert empty_plant.issues()[("unknown_state", "m1", "valve")] == 2
    ((detail,),) = empty_plant.rows(
        "SELECT detail FROM tsad.ingest_issue WHERE issue = 'unknown_state'"
    )
    assert detail == "'ajar', 'stuck': not one of the states closed, open"


def test_words_that_are_no_value_are_no_state(empty_plant: Plant) -> None:
    _fill(empty_plant, "text", "08:00 'on',08:05 'unavailable',08:10 'unavailable'")
    words = {"on": 1, "off": 0, "unavailable": None}
    empty_plant.ingest("08:00", "09:00", empty_plant.config(words=words, **_discrete()))
    assert _stored(empty_plant, "valve=1") == {"08:00": 1}
    assert "unknown_state" not in {issue for issue, _, _ in empty_plant.issues()}


def test_truths_are_states(empty_plant: Plant) -> None:
    _fill(empty_plant, "boolean", "08:00 true,08:04 false,08:08 false,08:09 true,08:10 false")
    empty_plant.ingest("08:00", "09:00", empty_plant.config(**_discrete()))
    assert _stored(empty_plant, "valve=1") == {"08:00": 0.5, "08:10": 0}
    assert _stored(empty_plant, "valve changes") == {"08:00": 2, "08:10": 0}
    assert _stored(empty_plant, "valve") == {"08:00": 1, "08:10": 0}


SAID = "SELECT channel, detail FROM tsad.ingest_issue WHERE issue = 'unknown_state' ORDER BY 1"


def test_truths_as_texts_are_the_states_that_booleans_are(empty_plant: Plant) -> None:
    truths = "08:00 'true',08:04 'FALSE',08:08 'f',08:09 't',08:10 'no',08:11 'off',08:20 'On'"
    _fill(empty_plant, "text", truths)
    empty_plant.ingest("08:00", "09:00", empty_plant.config(**_discrete()))
    assert _stored(empty_plant, "valve=1") == {"08:00": 0.5, "08:10": 0, "08:20": 1}
    assert _stored(empty_plant, "valve changes") == {"08:00": 2, "08:10": 0, "08:20": 0}
    assert empty_plant.rows(SAID) == []


def test_of_states_with_names_only_truths_are_what_a_boolean_is(empty_plant: Plant) -> None:
    _fill(empty_plant, "text", "08:00 'open',08:01 'true',08:02 'false',08:10 'on',08:20 'closed'")
    config = empty_plant.config(**_discrete(states={"closed": 0, "open": 1}))
    empty_plant.ingest("08:00", "09:00", config)
    shares = {"08:00": pytest.approx(2 / 3), "08:10": 0.0, "08:20": 0.0}
    assert _stored(empty_plant, "valve=open") == shares
    assert empty_plant.rows(SAID) == [("valve", "'on': not one of the states closed, open")]


def _long(plant: Plant, rows: str, **channels: dict[str, Any]) -> DatasetConfig:
    """A long table of texts with rows such as `08:00 valve on`."""
    values = ", ".join(
        f"('2024-05-01 {time}Z', 'm1', '{name}', '{value}')"
        for time, name, value in (one.strip().split(" ", 2) for one in rows.split(","))
    )
    table = "CREATE TABLE reading (at timestamptz, machine text, sensor text, value text)"
    plant.run(f"{table}; INSERT INTO reading VALUES {values}")  # noqa: S608
    keys = {"shape": "long", "channel_column": "sensor", "value_column": "value"}
    return plant.config(channels=channels, **keys)


def test_words_of_a_long_table_are_states_of_discrete_channels_alone(empty_plant: Plant) -> None:
    rows = "08:00 valve on,08:05 valve off,08:10 valve true,08:00 temp 20.5,08:10 temp off"
    rows += ",08:20 temp t,08:00 mode auto,08:10 mode on,08:20 mode hold"
    mode = {"signal": "discrete", "states": {"manual": 0, "auto": 1}}
    config = _long(empty_plant, rows, valve={"signal": "discrete"}, temp={}, mode=mode)
    empty_plant.ingest("08:00", "09:00", config)
    assert _stored(empty_plant, "valve=1") == {"08:00": 0.5, "08:10": 1}
    assert _stored(empty_plant, "temp") == {"08:00": 20.5}
    assert _stored(empty_plant, "mode=other") == {"08:00": 0, "08:10": 1, "08:20": 1}
    assert empty_plant.issues()[("not_numeric", "m1", "temp")] == 2
    assert empty_plant.rows(SAID) == [("mode", "'hold', 'on': not one of the states manual, auto")]


# A state's name is one of its own channel alone: of any other it is a text that nobody knows.
OF_THEIR_OWN: dict[str, dict[str, Any]] = {
    "valve": {"signal": "discrete", "states": {"closed": 0, "open": 1}},
    "door": {"signal": "discrete", "states": {"open": 7, "shut": 3, "on": 4}},
    "pump": {"signal": "discrete"},
    "temp": {},
}
ROWS_OF_THEIR_OWN = (
    "08:00 valve open,08:10 valve shut,08:00 door Open,08:10 door shut,08:20 door on,"
    "08:30 door closed,08:00 pump on,08:10 pump open,08:00 temp 20,08:10 temp open,08:20 temp on"
)


def _check_of_their_own(plant: Plant) -> None:
    assert _stored(plant, "valve") == {"08:00": 1}
    assert _stored(plant, "valve=other")["08:10"] == 1
    assert _stored(plant, "door") == {"08:00": 7, "08:10": 3, "08:20": 4}
    assert _stored(plant, "door=other")["08:30"] == 1
    assert _stored(plant, "pump") == {"08:00": 1}
    assert _stored(plant, "temp") == {"08:00": 20}
    assert plant.issues()[("not_numeric", "m1", "temp")] == 2
    assert plant.rows(SAID) == [
        ("door", "'closed': not one of the states open, shut, on"),
        ("pump", "'open': not one of the states 0, 1, since none are named: say states"),
        ("valve", "'shut': not one of the states closed, open"),
    ]


def test_names_of_states_are_those_of_their_channel_in_a_long_table(empty_plant: Plant) -> None:
    empty_plant.ingest("08:00", "09:00", _long(empty_plant, ROWS_OF_THEIR_OWN, **OF_THEIR_OWN))
    _check_of_their_own(empty_plant)


def test_names_of_states_are_those_of_their_channel_in_a_wide_table(empty_plant: Plant) -> None:
    cells: dict[str, dict[str, str]] = {}
    for time, name, value in (one.split(" ") for one in ROWS_OF_THEIR_OWN.split(",")):
        cells.setdefault(time, {})[name] = value
    columns = ", ".join(f"{name} text" for name in OF_THEIR_OWN)
    empty_plant.run(f"CREATE TABLE reading (at timestamptz, machine text, {columns})")
    for time, said in cells.items():
        values = [f"2024-05-01 {time}Z", *map(said.get, OF_THEIR_OWN)]
        insert = "INSERT INTO reading VALUES (%s, 'm1', %s, %s, %s, %s)"
        run(empty_plant.source_uri, insert, values)
    empty_plant.ingest("08:00", "09:00", empty_plant.config(channels=OF_THEIR_OWN))
    _check_of_their_own(empty_plant)


def test_a_json_truth_and_a_text_truth_are_one_state(empty_plant: Plant) -> None:
    _fill(empty_plant, "jsonb", "08:00 'true',08:05 '\"off\"',08:10 '\"ajar\"'")
    empty_plant.ingest("08:00", "09:00", empty_plant.config(**_discrete()))
    assert _stored(empty_plant, "valve=1") == {"08:00": 0.5, "08:10": 0}
    wanted = "'ajar': not one of the states 0, 1, since none are named: say states"
    assert empty_plant.rows(SAID) == [("valve", wanted)]


def test_texts_without_states_are_told_and_few_are_named(empty_plant: Plant) -> None:
    words = ["ajar", "closed", "half", "open", "x" * 300]
    _fill(empty_plant, "text", ",".join(f"08:{at}0 '{one}'" for at, one in enumerate(words)))
    empty_plant.ingest("08:00", "09:00", empty_plant.config(**_discrete()))
    wanted = "not one of the states 0, 1, since none are named: say states"
    assert empty_plant.rows(SAID) == [("valve", f"'ajar', 'closed', 'half': {wanted}")]


def _said_by_check(plant: Plant, config: DatasetConfig) -> list[str]:
    now_at = datetime(2024, 5, 1, 9, tzinfo=UTC)
    found = check_dataset(config, plant.source_uri, now_at=now_at)
    return [one.text for one in found if "valve" in one.text]


def test_check_proposes_the_states_that_a_discrete_channel_has(empty_plant: Plant) -> None:
    _fill(empty_plant, "text", "08:00 'Open',08:05 'closed',08:10 'ajar',08:20 'open'")
    said = _said_by_check(empty_plant, empty_plant.config(**_discrete()))
    wanted = "valve: Expected the states 0, 1. Received: ajar, closed, open. "
    wanted += "Is it signal: discrete, states: {ajar: 0, closed: 1, open: 2}?"
    assert any(wanted in one for one in said)
    counted = "valve: 4 rows (m1) in the last 6 hours: 'ajar', 'closed', 'open': not one of"
    assert any(one.startswith(counted) for one in said)


def test_check_proposes_what_states_lack(empty_plant: Plant) -> None:
    _fill(empty_plant, "text", "08:00 'open',08:05 'closed',08:10 'ajar',08:20 'on'")
    config = empty_plant.config(**_discrete(states={"closed": 0, "open": 1}))
    wanted = "valve: Expected the states closed, open. Received: ajar, on. "
    wanted += "Is it signal: discrete, states: {closed: 0, open: 1, ajar: 2, 'on': 3}?"
    said = _said_by_check(empty_plant, config)
    assert any(wanted in one for one in said), said


def test_check_proposes_states_of_a_long_table(empty_plant: Plant) -> None:
    rows = "08:00 valve open,08:05 valve closed,08:10 valve open,08:00 temp 20.5,08:10 temp 20"
    config = _long(empty_plant, rows, valve={"signal": "discrete"}, temp={})
    wanted = "Is it signal: discrete, states: {closed: 0, open: 1}?"
    said = _said_by_check(empty_plant, config)
    assert any(wanted in one for one in said), said


def test_a_rare_state_between_two_others_is_not_their_mean(empty_plant: Plant) -> None:
    _fill(empty_plant, "int", "08:00 0,08:05 2,08:10 1,08:20 7")
    empty_plant.ingest("08:00", "09:00", empty_plant.config(**_discrete(states=[0, 1, 2])))
    assert _stored(empty_plant, "valve=1") == {"08:00": 0, "08:10": 1, "08:20": 0}
    assert _stored(empty_plant, "valve=2") == {"08:00": 0.5, "08:10": 0, "08:20": 0}
    assert _stored(empty_plant, "valve=other")["08:20"] == 1
    assert _stored(empty_plant, "valve") == {"08:00": 2, "08:10": 1, "08:20": 7}
    rows = empty_plant.rows('SELECT valve, "valve=1", "valve changes" FROM tsad.readings_plant')
    assert (1.0, 1.0, 0.0) in [tuple(row) for row in rows]


ON_CHANGE = "07:10 0,08:00 1,08:25 0,08:55 1,09:00 0,10:30 1"


def test_rows_on_change_are_the_same_however_they_are_read(empty_plant: Plant) -> None:
    _fill(empty_plant, "int", ON_CHANGE)
    config = empty_plant.config(**_discrete(valid_for="until_changed"), silent_after="3h")
    empty_plant.ingest("08:00", "11:00", config)
    whole = empty_plant.readings()
    share = _stored(empty_plant, "valve=1")
    assert (share["08:00"], share["08:20"], share["08:30"], share["08:50"]) == (1, 0.5, 0, 0.5)
    changes = {time for time, n in _stored(empty_plant, "valve changes").items() if n == 1}
    assert changes == {"08:00", "08:20", "08:50", "09:00", "10:30"}
    assert len(share) == 18
    empty(empty_plant.warehouse_uri)
    for start, end in (("10:00", "11:00"), ("08:00", "09:00"), ("09:00", "10:00")):
        empty_plant.ingest(start, end, config)
    assert empty_plant.readings() == whole


def test_what_stays_in_a_state_is_neither_stuck_nor_at_a_limit(empty_plant: Plant) -> None:
    empty_plant.run(
        "CREATE TABLE reading (at timestamptz, machine text, valve int, temp float8);"
        "INSERT INTO reading SELECT t, 'm1', (extract(hour FROM t)::int / 4) % 2, random() FROM "
        "generate_series('2024-04-23 00:00Z'::timestamptz, '2024-05-01 20:00Z', '1 min') t"
    )
    channels = {"valve": {"signal": "discrete"}, "temp": {}}
    config = empty_plant.config(channels=channels, step="1min")
    with_history = {"history_s": 8 * 86400}
    empty_plant.ingest("19:00", "20:00", config, **with_history)
    assert empty_plant.rows("SELECT DISTINCT verdict FROM tsad.v_quality") == []
