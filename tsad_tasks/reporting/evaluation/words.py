"""The evaluation in sentences: the same in PDF, JSON and on the command line."""

from __future__ import annotations

from tsad_tasks.reporting.evaluation.content import EVIDENCE_WORDS, EvaluationContent
from tsad_tasks.text.formats import count_text, counted, counted_of, figure_text, number_text


def headline_text(content: EvaluationContent) -> str:
    """The report in one sentence."""
    part = content.headline
    events, what = part.figures.events, EVIDENCE_WORDS[content.evidence]
    false = f"{figure_text(events.false_alarms_per_day)} false alarms per entity and day"
    if not events.n_false:
        false = f"no false alarm in {number_text(events.days, 1)} entity-days"
    if not events.n_events:
        return f"No {what} anomaly could be judged; {false}."
    of_all = "all" if events.n_found == events.n_events else f"{count_text(events.n_found)} of"
    found = f"{of_all} {counted(events.n_events, f'{what} anomaly', f'{what} anomalies')}"
    return f"Finds {found} in the {part.name} readings, with {false}."


def evidence_text(content: EvaluationContent) -> str:
    """What the model was judged by, so that nobody takes the one for the other."""
    text = (
        "Judged by injected anomalies, because no reading after the training part is labelled: "
        "spikes, values of half a day away, and lasting shifts, ramps and freezes put into the "
        "readings, as the gate does. Real faults may be easier or harder to find; one among these "
        "readings counts as a false alarm."
    )
    if content.evidence == "labels":
        text = (
            "Judged by the dataset's own labels: known anomalies from its label column, its files "
            "or its people."
        )
    who = counted_of(content.n_entities, content.n_all_entities, "entity", "entities")
    text += f" {who.capitalize()}."
    if any(part.name == "training" for part in content.parts):
        text += " Training readings were learned from: their figures flatter."
    return text
