"""The models of a report's period, and thresholds in words."""

from __future__ import annotations

from typing import Any

from tsad_tasks.base.enums import Stage
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions.queries import rule_results
from tsad_tasks.model.thresholds import FOLDING_KINDS
from tsad_tasks.reporting.period.content import ModelCard
from tsad_tasks.reporting.period.queries import SELECT_PERIOD_MODELS, ReportPeriod
from tsad_tasks.text.formats import count_text, counted, date_text, duration_text, share_text

# So many have their rules read: nothing shows more.
_N_RULED = 6
_SAME_NAMES = ("detector", "n_parameters", "valid_from", "seed", "sha256")


def model_cards(period: ReportPeriod) -> tuple[ModelCard, ...]:
    """Cards of the models of a period, newest champion first, refused challengers last."""
    cards: list[ModelCard] = []
    records = period.store.rows(SELECT_PERIOD_MODELS, **period.params)
    has_champion = any(record["valid_from"] is not None for record in records)
    refusal = "The champion stayed." if has_champion else "There was no champion."
    for record in records:
        stages: list[tuple[RuleResult, ...]] = [(), ()]
        if len(cards) < _N_RULED:
            results = (rule_results(period.store, record["model_id"], one) for one in Stage)
            stages = [tuple(found) for found in results]
        cards.append(_card(period, record, refusal, *stages))
    return tuple(cards)


def _card(
    period: ReportPeriod,
    record: dict[str, Any],
    refusal: str,
    gate: tuple[RuleResult, ...],
    shadow: tuple[RuleResult, ...],
) -> ModelCard:
    card, entity, zone = record["card"], record["entity"], period.dataset.site_zone
    training = card.get("training", {})
    loss, validation = training.get("loss", ()), training.get("validation_loss", ())
    metrics = {}
    if loss:
        metrics[f"training loss after {counted(len(loss), 'epoch')}"] = loss[-1]
    if validation:
        metrics["validation loss"] = validation[-1]
    if training.get("seconds") is not None:
        metrics["seconds of training"] = float(training["seconds"])
    role, note = "champion", ""
    if record["valid_from"] is None:
        role = "challenger, never champion"
    elif record["valid_to"] is not None and record["valid_to"] < period.end_at:
        role = f"champion until {date_text(record['valid_to'], zone)}"
    if record["valid_from"] is None and record["gate_passed"] is False:
        role = "challenger, turned away by the gate"
    if record["is_young"]:
        role += f", young: {record['unknown_weekdays']}"
    if record["decided_at"] is not None:
        reason = f": {record['reason']}" if record["reason"] else ""
        since, decided = (date_text(record[at], zone) for at in ("valid_from", "decided_at"))
        when = f", decided on {decided}" if decided != since else ""
        note = f"Champion from {since} on{when}{reason}."
    elif record["gate_passed"] is False:
        note = refusal
    return ModelCard(
        name=f"{period.dataset.name} v{record['version']}" + (f" ({entity})" if entity else ""),
        version=str(record["version"]),
        role=role,
        trained_from=record["train_start_at"],
        trained_to=record["train_end_at"],
        used_share=card.get("used_share"),
        n_windows=card.get("n_windows_used"),
        n_channels=len(card["channels"]) if "channels" in card else None,
        threshold_text=threshold_text(card),
        metrics=metrics,
        loss_history=tuple(loss),
        validation_history=tuple(validation),
        gate=gate,
        gate_note=note,
        shadow=shadow,
        **{name: record[name] for name in _SAME_NAMES},
    )


def threshold_words(card: dict[str, Any]) -> str:
    """A card's threshold in a few words.

    >>> threshold_words({"threshold": {"kind": "mean_std", "k": 6.0}})
    'threshold: mean + 6 σ of held-out errors'
    """
    settings = card.get("threshold", {})
    words = _THRESHOLD_WORDS.get(settings.get("kind", ""), "threshold unknown")
    return words.format_map(settings | {"look_back": count_text(settings.get("look_back", 0))})


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
            f"{share_text(settings['floor'])} of the calibrated limit and that limit. Errors above "
            "it do not enter the look-back, so that a lasting fault cannot silence itself"
        )
    if settings.get("collective_width") and settings["kind"] not in FOLDING_KINDS:
        n_errors = counted(settings["collective_width"], "error")
        text += f". What lasts is flagged by the mean of {n_errors}, which has a limit of its own"
        text += "" if settings["kind"] == "evt" else f": mean + {settings['collective_k']:g} σ"
    return f"{text}."
