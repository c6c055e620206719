"""Words of page and PDF, each in one place; what they mean is in the glossary."""

from __future__ import annotations

from tsad_tasks.base.enums import HourStatus, Verdict

# In the order of the buttons, whose keys are 1 to 5.
VERDICT_TITLES = {
    Verdict.CONFIRMED: "Real fault",
    Verdict.EXPECTED: "Expected",
    Verdict.FALSE_ALARM: "False alarm",
    Verdict.SENSOR_FAULT: "Sensor fault",
    Verdict.NEW_NORMAL: "New normal",
}
VERDICT_HINTS = {
    Verdict.CONFIRMED: "It was a fault. Trainings leave it out.",
    Verdict.EXPECTED: "Known, yet not how the machine runs. Trainings leave it out.",
    Verdict.FALSE_ALARM: "Nothing was wrong. Trainings learn it.",
    Verdict.SENSOR_FAULT: "The sensor, not the machine. Trainings leave it out.",
    Verdict.NEW_NORMAL: "It runs like this from now on. Trainings learn it.",
}
SHARE_HINT = (
    "How much of what the model could not explain is in one channel; all channels are 100 %."
)
WATCHING_TITLES = {
    "ok": "in time",
    "late": "late",
    "degraded": "degraded",
    "not_scoring": "not scoring",
}
# Of an hour without a row in which nothing was heard of the machine.
SILENT = "silent"
STATUS_TITLES: dict[str, str] = {
    HourStatus.INSUFFICIENT_HISTORY: "too little history yet",
    HourStatus.GAP: "no readings",
    HourStatus.STALE: "rows without values",
    HourStatus.OFF: "off",
    HourStatus.UNKNOWN_ENTITY_SCALE: "scored by the pooled scale, provisional",
    HourStatus.INPUTS_RETIRED: "its readings are no longer kept",
    HourStatus.NO_CHAMPION: "no model",
    HourStatus.FAILED: "scoring failed",
    HourStatus.WAITING: "its rows have not settled",
    HourStatus.NOT_RUN: "no run has come to it",
    SILENT: "silent, nothing was heard of it",
    # Hours without a row: which step has not come to them.
    "not_scored": "read, but no run has scored it",
    "not_read": "no run has read it",
}
# What people said that an alarm was: a fault of machine or sensor, or nothing to be told of.
REAL_VERDICTS = frozenset((Verdict.CONFIRMED, Verdict.SENSOR_FAULT))
FALSE_VERDICTS = frozenset((Verdict.FALSE_ALARM, Verdict.EXPECTED, Verdict.NEW_NORMAL))


def status_title(status: str) -> str:
    """Why an hour has no score.

    >>> status_title("gap"), status_title("scored")
    ('no readings', 'scored')
    """
    return STATUS_TITLES.get(status, status.replace("_", " "))


def verdict_of(word: str) -> str:
    """The verdict that a word names, by its title too; other words stay as they are.

    >>> verdict_of("Real fault"), verdict_of("false-alarm"), verdict_of("odd")
    ('confirmed', 'false_alarm', 'odd')
    """
    key = word.strip().lower().replace(" ", "_").replace("-", "_")
    titles = {title.lower().replace(" ", "_"): one for one, title in VERDICT_TITLES.items()}
    return str(titles.get(key, key if key in list(Verdict) else word))


def verdict_title(verdict: str | None) -> str:
    """A verdict as buttons and lists say it.

    >>> verdict_title("confirmed"), verdict_title(None)
    ('Real fault', 'no verdict')
    """
    return VERDICT_TITLES[Verdict(verdict)] if verdict else "no verdict"
