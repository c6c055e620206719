"""A document of planned pages: bookmarks, the line on top, the page numbers and the stamp below."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from upath import UPath

from tsad_tasks.reporting.drawing.plan import Page, PageNumbers
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import BODY, CELL, RULE, TINY
from tsad_tasks.text.formats import stamp_text, zone_text


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
    for number, page in enumerate(pages, start=1):
        _draw_page(sheet, document, page, f"{number} / {len(pages)}", numbers)
    return sheet.finish(), len(pages)


def _draw_page(
    sheet: Sheet, document: Document, page: Page, number: str, numbers: PageNumbers
) -> None:
    if page.level is not None:
        sheet.bookmark(page.key, page.title, page.level)
    if page.key != document.bare_key:
        _draw_header(sheet, document)
    page.draw(sheet, numbers)
    _draw_footer(sheet, document, page, number)
    sheet.end_page()


def _draw_header(sheet: Sheet, document: Document) -> None:
    zone = f"times in {zone_text(document.zone, document.start_at, document.end_at)}"
    used = sheet.text(sheet.right, 36, zone, BODY.but(size=8), "right")
    sheet.cut(sheet.left, 36, document.title, BODY.but(size=8), sheet.inner_width - used - 20)
    sheet.line(sheet.left, 45, sheet.right, 45, RULE, 0.8)


def _draw_footer(sheet: Sheet, document: Document, page: Page, number: str) -> None:
    y = sheet.height - 52
    sheet.line(sheet.left, y, sheet.right, y, RULE, 1.2)
    sheet.text(sheet.right, y + 13, number, CELL, "right")
    made = f"Generated {stamp_text(document.generated_at, document.zone)} by tsad"
    y += 11
    for line in [line for line in page.footer if line] or [made]:
        y = sheet.paragraph(sheet.left, y, line, TINY.but(size=6), sheet.inner_width - 60, 2, 1.35)


def write_whole(content: bytes, path: Path | UPath) -> None:
    """Writes a file, whole or not at all where the file system can rename."""
    if not isinstance(path, Path):
        path.write_bytes(content)
        return
    partial_path = Path(f"{path}.partial")
    partial_path.write_bytes(content)
    os.replace(partial_path, path)
