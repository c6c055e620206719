"""The command `tsad`: every step without Airflow, on an explicit range, and the local stack."""

from __future__ import annotations

import sys

from tsad_tasks.base.errors import TsadError


def main() -> None:
    """Runs the command; an error is one paragraph on stderr, exit code 2 for bad input, else 1."""
    from sqlalchemy.exc import DBAPIError

    from tsad_tasks.cli.commands import app
    from tsad_tasks.cli.screen import show_error
    from tsad_tasks.storage.database import DatabaseError, database_error

    try:
        app(prog_name="tsad")
    except TsadError as error:
        sys.exit(show_error(error))
    except (DatabaseError, DBAPIError) as error:
        sys.exit(show_error(database_error(error)))
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["main"]
