"""DAG `champion`: a version that a person makes champion, and the hours that it scores anew."""

from __future__ import annotations

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.champions import champions
from tsad_tasks.champions.champions import ChampionChange, Places, locked_model
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.queries import SELECT_NEWEST_LEDGER_HOUR
from tsad_tasks.ingest.sources.base import Uris
from tsad_tasks.pipeline.rescore import RescoreSummary, rescore_as_of
from tsad_tasks.pipeline.task import PROMOTE
from tsad_tasks.storage.datasets import select_entities
from tsad_tasks.storage.store import Store


def make_champion(
    store: Store, config: DatasetConfig, action: str, version: int, *, by: str, reason: str
) -> ChampionChange:
    """Who is champion then; a version that is already stays so, as when a task runs again.

    Raises
    ------
    BadInput
        As `champions.promote` and `champions.roll_back` do.
    """
    with store.transaction():
        model, scope = locked_model(store, config, version, Lineage.LIVE)
        present = Places(store, scope).present()
        entities = select_entities(store, scope.dataset_id)
    if present is not None and present.model_id == model.model_id:
        return ChampionChange(version, present.valid_from, None)
    if action == PROMOTE:
        return champions.promote(store, config, version, by=by, reason=reason)
    of = next((name for name, key in entities.items() if key == model.scope_entity_id), None)
    return champions.roll_back(store, config, by=by, reason=reason, version=version, entity=of)


def score_since(store: Store, config: DatasetConfig, uris: Uris, version: int) -> RescoreSummary:
    """Scores the hours since a version is champion by it; what has its scores stays as it is.

    Raises
    ------
    NothingToDo
        Where nothing was read of these hours, as after a promotion, which counts from the next on.
    """
    with store.transaction():
        _, scope = locked_model(store, config, version, Lineage.LIVE)
        present = Places(store, scope).present()
        read_until = store.one(SELECT_NEWEST_LEDGER_HOUR, dataset=config.dataset)
    if present is None or read_until is None or read_until <= present.valid_from:
        raise NothingToDo("Nothing was scored yet of the hours of this champion.")
    since, of = present.valid_from, (store, config, uris)
    return rescore_as_of(*of, start_at=since, end_at=read_until, force=False)
