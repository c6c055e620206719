"""Model cards and the gate: what scored these hours, what it learned from, and why it was let
in.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np

from tsad_tasks.base.enums import Outcome
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.reporting.drawing.charts import draw_histories
from tsad_tasks.reporting.drawing.flow import (
    Block,
    Box,
    Cell,
    Row,
    TableColumn,
    gap,
    heading,
    paragraph,
    table_blocks,
)
from tsad_tasks.reporting.drawing.marks import draw_legend, line_entry
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.drawing.theme import (
    CELL,
    FLAGGED,
    GOOD,
    INK,
    SMALL,
    STRONG,
    SUBHEADING,
    TextStyle,
)
from tsad_tasks.reporting.period.content import ModelCard, ReportContent
from tsad_tasks.reporting.period.ranking import Limits
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
    TableColumn("Reached", align="right"),
    TableColumn("95 %", align="right"),
    TableColumn("Limit", align="right"),
    TableColumn("Champion", align="right"),
    TableColumn("Note", 0.42),
)
_METRIC_COLUMNS = (
    TableColumn("Metric", width=180),
    TableColumn("Value", align="right"),
    TableColumn("", 1.0),
)
_REST_COLUMNS = (
    TableColumn("Model", 0.6),
    TableColumn("Detector", 0.4),
    TableColumn("Role"),
    TableColumn("sha256"),
)


def model_blocks(content: ReportContent, limits: Limits, width: float) -> list[Block]:
    """A card for each model, and rows for those beyond the limit."""
    if not content.models:
        text = "No model was valid in this period, so nothing could be scored. Train one: tsad retrain."
        return [heading("Model and gate"), paragraph(text, width)]
    blocks = [heading("Model and gate")]
    for card in content.models[: limits.n_models]:
        blocks += [*_card_blocks(card, content.site_zone, width), gap(16)]
    return blocks + _rest_blocks(content.models[limits.n_models :], width)


def _rest_blocks(cards: tuple[ModelCard, ...], width: float) -> list[Block]:
    if not cards:
        return []
    text = f"{counted(len(cards), 'more model')}; their cards are in the SQL view tsad.v_model."
    rows = [Row([card.name, card.detector, card.role, card.sha256[:24]]) for card in cards[:100]]
    return [paragraph(text, width, keep_with_next=True), *table_blocks(_REST_COLUMNS, rows, width)]


def _card_blocks(card: ModelCard, zone: str, width: float) -> list[Block]:
    blocks = [
        heading(f"{card.name} · {card.role}", SUBHEADING),
        *_fact_blocks(_card_facts(card, zone)),
    ]
    if card.threshold_text:
        blocks.append(paragraph(f"Threshold. {card.threshold_text}", width))
    if card.loss_history or card.validation_history:
        blocks.append(_history_block(card))
    if card.metrics:
        rows = [Row([name, figure_text(value), ""]) for name, value in card.metrics.items()]
        blocks += table_blocks(_METRIC_COLUMNS, rows, width)
    return [*blocks, gap(10), *_gate_blocks(card, width)]


def _card_facts(card: ModelCard, zone: str) -> list[tuple[str, str]]:
    return [
        ("Detector", f"{card.detector}, version {card.version}"),
        ("Parameters", _count(card.n_parameters)),
        ("Trained on", _trained_text(card, zone)),
        ("Of its windows used", _used_text(card)),
        ("Channels", _count(card.n_channels)),
        ("Seed", str(card.seed) if card.seed is not None else NO_DATA),
        ("Valid from", _date(card.valid_from, zone)),
        ("sha256", card.sha256 or NO_DATA),
    ]


def _count(n: int | None) -> str:
    return NO_DATA if n is None else count_text(n)


def _date(at: datetime | None, zone: str) -> str:
    return NO_DATA if at is None else date_text(at, zone)


def _trained_text(card: ModelCard, zone: str) -> str:
    if card.trained_from is None or card.trained_to is None:
        return NO_DATA
    length = duration_text((card.trained_to - card.trained_from).total_seconds())
    return f"{date_text(card.trained_from, zone)} to {date_text(card.trained_to, zone)} ({length})"


def _used_text(card: ModelCard) -> str:
    windows = f" ({counted(card.n_windows, 'window')})" if card.n_windows is not None else ""
    return f"{share_text(card.used_share)}{windows}"


def _fact_blocks(facts: list[tuple[str, str]]) -> list[Block]:
    return [Block(13, _fact_drawing(name, value), keep_with_next=True) for name, value in facts] + [
        gap(4)
    ]


def _fact_drawing(name: str, value: str) -> Callable[[Sheet, float], None]:
    def draw(sheet: Sheet, y: float) -> None:
        sheet.text(sheet.left, y + 9, name, SMALL)
        sheet.cut(sheet.left + 110, y + 9, value, CELL, sheet.inner_width - 110)

    return draw


def _history_block(card: ModelCard) -> Block:
    def draw(sheet: Sheet, y: float) -> None:
        sheet.text(sheet.left, y + 10, "Loss by epoch", STRONG)
        lines = [
            (np.array(card.loss_history, float), ""),
            (np.array(card.validation_history, float), "3 2"),
        ]
        draw_histories(
            sheet, sheet.left + 110, y + 4, 260, 62, [line for line in lines if len(line[0])]
        )
        draw_legend(sheet, y + 24, [line_entry("training", INK, 0.9)])
        draw_legend(sheet, y + 36, [line_entry("validation", INK, 0.9, "3 2")])

    return Block(90, draw)


def _gate_blocks(card: ModelCard, width: float) -> list[Block]:
    if not card.gate:
        return [
            paragraph(
                f"Gate. {card.gate_note or 'No gate decision is known for this model.'}", width
            )
        ]
    shadow = [gap(10), *_rule_blocks("Shadow", card.shadow, "", width)] if card.shadow else []
    return [*_rule_blocks("Gate", card.gate, card.gate_note, width), *shadow]


def _rule_blocks(
    stage: str, results: tuple[RuleResult, ...], note: str, width: float
) -> list[Block]:
    text = f"{stage} {tally(results)}. {note}".strip()
    rows = [_rule_row(result) for result in results]
    return [
        paragraph(text, width, STRONG, keep_with_next=True),
        *table_blocks(_RULE_COLUMNS, rows, width),
    ]


def _rule_row(result: RuleResult) -> Row:
    value, champion = (
        "–" if number is None else figure_text(number)
        for number in (result.value, result.champion_value)
    )
    between, limit = range_text(result, " to ") or "–", limit_text(result) or "–"
    title, note = titled(result.declaration), brief_note(result)
    return Row([_outcome_cell(result), title, value, between, limit, champion, note])


def _outcome_cell(result: RuleResult) -> Cell:
    """What became of a rule: only what was met is green, and only what stops a model is red."""
    mark, colour = "– ", INK
    if result.decides and result.outcome is not Outcome.NOT_TESTED:
        mark, colour = ("✓ ", GOOD) if result.passed else ("✗ ", FLAGGED)
    style = TextStyle(CELL.size, bold=not result.passed, colour=colour)

    def draw(sheet: Sheet, box: Box) -> None:
        sheet.text(box.x, box.y + box.height / 2 + 2.7, mark + outcome_text(result), style)

    return draw
