"""What was received, as a message shows it: cut, on one line, and never more work than its room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


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
        yield repr(value[: room + 1])
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
    cut = text if len(text) <= room else text[: room - 3] + "..."
    if cut.isprintable():
        return cut
    seen = "".join(one if one.isprintable() else _escaped(one) for one in cut)
    return seen if len(seen) <= room else seen[: room - 3] + "..."


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
