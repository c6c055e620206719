"""What a retraining would learn from, for a person to approve, and what was decided."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from tsad_tasks.base.enums import TrainingDecision
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.base.files import write_whole
from tsad_tasks.base.shown import as_markdown
from tsad_tasks.reporting.exploration.content import ExplorationContent, TrainingPreview
from tsad_tasks.reporting.exploration.explore import (
    explored_content,
    warehouse_readings,
    write_exploration,
)
from tsad_tasks.reporting.exploration.preview_pages import preview_text
from tsad_tasks.reporting.exploration.training_preview import prepared_preview
from tsad_tasks.text.formats import count_text, counted, share_text
from tsad_tasks.text.rules import markdown_table
from tsad_tasks.training.retrain import Retraining, with_chosen_window, write_training_decision

_FILE = "preview.json"
_LOST_COLUMNS = ("left out because of", "readings", "share")
_JUMP_COLUMNS = (
    "entity",
    "channel",
    "centre when the champion was trained",
    "now",
    "moved by, in its scales",
)


@dataclass(frozen=True)
class PreviewSummary:
    """What was shown of a training."""

    n_readings: int  # running ones of the range that are not left out
    n_entities: int
    excluded_share: float  # of the running readings; `left_out` by reason
    missing_share: float  # of the values of the channel where it is largest
    left_out: dict[str, float]
    jumps: list[dict[str, Any]]
    pdf: str  # where the pictures are
    table: str  # all of it in Markdown, for the form


@dataclass(frozen=True)
class Answer:
    """What was said of a training, by whom (`nobody`: a default decided), how and when."""

    is_approved: bool
    by: str
    reason: str
    answered_at: datetime


def preview_run(run: Retraining) -> PreviewSummary:
    """Task `preview`: what a training will learn from, in numbers and as a PDF of the run."""
    run = with_chosen_window(run)
    # What tasks before it read on the same connection must not hold the snapshot up.
    run.store.rollback()
    readings = warehouse_readings(run.store, run.config, run.span.start_at, run.span.end_at)
    preview = prepared_preview(run)
    content = explored_content(run.config, readings, generated_at=run.store.now(), preview=preview)
    folder = run.artifacts / "explorations" / run.config.dataset
    place = folder / f"training_{run.span.end_at:%Y%m%dT%H%M}.pdf"
    pdf, _ = write_exploration(run.config, content, place)
    summary = summary_of(content, pdf)
    write_whole(run.folder / _FILE, json.dumps(asdict(summary)))
    return summary


def summary_of(content: ExplorationContent, pdf: str) -> PreviewSummary:
    """The numbers of an exploration that holds a preview."""
    preview = content.preview
    assert preview is not None
    return PreviewSummary(
        n_readings=preview.n_readings,
        n_entities=preview.n_entities,
        excluded_share=preview.left_out_share,
        missing_share=max(view.summary.missing_share for view in content.channels),
        left_out={reason: share for reason, _, share in preview.left_out},
        jumps=[asdict(jump) for jump in preview.jumps],
        pdf=pdf,
        table=markdown(content, preview, pdf),
    )


def markdown(content: ExplorationContent, preview: TrainingPreview, pdf: str) -> str:
    """What will be learned from, for the approval form."""
    ends = " to ".join(f"{at:%Y-%m-%d %H:%M}" for at in (preview.start_at, preview.end_at))
    entities = counted(preview.n_entities, "entity")
    readings = f"{count_text(preview.n_readings)} readings of {entities}"
    share = share_text(preview.left_out_share)
    lost = [(why, count_text(n), share_text(one)) for why, n, one in preview.left_out]
    missing = [(view.name, share_text(view.summary.missing_share)) for view in content.channels]
    jumps = [
        (one.entity, one.channel, f"{one.before:.4g}", f"{one.now:.4g}", f"{one.shift:+.2g}")
        for one in preview.jumps
    ]
    parts = [
        f"{ends} UTC: {readings}, {share} of the running ones left out.",
        as_markdown(preview_text(preview)),
        markdown_table(_LOST_COLUMNS, lost) if lost else "Nothing is left out.",
        markdown_table(("channel", "missing"), missing),
        markdown_table(_JUMP_COLUMNS, jumps) if jumps else "No champion to compare with: no jumps.",
        f"Pictures: {as_markdown(pdf)}",
    ]
    return "\n\n".join(parts)


def decide_training(run: Retraining, answer: Answer) -> dict[str, Any]:
    """Task `approved`: writes the answer, with what was shown, and goes on where it was yes.

    Raises
    ------
    NothingToDo
        When the training is stopped: the champion stays.
    """
    shown = json.loads((run.folder / _FILE).read_text())
    said = TrainingDecision.APPROVED if answer.is_approved else TrainingDecision.STOPPED
    names = ("n_readings", "n_entities", "excluded_share", "missing_share", "pdf")
    row = {name: shown[name] for name in names}
    row |= {name: json.dumps(shown[name]) for name in ("left_out", "jumps")}
    write_training_decision(run, said, answer.by, answer.reason, answer.answered_at, row)
    if not answer.is_approved:
        raise NothingToDo(
            f"The training of {run.config.dataset} was stopped by {answer.by} ({answer.reason})."
        )
    return {"approved_by": answer.by}
