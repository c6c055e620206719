"""Blocks that fill pages from top to bottom, and tables whose header comes again on each page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tsad_tasks.reporting.drawing.fonts import width_of, wrap_text
from tsad_tasks.reporting.drawing.sheet import Align, Sheet
from tsad_tasks.reporting.drawing.theme import BODY, CELL, HEADING, MUTED, RULE, SMALL, TextStyle

Draw = Callable[[Sheet, float], None]
_WIDEST_FIRM = 96.0
Places = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Block:
    """Something of a known height that is drawn from its top; `header` is drawn before it where it
    opens a page.
    """

    height: float
    draw: Draw
    keep_with_next: bool = False
    header: Block | None = None


def pages_of(blocks: Sequence[Block], room: float) -> list[list[Block]]:
    """Blocks dealt onto pages with so much room; what belongs to the next block moves along with
    it.

    >>> [len(page) for page in pages_of([Block(40, print), Block(40, print), Block(40, print)], 100)]
    [2, 1]
    """
    pages: list[list[Block]] = [[]]
    for group in _groups(blocks):
        height = sum(block.height for block in group)
        if pages[-1] and _filled(pages[-1]) + height > room:
            pages.append([])
        if not pages[-1] and group[0].header is not None:
            pages[-1].append(group[0].header)
        pages[-1] += group
    return pages


def _groups(blocks: Sequence[Block]) -> list[list[Block]]:
    groups: list[list[Block]] = [[]]
    for block in blocks:
        groups[-1].append(block)
        if not block.keep_with_next:
            groups.append([])
    return [group for group in groups if group]


def _filled(page: Sequence[Block]) -> float:
    return sum(block.height for block in page)


def draw_blocks(sheet: Sheet, blocks: Sequence[Block], y: float) -> float:
    """Draws blocks one under the other; returns where the next would go."""
    for block in blocks:
        block.draw(sheet, y)
        y += block.height
    return y


def gap(height: float) -> Block:
    """White space."""
    return Block(height, lambda sheet, y: None, keep_with_next=True)


def heading(text: str, style: TextStyle = HEADING) -> Block:
    """A heading, kept with what it heads."""
    return Block(
        style.size + 11,
        lambda sheet, y: _one_line(sheet, y + style.size + 3, text, style),
        keep_with_next=True,
    )


def _one_line(sheet: Sheet, y: float, text: str, style: TextStyle) -> None:
    sheet.cut(sheet.left, y, text, style, sheet.inner_width)


def paragraph(
    text: str, width: float, style: TextStyle = BODY, *, keep_with_next: bool = False
) -> Block:
    """A wrapped text."""
    n_lines = len(wrap_text(text, style, width))
    return Block(
        n_lines * style.size * 1.45 + 5,
        lambda sheet, y: _wrapped(sheet, y + style.size, text, style, width),
        keep_with_next=keep_with_next,
    )


def _wrapped(sheet: Sheet, y: float, text: str, style: TextStyle, width: float) -> None:
    sheet.paragraph(sheet.left, y, text, style, width, leading=1.45)


@dataclass(frozen=True)
class Column:
    """A column of a table: its title and how its cells stand.

    With a share it is loose: it takes that part of what the others leave, and long texts are cut.
    Without one it is as wide as its widest text up to a quarter of a page, and at least `width`.
    """

    title: str
    share: float = 0.0
    align: Align = "left"
    width: float = 0.0


@dataclass(frozen=True)
class Box:
    """The room of one cell: left, top, width and height."""

    x: float
    y: float
    width: float
    height: float


Cell = str | Callable[[Sheet, Box], None]


@dataclass(frozen=True)
class Row:
    """The cells of one row; `link` is the key of the page that it leads to."""

    cells: Sequence[Cell]
    link: str | None = None


@dataclass(frozen=True)
class TableLook:
    """The row height and the text of a table's cells."""

    row_height: float = 13.5
    style: TextStyle = CELL
    gap: float = 10.0


USUAL_LOOK = TableLook()


def table_blocks(
    columns: Sequence[Column], rows: Sequence[Row], width: float, look: TableLook = USUAL_LOOK
) -> list[Block]:
    """A header and one block per row, the header kept with the first row and repeated on each
    page.
    """
    places = column_places(columns, rows, width, look)
    header = Block(
        15, lambda sheet, y: _draw_header(sheet, columns, places, y, look), keep_with_next=True
    )
    body = [
        Block(look.row_height, _row_drawing(columns, places, row, look), header=header)
        for row in rows
    ]
    return [header, replace(body[0], header=None), *body[1:]] if body else []


def column_places(
    columns: Sequence[Column], rows: Sequence[Row], width: float, look: TableLook = USUAL_LOOK
) -> list[tuple[float, float]]:
    """Left edge and width of each column, from the left end of the table.

    >>> column_places([Column("n", width=30), Column("Name", share=1)], [], 100)
    [(0.0, 30.0), (40.0, 60.0)]
    """
    room = width - look.gap * (len(columns) - 1)
    firm = [
        0.0 if column.share else _natural_width(column, rows, i, look)
        for i, column in enumerate(columns)
    ]
    left_over = max(room - sum(firm), 0.25 * room)
    shares = sum(column.share for column in columns) or 1.0
    wanted = [
        column.share / shares * left_over or own for column, own in zip(columns, firm, strict=True)
    ]
    widths = [own * min(1.0, room / sum(wanted)) for own in wanted]
    return [(sum(widths[:i]) + look.gap * i, own) for i, own in enumerate(widths)]


def _natural_width(column: Column, rows: Sequence[Row], i: int, look: TableLook) -> float:
    texts = [cell for row in rows if isinstance(cell := row.cells[i], str)]
    title = width_of(column.title, _head_style(look)) if column.title else 0.0
    widest = max((width_of(text, look.style) for text in texts), default=0.0)
    return max(column.width, title, min(widest, _WIDEST_FIRM))


def _head_style(look: TableLook) -> TextStyle:
    return look.style.but(bold=True, colour=MUTED)


def _row_drawing(columns: Sequence[Column], places: Places, row: Row, look: TableLook) -> Draw:
    return lambda sheet, y: _draw_row(sheet, columns, places, row, y, look)


def _draw_header(
    sheet: Sheet, columns: Sequence[Column], places: Places, y: float, look: TableLook
) -> None:
    for column, (x, width) in zip(columns, places, strict=True):
        box = Box(sheet.left + x, y, width, 15)
        _draw_text(sheet, box, column.title, _head_style(look), column.align, y + 9.5)
    sheet.line(sheet.left, y + 14, sheet.right, y + 14, RULE, 0.8)


def _draw_row(
    sheet: Sheet, columns: Sequence[Column], places: Places, row: Row, y: float, look: TableLook
) -> None:
    for column, (x, width), cell in zip(columns, places, row.cells, strict=True):
        box = Box(sheet.left + x, y, width, look.row_height)
        if isinstance(cell, str):
            _draw_text(sheet, box, cell, look.style, column.align, y + look.row_height / 2 + 2.7)
        else:
            cell(sheet, box)
    bottom = y + look.row_height
    sheet.line(sheet.left, bottom, sheet.right, bottom, RULE, 0.35)
    if row.link:
        sheet.link(row.link, sheet.left, y, sheet.inner_width, look.row_height)


def _draw_text(
    sheet: Sheet, box: Box, text: str, style: TextStyle, align: Align, baseline: float
) -> None:
    x = box.x + box.width * {"left": 0.0, "right": 1.0, "centre": 0.5}[align]
    sheet.cut(x, baseline, text, style, box.width, align)


def two_lines(first: str, second: str) -> Cell:
    """A cell with a line in ink over a muted one."""

    def draw(sheet: Sheet, box: Box) -> None:
        sheet.cut(box.x, box.y + box.height / 2 - 1.5, first, CELL, box.width)
        sheet.cut(box.x, box.y + box.height / 2 + 7.5, second, SMALL, box.width)

    return draw


def wrapped_cell(text: str, style: TextStyle = CELL) -> Cell:
    """A cell of at most two lines."""

    def draw(sheet: Sheet, box: Box) -> None:
        lines = wrap_text(text, style, box.width, 2)
        y = box.y + box.height / 2 + 2.7 - 4.5 * (len(lines) - 1)
        for line in lines:
            sheet.text(box.x, y, line, style)
            y += 9

    return draw
