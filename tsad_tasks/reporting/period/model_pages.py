"""Model cards: what scored these hours, from what it learned, why it was let in; self-audits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tsad_tasks.base.enums import Outcome, ReportDetail
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.reporting.drawing import flow, theme
from tsad_tasks.reporting.drawing.charts import draw_histories
from tsad_tasks.reporting.drawing.fonts import wrap_text
from tsad_tasks.reporting.drawing.marks import draw_legend, line_entry
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.period.content import AuditRow, ModelCard, ReportContent
from tsad_tasks.reporting.period.ranking import ReportLimits
from tsad_tasks.text import formats
from tsad_tasks.text.rules import (
    brief_note,
    full_note,
    limit_text,
    outcome_text,
    range_text,
    tally,
    titled,
)

_RULE_COLUMNS = (
    flow.TableColumn("", width=56),
    flow.TableColumn("Rule", 0.5, n_lines=2),
    *flow.figure_columns("Reached", "95 %", "Limit", "Champion"),
    flow.TableColumn("Note", 0.5, n_lines=3),
)
_METRIC_COLUMNS = (
    flow.TableColumn("Metric", width=180),
    *flow.figure_columns("Value"),
    flow.TableColumn("", 1.0),
)
_REST_COLUMNS = (
    flow.TableColumn("Model", 0.6),
    flow.TableColumn("Detector", 0.4),
    flow.TableColumn("Role"),
    flow.TableColumn("sha256"),
)
_AUDIT_COLUMNS = (
    flow.TableColumn("Model", width=88),
    flow.TableColumn("Week from", width=58),
    *flow.figure_columns("Days", width=28),
    *flow.figure_columns("Found", width=36),
    *flow.figure_columns("Precision", "Delay", width=44),
    *flow.figure_columns("False a day", width=52),
    *flow.figure_columns("All a day", "Expected", width=44),
)
_AUDIT_TEXT = (
    "Counted by labels and verdicts. Found is out of the anomalies that people know of. Precision "
    "is the share of right ones among the incidents that somebody judged. False incidents are "
    "those that somebody called so. Expected is how many come a day while nothing is wrong."
)
_N_MOST_ROWS = 100
_ORDER = (Outcome.FAILED, Outcome.NOT_TESTED, Outcome.MET)
_MARKS = {
    Outcome.FAILED: ("✗", theme.FLAGGED),
    Outcome.NOT_TESTED: ("–", theme.INK),
    Outcome.MET: ("✓", theme.GOOD),
}
_OUTCOME_WIDTH = 66.0
_MOST_LINES = 6


def model_blocks(content: ReportContent, limits: ReportLimits, width: float) -> list[flow.Block]:
    """A card for each model, and rows for those beyond the limit."""
    blocks = [flow.heading("Models and their rules")]
    if not content.models:
        text = "No model was valid in this period, so nothing could be scored. Train one: tsad "
        end = f"{content.start_at:%Y-%m-%dT%H:%MZ}"
        text += f"retrain {content.dataset} --end {end}"
        return [*blocks, flow.paragraph(text, width)]
    shown, rest = _chosen(content, limits)
    for card in shown:
        if content.detail is ReportDetail.BRIEF:
            blocks += [*_brief_blocks(card, content.zone, width), flow.gap(4)]
        else:
            blocks += [*_card_blocks(card, content.zone, width), flow.gap(16)]
    if content.detail is ReportDetail.BRIEF:
        if rest:
            more = f"{formats.counted(len(rest), 'more model')}; all of them are on the page Models"
            blocks.append(flow.paragraph(f"{more}, and in the SQL view tsad.v_model.", width))
        return blocks
    if rest:
        n_more = formats.counted(len(rest), "more model")
        text = f"{n_more}; their cards are in the SQL view tsad.v_model."
        blocks.append(flow.paragraph(text, width, keep_with_next=True))
    rows = [[one.name, one.detector, one.role, one.sha256[:24]] for one in rest[:_N_MOST_ROWS]]
    return blocks + flow.table_blocks(_REST_COLUMNS, rows, width)


def _chosen(
    content: ReportContent, limits: ReportLimits
) -> tuple[list[ModelCard], list[ModelCard]]:
    """The models that are shown, and the others; what was decided in the period comes first."""
    models = list(content.models)
    if content.detail is ReportDetail.BRIEF:
        decided = {one.version for one in content.decisions}
        models.sort(key=lambda card: card.version not in {str(one) for one in decided})
    return models[: limits.n_models], models[limits.n_models :]


def _brief_blocks(card: ModelCard, zone: str, width: float) -> list[flow.Block]:
    """A model in a few lines: what it is, and its rules as failed, not tested and met."""
    about = f"{card.name}, {card.role}: {card.detector}, trained on {_trained(card, zone)}."
    text = formats.in_site_zone(f"{about} {card.gate_note}".strip(), zone)
    said = " ".join(wrap_text(text, theme.STRONG, width, 3))
    blocks = [flow.paragraph(said, width, theme.STRONG, keep_with_next=True)]
    if not card.gate:
        blocks.append(flow.paragraph("No gate decision is known for this model.", width))
    for stage, results in (("Gate", card.gate), ("Shadow", card.shadow)):
        if results:
            head = f"{stage} {tally(results)}"
            blocks += [flow.gap(2), flow.paragraph(head, width, keep_with_next=True)]
            blocks += [_outcome_block(*line, width) for line in outcome_lines(results)]
    return blocks


def outcome_lines(results: Sequence[RuleResult]) -> list[tuple[Outcome, str]]:
    """Rules by what became of them: failed ones with their numbers, untested ones with why.

    What was measured and decides nothing is left out.
    """
    said: dict[Outcome, list[str]] = {one: [] for one in _ORDER}
    untested: dict[str, list[str]] = {}
    for result in results:
        title = result.declaration.title
        if result.outcome is Outcome.NOT_TESTED:
            untested.setdefault(full_note(result), []).append(title)
        elif result.decides and result.outcome is Outcome.FAILED:
            limit = limit_text(result)
            limited = f", limit {limit}" if limit else ""
            title = titled(result.declaration)
            said[Outcome.FAILED].append(f"{title} {formats.figure_text(result.value)}{limited}")
        elif result.decides:
            said[Outcome.MET].append(title)
    said[Outcome.NOT_TESTED] = [
        f"{formats.joined(titles)} ({note})" if note else formats.joined(titles)
        for note, titles in untested.items()
    ]
    return [(one, "; ".join(texts)) for one, texts in said.items() if texts]


def _outcome_block(outcome: Outcome, text: str, width: float) -> flow.Block:
    mark, colour = _MARKS[outcome]
    style = theme.TextStyle(theme.CELL.size, bold=True, colour=colour)
    lines = wrap_text(text, theme.CELL, width - _OUTCOME_WIDTH, _MOST_LINES)

    def draw(sheet: Sheet, y: float) -> None:
        sheet.text(sheet.left, y + 9, f"{mark} {outcome.value.replace('_', ' ')}", style)
        for i, line in enumerate(lines):
            sheet.text(sheet.left + _OUTCOME_WIDTH, y + 9 + 10.5 * i, line, theme.CELL)

    return flow.Block(10.5 * len(lines) + 3, draw)


def _trained(card: ModelCard, zone: str) -> str:
    if card.trained_from is None or card.trained_to is None:
        return formats.NO_DATA
    length = formats.duration_text((card.trained_to - card.trained_from).total_seconds())
    ends = [formats.date_text(at, zone) for at in (card.trained_from, card.trained_to)]
    return f"{' to '.join(ends)} ({length})"


def _card_blocks(card: ModelCard, zone: str, width: float) -> list[flow.Block]:
    def fact(name: str, value: str) -> flow.Block:
        def draw(sheet: Sheet, y: float) -> None:
            sheet.text(sheet.left, y + 9, name, theme.SMALL)
            sheet.cut(sheet.left + 110, y + 9, value, theme.CELL, sheet.inner_width - 110)

        return flow.Block(13, draw, keep_with_next=True)

    blocks = [flow.heading(f"{card.name} · {card.role}", theme.SUBHEADING)]
    blocks += [fact(name, value) for name, value in _facts(card, zone)] + [flow.gap(4)]
    if card.threshold_text:
        blocks.append(flow.paragraph(f"Threshold. {card.threshold_text}", width))
    if max(len(card.loss_history), len(card.validation_history)) > 1:
        blocks.append(_history_block(card))
    rows = [[name, formats.figure_text(value), ""] for name, value in card.metrics.items()]
    blocks += [*flow.table_blocks(_METRIC_COLUMNS, rows, width), flow.gap(10)]
    if not card.gate:
        unknown = "No gate decision is known for this model."
        return [*blocks, flow.paragraph(f"Gate. {card.gate_note or unknown}", width)]
    blocks += _rule_blocks("Gate", card.gate, card.gate_note, width)
    if card.shadow:
        blocks += [flow.gap(10), *_rule_blocks("Shadow", card.shadow, "", width)]
    return blocks


def _facts(card: ModelCard, zone: str) -> list[tuple[str, str]]:
    n_parameters, n_channels = (
        formats.NO_DATA if n is None else formats.count_text(n)
        for n in (card.n_parameters, card.n_channels)
    )
    trained, used = _trained(card, zone), formats.share_text(card.used_share)
    valid_from = formats.date_text(card.valid_from, zone) if card.valid_from else formats.NO_DATA
    if card.n_windows is not None:
        used += f" ({formats.counted(card.n_windows, 'window')})"
    return [
        ("Detector", f"{card.detector}, version {card.version}"),
        ("Parameters", n_parameters),
        ("Trained on", trained),
        ("Of its windows used", used),
        ("Channels", n_channels),
        ("Seed", str(card.seed) if card.seed is not None else formats.NO_DATA),
        ("Valid from", valid_from),
        ("sha256", card.sha256 or formats.NO_DATA),
    ]


def _history_block(card: ModelCard) -> flow.Block:
    curves = ((card.loss_history, ""), (card.validation_history, "3 2"))
    lines = [(np.array(values, float), dash) for values, dash in curves if values]

    def draw(sheet: Sheet, y: float) -> None:
        sheet.text(sheet.left, y + 10, "Loss by epoch", theme.STRONG)
        draw_histories(sheet, sheet.left + 110, y + 4, 260, 62, lines)
        draw_legend(sheet, y + 24, [line_entry("training", theme.INK, 0.9)])
        draw_legend(sheet, y + 36, [line_entry("validation", theme.INK, 0.9, "3 2")])

    return flow.Block(90, draw)


def _rule_blocks(
    stage: str, results: tuple[RuleResult, ...], note: str, width: float
) -> list[flow.Block]:
    rows: list[list[flow.Cell]] = []
    for result in results:
        numbers = (result.value, result.champion_value)
        value, champion = ("–" if one is None else formats.figure_text(one) for one in numbers)
        between, limit = range_text(result, " to ") or "–", limit_text(result) or "–"
        title, said = titled(result.declaration), brief_note(result)
        rows.append([_outcome_cell(result), title, value, between, limit, champion, said])
    text = f"{stage} {tally(results)}. {note}".strip()
    return [
        flow.paragraph(text, width, theme.STRONG, keep_with_next=True),
        *flow.table_blocks(_RULE_COLUMNS, rows, width),
    ]


def _outcome_cell(result: RuleResult) -> flow.Cell:
    """What became of a rule: only what was met is green, and only what stops a model is red."""
    text = outcome_text(result)
    # In doubt it is met all the same.
    short = text.removesuffix(" in doubt")
    colour = {"met": theme.GOOD, "failed": theme.FLAGGED}.get(short, theme.INK)
    mark = {"met": "✓ ", "failed": "✗ "}.get(short, "– ")
    style = theme.TextStyle(theme.CELL.size, bold=text == "failed", colour=colour)

    def draw(sheet: Sheet, box: flow.Box) -> None:
        sheet.text(box.x, box.line(), f"{mark}{text}", style)

    return draw


def audit_blocks(content: ReportContent, width: float) -> list[flow.Block]:
    """A row for each model and week; nothing where no week was audited."""

    def cells(row: AuditRow) -> list[str]:
        delay_s = row.median_delay_s
        delay = formats.NO_DATA if delay_s is None else formats.duration_text(abs(delay_s))
        return [
            row.model,
            # Weeks are those of UTC.
            formats.date_text(row.week_at, "UTC"),
            formats.figure_text(row.days),
            f"{row.n_found} of {row.n_known}",
            formats.share_text(row.precision),
            f"{delay} early" if delay_s is not None and delay_s < 0 else delay,
            formats.figure_text(row.false_alarms_per_day),
            formats.figure_text(row.incidents_per_day),
            formats.figure_text(row.expected_incidents_per_day),
        ]

    if not content.audit:
        return []
    return [
        flow.heading("Self-audit"),
        *flow.told_table(_AUDIT_TEXT, _AUDIT_COLUMNS, [cells(row) for row in content.audit], width),
    ]
