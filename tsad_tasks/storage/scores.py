"""Blocks of scores: what a model said of each hour, revision by revision, and what it remembers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.blocks import ensure_partitions, n_hours, read_hours
from tsad_tasks.storage.store import Incoming, Query, Statement, Store


class ScoreMemo(NamedTuple):
    """Stored errors of one model, on the hours' grid of a range.

    Attributes
    ----------
    errors : float32 (n_entities, n_hours × steps), NaN where unknown.
    window_digests : int64 (n_entities, n_hours); 0 where nothing is stored.
    stored : bool (n_entities, n_hours): a row is there.
    """

    errors: NDArray[np.float32]
    window_digests: NDArray[np.int64]
    stored: NDArray[np.bool_]


class ScoreSteps(NamedTuple):
    """Errors, thresholds and scores of one entity, all float32 (n_steps,), NaN where unknown."""

    errors: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class ScoreRows:
    """Hours to be written, one row each (n); steps × channels of the model.

    `thresholds` and `scores` are ignored where `memo` is true: such a row only remembers errors.
    `outside` are ids of channels, a text each such as `3,7`; empty: no hour has any.
    """

    model_id: int
    entity_ids: NDArray[np.int64]
    hours_s: NDArray[np.int64]
    errors: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    scores: NDArray[np.float32]
    reasons: NDArray[np.int16]
    channel_errors: NDArray[np.float32]
    has_flags: NDArray[np.bool_]
    memo: NDArray[np.bool_]
    status: list[str]
    coverage: NDArray[np.float32]
    n_needed: NDArray[np.int64]
    n_seen: NDArray[np.int64]
    window_digests: NDArray[np.int64]
    score_digests: NDArray[np.int64]
    outside: Sequence[str] = ()


@dataclass(frozen=True)
class AnomalyRows:
    """Flagged readings of the hours in a `ScoreRows`, one element each."""

    entity_ids: NDArray[np.int64]
    times_s: NDArray[np.int64]
    kind: list[str]
    severity: list[str]
    error: NDArray[np.float32]
    threshold: NDArray[np.float32]
    score: NDArray[np.float32]
    provisional: NDArray[np.bool_]


@dataclass(frozen=True)
class AttributionRows:
    """Shares of channels in the errors of flagged readings, one element each.

    `step_shares` (n, width): the share by step of the window, oldest first.
    """

    entity_ids: NDArray[np.int64]
    times_s: NDArray[np.int64]
    channel_ids: NDArray[np.int64]
    share: NDArray[np.float32]
    actual: NDArray[np.float64]
    expected: NDArray[np.float64]
    spread: NDArray[np.float64]
    step_shares: NDArray[np.float32]


class ScoreWrite(NamedTuple):
    """What writing scores changed."""

    n_new: int
    n_superseded: int
    n_anomalies: int


class StandingIncident(NamedTuple):
    """An incident that counts; `memory_steps`: how long its model's windows hold a reading."""

    incident_id: str
    entity_id: int
    started_at: datetime
    last_flag_at: datetime
    memory_steps: int


SELECT_INCIDENTS = Query("storage/select_incidents", StandingIncident)
READ_SCORE_MEMO = Statement("storage/read_score_memo")
READ_WINDOW_DIGESTS = Statement("storage/read_window_digests")
READ_SCORE_DIGESTS = Statement("storage/read_score_digests")
READ_SCORE_SERIES = Statement("storage/read_score_series")

INCOMING_SCORE = Incoming("storage/create_incoming_score", "incoming_score")
INCOMING_ANOMALY = Incoming("storage/create_incoming_anomaly", "incoming_anomaly")
INCOMING_ATTRIBUTION = Incoming("storage/create_incoming_attribution", "incoming_attribution")
INSERT_SCORES = Statement("storage/insert_scores")
REFRESH_SCORE_DIGESTS = Statement("storage/refresh_score_digests")
DELETE_SCORE_MEMOS = Statement("storage/delete_score_memos")
SUPERSEDE_SCORES = Statement("storage/supersede_scores")
SUPERSEDE_ANOMALIES = Statement("storage/supersede_anomalies")
INSERT_ANOMALIES = Statement("storage/insert_anomalies")
DELETE_ATTRIBUTIONS = Statement("storage/delete_attributions")
INSERT_ATTRIBUTIONS = Statement("storage/insert_attributions")
SUPERSEDE_UNSCORED_HOURS = Statement("storage/supersede_unscored_hours")
SUPERSEDE_OTHER_MARKS = Statement("storage/supersede_other_marks")
SUPERSEDE_SILENT_SCORES = Statement("storage/supersede_silent_scores")
INSERT_UNSCORED_HOURS = Statement("storage/insert_unscored_hours")
# The server's clock, for revisions that are decided under the hours' locks.


def read_score_memo(
    store: Store,
    model_id: int,
    entity_ids: Sequence[int],
    start_at: datetime,
    end_at: datetime,
    n_steps: int,
) -> ScoreMemo:
    """What is stored of one model's errors in [start_at, end_at) (whole hours of `n_steps`)."""
    grid = (len(entity_ids), n_hours(start_at, end_at))
    errors = np.full((*grid, n_steps), np.nan, np.float32)
    memo = ScoreMemo(errors, np.zeros(grid, np.int64), np.zeros(grid, bool))
    columns = [binary.Field("window_digest", "i8"), binary.Field("errors", "f4", (n_steps,))]
    span = start_at, end_at
    at, rows = read_hours(store, READ_SCORE_MEMO, columns, entity_ids, span, model_id=model_id)
    memo.errors[at] = rows["errors"]
    memo.window_digests[at] = rows["window_digest"]
    memo.stored[at] = True
    return memo


def read_digests(
    store: Store,
    statement: Statement,
    model_id: int,
    entity_ids: Sequence[int],
    start_at: datetime,
    end_at: datetime,
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which hours a statement gives of a model, and their digests: (n_entities, n_hours) each.

    `statement`: READ_WINDOW_DIGESTS of hours with errors, READ_SCORE_DIGESTS of hours with
    scores, or READ_FOLD_DIGESTS of hours after which a state is remembered.
    """
    grid = (len(entity_ids), n_hours(start_at, end_at))
    is_there, digests = np.zeros(grid, bool), np.zeros(grid, np.int64)
    columns, span = [binary.Field("digest", "i8")], (start_at, end_at)
    at, rows = read_hours(store, statement, columns, entity_ids, span, model_id=model_id)
    is_there[at], digests[at] = True, rows["digest"]
    return is_there, digests


def read_score_series(
    store: Store,
    lineage: str,
    entity_id: int,
    start_at: datetime,
    end_at: datetime,
    n_steps: int,
) -> ScoreSteps:
    """What a lineage's champions made of one entity in whole hours of `n_steps`."""
    names, span = ("errors", "thresholds", "scores"), (start_at, end_at)
    columns = [binary.Field(name, "f4", (n_steps,)) for name in names]
    asked = {"lineage": lineage, "entity_id": entity_id}
    at, rows = read_hours(store, READ_SCORE_SERIES, columns, [entity_id], span, **asked)
    series = np.full((3, n_hours(start_at, end_at), n_steps), np.nan, np.float32)
    for position, name in enumerate(names):
        series[position, at[1]] = rows[name]
    return ScoreSteps(*series.reshape(3, -1))


def write_scores(
    store: Store, rows: ScoreRows, anomalies: AnomalyRows, attributions: AttributionRows
) -> ScoreWrite:
    """Replaces what the model says of these hours, where it differs. Needs the hours' locks."""
    if not len(rows.entity_ids):
        return ScoreWrite(0, 0, 0)
    ensure_partitions(store, "score_block", rows.hours_s)
    store.copy_in(INCOMING_SCORE, _score_columns(rows))
    store.copy_in(INCOMING_ANOMALY, _anomaly_columns(anomalies, rows.model_id))
    store.copy_in(INCOMING_ATTRIBUTION, _attribution_columns(attributions, rows.model_id))
    decided_at = store.now()
    n_new, n_superseded = store.execute(INSERT_SCORES, decided_at=decided_at), 0
    # In a live hour all rows are new, and nothing has to be compared.
    if n_new < len(rows.entity_ids):
        store.execute(REFRESH_SCORE_DIGESTS)
        store.execute(DELETE_SCORE_MEMOS)
        n_superseded = store.execute(SUPERSEDE_SCORES, decided_at=decided_at)
        n_new += store.execute(INSERT_SCORES, decided_at=decided_at)
    store.execute(SUPERSEDE_ANOMALIES, decided_at=decided_at)
    n_anomalies = store.execute(INSERT_ANOMALIES, decided_at=decided_at)
    store.execute(DELETE_ATTRIBUTIONS)
    store.execute(INSERT_ATTRIBUTIONS)
    return ScoreWrite(n_new, n_superseded, n_anomalies)


def _score_columns(rows: ScoreRows) -> list[binary.Column]:
    return [
        binary.number(rows.entity_ids, "i4"),
        binary.timestamptz(rows.hours_s),
        binary.number(np.full(len(rows.entity_ids), rows.model_id), "i4"),
        binary.array(rows.errors, "f4", nullable=True),
        binary.array(rows.thresholds, "f4", nullable=True, absent=rows.memo),
        binary.array(rows.scores, "f4", nullable=True, absent=rows.memo),
        binary.array(rows.reasons, "i2"),
        binary.array(rows.channel_errors, "f4", nullable=True, absent=~rows.has_flags),
        binary.text(rows.status),
        binary.number(rows.coverage, "f4"),
        binary.number(rows.n_needed, "i4"),
        binary.number(rows.n_seen, "i4"),
        binary.number(rows.window_digests, "i8"),
        binary.number(rows.score_digests, "i8"),
        binary.text(rows.outside or [""] * len(rows.entity_ids)),
    ]


def _anomaly_columns(rows: AnomalyRows, model_id: int) -> list[binary.Column]:
    return [
        binary.number(rows.entity_ids, "i4"),
        binary.timestamptz(rows.times_s),
        binary.timestamptz(rows.times_s - rows.times_s % 3600),
        binary.number(np.full(len(rows.entity_ids), model_id), "i4"),
        binary.text(rows.kind),
        binary.text(rows.severity),
        binary.number(rows.error, "f4"),
        binary.number(rows.threshold, "f4"),
        binary.number(rows.score, "f4"),
        binary.number(rows.provisional, "i1"),
    ]


def _attribution_columns(rows: AttributionRows, model_id: int) -> list[binary.Column]:
    return [
        binary.number(rows.entity_ids, "i4"),
        binary.timestamptz(rows.times_s),
        binary.number(np.full(len(rows.entity_ids), model_id), "i4"),
        binary.number(rows.channel_ids, "i4"),
        binary.number(rows.share, "f4"),
        binary.number(rows.actual, "f8"),
        binary.number(rows.expected, "f8"),
        binary.number(rows.spread, "f8"),
        binary.array(rows.step_shares, "f4"),
    ]


def write_unscored_hours(
    store: Store,
    lineage: str,
    entity_ids: Sequence[int],
    hours: Sequence[datetime],
    status: Sequence[str | None],
    detail: str,
) -> int:
    """Marks hours (element by element) that no model scored; None as status unmarks."""
    if not len(entity_ids):
        return 0
    marks = {
        "lineage": lineage,
        "entity_id": list(entity_ids),
        "hour_at": list(hours),
        "status": list(status),
        "detail": [detail] * len(entity_ids),
        "decided_at": store.now(),
    }
    store.execute(SUPERSEDE_UNSCORED_HOURS, **marks)
    return store.execute(INSERT_UNSCORED_HOURS, **marks) if any(status) else 0
