"""The two benchmarks in their own formats, on small files that are odd on purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.benchmark_modules import benchmark

NAB, SKAB = benchmark("nab"), benchmark("skab")
ODD = {
    "constant": ["5.0"] * 60,
    "empty": [],
    "one": ["1"],
    "unknown": ["nan", "", "x"] * 20,
    "gaps": ["1", "nan", "3", "inf"] * 30,
}


def odd_files(folder: Path) -> list[object]:
    (folder / "data" / "odd").mkdir(parents=True)
    for name, values in ODD.items():
        at = pd.date_range("2024-01-01", periods=len(values), freq="7min")[::-1]
        rows = pd.DataFrame({"timestamp": at.astype(str), "value": values})
        rows.to_csv(folder / "data" / "odd" / f"{name}.csv", index=False)
    names = NAB.file_names(NAB.nab_folder(folder))
    return [file for name in names if len((file := NAB.read_file(folder, name)).values)]


def test_odd_nab_files_get_one_finite_score_per_row_in_their_order(tmp_path: Path) -> None:
    files = odd_files(tmp_path)
    NAB.write_results(tmp_path / "out", files, NAB.file_scores(files, NAB.Settings({})))
    for file in files:
        found = pd.read_csv(tmp_path / "out" / file.name, dtype={"timestamp": str})
        assert found["timestamp"].tolist() == list(file.timestamps)
        assert np.isfinite(found["anomaly_score"]).all()


@pytest.fixture(scope="module")
def nab_files() -> list[object]:
    return [made_nab(kind, seed) for seed, kind in enumerate(("spike", "shift", "clean"))]


def made_nab(kind: str, seed: int) -> object:
    values = NAB.made_values(kind, seed, n_rows=600, at=450)
    times = np.arange(600, dtype=np.int64) * NAB.STEP_S
    return NAB.NabFile(f"made/{kind}.csv", tuple(map(str, times)), values, times, n_probation=90)


def test_nab_prefixes_and_other_units_and_faults(nab_files: list[object]) -> None:
    assert (
        list(NAB.broken_promises(nab_files, {"made/spike.csv": 450, "made/shift.csv": 450})) == []
    )


def test_a_nab_file_is_scored_the_same_alone_and_among_others(nab_files: list[object]) -> None:
    among = NAB.file_errors(nab_files, {})
    assert NAB.file_errors(nab_files[1:2], {})[0].tobytes() == among[1].tobytes()


def test_the_alarm_begins_at_the_fault_and_nowhere_near(nab_files: list[object]) -> None:
    spike = NAB.file_scores(nab_files[:1], NAB.Settings({}))[0]
    assert spike[450] > 0
    assert np.count_nonzero(spike[300:450]) == 0


def test_a_prefix_is_commissioned_as_the_whole_when_asked(tmp_path: Path) -> None:
    odd_files(tmp_path)
    assert NAB.read_file(tmp_path, "odd/gaps.csv").n_probation == 18
    assert NAB.read_file(tmp_path, "odd/gaps.csv", probation_of=9999).n_probation == 750


def test_skab_prefixes_and_other_units_and_faults() -> None:
    files = [SKAB.made_file("made/0.csv", 0, 700), SKAB.made_file("anomaly-free/1.csv", 1)]
    assert list(SKAB.broken_promises(files, {"made/0.csv": 700})) == []


def test_a_skab_file_alone_short_or_with_other_channels_is_judged() -> None:
    whole = SKAB.made_file("made/0.csv", 0)
    short = replace(whole, name="made/short.csv", values=whole.values[:350])
    other = replace(whole, name="made/other.csv", channels=("a", "b"), values=whole.values[:, :2])
    assert [len(found) for found in SKAB.alarms([whole, short, other])] == [700, 0, 700]
    assert [len(found) for found in SKAB.alarms([whole])] == [700]


def test_labels_of_a_skab_file_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "group").mkdir()
    rows = "datetime;a;b;anomaly;changepoint\n2024-01-01 00:00:00;1;2;1.0;1.0\n"
    (tmp_path / "group" / "0.csv").write_text(rows, encoding="utf-8")
    file = SKAB.read_file(SKAB.skab_folder(tmp_path), "group/0.csv")
    assert file.channels == ("a", "b")
    assert file.values.tolist() == [[1.0, 2.0]]
