"""News of models: what was decided on them, or on a training, as far as people are told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class News:
    """One decision on a live model, or a training that was stopped.

    Attributes
    ----------
    event : gate_failed, shadow_failed, training_stopped, promoted or rolled_back.
    thread : random name, of which keys of messages are hashes.
    start_at, end_at : the training range.
    entity : that the model is of; None: of the whole dataset, as trainings are.
    version, former_version : the model, and whose place it took; None of a training.
    champion_version : the champion now; None where there is none, or, of a training, each entity
        has its own.
    n_champions : how many there are now, of the entity or the dataset.
    failed_rules : rule, value, limit, champion and note of each rule that was not met.
    excluded_share, left_out : of a training: share of the running readings, in all and by reason.
    """

    news_id: int
    thread: str
    event: str
    decided_at: datetime
    decided_by: str
    reason: str
    start_at: datetime
    end_at: datetime
    entity: str | None = None
    version: int | None = None
    former_version: int | None = None
    champion_version: int | None = None
    n_champions: int = 0
    valid_from: datetime | None = None
    failed_rules: Sequence[Mapping[str, Any]] = ()
    excluded_share: float | None = None
    left_out: Mapping[str, float] | None = None
    pdf: str | None = None
