"""Rules on whether a shadow has lasted long enough for a decision."""

from __future__ import annotations

from tsad_tasks.champions.rules.base import Measured, ShadowEvidence, ShadowRule, register


def _hours(evidence: ShadowEvidence) -> Measured:
    """Both have scored `shadow.hours` hours."""
    return Measured(evidence.compared.n_hours)


register(
    ShadowRule(
        name="hours",
        title="hours that both scored",
        limit="shadow.hours",
        measure=_hours,
        note="hours that challenger and champion both scored",
        brief="",
        is_wait=True,
        order=10,
    )
)


def _steps(evidence: ShadowEvidence) -> Measured:
    """Both have scored `shadow.min_windows` steps, or half of those that one machine has in these
    hours (at most 500)."""
    return Measured(evidence.compared.n_steps)


register(
    ShadowRule(
        name="windows",
        title="steps that both scored",
        limit="shadow_windows",
        measure=_steps,
        note="steps that both scored",
        brief="",
        is_wait=True,
        order=20,
    )
)
