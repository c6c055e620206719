"""The event head on the Numenta Anomaly Benchmark's own files and formats: `nab.py --data FOLDER
[--referee PATH]`.

FOLDER holds data/<category>/<file>.csv (timestamp, value), or nab/ that does; whatever files are
there are run, all with one default config, each commissioned on its own probation part (15 % of its
rows, at most 750). Errors, thresholds, flags and alarms come from the functions that score in
production; labels are read by the referee alone. Writes <out>/<category>/<file>.csv with timestamp
and anomaly_score: 0, or 1/3, 2/3, 1 where an alarm of low, medium or high severity begins. A
referee is a program that takes the results' folder, --nab and --files, and prints scores.

`--ablation` leaves each part out. `--neural` adds an LSTM autoencoder as a member, over `--seeds`;
without it nothing is random. `--small` makes series of its own and fails where a prefix scores
otherwise than the whole, another unit changes an alarm, or an injected fault is missed; it takes
two files from TSAD_BENCH_DATA as well, where that is set.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tsad_tasks.detectors.folding.fold import Series
from tsad_tasks.detectors.registry import build_detector
from tsad_tasks.model.event_rule import (
    AlarmRule,
    RankRule,
    alarm_starts,
    no_events,
    ranked_thresholds,
)
from tsad_tasks.model.surprise_fusion import WEIGHTS
from tsad_tasks.model.thresholds import anomaly_scores, flag, severities

PROBATION_SHARE, MAX_PROBATION = 0.15, 750
# Rows are what NAB counts in; the heads count grid steps, and a row is one.
STEP_S = 300
RULE, ALARMS = RankRule(), AlarmRule(refractory_s=75 * STEP_S)
MEMBER = {"member": {"name": "lstm_autoencoder"}}
DEFAULT_OUT = Path(".tsad/bench/nab")

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class NabFile:
    """One file: its timestamps as written, values with NaN where there is none, seconds on its own
    clock.

    `n_probation` rows commission it; of a prefix that is to score as the whole, those of the whole.
    """

    name: str
    timestamps: tuple[str, ...]
    values: NDArray[np.float64]
    local_s: NDArray[np.int64]
    n_probation: int

    def prefix(self, n_rows: int) -> NabFile:
        """The first rows, commissioned as the whole is."""
        timestamps = self.timestamps[:n_rows]
        return replace(
            self, timestamps=timestamps, values=self.values[:n_rows], local_s=self.local_s[:n_rows]
        )


@dataclass(frozen=True)
class Settings:
    """What an ablation changes; the defaults are what is benchmarked."""

    params: Mapping[str, Any]
    rule: RankRule = RULE
    alarms: AlarmRule = ALARMS


def read_file(folder: Path, name: str, probation_of: int | None = None) -> NabFile:
    """A file of the folder's data/; `probation_of` rows decide how many commission it, else its
    own.
    """
    rows = pd.read_csv(folder / "data" / name, dtype=str, keep_default_na=False)
    values = pd.to_numeric(rows["value"], errors="coerce").to_numpy(np.float64, copy=True)
    values[~np.isfinite(values)] = np.nan
    at = pd.to_datetime(rows["timestamp"], errors="coerce")
    seconds = (at - pd.Timestamp(0)).dt.total_seconds().ffill().fillna(0.0).to_numpy(np.float64)
    n_rows = len(rows) if probation_of is None else probation_of
    n_probation = min(math.floor(PROBATION_SHARE * n_rows), MAX_PROBATION)
    return NabFile(
        name, tuple(rows["timestamp"]), values, np.floor(seconds).astype(np.int64), n_probation
    )


def nab_folder(folder: Path) -> Path:
    """The folder that holds data/: the one given, or nab/ in it."""
    for found in (folder, folder / "nab"):
        if (found / "data").is_dir():
            return found
    raise SystemExit(
        f"Expected data/<category>/<file>.csv in {folder} or {folder}/nab. Received: neither."
    )


def file_names(folder: Path) -> list[str]:
    """<category>/<file>.csv of every data file."""
    return sorted(f"{path.parent.name}/{path.name}" for path in (folder / "data").glob("*/*.csv"))


def series_of(files: Sequence[NabFile]) -> Series:
    """The files side by side, one channel each, with NaN behind the shorter ones."""
    n_rows = max(len(file.values) for file in files)
    values, local_s = (
        np.full((len(files), n_rows, 1), np.nan),
        np.zeros((len(files), n_rows), np.int64),
    )
    for i, file in enumerate(files):
        values[i, : len(file.values), 0], local_s[i, : len(file.values)] = file.values, file.local_s
    return Series(values, local_s, STEP_S)


def file_errors(
    files: Sequence[NabFile], params: Mapping[str, Any], seed: int = 0
) -> NDArray[np.float32]:
    """Errors (n_files, n_rows), all files in one pass; rows of the probation part judged by the
    rows before them.
    """
    names, series = [file.name for file in files], series_of(files)
    in_probation = np.arange(series.values.shape[1]) < np.array(
        [[file.n_probation] for file in files]
    )
    later = Series(np.where(in_probation[..., None], np.nan, series.values), series.local_s, STEP_S)
    training = probation_part(series, in_probation)
    if params.get("member"):
        learned, errors = with_own_members(names, training, later, params, seed)
    else:
        detector = head(params)
        detector.fit_series(names, training, seed=seed)
        learned, errors = (
            detector.training_errors,
            detector.advance(detector.start(names), later)[1].channel_errors,
        )
    n_learned = min(learned.shape[1], errors.shape[1])
    errors[:, :n_learned] = np.where(
        in_probation[:, :n_learned, None], learned[:, :n_learned], errors[:, :n_learned]
    )
    found: NDArray[np.float32] = errors[:, :, 0]
    return found


def head(params: Mapping[str, Any]) -> Any:
    """The event head of one channel."""
    return build_detector("event_head", width=1, n_channels=1, n_inputs=1, params=params)


def probation_part(series: Series, in_probation: NDArray[np.bool_]) -> Series:
    """What commissions each file, NaN behind the shorter ones."""
    n_rows = max(1, int(in_probation.sum(axis=1).max()))
    values = np.where(in_probation[..., None], series.values, np.nan)[:, :n_rows]
    return Series(values, series.local_s[:, :n_rows], STEP_S)


def with_own_members(
    names: Sequence[str], training: Series, later: Series, params: Mapping[str, Any], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Training errors and later errors with one network per file, since no file may know
    another.
    """
    learned, states, extended = [], [], []
    for i, name in enumerate(names):
        own = head(params)
        own.fit_series([name], one_file(training, i), seed=seed)
        learned.append(own.training_errors)
        state, series = own.with_member_errors(own.start([name]), one_file(later, i))
        states.append(state)
        extended.append(series.values)
    together = {key: np.concatenate([state[key] for state in states]) for key in states[0]}
    series = Series(np.concatenate(extended), later.local_s, STEP_S)
    return np.concatenate(learned), head(params).fold(together, series)[1].channel_errors


def one_file(series: Series, i: int) -> Series:
    """One file of several."""
    return Series(series.values[i : i + 1], series.local_s[i : i + 1], series.step_s)


def alarm_scores(errors: NDArray[np.float32], settings: Settings) -> Scores:
    """Scores (n_files, n_rows): thirds by severity where an alarm begins, else 0."""
    thresholds = ranked_thresholds(no_events(len(errors)), errors, settings.rule)[1]
    scores = anomaly_scores(errors, thresholds)
    found = np.zeros(errors.shape)
    for i, flags in enumerate(flag(scores)):
        rows = np.flatnonzero(flags)
        began = rows[alarm_starts(rows * STEP_S, errors[i, rows], settings.alarms)]
        found[i, began] = severities(scores[i, began]) / 3
    return found


def file_scores(files: Sequence[NabFile], settings: Settings, seed: int = 0) -> list[Scores]:
    """Scores of each file, one per row."""
    found = alarm_scores(file_errors(files, settings.params, seed), settings)
    return [scores[: len(file.values)] for file, scores in zip(files, found, strict=True)]


def write_results(out: Path, files: Sequence[NabFile], scores: Sequence[Scores]) -> None:
    """<out>/<category>/<file>.csv, one row per row of data."""
    for file, found in zip(files, scores, strict=True):
        path = out / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = pd.DataFrame({"timestamp": file.timestamps, "anomaly_score": found})
        rows.to_csv(path, index=False)


def referee_lines(referee: Path, out: Path, folder: Path, names: Sequence[str]) -> list[str]:
    """What the referee prints about results."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as listed:
        listed.write("\n".join(names))
        listed.flush()
        command = [
            sys.executable,
            str(referee),
            str(out),
            "--nab",
            str(folder),
            "--files",
            listed.name,
        ]
        return subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.splitlines()


def profile_scores(lines: Sequence[str]) -> list[float]:
    """The first number of each of the referee's lines: standard, low FP, low FN."""
    return [float(line.split()[1]) for line in lines if line.strip()]


def judged(
    files: Sequence[NabFile], scores: Sequence[Scores], arguments: argparse.Namespace, folder: Path
) -> str:
    """The referee's three scores in one line, or how many alarms there are."""
    with tempfile.TemporaryDirectory(prefix="tsad-nab-") as name:
        write_results(Path(name), files, scores)
        if arguments.referee is None:
            return f"{sum(int(np.count_nonzero(found)) for found in scores)} alarms"
        lines = referee_lines(arguments.referee, Path(name), folder, [file.name for file in files])
    return " / ".join(f"{score:.1f}" for score in profile_scores(lines))


def ablations() -> Iterator[tuple[str, Settings]]:
    """Each family and each rule left out."""
    for family in WEIGHTS:
        yield f"without {family}", Settings({"weights": {family: 0.0}})
    yield "without the range rule", Settings({"range_bonus": 0.0})
    yield "without the second level", Settings({"second_level": False})
    yield "without the rank penalty", Settings({}, rule=replace(RULE, penalty=0.0))
    yield "without escalation", Settings({}, alarms=replace(ALARMS, escalation=math.inf))
    yield "without a refractory time", Settings({}, alarms=AlarmRule(refractory_s=0))


def print_ablation(files: Sequence[NabFile], arguments: argparse.Namespace, folder: Path) -> None:
    """One line per part left out."""
    whole = file_errors(files, {})
    for name, settings in (("all of it", Settings({})), *ablations()):
        errors = file_errors(files, settings.params) if settings.params else whole
        found = alarm_scores(errors, settings)
        scores = [row[: len(file.values)] for file, row in zip(files, found, strict=True)]
        print(f"{name:<28}{judged(files, scores, arguments, folder)}", flush=True)


def print_neural(files: Sequence[NabFile], arguments: argparse.Namespace, folder: Path) -> None:
    """The head with an LSTM autoencoder as a member, one line per seed."""
    found = []
    for seed in range(arguments.seeds):
        line = judged(files, file_scores(files, Settings(MEMBER), seed), arguments, folder)
        print(f"with an LSTM autoencoder, seed {seed}: {line}", flush=True)
        found.append(line)
    if arguments.referee is not None and found:
        medians = (
            statistics.median(column)
            for column in zip(*(_numbers(line) for line in found), strict=True)
        )
        print("median of seeds: " + " / ".join(f"{value:.1f}" for value in medians))


def _numbers(line: str) -> list[float]:
    return [float(part) for part in line.split(" / ")]


def run(arguments: argparse.Namespace) -> int:
    """Scores all files, writes the results and prints what the referee says."""
    folder = nab_folder(arguments.data)
    files = [file for name in file_names(folder) if len((file := read_file(folder, name)).values)]
    if not files:
        raise SystemExit(
            f"Expected data/<category>/<file>.csv with rows in {folder}. Received: none."
        )
    started = time.process_time()
    scores = file_scores(files, Settings({}))
    n_rows = sum(len(file.values) for file in files)
    seconds = time.process_time() - started
    write_results(arguments.out, files, scores)
    print(
        f"{len(files)} files, {n_rows:,} rows, {seconds / n_rows * 1e6:.0f} us of CPU a row; no "
        "seed: nothing is random"
    )
    if arguments.referee is None:
        print(
            f"Results are in {arguments.out}. A referee says what they are worth: REFEREE=path or "
            "--referee path."
        )
    else:
        print(
            "\n".join(
                referee_lines(
                    arguments.referee, arguments.out, folder, [file.name for file in files]
                )
            )
        )
    if arguments.ablation:
        print_ablation(files, arguments, folder)
    if arguments.neural:
        print_neural(files, arguments, folder)
    return 0


def made_values(kind: str, seed: int, n_rows: int = 1200, at: int = 900) -> NDArray[np.float64]:
    """Daily waves with noise, and a fault at row `at`: a spike, a level that is left, or nothing at
    all.
    """
    rows = np.arange(n_rows)
    values = (
        20
        + 3 * np.sin(2 * np.pi * rows * STEP_S / 86_400)
        + np.random.default_rng(seed).normal(0, 0.5, n_rows)
    )
    values[at : at + 1] += 25 if kind == "spike" else 0
    values[at:] += 15 if kind == "shift" else 0
    return values


def made_folder(folder: Path) -> list[tuple[str, int]]:
    """Writes series of faults into a folder in NAB's layout; names, and rows of the faults."""
    (folder / "data" / "made").mkdir(parents=True)
    for seed, kind in enumerate(("spike", "shift", "clean")):
        values = made_values(kind, seed)
        at = pd.date_range("2024-01-01", periods=len(values), freq=f"{STEP_S}s")
        rows = pd.DataFrame({"timestamp": at.astype(str), "value": values})
        rows.to_csv(folder / "data" / "made" / f"{kind}.csv", index=False)
    return [("made/spike.csv", 900), ("made/shift.csv", 900)]


def broken_promises(files: Sequence[NabFile], faults: Mapping[str, int]) -> Iterator[str]:
    """What does not hold: prefixes, other units, faults found."""
    whole = file_scores(files, Settings({}))
    cut = file_scores([file.prefix(len(file.values) * 6 // 10) for file in files], Settings({}))
    converted = file_scores(
        [replace(file, values=file.values * 1.8 + 32) for file in files], Settings({})
    )
    for file, scores, prefix, other in zip(files, whole, cut, converted, strict=True):
        if prefix.tobytes() != scores[: len(prefix)].tobytes():
            yield f"{file.name}: Expected the scores of the first 60 % to be those of the whole."
        if not np.array_equal(scores, other):
            yield f"{file.name}: Expected the same alarms in another unit."
        at = faults.get(file.name)
        if at is not None and not scores[at : at + 24].any():
            yield f"{file.name}: Expected an alarm within two hours of the fault at row {at}."


def run_small() -> int:
    """Made series, and two files of TSAD_BENCH_DATA where it is set; 1 where a promise does not
    hold.
    """
    started = time.process_time()
    with tempfile.TemporaryDirectory(prefix="tsad-nab-") as name:
        folder = Path(name)
        faults = dict(made_folder(folder))
        files = [read_file(folder, each) for each in file_names(folder)]
    if os.environ.get("TSAD_BENCH_DATA"):
        found = nab_folder(Path(os.environ["TSAD_BENCH_DATA"]))
        files += [read_file(found, each).prefix(1500) for each in file_names(found)[:2]]
    broken = list(broken_promises(files, faults))
    print(
        f"{len(files)} series, prefixes and another unit in {time.process_time() - started:.1f} s "
        "of CPU"
    )
    for message in broken:
        print(message)
    return int(bool(broken))


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, help="folder with data/<category>/<file>.csv, or with nab/"
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="where the results go")
    parser.add_argument(
        "--referee", type=Path, help="program that scores results: REFEREE RESULTS --nab FOLDER"
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds of --neural")
    parser.add_argument(
        "--neural", action="store_true", help="also with an LSTM autoencoder as a member"
    )
    parser.add_argument("--ablation", action="store_true", help="also with each part left out")
    parser.add_argument("--small", action="store_true", help="made series and promises, for CI")
    arguments = parser.parse_args()
    if arguments.small:
        return run_small()
    if arguments.data is None:
        parser.error("Expected --data FOLDER or --small.")
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
