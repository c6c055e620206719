"""Rules on the trial: anomalies put into the shadow's hours, and how long a window takes there."""

from __future__ import annotations

from dataclasses import replace

from tsad_tasks.champions.rules.base import Better, Measured, ShadowEvidence, ShadowRule
from tsad_tasks.training.rules.base import PAIRS, beside_champion, found_share, no_loser

PUT_IN = ", put into the shadow's hours"
_ALONE = "share found of {n} injected anomalies; "


def _stands(found: Measured, limit: float | None, evidence: ShadowEvidence) -> bool:
    if found.case:
        return (found.high or 0) >= (limit or 0)
    return no_loser(found, limit, evidence.config.gate)


@ShadowRule(
    title="injected anomalies found",
    unit="share",
    meets=_stands,
    note=f"share found of the same {{n}} injected anomalies; {PAIRS}{PUT_IN}",
    brief="of {n} injected",
    cases={
        "alone": f"{_ALONE}no champion to compare with{PUT_IN}",
        "nothing": f"{_ALONE}nothing of the champion's{PUT_IN}",
        "wolf": f"{_ALONE}no standard: the champion flags {{flagged:.1%}} of the clean steps"
        f"{PUT_IN}",
    },
    untested={"few": "too few clean hours to put an anomaly into"},
    needs_trial=True,
    order=90,
)
def injected_found(evidence: ShadowEvidence) -> Measured:
    """The **trial**: finds no fewer of the gate's seeded anomalies, put into these very hours, than
    the champion (`gate.tolerance`, paired exact test); without a champion to compare with, what the
    gate asks for of all kinds together."""
    gate, trial = evidence.config.gate, evidence.trial
    if trial is None or not trial.challenger.all_delays:
        return Measured(None, case="few")
    made = beside_champion(trial.challenger, trial.champion, gate)
    if not made.case:
        return made
    limits = {"point": gate.min_point_share, "contextual": gate.min_contextual_share}
    limits |= {"collective": gate.min_collective_share}
    plain = {kind: trial.challenger.delays.get(kind, ()) for kind in limits}
    delays = tuple(delay for found in plain.values() for delay in found)
    if not delays:
        return Measured(None, case="few")
    alone = found_share(delays)
    limit = sum(limits[kind] * len(found) for kind, found in plain.items()) / len(delays)
    return replace(alone, limit=limit, champion=made.champion, case=made.case, facts=made.facts)


@ShadowRule(
    title="CPU time per window",
    unit="ms",
    better=Better.LOWER,
    limit="gate.max_latency_ms",
    note="CPU milliseconds from readings to an error, per window, median; measured when compared",
    untested={"nothing": "nothing was read"},
    needs_trial=True,
    order=100,
)
def latency_ms(evidence: ShadowEvidence) -> Measured:
    """A window takes less CPU time than `gate.max_latency_ms`, both measured on these readings when
    they are compared; what else the machine does counts for nothing, in the gate neither."""
    if evidence.trial is None:
        return Measured(None, case="nothing")
    value, old = evidence.trial.latency_ms
    return Measured(value, champion=old)
