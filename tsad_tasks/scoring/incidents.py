"""Task `incidents`: merges flags, anew wherever those of the interval may tell.

What a long chain of flags becomes is decided near each flag (`IncidentRule.reach_s`): an hour costs
the same however long machines have been flagged, and in whatever order hours come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.arrays import Floats32, Floats64, Ints
from tsad_tasks.base.enums import Lineage, Severity, Signal
from tsad_tasks.base.interval import Interval, from_unix_s, unix_s, whole_hours
from tsad_tasks.config import AlarmPolicy, DatasetConfig
from tsad_tasks.config.dataset import OTHER
from tsad_tasks.detectors.registry import DETECTORS
from tsad_tasks.feedback.maintenance import ALWAYS, suppress_incidents
from tsad_tasks.ingest.signals import circles_of
from tsad_tasks.model.circle import signed_turn
from tsad_tasks.model.features import site_seconds, weekdays_of
from tsad_tasks.model.incidents import connected_range, incident_id, incident_spans
from tsad_tasks.model.weekdays import DAY_S, unknown_weekdays, weekdays_text
from tsad_tasks.scoring import queries
from tsad_tasks.scoring.alarm_rule import incident_rule
from tsad_tasks.scoring.groups import FALL, RISE, build_groups
from tsad_tasks.scoring.outages import UsualCount, may_be_outage, outage_flag, usual_count
from tsad_tasks.scoring.plan import late_span, scored_lineages, seen_until
from tsad_tasks.scoring.queries import IncidentRow, StandingPart, TopAttribution, champions_in
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.datasets import (
    SELECT_CHANNELS,
    DatasetRow,
    keep_criticality,
    lock_dataset,
    select_dataset,
    select_entities,
    select_layouts,
)
from tsad_tasks.storage.readings import read_blocks, read_raw_blocks
from tsad_tasks.storage.store import Store, columns
from tsad_tasks.text import formats
from tsad_tasks.text.sentence import (
    are_usual_changes,
    incident_sentence,
    is_usual_share,
    share_within,
    state_sentence,
    way_moved,
    with_unknown_weekdays,
)

# Entities whose flags are read together, and flags whose channels are: what bounds the memory.
N_ENTITIES, N_FLAGS = 32, 100_000
# So many times as far off on one side as on the other is no echo.
CLEARLY = 3
_TIMES = (
    binary.Field("entity_id", "i4"),
    binary.Field("at", "i8"),
    binary.Field("score", "f4"),
    binary.Field("error", "f4"),
)
_ATTRIBUTED = (
    *_TIMES,
    binary.Field("is_collective", "i1"),
    binary.Field("severity", "i4"),
    binary.Field("model_id", "i4"),
    binary.Field("provisional", "i1"),
    binary.Field("channel_id", "i4"),
    binary.Field("share", "f4"),
    binary.Field("is_known", "i1"),
    binary.Field("actual", "f8"),
    binary.Field("expected", "f8"),
    binary.Field("spread", "f8"),
)


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
    """Incidents of what flags in [start_at, end_at) may tell; also the shadow's.

    Late readings may have moved flags of earlier hours, and of later ones as far as thresholds look
    back, so the range is widened by both, and by hours whose rows were found late. What maintenance
    windows hold now is marked so.
    """
    dataset, summary = select_dataset(store, config.dataset), IncidentSummary(0, 0, 0)
    span = Interval(start_at, end_at)
    with store.transaction():
        keep_criticality(store, dataset.dataset_id, config)
        for name in scored_lineages(store, dataset.dataset_id, lineage, span):
            lock_dataset(store, dataset.dataset_id, f"incidents {name}")
            first_at = start_at - timedelta(seconds=config.late_rows_within_s)
            late = late_span(store, config, dataset, span, name) or Interval(first_at, end_at)
            first_at = min(first_at, late.start_at)
            last_at = max(end_at, late.end_at)
            champions = champions_in(store, dataset.dataset_id, name, Interval(first_at, last_at))
            last_at = seen_until(store, dataset, name, champions, last_at)
            # Sentences on outages, and on one flagged step, tell readings of the hour before.
            last_at += timedelta(hours=1)
            summary += _Merge(store, config, dataset, name).rebuild(first_at, last_at)
            build_groups(store, dataset, name, first_at, last_at)
            summary += IncidentSummary(0, 0, 0, suppress_incidents(store, dataset, name))
            of = {"dataset_id": dataset.dataset_id, "lineage": name}
            ends = Interval(*whole_hours(start_at, end_at))
            store.execute(queries.UPDATE_SCORE_HOURS_DONE, **of, **ends._asdict())
    return summary


@dataclass(frozen=True)
class _Flags:
    """Flags of one entity, ascending; `at_s` in Unix seconds, `more` what was read beside."""

    at_s: Ints
    scores: Floats32
    errors: Floats32
    more: dict[str, NDArray[Any]]

    @classmethod
    def by_entity(cls, read: dict[str, NDArray[Any]]) -> dict[int, _Flags]:
        order = np.lexsort((read["at"], read["entity_id"]))
        read = {name: values[order] for name, values in read.items()}
        ids, starts = np.unique(read["entity_id"], return_index=True)
        read |= {"at_s": binary.unix_s(read["at"])}
        # None where there is no flag at all.
        ends = [*starts.tolist(), len(read["at"])][1:]
        parts = [
            {name: values[first:end] for name, values in read.items()}
            for first, end in zip(starts.tolist(), ends, strict=True)
        ]
        return {
            int(key): cls(part["at_s"], part["score"], part["error"], part)
            for key, part in zip(ids, parts, strict=True)
        }

    def where(self, kept: Any) -> _Flags:
        """Some of them: a slice or a mask."""
        more = {name: values[kept] for name, values in self.more.items()}
        return _Flags(self.at_s[kept], self.scores[kept], self.errors[kept], more)


_NO_FLAGS = _Flags(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32), {})


@dataclass(frozen=True)
class _Unknown:
    """Weekdays of flags that young models do not know, and (n_flags,) of which nobody is told."""

    names: str
    held: NDArray[np.bool_]


@dataclass(frozen=True)
class _Part:
    """An incident as times tell it."""

    entity_id: int
    incident_id: str
    first_s: int
    last_s: int
    n_flags: int
    continues: str | None

    @classmethod
    def standing(cls, row: StandingPart) -> _Part:
        times = unix_s(row.started_at), unix_s(row.last_flag_at)
        return cls(row.entity_id, row.incident_id, *times, row.n_flags, row.continues)


@dataclass(frozen=True)
class _Met:
    """Incidents up to a time that a range may change: as its flags give them, and as they stand."""

    new: list[_Part]
    old: list[_Part]
    last_s: int


class _Merge:
    """One rebuilding of incidents, under the dataset's lock."""

    def __init__(
        self, store: Store, config: DatasetConfig, dataset: DatasetRow, lineage: str
    ) -> None:
        self._store, self._dataset, self._lineage = store, dataset, lineage
        self._policy: AlarmPolicy = config.alarm_policy
        self._window, self._rule = config.detector.n_steps, incident_rule(self._policy)
        self._has_conditions = bool(config.conditions)
        entities = select_entities(store, dataset.dataset_id)
        self._names = {key: name for name, key in entities.items()}
        least, of = self._policy.min_deviation, {"dataset_id": dataset.dataset_id}
        channels = store.rows(SELECT_CHANNELS, **of)
        young = store.rows(queries.SELECT_YOUNG_MODELS, **of)
        self._young = {row.model_id: row for row in young}
        kinds = store.rows(queries.SELECT_MODEL_DETECTORS, **of)
        self._tell_load = {
            row.model_id
            for row in kinds
            if row.detector in DETECTORS and DETECTORS[row.detector].tells_load
        }
        self._least = {row.channel_id: least.get(row.name, 0.0) for row in channels}
        events = set(config.event_channels)
        self._events = {row.channel_id for row in channels if row.name in events}
        self._states = {one.name: one for one in config.state_columns}
        self._ranges = _sensor_ranges(config)
        circles = circles_of(config)
        self._periods = {
            row.channel_id: circles[row.name].period for row in channels if row.name in circles
        }

    def rebuild(self, first_at: datetime, last_at: datetime) -> IncidentSummary:
        """Incidents that flags in [first_at, last_at) may change."""
        ids, summary = sorted(self._names), IncidentSummary(0, 0, 0)
        changed_s, gap_s = (unix_s(first_at), unix_s(last_at)), self._rule.gap_s
        near = self._in(ids, changed_s[0] - gap_s, changed_s[1] + gap_s)
        touched = set(self._store.rows(queries.SELECT_FLAGGED_ENTITIES, **near))
        standing = self._store.rows(queries.SELECT_STANDING_INCIDENTS, **self._in(ids, *changed_s))
        chosen = sorted(touched | {row.entity_id for row in standing})
        for i in range(0, len(chosen), N_ENTITIES):
            summary += self._rebuild(chosen[i : i + N_ENTITIES], *changed_s)
        return summary

    def _rebuild(self, entity_ids: list[int], start_s: int, end_s: int) -> IncidentSummary:
        """The same of some entities."""
        gap_s, reach_s, length_s = self._rule.gap_s, self._rule.reach_s, self._rule.max_length_s
        # Where a later cut stands as before, so does what comes after it: mostly the next one does.
        for until_s in (end_s + length_s + 2 * gap_s, end_s + reach_s + length_s + gap_s):
            known = self._in(entity_ids, start_s - 2 * gap_s - reach_s, until_s)
            flags = self._read(**known)
            standing: dict[int, list[StandingPart]] = {key: [] for key in entity_ids}
            for row in self._store.rows(queries.SELECT_STANDING_INCIDENTS, **known):
                standing[row.entity_id].append(row)
            met = [
                self._met(key, flags.get(key, _NO_FLAGS), standing[key], start_s, end_s)
                for key in entity_ids
            ]
            if all(one.last_s + gap_s < until_s for one in met):
                break
        new = [part for one in met for part in one.new]
        old = [part for one in met for part in one.old]
        # Flags outside of the range are as they were.
        as_before = {part for part in old if part.last_s < start_s or part.first_s >= end_s}
        n_written = self._write([part for part in new if part not in as_before])
        replaced = _replaced(old, new)
        gone = {"incident_id": [*replaced], "superseded_by": [*replaced.values()]}
        n_withdrawn = self._store.execute(queries.WITHDRAW_INCIDENTS, **gone)
        return IncidentSummary(len(new), n_written, n_withdrawn)

    def _met(
        self,
        entity_id: int,
        flags: _Flags,
        standing: Sequence[StandingPart],
        start_s: int,
        end_s: int,
    ) -> _Met:
        """What flags in [start_s, end_s) may change of one entity's incidents."""
        gap_s = self._rule.gap_s
        first_s, last_s = connected_range(flags.at_s, start_s, end_s, gap_s)
        # A flag that went may have linked those before it.
        first_s, last_s = max(first_s, start_s - gap_s), min(last_s, end_s + self._rule.reach_s)
        new, old = self._parts(entity_id, flags), [_Part.standing(row) for row in standing]
        stood = {(part.incident_id, part.continues) for part in old}
        # A cut between flags outside of the range: whatever was inside, the next is at a multiple.
        cuts = (
            part.first_s
            for part in new
            if part.continues
            and (part.incident_id, part.continues) in stood
            and flags.at_s[np.searchsorted(flags.at_s, part.first_s) - 1] >= end_s
        )
        last_s = min(last_s, next(cuts, last_s + 1) - 1)
        met = [part for part in new if part.last_s >= first_s and part.first_s <= last_s]
        if met and met[0].continues:
            met[0] = self._under_another_policy(met[0], new, standing)
        before = [part for part in old if part.last_s >= first_s and part.first_s <= last_s]
        return _Met(met, before, last_s)

    def _in(self, entity_ids: list[int], start_s: int, end_s: int) -> dict[str, Any]:
        first_s, last_s = map(unix_s, ALWAYS)
        ends = {
            "start_at": from_unix_s(max(start_s, first_s)),
            "end_at": from_unix_s(min(end_s, last_s)),
        }
        return {"lineage": self._lineage, "entity_ids": entity_ids} | ends

    def _read(self, entity_ids: list[int], **span: Any) -> dict[int, _Flags]:
        """Flags of a range that deviate as the policy asks for, by entity."""
        if self._policy.direction == "both" and not any(self._policy.min_deviation.values()):
            asked = span | {"entity_ids": entity_ids}
            return _Flags.by_entity(self._store.copy_out(queries.READ_FLAGS, _TIMES, **asked))
        last_at, n = span["end_at"] - timedelta(microseconds=1), len(entity_ids)
        return self._attributed(entity_ids, [span["start_at"]] * n, [last_at] * n)

    def _attributed(
        self, entity_id: list[int], first_at: list[datetime], last_at: list[datetime]
    ) -> dict[int, _Flags]:
        """Such flags in ranges of entities, with their leading channels."""
        ranges = {"entity_id": entity_id, "first_at": first_at, "last_at": last_at}
        asked = ranges | {"lineage": self._lineage, "severities": [*Severity]}
        read = self._store.copy_out(queries.READ_ATTRIBUTED_FLAGS, _ATTRIBUTED, **asked)
        return {
            key: flags.where(self._deviates(flags)) for key, flags in _Flags.by_entity(read).items()
        }

    def _deviates(self, flags: _Flags) -> NDArray[np.bool_]:
        """Which flags deviate as the policy asks for; those of unknown deviation do."""
        deviation, direction = _deviations(flags, self._periods), self._policy.direction
        ways = {"high": deviation > 0, "low": deviation < 0}
        ids, at = np.unique(flags.more["channel_id"], return_inverse=True)
        least = np.array([self._least.get(int(channel), 0.0) for channel in ids])[at]
        # On a circle nothing is higher or lower.
        is_turned = np.isin(flags.more["channel_id"], list(self._periods))
        wanted = (ways.get(direction, True) | is_turned) & (np.abs(deviation) >= least)
        return np.asarray(wanted | (flags.more["is_known"] == 0), bool)

    def _parts(self, entity_id: int, flags: _Flags) -> list[_Part]:
        """Incidents of an entity's flags."""
        named = (self._names[entity_id], self._dataset.name, self._policy.version, self._lineage)
        of = (flags.at_s, flags.scores, self._rule, self._dataset.step_s, flags.errors)
        parts: list[_Part] = []
        ids: dict[int | None, str | None] = {None: None}
        for span in incident_spans(*of):
            first_s, last_s = int(flags.at_s[span.first]), int(flags.at_s[span.last])
            name = incident_id(*named, from_unix_s(first_s))
            parts.append(_Part(entity_id, name, first_s, last_s, span.n_flags, ids[span.former]))
            ids[span.first] = name
        return parts

    def _under_another_policy(
        self, part: _Part, parts: Sequence[_Part], standing: Sequence[StandingPart]
    ) -> _Part:
        """The first part to be written; what it continues may stand under an earlier policy."""
        former = next(one for one in parts if one.incident_id == part.continues)
        ended_at = from_unix_s(former.last_s)
        meeting = (
            row.incident_id
            for row in standing
            if row.policy_version != self._policy.version
            and row.started_at <= ended_at <= row.last_flag_at
        )
        return replace(part, continues=next(meeting, part.continues))

    def _write(self, parts: Sequence[_Part]) -> int:
        """Writes incidents, each from its flags; how many changed."""
        n_written, of = 0, {"lineage": self._lineage, "policy_version": self._policy.version}
        for some in _batches(parts):
            ends = [[from_unix_s(s) for s in (part.first_s, part.last_s)] for part in some]
            first_at, last_at = ([pair[i] for pair in ends] for i in (0, 1))
            flags = self._attributed([part.entity_id for part in some], first_at, last_at)
            drafts = []
            for part in some:
                its = flags.get(part.entity_id, _NO_FLAGS)
                inside = slice(*np.searchsorted(its.at_s, (part.first_s, part.last_s + 1)))
                # Whoever scores meanwhile merges afterwards, and may leave nothing here.
                if its.at_s[inside].size:
                    drafts.append((part, its.where(inside)))
            rows = self._rows(drafts, [self._told(part, flags) for part, flags in drafts])
            written = columns(rows, IncidentRow)
            n_written += self._store.execute(queries.UPSERT_INCIDENTS, **of, **written)
        return n_written

    def _told(self, part: _Part, flags: _Flags) -> tuple[int | None, UsualCount | None]:
        """The flag that the sentence tells, and the usual count where that replaces what was
        expected: the worst flag, or of an outage of events one without any.
        """
        worst = _worst(flags, self._periods)
        if (
            worst is None
            or (channel_id := int(flags.more["channel_id"][worst])) not in self._events
        ):
            return worst, None
        inside = np.flatnonzero((flags.more["channel_id"] == channel_id) & flags.more["is_known"])
        actual, expected = (flags.more[name][inside] for name in ("actual", "expected"))
        if not may_be_outage(actual):
            return worst, None
        first_s = int(flags.at_s[inside[actual == 0][0]])
        usual = usual_count(self._before(part.entity_id, channel_id, first_s))
        if usual is None or (chosen := outage_flag(actual, expected, usual)) is None:
            return worst, None
        return int(inside[chosen]), usual if expected[chosen] < usual.expected / 2 else None

    def _before(self, entity_id: int, channel_id: int, until_s: int) -> Floats64:
        """Readings of a channel up to a time, of its hour and the one before."""
        layout = select_layouts(self._store, self._dataset.dataset_id)[0]
        if channel_id not in layout.channel_ids:
            return np.empty(0)
        from_s = until_s // 3600 * 3600 - 3600
        span = from_unix_s(from_s), from_unix_s(from_s + 7200)
        values = read_raw_blocks(self._store, layout, [entity_id], *span).values
        until = (until_s - from_s) // layout.step_s
        return np.asarray(values[0, :until, layout.channel_ids.index(channel_id)], np.float64)

    def _rows(
        self,
        drafts: Sequence[tuple[_Part, _Flags]],
        chosen: Sequence[tuple[int | None, UsualCount | None]],
    ) -> list[IncidentRow]:
        """Incidents, whose sentences tell one flag of each."""
        told = [
            (part.entity_id, flags, i)
            for (part, flags), (i, _) in zip(drafts, chosen, strict=True)
            if i is not None
        ]
        leading = self._store.rows(
            queries.SELECT_TOP_ATTRIBUTIONS,
            entity_id=[entity_id for entity_id, _, _ in told],
            at=[from_unix_s(flags.at_s[i]) for _, flags, i in told],
            model_id=[int(flags.more["model_id"][i]) for _, flags, i in told],
        )
        tops = {(row.entity_id, unix_s(row.at)): row for row in leading}
        outside = self._outside([part for part, _ in drafts], [flags for _, flags in drafts])
        rows, levels = [], self._levels_before(drafts, tops)
        for (part, flags), (i, usual), names in zip(drafts, chosen, outside, strict=True):
            top = tops.get((part.entity_id, int(flags.at_s[i or 0])))
            if top is not None and usual is not None:
                top = top._replace(expected=usual.expected, spread=usual.spread)
            elif top is not None and top.name in self._states:
                top = self._told_of_states(part, top, int(flags.more["model_id"][i or 0]))
            # What was expected at the only flag says nothing of where the reading was before.
            level = levels.get(part.incident_id, _expected_first(flags, top))
            rows.append(self._row(part, flags, top, names, level))
        return rows

    def _levels_before(
        self,
        drafts: Sequence[tuple[_Part, _Flags]],
        tops: Mapping[tuple[int, int], TopAttribution],
    ) -> dict[str, float]:
        """Where the leading channel was before an incident of one flagged step: the median of its
        readings of that hour and of the one before. Nothing of those of which nothing was read.
        """
        layout = select_layouts(self._store, self._dataset.dataset_id)[0]
        by_hour: dict[int, list[tuple[_Part, int]]] = {}
        for part, flags in drafts:
            top = tops.get((part.entity_id, part.first_s))
            if flags.at_s.size == 1 and top is not None and top.channel_id in layout.channel_ids:
                of_channel = part, layout.channel_ids.index(top.channel_id)
                by_hour.setdefault(part.first_s // 3600 * 3600 - 3600, []).append(of_channel)
        levels = {}
        for from_s, told in by_hour.items():
            ids = sorted({part.entity_id for part, _ in told})
            span = from_unix_s(from_s), from_unix_s(from_s + 7200)
            values = read_blocks(self._store, layout, ids, *span).values
            for part, column in told:
                until = (part.first_s - from_s) // layout.step_s
                read = values[ids.index(part.entity_id), :until, column]
                if np.isfinite(read).any():
                    levels[part.incident_id] = float(np.median(read[np.isfinite(read)]))
        return levels

    def _says_nothing(self, top: TopAttribution) -> bool:
        """It is the share of a state, or a number of changes, and one that is as usual."""
        column = self._states.get(top.name)
        if column is None or top.actual is None:
            return False
        if top.spread is None and top.actual != top.expected:
            return False
        usual = 0.0 if column.state == OTHER and top.expected is None else top.expected
        if usual is None:
            return False
        if column.state is None:
            return are_usual_changes(top.actual, usual)
        return is_usual_share(top.actual, usual)

    def _told_of_states(self, part: _Part, top: TopAttribution, model_id: int) -> TopAttribution:
        """What is told where a discrete channel leads: a state that training never saw, else what
        leads; where that is as usual, the state that is farthest from what was expected in the
        incident; else the next channel that is not as expected, or the longest state.
        """
        if _moved_first(top):
            return top
        channel = self._states[top.name].channel
        names = [one.name for one in self._states.values() if one.channel == channel]
        rows = self._store.rows(
            queries.SELECT_STATE_ATTRIBUTIONS,
            lineage=self._lineage,
            entity_id=part.entity_id,
            first_at=from_unix_s(part.first_s),
            last_at=from_unix_s(part.last_s),
            names=names,
        )
        if news := [row for row in rows if _moved_first(row)]:
            return max(news, key=lambda row: (_rose(row), _share_off(row)))
        if not self._says_nothing(top):
            return top
        shares = [row for row in rows if self._states[row.name].state and self._was_in(row)]
        if telling := [row for row in shares if not self._says_nothing(row)]:
            return max(telling, key=_share_off)
        others = self._store.rows(
            queries.SELECT_OTHER_ATTRIBUTIONS,
            entity_id=part.entity_id, at=top.at, model_id=model_id, names=names,
        )  # fmt: skip
        unusual = (row for row in others if self._is_unusual(row))
        return next(unusual, None) or self._longest_state(part, top, channel)

    def _is_unusual(self, row: TopAttribution) -> bool:
        """It is beyond what was expected of it."""
        if row.name in self._states:
            return self._was_in(row) and not self._says_nothing(row)
        if row.actual is None or row.expected is None or row.spread is None:
            return _moved_first(row)
        off = row.actual - row.expected
        if (period := self._periods.get(row.channel_id)) is not None:
            off = float(signed_turn(np.array(off), period))
        return abs(off) > row.spread

    def _longest_state(self, part: _Part, top: TopAttribution, channel: str) -> TopAttribution:
        """The share of the state in which the channel was for longest, of which nothing was
        expected.
        """
        shares = [one for one in self._states.values() if one.channel == channel and one.state]
        layout = select_layouts(self._store, self._dataset.dataset_id)[0]
        shares = [one for one in shares if one.name in layout.channel_names]
        columns_of = [layout.channel_names.index(one.name) for one in shares]
        hour_s = unix_s(top.at) // 3600 * 3600
        span = from_unix_s(hour_s), from_unix_s(hour_s + 3600)
        values = read_raw_blocks(self._store, layout, [part.entity_id], *span).values[0]
        seen = np.nan_to_num(values[(unix_s(top.at) - hour_s) // layout.step_s, columns_of])
        if not seen.any():
            return top._replace(actual=None)
        longest = int(np.argmax(seen))
        return top._replace(
            channel_id=layout.channel_ids[columns_of[longest]],
            name=shares[longest].name,
            actual=float(seen[longest]),
            expected=None,
            spread=None,
        )

    def _was_in(self, row: TopAttribution) -> bool:
        """It is the share of a state that the file names, or of others in which the channel was."""
        return self._states[row.name].state != OTHER or bool(row.actual)

    def _outside(self, parts: Sequence[_Part], flags: Sequence[_Flags]) -> list[str]:
        """Conditions of each incident that were outside of what training saw; empty: none."""
        if not self._has_conditions:
            return [""] * len(parts)
        rows = self._store.rows(
            queries.SELECT_OUTSIDE_CONDITIONS,
            entity_id=[part.entity_id for part in parts],
            model_id=[int(one.more["model_id"][0]) for one in flags],
            first_at=[from_unix_s(one.at_s[0]) for one in flags],
            last_at=[from_unix_s(one.at_s[-1]) for one in flags],
        )
        names = {row.number: row.channels for row in rows}
        return [names.get(number, "") for number in range(1, len(parts) + 1)]

    def _row(
        self,
        part: _Part,
        flags: _Flags,
        top: TopAttribution | None,
        outside: str,
        before: float | None,
    ) -> IncidentRow:
        name, peak, more = self._names[part.entity_id], int(np.argmax(flags.scores)), flags.more
        # A spike is seen by the windows that hold it; what is flagged for longer lasted.
        lasts = flags.at_s.size > self._window or bool(more["is_collective"].any())
        peak_score = float(_as_told(flags.scores[peak : peak + 1])[0])
        tells_load = int(more["model_id"][peak]) in self._tell_load
        others_heard = self._others_heard(part, flags, top)
        told = peak_score, top, before, others_heard
        said = self._sentence(name, *told, tells_load=tells_load)
        if outside:
            said = f"{said}; training never saw such {outside}"
        unknown = self._unknown(flags)
        said = f"{said}; continues {part.continues}" if part.continues else said
        level = int(np.where(unknown.held, 1, more["severity"]).max())
        if top is not None and self._is_inside(top):
            # What is strange by its course alone is not as urgent as what is far off.
            level = min(level, Severity.MEDIUM.rank)
        return IncidentRow(
            incident_id=part.incident_id,
            entity_id=part.entity_id,
            model_id=int(more["model_id"][0]),
            started_at=from_unix_s(flags.at_s[0]),
            last_flag_at=from_unix_s(flags.at_s[-1]),
            n_flags=flags.at_s.size,
            kind="collective" if lasts else "point",
            severity=list(Severity)[level - 1],
            peak_score=peak_score,
            peak_at=from_unix_s(flags.at_s[peak]),
            top_channel_id=top.channel_id if top else None,
            sentence=with_unknown_weekdays(said, unknown.names),
            provisional=bool(more["provisional"].any()) or bool(unknown.names),
            continues=part.continues,
            unknown_weekdays=unknown.names or None,
            held=bool(unknown.held.all()),
            direction=self._direction(top),
            moved=self._moved(top, before),
        )

    def _is_inside(self, top: TopAttribution) -> bool:
        """Whether the reading of the sentence is one that was to be expected."""
        if top.name in self._states or None in (top.actual, top.expected, top.spread):
            return False
        return not self._is_unusual(top)

    def _direction(self, top: TopAttribution | None) -> str | None:
        """Which way the reading of the sentence left what was expected; None: neither, or of a
        channel that is an angle or a state, where nothing rises.
        """
        if top is None or top.channel_id in self._periods or top.name in self._states:
            return None
        if top.actual is None or top.expected is None:
            return None
        off = top.actual - top.expected
        # Nor is any comparison with what is not a number true.
        if not abs(off) > (top.spread or 0.0):
            return None
        return RISE if off > 0 else FALL

    def _moved(self, top: TopAttribution | None, before: float | None) -> str | None:
        """Which way the reading of the sentence went since it was as expected; None: neither."""
        if top is None or self._direction(top) is None:
            return None
        way = way_moved(float(top.actual or 0), float(top.expected or 0), before)
        return {1: RISE, -1: FALL}.get(way)

    def _unknown(self, flags: _Flags) -> _Unknown:
        """What the young models that raised flags do not know of their weekdays."""
        nothing = np.zeros(flags.at_s.size, bool)
        ids = flags.more["model_id"]
        if not self._young or not np.isin(ids, [*self._young]).any():
            return _Unknown("", nothing)
        local_s = site_seconds(flags.at_s, ZoneInfo(self._dataset.site_zone))
        weekdays = weekdays_of(local_s // DAY_S)
        seldom, held = nothing.copy(), nothing.copy()
        for model_id in set(ids.tolist()) & self._young.keys():
            young, own = self._young[model_id], ids == model_id
            seldom |= own & np.isin(weekdays, unknown_weekdays(young.weekdays_seen))
            held |= own & np.isin(weekdays, young.weekdays_held)
        return _Unknown(weekdays_text(np.unique(weekdays[seldom]).tolist()), held)

    def _others_heard(self, part: _Part, flags: _Flags, top: TopAttribution | None) -> bool | None:
        """Of an incident in which there were no events, whether anything else was heard of the
        dataset in the hour of its worst flag and since its first; None: it is no such incident.
        """
        if top is None or top.channel_id not in self._events or top.actual != 0:
            return None
        if not formats.is_known(top.expected) or not top.expected:
            return None
        layout = select_layouts(self._store, self._dataset.dataset_id)[0]
        ids, at_s = sorted(self._names), unix_s(top.at)
        hour_s = at_s // 3600 * 3600
        span = from_unix_s(hour_s), from_unix_s(hour_s + 3600)
        values = read_raw_blocks(self._store, layout, ids, *span).values
        first = (max(int(flags.at_s[0]), hour_s) - hour_s) // layout.step_s
        seen = values[:, first : (at_s - hour_s) // layout.step_s + 1]
        is_events = np.isin(layout.channel_ids, list(self._events))
        heard = np.isfinite(seen) & ~(is_events & (seen == 0))
        heard[ids.index(part.entity_id), :, layout.channel_ids.index(top.channel_id)] = False
        return bool(heard.any())

    def _sentence(
        self,
        entity: str,
        peak_score: float,
        top: TopAttribution | None,
        before: float | None,
        others_heard: bool | None,
        *,
        tells_load: bool,
    ) -> str:
        if top is None:
            return incident_sentence(entity=entity, error_ratio=peak_score + 1)
        read: dict[str, Any] = {
            "actual": top.actual,
            "expected": top.expected,
            "error_ratio": peak_score + 1,
            "moved_first": _moved_first(top),
        }
        if (column := self._states.get(top.name)) is not None:
            read |= {"state": column.state, "is_known": column.state != OTHER}
            return state_sentence(entity=entity, channel=column.channel, **read)
        lower = upper = None
        if top.expected is not None:
            least, most = self._ranges.get(top.name, (-np.inf, np.inf))
            # No sensor can show what lies beyond its range.
            read["expected"] = expected = min(max(top.expected, least), most)
            read["before"] = before
            if top.spread is not None:
                lower, upper = max(expected - top.spread, least), min(expected + top.spread, most)
        read |= {"unit": top.unit, "period": self._periods.get(top.channel_id)}
        read |= {"others_heard": others_heard, "tells_load": tells_load}
        return incident_sentence(entity=entity, channel=top.name, lower=lower, upper=upper, **read)


def _sensor_ranges(config: DatasetConfig) -> dict[str, tuple[float, float]]:
    """What sensors can show, of channels with a range that are no angles."""
    ranges = {}
    for name, channel in config.channels.items():
        least, most = channel.sensor_range
        if channel.signal != Signal.ANGLE and (least, most) != (None, None):
            ends = -np.inf if least is None else least, np.inf if most is None else most
            ranges[name] = ends
    return ranges


def _expected_first(flags: _Flags, top: TopAttribution | None) -> float | None:
    """What was expected of the channel of the sentence when it was first flagged; None: nobody
    knows.
    """
    if top is None:
        return None
    its = (flags.more["channel_id"] == top.channel_id) & (flags.more["is_known"] != 0)
    first = int(np.argmax(its))
    return float(flags.more["expected"][first]) if its[first] else None


def _batches(parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    """Parts of so many flags together, or one that has more."""
    batch: list[_Part] = []
    for part in parts:
        if batch and sum(one.n_flags for one in batch) + part.n_flags > N_FLAGS:
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch


def _replaced(old: Sequence[_Part], new: Sequence[_Part]) -> dict[str, str | None]:
    """What no longer stands, and which incident took its place: the first one that it meets."""
    kept = {part.incident_id for part in new}
    return {
        one.incident_id: next(
            (
                part.incident_id
                for part in new
                if part.entity_id == one.entity_id
                and part.first_s <= one.last_s
                and part.last_s >= one.first_s
            ),
            None,
        )
        for one in old
        if one.incident_id not in kept
    }


def _worst(flags: _Flags, periods: Mapping[int, float]) -> int | None:
    """The reading farthest off in the leading channel, on the side to which it went."""
    known = np.flatnonzero(flags.more["channel_id"])
    if not known.size:
        return None
    its = flags.where(known)
    deviations = _deviations(its, periods)
    inside = np.flatnonzero(its.more["channel_id"] == _leading(its, deviations))
    off = _side(its.where(inside), deviations[inside], periods) * deviations[inside]
    farthest = 0 if np.isnan(off[0]) else int(np.argmax(np.where(np.isnan(off), -np.inf, off)))
    return int(known[inside[farthest]])


def _leading(its: _Flags, deviations: Floats64) -> int:
    """The channel of the largest share × error over flags, of those whose reading is outside of
    what was expected, where any is: the others are strange by what averages and windows remember.
    """
    channels, firsts, at = np.unique(its.more["channel_id"], return_index=True, return_inverse=True)
    weights = _as_told(its.more["share"]) * (1 + _as_told(its.scores))
    beyond = (its.more["is_known"] == 0) | (np.abs(deviations) > its.more["spread"])
    of_channels = np.bincount(at, weights * beyond if beyond.any() else weights)
    # In the order in which they come, as max of a sum that is not a number depends on it.
    return int(channels[max(np.argsort(firsts), key=lambda i: (of_channels[i], -channels[i]))])


def _side(its: _Flags, deviations: Floats64, periods: Mapping[int, float]) -> int:
    """The side of what was expected to which one channel's readings went: 1 above, -1 below."""
    side = 1 if sum(deviations.tolist()) >= 0 else -1
    below, above = -deviations.min(), deviations.max()
    if max(below, above) > CLEARLY * min(below, above) > 0:
        return 1 if above > below else -1
    if below > 0 < above and int(its.more["channel_id"][0]) not in periods:
        # Windows go on being strange for a while after a fault, with the deviation turned round:
        # where readings went from what was expected before it counts, if they went anywhere.
        known = np.flatnonzero(its.more["is_known"])
        moves = its.more["actual"][known] - its.more["expected"][known[0]]
        farthest_move = moves[int(np.argmax(np.abs(moves)))]
        if abs(farthest_move) >= np.abs(deviations).max() / 2:
            return 1 if farthest_move > 0 else -1
    return side


def _deviations(flags: _Flags, periods: Mapping[int, float]) -> Floats64:
    """Of what was read from what was expected, in the leading channel; 0 where unknown.

    `periods` are of channels that are angles: they deviate the shorter way around.
    """
    deviations = flags.more["actual"] - flags.more["expected"]
    for channel_id, period in periods.items():
        is_its = flags.more["channel_id"] == channel_id
        deviations = np.where(is_its, signed_turn(deviations, period), deviations)
    return np.where(flags.more["is_known"], deviations, 0.0)


def _moved_first(row: TopAttribution) -> bool:
    """It never moved in training, and does now."""
    return row.spread is None and row.expected not in (None, row.actual)


def _rose(row: TopAttribution) -> bool:
    return row.actual is not None and row.expected is not None and row.actual > row.expected


def _share_off(row: TopAttribution) -> float:
    """How far a share is from what was expected; 0 where unknown."""
    if row.actual is None or row.expected is None:
        return 0.0
    return abs(share_within(row.actual) - share_within(row.expected))


def _as_told(values: Floats32) -> Floats64:
    """The doubles that Postgres's texts of these numbers stand for: .1 is .1."""
    return values.astype("U").astype(np.float64)
