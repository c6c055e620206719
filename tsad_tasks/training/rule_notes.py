"""Rules of gate and shadow in words: which way a limit counts, and where an outcome is not to the
letter.
"""

from __future__ import annotations

from tsad_tasks.text.formats import figure_text
from tsad_tasks.training.queries import RuleResult

# Their limit is the most that may be; that of the others is the least.
AT_MOST = frozenset(
    {
        "false_alarm_share",
        "incidents_per_entity_week",
        "score_drift",
        "latency_ms",
        "commissioning_shift",
        "commissioning_spread",
        "flag_share",
    }
)


def doubt(row: RuleResult) -> str:
    """Why a rule is met whose value is beyond the limit: its range reaches the limit. Empty where
    it is not beyond.

    >>> doubt(RuleResult("incidents_per_entity_week", 3.5, 2.0, None, True, "", 1.9, 5.9))
    '3.50 (1.90–5.90): not clearly above 2.00'
    >>> doubt(RuleResult("point_share", 0.85, 0.9, None, True, "", 0.72, 0.93))
    '0.850 (0.720–0.930): not clearly below 0.900'
    >>> doubt(RuleResult("point_share", 0.95, 0.9, None, True, "", 0.86, 0.98))
    ''
    """
    if (
        not row.passed
        or row.value is None
        or row.limit_value is None
        or row.low is None
        or row.high is None
    ):
        return ""
    is_most = row.rule in AT_MOST
    if row.value <= row.limit_value if is_most else row.value >= row.limit_value:
        return ""
    estimate = f"{figure_text(row.value)} ({figure_text(row.low)}–{figure_text(row.high)})"
    return (
        f"{estimate}: not clearly {'above' if is_most else 'below'} {figure_text(row.limit_value)}"
    )


def failure(row: RuleResult) -> str:
    """A rule that was not met, with its numbers.

    >>> failure(RuleResult("point_share", 0.62, 0.9, None, False, "share found of 60 injected point anomalies"))
    'point_share: 0.620, limit at least 0.900 (share found of 60 injected point anomalies)'
    """
    value = "unknown" if row.value is None else figure_text(row.value)
    which = "at most" if row.rule in AT_MOST else "at least"
    limit = "" if row.limit_value is None else f", limit {which} {figure_text(row.limit_value)}"
    return f"{row.rule}: {value}{limit}" + (f" ({row.note})" if row.note else "")


def full_note(row: RuleResult) -> str:
    """A rule's note, after the doubt that there is."""
    return "; ".join(filter(None, (doubt(row), row.note)))
