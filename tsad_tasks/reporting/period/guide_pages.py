"""How to read the report, and how to say what an incident was."""

from __future__ import annotations

from tsad_tasks.base.enums import Verdict
from tsad_tasks.reporting.drawing import flow, theme
from tsad_tasks.reporting.drawing.fonts import wrap_text
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.period.content import ReportContent
from tsad_tasks.reporting.period.ranking import look_first
from tsad_tasks.text.links import incident_link
from tsad_tasks.text.words import (
    FALSE_VERDICTS,
    REAL_VERDICTS,
    SHARE_HINT,
    VERDICT_HINTS,
    VERDICT_TITLES,
)

_TERM_WIDTH = 122.0
_LINE = 10.5


def _titles(verdicts: frozenset[Verdict]) -> str:
    return " or ".join(title.lower() for one, title in VERDICT_TITLES.items() if one in verdicts)


TERMS = (
    (
        "Incident",
        "Readings that a machine's model could not explain. What it was, only people can say.",
    ),
    (
        "16.8 × its threshold",
        "How far the error went over it: low from 1 ×, medium from 1.5 ×, high from 2 × on.",
    ),
    (
        "70.9 % of the error",
        SHARE_HINT,
    ),
    (
        "Real, false, unjudged",
        f"Real is {_titles(REAL_VERDICTS)}; false is {_titles(FALSE_VERDICTS)}.",
    ),
    (
        "Watched",
        "Hours with a score. Of others nothing is known; those of machines that were off are none.",
    ),
    (
        "Met, failed, not tested",
        "What a new model had to show before it was used (gate) and beside the one in use "
        "(shadow). Not tested: there was nothing to test it by. One failed rule keeps a model out.",
    ),
)


def guide_blocks(content: ReportContent, width: float) -> list[flow.Block]:
    """Terms, then the ways to give a verdict: the page where its address is known, the command."""
    return [
        flow.heading("How to read this report"),
        *[_term_block(name, text, width) for name, text in TERMS],
        flow.Block(6, lambda sheet, y: None),
        flow.heading("How to say what it was"),
        *_verdict_blocks(content, width),
    ]


def _verdict_blocks(content: ReportContent, width: float) -> list[flow.Block]:
    first = look_first(content.incidents)[:1]
    incident_id = first[0].incident_id if first else "INC-…"
    command = f'tsad verdict {incident_id} confirmed --note "bearing changed"'
    ways = []
    if content.page_url:
        url = incident_link(content.page_url, incident_id) if first else content.page_url
        ways.append(_term_block("On the page", url, width, url))
    ways.append(_term_block("By a command", command, width))
    return [*ways, flow.gap(4), _hints_block()]


def _hints_block() -> flow.Block:
    """What each verdict means, two of them side by side."""
    titles = list(VERDICT_TITLES.items())

    def draw(sheet: Sheet, y: float) -> None:
        half = sheet.inner_width / 2
        for i, (verdict, title) in enumerate(titles):
            x, at = sheet.left + half * (i % 2), y + 9 + 22 * (i // 2)
            used = sheet.text(x, at, title, theme.STRONG)
            sheet.cut(x + used + 6, at, verdict, theme.SMALL, half - used - 12)
            sheet.cut(x, at + 9.5, VERDICT_HINTS[verdict], theme.SMALL, half - 10)

    return flow.Block(22 * -(-len(titles) // 2), draw)


def _term_block(name: str, text: str, width: float, url: str = "") -> flow.Block:
    lines = wrap_text(text, theme.CELL, width - _TERM_WIDTH, 3)

    def draw(sheet: Sheet, y: float) -> None:
        sheet.cut(sheet.left, y + 9, name, theme.STRONG, _TERM_WIDTH - 6)
        for i, line in enumerate(lines):
            used = sheet.text(sheet.left + _TERM_WIDTH, y + 9 + _LINE * i, line, theme.CELL)
            if url:
                sheet.link_to(url, sheet.left + _TERM_WIDTH, y + 1 + _LINE * i, used, _LINE)

    return flow.Block(_LINE * len(lines) + 3, draw, keep_with_next=True)
