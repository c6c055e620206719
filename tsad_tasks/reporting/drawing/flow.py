"""Blocks that fill pages, tables whose header comes again on each, and pages not yet drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tsad_tasks.reporting.drawing import theme
from tsad_tasks.reporting.drawing.fonts import width_of, wrap_text
from tsad_tasks.reporting.drawing.sheet import Align, Sheet
from tsad_tasks.reporting.drawing.theme import TextStyle

PageNumbers = Mapping[str, int]
TOP = 62.0
FOOTER_ROOM = 66.0
_WIDEST_FIRM = 96.0
# Of the room of a page: a last one with less is nearly empty.
_LEAST_OF_LAST = 0.4
_LINE_HEIGHT = 9.0


@dataclass(frozen=True)
class Block:
    """Something of a known height, drawn from its top; after `header` where it opens a page, which
    no gap does.
    """

    height: float
    draw: Callable[[Sheet, float], object]
    keep_with_next: bool = False
    header: Block | None = None
    is_gap: bool = False


def pages_of(blocks: Sequence[Block], room: float) -> list[list[Block]]:
    """Blocks dealt onto pages; what belongs to the next block moves along with it.

    >>> [len(page) for page in pages_of([Block(40, print)] * 3, 100)]
    [2, 1]
    """
    groups: list[list[Block]] = [[]]
    for block in blocks:
        groups[-1].append(block)
        if not block.keep_with_next:
            groups.append([])
    pages: list[list[Block]] = [[]]
    for group in filter(None, groups):
        if pages[-1] and _height([*pages[-1], *group]) > room:
            pages.append([])
        if not pages[-1]:
            group = _without_gap(group)
        if not pages[-1] and group[0].header is not None:
            pages[-1].append(group[0].header)
        pages[-1] += group
    return pages


def balanced(sections: Sequence[Sequence[Block]], room: float) -> list[list[Block]]:
    """Sections dealt onto pages, of which the last holds some whole ones where it would else be
    nearly empty.

    >>> def block(height: float) -> list[Block]:
    ...     return [Block(height, print)]
    >>> [len(page) for page in balanced([block(50), block(40), block(20)], 100)]
    [1, 2]
    """
    pages = pages_of([one for section in sections for one in section], room)
    if len(pages) < 2 or _height(pages[-1]) >= _LEAST_OF_LAST * room:
        return pages
    for n in range(len(sections) - 1, 0, -1):
        head = [one for section in sections[:n] for one in section]
        tail = [one for section in sections[n:] for one in section]
        if _height(tail) > room:
            return pages
        if _height(tail) >= _LEAST_OF_LAST * room:
            return [*pages_of(head, room), _without_gap(tail)]
    return pages


def _without_gap(blocks: list[Block]) -> list[Block]:
    """What a page begins with: no white space, unless there is nothing else."""
    first = next((at for at, one in enumerate(blocks) if not one.is_gap), 0)
    return blocks[first:]


def _height(blocks: Sequence[Block]) -> float:
    return sum(block.height for block in blocks)


def draw_blocks(sheet: Sheet, blocks: Sequence[Block], y: float) -> float:
    """Draws blocks one under the other; returns where the next would go."""
    for block in blocks:
        block.draw(sheet, y)
        y += block.height
    return y


def gap(height: float) -> Block:
    """White space."""
    return Block(height, lambda sheet, y: None, keep_with_next=True, is_gap=True)


def heading(text: str, style: TextStyle = theme.HEADING) -> Block:
    """A heading, kept with what it heads."""

    def draw(sheet: Sheet, y: float) -> None:
        sheet.cut(sheet.left, y + style.size + 3, text, style, sheet.inner_width)

    return Block(style.size + 11, draw, keep_with_next=True)


def finding(text: str, width: float) -> Block:
    """The title of a page: what it shows, in a sentence of at most three lines."""

    def draw(sheet: Sheet, y: float) -> None:
        sheet.paragraph(sheet.left, y + theme.TITLE.size, text, theme.TITLE, width, 3, 1.3)

    n_lines = len(wrap_text(text, theme.TITLE, width, 3))
    return Block(n_lines * theme.TITLE.size * 1.3 + 8, draw, keep_with_next=True)


def paragraph(
    text: str, width: float, style: TextStyle = theme.BODY, *, keep_with_next: bool = False
) -> Block:
    """A wrapped text."""

    def draw(sheet: Sheet, y: float) -> None:
        sheet.paragraph(sheet.left, y + style.size, text, style, width, leading=1.45)

    n_lines = len(wrap_text(text, style, width))
    return Block(n_lines * style.size * 1.45 + 5, draw, keep_with_next)


def facts_blocks(facts: Sequence[tuple[str, str]]) -> list[Block]:
    """Names with their values, a line each; long values take up to three."""

    def block(name: str, value: str) -> Block:
        def draw(sheet: Sheet, y: float) -> None:
            sheet.text(sheet.left, y + 9, name, theme.SMALL)
            x, room = sheet.left + 84, sheet.inner_width - 84
            sheet.paragraph(x, y + 9, value, theme.CELL, room, 3, 1.35)

        return Block(13 + 10 * (len(wrap_text(value, theme.CELL, 420, 3)) - 1), draw)

    return [block(name, value) for name, value in facts]


@dataclass(frozen=True)
class TableColumn:
    """A column of a table: its title and how its cells stand.

    With a share it is loose: it takes that part of what the others leave, and long texts are cut.
    Without one it is as wide as its widest text up to a quarter of a page, and at least `width`.
    Where it may have more than one line, long texts make their rows higher.
    """

    title: str
    share: float = 0.0
    align: Align = "left"
    width: float = 0.0
    n_lines: int = 1


def figure_columns(*titles: str, width: float = 0.0) -> list[TableColumn]:
    """Columns of numbers, which stand at the right."""
    return [TableColumn(title, align="right", width=width) for title in titles]


@dataclass(frozen=True)
class Box:
    """A rectangle on the sheet: left, top, width and height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.height

    def line(self, offset: float = 2.7) -> float:
        """A baseline: so far below the middle of the cell."""
        return self.y + self.height / 2 + offset


Cell = str | Callable[[Sheet, Box], object]


@dataclass(frozen=True)
class Row:
    """The cells of one row; `link` is the key of the page that it leads to."""

    cells: Sequence[Cell]
    link: str | None = None


@dataclass(frozen=True)
class TableLook:
    """The row height and the text of a table's cells."""

    row_height: float = 13.5
    style: TextStyle = theme.CELL
    gap: float = 10.0


USUAL_LOOK = TableLook()


def table_blocks(
    columns: Sequence[TableColumn],
    rows: Sequence[Row | Sequence[Cell]],
    width: float,
    look: TableLook = USUAL_LOOK,
) -> list[Block]:
    """A header, which comes again on each page, and a block per row; nothing without rows."""
    given = [row if isinstance(row, Row) else Row(row) for row in rows]
    if not given:
        return []
    places = column_places(columns, given, width, look)

    def draw_line(
        sheet: Sheet, y: float, cells: Sequence[Cell], height: float, style: TextStyle, lift: float
    ) -> None:
        for column, (x, room), cell in zip(columns, places, cells, strict=True):
            box = Box(sheet.left + x, y, room, height)
            if isinstance(cell, str):
                at = box.x + box.width * {"left": 0.0, "right": 1.0, "centre": 0.5}[column.align]
                sheet.cut(at, y + lift, cell, style, room, column.align)
            else:
                cell(sheet, box)

    def draw_header(sheet: Sheet, y: float) -> None:
        titles = [column.title for column in columns]
        draw_line(sheet, y, titles, 15, _head_style(look), 9.5)
        sheet.line(sheet.left, y + 14, sheet.right, y + 14, theme.RULE, 0.8)

    def body(row: Row) -> Block:
        n_lines, cells = 1, list(row.cells)
        for i, column in enumerate(columns):
            cell, room = cells[i], places[i][1]
            if column.n_lines > 1 and isinstance(cell, str) and width_of(cell, look.style) > room:
                n_lines = max(n_lines, len(wrap_text(cell, look.style, room, column.n_lines)))
                cells[i] = wrapped_cell(cell, look.style, column.n_lines)
        height = look.row_height + _LINE_HEIGHT * (n_lines - 1)

        def draw(sheet: Sheet, y: float) -> None:
            draw_line(sheet, y, cells, height, look.style, height / 2 + 2.7)
            sheet.line(sheet.left, y + height, sheet.right, y + height, theme.RULE, 0.35)
            if row.link:
                sheet.link(row.link, sheet.left, y, sheet.inner_width, height)

        return Block(height, draw, header=header)

    header = Block(15, draw_header, keep_with_next=True)
    first, *others = map(body, given)
    return [header, replace(first, header=None), *others]


def told_table(
    text: str,
    columns: Sequence[TableColumn],
    rows: Sequence[Row | Sequence[Cell]],
    width: float,
    look: TableLook = USUAL_LOOK,
) -> list[Block]:
    """A table under the paragraph that tells what is in it; without rows only that."""
    told = paragraph(text, width, keep_with_next=bool(rows))
    return [told, *table_blocks(columns, rows, width, look)]


def column_places(
    columns: Sequence[TableColumn], rows: Sequence[Row], width: float, look: TableLook = USUAL_LOOK
) -> list[tuple[float, float]]:
    """Left edge and width of each column, from the left end of the table.

    >>> column_places([TableColumn("n", width=30), TableColumn("Name", share=1)], [], 100)
    [(0.0, 30.0), (40.0, 60.0)]
    """
    firm = []
    for i, column in enumerate(columns):
        texts = [cell for row in rows if isinstance(cell := row.cells[i], str)]
        title = width_of(column.title, _head_style(look)) if column.title else 0.0
        widest = max((width_of(text, look.style) for text in texts), default=0.0)
        natural = max(column.width, title, min(widest, _WIDEST_FIRM))
        firm.append(0.0 if column.share else natural)
    room = width - look.gap * (len(columns) - 1)
    left_over = max(room - sum(firm), 0.25 * room)
    shares = sum(column.share for column in columns) or 1.0
    wanted = [
        column.share / shares * left_over or own for column, own in zip(columns, firm, strict=True)
    ]
    widths = [own * min(1.0, room / sum(wanted)) for own in wanted]
    return [(sum(widths[:i]) + look.gap * i, own) for i, own in enumerate(widths)]


def _head_style(look: TableLook) -> TextStyle:
    return replace(look.style, bold=True, colour=theme.MUTED)


def two_lines(first: str, second: str) -> Cell:
    """A cell with a line in ink over a muted one."""

    def draw(sheet: Sheet, box: Box) -> None:
        sheet.cut(box.x, box.line(-1.5), first, theme.CELL, box.width)
        sheet.cut(box.x, box.line(7.5), second, theme.SMALL, box.width)

    return draw


def wrapped_cell(text: str, style: TextStyle, n_lines: int = 2) -> Cell:
    """A cell of at most so many lines."""

    def draw(sheet: Sheet, box: Box) -> None:
        lines = wrap_text(text, style, box.width, n_lines)
        for i, line in enumerate(lines):
            y = box.line() - _LINE_HEIGHT / 2 * (len(lines) - 1) + _LINE_HEIGHT * i
            sheet.text(box.x, y, line, style)

    return draw


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
    return dealt_pages(key, title, pages_of(blocks, room) if blocks else [])


def dealt_pages(key: str, title: str, dealt: Sequence[Sequence[Block]]) -> list[Page]:
    """Pages of blocks that were dealt already, the first of them bookmarked."""

    def draw(page: Sequence[Block], sheet: Sheet, numbers: PageNumbers) -> None:
        draw_blocks(sheet, page, TOP)

    return [
        Page(f"{key}-{n}" if n else key, title, partial(draw, page), None if n else 0)
        for n, page in enumerate(dealt)
    ]
