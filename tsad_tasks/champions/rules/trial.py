"""Rules on the trial: anomalies put into the shadow's hours, and how long a window takes there."""

from __future__ import annotations

from dataclasses import replace

from tsad_tasks.champions.rules.base import (
    Better,
    Measured,
    ShadowEvidence,
    ShadowRule,
    register,
)
from tsad_tasks.training.rules.base import PAIRS, found_share, no_loser, not_worse

PUT_IN = ", put into the shadow's hours"


def _found(evidence: ShadowEvidence) -> Measured:
    """The **trial**: finds no fewer of the gate's seeded anomalies, put into these very hours, than
    the champion (`gate.tolerance`, paired exact test); without a champion to compare with, what the
    gate asks for of all kinds together."""
    gate, trial = evidence.config.gate, evidence.trial
    if trial is None or not trial.challenger.all_delays:
        return Measured(None, case="few")
    made = not_worse(trial.challenger, trial.champion, gate)
    if not made.case:
        return made
    found = trial.challenger
    limits = {"point": gate.min_point_share, "contextual": gate.min_contextual_share}
    limits |= {"collective": gate.min_collective_share}
    limit = sum(limits[kind] * n for kind, n in found.n_injected.items()) / len(found.all_delays)
    alone = found_share(found.all_delays)
    return replace(
        alone, limit=limit, champion=made.champion, case=made.case, facts=dict(made.facts)
    )


def _stands(found: Measured, limit: float | None, evidence: ShadowEvidence) -> bool:
    if found.case:
        return (found.high or 0) >= (limit or 0)
    return no_loser(found, limit, evidence.config.gate)


_ALONE = "share found of {n} injected anomalies; "
register(
    ShadowRule(
        name="injected_found",
        title="injected anomalies found",
        unit="share",
        measure=_found,
        meets=_stands,
        note=f"share found of the same {{n}} injected anomalies; {PAIRS}{PUT_IN}",
        brief="of {n} injected",
        cases={
            "alone": f"{_ALONE}no champion to compare with{PUT_IN}",
            "nothing": f"{_ALONE}nothing of the champion's{PUT_IN}",
            "wolf": f"{_ALONE}no standard: the champion flags {{flagged:.1%}} of the clean steps{PUT_IN}",
        },
        untested={"few": "too few clean hours to put an anomaly into"},
        needs_trial=True,
        order=90,
    )
)


def _latency(evidence: ShadowEvidence) -> Measured:
    """A window takes less CPU time than `gate.max_latency_ms`, both measured on these readings when
    they are compared; what else the machine does counts for nothing, in the gate neither."""
    if evidence.trial is None:
        return Measured(None, case="nothing")
    value, old = evidence.trial.latency_ms
    return Measured(value, champion=old)


register(
    ShadowRule(
        name="latency_ms",
        title="CPU time per window",
        unit="ms",
        better=Better.LOWER,
        limit="gate.max_latency_ms",
        measure=_latency,
        note="CPU milliseconds from readings to an error, per window, median; measured when compared",
        brief="",
        untested={"nothing": "nothing was read"},
        needs_trial=True,
        order=100,
    )
)
