"""What was said of hours whose zeros are taken back since, or that begin a silence: the same in
live runs and in one backfill that knew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from devstack.postgres import Cluster
from tests.plants.trained import CURRENT
from tests.plants.weeks import CONFIG, Weeks, copied_weeks, week
from tests.scoring.test_no_events import DAY, EVENTS, SOURCE, START_AT
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.store import Store

FIRST_AT = START_AT + 9 * DAY
SILENT = "DELETE FROM plant.login WHERE shop = 'de' AND at >= %s"
RETIRED = "SELECT tsad.retire_entity('plant', 'de', 'closed', %s)"
OF_SHOP = """
SELECT extract(hour FROM hour_at AT TIME ZONE 'UTC')::int, status FROM tsad.v_status
WHERE entity = 'de' AND hour_at >= %s ORDER BY 1"""


def at(hours: float) -> datetime:
    return FIRST_AT + timedelta(hours=hours)


@pytest.fixture(scope="module")
def shops(cluster: Cluster, template_database: str, tmp_path_factory: Any) -> Iterator[Weeks]:
    name = f"shops_{uuid4().hex}"
    features = {"min_own_scale": "1d"}
    config = DatasetConfig.model_validate(CONFIG | {"source": SOURCE, "features": features})
    uri = cluster.create_database(name, template=template_database)
    made = Weeks(uri, tmp_path_factory.mktemp("shops"), config)
    made.execute(EVENTS)
    made.train(START_AT + 8 * DAY)
    made.execute(SILENT, at(3))
    yield made
    cluster.drop_database(name)


@contextmanager
def _copied(cluster: Cluster, shops: Weeks, folder: Path) -> Iterator[Weeks]:
    with copied_weeks(cluster, shops, folder) as own:
        yield replace(own, folder=shops.folder)


def _run(shops: Weeks, first: int, last: int) -> None:
    """A run of [first, last), at its end."""
    span: dict[str, Any] = {"start_at": at(first), "end_at": at(last)}
    with Store.connect(shops.uri) as store:
        ingest_interval(store, shops.config, shops.uri, now=lambda: at(last), **span)
        score_interval(store, shops.config, **span)
        build_incidents(store, shops.config, **span)


def _rows(shops: Weeks) -> dict[str, list[tuple[Any, ...]]]:
    found = {name: shops.execute(statement) for name, statement in CURRENT.items()}
    # NaN is not itself; checksums say the same of values.
    return found | {"readings": [row[:3] for row in found["readings"]]}


@pytest.mark.parametrize("since", [3, 3.5])
def test_a_retirement_that_is_said_later_takes_back_what_was_said_of_zeros(
    cluster: Cluster, shops: Weeks, tmp_path: Path, since: float
) -> None:
    with _copied(cluster, shops, tmp_path) as known:
        # Said before any run, as a backfill knows it.
        known.execute(
            "INSERT INTO tsad.retirement (entity_id, from_at, origin, why, said_by) SELECT "
            "entity_id, %s, 'person', 'closed', 'tsad_owner' FROM tsad.entity WHERE name = 'de'",
            at(since),
        )
        _run(known, 0, 9)
        expected = _rows(known)
    with _copied(cluster, shops, tmp_path) as live:
        for hour in range(7):
            _run(live, hour, hour + 1)
        assert dict(live.execute(OF_SHOP, at(0)))[6] == "scored"
        assert "de" in [row[1] for row in _rows(live)["incidents"]]
        live.execute(RETIRED, at(since))
        for hour in (7, 8):
            _run(live, hour, hour + 1)
        found = live.execute(OF_SHOP, at(0))
        of_last = {3: "gap"} if since == 3 else {3: "partial", 4: "gap"}
        assert dict(found) == {0: "scored", 1: "scored", 2: "scored"} | of_last
        assert _rows(live) == expected
        # It was another shop: the hours are read and scored once more, as their next revision.
        live.execute("SELECT tsad.unretire_entity('plant', 'de', 'it was another')")
        _run(live, 9, 10)
        assert dict(live.execute(OF_SHOP, at(0))) == dict.fromkeys(range(10), "scored")


def test_hours_that_had_no_champion_are_taken_back_with_their_zeros(
    cluster: Cluster, shops: Weeks, tmp_path: Path
) -> None:
    with _copied(cluster, shops, tmp_path) as live:
        live.execute("DELETE FROM tsad.champion_period")
        _run(live, 0, 7)
        assert dict(live.execute(OF_SHOP, at(0))) == dict.fromkeys(range(7), "no_champion")
        live.execute(RETIRED, at(3))
        _run(live, 7, 8)
        # The hour after its last row is still spoken of, as it is of any that falls silent.
        assert dict(live.execute(OF_SHOP, at(0))) == dict.fromkeys(range(4), "no_champion")
        live.execute("SELECT tsad.unretire_entity('plant', 'de', 'it was another')")
        _run(live, 8, 9)
        assert dict(live.execute(OF_SHOP, at(0))) == dict.fromkeys(range(9), "no_champion")


def test_the_first_hour_of_a_silence_is_a_gap_in_a_run_of_its_own(
    cluster: Cluster, template_database: str, tmp_path: Path
) -> None:
    name = f"weeks_{uuid4().hex}"
    weeks = Weeks.filled(cluster.create_database(name, template=template_database), tmp_path)
    weeks.train(week(2))
    weeks.execute("DELETE FROM plant.metrics WHERE at >= %s AND at < %s", week(2, 2), week(2, 4))
    for hour in range(5):
        weeks.score(week(2, hour), week(2, hour + 1))
    status = "SELECT status FROM tsad.v_status WHERE hour_at >= %s ORDER BY hour_at"
    found = [one for (one,) in weeks.execute(status, week(2))]
    assert found == ["scored", "scored", "gap", "scored"]
    cluster.drop_database(name)
