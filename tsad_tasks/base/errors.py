"""What can go wrong, in the families between which an orchestrator must choose.

The docstring of a class is its advice; a message says what was expected and what was received.
`plugins/tsad_bridge.py` maps the families to Airflow: fail, skip, reschedule or retry.
"""

from __future__ import annotations

from datetime import timedelta

from tsad_tasks.base.masking import masked
from tsad_tasks.base.shown import visible


class TsadError(Exception):
    """Anything this project raises on purpose: a line for each argument.

    Its text holds no secret and no line end that came with a name or a driver's message.

    >>> str(BadInput("Expected a name. Received: a\\nb."))
    'Expected a name. Received: a\\\\nb.'
    """

    def __str__(self) -> str:
        return "\n".join(visible(masked(str(line))) for line in self.args)


class BadInput(TsadError):
    """Input or configuration that will not mend itself: no retry, exit code 2."""


class ConfigError(BadInput):
    """A dataset file that cannot be used: correct the field that the message names."""


class SourceError(BadInput):
    """The source table is not what the dataset file says."""


class AccessDenied(BadInput):
    """The login was refused: check user and password of the connection."""


class BundleError(BadInput):
    """A bundle that is missing, altered or of an unknown format: retrain, or restore it."""


class NothingToDo(TsadError):
    """There is no work for this interval: the task is skipped."""


class NotYet(TsadError):
    """The interval has not settled yet: try again after `wait`.

    A duration, since the clock of whoever waits may not be the one that said so.
    """

    def __init__(self, message: str, wait: timedelta) -> None:
        super().__init__(message)
        self.wait = wait


class Unavailable(TsadError):
    """A server did not answer: a retry may succeed."""


class Interrupted(Unavailable):
    """A source ended a read: a smaller one may succeed; where `by_chance`, the same one, too."""

    def __init__(self, *lines: str, by_chance: bool = False) -> None:
        super().__init__(*lines)
        self.by_chance = by_chance


class NoSpace(Unavailable):
    """A disk is full: make room; a retry goes on from there."""


class Undelivered(Unavailable):
    """A message that was not accepted: it stays in the outbox and is tried again."""


class Unreachable(Undelivered):
    """Nothing can be sent for now: correct the connection, or wait for its server."""


class Refused(Undelivered):
    """The receiver will not take it: correct the address, or what the receiver accepts."""
