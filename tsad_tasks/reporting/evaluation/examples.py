"""What an evaluation shows: the clearest find, a usual one, a miss and a false alarm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.base.interval import from_unix_s
from tsad_tasks.config import DatasetConfig
from tsad_tasks.model.evaluation import runs
from tsad_tasks.model.scoring import entity_features
from tsad_tasks.reporting.drawing.series import ChannelSeries, ScoreSeries
from tsad_tasks.reporting.evaluation.content import Example
from tsad_tasks.reporting.evaluation.judged_readings import JudgedPart, Scored, Subject
from tsad_tasks.scoring.columns import channel_shares
from tsad_tasks.scoring.expected import ExpectedReadings, expected_readings
from tsad_tasks.text.formats import ratio_text

PAD_WINDOWS = 4
MIN_PAD_STEPS = 60
MAX_STEPS = 900


@dataclass(frozen=True, eq=False)
class _Stretch:
    """An event or an alarm: steps [first, end) of a stretch, its highest score, and what it is."""

    scored: Scored
    kind: str
    first: int
    end: int
    peak: float
    at: int

    @classmethod
    def of(cls, scored: Scored, kind: str, first: int, end: int) -> _Stretch | None:
        """The steps with their highest score; None where none is known."""
        scores = scored.scores[first:end]
        if not np.isfinite(scores).any():
            return None
        at = int(np.argmax(np.where(np.isfinite(scores), scores, -np.inf)))
        return cls(scored, kind, first, end, float(scores[at]), first + at)

    @property
    def is_hit(self) -> bool:
        """Whether an alarm touches it."""
        return bool(self.scored.alarms[self.first : self.end].any())


def examples(
    config: DatasetConfig, subject: Subject, found: Sequence[Scored], parts: Sequence[JudgedPart]
) -> list[Example]:
    """At most four examples from one held-out part: test, if it has known anomalies."""
    names = ["test", "later", "validation"]
    held_out = [part for name in names for part in parts if part.name == name]
    events = {part: list(_events(subject, found, part)) for part in held_out}
    for part in sorted(held_out, key=lambda part: not events[part]):
        chosen = _chosen(events[part], list(_false_alarms(subject, found, part)))
        if chosen:
            return [_example(config, subject, title, one) for title, one in chosen]
    return []


def _events(subject: Subject, found: Sequence[Scored], part: JudgedPart) -> Iterator[_Stretch]:
    """The known anomalies of a part that the model has a score for."""
    spec = subject.spec.features
    for one in found:
        steps = part.steps(one.stretch.start_s, spec.step_s)
        own = [event for event in one.stretch.events if steps.start <= event[1] < steps.stop]
        for kind, first, end in own:
            event = _Stretch.of(one, kind, first, min(end + spec.width - 1, steps.stop))
            if event is not None:
                yield event


def _false_alarms(
    subject: Subject, found: Sequence[Scored], part: JudgedPart
) -> Iterator[_Stretch]:
    """The alarms of a part without a known anomaly in their windows."""
    spec = subject.spec.features
    for one in found:
        steps = part.steps(one.stretch.start_s, spec.step_s)
        for first, end in (runs(one.alarms[steps]) + steps.start).tolist():
            alarm = _Stretch.of(one, "false alarm", first, end)
            near = slice(max(first - spec.width + 1, 0), end)
            is_known = one.stretch.labels[near].any() or one.stretch.ignored[first:end].any()
            if alarm is not None and not is_known:
                yield alarm


def _chosen(
    events: Sequence[_Stretch], alarms: Sequence[_Stretch]
) -> Iterator[tuple[str, _Stretch]]:
    """The examples that tell most, each with what it is."""
    hits = sorted((one for one in events if one.is_hit), key=lambda one: one.peak)
    misses = [one for one in events if not one.is_hit]
    if hits:
        yield "Found, the clearest", hits[-1]
    if len(hits) > 2:
        yield "Found, one in the middle", hits[len(hits) // 2]
    if misses:
        longest = max(misses, key=lambda one: one.end - one.first)
        is_flagged = longest.scored.flags[longest.first : longest.end].any()
        too_little = "Flagged, but too briefly or too little for an alarm"
        yield too_little if is_flagged else "Missed", longest
    if alarms:
        yield "False alarm, the highest", max(alarms, key=lambda one: one.peak)


def _example(config: DatasetConfig, subject: Subject, title: str, one: _Stretch) -> Example:
    scored, stretch, step_s = one.scored, one.scored.stretch, config.step_s
    # Steps around it, with room to see what is usual.
    pad = max(PAD_WINDOWS * subject.spec.features.width, MIN_PAD_STEPS)
    first, end = max(one.first - pad, 0), min(one.end + pad, len(scored.scores))
    steps = slice(first, min(end, first + MAX_STEPS))
    if one.at >= first + MAX_STEPS:
        steps = slice(one.at - pad, one.at + pad)
    expected = _expected(subject, one, steps)
    channel = _channel(subject, one, expected.channel_errors[one.at - steps.start])
    name = subject.spec.features.channels[channel]
    seconds = stretch.start_s + np.arange(steps.start, steps.stop) * step_s
    times = seconds.astype("datetime64[s]")
    middle, half = expected.expected[:, channel], expected.spread[channel]
    series = ChannelSeries(
        name=name,
        unit=config.channels[name].shown_unit or "" if name in config.channels else "",
        times=times,
        values=expected.actual[:, channel],
        expected=middle,
        lower=middle - half,
        upper=middle + half,
    )
    scores = ScoreSeries(times, scored.errors[steps], scored.thresholds[steps], scored.flags[steps])
    ranges = tuple(
        (from_unix_s(stretch.start_s + first * step_s), from_unix_s(stretch.start_s + end * step_s))
        for _, first, end in stretch.events
        if first < steps.stop and end > steps.start
    )
    what = "" if one.kind == "false alarm" else f": {one.kind}"
    ratio = f"highest error {ratio_text(1 + one.peak)} times its threshold"
    title = f"{title}{what} · {stretch.entity} · {ratio}"
    return Example(title, stretch.entity, series, scores, ranges)


def _expected(subject: Subject, one: _Stretch, steps: slice) -> ExpectedReadings:
    """What the model expected there; a folding model is followed from the first step on."""
    spec, stretch = subject.spec, one.scored.stretch
    first = 0 if subject.detector.folds else max(steps.start - spec.features.reach_steps, 0)
    values = stretch.values[first : steps.stop]
    start_s = stretch.start_s + first * spec.features.step_s
    found = expected_readings(spec, subject.detector, stretch.entity, values, start_s)
    shown = slice(steps.start - first, None)
    return ExpectedReadings(
        found.actual[shown], found.expected[shown], found.spread, found.channel_errors[shown]
    )


def _channel(subject: Subject, one: _Stretch, errors: Floats32) -> int:
    """The channel with the largest error (n_channels,); where all are the same, the detector's."""
    parts = errors
    if subject.detector.judges_windows:
        spec, stretch = subject.spec.features, one.scored.stretch
        first = max(one.at - spec.reach_steps, 0)
        start_s = stretch.start_s + first * spec.step_s
        scaler, values = subject.spec.scaler(stretch.entity), stretch.values[first : one.at + 1]
        inputs = entity_features(spec, [scaler], values[None], start_s).inputs[0]
        end = np.array([one.at - first])
        parts = channel_shares(spec, subject.detector, inputs, end)[0]
    return int(np.argmax(np.where(np.isfinite(errors), np.nan_to_num(parts, nan=0.0), -np.inf)))
