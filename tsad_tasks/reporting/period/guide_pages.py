"""How to read the report, and how to say what an incident was."""

from __future__ import annotations

from tsad_tasks.base.enums import Verdict
from tsad_tasks.reporting.drawing import flow, theme
from tsad_tasks.reporting.drawing.fonts import wrap_text
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.period.content import ReportContent
from tsad_tasks.reporting.period.ranking import look_first
from tsad_tasks.text.formats import joined
from tsad_tasks.text.links import incident_link
from tsad_tasks.text.words import FALSE_VERDICTS, REAL_VERDICTS, VERDICT_HINTS, VERDICT_TITLES

_TERM_WIDTH = 96.0
_LINE = 10.5


def _titles(verdicts: frozenset[Verdict]) -> str:
    return joined([title.lower() for one, title in VERDICT_TITLES.items() if one in verdicts])


TERMS = (
    (
        "Incident",
        "Readings of one machine that its model could not explain, one after the other. "
        "Nobody says by that what is wrong: look at the machine, then say what it was.",
    ),
    (
        "16.8 × its threshold",
        "How strange it was at its worst: the error of the model by the largest error that is "
        "usual. Low from 1 ×, medium from 1.5 ×, high from 2 ×.",
    ),
    (
        "Real, false, unjudged",
        f"What people said: real is {_titles(REAL_VERDICTS)}; false is {_titles(FALSE_VERDICTS)}; "
        "unjudged is without a word yet.",
    ),
    (
        "Watched",
        "Hours that have a score. Of all others nothing is known; that is not the same as nothing "
        "wrong. Hours in which a machine was off count as neither.",
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
        flow.gap(8),
        flow.heading("How to say what it was"),
        *_verdict_blocks(content, width),
    ]


def _verdict_blocks(content: ReportContent, width: float) -> list[flow.Block]:
    first = look_first(content.incidents)[:1]
    incident_id = first[0].incident_id if first else "INC-…"
    command = f'tsad verdict {incident_id} {Verdict.CONFIRMED} --note "bearing changed"'
    hints = [
        _term_block(title, f"{VERDICT_HINTS[one]} ({one})", width)
        for one, title in VERDICT_TITLES.items()
    ]
    ways = []
    if content.page_url:
        url = incident_link(content.page_url, incident_id) if first else content.page_url
        ways.append(_term_block("On the page", url, width, url))
    ways.append(_term_block("By a command", command, width))
    return [*ways, flow.gap(4), *hints]


def _term_block(name: str, text: str, width: float, url: str = "") -> flow.Block:
    lines = wrap_text(text, theme.CELL, width - _TERM_WIDTH, 3)

    def draw(sheet: Sheet, y: float) -> None:
        sheet.cut(sheet.left, y + 9, name, theme.STRONG, _TERM_WIDTH - 6)
        for i, line in enumerate(lines):
            used = sheet.text(sheet.left + _TERM_WIDTH, y + 9 + _LINE * i, line, theme.CELL)
            if url:
                sheet.link_to(url, sheet.left + _TERM_WIDTH, y + 1 + _LINE * i, used, _LINE)

    return flow.Block(_LINE * len(lines) + 4, draw)
