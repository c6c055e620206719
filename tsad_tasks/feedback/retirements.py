"""Who says that an entity is gone for good, and who takes it back."""

from __future__ import annotations

from datetime import datetime

from tsad_tasks.feedback import queries
from tsad_tasks.storage.store import Store


def retire_entity(
    store: Store,
    dataset: str,
    entity: str,
    *,
    why: str,
    said_by: str,
    from_at: datetime | None = None,
) -> int:
    """Number of the retirement; by default it counts from where the source was read up to.

    Raises
    ------
    BadInput
        When there is no such entity, no reason, or rows came of it after that time.
    """
    said = {"why": why, "from_at": from_at, "said_by": said_by}
    with store.transaction():
        return store.one(queries.INSERT_RETIREMENT, dataset=dataset, entity=entity, **said)


def unretire_entity(store: Store, dataset: str, entity: str, *, why: str, said_by: str) -> int:
    """How many retirements of an entity are taken back.

    Raises
    ------
    BadInput
        When nobody had retired it.
    """
    said = {"why": why, "said_by": said_by}
    with store.transaction():
        return store.one(queries.WITHDRAW_RETIREMENT, dataset=dataset, entity=entity, **said)
