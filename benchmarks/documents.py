"""Every figure, claim and ablation of documents A to E beside ours: `make documents` writes
docs/results.md.

Usage: python benchmarks/documents.py [--only a,d] [--seeds 1|3] [--small] [--out FILE] [--fresh]
[--kept]

An experiment's numbers are kept in .tsad/documents as JSON, by experiment, seed and a hash of
everything that decides them, so that a run that was cut short goes on where it stopped, and three
seeds may be run in three nights. With one seed the page shows all seeds that are kept. --small
measures every experiment at a tiny size, prints, and writes no page unless --out is given. Fails
where a check does not hold: F1 above a floor, a claim in the other direction.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from document_figures import document_a, document_b, document_c, document_d, document_e
from document_figures.cache import Result, kept_results, result_of
from document_figures.figures import SMALL, Document, Sizes
from document_figures.page import medians, page

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "results.md"
DOCUMENTS: tuple[Document, ...] = tuple(
    module.DOCUMENT for module in (document_a, document_b, document_c, document_d, document_e)
)
ALL_SEEDS = (1, 2, 3)


def main() -> int:
    """Measure, write the page, check."""
    arguments = _arguments()
    sizes = SMALL if arguments.small else Sizes()
    if arguments.small:
        arguments.cache = arguments.cache / "small"
    chosen = [
        one
        for one in DOCUMENTS
        if not arguments.only or one.letter.lower() in arguments.only.lower().split(",")
    ]
    began = time.perf_counter()
    if arguments.kept:
        _write(arguments.out or PAGE, sizes, arguments)
        return 0
    results = _measured(chosen, sizes, ALL_SEEDS[: arguments.seeds], arguments)
    n_failed = _check(chosen, results)
    out = arguments.out or (None if arguments.small else PAGE)
    if out is not None:
        _write(out, sizes, arguments)
    print(f"{(time.perf_counter() - began) / 60:.1f} min, {n_failed} checks failed")
    return 1 if n_failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", metavar="a,d", help="these documents; the others' kept results stay on the page"
    )
    parser.add_argument(
        "--seeds", type=int, choices=(1, 2, 3), default=1, help="how many seeds (default 1)"
    )
    parser.add_argument("--small", action="store_true", help="a tiny size of everything, for CI")
    parser.add_argument("--out", type=Path, help="the page (default docs/results.md)")
    parser.add_argument("--fresh", action="store_true", help="measure again what is kept")
    parser.add_argument(
        "--kept", action="store_true", help="measure nothing: write the page from what is kept"
    )
    parser.add_argument(
        "--cache", type=Path, default=PROJECT / ".tsad" / "documents", help="where results are kept"
    )
    return parser.parse_args()


def _measured(
    documents: Sequence[Document], sizes: Sizes, seeds: Sequence[int], arguments: argparse.Namespace
) -> list[Result]:
    runs = [
        (seed, experiment) for seed in seeds for one in documents for experiment in one.experiments
    ]
    results = []
    for number, (seed, experiment) in enumerate(runs, 1):
        head = f"[{number}/{len(runs)}] {experiment.name}, seed {seed}: "
        print(head + experiment.title, flush=True)

        def say(text: str, head: str = head) -> None:
            print(f"{head}{text}", flush=True)

        fresh = arguments.fresh or sizes is SMALL
        results.append(result_of(experiment, sizes, seed, arguments.cache, fresh=fresh, say=say))
    return results


def _check(documents: Sequence[Document], results: Sequence[Result]) -> int:
    values, n_failed = medians(results), 0
    for check in (check for one in documents for check in one.checks):
        value = values.get(check.key, float("nan"))
        good = value >= check.least
        n_failed += not good
        print(
            f"{'ok    ' if good else 'FAILED'} {check.what}: {check.key} {value:.3f}, at least "
            f"{check.least:g}"
        )
    return n_failed


def _write(out: Path, sizes: Sizes, arguments: argparse.Namespace) -> None:
    experiments = [experiment for one in DOCUMENTS for experiment in one.experiments]
    kept = kept_results(experiments, sizes, ALL_SEEDS, arguments.cache)
    command = f"make documents SEEDS={arguments.seeds}"
    out.write_text(page(DOCUMENTS, kept, sizes, command), encoding="utf-8")
    print(f"wrote {out}")


if __name__ == "__main__":
    sys.exit(main())
