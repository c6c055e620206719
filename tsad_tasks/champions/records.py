"""Rows of models and of champions' periods, each written in one go."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime

from tsad_tasks.champions import queries
from tsad_tasks.storage.datasets import lock_dataset
from tsad_tasks.storage.store import Store
from tsad_tasks.training.queries import SELECT_TRAINED_MODEL, ChampionScope, NewModel, TrainedModel


def insert_model(store: Store, model: NewModel) -> TrainedModel:
    """The registered model; the same training again gives the same one.

    After a model that the gate refused another bundle is a model with a version of its own.
    """
    lock_dataset(store, model.dataset_id, "model")
    params = asdict(model) | {"card": json.dumps(model.card)}
    store.execute(queries.INSERT_MODEL, **params)
    return store.one(SELECT_TRAINED_MODEL, **params)


def open_period(
    store: Store,
    scope: ChampionScope,
    model_id: int,
    *,
    valid_from: datetime,
    reason: str,
    valid_to: datetime | None = None,
) -> None:
    """Makes a model champion from `valid_from` on; the period that holds that moment ends there."""
    lock_dataset(store, scope.dataset_id, "champion")
    store.execute(queries.CLOSE_CHAMPION_PERIOD, **asdict(scope), at=valid_from)
    row = {"model_id": model_id, "valid_from": valid_from, "valid_to": valid_to, "reason": reason}
    store.execute(queries.INSERT_CHAMPION_PERIOD, **asdict(scope), **row)


def end_periods(store: Store, scope: ChampionScope, at: datetime) -> int:
    """Periods that ended because nobody is champion from `at` on."""
    lock_dataset(store, scope.dataset_id, "champion")
    return store.execute(queries.CLOSE_CHAMPION_PERIODS, **asdict(scope), at=at)
