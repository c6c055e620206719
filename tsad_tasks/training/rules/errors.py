"""Rules on errors and scores: the loss, the error on held-out windows, and where scores moved."""

from __future__ import annotations

from math import isfinite

from tsad_tasks.training.rules.base import Better, GateEvidence, GateRule, Measured


@GateRule(
    title="validation loss is finite",
    better=Better.LOWER,
    meets=lambda found, _limit, evidence: (
        found.value is not None and evidence.history.stopped != "diverged"
    ),
    note="validation loss",
    untested={"counts": "this kind of detector is not trained in steps, so it has no loss"},
    by_entity=False,
    order=10,
)
def finite_loss(evidence: GateEvidence) -> Measured:
    """The loss on held-out windows is a finite number, and the training did not diverge."""
    if not evidence.history.validation_loss:
        return Measured(None, case="counts")
    loss = evidence.history.validation_loss[-1]
    return Measured(loss if isfinite(loss) else None)


@GateRule(
    title="explained of held-out readings",
    unit="share",
    limit=0.02,
    note="share of how held-out readings vary that the network expects",
    brief="of their variance",
    untested={
        "counts": "asked of networks alone: only they may learn to expect nothing",
        "none": "there were no held-out readings, or they never change",
    },
    order=15,
)
def explained_share(evidence: GateEvidence) -> Measured:
    """A network expects more of how held-out readings vary than one of zeros would, which says
    nothing of them."""
    if not evidence.history.validation_loss:
        return Measured(None, case="counts")
    value, champion = evidence.challenger.explained, evidence.champion
    old = champion.explained if champion else None
    return Measured(value, champion=old, case="none" if value is None else "")


@GateRule(
    title="error on held-out windows",
    better=Better.LOWER,
    decides=False,
    note="mean error of the same held-out windows; shown",
    untested={"none": "there were no held-out readings"},
    order=20,
)
def held_out_error(evidence: GateEvidence) -> Measured:
    """The mean error; losses of other scales or other kinds of detectors do not compare."""
    value, champion = evidence.challenger.mean_error, evidence.champion
    old = champion.mean_error if champion else None
    return Measured(value, champion=old, case="none" if value is None else "")


@GateRule(
    title="scores unlike the champion's, PSI",
    better=Better.LOWER,
    limit="gate.max_score_drift",
    decides=False,
    note="PSI of scores on clean held-out steps against the champion's; shown",
    untested={"alone": "no champion to compare with", "few": "too few scores to compare"},
    order=90,
)
def score_drift(evidence: GateEvidence) -> Measured:
    """How far scores on clean held-out steps lie from the champion's."""
    from tsad_tasks.base.confidence import stability_index

    if evidence.champion is None:
        return Measured(None, case="alone")
    value = stability_index(evidence.champion.scores, evidence.challenger.scores)
    return Measured(value, case="few" if value is None else "")
