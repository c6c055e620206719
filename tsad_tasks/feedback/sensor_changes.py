"""Changes of sensors as people say them; what follows is learned in ingest/sensor_changes.py."""

from __future__ import annotations

from datetime import datetime

from tsad_tasks.base.errors import BadInput
from tsad_tasks.feedback import queries
from tsad_tasks.storage.store import Store


def add_sensor_change(
    store: Store,
    dataset: str,
    entity: str,
    channel: str,
    from_at: datetime,
    kind: str,
    reason: str,
    *,
    scale: float | None = None,
    offset: float | None = None,
    said_by: str,
) -> int:
    """Number of a change of a sensor; it counts from the next run on.

    Raises
    ------
    BadInput
        When there is no such dataset, entity, channel or kind, or nothing converts by the numbers.
    """
    sensor = {"dataset": dataset, "entity": entity, "channel": channel, "from_at": from_at}
    said = {"kind": kind, "reason": reason, "scale": scale, "offset": offset, "said_by": said_by}
    with store.transaction():
        return store.one(queries.INSERT_CHANNEL_EPOCH, **sensor, **said)


def withdraw_sensor_change(store: Store, dataset: str, change_id: int) -> None:
    """Takes back a change of a sensor of the dataset.

    Raises
    ------
    BadInput
        When the dataset has no such change, or it was taken back before.
    """
    with store.transaction():
        if store.first(queries.SELECT_CHANNEL_EPOCH_DATASET, epoch_id=change_id) != dataset:
            raise BadInput(
                f"Expected the number of a change of a sensor of {dataset}. Received: {change_id}."
            )
        store.execute(queries.WITHDRAW_CHANNEL_EPOCH, epoch_id=change_id)
