"""Whether a dataset has no champion, so that nothing is scored, and why: every place asks here."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.shown import visible
from tsad_tasks.champions.queries import SELECT_HAS_CHAMPION, SELECT_UNCHAMPIONED, rule_results
from tsad_tasks.ingest.queries import SELECT_LEDGER_ENDS
from tsad_tasks.storage.datasets import DatasetRow
from tsad_tasks.storage.store import Store
from tsad_tasks.text import no_champion as text


class NoChampion(NamedTuple):
    """A dataset without a champion.

    Attributes
    ----------
    sentence : that nothing is scored, and why.
    text : the same with numbers, and what to do.
    is_whole : no entity has a champion.
    """

    sentence: str
    text: str
    is_whole: bool


def no_champion(
    store: Store,
    dataset: DatasetRow,
    *,
    lineage: str = Lineage.LIVE,
    start_at: datetime | str = "-infinity",
    end_at: datetime | str = "infinity",
) -> NoChampion | None:
    """Why a dataset, or some of its entities, have no champion at any time of a range; else None.

    It asks within the caller's transaction.
    """
    dataset_id, name = dataset.dataset_id, dataset.name
    params = {"dataset_id": dataset_id, "lineage": lineage, "start_at": start_at, "end_at": end_at}
    has_champion = store.one(SELECT_HAS_CHAMPION, **params)
    rows = store.rows(SELECT_UNCHAMPIONED, **params)
    if has_champion and not rows:
        return None
    found = []
    for row in rows:
        failed, limits = text.failed_texts(rule_results(store, row.model_id))
        of_model = row.version, row.entity, row.train_end_at, row.folds
        later = row.champion_from, row.is_young, row.waits_for_person
        found.append(text.Unchampioned(*of_model, failed, limits, *later))
    ends = store.one(SELECT_LEDGER_ENDS, dataset_id=dataset_id, before_at="infinity")
    sentence = text.no_champion_sentence(name, found, is_whole=not has_champion)
    ways = text.no_champion_ways(name, found, lineage, ends.newest_at)
    return NoChampion(sentence, "\n".join(map(visible, [sentence, *ways])), not has_champion)
