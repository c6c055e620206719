"""The state head on the Skoltech Anomaly Benchmark's own files and formats: `skab.py --data FOLDER
[--referee PATH]`.

FOLDER holds <group>/<n>.csv (semicolons, datetime, channels), or data/ or skab/data/ that does;
whatever files are there are run, all with one default config, trained on their first 400 rows.
Columns `anomaly` and `changepoint` are never read. Errors, thresholds and flags come from the
functions that score in production. Writes <out>/<group>/<n>.csv with datetime and anomaly, from row
400 on. A referee is a program that takes the results' folder and --skab, and prints F1 and false
alarms; alarms on the anomaly-free runs are printed beside it, since F1 alone says little.

`--ablation` leaves each part out. `--neural` gives the head an LSTM autoencoder's error as one more
channel, over `--seeds`; without it nothing is random. `--small` makes runs of its own and fails
where a prefix is judged otherwise than the whole, another unit changes an alarm, or an injected
fault is missed; it takes two files from TSAD_BENCH_DATA as well, where that is set.
"""

from __future__ import annotations

import argparse
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

from tsad_tasks.detectors.base import Budget, TrainingSet
from tsad_tasks.detectors.folding.fold import Series
from tsad_tasks.detectors.registry import build_detector
from tsad_tasks.model.drift import roughness
from tsad_tasks.model.hysteresis import hysteresis_thresholds, no_alarm
from tsad_tasks.model.thresholds import anomaly_scores, flag

N_TRAINING = 400
STEP_S = 1
WIDTH, EPOCHS, SLOW_RATIO = 10, 20, 0.3
CLEAN = "anomaly-free"
NOT_READ = ("anomaly", "changepoint")
DEFAULT_OUT = Path(".tsad/bench/skab")

Alarms = NDArray[np.bool_]


@dataclass(frozen=True)
class SkabFile:
    """One run: its times as written, channel names, values (n_rows, n_channels) with NaN where
    there is none.
    """

    name: str
    times: tuple[str, ...]
    channels: tuple[str, ...]
    values: NDArray[np.float64]

    @property
    def is_clean(self) -> bool:
        return self.name.startswith(CLEAN)


def read_file(folder: Path, name: str) -> SkabFile:
    """A file of the folder; what is known of its anomalies is left out when it is read."""
    rows = pd.read_csv(
        folder / name,
        sep=";",
        dtype=str,
        keep_default_na=False,
        usecols=lambda key: key not in NOT_READ,
    )
    channels = [column for column in rows.columns if column != "datetime"]
    values = rows[channels].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64, copy=True)
    values[~np.isfinite(values)] = np.nan
    return SkabFile(name, tuple(rows["datetime"]), tuple(channels), values)


def skab_folder(folder: Path) -> Path:
    """The folder that holds the groups: the one given, or data/ or skab/data/ in it."""
    for found in (folder / "skab" / "data", folder / "data", folder):
        if any(found.glob("*/*.csv")):
            return found
    raise SystemExit(
        f"Expected <group>/<n>.csv in {folder}, {folder}/data or {folder}/skab/data. Received: "
        "none."
    )


def file_names(folder: Path) -> list[str]:
    """<group>/<n>.csv of every run."""
    return sorted(f"{path.parent.name}/{path.name}" for path in folder.glob("*/*.csv"))


def fleets(files: Sequence[SkabFile]) -> list[list[SkabFile]]:
    """Files with the same channels, together."""
    kinds = sorted({file.channels for file in files})
    return [[file for file in files if file.channels == kind] for kind in kinds]


def series_of(files: Sequence[SkabFile], extra: Sequence[NDArray[np.float64]] = ()) -> Series:
    """The runs of a fleet side by side, NaN behind the shorter ones; `extra` gives one more channel
    of each.
    """
    n_rows = max(N_TRAINING, *(len(file.values) for file in files))
    values = np.full((len(files), n_rows, len(files[0].channels) + bool(extra)), np.nan)
    for i, file in enumerate(files):
        values[i, : len(file.values), : len(file.channels)] = file.values
        if extra:
            values[i, : len(file.values), -1] = extra[i]
    return Series(values, np.arange(n_rows, dtype=np.int64) * STEP_S, STEP_S)


def fleet_alarms(
    files: Sequence[SkabFile], series: Series, params: Mapping[str, Any]
) -> list[Alarms]:
    """Whether each row from 400 on is in an alarm, for each run of a fleet."""
    n_channels, names = series.values.shape[2], [file.name for file in files]
    head: Any = build_detector(
        "state_head", width=1, n_channels=n_channels, n_inputs=n_channels, params=params
    )
    training, later = (
        _part(series, steps) for steps in (slice(0, N_TRAINING), slice(N_TRAINING, None))
    )
    head.fit_series(names, training, seed=0)
    errors = asset_errors(head.advance(head.start(names), later)[1].channel_errors)
    thresholds = hysteresis_thresholds(no_alarm(len(files), head.rule), errors, head.rule)[1]
    flags = flag(anomaly_scores(errors, thresholds))
    return [flags[i, : max(0, len(file.values) - N_TRAINING)] for i, file in enumerate(files)]


def _part(series: Series, steps: slice) -> Series:
    return Series(series.values[:, steps], series.local_s[steps], series.step_s)


def asset_errors(channel_errors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The error that all live channels of an asset have in common, (n_files, n_rows); NaN where
    none is live.
    """
    known = np.isfinite(channel_errors)
    highest = np.where(known, channel_errors, np.float32(-1)).max(axis=2, initial=-1)
    return np.where(highest < 0, np.float32(np.nan), highest)


def alarms(
    files: Sequence[SkabFile], params: Mapping[str, Any] | None = None, seed: int | None = None
) -> list[Alarms]:
    """Alarms of each file in the order given; with a seed, an autoencoder's error is one more
    channel.
    """
    found: dict[str, Alarms] = {}
    for fleet in fleets(files):
        extra = [] if seed is None else network_errors(fleet, seed)
        of_fleet = fleet_alarms(fleet, series_of(fleet, extra), params or {})
        found |= {file.name: each for file, each in zip(fleet, of_fleet, strict=True)}
    return [found[file.name] for file in files]


def network_errors(files: Sequence[SkabFile], seed: int) -> list[NDArray[np.float64]]:
    """Logarithm of an LSTM autoencoder's squared error at each row of each file, one network a
    file.

    It sees the channels that do not move slowly, learns from the first 400 rows, and is judged by
    the last step of each window: the mean over a window moves slowly itself, and the head's fleet
    rule would leave it out.
    """
    watched = (
        np.nanmedian([roughness(file.values[:N_TRAINING]) for file in files], axis=0) >= SLOW_RATIO
    )
    return [_last_step_errors(file.values[:, watched], seed) for file in files]


def _last_step_errors(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    center, scale = values[:N_TRAINING].mean(axis=0), values[:N_TRAINING].std(axis=0)
    inputs = np.clip((values - center) / np.where(scale > 0, scale, 1.0), -10, 10).astype(
        np.float32
    )
    n_channels, ends = inputs.shape[1], np.arange(WIDTH - 1, len(inputs))
    network = build_detector(
        "lstm_autoencoder", width=WIDTH, n_channels=n_channels, n_inputs=n_channels
    )
    known = np.nan_to_num(inputs[:N_TRAINING], nan=0.0)
    split = np.arange(WIDTH - 1, 330), np.arange(330 + WIDTH, N_TRAINING)
    network.fit(
        TrainingSet(known, *split, n_channels, WIDTH),
        budget=Budget(epochs=EPOCHS, batch_size=32),
        seed=seed,
    )
    residuals = (inputs[ends] - network.reconstruct(inputs, ends).expected).astype(np.float64)
    return np.concatenate(
        [np.full(WIDTH - 1, np.nan), np.log((residuals * residuals).mean(axis=1) + 1e-6)]
    )


def write_results(out: Path, files: Sequence[SkabFile], found: Sequence[Alarms]) -> None:
    """<out>/<group>/<n>.csv, one row per row of data from row 400 on."""
    for file, each in zip(files, found, strict=True):
        path = out / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = pd.DataFrame({"datetime": file.times[N_TRAINING:], "anomaly": each.astype(float)})
        rows.to_csv(path, index=False)


def judged(
    files: Sequence[SkabFile], found: Sequence[Alarms], arguments: argparse.Namespace, out: Path
) -> str:
    """The referee's line, and the share of alarms on the anomaly-free runs."""
    write_results(out, files, found)
    clean = [each for file, each in zip(files, found, strict=True) if file.is_clean]
    share = f"{100 * np.concatenate(clean).mean():.1f} %" if clean else "none found"
    if arguments.referee is None:
        return f"alarms on anomaly-free runs: {share}"
    folder = skab_folder(arguments.data)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as listed:
        listed.write("\n".join(file.name for file in files))
        listed.flush()
        command = [
            sys.executable,
            str(arguments.referee),
            str(out),
            "--skab",
            str(folder.parent),
            "--files",
            listed.name,
        ]
        line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    figures = " ".join(
        part for part in line.split("|")[0].split() if part.startswith(("F1", "FAR", "MAR"))
    )
    return f"{figures}, alarms on anomaly-free runs: {share}"


ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "without the fleet rule": {"slow_ratio": 0.0},
    "without smoothing": {"smooth": 1},
    "without drift (fixed baseline)": {"memory": 1_000_000},
    "without the delay": {"delay": 1},
    "without hysteresis": {"leave": 5.0, "leave_share": 0.01},
    "without relative leaving": {"leave_share": 0.01},
    "without the majority rule": {"recent": 600},
    "without re-learning": {"relearn": 1},
}


def print_neural(files: Sequence[SkabFile], arguments: argparse.Namespace) -> None:
    """The head with an autoencoder's error as one more channel, one line per seed."""
    scores = []
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory(prefix="tsad-skab-") as name:
            line = judged(files, alarms(files, seed=seed), arguments, Path(name))
        print(f"with an LSTM autoencoder, seed {seed}: {line}", flush=True)
        scores += [float(part[3:]) for part in line.split() if part.startswith("F1=")]
    if scores:
        print(f"median F1 of seeds: {statistics.median(scores):.4f}")


def run(arguments: argparse.Namespace) -> int:
    """Judges all files, writes the results and prints what the referee says."""
    folder = skab_folder(arguments.data)
    files = [read_file(folder, name) for name in file_names(folder)]
    started = time.process_time()
    found = alarms(files)
    seconds, n_rows = time.process_time() - started, sum(len(file.values) for file in files)
    print(
        f"{len(files)} files, {n_rows:,} rows, {seconds / n_rows * 1e6:.0f} us of CPU a row; no "
        "seed: nothing is random"
    )
    print(judged(files, found, arguments, arguments.out))
    if arguments.referee is None:
        print(
            f"Results are in {arguments.out}. A referee says what they are worth: REFEREE=path or "
            "--referee path."
        )
    for name, params in ABLATIONS.items() if arguments.ablation else ():
        with tempfile.TemporaryDirectory(prefix="tsad-skab-") as out:
            print(
                f"{name:<34}{judged(files, alarms(files, params), arguments, Path(out))}",
                flush=True,
            )
    if arguments.neural:
        print_neural(files, arguments)
    return 0


def made_file(name: str, seed: int, fault_at: int | None = None, n_rows: int = 1100) -> SkabFile:
    """Six noisy channels and one that drifts; from `fault_at` on, for 200 rows, two of them are
    elsewhere.
    """
    random = np.random.default_rng(seed)
    values = np.concatenate(
        [random.normal(5, 1, (n_rows, 6)), random.normal(0, 0.02, (n_rows, 1)).cumsum(axis=0)],
        axis=1,
    )
    if fault_at is not None:
        values[fault_at : fault_at + 200, 1:3] += 4.0
    times = pd.date_range("2024-01-01", periods=n_rows, freq="s").astype(str)
    return SkabFile(name, tuple(times), tuple("abcdefg"), values)


def broken_promises(files: Sequence[SkabFile], faults: Mapping[str, int]) -> Iterator[str]:
    """What does not hold: prefixes, other units, faults found and left."""
    whole = alarms(files)
    cut = alarms(
        [replace(file, values=file.values[: 240 + len(file.values) * 6 // 10]) for file in files]
    )
    converted = alarms([replace(file, values=file.values * 1.8 + 32) for file in files])
    for file, found, prefix, other in zip(files, whole, cut, converted, strict=True):
        if not np.array_equal(prefix, found[: len(prefix)]):
            yield f"{file.name}: Expected the alarms of a prefix to be those of the whole."
        if not np.array_equal(found, other):
            yield f"{file.name}: Expected the same alarms in another unit."
        at = faults.get(file.name)
        if at is not None and found[at - N_TRAINING : at + 200 - N_TRAINING].mean() < 0.8:
            yield f"{file.name}: Expected alarms on most of the rows {at} to {at + 200}."


def run_small() -> int:
    """Made runs, and two files of TSAD_BENCH_DATA where it is set; 1 where a promise does not
    hold.
    """
    started = time.process_time()
    files = [
        made_file("made/0.csv", 0, 700),
        made_file("made/1.csv", 1, 600),
        made_file(f"{CLEAN}/2.csv", 2),
    ]
    if os.environ.get("TSAD_BENCH_DATA"):
        folder = skab_folder(Path(os.environ["TSAD_BENCH_DATA"]) / "skab")
        files += [read_file(folder, name) for name in file_names(folder)[-2:]]
    broken = list(broken_promises(files, {"made/0.csv": 700, "made/1.csv": 600}))
    print(
        f"{len(files)} runs, prefixes and another unit in {time.process_time() - started:.1f} s of "
        "CPU"
    )
    for message in broken:
        print(message)
    return int(bool(broken))


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, help="folder with <group>/<n>.csv, or with data/ or skab/data/"
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="where the results go")
    parser.add_argument(
        "--referee", type=Path, help="program that scores results: REFEREE RESULTS --skab FOLDER"
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds of --neural")
    parser.add_argument(
        "--neural", action="store_true", help="also with an LSTM autoencoder's error as a channel"
    )
    parser.add_argument("--ablation", action="store_true", help="also with each part left out")
    parser.add_argument("--small", action="store_true", help="made runs and promises, for CI")
    arguments = parser.parse_args()
    if arguments.small:
        return run_small()
    if arguments.data is None:
        parser.error("Expected --data FOLDER or --small.")
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
