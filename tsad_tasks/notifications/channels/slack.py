"""A message in Slack by an incoming webhook, whose URL is the connection's.

Names stand in blocks of plain text, in which Slack looks for no mention and no link. Slack knows no
thread by its webhooks: the block's id carries the key by which doubles and an end can be told.
"""

from __future__ import annotations

import json
from typing import Any

from tsad_tasks.notifications.channels import base, webhook

# As many characters as Slack takes of a header, a field and a text.
_HEADER, _FIELD, _TEXT = 150, 300, 2900
_MOST_FIELDS = 10


@base.register("slack")
class Slack(base.NotificationChannel):
    """Subject, sentence, facts, and a link to the page."""

    def send(self, message: base.Message, connection: base.Connection) -> None:
        content = json.dumps(slack_content(message), ensure_ascii=False).encode()
        webhook.post(message, connection, content)


def slack_content(message: base.Message) -> dict[str, Any]:
    """The JSON that Slack takes.

    >>> said = base.Message("k", "slack", "c", "", "room: <!channel>", "It fell.", {"event": "x"})
    >>> slack_content(said)["text"], slack_content(said)["blocks"][0]["text"]["type"]
    ('room: &lt;!channel&gt;', 'plain_text')
    """
    from tsad_tasks.notifications.messages import letter

    title = _plain(message.subject, _HEADER)
    block_id = f"{message.action}.{message.dedup_key}"
    blocks: list[dict[str, Any]] = [{"type": "header", "block_id": block_id, "text": title}]
    link = ""
    if "sql" in message.payload:
        said = letter(message.payload)
        told = "\n\n".join([said.sentence, *said.paragraphs, *(one.line for one in said.listed)])
        blocks.append({"type": "section", "text": _plain(told, _TEXT)})
        fields = [_plain(f"{name}\n{text}", _FIELD) for name, text in said.facts.items()]
        if fields:
            blocks.append({"type": "section", "fields": fields[:_MOST_FIELDS]})
        for name, lines in said.sections:
            text = "\n".join([*filter(None, [name]), *lines])
            blocks.append({"type": "section", "text": _plain(text, _TEXT)})
        link = said.link
    else:
        blocks.append({"type": "section", "text": _plain(message.text, _TEXT)})
        link = str(message.payload.get("link", ""))
    if link:
        shown = {"type": "mrkdwn", "text": f"<{_escaped(link)}|Open on the page>"}
        blocks.append({"type": "section", "text": shown})
    # What a notification on a phone shows.
    return {"text": _escaped(message.subject), "mrkdwn": False, "blocks": blocks}


def _plain(text: str, most: int) -> dict[str, Any]:
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return {"type": "plain_text", "text": cut, "emoji": False}


def _escaped(text: str) -> str:
    """What Slack reads as text: no mention, no link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
