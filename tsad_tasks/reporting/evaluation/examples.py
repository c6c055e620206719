"""Stretches to show in an evaluation: the clearest find, the most usual one, a miss and a false
alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.interval import from_unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.model.evaluation import runs
from tsad_tasks.model.scoring import entity_features
from tsad_tasks.reporting.drawing.series import ChannelSeries, ScoreSeries
from tsad_tasks.reporting.evaluation.content import Example
from tsad_tasks.reporting.evaluation.judged_readings import Part, Scored, Stretch, Subject
from tsad_tasks.scoring.expected import ExpectedReadings, expected_readings
from tsad_tasks.text.formats import ratio_text

PAD_WINDOWS = 4
MIN_PAD_STEPS = 60
MAX_STEPS = 900


@dataclass(frozen=True, eq=False)
class _Found:
    """An event or an alarm of one stretch: steps [first, end), its highest score, and what it
    is.
    """

    scored: Scored
    kind: str
    first: int
    end: int
    peak: float
    at: int


def examples(
    config: DatasetConfig, subject: Subject, found: Sequence[Scored], parts: Sequence[Part]
) -> list[Example]:
    """At most four examples from one part that was not learned from: the test part, if it has known
    anomalies.
    """
    held_out = sorted((part for part in parts if part.name != "training"), key=_order)
    events = {
        part: [one for each in found for one in _events(subject, each, part)] for part in held_out
    }
    for part in sorted(held_out, key=lambda part: not events[part]):
        alarms = [one for each in found for one in _false_alarms(subject, each, part)]
        chosen = _chosen(events[part], alarms)
        if chosen:
            return [_example(config, subject, title, one) for title, one in chosen]
    return []


def _order(part: Part) -> int:
    return ["test", "later", "validation"].index(part.name)


def _events(subject: Subject, one: Scored, part: Part) -> Iterator[_Found]:
    """The known anomalies of a part that the model has a score for."""
    spec = subject.spec.features
    steps = part.steps(one.stretch.start_s, spec.step_s)
    for kind, first, end in one.stretch.events:
        if steps.start <= first < steps.stop:
            known = _found(one, kind, first, min(end + spec.width - 1, steps.stop))
            if known is not None:
                yield known


def _false_alarms(subject: Subject, one: Scored, part: Part) -> Iterator[_Found]:
    spec = subject.spec.features
    steps = part.steps(one.stretch.start_s, spec.step_s)
    for first, end in (runs(one.alarms[steps]) + steps.start).tolist():
        near = slice(max(first - spec.width + 1, 0), end)
        known = _found(one, "false alarm", first, end)
        if known is not None and not (
            one.stretch.labels[near].any() or one.stretch.ignored[first:end].any()
        ):
            yield known


def _found(one: Scored, kind: str, first: int, end: int) -> _Found | None:
    scores = np.where(np.isfinite(one.scores[first:end]), one.scores[first:end], -np.inf)
    at = int(np.argmax(scores))
    return (
        _Found(one, kind, first, end, float(scores[at]), first + at)
        if np.isfinite(scores[at])
        else None
    )


def _chosen(events: Sequence[_Found], alarms: Sequence[_Found]) -> list[tuple[str, _Found]]:
    hits = sorted((one for one in events if _is_hit(one)), key=lambda one: one.peak)
    misses = sorted(
        (one for one in events if not _is_hit(one)), key=lambda one: one.first - one.end
    )
    false = sorted(alarms, key=lambda one: -one.peak)
    chosen = [("Found, the clearest", hits[-1])] if hits else []
    chosen += [("Found, one in the middle", hits[len(hits) // 2])] if len(hits) > 2 else []
    chosen += [(_miss_title(misses[0]), misses[0])] if misses else []
    return chosen + ([("False alarm, the highest", false[0])] if false else [])


def _miss_title(one: _Found) -> str:
    is_flagged = one.scored.flags[one.first : one.end].any()
    return "Flagged, but too briefly or too little for an alarm" if is_flagged else "Missed"


def _is_hit(one: _Found) -> bool:
    return bool(one.scored.alarms[one.first : one.end].any())


def _example(config: DatasetConfig, subject: Subject, title: str, one: _Found) -> Example:
    scored, stretch = one.scored, one.scored.stretch
    steps = _excerpt(subject, one)
    expected = _expected(subject, one, steps)
    channel = _channel(subject, one, expected.channel_errors[one.at - steps.start])
    name = subject.spec.features.channels[channel]
    times = (stretch.start_s + np.arange(steps.start, steps.stop) * config.source.step_s).astype(
        "datetime64[s]"
    )
    half = expected.spread[channel]
    middle = expected.expected[:, channel]
    series = ChannelSeries(
        name=name,
        unit=config.source.channels[name].unit or "" if name in config.source.channels else "",
        times=times,
        values=expected.actual[:, channel],
        expected=middle,
        lower=middle - half,
        upper=middle + half,
    )
    scores = ScoreSeries(times, scored.errors[steps], scored.thresholds[steps], scored.flags[steps])
    known = [event for event in stretch.events if event[1] < steps.stop and event[2] > steps.start]
    ranges = tuple(
        (_at(config, stretch, first), _at(config, stretch, end)) for _, first, end in known
    )
    what = "" if one.kind == "false alarm" else f": {one.kind}"
    ratio = f"highest error {ratio_text(1 + one.peak)} times its threshold"
    return Example(
        f"{title}{what} · {stretch.entity} · {ratio}", stretch.entity, series, scores, ranges
    )


def _at(config: DatasetConfig, stretch: Stretch, step: int) -> datetime:
    return from_unix_s(stretch.start_s + step * config.source.step_s)


def _excerpt(subject: Subject, one: _Found) -> slice:
    """Steps around an example, with room to see what is usual."""
    pad = max(PAD_WINDOWS * subject.spec.features.width, MIN_PAD_STEPS)
    first, end = max(one.first - pad, 0), min(one.end + pad, len(one.scored.scores))
    return (
        slice(first, min(end, first + MAX_STEPS))
        if one.at < first + MAX_STEPS
        else slice(one.at - pad, one.at + pad)
    )


def _expected(subject: Subject, one: _Found, steps: slice) -> ExpectedReadings:
    """What the model expected there; a folding model is followed from the first step on."""
    reach = (
        steps.start
        if subject.detector.folds
        else min(subject.spec.features.reach_steps, steps.start)
    )
    from_step = steps.start - reach
    stretch = one.scored.stretch
    start_s = stretch.start_s + from_step * subject.spec.features.step_s
    found = expected_readings(
        subject.spec,
        subject.detector,
        stretch.entity,
        stretch.values[from_step : steps.stop],
        start_s,
    )
    return ExpectedReadings(
        found.actual[reach:], found.expected[reach:], found.spread, found.channel_errors[reach:]
    )


def _channel(subject: Subject, one: _Found, errors: NDArray[np.float32]) -> int:
    """The channel with the largest error (n_channels,) at a step; where all are the same, what the
    detector says.
    """
    parts = _explained(subject, one) if subject.detector.judges_windows else errors
    return int(np.argmax(np.where(np.isfinite(errors), np.nan_to_num(parts, nan=0.0), -np.inf)))


def _explained(subject: Subject, one: _Found) -> NDArray[np.float32]:
    """Share of each channel in the error of an example's window, (n_channels,); NaN where it is
    unknown.
    """
    spec, stretch = subject.spec.features, one.scored.stretch
    first = max(one.at - spec.reach_steps, 0)
    start_s = stretch.start_s + first * spec.step_s
    scaler = subject.spec.scaler(stretch.entity)
    features = entity_features(spec, [scaler], stretch.values[None, first : one.at + 1], start_s)
    ends = np.array([one.at - first])
    return np.asarray(
        subject.detector.channel_shares(features.inputs[0], ends, spec.channel_inputs)[0]
    )
