"""E-mail over SMTP, encrypted unless the connection says otherwise.

`smtp://user:password@host:465?from_email=tsad%40example.com` speaks TLS from the first byte. With
`disable_ssl=true` it starts TLS by STARTTLS, and only with `disable_tls=true` as well there is
none. Certificates are checked, unless the connection says `ssl_context=none`. `auth_type=oauth2`
logs in by an `access_token`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tsad_tasks.base.errors import Refused, Undelivered, Unreachable
from tsad_tasks.base.masking import masked
from tsad_tasks.notifications.channels import base
from tsad_tasks.notifications.letter import PICTURE

if TYPE_CHECKING:
    from email.message import EmailMessage
    from smtplib import SMTP

_DOMAIN = "notification.tsad"
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}")


@base.register("email")
class Email(base.NotificationChannel):
    """Each address gets messages of its own: text that stands alone, and the same as HTML."""

    default_connection = "smtp_default"
    takes_html = True

    def check_address(self, address: str) -> None:
        if not _ADDRESS.fullmatch(address):
            raise ValueError("an e-mail address such as shift@example.com")

    def send(self, message: base.Message, connection: base.Connection) -> None:
        from email.message import EmailMessage
        from email.utils import formatdate

        query = parse_qs(urlsplit(connection.uri).query)
        options: dict[str, Any] = {name: values[-1] for name, values in query.items()}
        options |= connection.extras
        if not urlsplit(connection.uri).hostname or "from_email" not in options:
            raise Unreachable(
                "Expected a URI such as smtp://host:465?from_email=tsad@example.com of connection "
                f"{message.connection}. Received: one without host or from_email."
            )
        email = EmailMessage()
        email["Subject"], email["To"] = message.subject, message.address
        email["From"], email["Date"] = options["from_email"], formatdate()
        for name, value in email_headers(message).items():
            email[name] = value
        email.set_content(message.text)
        _add_html(email, message)
        try:
            client = _connected(connection.uri, options)
            try:
                client.send_message(email)
            finally:
                # The message is accepted or not by now: how the farewell goes changes nothing.
                with suppress(OSError):
                    client.quit()
                client.close()
        except OSError as error:
            raise smtp_error(error, message.connection) from error


def email_headers(message: base.Message) -> dict[str, str]:
    """Headers by which doubles are seen and an alert's messages kept together.

    >>> message = base.Message("k1", "email", "c", "a@b.c", "s", "t", {"thread": "x"})
    >>> email_headers(message)["Message-ID"]
    '<k1@notification.tsad>'
    """
    headers = {"Message-ID": f"<{message.key}@{_DOMAIN}>", "X-Idempotency-Key": message.key}
    if message.thread:
        headers |= dict.fromkeys(("In-Reply-To", "References"), f"<{message.thread}@{_DOMAIN}>")
    return headers | {"Auto-Submitted": "auto-generated"}


def _add_html(email: EmailMessage, message: base.Message) -> None:
    """Adds the HTML as another form of the text, and its picture to the HTML."""
    if not message.html:
        return
    name = f"picture.{message.key}@{_DOMAIN}"
    html = message.html.replace(PICTURE, f'src="cid:{name}"')
    email.add_alternative(html, subtype="html")
    if message.picture is not None:
        *_, part = email.iter_parts()
        how: dict[str, Any] = {"disposition": "inline", "filename": "incident.png"}
        part.add_related(message.picture, "image", "png", cid=f"<{name}>", **how)


def _connected(uri: str, options: dict[str, Any]) -> SMTP:
    """A client, logged in where the connection names a user."""
    import smtplib
    import ssl

    def is_set(name: str) -> bool:
        return str(options.get(name, "")).lower() not in ("", "0", "false", "no")

    def tls() -> ssl.SSLContext:
        context = ssl.create_default_context()
        if options.get("ssl_context") == "none":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    parts = urlsplit(uri)
    host, timeout_s = parts.hostname or "", float(options.get("timeout", base.TIMEOUT_S))
    if not is_set("disable_ssl"):
        client: SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=timeout_s, context=tls())
    else:
        client = smtplib.SMTP(host, parts.port or 587, timeout=timeout_s)
    try:
        if is_set("disable_ssl") and not is_set("disable_tls"):
            client.starttls(context=tls())
        if options.get("auth_type") == "oauth2":
            who = unquote(parts.username or options["from_email"])
            token = options.get("access_token")
            client.ehlo_or_helo_if_needed()
            client.auth("XOAUTH2", lambda _=None: f"user={who}\x01auth=Bearer {token}\x01\x01")
        elif parts.username:
            client.login(unquote(parts.username), unquote(parts.password or ""))
    except OSError:
        client.close()
        raise
    return client


def smtp_error(error: OSError, connection: str) -> Undelivered:
    """What an error of smtplib, or below it, means for the message."""
    import smtplib

    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers: list[tuple[int, bytes | str]] = list(error.recipients.values())
    elif isinstance(error, smtplib.SMTPResponseException):
        answers = [(error.smtp_code, error.smtp_error)]
    else:
        return base.unreachable(error, connection)
    code, answer = answers[0]
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    received = f"Received: {code} {' '.join(masked(text).split())[:200]}"
    said = f"Expected a mail server that takes the message. {received}"
    if not isinstance(error, (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError)):
        return Unreachable(f"Connection {connection}: {said}")
    return (Refused if code >= 500 else Undelivered)(said)
