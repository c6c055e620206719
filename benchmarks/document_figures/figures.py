"""What the documents state, as something that can be held against a measurement: figures, claims,
tables, checks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Values = Mapping[str, float]
Evidence = Callable[[Values], bool]
Say = Callable[[str], None]
Better = Literal["higher", "lower", "same", "holds", "shown"]
Verdict = Literal["beaten", "matched", "explained", "missed", "shown", "not measured"]


@dataclass(frozen=True)
class Sizes:
    """How much of everything: the whole, or what CI has time for.

    Attributes
    ----------
    load_steps : steps of document D's series; the first 8,000 are clean in the whole
    cats_rows : rows of document A's plant; `cats_stride` is between windows that are trained on
    nab_files : how many of E's files
    """

    name: str = "whole"
    epochs: int = 40
    patience: int = 10
    sine_steps: int = 5_000
    load_steps: int = 20_000
    clean_steps: int = 8_000
    room_days: int = 14
    cats_rows: int = 400_000
    cats_segments: int = 200
    cats_stride: int = 10
    cats_epochs: int = 6
    nab_files: int = 8

    @property
    def is_small(self) -> bool:
        """Whether experiments leave out variants."""
        return self.name == "small"


SMALL = Sizes("small", 6, 6, 1_200, 6_000, 4_000, 4, 8_000, 24, 4, 2, 1)


@dataclass(frozen=True)
class Experiment:
    """Something that is run once per seed and gives numbers by name; keys of figures start with
    `<name>.`
    """

    name: str
    title: str
    measure: Callable[[Sizes, int, Say], dict[str, float]]


@dataclass(frozen=True)
class Figure:
    """One figure or claim of a document.

    Attributes
    ----------
    key : `<experiment>.<value>`
    stated : what the document says, for people
    target : the same as a number; for better="holds" none is needed, the value is 1 where the claim
        holds
    better : higher or lower beats the document; same must be near; holds is a claim; shown has
        nothing to be held against
    tolerance : how near is matched
    why : said where the document's figure is not reached; `{<value>}` stands for another value
    always : say `why` whatever the verdict
    evidence : whether the measured values bear `why` out; without it, or where they do not, the
        figure is missed
    """

    key: str
    claim: str
    stated: str
    target: float = math.nan
    better: Better = "higher"
    tolerance: float = 0.01
    form: str = "{:.3f}"
    why: str = ""
    evidence: Evidence | None = None
    always: bool = False

    @property
    def experiment(self) -> str:
        return self.key.partition(".")[0]

    def shown(self, value: float) -> str:
        """A value in this figure's form."""
        if math.isnan(value):
            return "–"
        return (
            ("holds" if value >= 0.5 else "does not hold")
            if self.better == "holds"
            else self.form.format(value)
        )

    def verdict(self, values: Values) -> Verdict:
        """How the measured value stands against the document's."""
        value = values.get(self.key, math.nan)
        if math.isnan(value):
            return "not measured"
        if self.better == "shown":
            return "shown"
        if reached := self._reached(value):
            return reached
        return (
            "explained" if self.evidence is not None and self.evidence(_Known(values)) else "missed"
        )

    def _reached(self, value: float) -> Verdict | None:
        if self.better == "holds":
            return "matched" if value >= 0.5 else None
        if abs(value - self.target) <= self.tolerance:
            return "matched"
        gain = {"higher": value - self.target, "lower": self.target - value}.get(self.better, 0.0)
        return "beaten" if gain > 0 else None

    def reason(self, values: Values) -> str:
        """`why` with measured values filled in: those of its own experiment, others as
        `{<experiment>_<value>}`.
        """
        named = {key.replace(".", "_"): Shown(value) for key, value in values.items()}
        own = self.experiment + "."
        named |= {
            key.removeprefix(own): Shown(value)
            for key, value in values.items()
            if key.startswith(own)
        }
        return self.why.format_map(_Known(named))


class _Known(dict[str, float]):
    """Values by name; one that was not measured prints as nan."""

    def __missing__(self, name: str) -> float:
        return Shown(math.nan)


class Shown(float):
    """A number that prints itself with three digits where no format is given."""

    def __format__(self, form: str) -> str:
        return format(float(self), form or ".3f")


@dataclass(frozen=True)
class Table:
    """Detail beside the figures: one row per label, each cell the key of a value.

    Attributes
    ----------
    rows : of (label, keys); an empty key leaves the cell empty
    note : what to see in it
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    form: str = "{:.3f}"
    note: str = ""


@dataclass(frozen=True)
class Check:
    """What must hold at any size, or the command fails: a value and the least it may be."""

    key: str
    least: float
    what: str


@dataclass(frozen=True)
class Document:
    """One of the five."""

    letter: str
    title: str
    held_out: str
    experiments: Sequence[Experiment]
    figures: Sequence[Figure]
    tables: Sequence[Table]
    checks: Sequence[Check]
