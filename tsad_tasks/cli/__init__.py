"""The command `tsad`: every step without Airflow, on an explicit range, and the local stack."""

from __future__ import annotations

import errno
import signal
import sys
from typing import Any

from tsad_tasks.base.errors import BadInput, TsadError, Unavailable

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class Interrupted(BaseException):
    """Ctrl-C; nothing between it and `main` takes it for its own."""


def main() -> None:
    """Runs the command; an error is one paragraph on stderr, exit code 2 for bad input, else 1."""
    former = signal.signal(signal.SIGINT, _interrupt)
    try:
        _run()
    except Interrupted:
        said = "Error: Expected the command to end by itself. Received: Ctrl-C. What was finished"
        print(f"{said} is kept; the same command goes on from there.", file=sys.stderr)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, former)


def _interrupt(_signal: int, _frame: Any) -> None:
    raise Interrupted


def _run() -> None:
    # Imported here, since this takes seconds in which somebody may press Ctrl-C.
    from tsad_tasks.base.logs import guard_logs
    from tsad_tasks.base.masking import masked_errors
    from tsad_tasks.cli.commands import app
    from tsad_tasks.cli.screen import show_error
    from tsad_tasks.storage.database import DatabaseError, database_error

    guard_logs()
    try:
        with masked_errors():
            app(prog_name="tsad")
    except TsadError as error:
        sys.exit(show_error(error))
    except DatabaseError as error:
        sys.exit(show_error(database_error(error)))
    except OSError as error:
        if error.filename is None and error.errno not in _NO_ROOM:
            raise
        sys.exit(show_error(_file_error(error)))


def _file_error(error: OSError) -> TsadError:
    """A file or folder that cannot be used, in our words."""
    place = "what is printed" if error.filename is None else error.filename
    said = f"Expected to read or write {place}. Received: {error.strerror}."
    if error.errno in _NO_ROOM:
        return Unavailable(said)
    return BadInput(f"{said} Choose another place, or let this user use that one.")


__all__ = ["main"]
