"""Windows, one step at a time."""

from __future__ import annotations

from collections.abc import Sequence


def slow_windows(
    present: Sequence[Sequence[bool]],
    running: Sequence[int],
    context_ok: Sequence[bool],
    *,
    width: int,
    min_coverage: float,
) -> tuple[list[int], list[list[bool]], list[int]]:
    """Ends, live channels and reasons, as `core.windows.window_index` has them."""
    ends, lives, reasons = [], [], []
    for t in range(len(present)):
        steps = range(t - width + 1, t + 1)
        live = [
            t >= width - 1 and all(present[s][c] for s in steps) for c in range(len(present[0]))
        ]
        reason = _reason(t, present, running, context_ok, steps, live, min_coverage)
        reasons.append(reason)
        if reason == 0:
            ends.append(t)
            lives.append(live)
    return ends, lives, reasons


def _reason(
    t: int,
    present: Sequence[Sequence[bool]],
    running: Sequence[int],
    context_ok: Sequence[bool],
    steps: range,
    live: Sequence[bool],
    min_coverage: float,
) -> int:
    if running[t] in (3, 4):
        return running[t]
    if not any(present[t]):
        return 1
    if running[t] != 0:
        return running[t]
    if t < len(steps) - 1:
        return 8
    usable = all(running[s] == 0 and context_ok[s] for s in steps)
    return 0 if usable and any(live) and sum(live) / len(live) >= min_coverage else 2
