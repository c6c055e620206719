"""Figures of an evaluation, one step, one event and one threshold at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise


def slow_runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """First step and end of each run."""
    found: list[tuple[int, int]] = []
    for i, flag in enumerate(flags):
        if flag and found and found[-1][1] == i:
            found[-1] = (found[-1][0], i + 1)
        elif flag:
            found.append((i, i + 1))
    return found


def slow_events(
    labels: Sequence[bool], flags: Sequence[bool], known: Sequence[bool], gap: int, early: int
) -> tuple[int, int, int, int, int]:
    """Events, found ones, unseen ones, alarms, false alarms."""
    raised = [flag and seen for flag, seen in zip(flags, known, strict=True)]
    events, alarms = slow_runs(labels), _joined(slow_runs(raised), gap)
    found = [any(raised[max(first - early, 0) : end]) for first, end in events]
    unseen = [
        not hit and not any(known[first:end])
        for hit, (first, end) in zip(found, events, strict=True)
    ]
    false = [
        alarm
        for alarm in alarms
        if not any(a - early < alarm[1] and alarm[0] < b for a, b in events)
    ]
    return len(events) - sum(unseen), sum(found), sum(unseen), len(alarms), len(false)


def _joined(spans: list[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, end in spans:
        if joined and first - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((first, end))
    return joined


def slow_soft_label(labels: Sequence[bool], at: int, buffer_steps: int) -> float:
    """The buffered label of one step: inside 1, else what the events around add up to."""
    total = float(labels[at])
    for first, end in slow_runs(labels):
        for distance in (first - at, at - (end - 1)):
            if 0 < distance <= buffer_steps // 2:
                total += math.sqrt(1 - distance / buffer_steps)
    return min(total, 1.0)


def slow_vus(
    labels: Sequence[bool], scores: Sequence[float], max_buffer_steps: int
) -> tuple[float, float]:
    """Mean areas under the PR and ROC curves over all buffers and all thresholds."""
    areas = [_slow_areas(labels, scores, buffer) for buffer in range(max_buffer_steps + 1)]
    n = len(areas)
    return sum(pr for pr, _ in areas) / n, sum(roc for _, roc in areas) / n


def _slow_areas(
    labels: Sequence[bool], scores: Sequence[float], buffer: int
) -> tuple[float, float]:
    known = [i for i, score in enumerate(scores) if not math.isnan(score)]
    soft = [slow_soft_label(labels, i, buffer) for i in range(len(labels))]
    n_positive = (sum(labels[i] for i in known) + sum(soft[i] for i in known)) / 2
    events = [range(a, b) for a, b in slow_runs([weight > 0 for weight in soft])]
    events = [event for event in events if any(i in known for i in event)]
    points = [(0.0, 0.0, 1.0)]
    for threshold in sorted({scores[i] for i in known}, reverse=True):
        flagged = {i for i in known if scores[i] >= threshold}
        found = sum(soft[i] for i in flagged)
        existence = sum(any(i in flagged for i in event) for event in events) / len(events)
        recall = min(found / n_positive, 1.0) * existence
        points.append(
            ((len(flagged) - found) / (len(known) - n_positive), recall, found / len(flagged))
        )
    pr = sum((b[1] - a[1]) * (a[2] + b[2]) / 2 for a, b in pairwise(points))
    closed = [*points, (1.0, 1.0, 0.0)]
    roc = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(closed))
    return pr, roc


def slow_best_f1(labels: Sequence[bool], scores: Sequence[float]) -> float:
    """The highest F1 of any threshold."""
    best = 0.0
    for threshold in [-math.inf, *scores]:
        flagged = [i for i, score in enumerate(scores) if score > threshold]
        hits = sum(labels[i] for i in flagged)
        n_known_anomalies = sum(
            label for label, score in zip(labels, scores, strict=True) if score == score
        )
        best = max(best, 2 * hits / (len(flagged) + n_known_anomalies) if flagged else 0.0)
    return best


def slow_overlap(train: Sequence[int], test: Sequence[int], width: int) -> float:
    """Share of test windows, named by their last step, that share a step with a training window."""
    seen = {step for end in train for step in range(end - width + 1, end + 1)}
    return sum(any(step in seen for step in range(end - width + 1, end + 1)) for end in test) / len(
        test
    )
