"""What a model finds of the anomalies put into held-out readings, and its false alarms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Signal
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import Detector, Reconstruction
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.model.evaluation import runs
from tsad_tasks.model.incidents import IncidentRule, incident_spans
from tsad_tasks.model.injection import KINDS, Injection, inject_all, injection_plan
from tsad_tasks.model.injection_site import Site
from tsad_tasks.model.scoring import InputSet, Windows, combined_errors, entity_scores
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.columns import channel_values, of_windows, state_columns
from tsad_tasks.scoring.fold import Copy, EntityFold, entity_folds, reconstructions
from tsad_tasks.scoring.series import SeriesErrors, on_steps, series_windows
from tsad_tasks.training.held_out import HeldOut, on_same_steps

# Rounds of injections, and how many of them in a row may come to nothing.
MAX_ROUNDS, MAX_EMPTY, WEEK_S = 60, 8, 604800
FAR = 10.0
# Entities whose copies go through a fold together; all that is known of them is in memory at once.
ENTITIES_TOGETHER = 32

Delays = tuple[int | None, ...]
# Lowest and highest values that channels can have, (n_channels,) each, infinite where nobody said.
Ends = tuple[NDArray[np.float64], NDArray[np.float64]]


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
    chance : share of the anomalies that flags like those on clean readings find, by kind.
    explained : share of how held-out readings vary that is expected, see `explained_share`.
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
    chance: Mapping[str, float] = field(default_factory=dict)
    explained: float | None = None

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
    ends: Ends | None = None,
) -> DetectionResult:
    """Detection of injected anomalies and false alarms; a seed injects the same for every model.

    Parameters
    ----------
    reference : the spec that says what an anomaly is, and where one can be found.
    rule : what makes an incident of flags.
    known : the detector's errors on the readings as they are, as far as they were computed before.
    ends : what the dataset file says of the channels' values, see `value_ends`.
    """
    hits: dict[str, list[Hit]] = {kind: [] for kind in KINDS}
    quota, cleans = max(1, -(-n_injected // max(1, len(held_out)))), []
    folds = series_folds(spec, cast(FoldDetector, detector), held_out) if detector.folds else {}
    n_together = ENTITIES_TOGETHER if detector.folds else 1
    for first in range(0, len(held_out), n_together):
        searches = list[tuple[JudgedSeries, Search]]()
        own_hits = list[dict[str, list[Hit]]]()
        for number, part in enumerate(held_out[first : first + n_together], first):
            of_it = (known or {}).get(part.entity), folds.get(part.entity)
            judged = JudgedSeries(spec, detector, part, *of_it)
            cleans.append(judged.clean(rule))
            own_hits.append({kind: [] for kind in KINDS})
            rng = np.random.default_rng([seed, number])
            site = site_of(reference, part, ends)
            # Each entity goes on with the kinds where the one before it stopped.
            turns = quota, number * quota
            search = _add_hits(own_hits[-1], judged, site, turns, rng, reference)
            searches.append((judged, search))
        search_together(searches)
        for found in own_hits:
            for kind, its_hits in found.items():
                hits[kind] += its_hits
    nothing = np.zeros(0, np.float32)
    scores = np.concatenate([nothing, *(one.scores for one in cleans)])
    errors = np.concatenate([nothing, *(one.errors for one in cleans)])
    named = [(part.entity, one) for part, one in zip(held_out, cleans, strict=True)]
    places = {kind: [hit.place for hit in found] for kind, found in hits.items()}
    places["known"] = [name for name, one in named for _ in one.known]
    return DetectionResult(
        {kind: tuple(hit.delay for hit in found) for kind, found in hits.items()},
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
        chance={
            kind: float(np.mean([hit.chance for hit in found]))
            for kind, found in hits.items()
            if found
        },
        explained=explained_share([one.values for one in cleans], [one.left for one in cleans]),
    )


def value_ends(config: DatasetConfig, names: Sequence[str]) -> Ends:
    """Between which values the dataset file says that channels, by name, can be."""
    ends = np.full((2, len(names)), np.inf)
    ends[0] = -np.inf
    for position, name in enumerate(names):
        channel = config.channels.get(name)
        if channel is None or channel.signal != Signal.GAUGE:
            continue
        for end, said in zip(ends, channel.sensor_range, strict=True):
            end[position] = end[position] if said is None else said
    return ends[0], ends[1]


def site_of(model: ModelSpec, part: HeldOut, ends: Ends | None = None) -> Site:
    """Held-out readings of an entity, as far as they say what an anomaly of it would be."""
    spec, clean = model.features, part.judged | part.learned
    of_it = spec, model.scaler(part.entity), part.values, part.start_s, clean
    return Site(*of_it, ends, state_columns(spec.channels))


def explained_share(
    values: Sequence[NDArray[np.float32]], left: Sequence[NDArray[np.float32]]
) -> float | None:
    """Which share of the variance of scaled values is expected: 0 where nothing is, or a constant.

    None where nothing is known, or nothing varies. Values and what is left of them, each
    (n_steps, n_channels), are of one entity each; what is far off counts as `FAR` scales.

    >>> values = np.array([[1.0], [-1.0], [2.0], [-2.0]], np.float32)
    >>> explained_share([values], [values]), explained_share([values], [values / 2])
    (0.0, 0.75)
    """
    varies = remains = 0.0
    for read, off in zip(values, left, strict=True):
        known = np.isfinite(off) & np.isfinite(read)
        n_known = np.maximum(known.sum(axis=0), 1)
        near = np.where(known, np.clip(read, -FAR, FAR), 0.0).astype(np.float64)
        usual = near.sum(axis=0) / n_known
        varies += float((np.where(known, near - usual, 0.0) ** 2).sum())
        remains += float((np.where(known, np.clip(off, -FAR, FAR), 0.0) ** 2).sum())
    return 1 - remains / varies if varies > 0 else None


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
    """What a model made of one entity's readings as they are: see `DetectionResult`.

    Attributes
    ----------
    values, left : scaled, of the scored steps, and what the model leaves of them.
    """

    n_flags: int
    n_incidents: int
    n_weeks: float
    scores: NDArray[np.float32]
    errors: NDArray[np.float32]
    known: Delays
    flagged_at: Mapping[str, int]
    values: NDArray[np.float32]
    left: NDArray[np.float32]


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
        self._left = found.residuals
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
            channel_values(self.spec.features, self._features)[0, scored],
            self._left[scored],
        )

    def chance(self, n_steps: int, scored: NDArray[np.bool_]) -> float:
        """How often so many clean steps in a row, beginning at a scored one, hold a flag."""
        n_before = np.concatenate(([0], np.cumsum(self.usual.raised)))
        starts = np.flatnonzero(scored)
        ends = np.minimum(starts + n_steps, len(self.usual.raised))
        return float((n_before[ends] > n_before[starts]).mean()) if starts.size else 0.0

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


@dataclass(frozen=True)
class Hit:
    """What became of one injected anomaly.

    Attributes
    ----------
    delay : steps to its flag; None: there is none.
    place : whose it is.
    chance : how often as many clean steps hold a flag.
    """

    delay: int | None
    place: str
    chance: float


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
    hits: dict[str, list[Hit]],
    judged: JudgedSeries,
    site: Site,
    turns: tuple[int, int],
    rng: np.random.Generator,
    reference: ModelSpec,
) -> Search:
    """Injects in rounds, as many anomalies as fit at once, until there are enough.

    Parameters
    ----------
    turns : how many are enough, and how many turns the kinds have had before.
    """
    # Found is what raises a flag that the clean readings do not: a model that flags everything
    # finds nothing. What counts as an injection can be found: while the machine runs and is read,
    # and goes on running with it.
    (quota, n_turns), n_done, n_empty = turns, 0, 0
    part, width = judged.part, judged.spec.features.width

    def scored_steps(values: NDArray[np.float64], index: Windows) -> NDArray[np.bool_]:
        """Steps that end a complete window of the reference, of which `index` are the model's."""
        if reference is not judged.spec:
            scaler = reference.scaler(part.entity)
            _, index = series_windows(reference.features, scaler, values, part.start_s)
        return np.isin(np.arange(len(values)), index.ends)

    scored = scored_steps(part.values, judged.index) & part.judged
    for _ in range(MAX_ROUNDS):
        if n_done >= quota or n_empty >= MAX_EMPTY:
            return
        plan, n_more = _plan(site, part, scored, quota - n_done, n_turns, rng)
        n_turns += n_more
        values = inject_all(site, plan)
        features, index = judged.seen(values)
        still = scored & scored_steps(values, index)
        counted = [one for one in plan if still[one.steps].any()]
        if counted:
            flags = yield features, index
            raised = flags.raised & ~judged.usual.raised
            for one in counted:
                seen = one.length + width - 1
                delay = _first_flag(raised[one.at : one.at + seen])
                chance = judged.chance(seen, scored)
                hits[one.kind].append(Hit(delay, judged.place(one.channel), chance))
        n_done, n_empty = n_done + len(counted), 0 if counted else n_empty + 1


def _plan(
    site: Site,
    part: HeldOut,
    scored: NDArray[np.bool_],
    n: int,
    n_turns: int,
    rng: np.random.Generator,
) -> tuple[list[Injection], int]:
    """A plan inside the gate's part, or inside all of the judged steps where that is too short."""
    plan: list[Injection] = []
    n_more = 0
    for steps in (scored & part.gated, scored):
        if not plan:
            plan, n_more = injection_plan(
                site, steps, n, site.spec.width, rng=rng, n_before=n_turns
            )
    return plan, max(n_more, 1)
