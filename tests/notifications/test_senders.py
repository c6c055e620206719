"""Messages to a real mail server and a real webhook, which refuse, stall and go away."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.receivers import (
    BUSY,
    DROPPED,
    STALLED,
    UNKNOWN,
    Running,
    mail_server,
    plain_text,
    webhook,
)
from tsad_tasks.base.errors import BadInput, Refused, Undelivered, Unreachable
from tsad_tasks.notifications.channels import base
from tsad_tasks.notifications.channels import webhook as webhooks
from tsad_tasks.notifications.channels.base import Connection, Message, sender
from tsad_tasks.notifications.letter import PICTURE

PAYLOAD = {"event": "opened", "entity": "Kühlraum", "thread": "t-1"}
PLAIN = "disable_ssl=true&disable_tls=true"


def message(medium: str) -> Message:
    return Message(
        "k-1", medium, "there", "shift@example.com", "hall: ü", "Kühlraum: 9 °C\n.\nend", PAYLOAD
    )


@pytest.fixture
def mail() -> Iterator[Running]:
    with mail_server() as running:
        yield running


@pytest.fixture
def web() -> Iterator[Running]:
    with webhook() as running:
        yield running


def send_mail(port: int, options: str = PLAIN, login: str = "") -> None:
    sender(lambda _: f"smtp://{login}127.0.0.1:{port}?from_email=tsad%40example.com&{options}")(
        message("email")
    )


def post(port: int, rest: str = "/hooks/secret") -> None:
    sender(lambda _: f"http://127.0.0.1:{port}{rest}")(message("webhook"))


def test_an_email_arrives_as_text_with_its_key_and_thread(mail: Running) -> None:
    send_mail(mail.port)
    (email,) = mail.receiver.said
    assert plain_text(email) == "Kühlraum: 9 °C\n.\nend\n"
    headers = [
        email[name]
        for name in ("Subject", "From", "To", "Message-ID", "References", "Auto-Submitted")
    ]
    assert headers == [
        "hall: ü",
        "tsad@example.com",
        "shift@example.com",
        "<k-1@notification.tsad>",
        "<t-1@notification.tsad>",
        "auto-generated",
    ]


def test_an_email_has_html_with_an_inline_picture_beside_text_that_stands_alone(
    mail: Running,
) -> None:
    uri = f"smtp://127.0.0.1:{mail.port}?from_email=tsad%40example.com&{PLAIN}"
    html = f"<img {PICTURE}><p>9 °C</p>"
    sender(lambda _: uri)(replace(message("email"), html=html, picture=b"\x89PNG"))
    (email,) = mail.receiver.said
    assert plain_text(email) == "Kühlraum: 9 °C\n.\nend\n"
    kinds = [part.get_content_type() for part in email.walk()]
    assert kinds == [
        "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
    ]  # fmt: skip
    *_, shown, picture = email.walk()
    assert picture["Content-ID"] == "<picture.k-1@notification.tsad>"
    named = '<img src="cid:picture.k-1@notification.tsad"><p>9 °C</p>'
    assert shown.get_content().strip() == named
    assert (picture.get_content(), picture.get_content_disposition()) == (b"\x89PNG", "inline")


def test_a_webhook_gets_the_payload_and_the_key(web: Running) -> None:
    post(web.port)
    (said,) = web.receiver.said
    assert {name: said[name] for name in PAYLOAD} == PAYLOAD
    assert (said["key"], said["text"], said["headers"]["Idempotency-Key"]) == (
        "k-1",
        message("").text,
        "k-1",
    )


def test_a_login_is_used(mail: Running, web: Running) -> None:
    send_mail(mail.port, login="me:p%40ss@")
    assert "AUTH" in mail.commands
    sender(lambda _: f"http://me:p%40ss@127.0.0.1:{web.port}/x")(message("webhook"))
    assert web.receiver.said[0]["headers"]["Authorization"] == "Basic bWU6cEBzcw=="


def test_a_token_logs_in_where_the_connection_says_oauth2(mail: Running) -> None:
    send_mail(mail.port, options=f"{PLAIN}&auth_type=oauth2&access_token=t", login="me@")
    assert mail.commands.count("AUTH") == 1
    assert mail.receiver.keys == ["k-1"]


def test_a_webhook_gets_the_headers_of_the_connection_and_none_of_its_options(
    web: Running,
) -> None:
    extras = {"X-Chat": "hall", "timeout": 5, "verify": False, "stream": True}
    uri = f"http://127.0.0.1:{web.port}/hooks"
    sender(lambda _: Connection(uri, extras))(message("webhook"))
    headers = web.receiver.said[0]["headers"]
    assert headers["X-Chat"] == "hall"
    assert not {"Timeout", "Verify", "Stream"} & set(headers)


@pytest.mark.parametrize(
    ("fault", "family"), [(BUSY, Undelivered), (UNKNOWN, Refused), (DROPPED, Unreachable)]
)
def test_what_a_receiver_answers_says_what_to_do(
    mail: Running, web: Running, fault: str, family: type
) -> None:
    mail.receiver.faults, web.receiver.faults = [fault], [fault]
    for attempt in (lambda: send_mail(mail.port), lambda: post(web.port)):
        with pytest.raises(Undelivered, match="Received: ") as raised:
            attempt()
        assert type(raised.value) is family
    send_mail(mail.port)
    post(web.port)


def test_a_receiver_that_stalls_is_left_alone(
    mail: Running, web: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "TIMEOUT_S", 0.2)
    mail.receiver.faults, web.receiver.faults = [STALLED], [STALLED]
    for attempt in (lambda: send_mail(mail.port), lambda: post(web.port)):
        with pytest.raises(Unreachable, match="Received: "):
            attempt()


def test_a_server_that_is_not_there_is_told_without_the_url(mail: Running, web: Running) -> None:
    mail.stop()
    web.stop()
    with pytest.raises(Unreachable, match=r"connection there. Received: Connection refused\.$"):
        send_mail(mail.port)
    with pytest.raises(Unreachable, match=r"connection there. Received: Connection refused\.$"):
        post(web.port)


def test_a_redirected_message_is_not_delivered() -> None:
    with pytest.raises(Undelivered, match="Received: 302"):
        webhooks.check_status(302, "there")


def test_without_being_told_so_nothing_is_said_in_clear(mail: Running) -> None:
    with pytest.raises(Unreachable):
        send_mail(mail.port, options="timeout=1", login="me:secret@")
    with pytest.raises(Unreachable, match="NotSupported"):
        send_mail(mail.port, options="disable_ssl=true", login="me:secret@")
    assert not {"AUTH", "MAIL", "DATA"} & set(mail.commands)


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    """A server's context with a certificate that nobody knows."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    signed = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now, now + timedelta(days=1)
    ).sign(key, hashes.SHA256())
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = tmp_path / "both.pem"
    path.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
        + signed.public_bytes(encoding)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_tls_is_the_default_and_an_unknown_certificate_is_refused(
    certificate: ssl.SSLContext,
) -> None:
    with mail_server(certificate) as mail:
        with pytest.raises(Unreachable, match="certificate verify failed"):
            send_mail(mail.port, options="")
        assert mail.receiver.keys == []
        send_mail(mail.port, options="ssl_context=none")
        assert mail.receiver.keys == ["k-1"]


def test_a_webhook_checks_certificates_unless_its_connection_says_otherwise(
    certificate: ssl.SSLContext,
) -> None:
    with webhook(certificate) as web:
        uri = f"https://127.0.0.1:{web.port}/hooks"
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            sender(lambda _: uri)(message("webhook"))
        assert web.receiver.keys == []
        sender(lambda _: Connection(uri, {"verify": False}))(message("webhook"))
        assert web.receiver.keys == ["k-1"]


@pytest.mark.parametrize(
    "uri", ["smtp://elsewhere", "smtp://?from_email=a@b.c", "file:///etc/passwd"]
)
def test_a_connection_that_cannot_be_used_is_told_without_it(uri: str) -> None:
    medium = "webhook" if uri.startswith("file") else "email"
    with pytest.raises(Unreachable, match="of connection there") as raised:
        sender(lambda _: uri)(message(medium))
    assert uri not in str(raised.value)


def test_a_connection_that_is_none_stops_only_what_goes_through_it() -> None:
    def uri_of(connection: str) -> str:
        raise BadInput(f"Expected a connection. Received: {connection}.")

    with pytest.raises(Unreachable, match="Received: there"):
        sender(uri_of)(message("email"))
