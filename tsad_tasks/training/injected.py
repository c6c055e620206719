"""What a model finds of the anomalies put into held-out readings, and its false alarms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.errors import BadInput
from tsad_tasks.detectors.base import Detector, Reconstruction
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.model.evaluation import runs
from tsad_tasks.model.incidents import IncidentRule, incident_spans
from tsad_tasks.model.injection import KINDS, Injection, inject_all, injection_plan
from tsad_tasks.model.scoring import InputSet, Windows, combined_errors, entity_scores
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.columns import of_windows
from tsad_tasks.scoring.fold import Copy, EntityFold, entity_folds, reconstructions
from tsad_tasks.scoring.series import SeriesErrors, on_steps, series_windows
from tsad_tasks.training.held_out import HeldOut, on_same_steps

MAX_ROUNDS, WEEK_S = 60, 604800
CONTEXT_FACTOR = 3.0
# Entities whose copies go through a fold together; all that is known of them is in memory at once.
ENTITIES_TOGETHER = 32

Delays = tuple[int | None, ...]


@dataclass(frozen=True)
class DetectionResult:
    """What a model made of the gate's part of held-out readings.

    Attributes
    ----------
    delays : steps from the beginning of each injected anomaly to its flag, None where there is
        none; by kind, in the order in which they were injected, which is the same for every model.
    n_flags, n_judged : flagged steps without injections, and how many were judged.
    n_incidents, n_weeks : what these flags amount to, in so many weeks of one entity.
    scores : float32 (n_judged,), of these steps.
    mean_error : of their windows, as the detector gives them.
    known : as `delays`, of the known anomalies in held-out readings.
    places : whose each of these anomalies is, by kind (or `known`), in the order of the delays.
    flagged_at : `n_flags` by entity and the channel that leads there.
    incidents_at : `n_incidents` by entity.
    """

    delays: Mapping[str, Delays]
    n_flags: int
    n_judged: int
    n_incidents: int = 0
    n_weeks: float = 0.0
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    mean_error: float | None = None
    known: Delays = ()
    places: Mapping[str, Sequence[str]] = field(default_factory=dict)
    flagged_at: Mapping[str, int] = field(default_factory=dict)
    incidents_at: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_injected(self) -> dict[str, int]:
        """Injected anomalies, by kind."""
        return {kind: len(found) for kind, found in self.delays.items()}

    @property
    def all_delays(self) -> Delays:
        """Delays of all kinds, in one order for every model."""
        return tuple(each for kind in sorted(self.delays) for each in self.delays[kind])

    @property
    def all_places(self) -> tuple[str, ...]:
        """Places of all kinds, in the order of `all_delays`."""
        return tuple(each for kind in sorted(self.delays) for each in self.places.get(kind, ()))

    @property
    def false_alarm_share(self) -> float | None:
        """Flagged share of the judged steps; None where nothing was judged."""
        return self.n_flags / self.n_judged if self.n_judged else None


def judge(
    spec: ModelSpec,
    detector: Detector,
    held_out: Sequence[HeldOut],
    *,
    n_injected: int,
    seed: int,
    reference: ModelSpec,
    rule: IncidentRule,
    known: Mapping[str, SeriesErrors] | None = None,
) -> DetectionResult:
    """Detection of injected anomalies and false alarms; a seed injects the same for every model.

    Parameters
    ----------
    reference : the spec that says how large an injected anomaly is, and where one can be found.
    rule : what makes an incident of flags.
    known : the detector's errors on the readings as they are, as far as they were computed before.
    """
    hits: dict[str, list[tuple[int | None, str]]] = {kind: [] for kind in KINDS}
    quota, cleans = max(1, -(-n_injected // max(1, len(held_out)))), []
    folds = series_folds(spec, cast(FoldDetector, detector), held_out) if detector.folds else {}
    n_together = ENTITIES_TOGETHER if detector.folds else 1
    for first in range(0, len(held_out), n_together):
        searches = list[tuple[JudgedSeries, Search]]()
        own_hits = list[dict[str, list[tuple[int | None, str]]]]()
        for number, part in enumerate(held_out[first : first + n_together], first):
            of_it = (known or {}).get(part.entity), folds.get(part.entity)
            judged = JudgedSeries(spec, detector, part, *of_it)
            cleans.append(judged.clean(rule))
            own_hits.append({kind: [] for kind in KINDS})
            rng = np.random.default_rng([seed, number])
            searches.append((judged, _add_hits(own_hits[-1], judged, quota, rng, reference)))
        search_together(searches)
        for found in own_hits:
            for kind, its_hits in found.items():
                hits[kind] += its_hits
    nothing = np.zeros(0, np.float32)
    scores = np.concatenate([nothing, *(one.scores for one in cleans)])
    errors = np.concatenate([nothing, *(one.errors for one in cleans)])
    named = [(part.entity, one) for part, one in zip(held_out, cleans, strict=True)]
    places = {kind: [place for _, place in found] for kind, found in hits.items()}
    places["known"] = [name for name, one in named for _ in one.known]
    return DetectionResult(
        {kind: tuple(delay for delay, _ in found) for kind, found in hits.items()},
        n_flags=sum(one.n_flags for one in cleans),
        n_judged=len(scores),
        n_incidents=sum(one.n_incidents for one in cleans),
        n_weeks=sum(one.n_weeks for one in cleans),
        scores=scores,
        mean_error=float(errors.mean(dtype=np.float64)) if errors.size else None,
        known=tuple(each for one in cleans for each in one.known),
        places=places,
        flagged_at={place: n for one in cleans for place, n in one.flagged_at.items()},
        incidents_at={name: one.n_incidents for name, one in named},
    )


def series_folds(
    spec: ModelSpec, detector: FoldDetector, held_out: Sequence[HeldOut]
) -> dict[str, EntityFold]:
    """Folds of held-out readings by entity; those on the same steps go through them together.

    Anomalies are put into the gate's part: what is before it is gone through once.
    """
    folds: dict[str, EntityFold] = {}
    for parts in on_same_steps(held_out):
        start_s, names = parts[0].start_s, [part.entity for part in parts]
        seen = [
            series_windows(spec.features, spec.scaler(part.entity), part.values, start_s)[0]
            for part in parts
        ]
        at = min(int(np.argmax(part.gated)) for part in parts)
        made = entity_folds(spec.features, detector, names, seen, start_s, at)
        folds |= dict(zip(names, made, strict=True))
    return folds


def first_flags(raised: NDArray[np.bool_], known: NDArray[np.bool_], width: int) -> Delays:
    """Steps from the beginning of each run of marks to the first flag in a window that sees it.

    Parameters
    ----------
    raised, known : (n_steps,)

    >>> first_flags(np.array([0, 0, 0, 1, 0, 0], bool), np.array([0, 1, 1, 0, 0, 1], bool), 2)
    (2, None)
    """
    return tuple(_first_flag(raised[first : end + width - 1]) for first, end in runs(known))


def _first_flag(raised: NDArray[np.bool_]) -> int | None:
    return int(raised.argmax()) if raised.any() else None


@dataclass(frozen=True)
class CleanResult:
    """What a model made of one entity's readings as they are: see `DetectionResult`."""

    n_flags: int
    n_incidents: int
    n_weeks: float
    scores: NDArray[np.float32]
    errors: NDArray[np.float32]
    known: Delays
    flagged_at: Mapping[str, int]


@dataclass(frozen=True)
class SeriesFlags:
    """Flags, where there is a score, and scores, all (n_steps,)."""

    raised: NDArray[np.bool_]
    known: NDArray[np.bool_]
    scores: NDArray[np.float32]


class JudgedSeries:
    """Flags of one entity's held-out readings, as they are and with anomalies in them.

    Attributes
    ----------
    usual : of the readings as they are.
    index : their windows.

    Parameters
    ----------
    known : the detector's errors on the readings as they are; None: they are computed.
    fold : of a folding detector, as `series_folds` makes it; None: it is made.
    """

    def __init__(
        self,
        spec: ModelSpec,
        detector: Detector,
        part: HeldOut,
        known: SeriesErrors | None = None,
        fold: EntityFold | None = None,
    ) -> None:
        self.spec, self.part, self._detector, self._fold = spec, part, detector, fold
        if detector.folds and fold is None:
            self._fold = series_folds(spec, cast(FoldDetector, detector), [part])[part.entity]
        self._features, self.index = self.seen(part.values)
        found = known
        if found is None:
            read = self._reconstructed(self._features, self.index.ends)
            scaler = spec.scaler(part.entity)
            found = on_steps(spec.features, scaler, self._features, self.index, read)
        of_it = np.zeros(len(found.live), np.int64)
        fitted = spec.scaler(part.entity).fitted
        made = combined_errors(spec, [part.entity], of_it, found.channel_errors, found.live, fitted)
        self._errors, self._by_channel = made
        self._raw = np.where(found.live, found.channel_errors, np.float32(np.nan))
        self.usual = self.flags(self._features, self.index)

    def seen(self, values: NDArray[np.float64]) -> tuple[InputSet, Windows]:
        """What the detector sees of readings on these steps."""
        scaler = self.spec.scaler(self.part.entity)
        return series_windows(self.spec.features, scaler, values, self.part.start_s)

    def _reconstructed(self, features: InputSet, ends: NDArray[np.int64]) -> Reconstruction:
        if self._fold is not None:
            return self._fold.reconstruction(features, ends)
        found = self._detector.reconstruct(features.inputs[0], ends)
        return of_windows(self.spec.features, self._detector, found, features, ends)

    def clean(self, rule: IncidentRule) -> CleanResult:
        """Flags, incidents, scores, errors of the gate's part; known anomalies found."""
        part, found, step_s = self.part, self.usual, self.spec.features.step_s
        scored = found.known & part.judged & part.gated
        raised = np.flatnonzero(found.raised & scored)
        times_s, errors = part.start_s + raised * step_s, self._errors[raised]
        spans = incident_spans(times_s, found.scores[raised], rule, step_s, errors)
        raw = self._raw[scored]
        known = np.zeros(len(scored), bool) if part.known is None else part.known
        return CleanResult(
            len(raised),
            len(spans),
            int(np.count_nonzero(scored)) * step_s / WEEK_S,
            found.scores[scored],
            raw[np.isfinite(raw)],
            first_flags(found.raised, known, self.spec.features.width),
            self._flagged_at(raised),
        )

    def place(self, channel: int) -> str:
        """The entity and one of its channels."""
        return f"{self.part.entity} {self.spec.features.channels[channel]}"

    def _flagged_at(self, raised: NDArray[np.int64]) -> dict[str, int]:
        """Flagged steps by the channel with the largest error there."""
        errors = np.nan_to_num(self._by_channel[raised], nan=-np.inf)
        row, channel = np.nonzero(self._features.moved[0, raised])
        errors[row, channel] = np.inf
        return {self.place(one): n for one, n in Counter(errors.argmax(axis=1).tolist()).items()}

    def copy(self, features: InputSet, index: Windows) -> Copy | None:
        """What the detector's fold has to go through for `flags`; None: nothing."""
        is_new = self._is_new(features, index)
        if self._fold is None or not is_new.any():
            return None
        return Copy(self._fold, features, index.ends[is_new])

    def flags(
        self, features: InputSet, index: Windows, made: Reconstruction | None = None
    ) -> SeriesFlags:
        """Flags of what is seen of readings that are the held-out ones but for a few.

        Parameters
        ----------
        made : what `reconstructions` made of their `copy`; None: it is made.
        """
        errors = self._errors_of(features, index, made)
        marks = features.has_moved, features.farthest
        scores = entity_scores(self.spec, [self.part.entity], errors[None], 0, *marks)
        return SeriesFlags(scores.flags[0], np.isfinite(scores.scores[0]), scores.scores[0])

    def _is_new(self, features: InputSet, index: Windows) -> NDArray[np.bool_]:
        """Windows with something new in them; errors of others are known."""
        changed = (features.inputs != self._features.inputs)[0].any(axis=1)
        n_before = np.concatenate(([0], np.cumsum(changed)))
        first = np.maximum(index.ends + 1 - self.spec.features.width, 0)
        # What a folding detector has seen stays with it.
        first = np.zeros_like(first) if self._detector.folds else first
        return n_before[index.ends + 1] > n_before[first]

    def _errors_of(
        self, features: InputSet, index: Windows, made: Reconstruction | None = None
    ) -> NDArray[np.float32]:
        is_new = self._is_new(features, index)
        errors = np.full(len(self.part.values), np.nan, np.float32)
        errors[index.ends] = self._errors[index.ends]
        if not is_new.any():
            return errors
        found = self._reconstructed(features, index.ends[is_new]) if made is None else made
        of_it = np.zeros(int(is_new.sum()), np.int64)
        seen = found.channel_errors, index.live[is_new], index.fitted[is_new]
        errors[index.ends[is_new]], _ = combined_errors(self.spec, [self.part.entity], of_it, *seen)
        return errors


# It is sent the flags of each copy that it yields.
Search: TypeAlias = Generator[tuple[InputSet, Windows], SeriesFlags, None]


def search_together(searches: Sequence[tuple[JudgedSeries, Search]]) -> None:
    """Goes on with all searches at once: their copies go through the fold side by side."""
    asked = [(judged, search, next(search, None)) for judged, search in searches]
    while going := [(judged, search, seen) for judged, search, seen in asked if seen is not None]:
        copies = [judged.copy(*seen) for judged, _, seen in going]
        made = iter(reconstructions([copy for copy in copies if copy is not None]))
        asked = []
        for (judged, search, seen), copy in zip(going, copies, strict=True):
            flags = judged.flags(*seen, None if copy is None else next(made))
            try:
                asked.append((judged, search, search.send(flags)))
            except StopIteration:
                continue


def _add_hits(
    hits: dict[str, list[tuple[int | None, str]]],
    judged: JudgedSeries,
    quota: int,
    rng: np.random.Generator,
    reference: ModelSpec,
) -> Search:
    """Injects in rounds, as many anomalies as fit at once, until the quota is met."""
    # Found is what raises a flag that the clean readings do not: a model that flags everything
    # finds nothing. What counts as an injection can be found: while the machine runs and is read,
    # and goes on running with it. A contextual one only where days are alike: what moves a channel,
    # most of the time, no further than days differ is none.
    n_done = n_planned = 0
    part, width = judged.part, judged.spec.features.width
    its, daily = reference.scaler(part.entity), 86400 // reference.features.step_s

    def scored_steps(values: NDArray[np.float64], index: Windows) -> NDArray[np.bool_]:
        """Steps that end a complete window of the reference, of which `index` are the model's."""
        if reference is not judged.spec:
            scaler = reference.scaler(part.entity)
            _, index = series_windows(reference.features, scaler, values, part.start_s)
        return np.isin(np.arange(len(values)), index.ends)

    scored = scored_steps(part.values, judged.index) & part.judged
    # How much a channel usually differs from the day before; 0 where nothing is known of it.
    daily_moves = its.distances(part.values[daily:], part.values[:-daily])[part.judged[daily:]]
    known = (column[np.isfinite(column)] for column in daily_moves.T)
    usual = np.array([np.median(column) if column.size else 0.0 for column in known])
    for _ in range(MAX_ROUNDS):
        plan = _placed(reference, part, quota - n_done, n_planned, rng)
        if not plan or n_done >= quota:
            return
        values = inject_all(part.values, plan, spread=its.step_of, rng=rng, daily_steps=daily)
        features, index = judged.seen(values)
        still = scored & scored_steps(values, index)
        moved = its.distances(values, part.values) > CONTEXT_FACTOR * usual
        counted = []
        for one in plan:
            steps = slice(one.at, one.at + one.length)
            n_moved = np.count_nonzero(still[steps] & moved[steps, one.channel])
            is_far = one.kind != "contextual" or 2 * n_moved >= one.length
            if is_far and (one.kind == "contextual" or still[steps].any()):
                counted.append(one)
        if counted:
            flags = yield features, index
            raised = flags.raised & ~judged.usual.raised
            for one in counted:
                delay = _first_flag(raised[one.at : one.at + one.length + width - 1])
                hits[one.kind].append((delay, judged.place(one.channel)))
        n_done, n_planned = n_done + len(counted), n_planned + len(plan)


def _placed(
    model: ModelSpec, part: HeldOut, n: int, n_before: int, rng: np.random.Generator
) -> list[Injection]:
    """A plan inside the gate's part, or inside all of the judged steps where that is too short."""
    spec, fitted = model.features, model.scaler(part.entity).fitted
    channels = np.flatnonzero(np.isfinite(part.values).any(axis=0) & fitted).tolist()
    for steps in (np.flatnonzero(part.gated), np.flatnonzero(part.judged)):
        if not steps.size:
            continue
        first, n_steps = int(steps[0]), int(steps[-1] - steps[0]) + 1
        try:
            daily = 86400 // spec.step_s
            plan = injection_plan(
                n_steps, channels, n, spec.width, rng=rng, daily_steps=daily, n_before=n_before
            )
        except BadInput:
            continue
        return [replace(one, at=one.at + first) for one in plan]
    return []
