"""Task `incidents`: merges flags, anew for every chain of them that the interval touches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Lineage, severity_rank
from tsad_tasks.base.interval import Interval, from_unix_s, unix_s
from tsad_tasks.config import AlarmPolicy, DatasetConfig
from tsad_tasks.feedback.maintenance import suppress_incidents
from tsad_tasks.model.incidents import IncidentSpan, connected_range, incident_id, incident_spans
from tsad_tasks.scoring import queries
from tsad_tasks.scoring.alarm_rule import incident_rule
from tsad_tasks.scoring.plan import scored_lineages, seen_until
from tsad_tasks.scoring.queries import Flag, IncidentRow, TopAttribution, champions_in
from tsad_tasks.storage.datasets import DatasetRow, lock_dataset, select_dataset, select_entities
from tsad_tasks.storage.scores import SELECT_INCIDENTS
from tsad_tasks.storage.store import Store, columns
from tsad_tasks.text.sentence import incident_sentence

Attributions = dict[tuple[int, datetime], TopAttribution]


@dataclass(frozen=True)
class IncidentSummary:
    """What the task found and changed."""

    n_incidents: int
    n_written: int
    n_withdrawn: int
    n_suppression_changes: int = 0

    def __add__(self, other: IncidentSummary) -> IncidentSummary:
        return IncidentSummary(
            *(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True))
        )


def build_incidents(
    store: Store,
    config: DatasetConfig,
    *,
    start_at: datetime,
    end_at: datetime,
    lineage: str = Lineage.LIVE,
) -> IncidentSummary:
    """Incidents of all chains of flags that touch [start_at, end_at); also the shadow's.

    Late readings may have moved flags of earlier hours, and of later ones as far as thresholds look
    back, so the range is widened by both. What maintenance windows hold now is marked so.
    """
    dataset, summary = select_dataset(store, config.dataset), IncidentSummary(0, 0, 0)
    span = Interval(start_at, end_at)
    with store.transaction():
        for name in scored_lineages(store, dataset.dataset_id, lineage, span):
            lock_dataset(store, dataset.dataset_id, f"incidents {name}")
            first_at = start_at - timedelta(seconds=config.source.mutability_s)
            champions = champions_in(store, dataset.dataset_id, name, span)
            last_at = seen_until(store, dataset, name, champions, end_at)
            summary += _Merge(store, config, dataset, name).rebuild(first_at, last_at)
            summary += IncidentSummary(0, 0, 0, suppress_incidents(store, dataset, name))
    return summary


@dataclass(frozen=True)
class _Chains:
    """Flags of one entity that hang together with the range that is rebuilt."""

    flags: list[Flag]
    from_at: datetime
    until_at: datetime


class _Merge:
    """One rebuilding of incidents, under the dataset's lock."""

    def __init__(
        self, store: Store, config: DatasetConfig, dataset: DatasetRow, lineage: str
    ) -> None:
        self._store, self._dataset, self._lineage = store, dataset, lineage
        self._policy: AlarmPolicy = config.alarm_policy
        self._window, self._rule = config.detector.n_steps, incident_rule(self._policy)
        entities = select_entities(store, dataset.dataset_id)
        self._names = {key: name for name, key in entities.items()}

    def rebuild(self, first_at: datetime, last_at: datetime) -> IncidentSummary:
        """Incidents that touch [first_at, last_at) and whatever hangs together with them."""
        margin = timedelta(seconds=self._policy.max_length_s + self._rule.gap_s)
        ids = sorted(self._names)
        flags = self._store.rows(
            queries.SELECT_FLAGS, **self._in(ids, first_at - margin, last_at + margin)
        )
        standing = self._store.rows(SELECT_INCIDENTS, **self._in(ids, first_at, last_at))
        by_entity = {
            key: list(group) for key, group in groupby(flags, key=lambda flag: flag.entity_id)
        }
        touched = sorted(set(by_entity) | {incident.entity_id for incident in standing})
        chains = {
            key: self._whole_chains(key, by_entity.get(key, []), first_at, last_at, margin)
            for key in touched
        }
        all_flags = [flag for each in chains.values() for flag in each.flags]
        flagged = {
            name: [getattr(flag, name) for flag in all_flags]
            for name in ("entity_id", "at", "model_id")
        }
        leading = self._store.rows(queries.SELECT_TOP_ATTRIBUTIONS, **flagged)
        tops = {(row.entity_id, row.at): row for row in leading}
        rows = {key: self._rows(key, each.flags, tops) for key, each in chains.items()}
        of = {"lineage": self._lineage, "policy_version": self._policy.version}
        written = columns([*chain(*rows.values())], IncidentRow)
        n_written = self._store.execute(queries.UPSERT_INCIDENTS, **of, **written)
        replaced = self._replaced(chains, rows)
        gone = {"incident_id": [*replaced], "superseded_by": [*replaced.values()]}
        n_withdrawn = self._store.execute(queries.WITHDRAW_INCIDENTS, **gone)
        return IncidentSummary(sum(map(len, rows.values())), n_written, n_withdrawn)

    def _in(self, entity_ids: list[int], start_at: datetime, end_at: datetime) -> dict[str, Any]:
        ends = {"start_at": start_at, "end_at": end_at}
        return {"lineage": self._lineage, "entity_ids": entity_ids} | ends

    def _replaced(
        self, chains: dict[int, _Chains], rows: dict[int, list[IncidentRow]]
    ) -> dict[str, str | None]:
        """What no longer stands, and which incident took its place."""
        if not chains:
            return {}
        from_at = min(each.from_at for each in chains.values())
        until_at = max(each.until_at for each in chains.values()) + timedelta(seconds=1)
        standing = self._store.rows(SELECT_INCIDENTS, **self._in(list(chains), from_at, until_at))
        new = {row.incident_id for found in rows.values() for row in found}
        successors: dict[str, str | None] = {}
        for old in (old for old in standing if old.incident_id not in new):
            its = chains[old.entity_id]
            if old.last_flag_at < its.from_at or old.started_at > its.until_at:
                continue
            # The first one that it meets.
            meeting = (
                row.incident_id
                for row in rows[old.entity_id]
                if row.started_at <= old.last_flag_at and row.last_flag_at >= old.started_at
            )
            successors[old.incident_id] = next(meeting, None)
        return successors

    def _whole_chains(
        self,
        entity_id: int,
        flags: list[Flag],
        first_at: datetime,
        last_at: datetime,
        margin: timedelta,
    ) -> _Chains:
        """The chains, from flags of a range wide enough that none of them is cut."""
        gap_s = self._rule.gap_s
        while True:
            times = _times(flags)
            first_s, last_s = connected_range(times, unix_s(first_at), unix_s(last_at), gap_s)
            known_from, known_to = first_at - margin, last_at + margin
            if first_s - gap_s >= unix_s(known_from) and last_s + gap_s < unix_s(known_to):
                from_at, until_at = from_unix_s(first_s), from_unix_s(last_s)
                return _Chains(
                    [flag for flag in flags if from_at <= flag.at <= until_at], from_at, until_at
                )
            margin *= 4
            wide = first_at - margin, last_at + margin
            flags = self._store.rows(queries.SELECT_FLAGS, **self._in([entity_id], *wide))

    def _rows(self, entity_id: int, flags: list[Flag], tops: Attributions) -> list[IncidentRow]:
        """Incidents of an entity's flags that deviate as the policy asks for."""
        flags = [flag for flag in flags if self._deviates(tops.get((entity_id, flag.at)))]
        if not flags:
            return []
        scores = np.array([flag.score for flag in flags], np.float32)
        errors = np.array([flag.error for flag in flags], np.float32)
        spans = incident_spans(_times(flags), scores, self._rule, self._dataset.step_s, errors)
        return [self._row(entity_id, flags, span, tops) for span in spans]

    def _deviates(self, top: TopAttribution | None) -> bool:
        direction = self._policy.direction
        if top is None or top.actual is None or top.expected is None:
            return True
        deviation = top.actual - top.expected
        wanted = direction == "both" or (deviation > 0 if direction == "high" else deviation < 0)
        return wanted and abs(deviation) >= self._policy.min_deviation.get(top.name, 0.0)

    def _row(
        self, entity_id: int, flags: list[Flag], span: IncidentSpan, tops: Attributions
    ) -> IncidentRow:
        inside, peak = flags[span.first : span.last + 1], flags[span.peak]
        name, first, policy = self._names[entity_id], flags[span.first], self._policy
        # A spike is seen by the windows that hold it; what is flagged for longer lasted.
        lasts = len(inside) > self._window or any(flag.kind == "collective" for flag in inside)
        top, named = _worst(inside, tops), (name, self._dataset.name)
        return IncidentRow(
            incident_id=incident_id(*named, policy.version, self._lineage, first.at),
            entity_id=entity_id,
            model_id=first.model_id,
            started_at=first.at,
            last_flag_at=flags[span.last].at,
            n_flags=span.n_flags,
            kind="collective" if lasts else "point",
            severity=max((flag.severity for flag in inside), key=severity_rank),
            peak_score=peak.score,
            peak_at=peak.at,
            top_channel_id=top.channel_id if top else None,
            sentence=_sentence(name, peak, top),
            provisional=any(flag.provisional for flag in inside),
        )


def _worst(flags: Sequence[Flag], tops: Attributions) -> TopAttribution | None:
    """The reading farthest off in the leading channel, on the side where it was mostly."""
    # Windows go on being strange for a while after a fault, with the deviation turned round.
    found = [
        (flag, tops[flag.entity_id, flag.at]) for flag in flags if (flag.entity_id, flag.at) in tops
    ]
    weights: Counter[int] = Counter()
    for flag, top in found:
        weights[top.channel_id] += top.share * (1 + flag.score)  # type: ignore[assignment]
    if not weights:
        return None
    leading = max(weights, key=lambda channel: (weights[channel], -channel))
    inside = [top for _, top in found if top.channel_id == leading]
    side = 1 if sum(_deviation(top) for top in inside) >= 0 else -1
    return max(inside, key=lambda top: (side * _deviation(top), -top.at.timestamp()))


def _deviation(top: TopAttribution) -> float:
    return top.actual - top.expected if top.actual is not None and top.expected is not None else 0.0


def _times(flags: Sequence[Flag]) -> NDArray[np.int64]:
    return np.array([unix_s(flag.at) for flag in flags], np.int64)


def _sentence(entity: str, peak: Flag, top: TopAttribution | None) -> str:
    if top is None:
        return incident_sentence(entity=entity, error_ratio=peak.score + 1)
    lower = upper = None
    if top.expected is not None and top.spread is not None:
        lower, upper = top.expected - top.spread, top.expected + top.spread
    return incident_sentence(
        entity=entity,
        channel=top.name,
        unit=top.unit,
        actual=top.actual,
        expected=top.expected,
        lower=lower,
        upper=upper,
        error_ratio=peak.score + 1,
    )
