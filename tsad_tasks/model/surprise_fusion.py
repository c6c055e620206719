"""One error per reading from many surprises: weighted families, a range bonus, a second level.

What a channel's event score is made of; weights and constants were chosen on NAB's corpus, none on
a single file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tsad_tasks.base.arrays import Arrays, Floats32, Floats64, Ints
from tsad_tasks.model.novelty import no_blocks, novelty_surprises
from tsad_tasks.model.surprise import no_past, surprises
from tsad_tasks.model.surprise_families import Change, Distance, Now, Part, Season, Slow

WEIGHTS = {
    "level": 1.0,
    "slow": 0.25,
    "season": 1.0,
    "season12": 0.25,
    "season36": 0.25,
    "change": 0.5,
    "novelty": 0.75,
}
MEMBER = "member"
States = dict[str, Arrays]
_SEASON = Season()
PARTS: dict[str, Part] = {
    "level": Distance(),
    "slow": Slow(),
    "season": _SEASON,
    "change": Change(),
}
RANGE_SHARE = 0.05
_SECOND_SHARE, _SECOND_LIMIT = 0.1, 12.0
_FAR = 2**62


@dataclass(frozen=True)
class Fusion:
    """Which surprises count, and how much.

    Attributes
    ----------
    weights : by family; a family's members share its weight, and a family that is not there is not
        computed.
    range_bonus : nats for a reading that leaves the past range by more than 5 % of it.
    second_level : whether a tenth of the result is how surprising the result itself is.
    """

    weights: Mapping[str, float]
    range_bonus: float = 6.0
    second_level: bool = True

    @cached_property
    def parts(self) -> dict[str, Part]:
        """The parts that have a family with a weight."""
        return {name: part for name, part in PARTS.items() if self._columns(part)}

    def _columns(self, part: Part) -> list[int]:
        return [i for i, family in enumerate(part.members) if self.weights.get(family)]

    @cached_property
    def _chosen(self) -> dict[str, list[int]]:
        """Columns of the parts that have a weight, as asked for at each reading."""
        return {name: self._columns(part) for name, part in self.parts.items()}

    @cached_property
    def _shares(self) -> list[float]:
        """Weight of each column that counts: its family's, shared by the family's members."""
        chosen = self._chosen.items()
        members = [self.parts[name].members[i] for name, columns in chosen for i in columns]
        return [self.weights[family] / members.count(family) for family in members]

    def empty(self, n_series: int) -> States:
        """State of series that have seen nothing, by part.

        >>> sorted(Fusion({"level": 1.0}, second_level=False).empty(1))
        ['past', 'range']
        """
        states = {name: part.empty(n_series) for name, part in self.parts.items()}
        states["range"] = {"low": np.full(n_series, _FAR), "high": np.full(n_series, -_FAR)}
        if self.parts:
            states["past"] = no_past(n_series, len(self._shares))
        if self.weights.get("novelty"):
            states["novelty"] = no_blocks(n_series)
        if self.weights.get(MEMBER):
            states["member_past"] = no_past(n_series, 1)
        if self.second_level:
            states["second_past"] = no_past(n_series, 1)
        return {name: arrays for name, arrays in states.items() if arrays}

    def errors(
        self, states: States, rows: Ints, now: Now, member: Floats32 | None = None
    ) -> Floats64:
        """Errors (n_rows,) in nats, 0 and up, of one reading per row, which then joins the state.

        The states of `empty` are changed in place. `member` (n_rows,) are another detector's
        errors, which weigh `weights["member"]`; NaN where it has none.

        >>> fusion, one = Fusion({"level": 1.0}, second_level=False), np.array([0])
        >>> states, units = fusion.empty(1), np.array([*range(-30, 30), 40])[:, None] * 2**20
        >>> found = [fusion.errors(states, one, Now(unit, one)).item() for unit in units]
        >>> found[0], found[-1] > 8
        (0.0, True)
        """
        leaves = range_excess(states["range"], rows, now.units) > RANGE_SHARE
        own = sum(weight for family, weight in self.weights.items() if family != MEMBER)
        total, weight = np.zeros(len(rows)), np.full(len(rows), own)
        if self.parts:
            parts = [
                part.errors(states.get(name, {}), rows, now)[:, self._chosen[name]]
                for name, part in self.parts.items()
            ]
            errors = np.concatenate(parts, axis=1, dtype=np.float32, casting="same_kind")
            total = _weighted_sum(surprises(states["past"], rows, errors), self._shares)
        if self.weights.get("novelty"):
            novel = novelty_surprises(states["novelty"], rows, now.units)
            alike = [1 / novel.shape[1]] * novel.shape[1]
            total += self.weights["novelty"] * _weighted_sum(novel, alike)
        if member is not None:
            known = np.isfinite(member)
            past, of_member = states["member_past"], member[known][:, None]
            total[known] += self.weights[MEMBER] * surprises(past, rows[known], of_member)[:, 0]
            weight[known] += self.weights[MEMBER]
        fused: Floats64 = total / weight + self.range_bonus * leaves
        if self.second_level:
            second = surprises(states["second_past"], rows, fused[:, None].astype(np.float32))[:, 0]
            fused = (1 - _SECOND_SHARE) * fused + _SECOND_SHARE * np.minimum(second, _SECOND_LIMIT)
        return fused


def range_excess(state: Arrays, rows: Ints, units: Ints) -> Floats64:
    """How far readings (n_rows,) leave the range of all before them, as a share of it; 0 inside.

    >>> state, one = {"low": np.array([0]), "high": np.array([4])}, np.array([0])
    >>> [range_excess(state, one, np.array([x])).item() for x in (5, 5, 0)]
    [0.25, 0.0, 0.0]
    """
    low, high = state["low"][rows], state["high"][rows]
    first = low > high
    beyond = np.where(first, 0, np.maximum(np.maximum(units - high, low - units), 0))
    # One unit is what a range of nothing counts as.
    excess: Floats64 = beyond / np.maximum(np.where(first, 1, high - low), 1)
    state["low"][rows] = np.where(first, units, np.minimum(low, units))
    state["high"][rows] = np.where(first, units, np.maximum(high, units))
    return excess


def expected_level(states: States, rows: Ints, half_hour: Ints) -> Floats64:
    """What readings (n_rows,) are expected to be, in scales: the season's mean, else the center.

    >>> expected_level({}, np.array([0]), np.array([0])).tolist()
    [0.0]
    """
    if "season" not in states:
        return np.zeros(len(rows))
    return _SEASON.usual(states["season"], rows, half_hour)


def _weighted_sum(columns: Floats64, weights: Sequence[float]) -> Floats64:
    """Added column by column, in one order whatever the batch."""
    total = columns[:, 0] * weights[0]
    for i in range(1, len(weights)):
        total += columns[:, i] * weights[i]
    return total
