"""`tsad evaluate` and `tsad explore`: how a model does, and what readings look like, on the screen
and as a PDF.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any

import typer

from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import moment
from tsad_tasks.cli import session
from tsad_tasks.cli.screen import console, say, table
from tsad_tasks.config import DatasetConfig
from tsad_tasks.reporting.evaluation.content import EvaluationContent, PartResult
from tsad_tasks.reporting.exploration.content import (
    ChannelView,
    ExplorationContent,
    TrainingPreview,
)
from tsad_tasks.storage.paths import artifacts_root, config_of
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import duration_text, joined, share_text

Dataset = Annotated[str, typer.Argument(help="Name of a dataset file, such as server_room.")]
Entity = Annotated[str | None, typer.Option(help="One entity only.")]
Pdf = Annotated[str | None, typer.Option(help="Where the PDF goes; default: the artifacts folder.")]
_MANY_ROWS = 20


def evaluate(
    dataset: Dataset,
    model: Annotated[
        str | None, typer.Option(help="Version, such as 3 or v3; default: the newest champion.")
    ] = None,
    entity: Entity = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Readings up to then count; default: the newest.")
    ] = None,
    pdf: Pdf = None,
    seed: Annotated[
        int | None, typer.Option(help="Of injected anomalies; default: the model's.")
    ] = None,
    lineage: Annotated[str, typer.Option(help="live or replay: whose champion.")] = "live",
) -> None:
    """Judge a model on training, validation and test readings, and write the report as PDF and
    JSON.

    Judged by the dataset's labels where readings that were not learned from have any, else by
    injected anomalies.

    \b
    tsad evaluate server_room
    tsad evaluate server_room --model 3 --to 2026-03-08 --pdf report.pdf
    """
    from tsad_tasks.reporting.evaluation.evaluate import (
        evaluate_model,
        evaluated_until,
        registered_subject,
    )
    from tsad_tasks.storage.artifacts import place

    config, version, until = config_of(dataset), _version(model), moment(end) if end else None
    with session.open_store() as store, console.status("scoring"):
        subject = registered_subject(
            store, config, version=version, entity=entity, lineage=_lineage(lineage)
        )
        chosen_seed = subject.card.get("seed", config.training.seed) if seed is None else seed
        content, summary = evaluate_model(
            store,
            config,
            subject,
            folder=artifacts_root() / "evaluations" / dataset / subject.version,
            until_at=evaluated_until(store, config, subject, until),
            seed=int(chosen_seed),
            pdf=place(pdf) if pdf else None,
        )
    show_evaluation(content)
    say(f"{summary.pdf}: {summary.n_pages} pages; figures in {summary.json}")


def _version(text: str | None) -> int | None:
    """The number of a version that a person typed.

    >>> _version("v3"), _version("3"), _version(None)
    (3, 3, None)
    """
    if text is None:
        return None
    if not text.removeprefix("v").isdecimal():
        raise BadInput(f"--model: Expected a version such as 3 or v3. Received: {text}.")
    return int(text.removeprefix("v"))


def _lineage(name: str) -> str:
    if name not in ("live", "replay"):
        raise BadInput(f"--lineage: Expected live or replay. Received: {name}.")
    return name


_PART_COLUMNS = (
    "part",
    "steps",
    "found",
    "precision",
    "event F1",
    "false/day",
    "delay",
    "ROC-AUC",
    "PR-AUC",
    "VUS-PR",
)


def show_evaluation(content: EvaluationContent) -> None:
    """Finding, evidence, and a row per part."""
    from tsad_tasks.reporting.evaluation.pages import evidence_text, headline_text

    say(headline_text(content))
    say(evidence_text(content))
    table(
        content.model.name,
        _PART_COLUMNS,
        [_part_row(part) for part in content.parts],
        right=_PART_COLUMNS[1:],
    )
    kinds = [(kind, f"{found} of {n}") for kind, found, n in content.headline.by_kind]
    if kinds:
        table(f"Found by kind, {content.headline.name}", ("kind", "found"), kinds, right=("found",))


def _part_row(part: PartResult) -> tuple[Any, ...]:
    figures, events = part.figures, part.figures.events
    delay = None if math.isnan(events.median_delay_s) else duration_text(events.median_delay_s)
    found = f"{events.n_found} of {events.n_events}"
    numbers = (events.precision, events.f1, events.false_alarms_per_day)
    areas = (figures.roc_auc, figures.average_precision, figures.vus_pr)
    return (part.name, figures.steps.n, found, *map(_known, numbers), delay, *map(_known, areas))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def explore(
    dataset: Dataset,
    start: Annotated[
        str | None, typer.Option("--from", help="Start; default: a training range earlier.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="End; default: the newest reading.")
    ] = None,
    entity: Entity = None,
    training: Annotated[
        bool,
        typer.Option(
            "--training", help="Preview what a training that ends at --to would learn from."
        ),
    ] = False,
    pdf: Pdf = None,
) -> None:
    """Show what readings look like: gaps, distributions, correlations, periods, known anomalies; on
    screen and as PDF.

    Reads the warehouse, or the source table where nothing was ingested yet (then give --from and
    --to).

    \b
    tsad explore server_room
    tsad explore server_room --from 2026-03-01 --to 2026-03-08 --entity host-01
    tsad explore server_room --training --pdf preview.pdf
    """
    config = config_of(dataset)
    moments = tuple(moment(text) if text else None for text in (start, end))
    with session.open_store() as store, console.status("reading"):
        content = _explored(store, config, moments[0], moments[1], entity, training=training)
    show_exploration(content)
    if content.preview:
        show_preview(content.preview)
    target, n_pages = _write(config, content, pdf)
    say(f"{target}: {n_pages} pages")


def _explored(
    store: Store,
    config: DatasetConfig,
    start_at: datetime | None,
    end_at: datetime | None,
    entity: str | None,
    *,
    training: bool,
) -> ExplorationContent:
    from tsad_tasks.base.clock import utc_now
    from tsad_tasks.reporting.exploration.explore import (
        explored_content,
        explored_range,
        source_readings,
        training_preview,
        warehouse_readings,
    )

    if start_at and end_at and not training and not _is_ingested(store, config):
        span = explored_range(store, config, start_at, end_at)
        readings = source_readings(config, session.source_uri(config), *span, entity)
        return explored_content(config, readings, generated_at=utc_now())
    span = explored_range(store, config, start_at, end_at)
    preview = training_preview(store, config, span[1]) if training else None
    readings = warehouse_readings(store, config, *span, entity)
    return explored_content(config, readings, generated_at=utc_now(), preview=preview)


def _is_ingested(store: Store, config: DatasetConfig) -> bool:
    from tsad_tasks.reporting.exploration.explore import newest_end

    try:
        with store.transaction():
            newest_end(store, config)
    except BadInput:
        return False
    return True


def _write(config: DatasetConfig, content: ExplorationContent, pdf: str | None) -> tuple[str, int]:
    from tsad_tasks.reporting.exploration.explore import write_exploration
    from tsad_tasks.storage.artifacts import place

    ends = "_".join(f"{at:%Y%m%dT%H%M}" for at in (content.start_at, content.end_at))
    default = artifacts_root() / "explorations" / content.dataset / f"{content.dataset}_{ends}.pdf"
    return write_exploration(config, content, place(pdf) if pdf else default)


_CHANNEL_COLUMNS = (
    "channel",
    "unit",
    "missing",
    "lowest",
    "1 %",
    "median",
    "99 %",
    "highest",
    "extreme",
    "period",
)


def show_exploration(content: ExplorationContent) -> None:
    """Channels in numbers, the closest pairs, and the known anomalies."""
    from tsad_tasks.reporting.exploration.pages import overview_text, strongest_pairs

    who = f"{len(content.entities)} of {content.n_all_entities} entities"
    say(
        f"{overview_text(content)} {who}, {content.start_at:%Y-%m-%d %H:%M} to "
        f"{content.end_at:%Y-%m-%d %H:%M} UTC."
    )
    rows = [_channel_row(view) for view in content.channels]
    table(content.dataset, _CHANNEL_COLUMNS, rows, right=_CHANNEL_COLUMNS[2:])
    pairs = strongest_pairs(content, 5)
    if pairs:
        table(
            "Strongest correlations",
            ("channel", "other", "correlation"),
            pairs,
            right=("correlation",),
        )
    labels = [
        (label.entity, label.kind, label.start_at, label.end_at)
        for label in content.labels[:_MANY_ROWS]
    ]
    if labels:
        shown = f"{len(labels)} of {len(content.labels)}"
        table(f"Known anomalies, {shown}, UTC", ("entity", "kind", "from", "to"), labels)


def _channel_row(view: ChannelView) -> tuple[Any, ...]:
    found = view.summary
    figures = (found.low, found.quantiles[0], found.median, found.quantiles[4], found.high)
    period = duration_text(view.period_s) if view.period_s else None
    return (
        view.name,
        view.unit,
        share_text(found.missing_share),
        *map(_known, figures),
        found.n_extreme,
        period,
    )


def show_preview(preview: TrainingPreview) -> None:
    """What a training would learn from, for a person to approve."""
    from tsad_tasks.reporting.exploration.pages import preview_text

    say(preview_text(preview))
    say(
        f"Learned from {preview.start_at:%Y-%m-%d %H:%M} to {preview.split_at:%Y-%m-%d %H:%M} UTC, "
        "held out up to "
        f"{preview.end_at:%Y-%m-%d %H:%M}; {preview.n_windows} of {preview.n_available} windows "
        f"({share_text(preview.used_share)})."
    )
    rows = [
        (
            one.name,
            _known(one.median),
            _known(one.worst),
            one.worst_entity,
            one.worst_at,
            one.n_extreme,
            _known(one.distance),
        )
        for one in preview.channels
    ]
    columns = ("channel", "median", "farthest", "of", "at", "extreme", "moved")
    table("Training data", columns, rows, right=("median", "farthest", "extreme", "moved"))
    moved = [(one.entity, one.channel, one.before, one.now, one.shift) for one in preview.jumps]
    if moved:
        heads = ("entity", "channel", "before", "now", "scales")
        table("Moved since the champion was trained", heads, moved, right=heads[2:])
    lost = [(reason, n_steps, share_text(share)) for reason, n_steps, share in preview.left_out]
    if lost:
        table(
            "Left out, running steps", ("reason", "steps", "share"), lost, right=("steps", "share")
        )
    if preview.stops:
        say("More is left out than training.max_excluded_share: a retraining would stop.")
    shortest = [f"{name} {hours:.0f} h" for name, hours in preview.running_hours[:5]]
    say(
        f"Running hours, the shortest of {len(preview.running_hours)}: {joined(shortest)} "
        f"of {preview.hours_possible:.0f} h possible."
    )
