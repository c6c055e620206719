"""Task `rescore`: a range scored again as of then, or by another version beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import HOUR, Interval, day_chunks, whole_hours
from tsad_tasks.champions.champions import Places, locked_model
from tsad_tasks.champions.records import open_period
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.ingest import IngestSummary, ingest_interval
from tsad_tasks.ingest.sources.base import Uris
from tsad_tasks.pipeline.queries import SELECT_WHAT_IF, SELECT_WHAT_IF_INCIDENTS
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.plan import history_s
from tsad_tasks.scoring.score import ScoreSummary, score_interval
from tsad_tasks.storage.store import Store


@dataclass(frozen=True)
class RescoreSummary:
    """What was read and scored anew; what had not changed stays as it was."""

    n_changed_blocks: int
    n_written: int
    n_superseded: int
    n_incidents: int


def rescore_as_of(
    store: Store,
    config: DatasetConfig,
    uris: Uris,
    *,
    start_at: datetime,
    end_at: datetime,
    lineage: str = Lineage.LIVE,
    force: bool = True,
) -> RescoreSummary:
    """Reads [start_at, end_at) again, day by day, and scores changes by each hour's champion; also
    later hours, which were read before, as far as they depend on what has changed.

    Parameters
    ----------
    force : False: reads only what is missing, and scores by who is champion now.
    """
    ingested, scored = IngestSummary(), ScoreSummary()
    for first_at, last_at in day_chunks(*whole_hours(start_at, end_at)):
        span = Interval(first_at, last_at)._asdict()
        back = span | {"history_s": history_s(store, config, lineage=lineage, **span)}
        ingested += ingest_interval(store, config, uris, force=force, **back)
        scored += score_interval(store, config, lineage=lineage, **span)
    until_at = max([end_at, *(hour + HOUR for hour in ingested.changed_hours)])
    for first_at, last_at in day_chunks(*whole_hours(end_at, until_at)):
        span = Interval(first_at, last_at)._asdict()
        scored += score_interval(store, config, lineage=lineage, **span)
    end_at = until_at
    found = build_incidents(store, config, start_at=start_at, end_at=end_at, lineage=lineage)
    written = scored.n_written, scored.n_superseded
    return RescoreSummary(ingested.n_blocks_changed, *written, found.n_incidents)


@dataclass(frozen=True)
class WhatIf:
    """What a version would have said, beside what was said.

    Attributes
    ----------
    lineage : under which its rows are.
    n_hours : of entities, that both have scored
    n_flags, n_incidents : of the version, and of the champions
    """

    lineage: str
    n_hours: int
    n_steps: int
    n_agreed: int
    n_flags: tuple[int, int]
    n_incidents: tuple[int, int]


def lineage_of(run_id: str) -> str:
    """The lineage of a what-if run.

    >>> lineage_of("manual__2026-03-01T00:00:00+00:00")
    'what_if/manual__2026-03-01T00:00:00_00:00'
    """
    return "what_if/" + re.sub(r"[^\w.:-]", "_", run_id)


def score_what_if(
    store: Store,
    config: DatasetConfig,
    version: int,
    *,
    start_at: datetime,
    end_at: datetime,
    run_id: str,
) -> WhatIf:
    """Scores [start_at, end_at) with one version under a lineage of its own; again, the same rows.

    The version may have been trained on these readings: that is what was asked for.

    Raises
    ------
    BadInput
        When there is no such version, its bundle was pruned, or the run asked something else.
    """
    lineage, span = lineage_of(run_id), Interval(*whole_hours(start_at, end_at))
    with store.transaction():
        model, scope = locked_model(store, config, version, lineage)
        known, valid = Places(store, scope).periods(), {"valid_from": span[0], "valid_to": span[1]}
        if not known:
            open_period(store, scope, model.model_id, reason="what if", **valid)
        elif [one[:3] for one in known] != [(model.model_id, *span)]:
            expected = "Expected a run id that was not used before."
            raise BadInput(f"{expected} Received: {lineage}, of another question.")
    for first_at, last_at in day_chunks(*span):
        score_interval(store, config, start_at=first_at, end_at=last_at, lineage=lineage)
    build_incidents(store, config, lineage=lineage, **span._asdict())
    # Beside what people see.
    params = {"dataset": config.dataset, "lineage": lineage} | span._asdict()
    with store.transaction():
        steps = store.one(SELECT_WHAT_IF, **params)
        incidents = store.one(SELECT_WHAT_IF_INCIDENTS, **params)
    flags = steps.n_flags, steps.n_other_flags
    return WhatIf(lineage, steps.n_hours, steps.n_paired, steps.n_agreed, flags, incidents)
