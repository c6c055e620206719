"""Text and page count of an uncompressed report, read without a PDF library.

reportlab keeps ASCII readable in the first subset of each font; other characters come as separate
pieces.
"""

from __future__ import annotations

import re

_SHOWN = re.compile(rb"\(((?:\\.|[^\\()])*)\) Tj", re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)


def ascii_text(document: bytes) -> str:
    """All ASCII text that the pages show, pieces of one line joined by a space."""
    pieces = (_ESCAPE.sub(_unescaped, piece) for piece in _SHOWN.findall(document))
    return " ".join(piece.decode("ascii", "replace") for piece in pieces)


def n_pages(document: bytes) -> int:
    """The number of page objects."""
    return len(re.findall(rb"/Type /Page\b", document))


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match.group(1)
    return bytes([int(code, 8)]) if code.isdigit() else code
