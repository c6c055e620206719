"""Sentences that are generated once and read the same in mail, page, PDF and command line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate

from tsad_tasks.text import formats

_WORDS = "none one two three four five six seven eight nine ten eleven twelve"
_MOST_NAMED = 4
# What moved by less than this share of how far it is off stayed where it was.
_STAYED = 0.25


def incident_sentence(
    *,
    entity: str,
    channel: str | None = None,
    unit: str | None = None,
    actual: float | None = None,
    expected: float | None = None,
    lower: float | None = None,
    upper: float | None = None,
    before: float | None = None,
    error_ratio: float | None = None,
    moved_first: bool = False,
    period: float | None = None,
    others_heard: bool | None = None,
    tells_load: bool = False,
) -> str:
    """What happened and what had been expected, in one sentence without a full stop.

    Parameters
    ----------
    channel, actual, expected, lower, upper : the channel that carries most of the error, its worst
        reading in `unit`, and what was expected then; `None` or NaN is unknown.
    before : what was expected when it began, or read before its only flagged step, from which the
        reading rose or fell; `None` or NaN is unknown, and what is expected now stands for it.
    error_ratio : the highest error by its threshold, used where no expected range is known.
    moved_first : the channel never moved in training, where it was at `expected` all along.
    period : of a channel that is an angle, once around; None: it is none.
    others_heard : of a channel of events without any, whether anything else was heard of meanwhile.
    tells_load : what is expected is what fits the other channels at their load of then.

    >>> fan = {"entity": "web-02", "channel": "fan", "actual": 25.0, "expected": 50.0}
    >>> incident_sentence(**fan, lower=49.0, upper=51.0, before=24.0)
    'web-02: fan stayed at 25.0; 50.0 ± 1.0 was expected'
    >>> incident_sentence(**fan, lower=49.0, upper=51.0, before=10.0)
    'web-02: fan rose to 25.0; 50.0 ± 1.0 was expected'
    >>> cpu = {"entity": "web-02", "channel": "CPU", "unit": "%"}
    >>> incident_sentence(**cpu, actual=97.1, expected=41.8, lower=38.8, upper=44.8)
    'web-02: CPU rose to 97.1 %; 41.8 ± 3.0 % was expected'
    >>> incident_sentence(**cpu, actual=97.1, expected=41.8, error_ratio=4.2)
    'web-02: CPU rose to 97.1 %; error 4.20 times its threshold'
    >>> incident_sentence(**cpu, actual=97.1, expected=0.0, moved_first=True)
    'web-02: CPU rose to 97.1 %; moved for the first time, at 0 % since training'
    >>> near = {"expected": 96.0, "lower": 93.0, "upper": 99.0}
    >>> incident_sentence(**cpu, actual=97.1, **near, tells_load=True)
    'web-02: CPU was 97.1 %, which fits the other channels (96.0 ± 3.0 %): a change of load'
    >>> wind = {"entity": "mast-1", "channel": "wind", "unit": "°", "period": 360.0}
    >>> incident_sentence(**wind, actual=30.0, expected=350.0, lower=338.0, upper=362.0)
    'mast-1: wind turned by 40° from 350° to 30°; ± 12° was expected'
    >>> logins = {"entity": "de", "channel": "logins", "actual": 0.0, "expected": 75.2}
    >>> incident_sentence(**logins, lower=63.0, upper=87.4, others_heard=False)
    'de: no events of logins, and nothing else heard; 75 ± 12 were expected'
    >>> incident_sentence(**wind, actual=30.0, expected=350.0, moved_first=True)
    'mast-1: wind turned by 40° to 30°; moved for the first time, at 350° since training'
    """
    reached = f"error {formats.ratio_text(error_ratio)} times its threshold"
    if not formats.is_known(error_ratio):
        reached = ""
    if channel is None or actual is None or not formats.is_known(actual):
        cause = f", most of it from {channel}" if channel else ""
        return f"{entity}: {reached or 'error over its threshold'}{cause}"
    spread = formats.half_width(lower, upper)
    if others_heard is not None:
        rest = "others are heard" if others_heard else "nothing else heard"
        wanted = _wanted_events(expected, spread) or reached
        return f"{entity}: no events of {channel}, and {rest}{f'; {wanted}' if wanted else ''}"
    if moved_first and expected is not None and formats.is_known(expected):
        return f"{entity}: {channel} {_moved_first(actual, expected, unit, period)}"
    if period is not None and expected is not None and formats.is_known(expected):
        turned = _turned(actual, expected, spread, unit, period)
        reason = f" ({reached})" if reached and not turned.endswith("expected") else ""
        return f"{entity}: {channel} {turned}{reason}"
    value = formats.value_text(actual, unit, spread)
    if spread is None or lower is None or upper is None:
        tail = f"; {reached}" if reached else ""
        return f"{entity}: {channel} {_verb(actual, expected, before)} {value}{tail}"
    wanted = formats.expected_text(expected, lower, upper, unit)
    if lower <= actual <= upper:
        also = f" ({reached})" if reached else ""
        if tells_load:
            fits = f"which fits the other channels ({wanted}): a change of load"
            return f"{entity}: {channel} was {value}, {fits}{also}"
        inside = f"inside the expected {wanted}; its course was unusual{also}"
        return f"{entity}: {channel} was {value}, {inside}"
    middle = expected if formats.is_known(expected) else (lower + upper) / 2
    verb = _verb(actual, middle, before)
    return f"{entity}: {channel} {verb} {value}; {wanted} was expected"


def state_sentence(
    *,
    entity: str,
    channel: str,
    state: str | None,
    actual: float | None,
    expected: float | None,
    is_known: bool = True,
    moved_first: bool = False,
    error_ratio: float | None = None,
) -> str:
    """How long a channel was in a state, or how often it changed, and what is usual.

    Parameters
    ----------
    state : None: `actual` and `expected` are numbers of changes in a step, else shares of it.
    is_known : the dataset file names the state; otherwise it is all those that it does not name.
    moved_first : training saw no other share than `expected`.

    >>> valve = {"entity": "room", "channel": "valve", "actual": 0.4}
    >>> state_sentence(**valve, state="open", expected=0.021)
    'room: valve was open 40 % of the time, usually 2 %'
    >>> state_sentence(**valve, state="1", expected=0.0)
    'room: valve was in state 1 40 % of the time, not expected now'
    >>> state_sentence(**valve, state="7", expected=0.0, is_known=False, moved_first=True)
    'room: valve was in no known state 40 % of the time, for the first time since training'
    >>> state_sentence(**valve | {"actual": 12.0}, state=None, expected=0.31)
    'room: valve changed 12 times in a step, usually 0.3 times'
    """
    if actual is None or not formats.is_known(actual):
        return incident_sentence(entity=entity, channel=channel, error_ratio=error_ratio)
    usual = expected if expected is not None and formats.is_known(expected) else None
    if state is None:
        said = f"changed {_times(actual)} in a step"
        usually = None if usual is None else _usually(usual, _times(max(usual, 0.0)))
    else:
        is_number = state.replace(".", "").lstrip("-").isdigit()
        what = f"in state {state}" if is_number else state
        said = f"was {what if is_known else 'in no known state'} {_share(actual)} of the time"
        usually = None if usual is None else _usually(100 * usual, _share(usual))
    if moved_first:
        always = f"always {usually} in training"
        first = "for the first time since training"
        return f"{entity}: {channel} {said}, {first if usually in (None, 'never') else always}"
    if usually == "never":
        # It may well be so at another time of day, or after something else.
        return f"{entity}: {channel} {said}, not expected now"
    if usually is not None:
        return f"{entity}: {channel} {said}, usually {usually}"
    reached = f"; error {formats.ratio_text(error_ratio)} times its threshold"
    return f"{entity}: {channel} {said}{reached if formats.is_known(error_ratio) else ''}"


def _share(share: float) -> str:
    """A share in whole per cent; never what rounds to nothing at all."""
    percent = 100 * share_within(share)
    if percent < 0.05:
        return "0 %"
    return f"{formats.number_text(percent, 0 if percent >= 0.95 else 1)} %"


def share_within(share: float) -> float:
    """A share as there are any, whatever a model computed: from 0 to 1."""
    return min(max(share, 0.0), 1.0)


def is_usual_share(actual: float, expected: float) -> bool:
    """A sentence on the share would say nothing: it differs by less than three per cent.

    >>> is_usual_share(0.0, -0.3), is_usual_share(1.0, 1.046), is_usual_share(1.0, 0.02)
    (True, True, False)
    >>> is_usual_share(0.0, 0.02), is_usual_share(0.0, 0.05)
    (True, False)
    """
    return abs(share_within(actual) - share_within(expected)) < 0.03


def are_usual_changes(actual: float, expected: float) -> bool:
    """A sentence on numbers of changes would say nothing: they are told as the same.

    >>> are_usual_changes(0.0, -0.02), are_usual_changes(0.0, 0.4), are_usual_changes(3.0, 3.02)
    (True, False, True)
    """
    return abs(actual - max(expected, 0.0)) < 0.05


def _usually(amount: float, text: str) -> str:
    """The text, or never where so little is as good as nothing."""
    return text if amount >= 0.05 else "never"


def _times(n: float) -> str:
    text = formats.number_text(n, 0 if n >= 10 or n == round(n) else 1)
    return f"{text} time{'s' * (text != '1')}"


def _wanted_events(expected: float | None, spread: float | None) -> str:
    """How many events were expected; empty: nobody knows."""
    if spread is None or not formats.is_known(expected):
        return ""
    return f"{expected:.0f} ± {spread:.0f} were expected"


def _moved_first(actual: float, expected: float, unit: str | None, period: float | None) -> str:
    """That a channel left the level at which it was in all of training."""
    if period is not None:
        by = abs(_turn(actual, expected, period))
        turned, start, end = (
            formats.angle_text(one, unit, min(by, period / 10), period)
            for one in (by, expected, actual)
        )
        return f"turned by {turned} to {end}; moved for the first time, at {start} since training"
    level = formats.value_text(expected, unit) if expected else formats.with_unit("0", unit)
    moved = f"{_verb(actual, expected)} {formats.value_text(actual, unit)}"
    return f"{moved}; moved for the first time, at {level} since training"


def _turned(
    actual: float, expected: float, spread: float | None, unit: str | None, period: float
) -> str:
    """How far an angle is from what was expected, the shorter way."""
    turn = _turn(actual, expected, period)
    values = (abs(turn), expected, actual)
    by, start, end = (formats.angle_text(one, unit, spread, period) for one in values)
    if spread is None:
        return f"turned by {by} from {start} to {end}"
    around = formats.angle_text(spread, unit, spread, period)
    if abs(turn) <= spread:
        return f"was {end}, inside the expected {start} ± {around}; its course was unusual"
    return f"turned by {by} from {start} to {end}; ± {around} was expected"


def _turn(actual: float, expected: float, period: float) -> float:
    """How far an angle is from another one, the shorter way."""
    turn = actual - expected
    return turn - math.ceil(turn / period - 0.5) * period


def _verb(actual: float, expected: float | None, before: float | None = None) -> str:
    """What the reading did since it was as expected: another expectation moves no reading."""
    if expected is None or not formats.is_known(expected) or actual == expected:
        return "was"
    moved = way_moved(actual, expected, before)
    return "stayed at" if not moved else "rose to" if moved > 0 else "fell to"


def way_moved(actual: float, expected: float, before: float | None) -> int:
    """1 if a reading rose since it was as expected, -1 if it fell, 0 if it stayed.

    >>> way_moved(90.0, 40.0, None), way_moved(25.0, 50.0, 24.0), way_moved(25.0, 50.0, 10.0)
    (1, 0, 1)
    """
    start = before if before is not None and formats.is_known(before) else expected
    if abs(actual - start) <= _STAYED * abs(actual - expected):
        return 0
    return 1 if actual > start else -1


def group_sentence(
    n_entities: int,
    n_all: int,
    *,
    channel: str | None,
    rose: bool | None,
    all_alike: bool,
    started_at: datetime,
    zone: str,
) -> str:
    """What incidents that began together have in common.

    Parameters
    ----------
    channel, rose : what leads most of them, and which way it went; None: nothing, or both ways.
    all_alike : all of them do, and not only most.

    >>> from datetime import UTC
    >>> at, zone = datetime(2026, 11, 20, 12, 38, tzinfo=UTC), "Europe/Berlin"
    >>> of = {"started_at": at, "zone": zone}
    >>> group_sentence(6, 30, channel="network", rose=False, all_alike=True, **of)
    '6 of 30 machines: network fell, since 20 Nov 13:38'
    >>> group_sentence(6, 30, channel="network", rose=None, all_alike=False, **of)
    '6 of 30 machines: mostly network was unusual, since 20 Nov 13:38'
    >>> group_sentence(3, 3, channel=None, rose=None, all_alike=False, **of)
    'all 3 machines: one channel or another was unusual, since 20 Nov 13:38'
    """
    who = f"all {n_all} machines" if n_entities >= n_all else f"{n_entities} of {n_all} machines"
    moved = {True: "rose", False: "fell", None: "was unusual"}[rose]
    what = f"{'' if all_alike else 'mostly '}{channel}" if channel else "one channel or another"
    return f"{who}: {what} {moved}, since {formats.time_text(started_at, zone)}"


def with_unknown_weekdays(sentence: str, names: str) -> str:
    """The sentence of an incident that a young model raised on weekdays that it does not know.

    >>> with_unknown_weekdays("web-02: CPU rose to 97.1 %", "Saturday, Sunday")
    'web-02: CPU rose to 97.1 %; Saturday, Sunday unknown to its young model'
    """
    return f"{sentence}; {names} unknown to its young model" if names else sentence


def shares_sentence(names: Sequence[str], shares: Sequence[float]) -> str:
    """Which few channels carry at least nine tenths of an incident's error.

    >>> shares_sentence(["CPU", "memory", "disk"], [0.7, 0.25, 0.05])
    'Two of 3 channels carry 95.0 % of the error: CPU 70.0 % and memory 25.0 %.'
    """
    if len(names) == 1:
        return "It is the only channel."
    pairs = [pair for pair in zip(shares, names, strict=True) if formats.is_known(pair[0])]
    known = sorted(pairs, key=lambda pair: -pair[0])
    if not known:
        return "How the error spreads over the channels is not known."
    n_carry = n_carrying([share for share, _ in known])
    of = f"of {len(names)} channels"
    if n_carry == 1:
        return f"One {of} carries {formats.share_text(known[0][0])} of the error: {known[0][1]}."
    named = known[: min(n_carry, _MOST_NAMED)]
    listed = formats.joined([f"{name} {formats.share_text(share)}" for share, name in named])
    more = (
        f" and {formats.counted(n_carry - _MOST_NAMED, 'other')}" if n_carry > _MOST_NAMED else ""
    )
    carried = formats.share_text(min(1.0, sum(share for share, _ in known[:n_carry])))
    words = _WORDS.split()
    number = words[n_carry] if n_carry < len(words) else formats.count_text(n_carry)
    who = f"{number.capitalize()} {of}"
    return f"{who} carry {carried} of the error: {listed}{more}."


def n_carrying(shares: Sequence[float]) -> int:
    """How many of the largest shares reach nine tenths together.

    >>> n_carrying([0.05, 0.7, 0.25]), n_carrying([0.4])
    (2, 1)
    """
    known = sorted((share for share in shares if formats.is_known(share)), reverse=True)
    n_short = sum(1 for total in accumulate(known) if total < 0.9 - 1e-9)
    return min(1 + n_short, len(known))


def quiet_sentence(n_hours_scored: int, n_hours_expected: int, highest_ratio: float | None) -> str:
    """The proof behind an empty list: how much was looked at, and how close it came.

    >>> quiet_sentence(192, 192, 0.41)
    'No incidents. 192 hours scored, highest error 0.41 × its threshold.'
    >>> quiet_sentence(0, 192, None)
    'No incidents are known, because nothing was scored: 0 of 192 hours.'
    """
    if n_hours_scored == 0:
        hours = f"0 of {formats.count_text(n_hours_expected)} hours"
        return f"No incidents are known, because nothing was scored: {hours}."
    text = f"No incidents. {formats.counted(n_hours_scored, 'hour')} scored"
    if formats.is_known(highest_ratio):
        text += f", highest error {formats.times_text(highest_ratio)}"
    missing = n_hours_expected - n_hours_scored
    return f"{text}." + (
        f" {formats.counted(missing, 'hour')} could not be scored." if missing > 0 else ""
    )
