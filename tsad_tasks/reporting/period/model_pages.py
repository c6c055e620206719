"""Model cards: what scored these hours, from what it learned, why it was let in; self-audits."""

from __future__ import annotations

import numpy as np

from tsad_tasks.base.rule import RuleResult
from tsad_tasks.reporting.drawing import flow, theme
from tsad_tasks.reporting.drawing.charts import draw_histories
from tsad_tasks.reporting.drawing.marks import draw_legend, line_entry
from tsad_tasks.reporting.drawing.sheet import Sheet
from tsad_tasks.reporting.period.content import AuditRow, ModelCard, ReportContent
from tsad_tasks.reporting.period.ranking import ReportLimits
from tsad_tasks.text import formats
from tsad_tasks.text.rules import brief_note, limit_text, outcome_text, range_text, tally, titled

_RULE_COLUMNS = (
    flow.TableColumn("", width=56),
    flow.TableColumn("Rule", 0.58),
    *flow.figure_columns("Reached", "95 %", "Limit", "Champion"),
    flow.TableColumn("Note", 0.42, n_lines=3),
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


def model_blocks(content: ReportContent, limits: ReportLimits, width: float) -> list[flow.Block]:
    """A card for each model, and rows for those beyond the limit."""
    blocks = [flow.heading("Model and gate")]
    if not content.models:
        text = "No model was valid in this period, so nothing could be scored. Train one: tsad "
        end = f"{content.start_at:%Y-%m-%dT%H:%MZ}"
        text += f"retrain {content.dataset} --end {end}"
        return [*blocks, flow.paragraph(text, width)]
    for card in content.models[: limits.n_models]:
        blocks += [*_card_blocks(card, content.zone, width), flow.gap(16)]
    rest = content.models[limits.n_models :]
    if rest:
        n_more = formats.counted(len(rest), "more model")
        text = f"{n_more}; their cards are in the SQL view tsad.v_model."
        blocks.append(flow.paragraph(text, width, keep_with_next=True))
    shown = rest[:_N_MOST_ROWS]
    rows = [[card.name, card.detector, card.role, card.sha256[:24]] for card in shown]
    return blocks + flow.table_blocks(_REST_COLUMNS, rows, width)


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
    if card.loss_history or card.validation_history:
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
    trained, used = formats.NO_DATA, formats.share_text(card.used_share)
    valid_from = formats.date_text(card.valid_from, zone) if card.valid_from else formats.NO_DATA
    if card.trained_from is not None and card.trained_to is not None:
        length = formats.duration_text((card.trained_to - card.trained_from).total_seconds())
        ends = [formats.date_text(at, zone) for at in (card.trained_from, card.trained_to)]
        trained = f"{' to '.join(ends)} ({length})"
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
    colour = {"met": theme.GOOD, "not met": theme.FLAGGED}.get(short, theme.INK)
    mark = {"met": "✓ ", "not met": "✗ "}.get(short, "– ")
    style = theme.TextStyle(theme.CELL.size, bold=text == "not met", colour=colour)

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
