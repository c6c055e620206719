"""Incidents, one flag at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tsad_tasks.model.incidents import IncidentRule, IncidentSpan


def slow_incidents(
    times_s: Sequence[int], scores: Sequence[float], rule: IncidentRule, step_s: int
) -> list[IncidentSpan]:
    """Chains, then the chains that count, then their pieces."""
    chains: list[list[int]] = []
    for i, at in enumerate(times_s):
        if chains and at - times_s[chains[-1][-1]] <= rule.merge_gap_s:
            chains[-1].append(i)
        else:
            chains.append([i])
    counting = [chain for chain in chains if _counts(chain, times_s, scores, rule, step_s)]
    return [_span(piece, scores) for chain in counting for piece in _pieces(chain, times_s, rule)]


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


def _pieces(chain: Sequence[int], times_s: Sequence[int], rule: IncidentRule) -> list[list[int]]:
    pieces: list[list[int]] = []
    for i in chain:
        if pieces and times_s[i] - times_s[pieces[-1][0]] < rule.max_length_s:
            pieces[-1].append(i)
        else:
            pieces.append([i])
    return pieces


def _span(piece: Sequence[int], scores: Sequence[float]) -> IncidentSpan:
    return IncidentSpan(piece[0], piece[-1], len(piece), max(piece, key=lambda i: scores[i]))
