"""Rules on what a model costs."""

from __future__ import annotations

from tsad_tasks.training.rules.base import Better, GateEvidence, GateRule, Measured


@GateRule(
    title="CPU time per window",
    unit="ms",
    better=Better.LOWER,
    limit="gate.max_latency_ms",
    note="CPU milliseconds from readings to an error, per window, median",
    untested={"nothing": "there were no held-out readings"},
    by_entity=False,
    order=100,
)
def latency_ms(evidence: GateEvidence) -> Measured:
    """A window takes less CPU time than `gate.max_latency_ms`; what else the machine does counts
    for nothing."""
    value, old = evidence.latency_ms
    return Measured(value, champion=old, case="nothing" if value is None else "")


@GateRule(
    title="size of the detector",
    unit="bytes",
    better=Better.LOWER,
    decides=False,
    note="bytes of the detector's files; shown",
    by_entity=False,
    order=110,
)
def size_bytes(evidence: GateEvidence) -> Measured:
    """The size of the detector's files."""
    value, old = evidence.n_bytes
    return Measured(float(value), champion=None if old is None else float(old))
