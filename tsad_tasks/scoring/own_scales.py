"""Scales of machines that a champion does not know, and what a job scores with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from tsad_tasks.base.interval import unix_s
from tsad_tasks.model.features import Scaler
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.queries import SELECT_LATER_SCALES
from tsad_tasks.storage.store import Store


@dataclass(frozen=True)
class OwnScale:
    """Name, centre, scale of a machine's channels, learned late, for hours from `usable_s` on."""

    usable_s: int
    terms: tuple[tuple[str, float, float], ...]

    @property
    def salt(self) -> np.uint64:
        """A number that changes with it.

        >>> bool(OwnScale(0, (("a", 1.0, 2.0),)).salt == OwnScale(0, (("a", 1.0, 3.0),)).salt)
        False
        """
        terms = [(name, center.hex(), scale.hex()) for name, center, scale in self.terms]
        content = repr((self.usable_s, terms)).encode()
        return np.uint64(int.from_bytes(blake2b(content, digest_size=8).digest(), "little"))

    def scaler(self, spec: ModelSpec) -> Scaler:
        """The scaler for a model; a channel of which nothing was learned is not fitted."""
        learned, names = {name: (c, s) for name, c, s in self.terms}, spec.features.channels
        centers, scales = zip(*(learned.get(name, (0.0, 1.0)) for name in names), strict=True)
        not_fitted = (i for i, name in enumerate(names) if name not in learned)
        # What the model knows of no entity, it cannot judge.
        unknown = spec.pooled_scaler.not_fitted
        left_out = tuple(sorted({*not_fitted, *unknown}))
        pooled = spec.pooled_scaler
        scaler = Scaler(centers, scales, 0, left_out, circles=pooled.circles, counts=pooled.counts)
        if not pooled.conditions:
            return scaler
        # What all machines were run under is what this one may be.
        has = [i for i in pooled.conditions if names[i] in learned]
        under = np.isin(np.arange(len(names)), pooled.conditions)
        ends = (np.where(under, end, centers) for end in (pooled.known_from, pooled.known_to))
        return scaler.under(pooled.conditions, has, *ends)


def later_scales(
    store: Store, model_id: int, entity_ids: Sequence[int]
) -> tuple[OwnScale | None, ...]:
    """Scales of entities that a model has none for; None where it has one, or none was learned."""
    found: dict[int, OwnScale] = {}
    for row in store.rows(SELECT_LATER_SCALES, model_id=model_id, entity_ids=list(entity_ids)):
        known = found.get(row.entity_id, OwnScale(unix_s(row.usable_at), ()))
        terms = (*known.terms, (row.name, row.center, row.scale))
        found[row.entity_id] = OwnScale(known.usable_s, terms)
    return tuple(found.get(key) for key in entity_ids)
