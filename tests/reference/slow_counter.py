"""The obvious way to read totals: one difference after the other, each with what came before it.

Times are whole seconds; the rules are those of docs/guides/signals.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

# Rates are compared as they are there, per microsecond, so that both round alike.
HOUR_S, US = 3600, 1_000_000


def _usual(
    pairs: Sequence[tuple[int, float]], at: int, judged_s: int, oldest_s: int
) -> float | None:
    """Median of the rates above zero of the 32 differences before this one."""
    rates = []
    for j in range(max(1, at - 32), at):
        (t0, v0), (t1, v1) = pairs[j - 1], pairs[j]
        if v1 > v0 and t0 >= oldest_s and t0 >= t1 // HOUR_S * HOUR_S - 7 * 86400:
            rates.append((v1 - v0) / float((t1 - t0) * US))
    return median(rates) if rates else None


def slow_differences(
    pairs: Sequence[tuple[int, float]], wraps_at: float | None, max_rate: float | None
) -> list[tuple[float, str] | None]:
    """Rate per second and mark of each total of one meter; None where nothing is before it."""
    found: list[tuple[float, str] | None] = []
    kinds: list[str] = []
    for at, (now_s, now) in enumerate(pairs):
        oldest_s = now_s // HOUR_S * HOUR_S - 7 * 86400
        if at == 0 or pairs[at - 1][0] < oldest_s:
            found.append(None)
            kinds.append("cut")
            continue
        before_s, before = pairs[at - 1]
        elapsed, rise = float((now_s - before_s) * US), now - before
        usual = _usual(pairs, at, now_s, oldest_s)
        if max_rate is not None:
            most: float | None = max_rate / US * (1 + 1e-9) * elapsed
        else:
            most = None if usual is None else usual * 5 * elapsed
        longer = at >= 2 and elapsed > 1.5 * (
            (pairs[at - 1][0] - pairs[at - 2][0]) * US if found[at - 1] is not None else 1
        )
        noisy = most
        if max_rate is not None and most is not None and usual is not None:
            noisy = min(most, usual * 5 * elapsed * 20)
        amount, mark, kind = _judged(rise, now, before, most, wraps_at, max_rate, noisy)
        is_lost = wraps_at is not None and usual is not None and usual * elapsed >= wraps_at
        if mark == "" and is_lost and (rise < 0 or longer):
            amount, mark, kind = math.nan, "wraps_unknown", "cut"
        if kind == "plain":
            tail = []
            for j in range(at - 1, max(-1, at - 33), -1):
                tail.append(j)
                if kinds[j] == "cut":
                    break
            if any(kinds[j] == "small" for j in tail):
                amount = max(0.0, now - max(pairs[j][1] for j in tail))
        if kind == "small":
            amount, kind = 0.0, "small"
        kinds.append(kind)
        found.append((amount / elapsed * US, mark))
    return found


def _judged(
    rise: float,
    now: float,
    before: float,
    most: float | None,
    wraps_at: float | None,
    max_rate: float | None,
    noisy: float | None,
) -> tuple[float, str, str]:
    """What was consumed, what is told of it, and whether totals begin anew here.

    A wrap that consumed more than `noisy` is noise where the fall is small.
    """
    if rise >= 0:
        if max_rate is not None:
            replaced = most is not None and rise > most
        else:
            replaced = most is not None and rise > 20 * most and rise > 0.01 * before
        return (math.nan, "meter_replaced", "cut") if replaced else (rise, "", "plain")
    fall = -rise
    may_be_noise = now > before / 2
    if wraps_at is not None and before <= wraps_at:
        wrapped = now + wraps_at - before
        may_be_noise &= wraps_at - wrapped <= 0.1 * wraps_at
        may_be_noise &= noisy is None or wrapped > noisy
    if may_be_noise:
        if (most is not None and fall <= most) or fall <= 1e-5 * before:
            return 0.0, "", "small"
        if most is None and fall <= 1e-3 * before:
            return 0.0, "", "small"
    if wraps_at is not None and now >= 0 and before <= wraps_at:
        wrapped = now + wraps_at - before
        if most is None:
            fits = wrapped <= wraps_at / 2
        else:
            fits = wrapped <= (most if max_rate is not None else 20 * most)
        if fits:
            return wrapped, "", "cut"
    if now >= 0 and (now == 0 or (most is not None and now <= most)):
        return now, "counter_reset", "cut"
    return math.nan, "meter_replaced", "cut"


def slow_rates(
    pairs: Sequence[tuple[int, float]],
    start_s: int,
    end_s: int,
    step_s: int,
    wraps_at: float | None = None,
    max_rate: float | None = None,
) -> tuple[dict[int, float], Counter[tuple[int, str]]]:
    """Rates per second by step, and how often what is told occurred, by hour."""
    found = slow_differences(pairs, wraps_at, max_rate)
    ending: dict[int, list[int]] = {}
    marks = Counter[tuple[int, str]]()
    for at, one in enumerate(found):
        if one is not None and start_s <= pairs[at][0] < end_s:
            ending.setdefault((pairs[at][0] - start_s) // step_s, []).append(at)
            if one[1]:
                marks[(pairs[at][0] - start_s) // HOUR_S, one[1]] += 1
    rates = {}
    for step, ats in ending.items():
        parts = [(found[at], pairs[at][0] - pairs[at - 1][0]) for at in ats]
        known = [(one[0], length) for one, length in parts if one is not None]
        first, others = known[0], known[1:]
        rest = sum(length for _, length in others)
        weights = [max(0, min(first[1], step_s - rest)) if others else 1, *(n for _, n in others)]
        total = sum(weight * rate for weight, (rate, _) in zip(weights, known, strict=True))
        rates[step] = total / sum(weights)
        per_hour = HOUR_S // step_s
        earliest = max((pairs[ats[0] - 1][0] - start_s) // step_s + 1, step // per_hour * per_hour)
        for filled in range(earliest, step):
            rates[filled] = first[0]
        if first[1] > 2 * step_s and not math.isnan(first[0]):
            marks[step // per_hour, "spread_over_gap"] += max(0, step - earliest) + 1
    return rates, marks
