"""Which way a reading went is told by what was expected at first, not by its echo in windows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scoring.test_groups import at, fleet
from tests.scoring.test_long_incidents import Fleet

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


def test_where_nothing_moved_the_heavier_half_tells(fleet: Fleet) -> None:
    flag(fleet, [(26.0, 24.0), *[(25.0, 50.0)] * 4])
    fleet.build(0)
    assert fleet.ask(TOLD) == [("a: cpu fell to 25.0 %; 50.0 ± 1.0 % was expected", "fall")]
