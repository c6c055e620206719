"""What looks like an angle or like states is proposed with its evidence, and never set."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.plants.plant import Plant, at
from tsad_tasks.ingest.check import check_dataset
from tsad_tasks.ingest.proposed_signals import proposed_signal

RNG = np.random.default_rng(6)
NORTH = RNG.normal(0, 8, 400)
SPIN = np.arange(400) / 37


def _around(period: float, start: float, turns: NDArray[np.float64]) -> NDArray[np.float64]:
    return (turns * period - start) % period + start


@pytest.mark.parametrize(
    ("name", "unit", "values", "wanted"),
    [
        ("wind_dir", "deg", np.rint(NORTH % 360), "signal: angle ("),
        ("x7", None, NORTH % 360, "signal: angle ("),
        ("rotor", None, _around(360, 0, SPIN), "signal: angle ("),
        ("heading", "°", _around(360, -180, SPIN), "signal: angle, sensor_range: [-180, 180] ("),
        ("phase_u", "rad", _around(math.tau, 0, SPIN), "signal: angle, period: 2pi ("),
        ("yaw", "rad", _around(math.tau, -math.pi, SPIN),
         "signal: angle, period: 2pi, sensor_range: [-3.1416, 3.1416] ("),
        ("bearing", "gon", _around(400, 0, SPIN), "signal: angle, period: 400 ("),
        ("hour", None, _around(24, 0, SPIN), "signal: angle, period: 24 ("),
        ("wind_dir", None, 45.0 * np.rint(SPIN * 8) % 360, "signal: angle ("),
        ("wdir", None, 22.5 * np.rint(SPIN * 16) % 360, "signal: angle ("),
    ],
)  # fmt: skip
def test_what_jumps_across_the_ends_of_a_circle_may_be_an_angle(
    name: str, unit: str | None, values: NDArray[np.float64], wanted: str
) -> None:
    found = proposed_signal(name, unit, [values])
    assert found is not None
    assert found.startswith(wanted)
    assert "from one end to the other" in found


@pytest.mark.parametrize(
    ("name", "low", "high", "wanted"),
    [
        ("wind_dir", 250, 300, "signal: angle (its name wind_dir, values from 250"),
        ("WindDirection", 0, 359, "signal: angle (its name WindDirection, values from 0"),
        ("heading", -90, 30, "signal: angle, sensor_range: [-180, 180] (its name heading, "),
    ],
)
def test_a_direction_that_did_not_turn_across_north_is_asked_about_by_its_name(
    name: str, low: float, high: float, wanted: str
) -> None:
    found = proposed_signal(name, None, [np.linspace(low, high, 400)])
    assert found is not None
    assert found.startswith(wanted)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x7", np.linspace(0, 359.9, 400)),
        ("direction", RNG.uniform(250, 300, 400)),
        ("wind_dir", np.rint(RNG.uniform(0, 7, 400))),
        ("wind_dir", RNG.uniform(0, 4000, 400)),
        ("wind_dir", np.full(400, 270.0)),
        ("steam", np.abs(np.sin(SPIN)) * 360),
        ("setting", RNG.uniform(0, 360, 400)),
        ("travel", np.where(np.arange(400) % 20 < 10, 0.0, 359.0)),
        ("load", _around(100, 0, SPIN)),
        ("level", _around(24, 0, SPIN)),
        ("temperature", RNG.normal(20, 2, 400)),
    ],
)
def test_a_gauge_that_never_wraps_is_not_proposed(name: str, values: NDArray[np.float64]) -> None:
    assert proposed_signal(name, None, [values]) is None


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        (
            "pump",
            np.arange(60) // 20 % 2,
            "signal: discrete (60 values, only 0, 1, changed 2 times)",
        ),
        ("valve", np.array([0, 100, 0, 100]), "signal: discrete, states: [0, 100] (4 values"),
        ("mode", np.arange(60) // 10 % 3, "signal: discrete, states: [0, 1, 2] ("),
    ],
)
def test_few_whole_values_may_be_states(
    name: str, values: NDArray[np.float64], wanted: str
) -> None:
    found = proposed_signal(name, None, [values.astype(float)])
    assert found is not None
    assert found.startswith(wanted)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("errors", np.arange(60) % 2),
        ("setpoint", np.where(np.arange(60) < 30, 17, 21)),
        ("temp", np.arange(60) % 7 / 2 + 18),
        ("speed", np.arange(60)),
        ("pump", np.array([0, 1, 0])),
    ],
)
def test_counts_levels_and_few_rows_are_not_proposed_as_states(
    name: str, values: NDArray[np.float64]
) -> None:
    assert proposed_signal(name, None, [values.astype(float)]) is None


def test_few_texts_may_be_states(empty_plant: Plant) -> None:
    empty_plant.run(
        "CREATE TABLE reading (at timestamptz, machine text, mode text);"
        "INSERT INTO reading SELECT t, 'm1', "
        "(ARRAY['Auto', 'manual', 'off'])[1 + extract(minute FROM t)::int % 3] "
        "FROM generate_series('2024-05-01 00:00Z'::timestamptz, '2024-05-01 09:00Z', '1 min') t"
    )

    def told(mode: dict[str, object]) -> list[str]:
        config = empty_plant.config(channels={"mode": mode})
        found = check_dataset(config, empty_plant.source_uri, now_at=at("10:00"))
        return [one.text for one in found if "discrete" in one.text or "not_numeric" in one.text]

    proposed = [one for one in told({}) if "Is it" in one]
    assert proposed == [
        "public.reading: mode: Expected numbers, or words that say them. Received: auto, manual, "
        "off. Is it signal: discrete, states: {auto: 0, manual: 1, 'off': 2}?"
    ]
    states = {"auto": 0, "manual": 1, "off": 2}
    assert told({"signal": "discrete", "states": states}) == []


def test_check_proposes_and_leaves_what_is_declared_alone(empty_plant: Plant) -> None:
    empty_plant.run(
        "CREATE TABLE reading (at timestamptz, machine text, wind_dir float8, running boolean);"
        "INSERT INTO reading SELECT t, 'm1', "
        "mod((360 + 9 * sin(extract(epoch FROM t) / 500))::numeric, 360), "
        "extract(hour FROM t) > 6 FROM "
        "generate_series('2024-05-01 00:00Z'::timestamptz, '2024-05-01 09:00Z', '1 min') t"
    )

    def told(**channels: object) -> list[str]:
        config = empty_plant.config(channels=channels)
        found = check_dataset(config, empty_plant.source_uri, now_at=at("10:00"))
        return [one.text for one in found if "Is it signal" in one.text]

    angle, states = told(wind_dir={}, running={})
    assert angle.startswith("wind_dir: These look like no level: values from ")
    assert angle.endswith("from one end to the other. Is it signal: angle?")
    assert states.startswith("running: These look like no level: 301 values, only 0, 1, changed 1")
    assert states.endswith("Is it signal: discrete?")
    assert told(wind_dir={"signal": "angle"}, running={"signal": "discrete"}) == []


def test_states_that_come_seldom_are_all_named_by_what_was_weeks_before(empty_plant: Plant) -> None:
    """A pump that runs but at night, a recipe that lasts for days, beside a pressure by the minute:
    in the last six hours one says nothing, the other the same.
    """
    empty_plant.run("""
      CREATE TABLE reading AS
      SELECT t AS at, 'm1' AS machine, 'PT1' AS point, (2 + random())::text AS val
      FROM generate_series('2024-04-20 00:00Z'::timestamptz, '2024-05-01 09:00Z', '5 min') t
      UNION ALL SELECT t, 'm1', 'P7', CASE WHEN extract(hour FROM t) < 2 THEN 'STOP' ELSE 'RUN' END
      FROM generate_series('2024-04-20 01:00Z'::timestamptz, '2024-05-01 02:00Z', '1 hour') t
      WHERE extract(hour FROM t) IN (1, 2)
      UNION ALL SELECT t, 'm1', 'RECIPE', (extract(day FROM t)::int / 3 % 3 + 1)::text
      FROM generate_series('2024-04-20 00:00Z'::timestamptz, '2024-05-01 09:00Z', '3 hours') t
    """)
    config = empty_plant.config(
        channels={"PT1": {}, "P7": {}, "RECIPE": {}},
        shape="long",
        channel_column="point",
        value_column="val",
    )
    found = check_dataset(config, empty_plant.source_uri, now_at=at("10:00"))
    text, number = [one.text for one in found if "Is it signal" in one.text]
    assert "P7: Expected numbers, or words that say them. Received: run, stop. Is it" in text
    assert text.endswith("signal: discrete, states: {run: 0, stop: 1}?")
    assert number.startswith("RECIPE: These look like no level: 92 values, only 1, 2, 3, changed ")
    assert number.endswith("Is it signal: discrete, states: [1, 2, 3]?")
    assert not any("P7: Readings are" in one.text for one in found)


def test_texts_of_events_are_no_mistake(empty_plant: Plant) -> None:
    empty_plant.run("""
      CREATE TABLE reading AS
      SELECT t AS at, 'm1' AS machine, p AS point,
        CASE p WHEN 'TT1' THEN '20.5' ELSE 'F7' END AS val
      FROM generate_series('2024-05-01 00:00Z'::timestamptz, '2024-05-01 09:00Z', '1 min') t,
        unnest(ARRAY['TT1', 'ALARM']) p
    """)
    config = empty_plant.config(
        channels={"TT1": {}, "ALARM": {"signal": "event_count"}},
        shape="long",
        channel_column="point",
        value_column="val",
    )
    found = check_dataset(config, empty_plant.source_uri, now_at=at("10:00"))
    assert [one.text for one in found if "texts" in one.text or "not_numeric" in one.text] == []
