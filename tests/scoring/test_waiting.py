"""A place in the shadow is taken by one challenger at a time, and a person is asked about it
once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devstack.postgres import Cluster
from tests.champions.test_champions import STATES, compared
from tests.plants.challengers import FAILED, challenger
from tests.plants.weeks import Weeks, copied_weeks, filled_weeks, week
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.base.interval import HOUR
from tsad_tasks.champions.champions import promote
from tsad_tasks.champions.shadow import ShadowSummary, compare_shadows, decline, promote_ready
from tsad_tasks.storage.store import Store

FULL = week(1, 6)
HISTORY = "SELECT version, decision, former_version FROM tsad.v_model_history ORDER BY decided_at"
SHADOWS = """
  SELECT m.version, p.valid_from, p.valid_to = 'infinity'
  FROM tsad.champion_period p JOIN tsad.model m USING (model_id)
  WHERE p.lineage = 'live/shadow' ORDER BY 2"""


@pytest.fixture(scope="module")
def shadowed(
    cluster: Cluster, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Weeks]:
    """A champion, and a challenger with one hour in its shadow, which takes four."""
    shadow = {"hours": 4, "min_windows": 5, "max_flag_share": 0.5}
    folder = tmp_path_factory.mktemp("shadowed")
    with filled_weeks(cluster, template_database, folder, shadow=shadow) as made:
        made.train(week(1))
        made.score(week(1), week(1, 2))
        challenger(made, end_at=week(1, 1))
        made.score(week(1, 2), week(1, 3))
        yield made


@pytest.fixture
def weeks(cluster: Cluster, shadowed: Weeks, tmp_path: Path) -> Iterator[Weeks]:
    with copied_weeks(cluster, shadowed, tmp_path) as made:
        yield made


def newer(weeks: Weeks, seed: int, at: datetime | None = None) -> Any:
    return challenger(weeks, seed=seed, end_at=at or week(1, 2))


def test_a_newer_challenger_waits_while_another_s_shadow_fills_and_then_takes_its_place(
    weeks: Weeks,
) -> None:
    second = newer(weeks, 9)
    assert (second.shadow_from, second.promoted, second.waits_for) == (None, False, 2)
    third = newer(weeks, 10)
    assert third == newer(weeks, 10)
    assert weeks.execute(STATES) == [
        (1, "champion"),
        (2, "shadow"),
        (3, "superseded"),
        (4, "waiting"),
    ]
    weeks.score(week(1, 3), FULL)
    with Store.connect(weeks.uri) as store:
        ready = compare_shadows(store, weeks.config, end_at=FULL).ready
        promote_ready(store, weeks.config, ready, end_at=FULL, by="shadow")
    assert weeks.execute(STATES) == [
        (1, "former champion"),
        (2, "champion"),
        (3, "superseded"),
        (4, "shadow"),
    ]
    assert weeks.execute(SHADOWS) == [(2, week(1, 2), False), (4, FULL, True)]
    assert weeks.execute(HISTORY) == [
        (1, "promoted", None),
        (2, "shadow_started", None),
        (3, "waiting", 2),
        (3, "superseded", 4),
        (4, "waiting", 2),
        (2, "promoted", 1),
        (4, "shadow_started", None),
    ]


def test_a_shadow_without_a_scored_hour_yields(weeks: Weeks) -> None:
    weeks.execute(
        "UPDATE tsad.champion_record SET valid_from = %s WHERE lineage = 'live/shadow'", week(1, 3)
    )
    assert newer(weeks, 9).shadow_from == week(1, 4)
    assert weeks.execute(STATES) == [(1, "champion"), (2, "superseded"), (3, "shadow")]


@pytest.mark.parametrize("way", ["declined", "promoted by hand", "failed"])
def test_whoever_waits_takes_the_place_however_it_becomes_free(weeks: Weeks, way: str) -> None:
    newer(weeks, 9)
    weeks.score(week(1, 3), FULL)
    with Store.connect(weeks.uri) as store:
        if way == "declined":
            assert decline(store, weeks.config, [2], end_at=FULL, by="ada") == [2]
        elif way == "failed":
            strict = weeks.config.shadow.model_copy(
                update={"max_flag_share": 0.0, "min_agreement": 1.1}
            )
            weeks.config = weeks.config.model_copy(update={"shadow": strict})
            assert compare_shadows(store, weeks.config, end_at=FULL).failed == {2: ["agreement"]}
        else:
            promote(store, weeks.config, 2, by="ada", reason="it is good")
    assert weeks.execute(SHADOWS) == [(2, week(1, 2), False), (3, FULL, True)]


def test_a_failed_newcomer_displaces_nobody_and_a_promoted_one_does_not_return(
    weeks: Weeks,
) -> None:
    newer(weeks, 9)
    challenger(weeks, seed=10, end_at=week(1, 2), gate=FAILED)
    with Store.connect(weeks.uri) as store:
        promote(store, weeks.config, 3, by="ada", reason="in a hurry")
        decline(store, weeks.config, [2], end_at=FULL, by="ada")
    assert weeks.execute(STATES) == [
        (1, "former champion"),
        (2, "declined"),
        (3, "champion"),
        (4, "gate failed"),
    ]
    assert weeks.execute(SHADOWS) == [(2, week(1, 2), False)]


def test_after_four_weeks_an_undecided_shadow_gives_way_to_who_waits(weeks: Weeks) -> None:
    newer(weeks, 9)
    late = week(5, 2)
    assert compared(weeks, late - HOUR).replaced == {}
    assert compared(weeks, late).replaced == {2: 3}
    assert weeks.execute(STATES) == [(1, "champion"), (2, "superseded"), (3, "shadow")]
    assert weeks.execute(SHADOWS) == [(2, week(1, 2), False), (3, late, True)]
    assert compared(weeks, late).replaced == {}


def test_after_four_weeks_a_newcomer_need_not_wait(weeks: Weeks) -> None:
    assert newer(weeks, 9, week(5, 2)).shadow_from == week(5, 2)
    assert newer(weeks, 10, week(5, 3)).shadow_from == week(5, 3)


# Forms
# -------------------------------------------------------------------------------------------------


def asking(weeks: Weeks, run_id: str, end_at: datetime = FULL) -> ShadowSummary:
    with Store.connect(weeks.uri) as store:
        return compare_shadows(store, weeks.config, end_at=end_at, run_id=run_id)


def test_a_form_is_opened_once_and_by_its_own_run_again(weeks: Weeks) -> None:
    weeks.score(week(1, 3), FULL)
    assert asking(weeks, "first").ready == [2]
    later = asking(weeks, "second", FULL + HOUR)
    assert (later.ready, later.asked, later.table) == ([], {2: "first"}, "")
    assert asking(weeks, "first").ready == [2]
    assert weeks.execute(
        "SELECT decided_by FROM tsad.v_model_history WHERE decision = 'asked'"
    ) == [("first",)]
    assert weeks.execute(STATES) == [(1, "champion"), (2, "shadow")]


def test_another_run_asks_when_a_form_is_open_for_longer_than_it_can_be(weeks: Weeks) -> None:
    weeks.score(week(1, 3), FULL)
    assert asking(weeks, "lost").ready == [2]
    weeks.execute(
        "UPDATE tsad.model_decision SET decided_at = decided_at - %s",
        timedelta(hours=25, minutes=1),
    )
    assert asking(weeks, "second").ready == [2]
    assert asking(weeks, "lost").asked == {2: "second"}


def test_what_was_approved_is_promoted_once_and_what_left_the_shadow_never(weeks: Weeks) -> None:
    weeks.score(week(1, 3), FULL)
    newer(weeks, 9)
    with Store.connect(weeks.uri) as store:
        assert len(promote_ready(store, weeks.config, [2], end_at=FULL, by="ada")) == 1
        decline(store, weeks.config, [3], end_at=FULL, by="ada")
        for version in (2, 3):
            with pytest.raises(NothingToDo):
                promote_ready(store, weeks.config, [version], end_at=FULL, by="ada")
    assert weeks.execute(STATES) == [(1, "former champion"), (2, "champion"), (3, "declined")]
