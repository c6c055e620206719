"""What sources say of their entities themselves: which are retired, and what carries them."""

from __future__ import annotations

from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest import queries
from tsad_tasks.ingest.sources.base import InventoryRow, Uris, inventory_said, uris_of
from tsad_tasks.storage.store import Store


def note_inventory(store: Store, config: DatasetConfig, dataset_id: int, uris: Uris) -> None:
    """Keeps what the inventories of a dataset say now, and retires whom they call retired.

    Of whom they do not speak nothing changes: absence does not erase. An entity all of whose series
    have ended, by the dictionary or tags file, is retired as well. Not inside a transaction.

    Raises
    ------
    SourceError, Unavailable
        See `Source.inventory_said`.
    """
    said = dict[str, InventoryRow]()
    for part, uri, name in uris_of(uris, config):
        if part.source.inventory is not None:
            for row in inventory_said(uri, part, "" if len(config.parts) == 1 else name):
                # Of several the one that says it is there, and what carries it.
                known = said.get(row.entity, row)
                carrier = known.carrier or row.carrier
                said[row.entity] = InventoryRow(
                    row.entity, row.is_retired and known.is_retired, carrier
                )
    if not said and not any(part.source.series for part in config.parts):
        return
    rows = list(said.values())
    with store.transaction():
        store.execute(
            queries.UPSERT_INVENTORY,
            dataset_id=dataset_id,
            entity=[row.entity for row in rows],
            carrier=[row.carrier for row in rows],
            is_retired=[row.is_retired for row in rows],
        )
        store.execute(queries.INSERT_INVENTORY_RETIREMENTS, dataset_id=dataset_id)
        store.execute(queries.WITHDRAW_INVENTORY_RETIREMENTS, dataset_id=dataset_id)
