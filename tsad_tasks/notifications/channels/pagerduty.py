"""PagerDuty by its Events API v2: trigger, acknowledge and resolve one alert by its dedup key.

The connection is the API's address with the routing key in the place of the password:
`https://:<routing key>@events.pagerduty.com/v2/enqueue` (in the EU `events.eu.pagerduty.com`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from tsad_tasks.base.enums import Severity
from tsad_tasks.base.errors import Unreachable
from tsad_tasks.notifications.channels import base, webhook

_SEVERITIES: dict[str, str] = {
    Severity.HIGH: "critical",
    Severity.MEDIUM: "error",
    Severity.LOW: "warning",
}
_SUMMARY, _SOURCE = 1024, 255
# Of the payload, what says more than summary, source and severity.
_DETAILS = (
    *("event", "dataset", "entity", "channel", "severity", "severity_before", "state"),
    "priority",
    *("started_at", "last_flag_at", "end_at", "incident_id", "entities", "since_at", "carrier"),
    *("reason", "version", "commands", "taken_by", "sql"),
)


@base.register("pagerduty")
class PagerDuty(base.NotificationChannel):
    """An event of an alert; the routing key is the connection's password."""

    default_connection = "pagerduty_default"
    keeps_state = True

    def send(self, message: base.Message, connection: base.Connection) -> None:
        parts = urlsplit(connection.uri)
        key = unquote(parts.password or parts.username or "")
        key = key or str(connection.extras.get("routing_key", ""))
        if not key:
            raise Unreachable(
                "Expected a URI such as https://:<routing key>@events.pagerduty.com/v2/enqueue of "
                f"connection {message.connection}. Received: one without a routing key."
            )
        # The key belongs into the body alone.
        uri = urlunsplit((*parts[:1], parts.netloc.rpartition("@")[2], *parts[2:]))
        options = {
            name: value for name, value in connection.extras.items() if name != "routing_key"
        }
        content = json.dumps(event_content(message) | {"routing_key": key}, ensure_ascii=False)
        webhook.post(message, replace(connection, uri=uri, extras=options), content.encode())


def event_content(message: base.Message) -> dict[str, Any]:
    """The event without its routing key.

    >>> said = base.Message("k", "pagerduty", "c", "", "s", "t", {"event": "closed", "thread": "x"})
    >>> event_content(said)
    {'event_action': 'resolve', 'dedup_key': 'x'}
    """
    event: dict[str, Any] = {"event_action": message.action, "dedup_key": message.dedup_key}
    if message.action != "trigger":
        return event
    said, link = message.payload, message.payload.get("link")
    told: dict[str, Any] = {
        "summary": str(said.get("sentence") or message.subject)[:_SUMMARY],
        "source": str(said.get("entity") or said.get("dataset") or "tsad")[:_SOURCE],
        "severity": _SEVERITIES.get(str(said.get("severity")), "info"),
        "component": said.get("channel"),
        "group": said.get("dataset"),
        "class": said.get("event"),
        "timestamp": said.get("started_at") or said.get("since_at"),
        "custom_details": {name: said[name] for name in _DETAILS if said.get(name) is not None},
    }
    event["payload"] = {name: value for name, value in told.items() if value is not None}
    if link:
        event["links"] = [{"href": link, "text": "Open on the page"}]
    return event | {"client": "tsad"} | ({"client_url": link} if link else {})
