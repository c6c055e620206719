"""NAB and SKAB as a stranger would meet them: settings from two thirds of the files, figures of the
rest: `held_out_files.py --data FOLDER --nab-referee PATH --skab-referee PATH [--against CHECKOUT]`.

Files are shuffled by a seed and cut into thirds; each third is reported once, with the one setting
of a small grid that the other two liked best. That is done for `--seeds` shuffles, four of them
twelve splits. Another checkout is run on the same files, with the same grid and the same splits, so
that both are told apart split by split; the median over splits is said with the lowest and the
highest. Nothing else is random. What was tuned on these very files over the years (constants of the
heads) stays tuned: only other files could tell.

What a build makes of the files with a setting, and what a referee says of that, is kept in --cache:
a run that was cut short goes on. `--small` makes files of its own and a referee of its own, and
fails where a file is reported twice or with a setting that saw it, or what is kept is made again.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

N_PARTS = 3
NAB_GRID = {"limit": (3.3, 3.7, 4.1), "penalty": (0.5, 0.8)}
SKAB_GRID = {"limit": (4.5, 5.0, 6.0), "leave_share": (0.45, 0.55)}
FIGURE = re.compile(r"(F1|FAR|MAR)=([\d.]+)")
PER_FILE = re.compile(r"^\s+(\S+)\s+raw=\s*(-?[\d.]+) windows=(\d+)", re.MULTILINE)
# Any alarm counts: results are thirds, by severity.
ANY_ALARM = "0.3"
Setting = Mapping[str, float]
Figures = dict[str, float]
# Figures of some files with a setting.
Judge = Callable[[str, Sequence[str]], Figures]


def settings(grid: Mapping[str, Sequence[float]]) -> dict[str, Setting]:
    """Every setting of a grid by its name.

    >>> list(settings({"limit": (1.0, 2.0), "penalty": (0.5,)}))
    ['limit=1,penalty=0.5', 'limit=2,penalty=0.5']
    """
    found = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    return {",".join(f"{key}={value:g}" for key, value in one.items()): one for one in found}


@dataclass(frozen=True)
class Split:
    """Names of files that choose a setting, and of those that are reported with it."""

    chosen_on: tuple[str, ...]
    reported: tuple[str, ...]


def splits(names: Sequence[str], n_seeds: int) -> Iterator[Split]:
    """Thirds of shuffled names, each reported once by seed.

    >>> each = list(splits("abcdef", 2))
    >>> len(each), sorted(sum((one.reported for one in each[:3]), ()))
    (6, ['a', 'b', 'c', 'd', 'e', 'f'])
    """
    for seed in range(n_seeds):
        order = np.random.default_rng(seed).permutation(sorted(names)).tolist()
        for part in range(N_PARTS):
            reported = tuple(order[part::N_PARTS])
            yield Split(tuple(name for name in order if name not in reported), reported)


def judged(all_splits: Sequence[Split], names: Sequence[str], judge: Judge) -> list[Figures]:
    """Figures of the reported files of each split, with the setting that the others liked best."""
    found = []
    for split in all_splits:
        best = max(names, key=lambda name: judge(name, split.chosen_on)["score"])
        found.append(judge(best, split.reported))
    return found


def measure_nab(data: Path, out: Path) -> None:
    """Results of this build on NAB's files with every setting, each in a folder."""
    import nab

    folder = nab.nab_folder(data)
    files = [nab.read_file(folder, name) for name in nab.file_names(folder)]
    kept = out / "errors.npy"
    if not kept.is_file():
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=out, suffix=".npy", delete=False) as stream:
            np.save(stream, nab.file_errors(files, {}))
        Path(stream.name).rename(kept)
    errors = np.load(kept)
    for name, setting in settings(NAB_GRID).items():
        with unless_kept(out / name) as made:
            if made is not None:
                rule = replace(nab.RULE, limit=setting["limit"], penalty=setting["penalty"])
                scores = nab.alarm_scores(errors, nab.Settings({}, rule=rule))
                rows = [row[: len(file.values)] for file, row in zip(files, scores, strict=True)]
                nab.write_results(made, files, rows)


def measure_skab(data: Path, out: Path) -> None:
    """Results of this build on SKAB's files with every setting, each in a folder."""
    import skab

    folder = skab.skab_folder(data)
    files = [skab.read_file(folder, name) for name in skab.file_names(folder)]
    for name, setting in settings(SKAB_GRID).items():
        with unless_kept(out / name) as made:
            if made is not None:
                skab.write_results(made, files, skab.alarms(files, setting))


class unless_kept:  # noqa: N801
    """A folder to be filled, which gets its name when it is whole; None where it is there."""

    def __init__(self, whole: Path) -> None:
        self.whole, self.made = whole, whole.with_name(f".{whole.name}.{os.getpid()}")

    def __enter__(self) -> Path | None:
        if self.whole.is_dir():
            return None
        self.made.mkdir(parents=True)
        return self.made

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self.made.is_dir():
            self.made.rename(self.whole)


MEASURES = {"nab": measure_nab, "skab": measure_skab}


def measured(which: str, build: Path, data: Path, out: Path) -> None:
    """Lets a checkout measure in a process of its own."""
    path = os.pathsep.join((str(build), str(build / "benchmarks")))
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", which]
    subprocess.run(
        [*command, "--data", str(data), "--cache", str(out)],
        check=True,
        env=os.environ | {"PYTHONPATH": path},
    )


def said(out: Path, key: str, command: Sequence[str]) -> str:
    """What a referee prints, kept."""
    digest = hashlib.sha256("\0".join([key, *command]).encode()).hexdigest()[:16]
    kept = out / "said" / f"{digest}.txt"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, *command], check=True, capture_output=True, text=True
        )
        kept.write_text(done.stdout, encoding="utf-8")
    return kept.read_text(encoding="utf-8")


def nab_judge(referee: Path, data: Path, out: Path) -> tuple[list[str], Judge]:
    """Names of files with windows or without, and NAB's standard score of some of them.

    Scores of files add up: the referee is asked once a setting.
    """
    import nab

    folder = nab.nab_folder(data)
    names = nab.file_names(folder)
    raw: dict[str, dict[str, tuple[float, int]]] = {}
    for setting in settings(NAB_GRID):
        listed = out / "files.txt"
        listed.write_text("\n".join(names), encoding="utf-8")
        command = [str(referee), str(out / setting), "--nab", str(folder), "--files", str(listed)]
        text = said(out, setting, [*command, "--threshold", ANY_ALARM, "--per-file"])
        raw[setting] = {name: (float(r), int(n)) for name, r, n in PER_FILE.findall(text)}

    def judge(setting: str, files: Sequence[str]) -> Figures:
        total = sum(raw[setting][name][0] for name in files)
        n_windows = sum(raw[setting][name][1] for name in files)
        return {"score": 100 * (total + n_windows) / (2 * n_windows)}

    return names, judge


def skab_judge(referee: Path, data: Path, out: Path) -> tuple[list[str], Judge]:
    """Names of runs with anomalies, and F1 and false alarms of some; alarms on the clean runs."""
    import pandas as pd
    import skab

    folder = skab.skab_folder(data)
    every = skab.file_names(folder)
    clean = [name for name in every if name.startswith(skab.CLEAN)]

    def judge(setting: str, files: Sequence[str]) -> Figures:
        listed = out / f"files-{os.getpid()}.txt"
        listed.write_text("\n".join(files), encoding="utf-8")
        command = [str(referee), str(out / setting), "--skab", str(folder.parent)]
        key = "\0".join([setting, *sorted(files)])
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        listed = listed.rename(out / f"files-{digest}.txt")
        text = said(out, key, [*command, "--files", str(listed)])
        found = {name: float(value) for name, value in FIGURE.findall(text)}
        parts = [pd.read_csv(out / setting / name)["anomaly"] for name in clean]
        quiet = 100 * float(pd.concat(parts).mean()) if parts else float("nan")
        return {"score": found["F1"], "far": found["FAR"], "clean": quiet}

    return [name for name in every if name not in clean], judge


def line_of(title: str, values: Sequence[float], form: str) -> str:
    """Median, lowest and highest of a figure over the splits."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"  {title:<44}{middle:{form}} [{low:{form}}, {high:{form}}]"


TITLES = {
    "nab": {"score": ("NAB standard", ".1f")},
    "skab": {
        "score": ("SKAB F1", ".3f"),
        "far": ("SKAB false alarms, %", ".1f"),
        "clean": ("alarms on the anomaly-free run, %", ".1f"),
    },
}


def print_benchmark(which: str, found: Mapping[str, list[Figures]]) -> None:
    """A line per figure and build, and of their difference in the same splits."""
    builds = list(found)
    print(f"{which.upper()}, {len(found[builds[0]])} splits: median [lowest, highest]", flush=True)
    for key, (title, form) in TITLES[which].items():
        columns = {build: [one[key] for one in found[build]] for build in builds}
        for build, values in columns.items():
            print(line_of(f"{title}, {build}", values, form))
        if len(builds) > 1:
            ours, others = columns.values()
            differences = [a - b for a, b in zip(ours, others, strict=True)]
            print(line_of(f"{title}, difference in the same split", differences, f"+{form}"))


def run(arguments: argparse.Namespace) -> int:
    """Measures, judges and prints."""
    builds = {"this build": Path(__file__).resolve().parents[1]}
    if arguments.against:
        builds["the other"] = arguments.against.resolve()
    referees = {"nab": arguments.nab_referee, "skab": arguments.skab_referee}
    judges = {"nab": (nab_judge, NAB_GRID), "skab": (skab_judge, SKAB_GRID)}
    for which, referee in referees.items():
        if referee is None:
            continue
        found = {}
        for title, build in builds.items():
            out = arguments.cache / which / code_of(build)
            measured(which, build, arguments.data, out)
            make, grid = judges[which]
            names, judge = make(referee.resolve(), arguments.data, out)
            found[title] = judged(list(splits(names, arguments.seeds)), list(settings(grid)), judge)
        print_benchmark(which, found)
    return 0


def code_of(build: Path) -> str:
    """A name for what a checkout makes of files: a digest of its heads and their parts."""
    digest = hashlib.sha256()
    heads = [path for room in ("model", "core", "detectors") for path in _modules(build, room)]
    for path in (*heads, build / "benchmarks" / "nab.py", build / "benchmarks" / "skab.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _modules(build: Path, room: str) -> list[Path]:
    return sorted((build / "tsad_tasks" / room).rglob("*.py"))


def made_judge(calls: list[tuple[str, tuple[str, ...]]]) -> Judge:
    """A referee that likes the setting whose number a file's own is near."""

    def judge(setting: str, files: Sequence[str]) -> Figures:
        calls.append((setting, tuple(files)))
        wanted = statistics.mean(float(name[1:]) for name in files)
        return {"score": -abs(float(setting.split("=")[1]) - wanted)}

    return judge


def run_small() -> int:
    """The protocol on made files and a made referee, and NAB's results kept; 1 where one fails."""
    import nab

    names = [f"f{i % 7}" if i < 7 else f"f{i}" for i in range(12)]
    calls: list[tuple[str, tuple[str, ...]]] = []
    all_splits = list(splits(names, 4))
    judged(all_splits, ["limit=1", "limit=5"], made_judge(calls))
    broken = []
    for seed in range(4):
        of_seed = all_splits[N_PARTS * seed : N_PARTS * (seed + 1)]
        if sorted(name for one in of_seed for name in one.reported) != sorted(names):
            broken.append("Expected each file reported once a seed.")
    if any(set(one.chosen_on) & set(one.reported) for one in all_splits):
        broken.append("Expected no file reported with a setting that saw it.")
    with tempfile.TemporaryDirectory(prefix="tsad-held-out-") as made:
        folder, out = Path(made), Path(made) / "kept"
        nab.made_folder(folder)
        measure_nab(folder, out)
        kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.csv")}
        measure_nab(folder, out)
        if len(kept) != 3 * len(settings(NAB_GRID)) or kept != {
            path: path.stat().st_mtime_ns for path in out.rglob("*.csv")
        }:
            broken.append("Expected each setting's results once, and kept.")
    print(f"{len(all_splits)} splits, {len(calls)} judgements, {len(kept)} results kept")
    print(json.dumps(broken) if broken else "as promised")
    return int(bool(broken))


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with nab/ and skab/")
    parser.add_argument("--nab-referee", type=Path, help="program: RESULTS --nab FOLDER --per-file")
    parser.add_argument("--skab-referee", type=Path, help="program: RESULTS --skab FOLDER --files")
    parser.add_argument("--against", type=Path, help="a checkout of another build")
    parser.add_argument("--seeds", type=int, default=4, help="shuffles, each of three splits")
    parser.add_argument("--cache", type=Path, default=Path(".tsad/bench/held_out"))
    parser.add_argument("--measure", choices=tuple(MEASURES), help=argparse.SUPPRESS)
    parser.add_argument("--small", action="store_true", help="made files and promises, for CI")
    arguments: Any = parser.parse_args()
    if arguments.small:
        return run_small()
    if arguments.data is None:
        parser.error("Expected --data FOLDER or --small.")
    if arguments.measure:
        # This file's folder has this build's benchmarks; what is measured is said by PYTHONPATH.
        sys.path.remove(str(Path(__file__).resolve().parent))
        MEASURES[arguments.measure](arguments.data, arguments.cache)
        return 0
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
