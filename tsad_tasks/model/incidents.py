"""Runs of flags, merged into incidents, which depend only on flags near them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from itertools import pairwise

import numpy as np

from tsad_tasks.base.arrays import Floats32, Ints
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import unix_s
from tsad_tasks.model.event_rule import AlarmRule, alarm_starts


@dataclass(frozen=True)
class IncidentRule:
    """How flags become incidents.

    Attributes
    ----------
    merge_gap_s : flags at most this far apart belong together.
    max_length_s : a chain is cut this long after its first flag, and from then on at each multiple
        of it since 1970: where, the flags `reach_s` before say.
    consecutive : so many flags in a row on the grid, in a part or the one before, open it.
    min_score : smallest peak score in a part or the one before.
    refractory_s, escalation
        0: a part is one incident. Else flags at most this far apart belong together, and each
        alarm among those of a part (`event_rule.alarm_starts`) begins an incident.
    """

    merge_gap_s: int
    max_length_s: int
    consecutive: int = 1
    min_score: float = 0.0
    refractory_s: int = 0
    escalation: float = 2.0

    @property
    def gap_s(self) -> int:
        """Flags at most this far apart hang together."""
        return max(self.merge_gap_s, self.refractory_s)

    @property
    def reach_s(self) -> int:
        """No flag changes incidents that begin so much later, or more than the gap before it."""
        return 4 * (max(self.max_length_s, 1) + self.gap_s) + self.gap_s


@dataclass(frozen=True)
class IncidentSpan:
    """One incident: positions of its first, last and highest flag, and how many there are.

    `former`: position of the first flag of the incident that it continues, where a cut parts them.
    """

    first: int
    last: int
    n_flags: int
    peak: int
    former: int | None = None


def incident_spans(
    times_s: Ints, scores: Floats32, rule: IncidentRule, step_s: int, errors: Floats32 | None = None
) -> list[IncidentSpan]:
    """The incidents of one entity, ascending.

    A chain (flags with no gap above `gap_s`) that lasts too long is cut; its parts count or not as
    a whole. Of what ends after a time, flags from `reach_s` before it on give the same as all.

    Parameters
    ----------
    times_s : (n_flags,), Unix seconds of the flags, ascending, each once.
    scores : (n_flags,), scores of these flags.
    step_s : grid step in seconds.
    errors : (n_flags,), errors of these flags; only a rule with a refractory time needs them.

    Raises
    ------
    BadInput
        When the times are not ascending, or the shapes differ.

    >>> rule = IncidentRule(merge_gap_s=120, max_length_s=3600)
    >>> spans = incident_spans(np.array([0, 60, 600]), np.array([1, 3, 2], np.float32), rule, 60)
    >>> [(span.first, span.last, span.peak) for span in spans]
    [(0, 1, 1), (2, 2, 2)]
    """
    if times_s.shape != scores.shape or times_s.ndim != 1:
        received = f"{times_s.shape} and {scores.shape}"
        raise BadInput(f"Expected one time per score. Received: {received}.")
    if times_s.size > 1 and int(np.diff(times_s).min()) <= 0:
        received = "times out of order or twice"
        raise BadInput(f"Expected ascending times of flags, each once. Received: {received}.")
    if times_s.size == 0:
        return []
    starts = np.concatenate(([0], np.flatnonzero(np.diff(times_s) > rule.gap_s) + 1))
    ends = np.append(starts[1:], times_s.size)
    spans: list[IncidentSpan] = []
    for chain in zip(starts.tolist(), ends.tolist(), strict=True):
        former, was_raised = None, False
        for first, end in _parts(times_s, *chain, max(rule.max_length_s, 1)):
            breaks = np.flatnonzero(np.diff(times_s[first:end]) != step_s) + 1
            longest_row = int(np.diff(np.concatenate(([0], breaks, [end - first]))).max())
            is_high = scores[first:end].max() >= rule.min_score
            is_raised = is_high and longest_row >= rule.consecutive
            if not (is_raised or was_raised):
                former = None
                continue
            was_raised = is_raised
            for begin, stop in _alarms(times_s, errors, first, end, rule):
                peak = begin + int(np.argmax(scores[begin:stop]))
                spans.append(IncidentSpan(begin, stop - 1, stop - begin, peak, former))
                former = None
            former = spans[-1].first
    return spans


def _parts(times_s: Ints, first: int, end: int, length_s: int) -> list[tuple[int, int]]:
    """A chain as parts that last less than `length_s` each."""
    cut_s = int(times_s[first]) + length_s
    if times_s[end - 1] < cut_s:
        return [(first, end)]
    # From the first flag on only once: else all that comes would hang on how all of it began.
    further = np.arange(cut_s - cut_s % length_s + length_s, times_s[end - 1] + 1, length_s)
    cuts = first + np.searchsorted(times_s[first:end], np.concatenate(([cut_s], further)))
    return list(pairwise(np.unique([first, *cuts, end]).tolist()))


def _alarms(
    times_s: Ints, errors: Floats32 | None, first: int, end: int, rule: IncidentRule
) -> list[tuple[int, int]]:
    """The part itself, or a piece of it for each alarm."""
    if not rule.refractory_s:
        return [(first, end)]
    if errors is None:
        raise BadInput("Expected the errors of flags for a refractory time. Received: none.")
    alarm = AlarmRule(rule.refractory_s, rule.escalation)
    starts = [first + start for start in alarm_starts(times_s[first:end], errors[first:end], alarm)]
    return list(pairwise([*starts, end]))


def connected_range(times_s: Ints, start_s: int, end_s: int, merge_gap_s: int) -> tuple[int, int]:
    """Times of the first and last flag that hang together with anything in `[start_s, end_s)`.

    A flag inside may appear or go, so chains that come within the gap of the range count as well.
    Without any flag near, the range itself comes back. Who has read the flags of `[known_from_s,
    known_to_s)` has whole chains when `first - merge_gap_s >= known_from_s` and `last + merge_gap_s
    < known_to_s`; else read further and ask again. `times_s` are ascending.

    >>> connected_range(np.array([0, 500, 560, 700, 2000]), 600, 660, 100)
    (500, 700)
    """
    first = -_reach(-times_s[::-1], -start_s, merge_gap_s)
    return first, _reach(times_s, end_s, merge_gap_s)


def _reach(times_s: Ints, from_s: int, merge_gap_s: int) -> int:
    """The last of the ascending times linked to `from_s` by gaps of at most `merge_gap_s`."""
    ahead = np.concatenate(([from_s], times_s[times_s > from_s]))
    gaps = np.flatnonzero(np.diff(ahead) > merge_gap_s)
    return int(ahead[gaps[0]] if gaps.size else ahead[-1])


def incident_id(
    entity: str, dataset: str, policy_version: str, lineage: str, first_flag_at: datetime
) -> str:
    """Name of an incident: the same wherever and whenever it is found.

    Raises
    ------
    BadInput
        When the time has no zone.

    >>> from datetime import UTC
    >>> incident_id("host-1", "server_room", "v1", "live", datetime(2024, 5, 1, tzinfo=UTC))[:4]
    'INC-'
    """
    parts = (dataset, entity, policy_version, lineage, str(unix_s(first_flag_at)))
    return "INC-" + blake2b("\x1f".join(parts).encode(), digest_size=5).hexdigest()
