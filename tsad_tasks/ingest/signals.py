"""What channels' values are, as the rooms from here on compute with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tsad_tasks.config import DatasetConfig
from tsad_tasks.config.sections import ChannelSection
from tsad_tasks.model.circle import Circle

if TYPE_CHECKING:
    from tsad_tasks.ingest.grid import How


def circle_of(channel: ChannelSection | None) -> Circle | None:
    """The circle of an angle's values; None: they are on none."""
    return Circle(*channel.circle) if channel is not None and channel.circle else None


def circles_of(config: DatasetConfig) -> Mapping[str, Circle]:
    """Circles of the dataset's angles, by channel."""
    found = {name: circle_of(channel) for name, channel in config.channels.items()}
    return {name: circle for name, circle in found.items() if circle is not None}


def channel_circles(config: DatasetConfig, names: Sequence[str]) -> tuple[Circle | None, ...]:
    """The circle of each column of readings, by name; empty where no channel has one."""
    circles = circles_of(config)
    return tuple(circles.get(name) for name in names) if circles else ()


def how_of(channel: ChannelSection) -> How:
    """How readings of the channel that share a step become one."""
    from tsad_tasks.ingest.grid import States

    if channel.state_codes:
        return States(tuple(channel.state_codes.values()))
    if channel.counts_events:
        return "events"
    circle = circle_of(channel)
    return circle if circle is not None and channel.aggregate == "mean" else channel.aggregate
