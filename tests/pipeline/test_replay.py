"""The past replayed as if the pipeline had run all along, and questions about another version."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from devstack.postgres import Cluster
from tests.plants.weeks import START_AT, WEEK, Weeks, filled_weeks, week
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import HOUR
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline import replay as history
from tsad_tasks.pipeline.replay import Replay
from tsad_tasks.pipeline.rescore import rescore_as_of, score_what_if
from tsad_tasks.storage.store import Store

END_AT = week(4)
DAY = timedelta(days=1)
SHADOW = {"hours": 24, "min_windows": 100}
ROWS = {
    "scores": """
      SELECT v.entity, v.hour_at, v.status, m.version, v.coverage
      FROM tsad.v_status v JOIN tsad.model m USING (model_id)
      WHERE v.lineage = 'replay' ORDER BY 1, 2""",
    "anomalies": "SELECT entity, at, severity, score FROM tsad.v_anomaly WHERE lineage = 'replay' "
    "ORDER BY 1, 2",
    "incidents": "SELECT incident_id, started_at, last_flag_at, n_flags FROM tsad.v_incident ORDER "
    "BY 1",
    "champions": """
      SELECT m.version, p.valid_from, p.valid_to
      FROM tsad.champion_period p JOIN tsad.model m USING (model_id)
      WHERE p.lineage = 'replay' ORDER BY 2""",
    "decisions": "SELECT version, decision, valid_from FROM tsad.v_model_history ORDER BY 3, 1, 2",
}


def replay(weeks: Weeks, end_at: datetime = END_AT) -> Replay:
    with Store.connect(weeks.uri) as store:
        ingest_interval(store, weeks.config, weeks.uri, start_at=START_AT, end_at=end_at)
        made = Replay(
            store, weeks.config, START_AT, end_at, UPath(weeks.folder), WEEK, say=lambda _text: None
        )
        return made.run()


def rows(weeks: Weeks) -> dict[str, Any]:
    return {name: weeks.execute(statement) for name, statement in ROWS.items()}


@pytest.fixture
def weeks(cluster: Cluster, template_database: str, tmp_path: Path) -> Iterator[Weeks]:
    with filled_weeks(cluster, template_database, tmp_path, shadow=SHADOW) as made:
        yield made


def test_every_hour_has_the_champion_that_it_would_have_had(weeks: Weeks) -> None:
    weeks.shift(week(2, 50), week(2, 54))
    done = replay(weeks)
    assert [summary.version for summary in done.registered] == [1, 2, 3]
    taken = [(change.version, change.valid_from) for change in done.promoted]
    assert taken == [(2, week(2, 24)), (3, week(3, 24))]
    looked_ahead = """
      SELECT count(*) FROM tsad.v_status v JOIN tsad.model m USING (model_id)
      WHERE m.train_end_at > v.hour_at"""
    assert weeks.execute(looked_ahead) == [(0,)]
    assert weeks.execute("SELECT count(*) FROM tsad.v_status WHERE lineage = 'replay'") == [
        (3 * 168,)
    ]
    found = "SELECT count(*) FROM tsad.v_incident WHERE started_at >= %s AND started_at < %s"
    assert weeks.execute(found, week(2, 50), week(2, 54)) == [(1,)]
    assert weeks.execute(
        "SELECT count(*) FROM tsad.champion_period WHERE lineage LIKE 'live%%'"
    ) == [(0,)]


@pytest.fixture(scope="module")
def undisturbed(
    cluster: Cluster, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Rows of a replay that nobody kills."""
    folder = tmp_path_factory.mktemp("twin")
    with filled_weeks(cluster, template_database, folder, shadow=SHADOW) as twin:
        replay(twin)
        return rows(twin)


class Killed(Exception):
    """Stands for a process that is gone."""


@pytest.mark.parametrize(
    "place", ["score_interval", "build_incidents", "retrain", "compare_shadows", "promote_ready"]
)
def test_a_replay_that_was_killed_goes_on_to_the_same_rows(
    weeks: Weeks, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    real, calls = getattr(history, place), []

    def dies(*args: Any, **options: Any) -> Any:
        calls.append(place)
        made = real(*args, **options)
        if len(calls) in (2, 9):
            raise Killed
        return made

    monkeypatch.setattr(history, place, dies)
    for _ in range(4):
        try:
            replay(weeks)
            break
        except Killed:
            continue
    assert rows(weeks) == undisturbed


def test_a_range_without_room_for_a_training_says_so(weeks: Weeks) -> None:
    with pytest.raises(BadInput, match=r"more than the training range of plant \(7 days\)"):
        replay(weeks, week(1))


def test_what_another_version_would_have_said_stands_beside_what_was_said(weeks: Weeks) -> None:
    weeks.config = weeks.config.model_copy(
        update={"shadow": weeks.config.shadow.model_copy(update={"hours": 0})}
    )
    weeks.train(week(1))
    weeks.shift(week(1, 50), week(1, 54))
    weeks.score(week(1), week(2))
    weeks.train(week(2))
    before = {
        name: weeks.execute(text.replace("'replay'", "'live'")) for name, text in ROWS.items()
    }
    span: dict[str, Any] = {"start_at": week(1), "end_at": week(2)}
    with Store.connect(weeks.uri) as store:
        found = score_what_if(store, weeks.config, 2, run_id="a question", **span)
        again = score_what_if(store, weeks.config, 2, run_id="a question", **span)
        with pytest.raises(BadInput, match="a run id that was not used before"):
            score_what_if(store, weeks.config, 1, run_id="a question", **span)
    assert found == again
    assert (found.lineage, found.n_hours) == ("what_if/a_question", 168)
    assert found.n_flags[0] < found.n_flags[1]
    assert {
        name: weeks.execute(text.replace("'replay'", "'live'")) for name, text in ROWS.items()
    } == before
    side = """
      SELECT count(*), sum(n_other_flags)
      FROM tsad.compare_lineages('plant', %s, 'live', %s, %s)"""
    assert weeks.execute(side, found.lineage, week(1), week(2)) == [(168, found.n_flags[1])]


def test_no_model_scores_what_it_was_trained_on_whatever_its_period_says(weeks: Weeks) -> None:
    weeks.train(week(1))
    weeks.execute("UPDATE tsad.champion_record SET valid_from = %s", START_AT)
    weeks.score(week(1, -2), week(1, 2))
    statuses = weeks.execute("SELECT hour_at, status FROM tsad.v_status ORDER BY 1")
    assert statuses == [
        (week(1) + i * HOUR, "no_champion" if i < 0 else "scored") for i in range(-2, 2)
    ]


def test_rescoring_reads_what_came_too_late(weeks: Weeks) -> None:
    weeks.train(week(1))
    weeks.score(week(1), week(1, 24))
    weeks.shift(week(1, 3), week(1, 5))
    weeks.score(week(1, 23), week(1, 24))
    assert weeks.execute(
        "SELECT count(*) FROM tsad.v_incident WHERE started_at = %s", week(1, 3)
    ) == [(0,)]
    with Store.connect(weeks.uri) as store:
        done = rescore_as_of(
            store, weeks.config, weeks.uri, start_at=week(1), end_at=week(1) + timedelta(days=1)
        )
    assert (done.n_changed_blocks, done.n_superseded > 0) == (2, True)
    assert weeks.execute(
        "SELECT count(*) FROM tsad.v_incident WHERE started_at = %s", week(1, 3)
    ) == [(1,)]


def test_a_dataset_that_begins_is_trained_daily_before_its_range_is_full(
    cluster: Cluster, template_database: str, tmp_path: Path
) -> None:
    training = {"range": "14d", "min_hours": 10, "young_detector": "level"}
    with filled_weeks(cluster, template_database, tmp_path, training=training) as weeks:
        replay(weeks, week(2) + DAY)
        young = "SELECT train_end_at, young FROM tsad.v_model ORDER BY 1"
        expected = [(week(1) + n * DAY, n < 7) for n in range(8)]
        assert weeks.execute(young) == expected
        ((first_at, n_hours),) = weeks.execute("SELECT min(hour_at), count(*) FROM tsad.v_status")
        assert (first_at, n_hours) == (week(1), 8 * 24)
