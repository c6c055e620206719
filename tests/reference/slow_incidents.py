"""Incidents, one flag at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tsad_tasks.model.incidents import IncidentRule, IncidentSpan


def slow_incidents(
    times_s: Sequence[int], scores: Sequence[float], rule: IncidentRule, step_s: int
) -> list[IncidentSpan]:
    """Chains, then their parts, then the parts that count."""
    chains: list[list[int]] = []
    for i, at in enumerate(times_s):
        if chains and at - times_s[chains[-1][-1]] <= rule.merge_gap_s:
            chains[-1].append(i)
        else:
            chains.append([i])
    spans = []
    for chain in chains:
        before: list[int] = []
        former = None
        for part in _parts(chain, times_s, rule):
            is_raised = any(
                _counts(one, times_s, scores, rule, step_s) for one in (part, before) if one
            )
            if is_raised:
                peak = max(part, key=lambda i: scores[i])
                spans.append(IncidentSpan(part[0], part[-1], len(part), peak, former))
            former = part[0] if is_raised else None
            before = part
    return spans


def _counts(
    chain: Sequence[int],
    times_s: Sequence[int],
    scores: Sequence[float],
    rule: IncidentRule,
    step_s: int,
) -> bool:
    row = best = 1
    for before, i in pairwise(chain):
        row = row + 1 if times_s[i] - times_s[before] == step_s else 1
        best = max(best, row)
    return best >= rule.consecutive and max(scores[i] for i in chain) >= rule.min_score


def _parts(chain: Sequence[int], times_s: Sequence[int], rule: IncidentRule) -> list[list[int]]:
    parts: dict[int, list[int]] = {}
    first_cut_s = times_s[chain[0]] + rule.max_length_s
    for i in chain:
        # How many multiples of the longest length lie between the first cut and the flag.
        n_cuts = times_s[i] // rule.max_length_s - first_cut_s // rule.max_length_s
        parts.setdefault(n_cuts if times_s[i] >= first_cut_s else -1, []).append(i)
    return list(parts.values())
