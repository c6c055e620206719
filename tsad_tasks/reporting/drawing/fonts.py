"""DejaVu in the PDF, and text that fits: cleaned, measured, cut and wrapped."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from tsad_tasks.base.masking import masked
from tsad_tasks.reporting.drawing.theme import TextStyle

REGULAR = "tsad-sans"
BOLD = "tsad-sans-bold"
ELLIPSIS = "…"
REPLACEMENT = "□"
_FILES = {REGULAR: "DejaVuSans.ttf", BOLD: "DejaVuSans-Bold.ttf"}


def font_folder() -> Path:
    """The folder with the DejaVu files: in the checkout, or beside this module in a wheel."""
    checkout = Path(__file__).parents[3] / "third_party" / "dejavu"
    return checkout if checkout.is_dir() else Path(__file__).with_name("dejavu")


@lru_cache(maxsize=1)
def register_fonts() -> frozenset[int]:
    """Registers both weights once; returns the code points that both can draw.

    Raises
    ------
    FileNotFoundError
        When a font file is missing or cannot be read.
    """
    faces = []
    for name, file_name in _FILES.items():
        path = font_folder() / file_name
        try:
            font = TTFont(name, str(path))
        except TTFError as error:
            raise FileNotFoundError(
                f"Expected the font {path}. Received: {error}. Install the project again."
            ) from error
        pdfmetrics.registerFont(font)
        faces.append(frozenset(font.face.charToGlyph))
    return frozenset.intersection(*faces)


class _Drawable(dict[int, str | None]):
    """What a code point becomes: itself, a space, nothing, or a box where there is no glyph."""

    def __missing__(self, code_point: int) -> str | None:
        character = chr(code_point)
        drawn: str | None = character if code_point in register_fonts() else REPLACEMENT
        if character in "\t\n\r\v\f\u2028\u2029":
            drawn = " "
        elif unicodedata.category(character) in ("Cc", "Cf") or "\ufe00" <= character <= "\ufe0f":
            drawn = None
        self[code_point] = drawn
        return drawn


_DRAWABLE = _Drawable()


@lru_cache(maxsize=8192)
def clean_text(text: str) -> str:
    """Text that can be drawn as it stands: without secrets, control characters, missing glyphs.

    >>> clean_text("pump\\n7\\u202e \\U0001f525 < & >")
    'pump 7 □ < & >'
    """
    return unicodedata.normalize("NFC", masked(text)).translate(_DRAWABLE)


@lru_cache(maxsize=32768)
def text_width(text: str, size: float, bold: bool) -> float:
    """Width in points of cleaned text."""
    register_fonts()
    return float(pdfmetrics.stringWidth(text, BOLD if bold else REGULAR, size))


def width_of(text: str, style: TextStyle) -> float:
    """Width in points of text in a style."""
    return text_width(clean_text(text), style.size, style.bold)


def cut_text(text: str, style: TextStyle, max_width: float) -> str:
    """Cleaned text that is at most so wide, its end replaced by … where it had to be cut.

    >>> cut_text("bearing temperature (non-drive end)", TextStyle(8), 70)
    'bearing tempe…'
    """
    text = clean_text(text)
    if text_width(text, style.size, style.bold) <= max_width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        fits = text_width(text[:middle] + ELLIPSIS, style.size, style.bold) <= max_width
        low, high = (middle, high) if fits else (low, middle - 1)
    return text[:low].rstrip() + ELLIPSIS


def wrap_text(text: str, style: TextStyle, max_width: float, max_lines: int = 99) -> list[str]:
    """Lines that are at most so wide; the last one is cut where there would be more of them.

    >>> wrap_text("one two three four five", TextStyle(10), 55, max_lines=2)
    ['one two', 'three fo…']
    """
    lines: list[str] = []
    for word in _unbreakable(clean_text(text)):
        # What alone is too wide is broken into pieces.
        while word:
            n_fit = len(word)
            if text_width(word, style.size, style.bold) > max_width:
                n_fit = max(1, len(cut_text(word, style, max_width)) - 1)
            piece, word = word[:n_fit], word[n_fit:]
            if lines and text_width(f"{lines[-1]} {piece}", style.size, style.bold) <= max_width:
                lines[-1] = f"{lines[-1]} {piece}"
            else:
                lines.append(piece)
    if len(lines) <= max_lines:
        return lines
    rest = " ".join(lines[max_lines - 1 : max_lines + 3])
    return [*lines[: max_lines - 1], cut_text(rest, style, max_width)]


def _unbreakable(text: str) -> list[str]:
    """Words, with numbers kept together with what follows them: ± and the unit, or the month."""
    words: list[str] = []
    for word in text.split():
        last = words[-1].rsplit(" ", 1)[-1] if words else ""
        figures = last.lstrip("−").replace(".", "").replace("\u202f", "")
        if last and (last in "±<>×" or figures.isdecimal()) and len(words[-1]) < 24:
            words[-1] = f"{words[-1]} {word}"
        else:
            words.append(word)
    return words
