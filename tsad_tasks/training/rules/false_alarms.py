"""Rules on what a challenger flags where nothing is wrong."""

from __future__ import annotations

from tsad_tasks.training.rules.base import Better, GateEvidence, GateRule, Measured, most_at


def _within_excess(found: Measured, limit: float | None, evidence: GateEvidence) -> bool:
    assert limit is not None
    return found.value is not None and (
        (found.low or 0) <= limit and found.value <= limit * evidence.config.gate.max_excess
    )


@GateRule(
    title="clean steps flagged",
    unit="share",
    better=Better.LOWER,
    limit="gate.max_false_alarm_share",
    meets=_within_excess,
    note="flagged share of {n} clean held-out steps",
    brief="of {n} clean steps",
    hint="{where}",
    untested={"nothing": "a young model has too few readings to judge"},
    order=50,
)
def false_alarm_share(evidence: GateEvidence) -> Measured:
    """Flags no more of the clean held-out steps than `gate.max_false_alarm_share`, beyond chance,
    and never `gate.max_excess` times as many."""
    from tsad_tasks.base.confidence import share_interval

    challenger, champion = evidence.challenger, evidence.champion
    value = challenger.false_alarm_share
    old = champion.false_alarm_share if champion else None
    facts = {"where": most_at(challenger.flagged_at)}
    if value is None:
        case = "nothing" if evidence.is_young else ""
        return Measured(None, champion=old, n=challenger.n_judged, case=case, facts=facts)
    # Windows overlap: as many steps as a window has count as one.
    width, n = evidence.config.detector.n_steps, challenger.n_judged
    low, high = share_interval(challenger.n_flags / width, n / width)
    return Measured(value, low, high, old, n, challenger.n_flags, facts=facts)


@GateRule(
    title="false incidents, machine, week",
    better=Better.LOWER,
    limit="gate.max_incidents_per_entity_week",
    meets=lambda found, limit, _evidence: limit is None or (found.low or 0) <= limit,
    note="{n} incidents in {weeks:.2g} clean held-out weeks of one entity",
    brief="incidents: {n}",
    hint="{where}",
    untested={"nothing": "there were no clean held-out readings"},
    order=60,
)
def incidents_per_entity_week(evidence: GateEvidence) -> Measured:
    """Raises no more incidents on clean held-out readings than
    `gate.max_incidents_per_entity_week`, beyond chance: a short range holds few."""
    from tsad_tasks.base.confidence import count_interval

    config, challenger, champion = evidence.config, evidence.challenger, evidence.champion
    limit = config.gate.max_incidents_per_entity_week
    if limit is None and config.threshold.kind == "evt":
        limit = 2 * config.alarm_policy.budget_per_entity_week
    weeks, n = challenger.n_weeks, challenger.n_incidents
    if not weeks:
        return Measured(None, limit=limit, case="nothing")
    low, high = (end / weeks for end in count_interval(n))
    old = champion.n_incidents / champion.n_weeks if champion and champion.n_weeks else None
    facts = {"weeks": weeks, "where": most_at(challenger.incidents_at)}
    return Measured(n / weeks, low, high, old, n, limit=limit, facts=facts)
