"""Rows for programs: `--json` of every command that lists something, in one place.

`python -m tsad_tasks.cli.rows > docs/reference/json.md` prints the page of all keys.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple, TypeVar

from typer import Option

from tsad_tasks.cli.screen import PLAIN_EVERY_S, Listing, json_document

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


class Listed(NamedTuple):
    """A command, and what it lists."""

    command: str
    listings: tuple[Listing, ...]


def listed() -> list[Listed]:
    """Every command that lists rows."""
    import typer

    from tsad_tasks.cli.commands import app

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[Listed]:
        for name, one in getattr(command, "commands", {}).items():
            yield from walk(one, (*path, name))
        function = inspect.unwrap(command.callback, stop=_has_listings)
        if _has_listings(function):
            yield Listed(" ".join(path), function.listings)

    return [*walk(typer.main.get_command(app), ("tsad",))]


def _has_listings(function: Any) -> bool:
    return hasattr(function, "listings")


PAGE = """# Rows for programs: `--json`

Every command that lists rows takes `--json`: stdout then is one JSON object, and nothing else. It
has a list for each table that the command may show, empty where there was nothing to list. What the
command says in words, and how far it is, goes to stderr. After an error there is nothing on stdout,
unless rows were listed before it (`tsad datasets check` lists what is wrong, and ends with 2); the
exit code is the same as without `--json`.

Times are ISO 8601 with an offset, durations are seconds (`*_s`), shares lie between 0 and 1, and
what is unknown is `null`. Keys stay: new ones may come, none is renamed. Two commands had `--json`
before and keep their form: `tsad health` prints the rows of `v_health` as a list, `tsad datasets
draft` the files that it would write.

How far a command is: a bar where stdout or stderr is a terminal; without one, lines on stderr, the
first after {plain_s:g} seconds and no more than one in {plain_s:g} seconds, whenever a step has
ended. What is shorter than that says none.

This page is printed by `python -m tsad_tasks.cli.rows`.

| command | list | keys of a row |
|---|---|---|
"""


def keys_page() -> str:
    """docs/reference/json.md."""
    rows = [
        f"| `{command}` | `{one.key}` | {', '.join(f'`{name}`' for name in one.keys)} |\n"
        for command, listings in listed()
        for one in listings
    ]
    return PAGE.format(plain_s=PLAIN_EVERY_S) + "".join(rows)


if __name__ == "__main__":
    print(keys_page(), end="")
