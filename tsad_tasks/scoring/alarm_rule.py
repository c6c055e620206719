"""The alarm policy of a dataset file, as the rule that merges flags."""

from __future__ import annotations

from tsad_tasks.config import AlarmPolicy
from tsad_tasks.model.incidents import IncidentRule


def incident_rule(policy: AlarmPolicy) -> IncidentRule:
    """The rule that an alarm policy states."""
    return IncidentRule(
        policy.merge_gap_s,
        policy.max_length_s,
        policy.consecutive,
        policy.min_score,
        policy.refractory_s,
        policy.escalation,
    )
