"""Rules on how a challenger behaves beside its champion: flags, incidents, agreement."""

from __future__ import annotations

from tsad_tasks.champions.rules.base import Better, Measured, ShadowEvidence, ShadowRule


@ShadowRule(
    title="steps flagged",
    unit="share",
    better=Better.LOWER,
    limit="shadow.max_flag_share",
    note="flagged share of {n} steps",
    brief="of {n} steps",
    order=30,
)
def flag_share(evidence: ShadowEvidence) -> Measured:
    """Flags no more than `shadow.max_flag_share` of the steps, or twice the champion."""
    compared, n = evidence.compared, max(evidence.compared.n_steps, 1)
    value, old = (n_flags / n for n_flags in compared.n_flags)
    limit = max(evidence.config.shadow.max_flag_share, 2 * old)
    n_found = compared.n_flags[0]
    return Measured(value, champion=old, n=compared.n_steps, n_found=n_found, limit=limit)


def _noise(challenger: int, champion: int, evidence: ShadowEvidence) -> Measured:
    """Two counts of incidents, and the chance that one noisier than allowed has as many."""
    from tsad_tasks.base.confidence import chance_of_losing

    ratio = evidence.config.shadow.max_alert_ratio
    chance = chance_of_losing(challenger, champion, ratio)
    return Measured(challenger, champion=champion, facts={"ratio": ratio, "chance": chance})


def _not_sure(found: Measured, _limit: float | None, _evidence: ShadowEvidence) -> bool:
    """Fails only where chance does not explain the challenger's: few of them decide nothing."""
    from tsad_tasks.base.confidence import SURE

    return bool(found.facts["chance"] >= SURE)


@ShadowRule(
    title="incidents, not in maintenance",
    better=Better.LOWER,
    meets=_not_sure,
    note="incidents; a {ratio:g} times noisier challenger has as many with a chance of "
    "{chance:.0%}",
    order=40,
)
def incidents(evidence: ShadowEvidence) -> Measured:
    """Raises no more incidents than `shadow.max_alert_ratio` times the champion's, beyond chance;
    those in maintenance windows do not count."""
    return _noise(*evidence.compared.n_incidents, evidence)


@ShadowRule(
    title="steps judged alike",
    unit="share",
    limit="shadow.min_agreement",
    note="share of steps that both flag, or neither",
    brief="of {n} steps",
    order=50,
)
def agreement(evidence: ShadowEvidence) -> Measured:
    """Both flag, or neither, on `shadow.min_agreement` of the steps."""
    n, n_agreed = evidence.compared.n_steps, evidence.compared.n_agreed
    return Measured(n_agreed / max(n, 1), n=n, n_found=n_agreed)


@ShadowRule(
    title="incidents that people took back",
    better=Better.LOWER,
    meets=_not_sure,
    note="incidents that people called false alarms or expected; as many by chance with "
    "{chance:.0%}",
    untested={"none": "no incident was taken back in these hours"},
    order=80,
)
def false_alarms(evidence: ShadowEvidence) -> Measured:
    """Raises no more incidents than `shadow.max_alert_ratio` times the champion's where people
    called one of the champion's a false alarm or expected, beyond chance."""
    if not any(evidence.compared.n_false):
        return Measured(None, case="none")
    return _noise(*evidence.compared.n_false, evidence)
