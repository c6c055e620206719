"""The figures of one channel of an incident, as texts that PDF and page share."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from tsad_tasks.reporting.drawing.series import ChannelSeries
from tsad_tasks.text import formats


class ChannelFigures(NamedTuple):
    """What is said of a channel at its worst reading."""

    name: str
    share: str
    value: str
    expected: str
    difference: str
    at: str


def channel_figures(channel: ChannelSeries, began_at: datetime, zone: str) -> ChannelFigures:
    """The figures of a channel; the time carries its day where that is not the incident's first."""
    spread = formats.half_width(channel.worst_lower, channel.worst_upper)
    moment = formats.NO_DATA
    if channel.worst_at is not None:
        at, began = (formats.local_time(t, zone) for t in (channel.worst_at, began_at))
        text = formats.clock_text if at.date() == began.date() else formats.time_text
        moment = text(channel.worst_at, zone)
    return ChannelFigures(
        channel.name,
        formats.share_text(channel.error_share),
        formats.value_text(channel.worst_value, channel.unit, spread),
        formats.expected_text(channel.worst_expected, channel.worst_lower, channel.worst_upper),
        _difference(channel, spread),
        moment,
    )


def _difference(channel: ChannelSeries, spread: float | None) -> str:
    """How far the worst reading is from what was expected; an angle the shorter way."""
    if (turned := channel.worst_difference) is None:
        return formats.difference_text(channel.worst_value, channel.worst_expected, spread)
    return formats.signed_text(turned, formats.n_decimals_for(spread, turned))
