"""The first page: how many incidents, what needs a decision, what nobody watched, what changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tsad_tasks.reporting.drawing import charts, flow, marks, theme
from tsad_tasks.reporting.drawing.document import draw_name
from tsad_tasks.reporting.drawing.fonts import wrap_text
from tsad_tasks.reporting.drawing.scales import unix_s
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.period.content import IncidentPage, Judged, ReportContent
from tsad_tasks.reporting.period.health_pages import N_REASONS
from tsad_tasks.reporting.period.incident_page import by_share
from tsad_tasks.reporting.period.ranking import (
    N_FIRST,
    ReportLimits,
    look_first,
    undecided,
    worst_first,
)
from tsad_tasks.reporting.period.strip import ROW_HEIGHT, strip_blocks
from tsad_tasks.text import formats
from tsad_tasks.text.decisions import changes_sentence
from tsad_tasks.text.links import incident_link
from tsad_tasks.text.sentence import quiet_sentence, shares_sentence
from tsad_tasks.text.words import status_title, verdict_title

_NAME = theme.TextStyle(22, bold=True)
_PERIOD = theme.TextStyle(13)
_LEAD = theme.TextStyle(10.5, bold=True)
_LINK = theme.TextStyle(7, colour=theme.ACTUAL)
_COLUMN_GAP = 26.0
_TEXT_SHARE = 0.5
_AXIS_ROOM = 34.0
_CARD_HEIGHT = (86.0, 118.0)
_LINE_HEIGHT = 13.0
_WHY_COLUMNS = (
    flow.TableColumn("Why", 0.5),
    *flow.figure_columns("Hours"),
    flow.TableColumn("Machines", 0.5),
)
_BEFORE_COLUMNS = (
    flow.TableColumn("From", 1.0),
    *flow.figure_columns("Incidents", "Real", "False", "Unjudged"),
)


def draw_cover(
    sheet: Sheet, content: ReportContent, limits: ReportLimits, numbers: flow.PageNumbers
) -> None:
    """Draws the first page; what it leaves out stands on the pages after it."""
    y = _draw_head(sheet, content)
    y = marks.draw_tiles(sheet, _tiles(content), y, height=66, first=50, leading=10)
    y = sheet.paragraph(sheet.left, y + 22, lead_sentence(content), _LEAD, sheet.inner_width, 4)
    below = [*_unwatched_blocks(content, sheet), *_models_blocks(content, sheet)]
    room = flow.bottom_of(sheet) - sum(block.height for block in below) - y
    y = _Cards(sheet, content, numbers).draw(y + 4, room - 14, limits.n_first)
    flow.draw_blocks(sheet, below, y + 8)


def _draw_head(sheet: Sheet, content: ReportContent) -> float:
    """Name, period, and as of when all of it is known."""
    zone, period = content.zone, formats.period_text(content.start_at, content.end_at, content.zone)
    y = draw_name(sheet, content, content.title, content.dataset, _NAME)
    sheet.cut(sheet.left, y - 8, period, _PERIOD, sheet.inner_width)
    known = f"As known at {formats.stamp_text(content.generated_at, zone)}"
    if content.data_until:
        known += f"; the newest reading is of {formats.time_text(content.data_until, zone)}"
    about = f"{content.description}. " if content.description else ""
    return sheet.paragraph(sheet.left, y + 7, f"{about}{known}.", theme.BODY, sheet.inner_width, 3)


def judged_text(judged: Judged) -> str:
    """How many incidents people called what.

    >>> judged_text(Judged({"confirmed": 2, "expected": 1, None: 4}))
    '2 real, 1 false, 4 unjudged'
    """
    return f"{judged.n_real} real, {judged.n_false} false, {judged.n_unjudged} unjudged"


def _tiles(content: ReportContent) -> list[marks.Tile]:
    head = content.headline
    judged, n_all = head.judged, head.n_all_incidents
    still = f"{formats.count_text(head.n_open)} of {formats.count_text(n_all)} still going on"
    severities = [
        f"{head.n_incidents.get(severity, 0)} {mark.word.lower()}"
        for severity, mark in theme.SEVERITY_MARKS.items()
    ]
    n_lost = sum(one.n_hours for one in content.coverage.unwatched)
    lost = {name for one in content.coverage.unwatched for name in one.entities}
    hours = f"{formats.count_text(n_lost)} h not watched" if n_lost else ""
    machines = formats.counted_of(len(lost), head.n_entities, "machine")
    if not lost:
        machines = f"every hour of {formats.counted(head.n_entities, 'machine')}"
    before = [
        formats.NO_DATA if one.judged is None else str(one.judged.n_false) for one in content.before
    ]
    return [
        (
            formats.count_text(n_all),
            "incident" if n_all == 1 else "incidents",
            [judged_text(judged), ", ".join(severities)],
        ),
        (
            formats.count_text(judged.n_unjudged),
            "without a verdict",
            [still if n_all else "nothing to decide"],
        ),
        (formats.share_text(head.scored_share), "of hours watched", [hours, machines]),
        (
            formats.count_text(judged.n_false),
            "false alarm" if judged.n_false == 1 else "false alarms",
            ["in periods before, newest first:", ", ".join(before)] if before else [],
        ),
    ]


def still_sentence(n_open: int, n_all: int) -> str:
    """How many incidents still go on.

    >>> still_sentence(0, 6), still_sentence(1, 1), still_sentence(1, 2)
    ('All have ended.', 'It is still going on.', '1 is still going on, the other has ended.')
    >>> still_sentence(0, 1), still_sentence(3, 3), still_sentence(2, 9)
    ('It has ended.', 'All are still going on.', '2 are still going on, the others have ended.')
    """
    if n_all == 1:
        return "It is still going on." if n_open else "It has ended."
    if n_open in (0, n_all):
        return "All are still going on." if n_open else "All have ended."
    still = f"{formats.count_text(n_open)} {'is' if n_open == 1 else 'are'} still going on"
    return f"{still}, the other{' has' if n_all - n_open == 1 else 's have'} ended."


def lead_sentence(content: ReportContent) -> str:
    """The period in one or two sentences."""
    head = content.headline
    if head.n_all_incidents == 0:
        quiet = quiet_sentence(head.n_hours_scored, head.n_hours_expected, head.highest_ratio)
        return " ".join([quiet, *content.no_champion[:1]])
    worst = next(one for one in theme.SEVERITY_MARKS if head.n_incidents.get(one, 0))
    ranked = worst_first(content.incidents)
    names = list(dict.fromkeys(one.entity for one in ranked if one.severity == worst))
    where = names[:3]
    if len(names) > 3:
        where.append(formats.counted(len(names) - 3, "other machine"))
    n_all, n_worst = head.n_all_incidents, head.n_incidents[worst]
    text = formats.counted(n_all, "incident")
    if n_worst < n_all:
        text += f", {formats.count_text(n_worst)}"
    text += f" of {theme.SEVERITY_MARKS[worst].word.lower()} severity"
    text += f", on {formats.joined(where)}." if where else "."
    text += f" {still_sentence(head.n_open, n_all)}"
    n_unscored = head.n_hours_expected - head.n_hours_scored
    if n_unscored > 0:
        hours = formats.counted(n_unscored, "hour")
        text += f" {hours} could not be scored; nothing is known about them."
    return " ".join([text, *content.no_champion[:1]])


@dataclass(frozen=True)
class _Cards:
    """What needs a decision: the sentence, where and when, and a picture."""

    sheet: Sheet
    content: ReportContent
    numbers: flow.PageNumbers

    def draw(self, y: float, room: float, n_most: int) -> float:
        """Draws as many cards as fit; returns the height below."""
        sheet, incidents = self.sheet, self.content.incidents
        waiting = undecided(incidents, n_most)
        chosen = waiting or look_first(incidents)[:n_most]
        if not chosen:
            return self._draw_nothing(y, room)
        n_waiting = self.content.headline.judged.n_unjudged
        title = f"Needs a decision: {len(waiting)}"
        if len(waiting) < n_waiting:
            title += f" of {formats.count_text(n_waiting)} without a verdict"
        if not waiting:
            title = "Nothing needs a decision: all have a verdict, the worst first"
        sheet.text(sheet.left, y + 15, title, theme.HEADING)
        y, room = y + 24, room - 24
        low, high = _CARD_HEIGHT
        n_shown = max(1, min(len(chosen), int(room / low)))
        height = min(room / n_shown, high)
        for incident in chosen[:n_shown]:
            self._draw_card(incident, y, height - 8)
            y += height
        return self._draw_strips(y, room - n_shown * height)

    def _draw_nothing(self, y: float, room: float) -> float:
        """Where nothing is scored, why, and what to do about that; else machines along time."""
        sheet, content = self.sheet, self.content
        if not content.no_champion[1:]:
            return self._draw_strips(y, room)
        sheet.text(sheet.left, y + 15, "Why nothing is scored", theme.HEADING)
        bottom, y = y + room, y + 30
        for line in content.no_champion[1:]:
            if y < bottom:
                y = sheet.paragraph(sheet.left, y, line, theme.BODY, sheet.inner_width, 3)
        return y

    def _draw_strips(self, y: float, room: float) -> float:
        """Machines along time, as many as there is room for, where no list follows with them."""
        n_rows = int((room - 70) / ROW_HEIGHT)
        if len(self.content.incidents) > N_FIRST or n_rows < 3:
            return y
        return flow.draw_blocks(self.sheet, strip_blocks(self.content, min(n_rows, 14)), y + 10)

    def _draw_card(self, incident: IncidentPage, y: float, height: float) -> None:
        sheet, content = self.sheet, self.content
        width, left = sheet.inner_width, sheet.left + 10
        room = width * _TEXT_SHARE - 14
        sheet.rect(sheet.left, y, width, height, fill=theme.PANEL)
        mark = theme.SEVERITY_MARKS[incident.severity]
        sheet.rect(sheet.left, y, 3, height, fill=mark.colour)
        x = marks.draw_severity(sheet, left, y + 13, incident.severity, theme.STRONG) + 8
        machines = incident.entities
        one = machines[0] if len(machines) == 1 else formats.counted(len(machines), "machine")
        where = [one, incident.incident_id]
        if incident.key in self.numbers:
            where.append(f"page {self.numbers[incident.key]}")
            sheet.link(incident.key, sheet.left, y, width, height)
        sheet.cut(x, y + 13, " · ".join(where), theme.STRONG, left + room - x)
        n_lines = min(3, int((height - 44) / 11.5))
        lines = wrap_text(incident.title, theme.STRONG, room, n_lines)
        for i, line in enumerate(lines):
            sheet.text(left, y + 27 + 11.5 * i, line, theme.STRONG)
        y_facts = y + 27 + 11.5 * len(lines)
        facts = [*self._facts(incident), *self._shares(incident, room)]
        waits = incident.said is None
        for fact in facts[: int((y + height - 4 - y_facts) / 10) + 1 - waits]:
            sheet.cut(left, y_facts, fact, theme.SMALL, room)
            y_facts += 10
        if waits and content.page_url:
            url = incident_link(content.page_url, incident.incident_id)
            used = sheet.text(left, y_facts, "say what it was: open it on the page", _LINK)
            sheet.link_to(url, left, y_facts - 8, used, 10)
        elif waits:
            command = f"say what it was: {verdict_command(incident.incident_id)}"
            sheet.cut(left, y_facts, command, theme.SMALL, room)
        x = left + room + _AXIS_ROOM
        draw_picture(
            sheet, content, incident, flow.Box(x, y + 16, sheet.right - 8 - x, height - 30)
        )

    def _shares(self, incident: IncidentPage, room: float) -> list[str]:
        """Which channels carry it, where they are known; of a group, which machines it is on."""
        if incident.headline:
            rest = incident.entities[1:]
            text = f"The worst: {incident.sentence}."
            text += f" With it: {formats.named(rest, len(rest))}." if rest else ""
            return wrap_text(text, theme.SMALL, room, 3)
        channels = by_share(incident.channels)
        if len(channels) < 2:
            return []
        text = shares_sentence([c.name for c in channels], [c.error_share for c in channels])
        return wrap_text(text, theme.SMALL, room, 2)

    def _facts(self, incident: IncidentPage) -> list[str]:
        when = formats.span_text(incident.began_at, incident.over_at, self.content.zone)
        length = formats.duration_text(self.content.length_s(incident))
        state = "still going on" if incident.is_open else "ended"
        peak, nature = formats.times_text(incident.error_ratio), incident.nature or "process"
        verdict = f"verdict: {verdict_title(incident.said).lower()}"
        return [
            f"{when} ({length}{' so far' if incident.is_open else ''})",
            f"error {peak} · {state} · {nature}",
            *([verdict] if incident.said else []),
        ]


def verdict_command(incident_id: str) -> str:
    """How somebody says that it was a real fault, where there is no page to open."""
    return f"tsad verdict {incident_id} confirmed"


def draw_picture(
    sheet: Sheet, content: ReportContent, incident: IncidentPage, box: flow.Box
) -> None:
    """The channel that carries most of an incident, else its errors; nothing without series."""
    scores, channels = incident.scores, by_share(incident.channels)
    if not len(scores.times):
        return
    seconds = unix_s(scores.times)
    start_s, end_s = float(seconds[0]), max(float(seconds[-1]), float(seconds[0]) + 600)
    frame = charts.Frame(box.x, box.y, box.width, box.height, start_s, end_s)
    ended_s = content.end_of(incident).timestamp()
    charts.draw_ground(sheet, frame, incident.started_at.timestamp(), ended_s)
    ticks = frame.ticks(content.zone)
    charts.draw_time_grid(sheet, frame, ticks)
    title = "error and its threshold"
    if channels and np.isfinite(channels[0].values).any():
        title = formats.channel_text(channels[0].name, channels[0].unit)
        title += ", grey: expected" if channels[0].lower is not None else ""
        charts.draw_channel_panel(sheet, frame, channels[0], scores)
    else:
        charts.draw_error_panel(sheet, frame, scores, "threshold")
    sheet.cut(frame.x, frame.y - 4, title, theme.SMALL, frame.width)
    charts.draw_time_labels(sheet, frame, frame.bottom + 9, content.zone)


def _unwatched_blocks(content: ReportContent, sheet: Sheet) -> list[flow.Block]:
    """What nobody watched, beside the periods before: two columns of one height."""
    width = (sheet.inner_width - _COLUMN_GAP) / 2
    left, right = _why_blocks(content, width), _before_blocks(content, width)
    height = max(sum(block.height for block in blocks) for blocks in (left, right))

    def draw(sheet: Sheet, y: float) -> None:
        flow.draw_blocks(sheet.part(sheet.left, width), left, y)
        flow.draw_blocks(sheet.part(sheet.right - width, width), right, y)

    return [flow.Block(height + 6, draw)]


def _why_blocks(content: ReportContent, width: float) -> list[flow.Block]:
    reasons = content.coverage.unwatched
    if not reasons:
        n_hours = formats.counted(content.headline.n_hours_scored, "hour")
        n_machines = formats.counted(content.headline.n_entities, "machine")
        text = f"Every expected hour of every machine: {n_hours} of {n_machines}."
        if not content.headline.n_hours_expected:
            text = "No machine was expected to report in this period."
        return [flow.heading("All was watched"), flow.paragraph(text, width)]
    rows = [
        [
            status_title(one.status),
            formats.count_text(one.n_hours),
            f"{formats.count_text(len(one.entities))}: {', '.join(one.entities[:6])}",
        ]
        for one in reasons[:N_REASONS]
    ]
    if len(reasons) > N_REASONS:
        rest = reasons[N_REASONS:]
        n_others = sum(one.n_hours for one in rest)
        rows.append(["other reasons", formats.count_text(n_others), "see “Watched, and not”"])
    look = flow.TableLook(_LINE_HEIGHT)
    return [flow.heading("Not watched"), *flow.table_blocks(_WHY_COLUMNS, rows, width, look)]


def _before_blocks(content: ReportContent, width: float) -> list[flow.Block]:
    day = partial(formats.day_text, zone=content.zone)
    now = content.headline.judged
    rows = [[f"{day(content.start_at)} (now)", *_counts(now)]]
    for one in content.before:
        known = one.judged is not None
        counts = _counts(one.judged) if one.judged else [formats.EN_DASH] * 4
        rows.append([day(one.start_at) + ", not scored" * (not known), *counts])
    look = flow.TableLook(_LINE_HEIGHT)
    return [
        flow.heading("Beside the periods before"),
        *flow.table_blocks(_BEFORE_COLUMNS, rows, width, look),
    ]


def _counts(judged: Judged) -> list[str]:
    counts = judged.n_all, judged.n_real, judged.n_false, judged.n_unjudged
    return [formats.count_text(n) for n in counts]


def models_sentence(content: ReportContent) -> str:
    """What changed with models, or which one scored all along."""
    if changed := changes_sentence(content.decisions, content.zone):
        return changed
    speaking = [card for card in content.models if card.valid_from is not None]
    if not speaking:
        return "There is no model." if not content.no_champion else content.no_champion[0]
    if len(speaking) > 1:
        return f"Nothing was decided; {formats.counted(len(speaking), 'model')} scored in turn."
    since = formats.date_text(speaking[0].valid_from or content.start_at, content.zone)
    return f"Nothing changed: v{speaking[0].version} is champion since {since}."


def _models_blocks(content: ReportContent, sheet: Sheet) -> list[flow.Block]:
    style, text = replace(theme.BODY, colour=theme.INK), models_sentence(content)
    lines = wrap_text(formats.in_site_zone(text, content.zone), style, sheet.inner_width, 2)
    return [flow.heading("Models"), flow.paragraph(" ".join(lines), sheet.inner_width, style)]
