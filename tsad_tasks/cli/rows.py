"""Rows for programs: `--json` of every command that lists something, in one place."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from typer import Option

from tsad_tasks.cli.screen import Listing, json_document

Result = TypeVar("Result")
_HELP = "For programs: what is listed as JSON on stdout, what is said on stderr."
_JSON = Annotated[bool, Option("--json", help=_HELP)]


def lists(*listings: Listing) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """A command that lists rows: it takes `--json`, too."""

    def with_json(command: Callable[..., Result]) -> Callable[..., Result]:
        @functools.wraps(command)
        def run(*arguments: Any, as_json: bool = False, **options: Any) -> Result:
            if not as_json:
                return command(*arguments, **options)
            with json_document(listings):
                return command(*arguments, **options)
            # What there was nothing to do for has been said.
            return None

        by_name = inspect.Parameter.KEYWORD_ONLY
        option = inspect.Parameter("as_json", by_name, default=False, annotation=_JSON)
        signature = inspect.signature(command, eval_str=True)
        parameters = [*signature.parameters.values(), option]
        run.__dict__["__signature__"] = signature.replace(parameters=parameters)
        run.__annotations__ = {**command.__annotations__, "as_json": _JSON}
        run.__dict__["listings"] = listings
        return run

    return with_json
