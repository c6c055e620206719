"""Where rows are events their absence is an incident, which says whether others are heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devstack.postgres import Cluster
from tests.plants.weeks import CONFIG, Weeks
from tsad_tasks.config import DatasetConfig
from tsad_tasks.scoring.incidents import IncidentSummary, build_incidents
from tsad_tasks.storage.store import Store

START_AT = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
# From 10 to 12 no event of one shop; from 18 to 20 none of either.
EVENTS = """
CREATE SCHEMA plant;
CREATE TABLE plant.login (at timestamptz, shop text, who text);
INSERT INTO plant.login
SELECT at, shop, 'ada'
FROM generate_series('2026-03-02 00:00Z'::timestamptz, '2026-03-11 23:59Z', '1min') at,
  unnest(ARRAY['de', 'fr']) shop, generate_series(1, 2 + (extract(epoch FROM at)::int / 60) %% 3)
WHERE NOT (shop = 'de' AND at >= '2026-03-11 10:00Z' AND at < '2026-03-11 12:00Z')
  AND NOT (at >= '2026-03-11 18:00Z' AND at < '2026-03-11 20:00Z');
CREATE INDEX ON plant.login (shop, at);
CREATE INDEX ON plant.login (at)
"""
SOURCE: dict[str, Any] = {
    "connection": "plant",
    "tables": "plant.login",
    "time": {"column": "at"},
    "entity": {"column": "shop"},
    "step": "10min",
    "late_rows_within": 0,
    "channels": {"logins": {"column": "who", "signal": "event_count"}},
}


@pytest.fixture
def shops(cluster: Cluster, warehouse_uri: str, tmp_path: Path) -> Weeks:
    features = {"min_own_scale": "1d"}
    config = DatasetConfig.model_validate(CONFIG | {"source": SOURCE, "features": features})
    made = Weeks(warehouse_uri, tmp_path, config)
    made.execute(EVENTS)
    return made


def test_an_outage_is_an_incident_that_says_whether_others_are_heard(shops: Weeks) -> None:
    assert shops.train(START_AT + 8 * DAY).gate_passed
    shops.score(START_AT + 9 * DAY, START_AT + 10 * DAY)
    found = shops.execute(
        "SELECT entity, to_char(started_at AT TIME ZONE 'UTC', 'HH24'), sentence "
        "FROM tsad.v_incident WHERE started_at >= '2026-03-11 00:00Z' ORDER BY started_at, entity"
    )
    assert [(entity, hour) for entity, hour, _ in found] == [
        ("de", "10"), ("de", "18"), ("fr", "18"),
    ]  # fmt: skip
    heads = [sentence.partition(";")[0] for _, _, sentence in found]
    assert heads == [
        "de: no events of logins, and others are heard",
        "de: no events of logins, and nothing else heard",
        "fr: no events of logins, and nothing else heard",
    ]
    statuses = "SELECT DISTINCT status FROM tsad.v_status WHERE hour_at >= '2026-03-11 00:00Z'"
    assert shops.execute(statuses) == [("scored",)]
    verdicts = "SELECT DISTINCT verdict FROM tsad.v_quality"
    assert shops.execute(verdicts) == []


# A model that got used to no events, and the first events afterwards, which it calls many.
ADAPTED = """
UPDATE tsad.attribution SET expected = 0.9, spread = 0.1
WHERE at >= '2026-03-11 10:00Z' AND at < '2026-03-11 11:20Z';
UPDATE tsad.attribution SET actual = 22, expected = 1.6, spread = 0.4
WHERE at >= '2026-03-11 11:20Z' AND at < '2026-03-11 12:00Z'
"""
FIRST = "SELECT sentence FROM tsad.v_incident WHERE started_at = '2026-03-11 10:00Z'"
TOLD = "de: no events of logins, and others are heard; 30 ± 11 were expected"


def _merge(shops: Weeks, from_hour: int, n_hours: int) -> IncidentSummary:
    start_at = START_AT + 9 * DAY + timedelta(hours=from_hour)
    span = {"start_at": start_at, "end_at": start_at + timedelta(hours=n_hours)}
    with Store.connect(shops.uri) as store:
        return build_incidents(store, shops.config, **span)


def test_events_after_an_outage_are_no_rise(shops: Weeks) -> None:
    shops.train(START_AT + 8 * DAY)
    shops.score(START_AT + 9 * DAY, START_AT + 10 * DAY)
    shops.execute(ADAPTED)
    _merge(shops, 0, 24)
    assert shops.execute(FIRST) == [(TOLD,)]
    # Whichever hours are merged afterwards: nothing changes, and what was lost is told again, also
    # when only the hour before the outage was read anew.
    assert _merge(shops, 11, 1).n_written == 0
    shops.execute("UPDATE tsad.incident SET sentence = ''")
    assert _merge(shops, 9, 1).n_written > 0
    assert shops.execute(FIRST) == [(TOLD,)]
    # What the model still expected counts before what is usual.
    shops.execute(
        "UPDATE tsad.attribution SET expected = 19, spread = 6 WHERE at = '2026-03-11 10:20Z'"
    )
    _merge(shops, 0, 24)
    assert shops.execute(FIRST) == [(TOLD.replace("30 ± 11", "19 ± 6"),)]


def test_a_rise_after_a_step_without_events_is_a_rise(shops: Weeks) -> None:
    shops.train(START_AT + 8 * DAY)
    shops.score(START_AT + 9 * DAY, START_AT + 10 * DAY)
    shops.execute(
        "UPDATE tsad.attribution SET actual = 400 WHERE at >= '2026-03-11 10:10Z' "
        "AND at < '2026-03-11 12:00Z'"
    )
    _merge(shops, 0, 24)
    ((said,),) = shops.execute(FIRST)
    assert said.startswith("de: logins rose to 400.0;")
