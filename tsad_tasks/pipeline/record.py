"""A row of `run_status` for each task of a run: its counts, or the family of its error."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from tsad_tasks.base import errors
from tsad_tasks.base.files import space_at
from tsad_tasks.base.interval import Interval
from tsad_tasks.base.masking import masked
from tsad_tasks.config import DatasetConfig
from tsad_tasks.pipeline.queries import UPSERT_RUN_STATUS
from tsad_tasks.storage.database import DatabaseError
from tsad_tasks.storage.datasets import upsert_dataset
from tsad_tasks.storage.store import Store

_STATES: tuple[tuple[type[errors.TsadError], str], ...] = (
    (errors.AccessDenied, "access_denied"),
    (errors.SourceError, "source_error"),
    (errors.BundleError, "bundle_error"),
    (errors.BadInput, "bad_input"),
    (errors.NothingToDo, "nothing_to_do"),
    (errors.NotYet, "not_yet"),
    (errors.NoSpace, "no_space"),
    (errors.Unavailable, "unavailable"),
)


class StepRecord:
    """Collects the counts of a step, and the range that it works on, where that is another one."""

    def __init__(self) -> None:
        self.counts: dict[str, Any] = {}
        self.ends: dict[str, Any] = {}
        self.outcome: dict[str, str] = {"state": "done", "message": ""}

    def works_on(self, parts: Sequence[Interval]) -> None:
        """What the step works on, oldest first; of several parts where the first ends."""
        if parts:
            self.ends = {"start_at": parts[0].start_at, "end_at": parts[-1].end_at}
        if len(parts) > 1:
            self.counts = {"caught_up_until": parts[0].end_at.isoformat()}

    def add(self, summary: Any) -> dict[str, Any]:
        """The summary as counts; where no model of the step could be used, it is not done."""
        if getattr(summary, "all_failed", False):
            said = "None of its models could be used: see the status failed in tsad.v_status."
            self.outcome = {"state": "bundle_error", "message": said}
        counts = dict(summary) if isinstance(summary, Mapping) else asdict(summary)
        self.counts |= counts
        return counts


def state_of(error: BaseException) -> str:
    """The state that an error leaves in `run_status`.

    >>> state_of(errors.AccessDenied("no")), state_of(ValueError("x"))
    ('access_denied', 'failed')
    """
    return next((state for family, state in _STATES if isinstance(error, family)), "failed")


@contextmanager
def recorded(
    store: Store,
    config: DatasetConfig,
    step: str,
    *,
    run_id: str,
    start_at: datetime | None = None,
    end_at: datetime | None = None,
    shard: int = 0,
) -> Iterator[StepRecord]:
    """Writes the step's row when it ends, whichever way, and lets errors through."""
    record, began = StepRecord(), time.monotonic()
    row = {"run_id": run_id, "step": step, "shard": max(shard, 0)}
    row |= {"start_at": start_at, "end_at": end_at}

    def write() -> None:
        store.rollback()
        counts = json.dumps(record.counts, default=str)
        with store.transaction():
            dataset_id, seconds = upsert_dataset(store, config).dataset_id, time.monotonic() - began
            more = {"dataset_id": dataset_id, "counts": counts, "seconds": seconds}
            store.execute(UPSERT_RUN_STATUS, **row | record.outcome | record.ends, **more)

    try:
        # Whatever writes files by itself, such as a library its temporary ones.
        with space_at(Path(tempfile.gettempdir())):
            yield record
    except Exception as error:
        record.outcome = {"state": state_of(error), "message": masked(str(error))[:2000]}
        # The warehouse itself may be gone: the step's own error says so, and must not be hidden.
        with suppress(DatabaseError, errors.Unavailable):
            write()
        raise
    write()
