"""Rules on channels beside their commissioning references: a fault that creeps is not learned."""

from __future__ import annotations

from datetime import timedelta

from tsad_tasks.training.rules.base import Better, GateEvidence, GateRule, Measured


@GateRule(
    title="moved since commissioning",
    brief=None,
    unit="spreads",
    better=Better.LOWER,
    limit="gate.max_commissioning_shift",
    note="{entity} {channel}: median {now.median:.4g}{unit}, at commissioning {then.median:.4g} "
    "± {then.spread:.4g}{unit} ({then.from_at:%Y-%m-%d} to {then.to_at:%Y-%m-%d})",
    hint="If that is normal: tsad new-normal {dataset} {entity} --from … --to {end:%Y-%m-%dT%H:%M}",
    untested={"none": "the first of its kind: nothing to compare with"},
    by_entity=False,
    order=120,
)
def commissioning_shift(evidence: GateEvidence) -> Measured:
    """No channel is farther from its commissioning reference than `gate.max_commissioning_shift`
    spreads."""
    moved = [level for level in evidence.levels if level.shift is not None]
    worst = max(moved, key=lambda level: level.shift or 0.0, default=None)
    if worst is None or worst.reference is None:
        return Measured(None, case="none")
    then, now = worst.reference, worst.now
    unit = evidence.config.unit_of(worst.channel) or None
    facts = {"entity": worst.entity, "channel": worst.channel, "now": now, "then": then}
    facts |= {"unit": f" {unit}" if unit else "", "dataset": evidence.config.dataset}
    return Measured(
        worst.shift, n=len(moved), facts=facts | {"end": now.to_at - timedelta(hours=1)}
    )


@GateRule(
    title="scatter to commissioning's",
    brief=None,
    better=Better.LOWER,
    limit="gate.max_commissioning_spread",
    note="{entity} {channel}: its spread as a multiple of the one at commissioning",
    untested={"none": "the first of its kind: nothing to compare with"},
    by_entity=False,
    order=130,
)
def commissioning_spread(evidence: GateEvidence) -> Measured:
    """No channel scatters `gate.max_commissioning_spread` times as wide as at commissioning, as
    readings that were garbled do."""
    known = [level for level in evidence.levels if level.widening is not None]
    worst = max(known, key=lambda level: level.widening or 0.0, default=None)
    if worst is None:
        return Measured(None, case="none")
    facts = {"entity": worst.entity, "channel": worst.channel}
    return Measured(worst.widening, n=len(known), facts=facts)
