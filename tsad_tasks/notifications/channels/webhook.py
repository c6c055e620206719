"""A POST of JSON to a URL, which is the connection's.

What Airflow's connection holds in its extra field is sent as headers, but for the options that its
own hook knows: of these `timeout`, `verify`, `cert` and `proxies` count here as well.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from tsad_tasks.base.errors import Refused, Undelivered, Unreachable
from tsad_tasks.notifications.channels import base

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from ssl import SSLContext
    from urllib.request import OpenerDirector, Request

# Answers that say something of the connection or the moment, and nothing of the message.
_NOT_THE_ADDRESS = (401, 403, 407, 408, 425, 429)
_OPTIONS = {"timeout", "verify", "verify_ssl", "cert", "proxies", "proxy"}
_IGNORED = {
    "stream", "allow_redirects", "max_redirects", "trust_env", "check_response", "srv_lookup",
}  # fmt: skip


@base.register("webhook")
class Webhook(base.NotificationChannel):
    """The payload with key, subject and text (which chats show); a heartbeat as it is asked for."""

    def send(self, message: base.Message, connection: base.Connection) -> None:
        content, content_type = content_of(message)
        post(message, connection, content, content_type)


def post(
    message: base.Message,
    connection: base.Connection,
    content: bytes | None,
    content_type: str = "application/json; charset=utf-8",
) -> None:
    """Sends content to the connection's URL, with the message's key; None: a GET."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request

    url, headers = web_url(connection.uri)
    if urlsplit(url).scheme not in ("http", "https"):
        raise Unreachable(
            f"Expected an http or https URL of connection {message.connection}. Received: "
            "another (not shown)."
        )
    extras = dict(connection.extras)
    options = {name: extras.pop(name) for name in _OPTIONS | _IGNORED if name in extras}
    headers |= {name: str(value) for name, value in extras.items()}
    headers["Idempotency-Key"] = message.key
    if content is not None:
        headers["Content-Type"] = content_type
    request = Request(url, content, headers, method="GET" if content is None else "POST")
    timeout_s = float(options.get("timeout", base.TIMEOUT_S))
    try:
        with _opener(options).open(request, timeout=timeout_s) as answer:
            status = int(answer.status)
    except HTTPError as error:
        status = error.code
    except (OSError, HTTPException) as error:
        raise base.unreachable(error, message.connection) from error
    check_status(status, message.connection)


def content_of(message: base.Message) -> tuple[bytes | None, str]:
    """The body and its type; None: it is a GET, which a heartbeat may be."""
    if message.address == "get":
        return None, ""
    if message.address == "metrics":
        return message.text.encode(), "text/plain; version=0.0.4; charset=utf-8"
    shown = {"key": message.key, "subject": message.subject, "text": message.text}
    if "event" in message.payload and message.payload["event"] != "heartbeat":
        shown |= {"action": message.action, "dedup_key": message.dedup_key}
    content = json.dumps(message.payload | shown, ensure_ascii=False).encode()
    return content, "application/json; charset=utf-8"


def web_url(uri: str) -> tuple[str, dict[str, str]]:
    """URL and login; host may be a whole URL and path the scheme, as in Airflow.

    >>> web_url("http://https%3A%2F%2Fchat.example%2Fhooks%2F7")
    ('https://chat.example/hooks/7', {})
    >>> web_url("http://chat.example:8443/https")[0]
    'https://chat.example:8443'
    """
    parts = urlsplit(uri)
    netloc, login = parts.netloc.rpartition("@")[2], {}
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        login = {"Authorization": "Basic " + b64encode(pair.encode()).decode()}
    if "://" in unquote(netloc):
        return unquote(netloc), login
    if parts.path in ("/http", "/https"):
        return f"{parts.path[1:]}://{netloc}", login
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, "")), login


def _opener(options: dict[str, Any]) -> OpenerDirector:
    """What sends the request: with the connection's proxies and certificates, and no redirect."""
    from http.client import HTTPSConnection
    from urllib.request import (
        AbstractHTTPHandler,
        HTTPRedirectHandler,
        HTTPSHandler,
        ProxyHandler,
        build_opener,
    )

    class NoRedirect(HTTPRedirectHandler):
        """A redirected POST would arrive as a GET without its message."""

        def redirect_request(self, *_: Any) -> None:
            return None

    class Encrypted(HTTPSHandler):
        """Reads the system's certificates where they are used: that outlasts a message."""

        def __init__(self) -> None:
            AbstractHTTPHandler.__init__(self)

        def https_open(self, req: Request) -> HTTPResponse:
            return self.do_open(HTTPSConnection, req, context=_tls(options))

    proxies = options.get("proxies", options.get("proxy"))
    return build_opener(NoRedirect, Encrypted, ProxyHandler(proxies))


def _tls(options: dict[str, Any]) -> SSLContext:
    """Certificates as the connection wants them: checked, by default against the system's."""
    import ssl

    verify = options.get("verify", options.get("verify_ssl", True))
    made = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is False:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if cert := options.get("cert"):
        made.load_cert_chain(*([cert] if isinstance(cert, str) else cert))
    return made


def check_status(status: int, connection: str) -> None:
    """Raises unless an HTTP status says that the message was accepted."""
    if 200 <= status < 300:
        return
    is_refused = 400 <= status < 500 and status not in _NOT_THE_ADDRESS
    said = f"Expected 2xx of the webhook {connection}. Received: {status}."
    raise (Refused if is_refused else Undelivered)(said)
