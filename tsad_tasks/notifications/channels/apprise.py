"""Teams, Telegram, ntfy, Mattermost and a hundred others by the package `apprise` (an extra).

The connection is a URL of apprise, such as `workflows://…` for Teams: it says which service, and
holds its secrets.
"""

from __future__ import annotations

import logging
import re

from tsad_tasks.base.errors import BadInput, Undelivered, Unreachable
from tsad_tasks.base.extras import require
from tsad_tasks.notifications.channels import base, webhook

# What chats read as a mention or a link where it stands in a name.
_MARKS = re.compile(r"@(?=\w)|<(?=[!@#/])|\](?=\()")
_UNSEEN = "\u200b"
_KINDS = {"acknowledge": "info", "resolve": "success"}


@base.register("apprise")
class Apprise(base.NotificationChannel):
    """Subject and text, as the service shows them."""

    def send(self, message: base.Message, connection: base.Connection) -> None:
        try:
            require("apprise")
        except BadInput as error:
            raise Unreachable(str(error)) from error
        import apprise

        # No picture from apprise's own site in every message.
        bare = {"image_url_mask": "", "image_url_logo": "", "image_path_mask": ""}
        asset = apprise.AppriseAsset(app_id="tsad", async_mode=False, secure_logging=True, **bare)
        services = apprise.Apprise(asset=asset)
        if not services.add(connection.uri):
            raise Unreachable(
                "Expected a URL of a service that apprise knows, of connection "
                f"{message.connection}. Received: another (not shown)."
            )
        said = {"title": as_chat(message.subject), "body": as_chat(message.text)}
        kind = _KINDS.get(message.action, "warning")
        with apprise.LogCapture(level=logging.WARNING) as warned:
            if services.notify(**said, notify_type=kind, body_format="text"):
                return
            raise _undelivered(warned.getvalue(), message.connection)


def _undelivered(warned: str, connection: str) -> Undelivered:
    """What apprise's own warning says of why it was not taken."""
    if found := re.search(r"error=(\d{3})\b", warned):
        try:
            webhook.check_status(int(found[1]), connection)
        except Undelivered as error:
            return error
    said = f"Expected a service behind connection {connection} that takes the message."
    if "onnection error" in warned:
        return Unreachable(f"{said} Received: no answer.")
    return Undelivered(f"{said} Received: a refusal, of which apprise says no more.")


def as_chat(text: str) -> str:
    """Text whose names neither call anybody nor lead anywhere.

    >>> [as_chat(text).count("\\u200b") for text in ("@all", "<!here>", "[a](http://b)", "9 @ 3")]
    [1, 1, 1, 0]
    """
    return _MARKS.sub(lambda found: found[0] + _UNSEEN, text)
