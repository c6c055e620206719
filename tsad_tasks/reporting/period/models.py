"""Model cards of a report: the champions of its period, what they learned from and why the gate let
them in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tsad_tasks.champions.queries import SELECT_GATE_DECISIONS
from tsad_tasks.model.thresholds import FOLDING_KINDS
from tsad_tasks.reporting.period.content import AuditRow, GateRow, ModelCard
from tsad_tasks.reporting.period.ranking import DEFAULT_LIMITS
from tsad_tasks.scoring.plan import SHADOW_SUFFIX
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import count_text, counted, date_text, duration_text, share_text
from tsad_tasks.training.queries import RuleResult
from tsad_tasks.training.rule_notes import AT_MOST, doubt

_RULES = {
    "finite_loss": "validation loss is finite",
    "held_out_error": "error on held-out windows",
    "point_share": "point anomalies found",
    "contextual_share": "contextual anomalies found",
    "collective_share": "collective anomalies found",
    "known_share": "known anomalies found",
    "false_alarm_share": "clean steps flagged",
    "incidents_per_entity_week": "false incidents, entity and week",
    "not_worse": "found, against the champion",
    "delay_s": "seconds to the flag, median",
    "score_drift": "PSI of scores, champion's to these",
    "latency_ms": "CPU milliseconds per window",
    "size_bytes": "bytes of the detector",
    "commissioning_shift": "spreads off the commissioning",
    "commissioning_spread": "spread, times the commissioning's",
    "hours": "hours that both scored",
    "windows": "steps that both scored",
    "flag_share": "steps flagged",
    "incidents": "incidents, not in maintenance",
    "agreement": "steps judged alike",
    "labels_found": "labels found",
    "confirmed_found": "confirmed incidents found",
    "false_alarms": "incidents that people took back",
    "injected_found": "injected anomalies found",
}
_LONG_WORDS = {
    "share found ": "",
    "flagged share ": "",
    "the same ": "",
    " held-out": "",
    " anomalies": "",
    " known": "",
    "mean error of windows": "",
    " weeks of one entity": " weeks",
    "incidents ": "",
    "milliseconds from readings to an error, per window, median": "",
    "median seconds from an injected anomaly to its flag": "",
    "PSI of scores on clean steps against the champion's": "",
    "bytes of the detector's files": "",
    "no champion to compare with": "no champion",
    "validation loss": "",
    "hours that challenger and champion both scored": "",
    "steps that both scored": "",
    "flagged, ": "",
    "share of steps that both flag, or neither": "",
    " in these hours": "",
    ", put into the shadow's hours": "",
    "incidents that people called false alarms or expected": "",
}


def model_cards(
    store: Store, dataset: str, zone: str, params: dict[str, Any], end_at: datetime
) -> tuple[ModelCard, ...]:
    """Cards of the models of a period, newest champion first, challengers that were turned away
    last.
    """
    records = store.records("select_period_models", params)
    detailed = {record["model_id"] for record in records[: DEFAULT_LIMITS.n_models]}
    rules = {key: (gate_rows(store, key), gate_rows(store, key, "shadow")) for key in detailed}
    return tuple(
        _card(one, dataset, zone, end_at, *rules.get(one["model_id"], ((), ()))) for one in records
    )


def audit_rows(store: Store, params: dict[str, Any]) -> tuple[AuditRow, ...]:
    """The audited weeks of a period; a challenger's are those in the shadow."""
    rows = store.records("select_period_audit", params)
    return tuple(_audit_row(row) for row in rows)


def _audit_row(row: dict[str, Any]) -> AuditRow:
    names = ("week_at", "days", "n_known", "n_found", "n_incidents", "precision", "median_delay_s")
    rates = ("false_alarms_per_day", "incidents_per_day")
    role = "challenger" if row["lineage"].endswith(SHADOW_SUFFIX) else "champion"
    return AuditRow(
        f"v{row['version']}, {role}",
        **{name: row[name] for name in (*names, *rates)},
        expected_per_day=row["expected_incidents_per_day"],
    )


def gate_rows(store: Store, model_id: int, stage: str = "gate") -> tuple[GateRow, ...]:
    """The rules of the gate, or of the shadow, for a model, in words."""
    rows = {
        row.rule: row for row in store.rows(SELECT_GATE_DECISIONS, model_id=model_id, stage=stage)
    }
    ordered = [rows[rule] for rule in _RULES if rule in rows] + [
        rows[rule] for rule in sorted(set(rows) - set(_RULES))
    ]
    return tuple(_gate_row(row) for row in ordered)


def _gate_row(row: RuleResult) -> GateRow:
    return GateRow(
        _RULES.get(row.rule, row.rule.replace("_", " ")),
        row.value,
        row.limit_value,
        row.passed,
        # Beside it stand the range and the limit.
        doubt(row).partition(": ")[2].rpartition(" ")[0] or _short(row.note),
        row.champion_value,
        row.low,
        row.high,
        at_most=row.rule in AT_MOST,
    )


def _short(note: str) -> str:
    """What the rule does not say already.

    >>> _short("share found of 32 injected point anomalies"), _short("not tested: the held-out range is too short")
    ('of 32 injected point', 'not tested, range too short')
    >>> _short("too few known anomalies: 1; decides nothing")
    'too few: 1'
    >>> _short("not tested: no labels in these hours")
    'none in these hours'
    """
    if "nobody called" in note or (
        note.startswith("not tested: no ") and note.endswith("in these hours")
    ):
        return "none in these hours"
    if note.startswith("not tested:"):
        return "not tested, range too short"
    words = note.partition(";")[0]
    for long, short in _LONG_WORDS.items():
        words = words.replace(long, short)
    return words


def _card(
    record: dict[str, Any],
    dataset: str,
    zone: str,
    end_at: datetime,
    gate: tuple[GateRow, ...],
    shadow: tuple[GateRow, ...],
) -> ModelCard:
    card, entity = record["card"], record["entity"]
    training = card.get("training", {})
    return ModelCard(
        name=f"{dataset} v{record['version']}" + (f" ({entity})" if entity else ""),
        detector=record["detector"],
        version=str(record["version"]),
        role=_role(record, zone, end_at),
        n_parameters=record["n_parameters"],
        trained_from=record["train_start_at"],
        trained_to=record["train_end_at"],
        valid_from=record["valid_from"],
        used_share=card.get("used_share"),
        n_windows=card.get("n_windows_used"),
        n_channels=len(card["channels"]) if "channels" in card else None,
        seed=record["seed"],
        sha256=record["sha256"],
        threshold_text=threshold_text(card),
        metrics=_metrics(training),
        loss_history=tuple(training.get("loss", ())),
        validation_history=tuple(training.get("validation_loss", ())),
        gate=gate,
        gate_note=_gate_note(record, zone),
        shadow=shadow,
    )


def _role(record: dict[str, Any], zone: str, end_at: datetime) -> str:
    if record["valid_from"] is None:
        return (
            "challenger, turned away by the gate"
            if record["gate_passed"] is False
            else "challenger, never champion"
        )
    if record["valid_to"] is None or record["valid_to"] >= end_at:
        return "champion"
    return f"champion until {date_text(record['valid_to'], zone)}"


def _gate_note(record: dict[str, Any], zone: str) -> str:
    if record["decided_at"] is None:
        return "The champion stayed." if record["gate_passed"] is False else ""
    reason = f": {record['reason']}" if record["reason"] else ""
    return f"Made champion on {date_text(record['decided_at'], zone)}{reason}."


def _metrics(training: dict[str, Any]) -> dict[str, float]:
    found = {}
    if training.get("loss"):
        found[f"training loss after {counted(len(training['loss']), 'epoch')}"] = training["loss"][
            -1
        ]
    if training.get("validation_loss"):
        found["validation loss"] = training["validation_loss"][-1]
    if training.get("seconds") is not None:
        found["seconds of training"] = float(training["seconds"])
    return found


def threshold_words(card: dict[str, Any]) -> str:
    """A card's threshold in a few words.

    >>> threshold_words({"threshold": {"kind": "mean_std", "k": 6.0}})
    'threshold: mean + 6 σ of held-out errors'
    """
    settings = card.get("threshold", {})
    words = _THRESHOLD_WORDS.get(settings.get("kind", ""), "threshold unknown")
    values = settings | {"look_back": count_text(settings.get("look_back", 0))}
    return words.format_map(values)


_THRESHOLD_WORDS = {
    "evt": "threshold: by extreme values of held-out errors, as high as the alarm budget needs",
    "percentile": "threshold: percentile {percentile:g} of held-out errors",
    "rolling_percentile": "rolling threshold: percentile {percentile:g} of the last {look_back} "
    "errors",
    "mean_std": "threshold: mean + {k:g} σ of held-out errors",
    "adaptive": "adaptive threshold: mean + {k:g} σ of the last {look_back} errors",
    "training": "threshold: percentile {percentile:g} of the errors of what was learned from",
    "f1_best": "threshold: best F1 on labelled readings",
    "conformal": "threshold: conformal, percentile {percentile:g} of held-out errors",
    "ranked": "ranked threshold: higher where higher errors came before",
    "hysteresis": "threshold with hysteresis: lower while an alarm lasts",
}


def threshold_text(card: dict[str, Any]) -> str:
    """A card's threshold in full, empty where it is not known."""
    settings = card.get("threshold", {})
    if not settings:
        return ""
    words = threshold_words(card).removeprefix("threshold: ")
    text = f"{words[0].upper()}{words[1:]}"
    if settings["kind"] in ("adaptive", "rolling_percentile"):
        text += (
            f" and at least {duration_text(settings['min_span_s'])}; between "
            f"{share_text(settings['floor'])} of the"
            " calibrated limit and that limit. Errors above it do not enter the look-back, so that "
            "a lasting fault"
            " cannot silence itself"
        )
    if settings.get("collective_width") and settings["kind"] not in FOLDING_KINDS:
        text += f". What lasts: the mean of {count_text(settings['collective_width'])} errors against a limit of its own"
        text += "" if settings["kind"] == "evt" else f", mean + {settings['collective_k']:g} σ"
    return f"{text}."
