"""Blocks, layouts, partitions, locks, champions: what the store promises its callers."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg2
import pytest

from tests.storage.rooms import (
    HOUR_AT,
    Room,
    anomaly_rows,
    attribution_rows,
    new_model,
    opened_room,
    room_config,
    score_rows,
)
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import HOUR
from tsad_tasks.champions.records import insert_model, open_period
from tsad_tasks.scoring.queries import SELECT_CHAMPIONS
from tsad_tasks.storage.datasets import lock_champions, lock_hours, select_dataset, select_layouts
from tsad_tasks.storage.readings import read_blocks, read_counts, read_summaries, write_blocks
from tsad_tasks.storage.scores import write_scores, write_unscored_hours
from tsad_tasks.storage.store import Store
from tsad_tasks.training.queries import SELECT_CHAMPION_AT, NewModel

MONTH_AT = datetime(2031, 1, 1, tzinfo=UTC)
LATER = HOUR_AT + 10 * HOUR


@pytest.fixture
def room(warehouse_uri: str) -> Iterator[Room]:
    with opened_room(warehouse_uri) as opened:
        yield opened


# Readings and layouts


def test_blocks_come_back_as_they_were_written_and_nan_where_nothing_is(room: Room) -> None:
    room.write(HOUR_AT, [[1, np.nan], [-0.0, np.inf]])
    found = room.read(HOUR_AT - HOUR, HOUR_AT + HOUR)
    np.testing.assert_array_equal(found, [[np.nan] * 2, [np.nan] * 2, [1, np.nan], [-0.0, np.inf]])
    assert np.signbit(found[3, 0])


def test_the_same_block_again_writes_nothing(room: Room) -> None:
    assert room.write(HOUR_AT, [[1, np.nan], [3, 4]]) == 1
    before = room.rows("SELECT xmin::text, b::text FROM tsad.reading_block b")
    assert room.write(HOUR_AT, [[1, np.nan], [3, 4]]) == 0
    assert room.rows("SELECT xmin::text, b::text FROM tsad.reading_block b") == before


def test_a_changed_block_is_the_next_revision(room: Room) -> None:
    room.write(HOUR_AT, [[1, 2], [3, 4]])
    assert room.write(HOUR_AT, [[1, 2], [3, 5]]) == 1
    assert room.rows("SELECT revision FROM tsad.reading_block") == [(2,)]


def test_blocks_of_an_older_layout_are_read_in_the_columns_of_the_new_one(room: Room) -> None:
    room.write(HOUR_AT, [[1, 2], [3, 4]])
    grown = room.grown(room_config("new", "load", "cpu"))
    assert grown.layout.channel_names == ("cpu", "load", "new")
    grown.write(HOUR_AT + HOUR, [[5, 6, 7], [8, 9, 10]])
    expected = [[1, 2, np.nan], [3, 4, np.nan], [5, 6, 7], [8, 9, 10]]
    np.testing.assert_array_equal(grown.read(HOUR_AT, HOUR_AT + 2 * HOUR), expected)
    np.testing.assert_array_equal(room.read(HOUR_AT, HOUR_AT + 2 * HOUR), np.array(expected)[:, :2])


def test_a_channel_that_is_no_longer_named_keeps_its_position(room: Room) -> None:
    shrunk = room.grown(room_config("load"))
    assert shrunk.layout == room.layout


def test_positions_are_kept_when_the_step_changes_so_that_old_rows_stay_in_their_columns(
    room: Room,
) -> None:
    room.write(HOUR_AT, [[1, 2], [3, 4]])
    other = room.grown(room_config("load", "cpu", step="20min"))
    assert other.layout.channel_names == ("cpu", "load")
    other.write(HOUR_AT + HOUR, [[5, 6], [7, 8], [9, 10]])
    rows = room.rows(
        "SELECT to_char(at AT TIME ZONE 'UTC', 'HH24:MI'), cpu, load FROM tsad.readings_room ORDER "
        "BY at"
    )
    assert rows == [
        ("05:00", 1, 2),
        ("05:30", 3, 4),
        ("06:00", 5, 6),
        ("06:20", 7, 8),
        ("06:40", 9, 10),
    ]


def test_a_dataset_that_goes_back_to_an_earlier_step_goes_back_to_that_layout(room: Room) -> None:
    room.grown(room_config(step="20min"))
    back = room.grown(room.config)
    assert back.layout == room.layout
    assert select_layouts(room.store, room.dataset_id)[0] == room.layout


def test_a_unit_that_changes_is_told_in_the_datasets_view(room: Room) -> None:
    channels = {
        name: channel.model_copy(update={"unit": "W"})
        for name, channel in room.config.source.channels.items()
    }
    source = room.config.source.model_copy(update={"channels": channels})
    room.grown(room.config.model_copy(update={"sources": (source,)}))
    assert room.rows("SELECT col_description('tsad.readings_room'::regclass, 4)") == [("Unit: W",)]


def test_a_channel_that_left_the_file_keeps_its_column_and_says_so(warehouse_uri: str) -> None:
    with opened_room(warehouse_uri, room_config("cpu", "fan")) as room:
        room.write(HOUR_AT, [[1, 5], [2, 6]])
        room.rows("CREATE VIEW public.mine AS SELECT max(fan) AS fan FROM tsad.readings_room")
        without = room.grown(room_config("cpu"))
        without.write(HOUR_AT + HOUR, [[3, np.nan], [4, np.nan]])
        said = "SELECT col_description('tsad.readings_room'::regclass, 5)"
        ((told,),) = room.rows(said)
        assert re.fullmatch(r"Unit: %. Not in the dataset file since 20[0-9: -]+ UTC; .*", told)
        assert room.rows("SELECT fan FROM tsad.readings_room ORDER BY at") == [
            (5.0,), (6.0,), (None,), (None,),
        ]  # fmt: skip
        assert room.rows("SELECT fan FROM public.mine") == [(6.0,)]
        # Of the others nothing is said, and nothing of one that is back.
        room.grown(room_config("cpu", "fan"))
        assert room.rows(said) == [("Unit: %",)]


def test_an_unknown_dataset_is_bad_input(room: Room) -> None:
    with pytest.raises(
        BadInput, match=r"Expected a dataset that was ingested before. Received: 'hall'"
    ):
        select_dataset(room.store, "hall")


@pytest.mark.parametrize("name", ["a\0b", "b\udcfcse"], ids=["NUL", "no UTF-8"])
def test_what_postgres_takes_for_no_text_is_bad_input(room: Room, name: str) -> None:
    with pytest.raises(BadInput, match=r"Expected names and notes that are text. Received: "):
        select_dataset(room.store, name)
    select_dataset(room.store, "room")


def test_a_horizon_of_minus_infinity_is_none(room: Room) -> None:
    assert select_dataset(room.store, "room").retired_before is None


# Partitions and locks


def _errors_of(*works: Callable[[], None]) -> list[BaseException]:
    """What goes wrong in works that run at once."""
    errors: list[BaseException] = []

    def caught(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=caught, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


@pytest.mark.parametrize("months", [(1, 1), (1, 2)])
def test_two_writers_in_the_middle_of_their_work_may_both_need_a_new_partition(
    room: Room, months: tuple[int, int]
) -> None:
    barrier = threading.Barrier(2, timeout=20)
    room.write(HOUR_AT, [[1, 2], [3, 4]])

    def writer(hour_at: datetime) -> Callable[[], None]:
        def work() -> None:
            with Store.connect(room.uri) as store, store.transaction():
                # Whoever has read holds a lock on each month until the end.
                read_blocks(store, room.layout, room.entity_ids, hour_at, hour_at + HOUR)
                barrier.wait()
                write_blocks(store, room.layout, room.entity_ids[:1], [hour_at], np.ones((1, 2, 2)))

        return work

    hours = [datetime(2031, month, day, tzinfo=UTC) for day, month in enumerate(months, start=1)]
    assert _errors_of(*(writer(hour_at) for hour_at in hours)) == []
    found = room.rows(
        "SELECT hour_at FROM tsad.reading_block WHERE hour_at >= '2031-01-01' ORDER BY 1"
    )
    assert found == [(hour_at,) for hour_at in hours]


def test_a_month_ends_at_midnight_utc_whatever_the_session_s_zone(room: Room) -> None:
    with (
        psycopg2.connect(room.uri, options="-c timezone=America/New_York") as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT tsad.ensure_partition('reading_block', '2031-03-15Z')")
    connection.close()
    found = room.rows(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = "
        "'reading_block_2031_03'"
    )
    (bound,) = found[0]
    assert bound == "FOR VALUES FROM ('2031-03-01 00:00:00+00') TO ('2031-04-01 00:00:00+00')"


def test_a_block_on_either_side_of_a_month_s_end_finds_its_partition(room: Room) -> None:
    for hour_at in (MONTH_AT - HOUR, MONTH_AT):
        room.write(hour_at, [[1, 2], [3, 4]])
    found = room.rows("SELECT tableoid::regclass::text FROM tsad.reading_block ORDER BY hour_at")
    assert found == [("tsad.reading_block_2030_12",), ("tsad.reading_block_2031_01",)]


def test_a_partition_has_the_keys_and_indexes_of_its_table(room: Room) -> None:
    room.rows("SELECT tsad.ensure_partition('score_block', '2031-03-15Z')")
    found = room.rows(
        "SELECT count(*) FROM pg_index WHERE indrelid = 'tsad.score_block_2031_03'::regclass"
    )
    assert (
        found
        == room.rows("SELECT count(*) FROM pg_index WHERE indrelid = 'tsad.score_block'::regclass")
        == [(5,)]
    )


@contextmanager
def _holding(room: Room, hours: list[datetime], seen: list[datetime]) -> Iterator[None]:
    with Store.connect(room.uri) as store, store.transaction():
        lock_hours(store, room.dataset_id, hours, seen=seen)
        yield


def _is_blocked(room: Room, hours: list[datetime], seen: list[datetime] | None = None) -> bool:
    with Store.connect(room.uri) as store:
        store._connection.cursor().execute("SET lock_timeout = '50ms'")
        try:
            with store.transaction():
                lock_hours(store, room.dataset_id, hours, seen=seen or [])
        except psycopg2.errors.LockNotAvailable:
            return True
        return False


def test_an_hour_is_written_by_one_and_read_by_many(room: Room) -> None:
    with _holding(room, hours=[HOUR_AT], seen=[HOUR_AT + HOUR]):
        assert _is_blocked(room, [HOUR_AT])
        assert _is_blocked(room, [], seen=[HOUR_AT])
        assert _is_blocked(room, [HOUR_AT + HOUR])
        assert not _is_blocked(room, [], seen=[HOUR_AT + HOUR])
        assert not _is_blocked(room, [HOUR_AT + 2 * HOUR])


def test_an_hour_that_is_written_and_seen_is_locked_for_writing(room: Room) -> None:
    with _holding(room, hours=[HOUR_AT], seen=[HOUR_AT]):
        assert _is_blocked(room, [], seen=[HOUR_AT])


def test_locks_are_taken_in_ascending_order_so_that_no_two_wait_for_each_other(room: Room) -> None:
    hours = [HOUR_AT + i * HOUR for i in range(200)]

    def work(order: list[datetime]) -> Callable[[], None]:
        def locked() -> None:
            for _ in range(10):
                with _holding(room, order[::2], order[1::2]):
                    pass

        return locked

    assert _errors_of(work(hours), work(hours[::-1]), work(hours[100:] + hours[:100])) == []


def test_champions_stay_while_somebody_scores_and_many_may_score(room: Room) -> None:
    promoted = threading.Event()
    model, model_id = _registered(room)

    def promote() -> None:
        with Store.connect(room.uri) as store, store.transaction():
            open_period(store, model.scope, model_id, valid_from=HOUR_AT, reason="test")
        promoted.set()

    with (
        Store.connect(room.uri) as first,
        Store.connect(room.uri) as second,
        first.transaction(),
        second.transaction(),
    ):
        lock_champions(first, room.dataset_id)
        lock_champions(second, room.dataset_id)
        thread = threading.Thread(target=promote)
        thread.start()
        time.sleep(0.2)
        assert not promoted.is_set()
    thread.join(20)
    assert promoted.is_set()


# Models and champions


def _registered(room: Room, **changes: object) -> tuple[NewModel, int]:
    model = new_model(room, **changes)
    with room.store.transaction():
        return model, insert_model(room.store, model).model_id


def _promoted(room: Room, valid_from: datetime, **changes: object) -> int:
    model, model_id = _registered(room, **changes)
    with room.store.transaction():
        open_period(room.store, model.scope, model_id, valid_from=valid_from, reason="test")
    return model_id


def test_the_same_training_is_the_same_model(room: Room) -> None:
    _, first = _registered(room)
    _, again = _registered(room, sha256="1" * 64)
    _, other = _registered(room, seed=8)
    assert first == again != other
    assert room.rows("SELECT model_id, version FROM tsad.model ORDER BY 1") == [
        (first, 1),
        (other, 2),
    ]


def test_models_registered_at_once_get_versions_of_their_own(room: Room) -> None:
    def work(seed: int) -> Callable[[], None]:
        def register() -> None:
            with Store.connect(room.uri) as store, store.transaction():
                insert_model(store, new_model(room, seed=seed))

        return register

    assert _errors_of(*(work(seed) for seed in (1, 2, 2, 3))) == []
    assert room.rows("SELECT version FROM tsad.model ORDER BY 1") == [(1,), (2,), (3,)]


def test_a_promotion_ends_the_period_before_it(room: Room) -> None:
    first, second = _promoted(room, HOUR_AT), _promoted(room, LATER, seed=8)
    start, end = HOUR_AT - timedelta(days=1), LATER + timedelta(days=1)
    found = room.store.rows(
        SELECT_CHAMPIONS, dataset_id=room.dataset_id, lineage="live", start_at=start, end_at=end
    )
    assert [(row.model_id, row.valid_from) for row in found] == [(first, HOUR_AT), (second, LATER)]
    assert (found[0].valid_to, found[1].valid_to.year) == (LATER, 9999)  # type: ignore[union-attr]


@pytest.mark.parametrize("valid_from", [HOUR_AT, HOUR_AT - HOUR])
def test_two_champions_of_one_hour_are_refused(room: Room, valid_from: datetime) -> None:
    _promoted(room, HOUR_AT)
    with pytest.raises(psycopg2.errors.ExclusionViolation):
        _promoted(room, valid_from, seed=8)
    assert room.rows("SELECT count(*) FROM tsad.champion_period") == [(1,)]


def test_another_lineage_and_another_scope_have_their_own_champions(room: Room) -> None:
    _promoted(room, HOUR_AT)
    _promoted(room, HOUR_AT, lineage="replay")
    _promoted(room, HOUR_AT, scope_entity_id=room.entity_ids[0])
    assert room.rows("SELECT count(*) FROM tsad.champion_period WHERE valid_to = 'infinity'") == [
        (3,)
    ]


def test_periods_that_touch_do_not_overlap_and_the_first_hour_belongs_to_the_new_champion(
    room: Room,
) -> None:
    first, second = _promoted(room, HOUR_AT), _promoted(room, LATER, seed=8)
    found = [
        room.store.first(
            SELECT_CHAMPION_AT, dataset_id=room.dataset_id, scope_entity_id=0, lineage="live", at=at
        )
        for at in (LATER - HOUR, LATER)
    ]
    assert [one.model_id for one in found if one] == [first, second]
    assert (
        room.store.first(
            SELECT_CHAMPION_AT,
            dataset_id=room.dataset_id,
            scope_entity_id=0,
            lineage="live",
            at=HOUR_AT - HOUR,
        )
        is None
    )


# Scores and anomalies


def _scored(
    room: Room, model_id: int, scores: list[float], *steps: int, score: float = 2.0
) -> tuple[int, int, int]:
    with room.store.transaction():
        rows = score_rows(room, model_id, scores)
        done = write_scores(
            room.store,
            rows,
            anomaly_rows(room, *steps, score=score),
            attribution_rows(room, *steps),
        )
    return done.n_new, done.n_superseded, done.n_anomalies


def test_the_same_scores_again_write_nothing(room: Room) -> None:
    model_id = _promoted(room, HOUR_AT)
    assert _scored(room, model_id, [2.0, np.nan], 0) == (1, 0, 1)
    before = room.rows(
        "SELECT s.xmin::text, a.xmin::text, s.*, a.* FROM tsad.score_block s, tsad.anomaly a"
    )
    assert _scored(room, model_id, [2.0, np.nan], 0) == (0, 0, 0)
    assert (
        room.rows(
            "SELECT s.xmin::text, a.xmin::text, s.*, a.* FROM tsad.score_block s, tsad.anomaly a"
        )
        == before
    )


def test_changed_scores_are_a_new_revision_and_the_old_one_can_still_be_read(room: Room) -> None:
    model_id = _promoted(room, HOUR_AT)
    _scored(room, model_id, [2.0, 0.0], 0)
    (known_at,) = room.rows("SELECT clock_timestamp()")[0]
    assert _scored(room, model_id, [0.0, 3.0], 1, score=3.0) == (1, 1, 1)
    call = "SELECT score, flag, revision FROM tsad.{}'room', 'a', '2026-03-01', '2026-03-02')"
    assert room.rows(call.format("scores(")) == [(0.0, False, 2), (3.0, True, 2)]
    assert room.rows(call.format("scores_as_known_at(%s, "), known_at) == [
        (2.0, True, 1),
        (0.0, False, 1),
    ]
    assert room.rows("SELECT at, score FROM tsad.v_anomaly") == [
        (HOUR_AT + timedelta(minutes=30), 3.0)
    ]


def test_an_unknown_score_is_null_and_says_why(room: Room) -> None:
    _scored(room, _promoted(room, HOUR_AT), [2.0, np.nan], 0)
    rows = room.rows(
        "SELECT score, flag, reason FROM tsad.scores('room', 'a', '2026-03-01', '2026-03-02')"
    )
    assert rows == [(2.0, True, "scored"), (None, None, "missing")]


def test_scores_keep_their_times_when_the_dataset_s_step_changes(room: Room) -> None:
    _scored(room, _promoted(room, HOUR_AT), [1.0, 2.0])
    room.grown(room_config(step="20min"))
    rows = room.rows("SELECT at FROM tsad.scores('room', 'a', '2026-03-01', '2026-03-02')")
    assert rows == [(HOUR_AT,), (HOUR_AT + timedelta(minutes=30),)]


def test_a_model_without_a_period_speaks_to_nobody(room: Room) -> None:
    _, model_id = _registered(room)
    _scored(room, model_id, [2.0, 0.0], 0)
    for view in ("v_anomaly", "v_status", "scores('room', 'a', '2026-03-01', '2026-03-02')"):
        assert room.rows(f"SELECT FROM tsad.{view}") == []
    assert room.rows("SELECT champion FROM tsad.v_model") == [(False,)]


def test_an_hour_without_champion_is_marked_and_unmarked(room: Room) -> None:
    def mark(status: str | None) -> int:
        with room.store.transaction():
            return write_unscored_hours(
                room.store, "live", room.entity_ids[:1], [HOUR_AT], [status], "none yet"
            )

    assert (mark("no_champion"), mark("no_champion")) == (1, 0)
    assert room.rows("SELECT status, detail FROM tsad.v_status") == [("no_champion", "none yet")]
    assert mark(None) == 0
    assert room.rows("SELECT FROM tsad.v_status") == []


def test_summaries_are_stored_with_blocks_and_made_where_they_are_not(room: Room) -> None:
    room.write(HOUR_AT, [[1, 2], [1, 4]])
    room.write(HOUR_AT + HOUR, [[5, 2], [6, 4]])
    room.rows("UPDATE tsad.reading_block SET summary = NULL WHERE hour_at = %s", HOUR_AT)
    hours = [HOUR_AT, HOUR_AT + HOUR, HOUR_AT + 2 * HOUR]
    for _ in range(2):
        with room.store.transaction():
            found = read_summaries(room.store, room.layout, room.entity_ids, hours)
        assert found["n"].tolist() == [[[2, 2], [2, 2], [0, 0]], [[0, 0]] * 3]
        assert found["longest"][0, :2].tolist() == [[2, 1], [1, 1]]
        assert found["median"][0, :2].tolist() == [[1, 3], [5.5, 3]]
    assert room.rows("SELECT count(*) FROM tsad.reading_block WHERE summary IS NULL") == [(0,)]


def test_summaries_are_seen_in_the_columns_of_a_later_layout(room: Room) -> None:
    room.write(HOUR_AT, [[1, 2], [1, 4]])
    grown = room.grown(room_config("cpu", "load", "fan"))
    grown.write(HOUR_AT + HOUR, [[5, 2, 7], [6, 4, 7]])
    with room.store.transaction():
        asked = grown.entity_ids[:1], [HOUR_AT, HOUR_AT + HOUR]
        found = read_summaries(room.store, grown.layout, *asked)
    assert found["n"].tolist() == [[[2, 2, 0], [2, 2, 2]]]


def test_numbers_of_readings_are_kept_and_a_change_of_them_alone_is_no_revision(
    room: Room,
) -> None:
    values, once = np.ones((1, 2, 2)), np.array([[[1, 1], [0, 1]]], np.uint8)
    for counts in (None, once, once * 0 + 1, once * 0 + 6):
        with room.store.transaction():
            of = room.layout, room.entity_ids[:1], [HOUR_AT], values
            assert write_blocks(room.store, *of, counts).n_changed == 1
            assert write_blocks(room.store, *of, counts).n_changed == 0
            asked = room.store, room.layout, room.entity_ids, HOUR_AT, HOUR_AT + HOUR
            found = read_counts(*asked)
        assert found.known.tolist() == [[counts is not None], [False]]
        wanted = np.zeros((2, 2)) if counts is None else counts[0]
        assert found.counts[0].tolist() == wanted.tolist()
    # Six readings a step are content: what is made of them is less noisy.
    assert room.rows("SELECT revision FROM tsad.reading_block") == [(2,)]
