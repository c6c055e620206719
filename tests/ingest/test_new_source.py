"""A new kind of source is one file: a folder of CSV files, registered, checked and ingested."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import yaml

from devstack.postgres import PIPELINE, Cluster
from tests.statements import run
from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.settings import Section
from tsad_tasks.base.variants import SOURCES
from tsad_tasks.cli import main
from tsad_tasks.config import DatasetConfig, load_config
from tsad_tasks.ingest.sources.base import (
    Source,
    SourceRows,
    SourceTable,
    plain_rows,
    register,
)

HALL = {
    "dataset": "hall",
    "source": {
        "kind": "csv_folder",
        "connection": "hall",
        "params": {"delimiter": ";"},
        "tables": "*.csv",
        "time": {"column": "at"},
        "entity": {"from_table": "(.*)"},
        "step": "10min",
        "channels": {"temp": {}, "load": {}},
    },
}


class CsvSettings(Section):
    """What `source.params` may say."""

    delimiter: str = ","


class CsvFolder(Source):
    """Each file of a folder holds the readings of one machine, as texts with a header."""

    settings_model = CsvSettings

    def __init__(self, uri: str, config: DatasetConfig) -> None:
        self._config, self._folder = config, Path(urlsplit(uri).path)
        self._delimiter = CsvSettings.model_validate(config.source.params).delimiter
        channels = tuple(range(len(config.channel_names)))
        self.tables = (SourceTable(str(config.source.tables), None, channels),)

    def read(self, start_us: int, end_us: int, known_entities: Iterable[str] = ()) -> SourceRows:
        times, names, values = [], [], []
        for path in sorted(self._folder.glob(self.tables[0].title)):
            for row in csv.DictReader(path.open(encoding="utf-8"), delimiter=self._delimiter):
                at = datetime.fromisoformat(row[self._config.source.time.column])
                if start_us <= (at_us := int(at.timestamp()) * 1_000_000) < end_us:
                    times.append(at_us)
                    names.append(path.stem)
                    values.append([float(row[name]) for name in self._config.channel_names])
        shape = (len(times), len(self._config.channel_names))
        read = np.array(values, np.float64).reshape(shape)
        return plain_rows(self._config, self.tables[0], np.array(times, np.int64), names, read)

    def time_bounds(
        self, table: SourceTable, now_at: datetime
    ) -> tuple[datetime | None, datetime | None]:
        times_us = self.read(0, 2**62).times_us
        low, high = (datetime.fromtimestamp(us / 1e6, UTC) for us in (times_us[0], times_us[-1]))
        return low, high


@pytest.fixture
def hall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset file of the new kind, and a folder with readings of two machines."""
    monkeypatch.setattr(SOURCES, "_variants", {name: SOURCES[name] for name in SOURCES})
    register("csv_folder")(CsvFolder)
    for name, load in (("m1", 1.0), ("m2", 2.0)):
        lines = [f"2026-03-01T{i // 6:02}:{i % 6}0Z;{20 + i};{load}" for i in range(12)]
        tmp_path.joinpath(f"{name}.csv").write_text("\n".join(["at;temp;load", *lines]))
    tmp_path.joinpath("hall.yaml").write_text(yaml.safe_dump(HALL), encoding="utf-8")
    monkeypatch.setenv("TSAD_DATASETS", str(tmp_path))
    monkeypatch.setenv("TSAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TSAD_CONNECTION_HALL", f"file://{tmp_path}")
    return tmp_path


def _tsad(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tsad", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_readings_of_a_new_kind_are_ingested_by_the_command(
    hall: Path, warehouse_uri: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = cluster.uri(warehouse_uri.rsplit("/", 1)[1], PIPELINE)
    monkeypatch.setenv("TSAD_DATABASE_URI", uri)
    span = ("--from", "2026-03-01T00:00", "--to", "2026-03-01T02:00")
    assert _tsad(monkeypatch, "ingest", "hall", *span) == 0
    rows = run(
        warehouse_uri,
        "SELECT e.name, r.channel, count(*)::int, min(r.value), max(r.value) FROM tsad.entity e, "
        "tsad.readings('hall', e.name, '2026-03-01Z', '2026-03-02Z') r GROUP BY 1, 2 ORDER BY 1, 2",
    )
    assert rows == [
        ("m1", "load", 12, 1.0, 1.0),
        ("m1", "temp", 12, 20.0, 31.0),
        ("m2", "load", 12, 2.0, 2.0),
        ("m2", "temp", 12, 20.0, 31.0),
    ]


def test_a_new_kind_is_checked_without_a_word_of_it_in_the_command(
    hall: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _tsad(monkeypatch, "datasets", "check", "hall") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 1 tables can be read." in said
    assert "2 entities, such as m1, m2." in said


def test_a_source_counts_its_hours_from_what_it_reads(hall: Path) -> None:
    source = CsvFolder(f"file://{hall}", load_config(hall / "hall.yaml"))
    assert [count.n_rows for count in source.count_hours(0, 2**62).values()] == [12, 12]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"kind": "csv"}, "source.kind: Expected one of csv_folder, postgres. Received: csv."),
        (
            {"params": {"delimiters": ";"}},
            "source.params.delimiters: Expected one of delimiter (did you mean "
            "delimiter?). Received: ';'.",
        ),
        (
            {"params": {"delimiter": 5}},
            "source.params.delimiter: Expected text (in quotes, where YAML would see a number, a "
            "date or a truth). Received: 5.",
        ),
        (
            {"kind": "postgres"},
            "source.params.delimiter: Expected no such field. Received: ';'.",
        ),
    ],
)
def test_an_unknown_kind_or_setting_is_found_when_the_file_is_read(
    hall: Path, given: dict[str, object], text: str
) -> None:
    changed = HALL | {"source": {**HALL["source"], **given}}  # type: ignore[dict-item]
    hall.joinpath("hall.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(hall / "hall.yaml")
    assert text in str(caught.value)


def test_finding_all_sources_and_channels_loads_nothing_slow() -> None:
    program = (
        "import sys; from tsad_tasks.base.variants import CHANNELS, SOURCES;"
        "assert [*SOURCES] == ['postgres'], [*SOURCES];"
        "names = ['apprise', 'email', 'pagerduty', 'slack', 'webhook'];"
        "assert [*CHANNELS] == names, [*CHANNELS];"
        "heavy = {'numpy', 'psycopg2', 'sqlalchemy', 'pandas', 'requests', 'airflow', 'apprise'};"
        "heavy |= {'markdown', 'yaml', 'jinja2', 'reportlab'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
