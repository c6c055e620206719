"""Sparklines of lists say what the scores say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from devstack.postgres import Cluster
from tests.page.room import PageRoom, scored_room
from tsad_tasks.page.queries import SELECT_SHOWN_INCIDENT
from tsad_tasks.page.sparks import read_sparks, spans_of, spark_of
from tsad_tasks.storage.store import Store

SCORES = """
  SELECT s.score FROM generate_series(%s::timestamptz, %s - interval '5 min', '5 min') AS g (at)
  LEFT JOIN tsad.scores('room', %s, %s, %s) s USING (at) ORDER BY g.at"""


@pytest.fixture(scope="module")
def room(cluster: Cluster, trained_template: str) -> Iterator[PageRoom]:
    with scored_room(cluster, trained_template) as made:
        yield made


def test_a_line_is_that_of_the_scores_function_and_stands_in_both_lists(room: PageRoom) -> None:
    incident_id = room.incidents[0][0]
    with Store.connect(room.operator_uri) as store, store.snapshot():
        row = store.one(SELECT_SHOWN_INCIDENT, incident_id=incident_id)
        found = read_sparks(store, [row])
    from_at, to_at = spans_of([row])[incident_id]
    scores = room.execute(SCORES, from_at, to_at, row.entity, from_at, to_at)
    ratios = 1 + np.array([score for (score,) in scores], np.float32).astype(np.float64)
    assert found == {incident_id: spark_of(ratios)}
    assert found[incident_id].flagged
    text = room.client().get("/").text
    assert text.count(found[incident_id].line) == 2


def test_a_gap_parts_the_line_and_one_reading_is_a_dot() -> None:
    drawn = spark_of(np.array([0.5, np.nan, 3.0]))
    assert drawn.line.count("M") == 2
    assert drawn.flagged == "M80 2 L80.5 2"


def test_of_many_readings_the_highest_of_each_stretch_is_drawn() -> None:
    ratios = np.full(480, 0.5)
    ratios[123] = 4.0
    drawn = spark_of(ratios)
    assert drawn.line.count("L") == 47
    assert drawn.flagged.count("M") == 1
    assert " 2" in drawn.flagged
