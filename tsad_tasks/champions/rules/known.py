"""Rules on what people know of the shadow's hours."""

from __future__ import annotations

from tsad_tasks.champions.rules.base import Measured, ShadowEvidence, ShadowRule


def _of_known(n: int, found: tuple[int, int]) -> Measured:
    """Each was a fault: one that the champion finds and the challenger does not is no chance."""
    value, old = found
    if not n:
        return Measured(None, case="none")
    return Measured(value, champion=old, n=n, n_found=value, limit=old)


@ShadowRule(
    title="labels found",
    note="flagged, of {n} labels in these hours",
    brief="of {n} labels",
    untested={"none": "no labels in these hours"},
    order=60,
)
def labels_found(evidence: ShadowEvidence) -> Measured:
    """Flags as many of the labels as the champion."""
    return _of_known(evidence.compared.n_labels, evidence.compared.n_labels_found)


@ShadowRule(
    title="confirmed incidents found",
    note="flagged, of {n} confirmed incidents in these hours",
    brief="of {n} confirmed",
    untested={"none": "no confirmed incidents in these hours"},
    order=70,
)
def confirmed_found(evidence: ShadowEvidence) -> Measured:
    """Flags as many of the incidents that people confirmed as the champion."""
    return _of_known(evidence.compared.n_confirmed, evidence.compared.n_confirmed_found)
