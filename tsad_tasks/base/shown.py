"""What was received, as a message shows it: cut, on one line, and never more work than its room.

Names and notes are anybody's: a terminal, a log and a Markdown page show them as text, whatever
they hold. (A PDF draws glyphs: `reporting.drawing.fonts.clean_text`.)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from tsad_tasks.base.masking import masked

# What Markdown, or Airflow's kind of it, takes for more than text.
_MEANS_MORE = re.compile(
    r"[\\`*\[\]~#|&]|<(?=[\w/!?])|(?<!\w)_|_(?!\w)|:/|\bwww\.|\w@\w|^\s*"
    r"(?:(?:[-+]|\d+[.)])(?:\s|$)|=|>(?! \d))"
)
_MOST_MASKED = 2000
_BACKTICKS = re.compile(r"`+")


class _Seen(dict[int, str]):
    """What a code point becomes: itself, or its escape where it would not be seen as it is."""

    def __missing__(self, code_point: int) -> str:
        character = chr(code_point)
        is_unseen = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        self[code_point] = _escaped(character) if is_unseen else character
        return self[code_point]


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


_SEEN = _Seen()


def visible(text: str) -> str:
    """The text on one line, with escapes for controls, line ends and marks that turn its direction.

    >>> visible("pump\\n7 \\x1b[31m \\u202egnp")
    'pump\\\\n7 \\\\x1b[31m \\\\u202egnp'
    """
    return text if text.isascii() and text.isprintable() else text.translate(_SEEN)


def as_markdown(text: str) -> str:
    """The text for a Markdown page: as it is, or as code where it would be a link, HTML or a table.

    >>> as_markdown("host-01"), as_markdown("> 99.9 %"), as_markdown("<b>a|b`</b>")
    ('host-01', '> 99.9 %', '``<b>a|b`</b>``')
    """
    seen = visible(text)
    if not _MEANS_MORE.search(seen):
        return seen
    fence = "`" * (1 + max(map(len, _BACKTICKS.findall(seen)), default=0))
    pad = " " * (seen[0] in "` " or seen[-1] in "` ")
    return f"{fence}{pad}{seen}{pad}{fence}"


def shown(value: object, room: int = 80) -> str:
    """The value as Python writes it, in at most `room` characters.

    However large the value is, only as much of it is looked at as is shown.

    >>> shown({"low": [1, None]}), shown("x" * 200, 12), shown(["ab"] * 10**6, 20)
    ("{'low': [1, None]}", "'xxxxxxxx...", "['ab', 'ab', 'ab'...")
    """
    written = ""
    for part in _parts(value, room):
        written += part
        if len(written) > room:
            return written[: room - 3] + "..."
    return written


def _parts(value: object, room: int) -> Iterable[str]:
    if isinstance(value, str | bytes):
        # Masked before it is cut: half of a secret has no form any more.
        start = value[: room + _MOST_MASKED]
        yield repr((masked(start) if isinstance(start, str) else start)[: room + 1])
    elif type(value) is dict:
        yield from _joined("{", _pairs(value, room), "}")
    elif type(value) is list:
        yield from _joined("[", ([_parts(one, room)] for one in value), "]")
    else:
        yield repr(value)


def _pairs(value: Mapping[object, object], room: int) -> Iterable[list[Iterable[str]]]:
    for key, item in value.items():
        yield [_parts(key, room), [": "], _parts(item, room)]


def _joined(before: str, items: Iterable[list[Iterable[str]]], after: str) -> Iterable[str]:
    yield before
    for i, item in enumerate(items):
        yield ", " * (i > 0)
        for parts in item:
            yield from parts
    yield after


def on_one_line(text: str, room: int) -> str:
    """The text in at most `room` characters, with escapes for all that would not be seen as it is.

    >>> on_one_line("no\\nsuch name", 8)
    'no\\\\ns...'
    """
    plain = masked(text[: room + _MOST_MASKED])
    cut = plain if len(plain) <= room else plain[: room - 3] + "..."
    seen = visible(cut)
    return seen if len(seen) <= room else seen[: room - 3] + "..."
