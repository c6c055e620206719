"""The exploration of a dataset: each page under the finding that it shows."""

from __future__ import annotations

from tsad_tasks.reporting.drawing.document import document_bytes
from tsad_tasks.reporting.drawing.flow import Page, flow_pages, gap, room_of
from tsad_tasks.reporting.drawing.sheet import PageSize
from tsad_tasks.reporting.exploration.channel_pages import channel_blocks, day_blocks, series_blocks
from tsad_tasks.reporting.exploration.content import ExplorationContent
from tsad_tasks.reporting.exploration.preview_pages import preview_blocks
from tsad_tasks.reporting.exploration.shape_pages import (
    correlation_blocks,
    distribution_blocks,
    period_blocks,
)
from tsad_tasks.text.formats import period_text


def exploration_bytes(
    content: ExplorationContent, *, page_size: PageSize = "A4", compressed: bool = True
) -> tuple[bytes, int]:
    """The exploration as a PDF, and its number of pages."""
    period = period_text(content.start_at, content.end_at, content.zone)
    return document_bytes(
        content,
        f"Readings of {content.dataset} · {period}",
        f"What the readings of {content.dataset} look like",
        lambda sheet: exploration_pages(content, sheet.inner_width, room_of(sheet)),
        page_size=page_size,
        compressed=compressed,
    )


def exploration_pages(content: ExplorationContent, width: float, room: float) -> list[Page]:
    """All pages in their order, those without anything to show left out."""
    preview = preview_blocks(content.preview, content.zone, width) if content.preview else []
    channels = [*channel_blocks(content, width), gap(16), *day_blocks(content, width)]
    shapes = [*distribution_blocks(content, width), gap(10), *correlation_blocks(content, width)]
    return [
        *flow_pages("preview", "Training data", preview, room),
        *flow_pages("channels", "Channels, anomalies and gaps", channels, room),
        *flow_pages("series", "Key series", series_blocks(content, width), room),
        *flow_pages("distributions", "Distributions and correlations", shapes, room),
        *flow_pages("periods", "Autocorrelation", period_blocks(content, width), room),
    ]
