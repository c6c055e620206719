"""Groups of incidents that began together: found anew wherever incidents may have changed."""

from __future__ import annotations

from datetime import datetime

from tsad_tasks.base.interval import from_unix_s, unix_s
from tsad_tasks.model.incident_groups import (
    DAY_S,
    GROUP_S,
    REACH_S,
    Beginning,
    CommonMove,
    group_id,
    incident_groups,
)
from tsad_tasks.scoring import queries
from tsad_tasks.scoring.queries import BeginningRow, GroupRow
from tsad_tasks.storage.datasets import SELECT_CHANNELS, DatasetRow
from tsad_tasks.storage.store import Store, columns
from tsad_tasks.text.sentence import group_sentence

RISE, FALL = "rise", "fall"
_ROSE = {RISE: True, FALL: False, None: None}


def build_groups(
    store: Store, dataset: DatasetRow, lineage: str, first_at: datetime, last_at: datetime
) -> None:
    """Brings groups in line with the incidents that stand and begin in [first_at, last_at).

    Those of incidents that begin within two days after it may be others, too. The same rows in
    whatever order incidents come.
    """
    start_s, end_s = unix_s(first_at) - GROUP_S, unix_s(last_at) + 2 * DAY_S + 2 * GROUP_S
    of = {"dataset_id": dataset.dataset_id, "lineage": lineage}
    known = {"start_at": from_unix_s(start_s - REACH_S), "end_at": from_unix_s(end_s + GROUP_S)}
    read = store.rows(queries.SELECT_BEGINNINGS, **of, **known)
    changed = {"start_at": from_unix_s(start_s), "end_at": from_unix_s(end_s)}
    groups = [
        group
        for group in incident_groups([_beginning(row) for row in read])
        if group[-1].at_s >= start_s and group[0].at_s < end_s
    ]
    ids = [
        group_id(dataset.name, lineage, group[0].entity, from_unix_s(group[0].at_s))
        for group in groups
    ]
    pairs = zip(ids, groups, strict=True)
    members = [(one.incident_id, key) for key, group in pairs for one in group]
    store.execute(queries.DELETE_OTHER_GROUPS, **of, **changed, kept=ids)
    if groups:
        rows = _rows(store, dataset, ids, groups)
        store.execute(queries.UPSERT_GROUPS, **of, **columns(rows, GroupRow))
    whose = {"incident_id": [one for one, _ in members], "group_id": [key for _, key in members]}
    store.execute(queries.UPDATE_GROUPED_INCIDENTS, **of, **changed, **whose)


def _beginning(row: BeginningRow) -> Beginning:
    return Beginning(
        unix_s(row.started_at),
        row.entity,
        row.incident_id,
        row.top_channel_id,
        _ROSE[row.moved],
    )


def _rows(
    store: Store, dataset: DatasetRow, ids: list[str], groups: list[tuple[Beginning, ...]]
) -> list[GroupRow]:
    began_at = [from_unix_s(group[0].at_s) for group in groups]
    of = {"dataset_id": dataset.dataset_id}
    counts = store.rows(queries.SELECT_LIVING_COUNTS, at=began_at, **of)
    channels = {row.channel_id: row.name for row in store.rows(SELECT_CHANNELS, **of)}
    rows = []
    for key, group, at, n_all in zip(ids, groups, began_at, counts, strict=True):
        n, common = len({one.entity for one in group}), CommonMove.of(group)
        headline = group_sentence(
            n,
            max(n, n_all),
            channel=channels[common.channel_id] if common.channel_id is not None else None,
            rose=common.rose,
            all_alike=common.all_alike,
            started_at=at,
            zone=dataset.site_zone,
        )
        rows.append(GroupRow(key, at, n, max(n, n_all), headline))
    return rows
