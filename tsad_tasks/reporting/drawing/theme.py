"""Colours, type sizes and severity marks; differences also show in shape, weight or luminance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tsad_tasks.base.enums import Severity

Colour = tuple[float, float, float]
Shape = Literal["triangle", "diamond", "circle"]


def colour(hexadecimal: str) -> Colour:
    """Red, green and blue from 0 to 1.

    >>> colour("#FF0000")
    (1.0, 0.0, 0.0)
    """
    red, green, blue = (int(hexadecimal[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return (red, green, blue)


INK = colour("#131A26")
MUTED = colour("#525E6F")
FAINT = colour("#8A94A3")
RULE = colour("#D5DAE1")
GRID = colour("#E6E9ED")
PAPER = colour("#FFFFFF")
PANEL = colour("#F4F6F8")
ACTUAL = colour("#0B57A4")
FLAGGED = colour("#AD3208")
BAND = colour("#CBD1D8")
INCIDENT_GROUND = colour("#FCEDE3")
HATCH = colour("#8A94A3")
GOOD = colour("#1F6B45")

_ORANGES = "#FFF3E9 #FEE3CC #FDC99B #FBAA66 #EC823A #CF5A17 #A63C07 #7A2704 #521703"
_BLUES = "#E9F0F7 #D3E1EE #B4CCE3 #86ACD0 #5A8CBC #2F6AA3"
# Both from light to dark: they read the same in grey.
HEAT = tuple(map(colour, _ORANGES.split()))
COVERAGE = tuple(map(colour, _BLUES.split()))


@dataclass(frozen=True)
class TextStyle:
    """Size in points, weight and colour of a piece of text."""

    size: float
    bold: bool = False
    colour: Colour = INK


TITLE = TextStyle(13, bold=True)
HEADING = TextStyle(12, bold=True)
SUBHEADING = TextStyle(10, bold=True)
BODY = TextStyle(8.5, colour=MUTED)
STRONG = TextStyle(8.5, bold=True)
CELL = TextStyle(7.5)
SMALL = TextStyle(7, colour=MUTED)
TINY = TextStyle(6.5, colour=MUTED)


@dataclass(frozen=True)
class SeverityMark:
    """How one severity looks: shape, word and colour together."""

    word: str
    shape: Shape
    colour: Colour
    bar_share: float


# The worst first.
SEVERITY_MARKS: dict[Severity, SeverityMark] = {
    Severity.HIGH: SeverityMark("High", "triangle", colour("#A82A06"), 1.0),
    Severity.MEDIUM: SeverityMark("Medium", "diamond", colour("#A36A00"), 0.62),
    Severity.LOW: SeverityMark("Low", "circle", colour("#5B6B80"), 0.3),
}
