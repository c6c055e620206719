"""A range that a person names: ingested, and scored with the champion of each hour, in bulk."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.interval import Interval, day_chunks
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import IngestSummary, ingest_interval
from tsad_tasks.ingest.late import nothing_read
from tsad_tasks.ingest.sources.base import Uris
from tsad_tasks.pipeline.record import StepRecord, recorded
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.plan import history_s
from tsad_tasks.scoring.score import ScoreSummary, score_interval
from tsad_tasks.storage.datasets import select_dataset, select_entities
from tsad_tasks.storage.store import Store

MAX_VALUES = 30_000_000

Advance = Callable[[int, str], None]
Progress = Callable[[str, int], AbstractContextManager[Advance]]
Say = Callable[[str, Mapping[str, Any]], None]


def command_run_id() -> str:
    """The id of a run that a command starts."""
    return f"cli/{utc_now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


def chunk_days(store: Store, config: DatasetConfig) -> int:
    """Days to be scored at a time, so that a chunk's readings stay within memory."""
    with store.transaction():
        dataset = select_dataset(store, config.dataset)
        n_entities = len(select_entities(store, dataset.dataset_id))
    per_day = max(1, n_entities) * len(config.stored_names) * 86400 // config.step_s
    return max(1, min(31, MAX_VALUES // per_day))


@dataclass(frozen=True)
class RangeRun:
    """One run over [start_at, end_at), whose tasks `run_status` keeps where it has an id.

    Attributes
    ----------
    progress : shows how far a task is: told its name and number of chunks, it gives a context whose
        value is told how many were done, and which.
    say : shows the counts of a task that has ended.
    tell : shows a sentence.
    """

    store: Store
    config: DatasetConfig
    uris: Uris
    start_at: datetime
    end_at: datetime
    progress: Progress
    say: Say
    tell: Callable[[str], None]
    run_id: str | None = field(default_factory=command_run_id)

    def ingest(self, *, history_s: int = 0, force: bool = False) -> None:
        """Readings of the range and of the history before it, a day at a time.

        Parameters
        ----------
        force : reads what has been read before as well.
        """
        chunks, summary = day_chunks(self.start_at, self.end_at), IngestSummary()
        with self._recorded("ingest") as record, self.progress("ingest", len(chunks)) as advance:
            for start_at, end_at in chunks:
                ends = Interval(start_at, end_at)._asdict()
                of = self.store, self.config, self.uris
                summary += ingest_interval(*of, **ends, history_s=history_s, force=force)
                history_s = 0
                advance(1, f"{start_at:%Y-%m-%d}")
            counts = record.add(summary)
        self.say("ingest", counts)
        of = self.store, self.config, self.uris
        if nothing := nothing_read(*of, **self._ends):
            self.tell(nothing)

    def score(self, lineage: str, *, force: bool = False) -> None:
        """Ingests the range, scores it in chunks, and merges its flags."""
        of = self.store, self.config
        needed_s = history_s(*of, lineage=lineage, **self._ends)
        self.ingest(history_s=needed_s, force=force)
        chunks = day_chunks(self.start_at, self.end_at, days=chunk_days(self.store, self.config))
        summary = ScoreSummary()
        with self._recorded("score") as record, self.progress("score", len(chunks)) as advance:
            for start_at, end_at in chunks:
                ends = Interval(start_at, end_at)._asdict()
                summary += score_interval(*of, **ends, lineage=lineage)
                advance(1, f"{start_at:%Y-%m-%d}")
            counts = record.add(summary)
        self.say("score", counts)
        with self._recorded("incidents") as record:
            merged = build_incidents(*of, lineage=lineage, **self._ends)
            self.say("incidents", record.add(merged))

    @property
    def _ends(self) -> dict[str, Any]:
        return Interval(self.start_at, self.end_at)._asdict()

    def _recorded(self, task: str) -> AbstractContextManager[StepRecord]:
        if self.run_id is None:
            return nullcontext(StepRecord())
        return recorded(self.store, self.config, task, run_id=self.run_id, **self._ends)
