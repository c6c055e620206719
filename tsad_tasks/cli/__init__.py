"""The command `tsad`: every step without Airflow, on an explicit range, and the local stack."""

from __future__ import annotations

import sys

from tsad_tasks.errors import TsadError


def main() -> None:
    """Runs the command; an error is one paragraph on stderr, exit code 2 for bad input, 1 for the rest."""
    from tsad_tasks.cli.commands import app
    from tsad_tasks.cli.screen import show_error

    try:
        app()
    except TsadError as error:
        sys.exit(show_error(error))
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["main"]
