"""Hours whose readings a benchmark wrote itself, as an ingest leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from tsad_tasks.base.interval import HOUR
from tsad_tasks.ingest.queries import UPSERT_INGEST_HOURS, IngestHour
from tsad_tasks.storage.lives import note_lives
from tsad_tasks.storage.store import Store, columns


def note_hours(
    store: Store, dataset_id: int, entities: Sequence[int], hours: Sequence[datetime], n_rows: int
) -> None:
    """All entities live in all hours, each of which had so many rows of the source."""
    note_lives(store, entities, hours, np.ones((len(entities), len(hours)), np.bool_))
    now = datetime.now(UTC)
    ledger = [IngestHour(at, at + HOUR, now, n_rows, n_rows, at + HOUR, None) for at in hours]
    store.execute(
        UPSERT_INGEST_HOURS,
        dataset_id=dataset_id,
        digest="",
        said="{}",
        **columns(ledger, IngestHour),
    )
