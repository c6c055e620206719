"""Directions and states from the source's rows to incidents: what turned, by how much, and which
state a channel was in for how long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from upath import UPath

from devstack.postgres import Cluster
from tests.statements import run
from tsad_tasks.base.interval import Interval
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.reporting.evaluation.evaluate import evaluate_model, registered_subject
from tsad_tasks.reporting.exploration.explore import explored_content, warehouse_readings
from tsad_tasks.reporting.exploration.training_preview import training_preview
from tsad_tasks.reporting.period.report import render_period
from tsad_tasks.scoring.features import load_model
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.queries import champions_in
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

AT = datetime(2026, 3, 9, tzinfo=UTC)
DAY = timedelta(days=1)
# A vane that swings around north; a valve that is open for a minute or so of each ten; a mode.
FILL = """
CREATE TABLE log (at timestamptz, mast text, wind float8, valve text, mode int);
INSERT INTO log
SELECT t, 'm1', mod((360 + 8 * sin(n / 40.0) + 5 * sin(n * 1.7)
    + CASE WHEN h BETWEEN 6 AND 8 THEN 90 ELSE 0 END)::numeric, 360),
  CASE WHEN n % 10 = 0 OR n % 37 = 1 OR (h BETWEEN 12 AND 14 AND n % 10 < 6) THEN 'open'
    ELSE 'closed' END,
  CASE WHEN h BETWEEN 18 AND 19 THEN 9 WHEN n % 50 < 10 THEN 0 ELSE 1 END
FROM (SELECT t, (extract(epoch FROM t) / 60)::int AS n,
        CASE WHEN t >= '2026-03-09Z' THEN extract(hour FROM t AT TIME ZONE 'UTC') END AS h
      FROM generate_series('2026-03-03Z'::timestamptz, '2026-03-09 23:59Z', '1 min') t) moments;
"""
CONFIG: dict[str, Any] = {
    "dataset": "mast",
    "source": {
        "connection": "plant",
        "tables": "log",
        "time": {"column": "at"},
        "entity": {"column": "mast"},
        "step": "10min",
        "channels": {
            "wind": {"unit": "°", "signal": "angle"},
            "valve": {"signal": "discrete", "states": {"closed": 0, "open": 1}},
            "mode": {"signal": "discrete"},
        },
    },
    "running_when": "valve >= 0",
    "detector": {"name": "three_sigma"},
    "training": {"range": "6d", "min_hours": 10},
    "features": {"min_own_scale": "1d"},
    "gate": {
        "min_point_share": 0,
        "min_contextual_share": 0,
        "min_collective_share": 0,
        "max_false_alarm_share": 1,
        "max_incidents_per_entity_week": 1000,
    },
}


class Lived:
    """A week of readings, of which the last day was scored by a model of the others."""

    def __init__(self, uri: str, folder: Path) -> None:
        self.uri, self.config = uri, DatasetConfig.model_validate(CONFIG)
        run(uri, FILL)
        with Store.connect(uri) as store:
            ingest_interval(store, self.config, uri, start_at=AT - 6 * DAY, end_at=AT)
            retraining = Retraining(store, self.config, AT, UPath(folder / "run"), UPath(folder))
            (self.made,) = retrain(retraining)
            span = {"start_at": AT, "end_at": AT + DAY}
            ingest_interval(store, self.config, uri, **span)
            score_interval(store, self.config, **span)
            build_incidents(store, self.config, **span)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        return run(self.uri, statement)

    def sentences(self, channel: str) -> list[str]:
        """Of incidents that the channel, or what is stored of it, leads."""
        rows = self.rows("SELECT channel, sentence FROM tsad.v_incident ORDER BY started_at")
        return [said for name, said in rows if name.startswith(channel)]


@pytest.fixture(scope="module")
def lived(
    cluster: Cluster, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lived]:
    name = f"signals_{uuid4().hex}"
    uri = cluster.create_database(name, template=template_database)
    yield Lived(uri, tmp_path_factory.mktemp("signals"))
    cluster.drop_database(name)


def test_the_gate_lets_the_model_pass(lived: Lived) -> None:
    assert lived.made.failed_rules == []
    assert lived.made.valid_from is not None


def test_wind_that_turns_is_told_the_shorter_way(lived: Lived) -> None:
    said = lived.sentences("wind")
    assert said
    assert said[0].startswith("m1: wind turned by 9")
    assert "fell" not in said[0]
    rows = lived.rows(
        "SELECT actual, expected, spread FROM tsad.v_attribution WHERE channel = 'wind' AND "
        "share > 0.5 ORDER BY at"
    )
    assert all(0 <= actual < 360 and 0 <= expected < 360 for actual, expected, _ in rows)
    actual, expected, spread = rows[0]
    assert 60 < actual < 120
    assert min(expected, 360 - expected) < 15
    assert 0 < spread < 40


def test_stored_directions_are_where_the_wind_was(lived: Lived) -> None:
    stored = lived.rows(
        "SELECT count(*), count(*) FILTER (WHERE wind < 14 OR wind > 346) FROM tsad.readings_mast "
        "WHERE at < '2026-03-09 06:00Z'"
    )
    assert stored == [(6 * 144 + 36, 6 * 144 + 36)]


def test_a_state_is_told_with_its_share_and_what_is_usual(lived: Lived) -> None:
    said = [one for one in lived.sentences("valve=open") if "was open" in one]
    assert said
    pattern = r"m1: valve was open [67]\d % of the time, usually 1[2-4] %"
    assert re.fullmatch(pattern, said[0])


def test_a_state_that_training_never_saw_is_told_at_once(lived: Lived) -> None:
    said = lived.sentences("mode=other")
    assert said
    expected = "m1: mode was in no known state 100 % of the time, for the first time since training"
    assert said[0] == expected
    issues = lived.rows("SELECT sum(n_rows), min(detail) FROM tsad.ingest_issue WHERE issue = "
                        "'unknown_state'")  # fmt: skip
    assert issues == [(120, "9: not one of the states 0, 1")]


def test_people_see_states_and_shares(lived: Lived) -> None:
    row = lived.rows(
        'SELECT wind, valve, "valve=open", "valve changes" FROM tsad.readings_mast WHERE at = '
        "'2026-03-09 13:00Z'"
    )[0]
    assert row[1:] == (0.0, 0.6, 1.0)
    assert 0 <= row[0] < 360


def test_the_bundle_says_what_is_on_a_circle_and_what_only_running_looks_at(lived: Lived) -> None:
    with Store.connect(lived.uri) as store:
        dataset = select_dataset(store, "mast")
        span = Interval(AT, AT + DAY)
        (champion,) = champions_in(store, dataset.dataset_id, "live", span)
        spec, _ = load_model(champion)
    assert spec.features.channels == lived.config.model_names
    assert spec.features.channels[-1] == "valve"
    assert spec.features.unseen.tolist() == [len(spec.features.channels) - 1]
    assert spec.features.n_columns == len(spec.features.channels)
    again = ModelSpec.from_json(spec.to_json())
    assert again.pooled_scaler == spec.pooled_scaler
    assert again.pooled_scaler.circles[0] is not None


@pytest.mark.parametrize(
    ("policy", "channels"),
    [
        ({"direction": "low", "min_deviation": {"wind": 60}}, {"wind"}),
        ({"direction": "high", "min_deviation": {"wind": 60}}, {"wind", "valve=open"}),
        ({"min_deviation": {"wind": 150, "valve=open": 0.3}}, {"valve=open"}),
        ({"min_deviation": {"valve=open": 0.9}}, {"wind"}),
    ],
)
def test_deviations_are_turns_and_shares(
    lived: Lived, policy: dict[str, Any], channels: set[str]
) -> None:
    config = DatasetConfig.model_validate(CONFIG | {"alarm_policy": policy})
    with Store.connect(lived.uri) as store:
        build_incidents(store, config, start_at=AT, end_at=AT + DAY)
        rows = run(
            lived.uri,
            "SELECT DISTINCT channel FROM tsad.v_incident WHERE channel IN ('wind', 'valve=open')",
        )
        build_incidents(store, lived.config, start_at=AT, end_at=AT + DAY)
    assert {name for (name,) in rows} == channels


def test_people_get_their_pages_of_it(lived: Lived, tmp_path: Path) -> None:
    with Store.connect(lived.uri) as store:
        found = warehouse_readings(store, lived.config, AT - DAY, AT + DAY)
        preview = training_preview(store, lived.config, AT)
        shown = explored_content(lived.config, found, generated_at=AT, preview=preview)
        report = render_period(
            store, lived.config, start_at=AT, end_at=AT + DAY, path=UPath(tmp_path / "day.pdf")
        )
        subject = registered_subject(store, lived.config)
        evaluate_model(
            store, lived.config, subject, folder=UPath(tmp_path / "kept"), until_at=AT + DAY, seed=7
        )
    assert [one.name for one in shown.channels] == ["wind", "valve", "mode"]
    assert [one.name for one in preview.channels] == [*lived.config.model_names]
    assert report.n_incidents > 2


# As where a model spreads an error over states: the leading share is one that is as usual.
LED_BY_OTHER = """
INSERT INTO tsad.attribution (entity_id, at, model_id, channel_id, share, actual, expected, spread)
SELECT r.entity_id, r.at, r.model_id, o.channel_id, 2, 0, -0.2, 0.1
FROM tsad.attribution r JOIN tsad.channel c USING (channel_id)
JOIN tsad.channel o ON o.dataset_id = c.dataset_id AND o.name = 'valve=other'
WHERE c.name = 'valve=open' AND r.at >= '2026-03-09 12:00Z' AND r.at < '2026-03-09 15:00Z'
"""
WITHOUT_OPEN = """
DELETE FROM tsad.attribution WHERE at >= '2026-03-09 12:00Z' AND at < '2026-03-09 18:00Z'
  AND channel_id = (SELECT channel_id FROM tsad.channel WHERE name = 'valve=open')
"""


@pytest.fixture
def copied(lived: Lived, cluster: Cluster) -> Iterator[str]:
    name = f"signals_{uuid4().hex}"
    yield cluster.create_database(name, template=lived.uri.rsplit("/", 1)[1])
    cluster.drop_database(name)


def _told_at_noon(
    uri: str, config: DatasetConfig, hours: tuple[int, int] = (12, 15)
) -> list[tuple[str, str]]:
    with Store.connect(uri) as store:
        build_incidents(store, config, start_at=AT, end_at=AT + DAY)
    return run(
        uri,
        "SELECT channel, sentence FROM tsad.v_incident WHERE started_at >= %s AND started_at < %s "
        "ORDER BY started_at",
        tuple(AT + timedelta(hours=hour) for hour in hours),
    )


# At the flagged readings of some hours a channel leads, or is beyond what was expected.
LED = """
INSERT INTO tsad.attribution (entity_id, at, model_id, channel_id, share, actual, expected, spread)
SELECT DISTINCT r.entity_id, r.at, r.model_id, o.channel_id, %s, %s, %s, 0.1
FROM tsad.attribution r JOIN tsad.channel c USING (channel_id)
JOIN tsad.channel o ON o.dataset_id = c.dataset_id AND o.name = %s
WHERE r.at >= '2026-03-09 12:00Z' AND r.at < '2026-03-09 20:00Z'
ON CONFLICT (entity_id, at, model_id, channel_id)
DO UPDATE SET share = excluded.share, actual = excluded.actual, expected = excluded.expected
"""


def test_a_state_never_seen_is_told_where_the_one_that_is_missed_leads(
    lived: Lived, copied: str
) -> None:
    """As where the usual state's absence weighs more than the new one."""
    run(copied, LED, (2, 0, 0.8, "mode=1"))
    (channel, said), *_ = _told_at_noon(copied, lived.config, (18, 20))
    assert channel == "mode=other"
    expected = "m1: mode was in no known state 100 % of the time, for the first time since training"
    assert said == expected


def test_changes_as_usual_give_way_to_what_differs(lived: Lived, copied: str) -> None:
    run(copied, LED, (2, 0, -0.02, "valve changes"))
    (channel, said), *_ = _told_at_noon(copied, lived.config)
    assert channel == "valve=open"
    assert "changed 0 times" not in said


def test_where_nothing_of_the_states_differs_the_next_channel_is_told(
    lived: Lived, copied: str
) -> None:
    run(copied, WITHOUT_OPEN)
    run(copied, LED, (2, 0, -0.02, "valve changes"))
    run(copied, LED, (1.5, 90, 2, "wind"))
    (channel, said), *_ = _told_at_noon(copied, lived.config)
    assert channel == "wind"
    assert said.startswith("m1: wind turned by 88° from 2")


def test_a_state_as_usual_gives_way_to_the_one_that_differs(lived: Lived, copied: str) -> None:
    run(copied, LED_BY_OTHER)
    (channel, said), *_ = _told_at_noon(copied, lived.config)
    assert channel == "valve=open"
    pattern = r"m1: valve was open [67]\d % of the time, usually 1[2-4] %"
    assert re.fullmatch(pattern, said)


def test_without_what_was_expected_the_longest_state_is_told(lived: Lived, copied: str) -> None:
    run(copied, LED_BY_OTHER)
    run(copied, WITHOUT_OPEN)
    (channel, said), *_ = _told_at_noon(copied, lived.config)
    assert channel == "valve=open"
    assert re.fullmatch(r"m1: valve was open [67]\d % of the time; error .* its threshold", said)


def test_expected_shares_are_shares(lived: Lived) -> None:
    rows = lived.rows("SELECT min(expected), max(expected) FROM tsad.v_attribution WHERE channel "
                      "LIKE 'valve=%'")  # fmt: skip
    ((least, most),) = rows
    assert 0 <= least <= most <= 1
