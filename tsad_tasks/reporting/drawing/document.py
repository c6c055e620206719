"""A document of planned pages: bookmarks, the line on top, the page numbers and the stamp below."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from upath import UPath

from tsad_tasks.reporting.drawing.plan import Page
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import BODY, CELL, MUTED, RULE, TextStyle
from tsad_tasks.text.formats import stamp_text, zone_text

_TOP = TextStyle(8, colour=BODY.colour)
_KIND = TextStyle(11, colour=MUTED)
_STAMP = TextStyle(6, colour=MUTED)


@dataclass(frozen=True)
class Document:
    """What all pages share; the page `bare_key` has no line on top."""

    title: str
    subject: str
    zone: str
    start_at: datetime
    end_at: datetime
    generated_at: datetime
    bare_key: str = ""


def document_bytes(sheet: Sheet, document: Document, pages: Sequence[Page]) -> tuple[bytes, int]:
    """The pages as a PDF, and how many there are. The same content gives the same bytes."""
    sheet.describe(document.title, document.subject)
    numbers = {page.key: n for n, page in enumerate(pages, start=1)}
    zone = zone_text(document.zone, document.start_at, document.end_at)
    made = f"Generated {stamp_text(document.generated_at, document.zone)} by tsad"
    for number, page in enumerate(pages, start=1):
        if page.level is not None:
            sheet.bookmark(page.key, page.title, page.level)
        if page.key != document.bare_key:
            _draw_top(sheet, 36, document.title, _TOP, zone)
            sheet.line(sheet.left, 45, sheet.right, 45, RULE, 0.8)
        page.draw(sheet, numbers)
        y = sheet.height - 52
        sheet.line(sheet.left, y, sheet.right, y, RULE, 1.2)
        sheet.text(sheet.right, y + 13, f"{number} / {len(pages)}", CELL, "right")
        y += 11
        for line in [line for line in page.footer if line] or [made]:
            y = sheet.paragraph(sheet.left, y, line, _STAMP, sheet.inner_width - 60, 2, 1.35)
        sheet.end_page()
    return sheet.finish(), len(pages)


def draw_name(sheet: Sheet, kind: str, name: str, style: TextStyle, zone: str) -> float:
    """The upper end of a cover: which kind of document it is, and what of; returns the height
    below.
    """
    _draw_top(sheet, 56, kind, _KIND, zone)
    return sheet.paragraph(sheet.left, 85, name, style, sheet.inner_width, 2, 1.15)


def _draw_top(sheet: Sheet, y: float, title: str, style: TextStyle, zone: str) -> None:
    used = sheet.text(sheet.right, y, f"times in {zone}", _TOP, "right")
    sheet.cut(sheet.left, y, title, style, sheet.inner_width - used - 20)


def write_whole(content: bytes, path: Path | UPath) -> None:
    """Writes a file, whole or not at all where the file system can rename."""
    if not isinstance(path, Path):
        path.write_bytes(content)
        return
    partial_path = Path(f"{path}.partial")
    partial_path.write_bytes(content)
    os.replace(partial_path, path)
