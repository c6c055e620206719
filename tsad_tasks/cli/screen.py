"""What the command shows: errors, progress, tables; the one way to the terminal.

Whatever is shown is masked, and what a terminal would obey or turn around is shown escaped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

from rich import progress as rich_progress
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from tsad_tasks.base.errors import BadInput, NothingToDo, TsadError
from tsad_tasks.base.masking import masked
from tsad_tasks.base.shown import visible
from tsad_tasks.text.formats import joined

_PLAIN_WIDTH = 150

console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
_errors = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)

Advance = Callable[[int, str], None]


def show_error(error: TsadError) -> int:
    """Prints an error and gives the exit code: 0 nothing to do, 2 bad input, 1 anything else."""
    if isinstance(error, NothingToDo):
        say_lines(str(error))
        return 0
    _errors.print(f"Error: {error}", markup=False, style="red" if sys.stderr.isatty() else None)
    return 2 if isinstance(error, BadInput) else 1


@contextmanager
def progress(what: str, total: int) -> Iterator[Advance]:
    """A bar with time and remaining time; call what it gives with a step and a few words."""
    columns = (
        *(rich_progress.TextColumn("{task.description}"), rich_progress.BarColumn(bar_width=30)),
        *(rich_progress.TaskProgressColumn(), rich_progress.TimeElapsedColumn()),
        *(rich_progress.TextColumn("left"), rich_progress.TimeRemainingColumn()),
        rich_progress.TextColumn("{task.fields[detail]}", markup=False),
    )
    is_hidden = not console.is_terminal
    with rich_progress.Progress(*columns, console=console, disable=is_hidden) as bar:
        task = bar.add_task(what, total=total, detail="")

        def advance(n: int, detail: str) -> None:
            bar.update(task, advance=n, detail=visible(masked(detail)))

        yield advance
    if not console.is_terminal:
        console.print(f"{what}: done", markup=False)


def say(text: str) -> None:
    """One line, whatever is in it."""
    say_login(visible(masked(text)))


def say_lines(text: str) -> None:
    """Several lines."""
    for line in text.split("\n"):
        say(line)


def say_login(text: str) -> None:
    """One line as it is: with a login that was made here, and is shown on purpose."""
    console.print(text, markup=False, soft_wrap=True)


def say_markdown(text: str) -> None:
    """Markdown, its tables as tables."""
    console.print(Markdown(masked(text)))


def say_counts(what: str, counts: Mapping[str, Any]) -> None:
    """One line of counts; those that are nothing are left out."""
    shown = [
        f"{name.removeprefix('n_').replace('_', ' ')} {said}"
        for name, value in counts.items()
        if (said := _said(value))
    ]
    say(f"{what}: {joined(shown) if shown else 'nothing to do'}")


def _said(value: Any) -> str:
    """A count as it is said; what lists name is counted, and empty where there is nothing.

    >>> _said({"lag_s": 3419.690234, "late": 0}), _said(["a", "b"])
    ('lag_s 3419.7', '2')
    """
    if isinstance(value, dict):
        parts = [f"{name} {said}" for name, one in value.items() if (said := _said(one))]
        # A table whose every entry is empty says so: no rule failed.
        return ", ".join(parts) or ("none" if value else "")
    if isinstance(value, list | tuple):
        return str(len(value)) if value else ""
    if isinstance(value, float):
        value = round(value, 1)
    is_count = isinstance(value, int | float | str) and not isinstance(value, bool)
    return str(value) if is_count and value else ""


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any] | Mapping[str, Any]],
    *,
    right: Sequence[str] = (),
) -> None:
    """A table; what is unknown shows as –. A row that is a mapping has the columns' names."""
    looks: dict[str, Any] = {"header_style": "bold", "pad_edge": False}
    heading = Text(_cell(title), "bold")
    shown = Table(title=heading, title_justify="left", box=None, **looks)
    given = ([row[name] for name in columns] if isinstance(row, Mapping) else row for row in rows)
    cells = [[_cell(value) for value in row] for row in given]
    widths = [max((len(cell) for cell in column), default=0) for column in zip(*cells, strict=True)]
    # The widest column is the one whose text wraps.
    widest = columns[widths.index(max(widths))] if widths else columns[0]
    for name in columns:
        justify: Literal["left", "right"] = "right" if name in right else "left"
        shown.add_column(name, justify=justify, overflow="fold", no_wrap=name != widest)
    for row in cells:
        shown.add_row(*map(Text, row))
    console.print(shown)


def list_rows(
    title: str, rows: Sequence[dict[str, Any]], nothing: str, *, right: Sequence[str] = ()
) -> None:
    """What a query found, under its own names; in words where it found nothing."""
    if rows:
        table(title, list(rows[0]), rows, right=right)
    else:
        say(nothing)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return visible(masked(text))
