"""The embedded plant, whose address nobody has to name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_commands import Tsad, tsad

__all__ = ["tsad"]


@pytest.fixture
def down_after(tsad: Tsad) -> Iterator[None]:
    yield
    assert tsad("down").code == 0


@pytest.mark.usefixtures("down_after")
def test_what_load_csv_made_is_drafted_in_any_schema(
    tsad: Tsad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TSAD_DATABASE_URI", "TSAD_CONNECTION_TSAD_DEMO"):
        # Set first: what the commands put there is taken away at the end.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    path = tmp_path / "log.csv"
    rows = (
        f"2026-03-07 {i // 60:02d}:{i % 60:02d},m-{m},{i % 7}" for i in range(600) for m in (1, 2)
    )
    path.write_text("\n".join(["at,machine,flow", *rows]), encoding="utf-8")
    loaded = tsad("load-csv", str(path), "--table", "works.log", "--time-column", "at")
    assert (loaded.code, loaded.err) == (0, "")
    said = tsad("datasets", "draft", "tsad_demo", "works.log")
    assert (said.code, said.err) == (0, "")
    assert "connection: tsad_demo" in said.out
    assert "works.log" in said.out
