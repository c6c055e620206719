"""A champion whose channels are something else now gives its place at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.postgres import Cluster
from tests.plants.signals import Signals, day, signals
from tests.scoring.test_other_signals import POWER, TOTAL, config_of, read_again, values
from tsad_tasks.base.errors import NothingToDo

HISTORY = (
    "SELECT version, decision, reason, former_version, valid_from FROM tsad.v_model_history "
    "ORDER BY decided_at"
)
STATUS = "SELECT DISTINCT status FROM tsad.v_status WHERE hour_at >= %s AND hour_at < %s"
OTHER = "the champion is of other signals"


@pytest.fixture
def made(cluster: Cluster, template_database: str, tmp_path: Path) -> Iterator[Signals]:
    channels = {"total": TOTAL, "power": POWER}
    shadow = {"hours": 24}
    of = cluster, template_database, tmp_path, channels, values(10)
    with signals(*of, shadow=shadow) as found:
        assert found.train(7).valid_from == day(7)
        yield found


@pytest.mark.parametrize("keys", [{"per": "hour"}, {"signal": "gauge"}])
def test_a_challenger_takes_over_at_once_and_nobody_stays_in_the_shadow(
    made: Signals, keys: dict[str, str]
) -> None:
    made.score(7, 8)
    before = made.train(8)
    assert (before.promoted, before.shadow_from) == (False, day(8))
    made.config = config_of(made, **keys)
    made.score(8, 9)
    assert made.execute(STATUS, day(8), day(9)) == [("failed",)]
    read_again(made, 2, 8)
    after = made.train(9)
    assert (after.promoted, after.valid_from, after.shadow_from) == (True, day(9), None)
    assert made.execute(HISTORY)[2:] == [
        (3, "promoted", OTHER, 1, day(9)),
        (2, "superseded", "version 3 came", 3, None),
    ]
    made.score(9, 10)
    assert made.execute(STATUS, day(9), day(10)) == [("scored",)]
    shadows = "SELECT version, state FROM tsad.v_model ORDER BY version"
    assert made.execute(shadows) == [
        (1, "former champion"), (2, "superseded"), (3, "champion"),
    ]  # fmt: skip


def test_a_champion_of_the_same_range_is_replaced_from_its_first_hour(made: Signals) -> None:
    made.config = config_of(made, per="hour")
    read_again(made, 0, 7)
    after = made.train(7)
    assert (after.version, after.valid_from) == (2, day(7))
    with pytest.raises(NothingToDo):
        made.train(7)
    assert made.execute(HISTORY)[1:] == [(2, "promoted", OTHER, 1, day(7))]
    made.score(7, 8)
    assert made.execute(STATUS, day(7), day(8)) == [("scored",)]


def test_a_champion_of_the_same_signals_has_a_shadow_beside_it(made: Signals) -> None:
    made.config = config_of(made, max_rate=40)
    made.score(7, 8)
    read_again(made, 1, 7)
    after = made.train(8)
    assert (after.promoted, after.shadow_from) == (False, day(8))
