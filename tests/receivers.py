"""A mail server and a webhook on loopback that misbehave on request."""

from __future__ import annotations

import json
import socketserver
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

TAKEN, DROPPED, BUSY, UNKNOWN, STALLED = "taken", "dropped", "busy", "unknown", "stalled"


class Receiver:
    """What arrived, doubles included, and how to misbehave next: a fault per message, then none."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.said: list[Any] = []
        self.faults: list[str] = []
        self.taken_status = 204
        self.ended = Event()

    @property
    def accepted(self) -> set[str]:
        """Keys as a receiver knows them that drops doubles."""
        return set(self.keys)

    def fault(self) -> str:
        return self.faults.pop(0) if self.faults else TAKEN

    def take(self, key: str, said: Any) -> None:
        self.keys.append(key)
        self.said.append(said)


class _MailHandler(socketserver.StreamRequestHandler):
    """As much SMTP as a client needs to hand over mail."""

    server: _MailServer

    def handle(self) -> None:
        self._fault = self.server.receiver.fault()
        self._say("220 here")
        while line := self.rfile.readline():
            self.server.commands.append(
                line.split(b" ")[0].strip().upper().decode("ascii", "replace")
            )
            if not self._answer(self.server.commands[-1]):
                return

    def _answer(self, command: str) -> bool:
        if command == "DATA":
            return self._take()
        known = {"EHLO": "250-here\r\n250 AUTH PLAIN", "AUTH": "235 welcome", "QUIT": "221 bye"}
        unknown = command == "RCPT" and self._fault == UNKNOWN
        self._say(
            "550 5.1.1 <nobody@example.com> no such user"
            if unknown
            else known.get(command, "250 fine")
        )
        return command != "QUIT"

    def _take(self) -> bool:
        self._say("354 go on")
        lines = iter(self.rfile.readline, b".\r\n")
        email = message_from_bytes(
            b"".join(line.removeprefix(b".") if line[:2] == b".." else line for line in lines),
            policy=policy.default,
        )
        if self._fault == BUSY:
            self._say("451 4.3.0 later")
            return True
        self.server.receiver.take(str(email["X-Idempotency-Key"]), email)
        if self._fault == STALLED:
            self.server.receiver.ended.wait(5)
        if self._fault in (DROPPED, STALLED):
            return False
        self._say("250 taken")
        return True

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class _MailServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, receiver: Receiver, context: ssl.SSLContext | None) -> None:
        self.receiver = receiver
        self.commands: list[str] = []
        super().__init__(("127.0.0.1", 0), _MailHandler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what tests ask for."""


class _WebHandler(BaseHTTPRequestHandler):
    server: _WebServer

    def do_GET(self) -> None:
        self._answer({"path": self.path})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        is_json = self.headers["Content-Type"].startswith("application/json")
        self._answer(json.loads(content) if is_json else {"text": content.decode()})

    def _answer(self, content: dict[str, Any]) -> None:
        fault = self.server.receiver.fault()
        if fault in (BUSY, UNKNOWN):
            self._say(503 if fault == BUSY else 410)
            return
        self.server.receiver.take(
            self.headers["Idempotency-Key"], content | {"headers": dict(self.headers)}
        )
        if fault == STALLED:
            self.server.receiver.ended.wait(5)
        if fault == TAKEN:
            self._say(self.server.receiver.taken_status)

    def _say(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


class _WebServer(ThreadingHTTPServer):
    def __init__(self, receiver: Receiver, context: ssl.SSLContext | None) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _WebHandler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what tests ask for."""


class Running:
    """A server in a thread of its own."""

    def __init__(self, server: Any) -> None:
        self._server, self.receiver = server, server.receiver
        self.port: int = server.server_address[1]
        self._thread = Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    @property
    def commands(self) -> list[str]:
        return list(self._server.commands)

    def stop(self) -> None:
        self.receiver.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@contextmanager
def mail_server(context: ssl.SSLContext | None = None) -> Iterator[Running]:
    """A mail server; with a context it speaks TLS from the first byte."""
    running = Running(_MailServer(Receiver(), context))
    yield running
    running.stop()


@contextmanager
def webhook(context: ssl.SSLContext | None = None) -> Iterator[Running]:
    """A webhook; with a context it speaks TLS."""
    running = Running(_WebServer(Receiver(), context))
    yield running
    running.stop()


def plain_text(email: EmailMessage) -> str:
    """The text of an e-mail."""
    part = email.get_body(("plain", "html"))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")
