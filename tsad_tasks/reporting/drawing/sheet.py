"""The paper, in points from the top left corner. Only this module knows reportlab's canvas."""

from __future__ import annotations

import io
from collections.abc import Sequence
from copy import copy
from typing import Literal

import numpy as np
import numpy.typing as npt
from reportlab import rl_config
from reportlab.lib.pagesizes import A4, letter
from reportlab.pdfgen.canvas import Canvas
from reportlab.pdfgen.pathobject import PDFPathObject

from tsad_tasks.reporting.drawing import fonts
from tsad_tasks.reporting.drawing.theme import HATCH, INK, Colour, Shape, TextStyle

PageSize = Literal["A4", "letter"]
Align = Literal["left", "right", "centre"]
Points = npt.NDArray[np.floating]
MARGIN = 45.0
_SIZES = {"A4": A4, "letter": letter}


class _Strokes(PDFPathObject):  # type: ignore[misc]
    """A path whose operators were made at once: ten times as fast as one call per point."""

    def __init__(self, operators: str) -> None:
        super().__init__()
        self._operators = operators

    def getCode(self) -> str:  # noqa: N802
        return self._operators


class Sheet:
    """Pages of a document. `x` grows to the right and `y` down, from the top left corner."""

    def __init__(self, page_size: PageSize = "A4", *, compressed: bool = True) -> None:
        if page_size not in _SIZES:
            raise ValueError(
                f"Expected a page size of {' or '.join(_SIZES)}. Received: {page_size!r}."
            )
        fonts.register_fonts()
        self.width, self.height = (float(length) for length in _SIZES[page_size])
        self.left, self.right = MARGIN, self.width - MARGIN
        self._stream = io.BytesIO()
        self._canvas = Canvas(
            self._stream, pagesize=_SIZES[page_size], invariant=1, pageCompression=int(compressed)
        )
        self._pen: dict[str, object] = {"alpha": 1.0}

    @property
    def inner_width(self) -> float:
        """Width between the margins."""
        return self.right - self.left

    def describe(self, title: str, subject: str) -> None:
        """Sets the document's metadata."""
        self._canvas.setTitle(fonts.clean_text(title))
        self._canvas.setSubject(fonts.clean_text(subject))
        self._canvas.setAuthor("tsad")
        self._canvas.setCreator("tsad")

    def bookmark(self, key: str, title: str, level: int) -> None:
        """Makes this page a target for links, and an entry of the outline."""
        self._canvas.bookmarkPage(key)
        self._canvas.addOutlineEntry(fonts.clean_text(title), key, level=level, closed=level == 0)

    def link(self, key: str, x: float, y: float, width: float, height: float) -> None:
        """Makes a rectangle lead to the page bookmarked under that key; `y` is its top."""
        box = (x, self.height - y - height, x + width, self.height - y)
        self._canvas.linkRect("", key, box, relative=0, thickness=0)

    def link_to(self, url: str, x: float, y: float, width: float, height: float) -> None:
        """Makes a rectangle lead to an address outside the document; `y` is its top."""
        box = (x, self.height - y - height, x + width, self.height - y)
        self._canvas.linkURL(url, box, relative=0, thickness=0)

    def part(self, left: float, width: float) -> Sheet:
        """The same page, between other margins: a column of it."""
        narrow = copy(self)
        narrow.left, narrow.right = left, left + width
        return narrow

    def end_page(self) -> None:
        """Starts a new page."""
        self._canvas.showPage()
        self._pen = {"alpha": 1.0}

    def finish(self) -> bytes:
        """The whole document."""
        self._canvas.showOutline()
        # Binary streams: the default of base 85 makes a page a quarter larger, in half of the time.
        before, rl_config.useA85 = rl_config.useA85, 0
        try:
            self._canvas.save()
        finally:
            rl_config.useA85 = before
        return self._stream.getvalue()

    def text(self, x: float, y: float, text: str, style: TextStyle, align: Align = "left") -> float:
        """Draws cleaned text with its baseline at `y`; returns its width."""
        text = fonts.clean_text(text)
        width = fonts.width_of(text, style)
        self._set("fill", style.colour)
        self._set("font", (style.bold, style.size))
        left = x - width * {"left": 0.0, "right": 1.0, "centre": 0.5}[align]
        self._canvas.drawString(left, self.height - y, text)
        return width

    def cut(
        self, x: float, y: float, text: str, style: TextStyle, room: float, align: Align = "left"
    ) -> float:
        """Draws text that is cut with … where it is wider than allowed; returns its width."""
        return self.text(x, y, fonts.cut_text(text, style, room), style, align)

    def paragraph(
        self,
        x: float,
        y: float,
        text: str,
        style: TextStyle,
        max_width: float,
        max_lines: int = 99,
        leading: float = 1.4,
    ) -> float:
        """Draws wrapped text, the first baseline at `y`; returns that of a next line."""
        for line in fonts.wrap_text(text, style, max_width, max_lines):
            self.text(x, y, line, style)
            y += style.size * leading
        return y

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        colour: Colour = INK,
        width: float = 0.5,
        dash: str = "",
    ) -> None:
        """Draws a straight line."""
        self._stroke(colour, width, dash)
        self._canvas.line(x1, self.height - y1, x2, self.height - y2)

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: Colour | None = None,
        stroke: Colour | None = None,
        line_width: float = 0.5,
    ) -> None:
        """Draws a rectangle whose top left corner is at (x, y)."""
        self._set("fill", fill or (1.0, 1.0, 1.0))
        if stroke:
            self._stroke(stroke, line_width)
        pens = {"stroke": int(stroke is not None), "fill": int(fill is not None)}
        self._canvas.rect(x, self.height - y - height, width, height, **pens)

    def rects(self, boxes: Sequence[tuple[float, float, float, float]], fill: Colour) -> None:
        """Fills many rectangles (x, y, width, height) of one colour in one path."""
        if boxes:
            self._set("fill", fill)
            operators = [
                f"{x:.2f} {self.height - y - height:.2f} {width:.2f} {height:.2f} re "
                for x, y, width, height in boxes
            ]
            self._draw("".join(operators), fill=1)

    def polyline(self, points: Points, colour: Colour, width: float = 0.8, dash: str = "") -> None:
        """Draws a line through points of shape (n, 2)."""
        if len(points) > 1:
            self._stroke(colour, width, dash)
            self._draw(self._operators(points), stroke=1)

    def segments(self, pairs: Points, colour: Colour, width: float = 0.5) -> None:
        """Draws separate straight lines, (n, 4) as x1, y1, x2, y2, in one path."""
        if len(pairs):
            self._stroke(colour, width)
            flipped = np.array([0, self.height, 0, self.height]) + pairs * np.array([1, -1, 1, -1])
            operators = "%.2f %.2f m %.2f %.2f l " * len(pairs)
            self._draw(operators % tuple(flipped.ravel()), stroke=1)

    def polygon(self, points: Points, fill: Colour, alpha: float = 1.0) -> None:
        """Fills a closed shape through points of shape (n, 2)."""
        if len(points) > 2:
            self._set("fill", fill)
            self._set("alpha", alpha)
            self._draw(self._operators(points) + "h ", fill=1)
            self._set("alpha", 1.0)

    def marker(self, shape: Shape, x: float, y: float, size: float, fill: Colour) -> None:
        """Draws a severity shape centred at (x, y), about `size` wide."""
        half = size / 2
        if shape == "circle":
            self._set("fill", fill)
            self._canvas.circle(x, self.height - y, half * 0.85, stroke=0, fill=1)
            return
        foot = y + half * 0.85
        corners = [(x - half, y), (x, y - half), (x + half, y), (x, y + half)]
        if shape == "triangle":
            corners = [(x - half, foot), (x + half, foot), (x, y - half * 0.95)]
        self.polygon(np.array(corners), fill)

    def hatch(self, x: float, y: float, width: float, height: float, step: float = 3.0) -> None:
        """Fills a rectangle with thin diagonal lines: nothing is known here."""
        if width <= 0 or height <= 0:
            return
        starts = np.arange(step / 2, width + height, step)
        x1, y1 = np.clip(starts, 0, width), np.maximum(starts - width, 0)
        x2, y2 = np.maximum(starts - height, 0), np.clip(starts, 0, height)
        self.segments(np.column_stack([x + x1, y + y1, x + x2, y + y2]), HATCH, 0.35)

    def _operators(self, points: Points) -> str:
        flipped = np.column_stack([points[:, 0], self.height - points[:, 1]])
        return ("%.1f %.1f m " + "%.1f %.1f l " * (len(points) - 1)) % tuple(flipped.ravel())

    def _draw(self, operators: str, *, stroke: int = 0, fill: int = 0) -> None:
        self._canvas.drawPath(_Strokes("n " + operators), stroke=stroke, fill=fill)

    def _stroke(self, colour: Colour, width: float, dash: str = "") -> None:
        self._set("join", 1)
        self._set("stroke", colour)
        self._set("width", width)
        self._set("dash", tuple(float(part) for part in dash.split()))

    def _set(self, what: str, value: object) -> None:
        """Emits a change of pen only where it differs: half the size of a page."""
        if self._pen.get(what) == value:
            return
        self._pen[what] = value
        canvas = self._canvas
        match what, value:
            case "fill", (red, green, blue):
                canvas.setFillColorRGB(red, green, blue)
            case "stroke", (red, green, blue):
                canvas.setStrokeColorRGB(red, green, blue)
            case "width", width:
                canvas.setLineWidth(width)
            case "dash", tuple(dash):
                canvas.setDash(list(dash))
            case "join", join:
                canvas.setLineJoin(join)
            case "alpha", alpha:
                canvas.setFillAlpha(alpha)
            case "font", (bold, size):
                canvas.setFont(fonts.BOLD if bold else fonts.REGULAR, size)
