"""What a page is before it is drawn, and before all page numbers are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tsad_tasks.reporting.drawing.flow import Block, draw_blocks, pages_of
from tsad_tasks.reporting.drawing.sheet import Sheet

PageNumbers = Mapping[str, int]
TOP = 62.0
FOOTER_ROOM = 66.0


@dataclass(frozen=True)
class Page:
    """One page; `level` is its depth in the outline, None for the pages that continue another."""

    key: str
    title: str
    draw: Callable[[Sheet, PageNumbers], object]
    level: int | None = 0
    footer: tuple[str, ...] = ()


def bottom_of(sheet: Sheet) -> float:
    """The lowest height that a page's content may reach."""
    return sheet.height - FOOTER_ROOM


def room_of(sheet: Sheet) -> float:
    """The height that a page's content may fill."""
    return bottom_of(sheet) - TOP


def flow_pages(key: str, title: str, blocks: Sequence[Block], room: float) -> list[Page]:
    """Blocks on as many pages as they need, the first of them bookmarked; none without blocks."""

    def draw(page: Sequence[Block], sheet: Sheet, numbers: PageNumbers) -> None:
        draw_blocks(sheet, page, TOP)

    return [
        Page(f"{key}-{n}" if n else key, title, partial(draw, page), None if n else 0)
        for n, page in enumerate(pages_of(blocks, room) if blocks else [])
    ]
