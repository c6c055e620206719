"""Log lines: masked, with their tracebacks, and ours on one line each."""

from __future__ import annotations

import logging
from typing import Any

from tsad_tasks.base.masking import masked, without_secrets
from tsad_tasks.base.shown import visible


def guard_logs() -> None:
    """From now on whatever this process logs is masked before any handler sees it.

    The logger `tsad` writes names and notes of people: a line end in them begins no line.
    """
    make = logging.getLogRecordFactory()
    if getattr(make, "masks", False):
        return

    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made = make(*args, **kwargs)
        try:
            said = masked(made.getMessage())
        except Exception:
            # A placeholder too many: logging says so itself.
            return made
        is_ours = made.name.partition(".")[0] == "tsad"
        made.msg, made.args = visible(said) if is_ours else said, ()
        if made.exc_info and made.exc_info[1] is not None:
            shown = without_secrets(made.exc_info[1])
            made.exc_info = (type(shown), shown, shown.__traceback__)
        return made

    record.masks = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(record)
