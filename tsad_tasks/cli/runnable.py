"""Commands in what is printed, such that they run as they stand."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

_WORDS = (
    *("anomalies", "datasets", "demo", "down", "entities", "epoch", "evaluate", "explore"),
    *("health", "history", "ingest", "label", "labels", "load-csv", "maintenance", "migrate"),
    *("models", "new-normal", "notify", "promote", "prune", "rehearse", "report", "rescore"),
    *("retire", "retrain", "rollback", "rules", "score", "shadow", "simulate", "status"),
    *("unretire", "up", "verdict"),
)
_COMMAND = re.compile(rf"(?<![\w./-])tsad (?=(?:{'|'.join(_WORDS)})(?![\w-]))")


def program() -> str:
    """What one types to run `tsad` as it was run now: its name where the shell finds it, else its
    path.
    """
    called = sys.argv[0]
    if Path(called).name != "tsad" or called == "tsad":
        return "tsad"
    found = shutil.which("tsad")
    is_found = found is not None and Path(found).absolute() == Path(called).absolute()
    return "tsad" if is_found else shlex.quote(called)


def runnable(text: str, called: str) -> str:
    """A text whose commands begin with what was called.

    >>> runnable("tsad watches. Next: tsad up, .venv/bin/tsad up", "bin/tsad")
    'tsad watches. Next: bin/tsad up, .venv/bin/tsad up'
    """
    return text if called == "tsad" else _COMMAND.sub(lambda _: f"{called} ", text)
