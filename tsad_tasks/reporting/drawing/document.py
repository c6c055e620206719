"""A document of planned pages: bookmarks, the line on top, the page numbers and the stamp below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tsad_tasks.reporting.drawing.flow import Page
from tsad_tasks.reporting.drawing.sheet import PageSize, Sheet
from tsad_tasks.reporting.drawing.theme import BODY, CELL, MUTED, RULE, TextStyle
from tsad_tasks.text.formats import stamp_text, zone_text

_TOP = TextStyle(8, colour=BODY.colour)
_KIND = TextStyle(11, colour=MUTED)
_STAMP = TextStyle(6, colour=MUTED)


@dataclass(frozen=True, kw_only=True, eq=False)
class DatedContent:
    """What every document has: of which dataset, of which range, and when it was made."""

    dataset: str
    description: str = ""
    zone: str
    generated_at: datetime
    start_at: datetime
    end_at: datetime


def document_bytes(
    content: DatedContent,
    title: str,
    subject: str,
    plan: Callable[[Sheet], Sequence[Page]],
    *,
    page_size: PageSize,
    compressed: bool,
    cover_key: str = "",
) -> tuple[bytes, int]:
    """The planned pages, framed, as a PDF, and how many: the same content gives the same bytes."""
    sheet = Sheet(page_size, compressed=compressed)
    sheet.describe(title, subject)
    pages = plan(sheet)
    numbers = {page.key: n for n, page in enumerate(pages, start=1)}
    made = f"Generated {stamp_text(content.generated_at, content.zone)} by tsad"
    for number, page in enumerate(pages, start=1):
        if page.level is not None:
            sheet.bookmark(page.key, page.title, page.level)
        if page.key != cover_key:
            _draw_top(sheet, 36, title, _TOP, content)
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


def draw_name(sheet: Sheet, content: DatedContent, kind: str, name: str, style: TextStyle) -> float:
    """The upper end of a cover: kind and name of the document; returns the height below."""
    _draw_top(sheet, 56, kind, _KIND, content)
    return sheet.paragraph(sheet.left, 85, name, style, sheet.inner_width, 2, 1.15)


def _draw_top(sheet: Sheet, y: float, title: str, style: TextStyle, content: DatedContent) -> None:
    zone = f"times in {zone_text(content.zone, content.start_at, content.end_at)}"
    used = sheet.text(sheet.right, y, zone, _TOP, "right")
    sheet.cut(sheet.left, y, title, style, sheet.inner_width - used - 20)
