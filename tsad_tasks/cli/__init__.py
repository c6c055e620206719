"""The command `tsad`: every step without Airflow, on an explicit range, and the local stack."""

from __future__ import annotations

import sys

from tsad_tasks.base.errors import TsadError


def main() -> None:
    """Runs the command; an error is one paragraph on stderr, exit code 2 for bad input, 1 for the
    rest.
    """
    import psycopg2
    from sqlalchemy.exc import DBAPIError

    from tsad_tasks.cli.commands import app
    from tsad_tasks.cli.screen import show_error

    try:
        app(prog_name="tsad")
    except TsadError as error:
        sys.exit(show_error(error))
    except (psycopg2.Error, DBAPIError) as error:
        sys.exit(show_error(_explained(error)))
    except KeyboardInterrupt:
        sys.exit(130)


def _explained(error: Exception) -> TsadError:
    """What a database said, as one of our errors."""
    import psycopg2

    from tsad_tasks.base.errors import BadInput, Unavailable

    cause = getattr(error, "orig", error)
    said = (str(cause).splitlines() or [type(cause).__name__])[0]
    if isinstance(cause, psycopg2.errors.InsufficientPrivilege):
        return BadInput(
            f"Expected a login that may use the warehouse. Received: {said}. "
            "The warehouse's owner lets one in with: tsad migrate --writer <login>"
        )
    if isinstance(cause, (psycopg2.OperationalError, psycopg2.InterfaceError)):
        return Unavailable(f"Expected a database that answers. Received: {said}.")
    return TsadError(
        f"Expected a database that takes our statements. Received: {type(cause).__name__}: {said}."
    )


__all__ = ["main"]
