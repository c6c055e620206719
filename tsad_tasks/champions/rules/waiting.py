"""Rules on whether a shadow has lasted long enough for a decision."""

from __future__ import annotations

from tsad_tasks.champions.rules.base import Measured, ShadowEvidence, ShadowRule


@ShadowRule(
    title="hours that both scored",
    limit="shadow.hours",
    note="hours that challenger and champion both scored",
    is_wait=True,
    order=10,
)
def hours(evidence: ShadowEvidence) -> Measured:
    """Both have scored `shadow.hours` hours."""
    return Measured(evidence.compared.n_hours)


@ShadowRule(
    title="steps that both scored",
    limit="shadow_windows",
    note="steps that both scored",
    is_wait=True,
    order=20,
)
def windows(evidence: ShadowEvidence) -> Measured:
    """Both have scored `shadow.min_windows` steps, or half of those that one machine has in these
    hours (at most 500)."""
    return Measured(evidence.compared.n_steps)
