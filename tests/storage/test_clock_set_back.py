"""The server's clock may be set back: what was written stays visible, and revisions in order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.storage.rooms import (
    HOUR_AT,
    Room,
    anomaly_rows,
    attribution_rows,
    new_model,
    opened_room,
    score_rows,
)
from tsad_tasks.champions.records import insert_model, open_period
from tsad_tasks.storage.scores import write_scores, write_unscored_hours

SHOWN = "SELECT score FROM tsad.scores('room', 'a', '2026-03-01', '2026-03-02')"
KNOWN = "SELECT score FROM tsad.scores_as_known_at(%s, 'room', 'a', '2026-03-01', '2026-03-02')"
# As if all of it had been written before the clock was set back by two hours.
LATER = """
UPDATE tsad.score_block SET scored_at = scored_at + interval '2 hours';
UPDATE tsad.anomaly SET known_from = known_from + interval '2 hours';
UPDATE tsad.unscored_hour SET decided_at = decided_at + interval '2 hours';
UPDATE tsad.champion_record
SET decided_at = decided_at + interval '2 hours', recorded_at = recorded_at + interval '2 hours'
"""
BACKWARDS = """
SELECT 'score', count(*) FROM tsad.score_block WHERE superseded_at < scored_at
UNION ALL SELECT 'anomaly', count(*) FROM tsad.anomaly WHERE superseded_at < known_from
UNION ALL SELECT 'unscored', count(*) FROM tsad.unscored_hour WHERE superseded_at < decided_at
UNION ALL SELECT 'champion', count(*) FROM tsad.champion_record WHERE replaced_at < recorded_at
UNION ALL SELECT 'gap', count(*)
  FROM tsad.score_block b JOIN tsad.score_block c USING (entity_id, hour_at, model_id)
  WHERE c.revision = b.revision + 1 AND c.scored_at <> b.superseded_at
"""


@pytest.fixture
def room(warehouse_uri: str) -> Iterator[Room]:
    with opened_room(warehouse_uri) as opened:
        yield opened


def _champion(room: Room) -> int:
    model = new_model(room)
    with room.store.transaction():
        model_id = insert_model(room.store, model).model_id
        open_period(room.store, model.scope, model_id, valid_from=HOUR_AT, reason="said")
    return int(model_id)


def _score(room: Room, model_id: int, *scores: float) -> None:
    with room.store.transaction():
        rows = anomaly_rows(room, 1, score=scores[1]), attribution_rows(room, 1)
        write_scores(room.store, score_rows(room, model_id, [*scores]), *rows)


def test_what_was_scored_stays_shown_and_later_words_follow_it(room: Room) -> None:
    model_id = _champion(room)
    _score(room, model_id, -1, 2)
    marks = [room.entity_ids[1]], [HOUR_AT]
    with room.store.transaction():
        write_unscored_hours(room.store, "live", *marks, ["no_champion"], "")
    room.rows(LATER)
    assert room.rows(SHOWN) == [(-1,), (2,)]
    _score(room, model_id, -1, 3)
    with room.store.transaction():
        write_unscored_hours(room.store, "live", *marks, ["failed"], "")
    assert room.rows(SHOWN) == [(-1,), (3,)]
    assert {n for _, n in room.rows(BACKWARDS)} == {0}
    ((scored_at,),) = room.rows("SELECT max(scored_at) FROM tsad.score_block")
    assert room.rows(KNOWN, scored_at) == [(-1,), (3,)]
