"""Messages of the outbox, sent by Airflow's own hooks over its connections.

The errors that leave here name no URL: a webhook's may be a secret.
"""

from __future__ import annotations

from html import escape
from typing import Any

from tsad_tasks.base.errors import Unreachable
from tsad_tasks.notifications.channels.senders import (
    TIMEOUT_S,
    check_status,
    email_headers,
    smtp_error,
    unreachable,
    webhook_request,
)
from tsad_tasks.notifications.notify import Message

_PLAIN = '<pre style="font-family: inherit; white-space: pre-wrap">{}</pre>'


def send(message: Message) -> None:
    """Sends one message; raises `Undelivered` or one of its kinds when it was not accepted."""
    (_send_email if message.medium == "email" else _post)(message)


def _send_email(message: Message) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook
    from airflow.sdk.exceptions import AirflowException

    try:
        with SmtpHook(smtp_conn_id=message.connection) as hook:
            hook.send_email_smtp(
                to=[message.address],
                subject=message.subject,
                html_content=_PLAIN.format(escape(message.text, quote=False)),
                custom_headers=email_headers(message),
            )
    except AirflowException as error:
        raise Unreachable(f"Connection {message.connection}: {error}") from error
    except OSError as error:
        raise smtp_error(error, message.connection) from error


def _post(message: Message) -> None:
    # Not `HttpHook.run`, which logs the URL when the server does not answer.
    content, headers = webhook_request(message)
    try:
        session, url = _session(message.connection, headers)
        with session:
            answer = session.post(url, data=content, timeout=TIMEOUT_S, allow_redirects=False)
    except OSError as error:
        raise unreachable(error, message.connection) from error
    check_status(answer.status_code, message.connection)


def _session(connection: str, headers: dict[str, str]) -> tuple[Any, str]:
    from airflow.providers.http.hooks.http import HttpHook
    from airflow.sdk.exceptions import AirflowException

    hook = HttpHook(http_conn_id=connection)
    try:
        return hook.get_conn(headers), hook.url_from_endpoint(None)
    except AirflowException as error:
        raise Unreachable(f"Connection {connection}: {error}") from error
