"""Model cards: what scored these hours, what it learned from, and why it was let in."""

from __future__ import annotations

import numpy as np

from tsad_tasks.base.rule import RuleResult
from tsad_tasks.reporting.drawing import theme
from tsad_tasks.reporting.drawing.charts import draw_histories
from tsad_tasks.reporting.drawing.flow import (
    Block,
    Box,
    Cell,
    TableColumn,
    figure_columns,
    gap,
    heading,
    paragraph,
    table_blocks,
)
from tsad_tasks.reporting.drawing.marks import draw_legend, line_entry
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import TextStyle
from tsad_tasks.reporting.period.content import ModelCard, ReportContent
from tsad_tasks.reporting.period.ranking import ReportLimits
from tsad_tasks.text.formats import (
    NO_DATA,
    count_text,
    counted,
    date_text,
    duration_text,
    figure_text,
    share_text,
)
from tsad_tasks.text.rules import brief_note, limit_text, outcome_text, range_text, tally, titled

_RULE_COLUMNS = (
    TableColumn("", width=56),
    TableColumn("Rule", 0.58),
    *figure_columns("Reached", "95 %", "Limit", "Champion"),
    TableColumn("Note", 0.42),
)
_METRIC_COLUMNS = (TableColumn("Metric", width=180), *figure_columns("Value"), TableColumn("", 1.0))
_REST_COLUMNS = (
    TableColumn("Model", 0.6),
    TableColumn("Detector", 0.4),
    TableColumn("Role"),
    TableColumn("sha256"),
)
_N_MOST_ROWS = 100


def model_blocks(content: ReportContent, limits: ReportLimits, width: float) -> list[Block]:
    """A card for each model, and rows for those beyond the limit."""
    blocks = [heading("Model and gate")]
    if not content.models:
        text = "No model was valid in this period, so nothing could be scored. Train one: "
        return [*blocks, paragraph(f"{text}tsad retrain.", width)]
    for card in content.models[: limits.n_models]:
        blocks += [*_card_blocks(card, content.zone, width), gap(16)]
    rest = content.models[limits.n_models :]
    if rest:
        text = f"{counted(len(rest), 'more model')}; their cards are in the SQL view tsad.v_model."
        blocks.append(paragraph(text, width, keep_with_next=True))
    shown = rest[:_N_MOST_ROWS]
    rows = [[card.name, card.detector, card.role, card.sha256[:24]] for card in shown]
    return blocks + table_blocks(_REST_COLUMNS, rows, width)


def _card_blocks(card: ModelCard, zone: str, width: float) -> list[Block]:
    def fact(name: str, value: str) -> Block:
        def draw(sheet: Sheet, y: float) -> None:
            sheet.text(sheet.left, y + 9, name, theme.SMALL)
            sheet.cut(sheet.left + 110, y + 9, value, theme.CELL, sheet.inner_width - 110)

        return Block(13, draw, keep_with_next=True)

    blocks = [heading(f"{card.name} · {card.role}", theme.SUBHEADING)]
    blocks += [fact(name, value) for name, value in _facts(card, zone)] + [gap(4)]
    if card.threshold_text:
        blocks.append(paragraph(f"Threshold. {card.threshold_text}", width))
    if card.loss_history or card.validation_history:
        blocks.append(_history_block(card))
    rows = [[name, figure_text(value), ""] for name, value in card.metrics.items()]
    blocks += [*table_blocks(_METRIC_COLUMNS, rows, width), gap(10)]
    if not card.gate:
        unknown = "No gate decision is known for this model."
        return [*blocks, paragraph(f"Gate. {card.gate_note or unknown}", width)]
    blocks += _rule_blocks("Gate", card.gate, card.gate_note, width)
    if card.shadow:
        blocks += [gap(10), *_rule_blocks("Shadow", card.shadow, "", width)]
    return blocks


def _facts(card: ModelCard, zone: str) -> list[tuple[str, str]]:
    n_parameters, n_channels = (
        NO_DATA if n is None else count_text(n) for n in (card.n_parameters, card.n_channels)
    )
    trained, used = NO_DATA, share_text(card.used_share)
    if card.trained_from is not None and card.trained_to is not None:
        length = duration_text((card.trained_to - card.trained_from).total_seconds())
        ends = [date_text(at, zone) for at in (card.trained_from, card.trained_to)]
        trained = f"{' to '.join(ends)} ({length})"
    if card.n_windows is not None:
        used += f" ({counted(card.n_windows, 'window')})"
    return [
        ("Detector", f"{card.detector}, version {card.version}"),
        ("Parameters", n_parameters),
        ("Trained on", trained),
        ("Of its windows used", used),
        ("Channels", n_channels),
        ("Seed", str(card.seed) if card.seed is not None else NO_DATA),
        ("Valid from", date_text(card.valid_from, zone) if card.valid_from else NO_DATA),
        ("sha256", card.sha256 or NO_DATA),
    ]


def _history_block(card: ModelCard) -> Block:
    curves = ((card.loss_history, ""), (card.validation_history, "3 2"))
    lines = [(np.array(values, float), dash) for values, dash in curves if values]

    def draw(sheet: Sheet, y: float) -> None:
        sheet.text(sheet.left, y + 10, "Loss by epoch", theme.STRONG)
        draw_histories(sheet, sheet.left + 110, y + 4, 260, 62, lines)
        draw_legend(sheet, y + 24, [line_entry("training", theme.INK, 0.9)])
        draw_legend(sheet, y + 36, [line_entry("validation", theme.INK, 0.9, "3 2")])

    return Block(90, draw)


def _rule_blocks(
    stage: str, results: tuple[RuleResult, ...], note: str, width: float
) -> list[Block]:
    rows: list[list[Cell]] = []
    for result in results:
        numbers = (result.value, result.champion_value)
        value, champion = ("–" if one is None else figure_text(one) for one in numbers)
        between, limit = range_text(result, " to ") or "–", limit_text(result) or "–"
        title, said = titled(result.declaration), brief_note(result)
        rows.append([_outcome_cell(result), title, value, between, limit, champion, said])
    text = f"{stage} {tally(results)}. {note}".strip()
    return [
        paragraph(text, width, theme.STRONG, keep_with_next=True),
        *table_blocks(_RULE_COLUMNS, rows, width),
    ]


def _outcome_cell(result: RuleResult) -> Cell:
    """What became of a rule: only what was met is green, and only what stops a model is red."""
    text = outcome_text(result)
    colour = {"met": theme.GOOD, "not met": theme.FLAGGED}.get(text, theme.INK)
    mark = {"met": "✓ ", "not met": "✗ "}.get(text, "– ")
    style = TextStyle(theme.CELL.size, bold=text == "not met", colour=colour)

    def draw(sheet: Sheet, box: Box) -> None:
        sheet.text(box.x, box.line(), f"{mark}{text}", style)

    return draw
