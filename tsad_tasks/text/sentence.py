"""Sentences that are generated once and read the same in mail, page, PDF and command line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from tsad_tasks.text.formats import (
    count_text,
    counted,
    expected_text,
    half_width,
    is_known,
    joined,
    ratio_text,
    share_text,
    value_text,
)

_WORDS = (
    "none",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_MOST_NAMED = 4


def incident_sentence(
    *,
    entity: str,
    channel: str | None = None,
    unit: str | None = None,
    actual: float | None = None,
    expected: float | None = None,
    lower: float | None = None,
    upper: float | None = None,
    error_ratio: float | None = None,
    stopped_varying: bool = False,
) -> str:
    """What happened and what had been expected, in one sentence without a full stop.

    Parameters
    ----------
    channel, actual, expected, lower, upper
        The channel that carries most of the error, its worst reading in `unit`, and what was
        expected then; `None` or NaN is unknown.
    error_ratio
        The highest error divided by its threshold, used where no expected range is known.
    stopped_varying
        Whether the channel held one value where it should have moved.

    Examples
    --------
    >>> incident_sentence(entity="web-02", channel="CPU", unit="%", actual=97.1, expected=41.8, lower=38.8, upper=44.8)
    'web-02: CPU rose to 97.1 %; 41.8 ± 3.0 % was expected'
    >>> incident_sentence(entity="web-02", channel="CPU", unit="%", actual=97.1, expected=41.8, error_ratio=4.2)
    'web-02: CPU rose to 97.1 %; error 4.20 times its threshold'
    >>> incident_sentence(entity="web-02", error_ratio=4.2)
    'web-02: error 4.20 times its threshold'
    """
    reached = _reached(error_ratio)
    if channel is None or actual is None or not is_known(actual):
        return f"{entity}: {_unread(channel, reached)}"
    spread = half_width(lower, upper)
    value = value_text(actual, unit, spread)
    if spread is None or lower is None or upper is None:
        tail = f"; {reached}" if reached else ""
        return f"{entity}: {channel} {_verb(actual, expected, stopped_varying)} {value}{tail}"
    wanted = expected_text(expected, lower, upper, unit)
    if stopped_varying or not lower <= actual <= upper:
        middle = expected if is_known(expected) else (lower + upper) / 2
        return f"{entity}: {channel} {_verb(actual, middle, stopped_varying)} {value}; {wanted} was expected"
    return f"{entity}: {channel} was {value}, inside the expected {wanted}; its course was unusual{_in_brackets(reached)}"


def stopped_varying(
    actual: npt.NDArray[np.floating],
    lower: npt.NDArray[np.floating],
    upper: npt.NDArray[np.floating],
) -> bool:
    """Whether at least five known readings stayed within 1 % of the expected range's width.

    >>> flat, low, high = np.full(6, 4.2), np.full(6, 4.0), np.full(6, 5.0)
    >>> stopped_varying(flat, low, high), stopped_varying(np.linspace(4, 5, 6), low, high)
    (True, False)
    """
    known = actual[np.isfinite(actual)]
    widths = (upper - lower)[np.isfinite(upper - lower)]
    if known.size < 5 or widths.size == 0:
        return False
    return bool(np.ptp(known) <= 0.01 * np.median(widths))


def shares_sentence(names: Sequence[str], shares: Sequence[float]) -> str:
    """Which few channels carry at least nine tenths of an incident's error.

    >>> shares_sentence(["CPU", "memory", "disk"], [0.7, 0.25, 0.05])
    'Two of 3 channels carry 95.0 % of the error: CPU 70.0 % and memory 25.0 %.'
    """
    known = sorted(
        ((s, n) for s, n in zip(shares, names, strict=True) if is_known(s)),
        key=lambda pair: -pair[0],
    )
    if len(names) == 1:
        return "It is the only channel."
    if not known:
        return "How the error spreads over the channels is not known."
    n_carry = n_carrying([share for share, _ in known])
    listed = joined(
        [f"{name} {share_text(share)}" for share, name in known[: min(n_carry, _MOST_NAMED)]]
    )
    more = f" and {counted(n_carry - _MOST_NAMED, 'other')}" if n_carry > _MOST_NAMED else ""
    if n_carry == 1:
        return f"One of {len(names)} channels carries {share_text(known[0][0])} of the error: {known[0][1]}."
    carried = share_text(min(1.0, sum(share for share, _ in known[:n_carry])))
    return f"{number_word(n_carry).capitalize()} of {len(names)} channels carry {carried} of the error: {listed}{more}."


def n_carrying(shares: Sequence[float], wanted_share: float = 0.9) -> int:
    """How many of the largest shares reach the wanted share together.

    >>> n_carrying([0.05, 0.7, 0.25]), n_carrying([0.4])
    (2, 1)
    """
    known = sorted((share for share in shares if is_known(share)), reverse=True)
    n_short = sum(1 for total in accumulate(known) if total < wanted_share - 1e-9)
    return min(1 + n_short, len(known))


def quiet_sentence(n_hours_scored: int, n_hours_expected: int, highest_ratio: float | None) -> str:
    """The proof behind an empty list: how much was looked at, and how close it came.

    >>> quiet_sentence(192, 192, 0.41)
    'No incidents. 192 hours scored, highest error 0.41 of its threshold.'
    >>> quiet_sentence(0, 192, None)
    'No incidents are known, because nothing was scored: 0 of 192 hours.'
    """
    if n_hours_scored == 0:
        return f"No incidents are known, because nothing was scored: 0 of {count_text(n_hours_expected)} hours."
    missing = n_hours_expected - n_hours_scored
    rest = f" {counted(missing, 'hour')} could not be scored." if missing > 0 else ""
    highest = (
        f", highest error {ratio_text(highest_ratio)} of its threshold"
        if is_known(highest_ratio)
        else ""
    )
    return f"No incidents. {counted(n_hours_scored, 'hour')} scored{highest}.{rest}"


def number_word(n: int) -> str:
    """A count up to twelve as a word, then in figures.

    >>> number_word(3), number_word(17)
    ('three', '17')
    """
    return _WORDS[n] if n < len(_WORDS) else count_text(n)


def _reached(error_ratio: float | None) -> str:
    return f"error {ratio_text(error_ratio)} times its threshold" if is_known(error_ratio) else ""


def _unread(channel: str | None, reached: str) -> str:
    cause = f", most of it from {channel}" if channel else ""
    return f"{reached or 'error over its threshold'}{cause}"


def _verb(actual: float, expected: float | None, stopped: bool) -> str:
    if stopped:
        return "stopped varying at"
    if expected is None or not is_known(expected) or actual == expected:
        return "was"
    return "rose to" if actual > expected else "fell to"


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""
