"""What the command shows: errors, progress, tables; the one way to the terminal.

Whatever is shown is masked, and what a terminal would obey or turn around is shown escaped.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer import Exit

from tsad_tasks.base.errors import BadInput, NothingToDo, TsadError
from tsad_tasks.base.masking import masked
from tsad_tasks.base.shown import visible
from tsad_tasks.cli.runnable import program, runnable
from tsad_tasks.text.formats import duration_text, joined

_PLAIN_WIDTH = 150
# Without a terminal, what lasts longer says how far it is, and again after so long at the soonest.
PLAIN_EVERY_S = 10.0

console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
_errors = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)

# Counts whose names are those of programs; those that only programs need are not said.
_COUNT_WORDS = {
    "n_hours_skipped": "hours read before",
    "n_blocks_changed": "hours of machines changed",
    "n_verdicts": "findings on sensors",
    "lag_s": "seconds behind",
}
_UNSAID = frozenset({"changed_hours"})

Advance = Callable[[int, str], None]


@dataclass(frozen=True)
class Listing:
    """A table of a command, and what programs that ask for JSON find it under.

    Attributes
    ----------
    key : of the list in the JSON object.
    columns : keys of the values of a row, as programs read them; they stay.
    heads : what the screen calls them. Columns beyond these are for programs only.
    right : columns of numbers, which the screen puts to the right.
    of : keys of what the screen has in the table's title.
    """

    key: str
    columns: tuple[str, ...]
    heads: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    of: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of a row for programs."""
        return (*self.of, *self.columns)

    @property
    def shown(self) -> tuple[str, ...]:
        """Heads of the columns that the screen shows."""
        return self.heads or self.columns


@dataclass(frozen=True)
class Shown:
    """A value for programs, and what the screen says in its place."""

    value: Any
    text: str | None


class Document:
    """What a command listed, to be printed as one JSON object in the end."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        self.lists: dict[str, list[dict[str, Any]]] = {one.key: [] for one in listings}

    def add(self, listing: Listing, rows: Iterable[Sequence[Any]], of: Mapping[str, Any]) -> None:
        """Adds rows under the listing's key, each with what it is `of`."""
        before = [of[name] for name in listing.of]
        self.lists[listing.key] += [
            dict(zip(listing.keys, map(_plain, [*before, *row]), strict=True)) for row in rows
        ]

    @property
    def text(self) -> str:
        """The object, as people read it."""
        return as_json(self.lists)


_document: Document | None = None


@contextmanager
def json_document(listings: Iterable[Listing]) -> Iterator[None]:
    """What is listed inside becomes one JSON object on stdout; what is said goes to stderr.

    After an error nothing is printed, unless something was listed before it.
    """
    global _document
    document = _document = Document(listings)
    is_whole = False
    try:
        yield
        is_whole = True
    except NothingToDo as error:
        say_lines(str(error))
        is_whole = True
    except Exit:
        is_whole = True
        raise
    finally:
        _document = None
        if is_whole or any(document.lists.values()):
            print(document.text, flush=True)


def is_for_programs() -> bool:
    """Whether stdout is for JSON alone."""
    return _document is not None


def as_json(value: Any) -> str:
    """JSON as people read it, masked; times in ISO 8601, spans in seconds, unknown is null.

    What a terminal would obey or turn around is escaped as JSON has it.

    >>> print(as_json([3, "a\\u202eb"]))
    [
      3,
      "a\\u202eb"
    ]
    """
    text = masked(json.dumps(_plain(value), ensure_ascii=False, indent=2))
    return "".join(one if one.isprintable() or one == "\n" else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]


def _plain(value: Any) -> Any:
    """A value as JSON has it.

    >>> _plain({"a": float("nan"), "b": timedelta(minutes=1), "c": Shown(3, "three")})
    {'a': None, 'b': 60.0, 'c': 3}
    """
    if isinstance(value, Shown):
        return _plain(value.value)
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime | date):
        return value.isoformat()
    is_plain = value is None or isinstance(value, bool | int | str)
    return value if is_plain else str(value)


def _notes() -> Console:
    """Where sentences go: stdout, or stderr where that is for programs."""
    return console if _document is None else _errors


def show_error(error: TsadError) -> int:
    """Prints an error and gives the exit code: 0 nothing to do, 2 bad input, 1 anything else."""
    if isinstance(error, NothingToDo):
        say_lines(str(error))
        return 0
    text = runnable(f"Error: {error}", program())
    _errors.print(text, markup=False, style="red" if sys.stderr.isatty() else None)
    return 2 if isinstance(error, BadInput) else 1


@contextmanager
def progress(what: str, total: int) -> Iterator[Advance]:
    """A bar with time and remaining time; call what it gives with a step and a few words, or with
    0 after what is none of the steps.

    Where neither stdout nor stderr is a terminal: lines on stderr, see `PLAIN_EVERY_S`.
    """
    # Imported by what lasts.
    from rich import progress as rich_progress

    columns = (
        *(rich_progress.TextColumn("{task.description}"), rich_progress.BarColumn(bar_width=30)),
        *(rich_progress.TaskProgressColumn(), rich_progress.TimeElapsedColumn()),
        *(rich_progress.TextColumn("left"), rich_progress.TimeRemainingColumn()),
        rich_progress.TextColumn("{task.fields[detail]}", markup=False),
    )
    # A bar must not take along what goes to a file.
    screen = _screen()
    options: dict[str, Any] = {"disable": screen is None, "redirect_stdout": screen is console}
    plain = _PlainProgress(what, total)
    with rich_progress.Progress(*columns, console=screen or _errors, **options) as bar:
        task = bar.add_task(what, total=total, detail="")

        def advance(n: int, detail: str) -> None:
            bar.update(task, advance=n, detail=visible(masked(detail)))
            if screen is None:
                plain.advance(n, detail)

        yield advance
    if not console.is_terminal:
        say(f"{what}: done")


@contextmanager
def working(what: str) -> Iterator[Status]:
    """A line that says what is done; see `Status`."""
    screen = _screen()
    with (screen or _errors).status(what) as line:
        if screen is None:
            line.stop()
        yield Status(line, is_plain=screen is None)


class Status:
    """A line of a terminal that says what is done; lines on stderr where there is none."""

    def __init__(self, line: Any, *, is_plain: bool) -> None:
        self._line, self._lines = line, PlainLines() if is_plain else None

    def update(self, text: str) -> None:
        """What is done now."""
        if self._lines is None:
            self._line.update(Text(visible(masked(text))))
        else:
            self._lines.say(text)

    def stop(self) -> None:
        """Leaves the terminal to somebody else."""
        self._line.stop()

    def start(self) -> None:
        """Takes it again."""
        if self._lines is None:
            self._line.start()


class PlainLines:
    """Lines on stderr, one in `PLAIN_EVERY_S` at most; what ends before that says none."""

    def __init__(self) -> None:
        self.began_s = self._said_s = monotonic()

    def say(self, text: str) -> None:
        """Says it, unless the last line is too young."""
        if monotonic() - self._said_s >= PLAIN_EVERY_S:
            self._said_s = monotonic()
            _errors.print(visible(masked(text)), markup=False)


class _PlainProgress:
    """How far something is, for a log."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._n = what, total, 0
        self._lines = PlainLines()
        # What took time and is none of the steps says nothing of how long those take.
        self._seen_s, self._apart_s = self._lines.began_s, 0.0

    def advance(self, n: int, detail: str) -> None:
        self._n += n
        self._apart_s += 0 if n else monotonic() - self._seen_s
        self._seen_s = monotonic()
        took_s = self._seen_s - self._lines.began_s
        left_s = (took_s - self._apart_s) / max(self._n, 1) * max(self._total - self._n, 0)
        far = f"{self._n} of {self._total} ({self._n / max(self._total, 1):.0%})"
        left = f", about {duration_text(round(left_s))} left" if self._n else ""
        times = f"{duration_text(round(took_s))}{left}"
        self._lines.say(f"{self._what}: {far}, {detail}; {times}")


def _screen() -> Console | None:
    """The terminal for what moves; None without one."""
    if console.is_terminal and not is_for_programs():
        return console
    return _errors if _errors.is_terminal else None


def say(text: str) -> None:
    """One line, whatever is in it; its commands run as they stand."""
    say_login(runnable(visible(masked(text)), program()))


def say_lines(text: str) -> None:
    """Several lines."""
    for line in text.split("\n"):
        say(line)


def say_login(text: str) -> None:
    """One line as it is: with a login that was made here, and is shown on purpose."""
    _notes().print(text, markup=False, soft_wrap=True)


def say_markdown(text: str) -> None:
    """Markdown, its tables as tables."""
    # Imported by the few commands that say some.
    from rich.markdown import Markdown

    _notes().print(Markdown(masked(text)))


def say_counts(what: str, counts: Mapping[str, Any]) -> None:
    """One line of counts; those that are nothing are left out."""
    shown = [
        f"{_COUNT_WORDS.get(name) or name.removeprefix('n_').replace('_', ' ')} {said}"
        for name, value in counts.items()
        if name not in _UNSAID and (said := _said(value))
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
    listing: Listing,
    title: str,
    rows: Iterable[Sequence[Any] | Mapping[str, Any]],
    *,
    of: Mapping[str, Any] | None = None,
) -> None:
    """A table on the screen, or its rows for programs; what is unknown shows as –.

    Parameters
    ----------
    rows : values in the order of the listing's columns, or by their names.
    of : what programs are told of each row beside it, where the screen has it in the title.
    """
    names = listing.columns
    given = [[row[name] for name in names] if isinstance(row, Mapping) else row for row in rows]
    if _document is not None:
        _document.add(listing, given, of or {})
        return
    looks: dict[str, Any] = {"header_style": "bold", "pad_edge": False}
    heads = listing.shown
    heading = Text(_cell(_titled(title, [row[: len(heads)] for row in given])), "bold")
    shown = Table(title=heading, title_justify="left", box=None, **looks)
    cells = [[_cell(value) for value in row[: len(heads)]] for row in given]
    widths = [max((len(cell) for cell in column), default=0) for column in zip(*cells, strict=True)]
    # The widest column is the one whose text wraps.
    widest = widths.index(max(widths)) if widths else 0
    for at, (name, head) in enumerate(zip(names, heads, strict=False)):
        justify: Literal["left", "right"] = "right" if name in listing.right else "left"
        shown.add_column(head, justify=justify, overflow="fold", no_wrap=at != widest)
    for row in cells:
        shown.add_row(*map(Text, row))
    console.print(shown)


def _titled(title: str, rows: Iterable[Sequence[Any]]) -> str:
    """A table's title, which says of what clock its times are: that on which times are typed.

    >>> _titled("room", [[datetime(2026, 3, 1)]]), _titled("room", [[3]])
    ('room, times in UTC', 'room')
    """
    cells = (one.value if isinstance(one, Shown) else one for row in rows for one in row)
    if not any(isinstance(one, datetime) for one in cells):
        return title
    return f"{title}, times in UTC" if title else "Times in UTC"


def list_rows(listing: Listing, title: str, rows: Sequence[dict[str, Any]], nothing: str) -> None:
    """What a query found; in words where it found nothing."""
    if rows:
        table(listing, title, rows)
    else:
        say(nothing)


def _cell(value: Any) -> str:
    if isinstance(value, Shown):
        value = value.text
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return visible(masked(text))
