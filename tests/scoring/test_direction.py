"""Which way a reading went is told by what was expected at first, not by its echo in windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.scoring.test_groups import at, fleet
from tests.scoring.test_long_incidents import Fleet
from tests.storage.rooms import HOUR_AT
from tsad_tasks.base.interval import HOUR
from tsad_tasks.config import DatasetConfig

__all__ = ["fleet"]

READ = """
  UPDATE tsad.attribution SET actual = %(actual)s, expected = %(expected)s WHERE at = %(at)s"""
TOLD = "SELECT sentence, direction FROM tsad.v_incident"


def flag(fleet: Fleet, read: list[tuple[float, float]]) -> None:
    """Flags from the second step on, with what was read and expected at each."""
    fleet.flag(range(1, 1 + len(read)))
    for step, (actual, expected) in enumerate(read, 1):
        fleet.ask(READ, actual=actual, expected=expected, at=at(10 * step))


# A spike, after which windows expect more than there is; and its mirror image.
UP = [(90.0, 40.0), *[(25.0, 50.0)] * 4]
DOWN = [(2.0, 20.0), *[(26.0, 15.0)] * 4]


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (UP, ("a: cpu rose to 90.0 %; 40.0 ± 1.0 % was expected", "rise")),
        (DOWN, ("a: cpu fell to 2.0 %; 20.0 ± 1.0 % was expected", "fall")),
    ],
    ids=["up", "down"],
)
def test_a_spike_is_told_by_itself_though_its_echo_weighs_more(
    fleet: Fleet, read: list[tuple[float, float]], told: tuple[Any, ...]
) -> None:
    flag(fleet, read)
    fleet.build(0)
    assert fleet.ask(TOLD) == [told]


@pytest.mark.parametrize(
    ("read", "told"),
    [
        ([(26.0, 24.0), *[(25.0, 50.0)] * 4], "stayed at 25.0 %; 50.0 ± 1.0 % was expected"),
        ([(12.0, 10.0), *[(20.0, 50.0)] * 4], "rose to 20.0 %; 50.0 ± 1.0 % was expected"),
        ([(15.0, 30.0), *[(15.0, 40.0)] * 4], "fell to 15.0 %; 40.0 ± 1.0 % was expected"),
    ],
    ids=["stayed", "rose less than expected", "fell"],
)
def test_a_reading_rose_or_fell_from_where_it_was_whatever_was_expected_since(
    fleet: Fleet, read: list[tuple[float, float]], told: str
) -> None:
    flag(fleet, read)
    fleet.build(0)
    # To which side of what was expected, is another question.
    assert fleet.ask(TOLD) == [(f"a: cpu {told}", "fall")]


@pytest.mark.parametrize(
    ("level", "actual", "told"),
    [
        (25.0, 26.0, "stayed at 26.0 %"),
        (10.0, 20.0, "rose to 20.0 %"),
        (60.0, 20.0, "fell to 20.0 %"),
        (np.nan, 20.0, "fell to 20.0 %"),
    ],
)
def test_one_flagged_step_is_told_by_what_was_read_before_it(
    fleet: Fleet, level: float, actual: float, told: str
) -> None:
    # Of what comes after it, and of another channel, nothing is told.
    before = np.column_stack([np.full(6, level), np.arange(6.0)])
    before[1, 0] += 300
    fleet.room.write(HOUR_AT - HOUR, before)
    fleet.room.write(HOUR_AT, [[level, 0], [actual, 0], *[[90, 0]] * 4])
    flag(fleet, [(actual, 50.0)])
    fleet.build(0)
    ((sentence, _),) = fleet.ask(TOLD)
    assert sentence == f"a: cpu {told}; 50.0 ± 1.0 % was expected"


def test_a_late_row_of_the_hour_before_changes_what_one_flagged_step_is_told_by(
    fleet: Fleet,
) -> None:
    for level, told in ((25.0, "stayed at 26.0 %"), (80.0, "fell to 26.0 %")):
        fleet.room.write(HOUR_AT - HOUR, [[level, 0]] * 6)
        if level == 25.0:
            flag(fleet, [(26.0, 50.0)])
            fleet.build(0)
        fleet.build(-1)
        ((sentence, _),) = fleet.ask(TOLD)
        assert told in sentence


@pytest.mark.parametrize(
    ("actual", "severity"), [(10.9, "MEDIUM"), (11.0, "MEDIUM"), (11.5, "HIGH"), (8.5, "HIGH")]
)
def test_only_what_is_outside_of_what_was_expected_is_high(
    fleet: Fleet, actual: float, severity: str
) -> None:
    flag(fleet, [(actual, 10.0)])
    fleet.ask("UPDATE tsad.anomaly SET severity = 'HIGH'")
    fleet.build(0)
    ((found, sentence),) = fleet.ask("SELECT severity, sentence FROM tsad.v_incident")
    assert (found, "inside the expected" in sentence) == (severity, severity == "MEDIUM")


def test_what_is_little_off_is_low_as_it_was(fleet: Fleet) -> None:
    flag(fleet, [(10.5, 10.0)])
    fleet.build(0)
    assert fleet.ask("SELECT severity FROM tsad.v_incident") == [("LOW",)]


@pytest.mark.parametrize(
    ("sensor_range", "expected", "told"),
    [
        ((0, 100), -3.0, "cpu rose to 40.00 %; 0.00 to 1.00 % was expected"),
        ((0, 100), 99.5, "cpu fell to 40.00 %; 98.50 to 100.00 % was expected"),
        ((None, 100), -3.0, "cpu rose to 40.0 %; −3.0 ± 1.0 % was expected"),
    ],
)
def test_no_more_is_expected_than_a_sensor_can_show(
    fleet: Fleet, sensor_range: tuple[int | None, int], expected: float, told: str
) -> None:
    said = fleet.config.model_dump(by_alias=True, exclude_unset=True, mode="json")
    said["source"][0]["channels"]["cpu"]["sensor_range"] = list(sensor_range)
    fleet.config = DatasetConfig.model_validate(said)
    flag(fleet, [(40.0, expected)])
    fleet.build(0)
    ((sentence, _),) = fleet.ask(TOLD)
    assert sentence == f"a: {told}"


def test_a_headline_says_no_more_than_its_sentences(fleet: Fleet) -> None:
    for entity in range(3):
        fleet.flag(range(1, 6), entity)
    fleet.ask(READ, actual=26.0, expected=24.0, at=at(10))
    for step in range(2, 6):
        fleet.ask(READ, actual=25.0, expected=50.0, at=at(10 * step))
    fleet.build(0)
    assert {sentence for sentence, _ in fleet.ask(TOLD)} == {
        f"{name}: cpu stayed at 25.0 %; 50.0 ± 1.0 % was expected" for name in "abc"
    }
    ((headline,),) = fleet.ask("SELECT headline FROM tsad.v_incident_group")
    assert headline == "3 of 6 machines: cpu was unusual, since 1 Mar 05:10"


def test_a_rise_that_a_long_echo_follows_through_the_night_is_told_as_a_rise(fleet: Fleet) -> None:
    # What was expected, and the readings, go down by more than the fault was.
    flag(fleet, [(30.2, 27.3), *[(26.3 - step / 3, 26.6 - step / 3) for step in range(12)]])
    fleet.build(0)
    told = "a: cpu rose to 30.2 %; 27.3 ± 1.0 % was expected"
    assert fleet.ask(TOLD) == [(told, "rise")]
    fleet.ask("UPDATE tsad.anomaly SET severity = 'HIGH'")
    fleet.build(0)
    assert fleet.ask("SELECT severity FROM tsad.v_incident") == [("HIGH",)]


def test_a_channel_that_was_outside_leads_before_one_that_averages_remember(fleet: Fleet) -> None:
    flag(fleet, [(139.8, 32.2), *[(13.2, 13.9)] * 12])
    fleet.ask(
        "UPDATE tsad.attribution r SET share = CASE c.name WHEN 'cpu' THEN 0.1 ELSE 0.9 END "
        "FROM tsad.channel c WHERE c.channel_id = r.channel_id AND r.actual < 100"
    )
    fleet.build(0)
    assert fleet.ask(TOLD) == [("a: cpu rose to 139.8 %; 32.2 ± 1.0 % was expected", "rise")]
