from __future__ import annotations

import stat
from pathlib import Path

import pytest

from devstack.compose_secrets import PASSWORDS, write_compose_secrets
from tsad_tasks.base.errors import BadInput


def test_every_secret_is_random_and_the_file_private(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write_compose_secrets(first)
    write_compose_secrets(second)
    lines = set(first.read_text(encoding="utf-8").splitlines())
    assert {line.split("=")[0] for line in lines} == {*PASSWORDS, "AIRFLOW_FERNET_KEY"}
    assert not lines & set(second.read_text(encoding="utf-8").splitlines())
    assert stat.S_IMODE(first.stat().st_mode) == 0o600


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("KEPT=1\n", encoding="utf-8")
    with pytest.raises(BadInput, match="Received: one"):
        write_compose_secrets(path)
    assert path.read_text(encoding="utf-8") == "KEPT=1\n"
