"""`tsad report`, `evaluate` and `explore`: periods, models, readings, each as PDF."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from devstack import local
from tsad_tasks.base.enums import ReportDetail
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import moment
from tsad_tasks.cli.options import LIVE, Dataset, Lineage, Pdf, lineage_of, moment_or_none
from tsad_tasks.cli.rows import lists
from tsad_tasks.cli.screen import Listing, Shown, say, say_lines, table, working
from tsad_tasks.cli.targets import Force, check_beside, replaced_text, target_of
from tsad_tasks.config import DatasetConfig, config_of
from tsad_tasks.storage.artifacts import artifacts_root
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import counted, duration_text, joined, share_text

if TYPE_CHECKING:
    from tsad_tasks.reporting.evaluation.content import EvaluationContent
    from tsad_tasks.reporting.exploration.content import ExplorationContent, TrainingPreview
    from tsad_tasks.reporting.period.report import ReportSummary

Entity = Annotated[str | None, Option(help="One entity only.")]
_FIGURES = ("precision", "event_f1", "false_alarms_per_day")
_AREAS = ("roc_auc", "pr_auc", "vus_pr")
PARTS = Listing(
    "parts",
    ("part", "n_steps", "n_found", *_FIGURES, "median_delay_s", *_AREAS, "n_known"),
    (
        "part", "steps", "found", "precision", "event F1", "false/day", "delay", "ROC-AUC",
        "PR-AUC", "VUS-PR",
    ),
    right=("n_steps", "n_found", *_FIGURES, "median_delay_s", *_AREAS),
)  # fmt: skip
KINDS = Listing("kinds", ("kind", "n_found", "n_known"), ("kind", "found"), right=("n_found",))
_VALUES = ("lowest", "q01", "median", "q99", "highest")
CHANNELS = Listing(
    "channels",
    ("channel", "unit", "missing_share", *_VALUES, "n_extreme", "period_s"),
    (
        "channel", "unit", "missing", "lowest", "1 %", "median", "99 %", "highest",
        "extreme", "period",
    ),
    right=("missing_share", *_VALUES, "n_extreme", "period_s"),
)  # fmt: skip
CORRELATIONS = Listing("correlations", ("channel", "other", "correlation"), right=("correlation",))
KNOWN = Listing(
    "labels", ("entity", "kind", "start_at", "end_at"), ("entity", "kind", "from", "to")
)
LEARNED = Listing(
    "training",
    ("channel", "median", "farthest", "entity", "at", "n_extreme", "moved"),
    ("channel", "median", "farthest", "of", "at", "extreme", "moved"),
    right=("median", "farthest", "n_extreme", "moved"),
)
MOVED = Listing(
    "moved",
    ("entity", "channel", "before", "now", "n_scales"),
    ("entity", "channel", "before", "now", "scales"),
    right=("before", "now", "n_scales"),
)
LEFT_OUT = Listing(
    "left_out", ("reason", "n_steps", "share"), ("reason", "steps", "share"),
    right=("n_steps", "share"),
)  # fmt: skip
MANY_ROWS = 20


def report(
    dataset: Dataset,
    end: Annotated[str, Option("--end", help="End of the period.")],
    start: Annotated[
        str | None, Option("--from", help="Start; default: the report's period before the end.")
    ] = None,
    out: Pdf = None,
    force: Force = False,
    lineage: Lineage = LIVE,
    detail: Annotated[
        ReportDetail | None,
        Option(help="brief: at most 8 pages; full: everything; default: the dataset file's."),
    ] = None,
) -> None:
    """Render the PDF of a period, and CSV files of what it leaves out."""
    from tsad_tasks.reporting.period.csv_files import HEADS, beside
    from tsad_tasks.reporting.period.report import render_period

    config, path = config_of(dataset), target_of(out, is_forced=force)
    if path and not force:
        check_beside({beside(path, what): head for what, head in HEADS.items()})
    options: dict[str, Any] = {"lineage": lineage_of(lineage), "start_at": moment_or_none(start)}
    options["detail"] = detail
    with local.open_store() as store:
        summary = render_period(store, config, end_at=moment(end), path=path, **options)
    say_report(summary)


def say_report(summary: ReportSummary) -> None:
    """Where the PDF of a period is, and what is in it; without a champion, why, and what to do."""
    found = (
        counted(summary.n_incidents, "incident") if summary.n_hours_scored else "nothing was scored"
    )
    replaced = replaced_text(is_replaced=summary.replaced)
    say(f"{summary.path}{replaced}: {summary.n_pages} pages, {found}")
    say(f"Beside it: {joined([path.rsplit('/', 1)[-1] for path in summary.csv_paths])}")
    if summary.no_champion:
        say_lines(summary.no_champion)


@lists(PARTS, KINDS)
def evaluate(
    dataset: Dataset,
    model: Annotated[
        str | None, Option(help="Version, such as 3 or v3; default: the newest champion.")
    ] = None,
    entity: Entity = None,
    end: Annotated[
        str | None, Option("--to", help="Readings up to then count; default: the newest.")
    ] = None,
    pdf: Pdf = None,
    force: Force = False,
    seed: Annotated[int | None, Option(help="Of injected anomalies; default: the model's.")] = None,
    lineage: Annotated[str, Option(help="live or replay: whose champion.")] = LIVE,
) -> None:
    """Judge a model on training, validation and test readings, and write the report as PDF and
    JSON.

    Judged by the dataset's labels where readings that were not learned from have any, else by
    injected anomalies.

    \b
    tsad evaluate server_room
    tsad evaluate server_room --model 3 --to 2026-03-08 --pdf report.pdf
    """
    from tsad_tasks.reporting.evaluation import evaluate

    config, version, until = config_of(dataset), _version_of(model), moment_or_none(end)
    target = target_of(pdf, is_forced=force)
    chosen: dict[str, Any] = {"version": version, "entity": entity, "lineage": lineage_of(lineage)}
    with local.open_store() as store, working("scoring"):
        subject = evaluate.registered_subject(store, config, **chosen)
        chosen_seed = subject.card.get("seed", config.training.seed) if seed is None else seed
        content, summary = evaluate.evaluate_model(
            store,
            config,
            subject,
            folder=artifacts_root() / "evaluations" / dataset / subject.version,
            until_at=evaluate.evaluated_until(store, config, subject, until),
            seed=int(chosen_seed),
            pdf=target,
        )
    show_evaluation(content)
    replaced = replaced_text(is_replaced=summary.replaced)
    say(f"{summary.pdf}{replaced}: {summary.n_pages} pages; figures in {summary.json}")


def _version_of(text: str | None) -> int | None:
    """The number of a version that a person typed.

    >>> _version_of("v3"), _version_of("3"), _version_of(None)
    (3, 3, None)
    """
    if text is None:
        return None
    if not text.removeprefix("v").isdecimal():
        raise BadInput(f"--model: Expected a version such as 3 or v3. Received: {text}.")
    return int(text.removeprefix("v"))


def show_evaluation(content: EvaluationContent) -> None:
    """Finding, evidence, and a row per part."""
    from tsad_tasks.reporting.evaluation.content import evidence_text, headline_text

    say(headline_text(content))
    say(evidence_text(content))
    rows = []
    for part in content.parts:
        figures, events = part.figures, part.figures.events
        delay_s = _known(events.median_delay_s)
        delay = Shown(delay_s, None if delay_s is None else duration_text(delay_s))
        numbers = map(_known, (events.precision, events.f1, events.false_alarms_per_day))
        areas = map(_known, (figures.roc_auc, figures.average_precision, figures.vus_pr))
        found = figures.steps.n, _of(events.n_found, events.n_events)
        rows.append((part.name, *found, *numbers, delay, *areas, events.n_events))
    table(PARTS, content.model.name, rows)
    kinds = [(kind, _of(found, n), n) for kind, found, n in content.headline.by_kind]
    if kinds:
        table(KINDS, f"Found by kind, {content.headline.name}", kinds)


def _of(n: int, n_all: int) -> Shown:
    """So many of all."""
    return Shown(n, f"{n} of {n_all}")


def _share(share: float) -> Shown:
    return Shown(share, share_text(share))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


@lists(CHANNELS, CORRELATIONS, KNOWN, LEARNED, MOVED, LEFT_OUT)
def explore(
    dataset: Dataset,
    start: Annotated[
        str | None, Option("--from", help="Start; default: a training range earlier.")
    ] = None,
    end: Annotated[str | None, Option("--to", help="End; default: the newest reading.")] = None,
    entity: Entity = None,
    training: Annotated[
        bool,
        Option("--training", help="Preview what a training that ends at --to would learn from."),
    ] = False,
    pdf: Pdf = None,
    force: Force = False,
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
    from tsad_tasks.reporting.exploration import explore
    from tsad_tasks.reporting.exploration.training_preview import training_preview

    config, span = config_of(dataset), (moment_or_none(start), moment_or_none(end))
    named = target_of(pdf, is_forced=force)
    with local.open_store() as store, working("reading"):
        preview, from_source = None, all(span) and not training and not _is_ingested(store, config)
        start_at, end_at = explore.explored_range(store, config, *span)
        if from_source:
            uris = local.source_uris(config)
            readings = explore.source_readings(config, uris, start_at, end_at, entity)
        else:
            preview = training_preview(store, config, end_at) if training else None
            readings = explore.warehouse_readings(store, config, start_at, end_at, entity)
        content = explore.explored_content(
            config, readings, generated_at=store.now(), preview=preview
        )
    show_exploration(content)
    if content.preview:
        show_preview(content.preview)
    ends = "_".join(f"{at:%Y%m%dT%H%M}" for at in (content.start_at, content.end_at))
    default = artifacts_root() / "explorations" / content.dataset / f"{content.dataset}_{ends}.pdf"
    target = named or default
    replaced = replaced_text(is_replaced=target.exists())
    written, n_pages = explore.write_exploration(config, content, target)
    say(f"{written}{replaced}: {n_pages} pages")


def _is_ingested(store: Store, config: DatasetConfig) -> bool:
    """Whether the warehouse has readings of a dataset."""
    from tsad_tasks.reporting.exploration.explore import newest_end

    try:
        with store.transaction():
            newest_end(store, config)
    except BadInput:
        return False
    return True


def show_exploration(content: ExplorationContent) -> None:
    """Channels in numbers, the closest pairs, and the known anomalies."""
    from tsad_tasks.reporting.exploration.channel_pages import overview_text
    from tsad_tasks.reporting.exploration.shape_pages import strongest_pairs

    who = f"{len(content.entities)} of {content.n_all_entities} entities"
    when = f"{content.start_at:%Y-%m-%d %H:%M} to {content.end_at:%Y-%m-%d %H:%M} UTC"
    say(f"{overview_text(content)} {who}, {when}.")
    rows = []
    for view in content.channels:
        read, period_s = view.summary, view.period_s or None
        period = Shown(period_s, duration_text(period_s) if period_s else None)
        figures = (read.low, read.quantiles[0], read.median, read.quantiles[4], read.high)
        known = (_share(read.missing_share), *map(_known, figures), read.n_extreme)
        rows.append((view.name, view.unit, *known, period))
    table(CHANNELS, content.dataset, rows)
    if pairs := strongest_pairs(content, 5):
        table(CORRELATIONS, "Strongest correlations", pairs)
    if shown := content.labels[:MANY_ROWS]:
        labels = [(one.entity, one.kind, one.start_at, one.end_at) for one in shown]
        title = f"Known anomalies, {len(shown)} of {len(content.labels)}"
        table(KNOWN, title, labels)


def show_preview(preview: TrainingPreview) -> None:
    """What a training would learn from, for a person to approve."""
    from tsad_tasks.reporting.exploration.preview_pages import preview_text

    say(preview_text(preview))
    ends = preview.start_at, preview.split_at, preview.end_at
    start, split, end = (f"{at:%Y-%m-%d %H:%M}" for at in ends)
    windows = f"{preview.n_windows} of {preview.n_available} windows"
    share = f"({share_text(preview.used_share)})"
    say(f"Learned from {start} to {split} UTC, held out up to {end}; {windows} {share}.")
    rows = []
    for one in preview.channels:
        worst = _known(one.worst), one.worst_entity, one.worst_at, one.n_extreme
        rows.append((one.name, _known(one.median), *worst, _known(one.distance)))
    table(LEARNED, "Training data", rows)
    if preview.jumps:
        moved = [(one.entity, one.channel, one.before, one.now, one.shift) for one in preview.jumps]
        table(MOVED, "Moved since the champion was trained", moved)
    if preview.left_out:
        lost = [(reason, n_steps, _share(share)) for reason, n_steps, share in preview.left_out]
        table(LEFT_OUT, "Left out, running steps", lost)
    if preview.stops:
        say("More is left out than training.max_excluded_share: a retraining would stop.")
    shortest = joined([f"{name} {hours:.0f} h" for name, hours in preview.running_hours[:5]])
    what = f"Running hours, the shortest of {len(preview.running_hours)}"
    say(f"{what}: {shortest} of {preview.hours_possible:.0f} h possible.")
