"""States of folding models, remembered by entity and hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from tsad_tasks.storage.store import Query, Statement, Store


@dataclass(frozen=True)
class FoldStates:
    """States of a folding model after some hours, one element each."""

    entity_ids: list[int]
    hours: list[datetime]
    digests: list[int]
    states: list[bytes]


class StoredState(NamedTuple):
    """The state of an entity after an hour."""

    entity_id: int
    state: memoryview


READ_FOLD_DIGESTS = Statement("storage/read_fold_digests")
READ_FOLD_STATES = Query("storage/read_fold_states", StoredState)
UPSERT_FOLD_STATES = Statement("storage/upsert_fold_states")
DELETE_FOLD_STATES = Statement("storage/delete_fold_states")


def read_fold_states(
    store: Store, model_id: int, entity_ids: Sequence[int], hours: Sequence[datetime]
) -> dict[int, bytes]:
    """States by entity after one hour each."""
    asked = {"entity_ids": list(entity_ids), "hours": list(hours)}
    rows = store.rows(READ_FOLD_STATES, model_id=model_id, **asked)
    return {row.entity_id: bytes(row.state) for row in rows}


def write_fold_states(
    store: Store, model_id: int, rows: FoldStates, forget_before: datetime
) -> None:
    """Remembers states; of those before a moment only the last of each day stay."""
    if not rows.entity_ids:
        return
    store.execute(UPSERT_FOLD_STATES, model_id=model_id, **vars(rows))
    whose = {"model_id": model_id, "entity_ids": rows.entity_ids}
    store.execute(DELETE_FOLD_STATES, **whose, before_at=forget_before)
