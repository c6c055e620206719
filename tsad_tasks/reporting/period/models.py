"""Model cards of a report: the champions of its period, what they learned from and why the gate let
them in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tsad_tasks.base.enums import Stage
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions.queries import rule_results
from tsad_tasks.model.thresholds import FOLDING_KINDS
from tsad_tasks.reporting.period.content import AuditRow, ModelCard
from tsad_tasks.reporting.period.ranking import DEFAULT_LIMITS
from tsad_tasks.scoring.plan import SHADOW_SUFFIX
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import count_text, counted, date_text, duration_text, share_text


def model_cards(
    store: Store, dataset: str, zone: str, params: dict[str, Any], end_at: datetime
) -> tuple[ModelCard, ...]:
    """Cards of the models of a period, newest champion first, challengers that were turned away
    last.
    """
    records = store.records("select_period_models", params)
    detailed = {record["model_id"] for record in records[: DEFAULT_LIMITS.n_models]}
    rules = {
        key: tuple(tuple(rule_results(store, key, stage)) for stage in Stage) for key in detailed
    }
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


def _card(
    record: dict[str, Any],
    dataset: str,
    zone: str,
    end_at: datetime,
    gate: tuple[RuleResult, ...],
    shadow: tuple[RuleResult, ...],
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
