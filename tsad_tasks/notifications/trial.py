"""A test message to every target, beside the outbox: are connections and addresses right?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

from tsad_tasks.base.errors import Undelivered
from tsad_tasks.config import DatasetConfig
from tsad_tasks.notifications.channels.base import Message, Send
from tsad_tasks.notifications.messages import letter, subject, trial_payload, with_link
from tsad_tasks.notifications.targets import Recipient, recipients


class Tried(NamedTuple):
    """What came of a test message; `answer` is empty where it was taken."""

    medium: str
    connection: str
    address: str
    taken: bool
    answer: str


def try_targets(config: DatasetConfig, send: Send, *, now_at: datetime) -> Iterator[Tried]:
    """Sends a test message to each address of the file, whatever it asks to hear and when.

    One that keeps an alert open until it ends gets the end as well, so that nothing stays open.
    """
    for recipient in recipients(config):
        thread = uuid4().hex
        try:
            for event in ("test", *(["test_over"] if recipient.keeps_state else [])):
                send(_message(config, recipient, thread, event, now_at))
        except Undelivered as error:
            yield Tried(*recipient.to, False, str(error))
        else:
            yield Tried(*recipient.to, True, "")


def _message(
    config: DatasetConfig, recipient: Recipient, thread: str, event: str, now_at: datetime
) -> Message:
    payload = trial_payload(config.dataset, config.site_zone, thread, event, now_at)
    payload = with_link(payload, config.notifications.base_url)
    title, said = subject(payload), letter(payload)
    html = said.as_html(title) if recipient.takes_html else ""
    return Message(f"{event}-{thread}", *recipient.to, title, said.as_text(), payload, html)
