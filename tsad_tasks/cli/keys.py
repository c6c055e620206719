"""Keys of the rows that commands list, for programs.

`python -m tsad_tasks.cli.keys > docs/reference/json.md` prints the page of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import typer

from tsad_tasks.cli.commands import app
from tsad_tasks.cli.screen import PLAIN_EVERY_S, Listing


class Listed(NamedTuple):
    """A command, and what it lists."""

    command: str
    listings: tuple[Listing, ...]


def listed() -> list[Listed]:
    """Every command that lists rows."""

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

This page is printed by `python -m tsad_tasks.cli.keys`.

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
