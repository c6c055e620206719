"""Sending a message by SMTP or HTTP over a connection's URI; and what any sender's errors mean for
the outbox.

No error says more of a connection than its id: a webhook's URL may be a secret.
"""

from __future__ import annotations

import json
import smtplib
import ssl
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, NoReturn
from urllib.error import HTTPError
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tsad_tasks.base.errors import BadInput, Refused, Undelivered, Unreachable
from tsad_tasks.notifications.notify import Message, Send

TIMEOUT_S = 10.0
_DOMAIN = "notification.tsad"
_NOT_THE_ADDRESS = (401, 403, 407, 408, 425, 429)


def sender(uri_of: Callable[[str], str]) -> Send:
    """Sends over the connections whose URIs `uri_of` gives by id, in the form that Airflow gives
    them.

    `smtp://user:password@host:465?from_email=tsad%40example.com` speaks TLS from the first byte.
    With `disable_ssl=true` it starts TLS by STARTTLS, and only with `disable_tls=true` as well
    there is none.
    """

    def send(message: Message) -> None:
        try:
            uri = uri_of(message.connection)
        except BadInput as error:
            raise Unreachable(str(error)) from error
        (_send_email if message.medium == "email" else _post)(message, uri)

    return send


def email_headers(message: Message) -> dict[str, str]:
    """Headers that make doubles recognisable, keep an alert's messages together, and ask for no
    automatic answer.

    >>> email_headers(Message("k1", "email", "c", "a@b.c", "s", "t", {"thread": "x"}))["Message-ID"]
    '<k1@notification.tsad>'
    """
    headers = {"Message-ID": f"<{message.key}@{_DOMAIN}>", "X-Idempotency-Key": message.key}
    if message.thread:
        headers |= dict.fromkeys(("In-Reply-To", "References"), f"<{message.thread}@{_DOMAIN}>")
    return headers | {"Auto-Submitted": "auto-generated"}


def webhook_request(message: Message) -> tuple[bytes, dict[str, str]]:
    """Body and headers: the payload with key, subject and text (which chats show)."""
    content = message.payload | {
        "key": message.key,
        "subject": message.subject,
        "text": message.text,
    }
    headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": message.key}
    return json.dumps(content, ensure_ascii=False).encode(), headers


def smtp_error(error: OSError, connection: str) -> Undelivered:
    """What an error of smtplib, or below it, means for the message."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _answered(*next(iter(error.recipients.values())))
    if isinstance(error, smtplib.SMTPDataError):
        return _answered(error.smtp_code, error.smtp_error)
    if isinstance(error, smtplib.SMTPResponseException):
        return Unreachable(
            f"Connection {connection}: {_answered(error.smtp_code, error.smtp_error)}"
        )
    return unreachable(error, connection)


def _answered(code: int, said: bytes | str) -> Undelivered:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    family = Refused if code >= 500 else Undelivered
    return family(
        f"Expected a mail server that takes the message. Received: {code} "
        f"{' '.join(text.split())[:200]}"
    )


def unreachable(error: Exception, connection: str) -> Unreachable:
    """What an error below the protocol means, without the address that it may name."""
    inner = getattr(error, "reason", None)
    cause: Any = inner if isinstance(inner, Exception) else error
    while cause.__context__ is not None and not getattr(cause, "strerror", None):
        cause = cause.__context__
    said = getattr(cause, "strerror", None) or type(cause).__name__
    return Unreachable(
        f"Expected a server that answers at connection {connection}. Received: {said}."
    )


def check_status(status: int, connection: str) -> None:
    """Raises unless an HTTP status says that the message was accepted."""
    if 200 <= status < 300:
        return
    said = f"Expected 2xx of the webhook {connection}. Received: {status}."
    raise (
        Refused(said)
        if 400 <= status < 500 and status not in _NOT_THE_ADDRESS
        else Undelivered(said)
    )


def _send_email(message: Message, uri: str) -> None:
    parts = urlsplit(uri)
    options = {name: found[-1] for name, found in parse_qs(parts.query).items()}
    if not parts.hostname or "from_email" not in options:
        raise Unreachable(
            "Expected a URI such as smtp://host:465?from_email=tsad@example.com of connection "
            f"{message.connection}. "
            "Received: one without host or from_email."
        )
    email = _email(message, options["from_email"])
    try:
        client = _connected(parts, options)
    except OSError as error:
        raise smtp_error(error, message.connection) from error
    try:
        client.send_message(email)
    except OSError as error:
        raise smtp_error(error, message.connection) from error
    finally:
        # The message is accepted or not by now: how the farewell goes changes nothing.
        with suppress(OSError):
            client.quit()
        client.close()


def _email(message: Message, from_email: str) -> EmailMessage:
    email = EmailMessage()
    email["Subject"], email["From"], email["To"] = message.subject, from_email, message.address
    email["Date"] = formatdate()
    for name, value in email_headers(message).items():
        email[name] = value
    email.set_content(message.text)
    return email


def _connected(parts: SplitResult, options: dict[str, str]) -> smtplib.SMTP:
    """A client, encrypted unless the connection says otherwise, and logged in where it names a
    user.
    """
    host, without_ssl = parts.hostname or "", _is_set(options, "disable_ssl")
    timeout_s = float(options.get("timeout", TIMEOUT_S))
    if not without_ssl:
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            host, parts.port or 465, timeout=timeout_s, context=_tls(options)
        )
    else:
        client = smtplib.SMTP(host, parts.port or 587, timeout=timeout_s)
    try:
        if without_ssl and not _is_set(options, "disable_tls"):
            client.starttls(context=_tls(options))
        if parts.username:
            client.login(unquote(parts.username), unquote(parts.password or ""))
    except OSError:
        client.close()
        raise
    return client


def _tls(options: dict[str, str]) -> ssl.SSLContext:
    """Certificates are checked, unless the connection says `ssl_context=none`, as Airflow's may."""
    context = ssl.create_default_context()
    if options.get("ssl_context") == "none":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _is_set(options: dict[str, str], name: str) -> bool:
    return options.get(name, "").lower() not in ("", "0", "false", "no")


class _NoRedirect(HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its message."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def _post(message: Message, uri: str) -> None:
    url, login = _web_url(uri)
    if urlsplit(url).scheme not in ("http", "https"):
        _refuse_url(message.connection)
    content, headers = webhook_request(message)
    request = Request(url, content, headers | login, method="POST")
    try:
        with build_opener(_NoRedirect).open(request, timeout=TIMEOUT_S) as answer:
            status = int(answer.status)
    except HTTPError as error:
        status = error.code
    except (OSError, HTTPException) as error:
        raise unreachable(error, message.connection) from error
    check_status(status, message.connection)


def _refuse_url(connection: str) -> NoReturn:
    raise Unreachable(
        f"Expected an http or https URL of connection {connection}. Received: another (not shown)."
    )


def _web_url(uri: str) -> tuple[str, dict[str, str]]:
    """URL and login of a connection, whose host may be a whole URL, and whose path may be the
    scheme, as in Airflow.

    >>> _web_url("http://https%3A%2F%2Fchat.example%2Fhooks%2F7")
    ('https://chat.example/hooks/7', {})
    >>> _web_url("http://chat.example:8443/https")[0]
    'https://chat.example:8443'
    """
    parts = urlsplit(uri)
    netloc = parts.netloc.rpartition("@")[2]
    login = _login(parts)
    if "://" in unquote(netloc):
        return unquote(netloc), login
    if parts.path in ("/http", "/https"):
        return f"{parts.path[1:]}://{netloc}", login
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, "")), login


def _login(parts: SplitResult) -> dict[str, str]:
    if not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}
