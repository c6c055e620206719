"""Scopes whose readings do not fill the training range yet: what they learn from, and by whom.

How long readings reach back decides, and which weekdays are among them; never what ran before. So a
backfill of the first weeks trains what live runs have trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.base.interval import hour_ceil, unix_s
from tsad_tasks.config import DatasetConfig, ThresholdSection
from tsad_tasks.ingest.queries import SELECT_FIRST_HOURS
from tsad_tasks.model.weekdays import unknown_weekdays
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Store
from tsad_tasks.training.reader import Scope, training_range

# Thresholds that ask nothing of a detector or of labels: a young detector takes them over.
_OF_ANY_DETECTOR = ("evt", "percentile", "mean_std", "conformal", "adaptive", "rolling_percentile")
DAY_S = 86400


@dataclass(frozen=True)
class Share:
    """What a scope has of the training range.

    Attributes
    ----------
    range_s : how long its range is.
    is_young : some weekday was seen too seldom, and time will tell more.
    """

    range_s: int
    is_young: bool = False


def config_of_share(config: DatasetConfig, share: Share) -> DatasetConfig:
    """The dataset as a scope with so much to learn from is trained."""
    if share == Share(config.training.range_s):
        return config
    training = config.training.model_copy(update={"range_s": share.range_s})
    config = config.model_copy(update={"training": training})
    name = training.young_detector
    return with_detector(config, name) if share.is_young else config


def with_detector(config: DatasetConfig, name: str) -> DatasetConfig:
    """The dataset with another detector and its defaults, young or not."""
    training = config.training.model_copy(update={"young_detector": name})
    update: dict[str, object] = {"training": training}
    if config.detector.name != name:
        update["detector"] = config.detector.model_copy(update={"name": name, "params": {}})
        if config.threshold.kind not in _OF_ANY_DETECTOR:
            update["threshold"] = ThresholdSection()
    return config.model_copy(update=update)


def age_limit_s(config: DatasetConfig) -> int:
    """How old readings are when nothing is young any more."""
    return min(config.training.range_s, config.training.young_until_s)


def ages_s(
    store: Store, config: DatasetConfig, scopes: list[Scope], end_at: datetime
) -> dict[int, int | None]:
    """How long the readings of scopes reach back from `end_at`, by scope; None: nobody knows.

    What retention took is older than whatever is kept.
    """
    retired_at = select_dataset(store, config.dataset).retired_before
    ids = [key for scope in scopes for _, key in scope.entities]
    first = dict(store.rows(SELECT_FIRST_HOURS, entity_ids=ids))
    found: dict[int, int | None] = {}
    for scope in scopes:
        known = [at for _, key in scope.entities if (at := first.get(key)) is not None]
        begun_at = min(known, default=None)
        is_whole = begun_at is not None and (retired_at is None or begun_at > retired_at)
        found[scope.entity_id] = (
            unix_s(hour_ceil(end_at)) - unix_s(begun_at) if begun_at and is_whole else None
        )
    return found


def length_s(config: DatasetConfig, age_s: int | None, end_at: datetime) -> int | None:
    """How long the range of a scope is whose readings reach so far back; None: it is too early.

    Readings that fill the range, or of which the part that is learned from has `min_hours` though
    they are younger than `young_from`, are trained on as ever.
    """
    training = config.training
    if age_s is None or age_s >= training.range_s:
        return training.range_s
    if age_s >= training.young_from_s:
        return age_s
    held_s = unix_s(hour_ceil(end_at)) - unix_s(training_range(config, end_at).split_at)
    return training.range_s if age_s - held_s >= training.min_hours * 3600 else None


def share_of(config: DatasetConfig, range_s: int, weekdays: list[int]) -> Share:
    """What a scope has whose range is so long and shows the weekdays so often."""
    is_cut = range_s < age_limit_s(config)
    return Share(range_s, is_cut and bool(unknown_weekdays(weekdays)))


def not_young(config: DatasetConfig) -> NothingToDo:
    """That a daily run has nothing to train."""
    return NothingToDo(
        f"Nothing of {config.dataset} is young: it is trained by training.schedule, "
        f"{config.training.schedule} UTC."
    )


def too_early(config: DatasetConfig, age_s: int, end_at: datetime) -> NothingToDo:
    """That there is too little to train on, and when there will be enough."""
    needed_s = config.training.young_from_s
    begun_at = hour_ceil(end_at) - timedelta(seconds=age_s)
    enough_at = begun_at + timedelta(seconds=needed_s)
    return NothingToDo(
        f"Expected {needed_s / DAY_S:g} days of readings of {config.dataset} for a first model "
        f"(training.young_from). Received: {max(age_s, 0) * 10 // DAY_S / 10:g}, from "
        f"{begun_at:%Y-%m-%d %H:%M} UTC on. The daily run of {config.dataset}.retrain after "
        f"{enough_at:%Y-%m-%d %H:%M} UTC trains it."
    )
