"""What a training leaves out, and why: anomalies, people's words, maintenance, scores, bad data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Lineage, Verdict
from tsad_tasks.base.interval import Span, from_unix_s, merged, unix_s, without
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.registry import detector_class
from tsad_tasks.feedback.maintenance import maintenance_of
from tsad_tasks.ingest.queries import SELECT_LABELS
from tsad_tasks.model.evaluation import runs
from tsad_tasks.model.features import site_seconds, weekdays_of
from tsad_tasks.model.thresholds import severities
from tsad_tasks.model.weekdays import DAY_S, unknown_weekdays
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.scores import read_score_series
from tsad_tasks.storage.store import Query, Store
from tsad_tasks.training.queries import SELECT_BAD_HOURS, SELECT_YOUNG_PERIODS, Exclusion
from tsad_tasks.training.read_otherwise import read_otherwise
from tsad_tasks.training.reader import (
    EXTREME_REASON,
    LABEL_MARGIN_S,
    LABEL_REASON,
    Scope,
    TrainingRange,
    TrainingReader,
    is_known,
)

# An event that was expected is no fault, yet not how the machine runs either: that is what
# new_normal says.
LEFT_OUT_VERDICTS = (Verdict.CONFIRMED, Verdict.EXPECTED, Verdict.SENSOR_FAULT)
LEARNED_VERDICTS = (Verdict.FALSE_ALARM, Verdict.NEW_NORMAL)
_MARGIN = timedelta(seconds=LABEL_MARGIN_S)
_HIGH = 3
OTHER_SETTINGS = "other settings"


@dataclass(frozen=True)
class StandingVerdict:
    """A verdict as far as no later one contradicts it; champions know it from `learned_at` on."""

    verdict_id: int
    entity_id: int
    channel_id: int | None
    verdict: str
    start_at: datetime
    end_at: datetime
    learned_at: datetime | None

    @property
    def span(self) -> Span:
        return self.start_at, self.end_at


SELECT_VERDICTS = Query("training/select_verdicts", StandingVerdict)


def standing_verdicts(store: Store, dataset_id: int, lineage: str) -> list[StandingVerdict]:
    """What people said that holds: where two overlap, the later one."""
    found: list[StandingVerdict] = []
    for said in store.rows(SELECT_VERDICTS, dataset_id=dataset_id, lineage=lineage):
        cuts = {said.entity_id: [said.span]}
        found = [
            replace(old, start_at=start, end_at=end)
            for old in found
            for start, end in without(old.span, cuts.get(old.entity_id, []))
        ]
        found.append(said)
    return found


def exclusions_of(
    store: Store,
    config: DatasetConfig,
    scope: Scope,
    span: TrainingRange,
    lineage: str = Lineage.LIVE,
) -> list[Exclusion]:
    """Ranges that a training leaves out, a row each, with the reason.

    What a person called a false alarm or the new normal is learned: that wins over high scores, and
    over labels that no person set.
    """
    search = _Search(store, config, scope, span, lineage)
    said = [*search.labels(), *search.verdicts()]
    high = search.high_scores(filter(is_known, said))
    found = [*said, *search.maintenance(), *high, *search.bad_hours(), *search.other_settings()]
    # Of two that begin together for one reason, as where the training range cuts them, the longer
    # holds the other.
    found.sort(key=lambda row: row.end_at)
    longest = {(row.entity_id, row.start_at, row.reason): row for row in found}
    return [longest[key] for key in sorted(longest)]


class _Search:
    """Reasons to leave something out of one training, each as rows."""

    def __init__(
        self, store: Store, config: DatasetConfig, scope: Scope, span: TrainingRange, lineage: str
    ) -> None:
        self._store, self._config, self._span, self._lineage = store, config, span, lineage
        self._dataset_id = select_dataset(store, config.dataset).dataset_id
        self._ends = span.whole._asdict()
        self._ids = sorted(key for _, key in scope.entities)
        said = standing_verdicts(store, self._dataset_id, lineage)
        of = {"dataset_id": self._dataset_id, "lineage": lineage}
        self._young = store.rows(SELECT_YOUNG_PERIODS, **of, **self._ends)
        self._said = [one for one in said if one.entity_id in self._ids]

    def _rows(
        self, spans: Mapping[int, Sequence[Span]], reason: str, *, join: bool = True
    ) -> Iterator[Exclusion]:
        """A row for each range, those that overlap as one, cut to the training range."""
        step_s, span = self._config.step_s, self._span
        for entity_id, ranges in spans.items():
            for start, end in merged(ranges) if join else ranges:
                first, last = max(start, span.start_at), min(end, span.end_at)
                if first < last:
                    n_steps = (unix_s(last) - unix_s(first)) // step_s
                    yield Exclusion(entity_id, first, last, reason, n_steps)

    def labels(self) -> Iterator[Exclusion]:
        """Known anomalies with a margin, each by itself, as a classifier learns from them."""
        for label in self._store.rows(SELECT_LABELS, dataset_id=self._dataset_id, **self._ends):
            if label.entity_id in self._ids:
                cuts = [] if label.origin == "person" else self._learned(label.entity_id)
                parts = without((label.start_at, label.end_at), cuts)
                wide = [(start - _MARGIN, end + _MARGIN) for start, end in parts]
                reason = f"{LABEL_REASON}{label.kind}"
                yield from self._rows({label.entity_id: wide}, reason, join=False)

    def verdicts(self) -> Iterator[Exclusion]:
        """What people confirmed, expected, or put down to a sensor, with a margin."""
        for verdict in LEFT_OUT_VERDICTS:
            for key in self._ids:
                said = self._said_of(key, (verdict,))
                wide = [(one.start_at - _MARGIN, one.end_at + _MARGIN) for one in said]
                yield from self._rows({key: wide}, f"verdict: {verdict}", join=False)

    def maintenance(self) -> Iterator[Exclusion]:
        """Maintenance windows with their margins."""
        for one in maintenance_of(self._store, self._dataset_id, **self._ends):
            ids = self._ids if one.entity_id is None else [one.entity_id]
            inside = {key: [(one.start_at, one.end_at)] for key in ids if key in self._ids}
            yield from self._rows(inside, one.name)

    def high_scores(self, known: Iterable[Exclusion]) -> Iterator[Exclusion]:
        """What champions scored HIGH for long, with a margin, unless somebody says what it is."""
        named = [(row.entity_id, (row.start_at, row.end_at)) for row in known]
        for key in self._ids:
            wide = merged([(start - _MARGIN, end + _MARGIN) for start, end in self._high(key)])
            cuts = [*self._learned(key), *(span for of, span in named if of == key)]
            # From a new normal until a champion knows it: what is scored HIGH for that, unless
            # people say otherwise.
            others = [one.span for one in self._said_of(key, LEFT_OUT_VERDICTS)]
            for one in self._said_of(key, (Verdict.NEW_NORMAL,)):
                start, end = one.end_at, one.learned_at or self._span.end_at
                cuts += without((start, end), others) if start < end else []
            parts = [part for each in wide for part in without(each, cuts)]
            yield from self._rows({key: parts}, "high score")

    def bad_hours(self) -> Iterator[Exclusion]:
        """Hours of sensors out of order, each for its own channel."""
        spans = defaultdict[tuple[int, str, str], list[Span]](list)
        for bad in self._store.rows(SELECT_BAD_HOURS, entity_ids=self._ids, **self._ends):
            hour = (bad.hour_at, bad.hour_at + timedelta(hours=1))
            spans[bad.entity_id, bad.channel, bad.verdict].append(hour)
        for (entity_id, channel, verdict), hours in spans.items():
            for row in self._rows({entity_id: hours}, f"quality: {verdict} of {channel}"):
                yield replace(row, channel=channel)

    def other_settings(self) -> Iterator[Exclusion]:
        """Hours whose values today's dataset file would not give: they are of another kind."""
        found = read_otherwise(self._store, self._config, self._dataset_id, self._span.whole)
        for keys, spans in found.items():
            yield from self._rows(dict.fromkeys(self._ids, spans), f"{OTHER_SETTINGS}: {keys}")

    def _high(self, entity_id: int) -> list[Span]:
        """Runs of HIGH scores that last, merged as flags are."""
        step_s, first_s = self._config.step_s, unix_s(self._span.start_at)
        of = self._lineage, entity_id, *self._span.whole
        series = read_score_series(self._store, *of, 3600 // step_s)
        is_high = severities(series.scores) == _HIGH
        if is_high.any() and self._young:
            is_high &= ~self._unknown_weekdays(entity_id)
        ends = first_s + step_s * np.array(runs(is_high), np.int64)
        found = [(from_unix_s(a), from_unix_s(b)) for a, b in ends.reshape(-1, 2).tolist()]
        lasting = timedelta(seconds=self._config.training.high_score_lasting_s)
        gap = timedelta(seconds=self._config.alarm_policy.merge_gap_s)
        return [(start, end) for start, end in merged(found, gap) if end - start >= lasting]

    def _unknown_weekdays(self, entity_id: int) -> NDArray[np.bool_]:
        """(n_steps,), on which weekdays the champion of then was young and did not know them: what
        it called HIGH says nothing, and a weekend that is left out is never learned.
        """
        step_s, (first_at, end_at) = self._config.step_s, self._span.whole
        times_s = np.arange(unix_s(first_at), unix_s(end_at), step_s, dtype=np.int64)
        weekdays = weekdays_of(site_seconds(times_s, self._config.zone) // DAY_S)
        unknown = np.zeros(len(times_s), bool)
        for one in self._young:
            if one.scope_entity_id in (0, entity_id):
                inside = (times_s >= unix_s(one.start_at)) & (times_s < unix_s(one.end_at))
                unknown |= inside & np.isin(weekdays, unknown_weekdays(one.weekdays_seen))
        return unknown

    def _said_of(self, entity_id: int, verdicts: Sequence[str]) -> list[StandingVerdict]:
        return [one for one in self._said if one.entity_id == entity_id and one.verdict in verdicts]

    def _learned(self, entity_id: int) -> list[Span]:
        """What people want to be learned."""
        return [one.span for one in self._said_of(entity_id, LEARNED_VERDICTS)]


@dataclass(frozen=True)
class LeftOut:
    """How much of a training range is left out: running steps, those left out, those by reason."""

    n_running: int
    n_excluded: int
    by_reason: Mapping[str, int]

    @property
    def share(self) -> float:
        return self.n_excluded / self.n_running if self.n_running else 0.0

    @property
    def doubtful_share(self) -> float:
        """The share that is left out of what was read by today's settings: what the dataset file
        says otherwise now is no sign that something is wrong.
        """
        n_other = self.by_reason.get(OTHER_SETTINGS, 0)
        n_running = self.n_running - n_other
        return max(0, self.n_excluded - n_other) / n_running if n_running else 0.0

    def __add__(self, other: LeftOut) -> LeftOut:
        by_reason = Counter(self.by_reason)
        by_reason.update(other.by_reason)
        n_excluded = self.n_excluded + other.n_excluded
        return LeftOut(self.n_running + other.n_running, n_excluded, dict(by_reason))

    def with_extremes(self, exclusions: Sequence[Exclusion]) -> LeftOut:
        """The same with the values that windows left out for being out of the question."""
        n = sum(row.n_steps for row in exclusions if row.reason == EXTREME_REASON)
        return replace(self, by_reason={**self.by_reason, EXTREME_REASON: n})

    def ranking(self) -> tuple[tuple[str, int, float], ...]:
        """Reason, running steps and their share, the largest first."""
        parts = sorted(self.by_reason.items(), key=lambda part: (-part[1], part[0]))
        return tuple((name, n, n / self.n_running) for name, n in parts if n)


NOTHING = LeftOut(0, 0, {})


def left_out_of(
    reader: TrainingReader,
    entity_id: int,
    running: NDArray[np.bool_],
    exclusions: Sequence[Exclusion],
) -> LeftOut:
    """Running steps of an entity, bool (n_steps,), that exclusions take; for each reason, too."""
    ends, by_reason = reader.span.whole, dict[str, int]()
    for name in sorted({_family(row.reason) for row in exclusions}):
        rows = [row for row in exclusions if _family(row.reason) == name]
        # Of what is left out of one channel too: a step is not lost by it.
        rows = [replace(row, channel=None) for row in rows]
        by_reason[name] = int((running & reader.excluded(entity_id, ends, rows)).sum())
    n_excluded = int((running & reader.excluded(entity_id, ends, exclusions)).sum())
    return LeftOut(int(running.sum()), n_excluded, by_reason)


def left_out(reader: TrainingReader, scope: Scope, exclusions: Sequence[Exclusion]) -> LeftOut:
    """How many running steps of a range its exclusions take."""
    found = NOTHING
    for _, key, values in reader.whole_ranges(scope.entities):
        found += left_out_of(reader, key, reader.running(values), exclusions)
    return found.with_extremes(exclusions)


def _family(reason: str) -> str:
    """A reason without what is particular: all labels count as one.

    >>> _family("label: leak"), _family("high score"), _family("maintenance 3: filter")
    ('label', 'high score', 'maintenance')
    """
    return reason.split(":")[0].rstrip("0123456789 ")


def counted(exclusions: Sequence[Exclusion], config: DatasetConfig) -> list[Exclusion]:
    """The exclusions that are a loss: labels are what a supervised detector learns from."""
    if not detector_class(config.detector.name).supervised:
        return list(exclusions)
    return [row for row in exclusions if not is_known(row)]


def refusal(config: DatasetConfig, span: TrainingRange, scope: Scope, found: LeftOut) -> str:
    """Why a training is stopped that would leave out so much, and what to do."""
    shares = ", ".join(f"{reason} {share:.1%}" for reason, _, share in found.ranking())
    ends = ", ".join(f"{at:%Y-%m-%d %H:%M}" for at in span.whole)
    return (
        f"Expected at most {config.training.max_excluded_share:.0%} of the running steps of "
        f"{config.dataset} ({scope.name}) in [{ends}) UTC to be left out of training. Received: "
        f"{found.doubtful_share:.1%} ({shares}). Look: tsad explore {config.dataset} --training. "
        "What is normal by now: tsad verdict INCIDENT new_normal. Or raise "
        "training.max_excluded_share."
    )


def extreme_values(n_extreme: Sequence[int], scope: Scope, span: TrainingRange) -> list[Exclusion]:
    """What no window was learned from for being out of the question: a row per entity, counted."""
    return [
        Exclusion(key, span.start_at, span.gate_at, EXTREME_REASON, int(n))
        for (_, key), n in zip(scope.entities, n_extreme, strict=True)
        if n
    ]
