"""Datasets in the warehouse: their rows, entities, channels and layouts, and the locks on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.store import Query, Statement, Store


class DatasetRow(NamedTuple):
    """A registered dataset. Readings before `retired_before` are gone; None: none are."""

    dataset_id: int
    name: str
    step_s: int
    merge_gap_s: int
    site_zone: str
    retired_before: datetime | None


class EntityRow(NamedTuple):
    """An entity of a dataset."""

    name: str
    entity_id: int


class ChannelRow(NamedTuple):
    """A channel of a dataset."""

    channel_id: int
    name: str
    unit: str | None


class Layout(NamedTuple):
    """What the columns of a block mean."""

    layout_id: int
    step_s: int
    channel_ids: tuple[int, ...]
    channel_names: tuple[str, ...]

    @property
    def n_steps(self) -> int:
        """Steps of one hour."""
        return 3600 // self.step_s


UPSERT_DATASET = Statement("storage/upsert_dataset")
SELECT_DATASET = Query("storage/select_dataset", DatasetRow)
SELECT_ENTITIES = Query("storage/select_entities", EntityRow)
INSERT_ENTITIES = Statement("storage/insert_entities")
SELECT_CHANNELS = Query("storage/select_channels", ChannelRow)
UPSERT_CHANNELS = Statement("storage/upsert_channels")
SELECT_LAYOUTS = Query("storage/select_layouts", Layout)
INSERT_LAYOUT = Statement("storage/insert_layout")
UPDATE_ENTITY_CRITICALITY = Statement("storage/update_entity_criticality")
UPDATE_CHANNEL_CRITICALITY = Statement("storage/update_channel_criticality")
REFRESH_DATASET_VIEW = Statement("storage/refresh_dataset_view")

# Advisory locks, until the transaction ends.
LOCK_DATASET = Statement("storage/lock_dataset")
LOCK_CHAMPIONS = Statement("storage/lock_champions")
LOCK_HOURS = Statement("storage/lock_hours")


def upsert_dataset(store: Store, config: DatasetConfig) -> DatasetRow:
    """The dataset's row, registered or brought up to date."""
    store.execute(
        UPSERT_DATASET,
        name=config.dataset,
        description=config.description,
        site_zone=config.site_zone,
        step_s=config.step_s,
        policy_version=config.alarm_policy.version,
        merge_gap_s=config.alarm_policy.merge_gap_s,
        config=json.dumps(config.model_dump(mode="json")),
        interval_s=config.interval_s,
        wait_s=config.wait_for_rows_s,
        silence_s=config.least_silence_s,
    )
    return select_dataset(store, config.dataset)


def select_dataset(store: Store, name: str) -> DatasetRow:
    """The dataset of a name.

    Raises `BadInput` when no step has ever registered it.
    """
    row = store.first(SELECT_DATASET, name=name)
    if row is None:
        raise BadInput(f"Expected a dataset that was ingested before. Received: {name!r}.")
    return row


def select_entities(store: Store, dataset_id: int) -> dict[str, int]:
    """Entity ids by name, oldest first."""
    return dict(store.rows(SELECT_ENTITIES, dataset_id=dataset_id))


def ensure_entities(store: Store, dataset_id: int, names: Sequence[str]) -> dict[str, int]:
    """Entity ids by name, of all entities of the dataset; `names` are registered when new."""
    known = select_entities(store, dataset_id)
    if new := sorted(set(names) - set(known)):
        store.execute(INSERT_ENTITIES, dataset_id=dataset_id, names=new)
        known = select_entities(store, dataset_id)
    return known


def keep_criticality(store: Store, dataset_id: int, config: DatasetConfig) -> None:
    """Keeps how much depends on entities and channels, as the dataset file says by now."""
    said, of = config.criticality, {"dataset_id": dataset_id}
    names = list(select_entities(store, dataset_id)) if said.entities else []
    levels = {"names": names, "criticality": [said.of_entity(name) for name in names]}
    store.execute(UPDATE_ENTITY_CRITICALITY, **of, **levels)
    channels = [row.name for row in store.rows(SELECT_CHANNELS, **of)] if said.channels else []
    levels = {"names": channels, "criticality": [said.of_channel(name) for name in channels]}
    store.execute(UPDATE_CHANNEL_CRITICALITY, **of, **levels)


def select_layouts(store: Store, dataset_id: int) -> list[Layout]:
    """All layouts of a dataset, the one in use first."""
    rows = store.rows(SELECT_LAYOUTS, dataset_id=dataset_id)
    return [Layout(*row[:2], tuple(row.channel_ids), tuple(row.channel_names)) for row in rows]


def ensure_layout(store: Store, dataset_id: int, config: DatasetConfig) -> Layout:
    """The layout in use, grown by the file's new channels. Needs the dataset's row, upserted."""
    names = list(config.stored_names)
    units = [config.unit_of(name) or None for name in names]
    store.execute(UPSERT_CHANNELS, dataset_id=dataset_id, names=names, units=units)
    channels = store.rows(SELECT_CHANNELS, dataset_id=dataset_id)
    ids = {channel.name: channel.channel_id for channel in channels}
    known = (layout.channel_ids for layout in select_layouts(store, dataset_id))
    # Positions are only ever appended: blocks of older layouts stay readable.
    old = max(known, key=len, default=())
    wanted = [*old, *(ids[name] for name in names if ids[name] not in old)]
    step_s = config.step_s
    store.execute(INSERT_LAYOUT, dataset_id=dataset_id, step_s=step_s, channel_ids=wanted)
    store.execute(REFRESH_DATASET_VIEW, dataset_id=dataset_id)
    return select_layouts(store, dataset_id)[0]


def lock_dataset(store: Store, dataset_id: int, purpose: str) -> None:
    """Takes the dataset's advisory lock for one purpose until the transaction ends."""
    store.execute(LOCK_DATASET, dataset_id=dataset_id, purpose=purpose)


def lock_champions(store: Store, dataset_id: int) -> None:
    """Keeps champions as they are until the transaction ends; many may hold this at once."""
    store.execute(LOCK_CHAMPIONS, dataset_id=dataset_id)


def lock_hours(
    store: Store, dataset_id: int, hours: Sequence[datetime], *, seen: Sequence[datetime] = ()
) -> None:
    """Takes the locks of hours, ascending, until the transaction ends; shared for those `seen`."""
    numbers, seen_numbers = ([unix_s(at) // 3600 for at in part] for part in (hours, seen))
    store.execute(LOCK_HOURS, dataset_id=dataset_id, hours=numbers, seen=seen_numbers)
