"""docs/results.md: how to read it, a table of figures per document, and the tables behind them."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from document_figures.cache import Result
from document_figures.figures import Document, Figure, Sizes, Table, Verdict

INTRODUCTION = """# What the five documents state, and what this project measures

This page is written by `make documents`; nothing in it is typed by hand. It re-runs every figure,
claim and ablation of the documents A to E with the detectors, thresholds and evaluation that score
the real sensors.

How to read it:
- *beaten*: better than the document's figure. *matched*: within the tolerance given in the code, or
  a claim that holds. *explained*: worse or different, with a reason that another measurement on
  this page bears out (the code checks it). *missed*: worse, and no measurement bears out why.
  *shown*: the document gives nothing to hold it against.
- Figures are medians over the seeds; in brackets the lowest and the highest. Another seed is other
  data, another initial network and, in A, another split. A document's own figure is one run of
  unknown seed on data that is not published, so small differences mean nothing.
- minutes are those of the whole experiment that a figure comes from, the median over the seeds.
- What is held out: {held_out}
- Data: series B and D and the plant of A are made by this project
  (`benchmarks/simulators/simulate_documents.py`, `simulate_cats.py`) as the documents describe
  theirs, because theirs are not published or not shipped here; C and E read NAB's files where
  `TSAD_BENCH_DATA` names a folder that holds `nab/`, else a stand-in, and say which.
"""
HELD_OUT = """thresholds are set on readings that the model has not learned from and that are not
  scored; the test part is used once. Parts are cut by time, with an embargo of one window between
  them, unless a row says *random split*."""


def page(
    documents: Sequence[Document], results: Iterable[Result], sizes: Sizes, command: str
) -> str:
    """The whole page."""
    by_document = {
        document.letter: _of(document, results := list(results)) for document in documents
    }
    seeds = sorted({result.seed for found in by_document.values() for result in found})
    parts = [INTRODUCTION.format(held_out=HELD_OUT), _made_by(sizes, seeds, list(results), command)]
    parts += [_summary(documents, by_document)]
    parts += [_section(document, by_document[document.letter]) for document in documents]
    return "\n".join(parts)


def _of(document: Document, results: Iterable[Result]) -> list[Result]:
    names = {experiment.name for experiment in document.experiments}
    return [result for result in results if result.experiment in names]


def _made_by(sizes: Sizes, seeds: Sequence[int], results: Sequence[Result], command: str) -> str:
    minutes = sum(result.minutes for result in results)
    n_seeds = max(len(seeds), 1)
    return (
        f"Command: `{command}`. Sizes: {sizes.name}. Seeds: "
        f"{', '.join(map(str, seeds)) or 'none'}. "
        f"Time: {minutes:.0f} minutes in all, {minutes / n_seeds:.0f} per seed, one thread, "
        f"{os.cpu_count()} cores ({platform.machine()}, Python {platform.python_version()}).\n"
    )


def pooled(results: Iterable[Result]) -> dict[str, list[float]]:
    """All seeds' values by key."""
    found: dict[str, list[float]] = {}
    for result in results:
        for key, value in result.values.items():
            found.setdefault(key, []).append(value)
    return found


def medians(results: Iterable[Result]) -> dict[str, float]:
    """The median over the seeds by key; what is unknown with one seed has no say."""
    known = {
        key: [one for one in each if not math.isnan(one)] for key, each in pooled(results).items()
    }
    return {key: median(each) if each else math.nan for key, each in known.items()}


def _summary(documents: Sequence[Document], by_document: Mapping[str, list[Result]]) -> str:
    verdicts: tuple[Verdict, ...] = (
        "beaten",
        "matched",
        "explained",
        "missed",
        "shown",
        "not measured",
    )
    rows = []
    for document in documents:
        values = medians(by_document[document.letter])
        found = [figure.verdict(values) for figure in document.figures]
        counts = [str(found.count(verdict)) for verdict in verdicts]
        rows.append([f"{document.letter}. {document.title}", str(len(found)), *counts])
    return "## In short\n\n" + _table(["document", "rows", *verdicts], rows)


def _section(document: Document, results: list[Result]) -> str:
    values, spread = medians(results), pooled(results)
    minutes = {
        name: median(r.minutes for r in results if r.experiment == name)
        for name in {r.experiment for r in results}
    }
    heads = ["figure or claim", "document", "here", "verdict", "minutes"]
    rows = [_figure_row(figure, values, spread, minutes) for figure in document.figures]
    parts = [
        f"## {document.letter}. {document.title}\n",
        document.held_out + "\n",
        _table(heads, rows),
    ]
    parts += [_reasons(document.figures, values)]
    parts += [_detail(table, spread) for table in document.tables if _is_measured(table, values)]
    parts += [_runs(document, results)]
    return "\n".join(parts)


def _figure_row(
    figure: Figure,
    values: Mapping[str, float],
    spread: Mapping[str, list[float]],
    minutes: Mapping[str, float],
) -> list[str]:
    verdict = figure.verdict(values)
    taken = minutes.get(figure.experiment)
    here = _ours(figure, spread.get(figure.key, []))
    return [
        figure.claim,
        figure.stated,
        here,
        f"**{verdict}**",
        "–" if taken is None else f"{taken:.1f}",
    ]


def _ours(figure: Figure, values: Sequence[float]) -> str:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "–"
    middle = figure.shown(median(known))
    if len(known) == 1:
        return middle
    if figure.better == "holds":
        return f"{middle} ({sum(value >= 0.5 for value in known)} of {len(known)} seeds)"
    return f"{middle} [{figure.shown(min(known))}, {figure.shown(max(known))}]"


def _reasons(figures: Sequence[Figure], values: Mapping[str, float]) -> str:
    """Why rows are as they are, below the table so that it stays narrow; the same reason once."""
    claims: dict[str, list[str]] = {}
    for figure in figures:
        verdict = figure.verdict(values)
        if (
            figure.why
            and verdict != "not measured"
            and (figure.always or verdict not in ("beaten", "matched"))
        ):
            claims.setdefault(figure.reason(values), []).append(f"*{figure.claim}* ({verdict})")
    said = [f"- {'; '.join(rows)}: {reason}" for reason, rows in claims.items()]
    return "Why, in the order of the table:\n" + "\n".join(said) + "\n" if said else ""


def _is_measured(table: Table, values: Mapping[str, float]) -> bool:
    return any(key in values for _, keys in table.rows for key in keys)


def _detail(table: Table, spread: Mapping[str, list[float]]) -> str:
    rows = [
        [label, *(_cell(table.form, spread.get(key, [])) for key in keys)]
        for label, keys in table.rows
    ]
    note = f"\n{table.note}\n" if table.note else ""
    return f"### {table.title}\n\n{_table(['', *table.columns], rows)}{note}"


def _cell(form: str, values: Sequence[float]) -> str:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "–"
    middle = form.format(median(known))
    return middle if len(known) == 1 else f"{middle} ± {form.format((max(known) - min(known)) / 2)}"


def _runs(document: Document, results: Sequence[Result]) -> str:
    titles = {experiment.name: experiment.title for experiment in document.experiments}
    rows = [
        [name, titles[name], str(one.seed), f"`{one.config_hash}`", f"{one.minutes:.1f}"]
        for name in titles
        for one in sorted(results, key=lambda result: result.seed)
        if one.experiment == name
    ]
    heads = ["experiment", "what", "seed", "config hash", "minutes"]
    return f"<details><summary>Runs</summary>\n\n{_table(heads, rows)}\n</details>\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return (
        "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
        )
        + "\n"
    )
