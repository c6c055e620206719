"""Names and notes are anybody's, and text wherever they are shown: in a terminal, a log line, a
form's Markdown, a PDF, an e-mail and a webhook's JSON.
"""

from __future__ import annotations

import io
import json
import logging
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from tests.receivers import Running, mail_server, plain_text, webhook
from tests.reporting.pdf_text import ascii_text
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.logs import guard_logs
from tsad_tasks.base.shown import as_markdown, visible
from tsad_tasks.cli import screen
from tsad_tasks.cli.screen import Listing
from tsad_tasks.notifications.channels.base import Message, sender
from tsad_tasks.notifications.messages import body, letter, subject
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import BODY
from tsad_tasks.text.rules import markdown_table

NAMES = [
    "host-01",
    "Kühlraum 3 – Süd_2",
    "<b>bold</b>",
    "<a href='http://x.example'>x</a>",
    "<script>x</script>",
    "&lt;",
    "a|b|c",
    "`code` ``",
    "`",
    "[link](http://x.example)",
    "![picture](http://x.example/a.png)",
    "http://x.example/a",
    "www.x.example",
    "ada@x.example",
    "*bold* _and_ ~~more~~",
    "# head",
    "1. first",
    "> said",
    "a\nb",
    "a\n\n| x | y |\n|---|---|",
    "a\r\nBcc: eve@x.example",
    "a\u2028b\x85c\x0bd",
    "\x1b[31mred\x1b[0m",
    "\x9b31mred",
    "\x07bell\x08",
    "\u202egnp.exe",
    "\u2066\u200bzero",
    "[red]red[/red]",
    "\\[red]red",
    ":smile:",
    "{{ 1 + 1 }} %s {0} $HOME",
    "\\",
]
PAGE = MarkdownIt("gfm-like")


def unseen(text: str) -> set[str]:
    """Characters that a reader would not see, or that would move others, but for line ends."""
    seen = {one for one in text if unicodedata.category(one) in ("Cc", "Cf", "Zl", "Zp")}
    return seen - {"\n"}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal that takes colours, wide enough for every name."""
    stream = io.StringIO()
    shown = Console(
        file=stream, force_terminal=True, color_system=None, width=400, highlight=False, emoji=False
    )
    for name in ("console", "_errors"):
        monkeypatch.setattr(screen, name, shown)
    return stream


@pytest.mark.parametrize("name", NAMES)
def test_in_a_terminal_a_name_is_one_line_as_it_was_written(
    terminal: io.StringIO, name: str
) -> None:
    def said() -> str:
        text = terminal.getvalue()
        terminal.seek(0)
        terminal.truncate()
        assert unseen(text) == set()
        return text

    screen.say(f"1 {name}")
    assert said() == f"1 {visible(name)}\n"
    screen.show_error(BadInput(f"Expected a host. Received: {name}.", "and a second line"))
    assert said() == f"Error: Expected a host. Received: {visible(name)}.\nand a second line\n"
    named = Listing("named", ("entity", "note"))
    screen.list_rows(named, f"of {name}", [{"entity": name, "note": name}], "none")
    lines = [line.rstrip() for line in said().splitlines()]
    assert lines[0] == f"of {visible(name)}".rstrip()
    assert lines[2].split() == visible(name).split() * 2
    assert len(lines) == 3


@pytest.mark.parametrize("name", NAMES)
def test_in_json_a_name_is_itself_and_a_terminal_obeys_none_of_it(name: str) -> None:
    text = screen.as_json({name: [name]})
    assert json.loads(text) == {name: [name]}
    assert unseen(text) == set()


@pytest.mark.parametrize("name", NAMES)
def test_in_a_log_a_name_begins_no_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "_logRecordFactory", logging.LogRecord)
    guard_logs()
    stream, log = io.StringIO(), logging.getLogger("tsad")
    handler = logging.StreamHandler(stream)
    log.addHandler(handler)
    try:
        log.warning("%s: no score", name)
    finally:
        log.removeHandler(handler)
    assert stream.getvalue() == f"{visible(name)}: no score\n"


def _read(page: str) -> tuple[list[str], str]:
    """Kinds of tokens of a Markdown page, and its text."""
    kinds, text = [], ""
    for block in PAGE.parse(page):
        kinds.append(block.type)
        for one in block.children or ():
            kinds.append(one.type)
            text += one.content + "\n" * (one.type == "softbreak")
    return kinds, text


@pytest.mark.parametrize("name", NAMES)
def test_on_a_form_a_name_is_the_text_of_one_cell(name: str) -> None:
    kinds, text = _read(markdown_table(("entity", "note"), [(name, "after")]))
    assert text == f"entitynote{visible(name)}after"
    assert kinds.count("td_open") == 2
    allowed = {"table", "thead", "tbody", "tr", "th", "td"}
    assert {kind.rpartition("_")[0] for kind in kinds} <= allowed | {"", "code"}
    assert {kind for kind in kinds if not kind.endswith(("_open", "_close"))} <= {
        "inline", "text", "code_inline",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_on_a_page_of_airflow_a_name_is_text(name: str) -> None:
    kinds, text = _read(f"### Score room\n{as_markdown(name)}\n\nIngests what is missing.")
    assert text == f"Score room{visible(name)}Ingests what is missing."
    assert set(kinds) <= {
        "heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text",
        "code_inline",
    }  # fmt: skip


def test_in_a_pdf_a_name_is_drawn_as_it_stands() -> None:
    sheet = Sheet(compressed=False)
    for y, name in enumerate(NAMES):
        sheet.text(40, 20.0 * y, name, BODY)
    drawn = ascii_text(sheet.finish())
    for name in (name for name in NAMES if name.isascii() and name.isprintable()):
        assert name in drawn


def payload(name: str) -> dict[str, Any]:
    return {
        "event": "opened", "dataset": "room", "entity": name, "severity": "HIGH", "state": "open",
        "started_at": "2026-03-01T05:00:00+00:00", "last_flag_at": "2026-03-01T05:30:00+00:00",
        "sentence": f"{name}: it got hot", "incident_id": "INC-1", "thread": "t", "zone": "UTC",
        "sql": "SELECT 1",
    }  # fmt: skip


@pytest.fixture(scope="module")
def mail() -> Iterator[Running]:
    with mail_server() as running:
        yield running


@pytest.fixture(scope="module")
def web() -> Iterator[Running]:
    with webhook() as running:
        yield running


class Tags(HTMLParser):
    """The tags of a document with their attributes, and its declarations; of text nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))

    def handle_comment(self, data: str) -> None:
        self.found.append(data)

    @classmethod
    def of(cls, document: str) -> list[object]:
        parser = cls()
        parser.feed(document)
        parser.close()
        return parser.found


@pytest.mark.parametrize("name", NAMES)
def test_in_a_message_a_name_adds_neither_header_nor_line(
    mail: Running, web: Running, name: str
) -> None:
    told, plain = payload(name), payload("host-01")
    uris = {
        "mail": f"smtp://127.0.0.1:{mail.port}?from_email=a%40b.c&disable_ssl=1&disable_tls=1",
        "web": f"http://127.0.0.1:{web.port}/hooks",
    }
    send, said = sender(uris.__getitem__), (subject(told), body(told))
    send(Message("k", "email", "mail", "a@b.c", *said, told))
    send(Message("k", "webhook", "web", "", *said, told))
    email, posted = mail.receiver.said[-1], web.receiver.said[-1]
    assert email["Subject"] == f"room: HIGH incident at {' '.join(visible(name).split())}"
    assert "Bcc" not in email
    assert plain_text(email).count("\n") == body(plain).count("\n")
    assert unseen(plain_text(email)) == set()
    html = letter(told).as_html(subject(told), "readings")
    tags = Tags.of(html)
    assert tags == Tags.of(letter(plain).as_html(subject(plain), "readings"))
    assert {key: posted[key] for key in told} == json.loads(json.dumps(told))
