"""The evaluation report: each page under the finding that it shows."""

from __future__ import annotations

from functools import partial

from tsad_tasks.reporting.drawing.document import document_bytes
from tsad_tasks.reporting.drawing.flow import Page, flow_pages, room_of
from tsad_tasks.reporting.drawing.sheet import PageSize
from tsad_tasks.reporting.evaluation.content import EvaluationContent
from tsad_tasks.reporting.evaluation.cover import draw_cover
from tsad_tasks.reporting.evaluation.detection_pages import (
    confusion_blocks,
    curve_blocks,
    error_blocks,
    event_blocks,
    reliability_blocks,
)
from tsad_tasks.reporting.evaluation.learning_pages import example_blocks, learning_blocks
from tsad_tasks.reporting.exploration.preview_pages import preview_blocks

_COVER = "cover"


def evaluation_bytes(
    content: EvaluationContent, *, page_size: PageSize = "A4", compressed: bool = True
) -> tuple[bytes, int]:
    """The report as a PDF, and its number of pages."""
    return document_bytes(
        content,
        f"Evaluation · {content.model.name} · {content.model.detector}",
        f"How a model of {content.dataset} detects",
        lambda sheet: evaluation_pages(content, sheet.inner_width, room_of(sheet)),
        page_size=page_size,
        compressed=compressed,
        cover_key=_COVER,
    )


def evaluation_pages(content: EvaluationContent, width: float, room: float) -> list[Page]:
    """All pages in their order, those without anything to show left out."""
    learning = learning_blocks(content, width)
    if content.preview:
        learning += preview_blocks(content.preview, content.zone, width)
    following = [
        *flow_pages("events", "Events and alarms", event_blocks(content, width), room),
        *flow_pages("curves", "ROC and precision-recall", curve_blocks(content, width), room),
        *flow_pages("confusion", "Confusion matrices", confusion_blocks(content, width), room),
        *flow_pages("errors", "Errors", error_blocks(content, width), room),
        *flow_pages("examples", "Reconstructions", example_blocks(content, width), room),
        *flow_pages("reliability", "Reliability", reliability_blocks(content, width), room),
        *flow_pages("learning", "Learning", learning, room),
    ]
    cover = Page(_COVER, "Summary", partial(draw_cover, content, following))
    return [cover, *following]
