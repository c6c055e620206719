"""Ranges of time [start, end), and what is left of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

Span = tuple[datetime, datetime]


def without(span: Span, cuts: Iterable[Span]) -> list[Span]:
    """What is left of a range, ascending.

    >>> at = [datetime(2026, 3, day) for day in range(1, 7)]
    >>> [(a.day, b.day) for a, b in without((at[0], at[5]), [(at[1], at[2]), (at[4], at[5])])]
    [(1, 2), (3, 5)]
    """
    parts = [span]
    for start, end in cuts:
        pieces = [piece for a, b in parts for piece in ((a, min(b, start)), (max(a, end), b))]
        parts = [(a, b) for a, b in pieces if a < b]
    return sorted(parts)


def merged(spans: Sequence[Span], gap: timedelta = timedelta(0)) -> list[Span]:
    """The ranges, those joined that overlap or are at most `gap` apart, ascending.

    >>> at = [datetime(2026, 3, day) for day in range(1, 7)]
    >>> [(a.day, b.day) for a, b in merged([(at[3], at[5]), (at[0], at[2]), (at[1], at[3])])]
    [(1, 6)]
    """
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + gap:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
