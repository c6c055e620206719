"""One incident as the report shows it: for the page, and as the small picture of a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from tsad_tasks.base.enums import Lineage
from tsad_tasks.ingest.queries import SELECT_LEDGER_ENDS
from tsad_tasks.reporting.drawing import charts, marks, theme
from tsad_tasks.reporting.drawing.raster import page_png
from tsad_tasks.reporting.drawing.scales import unix_s, usual_step_s
from tsad_tasks.reporting.drawing.series import ChannelSeries
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.period.channel_figures import channel_figures
from tsad_tasks.reporting.period.content import IncidentPage
from tsad_tasks.reporting.period.incident_page import by_share
from tsad_tasks.reporting.period.incidents import bare_page, incident_pages
from tsad_tasks.reporting.period.queries import (
    SELECT_PERIOD_INCIDENT,
    PeriodIncident,
    ReportPeriod,
)
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Store
from tsad_tasks.text import formats

# Points of the picture; a mail shows it 1.6 times as large, in twice as many pixels.
_WIDTH, _MARGIN, _AXIS = 340.0, 6.0, 30.0
_ERROR_HEIGHT, _CHANNEL_HEIGHT, _TITLE, _GAP = 40.0, 84.0, 13.0, 8.0
_PIXELS = 3.3
_N_COLOURS = 64


def read_incident_page(
    store: Store, dataset_name: str, incident_id: str, started_at: datetime, last_flag_at: datetime
) -> IncidentPage:
    """The report's content of one incident, its channels by their share of the error.

    Raises `LookupError` when the incident is gone.

    Parameters
    ----------
    started_at, last_flag_at : of the incident, as it is or was.
    """
    period, own = _own(store, dataset_name, incident_id, started_at, last_flag_at)
    before_at = max(period.end_at, own.last_flag_at) + timedelta(hours=2)
    ends = store.one(SELECT_LEDGER_ENDS, dataset_id=period.dataset.dataset_id, before_at=before_at)
    (page,) = incident_pages(replace(period, data_until=ends.newest_at), [own])
    order = [page.channels.index(one) for one in by_share(page.channels)]
    heat = page.heat and replace(page.heat, errors=page.heat.errors[order])
    return replace(page, channels=tuple(page.channels[i] for i in order), heat=heat)


def read_bare_page(
    store: Store, dataset_name: str, incident_id: str, started_at: datetime, last_flag_at: datetime
) -> IncidentPage:
    """What is known of one incident without asking its model: no series, and no channels.

    Raises `LookupError` when the incident is gone.
    """
    return bare_page(*_own(store, dataset_name, incident_id, started_at, last_flag_at))


def _own(
    store: Store, dataset_name: str, incident_id: str, started_at: datetime, last_flag_at: datetime
) -> tuple[ReportPeriod, PeriodIncident]:
    dataset, end_at = select_dataset(store, dataset_name), last_flag_at + timedelta(seconds=1)
    period = ReportPeriod(store, dataset, Lineage.LIVE, started_at, end_at)
    own = store.first(SELECT_PERIOD_INCIDENT, incident_id=incident_id, **period.params)
    if own is None:
        raise LookupError(f"Expected an incident that stands. Received: {incident_id}.")
    return period, own


def incident_picture(store: Store, zone: str) -> Callable[[Mapping[str, Any]], bytes | None]:
    """Draws the incident that a message's payload is about, as PNG; None: it is gone."""

    def draw(payload: Mapping[str, Any]) -> bytes | None:
        at = [datetime.fromisoformat(payload[name]) for name in ("started_at", "last_flag_at")]
        try:
            page = read_incident_page(store, payload["dataset"], payload["incident_id"], *at)
        except LookupError:
            return None
        return picture_png(page, zone)

    return draw


def picture_png(incident: IncidentPage, zone: str) -> bytes:
    """The error and the leading channel over time, drawn as the report draws them."""
    sheet = Sheet()
    sheet.left, sheet.right = _MARGIN, _WIDTH - _MARGIN
    bottom = _draw(sheet, incident, zone)
    sheet.end_page()
    shown = (_WIDTH, bottom + _MARGIN)
    return page_png(sheet.finish(), int(_WIDTH * _PIXELS), shown=shown, n_colours=_N_COLOURS)


def _draw(sheet: Sheet, incident: IncidentPage, zone: str) -> float:
    """Draws both plots, one under the other; returns the height of the last line."""
    series = [incident.scores.times, *(one.times for one in incident.channels)]
    seconds = [unix_s(times) for times in series if len(times)]
    started_s = incident.started_at.timestamp()
    step_s = max([usual_step_s(times) for times in seconds] or [600.0])
    low = min([started_s, *(float(times[0]) for times in seconds)])
    high = max([started_s + step_s, *(float(times[-1]) for times in seconds)])
    ended_s = incident.ended_at.timestamp() if incident.ended_at else high
    x, y = sheet.left + _AXIS, _MARGIN + _TITLE
    frame = charts.Frame(x, y, sheet.right - x, _ERROR_HEIGHT, low, high)
    sheet.text(sheet.left, y - 5, "Error", theme.STRONG)
    highest = f"highest {formats.figure_text(incident.peak_error)}"
    sheet.text(sheet.right, y - 5, highest, theme.SMALL, "right")
    _draw_ground(sheet, frame, started_s, ended_s, zone)
    threshold = incident.threshold_label
    charts.draw_error_panel(sheet, frame, incident.scores, threshold)
    entries = [marks.ACTUAL_ENTRY if incident.channels else marks.ERROR_ENTRY]
    for channel in incident.channels[:1]:
        y = frame.bottom + _GAP + _TITLE
        frame = frame.lowered(y, _CHANNEL_HEIGHT)
        _draw_title(sheet, y - 5, channel, incident, zone)
        _draw_ground(sheet, frame, started_s, ended_s, zone)
        charts.draw_channel_panel(sheet, frame, channel, incident.scores)
        if channel.lower is not None:
            entries.append(marks.RANGE_ENTRY)
        elif channel.expected is not None:
            entries.append(marks.EXPECTED_ENTRY)
    charts.draw_time_labels(sheet, frame, frame.bottom + 10, zone)
    entries += [marks.FLAGGED_ENTRY, marks.INCIDENT_ENTRY]
    drawn = [incident.scores.errors, *(one.values for one in incident.channels[:1])]
    if not all(np.isfinite(values).all() for values in drawn):
        entries.append(marks.MISSING_ENTRY)
    return marks.draw_legend(sheet, frame.bottom + 25, entries, sheet.left)


def _draw_ground(
    sheet: Sheet, frame: charts.Frame, started_s: float, ended_s: float, zone: str
) -> None:
    charts.draw_ground(sheet, frame, started_s, ended_s)
    charts.draw_time_grid(sheet, frame, frame.ticks(zone))


def _draw_title(
    sheet: Sheet, y: float, channel: ChannelSeries, incident: IncidentPage, zone: str
) -> None:
    """The channel's name, and at the right its worst reading with what was expected."""
    figures = channel_figures(channel, incident.started_at, zone)
    said = figures.value
    if figures.expected != formats.NO_DATA:
        said += f", expected {figures.expected}"
    said += f" at {figures.at}" if channel.worst_at else ""
    used = sheet.text(sheet.right, y, said, theme.SMALL, "right")
    room = sheet.inner_width - used - 8
    sheet.cut(sheet.left, y, formats.channel_text(channel.name, channel.unit), theme.STRONG, room)
