"""Rules on what a challenger finds: injected and known anomalies, alone and beside the champion."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tsad_tasks.training.rules.base import (
    PAIRS,
    Better,
    GateEvidence,
    GateRule,
    Measured,
    beside_champion,
    beyond_chance,
    found_share,
    least_found,
    no_loser,
    share_of,
)

# Fields of `Gate` and `DetectionResult.delays` have these names too.
PLAIN_KINDS = ("point", "contextual", "collective")
# What takes a detector that knows slow changes, channels that go together, or weekdays.
HARD_KINDS = {
    "ramp": "slow ramps",
    "decoupled": "decoupled channels",
    "weekday": "other weekdays' values",
}
# Fewer say nothing of a kind; below the second number the margin is less than one of them.
LEAST_INJECTED, MANY_INJECTED = 3, 10
_FEW = f"only {{n}} could be put into these readings; {LEAST_INJECTED} are needed"


def _injected(evidence: GateEvidence, *, kind: str) -> Measured:
    found = evidence.challenger.delays.get(kind, ())
    old = share_of(evidence.champion.delays.get(kind, ())) if evidence.champion else None
    if len(found) < LEAST_INJECTED:
        return Measured(None, champion=old, n=len(found), case="few")
    made = beyond_chance(found_share(found), evidence.challenger.chance.get(kind, 0.0))
    where = least_found(found, evidence.challenger.places.get(kind, ()))
    return replace(made, champion=old, facts={**made.facts, "where": where})


def _within_margin(found: Measured, limit: float | None, evidence: GateEvidence) -> bool:
    assert limit is not None
    is_few, margin = (found.n or 0) < MANY_INJECTED, evidence.config.gate.margin
    return (found.high or 0) >= limit and (is_few or (found.value or 0) >= limit - margin)


def _declare(number: int, kind: str) -> None:
    """The rule on one kind of injected anomalies."""
    is_plain, measure = kind in PLAIN_KINDS, partial(_injected, kind=kind)
    what = f"{kind} anomalies" if is_plain else HARD_KINDS[kind]
    measure.__doc__ = (
        f"""Finds at least `gate.min_{kind}_share` of injected {what}, beyond what flags at random
        find; less passes where chance may explain it, unless it is less by `gate.margin`."""
        if is_plain
        else f"""Finds half of the injected {what}. In `not_worse` they count as others do."""
    )
    note = f"share found of {{n}} injected {what}"
    GateRule(
        name=f"{kind}_share",
        title=f"{what} found",
        unit="share",
        limit=f"gate.min_{kind}_share" if is_plain else 0.5,
        meets=_within_margin if is_plain else None,
        decides=is_plain,
        is_test=is_plain,
        note=note if is_plain else f"{note}; shown",
        cases={"random": f"{note}, less the {{chance:.0%}} that flags at random find"},
        brief="of {n} injected",
        hint="{where}",
        untested={"few": _FEW},
        order=30 + number,
    )(measure)


for _number, _kind in enumerate((*PLAIN_KINDS, *HARD_KINDS)):
    _declare(_number, _kind)


def _explained(found: Measured, limit: float | None, _evidence: GateEvidence) -> bool:
    from tsad_tasks.base.confidence import SURE

    return (found.high or 0) >= (limit or 0) and found.facts.get("chance", 1.0) > SURE


@GateRule(
    title="known anomalies found",
    unit="share",
    limit="gate.min_known_share",
    meets=_explained,
    note="share found of {n} known anomalies",
    brief="of {n} known",
    cases={"paired": "share found of {n} known anomalies; " + PAIRS},
    hint="{where}",
    untested={"few": "too few are known in these readings: {n}"},
    order=40,
)
def known_share(evidence: GateEvidence) -> Measured:
    """Finds as much of the known anomalies as `gate.min_known_share` and the champion, beyond
    chance; fewer than `gate.min_known` decide nothing."""
    found, champion = evidence.challenger.known, evidence.champion
    old = champion.known if champion else None
    if len(found) < evidence.config.gate.min_known:
        return Measured(share_of(found), champion=share_of(old or ()), n=len(found), case="few")
    made = found_share(found, old)
    where = least_found(found, evidence.challenger.places.get("known", ()))
    case = "" if old is None else "paired"
    return replace(made, case=case, facts={**made.facts, "where": where})


@GateRule(
    title="found, beside the champion",
    unit="share",
    meets=lambda found, limit, evidence: no_loser(found, limit, evidence.config.gate),
    note="share found of the same {n} injected anomalies; " + PAIRS,
    brief="of the same {n}",
    hint="{where}",
    untested={
        "alone": "no champion to compare with",
        "nothing": "no anomaly was put in",
        "wolf": "the champion is no standard: it flags {flagged:.1%} of the clean held-out steps",
    },
    order=70,
)
def not_worse(evidence: GateEvidence) -> Measured:
    """Finds no fewer of the same injected anomalies than the champion, less `gate.tolerance`: a
    paired exact test, unless there are `gate.min_pairs` of them."""
    return beside_champion(evidence.challenger, evidence.champion, evidence.config.gate)


@GateRule(
    title="median delay to the flag",
    unit="s",
    better=Better.LOWER,
    decides=False,
    note="median seconds from an injected anomaly to its flag; shown",
    brief="of {n} found",
    untested={"none": "no anomaly that was put in was found"},
    order=80,
)
def delay_s(evidence: GateEvidence) -> Measured:
    """How soon a flag follows the beginning of an injected anomaly."""
    from statistics import median

    step_s = evidence.config.step_s
    both = (evidence.challenger, evidence.champion)
    delays = [[each for each in one.all_delays if each is not None] if one else [] for one in both]
    value, old = (float(median(found)) * step_s if found else None for found in delays)
    return Measured(value, champion=old, n=len(delays[0]), case="" if delays[0] else "none")
