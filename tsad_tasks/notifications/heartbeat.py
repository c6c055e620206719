"""A sign of life after each interval that was scored: whoever misses it knows that we are down."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from tsad_tasks.base.errors import Undelivered
from tsad_tasks.base.interval import unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.notifications.channels.base import Message, Send
from tsad_tasks.storage.store import Query, Store

log = logging.getLogger("tsad")


@dataclass(frozen=True)
class Heartbeat:
    """What is said of a dataset."""

    state: str
    scored_until: datetime | None
    late_s: int
    n_live: int
    n_silent: int
    n_retired: int


SELECT_HEARTBEAT = Query("notifications/select_heartbeat", Heartbeat)


def beat(store: Store, config: DatasetConfig, send: Send, *, end_at: datetime) -> int:
    """Whether a sign of life was sent and taken, 0 or 1; none where the interval was not scored.

    It is not kept and not tried again: the next interval has its own. What goes wrong is logged,
    and stops nothing.
    """
    wanted = config.notifications.heartbeat
    if wanted is None:
        return 0
    last_at = end_at - timedelta(microseconds=1)
    with store.transaction():
        said = store.first(SELECT_HEARTBEAT, dataset=config.dataset, last_at=last_at)
    if said is None:
        log.info("%s: not scored until %s, so no heartbeat", config.dataset, end_at)
        return 0
    try:
        send(_message(config.dataset, wanted.connection, wanted.method, end_at, said))
    except Exception as error:
        # Of what nobody foresaw only its kind: its text may hold anything.
        why = str(error) if isinstance(error, Undelivered) else type(error).__name__
        log.warning("%s: the heartbeat was not taken: %s", config.dataset, why)
        return 0
    return 1


def _message(
    dataset: str, connection: str, method: str, end_at: datetime, said: Heartbeat
) -> Message:
    payload = {
        "event": "heartbeat",
        "dataset": dataset,
        "state": said.state,
        "scored_until": said.scored_until and said.scored_until.isoformat(),
        "late_s": said.late_s,
        "n_live": said.n_live,
        "n_silent": said.n_silent,
        "n_retired": said.n_retired,
    }
    key = f"heartbeat-{dataset}-{unix_s(end_at)}"
    text = metrics(dataset, said)
    return Message(key, "webhook", connection, method, f"{dataset}: {said.state}", text, payload)


def metrics(dataset: str, said: Heartbeat) -> str:
    """The same as Prometheus reads it.

    >>> print(metrics("room", Heartbeat("ok", None, 0, 3, 1, 0)), end="")
    tsad_late_seconds{dataset="room"} 0
    tsad_entities{dataset="room",state="alive"} 3
    tsad_entities{dataset="room",state="silent"} 1
    tsad_entities{dataset="room",state="retired"} 0
    """
    lines = [f'tsad_late_seconds{{dataset="{dataset}"}} {said.late_s}']
    if said.scored_until is not None:
        until_s = unix_s(said.scored_until)
        lines.insert(0, f'tsad_scored_until_seconds{{dataset="{dataset}"}} {until_s}')
    counts = {"alive": said.n_live, "silent": said.n_silent, "retired": said.n_retired}
    lines += [
        f'tsad_entities{{dataset="{dataset}",state="{state}"}} {n}' for state, n in counts.items()
    ]
    return "\n".join(lines) + "\n"
